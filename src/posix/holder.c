/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holder.c - Theory of operation.
 *
 * half.bell_at says who is rung. To take it from somebody who counts on it
 * (a hint is wanted in half.want) is three steps: mark the word as in doubt,
 * ring him, replace the word. Who is rung and finds his word in doubt, or
 * replaced, polls in slices from then on. So there is no moment at which a
 * process that dies here leaves another asleep with nobody to ring it: up to
 * the last step the old holder is rung by the peer, and before that step he was
 * told. Whoever begins to want hints while the word is taken from him sees it
 * himself (holder_is_us() after the wish), or the taker sees his wish.
 *
 * He must be known to be rung. Where he is not, that is left for holder_meet(),
 * when the lock is dropped, and the watch is looked at again.
 *
 * A wish is taken back (sock_unwant()) only by the holder, and only if nobody
 * took the bell meanwhile: WANT_TAKEN_* counts that.
 */
#include <errno.h>

#include "base/sys.h"
#include "posix/holder.h"
#include "posix/process.h"
#include "posix/watch.h"

#define STOCK_MOST 256u
#define MEET_MOST 16u
#define WANT_HINTS (WANT_HINT_DATA | WANT_HINT_SPACE)

/** struct holder - Who has a bell; @peer NULL: nobody who would miss it. */
struct holder {
	struct peer *peer;
	unsigned slot, bell;
};

_Atomic uint32_t holder_waits;

static uint16_t stock[STOCK_MOST];
static unsigned stock_count;
static struct meeting {
	struct sock *s; /* with a reference */
	uint64_t at;
} meetings[MEET_MOST];

/* ------------------------------------------------------------------ aliases */

bool holder_stock(unsigned count)
{
	struct party *p = process_party();
	bool enough = false;

	if (count > STOCK_MOST)
		count = STOCK_MOST;
	while (p && !enough) {
		int slot;

		watch_lock();
		enough = stock_count >= count;
		watch_unlock();
		if (enough)
			break;
		slot = party_slot_alloc(p);
		if (slot < 0)
			break;
		watch_lock();
		if (stock_count < STOCK_MOST) {
			stock[stock_count++] = (uint16_t)slot;
			slot = -1;
		}
		watch_unlock();
		if (slot >= 0)
			party_slot_free(p, (unsigned)slot);
	}
	return enough;
}

bool holder_choose(struct sock *s, unsigned bell)
{
	struct party *p = process.party;
	uint64_t old = s->bell_at;
	unsigned slot;

	if (!p || (!old && stock_count == 0))
		return false;
	if (!old) {
		slot = stock[--stock_count];
		sock_alias(slot, s);
	} else {
		slot = bell_at_slot(old);
	}
	s->bell_at = bell_at_make(bell, p->id, slot, p->gen);
	if (old && old != s->bell_at)
		atomic_compare_exchange_strong(&s->half->bell_at, &old, s->bell_at);
	return true;
}

void holder_end(struct sock *s)
{
	unsigned slot = bell_at_slot(s->bell_at);
	bool had = s->bell_at != 0;

	if (!had && !load_relaxed(&s->half->shared))
		return;
	watch_lock();
	holder_release(s);
	s->bell_at = 0;
	if (had)
		sock_alias(slot, NULL);
	watch_unlock();
	if (had)
		party_slot_free(process.party, slot);
}

/* ------------------------------------------------------------------ holding */

bool holder_is_us(const struct sock *s)
{
	return (!s->foreign || s->bell_at) && load_acquire(&s->half->bell_at) == s->bell_at;
}

/* Does @at name us, perhaps in doubt, perhaps with another bell? */
static bool names_us(const struct sock *s, uint64_t at)
{
	uint64_t same = ~(0xfull << 60 | BELL_AT_DOUBT);

	return (!s->foreign || s->bell_at) && ((at ^ s->bell_at) & same) == 0;
}

/* The party that @at names. Return: false where it is gone. */
static bool holder_party(const struct sock *s, uint64_t at, unsigned *ret_id, uint32_t *ret_gen)
{
	const struct registry *reg = process.party->reg;

	*ret_id = bell_at_party(at);
	if (*ret_id)
		return registry_party_gen(reg, *ret_id, bell_at_gen(at), ret_gen);
	*ret_id = s->party->id;
	*ret_gen = s->party->gen;
	return registry_party_alive(reg, *ret_id, *ret_gen);
}

static unsigned holder_bell(const struct sock *s, uint64_t at)
{
	return bell_at_party(at) ? bell_at_bell(at) : load_relaxed(&s->half->bell) % BELL_MAX;
}

/* Return: 0, or -EAGAIN where he has to be met first. */
static int holder_find(const struct sock *s, uint64_t at, struct holder *ret)
{
	uint32_t gen;
	unsigned id;

	*ret = (struct holder){ .slot = bell_at_party(at) ? bell_at_slot(at) : s->slot,
				.bell = holder_bell(s, at) };
	if ((at & ~BELL_AT_DOUBT) == BELL_AT_NOBODY || names_us(s, at) ||
	    !holder_party(s, at, &id, &gen))
		return 0;
	/* A parent of ours: what we know of it came along. */
	if (id == s->party->id && gen == s->party->gen && s->party->self.base)
		ret->peer = &s->party->self;
	else
		ret->peer = party_peer_look(process.party, id, gen);
	if (ret->peer && load_acquire(&ret->peer->bell_fd[ret->bell]) >= 0)
		return 0;
	if (ret->peer)
		party_peer_put(process.party, ret->peer);
	return -EAGAIN;
}

