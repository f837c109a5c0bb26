/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_SHM_FUTEX_H
#define MORTISE_SHM_FUTEX_H

#include "base/defs.h"

/**
 * futex_wake() - Wake sleepers of a word in shared memory.
 * @word:  Need not be writable here.
 * @count: At most so many.
 */
void futex_wake(const _Atomic uint32_t *word, int count);

/**
 * futex_wait() - Sleep while a word has a value.
 * @word:        In shared memory; need not be writable.
 * @expected:    Returns at once where the word differs.
 * @deadline_ns: CLOCK_MONOTONIC; 0: none.
 *
 * Return: 0 when woken or the word differs, -EINTR, -ETIMEDOUT.
 */
int futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);

#endif
