/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sharers.c - Connections that several processes poll: one name, one process.
 * Each must end the same way on the kernel's sockets.
 *
 * usage: sharers NAME...; without a name: list them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY 50
#define SOON 2.0     /* seconds in which what must come does come */
#define FEW_WAKES 12 /* of an idle process, in a second; slices make more than 50 */

#define CHECK(what)                                                                         \
	do {                                                                                \
		if (!(what)) {                                                              \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __func__, __LINE__, #what, \
				errno);                                                     \
			exit(1);                                                            \
		}                                                                           \
	} while (0)

/** struct board - What the processes of a case tell each other. */
static struct board {
	_Atomic unsigned round;
	_Atomic unsigned seen[4];
	_Atomic unsigned ready;
	_Atomic bool over;
} *board;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int listener(struct sockaddr_in *a)
{
	int l = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*a);

	*a = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(l >= 0);
	CHECK(bind(l, (struct sockaddr *)a, sizeof(*a)) == 0);
	CHECK(listen(l, 64) == 0);
	CHECK(getsockname(l, (struct sockaddr *)a, &len) == 0);
	return l;
}

/* Both ends of @n connections; @b is accepted. */
static void pairs(int *a, int *b, int n)
{
	struct sockaddr_in at;
	int l = listener(&at);

	for (int i = 0; i < n; i++) {
		a[i] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(connect(a[i], (struct sockaddr *)&at, sizeof(at)) == 0);
		b[i] = accept(l, NULL, NULL);
		CHECK(b[i] >= 0);
	}
	close(l);
}

static pid_t start(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void reap(pid_t pid)
{
	double until = now() + 8;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now() > until) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			CHECK(!"child hangs");
		}
		usleep(1000);
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void kill_it(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int set_of(const int *fds, int n, uint32_t events)
{
	int e = epoll_create1(0);

	CHECK(e >= 0);
	for (int i = 0; i < n; i++)
		CHECK(epoll_ctl(e, EPOLL_CTL_ADD, fds[i],
				&(struct epoll_event){ .events = events, .data.fd = fds[i] }) == 0);
	return e;
}

static void ping(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c = 'x';

	CHECK(send(fd, &c, 1, MSG_NOSIGNAL) == 1);
	CHECK(poll(&p, 1, (int)(SOON * 1000)) == 1);
	CHECK(recv(fd, &c, 1, 0) == 1);
}

static void wait_until(_Atomic unsigned *what, unsigned is)
{
	double until = now() + SOON;

	while (*what != is) {
		CHECK(now() < until);
		usleep(200);
	}
}

/* ---------------------------------------------------------------- idle ones */

static long wakes(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_nvcsw;
}

/* Answers all bytes of @n connections until they end; twice, with a second
 * between, counts how often it woke up for nothing. */
static void serve_idle(int e, int n)
{
	struct epoll_event ev[MANY];
	int left = n, quiet = 0;

	while (left > 0) {
		long before = wakes();
		int got = epoll_wait(e, ev, MANY, quiet < 2 ? 1000 : -1);

		CHECK(got >= 0);
		if (got == 0) {
			quiet++;
			if (wakes() - before > FEW_WAKES)
				fprintf(stderr, "%ld wake-ups in a second\n", wakes() - before);
			CHECK(wakes() - before <= FEW_WAKES);
			board->ready++;
		}
		for (int i = 0; i < got; i++) {
			char c;

			if (recv(ev[i].data.fd, &c, 1, 0) == 1)
				CHECK(send(ev[i].data.fd, &c, 1, MSG_NOSIGNAL) == 1);
			else
				CHECK(close(ev[i].data.fd) == 0 && left-- > 0);
		}
	}
}

static void idle(bool set_before, bool grandchild)
{
	int a[MANY], b[MANY], e = -1;
	pid_t pid;

	pairs(a, b, MANY);
	if (set_before)
		e = set_of(b, MANY, EPOLLIN);
	pid = start();
	if (pid == 0) {
		for (int i = 0; i < MANY; i++)
			close(a[i]);
		if (grandchild) {
			/* That has used them itself before. */
			e = set_of(b, MANY, EPOLLIN);
			CHECK(epoll_wait(e, &(struct epoll_event){ 0 }, 1, 1) >= 0);
			close(e);
			pid = start();
			if (pid != 0) {
				for (int i = 0; i < MANY; i++)
					close(b[i]);
				reap(pid);
				exit(0);
			}
		}
		if (!set_before)
			e = set_of(b, MANY, EPOLLIN);
		serve_idle(e, MANY);
		exit(0);
	}
	for (int i = 0; i < MANY; i++)
		close(b[i]);
	for (unsigned i = 0; i < 2; i++) {
		for (int k = 0; k < MANY; k++)
			ping(a[k]);
		wait_until(&board->ready, i + 1);
	}
	for (int k = 0; k < MANY; k++)
		ping(a[k]);
	for (int k = 0; k < MANY; k++)
		close(a[k]);
	reap(pid);
}

static void idle_child(void) { idle(false, false); }
static void idle_child_with_parents_set(void) { idle(true, false); }
static void idle_grandchild(void) { idle(false, true); }

/* A child had it; it is the parent's again. */
static void idle_parent_afterwards(void)
{
	int a, b, e;
	pid_t pid;

	pairs(&a, &b, 1);
	e = set_of(&b, 1, EPOLLIN);
	pid = start();
	if (pid == 0) {
		struct pollfd p = { .fd = b, .events = POLLIN };
		char c;

		CHECK(poll(&p, 1, 5000) == 1);
		CHECK(recv(b, &c, 1, 0) == 1 && send(b, &c, 1, 0) == 1);
		exit(0);
	}
	ping(a);
	reap(pid);
	pid = start();
	if (pid == 0) {
		close(b);
		usleep(100000);
		ping(a);
		wait_until(&board->ready, 1);
		ping(a);
		wait_until(&board->ready, 2);
		ping(a);
		exit(0);
	}
	close(a);
	serve_idle(e, 1);
	reap(pid);
}

/* ------------------------------------------------------- two at the same time */

enum how { EPOLL, EDGE, POLL, SELECT, HOWS };

static void sleep_until_readable(int fd, int e, enum how how)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event ev;
	fd_set set;

	switch (how) {
	case EPOLL:
	case EDGE:
		CHECK(epoll_wait(e, &ev, 1, -1) == 1);
		break;
	case POLL:
		CHECK(poll(&p, 1, -1) == 1);
		break;
	default:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		CHECK(select(fd + 1, &set, NULL, NULL, NULL) == 1);
		break;
	}
}

