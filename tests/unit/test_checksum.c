// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/checksum.h"

/* As RFC 1071 1 says it, a word at a time. */
static uint16_t plain(const uint8_t *p, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

static void fill(uint8_t *p, size_t bytes, uint32_t seed)
{
	for (size_t i = 0; i < bytes; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void checksum_add__the_rfcs_example(void **state)
{
	/* RFC 1071 3: the sum is ddf2. */
	const uint8_t octets[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(checksum_fold(checksum_add(0, octets, sizeof(octets))), 0xffff ^ 0xddf2);
}

static void checksum_add__every_length_and_alignment(void **state)
{
	uint8_t octets[300];

	(void)state;
	fill(octets, sizeof(octets), 1);
	for (size_t bytes = 0; bytes <= 280; bytes++) {
		for (size_t at = 0; at < 9; at++)
			assert_int_equal(checksum_fold(checksum_add(0, octets + at, bytes)),
					 plain(octets + at, bytes));
	}
}

static void checksum_add__carries_all_the_way(void **state)
{
	uint8_t octets[4096];

	(void)state;
	memset(octets, 0xff, sizeof(octets));
	assert_int_equal(checksum_fold(checksum_add(0, octets, sizeof(octets))), 0);
	assert_int_equal(checksum_fold(checksum_add(UINT64_MAX, octets, sizeof(octets))), 0);
	assert_int_equal(checksum_fold(0), 0xffff);
}

static void checksum_add_at__pieces_at_any_offset(void **state)
{
	uint8_t octets[97];

	(void)state;
	fill(octets, sizeof(octets), 2);
	for (size_t cut = 0; cut <= sizeof(octets); cut++) {
		uint64_t sum = checksum_add_at(0, octets, cut, 0);

		sum = checksum_add_at(sum, octets + cut, sizeof(octets) - cut, cut);
		assert_int_equal(checksum_fold(sum), plain(octets, sizeof(octets)));
	}
}

static void checksum_add_be__as_on_the_wire(void **state)
{
	const uint8_t octets[] = {0x12, 0x34, 0x89, 0xab, 0xcd, 0xef};

	(void)state;
	assert_int_equal(checksum_fold(checksum_add_be32(checksum_add_be16(0, 0x1234), 0x89abcdef)),
			 plain(octets, sizeof(octets)));
}

static void checksum_join__two_sums(void **state)
{
	uint8_t octets[64];
	uint64_t sum;

	(void)state;
	fill(octets, sizeof(octets), 3);
	sum = checksum_join(checksum_add(0, octets, 30), checksum_add(0, octets + 30, 34));
	assert_int_equal(checksum_fold(sum), plain(octets, sizeof(octets)));
	/* Around the end: 2^64 - 1 is a zero of ones' complement. */
	assert_int_equal(checksum_fold(checksum_join(UINT64_MAX, 1)), checksum_fold(1));
}

static void checksum_pseudo4__as_laid_out(void **state)
{
	const uint8_t octets[] = {10, 0, 0, 1, 192, 168, 3, 4, 0, 17, 0x12, 0x34};

	(void)state;
	assert_int_equal(checksum_fold(checksum_pseudo4(0x0a000001, 0xc0a80304, 17, 0x1234)),
			 plain(octets, sizeof(octets)));
}

static void checksum_update16__same_as_anew(void **state)
{
	uint8_t octets[20];

	(void)state;
	fill(octets, sizeof(octets), 4);
	for (unsigned v = 0; v < 0x10000; v += 0x101) {
		uint16_t old = (uint16_t)(octets[4] << 8 | octets[5]);
		uint16_t before = plain(octets, sizeof(octets));

		octets[4] = (uint8_t)(v >> 8);
		octets[5] = (uint8_t)v;
		assert_int_equal(checksum_update16(before, old, (uint16_t)v),
				 plain(octets, sizeof(octets)));
	}
	/* RFC 1624 4: what equation 4 gets wrong. */
	assert_int_equal(checksum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_add__the_rfcs_example),
		cmocka_unit_test(checksum_add__every_length_and_alignment),
		cmocka_unit_test(checksum_add__carries_all_the_way),
		cmocka_unit_test(checksum_add_at__pieces_at_any_offset),
		cmocka_unit_test(checksum_add_be__as_on_the_wire),
		cmocka_unit_test(checksum_join__two_sums),
		cmocka_unit_test(checksum_pseudo4__as_laid_out),
		cmocka_unit_test(checksum_update16__same_as_anew),
	};

	return cmocka_run_group_tests_name("checksum", tests, NULL, NULL);
}
