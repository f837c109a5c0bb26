/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan.c - Sending datagrams.
 *
 * A record is copied into the ring behind the tail, and published by the tail
 * that has all of it: so a datagram is there whole or not at all, also where
 * its sender dies in the middle. A record lies in one extent: where the one in
 * use has no room for it, the ring goes on in a larger one.
 *
 * Nobody waits for a reader: what does not fit is the caller's to drop. A ring
 * grows to what the receiver's SO_RCVBUF allows and a datagram beyond, and
 * keeps its memory until the channel ends.
 */
#include <errno.h>
#include <string.h>

#include "base/copy.h"
#include "base/fault.h"
#include "shm/addr.h"
#include "shm/chan.h"
#include "shm/conn_ring.h"
#include "shm/seat.h"
#include "shm/seat_row.h"

static int seat_any(struct party *p, struct half *own, const struct half *box, uint64_t state,
		    struct peer *owner, half_ref *ret)
{
	uint32_t base = load_relaxed(&box->seat_base), n = load_acquire(&box->seat_count);
	uint64_t ticket;
	int r = -EAGAIN;

	if (n == 0 || n > SEAT_ROW_MAX || base > SEAT_MAX - 1 - n)
		return -ECONNREFUSED;
	ticket = atomic_fetch_add(&owner->mbox->claims[base], 1);
	for (uint32_t i = 0; r == -EAGAIN && i < n; i++)
		r = seat_claim_one(p, own, box, state, owner, base,
				   (uint32_t)((ticket + i) % n), ret);
	/* Moved once more after the claim: who looks for claims when it moves
	 * has not looked too early. */
	atomic_fetch_add(&owner->mbox->claims[base], 1);
	return r;
}

int chan_open(struct party *p, const struct listener_ref *to, struct conn *ret)
{
	uint64_t state = (uint64_t)half_ref_gen(to->half) << 32 | HALF_DGRAM;
	const struct half *box;
	struct peer *owner;
	struct half *own;
	half_ref seat = 0;
	int slot, r;

	r = party_peer_get(p, half_ref_party(to->half), to->party_gen, &owner);
	if (r < 0)
		return r;
	box = half_find(owner->base, to->half);
	slot = -ECONNREFUSED;
	if (box && load_acquire(&box->gen_state) == state &&
	    !(load_relaxed(&box->dgram) & DGRAM_KERNEL))
		slot = party_slot_alloc(p);
	if (slot < 0) {
		party_peer_put(p, owner);
		return slot;
	}
	own = arena_half(p->base, (unsigned)slot);
	store_relaxed(&own->side, SIDE_CHANNEL);
	store_relaxed(&own->remote, load_relaxed(&box->local));
	store_relaxed(&own->peer_party_gen, owner->gen);
	half_set_state(own, HALF_CONNECTING);
	FAULT_POINT("chan.connecting");
	r = seat_any(p, own, box, state, owner, &seat);
	if (r < 0) {
		store_release(&own->peer, 0);
		party_slot_free(p, (unsigned)slot);
		party_peer_put(p, owner);
		return r;
	}
	half_set_state(own, HALF_OPEN);
	FAULT_POINT("chan.open");
	return conn_attach(ret, p, own, seat, owner);
}

bool chan_over(const struct conn *c)
{
	return load_acquire(&c->peer->end) || half_gen(c->peer) != half_ref_gen(c->peer_ref) ||
	       load_relaxed(&c->own->side) & SIDE_BROKEN;
}

/* Linux: a socket that is connected to port 0 takes any port of that address's. */
static bool remote_meets(addr_word remote, addr_word from)
{
	return remote == 0 || remote == from ||
	       (addr_word_port(remote) == 0 && remote == addr_word_at(from, 0));
}

unsigned chan_rank(const struct half *box, half_ref ref, addr_word from, addr_word to)
{
	addr_word local = load_relaxed(&box->local), remote = load_relaxed(&box->remote);

	if (load_acquire(&box->gen_state) !=
		    ((uint64_t)half_ref_gen(ref) << 32 | HALF_DGRAM) ||
	    load_relaxed(&box->dgram) & DGRAM_KERNEL || !remote_meets(remote, from) ||
	    addr_word_port(local) != addr_word_port(to) || addr_rank(local, to) == 0)
		return 0;
	return addr_rank(local, to) * 2 + (remote ? 64u : 0u);
}

void chan_close(struct party *p, struct conn *c)
{
	unsigned slot = arena_slot(p->base, c->own);
	struct half *own = c->own;

	conn_finish(c, false);
	half_release(own);
	conn_detach(c);
	party_slot_retire(p, slot);
}

bool chan_moved(struct conn *c)
{
	uint64_t was = c->tx_head_seen;

	return conn_tx_refresh(c, load_relaxed(&c->own->tail)) == 0 && c->tx_head_seen != was;
}

/* ------------------------------------------------------------------- room */

