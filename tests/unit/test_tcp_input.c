// SPDX-License-Identifier: BSD-2-Clause
#include "engine/route.h"
#include "stream_test.h"

static int64_t receive(struct talk *t, size_t bytes)
{
	return engine_recv(&s.e, s.now, t->sock, data, bytes);
}

static void tcp_input__nobody_there(void **state)
{
	struct tcp_header h = {.sport = 5, .dport = 6, .seq = 100, .ack = 200};

	(void)state;
	stack_know(&s, PEER);
	/* 3.10.7.1: without ACK: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> */
	h.flags = TCP_SYN;
	stack_tcp(&s, &h, "abc", 3);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST | TCP_ACK);
	assert_int_equal(s.tcp.seq, 0);
	assert_int_equal(s.tcp.ack, 104);
	/* With: <SEQ=SEG.ACK><CTL=RST> */
	h.flags = TCP_ACK;
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST);
	assert_int_equal(s.tcp.seq, 200);
	/* To a RST: nothing. */
	h.flags = TCP_RST;
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_quiet(&s));
}

static void tcp_input__checksum_and_broadcast(void **state)
{
	uint8_t segment[20];
	struct emit out = emit_to(segment, sizeof(segment));
	struct tcp_header h = {.sport = 5, .dport = 6, .flags = TCP_SYN};
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_TCP};

	(void)state;
	stack_know(&s, PEER);
	tcp_emit(&out, &h, PEER, 0x0a0000ff, 0, 0);
	stack_ip(&s, &ip, NULL, segment, sizeof(segment)); /* MUST-3 */
	assert_int_equal(stack_count(&s, COUNT_TCP_CHECKSUM), 1);
	ip.dst = 0x0a0000ff;
	stack_ip(&s, &ip, all_mac, segment, sizeof(segment)); /* MUST-57 */
	assert_int_equal(stack_count(&s, COUNT_TCP_NOT_UNICAST), 1);
	assert_true(stack_quiet(&s));
}

static void syn_sent__handshake(void **state)
{
	struct engine_event ev;
	struct talk t;

	(void)state;
	talk_connect(&s, &t, TCP_HAS_WSCALE | TCP_HAS_SACK_OK | TCP_HAS_TS);
	assert_int_equal(s.tcp.ack, 9001);
	assert_int_equal(s.tcp.seq, t.ack);
	assert_int_equal(s.tcp.has, TCP_HAS_TS);
	assert_int_equal(s.tcp.ts_echo, 500);
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
	assert_int_equal(info_of(t.sock).mss, 1460);
	assert_true(engine_event(&s.e, &ev));
	assert_int_equal(ev.cookie, 7);
	assert_true(ev.events & ENGINE_WRITABLE);
}

static struct talk syn_is_out(void)
{
	struct talk t = {0};

	stack_know(&s, PEER);
	assert_int_equal(engine_open(&s.e, ENGINE_TCP, 7, &t.sock), 0);
	assert_int_equal(engine_connect(&s.e, s.now, t.sock, PEER, PEER_PORT), -EINPROGRESS);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_SYN);
	assert_int_equal(s.tcp.has,
			 TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_OK | TCP_HAS_TS); /* MUST-14 */
	assert_int_equal(s.tcp.mss, 1460);
	t.port = s.tcp.sport;
	t.ack = s.tcp.seq + 1;
	t.seq = 9000;
	return t;
}

static void update_window__that_of_a_syn_is_not_scaled(void **state)
{
	struct talk t = syn_is_out();
	struct tcp_header h = talk_header(&t, TCP_SYN | TCP_ACK);
	uint32_t sent = 0;

	(void)state; /* RFC 7323 2.2 */
	h.has = TCP_HAS_MSS | TCP_HAS_WSCALE;
	h.mss = TALK_MSS;
	h.wscale = 7;
	h.window = 4000;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(info_of(t.sock).snd_wnd, 4000);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 10000), 10000);
	while (stack_pull(&s))
		sent += (uint32_t)cursor_left(&s.data);
	assert_in_range(sent, 2 * 1460, 4000);
}

