// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/checksum.h"
#include "wire/ipv4.h"

/* Makes the header's sum right. */
static void seal(uint8_t *packet)
{
	put_be16(packet + 10, 0);
	put_be16(packet + 10, checksum_fold(checksum_add(0, packet, (packet[0] & 15) * 4u)));
}

/* 20 octets of header, 4 of payload, 2 of the link's padding. */
static void make(uint8_t packet[26])
{
	static const uint8_t header[] = {
		0x45, 0x10, 0, 24, 0x12, 0x34, 0x40, 0x00, 63,	6,   0,	  0, 10,
		0,    0,    1, 10, 0,	 0,    2,    'd',  'a', 't', 'a', 0, 0,
	};

	memcpy(packet, header, sizeof(header));
	seal(packet);
}

/* A header of 32 octets with these options, without payload. */
static enum wire_fault with_options(const uint8_t options[12], struct ipv4 *ret)
{
	uint8_t packet[32];
	uint8_t plain[26];
	struct cursor c = cursor_of(packet, sizeof(packet));

	make(plain);
	memcpy(packet, plain, 20);
	memcpy(packet + 20, options, 12);
	packet[0] = 0x48;
	packet[3] = 32;
	seal(packet);
	return ipv4_parse(&c, ret);
}

static void ipv4_parse__fields(void **state)
{
	uint8_t packet[26];
	struct cursor c = cursor_of(packet, sizeof(packet));
	struct ipv4 h;

	(void)state;
	make(packet);
	assert_int_equal(ipv4_parse(&c, &h), WIRE_OK);
	assert_int_equal(h.src, 0x0a000001);
	assert_int_equal(h.dst, 0x0a000002);
	assert_int_equal(h.header_bytes, 20);
	assert_int_equal(h.total_bytes, 24);
	assert_int_equal(h.id, 0x1234);
	assert_int_equal(h.tos, 0x10);
	assert_int_equal(h.ttl, 63);
	assert_int_equal(h.proto, IPV4_PROTO_TCP);
	assert_true(h.df);
	assert_false(h.mf);
	assert_false(ipv4_is_fragment(&h));
	assert_int_equal(cursor_left(&c), 4); /* the padding is gone */
	assert_memory_equal(c.at, "data", 4);
}

static void ipv4_parse__fragments(void **state)
{
	uint8_t packet[26];
	struct cursor c = cursor_of(packet, sizeof(packet));
	struct ipv4 h;

	(void)state;
	make(packet);
	put_be16(packet + 6, 0x2000 | 185);
	seal(packet);
	assert_int_equal(ipv4_parse(&c, &h), WIRE_OK);
	assert_false(h.df);
	assert_true(h.mf);
	assert_int_equal(h.offset_bytes, 1480);
	assert_true(ipv4_is_fragment(&h));
}

static void ipv4_parse__every_truncation(void **state)
{
	uint8_t packet[26];

	(void)state;
	make(packet);
	for (size_t n = 0; n < 24; n++) {
		struct cursor c = cursor_of(packet, n);
		struct ipv4 h;

		assert_int_equal(ipv4_parse(&c, &h), n < 20 ? WIRE_SHORT : WIRE_LENGTH);
	}
}

static void ipv4_parse__what_is_refused(void **state)
{
	static const struct {
		uint8_t at, value;
		enum wire_fault fault;
	} cases[] = {
		{0, 0x65, WIRE_VERSION}, {0, 0x44, WIRE_LENGTH}, {0, 0x4f, WIRE_LENGTH},
		{3, 19, WIRE_LENGTH},	 {3, 27, WIRE_LENGTH},	 {2, 0x01, WIRE_LENGTH},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t packet[26];
		struct cursor c = cursor_of(packet, sizeof(packet));
		struct ipv4 h;

		make(packet);
		packet[cases[i].at] = cases[i].value;
		if (packet[0] != 0x4f)
			seal(packet);
		assert_int_equal(ipv4_parse(&c, &h), cases[i].fault);
	}
}

static void ipv4_parse__ends_inside_of_the_options(void **state)
{
	uint8_t packet[26];
	struct cursor c = cursor_of(packet, sizeof(packet));
	struct ipv4 h;

	(void)state;
	make(packet);
	packet[0] = 0x4f;
	packet[3] = 80;
	assert_int_equal(ipv4_parse(&c, &h), WIRE_SHORT);
}

