// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/checksum.h"
#include "wire/udp.h"

#define SRC 0x0a000001u
#define DST 0x0a000002u

static size_t make(uint8_t room[13])
{
	struct emit e = emit_to(room, 13);
	struct udp h = {.sport = 1234, .dport = 53, .bytes = 13};

	udp_emit(&e, &h, SRC, DST, checksum_add(0, "query", 5));
	emit_copy(&e, "query", 5);
	assert_false(e.failed);
	return emit_bytes(&e);
}

static void udp_parse__what_was_emitted(void **state)
{
	uint8_t room[13];
	struct cursor c = cursor_of(room, make(room));
	struct udp h;

	(void)state;
	assert_int_equal(udp_parse(&c, 13, &h), WIRE_OK);
	assert_int_equal(h.sport, 1234);
	assert_int_equal(h.dport, 53);
	assert_int_equal(h.bytes, 13);
	assert_int_equal(cursor_left(&c), 5);
	assert_true(udp_sum_ok(&h, SRC, DST, checksum_add(0, c.at, 5)));
	/* By hand: 0a00 0001 0a00 0002 0011 000d, 04d2 0035 000d, 7175 6572 7900. */
	assert_int_equal(h.sum, 0xffff ^ 0x691d);
}

static void udp_parse__every_truncation(void **state)
{
	uint8_t room[13];

	(void)state;
	make(room);
	for (size_t n = 0; n < 13; n++) {
		struct cursor c = cursor_of(room, n);
		struct udp h;

		assert_int_equal(udp_parse(&c, n, &h), n < 8 ? WIRE_SHORT : WIRE_LENGTH);
	}
}

static void udp_parse__lengths(void **state)
{
	uint8_t room[16] = {0};
	struct cursor c = cursor_of(room, 16);
	struct udp h;

	(void)state;
	make(room);
	/* IP had more than UDP says: the rest is not ours. */
	assert_int_equal(udp_parse(&c, 16, &h), WIRE_OK);
	assert_int_equal(cursor_left(&c), 5);
	/* The first piece of a long datagram. */
	put_be16(room + 4, 3000);
	c = cursor_of(room, 13);
	assert_int_equal(udp_parse(&c, 3000, &h), WIRE_OK);
	assert_int_equal(cursor_left(&c), 5);
	put_be16(room + 4, 7);
	c = cursor_of(room, 13);
	assert_int_equal(udp_parse(&c, 13, &h), WIRE_LENGTH);
}

static void udp_sum_ok__each_wrong_bit(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 104; bit++) {
		uint8_t room[13];
		struct cursor c = cursor_of(room, make(room));
		struct udp h;

		room[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (udp_parse(&c, 13, &h) != WIRE_OK)
			continue; /* the length */
		assert_false(udp_sum_ok(&h, SRC, DST, checksum_add(0, c.at, cursor_left(&c))));
	}
}

static void udp_sum_ok__none(void **state)
{
	struct udp h = {.bytes = 13, .sum = 0};

	(void)state;
	assert_true(udp_sum_ok(&h, SRC, DST, 99));
}

static void udp_emit__a_sum_of_zero_is_all_ones(void **state)
{
	uint8_t room[10];
	struct emit e = emit_to(room, sizeof(room));
	struct udp h = {.sport = 0, .dport = 0, .bytes = 10};
	uint8_t filler[2];

	(void)state;
	/* What makes the whole sum ffff, so that the field would be 0. */
	put_be16(filler, checksum_fold(checksum_add_be16(checksum_pseudo4(SRC, DST, 17, 10), 10)));
	udp_emit(&e, &h, SRC, DST, checksum_add(0, filler, 2));
	assert_memory_equal(room + 6, "\xff\xff", 2);
	h.sum = 0xffff;
	assert_true(udp_sum_ok(&h, SRC, DST, checksum_add(0, filler, 2)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_parse__what_was_emitted),
		cmocka_unit_test(udp_parse__every_truncation),
		cmocka_unit_test(udp_parse__lengths),
		cmocka_unit_test(udp_sum_ok__each_wrong_bit),
		cmocka_unit_test(udp_sum_ok__none),
		cmocka_unit_test(udp_emit__a_sum_of_zero_is_all_ones),
	};

	return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
