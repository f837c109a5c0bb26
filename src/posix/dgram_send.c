/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram_send.c - Sending datagrams: through memory to a socket of this host
 * that is to be found there, else through the kernel.
 *
 * A datagram for which the receiver has no room is dropped and counted, as in
 * Linux. But a sender through memory is faster than one through the kernel,
 * which does most of the receiver's work as well: it waits a few microseconds
 * first for a reader that reads.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>

#include "base/clock.h"
#include "base/copy.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/dgram.h"
#include "posix/dgram_error.h"
#include "posix/process.h"
#include "posix/route.h"
#include "posix/watch.h"
#include "shm/addr.h"

#define RCVBUF_DEFAULT 212992u
#define MEMORY_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CONFIRM | MSG_DONTROUTE)
#define SEGMENTS_MOST 64u /* Linux's UDP_MAX_SEGMENTS, in older kernels */
#define WAIT_LOOKS 16u
#define PIECES_MOST 16 /* of a payload; more are gathered by the kernel */

/**
 * struct sending - One datagram, or several of one size.
 * @iov, @n: The payload.
 * @bytes:   Of it.
 * @done:    Of them, those that were put in, or dropped.
 * @marked:  Who is to know of it if it goes through the kernel: @to; of a broadcast and
 *           a group, who receives at lo.
 * @nobody:  Is reached at @to.
 * @how:     Size of the several, TTL, TOS, source that was asked for.
 */
struct sending {
	struct sock *s;
	struct channel *c;
	const struct iovec *iov;
	int n;
	size_t bytes, done;
	addr_word from, to, marked;
	bool nobody;
	struct ancillary_sent how;
};

static uint64_t limit_of(const struct half *box)
{
	uint32_t bytes = load_relaxed(&box->rcvbuf);

	return bytes ? bytes : RCVBUF_DEFAULT;
}

static bool has_room(void *arg)
{
	struct channel *c = arg;

	return chan_moved(&c->conn);
}

/* Its reader may be reading: give it a moment. Return: whether it read. */
static bool wait_room(struct channel *c)
{
	uint64_t now, until;

	if (spin_same_cpu(load_relaxed(&c->box->cpu)))
		return spin_yield(has_room, c);
	now = clock_now_ns();
	until = spin_until_ns(&c->spin, process.spin_ns, now);
	while (now < until) {
		for (unsigned i = 0; i < WAIT_LOOKS; i++) {
			if (chan_moved(&c->conn)) {
				spin_found(&c->spin);
				return true;
			}
			cpu_relax();
		}
		now = clock_now_ns();
	}
	spin_failed(&c->spin, until, now);
	return false;
}

/* Return: 0, also where it was dropped; -EPIPE where nobody is there. */
static int put_one(struct sending *g, const struct iovec *iov, int n, size_t bytes,
		   uint16_t segment)
{
	const struct half *h = g->s->half;
	struct dgram_record rec = {
		.bytes = (uint32_t)bytes, .segment = segment,
		.ttl = g->how.ttl, .tos = g->how.tos,
		.ticket_ns = clock_now_ns(), .from = g->from, .to = g->to,
		/* Without an inbox an answer comes through the kernel. */
		.half = g->s->dgram->box ? half_ref_of(g->s->party, h) : 0,
		.half_party_gen = g->s->party->gen,
	};
	struct channel *c = g->c;
	int r;

	if (!(load_relaxed(&c->box->ancillary) & (ANC_PKTINFO | ANC_PKTINFO6)))
		rec.flags |= DGRAM_UNNOTED;
	do
		r = chan_put(&c->conn, c->box, &rec, iov, n, limit_of(c->box));
	while (r == -EAGAIN && wait_room(c));
	/* Without ring memory there is no other way than the kernel's. */
	if (r == -EPIPE || r == -ENOBUFS)
		return -EPIPE;
	if (r == -EFAULT)
		return r;
	if (r < 0)
		atomic_fetch_add_explicit(&c->conn.own->drops, 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&g->s->half->tail, bytes, memory_order_relaxed);
	return 0;
}

