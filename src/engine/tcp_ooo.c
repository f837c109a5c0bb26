// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_ooo.c - What has come behind a gap. The octets are in the receive ring,
 * at their place, already; here are the ranges, OOO_RANGES of them for each
 * connection that has any, and the SACK option that is made from them.
 */
#include <string.h>

#include "engine/tcp_parts.h"

static struct ooo *ranges(const struct engine *e, const struct tcp *t)
{
	return t->ooo == NIL ? NULL : &e->ooo[t->ooo];
}

void ooo_drop(struct engine *e, struct tcp *t)
{
	if (t->ooo != NIL)
		slab_put(&e->s->ooos, e->ooo, sizeof(*e->ooo), t->ooo);
	t->ooo = NIL;
	t->sack_recents = 0;
}

/* RFC 2018 4: the block that the newest segment is in comes first. Remembered by an octet of it. */
static void remember(struct tcp *t, uint32_t seq, const struct seq_range *r)
{
	uint32_t kept[TCP_SACK_MAX];
	uint8_t n = 0;

	kept[n++] = seq;
	for (unsigned i = 0; i < t->sack_recents && n < TCP_SACK_MAX; i++) {
		if (seq_lt(t->sack_recent[i], r->start) || seq_geq(t->sack_recent[i], r->end))
			kept[n++] = t->sack_recent[i];
	}
	memcpy(t->sack_recent, kept, n * sizeof(kept[0]));
	t->sack_recents = n;
}

bool ooo_insert(struct engine *e, struct tcp *t, uint32_t start, uint32_t end, bool *ret_dup)
{
	struct ooo *o = ranges(e, t);
	uint32_t i = 0;
	uint32_t last;
	uint32_t seq = start;

	*ret_dup = false;
	if (!o) {
		t->ooo = slab_get(&e->s->ooos, e->ooo, sizeof(*e->ooo));
		if (t->ooo == NIL)
			return false;
		o = ranges(e, t);
	}
	while (i < o->n && seq_lt(o->range[i].end, start))
		i++;
	/* Range i is the first that reaches our start; those up to last - 1 touch us. */
	if (i < o->n && seq_leq(o->range[i].start, start) && seq_leq(end, o->range[i].end)) {
		*ret_dup = true;
		remember(t, seq, &o->range[i]);
		return true;
	}
	for (last = i; last < o->n && seq_leq(o->range[last].start, end); last++) {
		start = seq_min(start, o->range[last].start);
		end = seq_max(end, o->range[last].end);
	}
	if (last == i) {
		if (o->n == OOO_RANGES)
			return false;
		memmove(&o->range[i + 1], &o->range[i], (o->n - i) * sizeof(o->range[0]));
		o->n++;
	} else {
		memmove(&o->range[i + 1], &o->range[last], (o->n - last) * sizeof(o->range[0]));
		o->n -= last - i - 1;
	}
	o->range[i] = (struct seq_range){.start = start, .end = end};
	remember(t, seq, &o->range[i]);
	return true;
}

uint32_t ooo_absorb(struct engine *e, struct tcp *t)
{
	struct ooo *o = ranges(e, t);
	uint32_t before = t->rcv_nxt;
	uint32_t gone = 0;

	if (!o)
		return 0;
	/* RFC 2883 4: of what the segment brought that far, some was there. */
	if (t->sack_ok && o->n && seq_lt(o->range[0].start, t->rcv_nxt)) {
		t->dsack = true;
		t->dsack_start = o->range[0].start;
		t->dsack_end = seq_min(o->range[0].end, t->rcv_nxt);
	}
	while (gone < o->n && seq_leq(o->range[gone].start, t->rcv_nxt)) {
		t->rcv_nxt = seq_max(t->rcv_nxt, o->range[gone].end);
		gone++;
	}
	o->n -= gone;
	memmove(&o->range[0], &o->range[gone], o->n * sizeof(o->range[0]));
	if (o->n == 0)
		ooo_drop(e, t);
	return t->rcv_nxt - before;
}

uint32_t ooo_highest(const struct engine *e, const struct tcp *t)
{
	const struct ooo *o = ranges(e, t);

	return o && o->n ? o->range[o->n - 1].end : t->rcv_nxt;
}

void ooo_sack(const struct engine *e, const struct tcp *t, struct tcp_header *h, unsigned max)
{
	const struct ooo *o = ranges(e, t);

	h->sacks = 0;
	/* RFC 2883 4: the duplicate first. */
	if (t->dsack && h->sacks < max) {
		h->sack[h->sacks].start = t->dsack_start;
		h->sack[h->sacks++].end = t->dsack_end;
	}
	for (unsigned i = 0; o && i < t->sack_recents && h->sacks < max; i++) {
		for (uint32_t k = 0; k < o->n; k++) {
			if (seq_lt(t->sack_recent[i], o->range[k].start) ||
			    seq_geq(t->sack_recent[i], o->range[k].end))
				continue;
			h->sack[h->sacks].start = o->range[k].start;
			h->sack[h->sacks++].end = o->range[k].end;
			break;
		}
	}
	if (h->sacks)
		h->has |= TCP_HAS_SACK;
}
