// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each table of the mapping, full: who wants more is refused, and counted; the others go on; and
 * once there is room it goes on for all. Half-open connections: test_tcp_syn.c; reassembly:
 * test_reass.c; ranges behind gaps: test_tcp_input.c; multicast groups: test_igmp.c.
 */
#include "engine/tcp_parts.h"
#include "stream_test.h"

#define SEG 1460u

static void restart(const struct engine_config *c)
{
	stack_end(&s);
	stack_init(&s, c);
}

/* A peer's ACK of our SYN-ACK: its connection is there, or half open still. */
static struct tcp_header shake_hands(void)
{
	struct tcp_header h = {
		.sport = 900, .dport = 80, .seq = 70, .window = 65535, .flags = TCP_SYN};

	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull_ip(&s));
	h.flags = TCP_ACK;
	h.seq++;
	h.ack = s.tcp.seq + 1;
	stack_tcp(&s, &h, NULL, 0);
	return h;
}

static struct engine_sock listener(void)
{
	struct engine_sock l = open_kind(ENGINE_TCP, 1);

	stack_know(&s, PEER);
	assert_int_equal(engine_bind(&s.e, l, 0, 80), 0);
	assert_int_equal(engine_listen(&s.e, l, 100), 0);
	return l;
}

static void connections__the_table_is_full(void **state)
{
	struct engine_config c = stack_config();
	struct engine_sock l, u;
	struct tcp_header h;
	struct talk t[3];

	(void)state;
	c.tcps = 3;
	restart(&c);
	l = listener();
	for (unsigned i = 0; i < 3; i++)
		talk_connect(&s, &t[i], 0);
	u = open_kind(ENGINE_TCP, 9);
	assert_int_equal(engine_connect(&s.e, s.now, u, PEER, 1), -ENFILE);
	assert_int_equal(stack_count(&s, COUNT_TCP_NO_ROOM), 1);
	assert_int_equal(info_of(u).lport, 0); /* nothing has changed */
	/* One who connects to us waits, half open, and is let in once there is room. */
	h = shake_hands();
	assert_int_equal(stack_count(&s, COUNT_TCP_NO_ROOM), 2);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &u), -EAGAIN);
	assert_int_equal(engine_abort(&s.e, s.now, t[1].sock), 0);
	stack_tcp(&s, &h, NULL, 0);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &u), 0);
	/* The others have not noticed. */
	write_octets(&t[2], 100);
	assert_true(stack_pull_ip(&s));
	while (s.tcp.flags & TCP_RST)
		assert_true(stack_pull_ip(&s));
	assert_int_equal(cursor_left(&s.data), 100);
}

static void connections__time_wait_makes_room(void **state)
{
	struct engine_config c = stack_config();
	struct engine_sock u;
	struct talk t[3];

	(void)state;
	c.tcps = 3;
	restart(&c);
	for (unsigned i = 0; i < 3; i++) {
		talk_connect(&s, &t[i], 0);
		assert_int_equal(engine_shutdown(&s.e, s.now, t[i].sock, ENGINE_SHUT_WR), 0);
		assert_true(stack_pull_ip(&s));
		t[i].ack++;
		talk_send(&s, &t[i], TCP_ACK | TCP_FIN, NULL, 0);
		assert_true(stack_pull_ip(&s));
		assert_int_equal(info_of(t[i].sock).state, ENGINE_TIME_WAIT);
	}
	/* Not those that somebody has. */
	u = open_kind(ENGINE_TCP, 9);
	assert_int_equal(engine_connect(&s.e, s.now, u, PEER, 1), -ENFILE);
	assert_int_equal(engine_close(&s.e, s.now, t[1].sock), 0);
	assert_int_equal(engine_close(&s.e, s.now, t[0].sock), 0);
	assert_int_equal(engine_connect(&s.e, s.now, u, PEER, 1), -EINPROGRESS);
	assert_int_equal(stack_count(&s, COUNT_TIME_WAIT_CUT), 1);
	/* The first that was left goes first. */
	assert_true(tcp_find(&s.e, US, t[0].port, PEER, PEER_PORT) != NULL);
	assert_null(tcp_find(&s.e, US, t[1].port, PEER, PEER_PORT));
}