static void is_acceptable__an_ack_right_behind_the_window(void **state)
{
	struct tcp_header h;
	struct talk t;

	(void)state; /* Its sender has filled the window, and all of that was lost. */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 100), 100);
	assert_true(stack_pull(&s));
	assert_int_equal(info_of(t.sock).unacked, 100);
	h = talk_header(&t, TCP_ACK);
	h.seq += info_of(t.sock).rcv_wnd;
	h.ack += 100;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(info_of(t.sock).unacked, 0);
	h.seq++;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(stack_count(&s, COUNT_TCP_OUT_OF_WINDOW), 1);
}

static void syn_sent__a_wrong_ack_is_reset(void **state)
{
	struct talk t = syn_is_out();
	struct tcp_header h;

	(void)state;
	t.ack += 5;
	h = talk_header(&t, TCP_SYN | TCP_ACK);
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST);
	assert_int_equal(s.tcp.seq, t.ack);
	assert_int_equal(info_of(t.sock).state, ENGINE_SYN_SENT);
	/* A RST with a wrong ACK, or with none, is not believed. */
	h = talk_header(&t, TCP_RST | TCP_ACK);
	stack_tcp(&s, &h, NULL, 0);
	h = talk_header(&t, TCP_RST);
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(info_of(t.sock).state, ENGINE_SYN_SENT);
}

static void syn_sent__refused(void **state)
{
	struct talk t = syn_is_out();
	struct tcp_header h = talk_header(&t, TCP_RST | TCP_ACK);
	uint32_t error;

	(void)state;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, ECONNREFUSED);
	assert_int_equal(info_of(t.sock).state, ENGINE_CLOSED_STATE);
	assert_true(stack_quiet(&s));
}

static void syn_sent__both_at_once(void **state)
{
	struct talk t = syn_is_out();
	struct tcp_header h = talk_header(&t, TCP_SYN);

	(void)state; /* RFC 9293 3.5, figure 8; MUST-10 */
	h.has = TCP_HAS_MSS;
	h.mss = 1000;
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(s.tcp.seq, t.ack - 1);
	assert_int_equal(s.tcp.ack, 9001);
	assert_int_equal(info_of(t.sock).state, ENGINE_SYN_RECEIVED);
	/* The peer's SYN-ACK is an old SYN by now: its answer is what the peer waits for. */
	h = talk_header(&t, TCP_SYN | TCP_ACK);
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_ACK);
	t.seq++;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
	assert_true(stack_quiet(&s));
	talk_send(&s, &t, TCP_ACK, "abc", 3);
	assert_int_equal(receive(&t, 10), 3);
}

static void tcp_segment__data_in_order_and_its_end(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(receive(&t, 10), -EAGAIN);
	talk_send(&s, &t, TCP_ACK, "hello", 5);
	talk_send(&s, &t, TCP_ACK | TCP_FIN, "end", 3);
	assert_int_equal(receive(&t, 4), 4);
	assert_int_equal(receive(&t, 10), 4);
	assert_memory_equal(data, "oend", 4);
	assert_int_equal(receive(&t, 10), 0);
	assert_int_equal(info_of(t.sock).state, ENGINE_CLOSE_WAIT);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, t.seq);
}

static void tcp_segment__out_of_the_window(void **state)
{
	struct talk t;
	uint32_t seq;

	(void)state;
	talk_connect(&s, &t, 0);
	seq = t.seq;
	t.seq = seq - 10;
	talk_send(&s, &t, TCP_ACK, "old", 3);
	assert_true(stack_pull(&s)); /* 3.10.7.4, first: an ACK in reply */
	assert_int_equal(s.tcp.ack, seq);
	t.seq = seq + 70000;
	talk_send(&s, &t, TCP_ACK, "far", 3);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, seq);
	assert_int_equal(stack_count(&s, COUNT_TCP_OUT_OF_WINDOW), 2);
	t.seq = seq - 3;
	talk_send(&s, &t, TCP_ACK, "oldnew", 6); /* its new part counts */
	assert_int_equal(receive(&t, 10), 3);
	assert_memory_equal(data, "new", 3);
}

