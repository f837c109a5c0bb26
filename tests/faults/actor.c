/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * actor.c - The ends of connections that a test kills, stops and watches.
 *
 *   actor serve PORT epoll|poll|thread   until the end of standard input
 *   actor prefork PORT epoll|poll|thread|both WORKERS   likewise, in children
 *   actor echo PORT PAUSE_US             until the end of standard input
 *   actor put PORT BYTES COUNT PAUSE_US
 *   actor ask PORT BYTES COUNT
 *   actor get PORT recv|poll|epoll [TIMEOUT_MS]
 *   actor wait PORT recv|poll|epoll [TIMEOUT_MS]
 *   actor connects PORT COUNT
 *   actor fill PORT
 *   actor forkput PORT BYTES COUNT
 *   actor joint PORT                     an epoll set of three processes
 *   actor fds PORT COUNT
 *   actor again PORT                     a new connection for each line of input
 *   actor hostile PORT SEED MS           scribbles over all that it may write
 *   actor nomemfd PROGRAM ARG...         where memfd_create() is forbidden
 *
 * A client's first byte says what the server does: 'E' echo; 'S' read, and
 * check that byte i is pattern(i); 'X' read; 'G' send pattern() in records of
 * 100 bytes; 'H' hold without reading until the client's next connection says
 * 'R'. Who sees a connection end says so on standard output:
 *
 *   end MODE BYTES eof|ERRNO WRONG
 *
 * On its standard input a server takes "close" (its listener) and "hold"
 * (accept nothing) and "go".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 150 /* no process outlives a mistake */
#define RECORD 100
#define FDS_MAX 4096
#define BUFFER (256 * 1024)

static volatile sig_atomic_t released;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "actor: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*end || n < 0 || n > 100000000) {
		errno = EINVAL;
		die(s);
	}
	return (int)n;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void say(const char *line)
{
	if (write(1, line, strlen(line)) < 0)
		exit(3);
}

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8));
}

static void pattern_fill(uint8_t *buf, uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = pattern(at + i);
}

static uint64_t pattern_wrong(const uint8_t *buf, uint64_t at, size_t n)
{
	uint64_t wrong = 0;

	for (size_t i = 0; i < n; i++)
		wrong += buf[i] != pattern(at + i);
	return wrong;
}

/* ACTOR_SIX: ::1, else 127.0.0.1. Return: its length. */
static socklen_t address(int port, struct sockaddr_storage *ret)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)port),
				   .sin6_addr = in6addr_loopback};

	if (getenv("ACTOR_SIX")) {
		memcpy(ret, &six, sizeof(six));
		return sizeof(six);
	}
	memcpy(ret, &a, sizeof(a));
	return sizeof(a);
}

static int connect_to(int port, char mode)
{
	struct sockaddr_storage a;
	socklen_t len = address(port, &a);
	int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&a, len))
		die("connect");
	if (send(fd, &mode, 1, MSG_NOSIGNAL) != 1)
		die("send");
	return fd;
}

/* ----------------------------------------------------------------- server */

struct end {
	int fd;
	char mode;
	uint64_t bytes, wrong;
};

static struct end ends[FDS_MAX];
static int listener = -1;

static void end_say(const struct end *e, long r)
{
	char line[100];
	int error = r < 0 ? errno : 0;

	snprintf(line, sizeof(line), "end %c %llu %s %llu\n", e->mode ? e->mode : '-',
		 (unsigned long long)e->bytes, error ? strerrorname_np(error) : "eof",
		 (unsigned long long)e->wrong);
	say(line);
}

/* What was received. Return: false where the connection is at its end. */
static bool end_take(struct end *e, const uint8_t *buf, size_t n)
{
	if (n && !e->mode) {
		e->mode = (char)*buf++;
		n--;
		if (e->mode == 'R') {
			released = 1;
			e->mode = 'S';
		}
	}
	if (e->mode == 'S')
		e->wrong += pattern_wrong(buf, e->bytes, n);
	e->bytes += n;
	if (e->mode != 'E')
		return true;
	while (n) {
		ssize_t r = send(e->fd, buf, n, MSG_NOSIGNAL);

		if (r < 0 && errno != EAGAIN) {
			end_say(e, r);
			return false;
		}
		if (r < 0)
			poll(&(struct pollfd){.fd = e->fd, .events = POLLOUT}, 1, 1000);
		buf += r > 0 ? r : 0;
		n -= r > 0 ? (size_t)r : 0;
	}
	return true;
}

