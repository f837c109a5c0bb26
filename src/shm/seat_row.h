/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seat_row.h - What seat.c and accept.c have in common: a listener's row.
 */
#ifndef MORTISE_SHM_SEAT_ROW_H
#define MORTISE_SHM_SEAT_ROW_H

#include "shm/conn.h"

/* The words that name the seats, in the listener's arena. */
static inline _Atomic uint64_t *seat_words(const struct party *p, const struct half *l)
{
	return arena_seats(p->base) + load_relaxed(&l->seat_base) + 1;
}

/* The words by which they are held while somebody accepts there. */
static inline _Atomic uint32_t *seat_locks(const struct party *p, const struct half *l)
{
	return arena_seat_locks(p->base) + load_relaxed(&l->seat_base) + 1;
}

/* The words by which they are claimed, in its mailbox; the tickets' counter
 * comes before them. */
static inline _Atomic uint64_t *claim_words(struct mailbox *mb, uint32_t base)
{
	return &mb->claims[base] + 1;
}

/** seat_row_take() - Index entries for a row, rounded up to 64; the first is the
 * ticket counter. Caller holds the party's lock. Return: the first, or -ENOSPC. */
int seat_row_take(struct party *p, unsigned entries);

/**
 * seat_claim_one() - Claim seat @i for @own, which names it in `peer` then.
 * @state: The gen_state with which @l was found.
 * Return: 0, -EAGAIN where it is not to be had, -ECONNREFUSED.
 */
int seat_claim_one(struct party *p, struct half *own, const struct half *l, uint64_t state,
		   struct peer *owner, uint32_t base, uint32_t i, half_ref *ret);

/**
 * seat_init() - Make the FREE half @h of @slot a seat of the listener @l.
 * @p: Whose counter the cookie is from.
 * Return: Its word.
 */
uint64_t seat_init(struct party *p, const struct half *l, struct half *h, unsigned slot);

/** seat_make() - A new seat, in the arena of @p, which is the listener's.
 * Return: Its word, or 0. */
uint64_t seat_make(struct party *p, const struct half *l);

/**
 * seat_bind() - Give a seat's half the peer that claims it, where that is true.
 * @p:    The listener's owner.
 * @word: Where the claim was read. @claim: what it was, CLAIM_DEFERRED included.
 * Return: 0 with @ret attached, or -errno with the seat as it was: -EBUSY
 *         where the claimant is still choosing and will see to it itself.
 */
int seat_bind(struct party *p, uint64_t seat, const _Atomic uint64_t *word, uint64_t claim,
	      struct conn *ret);

#endif
