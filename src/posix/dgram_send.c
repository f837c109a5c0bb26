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
#include <string.h>
#include <sys/single_threaded.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/dgram.h"
#include "posix/process.h"
#include "posix/route.h"
#include "posix/watch.h"
#include "shm/addr.h"

#define RCVBUF_DEFAULT 212992u
#define MEMORY_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CONFIRM | MSG_DONTROUTE)
#define SEGMENTS_MOST 64u /* Linux's UDP_MAX_SEGMENTS */
#define WAIT_LOOKS 16u
#define YOUNG_NS (100 * NS_PER_MS)
#define PIECES_MOST 16 /* of a payload; more are gathered by the kernel */

/**
 * struct sending - One datagram, or several of one size.
 * @iov, @n: The payload.
 * @bytes:   Of it.
 * @done:    Of them, those that were put in, or dropped.
 * @how:     Size of the several, TTL, TOS, source that was asked for.
 */
struct sending {
	struct sock *s;
	struct channel *c;
	const struct iovec *iov;
	int n;
	size_t bytes, done;
	addr_word from, to;
	struct ancillary_sent how;
};

static uint64_t limit_of(const struct half *box)
{
	uint32_t bytes = load_relaxed(&box->rcvbuf);

	return bytes ? bytes : RCVBUF_DEFAULT;
}

/* Its reader may be reading: give it a moment. Return: whether it read. */
static bool wait_room(struct channel *c)
{
	uint64_t until;

	if (spin_same_cpu(load_relaxed(&c->box->cpu))) {
		for (unsigned i = 0; i < SPIN_YIELDS; i++) {
			sys0(SYS_sched_yield);
			if (chan_moved(&c->conn))
				return true;
		}
		return false;
	}
	until = clock_now_ns() + spin_budget_ns(&c->spin, process.spin_ns);
	do {
		for (unsigned i = 0; i < WAIT_LOOKS; i++) {
			if (chan_moved(&c->conn)) {
				spin_done(&c->spin, true);
				return true;
			}
			cpu_relax();
		}
	} while (clock_now_ns() < until);
	spin_done(&c->spin, false);
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

	if (load_relaxed(&g->c->box->dgram) & DGRAM_GRO)
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

/* Where it goes, if it is a host's own address: else 0. */
static addr_word destination(const struct sock *s, const struct msghdr *msg)
{
	addr_word to = 0;

	if (!msg->msg_name)
		return s->dgram->peer;
	if (addr_parse(s, msg->msg_name, msg->msg_namelen, &to) < 0)
		return 0;
	if (addr_word_is_any(to))
		to = addr_word_is6(to) ? addr_word_make6(ADDR_LOOPBACK6, addr_word_port(to)) :
					 addr_word_make(INADDR_LOOPBACK, addr_word_port(to));
	return dgram_is_own(s, to) ? to : 0;
}

/* Which source Linux takes: asked for, bound, or by the route to @to. */
static addr_word source(struct sock *s, addr_word to, addr_word wanted)
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
	if (!addr_word_is6(to) && s->v6only)
		return false;
	return addr_word_is_any(local) || addr_word_is6(local) == addr_word_is6(to);
}

static bool sends_by_memory(struct sock *s, struct sending *g, const struct msghdr *msg, int flags)
{
	addr_word local = load_relaxed(&s->half->local);
	struct dgram *d = s->dgram;

	if (load_relaxed(&d->kernel) || flags & ~MEMORY_FLAGS ||
	    load_relaxed(&d->corked) || load_relaxed(&d->pending) ||
	    msg->msg_iovlen > PIECES_MOST)
		return false;
	g->how = (struct ancillary_sent){ .segment = d->segment,
					  .ttl = addr_word_is6(g->to) ? d->hops : d->ttl,
					  .tos = addr_word_is6(g->to) ? d->tclass : d->tos };
	if (msg->msg_controllen && !ancillary_take(msg, &g->how))
		return false;
	/* The kernel says what is wrong with it. */
	if (g->bytes > (addr_word_is6(g->to) ? DGRAM_UDP6_MOST : DGRAM_UDP_MOST) ||
	    (g->how.segment && g->bytes == 0) ||
	    (g->how.segment && g->bytes > g->how.segment * SEGMENTS_MOST) ||
	    (g->how.from && (!addr_word_is_any(load_relaxed(&s->half->local)) ||
			     !dgram_is_own(s, g->how.from))))
		return false;
	if (!families_meet(s, local, g->to))
		return false;
	return addr_word_port(g->to) && !process_port_excluded(addr_word_port(g->to));
}

