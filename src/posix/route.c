/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.c - From an address to a channel.
 *
 * Who receives at an address is in the registry, where the program chose it and
 * receives there. Of several, Linux's order: connected to us, before an exact
 * address, before the wildcard; of a SO_REUSEPORT group the one that the two
 * addresses' hash picks, of others the last. Who is not there can be answered
 * nonetheless: its datagrams say from which half they came.
 *
 * The result is remembered for each address, and holds while the port's word in
 * the registry is the same and the half still is what it was. Channels are one
 * for each receiving socket, found by its name, and looked through now and then
 * for those whose other end is gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/single_threaded.h>

#include "base/clock.h"
#include "posix/pool.h"
#include "posix/route.h"
#include "shm/addr.h"

#define ROUTES 1024u
#define LEARNED 1024u
#define CHAINS 1024u
#define UNMARKED 256u
#define QUIET_NS NS_PER_SEC /* after so long a receiver has read what there was */
#define SWEEP_FEW 2u /* chains that are looked through when a channel is made */

/**
 * struct route - How an address was reached last.
 * @word:    The registry's, of that port.
 * @target:  Of the channel when it was found.
 */
struct route {
	addr_word to, from;
	uint64_t word;
	struct channel *channel;
	half_ref target;
};

/**
 * struct learned - Whose half answers to @at; 0: nobody's, the kernel does, as long as
 * the registry's word of its port is @word.
 */
struct learned {
	addr_word at;
	half_ref half;
	uint32_t party_gen;
	uint64_t word;
};

/**
 * struct unmarked - See route_unmarked().
 * @crowded: There was no seat for a channel to who receives at @port.
 */
struct unmarked {
	uint16_t port;
	bool crowded;
	unsigned n;
	struct unmarked_sent sent[UNMARKED_MOST];
};

static struct lock the_lock;
static struct lock unmarked_lock; /* A leaf: it is taken under a channel's lock, unlike the_lock. */
static struct unmarked unmarked[UNMARKED];
static struct route routes[ROUTES];
static struct learned learned[LEARNED];
static struct channel *chains[CHAINS];
static struct pool channels = { .size = sizeof(struct channel) };
static unsigned sweep_at;

static void take(struct lock *l)
{
	if (!__libc_single_threaded)
		lock_take(l);
}

static void drop(struct lock *l)
{
	if (load_relaxed(&l->word))
		lock_drop(l);
}

static void routes_lock(void)
{
	take(&the_lock);
}

static void routes_unlock(void)
{
	drop(&the_lock);
}

static unsigned hash(uint64_t w, unsigned n)
{
	return (unsigned)((w * 0x9e3779b97f4a7c15ull) >> 40) % n;
}

static struct route *route_at(addr_word to)
{
	return &routes[hash(to, ROUTES)];
}

/* ---------------------------------------------------------------- channels */

static struct channel **chain_of(half_ref target)
{
	return &chains[hash(target, CHAINS)];
}

