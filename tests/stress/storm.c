/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * storm.c - Threads x connections x forks, each byte verified.
 *
 * Two processes: a server and a client, with THREADS threads each. A
 * connection has two directions; the client says at its start, in a header of
 * fixed size, with which seed and how many bytes go each way and how it ends.
 * Both ends then do random things that must not change what travels: sends and
 * receives of all kinds and sizes, blocking and not; poll, select and epoll
 * before them; dup and close of the old number, dup2 onto a third; a child
 * that is forked and exits at once, that goes on sending or receiving in the
 * parent's place, or that lives a little longer than the parent's descriptor;
 * posix_spawn. In each process another thread opens and closes descriptors.
 *
 * usage: storm [--seed N] [--seconds N] [--threads N] [--alarm]
 * --alarm: a SIGALRM every millisecond, with SA_RESTART by turns.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE 40000
#define THREADS_MOST 32

extern char **environ;

struct rng {
	uint64_t s;
};

/* What is sent first, so that the server knows the rest. */
struct plan {
	uint64_t magic, seed;
	uint32_t up, down; /* bytes from the client, to the client */
	uint32_t end, pad;
};

enum { END_CLOSE, END_SHUTDOWN_FIRST, END_HALF, ENDS };
enum { UP, DOWN };

static double until;
static unsigned threads = 8;
static bool alarms;
static struct sockaddr_in6 where; /* or an AF_INET one, which is shorter */
static bool six;
static _Atomic unsigned long connections, bytes, forks;
static const char *role = "client";
static double slow_s = 8;
static _Atomic unsigned long slow_steps;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t rnd(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned below(struct rng *r, unsigned n)
{
	return (unsigned)(rnd(r) % n);
}

static void die(const char *format, ...)
{
	char line[256];
	va_list ap;
	int n;

	n = snprintf(line, sizeof(line), "%s %d: ", role, (int)getpid());
	va_start(ap, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(2, line, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

/* Byte @i of a direction's stream. */
static unsigned char byte_at(uint64_t seed, uint64_t i)
{
	uint64_t z = seed ^ (i >> 3) * 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9ull;
	return (unsigned char)(z >> (i & 7) * 8);
}

static void fill(unsigned char *buf, uint64_t seed, uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(seed, from + i);
}

static void verify(const unsigned char *buf, uint64_t seed, uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != byte_at(seed, from + i))
			die("seed %" PRIx64 ": byte %" PRIu64 " is wrong", seed, from + i);
}

/**
 * struct end - One end of a connection, in one thread of one process.
 * @out, @in: Bytes sent and received so far.
 */
struct end {
	int fd, ep;
	struct plan plan;
	bool server;
	uint64_t out, in, out_all, in_all, out_seed, in_seed;
	bool nonblock;
	struct rng r;
};

static bool is_again(int e)
{
	return e == EAGAIN || e == EINTR;
}

/* Until there is something to do, in one of three ways. */
static void wait_for(struct end *e, short events)
{
	struct pollfd p = { .fd = e->fd, .events = events };
	struct epoll_event ev = { .events = (uint32_t)events | (below(&e->r, 2) ? 0 : EPOLLONESHOT) };
	struct timeval tv = { 20, 0 };
	fd_set in, out;
	int r;

	switch (below(&e->r, e->fd < FD_SETSIZE ? 3 : 2)) {
	case 0:
		r = poll(&p, 1, 20000);
		break;
	case 1:
		if (e->ep < 0)
			e->ep = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_ctl(e->ep, EPOLL_CTL_ADD, e->fd, &ev) < 0)
			die("epoll_ctl: %s", strerror(errno));
		r = epoll_wait(e->ep, &ev, 1, 20000);
		if (epoll_ctl(e->ep, EPOLL_CTL_DEL, e->fd, &ev) < 0)
			die("epoll_ctl DEL: %s", strerror(errno));
		break;
	default:
		FD_ZERO(&in);
		FD_ZERO(&out);
		if (events & POLLIN)
			FD_SET(e->fd, &in);
		if (events & POLLOUT)
			FD_SET(e->fd, &out);
		r = select(e->fd + 1, &in, &out, NULL, &tv);
		break;
	}
	if (r == 0)
		die("seed %llx: waited 20 s for %x, out %llu/%llu in %llu/%llu fd %d",
		    (unsigned long long)e->plan.seed, events, (unsigned long long)e->out,
		    (unsigned long long)e->out_all, (unsigned long long)e->in,
		    (unsigned long long)e->in_all, e->fd);
	if (r < 0 && errno != EINTR)
		die("wait: %s", strerror(errno));
}

static ssize_t send_some(struct end *e, unsigned char *buf, size_t n)
{
	int flags = MSG_NOSIGNAL | (e->nonblock || !below(&e->r, 3) ? MSG_DONTWAIT : 0);
	size_t cut = n > 1 ? below(&e->r, (unsigned)n) : n;
	struct iovec iov[3] = { { buf, cut }, { buf + cut, 0 }, { buf + cut, n - cut } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };

	switch (below(&e->r, 3)) {
	case 0:
		return sendmsg(e->fd, &m, flags);
	case 1:
		return flags & MSG_DONTWAIT && !e->nonblock ? send(e->fd, buf, n, flags)
							    : writev(e->fd, iov, 3);
	default:
		return send(e->fd, buf, n, flags);
	}
}

static void step_out(struct end *e, uint64_t most)
{
	unsigned char buf[PIECE];
	size_t n = 1 + below(&e->r, below(&e->r, 4) ? 2000 : PIECE);
	ssize_t r;

	if (n > e->out_all - e->out)
		n = (size_t)(e->out_all - e->out);
	if (n > most)
		n = (size_t)most;
	fill(buf, e->out_seed, e->out, n);
	r = send_some(e, buf, n);
	if (r < 0 && !is_again(errno))
		die("send: %s", strerror(errno));
	if (r < 0 && errno == EAGAIN && e->in == e->in_all)
		wait_for(e, POLLOUT);
	if (r > 0)
		e->out += (uint64_t)r;
}

static ssize_t recv_some(struct end *e, unsigned char *buf, size_t n)
{
	int flags = e->nonblock || !below(&e->r, 3) ? MSG_DONTWAIT : 0;
	size_t cut = n > 1 ? below(&e->r, (unsigned)n) : n;
	struct iovec iov[2] = { { buf, cut }, { buf + cut, n - cut } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	switch (below(&e->r, 4)) {
	case 0:
		return recvmsg(e->fd, &m, flags);
	case 1:
		return readv(e->fd, iov, 2);
	case 2:
		if (e->out == e->out_all)
			flags |= MSG_WAITALL;
		return recv(e->fd, buf, n, flags);
	default: {
		ssize_t r = recv(e->fd, buf, n, MSG_PEEK | flags);

		if (r <= 0)
			return r;
		verify(buf, e->in_seed, e->in, (size_t)r);
		return recv(e->fd, buf, (size_t)r, 0);
	}
	}
}

static void step_in(struct end *e, uint64_t most)
{
	unsigned char buf[PIECE];
	size_t n = 1 + below(&e->r, below(&e->r, 4) ? 3000 : PIECE);
	ssize_t r;

	if (n > e->in_all - e->in)
		n = (size_t)(e->in_all - e->in);
	if (n > most)
		n = (size_t)most;
	/* Both ends may have to send before either can receive. */
	if (e->out < e->out_all) {
		struct pollfd p = { .fd = e->fd, .events = POLLIN };

		if (poll(&p, 1, 0) != 1)
			return;
	} else if (below(&e->r, 2)) {
		wait_for(e, POLLIN);
	}
	r = recv_some(e, buf, n);
	if (r < 0 && is_again(errno)) {
		if (errno == EAGAIN && e->out == e->out_all)
			wait_for(e, POLLIN);
		return;
	}
	if (r <= 0)
		die("seed %llx: recv: %s at %llu of %llu", (unsigned long long)e->plan.seed,
		    r ? strerror(errno) : "end", (unsigned long long)e->in,
		    (unsigned long long)e->in_all);
	verify(buf, e->in_seed, e->in, (size_t)r);
	e->in += (uint64_t)r;
	atomic_fetch_add(&bytes, (unsigned long)r);
}

static pid_t wait_pid(pid_t pid, int *status)
{
	pid_t r;

	do
		r = waitpid(pid, status, 0);
	while (r < 0 && errno == EINTR);
	return r;
}

/* A child takes part: it sends or receives some, says how much, and goes. */
static void fork_helps(struct end *e, bool sends)
{
	uint64_t all = sends ? e->out_all - e->out : e->in_all - e->in, moved = 0;
	int p[2], status;
	pid_t pid;

	if (all == 0)
		return;
	all = 1 + rnd(&e->r) % (all < 20000 ? all : 20000);
	if (pipe(p) < 0)
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	atomic_fetch_add(&forks, 1);
	if (pid == 0) {
		uint64_t from = sends ? e->out : e->in;
		/* As long as it takes; but not for what cannot move. */
		double give_up = now() + 0.05;

		while ((sends ? e->out : e->in) - from < all && now() < give_up) {
			uint64_t left = all - ((sends ? e->out : e->in) - from);
			bool was = e->nonblock;

			if (sends) {
				unsigned char buf[PIECE];
				ssize_t r;

				fill(buf, e->out_seed, e->out, (size_t)left);
				r = send(e->fd, buf, (size_t)left, MSG_DONTWAIT | MSG_NOSIGNAL);
				if (r < 0 && !is_again(errno))
					die("child's send: %s", strerror(errno));
				if (r > 0)
					e->out += (uint64_t)r;
			} else {
				unsigned char buf[PIECE];
				ssize_t r = recv(e->fd, buf, (size_t)left, MSG_DONTWAIT);

				if (r == 0 || (r < 0 && !is_again(errno)))
					die("child's recv: %s", r ? strerror(errno) : "end");
				if (r > 0) {
					verify(buf, e->in_seed, e->in, (size_t)r);
					e->in += (uint64_t)r;
				}
			}
			e->nonblock = was;
		}
		moved = (sends ? e->out : e->in) - from;
		if (write(p[1], &moved, sizeof(moved)) != sizeof(moved))
			_exit(3);
		_exit(0);
	}
	close(p[1]);
	while (read(p[0], &moved, sizeof(moved)) < 0 && errno == EINTR)
		;
	close(p[0]);
	if (wait_pid(pid, &status) != pid || status != 0)
		die("seed %llx: a child that %s ended with %x", (unsigned long long)e->plan.seed,
		    sends ? "sends" : "receives", status);
	if (sends)
		e->out += moved;
	else
		e->in += moved;
}

/* One that does nothing, and may live on a little. */
static void fork_idles(struct end *e, unsigned ms)
{
	int status;
	pid_t pid = fork(), inner;

	if (pid < 0)
		die("fork: %s", strerror(errno));
	atomic_fetch_add(&forks, 1);
	if (pid == 0) {
		if (below(&e->r, 2))
			close(e->fd);
		/* Its own child goes on, and it is not waited for. */
		inner = ms ? fork() : -1;
		if (inner == 0)
			usleep(ms * 1000);
		_exit(0);
	}
	if (wait_pid(pid, &status) != pid || status != 0)
		die("an idle child ended with %x", status);
}

static void spawn_true(void)
{
	char *argv[] = { (char *)(uintptr_t)"true", NULL };
	pid_t pid;
	int status, r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);

	if (r != 0)
		die("posix_spawn: %s", strerror(r));
	wait_pid(pid, &status);
}

static void odd(struct end *e)
{
	int fd;

	switch (below(&e->r, 40)) {
	case 0:
	case 1:
	case 2:
	case 3:
		fd = below(&e->r, 2) ? dup(e->fd) : fcntl(e->fd, F_DUPFD_CLOEXEC, 200);
		if (fd < 0)
			die("dup: %s", strerror(errno));
		close(e->fd);
		e->fd = fd;
		break;
	case 4:
	case 5:
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0 || dup3(e->fd, fd, O_CLOEXEC) != fd)
			die("dup3: %s", strerror(errno));
		close(e->fd);
		e->fd = fd;
		break;
	case 6:
	case 7:
		e->nonblock = !e->nonblock;
		if (fcntl(e->fd, F_SETFL, e->nonblock ? O_NONBLOCK : 0) < 0)
			die("F_SETFL: %s", strerror(errno));
		break;
	case 8:
		fork_helps(e, true);
		break;
	case 9:
		fork_helps(e, false);
		break;
	case 10:
		fork_idles(e, below(&e->r, 2) ? below(&e->r, 30) : 0);
		break;
	case 11:
		if (!below(&e->r, 4))
			spawn_true();
		break;
	default:
		break;
	}
}

static void expect_end(struct end *e)
{
	unsigned char c;
	ssize_t r;

	for (;;) {
		wait_for(e, POLLIN);
		r = recv(e->fd, &c, 1, 0);
		if (r == 0)
			return;
		if (r > 0 || !is_again(errno))
			die("seed %llx: no end: %zd %s", (unsigned long long)e->plan.seed, r,
			    strerror(errno));
	}
}

/* A step that took long: a lost wake-up that a later look repaired. */
static void slow(const struct end *e, double began, const char *what)
{
	double took = now() - began;

	if (took < slow_s)
		return;
	atomic_fetch_add(&slow_steps, 1);
	fprintf(stderr, "# %s: %s took %.1f s: seed %llx, out %llu of %llu, in %llu of %llu, end %u\n",
		role, what, took, (unsigned long long)e->plan.seed, (unsigned long long)e->out,
		(unsigned long long)e->out_all, (unsigned long long)e->in,
		(unsigned long long)e->in_all, e->plan.end);
}

static void run_end(struct end *e)
{
	double began;

	bool up = e->server, half = e->plan.end == END_HALF;

	e->out_all = up ? e->plan.down : e->plan.up;
	e->in_all = up ? e->plan.up : e->plan.down;
	e->out_seed = e->plan.seed * 2 + (up ? DOWN : UP);
	e->in_seed = e->plan.seed * 2 + (up ? UP : DOWN);
	while (e->out < e->out_all || e->in < e->in_all) {
		began = now();
		odd(e);
		slow(e, began, "an odd thing");
		began = now();
		if (e->out < e->out_all && (e->in == e->in_all || below(&e->r, 2))) {
			bool was = e->nonblock;

			/* Never blocked in a send while the other end may be. */
			if (!was && e->in < e->in_all) {
				fcntl(e->fd, F_SETFL, O_NONBLOCK);
				e->nonblock = true;
			}
			step_out(e, UINT64_MAX);
			if (!was && e->nonblock) {
				fcntl(e->fd, F_SETFL, 0);
				e->nonblock = false;
			}
		} else if (e->in < e->in_all) {
			step_in(e, UINT64_MAX);
		}
		slow(e, began, "a step");
		if (half && !e->server && e->out == e->out_all) {
			if (shutdown(e->fd, SHUT_WR) < 0)
				die("shutdown: %s", strerror(errno));
			half = false;
		}
	}
	/* The client ends it; the server sees that, and closes. */
	if (!e->server) {
		if (e->plan.end == END_SHUTDOWN_FIRST && shutdown(e->fd, SHUT_WR) < 0)
			die("shutdown: %s", strerror(errno));
		if (e->plan.end == END_CLOSE)
			goto out;
	}
	began = now();
	expect_end(e);
	slow(e, began, "the end");
	if (e->server && e->plan.end != END_CLOSE && below(&e->r, 2))
		shutdown(e->fd, SHUT_WR);
out:
	if (e->ep >= 0)
		close(e->ep);
	close(e->fd);
	atomic_fetch_add(&connections, 1);
}

static void move_all(int fd, void *buf, size_t n, bool in)
{
	for (size_t at = 0; at < n;) {
		ssize_t r = in ? recv(fd, (char *)buf + at, n - at, 0)
			       : send(fd, (char *)buf + at, n - at, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			die("header %s: %s", in ? "in" : "out", r ? strerror(errno) : "end");
		at += (size_t)r;
	}
}

static socklen_t where_len(void)
{
	return six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void *client_thread(void *arg)
{
	struct rng r = { *(uint64_t *)arg };

	while (now() < until) {
		struct end e = { .ep = -1, .r = { rnd(&r) } };
		int c;

		e.fd = socket(where.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (e.fd < 0)
			die("socket: %s", strerror(errno));
		do
			c = connect(e.fd, (struct sockaddr *)&where, where_len());
		while (c < 0 && errno == EINTR);
		if (c < 0 && errno != EISCONN)
			die("connect: %s", strerror(errno));
		e.plan = (struct plan){ 0x73746f726d, rnd(&r), below(&r, 4) ? below(&r, 3000) :
						below(&r, 600000), below(&r, 4) ?
						below(&r, 3000) : below(&r, 600000),
						below(&r, ENDS), 0 };
		move_all(e.fd, &e.plan, sizeof(e.plan), false);
		run_end(&e);
	}
	return NULL;
}

static int listen_fd;
static _Atomic bool stop;

static void *server_thread(void *arg)
{
	struct rng r = { *(uint64_t *)arg };

	while (!atomic_load(&stop)) {
		struct end e = { .ep = -1, .server = true, .r = { rnd(&r) } };
		struct pollfd p = { .fd = listen_fd, .events = POLLIN };

		if (poll(&p, 1, 50) <= 0)
			continue;
		e.fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (e.fd < 0 && (is_again(errno) || errno == ECONNABORTED))
			continue;
		if (e.fd < 0)
			die("accept: %s", strerror(errno));
		move_all(e.fd, &e.plan, sizeof(e.plan), true);
		if (e.plan.magic != 0x73746f726d)
			die("another header");
		run_end(&e);
	}
	return NULL;
}

/* Numbers come and go all the time. */
static void *churn_thread(void *arg)
{
	struct rng r = { *(uint64_t *)arg };
	int p[2];

	while (!atomic_load(&stop)) {
		if (pipe2(p, O_CLOEXEC) == 0) {
			if (below(&r, 2))
				usleep(200);
			close(p[0]);
			close(p[1]);
		}
		usleep(300);
	}
	return NULL;
}

static void on_alarm(int sig)
{
	static _Atomic unsigned n;
	struct sigaction a = { .sa_handler = on_alarm };

	(void)sig;
	/* By turns: a call is restarted, or ends with EINTR. */
	if (atomic_fetch_add(&n, 1) % 64 == 0) {
		a.sa_flags = atomic_load(&n) / 64 % 2 ? SA_RESTART : 0;
		sigaction(SIGALRM, &a, NULL);
	}
}

static void alarm_start(void)
{
	struct sigaction a = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval t = { { 0, 1000 }, { 0, 1000 } };

	if (!alarms)
		return;
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void run_threads(void *(*fn)(void *), struct rng *r)
{
	static uint64_t seeds[THREADS_MOST + 1];
	pthread_t t[THREADS_MOST + 1];

	for (unsigned i = 0; i <= threads; i++) {
		seeds[i] = rnd(r);
		if (pthread_create(&t[i], NULL, i == threads ? churn_thread : fn, &seeds[i]) != 0)
			die("pthread_create");
	}
	alarm_start();
	for (unsigned i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	atomic_store(&stop, true);
	pthread_join(t[threads], NULL);
}

static void on_term(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

static void where_make(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	where = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	if (!six)
		memcpy(&where, &v4, sizeof(v4));
}

int main(int argc, char **argv)
{
	uint64_t seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
	double seconds = 5;
	socklen_t len = sizeof(where);
	int ready[2], status = 0;
	struct rng r;
	pid_t pid;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--alarm") == 0)
			alarms = true;
		else if (strcmp(argv[i], "--six") == 0)
			six = true;
		else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[++i], NULL, 0);
		else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
			seconds = strtod(argv[++i], NULL);
		else if (i + 1 < argc && strcmp(argv[i], "--threads") == 0)
			threads = (unsigned)strtoul(argv[++i], NULL, 0);
		else
			return 2;
	}
	if (threads == 0 || threads > THREADS_MOST)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IONBF, 0);
	r.s = seed;
	/* Nothing hangs for ever: both processes end with the test. */
	if (pipe(ready) < 0)
		return 2;
	pid = fork();
	if (pid == 0) {
		role = "server";
		close(ready[0]);
		signal(SIGTERM, on_term);
		where_make();
		listen_fd = socket(where.sin6_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&where, where_len()) < 0 ||
		    listen(listen_fd, 128) < 0 ||
		    getsockname(listen_fd, (struct sockaddr *)&where, &len) < 0)
			die("listen: %s", strerror(errno));
		if (write(ready[1], &where, sizeof(where)) != sizeof(where))
			return 2;
		close(ready[1]);
		run_threads(server_thread, &r);
		return 0;
	}
	close(ready[1]);
	if (read(ready[0], &where, sizeof(where)) != sizeof(where))
		return 2;
	close(ready[0]);
	r.s ^= 0x5555555555555555ull;
	until = now() + seconds;
	run_threads(client_thread, &r);
	kill(pid, SIGTERM);
	wait_pid(pid, &status);
	printf("# seed %llu: %lu connections, %lu bytes, %lu forks\n", (unsigned long long)seed,
	       connections, bytes, forks);
	return status == 0 && slow_steps == 0 ? 0 : 1;
}
