// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static int64_t receive(struct engine_sock u, char *room, size_t bytes)
{
	return engine_recvfrom(&s.e, u, room, bytes, NULL, NULL, NULL);
}

static void engine_bind__what_is_refused(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	struct engine_sock v = open_kind(ENGINE_UDP, 2);
	struct engine_sock t = open_kind(ENGINE_TCP, 3);

	(void)state;
	assert_int_equal(engine_bind(&s.e, u, PEER, 77), -EADDRNOTAVAIL);
	assert_int_equal(engine_bind(&s.e, u, US, 77), 0);
	assert_int_equal(engine_bind(&s.e, u, US, 78), -EINVAL);
	assert_int_equal(engine_bind(&s.e, v, 0, 77), -EADDRINUSE);
	assert_int_equal(engine_bind(&s.e, t, 0, 77), 0); /* another protocol */
	assert_int_equal(engine_close(&s.e, s.now, u), 0);
	assert_int_equal(engine_bind(&s.e, u, US, 79), -EBADF);
	assert_int_equal(engine_bind(&s.e, v, 0, 77), 0);
}

static void sock_bind_port__each_is_given_once(void **state)
{
	struct engine_config c = stack_config();
	uint8_t seen[16] = {0};
	struct engine_info info;
	struct engine_sock u;

	(void)state;
	stack_end(&s);
	c.local_port_min = 1000;
	c.local_port_max = 1015;
	stack_init(&s, &c);
	for (unsigned i = 0; i < 16; i++) {
		u = open_kind(ENGINE_UDP, i);
		assert_int_equal(engine_bind(&s.e, u, 0, 0), 0);
		assert_int_equal(engine_info(&s.e, u, &info), 0);
		assert_in_range(info.lport, 1000, 1015);
		assert_int_equal(seen[info.lport - 1000]++, 0);
	}
	u = open_kind(ENGINE_UDP, 99);
	assert_int_equal(engine_bind(&s.e, u, 0, 0), -EADDRNOTAVAIL);
}

static void sock_find__the_most_particular(void **state)
{
	struct engine_sock any = open_kind(ENGINE_UDP, 1);
	struct engine_sock peer;
	char room[8];

	(void)state;
	assert_int_equal(engine_bind(&s.e, any, 0, 77), 0);
	stack_udp(&s, PEER, 5, 77, "one", 3);
	assert_int_equal(receive(any, room, 8), 3);
	assert_int_equal(engine_connect(&s.e, s.now, any, PEER, 5), 0);
	stack_udp(&s, PEER, 6, 77, "two", 3); /* not from its peer */
	assert_int_equal(receive(any, room, 8), -EAGAIN);
	assert_int_equal(stack_count(&s, COUNT_UDP_NO_PORT), 1);
	stack_udp(&s, PEER, 5, 77, "three", 5);
	assert_int_equal(receive(any, room, 8), 5);
	peer = open_kind(ENGINE_UDP, 2);
	assert_int_equal(engine_bind(&s.e, peer, US, 77), -EADDRINUSE);
}

static void sock_datagram__size_address_and_truncation(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	char room[4];
	size_t whole;
	uint32_t addr;
	uint16_t port;

	(void)state;
	assert_int_equal(engine_bind(&s.e, u, 0, 77), 0);
	stack_udp(&s, PEER, 5, 77, "", 0);
	stack_udp(&s, ROUTER, 6, 77, "longer", 6);
	assert_int_equal(engine_recvfrom(&s.e, u, room, 4, &whole, &addr, &port), 0);
	assert_int_equal(whole, 0);
	assert_int_equal(engine_recvfrom(&s.e, u, room, 4, &whole, &addr, &port), 4);
	assert_int_equal(whole, 6);
	assert_int_equal(addr, ROUTER);
	assert_int_equal(port, 6);
	assert_int_equal(receive(u, room, 4), -EAGAIN);
}

static void sock_datagram__a_full_buffer_drops_the_newest(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	char room[4];
	unsigned n = 0;

	(void)state;
	assert_int_equal(engine_bind(&s.e, u, 0, 77), 0);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_SO_RCVBUF, 10000), 0);
	for (char i = 0; i < 20; i++)
		stack_udp(&s, PEER, 5, 77, &i, 1);
	while (receive(u, room, 4) == 1)
		assert_int_equal(room[0], n++);
	assert_in_range(n, 4, 6);
	assert_int_equal(stack_count(&s, COUNT_UDP_QUEUE_FULL), 20 - n);
}

