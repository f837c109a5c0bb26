/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * native.c - What reads and writes cost on descriptors that are not sockets:
 * a pipe, a file. On Mortise the process has a socket of its own besides.
 *
 *   ./native --size 64 --time 1 --pin-client 0
 *
 * What is printed is the best of many short batches: a difference of 2 % is
 * less than the noise of any average.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define BATCH 2000

/**
 * struct ends - Where a batch writes to and reads from.
 * @is_file: Both are to start at the beginning again with each batch.
 */
struct ends {
	int in, out;
	bool is_file;
};

static uint64_t batch_ns(const struct ends *e, char *buf)
{
	ssize_t want = (ssize_t)bench.size_bytes;
	uint64_t start_ns;

	if (e->is_file && (lseek(e->in, 0, SEEK_SET) || lseek(e->out, 0, SEEK_SET)))
		bench_die("lseek");
	start_ns = bench_now_ns();
	for (int i = 0; i < BATCH; i++)
		if (write(e->out, buf, bench.size_bytes) != want ||
		    read(e->in, buf, bench.size_bytes) != want)
			bench_die("write and read");
	return bench_now_ns() - start_ns;
}

/** best_per_s() - Pairs of write and read a second, in the quickest batch. */
static double best_per_s(const struct ends *e, char *buf)
{
	uint64_t end_ns = bench_now_ns() + (uint64_t)(bench.time_s * 0.5e9), best_ns = UINT64_MAX;

	do {
		uint64_t ns = batch_ns(e, buf);

		if (ns < best_ns)
			best_ns = ns;
	} while (bench_now_ns() < end_ns);
	return BATCH * 1e9 / (double)best_ns;
}

static struct ends pipe_open(void)
{
	int fds[2];

	if (pipe(fds))
		bench_die("pipe");
	return (struct ends){ .in = fds[0], .out = fds[1] };
}

static struct ends file_open(void)
{
	struct ends e = { .out = memfd_create("native", 0), .is_file = true };
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", e.out);
	e.in = open(name, O_RDONLY);
	if (e.out < 0 || e.in < 0)
		bench_die("file");
	return e;
}

int main(int argc, char **argv)
{
	struct ends pipe_ends, file_ends;
	int sock;
	char *buf;

	bench.size_bytes = 64;
	bench_parse(argc, argv, "native: reads and writes that are not a socket's");
	buf = bench_alloc(bench.size_bytes);
	bench_pin(bench.pin_client);
	sock = bench_socket();
	pipe_ends = pipe_open();
	file_ends = file_open();
	bench_print_head("native");
	printf(" pipe_per_s=%.0f", best_per_s(&pipe_ends, buf));
	printf(" file_per_s=%.0f\n", best_per_s(&file_ends, buf));
	close(sock);
	free(buf);
	return 0;
}
