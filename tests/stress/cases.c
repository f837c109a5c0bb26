/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cases.c - Single situations that once went wrong, or nearly did: one name,
 * one process. Each must end the same way on the kernel's sockets.
 *
 * usage: cases NAME...; without a name: list them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIP 77

#define CHECK(what)                                                                         \
	do {                                                                                \
		if (!(what)) {                                                              \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __func__, __LINE__, #what, \
				errno);                                                     \
			exit(1);                                                            \
		}                                                                           \
	} while (0)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int listener(struct sockaddr_in *a, int backlog)
{
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*a);

	*a = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(l >= 0);
	CHECK(bind(l, (struct sockaddr *)a, sizeof(*a)) == 0);
	CHECK(listen(l, backlog) == 0);
	CHECK(getsockname(l, (struct sockaddr *)a, &len) == 0);
	return l;
}

static int client(const struct sockaddr_in *a)
{
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(c >= 0);
	CHECK(connect(c, (const struct sockaddr *)a, sizeof(*a)) == 0);
	return c;
}

static void pair(int *a, int *b)
{
	struct sockaddr_in at;
	int l = listener(&at, 8);

	*a = client(&at);
	*b = accept(l, NULL, NULL);
	CHECK(*b >= 0);
	close(l);
}

static void put(int fd, const char *text)
{
	CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static void get(int fd, const char *text)
{
	char buf[64] = "";

	CHECK(recv(fd, buf, strlen(text), MSG_WAITALL) == (ssize_t)strlen(text));
	CHECK(strcmp(buf, text) == 0);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Wait for a child that must end well, and soon. */
static void reap(pid_t pid)
{
	double until = now() + 6;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now() > until) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			CHECK(!"child hangs");
		}
		usleep(1000);
	}
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
}

/* ------------------------------------------------------------------ ends */

/* Both ways shut, then bytes and the end of the peer. */
static void shut_then_data(void)
{
	char buf[8];
	int a, b;

	pair(&a, &b);
	CHECK(shutdown(a, SHUT_RDWR) == 0);
	send(b, "late", 4, MSG_NOSIGNAL);
	close(b);
	CHECK(recv(a, buf, sizeof(buf), 0) <= 0);
	CHECK(recv(a, buf, sizeof(buf), 0) <= 0);
}

/* Data, then RST: first the one, then the other, in one call each. */
static void reset_after_data(void)
{
	struct linger l = { 1, 0 };
	char buf[1000];
	int a, b;

	pair(&a, &b);
	put(b, "last words");
	CHECK(setsockopt(b, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	close(b);
	usleep(20000);
	CHECK(recv(a, buf, sizeof(buf), 0) == 10);
	CHECK(recv(a, buf, sizeof(buf), 0) == -1 && errno == ECONNRESET);
	CHECK(recv(a, buf, sizeof(buf), 0) == 0);
}

/* ------------------------------------------------------------- listeners */

static void serve_one(int l, int how)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p = { .fd = l, .events = POLLIN };
	fd_set set;
	int c, ep;

	switch (how) {
	case 1:
		CHECK(poll(&p, 1, 4000) == 1);
		break;
	case 2:
		FD_ZERO(&set);
		FD_SET(l, &set);
		CHECK(select(l + 1, &set, NULL, NULL, &(struct timeval){ 4, 0 }) == 1);
		break;
	case 3:
		ep = epoll_create1(EPOLL_CLOEXEC);
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev) == 0);
		CHECK(epoll_wait(ep, &ev, 1, 4000) == 1);
		break;
	default:
		break;
	}
	c = accept(l, NULL, NULL);
	CHECK(c >= 0);
	get(c, "ask");
	put(c, "told");
	close(c);
}

static void ask(const struct sockaddr_in *at)
{
	int c = client(at);

	put(c, "ask");
	get(c, "told");
	close(c);
}

static pid_t child_asks(const struct sockaddr_in *at, unsigned delay_us)
{
	pid_t pid = fork();

	if (pid == 0) {
		usleep(delay_us);
		ask(at);
		_exit(0);
	}
	return pid;
}

/* As a master process does: it listens, its child waits and accepts. */
static void prefork(int how, int epoll_before)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct sockaddr_in at;
	int l = listener(&at, 8), ep = -1;
	pid_t server, asker;

	if (epoll_before) {
		ep = epoll_create1(EPOLL_CLOEXEC);
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev) == 0);
	}
	server = fork();
	if (server == 0) {
		if (epoll_before)
			CHECK(epoll_wait(ep, &ev, 1, 4000) == 1);
		serve_one(l, how);
		_exit(0);
	}
	asker = child_asks(&at, 200000);
	reap(server);
	reap(asker);
}

