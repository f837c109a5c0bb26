/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buddy.h - Memory for payload rings: blocks of 2^k pages from one area,
 * halved where a smaller one is wanted and joined again when both halves are
 * free. Its book lies outside of the area.
 */
#ifndef MORTISE_ENGINE_BUDDY_H
#define MORTISE_ENGINE_BUDDY_H

#include "base/ilist.h"

#define BUDDY_PAGE_SHIFT 12u
#define BUDDY_ORDERS 13u /* 4 KiB to 16 MiB */

/**
 * struct buddy_page - What is known about a page.
 * @link:  In its order's free list, where a free block begins here.
 * @order: Of the block that begins here.
 * @state: 0: inside of a block; BUDDY_FREE, BUDDY_USED: one begins here.
 */
struct buddy_page {
	struct ilink link;
	uint16_t order;
	uint16_t state;
};

#define BUDDY_FREE 1u
#define BUDDY_USED 2u

/** struct buddy - @pages, @used: in pages. */
struct buddy {
	struct ilist free[BUDDY_ORDERS];
	uint32_t pages;
	uint32_t used;
};

/** buddy_init() - @pages: of the area; a multiple of the largest block is used best. */
void buddy_init(struct buddy *b, struct buddy_page *book, uint32_t pages);

/** buddy_get() - A block of 2^order pages: its first page's number, or NIL. */
uint32_t buddy_get(struct buddy *b, struct buddy_page *book, unsigned order);

void buddy_put(struct buddy *b, struct buddy_page *book, uint32_t page);

/** buddy_order() - The smallest order that has @bytes; BUDDY_ORDERS where none has. */
unsigned buddy_order(uint64_t bytes);

#endif
