// SPDX-License-Identifier: BSD-2-Clause
/*
 * parsers.c - libFuzzer targets for the parsers of src/wire, one a program:
 * -DTARGET=fuzz_tcp and the like. What is parsed is emitted and parsed again,
 * and has to be the same; sanitizers see what is read outside of the input.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/icmp4.h"
#include "wire/igmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define SRC 0x0a000001u
#define DST 0x0a000002u

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A cursor never leaves what it was made of. */
static void inside(const struct cursor *c, const uint8_t *data, size_t bytes)
{
	must(c->at >= data && c->at <= c->end && c->end <= data + bytes);
}

void fuzz_eth(const uint8_t *data, size_t bytes);
void fuzz_arp(const uint8_t *data, size_t bytes);
void fuzz_ipv4(const uint8_t *data, size_t bytes);
void fuzz_icmp4(const uint8_t *data, size_t bytes);
void fuzz_igmp(const uint8_t *data, size_t bytes);
void fuzz_udp(const uint8_t *data, size_t bytes);
void fuzz_tcp(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

void fuzz_eth(const uint8_t *data, size_t bytes)
{
	struct cursor c = cursor_of(data, bytes);
	uint8_t room[ETH_HEADER_BYTES];
	struct emit e = emit_to(room, sizeof(room));
	struct eth h;

	if (eth_parse(&c, &h) != WIRE_OK)
		return;
	inside(&c, data, bytes);
	must(h.tags <= ETH_TAGS_MAX);
	eth_emit(&e, &h);
	must(!e.failed && memcmp(room, data, 2 * ETH_ADDR_BYTES) == 0);
}

void fuzz_arp(const uint8_t *data, size_t bytes)
{
	struct cursor c = cursor_of(data, bytes);
	uint8_t room[ARP_BYTES];
	struct emit e = emit_to(room, sizeof(room));
	struct arp a;

	if (arp_parse(&c, &a) != WIRE_OK)
		return;
	inside(&c, data, bytes);
	arp_emit(&e, &a);
	must(!e.failed && memcmp(room, data, ARP_BYTES) == 0);
}

void fuzz_ipv4(const uint8_t *data, size_t bytes)
{
	struct cursor c = cursor_of(data, bytes);
	uint8_t room[IPV4_HEADER_BYTES];
	struct emit e = emit_to(room, sizeof(room));
	struct ipv4 h;
	struct ipv4 back;

	if (ipv4_parse_quoted(&c, &h) == WIRE_OK)
		inside(&c, data, bytes);
	c = cursor_of(data, bytes);
	if (ipv4_parse(&c, &h) != WIRE_OK)
		return;
	inside(&c, data, bytes);
	must(h.header_bytes + cursor_left(&c) == h.total_bytes);
	h.header_bytes = IPV4_HEADER_BYTES;
	h.options = 0;
	h.route_left = false;
	h.total_bytes = IPV4_HEADER_BYTES;
	ipv4_emit(&e, &h);
	c = cursor_of(room, sizeof(room));
	must(ipv4_parse(&c, &back) == WIRE_OK);
	must(back.src == h.src && back.dst == h.dst && back.id == h.id && back.df == h.df &&
	     back.mf == h.mf && back.offset_bytes == h.offset_bytes && back.ttl == h.ttl &&
	     back.proto == h.proto && back.tos == h.tos);
}

void fuzz_icmp4(const uint8_t *data, size_t bytes)
{
	struct cursor c = cursor_of(data, bytes);
	struct icmp4 h;

	if (icmp4_parse(&c, &h) != WIRE_OK)
		return;
	inside(&c, data, bytes);
	must(cursor_left(&c) == bytes - ICMP4_HEADER_BYTES);
}

void fuzz_igmp(const uint8_t *data, size_t bytes)
{
	struct cursor c = cursor_of(data, bytes);
	struct igmp m;

	if (igmp_parse(&c, &m) != WIRE_OK)
		return;
	inside(&c, data, bytes);
	must(m.type != IGMP_QUERY || (m.version >= 1 && m.version <= 3));
}

void fuzz_udp(const uint8_t *data, size_t bytes)
{
	struct cursor c = cursor_of(data, bytes);
	uint8_t room[UDP_HEADER_BYTES];
	struct emit e = emit_to(room, sizeof(room));
	struct udp h;
	uint64_t sum;

	if (udp_parse(&c, bytes, &h) != WIRE_OK)
		return;
	inside(&c, data, bytes);
	must(cursor_left(&c) + UDP_HEADER_BYTES == h.bytes);
	sum = checksum_add(0, c.at, cursor_left(&c));
	udp_emit(&e, &h, SRC, DST, sum);
	c = cursor_of(room, sizeof(room));
	must(udp_parse(&c, h.bytes, &h) == WIRE_OK && h.sum != 0 && udp_sum_ok(&h, SRC, DST, sum));
}

void fuzz_tcp(const uint8_t *data, size_t bytes)
{
	struct cursor c = cursor_of(data, bytes);
	uint8_t room[TCP_HEADER_MAX];
	struct emit e = emit_to(room, sizeof(room));
	struct tcp_header h;
	struct tcp_header back;

	(void)tcp_sum_ok(&c, SRC, DST);
	if (tcp_parse(&c, &h) != WIRE_OK)
		return;
	inside(&c, data, bytes);
	must(h.sacks <= TCP_SACK_MAX && h.header_bytes + cursor_left(&c) == bytes);
	h.has &= (uint8_t)~TCP_HAS_BAD;
	tcp_emit(&e, &h, SRC, DST, 0, 0);
	if (e.failed)
		return; /* its options came packed closer than ours are */
	c = cursor_of(room, emit_bytes(&e));
	must(tcp_sum_ok(&c, SRC, DST) && tcp_parse(&c, &back) == WIRE_OK);
	must(back.seq == h.seq && back.ack == h.ack && back.flags == h.flags &&
	     back.window == h.window && back.has == h.has && back.mss == h.mss &&
	     back.ts_value == h.ts_value && back.sacks == h.sacks);
}

#ifndef TARGET
#define TARGET fuzz_tcp
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	TARGET(data, bytes);
	return 0;
}
