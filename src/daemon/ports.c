/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.c - Who listens where, who may use which port.
 *
 * Policy share: the kernel's shadow sockets arbitrate, the registry only says
 * whose port is to be found in memory. Policy none: bound[] arbitrates, as
 * Linux does. Several listeners of one address and port (SO_REUSEPORT) are all
 * in the registry; connectors choose.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/shares.h"
#include "daemon/wire.h"
#include "shm/addr.h"

#define EPHEMERAL_FIRST 32768u
#define EPHEMERAL_COUNT 28232u /* ..60999, Linux's default */

/* ------------------------------------------------------------- listening */

/* @port: As port_index() has it. */
static const struct registry_listener *port_record(const struct daemon *d, unsigned port)
{
	uint32_t n = (uint32_t)load_relaxed(&d->reg->ports[port]);

	return n == 0 || n > LISTENER_MAX ? NULL : &d->reg->records[n - 1];
}

/* The half that is registered there, or 0. @overlap: a wildcard matches too. */
static half_ref port_half(const struct daemon *d, addr_word at, bool overlap, half_ref but,
			  addr_word *ret_at, uint32_t *ret_gen)
{
	const struct registry_listener *l = port_record(d, port_index(at));
	uint32_t n = l ? load_relaxed(&l->count) : 0;

	for (uint32_t i = 0; i < n && i < LISTEN_PER_PORT; i++) {
		addr_word a = load_relaxed(&l->at[i]);
		half_ref h = load_relaxed(&l->half[i]);

		if (h == but || (a != at && !(overlap && addr_conflicts(a, at))))
			continue;
		*ret_at = a;
		*ret_gen = load_relaxed(&l->party_gen[i]);
		return h;
	}
	return 0;
}

/* Is a registered half still the listener that it was? */
static bool half_listens(struct daemon *d, half_ref ref, uint32_t party_gen)
{
	void *base = clients_lookup(d, half_ref_party(ref), party_gen);
	struct half *h = base ? half_find(base, ref) : NULL;

	return h && half_gen(h) == half_ref_gen(ref) &&
	       (half_state(h) == HALF_LISTEN || half_state(h) == HALF_DGRAM);
}

static void listener_count(struct daemon *d, half_ref ref, int by)
{
	struct client *c = &d->clients[half_ref_party(ref) % PARTY_MAX];

	if (by > 0 || c->listeners > 0)
		c->listeners += (unsigned)by;
}

static int listener_withdraw(struct daemon *d, addr_word at, half_ref ref)
{
	int r = registry_unlisten(d->reg, at, ref);

	if (r == 0) {
		listener_count(d, ref, -1);
		wire_listeners(d, at);
	}
	return r;
}

/* Policy none: has the socket of @half SO_REUSEPORT? */
static bool bound_joins(const struct daemon *d, half_ref half)
{
	for (unsigned i = 0; i < BOUND_MAX; i++) {
		const struct bound *b = &d->t->bound[i];

		if (load_relaxed(&b->party) == half_ref_party(half) &&
		    b->slot == half_ref_slot(half) && b->half_gen == half_ref_gen(half))
			return b->reuse & CTL_REUSE_PORT;
	}
	return false;
}

/* Something else is registered there. Return: 0: it is gone now; or errno. */
static int listen_conflict(struct daemon *d, const struct ctl_msg *m, half_ref ref)
{
	bool none = d->t->policy != POLICY_SHARE;

	for (unsigned i = 0; i < LISTEN_PER_PORT; i++) {
		uint32_t gen = 0;
		addr_word at = 0;
		half_ref other = port_half(d, m->listen.at, none, ref, &at, &gen);

		if (!other)
			return 0;
		if (half_listens(d, other, gen))
			/* A group of SO_REUSEPORT is joined. */
			return m->listen.reuse && (!none || bound_joins(d, other)) ? 0 : EADDRINUSE;
		/* It closed, and its hang-up is under way. */
		if (listener_withdraw(d, at, other) < 0)
			return EADDRINUSE;
	}
	return EADDRINUSE;
}