/* End those of a chain whose other end is gone. */
static void chain_sweep(struct party *p, struct channel **at)
{
	while (*at) {
		struct channel *c = *at;

		/* One that is being written to is looked at another time. */
		if (!lock_try(&c->lock)) {
			at = &c->next;
			continue;
		}
		if (!chan_over(&c->conn)) {
			lock_drop(&c->lock);
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->target = 0;
		chan_close(p, &c->conn);
		lock_drop(&c->lock);
		pool_put(&channels, c);
	}
}

/* The channel to @ref's socket. Caller holds the lock. */
static struct channel *channel_get(struct party *p, const struct listener_ref *ref)
{
	struct channel **chain = chain_of(ref->half), *c;

	for (c = *chain; c; c = c->next)
		if (c->target == ref->half && !chan_over(&c->conn))
			return c;
	chain_sweep(p, chain);
	for (unsigned i = 0; i < SWEEP_FEW; i++)
		chain_sweep(p, &chains[sweep_at++ % CHAINS]);
	c = pool_get(&channels);
	if (!c)
		return NULL;
	if (chan_open(p, ref, &c->conn) < 0) {
		pool_put(&channels, c);
		return NULL;
	}
	c->target = ref->half;
	c->box = half_find(c->conn.owner->base, ref->half);
	c->next = *chain;
	*chain = c;
	return c;
}

/* ------------------------------------------------------------------ choice */

/* And through memory now? */
static bool box_is_open(const struct half *box)
{
	return !(load_acquire(&box->dgram) & DGRAM_LATER);
}

/**
 * struct choice - The best of those that were looked at.
 * @rank: 0: none.
 * @same: How many are as good.
 * @open: It takes datagrams through memory now.
 */
struct choice {
	struct listener_ref ref;
	unsigned rank, same;
	bool open;
};

static void choose(struct party *p, const struct listener_ref *ref, addr_word from, addr_word to,
		   uint32_t pick, struct choice *ret)
{
	const struct half *box;
	struct peer *owner;
	unsigned rank;

	if (party_peer_get(p, half_ref_party(ref->half), ref->party_gen, &owner) < 0)
		return;
	box = half_find(owner->base, ref->half);
	rank = box ? chan_rank(box, ref->half, from, to) : 0;
	if (rank > ret->rank)
		*ret = (struct choice){ *ref, rank, 1, box_is_open(box) };
	/* The last; of a group one that does not change while it is the same. */
	else if (rank && rank == ret->rank &&
		 (!(load_relaxed(&box->dgram) & DGRAM_GROUP) || pick % ++ret->same == 0))
		*ret = (struct choice){ *ref, rank, ret->same, box_is_open(box) };
	party_peer_put(p, owner);
}

/* Who receives at @to. Return: whether it is to be reached. */
static bool target_find(struct party *p, addr_word from, addr_word to, struct choice *best)
{
	uint32_t pick = (uint32_t)((from * 31 + to) * 2654435761u) >> 8;
	struct learned *l = &learned[hash(to, LEARNED)];
	struct listener_ref ref;

	*best = (struct choice){ .rank = 0 };
	if (l->at == to && !l->half &&
	    l->word == registry_dgram_word(p->reg, addr_word_port(to)))
		return false;
	for (unsigned i = 0; registry_dgram(p->reg, addr_word_port(to), i, &ref) == 0; i++)
		choose(p, &ref, from, to, pick, best);
	if (!best->rank && l->at == to && l->half) {
		ref = (struct listener_ref){ l->half, l->party_gen };
		choose(p, &ref, from, to, pick, best);
		if (!best->rank)
			*l = (struct learned){ 0 }; /* Nobody is asked for it again. */
	}
	return best->rank > 0 && best->open;
}

static bool route_holds(const struct route *r, addr_word from, addr_word to, uint64_t word)
{
	const struct channel *c = r->channel;

	return r->to == to && r->from == from && c && r->word == word && c->target == r->target &&
	       chan_rank(c->box, c->target, from, to) && !chan_over(&c->conn);
}

/* The entry of a port. Caller holds unmarked_lock. */
static struct unmarked *unmarked_of(uint16_t port)
{
	struct unmarked *u = &unmarked[port % UNMARKED];

	if (u->port != port)
		*u = (struct unmarked){ .port = port };
	return u;
}

/* More went through the kernel than there can be marks for, and some of it may still be
 * in the receiver's queue: memory would overtake it. */
static bool is_crowded(uint16_t port)
{
	const struct unmarked *u = &unmarked[port % UNMARKED];
	bool is;

	if (likely(u->port != port || !u->crowded))
		return false;
	take(&unmarked_lock);
	is = u->port == port && u->crowded && u->n == UNMARKED_MOST &&
	     clock_now_ns() - u->sent[u->n - 1].at_ns < QUIET_NS;
	drop(&unmarked_lock);
	return is;
}

static void crowded(uint16_t port)
{
	take(&unmarked_lock);
	unmarked_of(port)->crowded = true;
	drop(&unmarked_lock);
}

struct channel *route_get(struct party *p, addr_word from, addr_word to)
{
	uint64_t word = registry_dgram_word(p->reg, addr_word_port(to));
	struct route *r = route_at(to);
	struct channel *c = NULL;
	struct choice best;

	routes_lock();
	if (likely(route_holds(r, from, to, word))) {
		c = r->channel;
	} else if (!is_crowded(addr_word_port(to)) && target_find(p, from, to, &best)) {
		c = channel_get(p, &best.ref);
		if (c)
			*r = (struct route){ to, from, word, c, c->target };
		else
			crowded(addr_word_port(to));
	}
	if (c)
		take(&c->lock);
	routes_unlock();
	return c;
}

struct channel *route_gate(struct party *p)
{
	unsigned count = load_relaxed(&p->reg->gate_dgrams);
	struct listener_ref ref;
	struct channel *c = NULL;

	routes_lock();
	/* Each takes so many parties: ours first, where it has room. */
	for (unsigned i = 0; i < count && !c; i++)
		if (registry_gate_dgram(p->reg, (p->id + i) % count, &ref) == 0)
			c = channel_get(p, &ref);
	if (c)
		take(&c->lock);
	routes_unlock();
	return c;
}

void route_put(struct channel *c)
{
	drop(&c->lock);
}

void route_unmarked(addr_word from, addr_word to, uint64_t at_ns)
{
	struct unmarked *u;

	take(&unmarked_lock);
	u = unmarked_of(addr_word_port(to));
	if (u->n == UNMARKED_MOST)
		memmove(&u->sent[0], &u->sent[1], --u->n * sizeof(u->sent[0]));
	u->sent[u->n++] = (struct unmarked_sent){ from, to, at_ns };
	drop(&unmarked_lock);
}

unsigned route_unmarked_take(const struct channel *c, uint16_t port,
			     struct unmarked_sent ret[UNMARKED_MOST])
{
	struct unmarked *u = &unmarked[port % UNMARKED];
	unsigned n = 0, left = 0;

	if (likely(u->port != port))
		return 0;
	take(&unmarked_lock);
	for (unsigned i = 0; u->port == port && i < u->n; i++)
		if (chan_rank(c->box, c->target, u->sent[i].from, u->sent[i].to) > 0)
			ret[n++] = u->sent[i];
		else
			u->sent[left++] = u->sent[i];
	if (n && left == 0)
		u->port = 0;
	if (n)
		u->n = left;
	drop(&unmarked_lock);
	return n;
}

/* The port may have been another socket's, of a program that has just ended, and whose
 * half has not been executed yet: what led there leads there no more. */
static void learn(addr_word from, struct learned what)
{
	struct learned *l = &learned[hash(from, LEARNED)];
	struct route *r = route_at(from);

	routes_lock();
	if (what.at || l->at == from)
		*l = what;
	if (r->to == from)
		r->channel = NULL;
	routes_unlock();
}

void route_learn(const struct party *p, addr_word from, half_ref half, uint32_t party_gen)
{
	const struct learned *l = &learned[hash(from, LEARNED)];

	if (unlikely(l->at != from || l->half != half || l->party_gen != party_gen))
		learn(from, (struct learned){ from, half, party_gen,
					      registry_dgram_word(p->reg, addr_word_port(from)) });
}

void route_forget(addr_word from)
{
	if (unlikely(learned[hash(from, LEARNED)].at == from || route_at(from)->to == from))
		learn(from, (struct learned){ .at = 0 });
}

void route_fork_child(void)
{
	the_lock = (struct lock){ 0 };
	unmarked_lock = (struct lock){ 0 };
	for (unsigned i = 0; i < ROUTES; i++)
		routes[i] = (struct route){ .to = 0 };
	for (unsigned i = 0; i < CHAINS; i++)
		chains[i] = NULL;
	/* Their memory is not used again: a thread of the parent's may have been
	 * in the middle of changing it. */
	channels = (struct pool){ .size = sizeof(struct channel) };
}
