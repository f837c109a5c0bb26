/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.h - Which channel leads to whoever receives datagrams at an address.
 */
#ifndef MORTISE_POSIX_ROUTE_H
#define MORTISE_POSIX_ROUTE_H

#include "base/lock.h"
#include "shm/chan.h"
#include "shm/spin.h"

/**
 * struct channel - To one socket of another party's, or of ours.
 * @lock:   Between threads, while it is written to.
 * @target: The socket's half.
 * @box:    The same, mapped.
 * @conn:   Attached while @target is not 0.
 * @spin:   What waiting for its reader was worth.
 */
struct channel {
	struct lock lock;
	half_ref target;
	const struct half *box;
	struct conn conn;
	struct spin spin;
	struct channel *next;
};

/**
 * route_get() - The channel to @to, locked.
 * @from: Address that the datagram comes from: a connected receiver takes no other.
 * Return: NULL where nobody is reached through memory there.
 */
struct channel *route_get(struct party *p, addr_word from, addr_word to);

/** route_gate() - The channel to the domain's network, locked. Return: NULL: there is none. */
struct channel *route_gate(struct party *p);

/** route_put() - Unlock it. */
void route_put(struct channel *c);

/** struct unmarked_sent - One of those: see route_unmarked(). */
struct unmarked_sent {
	addr_word from, to;
	uint64_t at_ns;
};

/** route_unmarked() - A datagram to @to went through the kernel at @at_ns, and there
 * was no channel in which to put a mark for it. */
void route_unmarked(addr_word from, addr_word to, uint64_t at_ns);

#define UNMARKED_MOST 32u /* of each port: the latest */

/**
 * route_unmarked_take() - When those were sent to @port that @c's socket has got, oldest
 * first: they are marked now. There is room for some hundred ports.
 * Return: how many.
 */
unsigned route_unmarked_take(const struct channel *c, uint16_t port,
			     struct unmarked_sent ret[UNMARKED_MOST]);

/** route_learn() - A datagram came from @from, whose socket's half is @half; 0: it has no
 * inbox. */
void route_learn(const struct party *p, addr_word from, half_ref half, uint32_t party_gen);

/** route_forget() - One came from @from through the kernel: whoever that is now. */
void route_forget(addr_word from);

/** route_fork_child() - Channels are the parent's. */
void route_fork_child(void);

#endif
