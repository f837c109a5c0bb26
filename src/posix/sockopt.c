/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockopt.c - setsockopt() and getsockopt().
 *
 * Theory of operation. An option of the table `rules` means something on a
 * connection in memory, or has nothing to act on where no packet travels. It acts
 * here; which values there are, the kernel is asked by a template (template.h), but
 * for what servers set on each connection. What was set is remembered (options.c).
 *
 * Any other that the kernel knows changes what only the kernel can do. On a socket
 * that is not connected yet it makes the socket the kernel's; on a connection in
 * memory it is refused with ENOPROTOOPT. Where its value is the one that it has
 * anyway, setting it is nothing, and succeeds. So none is accepted and ignored.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <linux/in6.h> /* after netinet/in.h: what that lacks */

#include "base/clock.h"
#include "base/copy.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/fallback.h"
#include "posix/kept.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/sockopt.h"
#include "posix/tcp_info.h"
#include "posix/template.h"
#include "posix/watch.h"
#include "shm/futex.h"
#include "shm/seat.h"
#include "shm/spin.h"

#define VALUE_BYTES 256u /* no option's value is read to a larger length */

#ifndef SOCK_SNDBUF_LOCK
#define SOCK_SNDBUF_LOCK 1
#define SOCK_RCVBUF_LOCK 2
#endif
#ifndef SO_RCVPRIORITY
#define SO_RCVPRIORITY 82
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif
#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif
#ifndef TCP_INQ
#define TCP_INQ 36
#endif
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#define TCP_RTO_MIN_US 45
#define TCP_DELACK_MAX_US 46
#endif

enum how {
	ASK,    /* The kernel's word for it; it acts here, or has nothing to act on. */
	ZERO,   /* Only 0: another value is the kernel's to give effect to. */
	ALL,    /* Only -1, which is no limit. */
	LO,     /* Only the loopback interface, or none. */
	TRUTH,  /* A truth value, kept here. */
	NUMBER, /* Of a range, kept here. */
};

