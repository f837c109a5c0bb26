/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seat.c - connect() and accept() without a third party.
 *
 * Theory of operation.
 *
 * A listener owns a row of seats: seats[base + 1 + i] in its arena names a
 * half in SEAT, made beforehand. Beside each lies a claim word in the mailbox,
 * claims[base + 1 + i], where a connector writes its own name by
 * compare-and-swap. claims[base] is the listener's ticket counter: connector
 * number t tries seat t mod n, so seats are taken in the order of arrival, and
 * accept() finds the oldest by walking from where it stopped.
 *
 * A claim is a hint; what is true stands in the halves. The connector's half
 * names the seat before it claims, and the acceptor believes a claim only
 * where the claimant's half names this very seat. The connector, having
 * claimed, looks again whether the listener listens and the seat is still the
 * one it named. Where the seat has moved on, either the acceptor took this
 * very connector meanwhile (the seat's half names it), or the claim came too
 * late and is withdrawn.
 *
 * A connector that died after claiming is accepted like one that lived, and
 * its end is found in its half: as on TCP, where a connection may be reset
 * before it is accepted.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "shm/seat.h"
#include "shm/seat_row.h"

/* ------------------------------------------------------------ index rows */

static bool row_test(const struct party *p, unsigned r)
{
	return p->seat_used[r / 64] >> (r % 64) & 1;
}

int seat_row_take(struct party *p, unsigned entries)
{
	unsigned need = (entries + 63) / 64, run = 0;

	for (unsigned r = 1; r < SEAT_MAX / 64; r++) {
		run = row_test(p, r) ? 0 : run + 1;
		if (run < need)
			continue;
		for (unsigned i = r + 1 - need; i <= r; i++)
			p->seat_used[i / 64] |= 1ull << (i % 64);
		return (int)((r + 1 - need) * 64);
	}
	return -ENOSPC;
}

/* -------------------------------------------------------------- listener */

uint64_t seat_init(struct party *p, const struct half *l, struct half *h, unsigned slot)
{
	store_relaxed(&h->local, load_relaxed(&l->local));
	store_relaxed(&h->rcvlowat, 1);
	store_relaxed(&h->sndbuf, load_relaxed(&l->sndbuf));
	store_relaxed(&h->rcvbuf, load_relaxed(&l->rcvbuf));
	store_relaxed(&h->oob_inline, load_relaxed(&l->oob_inline));
	store_relaxed(&h->cookie, atomic_fetch_add(&p->cookie_next, 1));
	store_relaxed(&h->want, load_relaxed(&l->defer_ms) ? WANT_DEFERRED : 0);
	/* Both are in one arena. */
	store_relaxed(&h->seat_base, (uint32_t)((int)slot + (int)(l - h)));
	half_set_state(h, HALF_SEAT);
	return slot_word_make(slot, half_gen(h));
}

uint64_t seat_make(struct party *p, const struct half *l)
{
	int slot = party_slot_alloc(p);

	return slot < 0 ? 0 : seat_init(p, l, arena_half(p->base, (unsigned)slot), (unsigned)slot);
}

int seat_open(struct party *p, struct half *listener, unsigned backlog)
{
	unsigned n = (backlog < SEAT_BACKLOG_MAX ? backlog : SEAT_BACKLOG_MAX) + 1;
	int base;

	if (half_state(listener) == HALF_LISTEN)
		return 0;
	lock_take(&p->lock);
	base = seat_row_take(p, n + 1);
	lock_drop(&p->lock);
	if (base < 0)
		return base;
	store_relaxed(&listener->seat_base, (uint32_t)base);
	store_relaxed(&listener->seat_count, n);
	store_relaxed(&p->mbox->claims[base], 0);
	for (unsigned i = 0; i < n; i++) {
		store_relaxed(&p->mbox->claims[(unsigned)base + 1 + i], 0);
		store_relaxed(&seat_locks(p, listener)[i], 0);
		store_relaxed(&seat_words(p, listener)[i], seat_make(p, listener));
	}
	half_set_state(listener, HALF_LISTEN);
	return 0;
}

void seat_ring(struct party *p, struct half *own, const struct half *l, struct peer *owner)
{
	half_ref ref = half_ref_make(owner->id, arena_slot(owner->base, l), half_gen(l));

	/* A listener wants "data": its claims. */
	half_notify(p, own, l, owner, NOTIFY_DATA);
	/* After the look at what is wanted: pairs with ring_share(). */
	atomic_thread_fence(memory_order_acquire);
	if (load_relaxed(&l->shared) && p->ops && p->ops->ring_shared)
		p->ops->ring_shared(p->ops_arg, ref, owner->gen);
}

int seat_claim_one(struct party *p, struct half *own, const struct half *l, uint64_t listens,
		   struct peer *owner, uint32_t base, uint32_t i, half_ref *ret)
{
	_Atomic uint64_t *word = &claim_words(owner->mbox, base)[i];
	const _Atomic uint64_t *seat_word = arena_seats(owner->base) + base + 1 + i;
	uint64_t seat = load_acquire(seat_word), nobody = 0;
	half_ref me = half_ref_of(p, own), ref;
	uint64_t mine = me | (load_acquire(&l->defer_ms) ? CLAIM_DEFERRED : 0);
	const struct half *s;

	if (seat == 0 || slot_word_slot(seat) >= SLOT_MAX || load_relaxed(word) != 0)
		return -EAGAIN;
	ref = half_ref_make(owner->id, slot_word_slot(seat), slot_word_gen(seat));
	s = half_find(owner->base, ref);
	store_release(&own->peer, ref);
	if (!atomic_compare_exchange_strong(word, &nobody, mine))
		return -EAGAIN;
	FAULT_POINT("seat.claimed");
	/* Claimed. Does the listener listen still, and is the seat still the
	 * one that we named? Pairs with the fence in seat_close(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (load_acquire(&l->gen_state) == listens && load_acquire(seat_word) == seat)
		goto seated;
	if (half_gen(s) == slot_word_gen(seat) && load_acquire(&s->peer) == me)
		goto seated;
	nobody = mine;
	atomic_compare_exchange_strong(word, &nobody, 0);
	/* The acceptor may have believed the claim just before. */
	atomic_thread_fence(memory_order_seq_cst);
	if (half_gen(s) == slot_word_gen(seat) && load_acquire(&s->peer) == me)
		goto seated;
	return load_acquire(&l->gen_state) == listens ? -EAGAIN : -ECONNREFUSED;
seated:
	*ret = ref;
	return 0;
}

int seat_claim(struct party *p, struct half *own, const struct listener_ref *lref,
	       struct conn *ret)
{
	const struct half *l;
	struct peer *owner;
	uint64_t listens = (uint64_t)half_ref_gen(lref->half) << 32 | HALF_LISTEN;
	uint32_t base, n;
	half_ref seat = 0;
	int r;

	r = party_peer_get(p, half_ref_party(lref->half), lref->party_gen, &owner);
	if (r < 0)
		return r;
	r = -ECONNREFUSED;
	l = half_find(owner->base, lref->half);
	/* One that other processes hold too outlives the one that made it. */
	if (!l || load_acquire(&l->gen_state) != listens ||
	    (!load_relaxed(&l->shared) && !registry_party_alive(p->reg, owner->id, owner->gen)))
		goto fail;
	base = load_relaxed(&l->seat_base);
	n = load_relaxed(&l->seat_count);
	if (n == 0 || n > SEAT_ROW_MAX || base > SEAT_MAX - 1 - n)
		goto fail;
	store_relaxed(&own->peer_party_gen, owner->gen);
	half_set_state(own, HALF_CONNECTING);
	FAULT_POINT("seat.connecting");
	r = -EAGAIN;
	/* A full round: so a full queue keeps its order. */
	for (uint32_t try = 0; r == -EAGAIN && try < n; try++) {
		uint64_t t = atomic_fetch_add(&owner->mbox->claims[base], 1);

		r = seat_claim_one(p, own, l, listens, owner, base, (uint32_t)(t % n), &seat);
	}
	if (r < 0) {
		/* It refers to nobody: the reference to the party goes too. */
		store_release(&own->peer, 0);
		half_set_state(own, HALF_BOUND);
		/* Whoever filled the queue may have died before it rang. */
		if (r == -EAGAIN)
			seat_ring(p, own, l, owner);
		goto fail;
	}
	store_relaxed(&own->born_ns, clock_now_ns());
	half_set_state(own, HALF_OPEN);
	FAULT_POINT("seat.open");
	r = conn_attach(ret, p, own, seat, owner);
	atomic_fetch_add(&arena_hdr(p->base)->opened, 1);
	seat_ring(p, own, l, owner);
	return r;
fail:
	party_peer_put(p, owner);
	return r;
}

/* The claim word of a seat of @l, or NULL. */
static _Atomic uint64_t *claim_of(const struct peer *owner, const struct half *l, uint64_t seat)
{
	uint32_t base = load_relaxed(&l->seat_base), n = load_relaxed(&l->seat_count);

	if (n == 0 || n > SEAT_ROW_MAX || base > SEAT_MAX - 1 - n)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		if (load_acquire(&arena_seats(owner->base)[base + 1 + i]) == seat)
			return &claim_words(owner->mbox, base)[i];
	return NULL;
}

/* Our claim on our seat of @l: there, or there again. */
static void claim_again(struct conn *c, const struct half *l)
{
	_Atomic uint64_t *claim = claim_of(c->owner, l, slot_word_make(half_ref_slot(c->peer_ref),
								       half_ref_gen(c->peer_ref)));
	uint64_t nobody = 0;

	if (!claim)
		return;
	/* Another's claim may be noise, which the acceptor takes away. */
	atomic_compare_exchange_strong(claim, &nobody, half_ref_of(c->party, c->own));
	/* So that it is among those that are looked at. */
	atomic_fetch_add(&c->owner->mbox->claims[load_relaxed(&l->seat_base)], 1);
}

void seat_speaks(struct party *p, struct half *own, const struct half *seat, struct peer *owner)
{
	uint64_t me = slot_word_make(arena_slot(owner->base, seat), half_gen(seat)), word;
	const struct half *l = arena_half(owner->base, load_relaxed(&seat->seat_base) % SLOT_MAX);
	_Atomic uint64_t *claim = NULL;

	if (half_state(l) == HALF_LISTEN)
		claim = claim_of(owner, l, me);
	word = claim ? load_relaxed(claim) : 0;
	/* The claim is ours, as we name the seat. */
	if (word & CLAIM_DEFERRED &&
	    atomic_compare_exchange_strong(claim, &word, word & ~CLAIM_DEFERRED))
		seat_ring(p, own, l, owner);
}

void seat_defer(struct party *p, struct half *listener, uint32_t ms)
{
	uint32_t n = half_state(listener) == HALF_LISTEN ? load_relaxed(&listener->seat_count) : 0;
	bool shared = load_relaxed(&listener->shared);

	if (shared)
		half_lock(&listener->rx_lock);
	/* Before who claims is told to wait: he is to be asked for a sign of life. */
	for (uint32_t i = 0; ms && i < n; i++) {
		uint64_t seat = load_relaxed(&seat_words(p, listener)[i]);
		struct half *s = arena_half(p->base, slot_word_slot(seat) % SLOT_MAX);

		if (seat && half_state(s) == HALF_SEAT)
			atomic_fetch_or(&s->want, WANT_DEFERRED);
	}
	store_release(&listener->defer_ms, ms);
	if (shared)
		half_unlock(&listener->rx_lock);
}

void seat_remind(struct conn *c)
{
	addr_word to = load_relaxed(&c->own->remote);
	struct listener_ref ref;
	const struct half *l;

	if (half_state(c->peer) != HALF_SEAT) {
		if (conn_unsent(c))
			conn_notify(c, NOTIFY_DATA);
		return;
	}
	if (c->party->inherited || load_acquire(&c->peer->peer) ||
	    registry_find_of(c->party->reg, to, c->owner->id, c->owner->gen, &ref) < 0)
		return;
	l = half_find(c->owner->base, ref.half);
	if (!l || half_gen(l) != half_ref_gen(ref.half))
		return;
	claim_again(c, l);
	seat_ring(c->party, c->own, l, c->owner);
}

void seat_close(struct party *p, struct half *listener)
{
	uint32_t base = load_relaxed(&listener->seat_base);
	uint32_t n = load_relaxed(&listener->seat_count);
	_Atomic uint64_t *seats = seat_words(p, listener);
	_Atomic uint64_t *claims = claim_words(p->mbox, base);

	half_set_state(listener, HALF_CLOSED);
	/* Who claims from here on sees that nobody listens. */
	atomic_thread_fence(memory_order_seq_cst);
	FAULT_POINT("close.listener");
	for (uint32_t i = 0; i < n; i++) {
		uint64_t seat = load_relaxed(&seats[i]);
		half_ref claimant = atomic_load(&claims[i]);
		struct conn c;

		if (seat == 0)
			continue;
		if (claimant && seat_bind(p, seat, &claims[i], claimant, &c) == 0) {
			half_end(p, c.own, c.peer, c.owner, true);
			FAULT_POINT("close.seat");
			half_release(c.own);
			party_slot_retire(p, slot_word_slot(seat));
		} else {
			party_slot_free(p, slot_word_slot(seat));
		}
		/* Last: until then an executor that follows us finds it. */
		store_release(&seats[i], 0);
	}
	store_relaxed(&listener->seat_count, 0);
	half_release(listener);
	lock_take(&p->lock);
	party_row_give(p, base, n + 1);
	lock_drop(&p->lock);
}
