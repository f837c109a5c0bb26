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

#define CLAIM_TRIES 8

static _Atomic uint64_t *seat_words(const struct party *p, const struct half *l)
{
	return arena_seats(p->base) + load_relaxed(&l->seat_base) + 1;
}

static _Atomic uint64_t *claim_words(struct mailbox *mb, uint32_t base)
{
	return &mb->claims[base] + 1;
}

/* ------------------------------------------------------------ index rows */

static bool row_test(const struct party *p, unsigned r)
{
	return p->seat_used[r / 64] >> (r % 64) & 1;
}

/* Caller holds the party's lock. Rows of 64; entry 0 is the ticket counter. */
static int row_take(struct party *p, unsigned entries)
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

/* Make a half that waits for a connector. */
static uint64_t seat_make(struct party *p, const struct half *l)
{
	int slot = party_slot_alloc(p);
	struct half *h;

	if (slot < 0)
		return 0;
	h = arena_half(p->base, (unsigned)slot);
	store_relaxed(&h->local, load_relaxed(&l->local));
	store_relaxed(&h->rcvlowat, 1);
	store_relaxed(&h->sndbuf, load_relaxed(&l->sndbuf));
	store_relaxed(&h->rcvbuf, load_relaxed(&l->rcvbuf));
	store_relaxed(&h->cookie, atomic_fetch_add(&p->cookie_next, 1));
	half_set_state(h, HALF_SEAT);
	return slot_word_make((unsigned)slot, half_gen(h));
}

int seat_open(struct party *p, struct half *listener, unsigned backlog)
{
	unsigned n = (backlog < SEAT_BACKLOG_MAX ? backlog : SEAT_BACKLOG_MAX) + 1;
	int base;

	if (half_state(listener) == HALF_LISTEN)
		return 0;
	lock_take(&p->lock);
	base = row_take(p, n + 1);
	lock_drop(&p->lock);
	if (base < 0)
		return base;
	store_relaxed(&listener->seat_base, (uint32_t)base);
	store_relaxed(&listener->seat_count, n);
	store_relaxed(&p->mbox->claims[base], 0);
	for (unsigned i = 0; i < n; i++) {
		store_relaxed(&p->mbox->claims[(unsigned)base + 1 + i], 0);
		store_relaxed(&seat_words(p, listener)[i], seat_make(p, listener));
	}
	half_set_state(listener, HALF_LISTEN);
	return 0;
}

/* Where to look from: no further back than one round. The counter only goes
 * up, unless somebody scribbles. */
static uint64_t cursor_start(struct party *p, uint64_t cursor, uint64_t tickets, uint32_t n)
{
	if (unlikely(cursor > tickets))
		party_distrust(p);
	if (unlikely(cursor > tickets || party_distrusts(p)))
		return tickets > n ? tickets - n : 0;
	return tickets - cursor > n ? tickets - n : cursor;
}

/* Where to look to: where the counter is a lie, at all seats. */
static uint64_t cursor_end(struct party *p, uint64_t start, uint64_t tickets, uint32_t n)
{
	return unlikely(party_distrusts(p)) ? start + n : tickets;
}

bool seat_waiting(struct party *p, const struct half *listener, const uint64_t *cursor)
{
	uint32_t base = load_relaxed(&listener->seat_base);
	uint32_t n = load_relaxed(&listener->seat_count);
	uint64_t tickets = load_acquire(&p->mbox->claims[base]);
	uint64_t t = cursor_start(p, *cursor, tickets, n);

	for (uint64_t end = cursor_end(p, t, tickets, n); t != end; t++)
		if (load_relaxed(&claim_words(p->mbox, base)[t % n]) != 0)
			return true;
	return false;
}

/* Is @target what a connector names that wants @listens? Rows are used again:
 * a slow connector may find another listener's seats where it looks. */
static bool addr_meets(addr_word listens, addr_word target)
{
	return addr_word_port(listens) == addr_word_port(target) &&
	       (addr_word_addr(listens) == 0 ||
		addr_word_addr(listens) == addr_word_addr(target));
}

/*
 * seat_bind() - Give a seat's half the peer that claims it, where that is true.
 * @word: Where the claim was read.
 * Return: 0 with @ret attached, or -errno with the seat as it was: -EBUSY
 *         where the claimant is still choosing and will see to it itself.
 */
