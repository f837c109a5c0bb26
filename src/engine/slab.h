/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h - Tables of equal objects, found by index and told apart by
 * generation: a reference to an object that is gone finds out.
 *
 * Each object begins with a struct slab_head. Entries are first used in the order
 * of the table, so that one that is never needed is never touched.
 */
#ifndef MORTISE_ENGINE_SLAB_H
#define MORTISE_ENGINE_SLAB_H

#include "base/ilist.h"

/**
 * struct slab_head - The head of each object.
 * @gen:  Odd while in use. Bumped by get and by put.
 * @next: Next free one.
 */
struct slab_head {
	uint32_t gen;
	uint32_t next;
};

/**
 * struct slab - A table's book.
 * @free:  First of those put back; NIL: none.
 * @fresh: Entries from here on were never used.
 * @cap, @used: Entries.
 * @peak:  The most that were ever in use.
 */
struct slab {
	uint32_t free;
	uint32_t fresh;
	uint32_t cap;
	uint32_t used;
	uint32_t peak;
};

void slab_init(struct slab *p, uint32_t cap);

/** slab_get() - An entry's index, zeroed but for its head; NIL: all are in use. */
uint32_t slab_get(struct slab *p, void *table, size_t stride);

void slab_put(struct slab *p, void *table, size_t stride, uint32_t i);

/** slab_holds() - Is entry @i in use, and of generation @gen? Any numbers may be asked. */
bool slab_holds(const struct slab *p, const void *table, size_t stride, uint32_t i, uint32_t gen);

#endif
