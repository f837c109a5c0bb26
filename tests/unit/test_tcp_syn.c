// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static struct engine_sock l;

static void listen_with(uint32_t backlog)
{
	stack_know(&s, PEER);
	assert_int_equal(engine_open(&s.e, ENGINE_TCP, 1, &l), 0);
	assert_int_equal(engine_bind(&s.e, l, 0, 80), 0);
	assert_int_equal(engine_listen(&s.e, l, backlog), 0);
}

static void segment(uint16_t sport, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct tcp_header h = {
		.sport = sport,
		.dport = 80,
		.flags = flags,
		.seq = seq,
		.ack = ack,
		.window = 60000,
		.has = flags & TCP_SYN ? TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_OK : 0,
		.mss = 1400,
		.wscale = 2,
	};

	stack_tcp(&s, &h, NULL, 0);
}

/* Return: the number that our SYN-ACK begins with. */
static uint32_t syn(uint16_t sport, uint32_t seq)
{
	segment(sport, TCP_SYN, seq, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(s.tcp.ack, seq + 1);
	return s.tcp.seq;
}

static void syn_listen__handshake_and_accept(void **state)
{
	struct engine_event ev;
	struct engine_sock a;
	uint32_t iss;

	(void)state;
	listen_with(5);
	assert_int_equal(engine_accept(&s.e, s.now, l, 2, &a), -EAGAIN);
	iss = syn(1000, 77);
	assert_int_equal(s.tcp.has,
			 TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_OK); /* no timestamps */
	assert_int_equal(s.e.s->syns.used, 1);
	assert_int_equal(s.e.s->tcps.used, 0);
	segment(1000, TCP_ACK, 78, iss + 1);
	assert_int_equal(s.e.s->syns.used, 0);
	assert_true(engine_event(&s.e, &ev));
	assert_int_equal(ev.events, ENGINE_ACCEPT);
	assert_int_equal(engine_accept(&s.e, s.now, l, 2, &a), 0);
	assert_int_equal(info_of(a).state, ENGINE_ESTABLISHED);
	assert_int_equal(info_of(a).raddr, PEER);
	assert_int_equal(info_of(a).rport, 1000);
	assert_int_equal(info_of(a).mss, 1400);
	assert_int_equal(info_of(a).snd_wnd, 60000 << 2);
}

static void syn_listen__what_is_no_syn(void **state)
{
	(void)state;
	listen_with(5);
	segment(1000, TCP_ACK, 5, 6);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST);
	assert_int_equal(s.tcp.seq, 6);
	segment(1000, TCP_RST, 5, 0);
	segment(1000, TCP_FIN, 5, 0);
	segment(1000, 0, 5, 0);
	segment(1000, TCP_SYN | TCP_FIN, 5, 0);
	assert_true(stack_quiet(&s));
	assert_int_equal(s.e.s->syns.used, 0);
}

static void syn_input__the_syn_again(void **state)
{
	uint32_t iss;

	(void)state;
	listen_with(5);
	iss = syn(1000, 77);
	assert_int_equal(syn(1000, 77), iss);
	assert_int_equal(s.e.s->syns.used, 1);
}

static void syn_input__resets_and_wrong_acks(void **state)
{
	uint32_t iss;

	(void)state;
	listen_with(5);
	iss = syn(1000, 77);
	segment(1000, TCP_ACK, 78, iss + 5);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST);
	assert_int_equal(s.tcp.seq, iss + 5);
	segment(1000, TCP_RST, 79, 0); /* in the window, not at its place */
	assert_int_equal(s.e.s->syns.used, 1);
	segment(1000, TCP_RST, 78, 0);
	assert_int_equal(s.e.s->syns.used, 0);
}

static void syn_input__an_ack_right_behind_the_window(void **state)
{
	struct engine_sock a;
	uint32_t iss;

	(void)state; /* Its sender has filled the window, and all of that was lost. */
	listen_with(5);
	iss = syn(1000, 77);
	segment(1000, TCP_ACK, 78 + s.tcp.window + 1, iss + 1);
	assert_int_equal(stack_count(&s, COUNT_TCP_OUT_OF_WINDOW), 1);
	segment(1000, TCP_ACK, 78 + s.tcp.window, iss + 1);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &a), 0);
}

static void syn_heard_error__about_its_syn_ack(void **state)
{
	struct icmp4 h = {.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_HOST};
	uint8_t quote[28];
	uint32_t iss;

	(void)state;
	listen_with(5);
	iss = syn(1000, 77);
	memcpy(quote, s.frame + 14, sizeof(quote));
	put_be32(quote + 24, iss - 1); /* RFC 5927 4.1: not of what is in flight */
	stack_icmp(&s, ROUTER, &h, quote, sizeof(quote));
	assert_int_equal(stack_count(&s, COUNT_ICMP_UNMATCHED), 1);
	put_be32(quote + 24, iss);
	h.code = ICMP4_UNREACHABLE_FRAGMENT; /* it is the shortest that there is */
	stack_icmp(&s, ROUTER, &h, quote, sizeof(quote));
	assert_int_equal(s.e.s->syns.used, 1);
	h.code = ICMP4_UNREACHABLE_HOST;
	stack_icmp(&s, ROUTER, &h, quote, sizeof(quote));
	assert_int_equal(s.e.s->syns.used, 0);
	assert_int_equal(stack_count(&s, COUNT_SYN_UNREACHABLE), 1);
}

