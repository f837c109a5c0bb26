/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udpstream.c - Datagrams one way, as fast as they can be sent: how many
 * arrive, and what share is lost.
 *
 *   ./udpstream --size 1400 --time 1
 *
 * A datagram says its number; the server checks that numbers grow. Then the
 * client asks, with datagrams of one byte, until it has the server's count.
 * The delivered rate is over the server's time from the first to the last one.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "bench.h"

enum { QUESTION_BYTES = 1, TRIES = 1000, ANSWER_US = 20000, LOOK = 64 };

/** struct count - The server's answer. */
struct count {
	uint64_t datagrams;
	uint64_t wrong;
	uint64_t elapsed_ns;
};

static int udp_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket");
	return fd;
}

static int serve(char *buf)
{
	struct sockaddr_in at = bench_addr(0);
	struct count c = { 0 };
	uint64_t first_ns = 0;
	uint64_t last_ns = 0;
	uint64_t next = 0;
	int fd;

	bench_pin(bench.pin_server);
	fd = udp_socket();
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		bench_die("bind");
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		uint64_t number;
		ssize_t n = recvfrom(fd, buf, bench.size_bytes + 1, 0, (struct sockaddr *)&from, &len);

		if (n < 0 && errno != EINTR)
			bench_die("recvfrom");
		if (n == (ssize_t)bench.size_bytes) {
			memcpy(&number, buf, sizeof(number));
			c.wrong += number < next;
			next = number + 1;
			if (!c.datagrams++)
				first_ns = bench_now_ns();
			if (c.datagrams % LOOK == 0)
				last_ns = bench_now_ns();
		} else if (n == QUESTION_BYTES) {
			c.elapsed_ns = last_ns - first_ns;
			if (sendto(fd, &c, sizeof(c), 0, (struct sockaddr *)&from, len) < 0)
				bench_die("sendto");
		} else if (n == 0) {
			return 0;
		}
	}
}

/* Ask until there is an answer. */
static struct count ask(int fd)
{
	struct count c;

	for (int i = 0; i < TRIES; i++) {
		if (send(fd, "?", QUESTION_BYTES, 0) == QUESTION_BYTES &&
		    recv(fd, &c, sizeof(c), 0) == (ssize_t)sizeof(c))
			return c;
		usleep(1000);
	}
	bench_die("no answer");
}

int main(int argc, char **argv)
{
	struct timeval patience = { .tv_usec = ANSWER_US };
	uint64_t start_ns, end_ns;
	struct sockaddr_in at;
	struct count c;
	double elapsed_s, delivered_s;
	uint64_t sent = 0;
	pid_t server;
	char *buf;
	int fd;

	bench_parse(argc, argv, "udpstream: datagrams one way");
	if (bench.size_bytes < sizeof(sent) || bench.size_bytes == sizeof(c)) {
		fprintf(stderr, "udpstream: --size: 8 at least, and not %zu\n", sizeof(c));
		return 1;
	}
	buf = bench_alloc(bench.size_bytes + 1);
	if (bench_is_server())
		return serve(buf);

	server = bench_spawn_server(argc, argv);
	bench_pin(bench.pin_client);
	fd = udp_socket();
	at = bench_addr(0);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		bench_die("connect");
	ask(fd);	/* The server is there. */
	start_ns = end_ns = bench_now_ns();
	do {
		memcpy(buf, &sent, sizeof(sent));
		if (send(fd, buf, bench.size_bytes, 0) < 0) {
			if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
				continue;
			bench_die("send");
		}
		sent++;
		if (sent % LOOK == 0)
			end_ns = bench_now_ns();
	} while ((double)(end_ns - start_ns) < bench.time_s * 1e9);
	/* Not the answer to an earlier question. */
	do
		c = ask(fd);
	while (!c.datagrams);
	if (send(fd, buf, 0, 0) < 0)
		bench_die("send");
	elapsed_s = (double)(end_ns - start_ns) * 1e-9;
	delivered_s = c.elapsed_ns ? (double)c.elapsed_ns * 1e-9 : elapsed_s;
	bench_print_head("udpstream");
	printf(" ok=%d sent_per_s=%.0f delivered_per_s=%.0f delivered_pct=%.3f", c.wrong == 0,
	       (double)sent / elapsed_s, (double)c.datagrams / delivered_s,
	       100.0 * (double)c.datagrams / (double)sent);
	bench_finish(server);
	close(fd);
	free(buf);
	return 0;
}
