// SPDX-License-Identifier: BSD-2-Clause
#include "engine/wheel.h"

static struct itable links(struct timer *table)
{
	return (struct itable){.first = (uint8_t *)&table[0].link, .stride = sizeof(*table)};
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	*w = (struct wheel){.now = now_ns >> WHEEL_TICK_SHIFT};
	for (unsigned i = 0; i < WHEEL_LEVELS * WHEEL_SLOTS; i++)
		ilist_init(&w->slot[i]);
	ilist_init(&w->due);
}

static void insert(struct wheel *w, struct timer *table, uint32_t id)
{
	struct timer *t = &table[id];
	uint64_t differs = t->tick ^ w->now;
	unsigned level;
	unsigned slot;

	if (t->tick <= w->now) {
		t->slot = WHEEL_SLOT_DUE;
		ilist_push(&w->due, links(table), id);
		return;
	}
	level = (63u - (unsigned)__builtin_clzll(differs)) / 6;
	/* The span is counted from now, so a carry may reach one bit above it. */
	if (level >= WHEEL_LEVELS)
		level = WHEEL_LEVELS - 1;
	slot = (unsigned)(t->tick >> 6 * level) & (WHEEL_SLOTS - 1);
	t->slot = level * WHEEL_SLOTS + slot;
	w->used[level] |= 1ull << slot;
	ilist_push(&w->slot[t->slot], links(table), id);
}

static void take_out(struct wheel *w, struct timer *table, uint32_t id)
{
	uint32_t slot = table[id].slot;

	if (slot == WHEEL_SLOT_DUE) {
		ilist_remove(&w->due, links(table), id);
		return;
	}
	ilist_remove(&w->slot[slot], links(table), id);
	if (w->slot[slot].head == NIL)
		w->used[slot / WHEEL_SLOTS] &= ~(1ull << slot % WHEEL_SLOTS);
}

void wheel_set(struct wheel *w, struct timer *table, uint32_t id, uint64_t due_ns)
{
	uint64_t tick =
		(due_ns >> WHEEL_TICK_SHIFT) + ((due_ns & ((1ull << WHEEL_TICK_SHIFT) - 1)) != 0);

	if (tick > w->now && tick - w->now > WHEEL_SPAN_TICKS)
		tick = w->now + WHEEL_SPAN_TICKS;
	if (ilist_has(links(table), id)) {
		if (table[id].tick == tick)
			return;
		take_out(w, table, id);
	} else {
		w->set++;
	}
	table[id].tick = tick;
	insert(w, table, id);
}

void wheel_cancel(struct wheel *w, struct timer *table, uint32_t id)
{
	if (!ilist_has(links(table), id))
		return;
	take_out(w, table, id);
	w->set--;
}

uint64_t wheel_due_ns(const struct timer *table, uint32_t id)
{
	if (table[id].link.prev == ILINK_OUT)
		return UINT64_MAX;
	return table[id].tick << WHEEL_TICK_SHIFT;
}

/* When time next reaches a slot that has timers; after now. */
static uint64_t next_tick(const struct wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t used = w->used[level];
		unsigned at = ((unsigned)(w->now >> 6 * level) + 1) & (WHEEL_SLOTS - 1);
		uint64_t start;

		if (!used)
			continue;
		/* Rotated so that the slot after now's is bit 0: now's own comes last, a whole turn
		 * away. */
		used = used >> at | (at ? used << (64 - at) : 0);
		start = ((w->now >> 6 * level) + 1 + (unsigned)__builtin_ctzll(used)) << 6 * level;
		if (start < best)
			best = start;
	}
	return best;
}

/* Time is at the beginning of slots: each gives its timers to the wheels below, or to due. */
static void cascade(struct wheel *w, struct timer *table)
{
	for (unsigned level = WHEEL_LEVELS; level-- > 0;) {
		unsigned at = (unsigned)(w->now >> 6 * level) & (WHEEL_SLOTS - 1);
		struct ilist *slot = &w->slot[level * WHEEL_SLOTS + at];
		struct ilist moved = *slot;
		uint32_t id;

		if (w->now & ((1ull << 6 * level) - 1))
			continue;
		ilist_init(slot);
		w->used[level] &= ~(1ull << at);
		while ((id = ilist_pop(&moved, links(table))) != NIL)
			insert(w, table, id);
	}
}

uint32_t wheel_pop(struct wheel *w, struct timer *table, uint64_t now_ns)
{
	uint64_t now = now_ns >> WHEEL_TICK_SHIFT;

	while (w->due.head == NIL) {
		uint64_t start = next_tick(w);

		if (start > now) {
			if (now > w->now)
				w->now = now;
			return NIL;
		}
		w->now = start;
		cascade(w, table);
	}
	w->set--;
	return ilist_pop(&w->due, links(table));
}

uint64_t wheel_next_ns(const struct wheel *w)
{
	uint64_t tick = w->due.head != NIL ? w->now : next_tick(w);

	return tick == UINT64_MAX ? UINT64_MAX : tick << WHEEL_TICK_SHIFT;
}
