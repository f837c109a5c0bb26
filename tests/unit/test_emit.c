// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/emit.h"

static void emit_take__to_the_end_and_no_further(void **state)
{
	uint8_t room[4] = {0};
	struct emit e = emit_to(room, 3);

	(void)state;
	emit_be16(&e, 0x1122);
	assert_int_equal(emit_bytes(&e), 2);
	emit_be16(&e, 0x3344); /* half of it is not written */
	assert_true(e.failed);
	assert_int_equal(room[2], 0);
	emit_u8(&e, 0x55); /* failed stays */
	assert_int_equal(room[2], 0);
	assert_int_equal(emit_bytes(&e), 2);
}

static void emit_be__network_order(void **state)
{
	const uint8_t want[] = {0x7f, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 1, 2};
	const uint8_t tail[] = {1, 2};
	uint8_t room[9];
	struct emit e = emit_to(room, sizeof(room));

	(void)state;
	emit_u8(&e, 0x7f);
	emit_be16(&e, 0x1234);
	emit_be32(&e, 0x89abcdef);
	emit_copy(&e, tail, sizeof(tail));
	assert_false(e.failed);
	assert_memory_equal(room, want, sizeof(want));
	emit_copy(&e, NULL, 0);
	assert_false(e.failed);
	emit_copy(&e, tail, 1);
	assert_true(e.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(emit_take__to_the_end_and_no_further),
		cmocka_unit_test(emit_be__network_order),
	};

	return cmocka_run_group_tests_name("emit", tests, NULL, NULL);
}
