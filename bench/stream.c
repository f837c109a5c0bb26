/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - One-way throughput with writes of one size.
 *
 *   ./stream --size 65536 --time 2 --pin-server 0 --pin-client 1
 *
 * The client writes, half-closes, and stops its clock when the server, having
 * read to the end, answers with what it counted. TCP_NODELAY is left alone
 * unless --nodelay is given.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

/** struct summary - What the server answers. */
struct summary {
	uint64_t bytes;
	uint64_t reads;
};

static int serve(char *buf)
{
	struct summary sum = {0};
	int fd;

	bench_pin(bench.pin_server);
	fd = bench_accept(bench_listen(false));
	for (;;) {
		ssize_t r = recv(fd, buf, bench.read_bytes, 0);

		if (r > 0) {
			sum.bytes += (uint64_t)r;
			sum.reads++;
		} else if (r == 0) {
			break;
		} else if (errno == EAGAIN || errno == EINTR) {
			bench_wait();
		} else {
			bench_die("recv");
		}
	}
	bench_send(fd, &sum, sizeof(sum));
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t start_ns, deadline_ns;
	long want, n = 0, look;
	struct summary sum;
	pid_t server;
	size_t room;
	double s;
	char *buf;
	int fd;

	bench_parse(argc, argv, "stream: one-way throughput");
	if (bench.read_bytes == 0)
		bench.read_bytes = bench.size_bytes > 65536 ? bench.size_bytes : 65536;
	room = bench.size_bytes > bench.read_bytes ? bench.size_bytes : bench.read_bytes;
	buf = bench_alloc(room);
	if (bench_is_server())
		return serve(buf);

	server = bench_spawn_server(argc, argv);
	bench_pin(bench.pin_client);
	fd = bench_connect();
	if (bench.busy)
		bench_nonblock(fd);
	want = bench.count > 0 ? bench.count : LONG_MAX;
	look = bench.size_bytes >= 16384 ? 15 : 1023; /* at the clock, not each time */
	start_ns = bench_now_ns();
	deadline_ns = start_ns + (uint64_t)(bench.time_s * 1e9);
	while (n < want) {
		if (!bench_send(fd, buf, bench.size_bytes))
			bench_die("the server closed");
		if ((++n & look) == 0 && bench_now_ns() > deadline_ns)
			break;
	}
	shutdown(fd, SHUT_WR);
	if (!bench_recv(fd, &sum, sizeof(sum)))
		bench_die("no summary");
	s = (double)(bench_now_ns() - start_ns) * 1e-9;
	close(fd);
	bench_print_head("stream");
	printf(" count=%ld secs=%.4f GBps=%.4f msgs_per_s=%.0f reads=%" PRIu64 " ok=%d", n, s,
	       (double)sum.bytes / s / 1e9, (double)n / s, sum.reads,
	       sum.bytes == (uint64_t)n * bench.size_bytes);
	bench_finish(server);
	free(buf);
	return 0;
}
