// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static char data[70000];

static void urgent_octets(struct talk *t, size_t bytes)
{
	assert_int_equal(engine_send_urgent(&s.e, s.now, t->sock, data, bytes), bytes);
}

/* Take a segment of @bytes data; @pointer: what it says, 0: it has no URG. */
static void want(struct talk *t, size_t bytes, uint16_t pointer)
{
	assert_true(stack_pull_ip(&s));
	assert_int_equal(cursor_left(&s.data), bytes);
	assert_int_equal(s.tcp.seq, t->ack);
	assert_int_equal(!!(s.tcp.flags & TCP_URG), pointer != 0);
	assert_int_equal(s.tcp.urgent, pointer);
	t->ack += (uint32_t)bytes;
}

/* The peer sends with URG. */
static void send_urgent(struct talk *t, uint16_t pointer, const void *octets, size_t bytes)
{
	struct tcp_header h = talk_header(t, TCP_ACK | TCP_URG);

	h.urgent = pointer;
	stack_tcp(&s, &h, octets, bytes);
	t->seq += (uint32_t)bytes;
}

/* Events of @t that were not heard yet. */
static uint32_t events(const struct talk *t)
{
	struct engine_event ev;
	uint32_t all = 0;

	while (engine_event(&s.e, &ev)) {
		if (ev.sock.index == t->sock.index)
			all |= ev.events;
	}
	return all;
}

static uint64_t ahead(const struct talk *t)
{
	uint64_t n;

	assert_int_equal(engine_urgent(&s.e, t->sock, &n), 0);
	return n;
}

static int64_t receive(const struct talk *t)
{
	return engine_recv(&s.e, s.now, t->sock, data, sizeof(data));
}

static void urgent_stamp__to_the_octet_behind(void **state)
{
	struct talk t;

	(void)state; /* RFC 9293 3.8.5, MUST-62 */
	talk_connect(&s, &t, 0);
	urgent_octets(&t, 3);
	want(&t, 3, 3);
	/* Sent again, it says the same. */
	t.ack -= 3;
	assert_true(stack_wait(&s, 2 * NS_SEC));
	assert_int_equal(s.tcp.urgent, 3);
	t.ack += 3;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	/* What follows is not urgent. */
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 5), 5);
	want(&t, 5, 0);
}

static void urgent_stamp__of_any_length(void **state)
{
	struct talk t;

	(void)state; /* MUST-31: from the first segment on, however far it is */
	talk_connect(&s, &t, 0);
	urgent_octets(&t, 3 * TALK_MSS);
	want(&t, TALK_MSS, 3 * TALK_MSS);
	want(&t, TALK_MSS, 2 * TALK_MSS);
	want(&t, TALK_MSS, TALK_MSS);
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	/* Further than a pointer reaches. */
	urgent_octets(&t, 66000);
	want(&t, TALK_MSS, 65535);
	want(&t, TALK_MSS, 66000 - TALK_MSS);
}

static void small_may_go__urgent_is_not_for_nagle(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 5), 5);
	want(&t, 5, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 5), 5);
	assert_true(stack_quiet(&s));
	urgent_octets(&t, 1);
	want(&t, 6, 6);
}

static void urgent_wanted__said_to_a_closed_window(void **state)
{
	struct tcp_header h;
	struct talk t;

	(void)state; /* 3.8.5: though no data may go */
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_ACK);
	h.window = 0;
	stack_tcp(&s, &h, NULL, 0);
	urgent_octets(&t, 4);
	want(&t, 0, 4);
	assert_true(stack_quiet(&s));
}

static void tcp_send__urgent_only_where_all_was_taken(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_SNDBUF, 4096), 0);
	assert_int_equal(engine_send_urgent(&s.e, s.now, t.sock, data, 5000), 4096);
	want(&t, TALK_MSS, 0);
}

