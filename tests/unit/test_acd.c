// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static int setup_probe(void **state)
{
	struct engine_config c = stack_config();

	(void)state;
	c.probe = true;
	c.no_announce = false;
	stack_init(&s, &c);
	return 0;
}

/* The next packet is ARP, within @ns. */
static struct arp wait_arp(uint64_t ns)
{
	struct arp a;

	assert_true(stack_wait(&s, ns));
	assert_int_equal(s.eth.type, ETH_TYPE_ARP);
	assert_int_equal(arp_parse(&s.data, &a), WIRE_OK);
	assert_memory_equal(s.eth.dst, all_mac, 6);
	assert_memory_equal(a.sender, stack_mac, 6);
	assert_int_equal(a.op, ARP_REQUEST);
	assert_int_equal(a.target_ip, US);
	return a;
}

static void acd_timer__probes_then_announces(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	uint64_t last;

	(void)state; /* RFC 5227 2.1.1, 2.3 */
	assert_int_equal(engine_address_state(&s.e, US), ENGINE_ADDRESS_PROBED);
	assert_int_equal(engine_address_state(&s.e, PEER), -EADDRNOTAVAIL);
	assert_int_equal(wait_arp(NS_SEC + NS_MSEC).sender_ip, 0);
	for (unsigned i = 0; i < 2; i++) {
		last = s.now;
		assert_int_equal(wait_arp(2 * NS_SEC + NS_MSEC).sender_ip, 0);
		assert_true(s.now - last >= NS_SEC);
	}
	/* It is not ours yet: nothing is sent from it, nor answered for it. */
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, PEER, 9), -ENETUNREACH);
	assert_int_equal(engine_bind(&s.e, open_kind(ENGINE_UDP, 2), US, 0), -EADDRNOTAVAIL);
	stack_arp(&s, ARP_REQUEST, PEER, US);
	assert_true(stack_quiet(&s));
	last = s.now;
	assert_int_equal(wait_arp(2 * NS_SEC + NS_MSEC).sender_ip, US);
	assert_true(s.now - last >= 2 * NS_SEC);
	assert_int_equal(engine_address_state(&s.e, US), ENGINE_ADDRESS_USED);
	assert_int_equal(wait_arp(2 * NS_SEC + NS_MSEC).sender_ip, US);
	assert_false(stack_wait(&s, 100 * NS_SEC));
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, PEER, 9), 1);
}

static void acd_input__another_has_it(void **state)
{
	(void)state; /* 2.1.1 */
	(void)wait_arp(NS_SEC + NS_MSEC);
	stack_arp(&s, ARP_REPLY, US, US);
	assert_int_equal(engine_address_state(&s.e, US), ENGINE_ADDRESS_CONFLICT);
	assert_int_equal(stack_count(&s, COUNT_ARP_CONFLICT), 1);
	assert_int_equal(s.e.s->neighs.used, 0);
	assert_false(stack_wait(&s, 59 * NS_SEC));
	/* Perhaps it has gone. */
	assert_int_equal(wait_arp(3 * NS_SEC).sender_ip, 0);
	assert_int_equal(engine_address_state(&s.e, US), ENGINE_ADDRESS_PROBED);
}

static void acd_input__another_wants_it(void **state)
{
	(void)state; /* 2.1.1: a probe of the same address, of another's */
	(void)wait_arp(NS_SEC + NS_MSEC);
	stack_arp(&s, ARP_REQUEST, 0, US);
	assert_int_equal(engine_address_state(&s.e, US), ENGINE_ADDRESS_CONFLICT);
}

static void acd_input__who_only_asks_has_it_not(void **state)
{
	(void)state;
	(void)wait_arp(NS_SEC + NS_MSEC);
	stack_arp(&s, ARP_REQUEST, PEER, US);
	stack_arp(&s, ARP_REPLY, PEER, US);
	assert_int_equal(engine_address_state(&s.e, US), ENGINE_ADDRESS_PROBED);
	assert_int_equal(stack_count(&s, COUNT_ARP_CONFLICT), 0);
}

static void acd_input__a_probe_for_ours_is_answered(void **state)
{
	struct arp a;

	(void)state; /* setup()'s address is in use */
	stack_arp(&s, ARP_REQUEST, 0, US);
	assert_true(stack_pull(&s));
	assert_int_equal(arp_parse(&s.data, &a), WIRE_OK);
	assert_int_equal(a.op, ARP_REPLY);
	assert_int_equal(a.sender_ip, US);
	assert_int_equal(stack_count(&s, COUNT_ARP_CONFLICT), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_probe, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(acd_timer__probes_then_announces),
		TEST(acd_input__another_has_it),
		TEST(acd_input__another_wants_it),
		TEST(acd_input__who_only_asks_has_it_not),
		cmocka_unit_test_setup_teardown(acd_input__a_probe_for_ours_is_answered, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