static void udp_input__wrong_sums_and_none(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_UDP};
	uint8_t packet[16];
	size_t n = make_udp(packet, sizeof(packet), PEER, 5, US, 77, "data", 4);
	char room[8];

	(void)state;
	assert_int_equal(engine_bind(&s.e, u, 0, 77), 0);
	packet[9] ^= 1;
	stack_ip(&s, &ip, NULL, packet, n);
	assert_int_equal(stack_count(&s, COUNT_UDP_CHECKSUM), 1);
	packet[6] = packet[7] = 0; /* RFC 768: its sender made none */
	stack_ip(&s, &ip, NULL, packet, n);
	assert_int_equal(receive(u, room, 8), 4);
}

static void udp_send__its_buffer(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	static char data[60000];
	struct engine_event ev;

	(void)state;
	stack_know(&s, PEER);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_SO_SNDBUF, 70000), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 60000, PEER, 9), 60000);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 60000, PEER, 9), -EAGAIN);
	assert_false(engine_event(&s.e, &ev));
	while (stack_pull(&s))
		;
	assert_true(engine_event(&s.e, &ev));
	assert_int_equal(ev.events, ENGINE_WRITABLE);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 60000, PEER, 9), 60000);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, UDP_PAYLOAD_MAX + 1, PEER, 9),
			 -EMSGSIZE);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 1, PEER, 0), -EINVAL);
	assert_int_equal(engine_send(&s.e, s.now, u, data, 1), -EDESTADDRREQ);
	assert_int_equal(engine_close(&s.e, s.now, u), 0); /* what waits is sent nevertheless */
	assert_true(stack_pull(&s));
	while (stack_pull(&s))
		;
	assert_int_equal(s.e.s->pkts.used, 0);
}

static void udp_send__broadcast_has_to_be_wanted(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);

	(void)state;
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, 0x0a0000ff, 9), -EACCES);
	assert_int_equal(engine_connect(&s.e, s.now, u, 0x0a0000ff, 9), -EACCES);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_SO_BROADCAST, 1), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, "x", 1, 0x0a0000ff, 9), 1);
	assert_true(stack_pull(&s));
	assert_memory_equal(s.eth.dst, all_mac, 6);
}

static void sock_datagram_all__multicast_to_those_who_joined(void **state)
{
	struct engine_sock in = open_kind(ENGINE_UDP, 1);
	struct engine_sock out = open_kind(ENGINE_UDP, 2);
	struct ipv4 ip = {.src = PEER, .dst = 0xe0000105, .proto = IPV4_PROTO_UDP};
	static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x00, 0x01, 0x05};
	uint8_t packet[16];
	char room[8];

	(void)state;
	assert_int_equal(engine_bind(&s.e, in, 0xe0000105, 77), 0);
	assert_int_equal(engine_bind(&s.e, out, US, 77), 0);
	assert_int_equal(engine_set(&s.e, s.now, in, ENGINE_IP_ADD_MEMBERSHIP, US), -EINVAL);
	assert_int_equal(engine_set(&s.e, s.now, in, ENGINE_IP_ADD_MEMBERSHIP, 0xe0000105), 0);
	assert_int_equal(engine_set(&s.e, s.now, in, ENGINE_IP_ADD_MEMBERSHIP, 0xe0000105),
			 -EADDRINUSE);
	stack_ip(&s, &ip, group, packet,
		 make_udp(packet, sizeof(packet), PEER, 5, 0xe0000105, 77, "all", 3));
	assert_int_equal(receive(in, room, 8), 3);
	assert_int_equal(receive(out, room, 8), -EAGAIN);
	assert_int_equal(engine_set(&s.e, s.now, in, ENGINE_IP_DROP_MEMBERSHIP, 0xe0000105), 0);
	assert_int_equal(engine_set(&s.e, s.now, in, ENGINE_IP_DROP_MEMBERSHIP, 0xe0000105),
			 -EADDRNOTAVAIL);
}

