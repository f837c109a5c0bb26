/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checker.h - Watches all frames and knows what none of them may do. It shares
 * no code with the engine. docs/frame-checker.md lists its rules.
 */
#ifndef MORTISE_TESTS_SIM_CHECKER_H
#define MORTISE_TESTS_SIM_CHECKER_H

#include "base/defs.h"

struct checker;

/** checker_octets - Octets [at, at + bytes) of the stream that @port (the client's) sends, or is
 * sent, into @room. */
typedef void checker_octets(uint16_t port, bool from_client, uint64_t at, uint8_t *room,
			    size_t bytes);

struct checker *checker_new(checker_octets *expected);
void checker_free(struct checker *c);

/** checker_may_give_up() - Programs close sockets that are not connected yet, and try again: a SYN
 * that nobody answered may be followed by one of another number. */
void checker_may_give_up(struct checker *c);

/** checker_sent() - A host has emitted a frame. */
void checker_sent(struct checker *c, uint64_t now_ns, const uint8_t *frame, size_t bytes);

/** checker_arrived() - It has reached the host that it is for, unharmed. */
void checker_arrived(struct checker *c, const uint8_t *frame, size_t bytes);

/** checker_fault() - What the first broken rule was; NULL: none. */
const char *checker_fault(const struct checker *c);

#endif
