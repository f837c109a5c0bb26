// SPDX-License-Identifier: BSD-2-Clause
#include "stream_test.h"

static void choose_new__nagle(void **state)
{
	struct talk t;

	(void)state; /* RFC 9293 3.7.4 */
	talk_connect(&s, &t, 0);
	write_octets(&t, 10);
	want(&t, 10); /* nothing is out: it goes */
	assert_int_equal(s.tcp.flags, TCP_ACK | TCP_PSH);
	write_octets(&t, 10);
	write_octets(&t, 10);
	assert_true(stack_quiet(&s));
	write_octets(&t, 1460); /* a full one goes */
	want(&t, 1460);
	assert_true(stack_quiet(&s));
	ack_all(&t);
	want(&t, 20);
	ack_all(&t);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_NODELAY, 1), 0);
	for (unsigned i = 0; i < 3; i++) {
		write_octets(&t, 5);
		want(&t, 5);
	}
}

static void choose_new__cork(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_CORK, 1), 0);
	write_octets(&t, 100);
	assert_true(stack_quiet(&s));
	write_octets(&t, 1400);
	want(&t, 1460);
	assert_true(stack_quiet(&s));
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_CORK, 0), 0);
	ack_all(&t);
	want(&t, 40);
	/* Forgotten corks: 200 ms. */
	ack_all(&t);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_CORK, 1), 0);
	write_octets(&t, 30);
	assert_true(stack_wait(&s, 210 * NS_MSEC));
	assert_int_equal(cursor_left(&s.data), 30);
}

static void write_more(struct talk *t, size_t bytes)
{
	assert_int_equal(engine_send_more(&s.e, s.now, t->sock, data, bytes), bytes);
}

static void choose_new__more_is_to_come(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_NODELAY, 1), 0);
	/* Until the rest is there: one segment, which is pushed. */
	write_more(&t, 100);
	write_more(&t, 100);
	assert_true(stack_quiet(&s));
	write_octets(&t, 5);
	want(&t, 205);
	assert_int_equal(s.tcp.flags, TCP_ACK | TCP_PSH);
	/* Until an ACK: not pushed. */
	write_more(&t, 30);
	assert_true(stack_quiet(&s));
	ack_all(&t);
	want(&t, 30);
	assert_int_equal(s.tcp.flags, TCP_ACK);
	ack_all(&t);
	/* What makes a full segment goes. */
	write_more(&t, 1460 + 7);
	want(&t, 1460);
	assert_true(stack_quiet(&s));
	ack_all(&t);
	want(&t, 7);
	ack_all(&t);
	/* Who never says more: 200 ms. */
	write_more(&t, 9);
	assert_true(stack_wait(&s, 210 * NS_MSEC));
	assert_int_equal(cursor_left(&s.data), 9);
	assert_int_equal(s.tcp.flags, TCP_ACK | TCP_PSH);
}

static void choose_new__the_initial_window(void **state)
{
	struct talk t;
	unsigned n = 0;

	(void)state; /* RFC 6928 */
	talk_connect(&s, &t, 0);
	write_octets(&t, 60000);
	while (stack_pull(&s))
		n++;
	assert_int_equal(n, 10);
}

static void choose_new__never_beyond_the_window(void **state)
{
	struct talk t;
	struct tcp_header h;

	(void)state;
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_ACK);
	h.window = 2000;
	stack_tcp(&s, &h, NULL, 0);
	write_octets(&t, 5000);
	want(&t, 1460);
	/* 540 more would fit, but silly (3.8.6.2.1): less than half of the largest window. */
	assert_true(stack_quiet(&s));
	h.window = 1460;
	h.ack = t.ack;
	stack_tcp(&s, &h, NULL, 0);
	want(&t, 1460);
	assert_true(stack_quiet(&s));
}