static void engine_set__what_is_refused(void **state)
{
	struct engine_sock u = open_kind(ENGINE_UDP, 1);
	struct engine_sock t = open_kind(ENGINE_TCP, 2);
	struct engine_sock none = {999, 1};
	uint32_t v;

	(void)state;
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_TCP_NODELAY, 1), -ENOPROTOOPT);
	assert_int_equal(engine_send_more(&s.e, s.now, u, "x", 1), -EOPNOTSUPP);
	assert_int_equal(engine_set(&s.e, s.now, t, ENGINE_TCP_CONGESTION, 99), -EINVAL);
	assert_int_equal(engine_set(&s.e, s.now, t, ENGINE_TCP_KEEPIDLE, 0), -EINVAL);
	assert_int_equal(engine_set(&s.e, s.now, t, ENGINE_TCP_MAXSEG, 10), -EINVAL);
	assert_int_equal(engine_set(&s.e, s.now, t, ENGINE_IP_TTL, 0), -EINVAL);
	assert_int_equal(engine_set(&s.e, s.now, none, ENGINE_IP_TTL, 1), -EBADF);
	assert_int_equal(engine_get(&s.e, none, ENGINE_IP_TTL, &v), -EBADF);
	assert_int_equal(engine_set(&s.e, s.now, t, ENGINE_IP_TTL, 5), 0);
	assert_int_equal(engine_get(&s.e, t, ENGINE_IP_TTL, &v), 0);
	assert_int_equal(v, 5);
	assert_int_equal(engine_open(&s.e, (enum engine_kind)9, 0, &none), -EPROTONOSUPPORT);
}

static void engine_open__the_table_is_full(void **state)
{
	struct engine_sock u;

	(void)state;
	for (unsigned i = 0; i < 32; i++)
		(void)open_kind(ENGINE_UDP, i);
	assert_int_equal(engine_open(&s.e, ENGINE_UDP, 0, &u), -ENFILE);
}

static void engine_get__defaults(void **state)
{
	struct engine_sock t = open_kind(ENGINE_TCP, 1);
	uint32_t v;

	(void)state;
	assert_int_equal(engine_get(&s.e, t, ENGINE_TCP_KEEPIDLE, &v), 0);
	assert_int_equal(v, 7200); /* RFC 9293 3.8.4, MUST-28 */
	assert_int_equal(engine_get(&s.e, t, ENGINE_SO_KEEPALIVE, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(engine_get(&s.e, t, ENGINE_TCP_CONGESTION, &v), 0);
	assert_int_equal(v, ENGINE_CUBIC);
}

static void tcp_connect__what_is_refused(void **state)
{
	struct engine_sock t = open_kind(ENGINE_TCP, 1);

	(void)state; /* MUST-46 */
	assert_int_equal(engine_connect(&s.e, s.now, t, 0x0a0000ff, 80), -ENETUNREACH);
	assert_int_equal(engine_connect(&s.e, s.now, t, UINT32_MAX, 80), -ENETUNREACH);
	assert_int_equal(engine_connect(&s.e, s.now, t, 0xe0000001, 80), -ENETUNREACH);
	assert_int_equal(engine_connect(&s.e, s.now, t, 0, 80), -EADDRNOTAVAIL);
	assert_int_equal(engine_connect(&s.e, s.now, t, PEER, 0), -EADDRNOTAVAIL);
	assert_int_equal(s.e.s->tcps.used, 0);
	assert_int_equal(engine_send(&s.e, s.now, t, "x", 1), -ENOTCONN);
	assert_int_equal(engine_connect(&s.e, s.now, t, PEER, 80), -EINPROGRESS);
	assert_int_equal(engine_connect(&s.e, s.now, t, PEER, 80), -EALREADY);
	assert_int_equal(engine_listen(&s.e, t, 5), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(engine_bind__what_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(sock_bind_port__each_is_given_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(sock_find__the_most_particular, setup, teardown),
		cmocka_unit_test_setup_teardown(sock_datagram__size_address_and_truncation, setup,
						teardown),
		cmocka_unit_test_setup_teardown(sock_datagram__a_full_buffer_drops_the_newest,
						setup, teardown),
		cmocka_unit_test_setup_teardown(udp_input__wrong_sums_and_none, setup, teardown),
		cmocka_unit_test_setup_teardown(udp_send__its_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(udp_send__broadcast_has_to_be_wanted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(sock_datagram_all__multicast_to_those_who_joined,
						setup, teardown),
		cmocka_unit_test_setup_teardown(engine_set__what_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(engine_open__the_table_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(engine_get__defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_connect__what_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("sock", tests, NULL, NULL);
}
