/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seat.h - Connecting without a third party: a listener's seats, who claims
 * them, who takes them.
 */
#ifndef MORTISE_SHM_SEAT_H
#define MORTISE_SHM_SEAT_H

#include "shm/conn.h"

#define SEAT_BACKLOG_MAX 4096u
#define SEAT_ROW_MAX 4159u /* seats of one listener: the longest row, less the counter */

/**
 * seat_open() - Make a half a listener with @backlog + 1 seats.
 * It goes to LISTEN.
 * Return: 0 or -ENOSPC, with nothing changed.
 */
int seat_open(struct party *p, struct half *listener, unsigned backlog);

/**
 * seat_waiting() - Is a connector's claim there to be taken? May err high.
 * @cursor: The caller's, as in seat_take(); not used where the listener is
 *          shared.
 */
bool seat_waiting(struct party *p, const struct half *listener, const uint64_t *cursor);

/** seat_waiting_count() - How many are there. */
uint32_t seat_waiting_count(struct party *p, const struct half *listener, const uint64_t *cursor);

/**
 * seat_take() - accept()'s step.
 * @cursor: Of this listener; zero at first. Caller holds the listener's lock.
 * @handle: Handle number for the new socket: its map entry is written here.
 * @ret:    Set on success; its own half is OPEN.
 *
 * Return: 0; -EAGAIN where nobody waits; -ENFILE and the like where those
 *         who wait could not be mapped (they stay).
 */
int seat_take(struct party *p, struct half *listener, uint64_t *cursor, unsigned handle,
	      struct conn *ret);

/**
 * seat_take_shared() - The same for a listener that several processes hold
 * (half.shared): the cursor is in the listener's half.
 * @lp: The listener's party, perhaps inherited.
 * @p:  Our own, which the new socket belongs to.
 * Return: As seat_take(). Whom another process is accepting just now is passed over.
 */
int seat_take_shared(struct party *lp, struct half *listener, struct party *p, unsigned handle,
		     struct conn *ret);

/**
 * seat_tidy() - Nobody waits at a shared listener: the seats of connectors who
 * have been accepted, and have followed, are free again.
 */
void seat_tidy(struct party *lp, struct half *listener, struct party *p);

/**
 * seat_share() - Several processes are about to hold it: from now on
 * seat_take_shared() is for all of them. The owner fills its row up with seats,
 * since those that moved rest a while. Caller holds the listener's lock.
 */
void seat_share(struct party *p, struct half *listener, uint64_t cursor);

/**
 * seat_claim() - connect()'s step.
 * @own:  A half of ours in BOUND, with @local and @remote set. It goes to
 *        OPEN, or back to BOUND.
 * @ref:  From the registry.
 *
 * Return: 0, with @ret attached; -EAGAIN where no seat is free; -ECONNREFUSED
 *         where the listener is gone; -ESRCH and others where its memory
 *         could not be had.
 */
int seat_claim(struct party *p, struct half *own, const struct listener_ref *ref,
	       struct conn *ret);

/**
 * seat_defer() - TCP_DEFER_ACCEPT of a socket that listens, or may come to: who has
 * claimed a seat and published nothing is not accepted for @ms. 0: none. Caller holds
 * the listener's lock.
 */
void seat_defer(struct party *p, struct half *listener, uint32_t ms);

/** seat_due() - When the first of those is to be accepted all the same; 0: there is none. */
uint64_t seat_due(struct party *p, const struct half *listener, const uint64_t *cursor);

/**
 * seat_speaks() - Whose peer is a seat with WANT_DEFERRED has published something: it is
 * to be accepted now.
 * @own: Its half. @seat: its peer, of @owner's.
 */
void seat_speaks(struct party *p, struct half *own, const struct half *seat,
		 struct peer *owner);

/**
 * seat_remind() - A connector has waited long: what it wrote into the mailbox
 * (its claim, a hint) may have been wiped out by another, and is written again.
 */
void seat_remind(struct conn *c);

/** seat_ring() - Tell the listener @l of @owner's that @own has claimed. */
void seat_ring(struct party *p, struct half *own, const struct half *l, struct peer *owner);

/**
 * seat_close() - The listener closes: each waiting connector gets an RST,
 * each seat that nobody took is freed. Called by its owner.
 */
void seat_close(struct party *p, struct half *listener);

#endif
