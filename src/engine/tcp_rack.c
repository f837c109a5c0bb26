// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_rack.c - RACK-TLP (RFC 8985): a segment is lost when one that was sent
 * later has arrived, by more than the reordering that has been seen; and a
 * probe makes the last segments' loss seen without a timeout.
 */
#include "engine/tcp_parts.h"

#define REO_PERSIST 16u /* RFC 8985 6.2, step 4: recoveries */
#define TLP_MAX_ACK_DELAY_NS (200 * NS_MSEC)
#define TLP_INIT_NS NS_SEC

/* RFC 8985 6.1: (time, sequence) in the order of sending. */
static bool sent_after(uint64_t ns1, uint32_t end1, uint64_t ns2, uint32_t end2)
{
	return ns1 > ns2 || (ns1 == ns2 && seq_gt(end1, end2));
}

void rack_delivered(struct engine *e, struct tcp *t, const struct tcp_seg *s, const struct ack *a)
{
	uint32_t rtt_us = (uint32_t)((e->s->now_ns - s->sent_ns) / NS_USEC);

	/* Step 3: what arrives late, sent once, was overtaken. By what an earlier ACK told of: one
	 * that acknowledges, and SACKs behind a gap, says nothing about order. */
	if (seq_lt(s->end, a->fack_before) && !(s->flags & SEG_EVER))
		t->reo_seen = true;
	t->rack_fack = seq_max(t->rack_fack, s->end);
	/* Step 2: an ACK of the original does not speak for the retransmission. */
	if (s->flags & SEG_EVER) {
		if (t->ts_ok && a->ts_echo &&
		    seq_lt(a->ts_echo, (uint32_t)(s->sent_ns / NS_MSEC) + t->ts_offset))
			return;
		if (rtt_us < t->min_rtt_us)
			return;
	}
	t->rack_rtt_us = rtt_us;
	if (sent_after(s->sent_ns, s->end, t->rack_sent_ns, t->rack_end)) {
		t->rack_sent_ns = s->sent_ns;
		t->rack_end = s->end;
	}
}

/* Step 4 */
static uint64_t reo_wnd_ns(const struct tcp *t)
{
	if (!t->reo_seen && (t->recovery != TCP_OPEN || t->sacked_bytes >= TCP_DUPTHRESH * t->mss))
		return 0;
	return NS_USEC * min_u64((uint64_t)(1 + t->reo_mult) * t->min_rtt_us / 4, t->srtt_us);
}

bool rack_detect(struct engine *e, struct tcp *t)
{
	uint64_t wait_ns = 0;
	uint64_t wnd = reo_wnd_ns(t);
	uint32_t i = t->by_time.head;
	bool lost = false;

	/* Without SACK only a cumulative ACK delivers, and says nothing about order. */
	if (!t->sack_ok || (!t->rack_sent_ns && !t->rack_end))
		return false;
	while (i != NIL) {
		struct tcp_seg *s = &e->seg[i];
		uint64_t due = s->sent_ns + NS_USEC * (uint64_t)t->rack_rtt_us + wnd;

		i = s->time.next;
		if (!sent_after(t->rack_sent_ns, t->rack_end, s->sent_ns, s->end))
			break;
		if (due <= e->s->now_ns) {
			seg_mark_lost(e, t, s);
			lost = true;
		} else {
			wait_ns = max_u64(wait_ns, due - e->s->now_ns);
		}
	}
	if (wait_ns)
		timer_set(e, t, TCP_TIMER_REORDER, e->s->now_ns + wait_ns);
	else
		timer_cancel(t, TCP_TIMER_REORDER);
	return lost;
}

void rack_dsack(struct tcp *t)
{
	/* Once a round trip. */
	if (t->reo_dsack && seq_lt(t->snd_una, t->reo_dsack_round))
		return;
	t->reo_dsack = true;
	t->reo_dsack_round = t->snd_nxt;
	t->reo_persist = REO_PERSIST;
	if (t->reo_mult < 64)
		t->reo_mult++;
}

void rack_recovered(struct tcp *t)
{
	if (t->reo_persist && --t->reo_persist == 0)
		t->reo_mult = 0;
}

/* 7.2: when the probe is due. */
static uint64_t pto_ns(const struct tcp *t)
{
	uint64_t pto = t->srtt_us ? 2 * NS_USEC * (uint64_t)t->srtt_us : TLP_INIT_NS;

	/* A single segment's ACK may be delayed. */
	if (t->srtt_us && t->sent.head == t->sent.tail)
		pto += TLP_MAX_ACK_DELAY_NS;
	return pto;
}

void tlp_arm(struct engine *e, struct tcp *t)
{
	uint64_t due = e->s->now_ns + pto_ns(t);

	/* 7.2: in Open, with SACK, nothing SACKed, no probe out. */
	if (!t->sack_ok || t->recovery != TCP_OPEN || t->sent.head == NIL || t->sacked_bytes ||
	    t->tlp_out || t->snd_wnd == 0 || t->state < TCP_ESTABLISHED) {
		timer_cancel(t, TCP_TIMER_PROBE);
		return;
	}
	/* 7.2: at the time of the timeout at the latest, which then waits (tcp_timer()). */
	if (t->timer_ns[TCP_TIMER_RTO])
		due = min_u64(due, t->timer_ns[TCP_TIMER_RTO]);
	timer_set(e, t, TCP_TIMER_PROBE, due);
}

void tlp_ack(struct engine *e, struct tcp *t, uint32_t ack_no, const struct ack *a)
{
	/* 7.4.2 */
	if (!t->tlp_out || seq_lt(ack_no, t->tlp_end))
		return;
	if (t->tlp_retrans && !a->dsack_tlp) {
		if (seq_gt(ack_no, t->tlp_end))
			recovery_probe_lost(e, t);
		else if (a->acked || a->sacked || a->dsack)
			return; /* the probe's or the original's: a DSACK may follow */
	}
	t->tlp_out = false;
}
