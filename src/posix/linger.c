/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/futex.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/linger.h"
#include "posix/section.h"

#define SLICE_NS (20 * NS_PER_MS) /* a peer that moves tells nobody who is closed, */
#define SHARED_SLICE_NS (5 * NS_PER_MS) /* and here nobody rings at all */

bool linger_is_due(struct sock *s)
{
	return s->closing && s->linger > 0 && load_relaxed(&s->stage) == SOCK_OPEN &&
	       s->conn.peer && (conn_undelivered(&s->conn) > 0 || conn_is_wire(&s->conn));
}

/**
 * struct linger_call - One close() that waits.
 * @handled: section_state.handled when it began.
 */
struct linger_call {
	struct sock *s;
	bool shared;
	void (*give_up)(struct asleep *a);
	uint32_t handled;
};

/* A sleep on the peer's word, outside the section. Return: false where a handler ran. */
static bool nap(const struct linger_call *c, uint32_t event, uint64_t until)
{
	struct timespec t = clock_timespec(until);
	long args[6] = { (long)&c->s->conn.peer->event, FUTEX_WAIT_BITSET, (long)event, (long)&t,
			 0, (long)FUTEX_BITSET_MATCH_ANY };
	unsigned index = asleep_begin(&(struct asleep){ .give_up = c->give_up,
							.obj = &c->s->obj, .what = c->shared });
	long r;

	section_leave();
	r = section_sleep(SYS_futex, args, &section_state.handled, c->handled);
	section_enter();
	asleep_end(index);
	return r != -EINTR;
}

void linger_begin(struct sock *s)
{
	store_release(&s->half->closer, (uint32_t)sys0(SYS_gettid));
}

/* Has the executor ended it, and did nobody close it after us? Else somebody has it,
 * or waits in our place. */
static bool was_last(const struct sock *s)
{
	uint64_t gs = load_acquire(&s->half->gen_state);

	return ((uint32_t)(gs >> 32) != s->gen || (uint32_t)gs >= HALF_CLOSED) &&
	       load_acquire(&s->half->closer) == (uint32_t)sys0(SYS_gettid);
}

void linger_wait(struct sock *s, bool shared, void (*give_up)(struct asleep *a))
{
	const struct linger_call call = { s, shared, give_up, section_state.handled };
	uint64_t end = clock_now_ns() + (uint64_t)s->linger * (uint64_t)NS_PER_SEC, now;
	uint64_t slice = shared ? SHARED_SLICE_NS : SLICE_NS;
	bool over = shared && !was_last(s);

	while (!over && (now = clock_now_ns()) < end) {
		uint32_t event = load_acquire(&s->conn.peer->event);

		/* What the executor has ended may be another's soon: it is not written to. */
		if (!shared) {
			conn_want_delivery(&s->conn);
			conn_follow(&s->conn);
		}
		over = half_gen(s->half) != s->gen || conn_is_acknowledged(&s->conn) ||
		       !nap(&call, event, now + slice < end ? now + slice : end);
		if (!shared)
			conn_unwant_futex(&s->conn, NOTIFY_SPACE);
	}
}
