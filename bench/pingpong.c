/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pingpong.c - Round-trip time of one message over one TCP connection.
 *
 *   ./pingpong --size 64 --count 50000 --pin-server 0 --pin-client 1
 *
 * The first tenth (at most 2,000 round trips) warms up and is not counted.
 */
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

#define TIMES_MAX 20000000 /* 80 MB, touched beforehand */

static int serve(char *buf)
{
	int fd;

	bench_pin(bench.pin_server);
	fd = bench_accept(bench_listen(false));
	while (bench_recv(fd, buf, bench.size_bytes) && bench_send(fd, buf, bench.size_bytes))
		;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t start_ns, end_ns, last_ns;
	long want, warm, n = 0;
	uint32_t *times;
	pid_t server;
	char *buf;
	int fd;

	bench.nodelay = 1;
	bench_parse(argc, argv, "pingpong: round-trip time");
	buf = bench_alloc(bench.size_bytes);
	if (bench_is_server())
		return serve(buf);

	server = bench_spawn_server(argc, argv);
	bench_pin(bench.pin_client);
	fd = bench_connect();
	if (bench.busy)
		bench_nonblock(fd);
	want = bench.count > 0 && bench.count < TIMES_MAX ? bench.count : TIMES_MAX;
	warm = want / 10 > 2000 ? 2000 : want / 10;
	times = bench_alloc((size_t)want * sizeof(*times));

	start_ns = end_ns = last_ns = bench_now_ns();
	for (long i = 0; i < warm + want; i++) {
		if (i == warm)
			start_ns = last_ns = bench_now_ns();
		if (!bench_send(fd, buf, bench.size_bytes) ||
		    !bench_recv(fd, buf, bench.size_bytes))
			bench_die("the server closed");
		end_ns = bench_now_ns();
		if (i >= warm) {
			times[n++] = (uint32_t)(end_ns - last_ns);
			if ((double)(end_ns - start_ns) > bench.time_s * 1e9)
				break;
		}
		last_ns = end_ns;
	}
	close(fd);
	bench_print_head("pingpong");
	bench_print_times(times, (size_t)n, (double)(end_ns - start_ns) * 1e-9);
	bench_finish(server);
	free(times);
	free(buf);
	return 0;
}