/* Send until it ends. */
static void generate(struct end *e)
{
	uint8_t record[RECORD];
	ssize_t r;

	do {
		pattern_fill(record, e->bytes, sizeof(record));
		r = send(e->fd, record, sizeof(record), MSG_NOSIGNAL);
		if (r > 0)
			e->bytes += (uint64_t)r;
		usleep(1000);
	} while (r > 0);
	end_say(e, r);
}

static void *serve_one(void *arg)
{
	struct end *e = arg;
	bool polls = e->wrong;
	uint8_t *buf = malloc(BUFFER);
	ssize_t r;

	e->wrong = 0;
	for (;;) {
		if (polls && poll(&(struct pollfd){.fd = e->fd, .events = POLLIN}, 1, -1) != 1)
			die("poll");
		r = recv(e->fd, buf, e->mode ? BUFFER : 1, 0);
		if (r <= 0) {
			end_say(e, r);
			break;
		}
		if (!end_take(e, buf, (size_t)r))
			break;
		while (e->mode == 'H' && !released)
			usleep(10000);
		if (e->mode == 'H')
			e->mode = 'S';
		if (e->mode == 'G') {
			generate(e);
			break;
		}
	}
	free(buf);
	close(e->fd);
	free(e);
	return NULL;
}

/* Standard input. Return: false at its end. */
static bool serve_told(bool *hold)
{
	char text[64];
	ssize_t n = read(0, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	if (strstr(text, "close") && listener >= 0) {
		close(listener);
		listener = -1;
	}
	if (strstr(text, "hold"))
		*hold = true;
	if (strstr(text, "go"))
		*hold = false;
	say("told\n");
	return true;
}

static void serve_threads(bool polls)
{
	bool hold = false;

	for (;;) {
		struct pollfd p[2] = {{.fd = 0, .events = POLLIN},
				      {.fd = hold ? -1 : listener, .events = POLLIN}};
		struct end *e;
		pthread_t t;
		int fd;

		if (poll(p, 2, -1) < 1)
			die("poll");
		if (p[0].revents && !serve_told(&hold))
			return;
		if (!p[1].revents)
			continue;
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EAGAIN)
				continue;
			fprintf(stderr, "actor: accept: %s\n", strerror(errno));
			usleep(10000);
			continue;
		}
		e = calloc(1, sizeof(*e));
		e->fd = fd;
		e->wrong = polls;
		if (pthread_create(&t, NULL, serve_one, e))
			die("pthread_create");
		pthread_detach(t);
	}
}

static void epoll_watch(int ep, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl");
}

static void serve_epoll(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	static uint8_t buf[BUFFER];
	struct epoll_event evs[16];
	bool hold = false;

	epoll_watch(ep, 0);
	epoll_watch(ep, listener);
	for (;;) {
		int n = epoll_wait(ep, evs, 16, -1);

		for (int i = 0; i < n; i++) {
			int fd = evs[i].data.fd;
			struct end *e = &ends[fd];
			ssize_t r;

			if (fd == 0) {
				int was = listener;
				bool held = hold;

				if (!serve_told(&hold))
					return;
				if (hold != held && was >= 0 && listener >= 0)
					epoll_ctl(ep, hold ? EPOLL_CTL_DEL : EPOLL_CTL_ADD,
						  listener, &(struct epoll_event){
						  .events = EPOLLIN, .data.fd = listener});
				continue;
			}
			if (fd == listener) {
				fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
				if (fd < 0 && errno != EAGAIN) {
					fprintf(stderr, "actor: accept: %s\n", strerror(errno));
					usleep(10000);
				}
				if (fd < 0)
					continue;
				if (fd >= FDS_MAX)
					die("too many");
				ends[fd] = (struct end){.fd = fd};
				epoll_watch(ep, fd);
				continue;
			}
			r = recv(fd, buf, sizeof(buf), 0);
			if (r < 0 && errno == EAGAIN)
				continue;
			if (r <= 0)
				end_say(e, r);
			if (r <= 0 || !end_take(e, buf, (size_t)r))
				close(fd);
		}
	}
}

static void listen_at(int port)
{
	struct sockaddr_storage a;
	socklen_t len = address(port, &a);
	int one = 1;

	listener = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0)
		die("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&a, len))
		die("bind");
	if (listen(listener, 64))
		die("listen");
}

