// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine.c - libFuzzer target for the engine: a sequence of frames, calls and time steps.
 *
 * The input is a program of small steps. Frames are made from it in three ways: octets as
 * they are; a TCP segment of the one peer's with a right checksum, whose numbers are near
 * those that the engine itself last sent; a frame that the engine sent, changed in one
 * place and sent back. Tables are small, so that they fill. In the end all is closed and
 * time passes: nothing may be left.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "engine/engine.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

#define US 0x0a000001u
#define PEER 0x0a000002u
#define SOCKS 8u
#define PORT 80u
#define MEM_BYTES (2u << 20)

/** struct world - @last: the last frame that was sent; @seq, @ack: what the peer would say next. */
struct world {
	struct engine e;
	uint64_t now_ns;
	struct engine_sock sock[SOCKS];
	uint8_t last[2048];
	size_t last_bytes;
	uint32_t seq, ack;
	uint16_t sport, dport;
};

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void make(struct world *w, uint8_t flavour)
{
	static uint8_t *mem;
	uint8_t key[16] = {7};
	struct engine_config c = {
		.addresses = 1,
		.address = {{US, 24}},
		.gateway = PEER,
		.mtu = flavour & 1 ? 1500 : 576,
		.tcps = 4,
		.segs = 24,
		.syns = 2,
		.socks = SOCKS - 1,
		.pkts = 12,
		.cells = 20,
		.neighs = 3,
		.ooos = 2,
		.ring_bytes = 1u << 18,
		.loopback = flavour & 2,
		.probe = flavour & 4,
	};

	memcpy(c.mac, our_mac, 6);
	must(engine_bytes(&c) <= MEM_BYTES);
	if (!mem)
		mem = aligned_alloc(4096, MEM_BYTES);
	must(mem != NULL);
	memset(mem, 0, engine_bytes(&c));
	*w = (struct world){.now_ns = 1000000000};
	must(engine_init(&w->e, mem, MEM_BYTES, &c, key, w->now_ns) == 0);
}

/* What the engine wants to send now; the peer follows what it sees. */
static void pull(struct world *w)
{
	static struct engine_frame f;

	for (unsigned n = 0; n < 200 && engine_output(&w->e, w->now_ns, &f); n++) {
		static uint8_t octets[65600];
		size_t at = 0;
		struct cursor c;
		struct ipv4 ip;
		struct tcp_header h;

		for (uint32_t i = 0; i < f.pieces; i++) {
			memcpy(octets + at, f.piece[i].at, f.piece[i].bytes);
			at += f.piece[i].bytes;
		}
		must(at == f.bytes);
		if (f.interface == ENGINE_LOOPBACK) {
			engine_input_from(&w->e, w->now_ns, ENGINE_LOOPBACK, octets, at);
			continue;
		}
		w->last_bytes = at < sizeof(w->last) ? at : sizeof(w->last);
		memcpy(w->last, octets, w->last_bytes);
		c = cursor_of(octets + 14, at - 14);
		/* What it emits is right, whatever came in. */
		if (octets[12] != 8 || octets[13] != 0)
			continue;
		must(ipv4_parse(&c, &ip) == WIRE_OK);
		if (ip.proto != IPV4_PROTO_TCP || ipv4_is_fragment(&ip))
			continue;
		must(tcp_sum_ok(&c, ip.src, ip.dst));
		must(tcp_parse(&c, &h) == WIRE_OK);
		w->ack = h.seq + (uint32_t)cursor_left(&c) + ((h.flags & (TCP_SYN | TCP_FIN)) != 0);
		if (h.flags & TCP_ACK)
			w->seq = h.ack;
		w->sport = h.dport;
		w->dport = h.sport;
	}
}

static void send_ip(struct world *w, uint8_t proto, const uint8_t *payload, size_t bytes)
{
	uint8_t room[2048];
	struct emit out = emit_to(room, sizeof(room));
	struct eth eth = {.type = ETH_TYPE_IPV4};
	struct ipv4 ip = {.src = PEER,
			  .dst = US,
			  .proto = proto,
			  .ttl = 64,
			  .total_bytes = (uint16_t)(IPV4_HEADER_BYTES + bytes)};

	memcpy(eth.dst, our_mac, 6);
	memcpy(eth.src, peer_mac, 6);
	eth_emit(&out, &eth);
	ipv4_emit(&out, &ip);
	emit_copy(&out, payload, bytes);
	if (!out.failed)
		engine_input(&w->e, w->now_ns, room, emit_bytes(&out));
}