long dgram_refused(struct sock *s)
{
	int e = 0;
	socklen_t len = sizeof(e);

	store_relaxed(&s->dgram->kernel_sent, false);
	if (sys5(SYS_getsockopt, s->shadow_fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		return 0;
	return -e;
}

/* While a channel is young, other threads of ours may be on their way through the
 * kernel still: whose datagram comes first there, the order of marks does not say. */
static void put_mark(struct channel *c, addr_word from, addr_word to)
{
	uint64_t now = clock_now_ns();
	struct dgram_record rec = {
		.ticket_ns = now, .from = from, .to = to,
		.flags = DGRAM_MARK | (now - c->born_ns < YOUNG_NS ? DGRAM_DRAIN : 0),
	};

	chan_put(&c->conn, c->box, &rec, NULL, 0, UINT32_MAX);
}

/* Put a mark where the datagram belongs that has gone through the kernel. */
static void mark(struct sock *s, addr_word to)
{
	struct party *p = process_party();
	struct channel *c = NULL;

	if (!p || !to)
		return;
	c = route_get(p, source(s, to, 0), to);
	if (c) {
		put_mark(c, source(s, to, 0), to);
		route_put(c);
	} else {
		route_unmarked(to, 1);
	}
}

void dgram_sent(struct sock *s)
{
	if (!load_relaxed(&s->dgram->pending))
		return;
	store_relaxed(&s->dgram->pending, false);
	mark(s, s->dgram->pending_to);
}

/* Without waiting: else it is libc's to do. */
static long send_kernel(struct sock *s, int fd, addr_word to, const struct msghdr *msg, int flags)
{
	struct dgram *d = s->dgram;
	long r = sys3(SYS_sendmsg, fd, msg, flags | MSG_DONTWAIT);

	store_relaxed(&d->kernel_sent, true);
	watch_sent(s, true);
	if (r == -EAGAIN)
		return NOT_OURS;
	if (r < 0)
		return r;
	if (!load_relaxed(&d->pending))
		d->pending_to = to;
	store_relaxed(&d->pending, true);
	if (!(flags & MSG_MORE) && !load_relaxed(&d->corked))
		dgram_sent(s);
	return r;
}

/* Return: 0; -EPIPE: nobody is reached through memory; -errno. */
static long send_memory(struct sock *s, int fd, struct sending *g)
{
	struct party *p;
	long r = 0;

	if (unlikely(addr_word_port(load_relaxed(&s->half->local)) == 0))
		r = dgram_autobind(s, fd);
	if (r < 0)
		return r;
	p = process_party();
	if (!p)
		return -EPIPE;
	dgram_open(s);
	g->from = source(s, g->to, g->how.from);
	for (int tries = 0; tries < 2; tries++) {
		g->c = route_get(p, g->from, g->to);
		if (!g->c)
			return -EPIPE;
		/* What went through the kernel before there was a channel. */
		if (unlikely(route_unmarked(g->to, 0)))
			put_mark(g->c, g->from, g->to);
		r = unlikely(load_relaxed(&s->dgram->kernel_sent)) ? dgram_refused(s) : 0;
		if (r == 0)
			r = put_all(g);
		route_put(g->c);
		if (r != -EPIPE)
			break;
	}
	return r;
}

/* Return: bytes, -errno, or NOT_OURS. */
static long send_one(struct sock *s, int fd, const struct msghdr *msg, int flags)
{
	struct sending g = { .s = s, .iov = msg->msg_iov, .n = (int)msg->msg_iovlen };
	long r = -EPIPE;

	for (int i = 0; i < g.n && i < PIECES_MOST && g.bytes <= DGRAM_UDP6_MOST; i++)
		g.bytes = g.iov[i].iov_len > DGRAM_UDP6_MOST ? SIZE_MAX
							     : g.bytes + g.iov[i].iov_len;
	g.to = destination(s, msg);
	if (g.to && sends_by_memory(s, &g, msg, flags))
		r = send_memory(s, fd, &g);
	if (r == 0) {
		watch_sent(s, false);
		return (long)g.bytes;
	}
	if (r != -EPIPE)
		return r;
	return load_relaxed(&s->dgram->kernel) ? NOT_OURS : send_kernel(s, fd, g.to, msg, flags);
}

long dgram_send(int fd, const struct msghdr *msg, int flags)
{
	struct sock *s = dgram_enter(fd);

	return s ? sock_leave(s, send_one(s, fd, msg, flags)) : NOT_OURS;
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