/* Is it an address that there is? */
static bool addr_named(const struct daemon *d, addr_word at)
{
	uint8_t in6[16];
	uint32_t scope;

	return (at & ~(ADDR_WORD_DGRAM | ADDR_WORD_DUAL | (ADDR_WORD_DUAL - 1))) == 0 &&
	       registry_addr_get(d->reg, at, in6, &scope) == 0;
}

static bool listen_named(const struct daemon *d, const struct ctl_msg *m)
{
	return addr_word_port(m->listen.at) != 0 && m->listen.slot < SLOT_MAX &&
	       addr_named(d, m->listen.at);
}

/* Is it a listener of that party's which it has shared? */
static bool listen_for(const struct daemon *d, const struct ctl_msg *m)
{
	return m->listen.party < PARTY_MAX && daemon_state(d, m->listen.party) >= REC_ALIVE &&
	       shares_listener(d, m->listen.party, m->listen.slot, m->listen.gen);
}

int ports_listen(struct daemon *d, unsigned asks, const struct ctl_msg *m)
{
	unsigned id = m->listen.party ? m->listen.party : asks;
	struct rec *r = daemon_rec(d, id % PARTY_MAX);
	half_ref ref = half_ref_make(id, m->listen.slot, m->listen.gen);
	struct listener_ref lr = { .half = ref, .party_gen = r->gen };
	uint32_t gen = 0;
	addr_word at = 0;
	int err;

	if (!listen_named(d, m))
		return EINVAL;
	if (id != asks && !listen_for(d, m))
		return ESRCH;
	if (port_half(d, m->listen.at, false, 0, &at, &gen) == ref)
		return 0;
	if (d->clients[id].listeners >= CLIENT_LISTENERS) {
		log_line("party %u: limit of %u listeners", id, CLIENT_LISTENERS);
		return EMFILE;
	}
	/* What hung up already must not stand in its successor's way. */
	while (estate_hangups(d))
		;
	err = listen_conflict(d, m, ref);
	if (err)
		return err;
	err = registry_listen(d->reg, m->listen.at, &lr, m->listen.reuse);
	if (err < 0)
		return -err;
	listener_count(d, ref, 1);
	err = wire_listeners(d, m->listen.at);
	if (err < 0)
		listener_withdraw(d, m->listen.at, ref);
	return -err;
}

int ports_unlisten(struct daemon *d, unsigned id, const struct ctl_msg *m)
{
	half_ref ref = half_ref_make(id, m->listen.slot, m->listen.gen);

	listener_withdraw(d, m->listen.at, ref);
	return 0;
}

int ports_demote(struct daemon *d, const struct ctl_msg *m)
{
	unsigned id = m->listen.party;
	half_ref ref;

	if (id == 0 || id >= PARTY_MAX || m->listen.slot >= SLOT_MAX)
		return EINVAL;
	/* Asked again, there is nothing to withdraw: that is no error. */
	ref = half_ref_make(id, m->listen.slot, m->listen.gen);
	listener_withdraw(d, m->listen.at, ref);
	return 0;
}

/* ------------------------------------------------- ports of policy none */

static bool bound_conflicts(const struct daemon *d, const struct bound *b, unsigned id,
			    const struct ctl_msg *m)
{
	uint32_t gen = 0;
	addr_word at = 0;
	unsigned party = load_relaxed(&b->party);
	half_ref ref = half_ref_make(party, b->slot, b->half_gen);

	if (!addr_conflicts(b->at, m->listen.at) || (b->at ^ m->listen.at) & ADDR_WORD_DGRAM)
		return false;
	if (party == id && b->slot == m->listen.slot && b->half_gen == m->listen.gen)
		return false; /* Asked again. */
	if (b->reuse & m->listen.reuse & CTL_REUSE_PORT)
		return false;
	if (!(b->reuse & m->listen.reuse & CTL_REUSE_ADDR))
		return true;
	/* Both have SO_REUSEADDR: a listener is in the way all the same, a receiver is not. */
	if (b->at & ADDR_WORD_DGRAM)
		return false;
	return port_half(d, b->at, false, 0, &at, &gen) == ref && half_ref_party(ref) != 0;
}

static bool bind_free(const struct daemon *d, unsigned id, const struct ctl_msg *m)
{
	for (unsigned i = 0; i < BOUND_MAX; i++) {
		const struct bound *b = &d->t->bound[i];

		if (load_relaxed(&b->party) && bound_conflicts(d, b, id, m))
			return false;
	}
	return true;
}

