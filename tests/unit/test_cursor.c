// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"

static void cursor_take__to_the_end_and_no_further(void **state)
{
	const uint8_t octets[] = {1, 2, 3};
	struct cursor c = cursor_of(octets, sizeof(octets));

	(void)state;
	assert_ptr_equal(cursor_take(&c, 3), octets);
	assert_false(c.failed);
	assert_ptr_equal(cursor_take(&c, 0), octets + 3);
	assert_null(cursor_take(&c, 1));
	assert_true(c.failed);
	assert_null(cursor_take(&c, 0)); /* failed stays */
}

static void cursor_take__a_failed_take_takes_nothing_more(void **state)
{
	const uint8_t octets[] = {1, 2, 3};
	struct cursor c = cursor_of(octets, sizeof(octets));

	(void)state;
	assert_null(cursor_take(&c, SIZE_MAX));
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_left(&c), 0);
	assert_true(c.failed);
}

static void cursor_of__nothing(void **state)
{
	struct cursor c = cursor_of(NULL, 0);

	(void)state;
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(cursor_be32(&c), 0);
	assert_true(c.failed);
}

static void cursor_be__network_order(void **state)
{
	const uint8_t octets[] = {0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 0x77};
	struct cursor c = cursor_of(octets, sizeof(octets));

	(void)state;
	assert_int_equal(cursor_be16(&c), 0x1234);
	assert_int_equal(cursor_be32(&c), 0x89abcdef);
	assert_int_equal(cursor_left(&c), 1);
	assert_int_equal(cursor_be16(&c), 0); /* half of it is not given */
	assert_true(c.failed);
}

static void cursor_copy__zeros_once_failed(void **state)
{
	const uint8_t octets[] = {1, 2, 3};
	uint8_t to[4] = {9, 9, 9, 9};
	struct cursor c = cursor_of(octets, sizeof(octets));

	(void)state;
	cursor_copy(&c, to, 2);
	assert_int_equal(to[1], 2);
	cursor_copy(&c, to, 4);
	assert_true(c.failed);
	assert_int_equal(to[0] | to[1] | to[2] | to[3], 0);
}

static void cursor_sub__is_bounded_by_itself(void **state)
{
	const uint8_t octets[] = {1, 2, 3};
	struct cursor c = cursor_of(octets, sizeof(octets));
	struct cursor sub = cursor_sub(&c, 2);

	(void)state;
	assert_int_equal(cursor_left(&sub), 2);
	assert_int_equal(cursor_left(&c), 1);
	assert_int_equal(cursor_be16(&sub), 0x0102);
	assert_null(cursor_take(&sub, 1)); /* though the whole has one more */
	assert_false(c.failed);
	sub = cursor_sub(&c, 2);
	assert_true(sub.failed);
	assert_true(c.failed);
	assert_int_equal(cursor_u8(&sub), 0);
}

static void cursor_trim__never_longer(void **state)
{
	const uint8_t octets[] = {1, 2, 3};
	struct cursor c = cursor_of(octets, sizeof(octets));

	(void)state;
	cursor_trim(&c, 2);
	assert_int_equal(cursor_left(&c), 2);
	cursor_trim(&c, 3);
	assert_true(c.failed);
	assert_int_equal(cursor_left(&c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cursor_take__to_the_end_and_no_further),
		cmocka_unit_test(cursor_take__a_failed_take_takes_nothing_more),
		cmocka_unit_test(cursor_of__nothing),
		cmocka_unit_test(cursor_be__network_order),
		cmocka_unit_test(cursor_copy__zeros_once_failed),
		cmocka_unit_test(cursor_sub__is_bounded_by_itself),
		cmocka_unit_test(cursor_trim__never_longer),
	};

	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
