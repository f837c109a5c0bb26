/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accept.c - Which claims are believed, and who becomes their socket.
 *
 * Theory of operation. A claim is a hint (seat.c): it is believed where the
 * claimant's half names this very seat.
 *
 * In the process that made the listener, the seat's own half becomes the new
 * socket, and a fresh one takes its place in the row: seat_take().
 *
 * Where several processes hold the listener, each accepts under the lock of the
 * seat where it does so, passing over those that others hold: so one that is
 * stopped there keeps its own connector waiting, and nobody else. The place to
 * look from is in the listener's half, and is a hint.
 * A process other than the owner cannot take slots out of the owner's arena.
 * It makes the new socket in its own, and the seat says where that is
 * (END_MOVED, half.moved). The connector follows at its next look
 * (conn_follow()). Once it has, the seat is made anew in place, by whichever
 * process accepts next: seat_renew(). Each step can be done again by the next
 * one, where its process dies in the middle of it.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "shm/addr.h"
#include "shm/futex.h"
#include "shm/seat.h"
#include "shm/seat_row.h"

/* A seat that has moved on rests so long before it is made anew: a thread of
 * the connector's may still be about to look at it. */
#define MOVED_REST_NS NS_PER_MS
#define MOVED_WAKE_NS (20 * NS_PER_MS)
#define TIDY_FEW 2u
#define TIDY_MANY 64u /* where nobody waits */
#define TIDY_NEXT 8u  /* of the seats that are claimed next, of so many: */
#define NEXT_SEATS 64u

/* Has the connector of seat @i been accepted, and not followed yet? Or is the
 * seat being made anew, perhaps by one who died of it? Its claim stays until
 * seat_renew() is done: nobody can claim the old seat any more. */
static bool seat_is_moved(const struct party *p, const struct half *l, uint32_t i)
{
	uint64_t seat = load_relaxed(&seat_words(p, l)[i]);
	const struct half *s;

	if (seat == 0 || slot_word_slot(seat) >= SLOT_MAX)
		return false;
	s = arena_half(p->base, slot_word_slot(seat));
	return load_acquire(&s->end) & END_MOVED || half_gen(s) != slot_word_gen(seat);
}

/*
 * claim_defers() - Has who claims seat @i published nothing yet, and is he to be waited
 * for? The seat's half notes whose claim was first seen, and when.
 * @ret_due: Where so: lowered to when he is to be accepted all the same.
 */
static bool claim_defers(struct party *p, const struct half *l, uint32_t i, uint64_t claim,
			 uint64_t *ret_due)
{
	uint64_t most = (uint64_t)load_acquire(&l->defer_ms) * (uint64_t)NS_PER_MS, now, due;
	uint64_t seat = load_relaxed(&seat_words(p, l)[i]);
	struct half *s = arena_half(p->base, slot_word_slot(seat) % SLOT_MAX);
	addr_word seen = load_relaxed(&s->remote);

	if (likely(!(claim & CLAIM_DEFERRED)) || most == 0 || seat == 0 ||
	    half_state(s) != HALF_SEAT)
		return false;
	now = clock_now_ns();
	/* Without the seat's lock: where it has just been accepted, its half is a
	 * socket with an address by now, and keeps that. */
	if (seen != claim) {
		store_relaxed(&s->born_ns, now);
		atomic_compare_exchange_strong(&s->remote, &seen, claim);
	}
	due = load_relaxed(&s->born_ns) + most;
	if (now >= due)
		return false;
	if (*ret_due == 0 || due < *ret_due)
		*ret_due = due;
	return true;
}

/* Has seat @i a claim that is to be looked at? */
static bool seat_waits(const struct party *p, const struct half *l, uint32_t i)
{
	uint32_t base = load_relaxed(&l->seat_base);

	return load_acquire(&claim_words(p->mbox, base)[i]) != 0 && !seat_is_moved(p, l, i) &&
	       load_relaxed(&seat_words(p, l)[i]) != 0;
}

