// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_timer.c - A connection's timers. Each has its time in the connection; the
 * wheel has one timer for all of them, set at or before the earliest: one that
 * is put off, as that of retransmission is by every ACK, is not moved there but
 * found to be early when it fires.
 */
#include <errno.h>

#include "engine/tcp_parts.h"

void timer_set(struct engine *e, struct tcp *t, enum tcp_timer which, uint64_t due_ns)
{
	uint32_t i = TCP_INDEX(e, t);

	t->timer_ns[which] = due_ns ? due_ns : 1;
	if (wheel_due_ns(e->timer, i) > due_ns)
		wheel_set(&e->s->wheel, e->timer, i, due_ns);
}

void timer_cancel(struct tcp *t, enum tcp_timer which)
{
	t->timer_ns[which] = 0;
}

void rtt_sample(const struct engine *e, struct tcp *t, uint32_t rtt_us)
{
	uint32_t err;

	rtt_us = max_u32(1, min_u32(rtt_us, TCP_RTO_MAX_US));
	if (rtt_us <= t->min_rtt_us || t->min_rtt_us == 0 ||
	    e->s->now_ns - t->min_rtt_ns > 300 * NS_SEC) {
		t->min_rtt_us = rtt_us;
		t->min_rtt_ns = e->s->now_ns;
	}
	if (t->srtt_us == 0) {
		t->srtt_us = rtt_us; /* (2.2) */
		t->rttvar_us = rtt_us / 2;
	} else {
		err = rtt_us > t->srtt_us ? rtt_us - t->srtt_us : t->srtt_us - rtt_us;
		t->rttvar_us = (3 * t->rttvar_us + err) / 4; /* (2.3) */
		t->srtt_us = (uint32_t)((7ull * t->srtt_us + rtt_us) / 8);
	}
	/* (2.3), (2.4): with a floor below RFC 6298's second, as all do; the wheel is far finer
	 * than G. The floor is one of the variation: an even path's ACK may be delayed as long as
	 * any other's. */
	t->rto_us = t->srtt_us + max_u32(TCP_RTO_MIN_US, 4 * t->rttvar_us);
	t->rto_us = min_u32(t->rto_us, TCP_RTO_MAX_US);
}

uint64_t rto_ns(const struct tcp *t)
{
	uint64_t us = (uint64_t)t->rto_us << min_u32(t->backoff, 16);

	return NS_USEC * min_u64(us, TCP_RTO_MAX_US);
}

void rto_arm(struct engine *e, struct tcp *t)
{
	timer_set(e, t, TCP_TIMER_RTO, e->s->now_ns + rto_ns(t));
}

void keep_arm(struct engine *e, struct tcp *t)
{
	uint64_t s = t->keep_probes ? t->keep_interval_s : t->keep_idle_s;

	if (t->keepalive && t->state >= TCP_ESTABLISHED && t->state != TCP_TIME_WAIT)
		timer_set(e, t, TCP_TIMER_KEEP, e->s->now_ns + s * NS_SEC);
	else
		timer_cancel(t, TCP_TIMER_KEEP);
}

/* RFC 9293 3.8.3: R2, or the user's time (RFC 793's USER TIMEOUT), is reached. */
static bool is_hopeless(const struct engine *e, const struct tcp *t)
{
	uint64_t limit_ns = NS_MSEC * (uint64_t)t->user_timeout_ms;

	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED) {
		if (!limit_ns)
			return t->unheard > TCP_SYN_RETRIES;
	} else if (!limit_ns) {
		/* Nobody is left who could close it: sooner. */
		return t->unheard > (t->sock == NIL && t->listener == NIL ? 8 : TCP_RETRIES);
	}
	return t->stalled_ns && e->s->now_ns - t->stalled_ns >= limit_ns;
}

/* RFC 8985 7.2: the loss probe is due as well, and comes first. */
static bool probe_is_due(const struct engine *e, const struct tcp *t)
{
	uint64_t due = t->timer_ns[TCP_TIMER_PROBE];

	return due && due <= e->s->now_ns && t->recovery == TCP_OPEN && t->sent.head != NIL;
}

void timer_not_sent(struct engine *e, struct tcp *t, int error)
{
	t->soft_error = error;
	/* What is in flight has its timeouts counted; what never got there has these. */
	if (t->sent.head == NIL) {
		if (!t->stalled_ns)
			t->stalled_ns = e->s->now_ns;
		if (t->unheard < UINT8_MAX)
			t->unheard++;
		if (t->backoff < 16)
			t->backoff++;
		if (is_hopeless(e, t)) {
			tcp_done(e, t, error);
			return;
		}
	}
	if (!t->timer_ns[TCP_TIMER_RTO])
		rto_arm(e, t);
}