static void prefork_accept(void) { prefork(0, 0); }
static void prefork_poll(void) { prefork(1, 0); }
static void prefork_select(void) { prefork(2, 0); }
static void prefork_epoll(void) { prefork(3, 0); }
static void prefork_epoll_inherited(void) { prefork(0, 1); }

/* The client is in the queue before the child looks. */
static void prefork_queued(void)
{
	struct sockaddr_in at;
	int l = listener(&at, 8);
	pid_t asker = child_asks(&at, 0), server;

	usleep(200000);
	server = fork();
	if (server == 0) {
		serve_one(l, 0);
		_exit(0);
	}
	reap(server);
	reap(asker);
}

/* ... and the parent goes away, as daemon()'s does. */
static void daemonised(void)
{
	struct sockaddr_in at;
	int l = listener(&at, 8);
	pid_t middle = fork(), server, asker;

	if (middle == 0) {
		server = fork();
		if (server == 0) {
			usleep(300000);
			serve_one(l, 1);
			_exit(0);
		}
		_exit(0);
	}
	close(l);
	reap(middle);
	asker = child_asks(&at, 100000);
	reap(asker);
}

/* SO_RCVTIMEO of a listener that becomes the kernel's. */
static void inherited_timeout(void)
{
	struct timeval tv = { 0, 200000 };
	struct sockaddr_in at;
	int l = listener(&at, 8);
	pid_t pid;

	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(accept(l, NULL, NULL) == -1 && errno == EAGAIN);
		_exit(0);
	}
	reap(pid);
}

/* No number for it: the connection waits until there is one. */
static void accept_emfile(void)
{
	struct rlimit rl;
	struct sockaddr_in at;
	int l = listener(&at, 64), c[8], full[512], n = 0, s;

	CHECK(getrlimit(RLIMIT_NOFILE, &rl) == 0);
	rl.rlim_cur = 64;
	CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0);
	for (int i = 0; i < 8; i++) {
		c[i] = client(&at);
		put(c[i], "ask");
	}
	while (n < 512 && (full[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	CHECK(n > 0 && n < 512 && errno == EMFILE);
	for (int i = 0; i < 3; i++)
		CHECK(accept(l, NULL, NULL) == -1 && errno == EMFILE);
	while (n > 0)
		close(full[--n]);
	for (int i = 0; i < 8; i++) {
		s = accept(l, NULL, NULL);
		CHECK(s >= 0);
		get(s, "ask");
		put(s, "told");
		close(s);
	}
	for (int i = 0; i < 8; i++)
		get(c[i], "told");
}

/* ----------------------------------------------------------------- limits */

/* The hard limit goes up (nginx: worker_rlimit_nofile). */
static void limit_raised(void)
{
	struct rlimit rl = { 256, 256 }, more = { 4096, 4096 };
	char *argv[] = { (char *)"cases", (char *)"limit_raised", NULL };
	int a, b, x, y;

	if (!getenv("CASES_AGAIN")) {
		CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0);
		setenv("CASES_AGAIN", "1", 1);
		execv("/proc/self/exe", argv);
		CHECK(!"exec");
	}
	if (setrlimit(RLIMIT_NOFILE, &more) < 0)
		exit(SKIP);
	pair(&a, &b);
	x = fcntl(a, F_DUPFD, 3000);
	CHECK(x >= 3000);
	CHECK(dup2(b, 3500) == 3500);
	y = 3500;
	close(a);
	close(b);
	put(x, "high");
	get(y, "high");
	put(y, "back");
	get(x, "back");
	for (int fd = 3; fd < 4096; fd++)
		close(fd);
	pair(&a, &b);
	put(a, "again");
	get(b, "again");
}

/* --------------------------------------------------------------- sleepers */

static sigjmp_buf out;

static void jump(int sig)
{
	(void)sig;
	siglongjmp(out, 1);
}

static void in_ms(int ms)
{
	struct itimerval t = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	setitimer(ITIMER_REAL, &t, NULL);
}

/* siglongjmp() out of a call that sleeps: close() is a close all the same. */
static void jump_out(int how)
{
	struct pollfd p = { .events = POLLIN };
	struct epoll_event ev = { .events = EPOLLIN };
	char buf[8];
	int a, b, ep;

	pair(&a, &b);
	signal(SIGALRM, jump);
	ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, a, &ev) == 0);
	p.fd = a;
	if (sigsetjmp(out, 1) == 0) {
		in_ms(100);
		switch (how) {
		case 0:
			recv(a, buf, sizeof(buf), 0);
			break;
		case 1:
			poll(&p, 1, -1);
			break;
		default:
			epoll_wait(ep, &ev, 1, -1);
			break;
		}
		CHECK(!"came back");
	}
	put(b, "x");
	get(a, "x");
	close(ep);
	close(a);
	CHECK(readable(b, 1000));
	CHECK(recv(b, buf, sizeof(buf), MSG_DONTWAIT) == 0);
}

