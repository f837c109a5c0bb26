/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ancillary.c - Control messages beside datagrams that came through memory: the
 * ones, and in the order, that Linux gives for a datagram over loopback.
 */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/dgram.h"

#define LOOPBACK_INDEX 1 /* of lo, in each network namespace */

/* Linux's put_cmsg(). */
static void put(struct msghdr *msg, size_t *used, int level, int type, const void *data, size_t n)
{
	struct cmsghdr head = { .cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(n) };
	size_t left = msg->msg_controllen - *used;
	char *at;

	if (!msg->msg_control || left < sizeof(head)) {
		msg->msg_flags |= MSG_CTRUNC;
		return;
	}
	if (left < head.cmsg_len) {
		msg->msg_flags |= MSG_CTRUNC;
		head.cmsg_len = left;
	}
	at = (char *)msg->msg_control + *used;
	memcpy(at, &head, sizeof(head));
	memcpy(at + CMSG_LEN(0), data, head.cmsg_len - CMSG_LEN(0));
	*used += CMSG_SPACE(n) < left ? CMSG_SPACE(n) : left;
}

static void put_times(uint32_t want, uint64_t ticket_ns, struct msghdr *msg, size_t *used)
{
	struct timespec now, at[3] = { { 0 } };
	struct timeval tv;
	uint64_t ns, age = clock_now_ns() - ticket_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
	at[0] = clock_timespec(ns > age ? ns - age : 0);
	tv = (struct timeval){ .tv_sec = at[0].tv_sec, .tv_usec = at[0].tv_nsec / 1000 };
	if (want & ANC_TIMESTAMP)
		put(msg, used, SOL_SOCKET, SCM_TIMESTAMP, &tv, sizeof(tv));
	if (want & ANC_TIMESTAMPNS)
		put(msg, used, SOL_SOCKET, SCM_TIMESTAMPNS, &at[0], sizeof(at[0]));
	if (want & ANC_TIMESTAMPING)
		put(msg, used, SOL_SOCKET, SCM_TIMESTAMPING, at, sizeof(at));
}

static void put_ip4(uint32_t want, const struct dgram_record *rec, struct msghdr *msg, size_t *used)
{
	struct in_addr to = { htonl(addr_word_addr(rec->to)) };
	struct in_pktinfo info = { .ipi_ifindex = LOOPBACK_INDEX, .ipi_spec_dst = to, .ipi_addr = to };
	struct sockaddr_in dst = { .sin_family = AF_INET, .sin_addr = to,
				   .sin_port = htons(addr_word_port(rec->to)) };
	int ttl = rec->ttl;

	/* Linux notes the interface at arrival, for who has asked by then. */
	if (rec->flags & DGRAM_UNNOTED)
		info = (struct in_pktinfo){ .ipi_addr = to };
	if (want & ANC_PKTINFO)
		put(msg, used, SOL_IP, IP_PKTINFO, &info, sizeof(info));
	if (want & ANC_TTL)
		put(msg, used, SOL_IP, IP_TTL, &ttl, sizeof(ttl));
	if (want & ANC_TOS)
		put(msg, used, SOL_IP, IP_TOS, &rec->tos, 1);
	if (want & ANC_ORIGDST)
		put(msg, used, SOL_IP, IP_ORIGDSTADDR, &dst, sizeof(dst));
}

/* Linux: of an IPv4 datagram, IPV6_PKTINFO alone. */
static void put_ip6(const struct sock *s, uint32_t want, const struct dgram_record *rec,
		    struct msghdr *msg, size_t *used)
{
	struct in6_pktinfo info = { .ipi6_ifindex = LOOPBACK_INDEX };
	bool v6 = addr_word_is6(rec->to);
	struct sockaddr_in6 dst;
	socklen_t len = sizeof(dst);
	int hops = rec->ttl, tclass = rec->tos;

