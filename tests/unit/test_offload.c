// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the engine leaves to the device, and the device to it: mirrors
 * engine_config.offload in tcp_output.c, ip_in.c, tcp_input.c and udp.c.
 */
#include "stack_test.h"

#define MSS 1460u

static char data[200000];

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

static void write_octets(struct talk *t, size_t bytes)
{
	assert_int_equal(engine_send(&s.e, s.now, t->sock, data, bytes), bytes);
}

/* The next frame is one of @bytes data, to be cut into segments of @cut. */
static void want(struct talk *t, size_t bytes, uint16_t cut)
{
	assert_true(stack_pull_ip(&s));
	assert_int_equal(cursor_left(&s.data), bytes);
	assert_int_equal(s.tcp.seq, t->ack);
	assert_int_equal(s.offload.cut_bytes, cut);
	/* stack_pull() has found the checksum right once it was completed. */
	assert_int_equal(s.offload.sum_start, bytes ? ETH_HEADER_BYTES + IPV4_HEADER_BYTES : 0);
	t->ack += (uint32_t)bytes;
}

/* Many round trips later. */
static void open_window(struct talk *t)
{
	for (unsigned i = 0; i < 12; i++) {
		write_octets(t, 44 * (MSS - 12));
		while (stack_pull(&s)) {
			t->ack += (uint32_t)cursor_left(&s.data);
			s.now += NS_MSEC;
			talk_send(&s, t, TCP_ACK, NULL, 0);
		}
	}
	assert_true(stack_quiet(&s));
}

static void enlarge__as_much_as_cwnd_and_the_window_let(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, TCP_HAS_TS | TCP_HAS_SACK_OK);
	assert_int_equal(s.offload.sum_start, 0); /* an ACK has its checksum */
	write_octets(&t, 20 * (MSS - 12));
	want(&t, 10 * (MSS - 12), MSS - 12); /* RFC 6928 */
	assert_memory_equal(s.data.at, data, 10 * (MSS - 12));
	assert_int_equal(s.tcp.flags, TCP_ACK);
	assert_true(stack_quiet(&s));
	assert_int_equal(info_of(t.sock).sent_segs, 2 + 10);
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	want(&t, 10 * (MSS - 12), MSS - 12);
	assert_int_equal(s.tcp.flags, TCP_ACK | TCP_PSH);
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	open_window(&t);
	write_octets(&t, 65535);
	/* What IPv4 can say, in whole segments. */
	want(&t, 45 * (MSS - 12), MSS - 12);
	want(&t, 65535 - 45 * (MSS - 12), 0);
	/* The peer's window is that. */
	write_octets(&t, 20 * MSS);
	assert_true(stack_quiet(&s));
}

static void enlarge__the_last_that_is_not_full(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	write_octets(&t, 3 * MSS + 10);
	want(&t, 3 * MSS + 10, MSS);
	assert_int_equal(s.tcp.flags, TCP_ACK | TCP_PSH);
	write_octets(&t, 3 * MSS + 20);
	want(&t, 3 * MSS, MSS); /* Nagle: a small one is out */
	assert_true(stack_quiet(&s));
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	want(&t, 20, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_NODELAY, 1), 0);
	write_octets(&t, 3 * MSS + 10);
	want(&t, 3 * MSS + 10, MSS);
	assert_int_equal(s.tcp.flags, TCP_ACK | TCP_PSH);
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_CORK, 1), 0);
	write_octets(&t, 2 * MSS + 10);
	want(&t, 2 * MSS, MSS);
	assert_true(stack_quiet(&s));
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_CORK, 0), 0);
	want(&t, 10, 0);
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	/* The end goes with it. */
	write_octets(&t, 2 * MSS + 5);
	assert_int_equal(engine_shutdown(&s.e, s.now, t.sock, ENGINE_SHUT_WR), 0);
	want(&t, 2 * MSS + 5, MSS);
	assert_int_equal(s.tcp.flags, TCP_ACK | TCP_PSH | TCP_FIN);
}

