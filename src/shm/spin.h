/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spin.h - How long to spin before a sleep, and whether at all.
 *
 * Spinning pays where the other side runs on another CPU and answers within
 * microseconds. On our own CPU it only keeps the other side from running:
 * then a few sched_yield()s do what spinning cannot.
 */
#ifndef MORTISE_SHM_SPIN_H
#define MORTISE_SHM_SPIN_H

#include "base/defs.h"

#define SPIN_YIELDS 4u /* sched_yield()s before a sleep, instead of spinning */

/**
 * struct spin - What a waiter's recent spins were worth. Zeroed is the start.
 * @fails: Spins since the last one that found something. Several threads may
 *         write it without a lock: a lost count does no harm.
 */
struct spin {
	_Atomic uint32_t fails;
};

/**
 * spin_budget_ns() - How long this waiter may spin now.
 * @max_ns: The configured limit; 0: never.
 *
 * Halves with each failure, down to a sixty-fourth. Every sixteenth time
 * after that is a trial with all of it: two sides that both sleep find out
 * that way that they need not.
 */
uint64_t spin_budget_ns(const struct spin *sp, uint64_t max_ns);

/** spin_done() - Say how it ended. */
void spin_done(struct spin *sp, bool found);

/** spin_cpu() - The CPU we run on, + 1: what half.cpu holds. 0: not known. */
uint32_t spin_cpu(void);

/** spin_alone() - May we run on one CPU only? Cached for 100 ms. */
bool spin_alone(void);

/**
 * spin_same_cpu() - Would a spin keep the peer from running?
 * @peer_cpu: Its half.cpu; 0 where it is not known.
 */
bool spin_same_cpu(uint32_t peer_cpu);

#endif
