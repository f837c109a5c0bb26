// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is taken for lost, and what becomes of the window: tcp_recovery.c, and what
 * tcp_rack.c and tcp_sack.c tell it.
 */
#include "stream_test.h"

#define SEG 1460u

/* Take @count full segments. */
static void want_full(struct talk *t, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		want(t, SEG);
}

/* Time passes until the retransmission timer has fired. */
static void time_out(const struct talk *t)
{
	uint32_t before = info_of(t->sock).rtos;

	for (unsigned i = 0; i < 4 && info_of(t->sock).rtos == before; i++)
		assert_true(stack_wait(&s, 5 * NS_SEC));
	assert_int_equal(info_of(t->sock).rtos, before + 1);
}

/* The peer's ACK of @ack, with what is from @from to @to behind a gap; from 0: nothing is. */
static void ack_with_sack(struct talk *t, uint32_t ack, uint32_t from, uint32_t to)
{
	struct tcp_header h;

	t->ack = ack;
	h = talk_header(t, TCP_ACK);
	if (from) {
		h.has = TCP_HAS_SACK;
		h.sacks = 1;
		h.sack[0].start = from;
		h.sack[0].end = to;
	}
	stack_tcp(&s, &h, NULL, 0);
}

static void recovery__three_duplicates_without_sack(void **state)
{
	struct talk t;
	uint32_t una;

	(void)state; /* RFC 5681 3.2, RFC 6582 */
	talk_connect(&s, &t, 0);
	write_octets(&t, 8 * 1460);
	una = t.ack;
	for (unsigned i = 0; i < 8; i++)
		want(&t, 1460);
	t.ack = una;
	for (unsigned i = 0; i < 2; i++)
		ack_all(&t);
	assert_true(stack_quiet(&s));
	ack_all(&t);
	want(&t, 1460); /* the first again, at once */
	assert_int_equal(info_of(t.sock).recoveries, 1);
	assert_int_equal(info_of(t.sock).rtos, 0);
	/* A partial ACK: the next one is lost, too. */
	t.ack = una + 2 * 1460;
	ack_all(&t);
	want(&t, 1460);
	t.ack = una + 8 * 1460;
	ack_all(&t);
	assert_true(stack_quiet(&s));
	assert_true(info_of(t.sock).cwnd < 10 * 1460);
}

static void recovery__sacked_holes(void **state)
{
	struct talk t;
	struct tcp_header h;
	uint32_t una;

	(void)state; /* RFC 8985: three SACKed segments are enough where nothing was reordered yet
		      */
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	write_octets(&t, 8 * 1460);
	una = t.ack;
	for (unsigned i = 0; i < 8; i++)
		want(&t, 1460);
	s.now += 10 * NS_MSEC;
	t.ack = una;
	h = talk_header(&t, TCP_ACK);
	h.has = TCP_HAS_SACK;
	h.sacks = 1;
	h.sack[0].start = una + 2 * 1460;
	for (uint32_t i = 3; i < 5; i++) {
		h.sack[0].end = una + i * 1460;
		stack_tcp(&s, &h, NULL, 0);
	}
	assert_true(stack_quiet(&s));
	h.sack[0].end = una + 5 * 1460;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(info_of(t.sock).recoveries, 1);
	want(&t, 1460);
	assert_true(stack_wait(&s, NS_MSEC) || t.ack == una + 1460);
}

static void undo__a_timeout_that_was_too_early(void **state)
{
	struct talk t;
	struct tcp_header h;
	uint32_t una, before;

	(void)state; /* RFC 3522, RFC 4015 */
	talk_connect(&s, &t, TCP_HAS_SACK_OK | TCP_HAS_TS);
	before = info_of(t.sock).cwnd;
	una = t.ack;
	write_octets(&t, 1448);
	want(&t, 1448);
	h = talk_header(&t, TCP_ACK);
	h.ts_echo = s.tcp.ts_value;
	h.ts_value = 501;
	for (unsigned i = 0; i < 3 && info_of(t.sock).rtos == 0; i++)
		assert_true(stack_wait(&s, 5 * NS_SEC));
	assert_int_equal(info_of(t.sock).rtos, 1);
	assert_true(info_of(t.sock).cwnd < before);
	assert_int_equal(una + 1448, t.ack);
	stack_tcp(&s, &h, NULL, 0); /* it echoes what was sent first */
	assert_int_equal(info_of(t.sock).undos, 1);
	assert_true(info_of(t.sock).cwnd >= before);
}

static void tlp__a_lost_tail_is_probed(void **state)
{
	struct talk t;
	uint32_t una;

	(void)state; /* RFC 8985 7 */
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	una = t.ack;
	write_octets(&t, 3 * 1460);
	for (unsigned i = 0; i < 3; i++)
		want(&t, 1460);
	assert_true(stack_wait(&s, 100 * NS_MSEC)); /* two round trips of 10 ms */
	assert_int_equal(s.tcp.seq, una + 2 * 1460);
	assert_int_equal(info_of(t.sock).tlps, 1);
	assert_int_equal(info_of(t.sock).rtos, 0);
}