/* Sees each round's byte, and leaves it where it is. */
static pid_t onlooker(int fd, unsigned me, enum how how)
{
	pid_t pid = start();
	unsigned round;
	int e;

	if (pid != 0)
		return pid;
	e = set_of(&fd, 1, EPOLLIN | (how == EDGE ? EPOLLET : 0));
	for (round = board->round; ;) {
		board->ready++;
		sleep_until_readable(fd, e, how);
		board->seen[me]++;
		while (board->round == round)
			usleep(100);
		round = board->round;
	}
}

static void round_of(int a, int b, unsigned lookers, unsigned pause_us)
{
	double until = now() + SOON;
	char c = 'x';

	wait_until(&board->ready, lookers);
	usleep(pause_us);
	board->ready = 0;
	for (unsigned i = 0; i < 4; i++)
		board->seen[i] = 0;
	CHECK(send(a, &c, 1, 0) == 1);
	while (board->seen[0] + board->seen[1] + board->seen[2] != lookers) {
		CHECK(now() < until);
		usleep(100);
	}
	CHECK(recv(b, &c, 1, 0) == 1);
	board->round++;
}

static void both_see(void)
{
	int a, b;

	for (unsigned x = 0; x < HOWS; x++)
		for (unsigned y = 0; y < HOWS; y++) {
			pid_t one, two;

			pairs(&a, &b, 1);
			board->ready = 0;
			one = onlooker(b, 0, (enum how)x);
			two = onlooker(b, 1, (enum how)y);
			for (unsigned i = 0; i < 8; i++)
				round_of(a, b, 2, i * 4000);
			kill_it(one);
			kill_it(two);
			close(a);
			close(b);
		}
}

/* The parent's sleeper was there first; the child's that comes is killed. */
static void taker_dies(void)
{
	int a, b;

	for (unsigned x = 0; x < HOWS; x++) {
		pid_t parent, child;

		pairs(&a, &b, 1);
		board->ready = 0;
		parent = onlooker(b, 0, (enum how)x);
		wait_until(&board->ready, 1);
		for (unsigned i = 0; i < 4; i++) {
			usleep(20000);
			child = onlooker(b, 1, (enum how)(i % HOWS));
			wait_until(&board->ready, 2);
			usleep(i * 7000);
			kill_it(child);
			board->ready = 1;
			round_of(a, b, 1, i % 2 ? 50000 : 0);
		}
		kill_it(parent);
		close(a);
		close(b);
	}
}