static void tcp_segment__reset_at_the_exact_place_only(void **state)
{
	struct talk t;
	struct tcp_header h;

	(void)state; /* RFC 5961 3.2 */
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_RST);
	h.seq += 100;
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_ACK);
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
	h.seq += 70000;
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_quiet(&s));
	h.seq = t.seq;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(receive(&t, 1), -ECONNRESET);
	assert_int_equal(receive(&t, 1), 0);
	assert_true(stack_quiet(&s));
}

static void tcp_segment__a_syn_is_challenged(void **state)
{
	struct talk t;
	struct tcp_header h;
	unsigned answers = 0;

	(void)state; /* RFC 5961 4.2, and 7: ten in five seconds */
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_SYN);
	for (unsigned i = 0; i < 30; i++) {
		stack_tcp(&s, &h, NULL, 0);
		while (stack_pull(&s))
			answers++;
	}
	assert_int_equal(answers, 10);
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
	assert_int_equal(stack_count(&s, COUNT_TCP_CHALLENGE_LIMITED), 20);
}

static void tcp_segment__an_ack_of_what_was_not_sent(void **state)
{
	struct talk t;
	struct tcp_header h;

	(void)state; /* RFC 5961 5.2 */
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_ACK);
	h.ack += 1000;
	stack_tcp(&s, &h, "data", 4);
	assert_int_equal(receive(&t, 10), -EAGAIN);
	h.ack = t.ack - 100000;
	stack_tcp(&s, &h, "data", 4);
	assert_int_equal(receive(&t, 10), -EAGAIN);
	assert_int_equal(stack_count(&s, COUNT_TCP_BAD_ACK), 2);
	h.ack = t.ack - 100; /* old, but of this connection */
	stack_tcp(&s, &h, "data", 4);
	assert_int_equal(receive(&t, 10), 4);
}

static void tcp_segment__paws(void **state)
{
	struct talk t;

	(void)state; /* RFC 7323 5.3 */
	talk_connect(&s, &t, TCP_HAS_TS);
	t.ts = 600;
	talk_send(&s, &t, TCP_ACK, "one", 3);
	t.ts = 599;
	talk_send(&s, &t, TCP_ACK, "two", 3);
	assert_int_equal(receive(&t, 10), 3);
	assert_int_equal(stack_count(&s, COUNT_TCP_PAWS), 1);
	t.seq -= 3;
	t.has_ts = false; /* 3.2: all have it, or they are dropped */
	talk_send(&s, &t, TCP_ACK, "two", 3);
	assert_int_equal(receive(&t, 10), -EAGAIN);
	t.seq -= 3;
	t.has_ts = true;
	t.ts = 601;
	talk_send(&s, &t, TCP_ACK, "two", 3);
	assert_int_equal(receive(&t, 10), 3);
}

static void tcp_segment__a_gap_and_its_sack(void **state)
{
	struct talk t;
	uint32_t seq;

	(void)state; /* RFC 2018 */
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	seq = t.seq;
	t.seq = seq + 5;
	talk_send(&s, &t, TCP_ACK, "fghij", 5);
	assert_true(stack_pull(&s)); /* RFC 5681 4.2: at once */
	assert_int_equal(s.tcp.ack, seq);
	assert_int_equal(s.tcp.sacks, 1);
	assert_int_equal(s.tcp.sack[0].start, seq + 5);
	assert_int_equal(s.tcp.sack[0].end, seq + 10);
	t.seq = seq + 15;
	talk_send(&s, &t, TCP_ACK, "pqrst", 5);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.sacks, 2);
	assert_int_equal(s.tcp.sack[0].start, seq + 15); /* the newest first */
	assert_int_equal(receive(&t, 100), -EAGAIN);
	t.seq = seq + 5;
	talk_send(&s, &t, TCP_ACK, "fghij", 5); /* again: RFC 2883 */
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.sack[0].start, seq + 5);
	assert_int_equal(s.tcp.sack[0].end, seq + 10);
	t.seq = seq;
	talk_send(&s, &t, TCP_ACK, "abcde", 5);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, seq + 10);
	t.seq = seq + 10;
	talk_send(&s, &t, TCP_ACK, "klmno", 5);
	assert_int_equal(receive(&t, 100), 20);
	assert_memory_equal(data, "abcdefghijklmnopqrst", 20);
	assert_int_equal(s.e.s->ooos.used, 0);
}

