/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * carried.c - What goes through the kernel's socket of a datagram socket:
 * broadcast, multicast, datagrams in pieces, ICMP echo. Each in one order with what else
 * is sent to the same receiver, which goes through memory.
 */
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "waiting.h"

#define LOOPBACK_INDEX 1 /* of lo */

static const struct in6_addr any6 = IN6ADDR_ANY_INIT;

/* At any address, and read from once: from then on what comes goes through memory. */
static int receiver(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = *port };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(at);
	int one = 1;
	char c;

	MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	MUST(bind(fd, (struct sockaddr *)&at, len) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	MUST(recv(fd, &c, 1, 0) < 0 && errno == EAGAIN);
	*port = at.sin_port;
	return fd;
}

static int sender(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	return fd;
}

static void send_to(int fd, uint32_t addr, uint16_t port, const char *text, int flags)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = port,
				  .sin_addr.s_addr = htonl(addr) };
	char what[64];

	snprintf(what, sizeof(what), "send %s", text);
	said(what, sendto(fd, text, strlen(text), flags, (struct sockaddr *)&at, sizeof(at)));
}

/* All that is there. */
static void say_all(const char *who, int fd)
{
	char text[256];
	ssize_t n;

	nap(5);
	while ((n = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
		text[n] = 0;
		say("%s: %zd '%s'", who, n, text);
	}
	said(who, n);
}

static void broadcast(void)
{
	uint16_t port = 0, other = 0;
	int a = receiver(&port), b = receiver(&port), c = receiver(&other), s = sender(), one = 1;

	send_to(s, INADDR_LOOPBACK, other, "one", 0);
	send_to(s, 0x7fffffff, other, "not allowed", 0);
	MUST(setsockopt(s, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) == 0);
	send_to(s, 0x7fffffff, other, "two, to all", 0);
	send_to(s, INADDR_LOOPBACK, other, "three", 0);
	say_all("alone", c);
	send_to(s, 0x7fffffff, port, "four, to both", 0);
	say_all("first", a);
	say_all("second", b);
	close(a);
	close(b);
	close(c);
	close(s);
}

static void join(int fd, bool in)
{
	struct ip_mreqn m = { .imr_ifindex = LOOPBACK_INDEX };

	inet_pton(AF_INET, "239.255.17.4", &m.imr_multiaddr);
	said(in ? "join" : "leave", setsockopt(fd, IPPROTO_IP, in ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
					       &m, sizeof(m)));
}

static void multicast(void)
{
	struct ip_mreqn via = { .imr_ifindex = LOOPBACK_INDEX };
	uint32_t group = 0xefff1104;
	uint16_t port = 0;
	int a = receiver(&port), b = receiver(&port), s = sender(), no = 0, ttl = 3;

	inet_pton(AF_INET, "127.0.0.1", &via.imr_address);
	said("interface", setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)));
	said("ttl", setsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)));
	send_to(s, INADDR_LOOPBACK, port, "to the last", 0);
	say_all("second", b);
	join(a, true);
	send_to(s, group, port, "to the group", 0);
	send_to(s, INADDR_LOOPBACK, port, "to the last again", 0);
	said("only who joined", setsockopt(b, IPPROTO_IP, IP_MULTICAST_ALL, &no, sizeof(no)));
	say_all("first", a);
	say_all("second", b);
	send_to(s, group, port, "to the members", 0);
	said("no loop", setsockopt(s, IPPROTO_IP, IP_MULTICAST_LOOP, &no, sizeof(no)));
	send_to(s, group, port, "to nobody here", 0);
	say_all("first", a);
	say_all("second", b);
	join(a, false);
	join(a, false);
	close(a);
	close(b);
	close(s);
}

