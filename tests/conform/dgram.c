/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagram sockets of a worker.
 *
 * A datagram's bytes are told from those of every other by the line that sent
 * it, so a sum over what was received says which one it was, and whether it is
 * whole. Addresses of both families, control messages in both directions and
 * the error queue are told as text.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
/* Behind the C library's. */
#include <linux/errqueue.h>

#include "address.h"
#include "worker.h"

enum {
	MESSAGES_MAX = 16,	/* Of one sendmmsg or recvmmsg. */
	CONTROL_BYTES = 512,
	UNTOUCHED = 0xEE,
	PIECES = 4,
	NEAR_S = 60,		/* A time stamp may differ that much from now. */
	OVER_SENDER = 2000,	/* Most that OVER sends. */
};

/* FNV-1a. */
static uint32_t sum(const unsigned char *p, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

static size_t length(int64_t n)
{
	return n < 0 ? 0 : n > STREAM_MAX ? STREAM_MAX : (size_t)n;
}

/* The port that it has now, for the coordinator; and whose it is. */
static void learn(struct outcome *out, int fd)
{
	union address a;
	socklen_t len = sizeof(a);
	int err = errno;

	memset(&a, 0, sizeof(a));
	if (!getsockname(fd, &a.sa, &len)) {
		out->lport = ntohs(a.v4.sin_port);
		out->handle = worker_is_kernels(fd) ? 1 : 2;
	}
	errno = err;
}

/* --- Names -------------------------------------------------------------- */

static void do_bind(const struct step *st, struct outcome *out, int fd)
{
	union address a;
	socklen_t len = address_make(&a, st->arg[1], st->arg[2]);

	out->ret = bind(fd, &a.sa, st->argc > 4 ? (socklen_t)st->arg[4] : len);
	out->err = errno;
	learn(out, fd);
}

static void do_connect(const struct step *st, struct outcome *out, int fd)
{
	union address a;
	socklen_t len = address_make(&a, st->arg[1], st->arg[2]);

	if (st->op == OP_DISCONNECT) {
		a.sa.sa_family = AF_UNSPEC;
		len = st->argc > 1 ? (socklen_t)st->arg[1] : sizeof(a.v4);
	}
	out->ret = connect(fd, &a.sa, len);
	out->err = errno;
	learn(out, fd);
}

static void do_name(const struct step *st, struct outcome *out, int fd)
{
	union address a;
	socklen_t len = sizeof(a);

	memset(&a, 0, sizeof(a));
	out->ret = (st->arg[1] ? getpeername : getsockname)(fd, &a.sa, &len);
	out->err = errno;
	if (!out->ret)
		address_say(out, "is", &a, len);
}

static void do_join(const struct step *st, struct outcome *out, int fd)
{
	union address a;

	address_make(&a, st->arg[2], 0);
	if (a.sa.sa_family == AF_INET6) {
		struct ipv6_mreq m = { .ipv6mr_multiaddr = a.v6.sin6_addr, .ipv6mr_interface = 1 };

		out->ret = setsockopt(fd, IPPROTO_IPV6,
				      st->arg[1] ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &m, sizeof(m));
	} else {
		struct ip_mreqn m = { .imr_multiaddr = a.v4.sin_addr, .imr_ifindex = 1 };

		out->ret = setsockopt(fd, IPPROTO_IP,
				      st->arg[1] ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &m, sizeof(m));
	}
	out->err = errno;
}

/* --- Sending -------------------------------------------------------------- */

static int pieces(struct iovec *iov, unsigned char *p, size_t n)
{
	size_t done = 0;

	for (int i = 0; i < PIECES; i++) {
		size_t piece = i == PIECES - 1 ? n - done : i == 1 ? 0 : (n - done) / 2;

		iov[i].iov_base = p + done;
		iov[i].iov_len = piece;
		done += piece;
	}
	return PIECES;
}

static void control_put(struct msghdr *msg, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *c = msg->msg_control;

	memset(c, 0, CMSG_SPACE(size));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	msg->msg_controllen = CMSG_SPACE(size);
}

static void control_make(struct msghdr *msg, int64_t which, int value)
{
	struct in_pktinfo p4 = { .ipi_ifindex = value & 1 };
	struct in6_pktinfo p6 = { .ipi6_ifindex = (unsigned int)value & 1 };
	uint16_t segment = (uint16_t)value;

	switch (which) {
	case CONTROL_TTL: control_put(msg, IPPROTO_IP, IP_TTL, &value, sizeof(value)); break;
	case CONTROL_TOS: control_put(msg, IPPROTO_IP, IP_TOS, &value, sizeof(value)); break;
	case CONTROL_PKTINFO:
		p4.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(value >> 1));
		control_put(msg, IPPROTO_IP, IP_PKTINFO, &p4, sizeof(p4));
		break;
	case CONTROL_HOPLIMIT: control_put(msg, IPPROTO_IPV6, IPV6_HOPLIMIT, &value, sizeof(value)); break;
	case CONTROL_TCLASS: control_put(msg, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof(value)); break;
	case CONTROL_PKTINFO6:
		p6.ipi6_addr = value >> 1 ? in6addr_any : in6addr_loopback;
		control_put(msg, IPPROTO_IPV6, IPV6_PKTINFO, &p6, sizeof(p6));
		break;
	case CONTROL_SEGMENT: control_put(msg, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)); break;
	case CONTROL_SHORT:
		control_put(msg, IPPROTO_IP, IP_TTL, &value, 1);
		break;
	default: break;
	}
}