static void enlarge__never_what_is_urgent(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_send_urgent(&s.e, s.now, t.sock, data, 3 * MSS), 3 * MSS);
	for (unsigned i = 0; i < 3; i++) {
		want(&t, MSS, 0);
		assert_true(s.tcp.flags & TCP_URG);
		assert_int_equal(s.tcp.urgent, (3 - i) * MSS);
	}
}

static void enlarge__a_millisecond_of_what_is_paced(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_MAX_PACING_RATE, 3500000), 0);
	write_octets(&t, 10 * MSS);
	want(&t, 2 * MSS, MSS);
}

static void do_again__one_segment_at_a_time(void **state)
{
	struct tcp_header h;
	struct talk t;

	(void)state;
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	write_octets(&t, 8 * MSS);
	want(&t, 8 * MSS, MSS);
	/* The second one of them was lost. */
	h = talk_header(&t, TCP_ACK);
	h.ack = t.ack - 7 * MSS;
	s.now += 50 * NS_MSEC;
	stack_tcp(&s, &h, NULL, 0);
	h.has |= TCP_HAS_SACK;
	h.sacks = 1;
	h.sack[0] = (struct tcp_sack_block){t.ack - 6 * MSS, t.ack};
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull_ip(&s));
	assert_int_equal(s.tcp.seq, t.ack - 7 * MSS);
	assert_int_equal(cursor_left(&s.data), MSS);
	assert_memory_equal(s.data.at, data + MSS, MSS);
	assert_int_equal(s.offload.cut_bytes, 0);
	assert_true(stack_quiet(&s));
	assert_int_equal(info_of(t.sock).retrans_segs, 1);
}

static void note_new__what_the_book_has_room_for(void **state)
{
	struct engine_config c = stack_config();
	struct talk t;

	(void)state;
	stack_end(&s);
	c.offload = ENGINE_OFFLOAD_SUM | ENGINE_OFFLOAD_TSO;
	c.segs = 3;
	stack_init(&s, &c);
	talk_connect(&s, &t, 0);
	write_octets(&t, 5 * MSS);
	assert_int_equal(engine_shutdown(&s.e, s.now, t.sock, ENGINE_SHUT_WR), 0);
	want(&t, 3 * MSS, MSS);
	assert_false(s.tcp.flags & TCP_FIN);
	assert_true(stack_quiet(&s));
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	want(&t, 2 * MSS, MSS);
	assert_true(s.tcp.flags & TCP_FIN);
}

static void output__sums_without_cuts(void **state)
{
	struct engine_config c = stack_config();
	struct talk t;

	(void)state;
	stack_end(&s);
	c.offload = ENGINE_OFFLOAD_TSO;
	assert_int_equal(engine_bytes(&c), 0); /* who cuts has to sum */
	c.offload = ENGINE_OFFLOAD_SUM;
	stack_init(&s, &c);
	talk_connect(&s, &t, 0);
	write_octets(&t, 2 * MSS);
	want(&t, MSS, 0);
	want(&t, MSS, 0);
}

/* ------------------------------------------------------------ what comes */

/* A segment from the peer, its checksum that of the pseudo-header. Return: the frame's octets. */
static size_t make(struct talk *t, uint8_t *room, size_t size, size_t bytes)
{
	struct emit out = emit_to(room, size);
	struct eth eth = {.type = ETH_TYPE_IPV4};
	struct tcp_header h = talk_header(t, TCP_ACK);
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_TCP, .ttl = 64};

	memcpy(eth.dst, stack_mac, 6);
	memcpy(eth.src, peer_mac, 6);
	ip.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + tcp_header_size(&h) + bytes);
	eth_emit(&out, &eth);
	ipv4_emit(&out, &ip);
	tcp_emit_partial(&out, &h, PEER, US, bytes);
	emit_copy(&out, data, bytes);
	assert_false(out.failed);
	return emit_bytes(&out);
}

