// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_cubic.c - CUBIC (RFC 9438): the window grows with the cube of the time
 * since the last loss, slowly around the size at which that happened.
 *
 * In integers: windows in octets, times in milliseconds; C = 0.4 segments a
 * cubic second, beta = 0.7.
 */
#include "engine/tcp_parts.h"

#define BETA_10 7u /* tenths */

/* The largest r with r^3 <= v. */
static uint64_t cube_root(uint64_t v)
{
	uint64_t r = 0;

	for (int bit = 21; bit >= 0; bit--) {
		uint64_t more = r | 1ull << bit;

		if ((unsigned __int128)more * more * more <= v)
			r = more;
	}
	return r;
}

static uint32_t cubic_ssthresh(struct engine *e, struct tcp *t)
{
	struct cubic *c = &t->cubic;
	uint32_t used = min_u32(t->cwnd, max_u32(t->out_bytes, t->mss));

	(void)e;
	c->prior_w_max = c->w_max;
	/* 4.7: fast convergence. */
	c->w_max =
		t->cwnd < c->w_max ? (uint32_t)((uint64_t)t->cwnd * (10 + BETA_10) / 20) : t->cwnd;
	c->epoch_ns = 0;
	/* 4.6 */
	return max_u32((uint32_t)((uint64_t)used * BETA_10 / 10), 2 * t->mss);
}

static void begin_epoch(const struct engine *e, struct tcp *t)
{
	struct cubic *c = &t->cubic;
	uint64_t gap;

	c->epoch_ns = e->s->now_ns;
	c->w_epoch = t->cwnd;
	c->w_est = t->cwnd;
	c->est_acked = 0;
	if (c->w_max < t->cwnd) {
		c->w_max = t->cwnd;
		c->k_ns = 0;
		return;
	}
	/* 4.2: K = cubic root of (W_max - cwnd_epoch) / C; in ms, so 10^9 * 10 / 4. */
	gap = (uint64_t)(c->w_max - t->cwnd) * 2500000000ull / t->mss;
	c->k_ns = cube_root(gap) * NS_MSEC;
}

/* 4.2, equation 1: the window at @at_ns after the epoch began. */
static uint64_t w_cubic(const struct tcp *t, uint64_t at_ns)
{
	const struct cubic *c = &t->cubic;
	uint64_t ms = (at_ns > c->k_ns ? at_ns - c->k_ns : c->k_ns - at_ns) / NS_MSEC;
	unsigned __int128 by;

	ms = min_u64(ms, 1u << 20); /* 17 minutes: as high as there are windows */
	by = (unsigned __int128)ms * ms * ms * t->mss * 4 / 10 / 1000000000u;
	if (by > TCP_CWND_MAX)
		by = TCP_CWND_MAX;
	if (at_ns >= c->k_ns)
		return c->w_max + (uint64_t)by;
	return sat_sub_u64(c->w_max, (uint64_t)by);
}

static void cubic_grow(struct engine *e, struct tcp *t, uint32_t acked)
{
	struct cubic *c = &t->cubic;
	uint64_t target;
	uint64_t add;

	if (c->epoch_ns == 0)
		begin_epoch(e, t);
	/* 4.3: as fast as Reno at least; alpha = 3 (1 - beta) / (1 + beta) = 9/17 until W_max,
	 * then 1. */
	c->est_acked = sat_add_u32(c->est_acked, acked);
	if (c->est_acked >= t->cwnd) {
		c->est_acked -= t->cwnd;
		c->w_est += c->w_est < c->w_max ? t->mss * 9 / 17 : t->mss;
	}
	target = w_cubic(t, e->s->now_ns - c->epoch_ns + NS_USEC * (uint64_t)t->srtt_us);
	/* 4.2: between cwnd and 1.5 cwnd, a round trip ahead. */
	target = max_u64(target, t->cwnd);
	target = min_u64(target, (uint64_t)t->cwnd + t->cwnd / 2);
	add = muldiv_u64(target - t->cwnd, acked, t->cwnd);
	/* What is less than an octet an ACK is saved up. */
	t->cwnd_acked += (uint32_t)((target - t->cwnd) * acked % t->cwnd * 1024 / t->cwnd);
	add += t->cwnd_acked / 1024;
	t->cwnd_acked %= 1024;
	t->cwnd = (uint32_t)min_u64(t->cwnd + add, TCP_CWND_MAX);
	if (t->cwnd < c->w_est)
		t->cwnd = c->w_est;
}

static void cubic_undo(struct engine *e, struct tcp *t)
{
	(void)e;
	t->cubic.w_max = max_u32(t->cubic.w_max, t->cubic.prior_w_max);
	t->cubic.epoch_ns = 0;
	t->cwnd_acked = 0;
}

static void cubic_timeout(struct engine *e, struct tcp *t)
{
	(void)e;
	t->cubic.epoch_ns = 0; /* 4.8 */
}

const struct tcp_cc tcp_cubic = {
	.name = "cubic",
	.ssthresh = cubic_ssthresh,
	.grow = cubic_grow,
	.undo = cubic_undo,
	.timeout = cubic_timeout,
};
