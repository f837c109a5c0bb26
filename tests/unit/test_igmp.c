// SPDX-License-Identifier: BSD-2-Clause
/* wire/igmp.c, then engine/igmp.c and what udp.c sends to groups. */
#include "engine/igmp.h"
#include "stack_test.h"
#include "wire/igmp.h"

#define GROUP 0xe8010203u /* 232.1.2.3 */
#define OTHER 0xe8010204u

static const uint8_t group_mac[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03};
static const uint8_t hosts_mac[6] = {0x01, 0x00, 0x5e, 0x00, 0x00, 0x01};

/* A query of @bytes octets, 8 or 12; @code: within tenths of a second. */
static size_t make_query(uint8_t room[12], size_t bytes, uint8_t code, uint32_t group)
{
	memset(room, 0, 12);
	room[0] = IGMP_QUERY;
	room[1] = code;
	put_be32(room + 4, group);
	room[8] = bytes == 12 ? 3 : 0; /* robustness */
	put_be16(room + 2, checksum_fold(checksum_add(0, room, bytes)));
	return bytes;
}

static void igmp_parse__the_versions_of_queries(void **state)
{
	uint8_t room[12];
	struct cursor c;
	struct igmp m;

	(void)state; /* RFC 9776 7.1 */
	c = cursor_of(room, make_query(room, 8, 0, GROUP));
	assert_int_equal(igmp_parse(&c, &m), WIRE_OK);
	assert_int_equal(m.version, 1);
	assert_int_equal(m.max_ms, 10000);
	assert_int_equal(m.group, GROUP);
	c = cursor_of(room, make_query(room, 8, 15, 0));
	assert_int_equal(igmp_parse(&c, &m), WIRE_OK);
	assert_int_equal(m.version, 2);
	assert_int_equal(m.max_ms, 1500);
	c = cursor_of(room, make_query(room, 12, 0xa7, 0));
	assert_int_equal(igmp_parse(&c, &m), WIRE_OK);
	assert_int_equal(m.version, 3);
	assert_int_equal(m.max_ms, 100 * (0x17 << 5)); /* exponent 2, mantissa 7 */
	assert_int_equal(m.robustness, 3);
}

