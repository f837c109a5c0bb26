/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait.c - Sleeping until one socket is ready: blocking accept().
 */
#include <errno.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/asleep.h"
#include "posix/dgram.h"
#include "posix/due.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/watch.h"

#define SPIN_LOOKS 32u /* looks between two at the clock */

/** struct awaited - @events of @s. */
struct awaited {
	struct sock *s;
	uint32_t events;
};

static bool is_there(void *arg)
{
	const struct awaited *a = arg;

	return sock_poll(a->s) & a->events;
}

static bool sock_spin(struct sock *s, uint32_t events)
{
	struct awaited a = { s, events };
	uint64_t now, until;
	uint32_t cpu;

	if (process.spin_ns == 0 || s->foreign)
		return false;
	cpu = s->dgram ? load_relaxed(&s->dgram->peer_cpu) :
	      s->conn.peer ? load_relaxed(&s->conn.peer->cpu) : 0;
	if (s->dgram)
		store_relaxed(&s->half->cpu, spin_cpu());
	if (spin_same_cpu(cpu)) {
		if (spin_yield(is_there, &a))
			return true;
		if (cpu)
			return false;
	}
	now = clock_now_ns();
	until = spin_until_ns(&s->spin, process.spin_ns, now);
	while (now < until && !section_state.pending) {
		for (unsigned i = 0; i < SPIN_LOOKS; i++) {
			if (is_there(&a)) {
				spin_found(&s->spin);
				return true;
			}
			cpu_relax();
		}
		now = clock_now_ns();
	}
	spin_failed(&s->spin, until, now);
	return false;
}

static long wait_sleep(struct pollfd *fds, unsigned n, uint64_t until_ns, const uint32_t *counter,
		       uint32_t seen)
{
	uint64_t now = until_ns ? clock_now_ns() : 0;
	struct timespec t = clock_timespec(until_ns > now ? until_ns - now : 0);
	long args[6] = { (long)fds, n, until_ns ? (long)&t : 0, 0, 8, 0 };
	long ret;

	section_leave();
	ret = section_sleep(SYS_ppoll, args, counter, seen);
	section_enter();
	return ret;
}

static void wait_give_up(struct asleep *a)
{
	waiter_sleep_end(a->rung, a->generation);
	waiter_call_put(a->waiter);
	fdtab_put(a->obj);
}

int wait_sock(struct sock *s, uint32_t events, uint64_t deadline_ns, const uint32_t *counter,
	      uint32_t seen)
{
	struct pollfd fds[BELL_MAX + 2];
	uint64_t slice = SLICE_MIN_NS;
	struct waiter *r;
	struct watch *w;
	int ret = 0;

	if (sock_spin(s, events))
		return 0;
	r = waiter_call_get();
	if (!r)
		return -ENOMEM;
	waiter_bell_get(r);
	watch_lock();
	w = watch_add(r, &s->obj, -1, events);
	if (w)
		waiter_add_bells(r, watch_bell(w));
	watch_unlock();
	if (!w)
		ret = -ENOMEM;
	while (ret == 0) {
		uint32_t rung = waiter_sleep_begin(r), generation = r->generation;
		uint64_t until = deadline_ns;
		int shadow = sock_shadow(s);
		unsigned n = 0, index;
		bool over;
		long got;

		watch_lock();
		watch_take_hints(r);
		over = w->moved || watch_look(w);
		if (!over) {
			n = waiter_pollfds(r, fds);
			r->sleeping++;
		}
		watch_unlock();
		if (over) {
			waiter_sleep_end(rung, generation);
			break;
		}
		if (shadow >= 0 && events & POLLIN)
			fds[n] = (struct pollfd){ .fd = shadow, .events = POLLIN };
		else
			shadow = -1;
		fds[n + (shadow >= 0)] = (struct pollfd){ .fd = s->bell_fd, .events = POLLIN };
		if (waiter_in_slices(r)) {
			uint64_t end = clock_now_ns() + slice;

			until = !deadline_ns || end < deadline_ns ? end : deadline_ns;
			slice = slice * 2 < SLICE_MAX_NS ? slice * 2 : SLICE_MAX_NS;
		}
		until = due_cap(until);
		index = asleep_begin(&(struct asleep){ .give_up = wait_give_up, .obj = &s->obj,
						       .waiter = r, .rung = rung,
						       .generation = generation });
		got = wait_sleep(fds, n + (shadow >= 0) + 1, until, counter, seen);
		asleep_end(index);
		waiter_sleep_end(rung, generation);
		if (generation != watch_generation)
			break; /* A handler forked, and this is the child. */
		watch_lock();
		waiter_awake(r);
		if (got > 0)
			waiter_heard(r, fds, n);
		watch_take_hints(r);
		over = w->moved || watch_look(w);
		watch_unlock();
		if (over || (got > 0 && shadow >= 0 && fds[n].revents))
			break;
		if (got < 0)
			ret = (int)got;
		else if (got == 0 && deadline_ns && clock_now_ns() >= deadline_ns)
			ret = -ETIMEDOUT;
	}
	waiter_call_put(r);
	return ret;
}