/* Count them, up to @most. @ret_due: As in claim_defers(). */
static uint32_t waiting(struct party *p, const struct half *listener, const uint64_t *cursor,
			uint32_t most, uint64_t *ret_due)
{
	bool shared = load_acquire(&listener->shared);
	_Atomic uint64_t *claims = claim_words(p->mbox, load_relaxed(&listener->seat_base));
	uint32_t n = load_relaxed(&listener->seat_count), found = 0;
	uint64_t from = shared ? load_relaxed(&listener->accept_cursor) : *cursor;

	if (n == 0 || half_state(listener) != HALF_LISTEN)
		return 0;
	for (uint32_t k = 0; k < n && found < most; k++) {
		uint32_t i = (uint32_t)((from + k) % n);
		uint64_t claim;

		if (!seat_waits(p, listener, i) ||
		    /* Who is being accepted just now, or by one who is stopped,
		     * waits for nobody else. */
		    (shared && half_lock_lives(&seat_locks(p, listener)[i])))
			continue;
		claim = load_relaxed(&claims[i]);
		if (seat_waits(p, listener, i) && !claim_defers(p, listener, i, claim, ret_due))
			found++;
	}
	return found;
}

bool seat_waiting(struct party *p, const struct half *listener, const uint64_t *cursor)
{
	uint64_t due = 0;

	return waiting(p, listener, cursor, 1, &due);
}

uint32_t seat_waiting_count(struct party *p, const struct half *listener, const uint64_t *cursor)
{
	uint64_t due = 0;

	return waiting(p, listener, cursor, UINT32_MAX, &due);
}

uint64_t seat_due(struct party *p, const struct half *listener, const uint64_t *cursor)
{
	uint64_t due = 0;

	waiting(p, listener, cursor, UINT32_MAX, &due);
	return due;
}

/*
 * claim_believed() - Is it true what the claim word of this seat says?
 * @p:   Introduces us to its party.
 * @lp:  The listener's owner.
 * Return: 0 with a reference on *@ret_owner; or -errno, -EBUSY where the
 *         claimant is still choosing and will see to it itself.
 */
static int claim_believed(struct party *p, const struct party *lp, uint64_t seat,
			  const _Atomic uint64_t *word, uint64_t claim,
			  const struct half **ret, struct peer **ret_owner)
{
	half_ref claimant = claim & ~CLAIM_DEFERRED;
	unsigned slot = slot_word_slot(seat), id = half_ref_party(claimant);
	half_ref me = half_ref_make(lp->id, slot, slot_word_gen(seat));
	const struct half *peer, *own = arena_half(lp->base, slot);
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
	/* Rows are used again: a slow connector may find another listener's
	 * seats where it looks. */
	else if (addr_rank(load_relaxed(&own->local), load_relaxed(&peer->remote)) == 0)
		r = -EPROTO;
	else if (load_acquire(word) != claim)
		r = -EBUSY; /* withdrawn meanwhile: another's claim may stand there */
	if (r < 0) {
		party_peer_put(p, owner);
		return r;
	}
	*ret = peer;
	*ret_owner = owner;
	return 0;
}

int seat_bind(struct party *p, uint64_t seat, const _Atomic uint64_t *word, uint64_t claim,
	      struct conn *ret)
{
	half_ref claimant = claim & ~CLAIM_DEFERRED;
	struct half *own = arena_half(p->base, slot_word_slot(seat));
	const struct half *peer;
	struct peer *owner;
	int r = claim_believed(p, p, seat, word, claim, &peer, &owner);

	if (r < 0)
		return r;
	store_relaxed(&own->remote, load_relaxed(&peer->local));
	store_relaxed(&own->local, load_relaxed(&peer->remote));
	store_relaxed(&own->peer_party_gen, owner->gen);
	store_relaxed(&own->born_ns, clock_now_ns());
	atomic_fetch_and(&own->want, ~WANT_DEFERRED);
	/* The connector that looks again finds its name here, before the
	 * seat's word moves on. */
	store_release(&own->peer, claimant);
	return conn_attach(ret, p, own, claimant, owner);
}

