/* SPDX-License-Identifier: BSD-2-Clause */
#include <sched.h>
#include <sys/rseq.h>

#include "base/clock.h"
#include "base/sys.h"
#include "shm/spin.h"

#define FAILS_FLOOR 6u    /* a sixty-fourth */
#define FAILS_TRIAL 16u   /* power of two */
#define ALONE_TTL_NS (100 * NS_PER_MS)

uint64_t spin_budget_ns(const struct spin *sp, uint64_t max_ns)
{
	uint32_t fails = load_relaxed(&sp->fails);

	if (fails < FAILS_FLOOR)
		return max_ns >> fails;
	if (fails % FAILS_TRIAL == FAILS_TRIAL - 1)
		return max_ns;
	return max_ns >> FAILS_FLOOR;
}

void spin_done(struct spin *sp, bool found)
{
	/* The wrap to zero is one more trial. */
	store_relaxed(&sp->fails, found ? 0 : load_relaxed(&sp->fails) + 1);
}

uint32_t spin_cpu(void)
{
	int cpu = -1;

	if (likely(__rseq_size > 0)) {
		const volatile struct rseq *rs =
			(const volatile struct rseq *)(const void *)((char *)
				__builtin_thread_pointer() + __rseq_offset);

		cpu = (int)rs->cpu_id;
	}
	if (unlikely(cpu < 0))
		cpu = sched_getcpu();
	return (uint32_t)(cpu + 1);
}

bool spin_alone(void)
{
	/* One word, so that threads need no lock: time << 1 | answer. */
	static _Atomic uint64_t cache;
	uint64_t was = load_relaxed(&cache), now = clock_now_ns();
	unsigned long mask[1024 / (8 * sizeof(long))] = { 0 };
	long got;
	int cpus = 0;

	if (was && now - (was >> 1) < ALONE_TTL_NS)
		return was & 1;
	got = sys3(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	if (got < 0)
		return false; /* More than 1024 CPUs. */
	for (unsigned i = 0; i < ARRAY_LEN(mask); i++)
		cpus += __builtin_popcountl(mask[i]);
	store_relaxed(&cache, now << 1 | (cpus == 1));
	return cpus == 1;
}

bool spin_same_cpu(uint32_t peer_cpu)
{
	return peer_cpu ? peer_cpu == spin_cpu() : spin_alone();
}