static void tcp_segment__a_gap_without_sack(void **state)
{
	struct talk t;
	uint32_t seq;

	(void)state; /* RFC 5681 4.2: one for each, though they came together */
	talk_connect(&s, &t, 0);
	seq = t.seq;
	t.seq = seq + 5;
	for (unsigned i = 0; i < 4; i++)
		talk_send(&s, &t, TCP_ACK, "fghij", 5);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(stack_pull(&s));
		assert_int_equal(s.tcp.ack, seq);
		assert_int_equal(s.tcp.sacks, 0);
	}
	assert_false(stack_pull(&s));
	/* What is owed is not, once the gap is filled. */
	talk_send(&s, &t, TCP_ACK, "fghij", 5);
	talk_send(&s, &t, TCP_ACK, "fghij", 5);
	t.seq = seq;
	talk_send(&s, &t, TCP_ACK, "abcde", 5);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, seq + 35);
	assert_false(stack_pull(&s));
}

static void tcp_segment__gaps_without_end(void **state)
{
	struct talk t;
	uint32_t seq;

	(void)state;
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	seq = t.seq;
	for (uint32_t i = 0; i < 2 * OOO_RANGES; i++) {
		t.seq = seq + 1 + 2 * i;
		talk_send(&s, &t, TCP_ACK, "x", 1);
		while (stack_pull(&s))
			;
	}
	assert_int_equal(info_of(t.sock).gaps, OOO_RANGES);
	assert_int_equal(stack_count(&s, COUNT_TCP_OOO_FULL), OOO_RANGES);
	/* What fills them is taken. */
	memset(data, 'x', sizeof(data));
	t.seq = seq;
	talk_send(&s, &t, TCP_ACK, data, 2 * OOO_RANGES);
	assert_int_equal(receive(&t, sizeof(data)), 2 * OOO_RANGES);
	assert_int_equal(info_of(t.sock).gaps, 0);
}

static void tcp_segment__the_window_closes_and_opens(void **state)
{
	struct talk t;
	uint32_t wnd;
	size_t sent = 0;

	(void)state;
	talk_connect(&s, &t, 0);
	memset(data, 'w', sizeof(data));
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_RCVBUF, 65535), 0);
	while (sent < 65535) {
		size_t n = 65535 - sent < 1460 ? 65535 - sent : 1460;

		talk_send(&s, &t, TCP_ACK, data, n);
		sent += n;
	}
	while (stack_pull(&s))
		;
	assert_int_equal(s.tcp.window, 0);
	wnd = s.tcp.window;
	/* 3.8.6.2.2: not for an octet. */
	assert_int_equal(receive(&t, 1), 1);
	assert_true(stack_quiet(&s));
	talk_send(&s, &t, TCP_ACK, "p", 1); /* a probe: answered, not taken */
	t.seq--;
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, t.seq);
	assert_int_equal(s.tcp.window, wnd);
	assert_int_equal(receive(&t, 40000), 40000);
	assert_true(stack_pull(&s));
	assert_true(s.tcp.window >= 32768);
	assert_int_equal(receive(&t, 65535), 65535 - 40001);
}

static void tcp_close__in_order(void **state)
{
	struct talk t;

	(void)state; /* 3.6, figure 12 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_FIN | TCP_ACK);
	t.ack++;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(s.e.tcp[0].state, TCP_FIN_WAIT_2);
	talk_send(&s, &t, TCP_FIN | TCP_ACK, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, t.seq);
	assert_int_equal(s.e.tcp[0].state, TCP_TIME_WAIT);
	assert_int_equal(s.e.s->buddy.used, 0);
	/* MUST-13: it lingers for 2 MSL; the FIN again begins it anew. */
	s.now += 50 * NS_SEC;
	engine_time(&s.e, s.now);
	t.seq--;
	talk_send(&s, &t, TCP_FIN | TCP_ACK, NULL, 0);
	assert_true(stack_pull(&s));
	s.now += 50 * NS_SEC;
	engine_time(&s.e, s.now);
	assert_int_equal(s.e.s->tcps.used, 1);
	s.now += 11 * NS_SEC;
	engine_time(&s.e, s.now);
	assert_int_equal(s.e.s->tcps.used, 0);
}

