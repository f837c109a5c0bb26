/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pkt.h - Datagrams: a description, and cells of 2040 octets that hold the
 * payload (struct pkt in state.h).
 */
#ifndef MORTISE_ENGINE_PKT_H
#define MORTISE_ENGINE_PKT_H

#include "engine/state.h"

/** pkt_new() - One with cells for @bytes of payload, or NULL: there is no room. */
struct pkt *pkt_new(struct engine *e, size_t bytes);

/**
 * pkt_spare() - May @bytes more stay for long: received and not read, put together, waiting for a
 * neighbour? A quarter of each table is left to what goes at once: ARP, resets, SYN-ACKs, errors.
 */
bool pkt_spare(const struct engine *e, size_t bytes);

/** pkt_new_kept() - pkt_new() for what may stay for long. */
struct pkt *pkt_new_kept(struct engine *e, size_t bytes);

/** pkt_cover() - Have cells for payload octets [from, to). Return: false: there is no room. */
bool pkt_cover(struct engine *e, struct pkt *p, size_t from, size_t to);

/** pkt_write(), pkt_read() - Octets of the payload, which pkt_new() or pkt_cover() made room for.
 */
void pkt_write(struct engine *e, struct pkt *p, size_t at, const void *octets, size_t bytes);
void pkt_read(struct engine *e, const struct pkt *p, size_t at, void *room, size_t bytes);

/** pkt_pieces() - Add payload octets to a frame's gather list. */
void pkt_pieces(struct engine *e, const struct pkt *p, size_t at, size_t bytes,
		struct engine_frame *f);

/** pkt_cost() - What it takes up, for the limits of sockets. */
uint32_t pkt_cost(const struct pkt *p);

/** pkt_free() - It is on no list any more. Its sender's socket gets the room back. */
void pkt_free(struct engine *e, struct pkt *p);

#endif