static void urgent_input__where_it_is(void **state)
{
	struct talk t;

	(void)state; /* MUST-32, MUST-33 */
	talk_connect(&s, &t, 0);
	(void)events(&t);
	talk_send(&s, &t, TCP_ACK, "ab", 2);
	assert_int_equal(events(&t), ENGINE_READABLE);
	send_urgent(&t, 3, "cde", 3);
	assert_int_equal(events(&t) & ENGINE_URGENT, ENGINE_URGENT);
	assert_int_equal(ahead(&t), 4);
	/* Not over the place. */
	assert_int_equal(receive(&t), 4);
	assert_memory_equal(data, "abcd", 4);
	assert_int_equal(ahead(&t), 0);
	assert_int_equal(receive(&t), 1);
	assert_memory_equal(data, "e", 1);
	assert_int_equal(engine_urgent(&s.e, t.sock, &(uint64_t){0}), -EINVAL);
}

static void urgent_input__before_the_octets(void **state)
{
	struct tcp_header h;
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	(void)events(&t);
	send_urgent(&t, 10, NULL, 0);
	assert_int_equal(events(&t), ENGINE_URGENT);
	assert_int_equal(ahead(&t), 9);
	/* The same again: nothing new. One that is further: told. */
	send_urgent(&t, 10, NULL, 0);
	assert_int_equal(events(&t), 0);
	send_urgent(&t, 12, NULL, 0);
	assert_int_equal(events(&t), ENGINE_URGENT);
	assert_int_equal(ahead(&t), 11);
	/* Without URG the field has no meaning; a pointer to the past neither. */
	talk_send(&s, &t, TCP_ACK, data, 20);
	assert_int_equal(receive(&t), 11);
	assert_int_equal(receive(&t), 9);
	send_urgent(&t, 0, NULL, 0);
	h = talk_header(&t, TCP_ACK);
	h.urgent = 50;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(events(&t) & ENGINE_URGENT, 0);
	assert_int_equal(engine_urgent(&s.e, t.sock, &(uint64_t){0}), -EINVAL);
}

static void urgent_input__with_a_closed_window(void **state)
{
	struct talk t;

	(void)state; /* MUST-66 */
	talk_connect(&s, &t, 0);
	while (info_of(t.sock).rcv_wnd) {
		uint32_t n = info_of(t.sock).rcv_wnd;

		talk_send(&s, &t, TCP_ACK, data, n < 1460 ? n : 1460);
		while (stack_pull(&s))
			;
	}
	(void)events(&t);
	send_urgent(&t, 5, "x", 1);
	t.seq--;
	assert_true(stack_pull(&s)); /* refused, but heard */
	assert_int_equal(s.tcp.ack, t.seq);
	assert_int_equal(events(&t), ENGINE_URGENT);
	assert_int_equal(ahead(&t), info_of(t.sock).readable + 4);
}

static void engine_urgent__what_is_refused(void **state)
{
	struct engine_sock u = open_udp(77);
	struct engine_sock c = open_kind(ENGINE_TCP, 2);
	uint64_t n;

	(void)state;
	assert_int_equal(engine_send_urgent(&s.e, s.now, u, "x", 1), -EOPNOTSUPP);
	assert_int_equal(engine_urgent(&s.e, u, &n), -EOPNOTSUPP);
	assert_int_equal(engine_send_urgent(&s.e, s.now, c, "x", 1), -ENOTCONN);
	assert_int_equal(engine_urgent(&s.e, c, &n), -EINVAL);
	assert_int_equal(engine_close(&s.e, s.now, c), 0);
	assert_int_equal(engine_urgent(&s.e, c, &n), -EBADF);
	assert_int_equal(engine_send_urgent(&s.e, s.now, c, "x", 1), -EBADF);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(urgent_stamp__to_the_octet_behind),
		TEST(urgent_stamp__of_any_length),
		TEST(small_may_go__urgent_is_not_for_nagle),
		TEST(urgent_wanted__said_to_a_closed_window),
		TEST(tcp_send__urgent_only_where_all_was_taken),
		TEST(urgent_input__where_it_is),
		TEST(urgent_input__before_the_octets),
		TEST(urgent_input__with_a_closed_window),
		TEST(engine_urgent__what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