static void frto__late_acks_are_no_loss(void **state)
{
	struct talk t;
	uint32_t una, before;

	(void)state; /* RFC 5682 2.1 */
	talk_connect(&s, &t, 0);
	before = info_of(t.sock).cwnd;
	una = t.ack;
	write_octets(&t, 20 * SEG);
	want_full(&t, 10);
	t.ack = una;
	time_out(&t);
	assert_int_equal(s.tcp.seq, una);
	assert_true(stack_quiet(&s));
	/* The ACK of the original, late: two new ones go, none again. */
	t.ack = una + SEG;
	ack_all(&t);
	t.ack = una + 10 * SEG;
	want_full(&t, 2);
	assert_true(stack_quiet(&s));
	/* And that of the next, which was sent only once. */
	t.ack = una + 2 * SEG;
	ack_all(&t);
	assert_int_equal(info_of(t.sock).undos, 1);
	assert_true(info_of(t.sock).cwnd >= before);
	assert_int_equal(info_of(t.sock).retrans_segs, 1);
	t.ack = una + 12 * SEG;
	want(&t, SEG);
}

static void frto__a_loss_that_was_one(void **state)
{
	struct talk t;
	uint32_t una;

	(void)state; /* step 3a: a duplicate */
	talk_connect(&s, &t, 0);
	una = t.ack;
	write_octets(&t, 20 * SEG);
	want_full(&t, 10);
	t.ack = una;
	time_out(&t);
	t.ack = una + SEG;
	ack_all(&t);
	t.ack = una + 10 * SEG;
	want_full(&t, 2);
	t.ack = una + SEG;
	ack_all(&t);
	assert_int_equal(info_of(t.sock).undos, 0);
	want(&t, SEG); /* the second again */
}

static void frto__sacks_of_what_was_lost_prove_nothing(void **state)
{
	struct talk t;
	uint32_t una, nxt;

	(void)state; /* RFC 5682 3.1: the SACKs are of what was sent after the timeout */
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	write_octets(&t, 20 * SEG);
	want_full(&t, 10);
	ack_all(&t); /* no loss probe: it would be the first to go again */
	want_full(&t, 10);
	una = t.ack - 10 * SEG;
	write_octets(&t, 40 * SEG);
	while (stack_pull_ip(&s))
		;
	time_out(&t);
	nxt = una + (uint32_t)info_of(t.sock).unacked;
	ack_with_sack(&t, una + SEG, 0, 0);
	t.ack = nxt;
	want_full(&t, 2);
	ack_with_sack(&t, una + SEG, nxt, nxt + SEG);
	assert_int_equal(info_of(t.sock).undos, 0);
	assert_true(stack_pull_ip(&s));
	assert_int_equal(s.tcp.seq, una + SEG);
}

static void frto__nothing_new_to_send(void **state)
{
	struct talk t;
	uint32_t una;

	(void)state; /* step 2b: then as always */
	talk_connect(&s, &t, 0);
	una = t.ack;
	write_octets(&t, 10 * SEG);
	want_full(&t, 10);
	t.ack = una;
	time_out(&t);
	t.ack = una + SEG;
	ack_all(&t);
	want(&t, SEG);
	assert_true(info_of(t.sock).retrans_segs >= 2);
}

static void frto__not_for_a_second_timeout(void **state)
{
	struct talk t;
	uint32_t una;

	(void)state; /* step 1 */
	talk_connect(&s, &t, 0);
	una = t.ack;
	write_octets(&t, 20 * SEG);
	want_full(&t, 10);
	time_out(&t);
	time_out(&t);
	t.ack = una + SEG;
	ack_all(&t);
	want(&t, SEG);
}

static void recovery_rescue__the_last_once(void **state)
{
	struct talk t;
	uint32_t una;

	(void)state; /* RFC 6675 4, NextSeg (4): the end of the flight is lost, too */
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	una = t.ack;
	write_octets(&t, 8 * SEG);
	want_full(&t, 8);
	s.now += 10 * NS_MSEC;
	ack_with_sack(&t, una, una + SEG, una + 5 * SEG);
	assert_int_equal(info_of(t.sock).recoveries, 1);
	want(&t, SEG); /* the hole */
	ack_with_sack(&t, una, una + SEG, una + 6 * SEG);
	t.ack = una + 7 * SEG;
	want(&t, SEG);
	/* Once in a recovery. (That it arrived at once says that it was the original: so nothing is
	 * known about the one before it.) */
	ack_with_sack(&t, una, una + 7 * SEG, una + 8 * SEG);
	assert_true(stack_quiet(&s));
	assert_int_equal(info_of(t.sock).rtos, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(recovery__three_duplicates_without_sack),
		TEST(recovery__sacked_holes),
		TEST(undo__a_timeout_that_was_too_early),
		TEST(tlp__a_lost_tail_is_probed),
		TEST(frto__late_acks_are_no_loss),
		TEST(frto__a_loss_that_was_one),
		TEST(frto__sacks_of_what_was_lost_prove_nothing),
		TEST(frto__nothing_new_to_send),
		TEST(frto__not_for_a_second_timeout),
		TEST(recovery_rescue__the_last_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
