/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * execute.c - The last will of a side.
 *
 * Each step can be done twice: the daemon may die between any two, and the
 * next one begins again. Everything in the dead party's arena may be nonsense,
 * so each number is checked before it is used; nonsense ends the half with
 * RST where it has a peer, and silently where it has none.
 */
#include <errno.h>
#include <limits.h>

#include "base/fault.h"
#include "shm/conn.h"
#include "shm/execute.h"
#include "shm/futex.h"
#include "shm/seat.h"

/* The party that a half's peer reference names. A side that is killed while it
 * follows its peer leaves the generation of one with the name of the other. */
static int execute_owner(struct party *d, const struct half *h, half_ref ref, struct peer **ret)
{
	unsigned id = half_ref_party(ref);

	if (ref == 0 || id >= PARTY_MAX)
		return -ESRCH;
	if (party_peer_get(d, id, load_relaxed(&h->peer_party_gen), ret) == 0)
		return 0;
	return party_peer_get(d, id, (uint32_t)(load_acquire(&d->reg->parties[id].gen_state) >> 32),
			      ret);
}

/* The half at the other end, where it can be reached and names us. */
static const struct half *execute_peer(struct party *d, struct half *h, struct peer **ret)
{
	for (int hops = 0; hops < 2; hops++) {
		half_ref ref = load_acquire(&h->peer);
		const struct half *peer;
		struct peer *owner;

		if (execute_owner(d, h, ref, &owner) < 0)
			return NULL;
		peer = half_find(owner->base, ref);
		if (peer && half_gen(peer) == half_ref_gen(ref) &&
		    !(load_acquire(&peer->end) & END_MOVED)) {
			*ret = owner;
			return peer;
		}
		/* A seat that moved on: follow it in the dead side's place. */
		if (peer)
			half_reusable(h, owner->base);
		party_peer_put(d, owner);
		if (load_relaxed(&h->peer) == ref)
			return NULL;
	}
	return NULL;
}

/* The peer cannot be looked at. If it is there, it is told what needs no look. */
static void execute_unseen(struct half *h)
{
	atomic_fetch_or(&h->want, WANT_CLOSED);
	atomic_fetch_or(&h->end, END_RST);
	atomic_fetch_add(&h->event, 1);
	futex_wake(&h->event, INT_MAX);
}

/* It claimed a seat, and may have died before it rang the listener. */
static void execute_ring(struct party *d, struct half *h)
{
	addr_word to = load_relaxed(&h->remote);
	struct listener_ref ref;
	const struct half *l;
	struct peer *owner;

	if (registry_find_of(d->reg, to, half_ref_party(load_relaxed(&h->peer)),
			     load_relaxed(&h->peer_party_gen), &ref) < 0 ||
	    party_peer_get(d, half_ref_party(ref.half), ref.party_gen, &owner) < 0)
		return;
	l = half_find(owner->base, ref.half);
	if (l && half_gen(l) == half_ref_gen(ref.half))
		seat_ring(d, h, l, owner);
	party_peer_put(d, owner);
}

/* It took a seat's place, and may have died before it woke who sleeps on the
 * seat's word: see take_away(). */
static void execute_wake_seat(struct party *d, const struct half *peer)
{
	half_ref ref = load_acquire(&peer->peer);
	struct peer *owner;
	struct half *s;

	if (half_state(peer) < HALF_OPEN || execute_owner(d, peer, ref, &owner) < 0)
		return;
	s = half_find(owner->base, ref);
	if (s && half_gen(s) == half_ref_gen(ref) && load_acquire(&s->end) & END_MOVED) {
		atomic_fetch_add(&s->event, 1);
		futex_wake(&s->event, INT_MAX);
	}
	party_peer_put(d, owner);
}

/* A sender's channel has ended: its reader lets go of it when it looks. */
static void execute_ring_box(struct party *d, struct peer *owner, const struct half *seat)
{
	half_ref ref = load_relaxed(&seat->moved);
	const struct half *box = half_find(owner->base, ref);

	if (box && half_ref_party(ref) == owner->id && half_gen(box) == half_ref_gen(ref) &&
	    load_relaxed(&box->want) & WANT_HINT_DATA)
		half_ring(d, owner, box);
}

static void execute_stream(struct party *d, struct half *h)
{
	struct peer *owner = NULL;
	const struct half *peer = execute_peer(d, h, &owner);
	uint32_t want = 0;

	FAULT_POINT("execute.begin");
	if (peer && half_state(h) == HALF_CLOSED && load_relaxed(&h->end)) {
		want = half_notify(d, h, peer, owner, NOTIFY_END);
	} else if (peer) {
		uint32_t had = load_relaxed(&h->end);

		want = half_end(d, h, peer, owner,
				had & END_RST || load_relaxed(&h->side) & SIDE_LINGER0);
		/* Perhaps it died before it told of that. */
		if (had)
			want |= half_notify(d, h, peer, owner, NOTIFY_END);
	}
	if (want & WANT_MOVED) {
		/* Accepted just now, by one who may not have seen the end. */
		party_peer_put(d, owner);
		peer = execute_peer(d, h, &owner);
		if (peer)
			half_notify(d, h, peer, owner, NOTIFY_END);
	}
	if (peer && load_relaxed(&peer->side) & SIDE_CHANNEL)
		execute_ring_box(d, owner, peer);
	else if (peer && half_state(peer) == HALF_SEAT) {
		seat_speaks(d, h, peer, owner);
		execute_ring(d, h);
	}
	else if (peer)
		execute_wake_seat(d, peer);
	if (peer)
		party_peer_put(d, owner);
	else if (load_relaxed(&h->peer))
		execute_unseen(h);
	FAULT_POINT("execute.ended");
	half_release(h);
}

