// SPDX-License-Identifier: BSD-2-Clause
#include "engine/neigh.h"
#include "stack_test.h"

static void send_to(struct engine_sock u, uint32_t addr)
{
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, addr, 9), 1);
}

static struct arp pulled_arp(void)
{
	struct arp a;

	assert_true(stack_pull(&s));
	assert_int_equal(s.eth.type, ETH_TYPE_ARP);
	assert_int_equal(arp_parse(&s.data, &a), WIRE_OK);
	return a;
}

static void neigh_resolve__asks_then_sends(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	struct arp a;

	(void)state;
	send_to(u, PEER);
	a = pulled_arp();
	assert_int_equal(a.op, ARP_REQUEST);
	assert_int_equal(a.sender_ip, US);
	assert_int_equal(a.target_ip, PEER);
	assert_memory_equal(s.eth.dst, all_mac, 6);
	assert_true(stack_quiet(&s));
	stack_arp(&s, ARP_REPLY, PEER, US);
	assert_true(stack_pull(&s));
	assert_memory_equal(s.eth.dst, peer_mac, 6);
	assert_int_equal(s.ip.dst, PEER);
	assert_true(stack_quiet(&s));
}

static void engine_neigh_get__the_latest_first(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	struct engine_neigh n;

	(void)state;
	assert_false(engine_neigh_get(&s.e, 0, &n));
	send_to(u, PEER);
	(void)pulled_arp();
	stack_arp(&s, ARP_REPLY, PEER, US);
	while (stack_pull(&s))
		;
	s.now += NS_SEC;
	engine_time(&s.e, s.now);
	send_to(u, PEER + 1);
	(void)pulled_arp();
	assert_true(engine_neigh_get(&s.e, 0, &n));
	assert_int_equal(n.addr, PEER + 1);
	assert_int_equal(n.state, ENGINE_NEIGH_INCOMPLETE);
	assert_true(n.age_ns == UINT64_MAX);
	assert_true(engine_neigh_get(&s.e, 1, &n));
	assert_int_equal(n.addr, PEER);
	assert_int_equal(n.state, ENGINE_NEIGH_REACHABLE);
	assert_memory_equal(n.mac, peer_mac, 6);
	assert_true(n.age_ns == NS_SEC);
	assert_false(engine_neigh_get(&s.e, 2, &n));
}

static void neigh_resolve__by_the_gateway(void **state)
{
	(void)state;
	send_to(open_kind(ENGINE_UDP, 1), 0x08080808);
	assert_int_equal(pulled_arp().target_ip, ROUTER);
}

static void neigh_resolve__once_a_second_and_gives_up(void **state)
{
	uint64_t began = s.now;

	(void)state;
	send_to(open_kind(ENGINE_UDP, 1), PEER);
	(void)pulled_arp();
	for (unsigned i = 0; i < 2; i++) {
		assert_true(stack_wait(&s, 2 * NS_SEC));
		assert_int_equal(s.eth.type, ETH_TYPE_ARP);
		assert_true(s.now - began >= (i + 1) * NS_SEC);
	}
	assert_false(stack_wait(&s, 10 * NS_SEC));
	assert_int_equal(stack_count(&s, COUNT_ARP_UNANSWERED), 1);
	assert_int_equal(s.e.s->neighs.used, 0);
	assert_int_equal(s.e.s->pkts.used, 0); /* what waited is gone */
}

static void neigh_hold__the_latest_are_kept(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	unsigned sent = 0;

	(void)state;
	for (uint8_t i = 0; i < 10; i++) {
		assert_int_equal(engine_sendto(&s.e, s.now, u, &i, 1, PEER, 9), 1);
		while (stack_pull(&s))
			;
	}
	assert_int_equal(stack_count(&s, COUNT_ARP_QUEUE_FULL), 10 - NEIGH_QUEUE);
	stack_arp(&s, ARP_REPLY, PEER, US);
	while (stack_pull(&s)) {
		assert_int_equal(s.frame[42], 10 - NEIGH_QUEUE + sent);
		sent++;
	}
	assert_int_equal(sent, NEIGH_QUEUE);
}

static void neigh_input__answers_requests_for_us_only(void **state)
{
	struct arp a;

	(void)state;
	stack_arp(&s, ARP_REQUEST, PEER, US);
	a = pulled_arp();
	assert_int_equal(a.op, ARP_REPLY);
	assert_int_equal(a.sender_ip, US);
	assert_memory_equal(a.sender, stack_mac, 6);
	assert_memory_equal(a.target, peer_mac, 6);
	stack_arp(&s, ARP_REQUEST, PEER, ROUTER);
	assert_true(stack_quiet(&s));
}

