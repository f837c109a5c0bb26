/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp.h - UDP (RFC 768; RFC 1122 4.1).
 */
#ifndef MORTISE_ENGINE_UDP_H
#define MORTISE_ENGINE_UDP_H

#include "engine/ip.h"

void udp_input(struct engine *e, const struct ip_in *in, struct cursor c);

/** udp_send() - As engine_sendto(), where the socket and the address are known to be right. */
int64_t udp_send(struct engine *e, struct sock *s, const void *octets, size_t bytes, uint32_t dst,
		 uint16_t dport);

#endif
