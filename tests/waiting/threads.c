/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads.c - Several threads on one socket; what one of them does to it
 * while another sleeps in a call on it.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "waiting.h"

/** struct call - A call that sleeps, made by a thread of its own. */
struct call {
	const char *name;
	long (*make)(struct call *c);
	int fd, peer, ep;
	_Atomic int over;
	long r;
	int error;
	uint32_t got;
};

static char big[1 << 20];

static long call_recv1(struct call *c)
{
	char buf[64];

	return recv(c->fd, buf, sizeof(buf), 0);
}

static long call_send1(struct call *c)
{
	return send(c->fd, big, sizeof(big), MSG_NOSIGNAL);
}

static long call_accept1(struct call *c)
{
	int fd = accept(c->fd, NULL, NULL);

	return fd < 0 ? fd : 0;
}

static long call_poll1(struct call *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLRDHUP };
	int r = poll(&p, 1, 1500);

	c->got = (uint16_t)p.revents;
	return r;
}

static long call_select1(struct call *c)
{
	struct timeval tv = { 1, 500000 };
	fd_set in;
	int r;

	FD_ZERO(&in);
	FD_SET(c->fd, &in);
	r = select(c->fd + 1, &in, NULL, NULL, &tv);
	c->got = r > 0 && FD_ISSET(c->fd, &in) ? POLLIN : 0;
	return r;
}

static long call_set1(struct call *c)
{
	struct epoll_event ev = { 0 };
	int r = epoll_wait(c->ep, &ev, 1, 1500);

	c->got = r > 0 ? ev.events : 0;
	return r;
}

static void *make_call(void *arg)
{
	struct call *c = arg;

	errno = 0;
	c->r = c->make(c);
	c->error = errno;
	atomic_store(&c->over, 1);
	return NULL;
}

static void call_say(const char *what, struct call *c)
{
	if (c->r < 0)
		say("%s, %s: %s", c->name, what, strerrorname_np(c->error));
	else
		say("%s, %s: %ld %s", c->name, what, c->make == call_send1 ? 1 : c->r,
		    bits(c->got));
}

static void after(struct call *c, pthread_t t, const char *what)
{
	for (int i = 0; i < 40 && !atomic_load(&c->over); i++)
		nap(5);
	say("%s, %s: %s", c->name, what, atomic_load(&c->over) ? "woken" : "sleeps");
	if (atomic_load(&c->over)) {
		ended(what, t);
		call_say(what, c);
	}
}

static const struct call on_stream[] = { { .name = "recv", .make = call_recv1 },
					 { .name = "send", .make = call_send1 },
					 { .name = "poll", .make = call_poll1 },
					 { .name = "select", .make = call_select1 },
					 { .name = "epoll_wait", .make = call_set1 } };
static const struct call on_listener[] = { { .name = "accept", .make = call_accept1 },
					   { .name = "poll", .make = call_poll1 },
					   { .name = "epoll_wait", .make = call_set1 } };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static pthread_t sleeping(struct call *c)
{
	pthread_t t;

	if (c->make == call_send1)
		fill(c->fd);
	c->ep = set_make();
	MUST(set_ctl(c->ep, EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLRDHUP, 1) == 0);
	t = started(make_call, c);
	nap(60);
	return t;
}

/* The sleeper keeps the socket that it began with; the number is free. */
static void close_under(void)
{
	for (unsigned i = 0; i < COUNT(on_stream); i++) {
		struct call c = on_stream[i];
		pthread_t t;
		char byte;

		pair(&c.fd, &c.peer);
		t = sleeping(&c);
		said("close", close(c.fd));
		after(&c, t, "close");
		if (atomic_load(&c.over))
			continue;
		/* Its peer sees no end yet, and wakes it. */
		if (c.make != call_send1) {
			said("peer", recv(c.peer, &byte, 1, MSG_DONTWAIT));
			said("peer's send", send(c.peer, "x", 1, MSG_NOSIGNAL));
		} else {
			for (int n = 0; n < 200 && !atomic_load(&c.over); n++) {
				drop(c.peer);
				nap(5);
			}
		}
		ended("peer", t);
		call_say("peer", &c);
		nap(5);
		while (drop(c.peer))
			nap(5);
		if (c.make == call_send1)
			said("peer's end", recv(c.peer, &byte, 1, MSG_DONTWAIT));
	}
}