/* The owner itself sleeps, and a child takes over and ends, again and again. */
static void owner_sleeps_on(void)
{
	struct epoll_event ev;
	int a, b, e;
	pid_t child;
	char c;

	pairs(&a, &b, 1);
	e = set_of(&b, 1, EPOLLIN);
	for (int i = 0; i < 12; i++) {
		child = start();
		if (child == 0) {
			pid_t taker;

			usleep(20000);
			/* A grandchild takes it while the owner is asleep. */
			taker = onlooker(b, 1, (enum how)(i % HOWS));
			usleep(20000);
			if (i % 3)
				kill_it(taker);
			CHECK(send(a, "x", 1, 0) == 1);
			usleep(30000);
			if (i % 3 == 0)
				kill_it(taker);
			exit(0);
		}
		CHECK(epoll_wait(e, &ev, 1, (int)(SOON * 1000)) == 1);
		CHECK(recv(b, &c, 1, 0) == 1);
		reap(child);
	}
}

/* ------------------------------------------------------------------- servers */

/* Echoes whatever it gets, until it is told to stop. */
static pid_t echoer(int fd, unsigned seed)
{
	pid_t pid = start();
	int lt, et;

	if (pid != 0)
		return pid;
	lt = set_of(&fd, 1, EPOLLIN);
	et = set_of(&fd, 1, EPOLLIN | EPOLLET);
	for (;;) {
		enum how how = (enum how)(rand_r(&seed) % HOWS);
		char buf[16];
		ssize_t n;

		/* An edge may have been another's. */
		if (how == EDGE)
			epoll_wait(et, &(struct epoll_event){ 0 }, 1, 30);
		else
			sleep_until_readable(fd, lt, how);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			CHECK(send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n);
		if (rand_r(&seed) % 4 == 0)
			usleep((unsigned)rand_r(&seed) % 3000);
	}
}

/* Several serve one connection, come and go; no byte waits for long. */
static void servers_come_and_go(void)
{
	unsigned seed = (unsigned)time(NULL);
	double until = now() + 5;
	pid_t pids[3];
	int a, b;

	fprintf(stderr, "seed %u\n", seed);
	pairs(&a, &b, 1);
	for (int i = 0; i < 3; i++)
		pids[i] = echoer(b, seed + (unsigned)i);
	for (unsigned i = 0; now() < until; i++) {
		ping(a);
		if (i % 8 == 0)
			usleep((unsigned)rand_r(&seed) % 25000);
		if (i % 16 == 15) {
			unsigned k = (unsigned)rand_r(&seed) % 3;

			kill_it(pids[k]);
			pids[k] = echoer(b, seed + i);
		}
	}
	for (int i = 0; i < 3; i++)
		kill_it(pids[i]);
}

/* Two children sleep in the one set that their parent made. */
static void one_set_for_all(void)
{
	int a[MANY], b[MANY], e;
	pid_t pids[2];

	pairs(a, b, MANY);
	e = set_of(b, MANY, EPOLLIN);
	for (int i = 0; i < 2; i++) {
		pids[i] = start();
		if (pids[i])
			continue;
		for (;;) {
			struct epoll_event ev[4];
			int n = epoll_wait(e, ev, 4, -1);
			char c;

			CHECK(n > 0);
			for (int k = 0; k < n; k++)
				if (recv(ev[k].data.fd, &c, 1, MSG_DONTWAIT) == 1)
					CHECK(send(ev[k].data.fd, &c, 1, MSG_NOSIGNAL) == 1);
		}
	}
	for (int i = 0; i < 400; i++) {
		ping(a[i % MANY]);
		if (i % 40 == 0)
			usleep(30000);
	}
	kill_it(pids[0]);
	for (int i = 0; i < 100; i++)
		ping(a[i % MANY]);
	kill_it(pids[1]);
}

/* A process for each connection, which its parent accepted. */
static void fork_for_each(void)
{
	struct sockaddr_in at;
	int l = listener(&at);
	pid_t asker, kids[20];

	asker = start();
	if (asker == 0) {
		int s[20];

		close(l);
		for (int i = 0; i < 20; i++) {
			s[i] = socket(AF_INET, SOCK_STREAM, 0);
			CHECK(connect(s[i], (struct sockaddr *)&at, sizeof(at)) == 0);
		}
		for (int k = 0; k < 50; k++)
			for (int i = 0; i < 20; i++)
				ping(s[i]);
		exit(0);
	}
	for (int i = 0; i < 20; i++) {
		struct epoll_event ev;
		int c = accept(l, NULL, NULL), e;
		char byte;

		CHECK(c >= 0);
		kids[i] = start();
		if (kids[i]) {
			close(c);
			continue;
		}
		close(l);
		e = set_of(&c, 1, EPOLLIN);
		while (epoll_wait(e, &ev, 1, -1) == 1 && recv(c, &byte, 1, 0) == 1)
			CHECK(send(c, &byte, 1, MSG_NOSIGNAL) == 1);
		exit(0);
	}
	reap(asker);
	for (int i = 0; i < 20; i++)
		reap(kids[i]);
}

