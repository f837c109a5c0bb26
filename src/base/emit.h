/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emit.h - Writing octets without ever writing past their room: the twin of
 * cursor.h. Who writes asks `failed` once, before it sends any of it.
 */
#ifndef MORTISE_BASE_EMIT_H
#define MORTISE_BASE_EMIT_H

#include <string.h>

#include "base/defs.h"

/**
 * struct emit - Octets being written.
 * @start:  Borrowed; the first octet of the room.
 * @at:     The next octet to write.
 * @end:    One past the room.
 * @failed: More was written than there was room for. Stays; nothing is written after it.
 */
struct emit {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool failed;
};

static inline struct emit emit_to(void *room, size_t bytes)
{
	uint8_t *at = room;

	return (struct emit){.start = at, .at = at, .end = at ? at + bytes : at};
}

/** emit_bytes() - Octets written so far. */
static inline size_t emit_bytes(const struct emit *e)
{
	return (size_t)(e->at - e->start);
}

/** emit_take() - Room for the next @bytes octets, which the caller fills; NULL sets failed. */
static inline uint8_t *emit_take(struct emit *e, size_t bytes)
{
	uint8_t *p = e->at;

	if (unlikely(e->failed || bytes > (size_t)(e->end - e->at))) {
		e->failed = true;
		return NULL;
	}
	e->at += bytes;
	return p;
}

static inline void emit_copy(struct emit *e, const void *from, size_t bytes)
{
	uint8_t *p = emit_take(e, bytes);

	if (p && bytes)
		memcpy(p, from, bytes);
}

static inline void emit_u8(struct emit *e, unsigned v)
{
	uint8_t *p = emit_take(e, 1);

	if (p)
		p[0] = (uint8_t)v;
}

/** put_be16(), put_be32() - Write in network order to octets that are known to be there. */
static inline void put_be16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/** emit_be16() - @v in network order; its low 16 bits count. */
static inline void emit_be16(struct emit *e, unsigned v)
{
	uint8_t *p = emit_take(e, 2);

	if (p)
		put_be16(p, v);
}

static inline void emit_be32(struct emit *e, uint32_t v)
{
	uint8_t *p = emit_take(e, 4);

	if (p)
		put_be32(p, v);
}

#endif
