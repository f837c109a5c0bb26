/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static struct mailbox *mb;
static unsigned taken[SLOT_MAX];

static int setup(void **state)
{
	(void)state;
	mb = mmap(NULL, MAILBOX_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(taken, 0, sizeof(taken));
	return mb == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(mb, MAILBOX_BYTES);
}

static void note(void *arg, unsigned slot)
{
	(void)arg;
	assert_true(slot < SLOT_MAX);
	taken[slot]++;
}

static void hint_set__each_slot(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SLOT_MAX; i++)
		hint_set(mb, i);
	assert_true(hint_any(mb));
	assert_int_equal(hint_take(mb, note, NULL), SLOT_MAX);
	for (unsigned i = 0; i < SLOT_MAX; i++)
		assert_int_equal(taken[i], 1);
	assert_false(hint_any(mb));
}

static void hint_set__twice_is_once(void **state)
{
	(void)state;
	hint_set(mb, 77);
	hint_set(mb, 77);
	assert_int_equal(hint_take(mb, note, NULL), 1);
	assert_int_equal(taken[77], 1);
}

static void hint_set__out_of_range_is_some_slot(void **state)
{
	(void)state;
	hint_set(mb, SLOT_MAX + 3);
	hint_set(mb, 0xffffffffu);
	assert_int_equal(hint_take(mb, note, NULL), 2);
	assert_int_equal(taken[3], 1);
}

/* A setter died after level 0: the next one of that word repairs it. */
static void hint_set__repairs_a_dead_setters_word(void **state)
{
	(void)state;
	mb->hint_l0[5] = 1ull << 9;
	assert_false(hint_any(mb));
	hint_set(mb, 5 * 64);
	assert_int_equal(hint_take(mb, note, NULL), 2);
	assert_int_equal(taken[5 * 64 + 9], 1);
}

static void hint_take__nothing(void **state)
{
	(void)state;
	assert_int_equal(hint_take(mb, note, NULL), 0);
}

static void hint_take__level_1_without_level_0(void **state)
{
	(void)state;
	memset((void *)mb->hint_l1, 0xff, sizeof(mb->hint_l1));
	assert_int_equal(hint_take(mb, note, NULL), 0);
	assert_false(hint_any(mb));
}

/* What is set while bits are being handed out is there for the next take. */
static void set_another(void *arg, unsigned slot)
{
	if (slot < 10)
		hint_set(arg, slot + 1);
	taken[slot]++;
}

static void hint_take__set_meanwhile(void **state)
{
	unsigned n = 0;

	(void)state;
	hint_set(mb, 0);
	while (hint_any(mb))
		n += hint_take(mb, set_another, mb);
	assert_int_equal(n, 11);
	assert_int_equal(taken[10], 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hint_set__each_slot),
		T(hint_set__twice_is_once),
		T(hint_set__out_of_range_is_some_slot),
		T(hint_set__repairs_a_dead_setters_word),
		T(hint_take__nothing),
		T(hint_take__level_1_without_level_0),
		T(hint_take__set_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