static void update_window__an_older_ack_does_not(void **state)
{
	struct tcp_header h;
	struct talk t;
	uint32_t una;

	(void)state; /* RFC 9293 3.10.7.4: where SND.UNA =< SEG.ACK */
	talk_connect(&s, &t, 0);
	una = t.ack;
	write_octets(&t, 3 * 1460);
	for (unsigned i = 0; i < 3; i++)
		want(&t, 1460);
	h = talk_header(&t, TCP_ACK);
	h.ack = una + 2 * 1460;
	h.window = 1460;
	stack_tcp(&s, &h, "hello", 5);
	assert_int_equal(info_of(t.sock).snd_wnd, 1460);
	/* It was overtaken: its sequence number is the newer one, its ACK the older. */
	h.seq += 5;
	h.ack = una;
	h.window = 60000;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(info_of(t.sock).snd_wnd, 1460);
}

static void update_window__counts_from_what_is_acknowledged(void **state)
{
	struct tcp_header h;
	struct talk t;
	uint32_t una;

	(void)state;
	talk_connect(&s, &t, 0);
	una = t.ack;
	write_octets(&t, 3 * 1460);
	for (unsigned i = 0; i < 3; i++)
		want(&t, 1460);
	h = talk_header(&t, TCP_ACK);
	h.ack = una;
	h.seq += 5;
	h.window = 4096;
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(info_of(t.sock).snd_wnd, 4096);
	/* Older by its sequence number, but it moves SND.UNA: the same right edge, not one further
	 * on. */
	h.seq -= 5;
	h.ack = una + 1460;
	h.window = 4096 - 1460;
	stack_tcp(&s, &h, "hello", 5);
	assert_int_equal(info_of(t.sock).snd_wnd, 4096 - 1460);
}

static void fire_rto__backs_off_and_gives_up(void **state)
{
	struct talk t;
	uint64_t last, gap = 0;
	unsigned n = 0;
	uint32_t error;

	(void)state; /* RFC 6298; RFC 9293 3.8.3 */
	talk_connect(&s, &t, 0);
	write_octets(&t, 100);
	want(&t, 100);
	last = s.now;
	while (stack_wait(&s, 100 * NS_SEC)) {
		if (s.eth.type != ETH_TYPE_IPV4) {
			stack_arp(&s, ARP_REPLY, PEER, US);
			continue;
		}
		assert_int_equal(s.tcp.seq, t.ack - 100);
		assert_true(s.now - last >= gap * 9 / 10); /* never sooner than before */
		gap = s.now - last < 60 * NS_SEC ? s.now - last : 60 * NS_SEC;
		last = s.now;
		n++;
	}
	assert_int_equal(n, 15);
	assert_true(s.now - STACK_START_NS > 100 * NS_SEC); /* SHLD-11: R2 of 100 s at least */
	assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, ETIMEDOUT);
}

