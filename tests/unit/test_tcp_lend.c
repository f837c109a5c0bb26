// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static uint8_t frame[65600];
static char data[20000], room[65536];

static void fill_data(void)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 37 >> 2);
}

/* A segment from the peer into @frame. Return: the frame's octets. */
static size_t make_with(struct talk *t, uint32_t ahead, uint8_t flags, const char *octets,
			size_t bytes)
{
	struct emit out = emit_to(frame, sizeof(frame));
	struct eth eth = {.type = ETH_TYPE_IPV4};
	struct tcp_header h = talk_header(t, flags);
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_TCP, .ttl = 64};

	h.seq += ahead;
	memcpy(eth.dst, stack_mac, 6);
	ip.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + tcp_header_size(&h) + bytes);
	eth_emit(&out, &eth);
	ipv4_emit(&out, &ip);
	tcp_emit(&out, &h, PEER, US, checksum_add(0, octets, bytes), bytes);
	emit_copy(&out, octets, bytes);
	return emit_bytes(&out);
}

static size_t make(struct talk *t, uint32_t ahead, const char *octets, size_t bytes)
{
	return make_with(t, ahead, TCP_ACK, octets, bytes);
}

static bool lend(struct talk *t, uint32_t ahead, const char *octets, size_t bytes, uint64_t *cookie)
{
	size_t n = make(t, ahead, octets, bytes);

	return engine_input_lent(&s.e, s.now, frame, n, &(struct engine_offload){0}, cookie);
}

static void reads(struct talk *t, const char *wanted, size_t bytes)
{
	assert_int_equal(engine_recv(&s.e, s.now, t->sock, room, bytes), bytes);
	assert_memory_equal(room, wanted, bytes);
}

/* Nobody reads the frame any more. */
static void give_back(void)
{
	engine_lent_end(&s.e);
	memset(frame, 0xee, sizeof(frame));
}

static void lend_get__from_the_frame(void **state)
{
	uint64_t cookie = 0;
	struct talk t;

	(void)state;
	fill_data();
	talk_connect(&s, &t, 0);
	assert_true(lend(&t, 0, data, 9000, &cookie));
	assert_int_equal(cookie, 7);
	assert_int_equal(info_of(t.sock).readable, 9000);
	/* It lies there indeed. */
	frame[54] ^= 1;
	assert_int_equal(engine_recv(&s.e, s.now, t.sock, room, 1), 1);
	assert_int_equal(room[0], data[0] ^ 1);
	reads(&t, data + 1, 3999);
	give_back();
	reads(&t, data + 4000, 5000);
	assert_int_equal(engine_recv(&s.e, s.now, t.sock, room, 1), -EAGAIN);
	assert_true(stack_pull_ip(&s));
	assert_int_equal(s.tcp.ack, t.seq + 9000);
	/* And once more, all of it. */
	t.seq += 9000;
	assert_true(lend(&t, 0, data, 3000, &cookie));
	reads(&t, data, 3000);
	give_back();
	assert_int_equal(engine_recv(&s.e, s.now, t.sock, room, 1), -EAGAIN);
}

static void lend_data__only_what_is_next(void **state)
{
	uint64_t cookie = 0;
	struct talk t;

	(void)state;
	fill_data();
	talk_connect(&s, &t, 0);
	/* Behind a gap. */
	assert_false(lend(&t, 1000, data + 1000, 1000, &cookie));
	give_back();
	/* It fills the gap: what is read goes over from the frame into the ring. */
	assert_true(lend(&t, 0, data, 1000, &cookie));
	reads(&t, data, 1500);
	give_back();
	t.seq += 2000;
	/* Behind what was not read. */
	cookie = 0;
	assert_true(lend(&t, 0, data + 2000, 1000, &cookie));
	assert_int_equal(cookie, 7);
	memset(frame, 0xee, sizeof(frame)); /* it is in the ring already */
	reads(&t, data + 1500, 1500);
	give_back();
	/* Nothing at all. */
	t.seq += 1000;
	assert_false(lend(&t, 0, NULL, 0, &cookie));
	give_back();
	engine_input(&s.e, s.now, frame, make(&t, 0, data, 1000));
	memset(frame, 0, sizeof(frame));
	reads(&t, data, 1000);
}

