/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spin.h - How long to spin before a sleep, and whether at all.
 *
 * Spinning pays where the other side runs on another CPU and answers within
 * microseconds. On our own CPU it only keeps the other side from running:
 * then a few sched_yield()s do what spinning cannot.
 *
 * Neither pays where more threads want to run than there are CPUs. Who sleeps is put
 * on a CPU at once when he is woken; who yields waits behind all the others, for a slice
 * of several milliseconds each. There is no asking for that cheaply, but it shows: a
 * yield that returned late, or a spin that ended late. Then the CPUs are held to be
 * crowded, for a time that is long beside what was lost, and waiting is sleeping.
 */
#ifndef MORTISE_SHM_SPIN_H
#define MORTISE_SHM_SPIN_H

#include "base/defs.h"

/**
 * struct spin - What a waiter's recent spins were worth. Zeroed is the start.
 * @fails: Spins since the last one that found something. Several threads may
 *         write it without a lock: a lost count does no harm.
 */
struct spin {
	_Atomic uint32_t fails;
};

/**
 * spin_until_ns() - Until when may this waiter spin?
 * @max_ns: The configured limit; 0: never.
 * @now_ns: Of clock_now_ns(). Also the answer where it may not.
 *
 * The time halves with each failure, down to a sixty-fourth. Every sixteenth time
 * after that is a trial with all of it: two sides that both sleep find out
 * that way that they need not. None where the CPUs are crowded.
 */
uint64_t spin_until_ns(const struct spin *sp, uint64_t max_ns, uint64_t now_ns);

/** spin_found() - It paid. */
void spin_found(struct spin *sp);
/** spin_failed() - It did not.
 * @until_ns, @now_ns: When it was to end, and when it did, if it was not ended early. */
void spin_failed(struct spin *sp, uint64_t until_ns, uint64_t now_ns);

/**
 * spin_yield() - A few sched_yield()s, so that a peer on our own CPU can run; none where
 * the CPUs are crowded.
 * @look: Is there what is waited for? Called with @arg after each.
 * Return: Whether @look said so.
 */
bool spin_yield(bool (*look)(void *arg), void *arg);

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