static void syn_timer__again_and_forgotten(void **state)
{
	unsigned n = 0;

	(void)state;
	listen_with(5);
	(void)syn(1000, 77);
	while (stack_wait(&s, 100 * NS_SEC)) {
		if (s.eth.type == ETH_TYPE_ARP)
			stack_arp(&s, ARP_REPLY, PEER, US);
		else
			n++;
	}
	assert_int_equal(n, 5);
	assert_int_equal(s.e.s->syns.used, 0);
	assert_int_equal(stack_count(&s, COUNT_SYN_TIMEOUT), 1);
}

static void establish__a_full_accept_queue(void **state)
{
	struct engine_sock a;
	uint32_t one, two;

	(void)state;
	listen_with(1);
	one = syn(1000, 77);
	two = syn(1001, 77);
	segment(1000, TCP_ACK, 78, one + 1);
	segment(1001, TCP_ACK, 78, two + 1); /* dropped: it will come again */
	assert_int_equal(stack_count(&s, COUNT_SYN_ACCEPT_FULL), 1);
	segment(1002, TCP_SYN, 77, 0); /* and no more SYNs */
	assert_true(stack_quiet(&s));
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &a), 0);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &a), -EAGAIN);
	segment(1001, TCP_ACK, 78, two + 1);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &a), 0);
}

static void cookie__when_the_table_is_full(void **state)
{
	struct engine_sock a;
	uint32_t iss;

	(void)state; /* RFC 4987 3.6 */
	listen_with(5);
	for (uint16_t i = 0; i < 4; i++)
		(void)syn((uint16_t)(2000 + i), 1);
	iss = syn(1000, 77);
	assert_int_equal(s.tcp.has, TCP_HAS_MSS);
	assert_int_equal(stack_count(&s, COUNT_SYN_COOKIES_OUT), 1);
	/* Not somebody else's, nor one that is made up. */
	segment(1001, TCP_ACK, 78, iss + 1);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST);
	segment(1000, TCP_ACK, 79, iss + 1);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST);
	assert_int_equal(stack_count(&s, COUNT_SYN_COOKIES_BAD), 2);
	segment(1000, TCP_ACK, 78, iss + 1);
	assert_int_equal(stack_count(&s, COUNT_SYN_COOKIES_IN), 1);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &a), 0);
	assert_int_equal(info_of(a).mss, 1400);
	assert_int_equal(info_of(a).sack, 0);
}

static void cookie__grows_old(void **state)
{
	uint32_t iss;

	(void)state;
	listen_with(5);
	for (uint16_t i = 0; i < 4; i++)
		(void)syn((uint16_t)(2000 + i), 1);
	iss = syn(1000, 77);
	s.now += 129 * NS_SEC;
	segment(1000, TCP_ACK, 78, iss + 1);
	assert_int_equal(stack_count(&s, COUNT_SYN_COOKIES_IN), 0);
}

static void engine_close__a_listener_and_who_waits(void **state)
{
	unsigned resets = 0;
	uint32_t iss;

	(void)state;
	listen_with(5);
	iss = syn(1000, 77);
	segment(1000, TCP_ACK, 78, iss + 1);
	(void)syn(1001, 77);
	assert_int_equal(engine_close(&s.e, s.now, l), 0);
	while (stack_pull(&s))
		resets += (s.tcp.flags & TCP_RST) != 0;
	assert_int_equal(resets, 1);
	assert_int_equal(s.e.s->syns.used, 0);
	assert_int_equal(s.e.s->tcps.used, 0);
	assert_int_equal(s.e.s->socks.used, 0);
	assert_int_equal(s.e.s->wheel.set, 0);
}

static void tcp_iss__differs_by_connection_and_time(void **state)
{
	uint32_t one, two, later;

	(void)state; /* RFC 6528, MUST-8 */
	listen_with(5);
	one = syn(1000, 77);
	two = syn(1001, 77);
	assert_int_not_equal(one, two);
	segment(1000, TCP_RST, 78, 0);
	s.now += NS_SEC;
	later = syn(1000, 77);
	assert_in_range(later - one, 240000, 250000); /* a tick of some 4 us */
}