static const struct rule {
	int level, name;
	enum how how;
	int least, most;
} rules[] = {
	/* Servers set these on each connection, or each request. */
	{ SOL_SOCKET, SO_KEEPALIVE, TRUTH, 0, 0 },
	{ SOL_SOCKET, SO_REUSEADDR, TRUTH, 0, 0 },
	{ SOL_SOCKET, SO_OOBINLINE, TRUTH, 0, 0 },
	{ IPPROTO_TCP, TCP_NODELAY, TRUTH, 0, 0 },
	{ IPPROTO_TCP, TCP_CORK, TRUTH, 0, 0 },
	{ IPPROTO_TCP, TCP_KEEPIDLE, NUMBER, 1, 32767 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, NUMBER, 1, 32767 },
	{ IPPROTO_TCP, TCP_KEEPCNT, NUMBER, 1, 127 },
	/* They act here: sockopt_act(), or the shadow does. */
	{ SOL_SOCKET, SO_REUSEPORT, ASK, 0, 0 },
	{ SOL_SOCKET, SO_SNDBUF, ASK, 0, 0 },
	{ SOL_SOCKET, SO_RCVBUF, ASK, 0, 0 },
	{ SOL_SOCKET, SO_SNDBUFFORCE, ASK, 0, 0 },
	{ SOL_SOCKET, SO_RCVBUFFORCE, ASK, 0, 0 },
	{ SOL_SOCKET, SO_BUF_LOCK, ASK, 0, 0 },
	{ SOL_SOCKET, SO_RCVLOWAT, ASK, 0, 0 },
	{ SOL_SOCKET, SO_BUSY_POLL, ASK, 0, 0 },
	{ SOL_SOCKET, SO_ZEROCOPY, ASK, 0, 0 },
	{ SOL_SOCKET, SO_INCOMING_CPU, ASK, 0, 0 },
	{ SOL_SOCKET, SO_BINDTODEVICE, LO, 0, 0 },
	{ SOL_SOCKET, SO_BINDTOIFINDEX, LO, 0, 0 },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_INQ, ASK, 0, 0 },
	/* There is no handshake for data to overtake, and it always may. */
	{ IPPROTO_TCP, TCP_FASTOPEN, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_FASTOPEN_KEY, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, ASK, 0, 0 },
	/* About packets, segments and their loss: there are none. */
	{ SOL_SOCKET, SO_PRIORITY, ASK, 0, 0 },
	{ SOL_SOCKET, SO_MARK, ASK, 0, 0 },
	{ SOL_SOCKET, SO_DONTROUTE, ASK, 0, 0 },
	{ SOL_SOCKET, SO_BROADCAST, ASK, 0, 0 },
	{ SOL_SOCKET, SO_NO_CHECK, ASK, 0, 0 },
	{ SOL_SOCKET, SO_DEBUG, ASK, 0, 0 },
	{ SOL_SOCKET, SO_RXQ_OVFL, ASK, 0, 0 },
	{ SOL_SOCKET, SO_NOFCS, ASK, 0, 0 },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, ASK, 0, 0 },
	{ SOL_SOCKET, SO_PREFER_BUSY_POLL, ASK, 0, 0 },
	{ SOL_SOCKET, SO_BUSY_POLL_BUDGET, ASK, 0, 0 },
	{ SOL_SOCKET, SO_TXREHASH, ASK, 0, 0 },
	{ SOL_SOCKET, SO_RCVMARK, ASK, 0, 0 },
	{ SOL_SOCKET, SO_RCVPRIORITY, ASK, 0, 0 },
	{ SOL_SOCKET, SO_WIFI_STATUS, ASK, 0, 0 },
	{ SOL_SOCKET, SO_CNX_ADVICE, ASK, 0, 0 },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, ALL, 0, 0 },
	{ IPPROTO_TCP, TCP_MAXSEG, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_QUICKACK, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_SYNCNT, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_LINGER2, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_CONGESTION, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_THIN_DUPACK, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_RTO_MAX_MS, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_RTO_MIN_US, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_DELACK_MAX_US, ASK, 0, 0 },
	{ IPPROTO_TCP, TCP_TX_DELAY, ZERO, 0, 0 },
	{ IPPROTO_IP, IP_TOS, ASK, 0, 0 },
	{ IPPROTO_IP, IP_TTL, ASK, 0, 0 },
	{ IPPROTO_IP, IP_MTU_DISCOVER, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RECVERR, ASK, 0, 0 },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, ASK, 0, 0 },
	{ IPPROTO_IP, IP_FREEBIND, ASK, 0, 0 },
	/* Linux gives what they ask for with datagrams only. */
	{ IPPROTO_IP, IP_PKTINFO, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RECVTTL, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RECVTOS, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RECVOPTS, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RETOPTS, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RECVORIGDSTADDR, ASK, 0, 0 },
	{ IPPROTO_IP, IP_PASSSEC, ASK, 0, 0 },
	{ IPPROTO_IP, IP_CHECKSUM, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RECVFRAGSIZE, ASK, 0, 0 },
	{ IPPROTO_IP, IP_RECVERR_RFC4884, ASK, 0, 0 },
	{ IPPROTO_IP, IP_MULTICAST_TTL, ASK, 0, 0 },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, ASK, 0, 0 },
	{ IPPROTO_IP, IP_MULTICAST_IF, ASK, 0, 0 },
	{ IPPROTO_IP, IP_MULTICAST_ALL, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_TCLASS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVERR, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_FREEBIND, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_MTU, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_FLOWINFO_SEND, ZERO, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVHOPOPTS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVRTHDR, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVDSTOPTS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVPATHMTU, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVFRAGSIZE, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVERR_RFC4884, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_ROUTER_ALERT_ISOLATE, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_FLOWINFO, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_2292PKTINFO, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_2292HOPOPTS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_2292DSTOPTS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_2292RTHDR, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_2292HOPLIMIT, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF, ASK, 0, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_ALL, ASK, 0, 0 },
};

static const struct rule *rule_find(int level, int name)
{
	for (unsigned i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].level == level && rules[i].name == name)
			return &rules[i];
	return NULL;
}

static bool is_kept(const struct rule *r)
{
	return r && (r->how == TRUTH || r->how == NUMBER);
}