/* The seat's own half becomes the socket. */
static int take_in_place(struct party *p, const struct half *listener, uint32_t i,
			 half_ref claimant, unsigned handle, struct conn *ret)
{
	_Atomic uint64_t *seat = &seat_words(p, listener)[i];
	_Atomic uint64_t *claim = &claim_words(p->mbox, load_relaxed(&listener->seat_base))[i];
	int r = seat_bind(p, load_relaxed(seat), claim, claimant, ret);
	struct half *own = ret->own;

	if (r < 0)
		return r;
	FAULT_POINT("take.bound");
	/* While in SEAT it is the listener's executor's; from OPEN on, who looks
	 * here finds it. */
	store_relaxed(&own->handle, handle + 1);
	store_release(&arena_handles(p->base)[handle],
		      slot_word_make(arena_slot(p->base, own), half_gen(own)));
	FAULT_POINT("take.mapped");
	half_set_state(own, HALF_OPEN);
	FAULT_POINT("take.open");
	store_release(seat, seat_make(p, listener));
	FAULT_POINT("take.seated");
	store_release(claim, 0);
	return 0;
}

/**
 * struct taker - Who accepts.
 * @p:      The party that the new socket is to belong to.
 * @slot:   Where @p is not the listener's owner: a FREE slot of @p's.
 * @handle: Handle number, of @p's.
 */
struct taker {
	struct party *p;
	unsigned slot, handle;
};

/* A half of the taker's becomes the socket; the seat says so. */
static int take_away(struct party *lp, const struct half *listener, uint32_t i,
		     uint64_t claim, const struct taker *by, struct conn *ret)
{
	half_ref claimant = claim & ~CLAIM_DEFERRED;
	uint64_t seat = load_relaxed(&seat_words(lp, listener)[i]);
	struct half *s = arena_half(lp->base, slot_word_slot(seat));
	struct half *own = arena_half(by->p->base, by->slot);
	const struct half *peer;
	struct peer *owner;
	int r = claim_believed(by->p, lp, seat,
			       &claim_words(lp->mbox, load_relaxed(&listener->seat_base))[i],
			       claim, &peer, &owner);

	if (r < 0)
		return r;
	store_relaxed(&own->remote, load_relaxed(&peer->local));
	store_relaxed(&own->local, load_relaxed(&peer->remote));
	store_relaxed(&own->rcvlowat, 1);
	store_relaxed(&own->sndbuf, load_relaxed(&listener->sndbuf));
	store_relaxed(&own->rcvbuf, load_relaxed(&listener->rcvbuf));
	store_relaxed(&own->cookie, load_relaxed(&s->cookie));
	store_relaxed(&own->born_ns, clock_now_ns());
	store_relaxed(&own->peer_party_gen, owner->gen);
	store_relaxed(&own->handle, by->handle + 1);
	store_release(&own->peer, claimant);
	store_release(&arena_handles(by->p->base)[by->handle],
		      slot_word_make(by->slot, half_gen(own)));
	half_set_state(own, HALF_OPEN);
	FAULT_POINT("away.made");
	store_relaxed(&s->peer_party_gen, owner->gen);
	store_relaxed(&s->born_ns, load_relaxed(&own->born_ns));
	store_release(&s->peer, claimant);
	store_relaxed(&s->moved_gen, by->p->gen);
	store_relaxed(&s->moved, half_ref_of(by->p, own));
	FAULT_POINT("away.named");
	/* From here on it is ours, whoever dies. */
	atomic_fetch_or(&s->end, END_MOVED);
	FAULT_POINT("away.moved");
	/* Who publishes there from now on sees that we are here. What was
	 * published before, we see: pairs with the fence in half_notify(). */
	store_relaxed(&s->want, WANT_MOVED);
	atomic_thread_fence(memory_order_seq_cst);
	half_release(s);
	/* Who sleeps on the seat's word must come and sleep on ours. */
	if (load_relaxed(&peer->want) & (WANT_DATA_MASK | WANT_SPACE_MASK)) {
		atomic_fetch_add(&s->event, 1);
		futex_wake(&s->event, INT_MAX);
	}
	return conn_attach(ret, by->p, own, claimant, owner);
}