static void reuses_time_wait__a_newer_syn(void **state)
{
	struct engine_sock a;
	uint32_t iss, again;

	(void)state; /* RFC 9293 3.6.1, MAY-2; RFC 6191 */
	listen_with(5);
	iss = syn(1000, 77);
	segment(1000, TCP_ACK, 78, iss + 1);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &a), 0);
	assert_int_equal(engine_close(&s.e, s.now, a), 0);
	assert_true(stack_pull(&s)); /* our FIN */
	segment(1000, TCP_FIN | TCP_ACK, 78, iss + 2);
	assert_true(stack_pull(&s));
	assert_int_equal(s.e.tcp[0].state, TCP_TIME_WAIT);
	/* An old one, delayed: the connection waits on. */
	segment(1000, TCP_SYN, 70, 0);
	assert_int_equal(s.e.tcp[0].state, TCP_TIME_WAIT);
	while (stack_pull(&s))
		assert_int_equal(s.tcp.flags & TCP_SYN, 0);
	again = syn(1000, 500);
	assert_int_equal(s.e.s->tcps.used, 0);
	assert_true((int32_t)(again - (iss + 2)) > 0);
	assert_int_equal(stack_count(&s, COUNT_TIME_WAIT_REUSED), 1);
}

static void syn_input__challenges(void **state)
{
	uint32_t iss;

	(void)state; /* RFC 9293 3.10.7.4, second: a RST that is not exact */
	listen_with(2);
	iss = syn(6000, 100);
	segment(6000, TCP_RST, 150, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_ACK);
	assert_int_equal(s.tcp.seq, iss + 1);
	assert_int_equal(s.tcp.ack, 101);
	segment(6000, TCP_SYN, 150, 0); /* fourth */
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_ACK);
	segment(6000, TCP_ACK, 101, iss + 1);
	assert_int_equal(s.e.s->tcps.used, 1);
}

static void tcp_offered_mss__of_the_user(void **state)
{
	struct engine_sock c;

	(void)state; /* RFC 9293 3.7.1: what we say we take */
	listen_with(2);
	assert_int_equal(engine_set(&s.e, s.now, l, ENGINE_TCP_MAXSEG, 1100), 0);
	(void)syn(6000, 100);
	assert_int_equal(s.tcp.mss, 1100);
	assert_int_equal(engine_open(&s.e, ENGINE_TCP, 2, &c), 0);
	assert_int_equal(engine_set(&s.e, s.now, c, ENGINE_TCP_MAXSEG, 1000), 0);
	assert_int_equal(engine_connect(&s.e, s.now, c, PEER, 7000), -EINPROGRESS);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.mss, 1000);
}

static void no_timestamps__neither_offered_nor_taken(void **state)
{
	struct engine_config config = stack_config();
	struct engine_sock c;
	struct tcp_header h = {
		.sport = 6000,
		.dport = 80,
		.flags = TCP_SYN,
		.has = TCP_HAS_TS,
		.ts_value = 5,
	};

	(void)state;
	stack_end(&s);
	config.no_timestamps = true;
	stack_init(&s, &config);
	listen_with(2);
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(s.tcp.has & TCP_HAS_TS, 0);
	assert_int_equal(engine_open(&s.e, ENGINE_TCP, 2, &c), 0);
	assert_int_equal(engine_connect(&s.e, s.now, c, PEER, 7000), -EINPROGRESS);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.has & TCP_HAS_TS, 0);
}

static void syn_input__the_echo_is_of_the_newest(void **state)
{
	struct tcp_header h = {
		.sport = 5000,
		.dport = 80,
		.flags = TCP_SYN,
		.seq = 100,
		.window = 60000,
		.has = TCP_HAS_MSS | TCP_HAS_TS,
		.mss = 1400,
		.ts_value = 1000,
	};

	(void)state; /* RFC 7323 4.3 */
	listen_with(5);
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ts_echo, 1000);
	h.ts_value = 32000; /* sent again much later */
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ts_echo, 32000);
	h.ts_value = 1000; /* an old duplicate */
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ts_echo, 32000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(syn_input__the_echo_is_of_the_newest, setup,
						teardown),
		cmocka_unit_test_setup_teardown(syn_listen__handshake_and_accept, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_listen__what_is_no_syn, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_input__the_syn_again, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_input__resets_and_wrong_acks, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_input__an_ack_right_behind_the_window, setup,
						teardown),
		cmocka_unit_test_setup_teardown(syn_heard_error__about_its_syn_ack, setup,
						teardown),
		cmocka_unit_test_setup_teardown(syn_timer__again_and_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(establish__a_full_accept_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(cookie__when_the_table_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(cookie__grows_old, setup, teardown),
		cmocka_unit_test_setup_teardown(engine_close__a_listener_and_who_waits, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_iss__differs_by_connection_and_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(reuses_time_wait__a_newer_syn, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_input__challenges, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_offered_mss__of_the_user, setup, teardown),
		cmocka_unit_test_setup_teardown(no_timestamps__neither_offered_nor_taken, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("tcp_syn", tests, NULL, NULL);
}