static void close_under_accept(void)
{
	for (unsigned i = 0; i < COUNT(on_listener); i++) {
		struct call c = on_listener[i];
		struct sockaddr_in at;
		pthread_t t;
		int s;

		listen_at(&c.fd, &at);
		t = sleeping(&c);
		said("close", close(c.fd));
		after(&c, t, "close");
		if (atomic_load(&c.over))
			continue;
		/* It listens as long as somebody sleeps in accept(). */
		s = socket(AF_INET, SOCK_STREAM, 0);
		said("connect", connect(s, (struct sockaddr *)&at, sizeof(at)));
		ended("connect", t);
		call_say("connect", &c);
		close(s);
	}
}

static void dup2_over(void)
{
	for (unsigned i = 0; i < COUNT(on_stream); i++) {
		struct call c = on_stream[i];
		int a, b;
		char byte;
		pthread_t t;

		pair(&c.fd, &c.peer);
		pair(&a, &b);
		t = sleeping(&c);
		say("dup2: %d", dup2(a, c.fd) == c.fd);
		after(&c, t, "dup2");
		/* Data for the new one does not concern the sleeper. */
		put(b, "new");
		after(&c, t, "new data");
		if (!atomic_load(&c.over)) {
			if (c.make != call_send1)
				put(c.peer, "old");
			for (int n = 0; n < 200 && !atomic_load(&c.over); n++) {
				if (c.make == call_send1)
					drop(c.peer);
				nap(5);
			}
			ended("old data", t);
			call_say("old data", &c);
		}
		said("the new one", recv(c.fd, &byte, 1, MSG_DONTWAIT));
	}
}

static void shutdown_under(void)
{
	static const int hows[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };

	for (unsigned i = 0; i < COUNT(on_stream); i++)
		for (unsigned h = 0; h < COUNT(hows); h++) {
			struct call c = on_stream[i];
			pthread_t t;
			char what[32];

			pair(&c.fd, &c.peer);
			t = sleeping(&c);
			snprintf(what, sizeof(what), "shutdown %d", hows[h]);
			said(what, shutdown(c.fd, hows[h]));
			after(&c, t, what);
			if (!atomic_load(&c.over)) {
				if (c.make == call_send1) {
					for (int n = 0; n < 200 && !atomic_load(&c.over); n++) {
						drop(c.peer);
						nap(5);
					}
				} else {
					put(c.peer, "x");
				}
				ended(what, t);
				call_say("later", &c);
			}
			close(c.fd);
			close(c.peer);
			close(c.ep);
		}
}

static void shutdown_under_accept(void)
{
	static const int hows[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };

	for (unsigned i = 0; i < COUNT(on_listener); i++)
		for (unsigned h = 0; h < COUNT(hows); h++) {
			struct call c = on_listener[i];
			struct sockaddr_in at;
			pthread_t t;
			char what[32];

			listen_at(&c.fd, &at);
			t = sleeping(&c);
			snprintf(what, sizeof(what), "shutdown %d", hows[h]);
			said(what, shutdown(c.fd, hows[h]));
			after(&c, t, what);
			if (!atomic_load(&c.over)) {
				close(client(&at));
				ended(what, t);
				call_say("later", &c);
			}
			close(c.fd);
			close(c.ep);
		}
}

/* ------------------------------------------------------- several at once */

#define WORKERS 4
#define ROUNDS 20000

static _Atomic long sum_in, sum_out;
static int shared_fd;

