/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "shm/spin.h"

#define MAX_NS (64 * NS_PER_US)
#define LATER_NS (10 * NS_PER_SEC) /* whatever was seen is forgotten */

/** struct looks - A look that is called for the @calls th time says yes at @found_at. */
struct looks {
	unsigned calls, found_at;
	struct timespec takes;
};

static bool look(void *arg)
{
	struct looks *l = arg;

	nanosleep(&l->takes, NULL);
	return ++l->calls == l->found_at;
}

static void halves_with_each_failure(void **state)
{
	uint64_t now = clock_now_ns() + LATER_NS;
	struct spin sp = {0};

	(void)state;
	assert_int_equal(spin_until_ns(&sp, MAX_NS, now), now + MAX_NS);
	spin_failed(&sp, now, now);
	assert_int_equal(spin_until_ns(&sp, MAX_NS, now), now + MAX_NS / 2);
	for (unsigned i = 1; i < 15; i++)
		spin_failed(&sp, now, now);
	assert_int_equal(spin_until_ns(&sp, MAX_NS, now), now + MAX_NS); /* a trial */
	spin_failed(&sp, now, now);
	assert_int_equal(spin_until_ns(&sp, MAX_NS, now), now + MAX_NS / 64);
	spin_found(&sp);
	assert_int_equal(spin_until_ns(&sp, MAX_NS, now), now + MAX_NS);
	assert_int_equal(spin_until_ns(&sp, 0, now), now);
}

static void a_spin_that_ends_late_shows_a_crowd(void **state)
{
	uint64_t now = clock_now_ns() + 2 * LATER_NS;
	struct spin sp = {0}, other = {0};

	(void)state;
	spin_failed(&sp, now, now + 10 * NS_PER_US);
	assert_int_not_equal(spin_until_ns(&other, MAX_NS, now), now);
	spin_failed(&sp, now, now + NS_PER_MS);
	/* For all, and for a time that is long beside what was lost. */
	assert_int_equal(spin_until_ns(&other, MAX_NS, now + 20 * NS_PER_MS), now + 20 * NS_PER_MS);
	assert_int_not_equal(spin_until_ns(&other, MAX_NS, now + 40 * NS_PER_MS),
			     now + 40 * NS_PER_MS);
	/* But not for ever: an hour of sleep in a debugger is no crowd. */
	spin_failed(&sp, now, now + 3600 * NS_PER_SEC);
	assert_int_not_equal(spin_until_ns(&other, MAX_NS, now + 3602 * NS_PER_SEC),
			     now + 3602 * NS_PER_SEC);
	spin_failed(&sp, 0, NS_PER_MS);
}

static void yields_look_each_time(void **state)
{
	struct looks never = {.found_at = 0};

	(void)state;
	assert_false(spin_yield(look, &never));
	assert_int_equal(never.calls, 4);
}

static void yields_that_take_long_are_the_last_for_a_while(void **state)
{
	struct looks slow = {.found_at = 1, .takes = {.tv_nsec = 200 * (long)NS_PER_MS}};
	struct looks next = {.found_at = 1};
	struct spin sp = {0};
	uint64_t now;

	(void)state;
	assert_true(spin_yield(look, &slow));
	assert_false(spin_yield(look, &next));
	assert_int_equal(next.calls, 0);
	now = clock_now_ns();
	assert_int_equal(spin_until_ns(&sp, MAX_NS, now), now);
}

int main(void)
{
	/* In this order: what one sees of a crowd, the next would feel. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(halves_with_each_failure),
		cmocka_unit_test(yields_look_each_time),
		cmocka_unit_test(a_spin_that_ends_late_shows_a_crowd),
		cmocka_unit_test(yields_that_take_long_are_the_last_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