static void sockets__none_to_accept_with(void **state)
{
	struct engine_sock l = listener(), other[31], u;
	struct engine_usage usage;

	(void)state;
	for (unsigned i = 0; i < 31; i++)
		other[i] = open_kind(ENGINE_UDP, i);
	(void)shake_hands();
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &u), -ENFILE);
	assert_int_equal(stack_count(&s, COUNT_SOCK_NO_ROOM), 1);
	engine_usage(&s.e, &usage);
	assert_int_equal(usage.tcps, 1); /* it waits */
	assert_int_equal(engine_close(&s.e, s.now, other[3]), 0);
	assert_int_equal(engine_accept(&s.e, s.now, l, 0, &u), 0);
}

static void segments__the_book_is_full(void **state)
{
	struct engine_config c = stack_config();
	struct talk t, u;
	struct engine_sock v;
	unsigned n = 0;

	(void)state;
	c.segs = 4;
	restart(&c);
	talk_connect(&s, &t, 0);
	talk_connect(&s, &u, 0);
	write_octets(&t, 8 * SEG);
	while (stack_pull_ip(&s))
		n++;
	assert_int_equal(n, 4);
	assert_true(stack_count(&s, COUNT_TCP_NO_ROOM) >= 1);
	/* Another's data and another's SYN wait for that. */
	write_octets(&u, SEG);
	v = open_kind(ENGINE_TCP, 9);
	assert_int_equal(engine_connect(&s.e, s.now, v, PEER, 1), -EINPROGRESS);
	assert_true(stack_quiet(&s));
	t.ack += 4 * SEG;
	ack_all(&t);
	n = 0;
	for (unsigned i = 0; i < 20 && n != 3; i++) {
		if (!stack_wait(&s, NS_SEC))
			continue;
		if (s.tcp.flags & TCP_SYN) {
			n |= 1;
		} else if (s.tcp.sport == u.port) {
			n |= 2;
			u.ack = s.tcp.seq + (uint32_t)cursor_left(&s.data);
			ack_all(&u);
		} else {
			t.ack = s.tcp.seq + (uint32_t)cursor_left(&s.data);
			ack_all(&t);
		}
	}
	assert_int_equal(n, 3);
}

static void packets__who_does_not_read_leaves_a_quarter(void **state)
{
	struct engine_sock u[2] = {open_udp(77), open_udp(78)};
	struct icmp4 echo = {.type = ICMP4_ECHO, .id = 1, .seq = 2};
	struct tcp_header h = {.sport = 5, .dport = 6, .flags = TCP_SYN, .seq = 100};
	char room[8];

	(void)state;
	stack_know(&s, PEER);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(engine_set(&s.e, s.now, u[i], ENGINE_SO_RCVBUF, 1u << 20), 0);
	for (unsigned i = 0; i < 100; i++)
		stack_udp(&s, PEER, 5, (uint16_t)(77 + i % 2), "data", 4);
	assert_int_equal(s.e.s->pkts.used, 60); /* of 80 */
	assert_int_equal(stack_count(&s, COUNT_UDP_NO_ROOM), 40);
	/* ARP, ICMP and TCP go on; datagrams are refused. */
	stack_arp(&s, ARP_REQUEST, PEER, US);
	assert_true(stack_pull(&s));
	assert_int_equal(s.eth.type, ETH_TYPE_ARP);
	stack_icmp(&s, PEER, &echo, "x", 1);
	assert_true(stack_pull(&s));
	assert_int_equal(s.ip.proto, IPV4_PROTO_ICMP);
	stack_tcp(&s, &h, NULL, 0);
	assert_true(stack_pull(&s));
	assert_int_equal(s.tcp.flags, TCP_RST | TCP_ACK);
	assert_int_equal(engine_sendto(&s.e, s.now, u[0], "x", 1, PEER, 9), -ENOBUFS);
	assert_int_equal(engine_recv(&s.e, s.now, u[1], room, 8), 4);
	assert_false(stack_pull(&s));
	assert_int_equal(engine_sendto(&s.e, s.now, u[0], "x", 1, PEER, 9), 1);
	assert_true(stack_pull(&s));
}

