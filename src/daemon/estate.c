/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estate.c - Executing what hung up, and what the dead leave behind.
 *
 * A handle that hung up names its half in the owner's arena; that half is
 * executed, whether the owner lives or not. A dead party whose last handle
 * hung up (handles live on in forked children) has the rest of its halves
 * executed: seats, connectors in the middle, sockets without a handle. Its
 * memory then stays until no peer needs it: what was sent before the end is
 * still to be read.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fault.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/shares.h"
#include "shm/execute.h"

#define HANGUP_BATCH 256
#define STRIKES_MAX 3

static void estate_execute(struct daemon *d, unsigned id, unsigned slot, uint32_t gen)
{
	struct client *c = &d->clients[id];
	struct half *h;

	if (slot >= SLOT_MAX)
		return;
	h = arena_half(c->peer.base, slot);
	if (half_gen(h) != gen)
		return;
	/* First: who finds nobody in the registry asks the kernel, where the
	 * keeper's copy of its shadow would listen on. */
	shares_half_ends(d, id, slot, gen);
	ports_half_ends(d, id, h);
	execute_half(d->exec, &c->peer, slot, gen);
}

void estate_reset_all(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	unsigned used = c->peer.base ? load_acquire(&arena_hdr(c->peer.base)->slots_used) : 0;

	for (unsigned slot = 0; slot < used && slot < SLOT_MAX; slot++) {
		struct half *h = arena_half(c->peer.base, slot);

		if (half_state(h) == HALF_OPEN)
			atomic_fetch_or(&h->end, END_RST);
	}
}

void estate_execute_all(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	unsigned used = c->peer.base ? load_acquire(&arena_hdr(c->peer.base)->slots_used) : 0;

	for (unsigned slot = 0; slot < used && slot < SLOT_MAX; slot++) {
		uint64_t gs = load_acquire(&arena_half(c->peer.base, slot)->gen_state);

		if ((uint32_t)gs != HALF_FREE && (uint32_t)gs != HALF_RELEASED)
			estate_execute(d, id, slot, (uint32_t)(gs >> 32));
	}
}

void estate_reset_queues(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	unsigned used = c->peer.base ? load_acquire(&arena_hdr(c->peer.base)->slots_used) : 0;

	for (unsigned slot = 0; slot < used && slot < SLOT_MAX; slot++) {
		uint64_t gs = load_acquire(&arena_half(c->peer.base, slot)->gen_state);

		if ((uint32_t)gs == HALF_LISTEN &&
		    !shares_listener(d, id, slot, (uint32_t)(gs >> 32)))
			estate_execute(d, id, slot, (uint32_t)(gs >> 32));
	}
}

/* One entry of the hung ring. */
static void estate_hangup(struct daemon *d, unsigned id, unsigned handle)
{
	struct client *c = &d->clients[id];
	_Atomic uint64_t *word;
	uint64_t w;

	if (load_acquire(&d->t->handles[id][handle]) != HANDLE_HUNG)
		return; /* The last daemon did it and died before it said so. */
	if (c->peer.base && d->t->strikes < STRIKES_MAX) {
		word = arena_handles(c->peer.base) + handle;
		w = load_acquire(word);
		if (w) {
			estate_execute(d, id, slot_word_slot(w), slot_word_gen(w));
			atomic_compare_exchange_strong(word, &w, 0);
		}
	}
	FAULT_POINT("estate.executed");
	store_release(&d->t->handles[id][handle], HANDLE_DONE);
	if (c->live)
		c->live--;
	if (daemon_state(d, id) != REC_DEAD)
		return;
	if (c->live == 0)
		estate_died(d, id);
	/* Its claim may have been held back until now (TCP_DEFER_ACCEPT). */
	d->ring_due = true;
}

/* Some entries of one holder's. Return: whether more waits. */
static bool estate_holder(struct daemon *d, struct holder *o)
{
	struct table *t = d->t;
	uint32_t head = load_relaxed(&o->head);
	unsigned n = 0;

	while (head != load_acquire(&o->tail) && n++ < HANGUP_BATCH) {
		uint32_t entry = o->hung[head % HUNG_RING];

		/* An entry that kills daemon after daemon is passed over. */
		t->strikes = t->at_work == entry + 1 ? t->strikes + 1 : 0;
		t->at_work = entry + 1;
		if (t->strikes == STRIKES_MAX)
			log_line("party %u, handle %u: cannot be executed, left alone",
				 entry >> 16, entry & 0xffff);
		estate_hangup(d, entry >> 16, entry & 0xffff);
		t->at_work = 0;
		store_release(&o->head, ++head);
		atomic_fetch_add(&t->hung_done, 1);
	}
	return head != load_acquire(&o->tail);
}