static int seat_bind(struct party *p, uint64_t seat, const _Atomic uint64_t *word,
		     half_ref claimant, struct conn *ret)
{
	unsigned slot = slot_word_slot(seat), id = half_ref_party(claimant);
	half_ref me = half_ref_make(p->id, slot, slot_word_gen(seat));
	struct half *own = arena_half(p->base, slot);
	const struct half *peer;
	struct peer *owner;
	uint64_t gs;
	int r;

	if (id >= PARTY_MAX)
		return -EPROTO;
	gs = load_acquire(&p->reg->parties[id].gen_state);
	/* Noise names parties that are none: the daemon need not be asked. */
	if (id && (uint32_t)gs == PARTY_FREE)
		return -ESRCH;
	r = party_peer_get(p, id, (uint32_t)(gs >> 32), &owner);
	if (r < 0)
		return r;
	peer = half_find(owner->base, claimant);
	gs = peer ? load_acquire(&peer->gen_state) : 0;
	r = 0;
	if (!peer || (uint32_t)(gs >> 32) != half_ref_gen(claimant))
		r = -EPROTO;
	else if (load_acquire(&peer->peer) != me || (uint32_t)gs < HALF_CONNECTING)
		r = (uint32_t)gs == HALF_BOUND || (uint32_t)gs == HALF_CONNECTING ? -EBUSY
										  : -EPROTO;
	else if (!addr_meets(load_relaxed(&own->local), load_relaxed(&peer->remote)))
		r = -EPROTO;
	else if (load_acquire(word) != claimant)
		r = -EBUSY; /* withdrawn meanwhile: another's claim may stand there */
	if (r < 0) {
		party_peer_put(p, owner);
		return r;
	}
	store_relaxed(&own->remote, load_relaxed(&peer->local));
	store_relaxed(&own->local, load_relaxed(&peer->remote));
	store_relaxed(&own->peer_party_gen, owner->gen);
	store_relaxed(&own->born_ns, clock_now_ns());
	/* The connector that looks again finds its name here, before the
	 * seat's word moves on. */
	store_release(&own->peer, claimant);
	return conn_attach(ret, p, own, claimant, owner);
}

int seat_take(struct party *p, struct half *listener, uint64_t *cursor, unsigned handle,
	      struct conn *ret)
{
	uint32_t base = load_relaxed(&listener->seat_base);
	uint32_t n = load_relaxed(&listener->seat_count);
	_Atomic uint64_t *seats = seat_words(p, listener);
	_Atomic uint64_t *claims = claim_words(p->mbox, base);
	uint64_t tickets = load_acquire(&p->mbox->claims[base]);
	uint64_t t = cursor_start(p, *cursor, tickets, n), end = cursor_end(p, t, tickets, n);
	bool hole = false;
	int error = -EAGAIN;

	for (; t != end; t++) {
		half_ref claimant = load_acquire(&claims[t % n]);
		uint64_t seat = load_relaxed(&seats[t % n]);
		int r;

		if (claimant == 0 || seat == 0) {
			/* Its connector may still be about to claim it. */
			hole = true;
			continue;
		}
		r = seat_bind(p, seat, &claims[t % n], claimant, ret);
		if (r == 0) {
			struct half *own = ret->own;

			FAULT_POINT("take.bound");
			/* While in SEAT it is the listener's executor's; from
			 * OPEN on, who looks here finds it. */
			store_relaxed(&own->handle, handle + 1);
			store_release(&arena_handles(p->base)[handle],
				      slot_word_make(arena_slot(p->base, own), half_gen(own)));
			FAULT_POINT("take.mapped");
			half_set_state(own, HALF_OPEN);
			FAULT_POINT("take.open");
			store_release(&seats[t % n], seat_make(p, listener));
			FAULT_POINT("take.seated");
			store_release(&claims[t % n], 0);
			if (!hole)
				*cursor = t + 1;
			return 0;
		}
		if (r == -EBUSY) {
			hole = true;
			continue;
		}
		if (r != -EPROTO && r != -ESRCH) {
			/* Cannot be mapped now. It may be certain of its seat,
			 * so it stays, as a connection does where accept()
			 * gives EMFILE. */
			hole = true;
			error = r;
			continue;
		}
		/* Not true, or nobody's. */
		party_distrust(p);
		atomic_compare_exchange_strong(&claims[t % n], &claimant, 0);
	}
	if (!hole)
		*cursor = tickets;
	/* A seat that could not be made when its predecessor was taken. */
	for (uint32_t i = 0; i < n; i++)
		if (load_relaxed(&seats[i]) == 0)
			store_release(&seats[i], seat_make(p, listener));
	return error;
}

/*
 * claim_one() - Claim seat @i for @own.
 * @listens: The listener's gen_state as it was found.
 * Return: 0, -EAGAIN where it is not to be had, -ECONNREFUSED.
 */
