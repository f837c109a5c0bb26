/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp.h - The TCP header and its options (RFC 9293 3.1, 3.2; RFC 7323; RFC 2018).
 */
#ifndef MORTISE_WIRE_TCP_H
#define MORTISE_WIRE_TCP_H

#include "base/cursor.h"
#include "base/emit.h"
#include "wire/fault.h"

#define TCP_HEADER_BYTES 20u /* without options */
#define TCP_HEADER_MAX 60u
#define TCP_OPTIONS_MAX 40u
#define TCP_SACK_MAX 4u	   /* blocks; three beside timestamps */
#define TCP_WSCALE_MAX 14u /* RFC 7323 2.3 */

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_URG 0x20u
#define TCP_ECE 0x40u
#define TCP_CWR 0x80u

/* Options that are there, as bits of tcp_header.has. */
#define TCP_HAS_MSS 1u
#define TCP_HAS_WSCALE 2u
#define TCP_HAS_SACK_OK 4u
#define TCP_HAS_TS 8u
#define TCP_HAS_SACK 16u
#define TCP_HAS_BAD 32u /* an impossible length: what follows it was not read */

struct tcp_sack_block {
	uint32_t start; /* first sequence number of the block */
	uint32_t end;	/* the one after its last */
};

/**
 * struct tcp_header - A header, in host order.
 * @window:  As on the wire: not scaled.
 * @urgent:  Urgent pointer; of meaning with TCP_URG only.
 * @header_bytes: With options; a multiple of 4. Set by tcp_parse(), not read by tcp_emit().
 * @has:     TCP_HAS_ bits: which of the fields after it are there.
 * @wscale:  As it came; may be above TCP_WSCALE_MAX.
 * @sacks:   How many of @sack.
 */
struct tcp_header {
	uint16_t sport;
	uint16_t dport;
	uint32_t seq;
	uint32_t ack;
	uint16_t window;
	uint16_t urgent;
	uint8_t flags;
	uint8_t header_bytes;
	uint8_t has;
	uint8_t wscale;
	uint8_t sacks;
	uint16_t mss;
	uint32_t ts_value;
	uint32_t ts_echo;
	struct tcp_sack_block sack[TCP_SACK_MAX];
};

/**
 * tcp_parse() - Read the header of a whole segment in @c; @c is then at its data.
 *
 * The checksum is for tcp_sum_ok(), before. An option of impossible length ends the
 * reading of options and sets TCP_HAS_BAD (RFC 9293 3.1, MUST-7); it is not a fault.
 *
 * Return: WIRE_OK, WIRE_SHORT or WIRE_LENGTH.
 */
enum wire_fault tcp_parse(struct cursor *c, struct tcp_header *ret);

/** tcp_sum_ok() - Judge the checksum of a whole segment (RFC 9293 3.1, MUST-3). */
bool tcp_sum_ok(const struct cursor *segment, uint32_t src, uint32_t dst);

/** tcp_header_size() - Octets that tcp_emit() writes for @h. */
size_t tcp_header_size(const struct tcp_header *h);

/**
 * tcp_emit() - Write a header with its checksum.
 * @h:           Its options have to fit into TCP_OPTIONS_MAX, else @e fails.
 * @payload_sum: Running sum (checksum.h) of the data that follow.
 * @payload_bytes: Their number.
 */
void tcp_emit(struct emit *e, const struct tcp_header *h, uint32_t src, uint32_t dst,
	      uint64_t payload_sum, size_t payload_bytes);

/** TCP_SUM_OFFSET - Of the checksum in the header. */
#define TCP_SUM_OFFSET 16u

/**
 * tcp_emit_partial() - The same, for a device that sums: the checksum field has the sum of the
 * pseudo-header, not complemented, to which the device adds header and data.
 */
void tcp_emit_partial(struct emit *e, const struct tcp_header *h, uint32_t src, uint32_t dst,
		      size_t payload_bytes);

#endif