static void fire_rto__the_users_time(void **state)
{
	struct talk t;
	uint32_t error = 0;
	uint64_t began;

	(void)state; /* RFC 9293 3.8.3, RFC 5482 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_USER_TIMEOUT, 5000), 0);
	write_octets(&t, 100);
	began = s.now;
	while (!error && s.now < began + 100 * NS_SEC) {
		if (stack_wait(&s, NS_SEC) && s.eth.type == ETH_TYPE_ARP)
			stack_arp(&s, ARP_REPLY, PEER, US);
		assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_ERROR, &error), 0);
	}
	assert_int_equal(error, ETIMEDOUT);
	assert_in_range(s.now - began, 5 * NS_SEC, 15 * NS_SEC);
}

static void syn__is_sent_again_and_given_up(void **state)
{
	struct engine_sock c;
	unsigned n = 0;
	uint32_t error;
	uint64_t began = s.now;

	(void)state; /* RFC 9293 3.8.3, MUST-23: 3 minutes at least */
	stack_know(&s, PEER);
	assert_int_equal(engine_open(&s.e, ENGINE_TCP, 7, &c), 0);
	assert_int_equal(engine_connect(&s.e, s.now, c, PEER, PEER_PORT), -EINPROGRESS);
	while (stack_wait(&s, 100 * NS_SEC)) {
		if (s.eth.type == ETH_TYPE_ARP)
			stack_arp(&s, ARP_REPLY, PEER, US);
		else
			n++;
	}
	assert_int_equal(n, 8);
	assert_true(s.now - began > 180 * NS_SEC);
	assert_int_equal(engine_get(&s.e, c, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, ETIMEDOUT);
}

static void persist__probes_a_closed_window(void **state)
{
	struct talk t;
	struct tcp_header h;

	(void)state; /* RFC 9293 3.8.6.1, MUST-36, MUST-37 */
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_ACK);
	h.window = 0;
	stack_tcp(&s, &h, NULL, 0);
	write_octets(&t, 3000);
	assert_true(stack_quiet(&s));
	/* It answers, and stays closed: for an hour. */
	for (unsigned i = 0; s.now < STACK_START_NS + 3600 * NS_SEC; i++) {
		assert_true(stack_wait(&s, 130 * NS_SEC));
		if (s.eth.type == ETH_TYPE_ARP) {
			stack_arp(&s, ARP_REPLY, PEER, US);
			continue;
		}
		assert_int_equal(cursor_left(&s.data), 1);
		assert_int_equal(s.tcp.seq, t.ack);
		stack_tcp(&s, &h, NULL, 0);
	}
	assert_int_equal(info_of(t.sock).state, ENGINE_ESTABLISHED);
	assert_int_equal(info_of(t.sock).rtos, 0);
	/* It opens: all goes, the probe's octet again. */
	h.window = 65535;
	stack_tcp(&s, &h, NULL, 0);
	want(&t, 1);
	want(&t, 1460);
	want(&t, 1460);
	ack_all(&t);
	want(&t, 79);
}

static void ack_later__every_second_segment(void **state)
{
	struct talk t;
	unsigned acks = 0;

	(void)state; /* RFC 9293 3.8.6.3, SHLD-18, MUST-40, MUST-58 */
	talk_connect(&s, &t, 0);
	for (unsigned i = 0; i < 20; i++) { /* the first ones at once */
		talk_send(&s, &t, TCP_ACK, data, 1460);
		while (stack_pull(&s))
			;
	}
	(void)engine_recv(&s.e, s.now, t.sock, data, sizeof(data));
	assert_true(stack_wait(&s, 499 * NS_MSEC)); /* of the last, which was alone */
	for (unsigned i = 0; i < 10; i++) {
		talk_send(&s, &t, TCP_ACK, data, 1460);
		while (stack_pull(&s))
			acks++;
	}
	assert_int_equal(acks, 5);
	/* One alone waits, less than half a second. */
	talk_send(&s, &t, TCP_ACK, "x", 1);
	assert_true(stack_quiet(&s));
	assert_true(stack_wait(&s, 499 * NS_MSEC));
	assert_int_equal(s.tcp.ack, t.seq);
}

static void fire_keep__only_where_wanted(void **state)
{
	struct talk t;
	uint32_t error;

	(void)state; /* RFC 9293 3.8.4, MUST-24 to 28 */
	talk_connect(&s, &t, 0);
	assert_false(stack_wait(&s, 10000 * NS_SEC)); /* MUST-25: off by default */
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_KEEPIDLE, 10), 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_KEEPINTVL, 2), 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_KEEPCNT, 3), 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_SO_KEEPALIVE, 1), 0);
	assert_true(stack_wait(&s, 11 * NS_SEC));
	if (s.eth.type == ETH_TYPE_ARP) {
		stack_arp(&s, ARP_REPLY, PEER, US);
		assert_true(stack_pull(&s));
	}
	assert_int_equal(s.tcp.seq, t.ack - 1);
	assert_int_equal(cursor_left(&s.data), 0);
	ack_all(&t); /* it is there */
	for (unsigned i = 0; i < 3;) {
		assert_true(stack_wait(&s, 11 * NS_SEC));
		if (s.eth.type == ETH_TYPE_ARP)
			stack_arp(&s, ARP_REPLY, PEER, US);
		else
			i++;
	}
	assert_true(stack_wait(&s, 11 * NS_SEC));
	assert_int_equal(s.tcp.flags & TCP_RST, TCP_RST);
	assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_ERROR, &error), 0);
	assert_int_equal(error, ETIMEDOUT);
}

