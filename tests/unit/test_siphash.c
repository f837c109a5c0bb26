// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/siphash.h"

static void siphash__the_papers_vectors(void **state)
{
	/* Appendix A of the paper, and the first of its authors' vectors: key 00 to 0f, input 00 01
	 * 02 ... */
	uint8_t octets[16];
	struct siphash_key key;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		octets[i] = (uint8_t)i;
	key = siphash_key_of(octets);
	assert_true(siphash(&key, octets, 15) == 0xa129ca6149be45e5ull);
	assert_true(siphash(&key, octets, 0) == 0x726fdb47dd0e0e31ull);
	assert_true(siphash(&key, octets, 8) == 0x93f5f5799a932462ull);
}

static void siphash_2u64__same_as_16_octets(void **state)
{
	const uint8_t octets[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	struct siphash_key key = {0x1234, 0x5678};

	(void)state;
	assert_true(siphash_2u64(&key, 0x0807060504030201ull, 0x100f0e0d0c0b0a09ull) ==
		    siphash(&key, octets, 16));
	key.k1++;
	assert_true(siphash_2u64(&key, 0x0807060504030201ull, 0x100f0e0d0c0b0a09ull) !=
		    siphash(&(struct siphash_key){0x1234, 0x5678}, octets, 16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash__the_papers_vectors),
		cmocka_unit_test(siphash_2u64__same_as_16_octets),
	};

	return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
