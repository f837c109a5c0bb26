// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_hystart.c - HyStart++ (RFC 9406): slow start ends when round trips get
 * longer, not only when something is lost.
 */
#include "engine/tcp_parts.h"

#define MIN_RTT_THRESH_US 4000u
#define MAX_RTT_THRESH_US 16000u
#define N_RTT_SAMPLE 8u
#define CSS_GROWTH_DIVISOR 4u
#define CSS_ROUNDS 5u

void hystart_reset(struct tcp *t)
{
	t->hystart = (struct hystart){
		.round_end = t->snd_nxt, .last_min_us = UINT32_MAX, .min_us = UINT32_MAX};
}

static void next_round(struct tcp *t)
{
	struct hystart *h = &t->hystart;

	h->last_min_us = h->min_us;
	h->min_us = UINT32_MAX;
	h->samples = 0;
	h->round_end = t->snd_nxt;
	if (h->css && ++h->css_rounds >= CSS_ROUNDS)
		t->ssthresh = t->cwnd; /* 4.2: congestion avoidance */
}

uint32_t hystart_ack(struct tcp *t, uint32_t acked, uint32_t rtt_us)
{
	struct hystart *h = &t->hystart;
	uint32_t thresh;

	if (seq_geq(t->snd_una, h->round_end))
		next_round(t);
	if (rtt_us) {
		h->min_us = min_u32(h->min_us, rtt_us);
		h->samples = (uint16_t)min_u32(h->samples + 1u, UINT16_MAX);
	}
	if (h->samples >= N_RTT_SAMPLE && h->last_min_us != UINT32_MAX) {
		thresh = max_u32(MIN_RTT_THRESH_US, min_u32(h->last_min_us / 8, MAX_RTT_THRESH_US));
		if (!h->css && h->min_us >= sat_add_u32(h->last_min_us, thresh)) {
			h->css = 1;
			h->css_rounds = 0;
		} else if (h->css && h->min_us < h->last_min_us) {
			h->css = 0; /* it was no congestion */
		}
	}
	/* L = 8 without pacing (4.3). */
	acked = min_u32(acked, 8 * t->mss);
	return h->css ? acked / CSS_GROWTH_DIVISOR : acked;
}
