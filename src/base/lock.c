/* SPDX-License-Identifier: BSD-2-Clause */
#include <linux/futex.h>

#include "base/lock.h"
#include "base/sys.h"

void lock_take_slow(struct lock *l)
{
	for (int i = 0; i < 100; i++) {
		if (load_relaxed(&l->word) == 0 && lock_try(l))
			return;
		cpu_relax();
	}
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		sys4(SYS_futex, &l->word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0);
}

void lock_drop_slow(struct lock *l)
{
	sys3(SYS_futex, &l->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}
