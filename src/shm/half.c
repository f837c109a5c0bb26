/* SPDX-License-Identifier: BSD-2-Clause */
#include <limits.h>
#include <string.h>

#include "base/fault.h"
#include "shm/futex.h"
#include "shm/half.h"
#include "shm/owner.h"

void half_set_state(struct half *h, enum half_state s)
{
	uint64_t gs = load_relaxed(&h->gen_state);

	store_release(&h->gen_state, (gs & ~0xffffffffull) | (uint32_t)s);
}

half_ref half_ref_of(const struct party *p, const struct half *h)
{
	return half_ref_make(p->id, arena_slot(p->base, h), half_gen(h));
}

struct half *half_find(void *base, half_ref ref)
{
	unsigned slot = half_ref_slot(ref);

	return slot < SLOT_MAX ? arena_half(base, slot) : NULL;
}

/* Which of the want bits does a publication answer? */
static uint32_t want_answered(const struct half *own, const struct half *peer, uint32_t want,
			      uint32_t what)
{
	uint32_t mask = 0;

	if (what & (NOTIFY_DATA | NOTIFY_END))
		mask |= WANT_DATA_MASK | WANT_HINT_DATA;
	if (what & NOTIFY_END)
		mask |= WANT_SPACE_MASK | WANT_HINT_SPACE;
	if (what & NOTIFY_SPACE && want & (WANT_SPACE_MASK | WANT_HINT_SPACE) &&
	    load_relaxed(&own->head) >= load_acquire(&peer->want_space))
		mask |= WANT_SPACE_MASK | WANT_HINT_SPACE;
	return want & mask;
}

void half_ring(struct party *p, struct peer *owner, const struct half *h)
{
	uint64_t at = load_acquire(&h->bell_at);
	struct peer *holder;
	uint32_t gen;

	/* Who has it is another process than the owner. Where that one is gone
	 * the owner may be there; the others look by themselves. */
	if (unlikely(bell_at_party(at) != 0) &&
	    registry_party_gen(p->reg, bell_at_party(at), bell_at_gen(at), &gen) &&
	    party_peer_get(p, bell_at_party(at), gen, &holder) == 0) {
		peer_ring_bell(p, holder, bell_at_slot(at), bell_at_bell(at));
		party_peer_put(p, holder);
		return;
	}
	peer_ring_bell(p, owner, arena_slot(owner->base, h), load_relaxed(&h->bell));
}

uint32_t half_notify(struct party *p, struct half *own, const struct half *peer,
		     struct peer *owner, uint32_t what)
{
	uint32_t want, hit;

	/* What was published goes before the look at who wants it. Pairs with
	 * the fence in conn_want_*(): either we see the wish, or the sleeper
	 * sees what we published. */
	atomic_thread_fence(memory_order_seq_cst);
	want = load_relaxed(&peer->want);
	if (likely(!(want & ~(WANT_CLOSED | WANT_TAKEN_MASK))))
		return want;
	hit = want_answered(own, peer, want, what);
	if (hit & (WANT_DATA_MASK | WANT_SPACE_MASK)) {
		atomic_fetch_add(&own->event, 1);
		futex_wake(&own->event, INT_MAX);
	}
	if (hit & (WANT_HINT_DATA | WANT_HINT_SPACE))
		half_ring(p, owner, peer);
	if (unlikely(want & WANT_SIGNAL))
		owner_notify(own, peer, what, want,
			     hit & (WANT_HINT_SPACE | WANT_SPACE_MASK));
	if (hit)
		atomic_fetch_add_explicit(&own->wakes, 1, memory_order_relaxed);
	return want;
}

uint32_t half_end(struct party *p, struct half *own, const struct half *peer,
	      struct peer *owner, bool force_rst)
{
	uint32_t end = END_FIN, had, want = 0;

	if (!peer) {
		half_set_state(own, HALF_CLOSED);
		return 0;
	}
	/* From here on, bytes meet a closed socket. Either their sender sees
	 * that, or we see its bytes: the fence pairs with half_notify()'s. */
	atomic_fetch_or(&own->want, WANT_CLOSED);
	atomic_thread_fence(memory_order_seq_cst);
	if (force_rst || load_relaxed(&own->end) & END_RST ||
	    load_acquire(&peer->tail) != load_relaxed(&own->head))
		end = END_RST;
	/* Linux: where both FINs have gone, the connection is over already. */
	if (load_relaxed(&own->end) == END_FIN && load_acquire(&peer->end) == END_FIN)
		end = END_FIN;
	FAULT_POINT("end.wanted");
	had = atomic_fetch_or(&own->end, end);
	FAULT_POINT("end.end");
	half_set_state(own, HALF_CLOSED);
	FAULT_POINT("end.closed");
	/* That a side which had shut is closed now is no news to the peer. */
	if ((had & end) != end)
		want = half_notify(p, own, peer, owner, NOTIFY_END);
	FAULT_POINT("end.notified");
	return want;
}

void half_release(struct half *own)
{
	half_set_state(own, HALF_RELEASED);
}

void half_renew(struct half *h)
{
	uint64_t gen = half_gen(h) + 1u;

	/* The new generation first: from here on nobody takes what follows
	 * for the old half's. */
	store_release(&h->gen_state, (gen & 0xffffffff) << 32 | HALF_FREE);
	atomic_thread_fence(memory_order_seq_cst);
	memset((char *)h + offsetof(struct half, peer), 0,
	       sizeof(*h) - offsetof(struct half, peer));
}

bool half_reusable(struct half *own, void *peer_base)
{
	half_ref ref = load_relaxed(&own->peer);
	const struct half *peer;
	uint64_t gs;

	if (ref == 0 || !peer_base)
		return true;
	peer = half_find(peer_base, ref);
	if (!peer)
		return true;
	gs = load_acquire(&peer->gen_state);
	if ((uint32_t)(gs >> 32) != half_ref_gen(ref))
		return true;
	if (load_acquire(&peer->end) & END_MOVED) {
		half_ref to = load_relaxed(&peer->moved);
		uint32_t gen = load_relaxed(&peer->moved_gen);

		if (half_gen(peer) == half_ref_gen(ref)) {
			store_relaxed(&own->peer_party_gen, gen);
			store_release(&own->peer, to);
		}
		return false;
	}
	return (uint32_t)gs == HALF_RELEASED;
}