/* Has the half that took the place of the moved seat @s come to its end? */
static bool successor_is_gone(struct party *p, const struct half *s)
{
	half_ref ref = load_relaxed(&s->moved);
	unsigned id = half_ref_party(ref);
	const struct half *h;
	struct peer *owner;
	bool gone;

	if (id >= PARTY_MAX || party_peer_get(p, id, load_relaxed(&s->moved_gen), &owner) < 0)
		return true;
	h = half_find(owner->base, ref);
	gone = !h || half_gen(h) != half_ref_gen(ref) || half_state(h) == HALF_RELEASED;
	party_peer_put(p, owner);
	return gone;
}

/*
 * Has the connector that the moved seat @s had followed, or gone? One that was
 * closed before it could follow needs the seat as long as its bytes may be
 * read: its slot is not used again while the seat stands for its peer. One that
 * sleeps is woken to follow. That its party is dead says nothing: a child may
 * have it, or the executor may be about to follow.
 */
static bool seat_is_left(struct party *p, const struct party *lp, struct half *s, uint64_t seat)
{
	half_ref me = half_ref_make(lp->id, slot_word_slot(seat), slot_word_gen(seat));
	half_ref claimant = load_relaxed(&s->peer);
	unsigned id = half_ref_party(claimant);
	uint32_t gen = load_relaxed(&s->peer_party_gen);
	uint64_t age = clock_now_ns() - load_relaxed(&s->born_ns);
	const struct half *peer;
	struct peer *owner;
	uint64_t gs;
	bool left;

	if (age < MOVED_REST_NS)
		return false;
	gs = id < PARTY_MAX ? load_acquire(&p->reg->parties[id].gen_state) : 0;
	if (id && ((uint32_t)gs == PARTY_FREE || (uint32_t)(gs >> 32) != gen))
		return true; /* Nothing of it is left. */
	if (party_peer_get(p, id, gen, &owner) < 0)
		return false;
	peer = half_find(owner->base, claimant);
	if (!peer || half_gen(peer) != half_ref_gen(claimant))
		left = true;
	else if (load_acquire(&peer->peer) != me)
		/* Of several processes each follows for itself. */
		left = !load_relaxed(&peer->shared) || half_state(peer) == HALF_RELEASED;
	else if (half_state(peer) == HALF_RELEASED)
		left = successor_is_gone(p, s);
	else
		left = false;
	if (!left && age > MOVED_WAKE_NS)
		half_notify(p, s, peer, owner, NOTIFY_DATA);
	party_peer_put(p, owner);
	return left;
}

/* Is the seat @i, whose word is @seat, to be made anew, or half so by one who died? */
static bool seat_is_old(struct party *p, struct party *lp, struct half *s, uint64_t seat)
{
	if (half_gen(s) != slot_word_gen(seat))
		return true;
	return load_acquire(&s->end) & END_MOVED && seat_is_left(p, lp, s, seat);
}

/* Where the connector of seat @i has followed, the seat is made anew in place.
 * @of_dead: Also where one who is dead holds it. */
static void seat_renew(struct party *p, struct party *lp, struct half *listener, uint32_t i,
		       bool of_dead)
{
	_Atomic uint64_t *word = &seat_words(lp, listener)[i];
	_Atomic uint32_t *lock = &seat_locks(lp, listener)[i];
	uint64_t seat = load_acquire(word);
	struct half *s = arena_half(lp->base, slot_word_slot(seat) % SLOT_MAX);

	if (seat == 0 || (half_gen(s) == slot_word_gen(seat) && !(load_acquire(&s->end) & END_MOVED)))
		return;
	if (!half_trylock(lock, of_dead))
		return;
	/* Another may have been faster. */
	if (load_acquire(word) == seat && seat_is_old(p, lp, s, seat)) {
		if (half_gen(s) == slot_word_gen(seat))
			half_renew(s);
		/* Also where who did this before us died here. */
		FAULT_POINT("tidy.renewed");
		seat = seat_init(p, listener, s, slot_word_slot(seat));
		store_release(word, seat);
		FAULT_POINT("tidy.seated");
		store_release(&claim_words(lp->mbox, load_relaxed(&listener->seat_base))[i], 0);
	}
	half_unlock(lock);
}