static void do_send(const struct step *st, struct outcome *out, int fd)
{
	unsigned char *buffer = worker_buffer();
	size_t n = length(st->arg[2]);
	int flags = (int)st->arg[3];
	union address to;
	socklen_t len = st->argc > 5 ? address_make(&to, st->arg[4], st->arg[5]) : 0;
	_Alignas(struct cmsghdr) char control[CONTROL_BYTES];
	struct iovec iov[PIECES];
	struct msghdr msg = {
		.msg_iov = iov, .msg_name = len ? &to : NULL, .msg_namelen = len,
	};

	worker_pattern(st->key, buffer, n);
	switch (st->arg[1]) {
	case FORM_WRITE: out->ret = write(fd, buffer, n); break;
	case FORM_WRITEV: out->ret = writev(fd, iov, pieces(iov, buffer, n)); break;
	case FORM_SENDTO: out->ret = sendto(fd, buffer, n, flags, len ? &to.sa : NULL, len); break;
	case FORM_SENDMSG:
		msg.msg_iovlen = (size_t)pieces(iov, buffer, n);
		if (st->argc > 7) {
			msg.msg_control = control;
			control_make(&msg, st->arg[6], (int)st->arg[7]);
		}
		out->ret = sendmsg(fd, &msg, flags);
		break;
	default: out->ret = send(fd, buffer, n, flags); break;
	}
	out->err = errno;
	if (worker.mutation == MUTATE_D_SHORT && out->ret == 100)
		out->ret = 99;
	learn(out, fd);		/* It may have been bound by this. */
}

static void do_sendmany(const struct step *st, struct outcome *out, int fd)
{
	unsigned char *buffer = worker_buffer();
	int count = st->arg[1] < 1 ? 1 : st->arg[1] > MESSAGES_MAX ? MESSAGES_MAX : (int)st->arg[1];
	size_t n = length(st->arg[2]);
	union address to;
	socklen_t len = st->argc > 5 ? address_make(&to, st->arg[4], st->arg[5]) : 0;
	struct mmsghdr m[MESSAGES_MAX];
	struct iovec iov[MESSAGES_MAX];

	if (n > STREAM_MAX / MESSAGES_MAX - MESSAGES_MAX)
		n = STREAM_MAX / MESSAGES_MAX - MESSAGES_MAX;
	memset(m, 0, sizeof(m));
	for (int i = 0; i < count; i++) {
		iov[i].iov_base = buffer;
		iov[i].iov_len = n + (size_t)i;
		worker_pattern(st->key + ((uint64_t)i << 32), buffer, iov[i].iov_len);
		buffer += iov[i].iov_len;
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = len ? &to : NULL;
		m[i].msg_hdr.msg_namelen = len;
	}
	out->ret = sendmmsg(fd, m, (unsigned int)count, (int)st->arg[3]);
	out->err = errno;
	for (int i = 0; i < out->ret; i++)
		worker_say(out, " %u", m[i].msg_len);
	learn(out, fd);
}

/* --- Receiving ---------------------------------------------------------- */

