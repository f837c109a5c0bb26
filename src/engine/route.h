/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.h - Where a packet goes next: routes by longest prefix, and what is
 * known of the path's MTU (RFC 1191).
 */
#ifndef MORTISE_ENGINE_ROUTE_H
#define MORTISE_ENGINE_ROUTE_H

#include "engine/state.h"

/* The next hop of what is for ourselves: on no link, by ENGINE_LOOPBACK. */
#define ROUTE_LOOPBACK 0x7f000001u

/**
 * route_find() - Who on the link gets what is sent to @dst.
 * @ret_src:      Our address for it. NULL: not asked.
 * @ret_next_hop: 0: everybody (broadcast).
 *
 * Return: 0, or -ENETUNREACH.
 */
int route_find(const struct engine *e, uint32_t dst, uint32_t *ret_src, uint32_t *ret_next_hop);

/**
 * route_find_from() - route_find() for a socket that is bound to @from; 0: to none.
 *
 * Return: also -EINVAL: nothing leaves with a source of 127.0.0.0/8 (RFC 1122 3.2.1.3 (g)).
 */
int route_find_from(const struct engine *e, uint32_t dst, uint32_t from, uint32_t *ret_src,
		    uint32_t *ret_next_hop);

/** route_pmtu() - Octets of an IP packet that get to @dst in one piece, as far as is known. */
uint32_t route_pmtu(const struct engine *e, uint32_t dst);

/** route_plateau() - What may get through where packets of @packet_bytes do not (RFC 1191 7.1). */
uint32_t route_plateau(uint32_t packet_bytes);

/**
 * route_pmtu_learn() - A router says that packets of @packet_bytes are too long (RFC 1191 5, 7.1).
 * @mtu: What it says fits; 0: it does not say.
 *
 * Return: the MTU to use from now on; 0: nothing changes.
 */
uint32_t route_pmtu_learn(struct engine *e, uint32_t dst, uint32_t packet_bytes, uint32_t mtu);

#endif
