/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipv4.h - The IPv4 header and its options (RFC 791; RFC 1122 3.2.1).
 */
#ifndef MORTISE_WIRE_IPV4_H
#define MORTISE_WIRE_IPV4_H

#include "base/cursor.h"
#include "base/emit.h"
#include "wire/fault.h"

#define IPV4_HEADER_BYTES 20u /* without options */
#define IPV4_HEADER_MAX 60u
#define IPV4_ALERT_BYTES 4u /* what the router alert adds to it */
#define IPV4_PACKET_MAX 65535u
/* Every module forwards this much in one piece (RFC 791 3.2)... */
#define IPV4_MTU_MIN 68u
/* ... and every host takes this much (RFC 1122 3.3.2). */
#define IPV4_REASSEMBLY_MIN 576u

#define IPV4_PROTO_ICMP 1u
#define IPV4_PROTO_IGMP 2u
#define IPV4_PROTO_TCP 6u
#define IPV4_PROTO_UDP 17u

/* Options that were seen, as bits of ipv4.options. */
#define IPV4_OPT_SOURCE_ROUTE 1u /* loose or strict */
#define IPV4_OPT_RECORD_ROUTE 2u
#define IPV4_OPT_TIMESTAMP 4u
#define IPV4_OPT_ROUTER_ALERT 8u
#define IPV4_OPT_OTHER 16u

/**
 * struct ipv4 - A parsed header, in host order.
 * @header_bytes: With options; a multiple of 4. Not asked by ipv4_emit().
 * @total_bytes:  Header and payload, at least header_bytes.
 * @offset_bytes: Of this fragment's payload in the datagram's; a multiple of 8.
 * @df, @mf:      Don't fragment; more fragments follow.
 * @options:      IPV4_OPT_ bits.
 * @route_left:   A source route that has not reached its end: the packet is for others.
 */
struct ipv4 {
	uint32_t src;
	uint32_t dst;
	uint16_t header_bytes;
	uint16_t total_bytes;
	uint16_t id;
	uint16_t offset_bytes;
	uint8_t tos;
	uint8_t ttl;
	uint8_t proto;
	uint8_t options;
	bool df;
	bool mf;
	bool route_left;
};

/**
 * ipv4_parse() - Read a whole packet's header; @c is then the payload alone,
 * without what the link padded it with.
 *
 * Return: WIRE_OK, or WIRE_SHORT, WIRE_VERSION, WIRE_LENGTH, WIRE_CHECKSUM,
 *         WIRE_OPTION. Where it failed, @c is of no use.
 */
enum wire_fault ipv4_parse(struct cursor *c, struct ipv4 *ret);

/**
 * ipv4_parse_quoted() - The header that an ICMP error quotes. The packet may be
 * cut off behind it, and its sum was perhaps not mended when its TTL changed:
 * neither is judged.
 */
enum wire_fault ipv4_parse_quoted(struct cursor *c, struct ipv4 *ret);

/** ipv4_emit() - Write a header, with its checksum; total_bytes as @h says. Of the options it
 * writes IPV4_OPT_ROUTER_ALERT alone (RFC 2113): IPV4_ALERT_BYTES more. */
void ipv4_emit(struct emit *e, const struct ipv4 *h);

static inline bool ipv4_is_multicast(uint32_t addr)
{
	return (addr & 0xf0000000u) == 0xe0000000u;
}

static inline bool ipv4_is_loopback(uint32_t addr)
{
	return (addr & 0xff000000u) == 0x7f000000u;
}

/** ipv4_is_fragment() - Part of a datagram, not all of it. */
static inline bool ipv4_is_fragment(const struct ipv4 *h)
{
	return h->mf || h->offset_bytes;
}

#endif