static struct bound *bind_room(struct daemon *d, unsigned id, const struct ctl_msg *m)
{
	struct bound *room = NULL;

	for (unsigned i = 0; i < BOUND_MAX; i++) {
		struct bound *b = &d->t->bound[i];

		if (load_relaxed(&b->party) == id && b->slot == m->listen.slot &&
		    b->half_gen == m->listen.gen && b->gen == daemon_rec(d, id)->gen)
			return b;
		if (!load_relaxed(&b->party) && !room)
			room = b;
	}
	return room;
}

int ports_bind(struct daemon *d, unsigned id, struct ctl_msg *m)
{
	struct bound *b;
	unsigned start;

	if (d->t->policy == POLICY_SHARE)
		return EOPNOTSUPP;
	if (!addr_named(d, m->listen.at) || m->listen.slot >= SLOT_MAX)
		return EINVAL;
	b = bind_room(d, id, m);
	if (!b) {
		log_line("limit of %u bound ports", BOUND_MAX);
		return ENOBUFS;
	}
	if (load_relaxed(&b->party)) {
		/* A reply was lost: the same answer again. */
		if (addr_word_at(m->listen.at, addr_word_port(b->at)) == b->at &&
		    (addr_word_port(m->listen.at) == 0 || m->listen.at == b->at)) {
			m->listen.at = b->at;
			return 0;
		}
		return EINVAL; /* Linux: a socket is bound once. */
	}
	while (estate_hangups(d))
		;
	if (addr_word_port(m->listen.at) != 0) {
		if (!bind_free(d, id, m))
			return EADDRINUSE;
	} else {
		start = (unsigned)rand();
		for (unsigned i = 0; i < EPHEMERAL_COUNT; i++) {
			m->listen.at = addr_word_at(m->listen.at,
						    (uint16_t)(EPHEMERAL_FIRST +
							       (start + i) % EPHEMERAL_COUNT));
			if (bind_free(d, id, m))
				break;
			if (i == EPHEMERAL_COUNT - 1) {
				m->listen.at = addr_word_at(m->listen.at, 0);
				return EADDRINUSE;
			}
		}
	}
	b->at = m->listen.at;
	b->gen = daemon_rec(d, id)->gen;
	b->slot = m->listen.slot;
	b->half_gen = m->listen.gen;
	b->reuse = m->listen.reuse;
	store_release(&b->party, id);
	return 0;
}

void ports_unbind(struct daemon *d, unsigned id, const struct ctl_msg *m)
{
	addr_word at = m->listen.at;
	struct bound *found = NULL;

	for (unsigned i = 0; i < BOUND_MAX; i++) {
		struct bound *b = &d->t->bound[i];

		if (load_relaxed(&b->party) != id || b->at != at)
			continue;
		/* A listener that was shut goes on with another half: then the
		 * address must do. */
		if (!found || (b->slot == m->listen.slot && b->half_gen == m->listen.gen))
			found = b;
	}
	if (found)
		store_release(&found->party, 0);
}

/* ---------------------------------------------------------------- leases */

static uint16_t lease_first(unsigned block)
{
	return (uint16_t)(block < LEASE_HIGH_BLOCKS
				  ? LEASE_HIGH_FIRST + block * LEASE_PORTS
				  : LEASE_LOW_FIRST + (block - LEASE_HIGH_BLOCKS) * LEASE_PORTS);
}

/* Does somebody listen, or is bound, within the block? */
static bool lease_taken(const struct daemon *d, uint16_t first)
{
	for (unsigned i = 0; i < LEASE_PORTS; i++)
		if (port_record(d, first + i))
			return true;
	if (d->t->policy == POLICY_SHARE)
		return false;
	for (unsigned i = 0; i < BOUND_MAX; i++) {
		const struct bound *b = &d->t->bound[i];

		if (load_relaxed(&b->party) &&
		    (unsigned)addr_word_port(b->at) - first < LEASE_PORTS)
			return true;
	}
	return false;
}