bool estate_hangups(struct daemon *d)
{
	unsigned count = load_acquire(&d->t->holder_count);
	bool more = false;

	/* From where the last daemon was: an entry that it died of comes first. */
	for (unsigned i = 0; i < count; i++) {
		more |= estate_holder(d, &d->t->holders[d->t->at_holder % count]);
		d->t->at_holder = (d->t->at_holder + 1) % count;
	}
	/* Once, however many of the dead there were; a daemon rings when it begins. */
	if (d->ring_due)
		shares_ring(d);
	d->ring_due = false;
	return more;
}

/* Does any live client still have it mapped? */
static bool estate_known(const struct daemon *d, unsigned id)
{
	for (unsigned c = 1; c < d->t->rec_high; c++)
		if (daemon_state(d, c) == REC_ALIVE &&
		    (d->t->knows[c][id / 64] & 1ull << (id % 64)))
			return true;
	return false;
}

/* Are there processes left that could read anything? */
static bool estate_readers(const struct daemon *d)
{
	for (unsigned c = 1; c < d->t->rec_high; c++) {
		enum rec_state s = daemon_state(d, c);

		if (s == REC_ALIVE || (s == REC_DEAD && !d->t->recs[c].executed))
			return true;
	}
	return false;
}

static void estate_drop(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	struct rec *r = daemon_rec(d, id);

	if (c->peer.base) {
		struct arena_hdr *hdr = arena_hdr(c->peer.base);

		d->t->opened += load_relaxed(&hdr->opened);
		d->t->bytes += load_relaxed(&hdr->tx_bytes_done);
		for (unsigned i = 0; i < ARRAY_LEN(d->t->fallbacks); i++)
			d->t->fallbacks[i] += load_relaxed(&hdr->fallbacks[i]);
		/* Halves that nobody recycles any more. */
		for (unsigned s = 0; s < load_relaxed(&hdr->slots_used) && s < SLOT_MAX; s++) {
			const struct half *h = arena_half(c->peer.base, s);

			if (!(load_relaxed(&h->side) & SIDE_CHANNEL))
				d->t->bytes += load_relaxed(&h->tail);
		}
		arena_unmap(c->peer.base, ARENA_BYTES);
	}
	if (c->peer.mbox)
		arena_unmap(c->peer.mbox, MAILBOX_BYTES);
	d->exec->peers[id] = NULL;
	shares_party_ends(d, id);
	FAULT_POINT("estate.drop");
	registry_party_set(d->reg, id, r->gen, PARTY_FREE, 0, 0);
	store_release(&r->state, REC_FREE);
	FAULT_POINT("estate.free");
	clients_drop(d, id, (1u << KEPT_COUNT) - 1);
	memset(c, 0, sizeof(*c));
	d->estates_dirty = true;
}

void estate_try_drop(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	struct rec *r = daemon_rec(d, id);

	if (daemon_state(d, id) != REC_DEAD || !r->executed || estate_known(d, id))
		return;
	if (c->peer.base && estate_readers(d) && !execute_idle(c->peer.base, clients_lookup, d))
		return;
	estate_drop(d, id);
}

/* Too many estates, or too much in them: the oldest goes. Who maps it keeps
 * what it maps; who did not accept yet gets a reset. */
static void estate_bound(struct daemon *d)
{
	unsigned count = 0, oldest = 0;
	uint64_t bytes = 0;

	for (unsigned id = 1; id < d->t->rec_high; id++) {
		if (daemon_state(d, id) != REC_DEAD || !d->t->recs[id].executed)
			continue;
		count++;
		bytes += d->clients[id].estate_bytes;
		if (!oldest || d->t->recs[id].died_ns < d->t->recs[oldest].died_ns)
			oldest = id;
	}
	if (count <= ESTATE_MAX && bytes <= ESTATE_BYTES)
		return;
	log_line("limit of estates reached (%u, %llu bytes): party %u's is dropped", count,
		 (unsigned long long)bytes, oldest);
	estate_drop(d, oldest);
}

void estate_died(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	struct rec *r = daemon_rec(d, id);
	struct stat st;

	if (c->live > 0)
		return;
	if (!r->executed) {
		estate_execute_all(d, id);
		ports_party_ended(d, id);
		FAULT_POINT("estate.party");
		r->executed = 1;
	}
	if (fstat(keeper_fd(d->k, id, KEPT_ARENA), &st) == 0)
		c->estate_bytes = (uint64_t)st.st_blocks * 512;
	d->estates_dirty = true;
	estate_bound(d);
}

void estate_sweep(struct daemon *d)
{
	d->estates_dirty = false;
	shares_sweep(d);
	for (unsigned id = 1; id < d->t->rec_high; id++)
		estate_try_drop(d, id);
}
