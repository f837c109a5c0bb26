// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_recovery.c - What happens to the window when something was lost, and
 * when it turns out that nothing was.
 *
 *   OPEN      nothing is known to be lost
 *   RECOVERY  loss was detected by ACKs; what is marked lost is sent again, by
 *             the pace of proportional rate reduction (RFC 6937), until all that
 *             was out when it began is acknowledged
 *   LOSS      the retransmission timer has fired: all counts as lost, one segment
 *             is sent, slow start (RFC 5681 3.1)
 *
 * Undone (RFC 4015) where the ACK that comes echoes a timestamp from before
 * the first retransmission (RFC 3522), or where DSACKs say that each
 * retransmission arrived twice. Without timestamps, a timeout is judged by F-RTO (RFC
 * 5682): where the first ACK after it advances, two new segments go instead of old
 * ones; if the next ACK is for something that was sent once, before the timeout, then
 * it was only late.
 */
#include "engine/tcp_parts.h"

static void note_undo(struct engine *e, struct tcp *t)
{
	t->undo_ok = true;
	t->undo_una = t->snd_una;
	t->undo_cwnd = t->cwnd;
	t->undo_ssthresh = t->ssthresh;
	t->undo_retrans = 0;
	t->undo_ts = tcp_ts_now(e, t->ts_offset);
}

void recovery_enter(struct engine *e, struct tcp *t)
{
	note_undo(e, t);
	t->recovery = TCP_RECOVERY;
	t->frto = FRTO_OFF;
	t->rescued = false;
	t->refused = false;
	t->recover = t->snd_nxt;
	t->ssthresh = cc_of(t)->ssthresh(e, t);
	t->prr_start = max_u32(tcp_pipe(t) + t->wait_bytes, t->mss);
	t->prr_delivered = 0;
	t->prr_out = 0;
	t->tlp_out = false;
	hystart_reset(t);
	t->recoveries++;
	COUNT(e, TCP_RACK);
}

void recovery_timeout(struct engine *e, struct tcp *t)
{
	/* RFC 5681 3.1: once for a window of data, however often it is sent again. */
	if (t->recovery != TCP_LOSS || seq_geq(t->snd_una, t->recover)) {
		if (t->recovery == TCP_OPEN)
			note_undo(e, t);
		t->ssthresh = cc_of(t)->ssthresh(e, t);
		t->recover = t->snd_nxt;
		/* RFC 5682 2.1, step 1: not once more for the same data. */
		t->frto = t->undo_ok ? FRTO_SENT : FRTO_OFF;
	} else {
		t->frto = FRTO_OFF;
	}
	if (cc_of(t)->timeout)
		cc_of(t)->timeout(e, t);
	t->recovery = TCP_LOSS;
	t->dup_bytes = 0;
	t->dupacks = 0;
	t->tlp_out = false;
	t->cwnd = t->mss; /* the loss window */
	t->cwnd_acked = 0;
	hystart_reset(t);
	for (struct tcp_seg *s = seg_first(e, t); s; s = seg_next(e, s))
		seg_mark_lost(e, t, s);
	timer_cancel(t, TCP_TIMER_REORDER);
	timer_cancel(t, TCP_TIMER_PROBE);
}

static void undo(struct engine *e, struct tcp *t)
{
	seg_unmark_lost(e, t);
	t->cwnd = max_u32(t->cwnd, t->undo_cwnd);
	t->ssthresh = max_u32(t->ssthresh, t->undo_ssthresh);
	cc_of(t)->undo(e, t);
	t->undo_ok = false;
	t->frto = FRTO_OFF;
	t->recovery = TCP_OPEN;
	t->backoff = 0;
	t->undos++;
	COUNT(e, TCP_UNDO);
}

static bool was_mistaken(const struct tcp *t, const struct ack *a)
{
	if (!t->undo_ok)
		return false;
	/* RFC 3522 3.2: the echo is from before the first retransmission. */
	if (t->ts_ok && a->acked && a->ts_echo && t->undo_retrans && seq_lt(a->ts_echo, t->undo_ts))
		return true;
	return a->dsack && t->undo_retrans == 0;
}

/* RFC 5682 2.1 and 3.1. Return: the timeout was one too early. */
static bool judge_timeout(struct tcp *t, const struct ack *a)
{
	uint32_t used = t->snd_nxt - t->snd_una;

	if (t->recovery != TCP_LOSS || seq_geq(t->snd_una, t->recover)) {
		t->frto = FRTO_OFF;
		return false;
	}
	if (t->frto == FRTO_NEW) {
		t->frto = FRTO_OFF;
		return a->original; /* step 3 */
	}
	/* Step 2: only where it advances, and there is something new that may go. */
	if (t->frto != FRTO_SENT)
		return false;
	if (a->acked && tcp_unsent(t) >= t->mss && sat_sub_u32(t->snd_wnd, used) >= t->mss) {
		t->frto = FRTO_NEW;
		t->cwnd = max_u32(t->cwnd, tcp_pipe(t) + 2 * t->mss);
	} else {
		t->frto = FRTO_OFF;
	}
	return false;
}