static void *read_some(void *arg)
{
	unsigned char buf[100];
	ssize_t n;

	(void)arg;
	while ((n = recv(shared_fd, buf, sizeof(buf), 0)) > 0) {
		long sum = 0;

		for (ssize_t i = 0; i < n; i++)
			sum += buf[i];
		atomic_fetch_add(&sum_in, sum);
	}
	return (void *)(intptr_t)n;
}

static void *write_some(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < ROUNDS / WORKERS; i++) {
		unsigned char buf[37];

		memset(buf, i & 0x7f, sizeof(buf));
		MUST(send(fd, buf, sizeof(buf), MSG_NOSIGNAL) == sizeof(buf));
		atomic_fetch_add(&sum_out, (long)sizeof(buf) * (i & 0x7f));
	}
	return NULL;
}

/* What several write and several read comes in whole, and the end to all. */
static void many_readers_writers(void)
{
	pthread_t readers[WORKERS], writers[WORKERS];
	int a, b;

	pair(&a, &b);
	shared_fd = a;
	for (int i = 0; i < WORKERS; i++)
		readers[i] = started(read_some, NULL);
	for (int i = 0; i < WORKERS; i++)
		writers[i] = started(write_some, &b);
	for (int i = 0; i < WORKERS; i++)
		ended("writer", writers[i]);
	shutdown(b, SHUT_WR);
	for (int i = 0; i < WORKERS; i++)
		say("reader: %ld", (long)(intptr_t)ended("reader", readers[i]));
	say("sums agree: %d", atomic_load(&sum_in) == atomic_load(&sum_out));
}

static _Atomic int accepted;

static void *accept_some(void *arg)
{
	int l = *(int *)arg, fd;

	while ((fd = accept(l, NULL, NULL)) >= 0) {
		char byte = 0;

		atomic_fetch_add(&accepted, 1);
		MUST(recv(fd, &byte, 1, 0) == 1);
		close(fd);
		if (byte == 'q')
			break;
	}
	return NULL;
}

static void many_acceptors(void)
{
	pthread_t t[WORKERS];
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int l;

	/* Room for all: what is beyond a full queue is taken in another order. */
	at = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	l = socket(AF_INET, SOCK_STREAM, 0);
	MUST(bind(l, (struct sockaddr *)&at, len) == 0 && listen(l, 256) == 0);
	MUST(getsockname(l, (struct sockaddr *)&at, &len) == 0);
	for (int i = 0; i < WORKERS; i++)
		t[i] = started(accept_some, &l);
	for (int i = 0; i < 200; i++) {
		int c = client(&at);

		put(c, "a");
		close(c);
	}
	for (int i = 0; i < WORKERS; i++) {
		int c = client(&at);

		put(c, "q");
		close(c);
	}
	for (int i = 0; i < WORKERS; i++)
		ended("acceptor", t[i]);
	say("accepted: %d", atomic_load(&accepted));
}

static int contested;
static pthread_barrier_t gate;

static void *close_it(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&gate);
	return (void *)(intptr_t)(close(contested) == 0);
}

/* Of several that close one number, one succeeds; the peer sees one end. */
static void many_closers(void)
{
	int wins = 0, ends = 0;

	pthread_barrier_init(&gate, NULL, WORKERS);
	for (int round = 0; round < 100; round++) {
		pthread_t t[WORKERS];
		int peer;
		char byte;

		pair(&contested, &peer);
		for (int i = 0; i < WORKERS; i++)
			t[i] = started(close_it, NULL);
		for (int i = 0; i < WORKERS; i++)
			wins += (int)(intptr_t)ended("closer", t[i]);
		ends += recv(peer, &byte, 1, 0) == 0;
		close(peer);
	}
	say("closed: %d, ends: %d", wins, ends);
}

struct counted {
	int ep, woken;
};

