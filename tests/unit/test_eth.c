// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/eth.h"

static const uint8_t plain[] = {
	0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00, 0xaa,
};
static const uint8_t tagged[] = {
	0x02, 0,    0,	  0,	0,    1,    0x02, 0,	0,    0,    0,
	2,    0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x60, 0x05, 0x08, 0x06,
};

static void eth_parse__plain(void **state)
{
	struct cursor c = cursor_of(plain, sizeof(plain));
	struct eth h;

	(void)state;
	assert_int_equal(eth_parse(&c, &h), WIRE_OK);
	assert_memory_equal(h.dst, plain, 6);
	assert_memory_equal(h.src, plain + 6, 6);
	assert_int_equal(h.type, ETH_TYPE_IPV4);
	assert_int_equal(h.tags, 0);
	assert_ptr_equal(c.at, plain + 14);
}

static void eth_parse__tags_are_passed_over(void **state)
{
	struct cursor c = cursor_of(tagged, sizeof(tagged));
	struct eth h;

	(void)state;
	assert_int_equal(eth_parse(&c, &h), WIRE_OK);
	assert_int_equal(h.type, ETH_TYPE_ARP);
	assert_int_equal(h.tags, 2);
	assert_int_equal(h.tci, 0x6005);
	assert_int_equal(cursor_left(&c), 0);
}

static void eth_parse__three_tags(void **state)
{
	static const uint8_t third[] = {0x81, 0x00, 0x00, 0x01, 0x08, 0x00};
	uint8_t frame[26];
	struct cursor c = cursor_of(frame, sizeof(frame));
	struct eth h;

	(void)state;
	memcpy(frame, tagged, sizeof(tagged));
	memcpy(frame + 20, third, sizeof(third));
	assert_int_equal(eth_parse(&c, &h), WIRE_FOREIGN);
}

static void eth_parse__every_truncation(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(tagged); n++) {
		struct cursor c = cursor_of(tagged, n);
		struct eth h;

		assert_int_equal(eth_parse(&c, &h), WIRE_SHORT);
	}
	for (size_t n = 0; n < 14; n++) {
		struct cursor c = cursor_of(plain, n);
		struct eth h;

		assert_int_equal(eth_parse(&c, &h), WIRE_SHORT);
	}
}

static void eth_parse__a_length_is_no_type(void **state)
{
	uint8_t frame[14];
	struct cursor c = cursor_of(frame, sizeof(frame));
	struct eth h;

	(void)state;
	memcpy(frame, plain, sizeof(frame));
	frame[12] = 0x05;
	frame[13] = 0xff;
	assert_int_equal(eth_parse(&c, &h), WIRE_FOREIGN);
}

static void eth_emit__same_octets(void **state)
{
	uint8_t room[14];
	struct cursor c = cursor_of(plain, sizeof(plain));
	struct emit e = emit_to(room, sizeof(room));
	struct eth h;

	(void)state;
	assert_int_equal(eth_parse(&c, &h), WIRE_OK);
	eth_emit(&e, &h);
	assert_false(e.failed);
	assert_memory_equal(room, plain, 14);
	e = emit_to(room, 13);
	eth_emit(&e, &h);
	assert_true(e.failed);
}

static void eth_is_multicast__the_group_bit(void **state)
{
	(void)state;
	assert_true(eth_is_multicast((const uint8_t *)"\xff\xff\xff\xff\xff\xff"));
	assert_true(eth_is_multicast((const uint8_t *)"\x01\x00\x5e\x00\x00\x01"));
	assert_false(eth_is_multicast(plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eth_parse__plain),
		cmocka_unit_test(eth_parse__tags_are_passed_over),
		cmocka_unit_test(eth_parse__three_tags),
		cmocka_unit_test(eth_parse__every_truncation),
		cmocka_unit_test(eth_parse__a_length_is_no_type),
		cmocka_unit_test(eth_emit__same_octets),
		cmocka_unit_test(eth_is_multicast__the_group_bit),
	};

	return cmocka_run_group_tests_name("eth", tests, NULL, NULL);
}
