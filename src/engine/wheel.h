/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wheel.h - Timers in a hierarchy of wheels.
 *
 * Six wheels of 64 slots; a slot of a wheel is as long as the whole wheel
 * below it, a slot of the lowest is one tick. A timer lies in the wheel of the
 * highest bit in which its time differs from now's, and moves down when time
 * reaches its slot. To set, to cancel and to find the next one take the same
 * small number of steps however many there are, and time that passes without
 * one due costs nothing: a bit mask for each wheel says which slots have any.
 *
 * A timer never fires early, and up to a tick late.
 */
#ifndef MORTISE_ENGINE_WHEEL_H
#define MORTISE_ENGINE_WHEEL_H

#include "base/ilist.h"

#define WHEEL_LEVELS 6u
#define WHEEL_SLOTS 64u
#define WHEEL_TICK_SHIFT 17u /* a tick is 2^17 ns, 131 us */
/* Some 100 days; what is later fires then. */
#define WHEEL_SPAN_TICKS ((1ull << (6 * WHEEL_LEVELS)) - 1)

/**
 * struct timer - A timer; its number is its index in the caller's table.
 * @link: In a slot, or in wheel.due.
 * @tick: When, in ticks.
 * @slot: level * WHEEL_SLOTS + slot; WHEEL_SLOT_DUE: in wheel.due. Of meaning while linked.
 */
struct timer {
	struct ilink link;
	uint64_t tick;
	uint32_t slot;
	uint32_t pad;
};

#define WHEEL_SLOT_DUE UINT32_MAX

/**
 * struct wheel - The wheels.
 * @now:  Ticks that have passed; every timer before is in @due.
 * @used: Bit s of used[l]: slot s of level l has timers.
 * @due:  Those whose time has come, in the order of their times' slots.
 * @set:  Timers that are set.
 */
struct wheel {
	uint64_t now;
	uint64_t used[WHEEL_LEVELS];
	struct ilist slot[WHEEL_LEVELS * WHEEL_SLOTS];
	struct ilist due;
	uint32_t set;
	uint32_t pad;
};

/** wheel_init() - @now_ns: The time. The timers' links are initialised one by one, by
 * wheel_timer_init(). */
void wheel_init(struct wheel *w, uint64_t now_ns);

static inline void wheel_timer_init(struct timer *t)
{
	ilink_init(&t->link);
}

/** wheel_set() - Let timer @id fire at @due_ns, or as soon as possible; wherever it was before. */
void wheel_set(struct wheel *w, struct timer *table, uint32_t id, uint64_t due_ns);

void wheel_cancel(struct wheel *w, struct timer *table, uint32_t id);

/** wheel_due_ns() - When @id is to fire; UINT64_MAX: it is not set. */
uint64_t wheel_due_ns(const struct timer *table, uint32_t id);

/**
 * wheel_pop() - Let time pass until @now_ns, or until the first timer that is due.
 *
 * Return: that timer, which is set no more, or NIL: none is due.
 */
uint32_t wheel_pop(struct wheel *w, struct timer *table, uint64_t now_ns);

/** wheel_next_ns() - A time at which to call wheel_pop(), not after the next timer; UINT64_MAX:
 * none is set. */
uint64_t wheel_next_ns(const struct wheel *w);

#endif
