/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * execute.h - What the daemon does for a side whose last descriptor is gone.
 */
#ifndef MORTISE_SHM_EXECUTE_H
#define MORTISE_SHM_EXECUTE_H

#include "shm/half.h"

/**
 * execute_half() - Bring a half to its end: FIN, or RST where data was
 * unread; a listener's queue gets RSTs; then RELEASED. Idempotent: an
 * executor that died half-way is followed by another.
 * @d:    The daemon as a party: it knows every party's arena, writable.
 * @dead: The party of the half.
 * @gen:  Nothing happens where the half is of another generation.
 */
void execute_half(struct party *d, struct peer *dead, unsigned slot, uint32_t gen);

/**
 * execute_idle() - Does anything in a dead party's arena still have a reader?
 * Return: True where every half is FREE, or RELEASED with a peer that let go:
 *         the estate can be dropped.
 * @lookup: Arena base of a party id, or NULL where it is gone.
 */
bool execute_idle(void *base, void *(*lookup)(void *arg, unsigned party, uint32_t gen),
		  void *arg);

#endif