bool sockopt_is_kept(int level, int name)
{
	return is_kept(rule_find(level, name));
}

/* Does that value mean something in memory? @v: as an int. */
static bool has_meaning(const struct rule *r, const char *val, socklen_t len, int v)
{
	switch (r->how) {
	case ZERO:
		return v == 0;
	case ALL:
		return v == -1;
	case LO:
		if (r->name == SO_BINDTOIFINDEX)
			return v == 0 || v == 1;
		return len == 0 || val[0] == 0 ||
		       (len >= 2 && memcmp(val, "lo", 2) == 0 && (len == 2 || val[2] == 0));
	default:
		return true;
	}
}

/* ------------------------------------------------------------------- set */

void sockopt_act(struct sock *s, int level, int name, int v)
{
	if (level == SOL_SOCKET && name == SO_BUSY_POLL)
		s->busy_ns = v > 0 ? (uint64_t)v * (uint64_t)NS_PER_US : 0;
	else if (level == SOL_SOCKET && name == SO_ZEROCOPY)
		s->zerocopy = v != 0;
	else if (level == IPPROTO_TCP && name == TCP_INQ)
		s->inq = v != 0;
	else if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT)
		s->timed = v != 0;
	else if (level == IPPROTO_TCP && name == TCP_NOTSENT_LOWAT)
		store_relaxed(&s->half->notsent_lowat, (uint32_t)v);
	else if (level == IPPROTO_TCP && name == TCP_WINDOW_CLAMP && v > 0 &&
		 (load_relaxed(&s->half->rcvbuf) == 0 || load_relaxed(&s->half->rcvbuf) > (uint32_t)v))
		store_relaxed(&s->half->rcvbuf, (uint32_t)v);
}

/* What the kernel made of it: @v. */
static void size_act(struct sock *s, int name, uint32_t v)
{
	if (name == SO_SNDBUF || name == SO_SNDBUFFORCE) {
		store_relaxed(&s->half->sndbuf, v);
		watch_roomy(s);
	}
	if (name == SO_RCVBUF || name == SO_RCVBUFFORCE)
		store_relaxed(&s->half->rcvbuf, v);
	if (name != SO_RCVLOWAT)
		return;
	store_relaxed(&s->half->rcvlowat, v);
	/* There may be enough now. That our own side is shut is no news. */
	if (load_relaxed(&s->stage) == SOCK_OPEN && sock_poll(s) & POLLIN &&
	    (conn_readable(&s->conn) || s->conn.peer->end & END_FIN))
		watch_again(s);
}

static long asked_get(const struct sock *s, int level, int name, void *val, socklen_t *len)
{
	int fd = template_take(s);
	long r;

	if (fd < 0)
		return fd;
	r = sys5(SYS_getsockopt, fd, level, name, val, len);
	template_drop(false);
	return r;
}

/* SO_BUF_LOCK: what is locked stays as large as it is; what is not may grow. */
static void lock_act(struct sock *s, uint32_t locked)
{
	struct half *h = s->half;
	const struct {
		int name;
		uint32_t bit;
		_Atomic uint32_t *bytes;
	} sizes[] = { { SO_SNDBUF, SOCK_SNDBUF_LOCK, &h->sndbuf },
		      { SO_RCVBUF, SOCK_RCVBUF_LOCK, &h->rcvbuf } };

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		int v = 0;
		socklen_t len = sizeof(v);

		if (!(locked & sizes[i].bit))
			size_act(s, sizes[i].name, 0);
		else if (load_relaxed(sizes[i].bytes) == 0 &&
			 asked_get(s, SOL_SOCKET, sizes[i].name, &v, &len) == 0)
			size_act(s, sizes[i].name, (uint32_t)v);
	}
}

/* TCP_DEFER_ACCEPT: the kernel counts it in retransmissions, and tells it in seconds. */
static void defer_act(struct sock *s, uint32_t seconds)
{
	uint64_t ms = (uint64_t)seconds * 1000;

	seat_defer(s->party, s->half, ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX);
	if (sock_listens(s))
		watch_again(s); /* Who waits may be to be accepted now. */
}

