/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/futex.h>

#include "base/sys.h"
#include "posix/probe.h"
#include "shm/abi.h"

__thread struct probe_range probe_ranges[PROBE_RANGES]
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
static __thread unsigned next __attribute__((tls_model("initial-exec")));

/* The kernel reads a signal set before it looks at what is to be done with it,
 * which is nothing. */
static bool page_is_readable(uintptr_t p)
{
	return p >= 8 && sys4(SYS_rt_sigprocmask, ~0u, p & ~7ul, NULL, 8) != -EFAULT;
}

/* The kernel ors nothing to the word, and wakes nobody: no word has that value
 * but by chance, and who waits there must stand a wake-up without a reason. */
static bool page_is_writable(uintptr_t p)
{
	static uint32_t own;

	return sys6(SYS_futex, &own, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0, p & ~3ul,
		    FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, -1789)) != -EFAULT;
}

size_t probe_slow(uintptr_t p, size_t bytes, bool write)
{
	uintptr_t start = p & ~(PAGE_BYTES - 1ul), end = p + bytes, at;

	if (end < p)
		end = UINTPTR_MAX & ~(PAGE_BYTES - 1ul);
	for (at = start; at < end; at += PAGE_BYTES)
		if (!(write ? page_is_writable(at < p ? p : at) : page_is_readable(at < p ? p : at)))
			break;
	if (at > start)
		probe_ranges[next++ % PROBE_RANGES] =
			(struct probe_range){ .start = start, .end = at, .written = write };
	return at >= end ? bytes : at > p ? at - p : 0;
}
