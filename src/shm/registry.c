/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry.c - A port's word names one immutable record. To change who
 * listens on a port, the daemon fills in another record and swaps the word;
 * the word's sequence moves with each swap, so a reader that sees the same
 * word before and after its copy has a whole record.
 */
#include <errno.h>

#include "shm/addr.h"
#include "shm/registry.h"

#define REGISTRY_TRIES 64

int registry_check(const struct registry *r)
{
	return r->magic == REGISTRY_MAGIC && r->version == ABI_VERSION ? 0 : -EPROTO;
}

bool registry_party_alive(const struct registry *r, unsigned id, uint32_t gen)
{
	return id < PARTY_MAX &&
	       load_acquire(&r->parties[id].gen_state) == ((uint64_t)gen << 32 | PARTY_ALIVE);
}

bool registry_party_gen(const struct registry *r, unsigned id, uint32_t gen, uint32_t *ret)
{
	uint64_t gs = id < PARTY_MAX ? load_acquire(&r->parties[id].gen_state) : 0;

	*ret = (uint32_t)(gs >> 32);
	return (uint32_t)gs == PARTY_ALIVE && (*ret & 0x7fffffff) == gen;
}

/* The record that a word names; NULL for none and for nonsense. */
static const struct registry_listener *word_record(const struct registry *r, uint64_t word)
{
	uint32_t n = (uint32_t)word;

	return n == 0 || n > LISTENER_MAX ? NULL : &r->records[n - 1];
}

/* Whose address fits @at best. Return: how many; *@ret_rank is addr_rank() of each. */
static uint32_t record_matches(const struct registry_listener *l, uint32_t n, addr_word at,
			       unsigned *ret_rank)
{
	uint32_t match = 0;
	unsigned best = 0;

	for (uint32_t i = 0; i < n; i++) {
		unsigned rank = addr_rank(load_relaxed(&l->at[i]), at);

		if (rank > best) {
			best = rank;
			match = 0;
		}
		match += rank == best && rank > 0;
	}
	*ret_rank = best;
	return match;
}

int registry_find_one(const struct registry *r, addr_word at, uint32_t pick,
		      struct listener_ref *ret)
{
	unsigned port = port_index(at);

	for (int try = 0; try < REGISTRY_TRIES; try++) {
		uint64_t word = load_acquire(&r->ports[port]);
		const struct registry_listener *l = word_record(r, word);
		struct listener_ref found = { 0, 0 };
		uint32_t n, match, left;
		unsigned rank;

		if (!l)
			return -ENOENT;
		n = load_relaxed(&l->count);
		if (n > LISTEN_PER_PORT)
			n = LISTEN_PER_PORT;
		match = record_matches(l, n, at, &rank);
		left = match ? pick % match : 0;
		for (uint32_t i = 0; i < n && match; i++) {
			if (addr_rank(load_relaxed(&l->at[i]), at) != rank || left-- > 0)
				continue;
			found.half = load_relaxed(&l->half[i]);
			found.party_gen = load_relaxed(&l->party_gen[i]);
			break;
		}
		atomic_thread_fence(memory_order_acquire);
		if (load_relaxed(&r->ports[port]) != word)
			continue;
		if (!found.half)
			return -ENOENT;
		*ret = found;
		return (int)match;
	}
	return -ENOENT;
}

int registry_find(const struct registry *r, addr_word at, struct listener_ref *ret)
{
	int n = registry_find_one(r, at, 0, ret);

	return n < 0 ? n : 0;
}

int registry_find_of(const struct registry *r, addr_word at, unsigned id, uint32_t gen,
		     struct listener_ref *ret)
{
	int n = 1;

	for (uint32_t pick = 0; (int)pick < n; pick++) {
		n = registry_find_one(r, at, pick, ret);
		if (n > 0 && half_ref_party(ret->half) == id && ret->party_gen == gen)
			return 0;
	}
	return -ENOENT;
}

uint64_t registry_dgram_word(const struct registry *r, uint16_t port)
{
	return load_acquire(&r->ports[port_index(ADDR_WORD_DGRAM | port)]);
}

int registry_dgram(const struct registry *r, uint16_t port, unsigned i, struct listener_ref *ret)
{
	for (int try = 0; try < REGISTRY_TRIES; try++) {
		uint64_t word = registry_dgram_word(r, port);
		const struct registry_listener *l = word_record(r, word);
		struct listener_ref found;

		if (!l || i >= load_relaxed(&l->count) || i >= LISTEN_PER_PORT)
			return -ENOENT;
		found.half = load_relaxed(&l->half[i]);
		found.party_gen = load_relaxed(&l->party_gen[i]);
		atomic_thread_fence(memory_order_acquire);
		if (registry_dgram_word(r, port) != word)
			continue;
		*ret = found;
		return 0;
	}
	return -ENOENT;
}

void registry_init(struct registry *r, uint32_t policy)
{
	r->version = ABI_VERSION;
	r->policy = policy;
	registry_addr_init(r);
	r->magic = REGISTRY_MAGIC;
}

