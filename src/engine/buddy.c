// SPDX-License-Identifier: BSD-2-Clause
#include <assert.h>

#include "engine/buddy.h"

static struct itable links(struct buddy_page *book)
{
	return (struct itable){.first = (uint8_t *)&book[0].link, .stride = sizeof(*book)};
}

static void give(struct buddy *b, struct buddy_page *book, uint32_t page, unsigned order)
{
	book[page].order = (uint16_t)order;
	book[page].state = BUDDY_FREE;
	ilist_insert(&b->free[order], links(book), NIL, page);
}

void buddy_init(struct buddy *b, struct buddy_page *book, uint32_t pages)
{
	*b = (struct buddy){.pages = pages};
	for (unsigned i = 0; i < BUDDY_ORDERS; i++)
		ilist_init(&b->free[i]);
	for (uint32_t i = 0; i < pages; i++) {
		ilink_init(&book[i].link);
		book[i].state = 0;
	}
	for (uint32_t page = 0; page < pages;) {
		unsigned order = BUDDY_ORDERS - 1;

		while (page & ((1u << order) - 1) || (1u << order) > pages - page)
			order--;
		give(b, book, page, order);
		page += 1u << order;
	}
}

uint32_t buddy_get(struct buddy *b, struct buddy_page *book, unsigned order)
{
	unsigned from = order;
	uint32_t page;

	while (from < BUDDY_ORDERS && b->free[from].head == NIL)
		from++;
	if (from >= BUDDY_ORDERS)
		return NIL;
	page = ilist_pop(&b->free[from], links(book));
	while (from > order) {
		from--;
		give(b, book, page + (1u << from), from);
	}
	book[page].order = (uint16_t)order;
	book[page].state = BUDDY_USED;
	b->used += 1u << order;
	return page;
}

void buddy_put(struct buddy *b, struct buddy_page *book, uint32_t page)
{
	unsigned order = book[page].order;

	assert(book[page].state == BUDDY_USED);
	b->used -= 1u << order;
	book[page].state = 0;
	while (order < BUDDY_ORDERS - 1) {
		uint32_t other = page ^ 1u << order;

		if (other >= b->pages || book[other].state != BUDDY_FREE ||
		    book[other].order != order)
			break;
		ilist_remove(&b->free[order], links(book), other);
		book[other].state = 0;
		page &= ~(1u << order);
		order++;
	}
	give(b, book, page, order);
}

unsigned buddy_order(uint64_t bytes)
{
	unsigned order = 0;

	while (order < BUDDY_ORDERS && (1ull << (BUDDY_PAGE_SHIFT + order)) < bytes)
		order++;
	return order;
}