static int claim_one(struct party *p, struct half *own, const struct half *l,
		     uint64_t listens, struct peer *owner, uint32_t base, uint32_t i,
		     half_ref *ret)
{
	_Atomic uint64_t *word = &claim_words(owner->mbox, base)[i];
	const _Atomic uint64_t *seat_word = arena_seats(owner->base) + base + 1 + i;
	uint64_t seat = load_acquire(seat_word), nobody = 0;
	half_ref me = half_ref_of(p, own), ref;
	const struct half *s;

	if (seat == 0 || slot_word_slot(seat) >= SLOT_MAX || load_relaxed(word) != 0)
		return -EAGAIN;
	ref = half_ref_make(owner->id, slot_word_slot(seat), slot_word_gen(seat));
	s = half_find(owner->base, ref);
	store_release(&own->peer, ref);
	if (!atomic_compare_exchange_strong(word, &nobody, me))
		return -EAGAIN;
	FAULT_POINT("seat.claimed");
	/* Claimed. Does the listener listen still, and is the seat still the
	 * one that we named? Pairs with the fence in seat_close(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (load_acquire(&l->gen_state) == listens && load_acquire(seat_word) == seat)
		goto seated;
	if (half_gen(s) == slot_word_gen(seat) && load_acquire(&s->peer) == me)
		goto seated;
	nobody = me;
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
	if (!l || load_acquire(&l->gen_state) != listens ||
	    !registry_party_alive(p->reg, owner->id, owner->gen))
		goto fail;
	base = load_relaxed(&l->seat_base);
	n = load_relaxed(&l->seat_count);
	if (n == 0 || n > SEAT_BACKLOG_MAX + 1 || base > SEAT_MAX - 1 - n)
		goto fail;
	store_relaxed(&own->peer_party_gen, owner->gen);
	half_set_state(own, HALF_CONNECTING);
	FAULT_POINT("seat.connecting");
	r = -EAGAIN;
	for (uint32_t try = 0; r == -EAGAIN && try < CLAIM_TRIES && try < n; try++) {
		uint64_t t = atomic_fetch_add(&owner->mbox->claims[base], 1);

		r = claim_one(p, own, l, listens, owner, base, (uint32_t)(t % n), &seat);
	}
	if (r < 0) {
		/* It refers to nobody: the reference to the party goes too. */
		store_release(&own->peer, 0);
		half_set_state(own, HALF_BOUND);
		/* Whoever filled the queue may have died before it rang. */
		if (r == -EAGAIN)
			half_notify(p, own, l, owner, NOTIFY_DATA);
		goto fail;
	}
	store_relaxed(&own->born_ns, clock_now_ns());
	half_set_state(own, HALF_OPEN);
	FAULT_POINT("seat.open");
	r = conn_attach(ret, p, own, seat, owner);
	atomic_fetch_add(&arena_hdr(p->base)->opened, 1);
	/* A listener wants "data": its claims. */
	half_notify(p, own, l, owner, NOTIFY_DATA);
	return r;
fail:
	party_peer_put(p, owner);
	return r;
}

/* Our claim on the seat @s of @l: there, or there again. */
static void claim_again(struct conn *c, const struct half *l)
{
	uint32_t base = load_relaxed(&l->seat_base), n = load_relaxed(&l->seat_count);
	uint64_t seat = slot_word_make(half_ref_slot(c->peer_ref), half_ref_gen(c->peer_ref));

	if (n == 0 || n > SEAT_BACKLOG_MAX + 1 || base > SEAT_MAX - 1 - n)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t nobody = 0;

		if (load_acquire(&arena_seats(c->owner->base)[base + 1 + i]) != seat)
			continue;
		/* Another's claim may be noise, which the acceptor takes away. */
		atomic_compare_exchange_strong(&claim_words(c->owner->mbox, base)[i], &nobody,
					       half_ref_of(c->party, c->own));
		/* So that it is among those that are looked at. */
		atomic_fetch_add(&c->owner->mbox->claims[base], 1);
		return;
	}
}

void seat_remind(struct conn *c)
{
	addr_word to = load_relaxed(&c->own->remote);
	struct listener_ref ref;
	const struct half *l;

	if (half_state(c->peer) != HALF_SEAT) {
		if (conn_unsent(c))
			half_notify(c->party, c->own, c->peer, c->owner, NOTIFY_DATA);
		return;
	}
	if (c->party->inherited || load_acquire(&c->peer->peer) ||
	    registry_find(c->party->reg, addr_word_addr(to), addr_word_port(to), &ref) < 0 ||
	    half_ref_party(ref.half) != c->owner->id || ref.party_gen != c->owner->gen)
		return;
	l = half_find(c->owner->base, ref.half);
	if (!l || half_gen(l) != half_ref_gen(ref.half))
		return;
	claim_again(c, l);
	half_notify(c->party, c->own, l, c->owner, NOTIFY_DATA);
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
