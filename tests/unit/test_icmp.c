// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static struct icmp4 pulled_icmp(void)
{
	struct icmp4 h;

	assert_true(stack_pull(&s));
	assert_int_equal(s.ip.proto, IPV4_PROTO_ICMP);
	assert_int_equal(icmp4_parse(&s.data, &h), WIRE_OK);
	return h;
}

static void icmp_input__echo(void **state)
{
	struct icmp4 h = {.type = ICMP4_ECHO, .id = 7, .seq = 8};
	static uint8_t body[5000];

	(void)state;
	memset(body, 'e', sizeof(body));
	stack_know(&s, PEER);
	stack_icmp(&s, PEER, &h, "hello", 5);
	h = pulled_icmp();
	assert_int_equal(h.type, ICMP4_ECHO_REPLY);
	assert_int_equal(h.id, 7);
	assert_int_equal(h.seq, 8);
	assert_memory_equal(s.data.at, "hello", 5);
	assert_int_equal(s.ip.src, US);
	assert_int_equal(s.ip.dst, PEER);
	assert_true(stack_quiet(&s));
}

static void icmp_input__no_echo_of_a_broadcast(void **state)
{
	uint8_t room[64];
	struct emit out = emit_to(room, sizeof(room));
	struct icmp4 h = {.type = ICMP4_ECHO};
	struct ipv4 ip = {.src = PEER, .dst = 0x0a0000ff, .proto = IPV4_PROTO_ICMP};

	(void)state;
	stack_know(&s, PEER);
	icmp4_emit(&out, &h, 0);
	stack_ip(&s, &ip, all_mac, room, emit_bytes(&out));
	assert_int_equal(stack_count(&s, COUNT_ICMP_ECHO_IN), 1);
	assert_true(stack_quiet(&s));
}

static void ip_input__sources_that_nobody_has(void **state)
{
	static const uint32_t bad[] = {0, UINT32_MAX, 0xe0000001, 0x7f000001, US, 0x0a0000ff};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		stack_udp(&s, bad[i], 1, 2, "x", 1);
	assert_int_equal(stack_count(&s, COUNT_IP_SOURCE_BAD), ARRAY_LEN(bad));
	assert_true(stack_quiet(&s));
}

static void ip_input__one_address_in_a_frame_to_all(void **state)
{
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_UDP};

	(void)state;
	stack_ip(&s, &ip, all_mac, "12345678", 8); /* RFC 1122 3.3.6 */
	assert_int_equal(stack_count(&s, COUNT_IP_NOT_FOR_US), 1);
	ip.dst = ROUTER;
	stack_ip(&s, &ip, NULL, "12345678", 8);
	assert_int_equal(stack_count(&s, COUNT_IP_NOT_FOR_US), 2);
}

static void icmp_error__port_and_protocol(void **state)
{
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = 99};
	struct ipv4 quoted;
	struct icmp4 h;

	(void)state;
	stack_know(&s, PEER);
	stack_udp(&s, PEER, 5, 1234, "question", 8);
	h = pulled_icmp();
	assert_int_equal(h.type, ICMP4_UNREACHABLE);
	assert_int_equal(h.code, ICMP4_UNREACHABLE_PORT);
	assert_int_equal(ipv4_parse_quoted(&s.data, &quoted), WIRE_OK);
	assert_int_equal(quoted.src, PEER);
	assert_int_equal(cursor_left(&s.data), 16); /* all of it is quoted */
	stack_ip(&s, &ip, NULL, "x", 1);
	assert_int_equal(pulled_icmp().code, ICMP4_UNREACHABLE_PROTOCOL);
}

static void icmp_error__at_a_limited_rate(void **state)
{
	unsigned sent = 0;

	(void)state;
	stack_know(&s, PEER);
	for (unsigned i = 0; i < 200; i++) {
		stack_udp(&s, PEER, 5, 1234, "x", 1);
		while (stack_pull(&s))
			sent++;
	}
	assert_int_equal(sent, 50);
	assert_int_equal(stack_count(&s, COUNT_ICMP_LIMITED), 150);
	s.now += 10 * NS_MSEC;
	for (unsigned i = 0; i < 200; i++) {
		stack_udp(&s, PEER, 5, 1234, "x", 1);
		while (stack_pull(&s))
			sent++;
	}
	assert_int_equal(sent, 60);
}