static void input(struct talk *t, size_t bytes, const struct engine_offload *o)
{
	static uint8_t frame[65600];
	size_t n = make(t, frame, sizeof(frame), bytes);

	engine_input_offloaded(&s.e, s.now, frame, n, o);
}

static const struct engine_offload merged = {.sum_start = 34, .sum_offset = 16, .cut_bytes = MSS};

static void input__a_merged_segment(void **state)
{
	static char room[65536];
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	input(&t, 40 * MSS, &merged);
	assert_int_equal(engine_recv(&s.e, s.now, t.sock, room, sizeof(room)), 40 * MSS);
	assert_memory_equal(room, data, 40 * MSS);
	assert_int_equal(info_of(t.sock).received_segs, 1 + 40);
	assert_true(stack_pull_ip(&s)); /* and one ACK */
	assert_int_equal(s.tcp.ack, t.seq + 40 * MSS);
	assert_true(stack_quiet(&s));
}

static void input__only_what_fits_to_the_packet(void **state)
{
	const struct engine_offload bad[] = {
		{.sum_start = 33, .sum_offset = 16},	   {.sum_start = 14, .sum_offset = 36},
		{.sum_start = 1, .sum_offset = 16},	   {.sum_start = 34, .sum_offset = 6},
		{.sum_start = 65535, .sum_offset = 65535}, {.cut_bytes = MSS},
		{.sum_ok = true, .cut_bytes = MSS},
	};
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		input(&t, 3 * MSS, &bad[i]);
		assert_int_equal(stack_count(&s, COUNT_OFFLOAD_BAD), i + 1);
	}
	/* Nobody said that its checksum is not complete. */
	input(&t, 3 * MSS, &(struct engine_offload){0});
	assert_int_equal(stack_count(&s, COUNT_TCP_CHECKSUM), 1);
	assert_int_equal(info_of(t.sock).readable, 0);
	/* Somebody has looked: it need not be right. */
	input(&t, 3 * MSS, &(struct engine_offload){.sum_ok = true});
	assert_int_equal(info_of(t.sock).readable, 3 * MSS);
}

static void input__datagrams_and_fragments(void **state)
{
	uint8_t frame[200], payload[64];
	size_t n = make_udp(payload, sizeof(payload), PEER, 9, US, 7, "hello", 5);
	struct engine_offload o = {.sum_start = 34, .sum_offset = 6};
	struct engine_sock u = open_udp(7);
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_UDP, .ttl = 64};
	char room[16];

	(void)state;
	payload[6] ^= 0x55;
	for (unsigned i = 0; i < 3; i++) {
		struct emit out = emit_to(frame, sizeof(frame));
		struct eth eth = {.type = ETH_TYPE_IPV4};

		memcpy(eth.dst, stack_mac, 6);
		eth_emit(&out, &eth);
		ip.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + n);
		ip.mf = i == 1;
		o.cut_bytes = i == 2 ? 8 : 0;
		ipv4_emit(&out, &ip);
		emit_copy(&out, payload, n);
		engine_input_offloaded(&s.e, s.now, frame, emit_bytes(&out), &o);
		assert_int_equal(stack_count(&s, COUNT_OFFLOAD_BAD), i);
	}
	assert_int_equal(engine_recvfrom(&s.e, u, room, sizeof(room), NULL, NULL, NULL), 5);
	assert_int_equal(engine_recvfrom(&s.e, u, room, sizeof(room), NULL, NULL, NULL), -EAGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_offload, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enlarge__as_much_as_cwnd_and_the_window_let),
		TEST(enlarge__the_last_that_is_not_full),
		TEST(enlarge__never_what_is_urgent),
		TEST(enlarge__a_millisecond_of_what_is_paced),
		TEST(do_again__one_segment_at_a_time),
		TEST(note_new__what_the_book_has_room_for),
		TEST(output__sums_without_cuts),
		TEST(input__a_merged_segment),
		TEST(input__only_what_fits_to_the_packet),
		TEST(input__datagrams_and_fragments),
	};

	return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
