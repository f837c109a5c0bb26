/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * readyset.c - epoll_wait() with one ready of many sockets, and of ten.
 *
 *   ./readyset --count 10000 --pin-server 0 --pin-client 1
 *
 * Two sets, one of --count sockets and one of ten. "wait": a byte lies unread
 * in one socket of the set, and epoll_wait() tells of it, again and again.
 * "turn": a byte to the server on a socket picked at random, epoll_wait() until
 * its answer is there, recv(); the server has all of them in one set, too. By
 * turns, so that whatever else the machine does falls on both; medians.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

#define FEW 10
#define MOST 100000
#define ROUNDS_MAX 400
#define WAITS 500 /* of a round */
#define TURNS 50

/** struct set - One epoll set and its sockets. */
struct set {
	int ep, count, *fds;
	double wait_ns[ROUNDS_MAX], turn_us[ROUNDS_MAX];
};

static void raise_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		bench_die("getrlimit");
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		bench_die("setrlimit");
}

static void add(int ep, int fd, int number)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = (uint32_t)number};

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		bench_die("epoll_ctl");
}

/* Echo what comes, until all clients have gone. */
static int serve(void)
{
	int listener, ep = epoll_create1(0), open = (int)bench.count + FEW;
	struct epoll_event evs[64];
	char byte;

	bench_pin(bench.pin_server);
	raise_limit();
	listener = bench_listen(false);
	for (int i = 0; i < open; i++) {
		int fd = bench_accept(listener);

		add(ep, fd, fd);
	}
	close(listener);
	while (open > 0) {
		int n = epoll_wait(ep, evs, 64, -1);

		if (n < 0 && errno != EINTR)
			bench_die("epoll_wait");
		for (int i = 0; i < n; i++) {
			int fd = (int)evs[i].data.u32;

			if (bench_recv(fd, &byte, 1) && bench_send(fd, &byte, 1))
				continue;
			close(fd);
			open--;
		}
	}
	return 0;
}

static void fill(struct set *s, int count)
{
	s->ep = epoll_create1(0);
	s->count = count;
	s->fds = calloc((size_t)count, sizeof(*s->fds));
	if (s->ep < 0 || !s->fds)
		bench_die("a set");
	for (int i = 0; i < count; i++) {
		s->fds[i] = bench_connect();
		add(s->ep, s->fds[i], i);
	}
}

static uint32_t wait_one(struct set *s)
{
	struct epoll_event evs[64];
	int n;

	do
		n = epoll_wait(s->ep, evs, 64, 5000);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		bench_die("not one event");
	return evs[0].data.u32;
}

/* There and back on one socket. */
static void turn(struct set *s, uint32_t which)
{
	char byte = 'x';

	if (!bench_send(s->fds[which], &byte, 1) || wait_one(s) != which ||
	    !bench_recv(s->fds[which], &byte, 1))
		bench_die("no answer");
}

static void measure(struct set *s, int round)
{
	uint32_t which = (uint32_t)rand() % (uint32_t)s->count;
	uint64_t start;
	char byte = 'x';

	if (!bench_send(s->fds[which], &byte, 1) || wait_one(s) != which)
		bench_die("another socket");
	start = bench_now_ns();
	for (int i = 0; i < WAITS; i++)
		wait_one(s);
	s->wait_ns[round] = (double)(bench_now_ns() - start) / WAITS;
	bench_recv(s->fds[which], &byte, 1);

	start = bench_now_ns();
	for (int i = 0; i < TURNS; i++)
		turn(s, (uint32_t)rand() % (uint32_t)s->count);
	s->turn_us[round] = (double)(bench_now_ns() - start) / TURNS / 1e3;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_size);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	static struct set few, many;
	double few_ns, many_ns, few_us, many_us;
	uint64_t start;
	pid_t server;
	int rounds = 0;

	bench.count = 10000;
	bench.nodelay = 1;
	bench_parse(argc, argv, "readyset: one ready of many");
	if (bench.count < 1 || bench.count > MOST || bench.busy) {
		errno = EINVAL;
		bench_die("--count, --busy");
	}
	if (bench_is_server())
		return serve();

	server = bench_spawn_server(argc, argv);
	bench_pin(bench.pin_client);
	raise_limit();
	fill(&few, FEW);
	fill(&many, (int)bench.count);
	/* Each socket's memory is touched once before. */
	for (int i = 0; i < many.count; i++) {
		turn(&few, (uint32_t)i % FEW);
		turn(&many, (uint32_t)i);
	}
	start = bench_now_ns();
	while (rounds < ROUNDS_MAX && (double)(bench_now_ns() - start) < bench.time_s * 1e9) {
		measure(&few, rounds);
		measure(&many, rounds++);
	}
	for (int i = 0; i < FEW; i++)
		close(few.fds[i]);
	for (int i = 0; i < many.count; i++)
		close(many.fds[i]);
	few_ns = median(few.wait_ns, rounds);
	many_ns = median(many.wait_ns, rounds);
	few_us = median(few.turn_us, rounds);
	many_us = median(many.turn_us, rounds);
	bench_print_head("readyset");
	printf(" rounds=%d wait_few_ns=%.0f wait_many_ns=%.0f wait_ratio=%.3f turn_few_us=%.2f"
	       " turn_many_us=%.2f turn_ratio=%.3f",
	       rounds, few_ns, many_ns, many_ns / few_ns, few_us, many_us, many_us / few_us);
	bench_finish(server);
	return 0;
}
