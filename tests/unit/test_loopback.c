// SPDX-License-Identifier: BSD-2-Clause
/*
 * The engine's way to itself: mirrors what route.c, ip_in.c and ip_out.c do for
 * ENGINE_LOOPBACK.
 */
#include "stack_test.h"

#define LOCALHOST 0x7f000001u

static int setup_loopback(void **state)
{
	struct engine_config c = stack_config();

	(void)state;
	c.loopback = true;
	stack_init(&s, &c);
	return 0;
}

/* What is for ourselves goes round, until nothing is left. Return: how many frames. */
static unsigned go_round(void)
{
	unsigned n = 0;

	while (stack_pull(&s)) {
		assert_int_equal(s.interface, ENGINE_LOOPBACK);
		assert_memory_equal(s.eth.dst, stack_mac, 6);
		engine_input_from(&s.e, s.now, ENGINE_LOOPBACK, s.frame, s.bytes);
		assert_true(++n < 1000);
	}
	return n;
}

static struct engine_sock listen_at(uint32_t addr, uint16_t port)
{
	struct engine_sock l = open_kind(ENGINE_TCP, 1);

	assert_int_equal(engine_bind(&s.e, l, addr, port), 0);
	assert_int_equal(engine_listen(&s.e, l, 5), 0);
	return l;
}

static void route_find__ourselves_without_a_loopback(void **state)
{
	struct engine_sock t = open_kind(ENGINE_TCP, 1);
	struct engine_sock u = open_kind(ENGINE_UDP, 1);

	(void)state;
	assert_int_equal(engine_connect(&s.e, s.now, t, US, 80), -ENETUNREACH);
	assert_int_equal(engine_connect(&s.e, s.now, t, LOCALHOST, 80), -ENETUNREACH);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, US, 80), -ENETUNREACH);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, LOCALHOST, 80), -ENETUNREACH);
	assert_int_equal(engine_bind(&s.e, t, LOCALHOST, 80), -EADDRNOTAVAIL);
	assert_true(stack_quiet(&s));
}

static void talk_at(uint32_t addr)
{
	struct engine_sock l = listen_at(addr, 80);
	struct engine_sock t = open_kind(ENGINE_TCP, 1);
	struct engine_sock a;
	struct engine_usage u;
	char room[100];

	assert_int_equal(engine_connect(&s.e, s.now, t, addr, 80), -EINPROGRESS);
	assert_true(go_round() >= 3);
	assert_int_equal(info_of(t).state, ENGINE_ESTABLISHED);
	assert_int_equal(info_of(t).laddr, addr);
	assert_int_equal(engine_accept(&s.e, s.now, l, 1, &a), 0);
	assert_int_equal(engine_send(&s.e, s.now, t, "there", 5), 5);
	assert_int_equal(engine_send(&s.e, s.now, a, "back", 4), 4);
	(void)go_round();
	assert_int_equal(engine_recv(&s.e, s.now, a, room, 100), 5);
	assert_memory_equal(room, "there", 5);
	assert_int_equal(engine_recv(&s.e, s.now, t, room, 100), 4);
	assert_memory_equal(room, "back", 4);
	assert_int_equal(engine_close(&s.e, s.now, t), 0);
	assert_int_equal(engine_close(&s.e, s.now, a), 0);
	assert_int_equal(engine_close(&s.e, s.now, l), 0);
	(void)go_round();
	s.now += 61 * NS_SEC;
	engine_time(&s.e, s.now);
	(void)go_round();
	s.now += 61 * NS_SEC;
	engine_time(&s.e, s.now);
	engine_usage(&s.e, &u);
	assert_int_equal(u.tcps, 0);
	assert_int_equal(u.neighs, 0); /* nobody was asked */
}

static void tcp_connect__to_our_address(void **state)
{
	(void)state;
	talk_at(US);
}

static void tcp_connect__to_localhost(void **state)
{
	(void)state;
	talk_at(LOCALHOST);
}

static void tcp_connect__to_itself(void **state)
{
	struct engine_sock t = open_kind(ENGINE_TCP, 1);
	char room[10];

	(void)state; /* RFC 9293 3.5: both ends open at once, and are one */
	assert_int_equal(engine_bind(&s.e, t, US, 700), 0);
	assert_int_equal(engine_connect(&s.e, s.now, t, US, 700), -EINPROGRESS);
	(void)go_round();
	assert_int_equal(info_of(t).state, ENGINE_ESTABLISHED);
	assert_int_equal(engine_send(&s.e, s.now, t, "echo", 4), 4);
	(void)go_round();
	assert_int_equal(engine_recv(&s.e, s.now, t, room, 10), 4);
	assert_memory_equal(room, "echo", 4);
	assert_int_equal(engine_close(&s.e, s.now, t), 0);
	(void)go_round();
}

