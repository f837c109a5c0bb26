// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_sack.c - What the peer says that it has (RFC 2018; DSACK: RFC 2883).
 */
#include "engine/tcp_parts.h"

/* RFC 2883 5: the first block is a DSACK where it is below the ACK, or inside of the second. */
static bool is_dsack(const struct tcp_header *h)
{
	if (seq_leq(h->sack[0].end, h->ack))
		return true;
	return h->sacks > 1 && seq_geq(h->sack[0].start, h->sack[1].start) &&
	       seq_leq(h->sack[0].end, h->sack[1].end);
}

static void dsack_input(struct tcp *t, const struct tcp_header *h, struct ack *a)
{
	uint32_t start = h->sack[0].start;
	uint32_t end = h->sack[0].end;

	/* About something that we sent, and not for too long ago. */
	if (seq_geq(start, end) || seq_gt(end, t->snd_nxt) || end - start > t->max_wnd ||
	    seq_lt(start, t->snd_una - t->max_wnd))
		return;
	a->dsack = true;
	if (t->tlp_out && t->tlp_retrans && end == t->tlp_end)
		a->dsack_tlp = true;
	if (t->undo_ok && t->undo_retrans && seq_geq(start, t->undo_una))
		t->undo_retrans--;
	rack_dsack(t);
}

static void block_input(struct engine *e, struct tcp *t, uint32_t start, uint32_t end,
			struct ack *a)
{
	struct tcp_seg *s = seg_first(e, t);

	for (; s && seq_lt(s->seq, end); s = seg_next(e, s)) {
		if ((s->flags & SEG_SACKED) || seq_leq(s->end, start))
			continue;
		/* Part of a segment: cut it. Without room for that, its whole is believed later. */
		if (seq_lt(s->seq, start)) {
			if (!seg_split(e, t, s, start - s->seq))
				continue;
			continue;
		}
		if (seq_gt(s->end, end) && !seg_split(e, t, s, end - s->seq))
			continue;
		a->delivered += seg_bytes(s);
		a->sacked = true;
		rack_delivered(e, t, s, a);
		a->original |= !(s->flags & SEG_EVER) && seq_leq(s->end, t->recover);
		if (!(s->flags & SEG_EVER) && a->rtt_us == 0)
			a->rtt_us = (uint32_t)max_u64(1, (e->s->now_ns - s->sent_ns) / NS_USEC);
		seg_mark_sacked(e, t, s);
	}
}

void sack_input(struct engine *e, struct tcp *t, const struct tcp_header *h, struct ack *a)
{
	unsigned i = 0;

	if (!t->sack_ok || !(h->has & TCP_HAS_SACK))
		return;
	if (is_dsack(h)) {
		dsack_input(t, h, a);
		i = 1;
	}
	for (; i < h->sacks; i++) {
		uint32_t start = h->sack[i].start;
		uint32_t end = h->sack[i].end;

		/* Only what is in flight can be SACKed; anything else is noise, or an attack. */
		if (seq_geq(start, end) || seq_lt(start, t->snd_una) || seq_gt(end, t->snd_nxt) ||
		    seq_leq(end, h->ack))
			continue;
		block_input(e, t, seq_max(start, h->ack), end, a);
	}
}
