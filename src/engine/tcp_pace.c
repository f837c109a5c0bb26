// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_pace.c - Pacing: data go at a rate, not as fast as the windows allow.
 *
 * The rate is the lower of what the user allows (SO_MAX_PACING_RATE) and what the
 * congestion control asks for, if it does. After a segment the next one has to wait
 * for as long as this one takes at that rate; what was not used is kept for
 * PACE_CREDIT_NS, since timers are no finer than the wheel's tick. Timeouts and
 * probes do not wait, nor do segments without data.
 */
#include "engine/tcp_parts.h"

#define PACE_CREDIT_NS NS_MSEC

uint64_t pace_rate(const struct tcp *t)
{
	uint64_t rate = t->pacing_max;

	if (cc_of(t)->pacing)
		rate = min_u64(rate, cc_of(t)->pacing(t));
	return rate < PACE_NONE ? max_u64(rate, 1) : PACE_NONE;
}

bool pace_holds(const struct engine *e, struct tcp *t)
{
	if (t->pace_ns <= e->s->now_ns)
		return false;
	t->paced = true;
	return true;
}

void pace_sent(const struct engine *e, struct tcp *t, uint32_t bytes)
{
	uint64_t rate = pace_rate(t);

	if (rate == PACE_NONE)
		return;
	t->pace_ns = max_u64(t->pace_ns, sat_sub_u64(e->s->now_ns, PACE_CREDIT_NS));
	t->pace_ns += bytes * NS_SEC / rate;
}

bool pace_rest(struct engine *e, struct tcp *t)
{
	if (!t->paced)
		return false;
	timer_set(e, t, TCP_TIMER_PACE, t->pace_ns);
	t->paced = false;
	return true;
}
