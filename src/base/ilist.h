/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ilist.h - Doubly linked lists of table entries, by index: no pointers, so
 * that the table may lie in a mapping that moves.
 */
#ifndef MORTISE_BASE_ILIST_H
#define MORTISE_BASE_ILIST_H

#include "base/defs.h"

#define NIL UINT32_MAX
#define ILINK_OUT (UINT32_MAX - 1) /* prev of what is on no list */

/** struct ilink - Lies in each entry. ilink_init() it before use. */
struct ilink {
	uint32_t next;
	uint32_t prev;
};

/** struct ilist - Both NIL: empty. */
struct ilist {
	uint32_t head;
	uint32_t tail;
};

/** struct itable - Where the links of a table's entries are: that of entry 0, and the stride. */
struct itable {
	uint8_t *first;
	size_t stride;
};

static inline struct ilink *ilink_at(struct itable t, uint32_t i)
{
	return (struct ilink *)(void *)(t.first + (size_t)i * t.stride);
}

static inline void ilink_init(struct ilink *l)
{
	*l = (struct ilink){.next = NIL, .prev = ILINK_OUT};
}

static inline void ilist_init(struct ilist *l)
{
	*l = (struct ilist){.head = NIL, .tail = NIL};
}

static inline bool ilist_has(struct itable t, uint32_t i)
{
	return ilink_at(t, i)->prev != ILINK_OUT;
}

/** ilist_insert() - Put @i, which is on no list, behind @after; NIL: at the front. */
static inline void ilist_insert(struct ilist *l, struct itable t, uint32_t after, uint32_t i)
{
	struct ilink *it = ilink_at(t, i);

	it->prev = after;
	it->next = after == NIL ? l->head : ilink_at(t, after)->next;
	if (after == NIL)
		l->head = i;
	else
		ilink_at(t, after)->next = i;
	if (it->next == NIL)
		l->tail = i;
	else
		ilink_at(t, it->next)->prev = i;
}

static inline void ilist_push(struct ilist *l, struct itable t, uint32_t i)
{
	ilist_insert(l, t, l->tail, i);
}

static inline void ilist_remove(struct ilist *l, struct itable t, uint32_t i)
{
	struct ilink *it = ilink_at(t, i);

	if (it->prev == NIL)
		l->head = it->next;
	else
		ilink_at(t, it->prev)->next = it->next;
	if (it->next == NIL)
		l->tail = it->prev;
	else
		ilink_at(t, it->next)->prev = it->prev;
	ilink_init(it);
}

/** ilist_pop() - Take the first off; NIL: there is none. */
static inline uint32_t ilist_pop(struct ilist *l, struct itable t)
{
	uint32_t i = l->head;

	if (i != NIL)
		ilist_remove(l, t, i);
	return i;
}

#endif
