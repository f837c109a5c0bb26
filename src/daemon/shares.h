/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shares.h - What a half that several processes hold has besides its memory:
 * its own eventfd, its kernel shadow. Sent by whoever is about to share it,
 * fetched by those who get it by exec or with a message.
 */
#ifndef MORTISE_DAEMON_SHARES_H
#define MORTISE_DAEMON_SHARES_H

#include "daemon/daemon.h"

/* In the daemon: each returns 0 or a positive errno, as replies carry them. */

/**
 * shares_put() - Keep @fds for a half, each instead of the one that was kept.
 * @m:   CTL_SHARE. @m->shared.has says which of @fds there are, in the order
 *       of its bits.
 * @fds: Taken over on success.
 */
int shares_put(struct daemon *d, const struct ctl_msg *m, const int *fds);

/**
 * shares_find() - What is kept for a half.
 * @ret: Borrowed; -1 where there is none. [0] eventfd, [1] shadow.
 * Return: Whether anything is.
 */
bool shares_find(const struct daemon *d, unsigned id, unsigned slot, uint32_t gen, int ret[2]);

/**
 * shares_attach() - Which half's handle is @fd?
 * @m: Out: party, party_gen, slot, gen, handle.
 * Return: 0, ENOENT where it is no handle of this domain's.
 */
int shares_attach(const struct daemon *d, int fd, struct ctl_msg *m);

/**
 * shares_listener() - Is a listener shared, and held by somebody? Then it
 * outlives the party that it was made by: others take from its seats, and are
 * rung by its own eventfd.
 */
bool shares_listener(const struct daemon *d, unsigned id, unsigned slot, uint32_t gen);

/** shares_ring() - A process died that may have been about to accept, with the
 * eventfd reset already: listeners at which somebody waits ring again. */
void shares_ring(struct daemon *d);

/** shares_half_ends() - The half is executed: nobody holds it any more. */
void shares_half_ends(struct daemon *d, unsigned id, unsigned slot, uint32_t gen);

/** shares_party_ends() - The party's estate is dropped. */
void shares_party_ends(struct daemon *d, unsigned id);

/** shares_sweep() - Drop what belongs to halves that are gone. Also after a restart. */
void shares_sweep(struct daemon *d);

/* In the keeper. */

/** shares_link() - LINK_SHARE, LINK_UNSHARE. Return: whether @fd was taken over. */
bool shares_link(struct keeper *k, const struct link_msg *m, int fd);

#endif