	if (!(want & ANC_6) || addr_fill(s, rec->to, (struct sockaddr *)&dst, &len) < 0)
		return;
	info.ipi6_addr = dst.sin6_addr;
	/* Of an IPv4 datagram it is what IP_PKTINFO would tell. */
	if (rec->flags & DGRAM_UNNOTED && !v6)
		info.ipi6_ifindex = 0;
	if (want & ANC_PKTINFO6)
		put(msg, used, SOL_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	if (want & ANC_HOPLIMIT && v6)
		put(msg, used, SOL_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
	if (want & ANC_TCLASS && v6)
		put(msg, used, SOL_IPV6, IPV6_TCLASS, &tclass, sizeof(tclass));
	if (want & ANC_ORIGDST6 && v6)
		put(msg, used, SOL_IPV6, IPV6_ORIGDSTADDR, &dst, sizeof(dst));
}

static uint32_t kernel_drops(const struct sock *s)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	sys5(SYS_getsockopt, s->shadow_fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

void ancillary_give(const struct sock *s, const struct dgram_record *rec, uint64_t drops,
		    struct msghdr *msg)
{
	uint32_t want = load_relaxed(&s->half->ancillary);
	uint32_t dropped = (uint32_t)drops + (want & ANC_RXQ_OVFL ? kernel_drops(s) : 0);
	int size = rec->segment;
	size_t used = 0;

	if (want & (ANC_TIMESTAMP | ANC_TIMESTAMPNS | ANC_TIMESTAMPING))
		put_times(want, rec->ticket_ns, msg, &used);
	if (want & ANC_RXQ_OVFL && dropped)
		put(msg, &used, SOL_SOCKET, SO_RXQ_OVFL, &dropped, sizeof(dropped));
	if (want & ANC_GRO && size)
		put(msg, &used, SOL_UDP, UDP_GRO, &size, sizeof(size));
	put_ip6(s, want, rec, msg, &used);
	if (!addr_word_is6(rec->to))
		put_ip4(want, rec, msg, &used);
	msg->msg_controllen = used;
}

static bool interface_is_lo(uint32_t index)
{
	return index == 0 || index == LOOPBACK_INDEX;
}

static bool take_ip4(const struct cmsghdr *c, size_t n, int value, struct ancillary_sent *ret)
{
	struct in_pktinfo info;

	if (c->cmsg_type == IP_TTL && n == sizeof(int)) {
		ret->ttl = (uint8_t)value;
		return value > 0 && value <= UINT8_MAX;
	}
	if (c->cmsg_type == IP_TOS && n == sizeof(int)) {
		ret->tos = (uint8_t)value;
		return value >= 0 && value <= UINT8_MAX;
	}
	if (c->cmsg_type != IP_PKTINFO || n != sizeof(info))
		return false;
	memcpy(&info, CMSG_DATA(c), sizeof(info));
	ret->from = addr_word_make(ntohl(info.ipi_spec_dst.s_addr), 0);
	return interface_is_lo((uint32_t)info.ipi_ifindex);
}

/* @v6: As take_one()'s. */
static bool take_pktinfo6(const struct sock *s, bool v6, const struct cmsghdr *c,
			  struct ancillary_sent *ret)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 };
	struct in6_pktinfo info;

	memcpy(&info, CMSG_DATA(c), sizeof(info));
	if (!interface_is_lo(info.ipi6_ifindex))
		return false;
	if (v6 && IN6_IS_ADDR_UNSPECIFIED(&info.ipi6_addr))
		return true;
	from.sin6_addr = info.ipi6_addr;
	from.sin6_scope_id = info.ipi6_ifindex;
	/* Linux has no way from one family to the other. */
	return addr_parse(s, (struct sockaddr *)&from, sizeof(from), &ret->from) == 0 &&
	       addr_word_is6(ret->from) == v6;
}

static bool take_ip6(const struct cmsghdr *c, size_t n, int value, struct ancillary_sent *ret)
{
	if (n != sizeof(int))
		return false;
	if (c->cmsg_type == IPV6_HOPLIMIT) {
		ret->ttl = (uint8_t)value;
		return value > 0 && value <= UINT8_MAX;
	}
	ret->tos = (uint8_t)value;
	return c->cmsg_type == IPV6_TCLASS && value >= 0 && value <= UINT8_MAX;
}

/* @v6: Whether it goes over IPv6. */
static bool take_one(const struct sock *s, bool v6, const struct cmsghdr *c,
		     struct ancillary_sent *ret)
{
	size_t n = c->cmsg_len - CMSG_LEN(0);
	int value = 0;

