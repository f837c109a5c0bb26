/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hint.c - Setters of hints against the one who takes them: what was published
 * before a hint is seen by who takes it, and no hint is lost.
 */
#include <pthread.h>
#include <sched.h>

#include "../unit/world.h"

#define SETS 200000u
#define SLOTS 200u

static struct mailbox *mb;
static _Atomic uint32_t published[3][SLOTS], seen[3][SLOTS];
static _Atomic unsigned running = 3;

static void *setter(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t seed = me + 1;

	for (unsigned i = 0; i < SETS; i++) {
		unsigned slot = (unsigned)(dice(&seed) % SLOTS);

		/* Relaxed: hint_set() is the fence. */
		atomic_fetch_add_explicit(&published[me][slot], 1, memory_order_relaxed);
		hint_set(mb, slot * 163 % SLOT_MAX);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static unsigned slot_of[SLOT_MAX];

static void look(void *arg, unsigned slot)
{
	unsigned s = slot_of[slot];

	(void)arg;
	must(s < SLOTS);
	for (unsigned k = 0; k < 3; k++)
		store_relaxed(&seen[k][s], load_relaxed(&published[k][s]));
}

int main(void)
{
	pthread_t t[3];

	alarm(100);
	mb = mmap(NULL, MAILBOX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(mb != MAP_FAILED);
	memset(slot_of, 0xff, sizeof(slot_of));
	for (unsigned i = 0; i < SLOTS; i++)
		slot_of[i * 163 % SLOT_MAX] = i;
	for (unsigned k = 0; k < 3; k++)
		must(pthread_create(&t[k], NULL, setter, (void *)(uintptr_t)k) == 0);
	while (atomic_load(&running)) {
		if (hint_any(mb))
			hint_take(mb, look, NULL);
		else
			sched_yield();
	}
	for (unsigned k = 0; k < 3; k++)
		pthread_join(t[k], NULL);
	hint_take(mb, look, NULL);
	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 0; i < SLOTS; i++)
			must(published[k][i] == seen[k][i]);
	must(!hint_any(mb));
	return 0;
}
