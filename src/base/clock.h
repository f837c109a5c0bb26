/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_BASE_CLOCK_H
#define MORTISE_BASE_CLOCK_H

#include <time.h>

#include "base/defs.h"

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/** clock_now_ns() - CLOCK_MONOTONIC; through the vDSO, no system call. */
static inline uint64_t clock_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static inline struct timespec clock_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_SEC),
				  .tv_nsec = (long)(ns % NS_PER_SEC) };
}

#endif
