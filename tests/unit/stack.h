/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack.h - One engine, at 10.0.0.1/24, and a test that is everybody else:
 * it makes the frames that come and looks at those that go.
 */
#ifndef MORTISE_TESTS_STACK_H
#define MORTISE_TESTS_STACK_H

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/state.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/icmp4.h"
#include "wire/udp.h"

#define US 0x0a000001u
#define PEER 0x0a000002u
#define ROUTER 0x0a0000feu
#define STACK_START_NS (100 * NS_SEC)

/**
 * struct stack - @frame: the last one that stack_pull() gave; @ip, @l4: parsed, where it is IPv4;
 * @tcp: where it is TCP. @data: behind the last header that was parsed. @offload: what was left to
 * the device, which has been done but for the cuts. @keeper: what engine_kept() is of; where the
 * first of it is.
 */
struct stack {
	struct engine e;
	void *mem;
	size_t mem_bytes;
	uint64_t now;
	uint8_t frame[65600];
	size_t bytes;
	uint8_t interface;
	struct engine_offload offload;
	const char *keeper;
	struct eth eth;
	struct ipv4 ip;
	struct tcp_header tcp;
	struct cursor data;
};

static const uint8_t stack_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t all_mac[6] = {255, 255, 255, 255, 255, 255};

static inline struct engine_config stack_config(void)
{
	struct engine_config c = {
		.addresses = 1,
		.address = {{US, 24}},
		.gateway = ROUTER,
		.tcps = 16,
		.segs = 512,
		.syns = 4,
		.socks = 32,
		.pkts = 80,
		.cells = 160,
		.neighs = 8,
		.ooos = 4,
		.ring_bytes = 4u << 20,
		.no_announce = true,
	};

	memcpy(c.mac, stack_mac, 6);
	return c;
}

static inline void stack_init(struct stack *s, const struct engine_config *c)
{
	uint8_t key[16] = {1, 2, 3};

	memset(s, 0, sizeof(*s));
	s->now = STACK_START_NS;
	s->mem_bytes = engine_bytes(c);
	s->mem = aligned_alloc(PAGE_BYTES,
			       (s->mem_bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));
	if (!s->mem)
		abort();
	memset(s->mem, 0, s->mem_bytes);
	if (engine_init(&s->e, s->mem, s->mem_bytes, c, key, s->now) != 0)
		abort();
}

static inline void stack_end(struct stack *s)
{
	free(s->mem);
	s->mem = NULL;
}

/* ------------------------------------------------------------ frames in */

static inline void stack_arp(struct stack *s, uint16_t op, uint32_t from, uint32_t about)
{
	uint8_t room[64];
	struct emit out = emit_to(room, sizeof(room));
	struct eth h = {.type = ETH_TYPE_ARP};
	struct arp a = {.op = op, .sender_ip = from, .target_ip = about};

	memcpy(h.dst, op == ARP_REPLY ? stack_mac : all_mac, 6);
	memcpy(h.src, peer_mac, 6);
	memcpy(a.sender, peer_mac, 6);
	memcpy(a.target, stack_mac, 6);
	eth_emit(&out, &h);
	arp_emit(&out, &a);
	engine_input(&s->e, s->now, room, emit_bytes(&out));
}

/* A packet with this header, whose total_bytes is made right. */
static inline void stack_ip(struct stack *s, struct ipv4 *h, const uint8_t *to, const void *payload,
			    size_t bytes)
{
	static uint8_t room[65600];
	struct emit out = emit_to(room, sizeof(room));
	struct eth eth = {.type = ETH_TYPE_IPV4};

	memcpy(eth.dst, to ? to : stack_mac, 6);
	memcpy(eth.src, peer_mac, 6);
	h->total_bytes = (uint16_t)(IPV4_HEADER_BYTES + bytes);
	h->ttl = h->ttl ? h->ttl : 64;
	eth_emit(&out, &eth);
	ipv4_emit(&out, h);
	emit_copy(&out, payload, bytes);
	engine_input(&s->e, s->now, room, emit_bytes(&out));
}

static inline size_t make_udp(uint8_t *room, size_t size, uint32_t src, uint16_t sport,
			      uint32_t dst, uint16_t dport, const void *data, size_t bytes)
{
	struct emit out = emit_to(room, size);
	struct udp h = {.sport = sport, .dport = dport, .bytes = (uint16_t)(8 + bytes)};

	udp_emit(&out, &h, src, dst, checksum_add(0, data, bytes));
	emit_copy(&out, data, bytes);
	return emit_bytes(&out);
}

static inline void stack_udp(struct stack *s, uint32_t src, uint16_t sport, uint16_t dport,
			     const void *data, size_t bytes)
{
	static uint8_t room[65600];
	struct ipv4 h = {.src = src, .dst = US, .proto = IPV4_PROTO_UDP};

	stack_ip(s, &h, NULL, room,
		 make_udp(room, sizeof(room), src, sport, US, dport, data, bytes));
}

static inline void stack_icmp(struct stack *s, uint32_t src, const struct icmp4 *h,
			      const void *body, size_t bytes)
{
	static uint8_t room[65600];
	struct emit out = emit_to(room, sizeof(room));
	struct ipv4 ip = {.src = src, .dst = US, .proto = IPV4_PROTO_ICMP};

	icmp4_emit(&out, h, checksum_add(0, body, bytes));
	emit_copy(&out, body, bytes);
	stack_ip(s, &ip, NULL, room, emit_bytes(&out));
}

static inline void stack_tcp(struct stack *s, const struct tcp_header *h, const void *data,
			     size_t bytes)
{
	static uint8_t room[65600];
	struct emit out = emit_to(room, sizeof(room));
	struct ipv4 ip = {.src = PEER, .dst = US, .proto = IPV4_PROTO_TCP};

	tcp_emit(&out, h, PEER, US, checksum_add(0, data, bytes), bytes);
	emit_copy(&out, data, bytes);
	if (out.failed)
		abort();
	stack_ip(s, &ip, NULL, room, emit_bytes(&out));
}

