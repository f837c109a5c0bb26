// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/buddy.h"

#define PAGES 5000u /* no power of two */

static struct buddy b;
static struct buddy_page book[PAGES];
static uint8_t owner[PAGES];

static void buddy_get__blocks_never_overlap(void **state)
{
	uint32_t block[64];
	unsigned order[64];
	uint64_t seed = 7;

	(void)state;
	memset(owner, 0, sizeof(owner));
	buddy_init(&b, book, PAGES);
	for (unsigned i = 0; i < 64; i++)
		block[i] = NIL;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		i = (unsigned)(seed >> 33) % 64;
		if (block[i] == NIL) {
			order[i] = (unsigned)(seed >> 50) % 11;
			block[i] = buddy_get(&b, book, order[i]);
			if (block[i] == NIL)
				continue;
			assert_true(block[i] + (1u << order[i]) <= PAGES);
			assert_int_equal(block[i] % (1u << order[i]), 0);
			for (uint32_t p = 0; p < 1u << order[i]; p++) {
				assert_int_equal(owner[block[i] + p], 0);
				owner[block[i] + p] = 1;
			}
		} else {
			memset(owner + block[i], 0, (size_t)1 << order[i]);
			buddy_put(&b, book, block[i]);
			block[i] = NIL;
		}
	}
	for (unsigned i = 0; i < 64; i++) {
		if (block[i] != NIL)
			buddy_put(&b, book, block[i]);
	}
	assert_int_equal(b.used, 0);
	/* All joined again: the largest there is can be had. */
	assert_int_equal(buddy_get(&b, book, 12), 0);
	assert_int_equal(buddy_get(&b, book, 12), NIL);
}

static void buddy_get__nothing_left(void **state)
{
	(void)state;
	buddy_init(&b, book, 3);
	assert_int_not_equal(buddy_get(&b, book, 1), NIL);
	assert_int_not_equal(buddy_get(&b, book, 0), NIL);
	assert_int_equal(buddy_get(&b, book, 0), NIL);
	assert_int_equal(buddy_get(&b, book, BUDDY_ORDERS), NIL);
}

static void buddy_order__the_smallest_that_has_room(void **state)
{
	(void)state;
	assert_int_equal(buddy_order(0), 0);
	assert_int_equal(buddy_order(4096), 0);
	assert_int_equal(buddy_order(4097), 1);
	assert_int_equal(buddy_order(16u << 20), 12);
	assert_int_equal(buddy_order((16u << 20) + 1), BUDDY_ORDERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buddy_get__blocks_never_overlap),
		cmocka_unit_test(buddy_get__nothing_left),
		cmocka_unit_test(buddy_order__the_smallest_that_has_room),
	};

	return cmocka_run_group_tests_name("buddy", tests, NULL, NULL);
}
