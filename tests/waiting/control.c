/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - What control messages and options say of a datagram over IPv6: its
 * source, hops and class, and how large it may be in one piece.
 */
#include <netinet/udp.h>

#include "waiting.h"

#define LOOPBACK_INDEX 1 /* of lo */

union control {
	struct cmsghdr head;
	char bytes[256];
};

/** struct ends - A receiver that wants to be told all, and a sender. @at: The receiver. */
struct ends {
	int r, s;
	struct sockaddr_in6 at;
};

static int bound(struct in6_addr addr, struct sockaddr_in6 *ret)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*ret);

	*ret = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = addr};
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)ret, len) == 0);
	MUST(getsockname(fd, (struct sockaddr *)ret, &len) == 0);
	return fd;
}

static void ends_open(struct ends *e)
{
	static const struct in6_addr any = IN6ADDR_ANY_INIT;
	static const int wants[][2] = {
		{IPPROTO_IPV6, IPV6_RECVPKTINFO}, {IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
		{IPPROTO_IPV6, IPV6_RECVTCLASS},  {IPPROTO_IP, IP_RECVTTL},
		{IPPROTO_IP, IP_RECVTOS},
	};
	int one = 1;
	char c;

	e->r = bound(any, &e->at);
	e->at.sin6_addr = in6addr_loopback;
	for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++)
		MUST(setsockopt(e->r, wants[i][0], wants[i][1], &one, sizeof(one)) == 0);
	/* From then on what comes goes through memory. */
	MUST(recv(e->r, &c, 1, 0) < 0 && errno == EAGAIN);
	e->s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	MUST(e->s >= 0);
}

static void ends_close(struct ends *e)
{
	close(e->r);
	close(e->s);
}

static void say_control(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in6_pktinfo info;
		char text[INET6_ADDRSTRLEN];
		int value = 0;

		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			say("  to %s, interface %u",
			    inet_ntop(AF_INET6, &info.ipi6_addr, text, sizeof(text)),
			    info.ipi6_ifindex);
			continue;
		}
		memcpy(&value, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
		say("  %d/%d: %d", c->cmsg_level, c->cmsg_type, value);
	}
}

/* What there is, each with its source and what it was told of. */
static void say_received(struct ends *e)
{
	static char data[70000];
	struct iovec iov = {data, sizeof(data)};
	struct sockaddr_in6 from;
	union control control;
	char text[INET6_ADDRSTRLEN];
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	nap(5);
	for (;;) {
		m.msg_name = &from;
		m.msg_namelen = sizeof(from);
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		n = recvmsg(e->r, &m, 0);
		if (n < 0)
			break;
		say(" %zd bytes from %s", n,
		    inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof(text)));
		say_control(&m);
	}
	MUST(errno == EAGAIN);
}

/* One datagram with one control message, and what becomes of it. */
static void with(struct ends *e, const char *what, int level, int type, const void *data, size_t n)
{
	union control control = {.bytes = {0}};
	struct iovec iov = {(char *)(uintptr_t)what, strlen(what)};
	struct msghdr m = {.msg_name = &e->at,
			   .msg_namelen = sizeof(e->at),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = CMSG_SPACE(n)};

	control.head =
		(struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(n)};
	memcpy(CMSG_DATA(&control.head), data, n);
	said(what, sendmsg(e->s, &m, 0));
	say_received(e);
}

static void with_number(struct ends *e, const char *what, int level, int type, int value)
{
	char text[80];

	snprintf(text, sizeof(text), "%s %d", what, value);
	with(e, text, level, type, &value, sizeof(value));
}

static void with_source(struct ends *e, const char *addr, unsigned interface)
{
	struct in6_pktinfo info = {.ipi6_ifindex = interface};
	char text[80];

	MUST(inet_pton(AF_INET6, addr, &info.ipi6_addr) == 1);
	snprintf(text, sizeof(text), "from %s at %u", addr, interface);
	with(e, text, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

static void headers(struct ends *e)
{
	static const int hops[] = {9, 255, 0, -1, -2, 256}, classes[] = {32, 0, 255, -1, 256};

	for (size_t i = 0; i < sizeof(hops) / sizeof(*hops); i++)
		with_number(e, "hops", IPPROTO_IPV6, IPV6_HOPLIMIT, hops[i]);
	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		with_number(e, "class", IPPROTO_IPV6, IPV6_TCLASS, classes[i]);
	/* Of the other family. */
	with_number(e, "TTL", IPPROTO_IP, IP_TTL, 7);
	with_number(e, "TOS", IPPROTO_IP, IP_TOS, 16);
}

static void sources(struct ends *e)
{
	with_source(e, "::1", 0);
	with_source(e, "::1", LOOPBACK_INDEX);
	with_source(e, "::1", 999);
	with_source(e, "::", LOOPBACK_INDEX);
	with_source(e, "2001:db8::77", 0);
	with_source(e, "fe80::1", 0);
	with_source(e, "::ffff:127.0.0.1", 0);
	with_source(e, "::ffff:127.0.0.9", 0);
}

static void headers6(void)
{
	struct ends e;

	ends_open(&e);
	headers(&e);
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &e.at.sin6_addr);
	headers(&e);
	ends_close(&e);
}

static void sources6(void)
{
	struct sockaddr_in6 own;
	struct ends e;

	ends_open(&e);
	sources(&e);
	close(e.s);
	e.s = bound(in6addr_loopback, &own);
	sources(&e);
	ends_close(&e);
	ends_open(&e);
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &e.at.sin6_addr);
	sources(&e);
	ends_close(&e);
}

/* One of each size near what lo carries, and what the option allows. */
static void sizes(struct ends *e, const char *what)
{
	static const size_t all[] = {1000, 1232, 1233, 2000, 65488, 65489, 65507, 65527, 65528};
	static char data[70000];

	say("%s", what);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		said("send",
		     sendto(e->s, data, all[i], 0, (struct sockaddr *)&e->at, sizeof(e->at)));
		say_received(e);
	}
}

static void set(int fd, int name, int value)
{
	MUST(setsockopt(fd, IPPROTO_IPV6, name, &value, sizeof(value)) == 0);
}

static void sizes6(void)
{
	int segment = 1200;
	struct ends e;

	ends_open(&e);
	sizes(&e, "nothing set");
	set(e.s, IPV6_DONTFRAG, 1);
	sizes(&e, "not in pieces");
	set(e.s, IPV6_DONTFRAG, 0);
	sizes(&e, "in pieces again");
	set(e.s, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
	sizes(&e, "path MTU discovery");
	set(e.s, IPV6_MTU, 1280);
	sizes(&e, "and 1280");
	set(e.s, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT);
	sizes(&e, "1280 alone");
	MUST(setsockopt(e.s, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) == 0);
	sizes(&e, "in segments of 1200");
	segment = 1300;
	MUST(setsockopt(e.s, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) == 0);
	sizes(&e, "in segments of 1300");
	ends_close(&e);
}

const struct test control_tests[] = {
	{"dgram_headers6", headers6},
	{"dgram_sources6", sources6},
	{"dgram_sizes6", sizes6},
	{NULL, NULL},
};