static void *wait_and_take(void *arg)
{
	struct counted *c = arg;
	struct epoll_event ev;
	char byte;

	while (epoll_wait(c->ep, &ev, 1, 3000) == 1) {
		ssize_t n = recv(ev.data.fd, &byte, 1, MSG_DONTWAIT);

		if (n == 0 || (n == 1 && byte == 'q'))
			break;
		c->woken += n == 1;
		if (n == 1 && set_ctl(c->ep, EPOLL_CTL_MOD, ev.data.fd, EPOLLIN | EPOLLONESHOT,
				      (uint64_t)ev.data.fd) < 0)
			break;
	}
	return NULL;
}

/* Threads in one set, one-shot: each byte is taken once. */
static void many_in_one_set(void)
{
	struct counted c[WORKERS];
	int ep = set_make(), a[8], b[8], total = 0;
	pthread_t t[WORKERS];

	for (int i = 0; i < 8; i++) {
		pair(&a[i], &b[i]);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, a[i], EPOLLIN | EPOLLONESHOT, (uint64_t)a[i]) == 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		c[i] = (struct counted){ .ep = ep };
		t[i] = started(wait_and_take, &c[i]);
	}
	for (int i = 0; i < 4000; i++)
		put(b[i % 8], "x");
	nap(300);
	for (int i = 0; i < 8; i++)
		shutdown(b[i], SHUT_WR);
	for (int i = 0; i < WORKERS; i++) {
		ended("taker", t[i]);
		total += c[i].woken;
	}
	for (int i = 0; i < 8; i++)
		total += (int)drop(a[i]);
	say("taken: %d", total);
}

/* As on a kernel that lacks futex_waitv(): sleeps are sleeps. */
static void forbid_waitv(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449 /* futex_waitv */, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = COUNT(filter), .filter = filter };

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void without_waitv(void)
{
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct call c = { .name = "recv", .make = call_recv1 };
	pthread_t t;
	double began;

	forbid_waitv();
	pair(&c.fd, &c.peer);
	t = sleeping(&c);
	began = cpu_s();
	nap(500);
	say("asleep: %d", cpu_s() - began < 0.1);
	put(c.peer, "x");
	ended("recv", t);
	call_say("data", &c);
	/* A handler with SA_RESTART ends nothing, one without does. */
	sigaction(SIGUSR1, &act, NULL);
	atomic_store(&c.over, 0);
	t = sleeping(&c);
	pthread_kill(t, SIGUSR1);
	after(&c, t, "restart");
	act.sa_flags = 0;
	sigaction(SIGUSR1, &act, NULL);
	pthread_kill(t, SIGUSR1);
	after(&c, t, "interrupt");
	/* Our own side ends the sleep, too. */
	atomic_store(&c.over, 0);
	t = sleeping(&c);
	shutdown(c.fd, SHUT_RD);
	after(&c, t, "shutdown");
	close(c.fd);
	close(c.peer);
	pair(&c.fd, &c.peer);
	c = (struct call){ .name = "send", .make = call_send1, .fd = c.fd, .peer = c.peer };
	t = sleeping(&c);
	began = cpu_s();
	nap(300);
	say("asleep: %d", cpu_s() - began < 0.1);
	for (int n = 0; n < 200 && !atomic_load(&c.over); n++) {
		drop(c.peer);
		nap(5);
	}
	ended("send", t);
	call_say("room", &c);
}

const struct test thread_tests[] = {
	{ "without_waitv", without_waitv },
	{ "close_under", close_under },
	{ "close_under_accept", close_under_accept },
	{ "dup2_over", dup2_over },
	{ "shutdown_under", shutdown_under },
	{ "shutdown_under_accept", shutdown_under_accept },
	{ "many_readers_writers", many_readers_writers },
	{ "many_acceptors", many_acceptors },
	{ "many_closers", many_closers },
	{ "many_in_one_set", many_in_one_set },
	{ NULL, NULL },
};