static void fire_rto(struct engine *e, struct tcp *t)
{
	if (t->sent.head == NIL && (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED)) {
		/* Its SYN has not gone at all: there was no room in the book, or no way there. */
		tcp_wake(e, t);
		return;
	}
	if (t->sent.head == NIL && tcp_unsent(t) == 0 && !(t->fin_wanted && !t->fin_sent))
		return;
	if (t->snd_wnd && t->sent.head == NIL) {
		/* The window is open, but small, or data are held back: long enough. */
		t->force = true;
		t->snd_push = t->snd_tail;
		tcp_wake(e, t);
		return;
	}
	if (probe_is_due(e, t)) {
		rto_arm(e, t);
		return;
	}
	if (!t->stalled_ns)
		t->stalled_ns = e->s->now_ns;
	if (t->unheard < UINT8_MAX)
		t->unheard++;
	/* RFC 5927 5.2: it was sent again several times since; the error was no forgery. */
	if (t->hard_error && t->unheard > TCP_R1) {
		tcp_done(e, t, t->hard_error);
		return;
	}
	if (is_hopeless(e, t)) {
		tcp_done(e, t, t->soft_error ? t->soft_error : ETIMEDOUT);
		return;
	}
	if (t->unheard >= TCP_R1 && t->snd_wnd && t->state >= TCP_ESTABLISHED)
		tcp_black_hole(e, t);
	if (t->said_bytes && t->snd_wnd) {
		tcp_too_long(e, t, t->said_bytes, t->said_mtu);
		t->said_bytes = 0;
	}
	if (t->backoff < 16)
		t->backoff++; /* RFC 6298 5.5 */
	t->rto_pending = true;
	if (t->state >= TCP_ESTABLISHED && t->snd_wnd == 0) {
		t->persist = true; /* a probe: says nothing about congestion */
	} else {
		t->rtos++;
		COUNT(e, TCP_RTO);
		if (t->state >= TCP_ESTABLISHED)
			recovery_timeout(e, t);
		else if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED)
			t->cwnd = t->mss;
		/* R1 (RFC 9293 3.8.3, SHLD-9); RFC 1191 6.3: the way may be another one. */
		if (t->unheard == TCP_R1) {
			tcp_tell(e, t, ENGINE_STALLED);
			(void)tcp_route(e, t);
		}
	}
	rto_arm(e, t);
	tcp_wake(e, t);
}

static void fire_keep(struct engine *e, struct tcp *t)
{
	uint64_t due = t->heard_ns + NS_SEC * (uint64_t)t->keep_idle_s;

	if (!t->keepalive || t->sent.head != NIL)
		return keep_arm(e, t);
	if (t->keep_probes == 0 && due > e->s->now_ns) {
		timer_set(e, t, TCP_TIMER_KEEP, due);
		return;
	}
	/* RFC 9293 3.8.4, MUST-26: not for one that is unanswered. */
	if (t->keep_probes >= t->keep_count) {
		tcp_send_rst(e, t);
		tcp_done(e, t, t->soft_error ? t->soft_error : ETIMEDOUT);
		return;
	}
	t->keep_probes++;
	t->keep_pending = true;
	keep_arm(e, t);
	tcp_wake(e, t);
}

static void fire(struct engine *e, struct tcp *t, enum tcp_timer which)
{
	switch (which) {
	case TCP_TIMER_RTO:
		fire_rto(e, t);
		break;
	case TCP_TIMER_PROBE:
		if (t->recovery == TCP_OPEN && t->sent.head != NIL) {
			t->probe_pending = true;
			tcp_wake(e, t);
		}
		break;
	case TCP_TIMER_REORDER:
		if (rack_detect(e, t) && t->recovery == TCP_OPEN)
			recovery_enter(e, t);
		if (t->recovery == TCP_RECOVERY)
			recovery_ack(e, t, &(struct ack){.lost = true});
		tcp_wake(e, t);
		break;
	case TCP_TIMER_DELACK:
		t->ack_now = true;
		tcp_wake(e, t);
		break;
	case TCP_TIMER_PACE:
		tcp_wake(e, t);
		break;
	case TCP_TIMER_ROOM:
		if (t->want_write)
			tcp_tell(e, t, ENGINE_WRITABLE);
		t->want_write = false;
		break;
	case TCP_TIMER_KEEP:
		fire_keep(e, t);
		break;
	case TCP_TIMER_END:
		tcp_done(e, t, 0);
		break;
	default:
		break;
	}
}

void tcp_timer(struct engine *e, uint32_t index)
{
	struct tcp *t = &e->tcp[index];
	uint32_t gen = t->head.gen;
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < TCP_TIMERS; i++) {
		uint64_t due = t->timer_ns[i];

		if (!due || due > e->s->now_ns)
			continue;
		t->timer_ns[i] = 0;
		fire(e, t, (enum tcp_timer)i);
		if (t->head.gen != gen || t->state == TCP_CLOSED)
			return;
	}
	for (unsigned i = 0; i < TCP_TIMERS; i++) {
		if (t->timer_ns[i])
			next = min_u64(next, t->timer_ns[i]);
	}
	if (next != UINT64_MAX)
		wheel_set(&e->s->wheel, e->timer, index, next);
}
