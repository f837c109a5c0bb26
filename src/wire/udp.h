/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp.h - UDP (RFC 768; RFC 1122 4.1).
 */
#ifndef MORTISE_WIRE_UDP_H
#define MORTISE_WIRE_UDP_H

#include "base/cursor.h"
#include "base/emit.h"
#include "wire/fault.h"

#define UDP_HEADER_BYTES 8u
#define UDP_SUM_OFFSET 6u      /* of the checksum in it */
#define UDP_PAYLOAD_MAX 65507u /* over IPv4 without options */

/**
 * struct udp - A parsed header, in host order.
 * @bytes: Header and payload.
 * @sum:   As it came; 0: its sender made none.
 */
struct udp {
	uint16_t sport;
	uint16_t dport;
	uint16_t bytes;
	uint16_t sum;
};

/**
 * udp_parse() - Read a header, without judging the checksum; @c is then the payload alone.
 *
 * For datagrams in pieces: @whole_bytes is what IP says the datagram has, @c may
 * have less, but the header. The payload is trimmed to what is in @c.
 *
 * Return: WIRE_OK, WIRE_SHORT or WIRE_LENGTH.
 */
enum wire_fault udp_parse(struct cursor *c, size_t whole_bytes, struct udp *ret);

/**
 * udp_sum_ok() - Judge a checksum (RFC 1122 4.1.3.4).
 * @payload_sum: Running sum of the payload.
 */
bool udp_sum_ok(const struct udp *h, uint32_t src, uint32_t dst, uint64_t payload_sum);

/**
 * udp_emit() - Write a header with its checksum, which is made always.
 * @payload_sum: Running sum (checksum.h) of the payload that follows.
 */
void udp_emit(struct emit *e, const struct udp *h, uint32_t src, uint32_t dst,
	      uint64_t payload_sum);

#endif