static void tcp_send__buffer_and_refusals(void **state)
{
	struct engine_event ev;
	struct talk t;
	int64_t n;
	size_t total = 0;

	(void)state;
	talk_connect(&s, &t, 0);
	while (engine_event(&s.e, &ev))
		;
	while ((n = engine_send(&s.e, s.now, t.sock, data, sizeof(data))) > 0)
		total += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(total, 131072);
	while (stack_pull(&s))
		t.ack = s.tcp.seq + (uint32_t)cursor_left(&s.data);
	assert_false(engine_event(&s.e, &ev));
	while (total > info_of(t.sock).acked_bytes && !engine_event(&s.e, &ev)) {
		ack_all(&t);
		while (stack_pull(&s))
			t.ack = s.tcp.seq + (uint32_t)cursor_left(&s.data);
	}
	assert_int_equal(ev.events, ENGINE_WRITABLE);
	assert_int_equal(engine_shutdown(&s.e, s.now, t.sock, ENGINE_SHUT_WR), 0);
	assert_int_equal(engine_send(&s.e, s.now, t.sock, "x", 1), -EPIPE);
}

static void choose_new__without_an_mss(void **state)
{
	struct tcp_header h;
	struct talk t = {0};

	(void)state; /* RFC 9293 3.7.1: MUST-15 */
	stack_know(&s, PEER);
	assert_int_equal(engine_open(&s.e, ENGINE_TCP, 7, &t.sock), 0);
	assert_int_equal(engine_connect(&s.e, s.now, t.sock, PEER, PEER_PORT), -EINPROGRESS);
	assert_true(stack_pull(&s));
	t.port = s.tcp.sport;
	t.ack = s.tcp.seq + 1;
	t.seq = 9000;
	h = talk_header(&t, TCP_SYN | TCP_ACK);
	stack_tcp(&s, &h, NULL, 0);
	t.seq++;
	assert_true(stack_pull(&s));
	write_octets(&t, 2000);
	want(&t, 536);
}

static void rtt__not_of_what_was_sent_twice(void **state)
{
	struct talk t;
	uint32_t srtt;

	(void)state; /* MUST-18 */
	talk_connect(&s, &t, 0);
	srtt = info_of(t.sock).srtt_us;
	assert_in_range(srtt, 9000, 11000);
	write_octets(&t, 100);
	want(&t, 100);
	assert_true(stack_wait(&s, 5 * NS_SEC)); /* the timeout: it goes again */
	assert_int_equal(info_of(t.sock).rtos, 1);
	s.now += 5 * NS_SEC;
	ack_all(&t);
	assert_int_equal(info_of(t.sock).srtt_us, srtt);
}

static void cc__grows_and_shrinks(void **state)
{
	struct talk t;
	uint32_t cwnd;

	(void)state; /* RFC 5681 3.1: MUST-19 */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_CONGESTION, ENGINE_RENO), 0);
	cwnd = info_of(t.sock).cwnd;
	write_octets(&t, 60000);
	while (stack_pull_ip(&s))
		t.ack += (uint32_t)cursor_left(&s.data);
	ack_all(&t); /* slow start: by what was acknowledged, within its bound */
	assert_in_range(info_of(t.sock).cwnd, cwnd + 1460, 2 * cwnd);
	while (stack_pull_ip(&s))
		t.ack += (uint32_t)cursor_left(&s.data);
	cwnd = info_of(t.sock).cwnd;
	assert_true(stack_wait(&s, 5 * NS_SEC)); /* a timeout: one segment */
	assert_int_equal(info_of(t.sock).cwnd, 1460);
	assert_true(info_of(t.sock).ssthresh <= cwnd / 2 + 1460);
	assert_true(stack_quiet(&s));
}

