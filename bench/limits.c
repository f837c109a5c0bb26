/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.c - What this machine allows, whoever moves the bytes: memcpy, a cache
 * line between two cores, a futex wake.
 *
 *   ./limits --time 1 --pin-server 0 --pin-client 1
 *
 * line_us: one word that two cores change by turns, there and back. wake_us:
 * two threads that wake each other by futex and sleep between, there and back.
 * Both want two CPUs; wake_one_us is of both threads on the client's. copy_N:
 * memcpy of N bytes, from cache to cache, in GB/s. Of line and copies the best of
 * many batches counts, since that is the limit; of wakes the median, since how
 * deep a core sleeps is the machine's to say.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define BATCHES 1000
#define LINE_BATCH 50
#define COPY_BATCH ((size_t)1 << 20)
#define STOP UINT32_MAX

static const size_t copy_sizes[] = { 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576 };

enum { COPY_COUNT = sizeof(copy_sizes) / sizeof(copy_sizes[0]) };

/* Each part has its share of the time: copies, two wakes; and the line, for which
 * two cores must be free at once, LINE_PARTS of them. */
#define LINE_PARTS 4
#define PARTS (COPY_COUNT + 2 + LINE_PARTS)

/**
 * struct court - Two words, a cache line apart. The ball is a number: who finds
 * a new one in its word puts it into the other's.
 * @sleep: Wake by futex and sleep, where else both spin.
 * @cpu:   Where the other thread runs; -1: anywhere.
 */
struct court {
	_Alignas(128) _Atomic uint32_t there;
	_Alignas(128) _Atomic uint32_t back;
	bool sleep;
	int cpu;
};

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void put(const struct court *c, _Atomic uint32_t *word, uint32_t ball)
{
	atomic_store_explicit(word, ball, memory_order_release);
	if (c->sleep)
		futex(word, FUTEX_WAKE, 1);
}

/** await() - Until the word is no longer @old. Return: What it is then. */
static uint32_t await(const struct court *c, _Atomic uint32_t *word, uint32_t old)
{
	uint32_t now;

	while ((now = atomic_load_explicit(word, memory_order_acquire)) == old) {
		if (c->sleep)
			futex(word, FUTEX_WAIT, old);
	}
	return now;
}

static void *other_side(void *arg)
{
	struct court *c = arg;
	uint32_t ball = 0;

	bench_pin(c->cpu);
	while (ball != STOP) {
		ball = await(c, &c->there, ball);
		put(c, &c->back, ball);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/** there_and_back_us() - Of batches of @batch, for at most @seconds. */
static double there_and_back_us(bool sleep, int cpu, unsigned batch, double seconds)
{
	static struct court c;
	double us[BATCHES];
	pthread_t other;
	uint64_t end_ns;
	uint32_t ball = 0;
	size_t n = 0;

	c.sleep = sleep;
	c.cpu = cpu;
	atomic_store(&c.there, 0);
	atomic_store(&c.back, 0);
	errno = pthread_create(&other, NULL, other_side, &c);
	if (errno)
		bench_die("pthread_create");
	end_ns = bench_now_ns() + (uint64_t)(seconds * 1e9);
	do {
		uint64_t start_ns = bench_now_ns();

		for (unsigned i = 0; i < batch; i++) {
			put(&c, &c.there, ball + 1);
			ball = await(&c, &c.back, ball);
		}
		us[n++] = (double)(bench_now_ns() - start_ns) / 1e3 / batch;
	} while (n < BATCHES && bench_now_ns() < end_ns);
	put(&c, &c.there, STOP);
	pthread_join(other, NULL);
	qsort(us, n, sizeof(*us), compare);
	return sleep ? us[n / 2] : us[0];
}

/** copy_gbps() - memcpy as the compiler cannot see through. */
static double copy_gbps(char *to, const char *from, size_t size, double seconds)
{
	void *(*volatile copy)(void *, const void *, size_t) = memcpy;
	double rate[BATCHES];
	size_t n = 0, bytes = COPY_BATCH - COPY_BATCH % size;
	uint64_t end_ns = bench_now_ns() + (uint64_t)(seconds * 1e9);

	do {
		uint64_t start_ns = bench_now_ns();

		for (size_t done = 0; done < bytes; done += size)
			copy(to, from, size);
		rate[n++] = (double)bytes / (double)(bench_now_ns() - start_ns);
	} while (n < BATCHES && bench_now_ns() < end_ns);
	qsort(rate, n, sizeof(*rate), compare);
	return rate[n - 1];
}

int main(int argc, char **argv)
{
	size_t largest = copy_sizes[COPY_COUNT - 1];
	char *to, *from;
	double part_s;
	bool two;

	bench_parse(argc, argv, "limits: memcpy, a cache line, a futex wake");
	part_s = bench.time_s / PARTS;
	two = bench.pin_server >= 0 && bench.pin_client >= 0 &&
	      bench.pin_server != bench.pin_client;
	to = bench_alloc(largest);
	from = bench_alloc(largest);
	bench_pin(bench.pin_client);
	bench_print_head("limits");
	if (two) {
		printf(" line_us=%.4f", there_and_back_us(false, bench.pin_server, LINE_BATCH,
							 LINE_PARTS * part_s));
		printf(" wake_us=%.4f", there_and_back_us(true, bench.pin_server, 10, part_s));
	}
	printf(" wake_one_us=%.4f", there_and_back_us(true, bench.pin_client, 10, part_s));
	for (size_t i = 0; i < COPY_COUNT; i++)
		printf(" copy_%zu=%.3f", copy_sizes[i],
		       copy_gbps(to, from, copy_sizes[i], part_s));
	printf("\n");
	free(to);
	free(from);
	return 0;
}
