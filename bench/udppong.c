/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udppong.c - Round-trip time of one datagram between two UDP sockets.
 *
 *   ./udppong --size 64 --pin-server 0 --pin-client 1
 *
 * The server answers whoever sends (recvfrom, sendto); the client's socket is
 * connected. The first tenth (at most 2,000 round trips) is not counted.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define TIMES_MAX 20000000
enum { HELLO_TRIES = 1000, HELLO_US = 5000 };

static int udp_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket");
	if (bench.busy)
		bench_nonblock(fd);
	return fd;
}

/* Return: bytes; waits, as bench.busy says. */
static size_t udp_recv(int fd, char *buf, struct sockaddr_in *from)
{
	for (;;) {
		socklen_t len = sizeof(*from);
		ssize_t n = recvfrom(fd, buf, bench.size_bytes + 1, 0, (struct sockaddr *)from,
				     from ? &len : NULL);

		if (n >= 0)
			return (size_t)n;
		if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
			bench_die("recvfrom");
		bench_wait();
	}
}

/* Until an empty datagram comes: the client has ended. */
static int serve(char *buf)
{
	struct sockaddr_in at = bench_addr(0);
	struct sockaddr_in from;
	size_t n;
	int fd;

	bench_pin(bench.pin_server);
	fd = udp_socket();
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		bench_die("bind");
	while ((n = udp_recv(fd, buf, &from)))
		if (sendto(fd, buf, n, 0, (struct sockaddr *)&from, sizeof(from)) < 0)
			bench_die("sendto");
	return 0;
}

static void hello(int fd, char *buf)
{
	for (int i = 0; i < HELLO_TRIES; i++) {
		if (send(fd, buf, 1, 0) == 1) {
			usleep(HELLO_US);
			if (recv(fd, buf, bench.size_bytes, MSG_DONTWAIT) == 1)
				return;
		}
		usleep(HELLO_US);
	}
	bench_die("no server");
}

int main(int argc, char **argv)
{
	uint64_t start_ns, end_ns, last_ns;
	struct sockaddr_in at;
	long want, warm, n = 0;
	uint32_t *times;
	pid_t server;
	char *buf;
	int fd;

	bench_parse(argc, argv, "udppong: round-trip time of datagrams");
	buf = bench_alloc(bench.size_bytes + 1);
	if (bench_is_server())
		return serve(buf);

	server = bench_spawn_server(argc, argv);
	bench_pin(bench.pin_client);
	fd = udp_socket();
	at = bench_addr(0);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		bench_die("connect");
	hello(fd, buf);
	while (recv(fd, buf, 1, MSG_DONTWAIT) >= 0)	/* Late answers. */
		continue;
	want = bench.count > 0 && bench.count < TIMES_MAX ? bench.count : TIMES_MAX;
	warm = want / 10 > 2000 ? 2000 : want / 10;
	times = bench_alloc((size_t)want * sizeof(*times));

	start_ns = end_ns = last_ns = bench_now_ns();
	for (long i = 0; i < warm + want; i++) {
		if (i == warm)
			start_ns = last_ns = bench_now_ns();
		/* The number of the round: a late hello's answer has none. */
		memcpy(buf, &i, sizeof(i) < bench.size_bytes ? sizeof(i) : bench.size_bytes);
		if (send(fd, buf, bench.size_bytes, 0) != (ssize_t)bench.size_bytes)
			bench_die("send");
		while (udp_recv(fd, buf, NULL) != bench.size_bytes)
			continue;
		end_ns = bench_now_ns();
		if (i >= warm) {
			times[n++] = (uint32_t)(end_ns - last_ns);
			if ((double)(end_ns - start_ns) > bench.time_s * 1e9)
				break;
		}
		last_ns = end_ns;
	}
	if (send(fd, buf, 0, 0) < 0)
		bench_die("send");
	bench_print_head("udppong");
	bench_print_times(times, (size_t)n, (double)(end_ns - start_ns) * 1e-9);
	bench_finish(server);
	close(fd);
	free(times);
	free(buf);
	return 0;
}