static void choose_new__one_segment_may_always_be_out(void **state)
{
	struct talk t;

	(void)state; /* the MSS grew, cwnd is one segment of before */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_MAXSEG, 500), 0);
	write_octets(&t, 500);
	want(&t, 500);
	assert_true(stack_wait(&s, 5 * NS_SEC)); /* the timeout */
	assert_int_equal(info_of(t.sock).cwnd, 500);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_MAXSEG, 0), 0);
	ack_all(&t);
	write_octets(&t, 10 * 1460);
	want(&t, 1460);
}

static void build__ttl_and_tos(void **state)
{
	struct talk t;

	(void)state; /* MUST-48, MUST-49, SHLD-21, SHLD-22 */
	talk_connect(&s, &t, 0);
	assert_int_equal(s.ip.ttl, 64);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_IP_TTL, 9), 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_IP_TOS, 0x48), 0);
	write_octets(&t, 10);
	want(&t, 10);
	assert_int_equal(s.ip.ttl, 9);
	assert_int_equal(s.ip.tos, 0x48);
}

static void ack_later__one_for_a_batch(void **state)
{
	struct talk t;

	(void)state; /* MUST-59 */
	talk_connect(&s, &t, 0);
	for (unsigned i = 0; i < 6; i++)
		talk_send(&s, &t, TCP_ACK, data, 1460);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.ack, t.seq);
	assert_true(stack_quiet(&s));
}

static void fire_rto__the_reason_that_icmp_gave(void **state)
{
	struct icmp4 h = {.type = ICMP4_UNREACHABLE, .code = ICMP4_UNREACHABLE_HOST};
	struct talk t;
	uint32_t error = 0;

	(void)state; /* SHLD-25 */
	talk_connect(&s, &t, 0);
	write_octets(&t, 100);
	want(&t, 100);
	stack_icmp(&s, ROUTER, &h, s.frame + 14, 28);
	for (unsigned i = 0; i < 10000 && !error; i++) {
		if (stack_wait(&s, NS_SEC) && s.eth.type == ETH_TYPE_ARP)
			stack_arp(&s, ARP_REPLY, PEER, US);
		assert_int_equal(engine_get(&s.e, t.sock, ENGINE_SO_ERROR, &error), 0);
	}
	assert_int_equal(error, EHOSTUNREACH);
}

/* A connection in which nothing is out, and whose neighbour has been forgotten. */
static uint64_t gives_up_after(struct talk *t, uint32_t *ret_error)
{
	uint64_t start = s.now;

	write_octets(t, 100);
	*ret_error = 0;
	for (unsigned i = 0; i < 1000 && !*ret_error; i++) {
		if (stack_wait(&s, 10 * NS_SEC))
			assert_int_equal(s.eth.type, ETH_TYPE_ARP);
		assert_int_equal(engine_get(&s.e, t->sock, ENGINE_SO_ERROR, ret_error), 0);
	}
	return s.now - start;
}

static void timer_not_sent__nobody_answers_arp(void **state)
{
	struct talk t;
	uint32_t error;

	(void)state; /* R2, though not one segment went */
	talk_connect(&s, &t, 0);
	for (uint32_t i = 0; i < 20; i++)
		stack_arp(&s, ARP_REQUEST, 0x0a000030 + i, US);
	while (stack_pull(&s))
		;
	assert_true(gives_up_after(&t, &error) >= 100 * NS_SEC);
	assert_int_equal(error, EHOSTUNREACH);
}

static void timer_not_sent__no_way(void **state)
{
	struct talk t;
	uint32_t error;

	(void)state;
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_route_drop(&s.e, 0x0a000000, 24), 0);
	assert_int_equal(engine_route_drop(&s.e, 0, 0), 0);
	assert_true(gives_up_after(&t, &error) >= 100 * NS_SEC);
	assert_int_equal(error, ENETUNREACH);
}