/* row_tidy() - The next @most seats, round and round. */
static void row_tidy(struct party *p, struct party *lp, struct half *listener, uint32_t most)
{
	uint32_t n = load_relaxed(&listener->seat_count), at = load_relaxed(&listener->seat_tidy);

	for (; most > 0; most--, at++)
		seat_renew(p, lp, listener, at % n, true);
	store_relaxed(&listener->seat_tidy, at);
}

/*
 * row_tidy_next() - The seats that the next connectors will try. Going round is
 * too slow for them where connections are short: most of a row may have been
 * left, and all that the next tickets name still be taken.
 */
static void row_tidy_next(struct party *p, struct party *lp, struct half *listener)
{
	uint32_t base = load_relaxed(&listener->seat_base), most = TIDY_NEXT;
	uint32_t n = load_relaxed(&listener->seat_count);
	uint64_t t = load_relaxed(&lp->mbox->claims[base]);

	for (uint32_t i = 0; i < NEXT_SEATS && i < n && most > 0; i++) {
		uint32_t at = (uint32_t)((t + i) % n);

		if (load_relaxed(&claim_words(lp->mbox, base)[at]) == 0)
			continue;
		seat_renew(p, lp, listener, at, false);
		most--;
	}
}

/* Return: 0, -EAGAIN where there is nobody, another -errno where he stays there;
 * -EBUSY: he is choosing, and says so when he has chosen. */
static int take_seat(struct party *p, struct half *listener, uint32_t i, unsigned handle,
		     const struct taker *by, struct conn *ret)
{
	_Atomic uint64_t *claim = &claim_words(p->mbox, load_relaxed(&listener->seat_base))[i];
	half_ref claimant = load_acquire(claim);
	int r;

	if (!seat_waits(p, listener, i))
		return -EAGAIN;
	r = by ? take_away(p, listener, i, claimant, by, ret)
	       : take_in_place(p, listener, i, claimant, handle, ret);
	if (r != -EPROTO && r != -ESRCH)
		return r;
	/* Not true, or nobody's. */
	party_distrust(p);
	atomic_compare_exchange_strong(claim, &claimant, 0);
	return -EAGAIN;
}

/* The same; where several processes accept, nobody else does so at this seat
 * meanwhile. *@ret_held is set where somebody does.
 * @of_dead: That he died is found out. */
static int take_held(struct party *p, struct half *listener, uint32_t i, unsigned handle,
		     const struct taker *by, bool of_dead, bool *ret_held, struct conn *ret)
{
	_Atomic uint32_t *lock = &seat_locks(p, listener)[i];
	int r;

	if (!load_relaxed(&listener->shared))
		return take_seat(p, listener, i, handle, by, ret);
	if (!half_trylock(lock, of_dead)) {
		*ret_held = true;
		return -EAGAIN;
	}
	FAULT_POINT("lock.held");
	r = take_seat(p, listener, i, handle, by, ret);
	half_unlock(lock);
	return r;
}

/*
 * take_next() - The oldest claim that can be believed.
 * @cursor: The seat, mod their number, after the one that was taken last: who
 *          has waited longest is there, or is the next one behind it.
 * @by:     NULL: in place, by the owner.
 *
 * All seats are looked at, not only those of tickets that were drawn since: a
 * connector may be slow between its ticket and its claim, and meanwhile another
 * may have been taken from the same seat. Where nobody was found, the seats that
 * another holds are looked at once more: he may be dead.
 */
