/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cursor.h - Reading octets without ever reading past their end.
 *
 * A parser takes what it wants, in the order of the header's diagram, and asks
 * `failed` once, before it uses any of it: what is taken beyond the end is 0,
 * and nothing more can be taken after that.
 */
#ifndef MORTISE_BASE_CURSOR_H
#define MORTISE_BASE_CURSOR_H

#include <string.h>

#include "base/defs.h"

/**
 * struct cursor - What is left of some octets.
 * @at:     Borrowed; the next octet.
 * @end:    One past the last octet.
 * @failed: More was asked for than there was. Stays.
 */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

static inline struct cursor cursor_of(const void *octets, size_t bytes)
{
	const uint8_t *at = octets;

	return (struct cursor){.at = at, .end = at ? at + bytes : at};
}

/** cursor_left() - Octets that can still be taken. */
static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/** cursor_take() - The next @bytes octets, or NULL, which sets failed. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t bytes)
{
	const uint8_t *p = c->at;

	if (unlikely(c->failed || bytes > cursor_left(c))) {
		c->failed = true;
		c->at = c->end;
		return NULL;
	}
	c->at += bytes;
	return p;
}

static inline void cursor_skip(struct cursor *c, size_t bytes)
{
	(void)cursor_take(c, bytes);
}

/** cursor_copy() - The next @bytes octets to @to; zeros once failed. */
static inline void cursor_copy(struct cursor *c, void *to, size_t bytes)
{
	const uint8_t *p = cursor_take(c, bytes);

	if (p)
		memcpy(to, p, bytes);
	else
		memset(to, 0, bytes);
}

/** cursor_sub() - A cursor over the next @bytes octets alone; failed where those are not there. */
static inline struct cursor cursor_sub(struct cursor *c, size_t bytes)
{
	const uint8_t *p = cursor_take(c, bytes);

	if (!p)
		return (struct cursor){.at = c->end, .end = c->end, .failed = true};
	return cursor_of(p, bytes);
}

/** cursor_trim() - Let @bytes octets be left; failed where there are fewer. */
static inline void cursor_trim(struct cursor *c, size_t bytes)
{
	if (c->failed || bytes > cursor_left(c)) {
		c->failed = true;
		c->at = c->end;
		return;
	}
	c->end = c->at + bytes;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1);

	return p ? p[0] : 0;
}

/** cursor_be16() - Next big-endian u16, in host order; 0 once failed. */
static inline uint16_t cursor_be16(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2);

	/* One cast over all of it: with UBSan gcc takes the other way for a conversion. */
	return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}

/** cursor_be32() - Next big-endian u32, in host order; 0 once failed. */
static inline uint32_t cursor_be32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

#endif