static void serve_by(const char *kind)
{
	if (strcmp(kind, "epoll") == 0)
		serve_epoll();
	else
		serve_threads(strcmp(kind, "poll") == 0);
}

static void serve(int port, const char *kind)
{
	listen_at(port);
	say("listening\n");
	serve_by(kind);
}

/* Who made the listener buries the others; with "both" it accepts as they do. */
static void prefork(int port, int workers, const char *kind)
{
	char line[60];
	int status;
	pid_t pid;

	listen_at(port);
	for (int i = 0; i < workers; i++) {
		pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			snprintf(line, sizeof(line), "worker %d\n", (int)getpid());
			say(line);
			alarm(LIMIT_S);
			serve_by(strcmp(kind, "both") ? kind : "epoll");
			_exit(0);
		}
	}
	say("listening\n");
	if (strcmp(kind, "both") == 0)
		serve_by("epoll");
	while ((pid = wait(&status)) > 0) {
		snprintf(line, sizeof(line), "dead %d %d\n", (int)pid, status);
		say(line);
	}
}

/* ---------------------------------------------------------------- clients */

static bool input_ended(void)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};
	char c[16];

	return poll(&p, 1, 0) == 1 && read(0, c, sizeof(c)) <= 0;
}

/* All of @n bytes. Return: what recv() said last. */
static ssize_t recv_all(int fd, uint8_t *buf, size_t n)
{
	return recv(fd, buf, n, MSG_WAITALL);
}

static void echo(int port, int pause_us)
{
	uint64_t most = 0, last = now_us(), rounds = 0, wrong = 0, at = 0;
	int fd = connect_to(port, 'E');
	uint8_t out[777], in[777];
	char line[100];

	say("echoing\n");
	while (rounds % 16 || !input_ended()) {
		size_t n = 1 + rounds % sizeof(out);
		uint64_t now;

		pattern_fill(out, at, n);
		if (send(fd, out, n, MSG_NOSIGNAL) != (ssize_t)n)
			die("echo send");
		if (recv_all(fd, in, n) != (ssize_t)n)
			die("echo recv");
		wrong += pattern_wrong(in, at, n);
		at += n;
		rounds++;
		now = now_us();
		most = now - last > most ? now - last : most;
		last = now;
		usleep((useconds_t)pause_us);
	}
	snprintf(line, sizeof(line), "echo %llu %llu %llu\n", (unsigned long long)rounds,
		 (unsigned long long)most, (unsigned long long)wrong);
	say(line);
}

static void put(int port, size_t size, int count, int pause_us)
{
	uint8_t *record = malloc(size);
	int fd = connect_to(port, 'S');
	uint64_t at = 0;

	say("putting\n");
	for (int i = 0; i < count; i++) {
		size_t done = 0;

		pattern_fill(record, at, size);
		while (done < size) {
			ssize_t r = send(fd, record + done, size - done, MSG_NOSIGNAL);

			if (r <= 0)
				die("put");
			done += (size_t)r;
		}
		at += size;
		usleep((useconds_t)pause_us);
	}
	close(fd);
	free(record);
	say("done\n");
}

static void ask(int port, size_t size, int count)
{
	uint8_t *out = malloc(size), *in = malloc(size);
	int fd = connect_to(port, 'E');

	for (int i = 0; i < count; i++) {
		pattern_fill(out, (uint64_t)i * size, size);
		if (send(fd, out, size, MSG_NOSIGNAL) != (ssize_t)size)
			die("ask");
		if (recv_all(fd, in, size) != (ssize_t)size || memcmp(in, out, size) != 0)
			die("answer");
	}
	close(fd);
	free(out);
	free(in);
	say("done\n");
}

/* Sleep until there is something, by @kind. */
static void client_sleep(int fd, int ep, const char *kind, int timeout_ms)
{
	struct epoll_event ev;
	int r;

	do {
		if (strcmp(kind, "poll") == 0)
			r = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, timeout_ms);
		else if (strcmp(kind, "epoll") == 0)
			r = epoll_wait(ep, &ev, 1, timeout_ms);
		else
			return;
	} while (r == 0);
	if (r < 0)
		die(kind);
}