/* Offsets of the numbers are small, and signed: mostly near what is right. */
static uint32_t near(struct cursor *c, uint32_t right)
{
	uint8_t by = cursor_u8(c);

	return by & 0x80 ? right + (uint32_t)(int8_t)cursor_u8(c) * (by & 0x7fu) : right + by % 4;
}

static void segment(struct world *w, struct cursor *c)
{
	static const uint8_t zeros[1500];
	uint8_t room[1600];
	struct emit out = emit_to(room, sizeof(room));
	uint8_t kind = cursor_u8(c);
	size_t bytes = cursor_u8(c) * (kind & 1 ? 5u : 0u);
	struct tcp_header h = {
		.sport = kind & 2 ? w->sport : (uint16_t)(5000 + (kind >> 6)),
		.dport = kind & 2 ? w->dport : PORT,
		.flags = cursor_u8(c),
		.window = cursor_be16(c),
		.has = cursor_u8(c) & 31,
		.mss = 1460,
		.wscale = 2,
		.ts_value = (uint32_t)(w->now_ns / 1000000),
	};

	h.seq = near(c, w->seq);
	h.ack = near(c, w->ack);
	h.urgent = kind & 4 ? cursor_u8(c) : 0;
	if (h.has & TCP_HAS_SACK) {
		h.sacks = 1 + (kind >> 4) % 3;
		for (unsigned i = 0; i < h.sacks; i++) {
			h.sack[i].start = near(c, w->ack);
			h.sack[i].end = h.sack[i].start + cursor_u8(c);
		}
	}
	tcp_emit(&out, &h, PEER, US, 0, bytes);
	emit_copy(&out, zeros, bytes);
	if (!out.failed)
		send_ip(w, IPV4_PROTO_TCP, room, emit_bytes(&out));
}

static void echo_back(struct world *w, struct cursor *c)
{
	uint8_t room[sizeof(w->last)];
	size_t at = cursor_u8(c);

	if (w->last_bytes < 14)
		return;
	memcpy(room, w->last, w->last_bytes);
	memcpy(room, our_mac, 6);
	memcpy(room + 6, peer_mac, 6);
	room[at % w->last_bytes] ^= cursor_u8(c);
	engine_input(&w->e, w->now_ns, room, w->last_bytes);
}

/* An ICMP error about the last packet, or an echo. */
static void icmp(struct world *w, struct cursor *c)
{
	uint8_t room[8 + 60] = {0};
	uint16_t sum;

	room[0] = cursor_u8(c) % 16;
	room[1] = cursor_u8(c) % 16;
	room[6] = cursor_u8(c);
	if (w->last_bytes >= 14 + 60)
		memcpy(room + 8, w->last + 14, 60);
	sum = checksum_fold(checksum_add(0, room, sizeof(room)));
	room[2] = (uint8_t)(sum >> 8);
	room[3] = (uint8_t)sum;
	send_ip(w, IPV4_PROTO_ICMP, room, sizeof(room));
}

