// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "engine/ring.h"
#include "engine/state.h"

/* Offsets into the ring's memory: one piece, or two around its end. */
static unsigned split(const struct ring *r, uint64_t position, size_t bytes, size_t at[2],
		      size_t n[2])
{
	size_t first;

	at[0] = (size_t)(position & (r->bytes - 1));
	at[1] = 0;
	first = r->bytes - at[0];
	n[0] = bytes < first ? bytes : first;
	n[1] = bytes - n[0];
	return n[1] ? 2 : n[0] ? 1 : 0;
}

static uint8_t *memory(const struct engine *e, const struct ring *r)
{
	return e->window[r->window].base + r->offset;
}

unsigned ring_slice(const struct engine *e, const struct ring *r, uint64_t position, size_t bytes,
		    const uint8_t *ret_at[2], size_t ret_bytes[2])
{
	size_t at[2];
	unsigned pieces = split(r, position, bytes, at, ret_bytes);

	ret_at[0] = memory(e, r) + at[0];
	ret_at[1] = memory(e, r);
	return pieces;
}

void ring_put(const struct engine *e, const struct ring *r, uint64_t position, const void *octets,
	      size_t bytes)
{
	const uint8_t *from = octets;
	size_t at[2];
	size_t n[2];
	unsigned pieces = split(r, position, bytes, at, n);

	for (unsigned i = 0; i < pieces; i++) {
		memcpy(memory(e, r) + at[i], from, n[i]);
		from += n[i];
	}
}

void ring_get(const struct engine *e, const struct ring *r, uint64_t position, void *room,
	      size_t bytes)
{
	uint8_t *to = room;
	size_t at[2];
	size_t n[2];
	unsigned pieces = split(r, position, bytes, at, n);

	for (unsigned i = 0; i < pieces; i++) {
		memcpy(to, memory(e, r) + at[i], n[i]);
		to += n[i];
	}
}

bool ring_grow(struct engine *e, struct ring *r, uint64_t bytes, uint64_t from, uint64_t to)
{
	unsigned order = buddy_order(bytes);
	struct ring bigger = {.window = 0};
	uint32_t page;

	if (r->bytes >= bytes)
		return true;
	if (r->window != 0 || order >= BUDDY_ORDERS)
		return false;
	page = buddy_get(&e->s->buddy, e->book, order);
	if (page == NIL)
		return false;
	bigger.offset = (uint64_t)page << BUDDY_PAGE_SHIFT;
	bigger.bytes = 1u << (BUDDY_PAGE_SHIFT + order);
	while (from < to) {
		const uint8_t *at[2];
		size_t n[2];
		unsigned pieces = ring_slice(e, r, from, (size_t)(to - from), at, n);

		for (unsigned i = 0; i < pieces; i++) {
			ring_put(e, &bigger, from, at[i], n[i]);
			from += n[i];
		}
	}
	ring_drop(e, r);
	*r = bigger;
	return true;
}

void ring_drop(struct engine *e, struct ring *r)
{
	if (r->bytes && r->window == 0)
		buddy_put(&e->s->buddy, e->book, (uint32_t)(r->offset >> BUDDY_PAGE_SHIFT));
	*r = (struct ring){0};
}
