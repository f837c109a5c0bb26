// SPDX-License-Identifier: BSD-2-Clause
#include <assert.h>
#include <string.h>

#include "engine/slab.h"

static struct slab_head *at(void *table, size_t stride, uint32_t i)
{
	return (struct slab_head *)(void *)((uint8_t *)table + (size_t)i * stride);
}

void slab_init(struct slab *p, uint32_t cap)
{
	*p = (struct slab){.free = NIL, .cap = cap};
}

uint32_t slab_get(struct slab *p, void *table, size_t stride)
{
	uint32_t i = p->free;
	struct slab_head *o;

	if (i != NIL) {
		o = at(table, stride, i);
		p->free = o->next;
	} else if (p->fresh < p->cap) {
		i = p->fresh++;
		o = at(table, stride, i);
		o->gen = 0;
	} else {
		return NIL;
	}
	memset(o + 1, 0, stride - sizeof(*o));
	o->gen++;
	o->next = NIL;
	p->used++;
	if (p->used > p->peak)
		p->peak = p->used;
	return i;
}

void slab_put(struct slab *p, void *table, size_t stride, uint32_t i)
{
	struct slab_head *o = at(table, stride, i);

	assert(o->gen & 1);
	o->gen++;
	o->next = p->free;
	p->free = i;
	p->used--;
}

bool slab_holds(const struct slab *p, const void *table, size_t stride, uint32_t i, uint32_t gen)
{
	const struct slab_head *o;

	if (i >= p->fresh || !(gen & 1))
		return false;
	o = (const struct slab_head *)(const void *)((const uint8_t *)table + (size_t)i * stride);
	return o->gen == gen;
}