/* Read to the end. */
static void get(int port, char mode, const char *kind, int timeout_ms)
{
	int fd = connect_to(port, mode), ep = epoll_create1(EPOLL_CLOEXEC);
	struct end e = {.fd = fd, .mode = mode};
	uint8_t buf[4096];
	ssize_t r;

	if (timeout_ms > 0 && strcmp(kind, "recv") == 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO,
			   &(struct timeval){.tv_usec = timeout_ms * 1000}, sizeof(struct timeval));
	epoll_watch(ep, fd);
	if (mode == 'E' && (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, buf, 1, 0) != 1))
		die("exchange");
	say("open\n");
	do {
		client_sleep(fd, ep, kind, timeout_ms > 0 ? timeout_ms : -1);
		r = recv(fd, buf, sizeof(buf), 0);
		if (r > 0 && mode == 'G')
			e.wrong += pattern_wrong(buf, e.bytes, (size_t)r);
		if (r > 0)
			e.bytes += (uint64_t)r;
	} while (r > 0 || (r < 0 && timeout_ms > 0 && errno == EAGAIN));
	end_say(&e, r);
	close(fd);
}

static void connects(int port, int count)
{
	char c = 'x';

	for (int i = 0; i < count; i++) {
		int fd = connect_to(port, 'E');

		if (send(fd, &c, 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1)
			die("exchange");
		close(fd);
	}
	say("done\n");
}

/* How much goes in until it blocks? Then all goes on. */
static void fill(int port)
{
	static uint8_t buf[64 * 1024];
	int fd = connect_to(port, 'S');
	uint64_t at = 0, quiet = 0;
	char line[60];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (quiet < 100) {
		ssize_t r;

		pattern_fill(buf, at, sizeof(buf));
		r = send(fd, buf, sizeof(buf), MSG_NOSIGNAL);
		if (r > 0) {
			at += (uint64_t)r;
			quiet = 0;
		} else if (errno != EAGAIN) {
			die("fill");
		} else {
			usleep(2000);
			quiet++;
		}
	}
	snprintf(line, sizeof(line), "full %llu\n", (unsigned long long)at);
	say(line);
	fcntl(fd, F_SETFL, 0);
	pattern_fill(buf, at, sizeof(buf));
	if (send(fd, buf, sizeof(buf), MSG_NOSIGNAL) != sizeof(buf))
		die("after");
	at += sizeof(buf);
	snprintf(line, sizeof(line), "done %llu\n", (unsigned long long)at);
	say(line);
	close(fd);
}

/* A child sends first, and may die of it; then we do. */
static void forkput(int port, size_t size, int count)
{
	int fd = connect_to(port, 'X'), status;
	uint8_t *record = calloc(1, size);
	pid_t pid = fork();

	for (int i = 0; pid == 0 && i < count; i++)
		if (send(fd, record, size, MSG_NOSIGNAL) != (ssize_t)size)
			_exit(1);
	if (pid == 0)
		_exit(0);
	waitpid(pid, &status, 0);
	say(WIFSIGNALED(status) ? "child killed\n" : "child ended\n");
	for (int i = 0; i < count; i++)
		if (send(fd, record, size, MSG_NOSIGNAL) != (ssize_t)size)
			die("forkput");
	close(fd);
	free(record);
	say("done\n");
}

static int set(int ep, int op, int fd, uint32_t events, uint32_t data)
{
	struct epoll_event ev = { .events = events, .data.u32 = data };

	return epoll_ctl(ep, op, fd, &ev);
}

/* One child changes a set that it has from us, and may die of it; another one
 * sleeps in it. Then we change it, and the sleeper is to hear of that. */
static void joint(int port)
{
	enum { OURS = 99 };
	int fd = connect_to(port, 'E'), ep = epoll_create1(0), status;
	struct epoll_event ev = { 0 };
	pid_t sleeper = fork(), victim;
	char c = 'x';

	while (sleeper == 0 && ev.data.u32 != OURS)
		if (epoll_wait(ep, &ev, 1, -1) != 1)
			_exit(1);
	if (sleeper == 0)
		_exit(0);
	victim = fork();
	for (uint32_t i = 0; victim == 0 && i < 20; i++) {
		set(ep, EPOLL_CTL_ADD, fd, EPOLLRDHUP, i);
		set(ep, EPOLL_CTL_MOD, fd, EPOLLOUT | EPOLLONESHOT, i);
		epoll_wait(ep, &ev, 1, 20);
		set(ep, EPOLL_CTL_DEL, fd, 0, 0);
	}
	if (victim == 0)
		_exit(0);
	waitpid(victim, &status, 0);
	say(WIFSIGNALED(status) ? "child killed\n" : "child ended\n");
	if (set(ep, EPOLL_CTL_ADD, fd, EPOLLRDHUP, 0) && errno != EEXIST)
		die("add");
	if (set(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, OURS))
		die("change");
	if (send(fd, &c, 1, MSG_NOSIGNAL) != 1)
		die("send");
	if (waitpid(sleeper, &status, 0) != sleeper || status)
		die("sleeper");
	if (epoll_wait(ep, &ev, 1, 20) != 0)
		die("told twice");
	if (set(ep, EPOLL_CTL_DEL, fd, 0, 0) || set(ep, EPOLL_CTL_DEL, fd, 0, 0) == 0)
		die("take out");
	close(fd);
	say("done\n");
}

/* Sockets until there are no descriptors left; then one of them is used. */
static void fds(int port, int count)
{
	struct rlimit rl = {.rlim_cur = (rlim_t)count, .rlim_max = (rlim_t)count};
	int first = connect_to(port, 'E'), n = 0, error;
	char line[100], c = 'y';

	if (setrlimit(RLIMIT_NOFILE, &rl))
		die("setrlimit");
	while (socket(AF_INET, SOCK_STREAM, 0) >= 0)
		n++;
	error = errno;
	if (send(first, &c, 1, MSG_NOSIGNAL) != 1 || recv(first, &c, 1, 0) != 1)
		die("exchange");
	close(n + 3);
	close(first);
	first = connect_to(port, 'E');
	if (send(first, &c, 1, MSG_NOSIGNAL) != 1 || recv(first, &c, 1, 0) != 1)
		die("exchange");
	snprintf(line, sizeof(line), "fds %d %s %d\n", n, strerrorname_np(error), first);
	say(line);
}

/* Is the socket one of the kernel's? */
static bool is_kernel(int fd)
{
	char line[300], inode[32];
	bool found = false;
	struct stat st;
	FILE *f;

	if (fstat(fd, &st))
		return false;
	f = fopen("/proc/self/net/tcp", "r");
	snprintf(inode, sizeof(inode), " %lu ", (unsigned long)st.st_ino);
	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, inode) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* One connection that stays; for each line another. "p": after a short poll(). */
static void again(int port)
{
	int first = connect_to(port, 'E');
	char c = 'x', text[64], line[64];
	struct sockaddr_storage a;
	socklen_t len = address(port, &a);

	if (send(first, &c, 1, MSG_NOSIGNAL) != 1 || recv(first, &c, 1, 0) != 1)
		die("exchange");
	say("open\n");
	while (read(0, text, sizeof(text)) > 0) {
		int slept = *text == 'p' ? poll(&(struct pollfd){.fd = first, .events = POLLIN},
						1, 50) : 0;
		int fd = slept ? -1 : socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, len) == 0 &&
			  send(fd, "E", 1, MSG_NOSIGNAL) == 1 &&
			  send(fd, &c, 1, MSG_NOSIGNAL) == 1 && recv(fd, &c, 1, 0) == 1;
		int error = errno;
		bool old = send(first, &c, 1, MSG_NOSIGNAL) == 1 && recv(first, &c, 1, 0) == 1;

		snprintf(line, sizeof(line), "again %s %s\n", !ok ? strerrorname_np(error) : is_kernel(fd) ? "kernel" : "ok",
			 old ? "ok" : "lost");
		say(line);
		if (fd >= 0)
			close(fd);
	}
}