static void tcp_close__both_at_once(void **state)
{
	struct talk t;

	(void)state; /* 3.6, figure 13 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_true(stack_pull(&s));
	talk_send(&s, &t, TCP_FIN | TCP_ACK, NULL, 0);
	assert_int_equal(s.e.tcp[0].state, TCP_CLOSING);
	assert_true(stack_pull(&s));
	t.ack++;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(s.e.tcp[0].state, TCP_TIME_WAIT);
}

static void tcp_close__the_peer_first(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	talk_send(&s, &t, TCP_FIN | TCP_ACK, NULL, 0);
	assert_int_equal(info_of(t.sock).state, ENGINE_CLOSE_WAIT);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_int_equal(s.e.tcp[0].state, TCP_LAST_ACK);
	while (stack_pull(&s))
		;
	t.ack++;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(s.e.s->tcps.used, 0);
}

static void tcp_close__unread_data_are_a_reset(void **state)
{
	struct talk t;

	(void)state; /* RFC 2525 2.17; RFC 9293 3.6, SHLD-3 */
	talk_connect(&s, &t, 0);
	talk_send(&s, &t, TCP_ACK, "unread", 6);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags & TCP_RST, TCP_RST);
	assert_int_equal(s.e.s->tcps.used, 0);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), -EBADF);
}

static void tcp_close__data_for_nobody_are_a_reset(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_true(stack_pull(&s));
	talk_send(&s, &t, TCP_ACK, "late", 4);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags & TCP_RST, TCP_RST);
	assert_int_equal(s.tcp.seq, t.ack); /* which the peer expects: it has not our FIN */
	assert_int_equal(s.e.s->tcps.used, 0);
}

static void tcp_heard_error__about_what_is_in_flight_only(void **state)
{
	struct talk t = syn_is_out();
	struct icmp4 h = {.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_PORT};
	uint8_t quote[28];
	uint32_t error;

	(void)state; /* RFC 5927 4.1 */
	memcpy(quote, s.frame + 14, 28);
	put_be32(quote + 24, s.tcp.seq + 1);
	stack_icmp(&s, ROUTER, &h, quote, 28);
	assert_int_equal(stack_count(&s, COUNT_ICMP_UNMATCHED), 1);
	assert_int_equal(info_of(t.sock).state, ENGINE_SYN_SENT);
	put_be32(quote + 24, s.tcp.seq);
	stack_icmp(&s, ROUTER, &h, quote, 28);
	assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, ECONNREFUSED); /* SHLD-26 */
}