static void say_error(struct outcome *out, const struct cmsghdr *c)
{
	struct sock_extended_err e;
	union address a;
	size_t len = c->cmsg_len - CMSG_LEN(sizeof(e));
	const char *name;

	memset(&a, 0, sizeof(a));
	memcpy(&e, CMSG_DATA(c), sizeof(e));
	memcpy(&a, CMSG_DATA(c) + sizeof(e), len < sizeof(a) ? len : sizeof(a));
	name = strerrorname_np((int)e.ee_errno);
	worker_say(out, " err=%s origin=%d type=%d code=%d info=%u data=%u", name ? name : "?",
		   e.ee_origin, e.ee_type, e.ee_code, e.ee_info, e.ee_data);
	if (a.sa.sa_family)
		address_say(out, "by", &a, a.sa.sa_family == AF_INET6 ? sizeof(a.v6) : sizeof(a.v4));
}

static const char *near_now(int64_t s)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return s > now.tv_sec - NEAR_S && s < now.tv_sec + NEAR_S ? "near" : s ? "far" : "none";
}

static int int_of(const struct cmsghdr *c)
{
	int v = 0;

	if (c->cmsg_len == CMSG_LEN(1))
		return *CMSG_DATA(c);
	if (c->cmsg_len == CMSG_LEN(sizeof(v)))
		memcpy(&v, CMSG_DATA(c), sizeof(v));
	else
		v = -(int)(c->cmsg_len - CMSG_LEN(0));
	return v;
}

static void say_control_ip(struct outcome *out, const struct cmsghdr *c)
{
	char a[INET6_ADDRSTRLEN];
	char b[INET6_ADDRSTRLEN];
	struct in_pktinfo p4;
	struct in6_pktinfo p6;
	bool six = c->cmsg_level == IPPROTO_IPV6;
	bool info = c->cmsg_type == (six ? IPV6_PKTINFO : IP_PKTINFO);

	if ((info && c->cmsg_len < CMSG_LEN(six ? sizeof(p6) : sizeof(p4))) ||
	    (c->cmsg_type == (six ? IPV6_RECVERR : IP_RECVERR) &&
	     c->cmsg_len < CMSG_LEN(sizeof(struct sock_extended_err)))) {
		worker_say(out, " ip%s.%d cut to %zu", six ? "v6" : "", c->cmsg_type, c->cmsg_len);
		return;
	}
	if (!six && info) {
		memcpy(&p4, CMSG_DATA(c), sizeof(p4));
		worker_say(out, " pktinfo=%d,%s,%s", p4.ipi_ifindex,
			   inet_ntop(AF_INET, &p4.ipi_spec_dst, a, sizeof(a)),
			   inet_ntop(AF_INET, &p4.ipi_addr, b, sizeof(b)));
	} else if (six && info) {
		memcpy(&p6, CMSG_DATA(c), sizeof(p6));
		worker_say(out, " pktinfo6=%u,%s", p6.ipi6_ifindex,
			   inet_ntop(AF_INET6, &p6.ipi6_addr, a, sizeof(a)));
	} else if (c->cmsg_type == (six ? IPV6_RECVERR : IP_RECVERR)) {
		say_error(out, c);
	} else if (!six && c->cmsg_type == IP_ORIGDSTADDR) {
		union address o;

		memset(&o, 0, sizeof(o));
		memcpy(&o, CMSG_DATA(c), sizeof(o.v4));
		address_say(out, "origdst", &o, sizeof(o.v4));
	} else {
		worker_say(out, " ip%s.%d=%d", six ? "v6" : "", c->cmsg_type, int_of(c));
	}
}

static void say_control(struct outcome *out, const struct cmsghdr *c)
{
	struct timeval tv;
	struct timespec ts;

	if (c->cmsg_level == IPPROTO_IP || c->cmsg_level == IPPROTO_IPV6) {
		say_control_ip(out, c);
	} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMP) {
		memcpy(&tv, CMSG_DATA(c), sizeof(tv));
		worker_say(out, " timestamp=%s", near_now(tv.tv_sec));
	} else if (c->cmsg_level == SOL_SOCKET &&
		   (c->cmsg_type == SCM_TIMESTAMPNS || c->cmsg_type == SCM_TIMESTAMPING)) {
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		worker_say(out, " timestamp%s=%s", c->cmsg_type == SCM_TIMESTAMPNS ? "ns" : "ing",
			   near_now(ts.tv_sec));
	} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
		/* How many there was no room for is for the implementation. */
		worker_say(out, " overflow=%s", int_of(c) ? "some" : "none");
	} else {
		worker_say(out, " control %d.%d=%d", c->cmsg_level, c->cmsg_type, int_of(c));
	}
}