/* ---------------------------------------------------------------- hostile */

#define MAPS_MAX 64
#define SLOTS_AT 0x1000000ul /* docs/abi.md, 2 */
#define RINGS_AT 0x2000000ul
#define WORDS_MOST 32

static struct {
	uint64_t at, bytes;
} maps[MAPS_MAX];
static int maps_count;

static void maps_find(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[300], perms[8];
	uint64_t from, to;

	while (f && fgets(line, sizeof(line), f) && maps_count < MAPS_MAX) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perms) != 3 ||
		    !strstr(line, "memfd:mortise") || perms[1] != 'w')
			continue;
		maps[maps_count].at = from;
		maps[maps_count++].bytes = to - from;
	}
	if (f)
		fclose(f);
}

static uint64_t seed;

static uint64_t noise(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* A word that may pass for something. */
static uint64_t noise_word(void)
{
	uint64_t n = noise();

	switch (n >> 60) {
	case 0: case 1: case 2:
		return 0;
	case 3: case 4: case 5:
		return n & 0xff;
	case 6: case 7:
		return n & 0xffffff;
	case 8: case 9:
		return (n & 0xf) << 32 | (n >> 8 & 7);
	case 10:
		return ~0ull << (n & 63);
	default:
		return n;
	}
}

static void scribble(int ms)
{
	uint64_t until = now_us() + (uint64_t)ms * 1000;

	while (now_us() < until) {
		for (int i = 0; i < maps_count; i++) {
			/* An arena: header and tables, halves, the first rings.
			 * A mailbox: all of it. */
			uint64_t bytes = maps[i].bytes, at = noise() % (1 << 20);

			if (bytes > RINGS_AT && noise() & 3)
				at = SLOTS_AT + noise() % (512 * 128);
			else if (bytes > RINGS_AT && noise() & 1)
				at = RINGS_AT + noise() % (1 << 20);
			at &= ~7ul;
			for (uint64_t k = noise() % WORDS_MOST; k > 0 && at + 8 <= bytes; k--) {
				*(volatile uint64_t *)(maps[i].at + at) = noise_word();
				at += 8;
			}
		}
		if (noise() % 64 == 0)
			usleep(200);
	}
}

static void hostile(int port, int s, int ms)
{
	uint8_t buf[3000];
	int fd[12];
	pid_t pid;

	seed = (uint64_t)s * 2654435761u + 88172645463325252ull;
	for (int i = 0; i < 12; i++)
		fd[i] = connect_to(port, i % 3 ? 'E' : 'X');
	maps_find();
	if (maps_count == 0)
		die("no memory of Mortise's");
	say("joined\n");
	pid = fork();
	if (pid == 0) {
		/* What becomes of ourselves is our own affair. */
		alarm((unsigned)ms / 1000 + 2);
		for (uint64_t i = 0;; i++) {
			memset(buf, (int)i, sizeof(buf));
			if (send(fd[i % 12], buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				usleep(100);
			if (recv(fd[i % 12], buf, sizeof(buf), MSG_DONTWAIT) < 0)
				usleep(100);
		}
	}
	scribble(ms);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	say("scribbled\n");
	_exit(0);
}

/* -------------------------------------------------------------- forbidden */

static void nomemfd(char **argv)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = f};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) {
		say("no seccomp\n");
		exit(77);
	}
	execv(argv[0], argv);
	die(argv[0]);
}

