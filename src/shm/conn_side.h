/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn_side.h - What conn.c and receive.c know of a connection's two sides;
 * for no one else.
 */
#ifndef MORTISE_SHM_CONN_SIDE_H
#define MORTISE_SHM_CONN_SIDE_H

#include "shm/conn.h"

#define RING_LIMIT (4ull << 20)
#define PUBLISH_BYTES 16384u

/** conn_break() - The peer lied: end this connection, and nothing else. */
void conn_break(struct conn *c);

/** conn_absorb() - Turn an RST of the peer into our pending error, once. */
void conn_absorb(struct conn *c);

/* conn_notify(), with half_notify()'s first look in place. */
static inline uint32_t notify_peer(struct conn *c, uint32_t what)
{
	uint32_t want;

	/* What was published goes before the look at who wants it, as there. */
	atomic_thread_fence(memory_order_seq_cst);
	want = load_relaxed(&c->peer->want);
	if (likely(!(want & ~(WANT_CLOSED | WANT_TAKEN_MASK))))
		return want;
	return conn_notify(c, what);
}

/* Linux: where both ways were shut before the peer's FIN, data that comes then
 * is answered by RST, and ends this side too. */
static inline bool met_shut(const struct conn *c)
{
	return (load_relaxed(&c->own->side) & SIDE_SHUT_EARLY) &&
	       load_acquire(&c->peer->tail) != load_relaxed(&c->own->shut_tail);
}

/* What the peer has for us: nothing that came after both ways were shut. */
static inline uint64_t rx_tail(const struct conn *c)
{
	uint64_t tail = load_acquire(&c->peer->tail);

	if (unlikely(load_relaxed(&c->own->side) & SIDE_SHUT_EARLY) &&
	    tail > load_relaxed(&c->own->shut_tail))
		return load_relaxed(&c->own->shut_tail);
	return tail;
}

#endif
