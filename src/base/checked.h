/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checked.h - Arithmetic that says when it does not fit, and arithmetic that
 * stops at the end of its type instead. For figures that a peer has a say in.
 */
#ifndef MORTISE_BASE_CHECKED_H
#define MORTISE_BASE_CHECKED_H

#include "base/defs.h"

/** checked_add(), checked_mul() - False, and *ret untouched by use, where the result does not fit.
 */
#define checked_add(a, b, ret) (!__builtin_add_overflow((a), (b), (ret)))
#define checked_mul(a, b, ret) (!__builtin_mul_overflow((a), (b), (ret)))

static inline uint32_t sat_add_u32(uint32_t a, uint32_t b)
{
	uint32_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT32_MAX : sum;
}

static inline uint32_t sat_sub_u32(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

static inline uint32_t sat_mul_u32(uint32_t a, uint32_t b)
{
	uint32_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT32_MAX : product;
}

static inline uint64_t sat_add_u64(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t sat_sub_u64(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint64_t sat_mul_u64(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/** muldiv_u64() - @a * @b / @c without losing the product's high half; the largest u64 where it
 * does not fit. */
static inline uint64_t muldiv_u64(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 q;

	if (c == 0)
		return UINT64_MAX;
	q = (unsigned __int128)a * b / c;
	return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}
static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}
static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
