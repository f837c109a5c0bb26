// SPDX-License-Identifier: BSD-2-Clause
#include "stream_test.h"

#define SEG 1460u
#define RATE 146000u /* octets a second: a segment each 10 ms */

/* Octets of data that go in @ns; the peer acknowledges each segment at once. */
static uint64_t goes_in(struct talk *t, uint64_t ns)
{
	uint64_t until = s.now + ns;
	uint64_t bytes = 0;

	while (s.now < until && stack_wait(&s, until - s.now)) {
		size_t n = cursor_left(&s.data);

		if (s.eth.type == ETH_TYPE_ARP) {
			stack_arp(&s, ARP_REPLY, PEER, US);
			continue;
		}
		bytes += n;
		if (!n)
			continue;
		t->ack = s.tcp.seq + (uint32_t)n;
		talk_send(&s, t, TCP_ACK, NULL, 0);
	}
	return bytes;
}

static void pace_holds__the_users_rate(void **state)
{
	struct talk t;
	uint32_t value;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_MAX_PACING_RATE, &value), 0);
	assert_int_equal(value, UINT32_MAX);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_MAX_PACING_RATE, RATE), 0);
	assert_int_equal(info_of(t.sock).pacing_rate, RATE);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, sizeof(data)), sizeof(data));
	/* A segment that is due at the end may be just in or just out; and a millisecond's worth
	 * may be ahead. */
	assert_in_range(goes_in(&t, 200 * NS_MSEC), 19 * SEG, 22 * SEG);
	assert_in_range(goes_in(&t, 200 * NS_MSEC), 19 * SEG, 21 * SEG);
	/* Without it the rest goes at once. */
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_MAX_PACING_RATE, UINT32_MAX), 0);
	assert_true(goes_in(&t, NS_MSEC) > 5 * SEG);
}

static void pace_sent__finer_than_the_timers(void **state)
{
	struct talk t;

	(void)state; /* a segment each 50 us, where a tick of the wheel is 131 us */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_MAX_PACING_RATE, 20000 * SEG),
			 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, sizeof(data)), sizeof(data));
	(void)goes_in(&t, NS_MSEC); /* with the credit of what was not used before */
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, sizeof(data)), sizeof(data));
	assert_in_range(goes_in(&t, NS_MSEC), 17 * SEG, 23 * SEG);
}

static void pace_holds__not_acks_nor_timeouts(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_MAX_PACING_RATE, 100), 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 2 * SEG), 2 * SEG);
	assert_true(stack_pull_ip(&s));
	assert_int_equal(cursor_left(&s.data), SEG);
	assert_true(stack_quiet(&s)); /* the next is 14 s away */
	talk_send(&s, &t, TCP_ACK, data, SEG);
	assert_true(stack_pull_ip(&s)); /* but an ACK goes */
	assert_int_equal(cursor_left(&s.data), 0);
	assert_int_equal(s.tcp.ack, t.seq);
	assert_true(stack_wait(&s, 2 * NS_SEC)); /* and so does what is lost */
	assert_int_equal(info_of(t.sock).rtos, 1);
	assert_int_equal(info_of(t.sock).retrans_segs, 1);
}

static void measure_rate__of_a_round_trip(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(info_of(t.sock).delivery_rate, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 40 * SEG), 40 * SEG);
	for (unsigned i = 0; i < 3; i++) {
		while (stack_pull_ip(&s))
			t.ack = s.tcp.seq + (uint32_t)cursor_left(&s.data);
		s.now += 10 * NS_MSEC;
		talk_send(&s, &t, TCP_ACK, NULL, 0);
	}
	/* Between 10 and 20 segments a round trip of 10 ms: slow start. */
	assert_in_range(info_of(t.sock).delivery_rate, 10 * SEG * 100, 20 * SEG * 100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pace_holds__the_users_rate),
		TEST(pace_sent__finer_than_the_timers),
		TEST(pace_holds__not_acks_nor_timeouts),
		TEST(measure_rate__of_a_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
