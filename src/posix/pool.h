/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - Objects of one size, out of mapped memory that is never given
 * back. No malloc: the program may be inside it when a handler of its own
 * calls us. A stale pointer points to an object of the same type.
 */
#ifndef MORTISE_POSIX_POOL_H
#define MORTISE_POSIX_POOL_H

#include "base/defs.h"

/**
 * struct pool - Guarded by the user's lock.
 * @size: Of an object in bytes; a multiple of 8.
 * @free: Objects given back, linked through their first word.
 * @next: First byte of the current chunk that was never given out.
 * @left: Bytes left there.
 */
struct pool {
	size_t size;
	void *free;
	char *next;
	size_t left;
};

/** pool_get() - A zeroed object, or NULL where there is no memory. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *o);

#endif