/* A claim in the dead listener's mailbox: bind its seat, and reset it. */
static void execute_seat(struct party *d, struct peer *dead, unsigned slot, uint32_t gen,
			 uint64_t claim)
{
	half_ref claimant = claim & ~CLAIM_DEFERRED;
	struct half *s = arena_half(dead->base, slot);
	half_ref me = half_ref_make(dead->id, slot, gen);
	unsigned id = half_ref_party(claimant);
	const struct half *c;
	struct peer *owner;

	if (half_gen(s) != gen)
		return;
	if (half_state(s) == HALF_CLOSED ||
	    (half_state(s) == HALF_OPEN && load_relaxed(&s->side) & SIDE_CHANNEL))
		execute_stream(d, s); /* An executor before us came so far; a channel's end. */
	if (half_state(s) != HALF_SEAT)
		return;
	if (load_acquire(&s->end) & END_MOVED) {
		half_release(s); /* Who accepted it died just then. */
		return;
	}
	if (load_relaxed(&s->peer) == 0 && claimant && id < PARTY_MAX &&
	    party_peer_get(d, id, (uint32_t)(load_acquire(&d->reg->parties[id].gen_state) >> 32),
			   &owner) == 0) {
		c = half_find(owner->base, claimant);
		if (c && half_gen(c) == half_ref_gen(claimant) && load_acquire(&c->peer) == me) {
			store_relaxed(&s->peer_party_gen, owner->gen);
			store_release(&s->peer, claimant);
		}
		party_peer_put(d, owner);
	}
	FAULT_POINT("execute.seat");
	if (load_relaxed(&s->peer))
		atomic_fetch_or(&s->end, END_RST);
	execute_stream(d, s);
}

/* The seats' words stay: an owner that lives finds its slots by them. */
static void execute_listener(struct party *d, struct peer *dead, struct half *l)
{
	uint32_t base = load_relaxed(&l->seat_base), n = load_relaxed(&l->seat_count);

	half_set_state(l, HALF_CLOSED);
	atomic_thread_fence(memory_order_seq_cst);
	if (n <= SEAT_ROW_MAX && base <= SEAT_MAX - 1 - n) {
		for (uint32_t i = 0; i < n; i++) {
			uint64_t seat = load_relaxed(&arena_seats(dead->base)[base + 1 + i]);

			if (seat && slot_word_slot(seat) < SLOT_MAX)
				execute_seat(d, dead, slot_word_slot(seat), slot_word_gen(seat),
					     atomic_load(&dead->mbox->claims[base + 1 + i]));
		}
	}
	half_release(l);
}

void execute_half(struct party *d, struct peer *dead, unsigned slot, uint32_t gen)
{
	struct half *h;
	uint64_t gs;

	if (slot >= SLOT_MAX)
		return;
	h = arena_half(dead->base, slot);
	/* Once: the owner of a party that lives may recycle the slot. */
	gs = load_acquire(&h->gen_state);
	if ((uint32_t)(gs >> 32) != gen)
		return;
	switch ((enum half_state)(uint32_t)gs) {
	case HALF_FREE:
	case HALF_RELEASED:
		return;
	case HALF_LISTEN:
	case HALF_DGRAM:
		execute_listener(d, dead, h);
		return;
	case HALF_SEAT:
		execute_seat(d, dead, slot, gen, 0);
		return;
	case HALF_BOUND:
		half_release(h);
		return;
	case HALF_CLOSED:
		/* A listener that was being closed, or a stream that only has
		 * to be released. */
		if (load_relaxed(&h->peer) == 0) {
			execute_listener(d, dead, h);
			return;
		}
		execute_stream(d, h);
		return;
	default:
		execute_stream(d, h);
		return;
	}
}

bool execute_idle(void *base, void *(*lookup)(void *arg, unsigned party, uint32_t gen),
		  void *arg)
{
	unsigned used = load_relaxed(&arena_hdr(base)->slots_used);

	for (unsigned i = 0; i < used && i < SLOT_MAX; i++) {
		struct half *h = arena_half(base, i);
		half_ref ref = load_relaxed(&h->peer);

		if (half_state(h) == HALF_FREE)
			continue;
		if (half_state(h) != HALF_RELEASED)
			return false;
		if (!half_reusable(h, lookup(arg, half_ref_party(ref),
					     load_relaxed(&h->peer_party_gen))))
			return false;
	}
	return true;
}
