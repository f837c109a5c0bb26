/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * far.h - An entry of a joint epoll set (joint.h) whose socket this process does not
 * have. Guarded by watch_lock().
 */
#ifndef MORTISE_POSIX_FAR_H
#define MORTISE_POSIX_FAR_H

#include "posix/ledger.h"

#define FAR_GONE 0x80000000u /* no poll bit: nobody has it any more */

/**
 * struct far - An entry whose socket this process does not have.
 * @i:      Its index in the ledger.
 * @base:   The arena that the half is in, where it is ours or came by fork.
 * @owner:  Else that party, with a reference. @other: the party of the half's peer.
 * @want:   The party to be met: its number + 1, and generation; 0: none.
 * @lost:   There was none to be met.
 * @hot:    The kernel has reported its part.
 */
struct far {
	struct far *next;
	uint32_t i;
	void *base;
	struct peer *owner, *other;
	uint32_t want, want_gen;
	bool hot, lost;
};

/** far_make() - Of entry @i, or NULL where there is no memory. */
struct far *far_make(uint32_t i);
void far_free(struct far *f);

/**
 * far_now() - Poll bits that hold now, or FAR_GONE. Nothing is written. Where a party is
 * not known, @f->want says which, and there are no bits until it is met.
 * @n:        Its entry.
 * @ret_peer: A stream's other half, of *@ret_own; else NULL.
 */
uint32_t far_now(struct far *f, const struct ledger_entry *n, const struct half **ret_own,
		 const struct half **ret_peer);

#endif