static uint64_t ring_bytes(const struct conn *c)
{
	return c->tx_ext ? c->tx_mask + 1 : 0;
}

/* Bytes at the tail that nobody reads any more, in the extent in use. */
static uint64_t ring_room(const struct conn *c, uint64_t tail)
{
	uint64_t from = c->tx_head_seen > c->tx_first ? c->tx_head_seen : c->tx_first;

	return ring_bytes(c) - (tail - from);
}

/* An extent with room for @need more, no larger than it must be. */
static int ring_grow(struct conn *c, uint64_t tail, uint64_t need, uint64_t limit)
{
	uint64_t most = limit + DGRAM_PAYLOAD_MAX + 2 * sizeof(struct dgram_record);
	unsigned log2 = RING_LOG2_MIN;

	while (log2 < RING_LOG2_MAX &&
	       ((1ull << log2) < 2 * need || (1ull << log2) <= ring_bytes(c)))
		log2++;
	if (ring_bytes(c) && (1ull << log2) < 4 * ring_bytes(c) && (1ull << log2) < most)
		log2++;
	/* It is as large as the limit allows, or as any. */
	if (ring_bytes(c) >= most || (1ull << log2) <= ring_bytes(c))
		return -EAGAIN;
	if (conn_tx_switch(c, tail, log2) < 0)
		return ring_bytes(c) ? -EAGAIN : -ENOBUFS;
	return 0;
}

static int ring_reserve(struct conn *c, uint64_t tail, uint64_t need, uint64_t limit)
{
	if (likely(c->tx_ext && tail - c->tx_head_seen <= limit && ring_room(c, tail) >= need))
		return 0;
	if (conn_tx_refresh(c, tail) < 0)
		return -EPIPE;
	/* Linux: one more, as long as what is there does not exceed the limit. */
	if (tail - c->tx_head_seen > limit)
		return -EAGAIN;
	if (c->tx_ext && ring_room(c, tail) >= need)
		return 0;
	return ring_grow(c, tail, need, limit);
}

/* -------------------------------------------------------------------- put */

/* Copy @n bytes to @at; the ring has room. Return: False where @src is not there. */
static bool ring_copy(struct conn *c, uint64_t at, const void *src, size_t n)
{
	uint64_t off = (at - c->tx_first) & c->tx_mask;
	size_t first = c->tx_mask + 1 - off < n ? (size_t)(c->tx_mask + 1 - off) : n;

	return copy_try(c->tx_mem + off, src, first) &&
	       (likely(first == n) || copy_try(c->tx_mem, (const char *)src + first, n - first));
}

/* Return: as chan_put(); nobody is woken. */
static int put(struct conn *c, const struct dgram_record *rec, const struct iovec *iov, int n,
	       uint64_t limit)
{
	uint64_t tail = load_relaxed(&c->own->tail), at;
	uint64_t need = (sizeof(*rec) + rec->bytes + DGRAM_ALIGN - 1) & ~(uint64_t)(DGRAM_ALIGN - 1);
	int r;

	if (unlikely(chan_over(c)))
		return -EPIPE;
	r = ring_reserve(c, tail, need, limit);
	if (r < 0)
		return r;
	ring_copy(c, tail, rec, sizeof(*rec));
	at = tail + sizeof(*rec);
	for (int i = 0; i < n; at += iov[i++].iov_len)
		if (iov[i].iov_len && !ring_copy(c, at, iov[i].iov_base, iov[i].iov_len))
			return -EFAULT;
	FAULT_POINT("chan.copied");
	/* The record is in place before the tail says so. Pairs with the acquire
	 * in conn_rx_refresh(). */
	store_release(&c->own->tail, tail + need);
	FAULT_POINT("chan.tail");
	return 0;
}

int chan_put(struct conn *c, const struct half *box, const struct dgram_record *rec,
	     const struct iovec *iov, int n, uint64_t limit)
{
	int r = put(c, rec, iov, n, limit);

	/* It looks into its ring by itself; who sleeps does so at its half. */
	if (r == 0)
		seat_ring(c->party, c->own, box, c->owner);
	return r;
}

int chan_mark(struct conn *c, const struct dgram_record *rec, _Atomic uint64_t **ret)
{
	uint64_t tail = load_relaxed(&c->own->tail);
	int r;

	/* Before the tail: who counts marks does so before looking for them. */
	store_relaxed(&c->own->urgent, load_relaxed(&c->own->urgent) + 1);
	r = put(c, rec, NULL, 0, UINT32_MAX);
	if (r < 0) {
		store_relaxed(&c->own->urgent, load_relaxed(&c->own->urgent) - 1);
		return r;
	}
	/* A record's head lies in one piece, but for its end at the ring's. */
	if (ret)
		*ret = (_Atomic uint64_t *)(void *)
			(c->tx_mem + ((tail + offsetof(struct dgram_record, sent_ns) - c->tx_first) &
				      c->tx_mask));
	return 0;
}