/* The unit that the kernel keeps times in; learned from it once. */
static uint64_t tick_ns(const struct sock *s)
{
	static _Atomic uint64_t tick;
	struct timeval tv = { 0, 1 };
	socklen_t len = sizeof(tv);
	int fd;

	if (load_relaxed(&tick))
		return load_relaxed(&tick);
	fd = template_take(s);
	if (fd < 0)
		return 1;
	sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
	template_drop(true);
	store_relaxed(&tick, (uint64_t)tv.tv_usec * NS_PER_US);
	return tv.tv_usec ? load_relaxed(&tick) : 1;
}

static long timeo_set(const struct sock *s, uint64_t *ret_ns, const void *val, socklen_t len)
{
	uint64_t tick, part;
	struct timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	if (!copy_try(&tv, val, sizeof(tv)))
		return -EFAULT;
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0) {
		*ret_ns = 1; /* Linux: at once */
		return 0;
	}
	tick = tick_ns(s);
	part = (uint64_t)tv.tv_usec * NS_PER_US;
	if (tv.tv_sec > 1000000000)
		*ret_ns = 0;
	else
		*ret_ns = (uint64_t)tv.tv_sec * NS_PER_SEC + (part + tick - 1) / tick * tick;
	return 0;
}

static long linger_set(struct sock *s, const void *val, socklen_t len)
{
	struct linger l;

	if (len < sizeof(l))
		return -EINVAL;
	if (!copy_try(&l, val, sizeof(l)))
		return -EFAULT;
	s->linger = l.l_onoff ? (l.l_linger < 0 ? 0x7fffffff : l.l_linger) : -1;
	/* For ever, as Linux reads it back: its longest time, in seconds, cut. */
	if (l.l_onoff)
		s->linger_off = l.l_linger >= 0 ? l.l_linger :
			(int)(uint32_t)(LONG_MAX / (long)(NS_PER_SEC / tick_ns(s)));
	options_linger_note(s);
	return 0;
}

static long kept_set(struct sock *s, const struct rule *r, const void *val, socklen_t len)
{
	int v;

	if (len < sizeof(v))
		return -EINVAL;
	if (!copy_try(&v, val, sizeof(v)))
		return -EFAULT;
	if (r->how == NUMBER && (v < r->least || v > r->most))
		return -EINVAL;
	if (r->how == TRUTH)
		v = v != 0;
	if (r->name == SO_OOBINLINE && r->level == SOL_SOCKET)
		store_relaxed(&s->half->oob_inline, (uint32_t)v);
	if (s->shadow_fd >= 0)
		sys5(SYS_setsockopt, s->shadow_fd, r->level, r->name, &v, sizeof(v));
	return options_remember(s, r->level, r->name, &v, sizeof(v));
}

/* Options that are read by another name. */
static int name_to_read(int level, int name)
{
	if (level == SOL_SOCKET && name == SO_SNDBUFFORCE)
		return SO_SNDBUF;
	if (level == SOL_SOCKET && name == SO_RCVBUFFORCE)
		return SO_RCVBUF;
	return name;
}

/**
 * struct answer - A value that the kernel gave.
 * @len: Of it; 0 where there is none.
 */
struct answer {
	unsigned char val[VALUE_BYTES];
	socklen_t len;
};

static void answer_get(struct answer *a, int fd, int level, int name)
{
	memset(a->val, 0, sizeof(a->val));
	a->len = sizeof(a->val);
	if (sys5(SYS_getsockopt, fd, level, name_to_read(level, name), a->val, &a->len) != 0)
		a->len = 0;
}

static bool answers_equal(const struct answer *a, const struct answer *b)
{
	return a->len && a->len == b->len && memcmp(a->val, b->val, a->len) == 0;
}

/* Only the kernel can do that. Return: -errno, or NOT_OURS where the socket is its own now. */
static long leave_to_kernel(struct sock *s, int level, int name, const void *val, socklen_t len)
{
	long r;

	if (load_relaxed(&s->stage) == SOCK_OPEN || process.policy != POLICY_SHARE)
		return -ENOPROTOOPT;
	if (s->foreign) {
		/* When it comes to connecting: who else has it, keeps it so long. */
		r = options_remember(s, level, name, val, len);
		if (r == 0)
			options_keep_to_kernel(s);
		return r;
	}
	r = fallback_socket(s, REASON_OPTION);
	return r == 0 ? NOT_OURS : r;
}

