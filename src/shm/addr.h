/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - Addresses of this host: what an addr_word names.
 *
 * An IPv4 address stands in the word itself; an IPv6 one in registry.addrs[],
 * by its index. The table holds the wildcard, ::1, and every address that the
 * host has or had in the domain's life, the IPv4 ones (v4-mapped) too, so that
 * one can ask without a system call whether an address is the host's. The
 * daemon keeps it current; where it cannot, loopback is the host's all the same.
 */
#ifndef MORTISE_SHM_ADDR_H
#define MORTISE_SHM_ADDR_H

#include "shm/abi.h"

/**
 * addr_rank() - How well does a listener at @listens serve a connector to
 * @target? As Linux: its address exactly, before the wildcard; an IPv4 socket
 * before an AF_INET6 one that IPv4 reaches.
 * Return: 0 not at all; else the higher, the better.
 */
unsigned addr_rank(addr_word listens, addr_word target);

/**
 * addr_conflicts() - Can two sockets not be bound to both, by their addresses?
 * Linux's ipv6_rcv_saddr_equal(): a wildcard conflicts with what it serves.
 */
bool addr_conflicts(addr_word a, addr_word b);

/** addr_word_is_any() - 0.0.0.0 or ::. */
static inline bool addr_word_is_any(addr_word w) { return addr_word_addr(w) == 0; }

/** addr_word_is_loopback() - 127.0.0.0/8 or ::1. */
static inline bool addr_word_is_loopback(addr_word w)
{
	return addr_word_is6(w) ? addr_word_addr(w) == ADDR_LOOPBACK6
				: addr_word_addr(w) >> 24 == 127;
}

bool addr_in6_is_any(const uint8_t in6[16]);
/** addr_in6_is_mapped() - Is it ::ffff:a.b.c.d? */
bool addr_in6_is_mapped(const uint8_t in6[16]);
void addr_in6_map(uint32_t v4, uint8_t ret_in6[16]);
/** addr_in6_v4() - a.b.c.d of ::ffff:a.b.c.d, host order. */
uint32_t addr_in6_v4(const uint8_t in6[16]);
/** addr_in6_is_linklocal() - fe80::/10, which means something together with an interface. */
bool addr_in6_is_linklocal(const uint8_t in6[16]);

/**
 * registry_addr_find() - The index of an address, this host's at present or not.
 * @scope: Interface number; counts for link-local addresses alone.
 * Return: 0, or -ENOENT.
 */
int registry_addr_find(const struct registry *r, const uint8_t in6[16], uint32_t scope,
		       uint32_t *ret_index);

/**
 * registry_addr_get() - The IPv6 address that @w names; an IPv4 one v4-mapped.
 * Return: 0; -ENOENT where it names none that is known: nothing is written then.
 */
int registry_addr_get(const struct registry *r, addr_word w, uint8_t ret_in6[16],
		      uint32_t *ret_scope);

/**
 * registry_addr_is_own() - Is it in 127.0.0.0/8, or an address that this host has at
 * present? ::1 is one, but where the kernel says that it has none. A wildcard is none.
 */
bool registry_addr_is_own(const struct registry *r, addr_word w);

/* The daemon. */

/** registry_addr_init() - The entries that each domain has. */
void registry_addr_init(struct registry *r);

/**
 * registry_addr_set() - An address is, or is no longer, this host's.
 * Return: 0; -ENOSPC where it is new and there is no room.
 */
int registry_addr_set(struct registry *r, const uint8_t in6[16], uint32_t scope, bool own);

#endif
