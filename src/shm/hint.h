/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hint.h - "Look at this half": a two-level bitmap in the owner's mailbox.
 *
 * Set by peers, taken by the owner. It cannot overflow. A wrong bit costs a
 * look; a bit that a dying setter left in level 0 alone is repaired by the
 * next setter of the same word.
 */
#ifndef MORTISE_SHM_HINT_H
#define MORTISE_SHM_HINT_H

#include "shm/abi.h"

/** hint_set() - Say that @slot wants a look. A full fence. */
void hint_set(struct mailbox *mb, unsigned slot);

/** hint_any() - Is there anything to take? Relaxed; for spinning. */
bool hint_any(const struct mailbox *mb);

/**
 * hint_take() - Take all bits and hand each slot to @fn.
 * Return: How many were taken.
 */
unsigned hint_take(struct mailbox *mb, void (*fn)(void *arg, unsigned slot), void *arg);

#endif