static void persist__backs_off(void **state)
{
	struct talk t;
	struct tcp_header h;
	uint64_t last = 0, gap = 0;

	(void)state; /* SHLD-30 */
	talk_connect(&s, &t, 0);
	h = talk_header(&t, TCP_ACK);
	h.window = 0;
	stack_tcp(&s, &h, NULL, 0);
	write_octets(&t, 3000);
	for (unsigned i = 0; i < 6;) {
		assert_true(stack_wait(&s, 130 * NS_SEC));
		if (s.eth.type == ETH_TYPE_ARP) {
			stack_arp(&s, ARP_REPLY, PEER, US);
			continue;
		}
		if (i >= 2)
			assert_true(s.now - last >= gap * 19 / 10);
		gap = s.now - last;
		last = s.now;
		stack_tcp(&s, &h, NULL, 0);
		i++;
	}
}

static void choose_new__a_small_one_behind_full_ones(void **state)
{
	struct talk t;

	(void)state; /* Minshall's rule: not held for the ACK of full ones, which may be delayed */
	talk_connect(&s, &t, 0);
	write_octets(&t, 1460 + 40);
	want(&t, 1460);
	want(&t, 40);
	write_octets(&t, 40); /* behind a small one it is */
	assert_true(stack_quiet(&s));
	ack_all(&t);
	want(&t, 40);
}

static void choose_new__a_fin_alone_is_no_load(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0);
	write_octets(&t, 10 * 1460); /* the whole initial window */
	for (unsigned i = 0; i < 10; i++)
		want(&t, 1460);
	assert_int_equal(engine_shutdown(&s.e, s.now, t.sock, ENGINE_SHUT_WR), 0);
	want(&t, 0);
	assert_int_equal(s.tcp.flags & TCP_FIN, TCP_FIN);
}

static void engine_set__nodelay_pushes_what_is_corked(void **state)
{
	struct talk t;

	(void)state; /* as on Linux */
	talk_connect(&s, &t, 0);
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_CORK, 1), 0);
	write_octets(&t, 40);
	assert_true(stack_quiet(&s));
	assert_int_equal(engine_set(&s.e, s.now, t.sock, ENGINE_TCP_NODELAY, 1), 0);
	want(&t, 40);
	write_octets(&t, 40); /* only what was held then */
	assert_true(stack_quiet(&s));
}

static void do_again__pushes_what_was_pushed(void **state)
{
	struct talk t;
	uint32_t una;

	(void)state; /* RFC 9293 3.9.1, MUST-60 */
	talk_connect(&s, &t, 0);
	una = t.ack;
	write_octets(&t, 2 * 1460);
	want(&t, 1460);
	assert_int_equal(s.tcp.flags & TCP_PSH, 0);
	want(&t, 1460);
	assert_int_equal(s.tcp.flags & TCP_PSH, TCP_PSH);
	assert_true(stack_wait(&s, NS_SEC));
	assert_int_equal(s.tcp.seq, una);
	assert_int_equal(s.tcp.flags & TCP_PSH, 0);
	t.ack = una + 1460;
	ack_all(&t);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.seq, t.ack);
	assert_int_equal(s.tcp.flags & TCP_PSH, TCP_PSH);
}

static void tcp_send_rst__with_timestamps(void **state)
{
	struct talk t;

	(void)state; /* RFC 7323 3.2 */
	talk_connect(&s, &t, TCP_HAS_TS);
	assert_int_equal(engine_abort(&s.e, s.now, t.sock), 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST | TCP_ACK);
	assert_int_equal(s.tcp.has, TCP_HAS_TS);
	assert_int_equal(s.tcp.ts_echo, t.ts);
}