static void tcp_heard_error__soft_in_a_connection(void **state)
{
	struct icmp4 h = {.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_HOST};
	struct talk t;

	(void)state; /* MUST-56 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, "x", 1), 1);
	assert_true(stack_pull(&s));
	for (uint8_t code = 0; code < 6; code++) {
		if (code == ICMP4_UNREACHABLE_FRAGMENT)
			continue;
		h.code = code;
		stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	}
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
}

static void tcp_heard_error__too_long(void **state)
{
	struct icmp4 h = {
		.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_FRAGMENT, .seq = 1000};
	struct talk t;
	size_t total = 0;

	(void)state; /* RFC 1191 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_NODELAY, 1), 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 2920), 2920);
	assert_true(stack_pull(&s));
	assert_int_equal(s.bytes, 1514);
	assert_true(s.ip.df);
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	assert_int_equal(info_of(t.sock).pmtu, 1000);
	assert_int_equal(info_of(t.sock).mss, 960);
	while (stack_pull(&s)) {
		assert_true(s.bytes <= 1014);
		total += cursor_left(&s.data);
	}
	assert_int_equal(total, 2920);
}

/* Two connections; what the first one sends is too long, as @h says. */
static void one_is_told(struct talk *t, struct talk *u, const struct icmp4 *h)
{
	talk_connect(&s, t, 0);
	talk_connect(&s, u, 0);
	assert_int_equal(engine_send(&s.e, s.now, t->sock, data, 1460), 1460);
	assert_true(stack_pull(&s));
	stack_icmp(&s, ROUTER, h, s.frame + 14, 28);
	while (stack_pull(&s))
		;
}

static void tcp_heard_error__too_long_as_another_heard(void **state)
{
	struct icmp4 h = {
		.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_FRAGMENT, .seq = 1000};
	struct talk t, u;

	(void)state; /* Both are there before either sends. */
	one_is_told(&t, &u, &h);
	assert_int_equal(engine_send(&s.e, s.now, u.sock, data, 1460), 1460);
	assert_true(stack_pull(&s));
	assert_int_equal(s.bytes, 1514);
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	assert_int_equal(info_of(u.sock).pmtu, 1000);
	assert_true(stack_pull(&s)); /* at once */
	assert_int_equal(s.bytes, 1014);
}

static void tcp_frame__a_new_route_takes_less(void **state)
{
	struct icmp4 h = {
		.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_FRAGMENT, .seq = 1000};
	struct talk t, u;

	(void)state;
	one_is_told(&t, &u, &h);
	/* It looks again, having planned a segment of the old size. */
	assert_int_equal(engine_route_add(&s.e, 0x0b000000, 8, ROUTER), 0);
	assert_int_equal(engine_send(&s.e, s.now, u.sock, data, 1460), 1460);
	assert_true(stack_pull(&s));
	assert_int_equal(s.bytes, 1014);
}

static void tcp_heard_error__too_long_though_such_arrived(void **state)
{
	struct icmp4 h = {
		.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_FRAGMENT, .seq = 1000};
	struct talk t;

	(void)state; /* RFC 5927 7.2 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 1460), 1460);
	assert_true(stack_pull(&s));
	t.ack += 1460;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 2920), 2920);
	assert_true(stack_pull(&s));
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	while (stack_pull(&s))
		;
	assert_int_equal(info_of(t.sock).pmtu, 1500);
	/* What is acknowledged is proof: it was a forgery. */
	t.ack += 1460;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_true(stack_wait(&s, 2 * NS_SEC)); /* of the second, which is lost */
	assert_int_equal(info_of(t.sock).rtos, 1);
	assert_int_equal(info_of(t.sock).pmtu, 1500);
	/* Said about that one, and nothing comes: then it is true. */
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	assert_int_equal(info_of(t.sock).pmtu, 1500);
	assert_true(stack_wait(&s, 5 * NS_SEC));
	assert_int_equal(info_of(t.sock).pmtu, 1000);
	assert_true(s.bytes <= 1014);
}

static void tcp_black_hole__what_vanishes_gets_smaller(void **state)
{
	struct talk t;
	size_t largest = 1514;

	(void)state; /* RFC 2923 2.1: nobody says a word */
	talk_connect(&s, &t, TCP_HAS_TS);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 10000), 10000);
	assert_true(stack_pull(&s));
	assert_int_equal(s.bytes, 1514);
	for (unsigned i = 0; i < 30 && largest > 600; i++) {
		assert_true(stack_wait(&s, 30 * NS_SEC));
		if (s.eth.type == ETH_TYPE_ARP)
			stack_arp(&s, ARP_REPLY, PEER, US);
		else if (s.bytes < largest && s.tcp.seq == t.ack)
			largest = s.bytes;
	}
	assert_in_range(largest, 500, 14 + 552);
	/* Others' are not. */
	assert_int_equal(route_pmtu(&s.e, PEER), 1500);
}

static void tcp_black_hole__not_where_such_arrived(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 1460), 1460);
	assert_true(stack_pull(&s));
	t.ack += 1460;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 1460), 1460);
	for (unsigned i = 0; i < 8 && info_of(t.sock).rtos < 5;) {
		assert_true(stack_wait(&s, 30 * NS_SEC));
		if (s.eth.type == ETH_TYPE_ARP)
			stack_arp(&s, ARP_REPLY, PEER, US);
		else
			i++;
	}
	assert_int_equal(info_of(t.sock).mss, 1460);
}

