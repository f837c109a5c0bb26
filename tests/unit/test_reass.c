// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static struct engine_sock u;
static uint8_t packet[65535];
static size_t packet_bytes;

/* A UDP datagram of @bytes octets for port 77, where a socket is. */
static void make(size_t bytes)
{
	static uint8_t data[65535];

	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	packet_bytes = make_udp(packet, sizeof(packet), PEER, 5, US, 77, data, bytes);
	assert_int_equal(engine_open(&s.e, ENGINE_UDP, 1, &u), 0);
	assert_int_equal(engine_bind(&s.e, u, US, 77), 0);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_SO_RCVBUF, 1u << 20), 0);
}

static void fragment(uint16_t id, size_t from, size_t to)
{
	struct ipv4 h = {
		.src = PEER,
		.dst = US,
		.proto = IPV4_PROTO_UDP,
		.id = id,
		.offset_bytes = (uint16_t)from,
		.mf = to < packet_bytes,
	};

	stack_ip(&s, &h, NULL, packet + from, to - from);
}

/* Return: octets of the datagram that came, which is right; -1: none did. */
static int64_t received(void)
{
	static uint8_t room[65535];
	int64_t n = engine_recvfrom(&s.e, u, room, sizeof(room), NULL, NULL, NULL);

	if (n >= 0)
		assert_memory_equal(room, packet + 8, (size_t)n);
	return n < 0 ? -1 : n;
}

static void reass_input__any_order(void **state)
{
	static const uint8_t orders[][4] = {
		{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}, {3, 0, 2, 1},
	};

	(void)state;
	make(3000);
	for (uint32_t k = 0; k < ARRAY_LEN(orders); k++) {
		for (unsigned i = 0; i < 4; i++) {
			size_t from = orders[k][i] * 800u;

			assert_int_equal(received(), -1);
			fragment((uint16_t)k, from,
				 from + 800 < packet_bytes ? from + 800 : packet_bytes);
		}
		assert_int_equal(received(), 3000);
	}
	assert_int_equal(s.e.s->pkts.used, 0);
	assert_int_equal(s.e.s->cells.used, 0);
}

static void reass_input__the_largest_datagram(void **state)
{
	(void)state;
	make(UDP_PAYLOAD_MAX);
	for (size_t from = 0; from < packet_bytes; from += 1480)
		fragment(9, from, from + 1480 < packet_bytes ? from + 1480 : packet_bytes);
	assert_int_equal(received(), UDP_PAYLOAD_MAX);
}

static void reass_input__copies_are_dropped(void **state)
{
	(void)state;
	make(1000);
	fragment(1, 0, 400);
	fragment(1, 0, 400);
	fragment(1, 800, packet_bytes);
	fragment(1, 800, packet_bytes);
	fragment(1, 400, 800);
	assert_int_equal(received(), 1000);
	assert_int_equal(stack_count(&s, COUNT_REASS_OVERLAP), 0);
}

static void reass_input__overlaps_end_the_datagram(void **state)
{
	static const uint16_t over[][2] = {{0, 408}, {392, 800}, {200, 600}, {392, 1008}};

	(void)state;
	make(1000);
	for (uint32_t i = 0; i < ARRAY_LEN(over); i++) {
		fragment((uint16_t)i, 0, 400);
		fragment((uint16_t)i, 800, packet_bytes);
		fragment((uint16_t)i, over[i][0], over[i][1]);
		assert_int_equal(stack_count(&s, COUNT_REASS_OVERLAP), i + 1);
		fragment((uint16_t)i, 400, 800); /* too late */
		assert_int_equal(received(), -1);
		engine_time(&s.e, s.now += 31 * NS_SEC);
		while (stack_pull(&s))
			;
		assert_int_equal(s.e.s->pkts.used, 0);
	}
}

static void reass_input__lengths_that_contradict(void **state)
{
	struct ipv4 h = {.src = PEER, .dst = US, .proto = IPV4_PROTO_UDP, .id = 1, .mf = true};

	(void)state;
	make(1000);
	stack_ip(&s, &h, NULL, packet, 401); /* not of whole 8 octets */
	assert_int_equal(stack_count(&s, COUNT_REASS_LENGTH), 1);
	h.offset_bytes = 65528; /* beyond what a packet can have: the "ping of death" */
	h.mf = false;
	stack_ip(&s, &h, NULL, packet, 100);
	assert_int_equal(stack_count(&s, COUNT_REASS_LENGTH), 2);
	/* Two last fragments that disagree. */
	h.offset_bytes = 800;
	stack_ip(&s, &h, NULL, packet, 100);
	h.offset_bytes = 400;
	stack_ip(&s, &h, NULL, packet, 100);
	assert_int_equal(stack_count(&s, COUNT_REASS_LENGTH), 3);
	/* One behind the last. */
	h.offset_bytes = 80;
	stack_ip(&s, &h, NULL, packet, 100);
	h.offset_bytes = 800;
	h.mf = true;
	stack_ip(&s, &h, NULL, packet, 80);
	assert_int_equal(stack_count(&s, COUNT_REASS_LENGTH), 4);
	assert_int_equal(s.e.s->pkts.used, 0);
}