static long asked_set(struct sock *s, int level, int name, const void *val, socklen_t len)
{
	const struct rule *rule = rule_find(level, name);
	int fd = template_take(s), v = 0;
	unsigned char given[VALUE_BYTES];
	struct answer before = { .len = 0 }, after = { .len = 0 };
	long r;

	if (fd < 0)
		return fd;
	answer_get(&before, fd, level, name);
	r = sys5(SYS_setsockopt, fd, level, name, val, len);
	if (r == 0)
		answer_get(&after, fd, level, name);
	template_drop(r == 0);
	if (r < 0)
		return r;
	if ((int)len < 0 || len > sizeof(given))
		len = 0;
	/* IPv6 takes no value for 0. */
	memset(given, 0, sizeof(given));
	if (val && !copy_try(given, val, len))
		return -EFAULT;
	if (len >= sizeof(v))
		memcpy(&v, given, sizeof(v));
	else if (len > 0)
		v = given[0];
	if (!rule || !has_meaning(rule, (const char *)given, len, v))
		return answers_equal(&before, &after) ? 0 :
							leave_to_kernel(s, level, name, given, len);
	if (level == SOL_SOCKET && after.len >= sizeof(v)) {
		memcpy(&v, after.val, sizeof(v));
		name == SO_BUF_LOCK ? lock_act(s, (uint32_t)v) : size_act(s, name, (uint32_t)v);
	}
	if (level == IPPROTO_TCP && name == TCP_DEFER_ACCEPT && after.len >= sizeof(v)) {
		memcpy(&v, after.val, sizeof(v));
		defer_act(s, (uint32_t)v);
	}
	/* Of a connection it has been agreed upon. */
	if (level == IPPROTO_TCP && name == TCP_MAXSEG && load_relaxed(&s->stage) == SOCK_OPEN)
		return 0;
	/* What was given, since that is what a kernel socket is to be set to. */
	r = options_remember(s, level, name, given,
			     len < OPTION_BYTES ? len : OPTION_BYTES);
	if (r == 0 && s->shadow_fd >= 0)
		sys5(SYS_setsockopt, s->shadow_fd, level, name, given, len);
	return r;
}

/* No value is 0 there. */
static long inet6_int(const void *val, socklen_t len, int *ret)
{
	if (len < sizeof(*ret))
		return -EINVAL;
	*ret = 0;
	return val && !copy_try(ret, val, sizeof(*ret)) ? -EFAULT : 0;
}

static long v6only_set(struct sock *s, const void *val, socklen_t len)
{
	int v = 0;
	long r = inet6_int(val, len, &v);

	if (r < 0)
		return r;
	if (s->bound || load_relaxed(&s->stage) != SOCK_NEW)
		return -EINVAL;
	v = v != 0;
	s->v6only = v;
	if (v)
		atomic_fetch_or(&s->half->side, SIDE_V6ONLY);
	else
		atomic_fetch_and(&s->half->side, ~SIDE_V6ONLY);
	if (s->shadow_fd >= 0)
		sys5(SYS_setsockopt, s->shadow_fd, IPPROTO_IPV6, IPV6_V6ONLY, &v, sizeof(v));
	return 0;
}

/* An AF_INET6 socket that is connected over IPv4 becomes an AF_INET one. */
static long addrform_set(struct sock *s, const void *val, socklen_t len)
{
	int v = 0;
	long r = inet6_int(val, len, &v);

	if (r < 0)
		return r;
	if (v != AF_INET)
		return -EINVAL;
	if (load_relaxed(&s->stage) != SOCK_OPEN || tcp_info_state(s) != TCP_ESTABLISHED)
		return -ENOTCONN;
	if (s->v6only || addr_word_is6(load_relaxed(&s->half->remote)))
		return -EADDRNOTAVAIL;
	s->family = AF_INET;
	atomic_fetch_and(&s->half->side, ~SIDE_INET6);
	return 0;
}

