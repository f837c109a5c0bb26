/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checksum.h - The Internet checksum (RFC 1071): the complement of the ones'
 * complement sum of 16-bit words.
 *
 * A running sum is a uint64_t in memory order: ones' complement sums do not
 * care about byte order until the end (RFC 1071 2 (B)), so whole words are
 * added as they lie. Start from 0; checksum_fold() makes the header's field.
 */
#ifndef MORTISE_WIRE_CHECKSUM_H
#define MORTISE_WIRE_CHECKSUM_H

#include "base/defs.h"

/**
 * checksum_add() - Add octets to a running sum.
 * @sum: So far, of an even number of octets.
 *
 * An odd last octet counts as if a zero followed it.
 */
uint64_t checksum_add(uint64_t sum, const void *octets, size_t bytes);

/**
 * checksum_add_at() - Add octets that lie at @offset of what is summed: those
 * at odd offsets fall into the other half of their words.
 */
uint64_t checksum_add_at(uint64_t sum, const void *octets, size_t bytes, size_t offset);

/** checksum_join() - The sum of two running sums, each of an even number of octets but perhaps the
 * last. */
uint64_t checksum_join(uint64_t sum, uint64_t other);

/** checksum_add_be16(), checksum_add_be32() - Add a value in host order as it goes on the wire. */
uint64_t checksum_add_be16(uint64_t sum, uint16_t v);
uint64_t checksum_add_be32(uint64_t sum, uint32_t v);

/**
 * checksum_pseudo4() - The sum of IPv4's pseudo-header (RFC 9293 3.1, RFC 768).
 * @src, @dst: In host order.
 * @bytes:     Of the transport header and its data.
 */
uint64_t checksum_pseudo4(uint32_t src, uint32_t dst, uint8_t proto, uint16_t bytes);

/**
 * checksum_fold() - What a header's checksum field is to be, in host order.
 *
 * Over octets that include a right checksum it is 0.
 */
uint16_t checksum_fold(uint64_t sum);

/** checksum_update16() - The field @check once a word went from @old to @new (RFC 1624, equation
 * 3). */
uint16_t checksum_update16(uint16_t check, uint16_t old, uint16_t new);

#endif
