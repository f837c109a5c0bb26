/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.h - Can the program's memory be touched? Where a system call would
 * answer EFAULT, so must we, and not fault.
 *
 * The kernel is asked once for each run of pages; a thread remembers its last
 * few. So memory that is unmapped between two calls faults all the same.
 */
#ifndef MORTISE_POSIX_PROBE_H
#define MORTISE_POSIX_PROBE_H

#include "base/defs.h"

#define PROBE_RANGES 4u

/**
 * struct probe_range - Whole pages that could be touched.
 * @start, @end: [start, end).
 * @written:     Also written to.
 */
struct probe_range {
	uintptr_t start, end;
	bool written;
};
extern __thread struct probe_range probe_ranges[PROBE_RANGES]
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

size_t probe_slow(uintptr_t p, size_t bytes, bool write);

static inline size_t probe(const void *at, size_t bytes, bool write)
{
	uintptr_t p = (uintptr_t)at;

	for (unsigned i = 0; i < PROBE_RANGES; i++) {
		const struct probe_range *r = &probe_ranges[i];

		if (p - r->start < r->end - r->start && bytes <= r->end - p &&
		    (r->written || !write))
			return bytes;
	}
	return bytes ? probe_slow(p, bytes, write) : 0;
}

/** probe_readable() - So many of the @bytes from @p on can be read. */
static inline size_t probe_readable(const void *p, size_t bytes)
{
	return probe(p, bytes, false);
}

/** probe_writable() - So many of them can be read and written. */
static inline size_t probe_writable(const void *p, size_t bytes)
{
	return probe(p, bytes, true);
}

#endif