static void igmp_parse__what_is_wrong(void **state)
{
	uint8_t room[12];
	struct igmp m;

	(void)state;
	for (size_t n = 0; n < 12; n++) {
		struct cursor c = cursor_of(room, n);

		(void)make_query(room, n < 8 ? 8 : n, 10, 0);
		assert_int_equal(igmp_parse(&c, &m), n < 8    ? WIRE_SHORT
						     : n == 8 ? WIRE_OK
							      : WIRE_LENGTH);
	}
	for (size_t bit = 0; bit < 96; bit++) {
		struct cursor c = cursor_of(room, make_query(room, 12, 10, GROUP));

		room[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(igmp_parse(&c, &m), WIRE_CHECKSUM);
	}
}

/* ------------------------------------------------------------ the engine */

static void heard(size_t bytes, uint8_t code, uint32_t group)
{
	struct ipv4 ip = {.src = ROUTER, .dst = group ? group : IGMP_ALL_HOSTS, .ttl = 1};
	uint8_t room[12];

	ip.proto = IPV4_PROTO_IGMP;
	stack_ip(&s, &ip, group ? group_mac : hosts_mac, room,
		 make_query(room, bytes, code, group));
}

static int join(struct engine_sock u, uint32_t group)
{
	return engine_set(&s.e, s.now, u, ENGINE_IP_ADD_MEMBERSHIP, group);
}

static int leave(struct engine_sock u, uint32_t group)
{
	return engine_set(&s.e, s.now, u, ENGINE_IP_DROP_MEMBERSHIP, group);
}

/* The frame that was pulled is a report of version 3 with this one record. */
static void is_report(uint8_t type, uint32_t group)
{
	const uint8_t *m = s.frame + 14 + IPV4_HEADER_BYTES + IPV4_ALERT_BYTES;
	uint8_t about[4];

	put_be32(about, group);
	assert_int_equal(s.ip.proto, IPV4_PROTO_IGMP);
	assert_int_equal(s.ip.dst, IGMP_ROUTERS_3);
	assert_int_equal(s.ip.src, US);
	assert_int_equal(s.ip.ttl, 1);
	assert_int_equal(s.ip.tos, 0xc0);
	assert_int_equal(s.ip.options, IPV4_OPT_ROUTER_ALERT);
	assert_int_equal(s.bytes, 14 + 24 + 16);
	assert_int_equal(m[0], IGMP_REPORT_3);
	assert_int_equal(m[7], 1);
	assert_int_equal(m[8], type);
	assert_memory_equal(m + 12, about, 4);
	assert_int_equal(checksum_fold(checksum_add(0, m, 16)), 0);
}

/* The frame that was pulled is a message of version 1 or 2. */
static void is_old(uint8_t type, uint32_t group, uint32_t dst)
{
	const uint8_t *m = s.frame + 14 + IPV4_HEADER_BYTES + IPV4_ALERT_BYTES;
	uint8_t room[8];
	struct emit out = emit_to(room, sizeof(room));

	igmp_emit(&out, type, group);
	assert_int_equal(s.ip.dst, dst);
	assert_int_equal(s.ip.ttl, 1);
	assert_int_equal(s.bytes, 14 + 24 + 8);
	assert_memory_equal(m, room, 8);
}

static void igmp_join__is_said_twice(void **state)
{
	struct engine_sock u = open_udp(77), v = open_udp(78);

	(void)state; /* RFC 9776 5.1 */
	assert_int_equal(join(u, GROUP), 0);
	assert_true(stack_pull(&s));
	assert_memory_equal(s.eth.dst, ((uint8_t[]){1, 0, 0x5e, 0, 0, 0x16}), 6);
	is_report(IGMP_TO_EXCLUDE, GROUP);
	assert_true(stack_quiet(&s));
	assert_true(stack_wait(&s, NS_SEC + NS_MSEC));
	is_report(IGMP_TO_EXCLUDE, GROUP);
	assert_false(stack_wait(&s, 100 * NS_SEC));
	/* One more who wants it says nothing, nor does the first who does not. */
	assert_int_equal(join(v, GROUP), 0);
	assert_int_equal(leave(u, GROUP), 0);
	assert_true(stack_quiet(&s));
	assert_int_equal(engine_close(&s.e, s.now, v), 0);
	assert_true(stack_pull(&s));
	is_report(IGMP_TO_INCLUDE, GROUP);
	assert_true(stack_wait(&s, NS_SEC + NS_MSEC));
	is_report(IGMP_TO_INCLUDE, GROUP);
	assert_false(stack_wait(&s, 100 * NS_SEC));
	assert_int_equal(s.e.s->igmp.groups, 0);
}

static void igmp_join__a_full_table(void **state)
{
	struct engine_sock u[ENGINE_GROUPS / SOCK_GROUPS + 1];
	struct engine_usage usage;

	(void)state;
	for (uint32_t i = 0; i < ENGINE_GROUPS; i++) {
		if (i % SOCK_GROUPS == 0)
			u[i / SOCK_GROUPS] = open_udp((uint16_t)(100 + i));
		assert_int_equal(join(u[i / SOCK_GROUPS], GROUP + i), 0);
	}
	assert_int_equal(join(u[0], GROUP - 1), -ENOBUFS); /* the socket's own list */
	assert_int_equal(stack_count(&s, COUNT_IGMP_GROUPS_FULL), 0);
	assert_int_equal(join(u[ENGINE_GROUPS / SOCK_GROUPS], GROUP - 1), -ENOBUFS);
	assert_int_equal(stack_count(&s, COUNT_IGMP_GROUPS_FULL), 1);
	/* A group that is there already has room for more sockets. */
	assert_int_equal(join(u[ENGINE_GROUPS / SOCK_GROUPS], GROUP), 0);
	for (unsigned i = 0; i < ARRAY_LEN(u); i++)
		assert_int_equal(engine_close(&s.e, s.now, u[i]), 0);
	while (stack_wait(&s, 3 * NS_SEC))
		;
	engine_usage(&s.e, &usage);
	assert_int_equal(usage.groups, 0);
	assert_int_equal(usage.pkts, 0);
}

static void query__is_answered_within_its_time(void **state)
{
	struct engine_sock u = open_udp(77);
	uint64_t asked;

	(void)state;
	assert_int_equal(join(u, GROUP), 0);
	assert_int_equal(join(u, OTHER), 0);
	while (stack_wait(&s, 3 * NS_SEC))
		;
	assert_int_equal(join(u, IGMP_ALL_HOSTS), 0); /* of which nobody speaks */
	assert_false(stack_wait(&s, 3 * NS_SEC));
	asked = s.now;
	heard(12, 50, 0);
	assert_true(stack_quiet(&s));
	assert_true(stack_wait(&s, 5 * NS_SEC + NS_MSEC));
	assert_true(s.now > asked);
	assert_int_equal(s.bytes, 14 + 24 + 8 + 2 * 8); /* both in one */
	assert_int_equal(s.frame[14 + 24 + 8], IGMP_IS_EXCLUDE);
	heard(12, 10, GROUP);
	assert_true(stack_wait(&s, NS_SEC + NS_MSEC));
	is_report(IGMP_IS_EXCLUDE, GROUP);
	heard(12, 10, GROUP + 7); /* nobody's */
	assert_false(stack_wait(&s, 100 * NS_SEC));
	/* It asked for changes to be said three times. */
	assert_int_equal(leave(u, GROUP), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(stack_wait(&s, NS_SEC + NS_MSEC));
		is_report(IGMP_TO_INCLUDE, GROUP);
	}
	assert_false(stack_wait(&s, 100 * NS_SEC));
}

static void query__of_older_versions(void **state)
{
	struct engine_sock u = open_udp(77);

	(void)state; /* RFC 9776 7.2.1 */
	assert_int_equal(join(u, GROUP), 0);
	while (stack_wait(&s, 3 * NS_SEC))
		;
	heard(8, 10, 0);
	assert_true(stack_wait(&s, NS_SEC + NS_MSEC));
	is_old(IGMP_REPORT_2, GROUP, GROUP);
	assert_int_equal(leave(u, GROUP), 0);
	assert_true(stack_pull(&s));
	is_old(IGMP_LEAVE, GROUP, IGMP_ALL_ROUTERS);
	assert_false(stack_wait(&s, 20 * NS_SEC));
	heard(8, 0, 0);
	assert_int_equal(join(u, GROUP), 0);
	assert_true(stack_pull(&s));
	is_old(IGMP_REPORT_1, GROUP, GROUP);
	assert_int_equal(leave(u, GROUP), 0); /* has no message in version 1 */
	assert_true(stack_quiet(&s));
	/* Nothing was heard of those for long: version 3 again. */
	s.now += 300 * NS_SEC;
	assert_int_equal(join(u, OTHER), 0);
	assert_true(stack_pull(&s));
	is_report(IGMP_TO_EXCLUDE, OTHER);
}

static void igmp_input__another_reports_it(void **state)
{
	struct ipv4 ip = {.src = PEER, .dst = GROUP, .proto = IPV4_PROTO_IGMP, .ttl = 1};
	struct engine_sock u = open_udp(77);
	uint8_t room[8];
	struct emit out = emit_to(room, sizeof(room));

	(void)state; /* RFC 2236 3: then we need not, nor say that we leave */
	assert_int_equal(join(u, GROUP), 0);
	while (stack_wait(&s, 3 * NS_SEC))
		;
	heard(8, 100, 0);
	igmp_emit(&out, IGMP_REPORT_2, GROUP);
	stack_ip(&s, &ip, group_mac, room, sizeof(room));
	assert_false(stack_wait(&s, 20 * NS_SEC));
	assert_int_equal(leave(u, GROUP), 0);
	assert_true(stack_quiet(&s));
	assert_int_equal(s.e.s->igmp.groups, 0);
}

static void igmp_input__what_is_ignored(void **state)
{
	struct ipv4 ip = {.src = ROUTER, .dst = US, .proto = IPV4_PROTO_IGMP, .ttl = 1};
	struct engine_sock u = open_udp(77);
	uint8_t room[12];

	(void)state; /* RFC 9776 9.1 */
	assert_int_equal(join(u, GROUP), 0);
	while (stack_wait(&s, 3 * NS_SEC))
		;
	stack_ip(&s, &ip, NULL, room, make_query(room, 12, 10, 0)); /* for all, but to us */
	assert_false(stack_wait(&s, 20 * NS_SEC));
	assert_int_equal(stack_count(&s, COUNT_IGMP_IGNORED), 1);
	room[1] ^= 1;
	stack_ip(&s, &ip, NULL, room, 12);
	assert_int_equal(stack_count(&s, COUNT_IGMP_FAULT + WIRE_CHECKSUM), 1);
	/* Who asks may have no address (RFC 4541 2.1.1). */
	ip.src = 0;
	ip.dst = IGMP_ALL_HOSTS;
	stack_ip(&s, &ip, hosts_mac, room, make_query(room, 12, 10, 0));
	assert_true(stack_wait(&s, 2 * NS_SEC));
	is_report(IGMP_IS_EXCLUDE, GROUP);
	ip.proto = IPV4_PROTO_UDP; /* only for this */
	stack_ip(&s, &ip, hosts_mac, room, 12);
	assert_int_equal(stack_count(&s, COUNT_IP_SOURCE_BAD), 1);
}

static void igmp_timer__no_address_yet(void **state)
{
	struct engine_config c = stack_config();
	struct engine_sock u;

	(void)state;
	stack_end(&s);
	c.probe = true;
	stack_init(&s, &c);
	u = open_udp(77);
	assert_int_equal(join(u, GROUP), 0);
	for (unsigned i = 0; i < 20 && stack_wait(&s, 10 * NS_SEC) && s.eth.type != ETH_TYPE_IPV4;
	     i++)
		;
	is_report(IGMP_TO_EXCLUDE, GROUP);
	assert_int_equal(engine_address_state(&s.e, US), ENGINE_ADDRESS_USED);
}

static void igmp_wants__groups_of_nobody_are_dropped(void **state)
{
	struct ipv4 ip = {.src = PEER, .dst = GROUP, .proto = IPV4_PROTO_UDP};
	struct engine_sock u = open_udp(77);
	uint8_t packet[16];
	size_t n = make_udp(packet, sizeof(packet), PEER, 5, GROUP, 77, "all", 3);
	char room[8];

	(void)state;
	stack_ip(&s, &ip, group_mac, packet, n);
	assert_int_equal(stack_count(&s, COUNT_IP_NOT_FOR_US), 1);
	assert_int_equal(join(u, GROUP), 0);
	stack_ip(&s, &ip, group_mac, packet, n);
	assert_int_equal(engine_recv(&s.e, s.now, u, room, 8), 3);
	assert_int_equal(leave(u, GROUP), 0);
	stack_ip(&s, &ip, group_mac, packet, n); /* though its end is still being said */
	assert_int_equal(engine_recv(&s.e, s.now, u, room, 8), -EAGAIN);
}

/* ------------------------------------------------------------ sending */

static bool pull_udp(void)
{
	while (stack_pull(&s)) {
		if (s.ip.proto == IPV4_PROTO_UDP)
			return true;
	}
	return false;
}

static void udp_send__to_a_group(void **state)
{
	struct engine_sock u = open_udp(77), v = open_udp(78);
	struct engine_datagram d;
	uint32_t value;
	char room[8];

	(void)state; /* RFC 1112 6.1 */
	assert_int_equal(join(v, GROUP), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "all", 3, GROUP, 78), 3);
	assert_true(pull_udp());
	assert_memory_equal(s.eth.dst, group_mac, 6);
	assert_int_equal(s.ip.ttl, 1);
	assert_int_equal(s.ip.src, US);
	/* Who has joined here gets it, too. */
	assert_int_equal(engine_recvmsg(&s.e, v, room, 8, &d), 3);
	assert_int_equal(d.src, US);
	assert_int_equal(d.dst, GROUP);
	assert_int_equal(d.sport, 77);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MULTICAST_LOOP, 0), 0);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MULTICAST_TTL, 9), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "all", 3, GROUP, 78), 3);
	assert_true(pull_udp());
	assert_int_equal(s.ip.ttl, 9);
	assert_int_equal(engine_recv(&s.e, s.now, v, room, 8), -EAGAIN);
	/* 0: it stays here. */
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MULTICAST_LOOP, 1), 0);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MULTICAST_TTL, 0), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "all", 3, GROUP, 78), 3);
	assert_false(pull_udp());
	assert_int_equal(engine_recv(&s.e, s.now, v, room, 8), 3);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MULTICAST_TTL, 256), -EINVAL);
	assert_int_equal(engine_get(&s.e, u, ENGINE_IP_MULTICAST_TTL, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(engine_get(&s.e, u, ENGINE_IP_MULTICAST_LOOP, &value), 0);
	assert_int_equal(value, 1);
}

static void udp_send__from_the_address_that_is_wanted(void **state)
{
	struct engine_config c = stack_config();
	struct engine_sock u;
	uint32_t value;

	(void)state;
	stack_end(&s);
	c.addresses = 2;
	c.address[1] = (struct engine_address){0x0b000001, 24};
	stack_init(&s, &c);
	u = open_udp(77);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MULTICAST_IF, PEER), -EADDRNOTAVAIL);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MULTICAST_IF, 0x0b000001), 0);
	assert_int_equal(engine_get(&s.e, u, ENGINE_IP_MULTICAST_IF, &value), 0);
	assert_int_equal(value, 0x0b000001);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "all", 3, GROUP, 78), 3);
	assert_true(pull_udp());
	assert_int_equal(s.ip.src, 0x0b000001);
	assert_int_equal(engine_connect(&s.e, s.now, u, GROUP, 78), 0);
	assert_int_equal(info_of(u).laddr, 0x0b000001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(igmp_parse__the_versions_of_queries),
		cmocka_unit_test(igmp_parse__what_is_wrong),
		cmocka_unit_test_setup_teardown(igmp_join__is_said_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(igmp_join__a_full_table, setup, teardown),
		cmocka_unit_test_setup_teardown(query__is_answered_within_its_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(query__of_older_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(igmp_input__another_reports_it, setup, teardown),
		cmocka_unit_test_setup_teardown(igmp_input__what_is_ignored, setup, teardown),
		cmocka_unit_test_setup_teardown(igmp_timer__no_address_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(igmp_wants__groups_of_nobody_are_dropped, setup,
						teardown),
		cmocka_unit_test_setup_teardown(udp_send__to_a_group, setup, teardown),
		cmocka_unit_test_setup_teardown(udp_send__from_the_address_that_is_wanted, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("igmp", tests, NULL, NULL);
}
