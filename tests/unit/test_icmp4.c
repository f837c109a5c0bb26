// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/checksum.h"
#include "wire/icmp4.h"

static size_t make(uint8_t room[12])
{
	struct emit e = emit_to(room, 12);
	struct icmp4 h = {.type = ICMP4_ECHO, .id = 0x1122, .seq = 0x3344};

	icmp4_emit(&e, &h, checksum_add(0, "body", 4));
	emit_copy(&e, "body", 4);
	assert_false(e.failed);
	return emit_bytes(&e);
}

static void icmp4_parse__what_was_emitted(void **state)
{
	uint8_t room[12];
	struct cursor c = cursor_of(room, make(room));
	struct icmp4 h;

	(void)state;
	assert_memory_equal(room, "\x08\x00", 2);
	assert_memory_equal(room + 4, "\x11\x22\x33\x44", 4);
	assert_int_equal(icmp4_parse(&c, &h), WIRE_OK);
	assert_int_equal(h.type, ICMP4_ECHO);
	assert_int_equal(h.code, 0);
	assert_int_equal(h.id, 0x1122);
	assert_int_equal(h.seq, 0x3344);
	assert_int_equal(cursor_left(&c), 4);
}

static void icmp4_parse__every_truncation(void **state)
{
	uint8_t room[12];

	(void)state;
	make(room);
	for (size_t n = 0; n < 12; n++) {
		struct cursor c = cursor_of(room, n);
		struct icmp4 h;

		assert_int_equal(icmp4_parse(&c, &h), n < 8 ? WIRE_SHORT : WIRE_CHECKSUM);
	}
}

static void icmp4_parse__each_wrong_bit(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 96; bit++) {
		uint8_t room[12];
		struct cursor c = cursor_of(room, make(room));
		struct icmp4 h;

		room[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(icmp4_parse(&c, &h), WIRE_CHECKSUM);
	}
}

static void icmp4_is_error__by_type(void **state)
{
	(void)state;
	assert_true(icmp4_is_error(ICMP4_UNREACHABLE));
	assert_true(icmp4_is_error(ICMP4_PARAMETER));
	assert_false(icmp4_is_error(ICMP4_ECHO));
	assert_false(icmp4_is_error(ICMP4_ECHO_REPLY));
	assert_false(icmp4_is_error(13));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(icmp4_parse__what_was_emitted),
		cmocka_unit_test(icmp4_parse__every_truncation),
		cmocka_unit_test(icmp4_parse__each_wrong_bit),
		cmocka_unit_test(icmp4_is_error__by_type),
	};

	return cmocka_run_group_tests_name("icmp4", tests, NULL, NULL);
}
