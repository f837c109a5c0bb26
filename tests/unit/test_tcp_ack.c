// SPDX-License-Identifier: BSD-2-Clause
/* What an ACK tells: of loss, for the window, and for the timers. */
#include "stream_test.h"

#define MSS 1460u

static struct talk t;
static uint32_t first; /* number of the first octet that was written */

/* A connection of which @segments are in flight. */
static void fly(uint8_t has, uint32_t segments)
{
	talk_connect(&s, &t, has);
	first = t.ack;
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, (size_t)segments * MSS),
			 segments * MSS);
	for (uint32_t i = 0; i < segments; i++) {
		assert_true(stack_pull_ip(&s));
		t.ack += (uint32_t)cursor_left(&s.data);
	}
}

/* An ACK of the first @acked segments, which SACKs those from @start to before @end; 0: none. */
static void ack_and_sack(uint32_t acked, uint32_t start, uint32_t end)
{
	struct tcp_header h = talk_header(&t, TCP_ACK);

	h.ack = first + acked * MSS;
	if (end) {
		h.has = TCP_HAS_SACK;
		h.sacks = 1;
		h.sack[0].start = first + start * MSS;
		h.sack[0].end = first + end * MSS;
	}
	stack_tcp(&s, &h, NULL, 0);
}

/* How many segments go now. */
static unsigned sent(void)
{
	unsigned n = 0;

	while (stack_pull_ip(&s))
		n += cursor_left(&s.data) != 0;
	return n;
}

static void reduce__what_has_left_is_replaced(void **state)
{
	(void)state; /* RFC 6937, with its successor's MAX(prr_delivered - prr_out, delivered) */
	fly(TCP_HAS_SACK_OK, 10);
	s.now += 10 * NS_MSEC;
	ack_and_sack(0, 1, 2);
	ack_and_sack(0, 1, 3);
	ack_and_sack(0, 8, 9); /* the first is lost, and the fourth to the eighth */
	assert_int_equal(info_of(t.sock).recoveries, 1);
	assert_int_equal(sent(), 1);
	s.now += 12 * NS_MSEC;
	ack_and_sack(4, 8, 9); /* in slow start: one more than has left */
	assert_int_equal(sent(), 3);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 10 * MSS), 10 * MSS);
	s.now += 2 * NS_MSEC;
	ack_and_sack(4, 5, 7);
	assert_int_equal(sent(), 2);
}

static void rack_delivered__one_ack_is_no_reordering(void **state)
{
	(void)state; /* RFC 8985 6.2, step 3 */
	fly(TCP_HAS_SACK_OK, 10);
	s.now += 10 * NS_MSEC;
	ack_and_sack(2, 4, 10); /* acknowledges, and SACKs behind a gap */
	assert_false(s.e.tcp[0].reo_seen);
	assert_int_equal(info_of(t.sock).recoveries, 1); /* at once, without waiting for others */
	assert_int_equal(sent(), 2);
}

static void rack_delivered__what_was_overtaken_is(void **state)
{
	(void)state;
	fly(TCP_HAS_SACK_OK, 10);
	s.now += 10 * NS_MSEC;
	ack_and_sack(0, 4, 5);
	ack_and_sack(0, 2, 3);
	assert_true(s.e.tcp[0].reo_seen);
}

static void cc_acked__not_twice_for_what_was_sacked(void **state)
{
	uint32_t cwnd;

	(void)state;
	fly(TCP_HAS_SACK_OK, 10);
	cwnd = info_of(t.sock).cwnd;
	s.now += 10 * NS_MSEC;
	ack_and_sack(0, 1, 3);
	ack_and_sack(3, 0, 0);
	assert_int_equal(info_of(t.sock).cwnd, cwnd + MSS);
}

static void cc_acked__not_twice_for_duplicates(void **state)
{
	uint32_t cwnd;

	(void)state;
	fly(0, 10);
	cwnd = info_of(t.sock).cwnd;
	ack_and_sack(0, 0, 0);
	ack_and_sack(0, 0, 0);
	ack_and_sack(3, 0, 0);
	assert_int_equal(info_of(t.sock).cwnd, cwnd + MSS);
}

static void cc_acked__slow_start_doubles_what_is_used(void **state)
{
	uint32_t cwnd;

	(void)state; /* RFC 7661 */
	fly(0, 5);
	cwnd = info_of(t.sock).cwnd;
	assert_int_equal(cwnd, 10 * MSS);
	ack_and_sack(5, 0, 0);
	assert_int_equal(info_of(t.sock).cwnd, cwnd);
	first += 5 * MSS;
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 6 * MSS), 6 * MSS);
	assert_int_equal(sent(), 6);
	ack_and_sack(2, 0, 0);
	ack_and_sack(4, 0, 0);
	ack_and_sack(6, 0, 0);
	assert_int_equal(info_of(t.sock).cwnd, 12 * MSS);
}

static void tlp_arm__in_place_of_a_timeout_that_is_sooner(void **state)
{
	uint64_t began;

	(void)state;		 /* RFC 8985 7.2 */
	fly(TCP_HAS_SACK_OK, 1); /* alone: its ACK may be delayed, 220 ms until the probe */
	s.e.tcp[0].rttvar_us = 0;
	s.e.tcp[0].timer_ns[TCP_TIMER_RTO] = s.now + 210 * NS_MSEC;
	began = s.now;
	ack_and_sack(1, 0, 0);
	first += MSS;
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_NODELAY, 1), 0);
	s.e.tcp[0].rto_us = 210000;
	assert_int_equal(engine_send(&s.e, s.now, t.sock, "x", 1), 1);
	assert_int_equal(sent(), 1);
	assert_true(stack_wait(&s, 215 * NS_MSEC));
	assert_true(s.now - began < 215 * NS_MSEC);
	assert_int_equal(info_of(t.sock).tlps, 1);
	assert_int_equal(info_of(t.sock).rtos, 0);
	assert_true(stack_wait(&s, 215 * NS_MSEC)); /* the timeout follows the probe */
	assert_int_equal(info_of(t.sock).rtos, 1);
}

static void rtt_sample__an_even_path_waits_for_a_delayed_ack(void **state)
{
	(void)state; /* RFC 6298 2.3 */
	fly(0, 1);
	for (unsigned i = 0; i < 40; i++) {
		s.now += 100 * NS_MSEC;
		ack_and_sack(1, 0, 0);
		first += MSS;
		t.ack = first;
		assert_int_equal(engine_send(&s.e, s.now, t.sock, data, MSS), MSS);
		assert_int_equal(sent(), 1);
	}
	assert_in_range(info_of(t.sock).srtt_us, 90000, 110000);
	assert_true(info_of(t.sock).rto_us >= info_of(t.sock).srtt_us + 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reduce__what_has_left_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(rack_delivered__one_ack_is_no_reordering, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rack_delivered__what_was_overtaken_is, setup,
						teardown),
		cmocka_unit_test_setup_teardown(cc_acked__not_twice_for_what_was_sacked, setup,
						teardown),
		cmocka_unit_test_setup_teardown(cc_acked__not_twice_for_duplicates, setup,
						teardown),
		cmocka_unit_test_setup_teardown(cc_acked__slow_start_doubles_what_is_used, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tlp_arm__in_place_of_a_timeout_that_is_sooner,
						setup, teardown),
		cmocka_unit_test_setup_teardown(rtt_sample__an_even_path_waits_for_a_delayed_ack,
						setup, teardown),
	};

	return cmocka_run_group_tests_name("tcp_ack", tests, NULL, NULL);
}
