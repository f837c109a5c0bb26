/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram_order.c - One order of what comes to a socket through memory and through
 * the kernel.
 *
 * Theory of operation. Records say when they were sent, so those of all senders
 * have an order; the kernel's queue has one as well, but nothing in it says where
 * it stands among the records. So who sends through the kernel to a socket that it
 * has a channel to puts a mark in the channel first, and says in it afterwards when
 * the datagram was sent. A mark has its place among the records, and when it is the
 * oldest, what it stands for is read from the kernel's socket.
 *
 * A mark whose datagram is not there any more must not stand for another one. What
 * was sent before the kernel's socket was found empty has been read, or dropped: its
 * mark is passed over. One whose datagram is about to be sent is waited for a little.
 * Senders that have no channel set none: theirs may be before it in the kernel's
 * queue, so a mark stays until one comes that is of its sender's port.
 *
 * Datagrams that were sent when there was no channel get their marks when there is
 * one (route_unmarked()); where that were too many, the kernel goes on to be used
 * until there has been a pause. What the kernel's socket had when the inbox opened comes
 * first, and until it has been read (DGRAM_LATER) nobody sends through memory.
 *
 * Programs that know nothing of us set no marks. Theirs are read when there is
 * nothing in memory, and every now and then while there is.
 */
#include <poll.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/dgram.h"
#include "posix/process.h"
#include "posix/route.h"

#define MARKS_MOST 4096u /* passed over in one look: a sender can make any number */
#define COMING_LOOKS 64u /* at a mark whose datagram is about to be sent */

/* ---------------------------------------------------------------- receiving */

bool dgram_kernel_has(struct sock *s)
{
	uint64_t now = clock_now_ns();
	/* Not by MSG_PEEK: that would take a pending error. */
	struct pollfd p = { .fd = s->shadow_fd, .events = POLLIN };
	struct timespec zero = { 0 };

	if (sys5(SYS_ppoll, &p, 1, &zero, 0, 8) == 1 && p.revents & POLLIN)
		return true;
	store_relaxed(&s->half->kernel_empty_ns, now);
	return false;
}

/* What became of the mark's datagram; of one that is coming it is waited for. Who is
 * to send it may have been stopped, or killed: not for ever. */
static uint64_t mark_settled(struct inbox_seat *seat)
{
	uint64_t sent = inbox_mark_sent(seat);

	for (unsigned i = 0; unlikely(sent == MARK_COMING) && i < COMING_LOOKS; i++) {
		if (process.spin_ns)
			sys0(SYS_sched_yield);
		cpu_relax();
		sent = inbox_mark_sent(seat);
	}
	return sent;
}

/* Is the datagram in the kernel's socket that the mark stands for? */
static bool mark_is_due(struct sock *s, struct inbox_seat *seat)
{
	const struct half *h = s->half;
	uint64_t sent = mark_settled(seat);

	/* A process and its child may both have marked what went before the fork. */
	return sent != load_relaxed(&h->mark_read_ns) &&
	       (sent == MARK_COMING || sent > load_relaxed(&h->kernel_empty_ns)) &&
	       dgram_kernel_has(s);
}

void dgram_mark_read(struct sock *s, struct inbox_seat *mark)
{
	store_relaxed(&s->half->mark_read_ns, inbox_mark_sent(mark));
	inbox_take(mark);
}

enum dgram_next dgram_next(struct sock *s, struct inbox_seat **ret)
{
	*ret = NULL;
	if (unlikely(load_relaxed(&s->half->dgram) & DGRAM_LATER)) {
		if (dgram_kernel_has(s))
			return DGRAM_NEXT_KERNEL;
		/* Who knows nothing of the inbox goes on through the kernel. */
		if (s->dgram->told != DGRAM_UNTOLD)
			atomic_fetch_and(&s->half->dgram, ~DGRAM_LATER);
	}
	for (unsigned marks = 0; marks < MARKS_MOST; marks++) {
		struct inbox_seat *seat = inbox_next(s->dgram->box);

		if (!seat)
			break;
		if (likely(!(seat->rec.flags & DGRAM_MARK))) {
			*ret = seat;
			return DGRAM_NEXT_MEMORY;
		}
		if (mark_is_due(s, seat)) {
			*ret = seat;
			return DGRAM_NEXT_KERNEL;
		}
		inbox_take(seat);
	}
	return DGRAM_NEXT_NONE;
}

/* ------------------------------------------------------------------ sending */

static _Atomic uint64_t *mark_put(struct channel *c, addr_word from, addr_word to,
				  uint64_t ticket_ns, uint64_t sent_ns)
{
	struct dgram_record rec = { .ticket_ns = ticket_ns, .from = from, .to = to,
				    .sent_ns = sent_ns, .flags = DGRAM_MARK };
	_Atomic uint64_t *at;

	return chan_mark(&c->conn, &rec, &at) == 0 ? at : NULL;
}

void dgram_mark_past(struct channel *c, uint16_t port)
{
	struct unmarked_sent past[UNMARKED_MOST];
	unsigned n = route_unmarked_take(c, port, past);

	for (unsigned i = 0; i < n; i++)
		mark_put(c, past[i].from, past[i].to, past[i].at_ns, past[i].at_ns);
}

void dgram_pass_begin(struct sock *s, addr_word to, unsigned n, struct dgram_pass *ret)
{
	struct party *p = to ? process_party() : NULL;

	ret->to = p ? to : 0;
	ret->n = n < DGRAM_PASS_MOST ? n : DGRAM_PASS_MOST;
	ret->c = NULL;
	if (!p)
		return;
	ret->from = dgram_source(s, to, 0);
	ret->c = ret->nobody ? NULL : route_get(p, ret->from, to);
	if (!ret->c)
		return;
	dgram_mark_past(ret->c, addr_word_port(to));
	if (ret->whole && load_relaxed(&ret->c->box->dgram) & DGRAM_GRO)
		ret->n = 1;
	for (unsigned i = 0; i < ret->n; i++)
		ret->mark[i] = mark_put(ret->c, ret->from, to, clock_now_ns(), MARK_COMING);
}

void dgram_pass_end(struct dgram_pass *p, bool sent)
{
	uint64_t now;

	if (!p->to)
		return;
	now = clock_now_ns();
	/* No two are of one time: see mark_is_due(). */
	for (unsigned i = 0; p->c && i < p->n; i++)
		if (p->mark[i])
			store_release(p->mark[i], sent ? now + i : MARK_VOID);
	if (p->c)
		route_put(p->c);
	else if (sent)
		for (unsigned i = 0; i < p->n; i++)
			route_unmarked(p->from, p->to, now + i);
}
