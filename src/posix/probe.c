/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.c - By rt_sigprocmask(), which every sandbox allows: it changes nothing
 * here, but reads a set at one address, or stores the present mask at another.
 * What was there is put back, with no handler in between; only the caller's
 * own array is touched.
 */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "posix/probe.h"
#include "posix/section.h"

#define SET_BYTES 8u

__thread struct probe_range probe_ranges[PROBE_RANGES]
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
static __thread unsigned next __attribute__((tls_model("initial-exec")));

/* The set is read before the kernel looks at what is to be done with it. */
static bool is_readable(uintptr_t p)
{
	p &= ~(uintptr_t)(SET_BYTES - 1);
	return p && sys4(SYS_rt_sigprocmask, ~0u, p, NULL, SET_BYTES) != -EFAULT;
}

/* Readable memory: can the set's room at @p be written to? */
static bool is_writable(uintptr_t p)
{
	size_t first = PAGE_BYTES - (p & (PAGE_BYTES - 1)); /* bytes in its page */
	void *at = (void *)p;
	uint64_t was;
	bool yes;

	section_enter();
	memcpy(&was, at, sizeof(was));
	yes = sys4(SYS_rt_sigprocmask, 0, NULL, at, SET_BYTES) != -EFAULT;
	if (yes)
		memcpy(at, &was, sizeof(was));
	else if (first < sizeof(was))
		memcpy(at, &was, first);
	section_leave();
	return yes;
}

/* One page; of [p, end) what is in it is asked for. */
static bool can(uintptr_t page, uintptr_t p, uintptr_t end, bool write)
{
	uintptr_t at = page < p ? p : page;

	if (!is_readable(at))
		return false;
	if (!write || end - p < SET_BYTES)
		return true;
	if (end - at < SET_BYTES)
		at = end - SET_BYTES; /* begins in a page that is known by now */
	/* Over the edge of its page the next one is asked for. */
	return at < page + PAGE_BYTES - SET_BYTES + 1 ? is_writable(at) : true;
}

size_t probe_slow(uintptr_t p, size_t bytes, bool write)
{
	uintptr_t start = p & ~(uintptr_t)(PAGE_BYTES - 1), end = p + bytes, at;

	if (end < p) /* No memory goes so far. */
		end = UINTPTR_MAX;
	for (at = start; at < end; at += PAGE_BYTES)
		if (!can(at, p, end, write))
			break;
	if (at > start)
		probe_ranges[next++ % PROBE_RANGES] =
			(struct probe_range){ .start = start, .end = at, .written = write };
	return at >= end ? bytes : at > p ? at - p : 0;
}