static void multicast6(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = any6 }, group = at;
	struct ipv6_mreq m = { .ipv6mr_interface = LOOPBACK_INDEX };
	int a = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), lo = LOOPBACK_INDEX, no = 0;
	socklen_t len = sizeof(at);

	MUST(a >= 0 && s >= 0 && bind(a, (struct sockaddr *)&at, len) == 0);
	MUST(getsockname(a, (struct sockaddr *)&at, &len) == 0);
	inet_pton(AF_INET6, "ff02::1:1704", &m.ipv6mr_multiaddr);
	group.sin6_addr = m.ipv6mr_multiaddr;
	group.sin6_port = at.sin6_port;
	at.sin6_addr = in6addr_loopback;
	said("interface", setsockopt(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, &lo, sizeof(lo)));
	say_all("before", a);
	said("to it", sendto(s, "one", 3, 0, (struct sockaddr *)&at, len));
	said("join", setsockopt(a, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof(m)));
	said("to the group", sendto(s, "two", 3, 0, (struct sockaddr *)&group, len));
	said("to it", sendto(s, "three", 5, 0, (struct sockaddr *)&at, len));
	say_all("member", a);
	said("no loop", setsockopt(s, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &no, sizeof(no)));
	said("to the group", sendto(s, "four", 4, 0, (struct sockaddr *)&group, len));
	said("leave", setsockopt(a, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &m, sizeof(m)));
	say_all("member", a);
	close(a);
	close(s);
}

/* A datagram in pieces stands where its last piece was sent. */
static void pieces(void)
{
	uint16_t port = 0;
	int r = receiver(&port), s = sender(), other = sender(), on = 1, off = 0, size = 5;

	send_to(s, INADDR_LOOPBACK, port, "one", 0);
	send_to(s, INADDR_LOOPBACK, port, "two, ", MSG_MORE);
	send_to(other, INADDR_LOOPBACK, port, "in between", 0);
	send_to(s, INADDR_LOOPBACK, port, "in three ", MSG_MORE);
	send_to(s, INADDR_LOOPBACK, port, "pieces", 0);
	send_to(s, INADDR_LOOPBACK, port, "three", 0);
	said("cork", setsockopt(s, IPPROTO_UDP, UDP_CORK, &on, sizeof(on)));
	send_to(s, INADDR_LOOPBACK, port, "four, ", 0);
	send_to(other, INADDR_LOOPBACK, port, "before four", 0);
	send_to(s, INADDR_LOOPBACK, port, "uncorked", 0);
	said("uncork", setsockopt(s, IPPROTO_UDP, UDP_CORK, &off, sizeof(off)));
	send_to(other, INADDR_LOOPBACK, port, "behind four", 0);
	send_to(s, INADDR_LOOPBACK, port, "five", 0);
	say_all("receiver", r);
	/* What is sent in segments is several. */
	said("segments", setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	said("cork", setsockopt(s, IPPROTO_UDP, UDP_CORK, &on, sizeof(on)));
	send_to(s, INADDR_LOOPBACK, port, "six, in", 0);
	send_to(s, INADDR_LOOPBACK, port, " more ", 0);
	said("uncork", setsockopt(s, IPPROTO_UDP, UDP_CORK, &off, sizeof(off)));
	send_to(s, INADDR_LOOPBACK, port, "seven", 0);
	said("segments", setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof(off)));
	say_all("receiver", r);
	close(r);
	close(s);
	close(other);
}

/* What has been sent is there for who looks the next moment, though he has just looked
 * in vain. Its buffer is so small that nothing comes through memory. */
