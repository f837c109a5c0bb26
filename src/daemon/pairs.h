/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.h - Handle pairs: the keeper's ends of them, and hearing them hang up.
 */
#ifndef MORTISE_DAEMON_PAIRS_H
#define MORTISE_DAEMON_PAIRS_H

#include "daemon/table.h"

/**
 * struct pairs - The keeper's far ends.
 * @epfd:   The keeper's epoll set. Event data: party << 32 | handle.
 * @far:    Descriptor + 1 by party and handle number; 0: none.
 * @high:   Handle numbers below it were used, by party.
 * @closed: Cursor in the hung ring: up to here far ends are closed.
 */
struct pairs {
	struct table *table;
	int epfd;
	int (*far)[CLIENT_HANDLES];
	uint32_t *high;
	uint32_t closed;
};

/** pairs_init() - Return: 0 or -errno. */
int pairs_init(struct pairs *p, struct table *t, int epfd);

/**
 * pairs_make() - Make handle pairs for a party.
 * @ids, @near: Room for @count.
 * Return: How many were made; fewer, or none, at a limit; then -errno where
 *         none was.
 */
int pairs_make(struct pairs *p, unsigned party, unsigned count, uint32_t *ids, int *near);

/** pairs_event() - Something happened at a far end. */
void pairs_event(struct pairs *p, unsigned party, unsigned handle, uint32_t events);

/** pairs_reap() - Close the far ends that the daemon is done with. */
void pairs_reap(struct pairs *p);

/** pairs_forget() - In a forked daemon: close its copies of the far ends. */
void pairs_forget(struct pairs *p);

#endif