/* Room to write: a child that waits for it, while its parent does as well. */
static void both_write(void)
{
	static char block[65536];
	size_t sent[2] = { 0, 0 }, got = 0;
	pid_t pids[2];
	int a, b;

	pairs(&a, &b, 1);
	for (unsigned i = 0; i < 2; i++) {
		pids[i] = start();
		if (pids[i])
			continue;
		close(a);
		while (sent[i] < 8u << 20) {
			struct pollfd p = { .fd = b, .events = POLLOUT };
			ssize_t n;

			CHECK(poll(&p, 1, 5000) == 1);
			n = send(b, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n > 0)
				sent[i] += (size_t)n;
		}
		board->seen[i] = (unsigned)sent[i];
		exit(0);
	}
	close(b);
	for (unsigned i = 0; ; i++) {
		ssize_t n = recv(a, block, sizeof(block), 0);

		CHECK(n >= 0);
		if (n == 0)
			break;
		got += (size_t)n;
		if (i % 64 == 0)
			usleep(5000);
	}
	reap(pids[0]);
	reap(pids[1]);
	CHECK(got == board->seen[0] + board->seen[1]);
}

/* Workers who answer each connection's first message, and wait for its end. */
static void workers_start(int l, pid_t *pids, int n)
{
	for (int i = 0; i < n; i++) {
		pids[i] = start();
		while (pids[i] == 0) {
			int c = accept(l, NULL, NULL);
			char word[4];

			CHECK(c >= 0);
			if (recv(c, word, 4, MSG_WAITALL) == 4)
				CHECK(send(c, word, 4, MSG_NOSIGNAL) == 4);
			recv(c, word, 1, 0);
			close(c);
		}
	}
}

static int client(const struct sockaddr_in *at)
{
	int c = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(c >= 0);
	CHECK(connect(c, (const struct sockaddr *)at, sizeof(*at)) == 0);
	return c;
}

static void *hear(void *arg)
{
	char word[4];

	CHECK(recv(*(int *)arg, word, 4, MSG_WAITALL) == 4);
	CHECK(memcmp(word, "word", 4) == 0);
	return NULL;
}

/* Two threads of a client find out at once who has accepted them. */
static void prefork_threads(void)
{
	struct sockaddr_in at;
	int l = listener(&at);
	pid_t pids[3];

	workers_start(l, pids, 3);
	for (int i = 0; i < 500; i++) {
		int c = client(&at);
		pthread_t t;

		CHECK(pthread_create(&t, NULL, hear, &c) == 0);
		if (i % 3 == 0)
			usleep(100);
		CHECK(send(c, "word", 4, MSG_NOSIGNAL) == 4);
		CHECK(pthread_join(t, NULL) == 0);
		close(c);
	}
	for (int i = 0; i < 3; i++)
		kill_it(pids[i]);
}

/* The process that connected is gone before its child looks. */
static void prefork_orphans(void)
{
	struct sockaddr_in at;
	int l = listener(&at), n = 150;
	double until = now() + 15;
	pid_t pids[3];

	workers_start(l, pids, 3);
	for (int i = 0; i < n; i++) {
		pid_t pid = start();

		if (pid == 0) {
			int c = client(&at);

			if (fork() == 0) {
				usleep(5000);
				CHECK(send(c, "word", 4, MSG_NOSIGNAL) == 4);
				hear(&c);
				board->seen[0]++;
			}
			_exit(0);
		}
		reap(pid);
	}
	while (board->seen[0] < (unsigned)n && now() < until)
		usleep(1000);
	CHECK(board->seen[0] == (unsigned)n);
	for (int i = 0; i < 3; i++)
		kill_it(pids[i]);
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
	{ "idle_child", idle_child },
	{ "idle_child_with_parents_set", idle_child_with_parents_set },
	{ "idle_grandchild", idle_grandchild },
	{ "idle_parent_afterwards", idle_parent_afterwards },
	{ "both_see", both_see },
	{ "both_write", both_write },
	{ "taker_dies", taker_dies },
	{ "owner_sleeps_on", owner_sleeps_on },
	{ "servers_come_and_go", servers_come_and_go },
	{ "one_set_for_all", one_set_for_all },
	{ "fork_for_each", fork_for_each },
	{ "prefork_threads", prefork_threads },
	{ "prefork_orphans", prefork_orphans },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc < 2 && i < sizeof(cases) / sizeof(cases[0]); i++)
		puts(cases[i].name);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(board != MAP_FAILED);
	for (int k = 1; k < argc; k++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			if (strcmp(argv[k], cases[i].name) == 0)
				cases[i].fn();
	return 0;
}