static void holder_ring(const struct holder *h)
{
	peer_ring_bell(process.party, h->peer, h->slot, h->bell);
}

/* Return: what was wanted before. */
static uint32_t count_taken(struct half *h)
{
	uint32_t want = load_relaxed(&h->want), next;

	do
		next = (want & ~WANT_TAKEN_MASK) | ((want + WANT_TAKEN_ONE) & WANT_TAKEN_MASK);
	while (!atomic_compare_exchange_weak(&h->want, &want, next));
	return want;
}

static bool holder_take(struct sock *s, uint64_t at, const struct holder *old)
{
	struct half *h = s->half;
	bool told = false;
	uint32_t want;

	if (old->peer && load_relaxed(&h->want) & WANT_HINTS) {
		if (!(at & BELL_AT_DOUBT) &&
		    !atomic_compare_exchange_strong(&h->bell_at, &at, at | BELL_AT_DOUBT))
			return false;
		at |= BELL_AT_DOUBT;
		holder_ring(old);
		told = true;
	}
	if (!atomic_compare_exchange_strong(&h->bell_at, &at, s->bell_at))
		return false;
	/* Pairs with holder_is_us() after a wish. */
	want = count_taken(h);
	if (old->peer && !told && want & WANT_HINTS)
		holder_ring(old);
	/* What we had asked for, others may have taken back. */
	for (struct watch *w = s->watches; w; w = w->target_next)
		w->armed = 0;
	return true;
}

static void meet_later(struct sock *s, uint64_t at)
{
	uint32_t n = load_relaxed(&holder_waits);

	for (uint32_t i = 0; i < n; i++)
		if (meetings[i].s == s)
			return;
	if (n == MEET_MOST || !sock_hold(s))
		return;
	meetings[n] = (struct meeting){ s, at };
	store_relaxed(&holder_waits, n + 1);
}

bool holder_have(struct watch *w)
{
	struct sock *s = watch_sock(w);
	uint64_t at = load_acquire(&s->half->bell_at);
	struct holder old;
	bool ours;

	if (!w->belled || (s->foreign && (!s->bell_at || process.orphan)) || !process.party)
		return false;
	if (at == s->bell_at)
		return true;
	if (!w->fresh && at & BELL_AT_DOUBT)
		return false;
	if (holder_find(s, at, &old) < 0) {
		if (w->fresh)
			meet_later(s, at);
		return false;
	}
	ours = w->fresh || !old.peer ||
	       load_relaxed(&arena_hdr(old.peer->base)->bells[old.bell].sleepers) == 0;
	if (ours)
		ours = holder_take(s, at, &old);
	if (old.peer)
		party_peer_put(process.party, old.peer);
	for (struct watch *o = ours ? s->watches : NULL; o; o = o->target_next)
		if (o != w)
			watch_enqueue(o);
	return ours;
}

void holder_release(struct sock *s)
{
	uint64_t at = s->bell_at;

	if (holder_concerns(s) && holder_is_us(s))
		atomic_compare_exchange_strong(&s->half->bell_at, &at, BELL_AT_NOBODY);
}

/* ------------------------------------------------------------------ meeting */

static bool meet(const struct meeting *m)
{
	unsigned bell = holder_bell(m->s, m->at), id;
	struct party *p = m->s->party;
	struct peer *peer;
	uint32_t gen;
	int r;

	if (!holder_party(m->s, m->at, &id, &gen))
		return true;
	if (id == p->id && gen == p->gen && p->self.base)
		return peer_bell_get(p, &p->self, bell) == 0;
	r = party_peer_get(process.party, id, gen, &peer);
	if (r < 0)
		return r == -ESRCH;
	r = peer_bell_get(process.party, peer, bell);
	party_peer_put(process.party, peer);
	return r == 0;
}

void holder_meet(void)
{
	struct meeting todo[MEET_MOST];
	uint32_t n;

	watch_lock();
	n = load_relaxed(&holder_waits);
	store_relaxed(&holder_waits, 0);
	for (uint32_t i = 0; i < n; i++)
		todo[i] = meetings[i];
	watch_unlock();
	for (uint32_t i = 0; i < n; i++) {
		bool met = meet(&todo[i]);

		watch_lock();
		for (struct watch *w = todo[i].s->watches; w; w = w->target_next) {
			if (met)
				watch_enqueue(w);
			else
				w->fresh = false;
		}
		watch_unlock();
		sock_put(todo[i].s);
	}
}

void holder_tell(struct sock *s)
{
	struct meeting m = { s, load_acquire(&s->half->bell_at) };
	struct holder old;
	int r;

	bool fresh = load_relaxed(&s->stage) == SOCK_NEW; /* where nobody asks for hints */

	if (likely(!s->foreign && !load_relaxed(&s->half->shared)) ||
	    load_relaxed(&s->stage) == SOCK_LISTEN ||
	    (!fresh && !(load_relaxed(&s->half->want) & WANT_HINTS)) || !process_party())
		return;
	for (int tries = 0; tries < 2; tries++) {
		watch_lock();
		r = holder_find(s, m.at, &old);
		watch_unlock();
		if (r == 0 || !meet(&m))
			break;
	}
	if (r < 0 || !old.peer)
		return;
	holder_ring(&old);
	party_peer_put(process.party, old.peer);
}

void holder_fork_child(void)
{
	stock_count = 0;
	store_relaxed(&holder_waits, 0);
}