static void cells__one_large_datagram_too_many(void **state)
{
	struct engine_sock u = open_udp(77);
	static uint8_t large[60000];

	(void)state; /* 160 cells: four of 30, and a quarter stays free */
	stack_know(&s, PEER);
	assert_int_equal(engine_set(&s.e, s.now, u, ENGINE_SO_RCVBUF, 1u << 20), 0);
	for (unsigned i = 0; i < 5; i++)
		stack_udp(&s, PEER, 5, 77, large, sizeof(large));
	assert_int_equal(stack_count(&s, COUNT_UDP_NO_ROOM), 1);
	assert_true(s.e.s->cells.used <= 120);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(engine_recv(&s.e, s.now, u, large, sizeof(large)), sizeof(large));
	assert_int_equal(engine_recv(&s.e, s.now, u, large, sizeof(large)), -EAGAIN);
	assert_int_equal(s.e.s->cells.used, 0);
}

/* A stack with so little ring memory that one connection's takes it all. */
static void little_memory(void)
{
	struct engine_config c = stack_config();

	c.ring_bytes = 65536;
	restart(&c);
}

static void ring_memory__a_sender_hears_when_there_is_some(void **state)
{
	struct engine_event ev;
	struct talk t, u;
	bool heard = false;
	int64_t n;

	(void)state;
	little_memory();
	talk_connect(&s, &t, 0);
	talk_connect(&s, &u, 0);
	do {
		n = engine_send(&s.e, s.now, t.sock, data, sizeof(data));
	} while (n > 0);
	assert_int_equal(n, -EAGAIN);
	/* What is left of the area is taken by its ring's growth: nothing for another. */
	while (s.e.s->buddy.used < s.e.s->buddy.pages)
		assert_true(buddy_get(&s.e.s->buddy, s.e.book, 0) != NIL);
	assert_int_equal(engine_send(&s.e, s.now, u.sock, data, 100), -EAGAIN);
	assert_true(stack_count(&s, COUNT_TCP_RING_FULL) >= 1);
	assert_int_equal(info_of(u.sock).unacked, 0); /* no ACK will ever come for it */
	while (engine_event(&s.e, &ev))
		;
	assert_int_equal(engine_abort(&s.e, s.now, t.sock), 0);
	for (unsigned i = 0; i < 20 && !heard; i++) {
		(void)stack_wait(&s, 20 * NS_MSEC);
		heard = engine_event(&s.e, &ev);
	}
	assert_true(heard);
	assert_int_equal(ev.sock.index, u.sock.index);
	assert_true(ev.events & ENGINE_WRITABLE);
	assert_int_equal(engine_send(&s.e, s.now, u.sock, data, 100), 100);
}

static void ring_memory__what_comes_is_dropped_and_comes_again(void **state)
{
	struct talk t, u;

	(void)state;
	little_memory();
	talk_connect(&s, &t, 0);
	talk_connect(&s, &u, 0);
	while (engine_send(&s.e, s.now, t.sock, data, sizeof(data)) > 0)
		;
	while (s.e.s->buddy.used < s.e.s->buddy.pages)
		assert_true(buddy_get(&s.e.s->buddy, s.e.book, 0) != NIL);
	talk_send(&s, &u, TCP_ACK, "data", 4);
	assert_int_equal(info_of(u.sock).readable, 0);
	assert_true(stack_count(&s, COUNT_TCP_RING_FULL) >= 1);
	assert_int_equal(engine_abort(&s.e, s.now, t.sock), 0);
	u.seq -= 4;
	talk_send(&s, &u, TCP_ACK, "data", 4);
	assert_int_equal(info_of(u.sock).readable, 4);
}

