/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.c - Small ends of connections, for tests that count what they cost.
 *
 *   peer idle-server PORT N     accept N, then wait on all of them by epoll
 *   peer idle-client PORT N     open N, then wait on all of them by poll
 *   peer echo-server PORT       one connection after the other: echo one byte
 *   peer echo-client PORT       one connection, one byte there and back
 *   peer churn PORT N PARALLEL  N processes, each an echo-client, so many at once
 *   peer cycle-server PORT WARM N
 *   peer cycle-client PORT WARM N
 *
 * idle-*: "open\n" on standard output once all connections are there; they
 * leave at the first byte on standard input, or at its end.
 * cycle-*: WARM + N times connect, accept, one byte there and back, close. A
 * getppid() before and after the N marks them in a trace of system calls.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_MAX 1000000
#define LIMIT_S 180 /* no process outlives a mistake */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*end || n < 1 || n > COUNT_MAX) {
		errno = EINVAL;
		die(s);
	}
	return (int)n;
}

static struct sockaddr_in address(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(int port)
{
	struct sockaddr_in a = address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die("bind");
	if (listen(fd, 1024))
		die("listen");
	return fd;
}

static int connect_to(int port)
{
	struct sockaddr_in a = address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("connect");
	return fd;
}

static int accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("accept");
	return fd;
}

/** echo() - The server's half of one exchange; the client closes first. */
static void echo(int fd)
{
	char c;

	if (recv(fd, &c, 1, 0) == 1 && send(fd, &c, 1, MSG_NOSIGNAL) == 1)
		(void)!recv(fd, &c, 1, 0);
	close(fd);
}

/** ask() - The client's half. */
static void ask(int fd)
{
	char c = 'x';

	if (send(fd, &c, 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1 || c != 'x')
		die("exchange");
	close(fd);
}

static void say_open(void)
{
	if (write(STDOUT_FILENO, "open\n", 5) != 5)
		die("write");
}

static void idle_server(int port, int n)
{
	int listener = listen_on(port), set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = STDIN_FILENO};

	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, STDIN_FILENO, &ev))
		die("epoll");
	for (int i = 0; i < n; i++) {
		ev.data.fd = accept_one(listener);
		if (epoll_ctl(set, EPOLL_CTL_ADD, ev.data.fd, &ev))
			die("epoll_ctl");
	}
	say_open();
	while (epoll_wait(set, &ev, 1, -1) < 0)
		if (errno != EINTR)
			die("epoll_wait");
	if (ev.data.fd != STDIN_FILENO)
		exit(1); /* nobody sent anything */
}

static void idle_client(int port, int n)
{
	struct pollfd *set = calloc((size_t)n + 1, sizeof(*set));

	if (!set)
		die("calloc");
	for (int i = 0; i < n; i++)
		set[i] = (struct pollfd){.fd = connect_to(port), .events = POLLIN};
	set[n] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	say_open();
	while (poll(set, (nfds_t)n + 1, -1) < 0)
		if (errno != EINTR)
			die("poll");
	if (!set[n].revents)
		exit(1);
	free(set);
}

static void churn(const char *port, int n, int parallel)
{
	int running = 0, status;

	for (int i = 0; i < n || running > 0;) {
		if (i < n && running < parallel) {
			pid_t pid = fork();

			if (pid < 0)
				die("fork");
			if (pid == 0) {
				execl("/proc/self/exe", "peer", "echo-client", port, (char *)NULL);
				_exit(127);
			}
			i++;
			running++;
			continue;
		}
		if (wait(&status) < 0)
			die("wait");
		running--;
		if (status) {
			fprintf(stderr, "peer: a client ended with status %#x\n", (unsigned)status);
			exit(1);
		}
	}
}

static void mark(void)
{
	(void)getppid();
}

static void cycle(bool server, int port, int warm, int n)
{
	int listener = server ? listen_on(port) : -1;

	for (int i = 0; i < warm + n; i++) {
		if (i == warm)
			mark();
		if (server)
			echo(accept_one(listener));
		else
			ask(connect_to(port));
	}
	mark();
}

/** want_descriptors() - The soft limit may be lower than the test needs. */
static void want_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	int port = argc > 2 ? number(argv[2]) : 0;

	alarm(LIMIT_S);
	if (argc == 4 && strcmp(verb, "idle-server") == 0) {
		want_descriptors();
		idle_server(port, number(argv[3]));
	} else if (argc == 4 && strcmp(verb, "idle-client") == 0) {
		want_descriptors();
		idle_client(port, number(argv[3]));
	} else if (argc == 3 && strcmp(verb, "echo-server") == 0) {
		int listener = listen_on(port);

		for (;;)
			echo(accept_one(listener));
	} else if (argc == 3 && strcmp(verb, "echo-client") == 0) {
		ask(connect_to(port));
	} else if (argc == 5 && strcmp(verb, "churn") == 0) {
		churn(argv[2], number(argv[3]), number(argv[4]));
	} else if (argc == 5 && strcmp(verb, "cycle-server") == 0) {
		cycle(true, port, number(argv[3]), number(argv[4]));
	} else if (argc == 5 && strcmp(verb, "cycle-client") == 0) {
		cycle(false, port, number(argv[3]), number(argv[4]));
	} else {
		fprintf(stderr, "peer: see the top of peer.c for its verbs\n");
		return 2;
	}
	return 0;
}
