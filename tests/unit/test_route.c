// SPDX-License-Identifier: BSD-2-Clause
#include "engine/route.h"
#include "stack_test.h"

static uint32_t hop(uint32_t dst)
{
	uint32_t src, next;

	assert_int_equal(route_find(&s.e, dst, &src, &next), 0);
	assert_int_equal(src, US);
	return next;
}

static void route_find__longest_prefix(void **state)
{
	(void)state;
	assert_int_equal(hop(PEER), PEER);
	assert_int_equal(hop(0x08080808), ROUTER);
	assert_int_equal(engine_route_add(&s.e, 0x08000000, 8, 0x0a000003), 0);
	assert_int_equal(engine_route_add(&s.e, 0x08080000, 16, 0x0a000004), 0);
	assert_int_equal(engine_route_add(&s.e, 0x08080808, 32, 0), 0);
	assert_int_equal(hop(0x08080808), 0x08080808);
	assert_int_equal(hop(0x08080809), 0x0a000004);
	assert_int_equal(hop(0x08090000), 0x0a000003);
	assert_int_equal(hop(0x09000000), ROUTER);
	assert_int_equal(engine_route_drop(&s.e, 0x08080000, 16), 0);
	assert_int_equal(hop(0x08080809), 0x0a000003);
	assert_int_equal(engine_route_drop(&s.e, 0x08080000, 16), -ESRCH);
}

static void route_find__broadcast_and_no_way(void **state)
{
	uint32_t src, next;

	(void)state;
	assert_int_equal(hop(UINT32_MAX), 0);
	assert_int_equal(hop(0x0a0000ff), 0);
	assert_int_equal(hop(0xe0000001), 0xe0000001);
	assert_int_equal(engine_route_drop(&s.e, 0, 0), 0);
	assert_int_equal(route_find(&s.e, 0x08080808, &src, &next), -ENETUNREACH);
}

static void engine_route_get__longest_first(void **state)
{
	struct engine_route r;

	(void)state;
	assert_int_equal(engine_route_add(&s.e, 0x08000000, 8, 0x0a000003), 0);
	assert_true(engine_route_get(&s.e, 0, &r));
	assert_int_equal(r.dst, 0x0a000000);
	assert_int_equal(r.prefix, 24);
	assert_int_equal(r.gateway, 0);
	assert_int_equal(r.src, US);
	assert_true(engine_route_get(&s.e, 1, &r));
	assert_int_equal(r.gateway, 0x0a000003);
	assert_true(engine_route_get(&s.e, 2, &r));
	assert_int_equal(r.prefix, 0);
	assert_int_equal(r.gateway, ROUTER);
	assert_false(engine_route_get(&s.e, 3, &r));
	assert_false(engine_route_get(&s.e, UINT32_MAX, &r));
}

static void engine_route_add__what_is_refused(void **state)
{
	(void)state;
	assert_int_equal(engine_route_add(&s.e, 0x08080808, 8, ROUTER), -EINVAL);
	assert_int_equal(engine_route_add(&s.e, 0x08000000, 33, ROUTER), -EINVAL);
	assert_int_equal(engine_route_add(&s.e, 0x08000000, 8, 0x09000001), -ENETUNREACH);
	assert_int_equal(engine_route_add(&s.e, 0, 0, ROUTER), -EEXIST);
	for (uint32_t i = 0; s.e.s->routes < ENGINE_ROUTES; i++)
		assert_int_equal(engine_route_add(&s.e, 0x08000000 + i, 32, ROUTER), 0);
	assert_int_equal(engine_route_add(&s.e, 0x07000000, 32, ROUTER), -ENOSPC);
}

static void route_pmtu_learn__down_only_and_not_too_far(void **state)
{
	(void)state;
	assert_int_equal(route_pmtu(&s.e, PEER), 1500);
	assert_int_equal(route_pmtu_learn(&s.e, PEER, 1500, 9000), 0);
	assert_int_equal(route_pmtu_learn(&s.e, PEER, 1500, 1400), 1400);
	assert_int_equal(route_pmtu(&s.e, PEER), 1400);
	assert_int_equal(route_pmtu_learn(&s.e, PEER, 1400, 1450), 0);
	assert_int_equal(route_pmtu_learn(&s.e, PEER, 1400, 68), PMTU_MIN);
	assert_int_equal(route_pmtu(&s.e, ROUTER), 1500);
	/* RFC 1191 6.3: after ten minutes it may be larger again. */
	s.e.s->now_ns += PMTU_AGE_NS;
	assert_int_equal(route_pmtu(&s.e, PEER), 1500);
}

static void route_pmtu_learn__routers_that_do_not_say(void **state)
{
	(void)state;
	assert_int_equal(route_pmtu_learn(&s.e, PEER, 1500, 0), 1492);
	assert_int_equal(route_pmtu_learn(&s.e, PEER, 1492, 0), 1006);
	assert_int_equal(route_pmtu_learn(&s.e, PEER, 100, 0), PMTU_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(route_find__longest_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(route_find__broadcast_and_no_way, setup, teardown),
		cmocka_unit_test_setup_teardown(engine_route_get__longest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(engine_route_add__what_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(route_pmtu_learn__down_only_and_not_too_far, setup,
						teardown),
		cmocka_unit_test_setup_teardown(route_pmtu_learn__routers_that_do_not_say, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
