// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_cc.c - What all congestion controls share: the initial window, slow
 * start, and when a window may grow at all.
 */
#include "engine/tcp_parts.h"

const struct tcp_cc *cc_of(const struct tcp *t)
{
	static const struct tcp_cc *const table[ENGINE_CCS] = {
		[ENGINE_CUBIC] = &tcp_cubic,
		[ENGINE_RENO] = &tcp_reno,
	};

	return table[t->cc < ENGINE_CCS ? t->cc : ENGINE_CUBIC];
}

uint32_t cc_initial_window(uint32_t mss)
{
	/* RFC 6928 2 */
	return min_u32(10 * mss, max_u32(2 * mss, 14600));
}

void cc_start(struct tcp *t)
{
	t->cwnd = cc_initial_window(t->mss);
	/* RFC 5681 3.1: arbitrarily high. */
	t->ssthresh = TCP_CWND_MAX;
	hystart_reset(t);
}

void cc_acked(struct engine *e, struct tcp *t, const struct ack *a)
{
	/* Not for what SACK, or a duplicate, had told of before: that has left the pipe long ago,
	 * and its room is used; counted once more it would be sent as a burst. */
	uint32_t acked = min_u32(sat_sub_u32(a->acked, a->told), a->delivered);

	/* RFC 5682 2.1, step 2b: two new segments, not more. */
	if (!acked || t->recovery == TCP_RECOVERY || t->frto == FRTO_NEW)
		return;
	/* RFC 7661 4.1: a window that is not used says nothing about the path. Slow start doubles
	 * what is. */
	if (t->recovery == TCP_OPEN &&
	    !(t->cwnd < t->ssthresh ? t->cwnd / 2 < t->used : t->cwnd_limited))
		return;
	if (t->cwnd < t->ssthresh) {
		uint32_t room = t->ssthresh - t->cwnd;
		uint32_t grow = t->recovery == TCP_OPEN ? hystart_ack(t, acked, a->rtt_us)
							: min_u32(acked, t->mss);

		/* RFC 5681 3.1, RFC 3465; after a timeout at most one segment an ACK. */
		grow = min_u32(grow, room);
		t->cwnd = min_u32(sat_add_u32(t->cwnd, grow), TCP_CWND_MAX);
		return;
	}
	cc_of(t)->grow(e, t, acked);
	t->cwnd = min_u32(t->cwnd, TCP_CWND_MAX);
}

void cc_idle(const struct engine *e, struct tcp *t)
{
	/* RFC 5681 4.1: nothing sent for longer than the timeout. */
	if (t->out_bytes == 0 && t->sent_ns && t->recovery == TCP_OPEN &&
	    e->s->now_ns - t->sent_ns > rto_ns(t))
		t->cwnd = min_u32(t->cwnd, cc_initial_window(t->mss));
}
