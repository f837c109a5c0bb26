/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.h - Handle pairs: one holder's ends of them, and hearing them hang up.
 */
#ifndef MORTISE_DAEMON_PAIRS_H
#define MORTISE_DAEMON_PAIRS_H

#include "daemon/table.h"

/**
 * struct pairs - The far ends that this process holds.
 * @holder: What is said of us in the table.
 * @epfd:   The process's epoll set. Event data of a far end: its descriptor.
 * @far:    By descriptor: (party << 16 | handle) + 1; 0: no far end.
 */
struct pairs {
	struct table *table;
	struct holder *holder;
	int epfd;
	uint32_t far[HOLDER_FDS];
};

/** pairs_init() - Begin with none, as holder number @number. */
void pairs_init(struct pairs *p, struct table *t, unsigned number, int epfd);

/**
 * pairs_make() - Make handle pairs for a party. No other holder does so
 * meanwhile: numbers are the party's, whoever holds the far ends.
 * @ids, @near: Room for @count.
 * Return: How many were made; fewer, or none, at a limit; then -errno where
 *         none was.
 */
int pairs_make(struct pairs *p, unsigned party, unsigned count, uint32_t *ids, int *near);

/** pairs_event() - Something happened at far end @fd. */
void pairs_event(struct pairs *p, int fd, uint32_t events);

/** pairs_hear() - If the far end of that handle is here and has hung up, that is
 * heard now. Return: Is it here? */
bool pairs_hear(struct pairs *p, unsigned party, unsigned handle);

/** pairs_forget() - In a forked process: close its copies of the far ends. */
void pairs_forget(struct pairs *p);

#endif
