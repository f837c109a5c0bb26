// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/wheel.h"

#define TIMERS 200u
#define TICK (1ull << WHEEL_TICK_SHIFT)

static struct wheel w;
static struct timer table[TIMERS];
static uint64_t due[TIMERS]; /* what a plain list would know; UINT64_MAX: not set */

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 20) % below;
}

static void init(uint64_t now)
{
	wheel_init(&w, now);
	for (uint32_t i = 0; i < TIMERS; i++) {
		wheel_timer_init(&table[i]);
		due[i] = UINT64_MAX;
	}
}

static void wheel_pop__never_early_and_a_tick_late_at_most(void **state)
{
	uint64_t now = 12345678901ull;

	(void)state;
	seed = 1;
	init(now);
	for (unsigned round = 0; round < 20000; round++) {
		uint32_t id = (uint32_t)rnd(TIMERS);
		uint32_t fired;
		uint64_t first = UINT64_MAX;

		if (rnd(3)) {
			due[id] = now + rnd(1ull << (10 + rnd(40)));
			wheel_set(&w, table, id, due[id]);
		} else {
			due[id] = UINT64_MAX;
			wheel_cancel(&w, table, id);
		}
		for (uint32_t i = 0; i < TIMERS; i++)
			first = due[i] < first ? due[i] : first;
		/* It may ask to be called early, never after the first one is due by more than a
		 * tick. */
		assert_true(wheel_next_ns(&w) <= first || wheel_next_ns(&w) - first < TICK);
		now += rnd(1ull << rnd(36));
		while ((fired = wheel_pop(&w, table, now)) != NIL) {
			assert_true(due[fired] <= now);
			due[fired] = UINT64_MAX;
		}
		for (uint32_t i = 0; i < TIMERS; i++)
			assert_true(due[i] == UINT64_MAX || due[i] + TICK > now);
	}
}

static void wheel_set__the_past_fires_at_once(void **state)
{
	(void)state;
	init(1000 * TICK);
	wheel_set(&w, table, 3, 5 * TICK);
	assert_true(wheel_next_ns(&w) <= 1000 * TICK);
	assert_int_equal(wheel_pop(&w, table, 1000 * TICK), 3);
	assert_int_equal(wheel_pop(&w, table, 1000 * TICK), NIL);
	assert_true(wheel_next_ns(&w) == UINT64_MAX);
	assert_int_equal(w.set, 0);
}

static void wheel_set__beyond_its_span(void **state)
{
	(void)state;
	init(0);
	wheel_set(&w, table, 1, UINT64_MAX - 1);
	assert_int_equal(wheel_pop(&w, table, (WHEEL_SPAN_TICKS - 2) * TICK), NIL);
	assert_int_equal(wheel_pop(&w, table, (WHEEL_SPAN_TICKS + 1) * TICK), 1);
}

static void wheel_cancel__what_is_not_set(void **state)
{
	(void)state;
	init(0);
	wheel_cancel(&w, table, 1);
	wheel_set(&w, table, 1, TICK);
	wheel_cancel(&w, table, 1);
	wheel_cancel(&w, table, 1);
	assert_int_equal(w.set, 0);
	assert_int_equal(wheel_pop(&w, table, 100 * TICK), NIL);
}

static void wheel_next_ns__time_that_passes_costs_nothing(void **state)
{
	(void)state;
	init(0);
	/* An hour ahead: a handful of wake-ups on the way down the wheels, not one a tick. */
	wheel_set(&w, table, 1, 3600ull * 1000000000u);
	for (unsigned wakes = 0;; wakes++) {
		assert_true(wakes < 6);
		if (wheel_pop(&w, table, wheel_next_ns(&w)) == 1)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wheel_pop__never_early_and_a_tick_late_at_most),
		cmocka_unit_test(wheel_set__the_past_fires_at_once),
		cmocka_unit_test(wheel_set__beyond_its_span),
		cmocka_unit_test(wheel_cancel__what_is_not_set),
		cmocka_unit_test(wheel_next_ns__time_that_passes_costs_nothing),
	};

	return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
