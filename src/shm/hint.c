/* SPDX-License-Identifier: BSD-2-Clause */
#include "shm/hint.h"

void hint_set(struct mailbox *mb, unsigned slot)
{
	unsigned w = slot / 64u % HINT_L0_WORDS;
	uint64_t bit1 = 1ull << (w % 64u);

	/* Level 0 first: who takes level 1's bit must find level 0's. Both
	 * are full fences, and level 1 is always looked at, since whoever set
	 * level 0 before us may have died in between. */
	atomic_fetch_or(&mb->hint_l0[w], 1ull << (slot % 64u));
	if (!(atomic_load(&mb->hint_l1[w / 64u]) & bit1))
		atomic_fetch_or(&mb->hint_l1[w / 64u], bit1);
}

bool hint_any(const struct mailbox *mb)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < HINT_L1_WORDS; i++)
		any |= load_relaxed(&mb->hint_l1[i]);
	return any != 0;
}

unsigned hint_take(struct mailbox *mb, void (*fn)(void *arg, unsigned slot), void *arg)
{
	unsigned n = 0;

	for (unsigned i = 0; i < HINT_L1_WORDS; i++) {
		uint64_t l1;

		if (load_relaxed(&mb->hint_l1[i]) == 0)
			continue;
		l1 = atomic_exchange(&mb->hint_l1[i], 0);
		while (l1) {
			unsigned w = i * 64u + (unsigned)__builtin_ctzll(l1);
			uint64_t l0 = atomic_exchange(&mb->hint_l0[w], 0);

			l1 &= l1 - 1;
			while (l0) {
				fn(arg, w * 64u + (unsigned)__builtin_ctzll(l0));
				l0 &= l0 - 1;
				n++;
			}
		}
	}
	return n;
}