static void out_of_order__connections_with_gaps(void **state)
{
	struct talk t[5];

	(void)state; /* four of them */
	for (unsigned i = 0; i < 5; i++) {
		talk_connect(&s, &t[i], TCP_HAS_SACK_OK);
		t[i].seq += 10;
		talk_send(&s, &t[i], TCP_ACK, "behind", 6);
	}
	assert_int_equal(stack_count(&s, COUNT_TCP_OOO_FULL), 1);
	assert_int_equal(info_of(t[4].sock).gaps, 0);
	/* Its gap is filled, and the rest comes again. */
	t[4].seq -= 16;
	talk_send(&s, &t[4], TCP_ACK, "0123456789", 10);
	talk_send(&s, &t[4], TCP_ACK, "behind", 6);
	assert_int_equal(info_of(t[4].sock).readable, 16);
	/* And where another's is filled there is room for one more with a gap. */
	t[0].seq -= 16;
	talk_send(&s, &t[0], TCP_ACK, "0123456789", 10);
	t[4].seq += 10;
	talk_send(&s, &t[4], TCP_ACK, "behind", 6);
	assert_int_equal(info_of(t[4].sock).gaps, 1);
}

/* Which connections hear by @ns that nobody is there: a bit for each cookie. */
static unsigned unreachable_until(uint64_t ns)
{
	struct engine_event ev;
	unsigned which = 0;
	uint32_t error;

	while (s.now < ns) {
		(void)stack_wait(&s, min_u64(ns - s.now, 100 * NS_MSEC));
		while (engine_event(&s.e, &ev)) {
			assert_int_equal(engine_get(&s.e, ev.sock, ENGINE_SO_ERROR, &error), 0);
			assert_int_equal(error, EHOSTUNREACH);
			which |= 1u << ev.cookie;
		}
	}
	return which;
}

static void neighbours__all_are_being_asked_for(void **state)
{
	struct engine_sock u[10];

	(void)state; /* 8 places: eight who do not answer, and two more */
	for (unsigned i = 0; i < 10; i++) {
		u[i] = open_kind(ENGINE_TCP, i);
		assert_int_equal(engine_connect(&s.e, s.now, u[i], 0x0a000010 + i, 1),
				 -EINPROGRESS);
	}
	while (stack_pull(&s))
		assert_int_equal(s.eth.type, ETH_TYPE_ARP);
	assert_true(stack_count(&s, COUNT_ARP_NO_ROOM) >= 2);
	/* Each hears that nobody is there: the two later, who had to wait. */
	assert_int_equal(unreachable_until(s.now + 3 * NS_SEC + 100 * NS_MSEC), 0xff);
	assert_int_equal(unreachable_until(s.now + 4 * NS_SEC), 0x300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(connections__the_table_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(connections__time_wait_makes_room, setup, teardown),
		cmocka_unit_test_setup_teardown(sockets__none_to_accept_with, setup, teardown),
		cmocka_unit_test_setup_teardown(segments__the_book_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(packets__who_does_not_read_leaves_a_quarter, setup,
						teardown),
		cmocka_unit_test_setup_teardown(cells__one_large_datagram_too_many, setup,
						teardown),
		cmocka_unit_test_setup_teardown(ring_memory__a_sender_hears_when_there_is_some,
						setup, teardown),
		cmocka_unit_test_setup_teardown(ring_memory__what_comes_is_dropped_and_comes_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(out_of_order__connections_with_gaps, setup,
						teardown),
		cmocka_unit_test_setup_teardown(neighbours__all_are_being_asked_for, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
