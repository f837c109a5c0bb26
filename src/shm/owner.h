/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * owner.h - Who gets SIGIO and SIGURG of a half, and how.
 *
 * Whoever publishes raises the signal: it reads in the peer's half who is to
 * have it. Only the kernel may send a signal that looks like one of its own,
 * so these have a code that the receiving library turns into the one that a
 * handler expects.
 */
#ifndef MORTISE_SHM_OWNER_H
#define MORTISE_SHM_OWNER_H

#include <signal.h>

#include "shm/abi.h"

/** enum owner_event - POLL_IN to POLL_HUP, the kernel's si_code; and: */
enum owner_event {
	OWNER_PLAIN = 0, /* SI_KERNEL, no descriptor */
	OWNER_URGENT = 7,
};

/* half.owner_born: of a thread, its process << OWNER_TGID_SHIFT as well. */
#define OWNER_TGID_SHIFT 40
#define OWNER_BORN_MASK ((1ull << OWNER_TGID_SHIFT) - 1)

/** owner_signal() - Raise what the owner of @h, if it has one, wants for @event. */
void owner_signal(const struct half *h, unsigned event);

/** owner_repeat() - Once more for what Linux tells twice, where signals are counted. */
void owner_repeat(const struct half *h, unsigned event);

/**
 * owner_notify() - The same for what half_notify() publishes.
 * @what, @want: As there.
 * @space: The peer's wish for space is answered.
 */
void owner_notify(struct half *own, const struct half *peer, uint32_t what, uint32_t want,
		  bool space);

/** owner_set() - Half @h is @owner's, as F_GETOWN_EX and F_GETSIG tell it.
 * @kind: OWNER_PROCESS, OWNER_THREAD, OWNER_GROUP. */
void owner_set(struct half *h, uint32_t kind, int owner, unsigned sig);

/** owner_async() - O_ASYNC is set, or cleared, by way of descriptor @fd. */
void owner_async(struct half *h, bool on, int fd);

/** owner_info_fix() - What the program is to see of a signal. */
void owner_info_fix(siginfo_t *info);

#endif
