// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_ack.c - RFC 9293 3.10.7.4, fifth: what an acceptable ACK does.
 */
#include "engine/neigh.h"
#include "engine/tcp_parts.h"

/* Everything before snd_una leaves the book. */
static void take_off(struct engine *e, struct tcp *t, uint32_t una, struct ack *a)
{
	struct tcp_seg *s;

	while ((s = seg_first(e, t)) && seq_lt(s->seq, una)) {
		if (seq_gt(s->end, una)) {
			/* Part of one: it stays, shorter. */
			if (!(s->flags & SEG_SACKED))
				a->delivered += una - s->seq;
			seg_trim(t, s, una);
			return;
		}
		if (!(s->flags & SEG_SACKED)) {
			a->delivered += seg_bytes(s);
			rack_delivered(e, t, s, a);
			/* Karn: only of what was sent once. */
			if (!(s->flags & SEG_EVER)) {
				a->rtt_us =
					(uint32_t)max_u64(1, (e->s->now_ns - s->sent_ns) / NS_USEC);
				a->original |= seq_leq(s->end, t->recover);
			}
		}
		if (s->flags & SEG_FIN)
			t->fin_acked = true;
		t->proved = max_u32(t->proved, seg_bytes(s));
		seg_free(e, t, s);
	}
}

static void advance(struct engine *e, struct tcp *t, uint32_t una, struct ack *a)
{
	a->acked = una - t->snd_una;
	take_off(e, t, una, a);
	t->snd_una = una;
	t->snd_base += a->acked;
	t->sum_acked += a->acked;
	keep_acked(e, t);
	t->dupacks = 0;
	t->more = false; /* as Linux: an ACK takes with it what there is */
	a->told = t->dup_bytes;
	t->dup_bytes = 0;
	t->backoff = 0;
	t->unheard = 0;
	t->soft_error = 0;
	t->hard_error = 0;
	t->said_bytes = 0;
	t->stalled_ns = t->sent.head == NIL ? 0 : e->s->now_ns;
	if (t->next_hop)
		neigh_confirm(e, t->next_hop, &t->neigh); /* RFC 1122 2.3.2.1: it works */
	tcp_tell_room(e, t);
}

/* RFC 5681 2: a duplicate; counts only where there is no SACK to say more. */
static void duplicate(struct tcp *t, const struct ack *a)
{
	(void)a;
	t->dupacks++;
	t->dup_bytes = min_u32(t->dup_bytes + t->mss, sat_sub_u32(t->out_bytes, t->mss));
}

/* RFC 9293 3.10.7.4: SND.WND is set from the newest segment. Return: it has changed. */
static bool update_window(struct engine *e, struct tcp *t, const struct tcp_header *h)
{
	/* RFC 7323 2.2: that of a SYN is not scaled. */
	uint32_t wnd = (uint32_t)h->window << (h->flags & TCP_SYN ? 0 : t->snd_wscale);
	uint32_t before = t->snd_wnd;
	struct tcp_seg *s;

	/* 3.10.7.4: of SND.UNA =< SEG.ACK only; an older ACK's window counts from an older place.
	 */
	if (seq_lt(h->ack, t->snd_una))
		return false;
	/* And where it acknowledges something, however old its sequence number is: the window
	 * counts from there, and the old one would reach further than the peer ever said. */
	if (!(seq_gt(h->ack, t->snd_una) || seq_lt(t->snd_wl1, h->seq) ||
	      (t->snd_wl1 == h->seq && seq_leq(t->snd_wl2, h->ack))))
		return false;
	t->snd_wl1 = h->seq;
	t->snd_wl2 = h->ack;
	t->snd_wnd = wnd;
	t->max_wnd = max_u32(t->max_wnd, wnd);
	if (wnd && t->persist) {
		/* It opens: what the probes carried was refused, and goes again at once. */
		t->persist = false;
		t->backoff = 0;
		s = seg_first(e, t);
		if (s) {
			seg_mark_lost(e, t, s);
			t->refused = true;
			rto_arm(e, t);
		} else {
			timer_cancel(t, TCP_TIMER_RTO);
		}
	}
	return wnd != before;
}

static void sample(const struct engine *e, struct tcp *t, const struct ack *a)
{
	uint32_t ms;

	if (a->rtt_us) {
		rtt_sample(e, t, a->rtt_us);
	} else if (a->acked && a->ts_echo) {
		/* RFC 7323 4.1: retransmitted, but the echo says which of them it was. */
		ms = tcp_ts_now(e, t->ts_offset) - a->ts_echo;
		if (ms < TCP_RTO_MAX_US / 1000)
			rtt_sample(e, t, ms * 1000);
	}
}

void rate_begin(const struct engine *e, struct tcp *t)
{
	t->rate_ns = e->s->now_ns;
	t->rate_delivered = t->delivered;
	t->rate_end = t->snd_nxt;
}

static void measure_rate(const struct engine *e, struct tcp *t)
{
	if (!t->rate_ns || seq_lt(t->snd_una, t->rate_end))
		return;
	if (e->s->now_ns > t->rate_ns)
		t->rate = muldiv_u64(t->delivered - t->rate_delivered, NS_SEC,
				     e->s->now_ns - t->rate_ns);
	if (t->sent.head == NIL)
		t->rate_ns = 0;
	else
		rate_begin(e, t);
}

void tcp_ack(struct engine *e, struct tcp *t, const struct tcp_header *h, uint32_t bytes)
{
	struct ack a = {.una_before = t->snd_una, .fack_before = t->rack_fack};
	bool changed;

	if (t->ts_ok && (h->has & TCP_HAS_TS))
		a.ts_echo = h->ts_echo;
	sack_input(e, t, h, &a);
	changed = update_window(e, t, h);
	if (seq_gt(h->ack, t->snd_una)) {
		advance(e, t, h->ack, &a);
	} else if (h->ack == t->snd_una) {
		if (t->snd_wnd == 0)
			t->unheard = 0; /* RFC 9293 3.8.6.1, MUST-37: it answers */
		if (!t->sack_ok && bytes == 0 && !changed && t->sent.head != NIL &&
		    !(h->flags & (TCP_SYN | TCP_FIN)))
			duplicate(t, &a);
	}
	t->delivered += a.delivered;
	measure_rate(e, t);
	sample(e, t, &a);
	tlp_ack(e, t, h->ack, &a);
	recovery_ack(e, t, &a);
	cc_acked(e, t, &a);
	if (t->sent.head == NIL) {
		timer_cancel(t, TCP_TIMER_RTO);
		timer_cancel(t, TCP_TIMER_PROBE);
		timer_cancel(t, TCP_TIMER_REORDER);
		t->cwnd_limited = false;
	} else if (a.acked) {
		rto_arm(e, t); /* RFC 6298 5.3 */
		tlp_arm(e, t);
	}
	tcp_wake(e, t);
}