void registry_party_set(struct registry *r, unsigned id, uint32_t gen,
			enum party_state state, uint32_t pid, uint32_t uid)
{
	store_relaxed(&r->parties[id].pid, pid);
	store_relaxed(&r->parties[id].uid, uid);
	store_release(&r->parties[id].gen_state, (uint64_t)gen << 32 | (uint32_t)state);
}

/* A record that no port names: the daemon alone asks, so a walk will do. */
static uint32_t record_unused(const struct registry *r)
{
	for (uint32_t i = 0; i < LISTENER_MAX; i++)
		if (load_relaxed(&r->records[i].count) == 0)
			return i + 1;
	return 0;
}

static void word_swap(struct registry *r, unsigned port, uint32_t record)
{
	uint64_t old = load_relaxed(&r->ports[port]);
	const struct registry_listener *was = word_record(r, old);

	store_release(&r->ports[port], ((old >> 32) + 1) << 32 | record);
	if (was)
		store_relaxed(&r->records[(uint32_t)old - 1].count, 0);
}

int registry_listen(struct registry *r, addr_word at, const struct listener_ref *ref, bool join)
{
	unsigned port = port_index(at);
	const struct registry_listener *was = word_record(r, load_relaxed(&r->ports[port]));
	uint32_t n = was ? load_relaxed(&was->count) : 0;
	struct registry_listener *now;
	uint32_t record;

	for (uint32_t i = 0; i < n; i++) {
		if (load_relaxed(&was->at[i]) != at)
			continue;
		if (load_relaxed(&was->half[i]) == ref->half)
			return 0;
		if (!join)
			return -EADDRINUSE;
	}
	record = record_unused(r);
	if (record == 0 || n == LISTEN_PER_PORT)
		return -ENOSPC;
	now = &r->records[record - 1];
	for (uint32_t i = 0; i < n; i++) {
		store_relaxed(&now->at[i], load_relaxed(&was->at[i]));
		store_relaxed(&now->half[i], load_relaxed(&was->half[i]));
		store_relaxed(&now->party_gen[i], load_relaxed(&was->party_gen[i]));
	}
	store_relaxed(&now->at[n], at);
	store_relaxed(&now->half[n], ref->half);
	store_relaxed(&now->party_gen[n], ref->party_gen);
	store_relaxed(&now->count, n + 1);
	word_swap(r, port, record);
	return 0;
}

/* Swap in a record without those entries of a port's that @half at @at, or @party,
 * names. */
static int port_filter(struct registry *r, unsigned port, addr_word at, half_ref half, int party)
{
	const struct registry_listener *was = word_record(r, load_relaxed(&r->ports[port]));
	uint32_t n = was ? load_relaxed(&was->count) : 0, kept = 0, record;
	struct registry_listener *now;

	record = record_unused(r);
	if (n == 0)
		return -ENOENT;
	/* One entry and no spare record: nothing is kept, none is needed. */
	now = record ? &r->records[record - 1] : NULL;
	for (uint32_t i = 0; i < n; i++) {
		half_ref h = load_relaxed(&was->half[i]);
		bool drop = party >= 0 ? half_ref_party(h) == (unsigned)party
				       : h == half && load_relaxed(&was->at[i]) == at;

		if (drop || !now)
			continue;
		store_relaxed(&now->at[kept], load_relaxed(&was->at[i]));
		store_relaxed(&now->half[kept], h);
		store_relaxed(&now->party_gen[kept], load_relaxed(&was->party_gen[i]));
		kept++;
	}
	if (kept == n)
		return -ENOENT;
	if (kept)
		store_relaxed(&now->count, kept);
	word_swap(r, port, kept ? record : 0);
	return 0;
}

int registry_unlisten(struct registry *r, addr_word at, half_ref half)
{
	return port_filter(r, port_index(at), at, half, -1);
}

void registry_unlisten_party(struct registry *r, unsigned party)
{
	for (unsigned port = 0; port < PORT_WORDS; port++)
		if ((uint32_t)load_relaxed(&r->ports[port]) != 0)
			port_filter(r, port, 0, 0, (int)party);
}

/* ---------------------------------------------------------------- the gate */

int registry_gate(const struct registry *r, struct listener_ref *ret)
{
	/* Should a new wire come between the two loads, they do not fit: then the
	 * claim finds nobody. Pairs with registry_gate_set(). */
	ret->half = load_acquire(&r->gate);
	ret->party_gen = load_relaxed(&r->gate_gen);
	return ret->half ? 0 : -ENOENT;
}

int registry_gate_dgram(const struct registry *r, unsigned i, struct listener_ref *ret)
{
	ret->half = load_acquire(&r->gate_dgram);
	if (i >= load_relaxed(&r->gate_dgrams))
		return -ENOENT;
	ret->half = half_ref_make(half_ref_party(ret->half), half_ref_slot(ret->half) + i,
				  half_ref_gen(ret->half));
	ret->party_gen = load_relaxed(&r->gate_gen);
	return ret->half ? 0 : -ENOENT;
}

void registry_gate_set(struct registry *r, const struct listener_ref *ref, half_ref dgram,
		       unsigned dgrams)
{
	store_relaxed(&r->gate_gen, ref->party_gen);
	store_relaxed(&r->gate_dgrams, dgrams);
	store_release(&r->gate_dgram, dgram);
	store_release(&r->gate, ref->half);
}