static void icmp_error__never_about_broadcast(void **state)
{
	uint8_t room[64];
	struct ipv4 ip = {.src = PEER, .dst = 0x0a0000ff, .proto = IPV4_PROTO_UDP};

	(void)state;
	stack_know(&s, PEER);
	stack_ip(&s, &ip, all_mac, room,
		 make_udp(room, sizeof(room), PEER, 5, 0x0a0000ff, 1234, "x", 1));
	assert_int_equal(stack_count(&s, COUNT_UDP_NO_PORT), 1);
	assert_true(stack_quiet(&s));
}

/* What was pulled last comes back in an error. */
static void complain(uint8_t type, uint8_t code, uint16_t mtu)
{
	struct icmp4 h = {.type = type, .code = code, .seq = mtu};

	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
}

static void icmp_input__an_error_finds_its_socket(void **state)
{
	struct engine_sock u = open_udp(77);
	struct engine_event ev;
	uint32_t error;

	(void)state;
	stack_know(&s, PEER);
	/* Not connected: it would not know which of its peers was meant. */
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, PEER, 9), 1);
	assert_true(stack_pull(&s));
	complain(ICMP4_UNREACHABLE, ICMP4_UNREACHABLE_PORT, 0);
	assert_false(engine_event(&s.e, &ev));
	assert_int_equal(engine_connect(&s.e, s.now, u, PEER, 9), 0);
	assert_int_equal(engine_send(&s.e, s.now, u, "x", 1), 1);
	assert_true(stack_pull(&s));
	complain(ICMP4_UNREACHABLE, ICMP4_UNREACHABLE_PORT, 0);
	assert_true(engine_event(&s.e, &ev));
	assert_true(ev.events & ENGINE_ERROR);
	assert_int_equal(ev.cookie, 77);
	assert_int_equal(engine_get(&s.e, u, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, ECONNREFUSED);
	assert_int_equal(engine_get(&s.e, u, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, 0);
}

static void icmp_input__an_error_about_nothing_of_ours(void **state)
{
	struct engine_event ev;

	(void)state;
	stack_know(&s, PEER);
	(void)open_udp(77);
	memset(s.frame, 0, 64);
	complain(ICMP4_UNREACHABLE, ICMP4_UNREACHABLE_PORT, 0);
	assert_int_equal(stack_count(&s, COUNT_ICMP_IGNORED), 1);
	assert_false(engine_event(&s.e, &ev));
	assert_true(stack_quiet(&s));
}

static void icmp_send__ping(void **state)
{
	struct icmp4 h = {.type = ICMP4_ECHO_REPLY, .seq = 3};
	struct engine_sock p;
	uint8_t room[64];

	(void)state;
	stack_know(&s, PEER);
	assert_int_equal(engine_open(&s.e, ENGINE_PING, 5, &p), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, p, "\x08\0\0\0\0\0\0\x03ping", 12, PEER, 0),
			 12);
	h.id = pulled_icmp().id;
	assert_memory_equal(s.data.at, "ping", 4);
	stack_icmp(&s, PEER, &h, "ping", 4);
	assert_int_equal(engine_recvfrom(&s.e, p, room, sizeof(room), NULL, NULL, NULL), 12);
	assert_memory_equal(room + 8, "ping", 4);
	/* Somebody else's. */
	h.id++;
	stack_icmp(&s, PEER, &h, "ping", 4);
	assert_int_equal(engine_recvfrom(&s.e, p, room, sizeof(room), NULL, NULL, NULL), -EAGAIN);
	assert_int_equal(engine_sendto(&s.e, s.now, p, "\x03\0\0\0\0\0\0\0", 8, PEER, 0), -EINVAL);
	assert_int_equal(engine_sendto(&s.e, s.now, p, "\x08", 1, PEER, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(icmp_input__echo, setup, teardown),
		cmocka_unit_test_setup_teardown(icmp_input__no_echo_of_a_broadcast, setup,
						teardown),
		cmocka_unit_test_setup_teardown(ip_input__sources_that_nobody_has, setup, teardown),
		cmocka_unit_test_setup_teardown(ip_input__one_address_in_a_frame_to_all, setup,
						teardown),
		cmocka_unit_test_setup_teardown(icmp_error__port_and_protocol, setup, teardown),
		cmocka_unit_test_setup_teardown(icmp_error__at_a_limited_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(icmp_error__never_about_broadcast, setup, teardown),
		cmocka_unit_test_setup_teardown(icmp_input__an_error_finds_its_socket, setup,
						teardown),
		cmocka_unit_test_setup_teardown(icmp_input__an_error_about_nothing_of_ours, setup,
						teardown),
		cmocka_unit_test_setup_teardown(icmp_send__ping, setup, teardown),
	};

	return cmocka_run_group_tests_name("icmp", tests, NULL, NULL);
}