	memcpy(&value, CMSG_DATA(c), n < sizeof(value) ? n : sizeof(value));
	if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT && n == sizeof(uint16_t)) {
		ret->segment = (uint16_t)value;
		return true;
	}
	if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO && s->family == AF_INET6)
		return n == sizeof(struct in6_pktinfo) && take_pktinfo6(s, v6, c, ret);
	/* Linux passes over what is the other family's. */
	if (c->cmsg_level == SOL_IP)
		return v6 || take_ip4(c, n, value, ret);
	if (c->cmsg_level == SOL_IPV6)
		return !v6 || take_ip6(c, n, value, ret);
	return false;
}

bool ancillary_take(const struct sock *s, addr_word to, const struct msghdr *msg,
		    struct ancillary_sent *ret)
{
	struct msghdr copy = *msg, *m = &copy;
	size_t end = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t at = (size_t)((char *)c - (char *)m->msg_control);

		if (c->cmsg_len < CMSG_LEN(0) || c->cmsg_len > m->msg_controllen - at ||
		    !take_one(s, addr_word_is6(to), c, ret))
			return false;
		end = at + c->cmsg_len;
	}
	/* What is left over is a message that is cut short. */
	return msg->msg_controllen - end < CMSG_LEN(0);
}

void ancillary_add_drops(struct msghdr *msg, uint64_t drops)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		uint32_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL ||
		    c->cmsg_len != CMSG_LEN(sizeof(n)))
			continue;
		memcpy(&n, CMSG_DATA(c), sizeof(n));
		n += (uint32_t)drops;
		memcpy(CMSG_DATA(c), &n, sizeof(n));
	}
}

static int wish(struct half *h, uint32_t bits, bool on)
{
	if (on)
		atomic_fetch_or(&h->ancillary, bits);
	else
		atomic_fetch_and(&h->ancillary, ~bits);
	return 0;
}

/* Linux: of the two, the one set last. */
static int wish_time(struct half *h, uint32_t bit, bool on)
{
	wish(h, ANC_TIMESTAMP | ANC_TIMESTAMPNS, false);
	return wish(h, bit, on);
}

static int option_socket(struct half *h, int name, int value)
{
	switch (name) {
	case SO_TIMESTAMP:
		return wish_time(h, ANC_TIMESTAMP, value);
	case SO_TIMESTAMPNS:
		return wish_time(h, ANC_TIMESTAMPNS, value);
	case SO_TIMESTAMPING:
		if (value & ~(SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE))
			return -1;
		return wish(h, ANC_TIMESTAMPING, value & SOF_TIMESTAMPING_RX_SOFTWARE &&
							 value & SOF_TIMESTAMPING_SOFTWARE);
	case SO_RXQ_OVFL:
		return wish(h, ANC_RXQ_OVFL, value);
	default:
		return 1;
	}
}

static int option_ip(struct half *h, int name, int value)
{
	switch (name) {
	case IP_PKTINFO:
		return wish(h, ANC_PKTINFO, value);
	case IP_RECVTTL:
		return wish(h, ANC_TTL, value);
	case IP_RECVTOS:
		return wish(h, ANC_TOS, value);
	case IP_RECVORIGDSTADDR:
		return wish(h, ANC_ORIGDST, value);
	default:
		return 1;
	}
}

static int option_ip6(struct half *h, int name, int value)
{
	switch (name) {
	case IPV6_RECVPKTINFO:
		return wish(h, ANC_PKTINFO6, value);
	case IPV6_RECVHOPLIMIT:
		return wish(h, ANC_HOPLIMIT, value);
	case IPV6_RECVTCLASS:
		return wish(h, ANC_TCLASS, value);
	case IPV6_RECVORIGDSTADDR:
		return wish(h, ANC_ORIGDST6, value);
	default:
		return 1;
	}
}

int ancillary_option(struct half *h, int level, int name, int value)
{
	if (level == SOL_SOCKET)
		return option_socket(h, name, value);
	if (level == SOL_IP)
		return option_ip(h, name, value);
	if (level == SOL_IPV6)
		return option_ip6(h, name, value);
	if (level == SOL_UDP && name == UDP_GRO)
		return wish(h, ANC_GRO, value);
	return 1;
}
