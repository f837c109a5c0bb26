// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static void echo_comes(void)
{
	struct icmp4 h = {.type = ICMP4_ECHO, .id = 7, .seq = 8};

	stack_icmp(&s, PEER, &h, "hello", 5);
}

static void raw_input__with_its_header(void **state)
{
	struct engine_sock r = open_kind(ENGINE_RAW_ICMP, 1);
	struct engine_sock other = open_kind(ENGINE_RAW_ICMP, 2);
	struct engine_datagram d;
	uint8_t room[100];
	struct cursor c;
	struct ipv4 ip;
	struct icmp4 h;

	(void)state;
	stack_know(&s, PEER);
	echo_comes();
	assert_true(stack_pull_ip(&s)); /* the engine answers all the same */
	assert_int_equal(engine_recvmsg(&s.e, r, room, sizeof(room), &d), 33);
	assert_int_equal(d.bytes, 33);
	assert_int_equal(d.src, PEER);
	assert_int_equal(d.dst, US);
	assert_int_equal(d.ttl, 64);
	c = cursor_of(room, 33);
	assert_int_equal(ipv4_parse(&c, &ip), WIRE_OK);
	assert_int_equal(ip.src, PEER);
	assert_int_equal(icmp4_parse(&c, &h), WIRE_OK);
	assert_int_equal(h.id, 7);
	assert_memory_equal(c.at, "hello", 5);
	/* To each of them. */
	assert_int_equal(engine_recv(&s.e, s.now, other, room, sizeof(room)), 33);
	assert_int_equal(engine_recv(&s.e, s.now, r, room, sizeof(room)), -EAGAIN);
}

static void raw_input__who_does_not_want_it(void **state)
{
	struct engine_config c = stack_config();
	struct engine_sock bound, filter, peer, elsewhere;
	uint8_t room[100];

	(void)state;
	stack_end(&s);
	c.addresses = 2;
	c.address[1] = (struct engine_address){US + 9, 24};
	stack_init(&s, &c);
	bound = open_kind(ENGINE_RAW_ICMP, 1);
	filter = open_kind(ENGINE_RAW_ICMP, 2);
	peer = open_kind(ENGINE_RAW_ICMP, 3);
	elsewhere = open_kind(ENGINE_RAW_ICMP, 4);
	stack_know(&s, PEER);
	assert_int_equal(engine_bind(&s.e, elsewhere, US + 9, 0), 0);
	assert_int_equal(engine_bind(&s.e, bound, PEER, 0), -EADDRNOTAVAIL);
	assert_int_equal(engine_bind(&s.e, bound, US, 0), 0);
	assert_int_equal(engine_set(&s.e, s.now, filter, ENGINE_ICMP_FILTER, 1u << ICMP4_ECHO), 0);
	assert_int_equal(engine_connect(&s.e, s.now, peer, ROUTER, 0), 0);
	echo_comes();
	assert_int_equal(engine_recv(&s.e, s.now, bound, room, sizeof(room)), 33);
	assert_int_equal(engine_recv(&s.e, s.now, elsewhere, room, sizeof(room)), -EAGAIN);
	assert_int_equal(engine_recv(&s.e, s.now, filter, room, sizeof(room)), -EAGAIN);
	assert_int_equal(engine_recv(&s.e, s.now, peer, room, sizeof(room)), -EAGAIN);
	assert_int_equal(engine_set(&s.e, s.now, open_udp(7), ENGINE_ICMP_FILTER, 1), -ENOPROTOOPT);
}

static void raw_send__as_it_is(void **state)
{
	struct engine_sock r = open_kind(ENGINE_RAW_ICMP, 1);
	uint8_t message[12] = {42, 1, 2, 3, 4};

	(void)state;
	stack_know(&s, PEER);
	assert_int_equal(engine_set(&s.e, s.now, r, ENGINE_IP_TTL, 3), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, r, message, 12, PEER, 0), 12);
	assert_true(stack_pull_ip(&s));
	assert_int_equal(s.ip.proto, IPV4_PROTO_ICMP);
	assert_int_equal(s.ip.ttl, 3);
	assert_int_equal(cursor_left(&s.data), 12);
	assert_memory_equal(s.data.at, message, 12); /* not even its checksum is looked at */
	assert_int_equal(engine_sendto(&s.e, s.now, r, message, 65536, PEER, 0), -EMSGSIZE);
	assert_int_equal(engine_send(&s.e, s.now, r, message, 12), -EDESTADDRREQ);
	assert_int_equal(engine_close(&s.e, s.now, r), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, r, message, 12, PEER, 0), -EBADF);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(raw_input__with_its_header),
		TEST(raw_input__who_does_not_want_it),
		TEST(raw_send__as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
