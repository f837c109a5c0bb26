/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw.h - Raw sockets for ICMP: what came, with its IP header, beside what the engine
 * itself makes of it; and messages that the user has made, as they are.
 */
#ifndef MORTISE_ENGINE_RAW_H
#define MORTISE_ENGINE_RAW_H

#include "engine/ip.h"

/* Raw sockets are found as if that were their port. */
#define RAW_PORT IPV4_PROTO_ICMP

/** raw_input() - A message of @type, with a checksum that is right, for all that want it. */
void raw_input(struct engine *e, const struct ip_in *in, uint8_t type, struct cursor message);

/** raw_send() - As engine_sendto(). */
int64_t raw_send(struct engine *e, struct sock *s, const void *octets, size_t bytes, uint32_t dst);

#endif
