/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp.h - ICMP: echo answered, errors sent and heard, ping sockets.
 */
#ifndef MORTISE_ENGINE_ICMP_H
#define MORTISE_ENGINE_ICMP_H

#include "engine/ip.h"
#include "wire/icmp4.h"

void icmp_input(struct engine *e, const struct ip_in *in, struct cursor c);

/** icmp_error() - Tell the sender of @in, unless RFC 1122 3.2.2 forbids it or the limit is reached.
 */
void icmp_error(struct engine *e, const struct ip_in *in, uint8_t type, uint8_t code);

/** icmp_send() - A ping socket's echo request: a whole ICMP message, whose id is made the socket's.
 */
int64_t icmp_send(struct engine *e, struct sock *s, const void *octets, size_t bytes, uint32_t dst);

#endif