static void engine_lent_end__of_who_has_gone(void **state)
{
	uint64_t cookie;
	struct engine_usage u;
	struct talk t;

	(void)state;
	fill_data();
	talk_connect(&s, &t, 0);
	assert_true(lend(&t, 0, data, 1000, &cookie));
	assert_int_equal(engine_abort(&s.e, s.now, t.sock), 0);
	give_back();
	while (stack_pull(&s))
		;
	engine_usage(&s.e, &u);
	assert_int_equal(u.tcps, 0);
	assert_int_equal(u.ring_pages, 0);
	/* Nobody wants to read. */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_shutdown(&s.e, s.now, t.sock, ENGINE_SHUT_RD), 0);
	assert_false(lend(&t, 0, data, 1000, &cookie));
	give_back();
}

/* As a device gives it that has put @placed octets elsewhere, and has found the sum right. */
static bool place(struct talk *t, uint32_t ahead, uint8_t flags, size_t bytes, size_t placed)
{
	size_t n = make_with(t, ahead, flags, data, bytes);

	memset(frame + n - bytes, 0xee, placed);
	return engine_input_placed(&s.e, s.now, t->sock, frame, n, placed,
				   &(struct engine_offload){.sum_ok = true});
}

static void engine_input_placed__is_received(void **state)
{
	struct talk t;

	(void)state;
	fill_data();
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_place(&s.e, t.sock), 54);
	assert_true(place(&t, 0, TCP_ACK, 9000, 9000));
	give_back();
	assert_int_equal(info_of(t.sock).readable, 0);
	assert_int_equal(info_of(t.sock).received_bytes, 9000);
	assert_true(stack_pull_ip(&s));
	assert_int_equal(s.tcp.ack, t.seq + 9000);
	/* What was behind them is lent, and left where it is not read at once. */
	t.seq += 9000;
	assert_true(place(&t, 0, TCP_ACK | TCP_PSH, 9000, 4000));
	assert_int_equal(info_of(t.sock).readable, 5000);
	reads(&t, data + 4000, 1000);
	give_back();
	reads(&t, data + 5000, 4000);
	/* And all by the ring. */
	t.seq += 9000;
	talk_send(&s, &t, TCP_ACK, data, 1000);
	reads(&t, data, 1000);
}