static void at_once(void)
{
	enum { TIMES = 2000 };
	uint16_t port = 0;
	int r = receiver(&port), s = sender(), small = 4096, found = 0;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = port,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char c;

	MUST(setsockopt(r, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
	MUST(connect(s, (struct sockaddr *)&at, sizeof(at)) == 0);
	for (int i = 0; i < TIMES; i++) {
		MUST(recv(r, &c, 1, 0) < 0 && errno == EAGAIN);
		MUST(send(s, "d", 1, 0) == 1);
		if (recv(r, &c, 1, 0) == 1) {
			found++;
			continue;
		}
		nap(1);
		MUST(recv(r, &c, 1, 0) == 1);
	}
	say("%d of %d were there at once", found, TIMES);
	close(r);
	close(s);
}

/* 0.0.0.0 is the sender's own address, where it has one. */
static void anywhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	uint16_t port = 0;
	int r = receiver(&port);
	socklen_t len = sizeof(at);
	char c;

	MUST(bind(s, (struct sockaddr *)&at, len) == 0);
	MUST(getsockname(s, (struct sockaddr *)&at, &len) == 0);
	MUST(recv(s, &c, 1, 0) < 0 && errno == EAGAIN);
	send_to(s, INADDR_ANY, at.sin_port, "to itself", 0);
	send_to(s, INADDR_LOOPBACK + 1, at.sin_port, "by its name", 0);
	say_all("itself", s);
	send_to(s, INADDR_ANY, port, "to another", 0);
	say_all("the other", r);
	at.sin_addr.s_addr = htonl(INADDR_ANY);
	said("connect", connect(s, (struct sockaddr *)&at, len));
	len = sizeof(at);
	said("getpeername", getpeername(s, (struct sockaddr *)&at, &len));
	say("connected to %s", inet_ntoa(at.sin_addr));
	said("send", send(s, "d", 1, 0));
	say_all("itself", s);
	close(r);
	close(s);
}

/* Linux forgets the way to whom a socket is connected with some options, until it sends. */
static void way(void)
{
	uint16_t port = 0;
	int r = receiver(&port), s = sender(), tos = 16, mtu;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = port,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(mtu);

	MUST(connect(s, (struct sockaddr *)&at, sizeof(at)) == 0);
	said("mtu", getsockopt(s, IPPROTO_IP, IP_MTU, &mtu, &len));
	send_to(s, INADDR_LOOPBACK, port, "first", 0);
	said("tos", setsockopt(s, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)));
	said("mtu", getsockopt(s, IPPROTO_IP, IP_MTU, &mtu, &len));
	send_to(s, INADDR_LOOPBACK, port, "to a name", 0);
	said("mtu", getsockopt(s, IPPROTO_IP, IP_MTU, &mtu, &len));
	said("send", send(s, "to the peer", 11, 0));
	said("mtu", getsockopt(s, IPPROTO_IP, IP_MTU, &mtu, &len));
	said("send", send(s, "again", 5, 0));
	say_all("receiver", r);
	close(r);
	close(s);
}

/* What one process sets holds for the other one that has the socket. */
static void set_by_child(void)
{
	uint16_t port = 0;
	int r = receiver(&port), s = sender(), one = 1, ttl = 7, size = 4, status;
	struct timeval tv = { .tv_usec = 20000 };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_Alignas(struct cmsghdr) char control[64];
	char text[64];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	pid_t pid;

	MUST(bind(s, (struct sockaddr *)&at, sizeof(at)) == 0);
	MUST(setsockopt(r, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one)) == 0);
	send_to(s, INADDR_LOOPBACK, port, "before", 0);
	say_all("receiver", r);
	pid = fork();
	if (!pid) {
		MUST(setsockopt(s, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)) == 0);
		MUST(setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) == 0);
		MUST(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
		_exit(0);
	}
	MUST(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	send_to(s, INADDR_LOOPBACK, port, "in two", 0);
	nap(5);
	said("recvmsg", recvmsg(r, &msg, 0));
	memcpy(&ttl, CMSG_DATA((struct cmsghdr *)(void *)control), sizeof(ttl));
	say("ttl %d", ttl);
	say_all("receiver", r);
	said("in vain", recv(s, text, sizeof(text), 0));
	close(r);
	close(s);
}

/* Who is refused because of what waits in memory reads that, and is not refused. */
static void peek_off(void)
{
	uint16_t port = 0;
	int r = receiver(&port), s = sender(), off = 2;
	char text[8] = "";

	send_to(s, INADDR_LOOPBACK, port, "one", 0);
	nap(5);
	if (setsockopt(r, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)) < 0)
		MUST(errno == EOPNOTSUPP);
	else
		MUST(recv(r, text, sizeof(text), MSG_PEEK) == 1 && text[0] == 'e');
	say_all("before", r);
	MUST(setsockopt(r, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)) == 0);
	send_to(s, INADDR_LOOPBACK, port, "two", 0);
	send_to(s, INADDR_LOOPBACK, port, "four", 0);
	nap(5);
	for (int i = 0; i < 3; i++) {
		said("peek", recv(r, text, sizeof(text), MSG_PEEK));
		say("'%.2s'", text);
	}
	say_all("then", r);
	close(r);
	close(s);
}

/* What was sent to an address when it took nothing from there stands for nothing in the
 * order of what it takes later, nor where reading is shut. */