static void neigh_input__noise_makes_no_entries(void **state)
{
	(void)state;
	for (uint32_t i = 10; i < 250; i++) {
		stack_arp(&s, ARP_REPLY, 0x0a000000 + i, 0x0a000000 + i + 1);
		stack_arp(&s, ARP_REQUEST, 0x0a000000 + i, 0x0a000000 + i);
	}
	assert_int_equal(s.e.s->neighs.used, 0);
	stack_arp(&s, ARP_REQUEST, 0, US); /* a probe (RFC 5227): answered, not learned */
	assert_int_equal(pulled_arp().op, ARP_REPLY);
	assert_int_equal(s.e.s->neighs.used, 0);
}

static void neigh_input__full_forgets_the_least_recently_used(void **state)
{
	uint8_t mac[6];

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		stack_arp(&s, ARP_REQUEST, 0x0a000010 + i, US);
	assert_int_equal(s.e.s->neighs.used, 8);
	assert_int_equal(neigh_resolve(&s.e, 0x0a000010, NULL, mac),
			 0); /* used: not the oldest any more */
	stack_arp(&s, ARP_REQUEST, 0x0a000020, US);
	assert_int_equal(s.e.s->neighs.used, 8);
	assert_int_equal(neigh_resolve(&s.e, 0x0a000010, NULL, mac), 0);
	assert_int_equal(neigh_resolve(&s.e, 0x0a000011, NULL, mac), -EAGAIN);
}

static void neigh_input__a_conflict_is_defended_once_in_ten_seconds(void **state)
{
	struct arp a;

	(void)state;
	stack_arp(&s, ARP_REQUEST, US, US);
	a = pulled_arp();
	assert_int_equal(a.sender_ip, US);
	assert_memory_equal(s.eth.dst, all_mac, 6);
	stack_arp(&s, ARP_REQUEST, US, US);
	assert_true(stack_quiet(&s));
	s.now += 11 * NS_SEC;
	stack_arp(&s, ARP_REQUEST, US, US);
	(void)pulled_arp();
	assert_int_equal(stack_count(&s, COUNT_ARP_CONFLICT), 3);
}

static void neigh_resolve__stale_is_asked_directly_and_used(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	struct arp a;

	(void)state;
	stack_know(&s, PEER);
	s.now += NEIGH_REACHABLE_NS + NS_SEC;
	send_to(u, PEER);
	assert_true(stack_pull(&s)); /* it goes to the address of old */
	assert_int_equal(s.eth.type, ETH_TYPE_IPV4);
	a = pulled_arp();
	assert_int_equal(a.op, ARP_REQUEST);
	assert_memory_equal(s.eth.dst, peer_mac, 6);
	stack_arp(&s, ARP_REPLY, PEER, US);
	assert_false(stack_wait(&s, 5 * NS_SEC));
	assert_int_equal(s.e.s->neighs.used, 1);
}

static void neigh_resolve__multicast(void **state)
{
	uint8_t mac[6];

	(void)state;
	assert_int_equal(neigh_resolve(&s.e, 0xe08102ff, NULL, mac), 0); /* 224.129.2.255 */
	assert_memory_equal(mac, "\x01\x00\x5e\x01\x02\xff", 6);
	assert_int_equal(neigh_resolve(&s.e, 0, NULL, mac), 0);
	assert_memory_equal(mac, all_mac, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(neigh_resolve__asks_then_sends, setup, teardown),
		cmocka_unit_test_setup_teardown(engine_neigh_get__the_latest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(neigh_resolve__by_the_gateway, setup, teardown),
		cmocka_unit_test_setup_teardown(neigh_resolve__once_a_second_and_gives_up, setup,
						teardown),
		cmocka_unit_test_setup_teardown(neigh_hold__the_latest_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(neigh_input__answers_requests_for_us_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(neigh_input__noise_makes_no_entries, setup,
						teardown),
		cmocka_unit_test_setup_teardown(neigh_input__full_forgets_the_least_recently_used,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			neigh_input__a_conflict_is_defended_once_in_ten_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(neigh_resolve__stale_is_asked_directly_and_used,
						setup, teardown),
		cmocka_unit_test_setup_teardown(neigh_resolve__multicast, setup, teardown),
	};

	return cmocka_run_group_tests_name("neigh", tests, NULL, NULL);
}
