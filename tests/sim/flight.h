/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flight.h - Frames on their way, in the order in which they arrive.
 */
#ifndef MORTISE_TESTS_SIM_FLIGHT_H
#define MORTISE_TESTS_SIM_FLIGHT_H

#include "base/defs.h"

/** struct flight_frame - @from: who sent it, as flight_new() was told. @to: the caller's, 0 at
 * first. */
struct flight_frame {
	uint64_t at_ns, order;
	unsigned from, to;
	size_t bytes;
	bool harmed;
	uint8_t octets[];
};

/** struct flight - A heap; zeroed, it is empty. @order: of those that arrive at one moment. */
struct flight {
	struct flight_frame **heap;
	size_t n, cap;
	uint64_t order;
};

/** flight_new() - A copy of a frame, not on its way yet. NULL: no memory. */
struct flight_frame *flight_new(unsigned from, const uint8_t *octets, size_t bytes);

/** flight_add() - It arrives at @f->at_ns. Return: false: no memory; it is still the caller's. */
bool flight_add(struct flight *fl, struct flight_frame *f);

/** flight_next_ns() - When the first arrives; UINT64_MAX: none is on its way. */
static inline uint64_t flight_next_ns(const struct flight *fl)
{
	return fl->n ? fl->heap[0]->at_ns : UINT64_MAX;
}

/** flight_pop() - The first. There is one; the caller frees it. */
struct flight_frame *flight_pop(struct flight *fl);

/** flight_end() - None of them arrives. */
void flight_end(struct flight *fl);

#endif
