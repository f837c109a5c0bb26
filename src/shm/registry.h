/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry.h - Who lives and who listens. The daemon writes, all others map
 * it read-only.
 */
#ifndef MORTISE_SHM_REGISTRY_H
#define MORTISE_SHM_REGISTRY_H

#include "shm/abi.h"

/**
 * struct listener_ref - What a connector needs to know of a listener.
 * @half:      The listening half.
 * @party_gen: Generation of its party.
 */
struct listener_ref {
	half_ref half;
	uint32_t party_gen;
};

/* Readers. */

/** registry_check() - 0, or -EPROTO where magic or version are not ours. */
int registry_check(const struct registry *r);

/**
 * registry_find() - Who listens on @at: whose address fits best, in the order
 * of addr_rank().
 * Return: 0, or -ENOENT.
 */
int registry_find(const struct registry *r, addr_word at, struct listener_ref *ret);

/**
 * registry_find_one() - The same, where several listen (SO_REUSEPORT).
 * @pick: Any number; equal ones give the same listener while the group is the same.
 * Return: How many there are, or -ENOENT.
 */
int registry_find_one(const struct registry *r, addr_word at, uint32_t pick,
		      struct listener_ref *ret);

/**
 * registry_find_of() - Of those, the one of the party @id, generation @gen.
 * Return: 0, or -ENOENT.
 */
int registry_find_of(const struct registry *r, addr_word at, unsigned id, uint32_t gen,
		     struct listener_ref *ret);

/** registry_gate() - The listener that leads to the network. Return: 0, or -ENOENT. */
int registry_gate(const struct registry *r, struct listener_ref *ret);
/** registry_gate_dgram() - Number @i of the halves of the same party that take datagrams. Likewise. */
int registry_gate_dgram(const struct registry *r, unsigned i, struct listener_ref *ret);

/** registry_dgram_word() - Changes whenever the sockets do that receive datagrams
 * at @port; low half 0: there is none. */
uint64_t registry_dgram_word(const struct registry *r, uint16_t port);

/** registry_dgram() - Number @i of those sockets, at whichever address.
 * Return: 0, or -ENOENT at their end. */
int registry_dgram(const struct registry *r, uint16_t port, unsigned i, struct listener_ref *ret);

/** registry_party_alive() - Is party @id still the one of generation @gen? */
bool registry_party_alive(const struct registry *r, unsigned id, uint32_t gen);

/**
 * registry_party_gen() - The generation of party @id, if it is alive and the
 * low 31 bits of that are @gen.
 */
bool registry_party_gen(const struct registry *r, unsigned id, uint32_t gen, uint32_t *ret);

/* The daemon. */

void registry_init(struct registry *r, uint32_t policy);
void registry_party_set(struct registry *r, unsigned id, uint32_t gen,
			enum party_state state, uint32_t pid, uint32_t uid);

/**
 * registry_listen() - Publish a listener.
 * @join: Others may listen there, too (SO_REUSEPORT).
 * Return: 0, -EADDRINUSE where that address and port are taken, -ENOSPC.
 */
int registry_listen(struct registry *r, addr_word at, const struct listener_ref *ref, bool join);

/** registry_unlisten() - Withdraw it. Return: 0 or -ENOENT. */
int registry_unlisten(struct registry *r, addr_word at, half_ref half);

/** registry_gate_set() - Publish them. @dgram: The first of @dgrams. */
void registry_gate_set(struct registry *r, const struct listener_ref *ref, half_ref dgram,
		       unsigned dgrams);

/** registry_unlisten_party() - Withdraw all that a party published. */
void registry_unlisten_party(struct registry *r, unsigned party);

#endif