/* The pieces of the payload's bytes [@at, @at + @len). Return: how many. */
static int slice(const struct sending *g, size_t at, size_t len, struct iovec *ret)
{
	int n = 0;

	for (int i = 0; i < g->n && len > 0; i++) {
		size_t k = g->iov[i].iov_len;

		if (at >= k) {
			at -= k;
			continue;
		}
		k = k - at < len ? k - at : len;
		ret[n++] = (struct iovec){ (char *)g->iov[i].iov_base + at, k };
		len -= k;
		at = 0;
	}
	return n;
}

/* Several datagrams of @size bytes, the last perhaps shorter. */
static int put_segments(struct sending *g, size_t size)
{
	struct iovec iov[PIECES_MOST];
	int r = 0;

	if (load_relaxed(&g->c->box->dgram) & DGRAM_GRO && g->bytes <= DGRAM_GSO_MOST)
		return put_one(g, g->iov, g->n, g->bytes, (uint16_t)size);
	while (g->done < g->bytes) {
		size_t len = g->bytes - g->done < size ? g->bytes - g->done : size;

		r = put_one(g, iov, slice(g, g->done, len, iov), len, 0);
		if (r < 0)
			break;
		g->done += len;
	}
	/* Some are there: the rest is dropped. */
	return g->done ? 0 : r;
}

static int put_all(struct sending *g)
{
	uint16_t size = g->how.segment;
	uint32_t cpu = load_relaxed(&g->s->half->cpu);

	/* Where we run, for a reader that decides whether to spin. */
	if (load_relaxed(&g->c->conn.own->cpu) != cpu)
		store_relaxed(&g->c->conn.own->cpu, cpu);
	return size && g->bytes > size ? put_segments(g, size)
				       : put_one(g, g->iov, g->n, g->bytes, 0);
}

/* ------------------------------------------------------------------- whether */

/* Whom it is connected to; another process that has it may have seen to that. */
static addr_word peer(const struct sock *s)
{
	addr_word remote = load_relaxed(&s->half->remote);
	struct dgram *d = s->dgram;

	if (unlikely(d->remote != remote)) {
		d->peer = remote != NOBODY && dgram_is_own(s, remote) ? remote : 0;
		d->remote = remote;
	}
	return d->peer;
}

/* An address as sendto() has it. Linux takes IPv4's for a socket of either family. */
static long parse(const struct sock *s, const struct msghdr *msg, addr_word *ret)
{
	struct sockaddr_in in;

	if (s->family == AF_INET6 && msg->msg_namelen >= sizeof(in) &&
	    copy_try(&in, msg->msg_name, sizeof(in)) && in.sin_family == AF_INET) {
		*ret = addr_word_make(ntohl(in.sin_addr.s_addr), ntohs(in.sin_port));
		return 0;
	}
	return addr_parse(s, msg->msg_name, msg->msg_namelen, ret);
}

/* What Linux takes 0.0.0.0 and :: for: the source, if that is an IPv4 address; else lo's. */
static addr_word any_means(const struct sock *s, const struct msghdr *msg, addr_word to)
{
	addr_word from = load_relaxed(&s->half->local) & ~ADDR_WORD_DUAL;
	struct ancillary_sent how = { .from = 0 };
	bool specific;

	if (msg->msg_controllen && ancillary_take(s, to, msg, &how) && how.from)
		from = how.from;
	specific = !addr_word_is6(from) && !addr_word_is_any(from);
	if (!addr_word_is6(to) && specific)
		return addr_word_at(from, addr_word_port(to));
	return addr_word_is6(to) && !specific
		       ? addr_word_make6(ADDR_LOOPBACK6, addr_word_port(to))
		       : addr_word_make(INADDR_LOOPBACK, addr_word_port(to));
}

/* Where it goes, if it is a host's own address: else 0. @ret_marked: as sending.marked. */
static addr_word destination(const struct sock *s, const struct msghdr *msg, addr_word *ret_marked)
{
	addr_word to = 0, lo;

	*ret_marked = 0;
	if (!msg->msg_name)
		return *ret_marked = peer(s);
	if (parse(s, msg, &to) < 0)
		return 0;
	lo = addr_word_make(INADDR_LOOPBACK, addr_word_port(to));
	if (unlikely(addr_word_is_any(to)))
		to = any_means(s, msg, to);
	if (dgram_is_own(s, to))
		return *ret_marked = to;
	/* Sockets that never joined get a group's datagrams, too: IP_MULTICAST_ALL. */
	if (!addr_word_is6(to) &&
	    (addr_word_addr(to) == DGRAM_BROADCAST || IN_MULTICAST(addr_word_addr(to))))
		*ret_marked = lo;
	return 0;
}