static void tcp_heard_error__hard_and_nothing_comes(void **state)
{
	struct icmp4 h = {.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_PROTOCOL};
	uint8_t quote[28];
	struct talk t;
	struct engine_event ev;
	uint32_t error = 0, events = 0;

	(void)state; /* SHLD-26, RFC 5927 5.2 */
	talk_connect(&s, &t, 0);
	while (engine_event(&s.e, &ev))
		;
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 10), 10);
	assert_true(stack_pull(&s));
	memcpy(quote, s.frame + 14, 28);
	stack_icmp(&s, ROUTER, &h, quote, 28);
	/* What is acknowledged says that it was a forgery. */
	t.ack += 10;
	talk_send(&s, &t, TCP_ACK, NULL, 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, data, 10), 10);
	assert_true(stack_pull(&s));
	for (unsigned i = 0; i < 4; i++)
		assert_true(stack_wait(&s, 10 * NS_SEC));
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
	while (engine_event(&s.e, &ev))
		events |= ev.events;
	assert_int_equal(events & ENGINE_STALLED, ENGINE_STALLED); /* SHLD-9 */
	/* Now it stays without an answer, and was sent often: over. */
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	while (stack_wait(&s, 10 * NS_SEC) && s.eth.type == ETH_TYPE_ARP)
		stack_arp(&s, ARP_REPLY, PEER, US);
	assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, ENOPROTOOPT);
}

static void tcp_segment__the_peers_tos(void **state)
{
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_TCP, .tos = 0xb8};
	uint8_t room[40];
	struct emit out = emit_to(room, sizeof(room));
	struct tcp_header h;
	struct talk t;

	(void)state; /* MAY-9 */
	talk_connect(&s, &t, 0);
	assert_int_equal(info_of(t.sock).rcv_tos, 0);
	h = talk_header(&t, TCP_ACK);
	tcp_emit(&out, &h, PEER, US, 0, 0);
	stack_ip(&s, &ip, NULL, room, emit_bytes(&out));
	assert_int_equal(info_of(t.sock).rcv_tos, 0xb8);
}

static void tcp_heard_error__source_quench(void **state)
{
	struct icmp4 h = {.type = ICMP4_SOURCE_QUENCH};
	struct talk t;
	uint32_t cwnd;

	(void)state; /* MUST-55 */
	talk_connect(&s, &t, 0);
	cwnd = info_of(t.sock).cwnd;
	assert_int_equal(engine_send(&s.e, s.now, t.sock, "x", 1), 1);
	assert_true(stack_pull(&s));
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	assert_int_equal(info_of(t.sock).cwnd, cwnd);
	assert_int_equal(stack_count(&s, COUNT_ICMP_IGNORED), 1);
}

static void tcp_segment__reset_with_a_closed_window(void **state)
{
	struct talk t;

	(void)state; /* MUST-66 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_RCVBUF, 65535), 0);
	for (unsigned i = 0; i < 45; i++)
		talk_send(&s, &t, TCP_ACK, data, i < 44 ? 1460 : 65535 - 44 * 1460);
	while (stack_pull(&s))
		;
	assert_int_equal(s.tcp.window, 0);
	talk_send(&s, &t, TCP_RST, NULL, 0);
	assert_int_equal(info_of(t.sock).state, ENGINE_CLOSED_STATE);
	assert_int_equal(receive(&t, sizeof(data)), 65535); /* what came before is still there */
	assert_int_equal(receive(&t, 1), -ECONNRESET);
}

static void tcp_segment__reset_with_data(void **state)
{
	struct talk t;
	struct tcp_header h;

	(void)state; /* SHLD-2 */
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_RST);
	stack_tcp(&s, &h, "because", 7);
	assert_int_equal(info_of(t.sock).state, ENGINE_CLOSED_STATE);
	assert_int_equal(receive(&t, 10), -ECONNRESET);
}

