/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/futex.h>

#include "base/clock.h"
#include "base/sys.h"
#include "shm/futex.h"

void futex_wake(const _Atomic uint32_t *word, int count)
{
	sys3(SYS_futex, word, FUTEX_WAKE, count);
}

int futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec t = clock_timespec(deadline_ns);
	long r = sys6(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
		      deadline_ns ? &t : NULL, 0, FUTEX_BITSET_MATCH_ANY);

	return r == -EINTR || r == -ETIMEDOUT ? (int)r : 0;
}
