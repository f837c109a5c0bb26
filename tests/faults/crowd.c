/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.c - Very many connections at once, for wards.py.
 *
 *   crowd serve PORT         echo; until the end of standard input
 *   crowd hold PORT COUNT    open so many, then do as standard input says
 *
 * A server says "serving N" when the number of connections asked for by a line
 * "N" of its standard input is there, or falls to that.
 *
 * A client says "open N OF-THEM-REFUSED". Each "e" on its standard input is a
 * pass over all: a number sent on each and read back from each; it says
 * "echoed N WRONG". "m": one connection more, which is used and closed; it says
 * "more ok", or an errno.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIMIT_S 55 /* no process outlives a mistake */
#define EVENTS 256
#define AT_ONCE 256 /* not more connections than a queue takes */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(2);
}

static struct sockaddr_in address(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)atoi(port)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void epoll_watch(int ep, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll_ctl");
}

/* ----------------------------------------------------------------- server */

static void serve_connection(int fd, unsigned *count)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n > 0) {
		if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
			die("send");
		return;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	close(fd);
	--*count;
}

static void serve(const char *port)
{
	struct sockaddr_in a = address(port);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0), one = 1;
	struct epoll_event evs[EVENTS];
	unsigned count = 0;
	long want = -1;

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(l, 1024) != 0)
		die("listen");
	epoll_watch(ep, 0);
	epoll_watch(ep, l);
	printf("listening\n");
	for (;;) {
		int n = epoll_wait(ep, evs, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			char text[32] = "";
			int fd = evs[i].data.fd;

			if (fd == 0) {
				if (read(0, text, sizeof(text) - 1) <= 0)
					return;
				want = atol(text);
			} else if (fd == l) {
				while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
					epoll_watch(ep, fd);
					count++;
				}
				if (errno != EAGAIN)
					die("accept");
			} else {
				serve_connection(fd, &count);
			}
		}
		if (want == (long)count) {
			printf("serving %ld\n", want);
			want = -1;
		}
	}
}

/* ----------------------------------------------------------------- client */

static int connect_to(const struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) != 0) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static unsigned pass(const int *fds, unsigned count)
{
	unsigned wrong = 0;

	for (uint32_t i = 0; i < count; i++)
		wrong += send(fds[i], &i, sizeof(i), MSG_NOSIGNAL) != sizeof(i);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t got = ~i;

		wrong += recv(fds[i], &got, sizeof(got), MSG_WAITALL) != sizeof(got) || got != i;
	}
	return wrong;
}

static void hold(const char *port, unsigned count)
{
	struct sockaddr_in a = address(port);
	int *fds = calloc(count, sizeof(*fds)), fd;
	unsigned refused = 0;
	char text;

	for (unsigned i = 0; i < count; i++) {
		fds[i] = connect_to(&a);
		refused += fds[i] < 0;
		/* An answer on the last: the server has accepted the others. */
		if (i % AT_ONCE == AT_ONCE - 1 && fds[i] >= 0 && pass(fds + i, 1))
			die("pass");
	}
	printf("open %u %u\n", count, refused);
	while (read(0, &text, 1) == 1) {
		if (text == 'e')
			printf("echoed %u %u\n", count, pass(fds, count));
		if (text != 'm')
			continue;
		fd = connect_to(&a);
		printf("more %s\n", fd < 0 ? strerrorname_np(errno)
					   : pass(&fd, 1) ? "wrong" : "ok");
		if (fd >= 0)
			close(fd);
	}
	free(fds);
}

int main(int argc, char **argv)
{
	struct rlimit rl;

	alarm(LIMIT_S);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		die("getrlimit");
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
		die("setrlimit");
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	else if (argc == 4 && strcmp(argv[1], "hold") == 0 && atoi(argv[3]) > 0)
		hold(argv[2], (unsigned)atoi(argv[3]));
	else
		return 2;
	return 0;
}
