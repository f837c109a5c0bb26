// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

#define SRC 0x0a000001u
#define DST 0x0a000002u

/* A SYN as it looks on the wire: MSS 1460, SACK permitted, timestamps, scale 7. */
static const uint8_t syn[] = {
	0x30, 0x39, 0x00, 0x50, 0x11, 0x22, 0x33, 0x44, 0,    0,    0, 0, 0xa0, 0x02,
	0xfa, 0xf0, 0x00, 0x00, 0x00, 0x00, 2,	  4,	0x05, 0xb4, 4, 2, 8,	10,
	1,    2,    3,	  4,	0,    0,    0,	  0,	1,    3,    3, 7,
};

/* A pure ACK with these options. */
static enum wire_fault with_options(const char *options, size_t bytes, struct tcp_header *ret)
{
	uint8_t segment[60];
	struct cursor c = cursor_of(segment, 20 + bytes);

	memcpy(segment, syn, 20);
	memcpy(segment + 20, options, bytes);
	segment[12] = (uint8_t)((20 + bytes) / 4 << 4);
	segment[13] = TCP_ACK;
	return tcp_parse(&c, ret);
}

static void tcp_parse__syn(void **state)
{
	struct cursor c = cursor_of(syn, sizeof(syn));
	struct tcp_header h;

	(void)state;
	assert_int_equal(tcp_parse(&c, &h), WIRE_OK);
	assert_int_equal(h.sport, 12345);
	assert_int_equal(h.dport, 80);
	assert_int_equal(h.seq, 0x11223344);
	assert_int_equal(h.ack, 0);
	assert_int_equal(h.flags, TCP_SYN);
	assert_int_equal(h.window, 64240);
	assert_int_equal(h.header_bytes, 40);
	assert_int_equal(h.has, TCP_HAS_MSS | TCP_HAS_SACK_OK | TCP_HAS_TS | TCP_HAS_WSCALE);
	assert_int_equal(h.mss, 1460);
	assert_int_equal(h.wscale, 7);
	assert_int_equal(h.ts_value, 0x01020304);
	assert_int_equal(h.ts_echo, 0);
	assert_int_equal(cursor_left(&c), 0);
}

static void tcp_parse__every_truncation(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(syn); n++) {
		struct cursor c = cursor_of(syn, n);
		struct tcp_header h;

		assert_int_equal(tcp_parse(&c, &h), n < 20 ? WIRE_SHORT : WIRE_LENGTH);
	}
}

static void tcp_parse__offset_below_the_header(void **state)
{
	(void)state;
	for (uint8_t words = 0; words < 5; words++) {
		uint8_t segment[sizeof(syn)];
		struct cursor c = cursor_of(segment, sizeof(segment));
		struct tcp_header h;

		memcpy(segment, syn, sizeof(syn));
		segment[12] = (uint8_t)(words << 4);
		assert_int_equal(tcp_parse(&c, &h), WIRE_LENGTH);
	}
}

static void tcp_parse__sack(void **state)
{
	struct tcp_header h;

	(void)state;
	assert_int_equal(
		with_options("\x01\x01\x05\x12\0\0\0\x01\0\0\0\x02\0\0\0\x05\0\0\0\x09", 20, &h),
		WIRE_OK);
	assert_int_equal(h.has, TCP_HAS_SACK);
	assert_int_equal(h.sacks, 2);
	assert_int_equal(h.sack[1].start, 5);
	assert_int_equal(h.sack[1].end, 9);
}

static void tcp_parse__options_at_any_octet(void **state)
{
	struct tcp_header h;

	(void)state;
	/* Without padding (MUST-64), with one that is not known (MUST-6), and with an end. */
	assert_int_equal(
		with_options("\x03\x03\x04\x08\x0a\0\0\0\x01\0\0\0\x02\xfd\x05xyz\0\x02", 20, &h),
		WIRE_OK);
	assert_int_equal(h.has, TCP_HAS_WSCALE | TCP_HAS_TS);
	assert_int_equal(h.ts_echo, 2);
}

static void tcp_parse__impossible_option_lengths(void **state)
{
	static const char *const bad[] = {
		"\xfd\x00\0\0\0\0\0\0\0\0\0\0", "\xfd\x01\0\0\0\0\0\0\0\0\0\0",
		"\xfd\x0d\0\0\0\0\0\0\0\0\0\0", "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x08",
		"\x02\x05\0\0\0\0\0\0\0\0\0\0", "\x03\x04\0\0\0\0\0\0\0\0\0\0",
		"\x04\x03\0\0\0\0\0\0\0\0\0\0", "\x08\x09\0\0\0\0\0\0\0\0\0\0",
		"\x05\x02\0\0\0\0\0\0\0\0\0\0", "\x05\x0b\0\0\0\0\0\0\0\0\0\0",
	};
	struct tcp_header h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(with_options(bad[i], 12, &h), WIRE_OK);
		assert_int_equal(h.has, TCP_HAS_BAD);
	}
	/* What came before it holds. */
	assert_int_equal(with_options("\x03\x03\x04\xfd\x00\x02\x04\x05\xb4\0\0\0", 12, &h),
			 WIRE_OK);
	assert_int_equal(h.has, TCP_HAS_BAD | TCP_HAS_WSCALE);
}