static void jump_recv(void) { jump_out(0); }
static void jump_poll(void) { jump_out(1); }
static void jump_epoll(void) { jump_out(2); }

/* A reader that waits for more than the smallest buffers hold. */
static void *fill(void *arg)
{
	char buf[8000];

	memset(buf, 'x', sizeof(buf));
	for (int i = 0; i < 8; i++) /* the kernel needs 200 ms and more for each */
		for (size_t at = 0; at < sizeof(buf);) {
			ssize_t n = send(*(int *)arg, buf + at, sizeof(buf) - at, 0);

			CHECK(n > 0);
			at += (size_t)n;
		}
	return NULL;
}

static void waitall_small(void)
{
	pthread_t t;
	char buf[8000];
	int a, b, one = 1;

	pair(&a, &b);
	CHECK(setsockopt(b, SOL_SOCKET, SO_SNDBUF, &one, sizeof(one)) == 0);
	CHECK(setsockopt(a, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one)) == 0);
	CHECK(pthread_create(&t, NULL, fill, &b) == 0);
	for (int i = 0; i < 8; i++)
		CHECK(recv(a, buf, sizeof(buf), MSG_WAITALL) == sizeof(buf));
	pthread_join(t, NULL);
}

/* ------------------------------------------------------------------- dups */

static pthread_barrier_t both;

static void *close_it(void *arg)
{
	pthread_barrier_wait(&both);
	close(*(int *)arg);
	return NULL;
}

/* Two threads close the last two numbers of a socket that a child had too. */
static void close_twice(void)
{
	char buf[8];

	CHECK(pthread_barrier_init(&both, NULL, 2) == 0);
	for (int i = 0; i < 300; i++) {
		pthread_t t;
		int a, b, d;

		pair(&a, &b);
		d = dup(a);
		if (i % 8 == 0) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			reap(pid);
		}
		CHECK(pthread_create(&t, NULL, close_it, &a) == 0);
		pthread_barrier_wait(&both);
		close(d);
		pthread_join(t, NULL);
		CHECK(readable(b, 2000));
		CHECK(recv(b, buf, sizeof(buf), MSG_DONTWAIT) == 0);
		close(b);
	}
}

/* Somebody who may hold them takes no ports away for good. */
static bool kernel_has_port(uint16_t port)
{
	FILE *f = fopen("/proc/net/tcp", "re");
	char line[256], want[16];
	bool found = false;

	snprintf(want, sizeof(want), ":%04X", port);
	while (f && fgets(line, sizeof(line), f))
		found |= strlen(line) > 20 && strstr(line, want) != NULL;
	if (f)
		fclose(f);
	return found;
}

static void pass_one(int over, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u;
	struct iovec iov = { (void *)"x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf,
			    .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK(sendmsg(over, &m, 0) == 1);
}

static void ports_come_back(void)
{
	struct sockaddr_in at, name = { 0 };
	socklen_t len = sizeof(name);
	int l = listener(&at, 8), over[2], c, s, different = 0;
	static char seen[65536];
	char buf[8];

	if (!getenv("MORTISE_DOMAIN") && !getenv("MORTISED"))
		exit(SKIP); /* on the kernel they rest for a minute */
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, over) == 0);
	for (int i = 0; i < 2000; i++) {
		c = client(&at);
		s = accept(l, NULL, NULL);
		CHECK(s >= 0);
		CHECK(getsockname(c, (struct sockaddr *)&name, &len) == 0);
		different += !seen[ntohs(name.sin_port)];
		seen[ntohs(name.sin_port)] = 1;
		pass_one(over[0], c);
		CHECK(read(over[1], buf, 1) == 1); /* the descriptor is dropped */
		close(c);
		close(s);
	}
	printf("# %d ports for 2000 connections\n", different);
	CHECK(different < 1000);
	c = client(&at);
	CHECK(getsockname(c, (struct sockaddr *)&name, &len) == 0);
	CHECK(!kernel_has_port(ntohs(name.sin_port)));
}