static long sock_setsockopt(struct sock *s, int level, int name, const void *val, socklen_t len)
{
	const struct rule *rule = rule_find(level, name);

	int v;

	if ((int)len < 0)
		return -EINVAL;
	if (level == SOL_SOCKET) {
		/* Linux reads an int first, whatever the option is. */
		if (len >= sizeof(v) && !copy_try(&v, val, sizeof(v)))
			return -EFAULT;
		switch (name) {
		case SO_RCVTIMEO:
		case SO_RCVTIMEO_NEW:
			return timeo_set(s, &s->rcvtimeo_ns, val, len);
		case SO_SNDTIMEO:
		case SO_SNDTIMEO_NEW:
			return timeo_set(s, &s->sndtimeo_ns, val, len);
		case SO_LINGER:
			return linger_set(s, val, len);
		default:
			break;
		}
	}
	if (s->family == AF_INET6 && level == IPPROTO_IPV6) {
		switch (name) {
		case IPV6_V6ONLY:
			return v6only_set(s, val, len);
		case IPV6_ADDRFORM:
			return addrform_set(s, val, len);
		case IPV6_FLOWLABEL_MGR:
			/* A label is leased to one socket, and not at once to another:
			 * the template is not to have it first. */
			if (load_relaxed(&s->stage) == SOCK_NEW && process.policy == POLICY_SHARE &&
			    !s->foreign)
				return leave_to_kernel(s, level, name, val, len);
			break;
		default:
			break;
		}
	}
	return is_kept(rule) ? kept_set(s, rule, val, len) : asked_set(s, level, name, val, len);
}

/* Of two names of one option, the one that kept.c knows. */
static int name_kept(int level, int name)
{
	if (level != SOL_SOCKET)
		return name;
	return name == SO_RCVTIMEO_NEW ? SO_RCVTIMEO : name == SO_SNDTIMEO_NEW ? SO_SNDTIMEO : name;
}

long call_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct sock *s;
	long r;

	s = sock_enter(fd);
	if (!s)
		return dgram_setsockopt(fd, level, name, val, len);
	lock_take(&s->lock);
	kept_pull(s);
	r = sock_setsockopt(s, level, name, val, len);
	if (r == 0)
		kept_note(s, level, name_kept(level, name));
	if (r == 0 && load_relaxed(&s->stage) == SOCK_OPEN)
		conn_options_set(&s->conn);
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

/* ------------------------------------------------------------------- get */

long sockopt_give(void *val, socklen_t *len, const void *from, size_t bytes)
{
	socklen_t room;

	if (!copy_try(&room, len, sizeof(room)))
		return -EFAULT;
	if ((int)room < 0)
		return -EINVAL;
	if (room > bytes)
		room = (socklen_t)bytes;
	return copy_try(val, from, room) && copy_try(len, &room, sizeof(room)) ? 0 : -EFAULT;
}

static long give_int(void *val, socklen_t *len, int v)
{
	return sockopt_give(val, len, &v, sizeof(v));
}

/* A negative length is a large one there. */
static long inet6_give(void *val, socklen_t *len, int v)
{
	socklen_t room;

	if (!copy_try(&room, len, sizeof(room)))
		return -EFAULT;
	if (room > sizeof(v))
		room = sizeof(v);
	return copy_try(val, &v, room) && copy_try(len, &room, sizeof(room)) ? 0 : -EFAULT;
}

static long give_timeo(void *val, socklen_t *len, uint64_t ns)
{
	struct timeval tv = { (time_t)(ns / NS_PER_SEC), (suseconds_t)(ns % NS_PER_SEC / 1000) };

	return sockopt_give(val, len, &tv, sizeof(tv));
}

static long give_cookie(const struct sock *s, void *val, socklen_t *len)
{
	uint64_t cookie = load_relaxed(&s->half->cookie);
	socklen_t room;

	if (!copy_try(&room, len, sizeof(room)))
		return -EFAULT;
	return room < sizeof(cookie) ? -EINVAL : sockopt_give(val, len, &cookie, sizeof(cookie));
}

