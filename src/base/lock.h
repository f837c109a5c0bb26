/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.h - A small lock for the threads of one process.
 */
#ifndef MORTISE_BASE_LOCK_H
#define MORTISE_BASE_LOCK_H

#include "base/defs.h"

/** struct lock - 0: free, 1: held, 2: held and wanted. Zeroed is free. */
struct lock {
	_Atomic uint32_t word;
};

void lock_take_slow(struct lock *l);
void lock_drop_slow(struct lock *l);

static inline void lock_take(struct lock *l)
{
	uint32_t zero = 0;

	if (!atomic_compare_exchange_strong_explicit(&l->word, &zero, 1,
						     memory_order_acquire,
						     memory_order_relaxed))
		lock_take_slow(l);
}
static inline bool lock_try(struct lock *l)
{
	uint32_t zero = 0;

	return atomic_compare_exchange_strong_explicit(&l->word, &zero, 1,
						       memory_order_acquire,
						       memory_order_relaxed);
}
static inline void lock_drop(struct lock *l)
{
	if (atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2)
		lock_drop_slow(l);
}

#endif