/* Forks and failing execs in some threads, the ends of what they walk in others. */
static struct sockaddr_in storm_at;
static int storm_listener, storm_set;
static char storm_file[] = "/tmp/mortise-case-XXXXXX";
static volatile bool storm_over;
static _Atomic unsigned long storm_conns, storm_forks, storm_execs;

static void *storm_connects(void *arg)
{
	while (!storm_over) {
		struct epoll_event e = { .events = EPOLLIN };
		int c = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(c, (struct sockaddr *)&storm_at, sizeof(storm_at)) == 0) {
			epoll_ctl(storm_set, EPOLL_CTL_ADD, c, &e);
			storm_conns++;
		}
		close(c);
	}
	return arg;
}

static void *storm_listens(void *arg)
{
	while (!storm_over) {
		struct sockaddr_in at;

		close(listener(&at, 4));
	}
	return arg;
}

static void *storm_accepts(void *arg)
{
	while (!storm_over)
		if (readable(storm_listener, 5))
			close(accept(storm_listener, NULL, NULL));
	return arg;
}

static void *storm_forks_on(void *arg)
{
	while (!storm_over) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		CHECK(pid > 0);
		reap(pid);
		storm_forks++;
	}
	return arg;
}

static void *storm_execs_on(void *arg)
{
	char *argv[] = { storm_file, NULL };

	while (!storm_over) {
		CHECK(execve(storm_file, argv, argv + 1) == -1 && errno == ENOEXEC);
		storm_execs++;
		usleep(200);
	}
	return arg;
}

static void fork_exec_close(void)
{
	void *(*const run[])(void *) = { storm_connects, storm_connects, storm_listens,
					 storm_accepts, storm_forks_on, storm_forks_on,
					 storm_execs_on };
	unsigned long conns = 0, forks = 0, execs = 0;
	double end = now() + 4;
	pthread_t t[7];
	int fd = mkstemp(storm_file);

	CHECK(fd >= 0 && write(fd, "no program", 10) == 10 && fchmod(fd, 0700) == 0);
	close(fd);
	storm_listener = listener(&storm_at, 128);
	CHECK(fcntl(storm_listener, F_SETFD, 0) == 0);
	CHECK(fcntl(storm_listener, F_SETFL, O_NONBLOCK) == 0);
	storm_set = epoll_create1(0);
	for (size_t i = 0; i < 7; i++)
		CHECK(pthread_create(&t[i], NULL, run[i], NULL) == 0);
	while (now() < end) {
		double stuck = now() + 10; /* beside other tests a fork takes its time */

		sleep(1);
		while (!(storm_conns > conns && storm_forks > forks && storm_execs > execs) &&
		       now() < stuck)
			usleep(100000);
		CHECK(storm_conns > conns && storm_forks > forks && storm_execs > execs);
		conns = storm_conns;
		forks = storm_forks;
		execs = storm_execs;
	}
	storm_over = true;
	for (size_t i = 0; i < 7; i++)
		pthread_join(t[i], NULL);
	unlink(storm_file);
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
#define CASE(name) { #name, name }
	CASE(shut_then_data),
	CASE(reset_after_data),
	CASE(prefork_accept),
	CASE(prefork_poll),
	CASE(prefork_select),
	CASE(prefork_epoll),
	CASE(prefork_epoll_inherited),
	CASE(prefork_queued),
	CASE(daemonised),
	CASE(inherited_timeout),
	CASE(accept_emfile),
	CASE(limit_raised),
	CASE(jump_recv),
	CASE(jump_poll),
	CASE(jump_epoll),
	CASE(waitall_small),
	CASE(close_twice),
	CASE(ports_come_back),
	CASE(fork_exec_close),
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc < 2 && i < sizeof(cases) / sizeof(cases[0]); i++)
		puts(cases[i].name);
	for (int k = 1; k < argc; k++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			if (strcmp(argv[k], cases[i].name) == 0)
				cases[i].fn();
	return 0;
}