static void tcp_recv__says_so_where_the_window_doubles(void **state)
{
	struct talk t;

	(void)state; /* RFC 9293 3.8.6.2.2 */
	talk_connect(&s, &t, 0);
	for (unsigned i = 0; i < 88; i++) { /* nearly all of the buffer's 128 KiB */
		talk_send(&s, &t, TCP_ACK, data, 1460);
		while (stack_pull(&s))
			;
	}
	assert_true(stack_wait(&s, 100 * NS_MSEC) || true); /* the delayed ACK */
	assert_int_equal(engine_recv(&s.e, s.now, t.sock, data, 8 * 1460), 8 * 1460);
	assert_true(stack_pull(&s)); /* more than was left */
	assert_in_range(s.tcp.window, 8 * 1460, 65535);
	for (unsigned i = 0; i < 7; i++) { /* the peer has enough: its data bring ACKs */
		assert_int_equal(engine_recv(&s.e, s.now, t.sock, data, 1460), 1460);
		assert_true(stack_quiet(&s));
	}
}

static void tcp_recv__not_more_than_can_be_said(void **state)
{
	struct talk t;

	(void)state;
	talk_connect(&s, &t, 0); /* without window scaling, and a buffer of 128 KiB */
	talk_send(&s, &t, TCP_ACK, data, 1460);
	while (stack_pull(&s))
		;
	assert_int_equal(engine_recv(&s.e, s.now, t.sock, data, 1460), 1460);
	assert_true(stack_quiet(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(choose_new__nagle, setup, teardown),
		cmocka_unit_test_setup_teardown(choose_new__cork, setup, teardown),
		cmocka_unit_test_setup_teardown(choose_new__more_is_to_come, setup, teardown),
		cmocka_unit_test_setup_teardown(choose_new__the_initial_window, setup, teardown),
		cmocka_unit_test_setup_teardown(choose_new__never_beyond_the_window, setup,
						teardown),
		cmocka_unit_test_setup_teardown(update_window__an_older_ack_does_not, setup,
						teardown),
		cmocka_unit_test_setup_teardown(update_window__counts_from_what_is_acknowledged,
						setup, teardown),
		cmocka_unit_test_setup_teardown(fire_rto__backs_off_and_gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(fire_rto__the_users_time, setup, teardown),
		cmocka_unit_test_setup_teardown(syn__is_sent_again_and_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(persist__probes_a_closed_window, setup, teardown),
		cmocka_unit_test_setup_teardown(ack_later__every_second_segment, setup, teardown),
		cmocka_unit_test_setup_teardown(fire_keep__only_where_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_send__buffer_and_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(choose_new__without_an_mss, setup, teardown),
		cmocka_unit_test_setup_teardown(rtt__not_of_what_was_sent_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(cc__grows_and_shrinks, setup, teardown),
		cmocka_unit_test_setup_teardown(choose_new__one_segment_may_always_be_out, setup,
						teardown),
		cmocka_unit_test_setup_teardown(build__ttl_and_tos, setup, teardown),
		cmocka_unit_test_setup_teardown(ack_later__one_for_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(fire_rto__the_reason_that_icmp_gave, setup,
						teardown),
		cmocka_unit_test_setup_teardown(timer_not_sent__nobody_answers_arp, setup,
						teardown),
		cmocka_unit_test_setup_teardown(timer_not_sent__no_way, setup, teardown),
		cmocka_unit_test_setup_teardown(persist__backs_off, setup, teardown),
		cmocka_unit_test_setup_teardown(choose_new__a_small_one_behind_full_ones, setup,
						teardown),
		cmocka_unit_test_setup_teardown(choose_new__a_fin_alone_is_no_load, setup,
						teardown),
		cmocka_unit_test_setup_teardown(engine_set__nodelay_pushes_what_is_corked, setup,
						teardown),
		cmocka_unit_test_setup_teardown(do_again__pushes_what_was_pushed, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_send_rst__with_timestamps, setup, teardown),
		cmocka_unit_test_setup_teardown(tcp_recv__says_so_where_the_window_doubles, setup,
						teardown),
		cmocka_unit_test_setup_teardown(tcp_recv__not_more_than_can_be_said, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("tcp_output", tests, NULL, NULL);
}
