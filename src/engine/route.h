/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.h - Where a packet goes next: routes by longest prefix, and what is
 * known of the path's MTU (RFC 1191).
 */
#ifndef MORTISE_ENGINE_ROUTE_H
#define MORTISE_ENGINE_ROUTE_H

#include "engine/state.h"

/**
 * route_find() - Who on the link gets what is sent to @dst.
 * @ret_src:      Our address for it. NULL: not asked.
 * @ret_next_hop: 0: everybody (broadcast).
 *
 * Return: 0, or -ENETUNREACH.
 */
int route_find(const struct engine *e, uint32_t dst, uint32_t *ret_src, uint32_t *ret_next_hop);

/** route_pmtu() - Octets of an IP packet that get to @dst in one piece, as far as is known. */
uint32_t route_pmtu(const struct engine *e, uint32_t dst);

/**
 * route_pmtu_learn() - A router says that packets of @packet_bytes are too long (RFC 1191 5, 7.1).
 * @mtu: What it says fits; 0: it does not say.
 *
 * Return: the MTU to use from now on; 0: nothing changes.
 */
uint32_t route_pmtu_learn(struct engine *e, uint32_t dst, uint32_t packet_bytes, uint32_t mtu);

#endif