static void refused_before(void)
{
	uint16_t port = 0;
	int r = receiver(&port), s = sender(), other = sender();
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(1),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	MUST(connect(r, (struct sockaddr *)&at, sizeof(at)) == 0);
	send_to(s, INADDR_LOOPBACK, port, "refused", 0);
	at.sin_port = port;
	MUST(connect(r, (struct sockaddr *)&at, sizeof(at)) == 0);
	send_to(s, INADDR_LOOPBACK, port, "refused as well", 0);
	said("to itself", send(r, "one", 3, 0));
	said("in pieces", send(r, "two", 3, MSG_MORE));
	said("in pieces", send(r, ", two", 5, 0));
	said("to itself", send(r, "three", 5, 0));
	say_all("itself", r);
	said("to itself", send(r, "four", 4, 0));
	send_to(other, INADDR_LOOPBACK, port, "refused", 0);
	said("in pieces", send(r, "", 0, MSG_MORE));
	said("shutdown", shutdown(r, SHUT_RD));
	say_all("shut", r);
	close(r);
	close(s);
	close(other);
}

static void say_interfaces(const char *who, int fd)
{
	_Alignas(struct cmsghdr) char control[128];
	char text[64] = "";
	struct in_pktinfo info;

	for (int i = 0; i < 2; i++) {
		struct iovec iov = { text, sizeof(text) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				      .msg_controllen = sizeof(control) };

		said(who, recvmsg(fd, &msg, 0));
		MUST(msg.msg_controllen >= CMSG_LEN(sizeof(info)));
		memcpy(&info, CMSG_DATA((struct cmsghdr *)(void *)control), sizeof(info));
		say("interface %d, %s", info.ipi_ifindex, inet_ntoa(info.ipi_spec_dst));
	}
}

/* The interface is told of what came after it was asked for. */
static void interface_asked_late(void)
{
	uint16_t port = 0;
	int r = receiver(&port), s = sender(), one = 1;

	send_to(s, INADDR_LOOPBACK, port, "before", 0);
	MUST(setsockopt(r, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) == 0);
	send_to(s, INADDR_LOOPBACK, port, "behind", 0);
	nap(5);
	say_interfaces("receiver", r);
	close(r);
	close(s);
}

/* In a network of its own, where everybody may ping. */
static bool may_ping(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, net;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	net = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
	if (net < 0 || fd < 0 || ioctl(net, SIOCSIFFLAGS, &lo) < 0 || write(fd, "0 65535", 7) != 7)
		return false;
	close(fd);
	close(net);
	return true;
}

static void echo(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct icmphdr h = { .type = ICMP_ECHO, .un.echo.sequence = htons(7) };
	struct pollfd p = { .events = POLLIN };
	unsigned char packet[sizeof(h) + 1] = { 0 }, answer[64] = { 0 };
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n;

	if (!may_ping()) {
		say("no network of our own");
		return;
	}
	p.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	said("socket", p.fd < 0 ? -1 : 0);
	memcpy(packet, &h, sizeof(h));
	packet[sizeof(h)] = 'p';
	said("send", sendto(p.fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)));
	said("poll", poll(&p, 1, 1000));
	n = recvfrom(p.fd, answer, sizeof(answer), 0, (struct sockaddr *)&from, &len);
	said("answer", n);
	memcpy(&h, answer, sizeof(h));
	say("type %u sequence %u from %s '%c'", h.type, ntohs(h.un.echo.sequence),
	    inet_ntoa(from.sin_addr), answer[sizeof(h)]);
	said("no echo request", send(p.fd, "\10\1\0\0\0\0\0\0", 8, 0));
	said("bind", bind(p.fd, (struct sockaddr *)&to, sizeof(to)));
	close(p.fd);
}

const struct test carried_tests[] = {
	{ "dgram_broadcast", broadcast },
	{ "dgram_multicast", multicast },
	{ "dgram_multicast6", multicast6 },
	{ "dgram_pieces", pieces },
	{ "dgram_at_once", at_once },
	{ "dgram_anywhere", anywhere },
	{ "dgram_way", way },
	{ "dgram_set_by_child", set_by_child },
	{ "dgram_peek_off", peek_off },
	{ "dgram_refused_before", refused_before },
	{ "dgram_interface_asked_late", interface_asked_late },
	{ "dgram_echo", echo },
	{ NULL, NULL },
};
