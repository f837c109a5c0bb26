/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp4.h - ICMP for IPv4 (RFC 792; RFC 1122 3.2.2; RFC 1191 4).
 */
#ifndef MORTISE_WIRE_ICMP4_H
#define MORTISE_WIRE_ICMP4_H

#include "base/cursor.h"
#include "base/emit.h"
#include "wire/fault.h"

#define ICMP4_HEADER_BYTES 8u

#define ICMP4_ECHO_REPLY 0u
#define ICMP4_UNREACHABLE 3u
#define ICMP4_SOURCE_QUENCH 4u
#define ICMP4_REDIRECT 5u
#define ICMP4_ECHO 8u
#define ICMP4_TIME_EXCEEDED 11u
#define ICMP4_PARAMETER 12u

#define ICMP4_UNREACHABLE_NET 0u
#define ICMP4_UNREACHABLE_HOST 1u
#define ICMP4_UNREACHABLE_PROTOCOL 2u
#define ICMP4_UNREACHABLE_PORT 3u
#define ICMP4_UNREACHABLE_FRAGMENT 4u

#define ICMP4_EXCEEDED_TTL 0u
#define ICMP4_EXCEEDED_REASSEMBLY 1u

/**
 * struct icmp4 - The first eight octets, in host order.
 * @id, @seq: The second word: identifier and sequence of an echo; a
 *            "fragmentation needed" has its next hop's MTU in @seq.
 */
struct icmp4 {
	uint8_t type;
	uint8_t code;
	uint16_t id;
	uint16_t seq;
};

/**
 * icmp4_parse() - Read the header of a message that is whole in @c; @c is then at its body.
 *
 * Return: WIRE_OK, WIRE_SHORT, or WIRE_CHECKSUM.
 */
enum wire_fault icmp4_parse(struct cursor *c, struct icmp4 *ret);

/**
 * icmp4_emit() - Write the header.
 * @body_sum: Running sum (checksum.h) of the body that follows.
 */
void icmp4_emit(struct emit *e, const struct icmp4 *h, uint64_t body_sum);

/** icmp4_is_error() - A message about another packet: never answered with an error (RFC
 * 1122 3.2.2). */
static inline bool icmp4_is_error(uint8_t type)
{
	return type == ICMP4_UNREACHABLE || type == ICMP4_SOURCE_QUENCH || type == ICMP4_REDIRECT ||
	       type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER;
}

#endif