static void update_ts_recent__not_from_a_bad_ack(void **state)
{
	struct talk t;
	struct tcp_header h;

	(void)state; /* one forged segment would shut out the peer's */
	talk_connect(&s, &t, TCP_HAS_TS);
	h = talk_header(&t, TCP_ACK);
	h.ack += 10000;
	h.ts_value = t.ts + 200000;
	stack_tcp(&s, &h, NULL, 0);
	while (stack_pull(&s))
		;
	t.ts++;
	talk_send(&s, &t, TCP_ACK, "true", 4);
	assert_int_equal(receive(&t, 10), 4);
}

static void ooo_absorb__a_duplicate_inside_of_what_fills_the_gap(void **state)
{
	struct talk t;
	uint32_t seq;

	(void)state; /* RFC 2883 4 */
	talk_connect(&s, &t, TCP_HAS_SACK_OK);
	seq = t.seq;
	t.seq = seq + 2;
	talk_send(&s, &t, TCP_ACK, "cd", 2);
	t.seq = seq + 8;
	talk_send(&s, &t, TCP_ACK, "ij", 2);
	while (stack_pull(&s))
		;
	t.seq = seq;
	talk_send(&s, &t, TCP_ACK, "abcdef", 6);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, seq + 6);
	assert_int_equal(s.tcp.sacks, 2);
	assert_int_equal(s.tcp.sack[0].start, seq + 2);
	assert_int_equal(s.tcp.sack[0].end, seq + 4);
	assert_int_equal(s.tcp.sack[1].start, seq + 8);
}

static void tcp_shutdown__what_comes_stays_to_be_read(void **state)
{
	struct talk t;

	(void)state; /* as on Linux */
	talk_connect(&s, &t, 0);
	talk_send(&s, &t, TCP_ACK, "before", 6);
	assert_int_equal(engine_shutdown(&s.e, s.now, t.sock, ENGINE_SHUT_RD), 0);
	assert_int_equal(receive(&t, 10), 6);
	assert_int_equal(receive(&t, 10), 0);
	talk_send(&s, &t, TCP_ACK, "after", 5);
	assert_int_equal(receive(&t, 10), 5);
	assert_int_equal(receive(&t, 10), 0);
	talk_send(&s, &t, TCP_ACK, "unread", 6);
	while (stack_pull(&s))
		;
	assert_int_equal(engine_close(&s.e, s.now, t.sock), 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags & TCP_RST, TCP_RST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tcp_input__nobody_there, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_input__checksum_and_broadcast, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_sent__handshake, setup, teardown),
		cmocka_unit_test_setup_teardown(update_window__that_of_a_syn_is_not_scaled, setup,
						teardown),
		cmocka_unit_test_setup_teardown(is_acceptable__an_ack_right_behind_the_window,
						setup, teardown),
		cmocka_unit_test_setup_teardown(syn_sent__a_wrong_ack_is_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_sent__refused, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_sent__both_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__data_in_order_and_its_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__out_of_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__reset_at_the_exact_place_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__a_syn_is_challenged, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__an_ack_of_what_was_not_sent, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__paws, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__a_gap_and_its_sack, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__a_gap_without_sack, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__gaps_without_end, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__the_window_closes_and_opens, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_close__in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_close__both_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_close__the_peer_first, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_close__unread_data_are_a_reset, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_close__data_for_nobody_are_a_reset, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_heard_error__about_what_is_in_flight_only,
						setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_heard_error__soft_in_a_connection, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_heard_error__too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_heard_error__too_long_as_another_heard, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_frame__a_new_route_takes_less, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_heard_error__too_long_though_such_arrived,
						setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_black_hole__what_vanishes_gets_smaller, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_black_hole__not_where_such_arrived, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_heard_error__hard_and_nothing_comes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__the_peers_tos, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_heard_error__source_quench, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__reset_with_a_closed_window, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_segment__reset_with_data, setup, teardown),
		cmocka_unit_test_setup_teardown(update_ts_recent__not_from_a_bad_ack, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			ooo_absorb__a_duplicate_inside_of_what_fills_the_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_shutdown__what_comes_stays_to_be_read, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("tcp_input", tests, NULL, NULL);
}
