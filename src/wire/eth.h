/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eth.h - Ethernet II. 802.1Q and 802.1ad tags are passed over.
 */
#ifndef MORTISE_WIRE_ETH_H
#define MORTISE_WIRE_ETH_H

#include "base/cursor.h"
#include "base/emit.h"
#include "wire/fault.h"

#define ETH_ADDR_BYTES 6u
#define ETH_HEADER_BYTES 14u
#define ETH_TAGS_MAX 2u
#define ETH_TYPE_IPV4 0x0800u
#define ETH_TYPE_ARP 0x0806u
#define ETH_TYPE_8021Q 0x8100u
#define ETH_TYPE_8021AD 0x88a8u
/* Below it, the field is the length of an 802.3 frame (RFC 1122 2.3.3). */
#define ETH_TYPE_MIN 0x0600u

/**
 * struct eth - A parsed header.
 * @dst, @src: Addresses, as on the wire.
 * @type:      Of the payload, behind the tags.
 * @tags:      How many were passed over; eth_emit() writes none.
 * @tci:       The innermost tag's control information; 0 without tags.
 */
struct eth {
	uint8_t dst[ETH_ADDR_BYTES];
	uint8_t src[ETH_ADDR_BYTES];
	uint16_t type;
	uint16_t tags;
	uint16_t tci;
};

/**
 * eth_parse() - Read a header; @c is then at the payload.
 *
 * Return: WIRE_OK, WIRE_SHORT, or WIRE_FOREIGN for 802.3 frames and for more than ETH_TAGS_MAX
 * tags.
 */
enum wire_fault eth_parse(struct cursor *c, struct eth *ret);

/** eth_emit() - Write a header without tags. */
void eth_emit(struct emit *e, const struct eth *h);

/** eth_is_multicast() - A group address; broadcast is one. */
static inline bool eth_is_multicast(const uint8_t addr[ETH_ADDR_BYTES])
{
	return addr[0] & 1;
}

#endif