/* RFC 6937 3, with the bound of its successor: slow start only where nothing more was lost. */
static void reduce(struct tcp *t, const struct ack *a)
{
	uint32_t pipe = tcp_pipe(t);
	uint32_t send;

	t->prr_delivered = sat_add_u32(t->prr_delivered, a->delivered);
	if (pipe > t->ssthresh) {
		uint64_t due = ((uint64_t)t->prr_delivered * t->ssthresh + t->prr_start - 1) /
			       t->prr_start;

		send = (uint32_t)min_u64(sat_sub_u64(due, t->prr_out), UINT32_MAX / 4);
	} else {
		/* What has left may be replaced, whatever was sent before. */
		send = max_u32(sat_sub_u32(t->prr_delivered, t->prr_out), a->delivered);
		if (a->acked && !a->lost)
			send += t->mss;
		send = min_u32(t->ssthresh - pipe, send);
	}
	/* The first retransmission goes at once; without SACK the next at each partial ACK (RFC
	 * 6582 3.2). */
	if (t->prr_out == 0 || (!t->sack_ok && a->acked))
		send = max_u32(send, t->mss);
	t->cwnd = min_u32(pipe + send, TCP_CWND_MAX);
}

/* RFC 6582: without SACK, each third duplicate, and each partial ACK, says that the first is lost.
 */
static void detect_without_sack(struct engine *e, struct tcp *t, struct ack *a)
{
	struct tcp_seg *s = seg_first(e, t);

	if (t->sack_ok || !s || (s->flags & (SEG_LOST | SEG_RETRANS)))
		return;
	if ((t->recovery == TCP_OPEN && t->dupacks >= TCP_DUPTHRESH &&
	     /* 3.2, step 2: not for duplicates that our own retransmissions made. */
	     seq_gt(t->snd_una, t->recover)) ||
	    (t->recovery == TCP_RECOVERY && a->acked)) {
		seg_mark_lost(e, t, s);
		a->lost = true;
	}
}

void recovery_ack(struct engine *e, struct tcp *t, const struct ack *ack)
{
	struct ack a = *ack;

	if (t->recovery != TCP_OPEN && was_mistaken(t, &a)) {
		undo(e, t);
		return;
	}
	if (t->frto != FRTO_OFF && judge_timeout(t, &a)) {
		undo(e, t);
		return;
	}
	if (t->recovery != TCP_OPEN && seq_geq(t->snd_una, t->recover)) {
		if (t->recovery == TCP_RECOVERY)
			t->cwnd = max_u32(t->ssthresh, 2 * t->mss);
		t->recovery = TCP_OPEN;
		t->cwnd_acked = 0;
		rack_recovered(t);
		/* What the last ACK echoed may still say that it was a mistake; later ones cannot.
		 */
		if (!a.dsack)
			t->undo_ok = t->undo_ok && t->sack_ok;
	} else if (t->recovery == TCP_OPEN && t->undo_ok && was_mistaken(t, &a)) {
		undo(e, t);
	}
	detect_without_sack(e, t, &a);
	if (rack_detect(e, t))
		a.lost = true;
	/* What waits because the path or the peer refused it is no sign of congestion. */
	if (!t->wait_bytes)
		t->refused = false;
	if (t->recovery == TCP_OPEN && t->wait_bytes && (a.lost || !t->refused))
		recovery_enter(e, t);
	if (t->recovery == TCP_RECOVERY)
		reduce(t, &a);
}

struct tcp_seg *recovery_rescue(const struct engine *e, const struct tcp *t)
{
	struct tcp_seg *s;

	if (!t->sack_ok || t->recovery != TCP_RECOVERY || t->rescued || t->wait_bytes ||
	    tcp_pipe(t) + t->mss > t->cwnd)
		return NULL;
	/* The last that has not been SACKed: what it brings says what became of the others. */
	s = seg_last(e, t);
	while (s && (s->flags & SEG_SACKED))
		s = seg_previous(e, s);
	return s && !(s->flags & SEG_RETRANS) ? s : NULL;
}

void recovery_probe_lost(struct engine *e, struct tcp *t)
{
	if (t->recovery != TCP_OPEN)
		return;
	/* RFC 8985 7.4.2: as if it had been found and repaired by recovery. */
	t->ssthresh = cc_of(t)->ssthresh(e, t);
	t->cwnd = max_u32(t->ssthresh, 2 * t->mss);
	t->undo_ok = false;
}