static void engine_input_placed__only_what_is_next(void **state)
{
	struct engine_info before;
	struct talk t;
	size_t n;

	(void)state;
	fill_data();
	talk_connect(&s, &t, TCP_HAS_TS);
	assert_int_equal(engine_place(&s.e, t.sock), 66);
	while (stack_pull(&s))
		;
	before = info_of(t.sock);
	assert_false(place(&t, 1, TCP_ACK, 1000, 1000));
	assert_false(place(&t, -1u, TCP_ACK, 1000, 1000));
	assert_false(place(&t, 0, TCP_ACK | TCP_FIN, 1000, 1000));
	assert_false(place(&t, 0, TCP_RST | TCP_ACK, 1000, 1000));
	assert_false(place(&t, 0, TCP_ACK | TCP_URG, 1000, 1000));
	assert_false(place(&t, 0, TCP_ACK, 1000, 1001));
	assert_false(place(&t, 0, TCP_ACK, 0, 0));
	/* An ACK of what was never sent; a timestamp of long ago, or none. */
	t.ack++;
	assert_false(place(&t, 0, TCP_ACK, 1000, 1000));
	t.ack--;
	t.ts--;
	assert_false(place(&t, 0, TCP_ACK, 1000, 1000));
	t.ts++;
	t.has_ts = false;
	assert_false(place(&t, 0, TCP_ACK, 1000, 1000));
	t.has_ts = true;
	/* Somebody else's, in each of the four; another protocol; a fragment; for another host. */
	for (size_t at = 26; at < 38; at++) {
		n = make_with(&t, 0, TCP_ACK, data, 1000);
		frame[at] ^= 1;
		/* IP's own sum. */
		frame[24] = frame[25] = 0;
		put_be16(frame + 24, checksum_fold(checksum_add(0, frame + 14, 20)));
		assert_false(engine_input_placed(&s.e, s.now, t.sock, frame, n, 1000,
						 &(struct engine_offload){.sum_ok = true}));
	}
	n = make_with(&t, 0, TCP_ACK, data, 1000);
	frame[5] ^= 1;
	assert_false(engine_input_placed(&s.e, s.now, t.sock, frame, n, 1000,
					 &(struct engine_offload){.sum_ok = true}));
	frame[5] ^= 1;
	/* Its sum is nobody's, or of another place. */
	assert_false(engine_input_placed(&s.e, s.now, t.sock, frame, n, 1000,
					 &(struct engine_offload){0}));
	assert_false(
		engine_input_placed(&s.e, s.now, t.sock, frame, n, 1000,
				    &(struct engine_offload){.sum_start = 35, .sum_offset = 16}));
	assert_false(
		engine_input_placed(&s.e, s.now, t.sock, frame, n, 1000,
				    &(struct engine_offload){.sum_ok = true, .cut_bytes = 500}));
	/* Nothing has happened by all that. */
	assert_true(stack_quiet(&s));
	assert_memory_equal(&before, &(struct engine_info[]){info_of(t.sock)}, sizeof(before));
	assert_true(engine_input_placed(
		&s.e, s.now, t.sock, frame, n, 1000,
		&(struct engine_offload){.sum_start = 34, .sum_offset = 16, .cut_bytes = 500}));
	give_back();
	/* Behind a gap, behind what was not read, behind the end. */
	t.seq += 1000;
	talk_send(&s, &t, TCP_ACK, data, 100);
	assert_int_equal(engine_place(&s.e, t.sock), 0);
	assert_false(place(&t, 0, TCP_ACK, 1000, 1000));
	reads(&t, data, 100);
	t.seq += 100;
	talk_send(&s, &t, TCP_ACK, data, 100);
	t.seq -= 200;
	assert_int_equal(engine_place(&s.e, t.sock), 0);
	assert_false(place(&t, 0, TCP_ACK, 100, 100));
	talk_send(&s, &t, TCP_ACK, data, 100);
	reads(&t, data, 100);
	reads(&t, data, 100);
	t.seq += 100;
	assert_int_equal(engine_place(&s.e, t.sock), 66);
	talk_send(&s, &t, TCP_ACK | TCP_FIN, NULL, 0);
	assert_int_equal(engine_place(&s.e, t.sock), 0);
	assert_false(place(&t, 0, TCP_ACK, 100, 100));
}

static void tcp_send__what_is_unsent(void **state)
{
	struct engine_config c = stack_config();
	struct engine_event ev;
	struct talk t;

	(void)state;
	stack_end(&s);
	c.unsent_max = 8000;
	stack_init(&s, &c);
	talk_connect(&s, &t, 0);
	while (engine_event(&s.e, &ev))
		;
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, sizeof(data)), 8000);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 1), -EAGAIN);
	for (unsigned left = 8000 - 1460; left > 4000; left -= 1460) {
		assert_true(stack_pull_ip(&s));
		assert_false(engine_event(&s.e, &ev));
	}
	/* Half of it has gone: no ACK is needed for that. */
	assert_true(stack_pull_ip(&s));
	assert_true(engine_event(&s.e, &ev));
	assert_int_equal(ev.events, ENGINE_WRITABLE);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, sizeof(data)),
			 8000 - info_of(t.sock).unsent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lend_get__from_the_frame),
		TEST(lend_data__only_what_is_next),
		TEST(engine_lent_end__of_who_has_gone),
		TEST(engine_input_placed__is_received),
		TEST(engine_input_placed__only_what_is_next),
		TEST(tcp_send__what_is_unsent),
	};

	return cmocka_run_group_tests_name("tcp_lend", tests, NULL, NULL);
}
