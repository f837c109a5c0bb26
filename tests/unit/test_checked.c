// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

static void checked_add__says_when_it_does_not_fit(void **state)
{
	uint32_t sum;

	(void)state;
	assert_true(checked_add(UINT32_MAX - 1, 1u, &sum));
	assert_int_equal(sum, UINT32_MAX);
	assert_false(checked_add(UINT32_MAX, 1u, &sum));
	assert_false(checked_mul(0x10000u, 0x10000u, &sum));
	assert_true(checked_mul(0xffffu, 0x10001u, &sum));
	assert_int_equal(sum, UINT32_MAX);
}

static void sat__stops_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(sat_add_u32(UINT32_MAX, 1), UINT32_MAX);
	assert_int_equal(sat_add_u32(1, 2), 3);
	assert_int_equal(sat_sub_u32(1, 2), 0);
	assert_int_equal(sat_mul_u32(1u << 31, 2), UINT32_MAX);
	assert_int_equal(sat_mul_u32(1u << 31, 1), 1u << 31);
	assert_true(sat_add_u64(UINT64_MAX, 1) == UINT64_MAX);
	assert_true(sat_sub_u64(1, 2) == 0);
	assert_true(sat_mul_u64(1ull << 63, 2) == UINT64_MAX);
}

static void muldiv_u64__keeps_the_high_half(void **state)
{
	(void)state;
	assert_true(muldiv_u64(1ull << 62, 10, 20) == 1ull << 61);
	assert_true(muldiv_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
	assert_true(muldiv_u64(UINT64_MAX, 2, 1) == UINT64_MAX);
	assert_true(muldiv_u64(7, 3, 2) == 10);
	assert_true(muldiv_u64(0, 0, 0) == UINT64_MAX); /* no division by zero */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checked_add__says_when_it_does_not_fit),
		cmocka_unit_test(sat__stops_at_the_end),
		cmocka_unit_test(muldiv_u64__keeps_the_high_half),
	};

	return cmocka_run_group_tests_name("checked", tests, NULL, NULL);
}
