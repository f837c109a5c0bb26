/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * half.h - A half's states, what wakes its peer, and its executor.
 */
#ifndef MORTISE_SHM_HALF_H
#define MORTISE_SHM_HALF_H

#include "shm/abi.h"
#include "shm/party.h"

static inline enum half_state half_state(const struct half *h)
{
	return (enum half_state)(uint32_t)load_acquire(&h->gen_state);
}
static inline uint32_t half_gen(const struct half *h)
{
	return (uint32_t)(load_acquire(&h->gen_state) >> 32);
}
void half_set_state(struct half *h, enum half_state s);

/** half_ref_of() - The name by which others know a half of ours. */
half_ref half_ref_of(const struct party *p, const struct half *h);

/**
 * half_find() - The half that a reference names in a mapped arena.
 * @base: Of the party that half_ref_party(@ref) names.
 * Return: NULL where the slot number is impossible. The generation is not
 *         compared: half_gen() is for that.
 */
struct half *half_find(void *base, half_ref ref);

/** What a side has published, for half_notify(). */
#define NOTIFY_DATA 1u  /* a new tail */
#define NOTIFY_SPACE 2u /* a new head */
#define NOTIFY_END 4u   /* FIN, RST, acceptance: wakes every sleeper */

/**
 * half_ring() - Hint at a half that asked for it, and ring whoever has its
 * bell. May ask the daemon, at the first use of a party or of a bell.
 * @owner: Party of @h.
 */
void half_ring(struct party *p, struct peer *owner, const struct half *h);

/**
 * half_notify() - Wake the peer, if it wants what was just published.
 * @own:   Has been written; a full fence is made here.
 * @peer:  Its want word is loaded once.
 * @owner: Party of @peer.
 *
 * Return: The want word that was seen (for WANT_CLOSED).
 */
uint32_t half_notify(struct party *p, struct half *own, const struct half *peer,
		     struct peer *owner, uint32_t what);

/**
 * half_end() - Publish the end of a side: FIN, or RST where data was unread
 * or @force_rst, and go to CLOSED. No process reads or writes it after this.
 * @peer:  NULL where it never had one.
 * The caller takes the last step, half_release().
 * Return: As half_notify(); 0 where nobody was to be told.
 */
uint32_t half_end(struct party *p, struct half *own, const struct half *peer,
	      struct peer *owner, bool force_rst);
void half_release(struct half *own);

/** half_renew() - The next generation of a slot: FREE, all else but ext[] zero. */
void half_renew(struct half *h);

/**
 * half_reusable() - May the slot of a half that is RELEASED be taken again?
 * Where the peer is a seat that has moved on, @own names what it moved to from
 * now on: ask again.
 * @peer_base: Arena of its peer's party, NULL where that party is gone or the
 *             half never had a peer.
 */
bool half_reusable(struct half *own, void *peer_base);

#endif
