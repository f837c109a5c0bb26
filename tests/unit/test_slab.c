// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/slab.h"

struct thing {
	struct slab_head head;
	uint64_t value;
};

static void slab_get__until_it_is_full(void **state)
{
	struct thing t[3];
	struct slab p;

	(void)state;
	memset(t, 0xa5, sizeof(t)); /* nothing is taken from what was there */
	slab_init(&p, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(slab_get(&p, t, sizeof(*t)), i);
		assert_int_equal(t[i].value, 0);
		t[i].value = 9;
	}
	assert_int_equal(slab_get(&p, t, sizeof(*t)), NIL);
	slab_put(&p, t, sizeof(*t), 1);
	assert_int_equal(p.used, 2);
	assert_int_equal(slab_get(&p, t, sizeof(*t)), 1);
	assert_int_equal(t[1].value, 0);
	assert_int_equal(p.peak, 3);
}

static void slab_holds__only_the_generation_that_is_in_use(void **state)
{
	struct thing t[2];
	struct slab p;
	uint32_t gen;

	(void)state;
	slab_init(&p, 2);
	assert_int_equal(slab_get(&p, t, sizeof(*t)), 0);
	gen = t[0].head.gen;
	assert_true(slab_holds(&p, t, sizeof(*t), 0, gen));
	assert_false(slab_holds(&p, t, sizeof(*t), 0, gen + 1));
	assert_false(slab_holds(&p, t, sizeof(*t), 1, gen)); /* never used */
	assert_false(slab_holds(&p, t, sizeof(*t), 77, gen));
	assert_false(slab_holds(&p, t, sizeof(*t), NIL, gen));
	slab_put(&p, t, sizeof(*t), 0);
	assert_false(slab_holds(&p, t, sizeof(*t), 0, gen));
	assert_false(slab_holds(&p, t, sizeof(*t), 0, gen + 1)); /* free ones are even */
	assert_int_equal(slab_get(&p, t, sizeof(*t)), 0);
	assert_false(slab_holds(&p, t, sizeof(*t), 0, gen));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slab_get__until_it_is_full),
		cmocka_unit_test(slab_holds__only_the_generation_that_is_in_use),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