static void tcp_sum_ok__each_wrong_bit(void **state)
{
	uint8_t room[64];
	struct emit e = emit_to(room, sizeof(room));
	struct tcp_header h = {.sport = 1, .dport = 2, .seq = 3, .ack = 4, .flags = TCP_ACK};
	struct cursor c;

	(void)state;
	tcp_emit(&e, &h, SRC, DST, checksum_add(0, "odd", 3), 3);
	emit_copy(&e, "odd", 3);
	assert_false(e.failed);
	c = cursor_of(room, emit_bytes(&e));
	assert_true(tcp_sum_ok(&c, SRC, DST));
	assert_false(tcp_sum_ok(&c, SRC, DST + 1));
	for (size_t bit = 0; bit < emit_bytes(&e) * 8; bit++) {
		room[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(tcp_sum_ok(&c, SRC, DST));
		room[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void tcp_emit__same_octets(void **state)
{
	uint8_t room[60];
	uint8_t want[sizeof(syn)];
	struct cursor c = cursor_of(syn, sizeof(syn));
	struct emit e = emit_to(room, sizeof(room));
	struct tcp_header h;

	(void)state;
	assert_int_equal(tcp_parse(&c, &h), WIRE_OK);
	assert_int_equal(tcp_header_size(&h), sizeof(syn));
	tcp_emit(&e, &h, SRC, DST, 0, 0);
	assert_int_equal(emit_bytes(&e), sizeof(syn));
	memcpy(want, syn, sizeof(syn));
	put_be16(want + 16, checksum_fold(checksum_add(checksum_pseudo4(SRC, DST, 6, sizeof(syn)),
						       syn, sizeof(syn))));
	assert_memory_equal(room, want, sizeof(syn));
}

static void tcp_emit__pads_in_front(void **state)
{
	static const uint8_t want[] = {2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 8};
	struct tcp_header h = {
		.has = TCP_HAS_MSS | TCP_HAS_SACK_OK | TCP_HAS_WSCALE,
		.mss = 1460,
		.wscale = 8,
	};
	uint8_t room[80];
	struct emit e = emit_to(room, sizeof(room));

	(void)state;
	tcp_emit(&e, &h, SRC, DST, 0, 0);
	assert_int_equal(emit_bytes(&e), TCP_HEADER_BYTES + sizeof(want));
	assert_memory_equal(room + TCP_HEADER_BYTES, want, sizeof(want));
}

static void tcp_emit__each_set_of_options(void **state)
{
	(void)state;
	for (unsigned has = 0; has < 32; has++) {
		for (uint8_t sacks = 1; sacks <= TCP_SACK_MAX; sacks++) {
			struct tcp_header h = {
				.has = (uint8_t)has,
				.mss = 1000,
				.wscale = 3,
				.ts_value = 7,
				.sacks = sacks,
				.sack = {{1, 2}, {3, 4}, {5, 6}, {7, 8}},
			};
			struct tcp_header back;
			uint8_t room[80];
			struct emit e = emit_to(room, sizeof(room));
			struct cursor c;

			tcp_emit(&e, &h, SRC, DST, 0, 0);
			assert_int_equal(e.failed, tcp_header_size(&h) > TCP_HEADER_MAX);
			if (e.failed)
				continue;
			assert_int_equal(emit_bytes(&e), tcp_header_size(&h));
			c = cursor_of(room, emit_bytes(&e));
			assert_true(tcp_sum_ok(&c, SRC, DST));
			assert_int_equal(tcp_parse(&c, &back), WIRE_OK);
			assert_int_equal(back.has, has);
			if (has & TCP_HAS_SACK)
				assert_memory_equal(back.sack, h.sack, sacks * sizeof(h.sack[0]));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_parse__syn),
		cmocka_unit_test(tcp_parse__every_truncation),
		cmocka_unit_test(tcp_parse__offset_below_the_header),
		cmocka_unit_test(tcp_parse__sack),
		cmocka_unit_test(tcp_parse__options_at_any_octet),
		cmocka_unit_test(tcp_parse__impossible_option_lengths),
		cmocka_unit_test(tcp_sum_ok__each_wrong_bit),
		cmocka_unit_test(tcp_emit__same_octets),
		cmocka_unit_test(tcp_emit__pads_in_front),
		cmocka_unit_test(tcp_emit__each_set_of_options),
	};

	return cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
