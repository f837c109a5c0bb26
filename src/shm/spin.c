/* SPDX-License-Identifier: BSD-2-Clause */
#include <sched.h>
#include <sys/rseq.h>

#include "base/clock.h"
#include "base/sys.h"
#include "shm/spin.h"

#define FAILS_FLOOR 6u	/* a sixty-fourth */
#define FAILS_TRIAL 16u /* power of two */
#define ALONE_TTL_NS (100 * NS_PER_MS)
#define YIELDS 4u		 /* before a sleep, instead of spinning */
#define LATE_NS (50 * NS_PER_US) /* another ran meanwhile, and not for a moment */
#define CROWDED_TIMES 32u	 /* what was lost is at most so small a part */
#define CROWDED_MOST_NS (1 * NS_PER_SEC)

/* Of all threads: whom they share the CPUs with is the same for all. */
static _Atomic uint64_t crowded_until;

static bool is_crowded(uint64_t now)
{
	return unlikely(now < load_relaxed(&crowded_until));
}

/* For @late_ns somebody else ran where we would have. */
static void crowd_seen(uint64_t now, uint64_t late_ns)
{
	uint64_t lasts = late_ns * CROWDED_TIMES;

	store_relaxed(&crowded_until, now + (lasts < CROWDED_MOST_NS ? lasts : CROWDED_MOST_NS));
}

uint64_t spin_until_ns(const struct spin *sp, uint64_t max_ns, uint64_t now_ns)
{
	uint32_t fails = load_relaxed(&sp->fails);

	if (is_crowded(now_ns))
		return now_ns;
	if (fails < FAILS_FLOOR)
		return now_ns + (max_ns >> fails);
	if (fails % FAILS_TRIAL == FAILS_TRIAL - 1)
		return now_ns + max_ns;
	return now_ns + (max_ns >> FAILS_FLOOR);
}

void spin_found(struct spin *sp)
{
	store_relaxed(&sp->fails, 0);
}

void spin_failed(struct spin *sp, uint64_t until_ns, uint64_t now_ns)
{
	/* The wrap to zero is one more trial. */
	store_relaxed(&sp->fails, load_relaxed(&sp->fails) + 1);
	if (now_ns > until_ns + LATE_NS)
		crowd_seen(now_ns, now_ns - until_ns);
}

bool spin_yield(bool (*look)(void *arg), void *arg)
{
	uint64_t began = clock_now_ns(), now;
	bool found = false;

	if (is_crowded(began))
		return false;
	for (unsigned i = 0; i < YIELDS && !found; i++) {
		sys0(SYS_sched_yield);
		found = look(arg);
	}
	now = clock_now_ns();
	if (now > began + YIELDS * LATE_NS)
		crowd_seen(now, now - began);
	return found;
}

uint32_t spin_cpu(void)
{
	int cpu = -1;

	if (likely(__rseq_size > 0)) {
		const volatile struct rseq *rs =
			(const volatile struct rseq
				 *)(const void *)((char *)__builtin_thread_pointer() +
						  __rseq_offset);

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
	unsigned long mask[1024 / (8 * sizeof(long))] = {0};
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