addr_word dgram_source(struct sock *s, addr_word to, addr_word wanted)
{
	addr_word local = load_relaxed(&s->half->local) & ~ADDR_WORD_DUAL;
	struct dgram *d = s->dgram;

	if (!addr_word_is_any(wanted))
		return addr_word_at(wanted, addr_word_port(local));
	if (!addr_word_is_any(local))
		return local;
	to = addr_word_at(to, 0);
	if (unlikely(d->source_to != to)) {
		d->source = addr_source(s, to);
		d->source_to = to;
	}
	return addr_word_at(d->source, addr_word_port(local));
}

/* An IPv6 address has no way to an IPv4 one. */
static bool families_meet(const struct sock *s, addr_word local, addr_word to)
{
	if (s->family == AF_INET)
		return true;
	if (!addr_word_is6(to) && load_relaxed(&s->half->side) & SIDE_V6ONLY)
		return false;
	return addr_word_is_any(local) || addr_word_is6(local) == addr_word_is6(to);
}

/* Its own address, though it is bound to one, or another one of this host's. */
static bool may_be_from(const struct sock *s, addr_word local, addr_word from)
{
	local &= ~ADDR_WORD_DUAL;
	return addr_word_is_any(local) ? dgram_is_own(s, from) : addr_word_at(local, 0) == from;
}

/* As the options say, of any process that has it. */
static struct ancillary_sent how_of(const struct half *h, addr_word to)
{
	uint64_t word = load_relaxed(&h->options);
	bool six = addr_word_is6(to);

	return (struct ancillary_sent){
		.segment = (uint16_t)(word >> HOW_SEGMENT),
		.ttl = (uint8_t)(word >> (six ? HOW_HOPS : HOW_TTL)),
		.tos = (uint8_t)(word >> (six ? HOW_TCLASS : HOW_TOS)),
	};
}

/* It is the one by which Linux finds the way again. */
static bool finds_way(const struct sock *s, const struct msghdr *msg)
{
	return unlikely(load_relaxed(&s->half->dgram) & DGRAM_UNROUTED) && !msg->msg_name &&
	       !msg->msg_controllen;
}

static bool sends_by_memory(struct sock *s, struct sending *g, const struct msghdr *msg, int flags)
{
	addr_word local = load_relaxed(&s->half->local);
	uint32_t sndbuf = load_relaxed(&s->half->sndbuf);
	uint32_t has = load_relaxed(&s->half->dgram);
	uint32_t most = addr_word_is6(g->to) ? s->dgram->whole6 : DGRAM_UDP_MOST;

	if (msg->msg_controllen && !ancillary_take(s, g->to, msg, &g->how))
		return false;
	if (has & (DGRAM_KERNEL | DGRAM_CORKED | DGRAM_PENDING) || flags & ~MEMORY_FLAGS ||
	    finds_way(s, msg) ||
	    msg->msg_iovlen > PIECES_MOST)
		return false;
	/* The kernel says what is wrong with it. */
	if (g->bytes > most || g->how.segment > most || (sndbuf && g->bytes > sndbuf) ||
	    (g->how.segment && (g->bytes == 0 || has & DGRAM_NO_CHECK)) ||
	    (g->how.segment && g->bytes > g->how.segment * SEGMENTS_MOST) ||
	    (g->how.from && !may_be_from(s, local, g->how.from)))
		return false;
	if (!families_meet(s, local, g->to))
		return false;
	return addr_word_port(g->to) && !process_port_excluded(addr_word_port(g->to));
}

