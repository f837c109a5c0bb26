// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

#define MSS 1460u

static char data[60000];

static int setup_offload(void **state)
{
	struct engine_config c = stack_config();

	(void)state;
	c.offload = ENGINE_OFFLOAD_SUM | ENGINE_OFFLOAD_TSO;
	stack_init(&s, &c);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 >> 3);
	return 0;
}

static void connected(struct talk *t)
{
	struct engine_event ev;

	talk_connect(&s, t, TCP_HAS_SACK_OK);
	while (engine_event(&s.e, &ev))
		;
}

static int64_t keep(struct talk *t, size_t from, size_t bytes)
{
	/* What is kept already lies before it. */
	s.keeper = data + from - engine_kept(&s.e, t->sock);
	return engine_send_kept(&s.e, s.now, t->sock, bytes);
}

/* The next frame has @bytes of the data from @from on. */
static void want(size_t from, size_t bytes)
{
	assert_true(stack_pull_ip(&s));
	assert_int_equal(cursor_left(&s.data), bytes);
	assert_memory_equal(s.data.at, data + from, bytes);
}

/* The peer has @bytes more. */
static void acks(struct talk *t, uint32_t bytes)
{
	t->ack += bytes;
	talk_send(&s, t, TCP_ACK, NULL, 0);
}

static uint32_t events(void)
{
	struct engine_event ev;

	return engine_event(&s.e, &ev) ? ev.events : 0;
}

static void engine_send_kept__until_acknowledged(void **state)
{
	struct talk t;

	(void)state;
	connected(&t);
	assert_int_equal(keep(&t, 0, 4 * MSS), 4 * MSS);
	assert_int_equal(engine_kept(&s.e, t.sock), 4 * MSS);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 1), -EBUSY);
	want(0, 4 * MSS);
	assert_int_equal(events() & ENGINE_FREED, 0);
	acks(&t, MSS + 10);
	assert_int_equal(engine_kept(&s.e, t.sock), 3 * MSS - 10);
	assert_int_equal(events(), ENGINE_FREED);
	/* Behind what is kept. */
	assert_int_equal(keep(&t, 4 * MSS, MSS), MSS);
	want(4 * MSS, MSS);
	acks(&t, 4 * MSS - 10);
	assert_int_equal(engine_kept(&s.e, t.sock), 0);
	assert_int_equal(events(), ENGINE_FREED);
	/* And as ever. */
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 100), 100);
	want(0, 100);
	acks(&t, 100);
	assert_int_equal(events() & ENGINE_FREED, 0);
	assert_true(stack_quiet(&s));
}

static void engine_send_kept__sent_again(void **state)
{
	struct talk t;

	(void)state;
	connected(&t);
	assert_int_equal(keep(&t, 0, 3 * MSS), 3 * MSS);
	want(0, 3 * MSS);
	acks(&t, MSS);
	s.keeper = data + MSS;
	/* It is the last that is probed for. */
	assert_true(stack_wait(&s, 10 * NS_SEC));
	assert_memory_equal(s.data.at, data + 2 * MSS, MSS);
	assert_true(stack_wait(&s, 10 * NS_SEC));
	assert_memory_equal(s.data.at, data + MSS, MSS);
}

static void engine_keep__from_the_first_on(void **state)
{
	struct talk t;

	(void)state;
	connected(&t);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 1000), 1000);
	assert_int_equal(keep(&t, 1000, 9000), 9000);
	assert_int_equal(engine_keep(&s.e, t.sock, data + 1000, 9001), -EINVAL);
	assert_int_equal(engine_keep(&s.e, t.sock, data + 1000, 500), 500);
	assert_int_equal(engine_kept(&s.e, t.sock), 8500);
	s.keeper = data + 1500;
	/* From the ring and from the keeper, in one frame, and in one segment of it. */
	want(0, 10000);
	assert_int_equal(engine_keep(&s.e, t.sock, data + 1500, 8500), 8500);
	assert_int_equal(engine_kept(&s.e, t.sock), 0);
	s.keeper = NULL;
	acks(&t, MSS);
	assert_int_equal(events() & ENGINE_FREED, 0);
	/* The rest by the ring, and behind it what is sent. */
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data + 10000, 20000), 20000);
	for (size_t at = 10000; at < 30000; at += cursor_left(&s.data)) {
		assert_true(stack_pull_ip(&s));
		assert_memory_equal(s.data.at, data + at, cursor_left(&s.data));
		acks(&t, (uint32_t)cursor_left(&s.data));
	}
}

static void engine_kept__of_who_has_gone(void **state)
{
	struct engine_config c = stack_config();
	struct talk t;

	(void)state;
	connected(&t);
	/* What nobody will have any more cannot end orderly. */
	assert_int_equal(keep(&t, 0, 1000), 1000);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_true(stack_pull_ip(&s));
	assert_true(s.tcp.flags & TCP_RST);
	assert_int_equal(engine_kept(&s.e, t.sock), 0);
	assert_int_equal(engine_keep(&s.e, t.sock, data, 0), -EBADF);
	assert_int_equal(engine_send_kept(&s.e, s.now, t.sock, 1), -EBADF);
	/* The peer resets. */
	connected(&t);
	assert_int_equal(keep(&t, 0, 1000), 1000);
	want(0, 1000);
	talk_send(&s, &t, TCP_RST | TCP_ACK, NULL, 0);
	assert_int_equal(engine_kept(&s.e, t.sock), 0);
	/* With a FIN behind them. */
	connected(&t);
	assert_int_equal(keep(&t, 0, 1000), 1000);
	assert_int_equal(engine_shutdown(&s.e, s.now, t.sock, ENGINE_SHUT_WR), 0);
	want(0, 1000);
	assert_true(s.tcp.flags & TCP_FIN);
	acks(&t, 1001);
	assert_int_equal(engine_kept(&s.e, t.sock), 0);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_true(stack_quiet(&s));
	/* Where nobody makes sums. */
	stack_end(&s);
	stack_init(&s, &c);
	connected(&t);
	assert_int_equal(keep(&t, 0, 1000), -EOPNOTSUPP);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 1000), 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_offload, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(engine_send_kept__until_acknowledged),
		TEST(engine_send_kept__sent_again),
		TEST(engine_keep__from_the_first_on),
		TEST(engine_kept__of_who_has_gone),
	};

	return cmocka_run_group_tests_name("tcp_keep", tests, NULL, NULL);
}