static void reass_input__limits(void **state)
{
	struct ipv4 h = {.src = PEER, .dst = US, .proto = IPV4_PROTO_UDP, .mf = true};

	(void)state;
	make(1000);
	/* More datagrams than places: the oldest goes. */
	for (uint16_t i = 0; i < REASS_MAX + 3; i++) {
		fragment(i, 0, 400);
		s.now += NS_MSEC;
	}
	assert_int_equal(stack_count(&s, COUNT_REASS_NO_ROOM), 3);
	assert_int_equal(s.e.s->pkts.used, REASS_MAX);
	fragment(REASS_MAX + 2, 400, packet_bytes);
	assert_int_equal(received(), 1000);
	/* More gaps than one datagram may have. */
	for (uint32_t i = 0; i <= PKT_GAPS; i++) {
		h.id = 1000;
		h.offset_bytes = (uint16_t)(i * 16);
		stack_ip(&s, &h, NULL, packet, 8);
	}
	assert_int_equal(stack_count(&s, COUNT_REASS_NO_ROOM), 4);
}

static void reass_timer__says_so_where_the_first_came(void **state)
{
	struct icmp4 h;

	(void)state;
	make(1000);
	stack_know(&s, PEER);
	fragment(1, 0, 400);
	fragment(2, 400, 800);
	assert_true(stack_wait(&s, 60 * NS_SEC));
	assert_int_equal(s.ip.proto, IPV4_PROTO_ICMP);
	assert_int_equal(icmp4_parse(&s.data, &h), WIRE_OK);
	assert_int_equal(h.type, ICMP4_TIME_EXCEEDED);
	assert_int_equal(h.code, ICMP4_EXCEEDED_REASSEMBLY);
	while (stack_wait(&s, 60 * NS_SEC))
		assert_int_equal(s.eth.type, ETH_TYPE_ARP); /* the peer was not heard of for long */
	assert_int_equal(stack_count(&s, COUNT_REASS_TIMEOUT), 2);
	assert_int_equal(s.e.s->pkts.used, 0);
}

static void ip_frame__fragments_what_is_too_long(void **state)
{
	static uint8_t data[UDP_PAYLOAD_MAX];
	static uint8_t got[65535];
	size_t total = 0;
	uint16_t id = 0;

	(void)state;
	make(10);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	stack_know(&s, PEER);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, sizeof(data), PEER, 9), sizeof(data));
	while (stack_pull(&s)) {
		assert_true(s.bytes <= 1514);
		assert_int_equal(s.ip.offset_bytes, total);
		if (total)
			assert_int_equal(s.ip.id, id);
		id = s.ip.id;
		memcpy(got + total, s.data.at, cursor_left(&s.data));
		total += cursor_left(&s.data);
		assert_int_equal(s.ip.mf, total < sizeof(data) + 8);
	}
	assert_int_equal(total, sizeof(data) + 8);
	assert_memory_equal(got + 8, data, sizeof(data));
	assert_int_equal(s.e.s->cells.used, 0);
	/* With DF it is not sent at all. */
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MTU_DISCOVER, 1), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 1473, PEER, 9), -EMSGSIZE);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 1472, PEER, 9), 1472);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reass_input__any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(reass_input__the_largest_datagram, setup, teardown),
		cmocka_unit_test_setup_teardown(reass_input__copies_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(reass_input__overlaps_end_the_datagram, setup,
						teardown),
		cmocka_unit_test_setup_teardown(reass_input__lengths_that_contradict, setup,
						teardown),
		cmocka_unit_test_setup_teardown(reass_input__limits, setup, teardown),
		cmocka_unit_test_setup_teardown(reass_timer__says_so_where_the_first_came, setup,
						teardown),
		cmocka_unit_test_setup_teardown(ip_frame__fragments_what_is_too_long, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("reass", tests, NULL, NULL);
}
