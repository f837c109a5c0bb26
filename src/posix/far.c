/* SPDX-License-Identifier: BSD-2-Clause */
#include "posix/far.h"
#include "posix/pool.h"
#include "posix/process.h"
#include "shm/seat.h"

static struct pool far_pool = { .size = sizeof(struct far) };

struct far *far_make(uint32_t i)
{
	struct far *f = pool_get(&far_pool);

	if (f)
		f->i = i;
	return f;
}

void far_free(struct far *f)
{
	if (f->owner)
		party_peer_put(process.party, f->owner);
	if (f->other)
		party_peer_put(process.party, f->other);
	pool_put(&far_pool, f);
}

/* The party @id, from *@at where it is that one. Return: NULL where it is to be met. */
static struct peer *party_at(struct far *f, struct peer **at, unsigned id, uint32_t gen)
{
	if (*at && (*at)->id == id && (*at)->gen == gen)
		return *at;
	if (*at)
		party_peer_put(process.party, *at);
	*at = process.party ? party_peer_look(process.party, id, gen) : NULL;
	if (!*at && !f->lost) {
		f->want = id + 1;
		f->want_gen = gen;
	}
	return *at;
}

/* The half, read-only perhaps; NULL: not known yet. */
static struct half *far_half(struct far *f, const struct ledger_entry *n)
{
	void *base = f->base;

	if (!base && party_at(f, &f->owner, half_ref_party(n->file), n->party_gen))
		base = f->owner->base;
	return base ? half_find(base, n->file) : NULL;
}

/* What its peer is now, also where the half's holders have not followed yet. */
static const struct half *far_peer(struct far *f, const struct half *own)
{
	half_ref ref = load_acquire(&own->peer);
	uint32_t gen = load_relaxed(&own->peer_party_gen);
	const struct half *peer = NULL;

	for (unsigned i = 0; i < 2; i++) {
		if (!party_at(f, &f->other, half_ref_party(ref), gen))
			return NULL;
		peer = half_find(f->other->base, ref);
		if (!peer || half_gen(peer) != half_ref_gen(ref) ||
		    !(load_acquire(&peer->end) & END_MOVED))
			break;
		ref = load_relaxed(&peer->moved);
		gen = load_relaxed(&peer->moved_gen);
	}
	return peer;
}

/* A view of another party's memory, for what only looks. */
static uint32_t far_listener(struct far *f, const struct ledger_entry *n, const struct half *own)
{
	static struct party view;
	uint64_t cursor = 0;

	if (f->hot)
		return POLLIN | POLLRDNORM;
	if (!(load_relaxed(&own->side) & SIDE_LISTENS))
		return POLLOUT | POLLWRNORM | POLLHUP;
	/* Who waits in silence is noted as one looks, which is not ours to do. */
	if (load_relaxed(&own->defer_ms) ||
	    !party_at(f, &f->owner, half_ref_party(n->file), n->party_gen))
		return 0;
	view.base = f->owner->base;
	view.mbox = f->owner->mbox;
	return seat_waiting(&view, own, &cursor) ? POLLIN | POLLRDNORM : 0;
}

/* Has even the memory of the party gone that the half was in? */
static bool far_is_past(const struct ledger_entry *n)
{
	uint64_t gs;

	if (!process.party)
		return false;
	gs = load_acquire(&process.party->reg->parties[half_ref_party(n->file)].gen_state);
	return (uint32_t)(gs >> 32) != n->party_gen || (uint32_t)gs == PARTY_FREE;
}

/* All that comes goes through the kernel: see epoll_ctl(). */
static uint32_t far_datagrams(const struct ledger_entry *n, const struct far *f,
			      const struct half *own)
{
	if (half_gen(own) != half_ref_gen(n->file) || half_state(own) == HALF_CLOSED ||
	    half_state(own) == HALF_RELEASED || half_state(own) == HALF_FREE)
		return FAR_GONE;
	return POLLOUT | POLLWRNORM | (f->hot ? POLLIN | POLLRDNORM : 0u);
}

uint32_t far_now(struct far *f, const struct ledger_entry *n, const struct half **ret_own,
		 const struct half **ret_peer)
{
	struct half *own;

	*ret_own = *ret_peer = NULL;
	/* A set: what is in it is seen by who has it. */
	if (n->kind == FOBJ_EPOLL)
		return 0;
	own = far_half(f, n);
	if (!own)
		return far_is_past(n) ? FAR_GONE : 0;
	if (n->kind == FOBJ_DGRAM)
		return far_datagrams(n, f, own);
	if (half_gen(own) != half_ref_gen(n->file))
		return FAR_GONE;
	*ret_own = own;
	switch (half_state(own)) {
	case HALF_BOUND:
		return POLLOUT | POLLWRNORM | POLLHUP |
		       (load_relaxed(&own->side) & SIDE_RD_SHUT ? POLLIN | POLLRDNORM | POLLRDHUP
								: 0u);
	case HALF_LISTEN:
		return far_listener(f, n, own);
	case HALF_OPEN:
		*ret_peer = far_peer(f, own);
		return *ret_peer ? conn_glance(process.party, own, *ret_peer, f->other) : 0;
	case HALF_FREE:
	case HALF_CLOSED:
	case HALF_RELEASED:
		return FAR_GONE;
	case HALF_SEAT:
	case HALF_CONNECTING:
	case HALF_DGRAM:
		break;
	}
	return 0;
}