static void call(struct world *w, struct cursor *c)
{
	static uint8_t room[20000];
	struct engine_sock *s = &w->sock[cursor_u8(c) % SOCKS];
	uint8_t what = cursor_u8(c);
	uint8_t how = cursor_u8(c);
	uint32_t addr = how & 1 ? US : PEER;
	struct engine_info info;
	struct engine_error error;
	struct engine_datagram d;
	uint64_t octets;
	uint32_t value;

	switch (what % 18) {
	case 0:
		if (engine_info(&w->e, *s, &info) != 0)
			(void)engine_open(&w->e, (enum engine_kind)(how % 5), how, s);
		break;
	case 1:
		(void)engine_bind(&w->e, *s, how & 2 ? addr : 0, PORT);
		break;
	case 2:
		(void)engine_connect(&w->e, w->now_ns, *s, addr, PORT);
		break;
	case 3:
		(void)engine_listen(&w->e, *s, how % 3);
		break;
	case 4:
		if (engine_info(&w->e, w->sock[how % SOCKS], &info) != 0)
			(void)engine_accept(&w->e, w->now_ns, *s, 0, &w->sock[how % SOCKS]);
		break;
	case 5:
	case 6:
		(void)engine_send(&w->e, w->now_ns, *s, room, how * 70u);
		break;
	case 7:
		(void)engine_send_urgent(&w->e, w->now_ns, *s, room, how);
		break;
	case 8:
		(void)engine_sendto(&w->e, w->now_ns, *s, room, how * 20u, addr, how);
		break;
	case 9:
	case 10:
		(void)engine_recv(&w->e, w->now_ns, *s, room, how * 70u);
		break;
	case 11:
		(void)engine_recvmsg(&w->e, *s, room, how, &d);
		(void)engine_recverr(&w->e, *s, room, how, &error);
		(void)engine_urgent(&w->e, *s, &octets);
		break;
	case 12:
		(void)engine_shutdown(&w->e, w->now_ns, *s, how);
		break;
	case 13:
		(void)engine_close(&w->e, w->now_ns, *s);
		break;
	case 14:
		(void)engine_abort(&w->e, w->now_ns, *s);
		break;
	case 15:
		/* Not a rate that keeps the end from coming. */
		if (how % 32 != ENGINE_SO_MAX_PACING_RATE)
			(void)engine_set(&w->e, w->now_ns, *s, (enum engine_option)(how % 32),
					 cursor_be16(c));
		break;
	case 16:
		(void)engine_get(&w->e, *s, (enum engine_option)(how % 32), &value);
		break;
	default:
		(void)engine_info(&w->e, *s, &info);
	}
}

static void step(struct world *w, struct cursor *c)
{
	uint8_t what = cursor_u8(c);
	const uint8_t *octets;
	size_t n;

	switch (what % 8) {
	case 0:
		n = cursor_u8(c);
		n = n < cursor_left(c) ? n : cursor_left(c);
		octets = cursor_take(c, n);
		if (octets && n)
			engine_input(&w->e, w->now_ns, octets, n);
		break;
	case 1:
	case 2:
		segment(w, c);
		break;
	case 3:
		echo_back(w, c);
		break;
	case 4:
		icmp(w, c);
		break;
	case 5:
		/* 1 ms to 38 hours */
		w->now_ns += 1000000ull << cursor_u8(c) % 28;
		engine_time(&w->e, w->now_ns);
		break;
	default:
		call(w, c);
	}
	pull(w);
}

static void arp_reply(struct world *w)
{
	uint8_t room[64];
	struct emit out = emit_to(room, sizeof(room));
	struct eth eth = {.type = ETH_TYPE_ARP};
	struct arp a = {.op = ARP_REQUEST, .sender_ip = PEER, .target_ip = US};

	memcpy(eth.dst, our_mac, 6);
	memcpy(eth.src, peer_mac, 6);
	memcpy(a.sender, peer_mac, 6);
	eth_emit(&out, &eth);
	arp_emit(&out, &a);
	engine_input(&w->e, w->now_ns, room, emit_bytes(&out));
	pull(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct world w;
	struct cursor c = cursor_of(data, bytes);
	struct engine_usage u;
	struct engine_event ev;

	make(&w, cursor_u8(&c));
	arp_reply(&w);
	while (cursor_left(&c))
		step(&w, &c);
	for (unsigned i = 0; i < SOCKS; i++)
		(void)engine_close(&w.e, w.now_ns, w.sock[i]);
	while (engine_event(&w.e, &ev))
		;
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t due;

		pull(&w);
		due = engine_deadline(&w.e);
		engine_usage(&w.e, &u);
		if (due == UINT64_MAX || !(u.tcps | u.segs | u.syns | u.socks | u.pkts | u.cells |
					   u.ooos | u.ring_pages))
			break;
		w.now_ns = due > w.now_ns ? due : w.now_ns;
		engine_time(&w.e, w.now_ns);
	}
	pull(&w);
	engine_usage(&w.e, &u);
	must(!(u.tcps | u.segs | u.syns | u.socks | u.pkts | u.cells | u.ooos | u.ring_pages));
	return 0;
}
