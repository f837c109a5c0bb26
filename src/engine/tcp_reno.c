// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_reno.c - The standard (RFC 5681, RFC 6582): a segment a round trip more,
 * half of it after a loss.
 */
#include "engine/tcp_parts.h"

static uint32_t reno_ssthresh(struct engine *e, struct tcp *t)
{
	(void)e;
	/* RFC 5681, equation 4: of what is in flight, not of cwnd. */
	return max_u32(min_u32(t->cwnd, max_u32(t->out_bytes, t->mss)) / 2, 2 * t->mss);
}

static void reno_grow(struct engine *e, struct tcp *t, uint32_t acked)
{
	(void)e;
	/* RFC 5681 3.1, RFC 3465 2.1: once a window is acknowledged, a segment more. */
	t->cwnd_acked = sat_add_u32(t->cwnd_acked, acked);
	if (t->cwnd_acked >= t->cwnd) {
		t->cwnd_acked -= t->cwnd;
		t->cwnd += t->mss;
	}
}

static void reno_undo(struct engine *e, struct tcp *t)
{
	(void)e;
	t->cwnd_acked = 0;
}

const struct tcp_cc tcp_reno = {
	.name = "reno",
	.ssthresh = reno_ssthresh,
	.grow = reno_grow,
	.undo = reno_undo,
};