int ports_lease(struct daemon *d, unsigned id, struct ctl_msg *m)
{
	unsigned held = 0;

	for (unsigned i = 0; i < LEASE_BLOCKS; i++)
		held += d->t->leases[i] == id;
	if (held >= CLIENT_LEASES) {
		log_line("party %u: limit of %u port blocks", id, CLIENT_LEASES);
		return EADDRNOTAVAIL;
	}
	/* In turn: a server may have connections still that a process left which
	 * is gone, and is not to meet their ports again so soon. */
	for (unsigned n = 0; n < LEASE_BLOCKS; n++) {
		unsigned i = (d->t->lease_next + n) % LEASE_BLOCKS;

		if (d->t->leases[i] || lease_taken(d, lease_first(i)))
			continue;
		d->t->leases[i] = (uint16_t)id;
		d->t->lease_next = (i + 1) % LEASE_BLOCKS;
		m->lease.first = lease_first(i);
		m->lease.count = LEASE_PORTS;
		return 0;
	}
	log_line("party %u: no port block is left", id);
	return EADDRNOTAVAIL;
}

/* ------------------------------------------------------------------ ends */

void ports_half_ends(struct daemon *d, unsigned id, const struct half *h)
{
	half_ref ref = half_ref_make(id, arena_slot(d->clients[id].peer.base, h), half_gen(h));
	unsigned port = port_index(addr_word_port(load_relaxed(&h->local)) |
				   (load_relaxed(&h->dgram) ? ADDR_WORD_DGRAM : 0));

	/* Its own word for where it listens is a hint; its name is the key. */
	for (unsigned i = 0; i < LISTEN_PER_PORT; i++) {
		const struct registry_listener *l = port_record(d, port);
		uint32_t n = l ? load_relaxed(&l->count) : 0, at = n;

		for (uint32_t j = 0; j < n && j < LISTEN_PER_PORT; j++)
			if (load_relaxed(&l->half[j]) == ref)
				at = j;
		if (at == n || listener_withdraw(d, load_relaxed(&l->at[at]), ref) < 0)
			break;
	}
	if (d->t->policy == POLICY_SHARE)
		return;
	for (unsigned i = 0; i < BOUND_MAX; i++) {
		struct bound *b = &d->t->bound[i];

		if (load_relaxed(&b->party) == id && b->slot == half_ref_slot(ref) &&
		    b->half_gen == half_ref_gen(ref))
			store_release(&b->party, 0);
	}
}

void ports_party_died(struct daemon *d, unsigned id)
{
	for (unsigned port = 0; port < PORT_WORDS; port++) {
		const struct registry_listener *l;
		uint32_t i = 0;

		/* From the start again after each: the record is another one. */
		while ((l = port_record(d, port)) && i < LISTEN_PER_PORT &&
		       i < load_relaxed(&l->count)) {
			half_ref ref = load_relaxed(&l->half[i]);

			if (half_ref_party(ref) != id ||
			    shares_listener(d, id, half_ref_slot(ref), half_ref_gen(ref)) ||
			    listener_withdraw(d, load_relaxed(&l->at[i]), ref) < 0)
				i++;
			else
				i = 0;
		}
	}
}

void ports_party_ended(struct daemon *d, unsigned id)
{
	/* Until now children may have had connections from there. */
	for (unsigned i = 0; i < LEASE_BLOCKS; i++)
		if (d->t->leases[i] == id)
			d->t->leases[i] = 0;
	if (d->t->policy == POLICY_SHARE)
		return;
	for (unsigned i = 0; i < BOUND_MAX; i++)
		if (load_relaxed(&d->t->bound[i].party) == id)
			store_release(&d->t->bound[i].party, 0);
}

void ports_repair(struct daemon *d)
{
	static bool named[LISTENER_MAX];

	for (unsigned port = 0; port < PORT_WORDS; port++) {
		const struct registry_listener *l = port_record(d, port);

		if (!l)
			continue;
		named[l - d->reg->records] = true;
		for (uint32_t i = 0; i < load_relaxed(&l->count) && i < LISTEN_PER_PORT; i++)
			listener_count(d, load_relaxed(&l->half[i]), 1);
	}
	/* Filled in, and the word never swapped. */
	for (unsigned i = 0; i < LISTENER_MAX; i++)
		if (!named[i])
			store_relaxed(&d->reg->records[i].count, 0);
}