static int actor(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int port = argc > 2 ? number(argv[2]) : 0, timeout = argc > 4 ? number(argv[4]) : 0;

	alarm(LIMIT_S);
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(what, "serve") == 0 && argc == 4)
		serve(port, argv[3]);
	else if (strcmp(what, "prefork") == 0 && argc == 5)
		prefork(port, number(argv[4]), argv[3]);
	else if (strcmp(what, "echo") == 0 && argc == 4)
		echo(port, number(argv[3]));
	else if (strcmp(what, "put") == 0 && argc == 6)
		put(port, (size_t)number(argv[3]), number(argv[4]), number(argv[5]));
	else if (strcmp(what, "ask") == 0 && argc == 5)
		ask(port, (size_t)number(argv[3]), number(argv[4]));
	else if (strcmp(what, "get") == 0 && argc >= 4)
		get(port, 'G', argv[3], timeout);
	else if (strcmp(what, "wait") == 0 && argc >= 4)
		get(port, 'E', argv[3], timeout);
	else if (strcmp(what, "connects") == 0 && argc == 4)
		connects(port, number(argv[3]));
	else if (strcmp(what, "fill") == 0)
		fill(port);
	else if (strcmp(what, "forkput") == 0 && argc == 5)
		forkput(port, (size_t)number(argv[3]), number(argv[4]));
	else if (strcmp(what, "joint") == 0)
		joint(port);
	else if (strcmp(what, "fds") == 0 && argc == 4)
		fds(port, number(argv[3]));
	else if (strcmp(what, "again") == 0)
		again(port);
	else if (strcmp(what, "hostile") == 0 && argc == 5)
		hostile(port, number(argv[3]), number(argv[4]));
	else
		fprintf(stderr, "actor: what is to be done? See the head of actor.c\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "nomemfd") == 0)
		nomemfd(argv + 2);
	return actor(argc, argv);
}
