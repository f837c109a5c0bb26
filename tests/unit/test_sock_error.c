// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static struct icmp4 port_unreachable = {.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_PORT};

/* Send "hello" to the peer's port 9. What went is in s.frame. */
static void send_hello(struct engine_sock u)
{
	assert_int_equal(engine_sendto(&s.e, s.now, u, "hello", 5, PEER, 9), 5);
	assert_true(stack_pull_ip(&s));
}

static struct engine_sock open_keeper(void)
{
	struct engine_sock u = open_udp(77);
	uint32_t value;

	stack_know(&s, PEER);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_RECVERR, 1), 0);
	assert_int_equal(engine_get(&s.e, u, ENGINE_IP_RECVERR, &value), 0);
	assert_int_equal(value, 1);
	return u;
}

static uint32_t so_error(struct engine_sock u)
{
	uint32_t error;

	assert_int_equal(engine_get(&s.e, u, ENGINE_SO_ERROR, &error), 0);
	return error;
}

static void engine_recverr__what_it_is_about(void **state)
{
	struct engine_sock u = open_keeper();
	struct engine_error x;
	char room[10];

	(void)state;
	assert_int_equal(engine_recverr(&s.e, u, room, 10, &x), -EAGAIN);
	send_hello(u);
	stack_icmp(&s, PEER, &port_unreachable, s.frame + 14, 33);
	/* It is not connected: told all the same. */
	assert_int_equal(engine_recv(&s.e, s.now, u, room, 10), -ECONNREFUSED);
	assert_int_equal(engine_recverr(&s.e, u, room, 3, &x), 3);
	assert_memory_equal(room, "hel", 3);
	assert_int_equal(x.bytes, 5);
	assert_int_equal(x.error, ECONNREFUSED);
	assert_int_equal(x.type, ICMP4_UNREACHABLE);
	assert_int_equal(x.code, ICMP4_UNREACHABLE_PORT);
	assert_int_equal(x.offender, PEER);
	assert_int_equal(x.dst, PEER);
	assert_int_equal(x.dport, 9);
	assert_false(x.local);
	assert_int_equal(engine_recverr(&s.e, u, room, 10, &x), -EAGAIN);
}

static void engine_recverr__in_order_and_soft_ones_too(void **state)
{
	struct icmp4 h = {.type = ICMP4_UNREACHABLE};
	struct engine_sock u = open_keeper();
	struct engine_error x;
	char room[10];

	(void)state;
	send_hello(u);
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 33); /* the network, for now */
	h.type = ICMP4_TIME_EXCEEDED;
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 33);
	assert_int_equal(engine_recverr(&s.e, u, room, 10, &x), 5);
	assert_int_equal(x.error, ENETUNREACH);
	assert_int_equal(x.offender, ROUTER);
	/* The next one is pending. */
	assert_int_equal(so_error(u), EHOSTUNREACH);
	assert_int_equal(engine_recverr(&s.e, u, room, 10, &x), 5);
	assert_int_equal(x.type, ICMP4_TIME_EXCEEDED);
	assert_int_equal(so_error(u), 0);
}

static void engine_recverr__too_long_for_the_path(void **state)
{
	struct icmp4 h = {
		.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_FRAGMENT, .seq = 1000};
	struct engine_sock u = open_keeper();
	static uint8_t data[2000];
	struct engine_error x;

	(void)state;
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_IP_MTU_DISCOVER, 1), 0);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 1400, PEER, 9), 1400);
	assert_true(stack_pull_ip(&s));
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	assert_int_equal(engine_recverr(&s.e, u, data, sizeof(data), &x), 0);
	assert_int_equal(x.error, EMSGSIZE);
	assert_int_equal(x.info, 1000);
	assert_int_equal(x.offender, ROUTER);
	/* Now it is known here. */
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 1400, PEER, 9), -EMSGSIZE);
	assert_int_equal(engine_recverr(&s.e, u, data, sizeof(data), &x), 0);
	assert_true(x.local);
	assert_int_equal(x.info, 1000);
	assert_int_equal(x.dport, 9);
	assert_int_equal(engine_sendto(&s.e, s.now, u, data, 900, PEER, 9), 900);
}

static void sock_error_about__nothing_is_kept_for_who_does_not_ask(void **state)
{
	struct engine_sock u = open_udp(77);
	struct engine_error x;

	(void)state;
	stack_know(&s, PEER);
	send_hello(u);
	stack_icmp(&s, PEER, &port_unreachable, s.frame + 14, 33);
	assert_int_equal(so_error(u), 0); /* it is not connected */
	assert_int_equal(engine_recverr(&s.e, u, NULL, 0, &x), -EAGAIN);
	assert_int_equal(engine_connect(&s.e, s.now, u, PEER, 9), 0);
	stack_icmp(&s, PEER, &port_unreachable, s.frame + 14, 33);
	assert_int_equal(so_error(u), ECONNREFUSED);
	assert_int_equal(engine_recverr(&s.e, u, NULL, 0, &x), -EAGAIN);
}

static void sock_error_about__the_queue_has_an_end(void **state)
{
	struct engine_sock u = open_keeper();
	struct engine_error x;
	struct engine_usage use;
	unsigned n = 0;

	(void)state;
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_SO_RCVBUF, 8192), 0);
	send_hello(u);
	for (unsigned i = 0; i < 20; i++)
		stack_icmp(&s, PEER, &port_unreachable, s.frame + 14, 33);
	assert_true(stack_count(&s, COUNT_ERROR_QUEUE_FULL) > 10);
	while (engine_recverr(&s.e, u, NULL, 0, &x) == 0)
		n++;
	assert_int_equal(n + stack_count(&s, COUNT_ERROR_QUEUE_FULL), 20);
	/* There is room again; and what is left in it goes with the socket. */
	stack_icmp(&s, PEER, &port_unreachable, s.frame + 14, 33);
	assert_int_equal(engine_recverr(&s.e, u, NULL, 0, &x), 0);
	stack_icmp(&s, PEER, &port_unreachable, s.frame + 14, 33);
	assert_int_equal(engine_close(&s.e, s.now, u), 0);
	(void)stack_pull(&s);
	engine_usage(&s.e, &use);
	assert_int_equal(use.pkts, 0);
	assert_int_equal(engine_recverr(&s.e, u, NULL, 0, &x), -EBADF);
}

static void tcp_heard_error__for_who_keeps_errors(void **state)
{
	struct icmp4 h = {.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_HOST};
	struct engine_error x;
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_IP_RECVERR, 1), 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, "x", 1), 1);
	assert_true(stack_pull(&s));
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	assert_int_equal(so_error(t.sock), EHOSTUNREACH); /* at once; the connection stays */
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
	assert_int_equal(engine_recverr(&s.e, t.sock, NULL, 0, &x), 0);
	assert_int_equal(x.dst, PEER);
	assert_int_equal(x.dport, PEER_PORT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(engine_recverr__what_it_is_about),
		TEST(engine_recverr__in_order_and_soft_ones_too),
		TEST(engine_recverr__too_long_for_the_path),
		TEST(sock_error_about__nothing_is_kept_for_who_does_not_ask),
		TEST(sock_error_about__the_queue_has_an_end),
		TEST(tcp_heard_error__for_who_keeps_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