static void udp_send__to_ourselves(void **state)
{
	struct engine_sock u = open_udp(77);
	struct engine_sock v = open_kind(ENGINE_UDP, 2);
	static uint8_t big[5000];
	uint32_t from;
	char room[10];

	(void)state;
	assert_int_equal(engine_sendto(&s.e, s.now, v, "x", 1, LOCALHOST, 77), 1);
	(void)go_round();
	assert_int_equal(engine_recvfrom(&s.e, u, room, 10, NULL, &from, NULL), 1);
	assert_int_equal(from, LOCALHOST);
	/* In pieces, too. */
	assert_int_equal(engine_sendto(&s.e, s.now, v, big, sizeof(big), US, 77), sizeof(big));
	assert_int_equal(go_round(), 4);
	assert_int_equal(engine_recvfrom(&s.e, u, big, sizeof(big), NULL, &from, NULL),
			 sizeof(big));
	assert_int_equal(from, US);
	/* Nobody is there: the error goes round, too. */
	assert_int_equal(engine_connect(&s.e, s.now, v, LOCALHOST, 78), 0);
	assert_int_equal(engine_send(&s.e, s.now, v, "x", 1), 1);
	(void)go_round();
	assert_int_equal(engine_send(&s.e, s.now, v, "x", 1), -ECONNREFUSED);
}

static void route_find_from__localhost_stays_here(void **state)
{
	struct engine_sock t = open_kind(ENGINE_TCP, 1);
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	struct engine_sock p = open_kind(ENGINE_PING, 1);
	uint8_t echo[8] = {ICMP4_ECHO};

	(void)state; /* RFC 1122 3.2.1.3 (g) */
	assert_int_equal(engine_bind(&s.e, t, LOCALHOST, 0), 0);
	assert_int_equal(engine_connect(&s.e, s.now, t, PEER, 80), -EINVAL);
	assert_int_equal(engine_bind(&s.e, u, LOCALHOST, 0), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, PEER, 80), -EINVAL);
	assert_int_equal(engine_connect(&s.e, s.now, u, PEER, 80), -EINVAL);
	assert_int_equal(engine_bind(&s.e, p, LOCALHOST, 0), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, p, echo, 8, PEER, 0), -EINVAL);
	assert_true(stack_quiet(&s));
}

/* A UDP datagram of @src's to @dst's port 77, by @way. Return: did it arrive? */
static bool arrives(enum engine_interface way, uint32_t src, uint32_t dst, struct engine_sock u)
{
	uint8_t frame[100];
	struct emit out = emit_to(frame, sizeof(frame));
	struct eth eth = {.type = ETH_TYPE_IPV4};
	struct ipv4 ip = {.src = src, .dst = dst, .proto = IPV4_PROTO_UDP, .ttl = 64};
	uint8_t udp[20];
	size_t n = make_udp(udp, sizeof(udp), src, 5, dst, 77, "x", 1);
	char room[2];

	memcpy(eth.dst, stack_mac, 6);
	ip.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + n);
	eth_emit(&out, &eth);
	ipv4_emit(&out, &ip);
	emit_copy(&out, udp, n);
	engine_input_from(&s.e, s.now, way, frame, emit_bytes(&out));
	return engine_recvfrom(&s.e, u, room, 2, NULL, NULL, NULL) == 1;
}

static void ip_input__nobody_pretends_to_be_us(void **state)
{
	struct engine_sock u = open_udp(77);

	(void)state;
	assert_true(arrives(ENGINE_LOOPBACK, US, LOCALHOST, u));
	assert_true(arrives(ENGINE_DEVICE, PEER, US, u));
	assert_false(arrives(ENGINE_DEVICE, US, US, u));
	assert_false(arrives(ENGINE_DEVICE, LOCALHOST, US, u));
	assert_false(arrives(ENGINE_DEVICE, PEER, LOCALHOST, u));
	assert_false(arrives(ENGINE_LOOPBACK, PEER, US, u));
	assert_false(arrives(ENGINE_LOOPBACK, US, PEER, u));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_loopback, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(route_find__ourselves_without_a_loopback, setup,
						teardown),
		TEST(tcp_connect__to_our_address),
		TEST(tcp_connect__to_localhost),
		TEST(tcp_connect__to_itself),
		TEST(udp_send__to_ourselves),
		TEST(route_find_from__localhost_stays_here),
		TEST(ip_input__nobody_pretends_to_be_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
