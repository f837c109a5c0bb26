/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - A ring of payload octets: a power of two of them somewhere in a
 * window (engine.h). Positions run on for ever, as 64-bit numbers; the ring
 * remembers none, its user knows which of them it holds.
 *
 * Window 0 is the ring area of the mapping. The others are for rings that
 * belong to somebody else, a program's own memory: these are never made,
 * grown or given back here.
 */
#ifndef MORTISE_ENGINE_RING_H
#define MORTISE_ENGINE_RING_H

#include "base/defs.h"

struct engine;

/**
 * struct ring - @bytes: 0: there is no memory yet.
 * @offset: In its window. @page: Of the area, for window 0.
 */
struct ring {
	uint64_t offset;
	uint32_t bytes;
	uint32_t window;
};

/** ring_put() - Copy octets in, to @position on. The caller knows that there is room. */
void ring_put(const struct engine *e, const struct ring *r, uint64_t position, const void *octets,
	      size_t bytes);

void ring_get(const struct engine *e, const struct ring *r, uint64_t position, void *room,
	      size_t bytes);

/**
 * ring_slice() - Where octets lie: in one piece, or in two around the end.
 * @ret: Two.
 *
 * Return: how many pieces.
 */
unsigned ring_slice(const struct engine *e, const struct ring *r, uint64_t position, size_t bytes,
		    const uint8_t *ret_at[2], size_t ret_bytes[2]);

/**
 * ring_grow() - Have room for @bytes; positions @from to @to keep their octets.
 *
 * Return: false: there is no memory for it, and nothing has changed.
 */
bool ring_grow(struct engine *e, struct ring *r, uint64_t bytes, uint64_t from, uint64_t to);

/** ring_drop() - Give its memory back. */
void ring_drop(struct engine *e, struct ring *r);

#endif