static void ipv4_parse__each_wrong_bit_of_the_header(void **state)
{
	(void)state;
	for (size_t bit = 8; bit < 160; bit++) {
		uint8_t packet[26];
		struct cursor c = cursor_of(packet, sizeof(packet));
		struct ipv4 h;

		make(packet);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(ipv4_parse(&c, &h), WIRE_OK);
	}
}

static void ipv4_parse__options(void **state)
{
	struct ipv4 h;

	(void)state;
	assert_int_equal(
		with_options((const uint8_t *)"\x94\x04\0\0\x01\x01\x07\x04\x04\0\0\0", &h),
		WIRE_OK);
	assert_int_equal(h.options, IPV4_OPT_ROUTER_ALERT | IPV4_OPT_RECORD_ROUTE);
	assert_int_equal(with_options((const uint8_t *)"\x83\x07\x04\x0a\0\0\x03\0\0\0\0\0", &h),
			 WIRE_OK);
	assert_int_equal(h.options, IPV4_OPT_SOURCE_ROUTE);
	assert_true(h.route_left);
	assert_int_equal(with_options((const uint8_t *)"\x89\x07\x08\x0a\0\0\x03\0\0\0\0\0", &h),
			 WIRE_OK);
	assert_false(h.route_left);
	/* Behind the end of the list nothing is read. */
	assert_int_equal(with_options((const uint8_t *)"\x44\x04\x05\0\0\x83\0\0\0\0\0\0", &h),
			 WIRE_OK);
	assert_int_equal(h.options, IPV4_OPT_TIMESTAMP);
	assert_int_equal(with_options((const uint8_t *)"\x99\x0c\0\0\0\0\0\0\0\0\0\0", &h),
			 WIRE_OK);
	assert_int_equal(h.options, IPV4_OPT_OTHER);
}

static void ipv4_parse__impossible_options(void **state)
{
	static const char *const bad[] = {
		"\x99\x00\0\0\0\0\0\0\0\0\0\0", "\x99\x01\0\0\0\0\0\0\0\0\0\0",
		"\x99\x0d\0\0\0\0\0\0\0\0\0\0", "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x99",
		"\x83\x02\0\0\0\0\0\0\0\0\0\0", "\x83\x07\x03\0\0\0\0\0\0\0\0\0",
	};
	struct ipv4 h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(with_options((const uint8_t *)bad[i], &h), WIRE_OPTION);
}

static void ipv4_parse_quoted__cut_off_and_touched(void **state)
{
	uint8_t packet[26];
	struct cursor c = cursor_of(packet, 24);
	struct ipv4 h;

	(void)state;
	make(packet);
	packet[2] = 0x05; /* of 1304 octets, 4 are quoted */
	packet[8] = 1;
	assert_int_equal(ipv4_parse_quoted(&c, &h), WIRE_OK);
	assert_int_equal(h.total_bytes, 0x0518);
	assert_int_equal(cursor_left(&c), 4);
	c = cursor_of(packet, 19);
	assert_int_equal(ipv4_parse_quoted(&c, &h), WIRE_SHORT);
}

static void ipv4_emit__same_octets(void **state)
{
	uint8_t packet[26];
	uint8_t room[20];
	struct cursor c = cursor_of(packet, sizeof(packet));
	struct emit e = emit_to(room, sizeof(room));
	struct ipv4 h;

	(void)state;
	make(packet);
	put_be16(packet + 6, 0x2000 | 185);
	seal(packet);
	assert_int_equal(ipv4_parse(&c, &h), WIRE_OK);
	ipv4_emit(&e, &h);
	assert_memory_equal(room, packet, 20);
	e = emit_to(room, 19);
	ipv4_emit(&e, &h);
	assert_true(e.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_parse__fields),
		cmocka_unit_test(ipv4_parse__fragments),
		cmocka_unit_test(ipv4_parse__every_truncation),
		cmocka_unit_test(ipv4_parse__what_is_refused),
		cmocka_unit_test(ipv4_parse__ends_inside_of_the_options),
		cmocka_unit_test(ipv4_parse__each_wrong_bit_of_the_header),
		cmocka_unit_test(ipv4_parse__options),
		cmocka_unit_test(ipv4_parse__impossible_options),
		cmocka_unit_test(ipv4_parse_quoted__cut_off_and_touched),
		cmocka_unit_test(ipv4_emit__same_octets),
	};

	return cmocka_run_group_tests_name("ipv4", tests, NULL, NULL);
}