static int take_next(struct party *p, struct half *listener, uint64_t *cursor, unsigned handle,
		     const struct taker *by, struct conn *ret)
{
	uint32_t base = load_relaxed(&listener->seat_base);
	uint32_t n = load_relaxed(&listener->seat_count);
	_Atomic uint64_t *seats = seat_words(p, listener);
	_Atomic uint64_t *claims = claim_words(p->mbox, base);
	uint64_t next = load_acquire(&p->mbox->claims[base]), from = *cursor, due = 0;
	int error = -EAGAIN;
	bool stays = false, held = true;

	for (int round = 0; round < 2 && held; round++) {
		held = false;
		for (uint32_t k = 0; k < n; k++) {
			uint32_t i = (uint32_t)((from + k) % n);
			int r;

			if (!seat_waits(p, listener, i))
				continue;
			if (claim_defers(p, listener, i, load_relaxed(&claims[i]), &due)) {
				stays = true;
				continue;
			}
			r = take_held(p, listener, i, handle, by, round, &held, ret);
			if (r == 0) {
				*cursor = from + k + 1;
				return 0;
			}
			/* It may be certain of its seat, and cannot be mapped
			 * now: so it stays, as a connection does where accept()
			 * gives EMFILE. */
			stays |= r != -EAGAIN;
			if (r != -EAGAIN && r != -EBUSY)
				error = r;
		}
	}
	/* Nobody waits: who draws the next ticket will be the first. */
	if (!stays && !held)
		*cursor = next;
	/* A seat that could not be made when its predecessor was taken. */
	for (uint32_t i = 0; i < n && !p->inherited; i++)
		if (load_relaxed(&seats[i]) == 0)
			store_release(&seats[i], seat_make(p, listener));
	return error;
}

int seat_take(struct party *p, struct half *listener, uint64_t *cursor, unsigned handle,
	      struct conn *ret)
{
	return take_next(p, listener, cursor, handle, NULL, ret);
}

int seat_take_shared(struct party *lp, struct half *listener, struct party *p, unsigned handle,
		     struct conn *ret)
{
	struct taker by = { .p = p, .handle = handle };
	uint64_t cursor;
	int slot = 0, r = -EINVAL;

	if (lp != p) {
		slot = party_slot_alloc(p);
		if (slot < 0)
			return slot;
		by.slot = (unsigned)slot;
	}
	/* Its executor may have been faster, where our handle is not counted. */
	if (half_state(listener) == HALF_LISTEN && load_relaxed(&listener->seat_count)) {
		cursor = load_relaxed(&listener->accept_cursor);
		r = take_next(lp, listener, &cursor, handle, lp != p ? &by : NULL, ret);
		store_relaxed(&listener->accept_cursor, cursor);
		row_tidy_next(p, lp, listener);
		row_tidy(p, lp, listener, TIDY_FEW);
	}
	if (r < 0 && lp != p)
		party_slot_free(p, by.slot); /* Nobody knows it. */
	return r;
}

void seat_tidy(struct party *lp, struct half *listener, struct party *p)
{
	uint32_t n = load_relaxed(&listener->seat_count);

	if (half_state(listener) == HALF_LISTEN && n)
		row_tidy(p, lp, listener, n < TIDY_MANY ? n : TIDY_MANY);
}

void seat_share(struct party *p, struct half *listener, uint64_t cursor)
{
	uint32_t base = load_relaxed(&listener->seat_base);
	uint32_t n = load_relaxed(&listener->seat_count), all = (n + 1 + 63) / 64 * 64 - 1;

	if (load_relaxed(&listener->shared))
		return;
	if (!p->inherited && all > n) {
		for (uint32_t i = n; i < all; i++) {
			store_relaxed(&claim_words(p->mbox, base)[i], 0);
			store_relaxed(&seat_locks(p, listener)[i], 0);
			store_relaxed(&seat_words(p, listener)[i], seat_make(p, listener));
		}
		store_release(&listener->seat_count, all);
		cursor %= n; /* A ticket means another seat now. */
	}
	store_relaxed(&listener->accept_cursor, cursor);
	store_release(&listener->shared, 1);
}