/* Linux takes the length for what is to be given, and gives no more than there is. */
static long give_peer_name(int fd, void *val, socklen_t *len)
{
	struct sockaddr_storage at;
	socklen_t room, has = sizeof(at);

	if (!copy_try(&room, len, sizeof(room)))
		return -EFAULT;
	if ((int)room < 0)
		return -EINVAL;
	if (call_getpeername(fd, (struct sockaddr *)&at, &has) < 0)
		return -ENOTCONN;
	return has < room ? -EINVAL : sockopt_give(val, len, &at, room);
}

/* The CPU whose writes come to us: the peer's, or where that is not known the
 * one that would copy them now. */
static int incoming_cpu(const struct sock *s)
{
	uint32_t cpu = load_relaxed(&s->conn.peer->cpu);

	return (int)(cpu ? cpu : spin_cpu()) - 1;
}

static long socket_get(struct sock *s, int fd, int name, void *val, socklen_t *len)
{
	struct linger l = { s->linger >= 0, s->linger_off };
	bool open = load_relaxed(&s->stage) == SOCK_OPEN;

	switch (name) {
	case SO_ERROR:
		return give_int(val, len, open ? conn_take_error(&s->conn) : sock_refusal(s));
	case SO_LINGER:
		return sockopt_give(val, len, &l, sizeof(l));
	case SO_RCVTIMEO:
	case SO_RCVTIMEO_NEW:
		return give_timeo(val, len, s->rcvtimeo_ns);
	case SO_SNDTIMEO:
	case SO_SNDTIMEO_NEW:
		return give_timeo(val, len, s->sndtimeo_ns);
	case SO_RCVLOWAT:
		return give_int(val, len, (int)load_relaxed(&s->half->rcvlowat));
	case SO_PEERNAME:
		return give_peer_name(fd, val, len);
	case SO_COOKIE:
		return give_cookie(s, val, len);
	case SO_INCOMING_CPU:
		if (open)
			return give_int(val, len, incoming_cpu(s));
		break;
	case SO_SNDBUF:
		if (load_relaxed(&s->half->sndbuf) && !options_any_asked(s))
			return give_int(val, len, (int)load_relaxed(&s->half->sndbuf));
		break;
	case SO_RCVBUF:
		if (load_relaxed(&s->half->rcvbuf) && !options_any_asked(s))
			return give_int(val, len, (int)load_relaxed(&s->half->rcvbuf));
		break;
	default:
		break;
	}
	return asked_get(s, SOL_SOCKET, name, val, len);
}

static long sock_getsockopt(struct sock *s, int fd, int level, int name, void *val, socklen_t *len)
{
	long r;

	if (sockopt_is_kept(level, name) &&
	    (options_has(s, level, name) || rule_find(level, name)->how == TRUTH))
		return give_int(val, len, options_int(s, level, name, 0));
	if (s->family == AF_INET6 && level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
		return inet6_give(val, len, s->v6only);
	if (s->family == AF_INET6 && level == IPPROTO_IPV6 && name == IPV6_ADDRFORM &&
	    tcp_info_state(s) != TCP_ESTABLISHED)
		return copy_can_read(len, sizeof(*len)) ? -ENOTCONN : -EFAULT;
	if (level == SOL_SOCKET)
		return socket_get(s, fd, name, val, len);
	if (level == IPPROTO_TCP && name == TCP_INFO)
		return tcp_info_give(s, val, len);
	if (level == IPPROTO_TCP && name == TCP_MAXSEG && load_relaxed(&s->stage) == SOCK_OPEN)
		return give_int(val, len, tcp_info_mss(s));
	r = asked_get(s, level, name, val, len);
	/* Of the template's own bytes. */
	return r == 0 && level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE ? -ENOPROTOOPT : r;
}

long call_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct sock *s;
	long r;

	s = sock_enter(fd);
	if (!s)
		return dgram_getsockopt(fd, level, name, val, len);
	lock_take(&s->lock);
	kept_pull(s);
	r = sock_getsockopt(s, fd, level, name, val, len);
	lock_drop(&s->lock);
	return sock_leave(s, r);
}