/* In the order of their numbers: theirs in memory says nothing. */
static void say_controls(struct outcome *out, struct msghdr *msg)
{
	const struct cmsghdr *found[16];
	int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c && n < 16; c = CMSG_NXTHDR(msg, c)) {
		int i = n++;

		for (; i && (found[i - 1]->cmsg_level > c->cmsg_level ||
			     (found[i - 1]->cmsg_level == c->cmsg_level &&
			      found[i - 1]->cmsg_type > c->cmsg_type)); i--)
			found[i] = found[i - 1];
		found[i] = c;
	}
	for (int i = 0; i < n; i++)
		say_control(out, found[i]);
}

/* @n bytes were said to be in [p, p + room). */
static void say_bytes(struct outcome *out, unsigned char *p, int64_t n, size_t room)
{
	size_t got = n < (int64_t)room ? (size_t)n : room;

	if (worker.mutation == MUTATE_D_BYTE && got > 2)
		p[got / 2] ^= 1;
	worker_say(out, " #%08x", sum(p, got));
	if (p[got] != UNTOUCHED)
		worker_say(out, " BAD: written beyond");
}

static void say_received(struct outcome *out, struct msghdr *msg, const union address *from)
{
	if (msg->msg_namelen)
		address_say(out, "from", from, msg->msg_namelen);
	worker_say(out, " flags=%#x", (unsigned int)msg->msg_flags &
		   (worker.mutation == MUTATE_D_TRUNC ? ~(unsigned int)MSG_TRUNC : ~0u));
	say_controls(out, msg);
}

static void do_recv(const struct step *st, struct outcome *out, int fd)
{
	unsigned char *buffer = worker_buffer();
	size_t n = length(st->arg[2]);
	int flags = (int)st->arg[3];
	union address from;
	socklen_t len = sizeof(from);
	_Alignas(struct cmsghdr) char control[CONTROL_BYTES];
	struct iovec iov[PIECES];
	struct msghdr msg = {
		.msg_iov = iov, .msg_name = &from, .msg_namelen = sizeof(from),
		.msg_control = control,
		.msg_controllen = st->argc > 4 ? (size_t)st->arg[4] : sizeof(control),
	};

	memset(buffer, UNTOUCHED, n + 1);
	memset(&from, 0, sizeof(from));
	memset(control, 0, sizeof(control));	/* Some are cut short. */
	__asm__ volatile("" : "+r"(n));		/* As in worker.c: for the checked twins. */
	switch (st->arg[1]) {
	case FORM_READ: out->ret = read(fd, buffer, n); break;
	case FORM_READV: out->ret = readv(fd, iov, pieces(iov, buffer, n)); break;
	case FORM_RECVFROM: out->ret = recvfrom(fd, buffer, n, flags, &from.sa, &len); break;
	case FORM_RECVMSG:
		msg.msg_iovlen = (size_t)pieces(iov, buffer, n);
		out->ret = recvmsg(fd, &msg, flags);
		break;
	default: out->ret = recv(fd, buffer, n, flags); break;
	}
	out->err = errno;
	if (out->ret < 0)
		return;
	say_bytes(out, buffer, out->ret, n);
	if (worker.mutation == MUTATE_D_FROM)
		from.v4.sin_port = htons(9);
	if (st->arg[1] == FORM_RECVFROM)
		address_say(out, "from", &from, len);
	if (st->arg[1] == FORM_RECVMSG)
		say_received(out, &msg, &from);
}