/* ------------------------------------------------------------ frames out */

/* What a device does: the field has the pseudo-header's sum, and becomes that of all. */
static inline void stack_complete(uint8_t *frame, size_t bytes, const struct engine_offload *o)
{
	if (o->sum_start)
		put_be16(
			frame + o->sum_start + o->sum_offset,
			checksum_fold(checksum_add(0, frame + o->sum_start, bytes - o->sum_start)));
}

/* The next frame. Return: false: there is none. */
static inline bool stack_pull(struct stack *s)
{
	static struct engine_frame f;
	struct cursor c;

	s->bytes = 0;
	if (!engine_output(&s->e, s->now, &f))
		return false;
	for (uint32_t i = 0; i < f.pieces; i++) {
		memcpy(s->frame + s->bytes, f.piece[i].at, f.piece[i].bytes);
		s->bytes += f.piece[i].bytes;
	}
	if (f.kept)
		memcpy(s->frame + s->bytes, s->keeper + f.kept_at, f.kept);
	s->bytes += f.kept;
	if (s->bytes != f.bytes)
		abort();
	s->interface = f.interface;
	s->offload = f.offload;
	stack_complete(s->frame, s->bytes, &s->offload);
	c = cursor_of(s->frame, s->bytes);
	if (eth_parse(&c, &s->eth) != WIRE_OK)
		abort();
	if (s->eth.type == ETH_TYPE_IPV4) {
		if (ipv4_parse(&c, &s->ip) != WIRE_OK)
			abort();
		if (s->ip.proto == IPV4_PROTO_TCP && !ipv4_is_fragment(&s->ip)) {
			if (!tcp_sum_ok(&c, s->ip.src, s->ip.dst) ||
			    tcp_parse(&c, &s->tcp) != WIRE_OK)
				abort();
		}
	}
	s->data = c;
	return true;
}

/* The next packet; ARP is answered by the way. */
static inline bool stack_pull_ip(struct stack *s)
{
	while (stack_pull(s)) {
		if (s->eth.type == ETH_TYPE_IPV4)
			return true;
		stack_arp(s, ARP_REPLY, PEER, US);
	}
	return false;
}

static inline bool stack_quiet(struct stack *s)
{
	return !stack_pull(s);
}

/* Let time pass, timer by timer, until something is to be sent, or for @ns. Return: something is.
 */
static inline bool stack_wait(struct stack *s, uint64_t ns)
{
	uint64_t until = s->now + ns;

	for (;;) {
		uint64_t due;

		if (stack_pull(s))
			return true;
		due = engine_deadline(&s->e);
		if (due > until)
			break;
		s->now = due > s->now ? due : s->now;
		engine_time(&s->e, s->now);
	}
	s->now = until;
	engine_time(&s->e, s->now);
	return stack_pull(s);
}

/* The peer's address is known from now on. */
static inline void stack_know(struct stack *s, uint32_t addr)
{
	/* It asks for ours, and its own is learned thereby. */
	stack_arp(s, ARP_REQUEST, addr, US);
	while (stack_pull(s))
		;
}

static inline uint64_t stack_count(const struct stack *s, enum engine_count what)
{
	return engine_stat(&s->e, what);
}

/* ------------------------------------------------------------ connections */

/** struct talk - A connection with the test as the peer. @seq, @ack: what the peer sends next. */
struct talk {
	struct engine_sock sock;
	uint16_t port; /* ours */
	uint32_t seq, ack;
	uint32_t ts;
	bool has_ts;
};

#define PEER_PORT 5000u
#define TALK_MSS 1460u

static inline struct tcp_header talk_header(const struct talk *t, uint8_t flags)
{
	struct tcp_header h = {
		.sport = PEER_PORT,
		.dport = t->port,
		.seq = t->seq,
		.ack = t->ack,
		.flags = flags,
		.window = 65535,
	};

	if (t->has_ts) {
		h.has = TCP_HAS_TS;
		h.ts_value = t->ts;
	}
	return h;
}

static inline void talk_send(struct stack *s, struct talk *t, uint8_t flags, const void *data,
			     size_t bytes)
{
	struct tcp_header h = talk_header(t, flags);

	stack_tcp(s, &h, data, bytes);
	t->seq += (uint32_t)bytes + ((flags & TCP_FIN) ? 1 : 0);
}

/* We connect; the peer's SYN-ACK has the options @has (TCP_HAS_ bits). */
static inline void talk_connect(struct stack *s, struct talk *t, uint8_t has)
{
	struct tcp_header h;

	memset(t, 0, sizeof(*t));
	stack_know(s, PEER);
	if (engine_open(&s->e, ENGINE_TCP, 7, &t->sock) != 0 ||
	    engine_connect(&s->e, s->now, t->sock, PEER, PEER_PORT) >= 0 || !stack_pull(s))
		abort();
	t->port = s->tcp.sport;
	t->ack = s->tcp.seq + 1;
	t->seq = 9000;
	h = talk_header(t, TCP_SYN | TCP_ACK);
	h.has = has | TCP_HAS_MSS;
	h.mss = TALK_MSS;
	h.wscale = 7;
	h.ts_value = t->ts = 500;
	h.ts_echo = s->tcp.ts_value;
	t->has_ts = has & TCP_HAS_TS;
	s->now += 10 * NS_MSEC;
	stack_tcp(s, &h, NULL, 0);
	t->seq++;
	if (!stack_pull(s) || s->tcp.flags != TCP_ACK)
		abort();
}

#endif
