/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connrate.c - Connections a second: socket, connect, accept, one byte there
 * and back, close.
 *
 *   ./connrate --count 20000 --naddr 4 --pin-server 0 --pin-client 1
 *
 * One client, one iterative server, one connection at a time; the client
 * closes first. --naddr N moves on to the next address after each 20,000
 * connections, so that the kernel's ephemeral ports do not run out.
 */
#include <stdlib.h>
#include <unistd.h>
#include <netinet/in.h>

#include "bench.h"

#define PER_ADDRESS 20000
#define QUIT 'Q'

static int serve(char *buf)
{
	bool stop = false;
	int listener;

	bench_pin(bench.pin_server);
	listener = bench_listen(true);
	if (bench.busy)
		bench_nonblock(listener);
	while (!stop) {
		int fd = bench_accept(listener);
		char end;

		if (bench_recv(fd, buf, bench.size_bytes)) {
			stop = buf[0] == QUIT;
			bench_send(fd, buf, bench.size_bytes);
			bench_recv(fd, &end, 1); /* the client closes first */
		}
		close(fd);
	}
	return 0;
}

/** exchange() - One message there and back, and the close. */
static void exchange(int fd, char *buf)
{
	if (!bench_send(fd, buf, bench.size_bytes) || !bench_recv(fd, buf, bench.size_bytes))
		bench_die("exchange");
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t start_ns, now_ns, deadline_ns;
	struct sockaddr_in to;
	uint32_t *times;
	pid_t server;
	long want, n;
	char *buf;

	bench.size_bytes = 1;
	bench_parse(argc, argv, "connrate: connections a second");
	buf = bench_alloc(bench.size_bytes);
	if (bench_is_server())
		return serve(buf);

	want = bench.count > 0 ? bench.count : (long)PER_ADDRESS * bench.naddr;
	times = bench_alloc((size_t)want * sizeof(*times));
	server = bench_spawn_server(argc, argv);
	bench_pin(bench.pin_client);
	buf[0] = 'x';
	exchange(bench_connect(), buf);
	to = bench_addr(0);
	start_ns = now_ns = bench_now_ns();
	deadline_ns = start_ns + (uint64_t)(bench.time_s * 1e9);
	for (n = 0; n < want && now_ns < deadline_ns; n++) {
		uint64_t begin_ns = now_ns;
		int fd;

		if (n % PER_ADDRESS == 0)
			to = bench_addr((int)(n / PER_ADDRESS % bench.naddr));
		fd = bench_socket();
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
			bench_die("connect");
		if (bench.busy)
			bench_nonblock(fd);
		exchange(fd, buf);
		now_ns = bench_now_ns();
		times[n] = (uint32_t)(now_ns - begin_ns);
	}
	buf[0] = QUIT;
	exchange(bench_connect(), buf);
	bench_print_head("connrate");
	bench_print_times(times, (size_t)n, (double)(now_ns - start_ns) * 1e-9);
	bench_finish(server);
	free(times);
	free(buf);
	return 0;
}
