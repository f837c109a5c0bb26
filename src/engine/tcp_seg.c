// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_seg.c - The book of what is in flight: segments in order of sequence,
 * and those that count as in flight also in the order in which they were sent.
 *
 *   flags          out  sacked  lost  retrans  wait   in by_time
 *   -               x                                  x
 *   RETRANS         x                    x             x   (a probe's)
 *   LOST            x             x              x
 *   LOST|RETRANS    x             x      x             x
 *   SACKED          x     x
 *
 * The five sums of octets follow each change of flags; pipe is computed from them.
 */
#include <assert.h>

#include "engine/tcp_parts.h"

static uint32_t index_in(const struct engine *e, const struct tcp_seg *s)
{
	return index_of(e->seg, s, sizeof(*s));
}

/* Add (sign 1) or take away what @bytes of a segment with these flags count for. */
static void account(struct tcp *t, uint8_t flags, uint32_t bytes, bool add)
{
	uint32_t by = add ? bytes : 0u - bytes;

	t->out_bytes += by;
	if (flags & SEG_SACKED)
		t->sacked_bytes += by;
	if (flags & SEG_LOST)
		t->lost_bytes += by;
	if (flags & SEG_RETRANS)
		t->retrans_bytes += by;
	if ((flags & (SEG_LOST | SEG_RETRANS)) == SEG_LOST)
		t->wait_bytes += by;
}

static bool in_flight(uint8_t flags)
{
	return !(flags & SEG_SACKED) && (!(flags & SEG_LOST) || (flags & SEG_RETRANS));
}

static void set_flags(struct engine *e, struct tcp *t, struct tcp_seg *s, uint8_t flags)
{
	account(t, s->flags, seg_bytes(s), false);
	account(t, flags, seg_bytes(s), true);
	s->flags = flags;
	if (!in_flight(flags) && ilist_has(seg_time_links(e), index_in(e, s)))
		ilist_remove(&t->by_time, seg_time_links(e), index_in(e, s));
}

/* It is the newest of those in flight. */
static void sent_now(struct engine *e, struct tcp *t, struct tcp_seg *s)
{
	uint32_t i = index_in(e, s);

	if (ilist_has(seg_time_links(e), i))
		ilist_remove(&t->by_time, seg_time_links(e), i);
	ilist_push(&t->by_time, seg_time_links(e), i);
	s->sent_ns = e->s->now_ns;
}

struct tcp_seg *seg_new(struct engine *e, struct tcp *t, uint32_t seq, uint32_t end, uint8_t flags)
{
	uint32_t i = slab_get(&e->s->segs, e->seg, sizeof(*e->seg));
	struct tcp_seg *s;

	if (i == NIL)
		return NULL;
	s = &e->seg[i];
	ilink_init(&s->order);
	ilink_init(&s->time);
	s->seq = seq;
	s->end = end;
	s->flags = flags;
	s->first_ns = e->s->now_ns;
	ilist_push(&t->sent, seg_links(e), i);
	sent_now(e, t, s);
	account(t, flags, seg_bytes(s), true);
	return s;
}

void seg_resent(struct engine *e, struct tcp *t, struct tcp_seg *s)
{
	set_flags(e, t, s, s->flags | SEG_RETRANS | SEG_EVER);
	if (s->rexmits < UINT8_MAX)
		s->rexmits++;
	sent_now(e, t, s);
}

void seg_free(struct engine *e, struct tcp *t, struct tcp_seg *s)
{
	uint32_t i = index_in(e, s);

	account(t, s->flags, seg_bytes(s), false);
	if (ilist_has(seg_time_links(e), i))
		ilist_remove(&t->by_time, seg_time_links(e), i);
	ilist_remove(&t->sent, seg_links(e), i);
	slab_put(&e->s->segs, e->seg, sizeof(*e->seg), i);
}

void seg_free_all(struct engine *e, struct tcp *t)
{
	while (t->sent.head != NIL)
		seg_free(e, t, &e->seg[t->sent.head]);
	assert(t->out_bytes == 0 && t->sacked_bytes == 0 && t->lost_bytes == 0 &&
	       t->retrans_bytes == 0 && t->wait_bytes == 0);
}

bool seg_split(struct engine *e, struct tcp *t, struct tcp_seg *s, uint32_t bytes)
{
	uint32_t i = slab_get(&e->s->segs, e->seg, sizeof(*e->seg));
	struct tcp_seg *rest;

	if (i == NIL)
		return false;
	rest = &e->seg[i];
	ilink_init(&rest->order);
	ilink_init(&rest->time);
	rest->seq = s->seq + bytes;
	rest->end = s->end;
	rest->flags = s->flags & (uint8_t)~SEG_SYN;
	rest->sent_ns = s->sent_ns;
	rest->first_ns = s->first_ns;
	rest->rexmits = s->rexmits;
	/* The sums do not change: the same octets, with the same flags. */
	s->end = rest->seq;
	s->flags &= (uint8_t) ~(SEG_FIN | SEG_PUSH);
	ilist_insert(&t->sent, seg_links(e), index_in(e, s), i);
	if (ilist_has(seg_time_links(e), index_in(e, s)))
		ilist_insert(&t->by_time, seg_time_links(e), index_in(e, s), i);
	return true;
}

void seg_trim(struct tcp *t, struct tcp_seg *s, uint32_t una)
{
	account(t, s->flags, una - s->seq, false);
	s->seq = una;
	s->flags &= (uint8_t)~SEG_SYN;
}

void seg_mark_lost(struct engine *e, struct tcp *t, struct tcp_seg *s)
{
	if (!(s->flags & SEG_SACKED))
		set_flags(e, t, s, (s->flags | SEG_LOST) & (uint8_t)~SEG_RETRANS);
}

void seg_mark_sacked(struct engine *e, struct tcp *t, struct tcp_seg *s)
{
	set_flags(e, t, s, (s->flags | SEG_SACKED) & (uint8_t) ~(SEG_LOST | SEG_RETRANS));
}

void seg_unmark_lost(struct engine *e, struct tcp *t)
{
	for (struct tcp_seg *s = seg_first(e, t); s; s = seg_next(e, s)) {
		uint32_t i = index_in(e, s);

		if (!(s->flags & SEG_LOST))
			continue;
		set_flags(e, t, s, s->flags & (uint8_t)~SEG_LOST);
		/* Where in by_time it belongs is not looked for: it was sent before all that is
		 * there. */
		if (!ilist_has(seg_time_links(e), i))
			ilist_insert(&t->by_time, seg_time_links(e), NIL, i);
	}
}

struct tcp_seg *seg_first(const struct engine *e, const struct tcp *t)
{
	return t->sent.head == NIL ? NULL : &e->seg[t->sent.head];
}

struct tcp_seg *seg_last(const struct engine *e, const struct tcp *t)
{
	return t->sent.tail == NIL ? NULL : &e->seg[t->sent.tail];
}

struct tcp_seg *seg_next(const struct engine *e, const struct tcp_seg *s)
{
	return s->order.next == NIL ? NULL : &e->seg[s->order.next];
}

struct tcp_seg *seg_previous(const struct engine *e, const struct tcp_seg *s)
{
	return s->order.prev == NIL ? NULL : &e->seg[s->order.prev];
}

uint32_t tcp_pipe(const struct tcp *t)
{
	uint32_t flying = t->out_bytes - t->sacked_bytes - t->lost_bytes + t->retrans_bytes;

	return sat_sub_u32(flying, t->dup_bytes);
}