long dgram_refused(struct sock *s)
{
	int e = 0;
	socklen_t len = sizeof(e);

	atomic_fetch_and(&s->half->dgram, ~DGRAM_ERRORS);
	if (sys5(SYS_getsockopt, s->shadow_fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		return 0;
	return -e;
}

/* How many there are of @bytes that are sent in segments; in one piece only a reader with
 * UDP_GRO finds them. */
static unsigned datagrams(size_t bytes, uint16_t segment, bool *ret_whole)
{
	size_t n = segment ? (bytes + segment - 1) / segment : 1;

	*ret_whole = bytes <= DGRAM_GSO_MOST;
	return n > DGRAM_PASS_MOST ? DGRAM_PASS_MOST : n ? (unsigned)n : 1;
}

long dgram_cork(struct sock *s, int fd, const void *val, socklen_t len)
{
	struct dgram *d = s->dgram;
	int on = 1;
	struct dgram_pass p = { .to = 0 };
	unsigned n;
	long r;

	if (len < sizeof(on) || !copy_try(&on, val, sizeof(on)) || on ||
	    !dgram_has(s, DGRAM_PENDING) || process.policy == POLICY_NET) {
		r = sys5(SYS_setsockopt, fd, SOL_UDP, UDP_CORK, val, len);
		return r == 0 && !on && process.policy == POLICY_NET ? dgram_uncork(s) : r;
	}
	n = datagrams(d->pending_bytes, d->pending_segment, &p.whole);
	dgram_pass_begin(s, d->pending_to, n, &p);
	r = sys5(SYS_setsockopt, fd, SOL_UDP, UDP_CORK, val, len);
	dgram_pass_end(&p, r == 0);
	if (r == 0)
		atomic_fetch_and(&s->half->dgram, ~DGRAM_PENDING);
	return r;
}

/* Without waiting: else it is libc's to do. */
static long send_kernel(struct sock *s, struct sending *g, const struct msghdr *msg,
			int flags)
{
	struct dgram *d = s->dgram;
	uint32_t has = load_relaxed(&s->half->dgram);
	bool more = flags & MSG_MORE || has & DGRAM_CORKED, goes_on = has & DGRAM_PENDING;
	struct dgram_pass p = { .nobody = g->nobody };
	unsigned n;
	long r = 0;

	if (!goes_on) {
		d->pending_to = g->marked;
		d->pending_bytes = 0;
		d->pending_segment = g->how.segment;
	}
	/* The mark says whence it comes. */
	if (g->marked && unlikely(addr_word_port(load_relaxed(&s->half->local)) == 0))
		r = dgram_autobind(s);
	if (r < 0)
		return r;
	n = datagrams(d->pending_bytes + g->bytes, d->pending_segment, &p.whole);
	if (!more)
		dgram_pass_begin(s, d->pending_to, n, &p);
	r = sys3(SYS_sendmsg, s->shadow_fd, msg, flags | MSG_DONTWAIT);
	dgram_pass_end(&p, r >= 0);
	if (!(load_relaxed(&s->half->dgram) & DGRAM_ERRORS))
		atomic_fetch_or(&s->half->dgram, DGRAM_ERRORS);
	/* Linux takes memory before it looks at the segments, and gives it back: an edge. */
	if (r == -EINVAL && g->how.segment)
		watch_sent(s);
	if (r == -EAGAIN)
		return NOT_OURS;
	if (r < 0)
		return r;
	if (more && !goes_on)
		atomic_fetch_or(&s->half->dgram, DGRAM_PENDING);
	else if (!more && goes_on)
		atomic_fetch_and(&s->half->dgram, ~DGRAM_PENDING);
	d->pending_bytes += g->bytes;
	if (unlikely(finds_way(s, msg)))
		atomic_fetch_and(&s->half->dgram, ~DGRAM_UNROUTED);
	if (!more)
		watch_sent(s);
	return r;
}

/* Return: 0; -EPIPE: nobody is reached through memory; -errno. */
static long send_memory(struct sock *s, struct sending *g)
{
	struct party *p;
	long r = 0;

	if (unlikely(addr_word_port(load_relaxed(&s->half->local)) == 0))
		r = dgram_autobind(s);
	if (r < 0)
		return r;
	p = process_party();
	if (!p)
		return -EPIPE;
	dgram_open(s);
	g->from = dgram_source(s, g->to, g->how.from);
	for (int tries = 0; tries < 2; tries++) {
		g->c = route_get(p, g->from, g->to);
		g->nobody = !g->c;
		if (!g->c)
			return -EPIPE;
		/* What went through the kernel before there was a channel. */
		dgram_mark_past(g->c, addr_word_port(g->to));
		r = unlikely(load_relaxed(&s->half->dgram) & DGRAM_ERRORS) ? dgram_refused(s) : 0;
		if (r == 0)
			r = put_all(g);
		route_put(g->c);
		if (r != -EPIPE)
			break;
	}
	return r;
}

/* Policy net, to another host: by the channel to the network. Return: 0 or -errno. */
static long send_gate(struct sock *s, struct sending *g)
{
	addr_word local;
	long r = 0;

	if (addr_word_port(load_relaxed(&s->half->local)) == 0)
		r = dgram_autobind(s);
	if (r < 0)
		return r;
	local = load_relaxed(&s->half->local) & ~ADDR_WORD_DUAL;
	/* At the wildcard the network decides. */
	g->from = addr_word_is6(local) ? addr_word_make(0, addr_word_port(local)) : local;
	if (addr_word_is_loopback(local) && !addr_word_is_loopback(g->to))
		return -EINVAL;
	for (int tries = 0; tries < 2; tries++) {
		g->c = process_party() ? route_gate(process_party()) : NULL;
		if (!g->c)
			return -ENETUNREACH;
		r = put_all(g);
		route_put(g->c);
		if (r != -EPIPE)
			return r;
	}
	return -ENETUNREACH;
}

/* Policy net: where to. Return: 0 or -errno. */
static long net_destination(const struct sock *s, const struct msghdr *msg, addr_word *ret)
{
	addr_word to = load_relaxed(&s->half->remote);
	long r = msg->msg_name ? addr_parse(s, msg->msg_name, msg->msg_namelen, &to) : 0;

	if (r < 0)
		return r;
	if (!to)
		return -EDESTADDRREQ;
	if (to == ADDR_WORD_OTHER)
		return -ENETUNREACH;
	if (addr_word_is_any(to))
		to = addr_word_make(INADDR_LOOPBACK, addr_word_port(to));
	if (addr_word_port(to) == 0)
		return -EINVAL;
	*ret = to;
	return 0;
}

/* Policy net: nothing goes through the kernel. @g->to is said. Return: bytes or -errno. */
static long send_net(struct sock *s, struct sending *g, const struct msghdr *msg, int flags)
{
	addr_word to = g->to;
	long r;

	g->how = how_of(s->half, to);
	if (g->bytes > (addr_word_is6(to) ? DGRAM_UDP6_MOST : DGRAM_UDP_MOST))
		return -EMSGSIZE;
	if (!sends_by_memory(s, g, msg, flags))
		return -EOPNOTSUPP;
	if (!dgram_is_own(s, to) && addr_word_is6(to))
		return -ENETUNREACH;
	r = dgram_is_own(s, to) && (addr_word_is6(to) || !load_relaxed(&s->party->reg->packets))
		    ? send_memory(s, g) : send_gate(s, g);
	/* Nobody receives there: it is lost, as on any host. */
	if (r == 0 || r == -EPIPE) {
		watch_sent(s);
		return (long)g->bytes;
	}
	return r;
}

/* What was put together goes. Caller holds s->tx_lock. Return: 0 or -errno. */
static long cork_flush(struct sock *s)
{
	struct dgram *d = s->dgram;
	struct iovec whole = { d->cork, d->cork_bytes };
	struct msghdr msg = { .msg_iov = &whole, .msg_iovlen = 1 };
	struct sending g = { .s = s, .iov = &whole, .n = 1, .bytes = d->cork_bytes,
			     .to = d->pending_to };
	long r;

	dgram_set(s, DGRAM_PENDING, false);
	r = send_net(s, &g, &msg, 0);
	return r < 0 ? r : 0;
}

/* Caller holds s->tx_lock. Return: 0 or -errno; then what was put together is lost, as on Linux. */
static long cork_append(struct sock *s, const struct sending *g, const struct msghdr *msg)
{
	struct dgram *d = s->dgram;
	long r = 0;

	if (!dgram_has(s, DGRAM_PENDING)) {
		r = net_destination(s, msg, &d->pending_to);
		d->cork_bytes = 0;
	}
	if (r == 0 && !d->cork) {
		r = sys6(SYS_mmap, 0, DGRAM_UDP_MOST, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (r < 0 && r > -4096)
			return -ENOBUFS;
		d->cork = (unsigned char *)r;
		r = 0;
	}
	if (r == 0 && d->cork_bytes + g->bytes > DGRAM_UDP_MOST)
		r = -EMSGSIZE;
	for (int i = 0; r == 0 && i < g->n; i++) {
		if (!copy_try(d->cork + d->cork_bytes, g->iov[i].iov_base, g->iov[i].iov_len))
			r = -EFAULT;
		else
			d->cork_bytes += g->iov[i].iov_len;
	}
	dgram_set(s, DGRAM_PENDING, r == 0);
	return r;
}

/* Policy net, and MSG_MORE or UDP_CORK have a say. Return: bytes or -errno. */
static long send_corked(struct sock *s, struct sending *g, const struct msghdr *msg, int flags)
{
	long r;

	if (g->n > PIECES_MOST || msg->msg_controllen)
		return -EOPNOTSUPP;
	lock_take(&s->tx_lock);
	r = g->bytes > DGRAM_UDP_MOST ? -EMSGSIZE : cork_append(s, g, msg);
	if (r == 0 && !(flags & MSG_MORE) && !dgram_has(s, DGRAM_CORKED))
		r = cork_flush(s);
	lock_drop(&s->tx_lock);
	return r < 0 ? r : (long)g->bytes;
}

long dgram_uncork(struct sock *s)
{
	long r = 0;

	lock_take(&s->tx_lock);
	if (dgram_has(s, DGRAM_PENDING)) {
		dgram_set(s, DGRAM_CORKED, false);
		r = cork_flush(s);
	}
	lock_drop(&s->tx_lock);
	return r;
}

/* Return: bytes, -errno, or NOT_OURS. */
static long send_one(struct sock *s, const struct msghdr *msg, int flags)
{
	struct sending g = { .s = s, .iov = msg->msg_iov, .n = (int)msg->msg_iovlen };
	long r = -EPIPE;

	for (int i = 0; i < g.n && i < PIECES_MOST && g.bytes <= DGRAM_UDP6_MOST; i++)
		g.bytes = g.iov[i].iov_len > DGRAM_UDP6_MOST ? SIZE_MAX
							     : g.bytes + g.iov[i].iov_len;
	if (unlikely(process.policy == POLICY_NET)) {
		r = dgram_error_pending(s);
		if (r < 0)
			return r;
		if (unlikely(flags & MSG_MORE || dgram_has(s, DGRAM_CORKED | DGRAM_PENDING)))
			return send_corked(s, &g, msg, flags);
		r = net_destination(s, msg, &g.to);
		return r < 0 ? r : send_net(s, &g, msg, flags);
	}
	g.to = destination(s, msg, &g.marked);
	g.how = how_of(s->half, g.to);
	if (g.to && sends_by_memory(s, &g, msg, flags))
		r = send_memory(s, &g);
	if (r == 0) {
		watch_sent(s);
		return (long)g.bytes;
	}
	if (r != -EPIPE)
		return r;
	return send_kernel(s, &g, msg, flags);
}

long dgram_send(int fd, const struct msghdr *msg, int flags)
{
	struct sock *s = dgram_enter(fd);

	return s ? sock_leave(s, send_one(s, msg, flags)) : NOT_OURS;
}

long dgram_sendv(int fd, const struct iovec *iov, int n, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };

	return n < 0 ? NOT_OURS : dgram_send(fd, &msg, flags);
}

long dgram_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
		  socklen_t addr_len)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = { .msg_name = (void *)(uintptr_t)addr, .msg_namelen = addr_len,
			      .msg_iov = &iov, .msg_iovlen = 1 };

	return dgram_send(fd, &msg, flags);
}

long dgram_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	unsigned done = 0;
	long r = 0;

	if (!fdtab_peek(fd))
		return NOT_OURS;
	for (; done < n && done < IOV_MAX; done++) {
		r = dgram_send(fd, &msgs[done].msg_hdr, flags);
		/* The rest at once, where that is the kernel's. */
		if (r == NOT_OURS && done == 0)
			return r;
		if (r == NOT_OURS)
			r = sys3(SYS_sendmsg, fd, &msgs[done].msg_hdr, flags);
		if (r < 0)
			break;
		msgs[done].msg_len = (unsigned)r;
	}
	return done ? (long)done : r;
}