static void do_recvmany(const struct step *st, struct outcome *out, int fd)
{
	unsigned char *buffer = worker_buffer();
	int count = st->arg[1] < 1 ? 1 : st->arg[1] > MESSAGES_MAX ? MESSAGES_MAX : (int)st->arg[1];
	size_t n = length(st->arg[2]);
	union address from[MESSAGES_MAX];
	struct mmsghdr m[MESSAGES_MAX];
	struct iovec iov[MESSAGES_MAX];

	if (n > STREAM_MAX / MESSAGES_MAX - 1)
		n = STREAM_MAX / MESSAGES_MAX - 1;
	memset(m, 0, sizeof(m));
	memset(from, 0, sizeof(from));
	memset(buffer, UNTOUCHED, (n + 1) * (size_t)count);
	for (int i = 0; i < count; i++) {
		iov[i].iov_base = buffer + (n + 1) * (size_t)i;
		iov[i].iov_len = n;
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &from[i];
		m[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
	out->ret = recvmmsg(fd, m, (unsigned int)count, (int)st->arg[3], NULL);
	out->err = errno;
	if (worker.mutation == MUTATE_D_LOST && out->ret > 1)
		out->ret--;
	for (int i = 0; i < out->ret; i++) {
		worker_say(out, " [%u", m[i].msg_len);
		say_bytes(out, iov[i].iov_base, m[i].msg_len, n);
		say_received(out, &m[i].msg_hdr, &from[i]);
		worker_say(out, "]");
	}
}

/* --- Beyond SO_RCVBUF ----------------------------------------------------- */

/**
 * struct over - What became of numbered datagrams.
 * @sent, @got: How many. @wrong: Not the next one, not whole, or twice.
 * @last:  The number received last, -1 none.
 * @drops: What SO_RXQ_OVFL said last, -1 nothing.
 */
struct over {
	int sent;
	int got;
	int wrong;
	int last;
	int64_t drops;
};

static bool over_receive(struct over *o, int fd, uint64_t key, size_t size)
{
	unsigned char *buffer = worker_buffer();
	_Alignas(struct cmsghdr) char control[CONTROL_BYTES];
	struct iovec iov = { .iov_base = buffer, .iov_len = size + 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
	unsigned char *expected = buffer + size + 1;
	uint32_t number = 0;

	if (n < 0)
		return false;
	if (n >= (ssize_t)sizeof(number))
		memcpy(&number, buffer, sizeof(number));
	worker_pattern(key + ((uint64_t)number << 32), expected, size);
	memcpy(expected, &number, sizeof(number));
	if (n != (ssize_t)size || memcmp(buffer, expected, size) != 0 || (int)number <= o->last ||
	    (int)number >= o->sent)
		o->wrong++;
	o->last = (int)number;
	o->got++;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			o->drops = int_of(c);
	return true;
}

static void over_send(struct over *o, int fd, const union address *to, socklen_t len, uint64_t key,
		      size_t size)
{
	unsigned char *buffer = worker_buffer();
	uint32_t number = (uint32_t)o->sent;

	worker_pattern(key + ((uint64_t)number << 32), buffer, size);
	memcpy(buffer, &number, sizeof(number));
	if (sendto(fd, buffer, size, 0, &to->sa, len) == (ssize_t)size)
		o->sent++;
	else
		o->wrong++;
}

/*
 * So many datagrams to a socket whose buffer has no room for all of them. How
 * many it takes is for the implementation; that those are whole, in order, and
 * that the rest are counted is not.
 */
static void do_over(const struct step *st, struct outcome *out, int fd)
{
	int count = st->arg[1] > OVER_SENDER ? OVER_SENDER : (int)st->arg[1];
	size_t size = length(st->arg[2]) < 4 ? 4 : length(st->arg[2]);
	struct over o = { .last = -1, .drops = -1 };
	union address to;
	socklen_t len = sizeof(to);
	int sender;

	memset(&to, 0, sizeof(to));
	out->ret = getsockname(fd, &to.sa, &len);
	out->err = errno;
	if (out->ret)
		return;
	sender = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sender < 0) {
		out->ret = -1;
		out->err = errno;
		return;
	}
	for (int i = 0; i < count; i++)
		over_send(&o, sender, &to, len, st->key, size);
	while (over_receive(&o, fd, st->key, size))
		continue;
	worker_say(out, " %s", !o.got ? "none" : o.got < o.sent ? "some" : "all");
	/* The next one says how many were dropped before it. */
	over_send(&o, sender, &to, len, st->key, size);
	if (!over_receive(&o, fd, st->key, size))
		worker_say(out, " not the next one");
	if (o.drops >= 0)
		worker_say(out, " drops=%s", o.drops == o.sent - o.got ? "counted" : "wrong");
	if (o.wrong)
		worker_say(out, " BAD: %d wrong", o.wrong);
	close(sender);
	out->ret = o.sent;
}

bool dgram_call(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);

	switch ((enum op)st->op) {
	case OP_DBIND: do_bind(st, out, fd); return true;
	case OP_DCONNECT: case OP_DISCONNECT: do_connect(st, out, fd); return true;
	case OP_DNAME: do_name(st, out, fd); return true;
	case OP_DJOIN: do_join(st, out, fd); return true;
	case OP_DSEND: do_send(st, out, fd); return true;
	case OP_DSENDM: do_sendmany(st, out, fd); return true;
	case OP_DRECV: do_recv(st, out, fd); return true;
	case OP_DRECVM: do_recvmany(st, out, fd); return true;
	case OP_DOVER: do_over(st, out, fd); return true;
	default: return false;
	}
}
