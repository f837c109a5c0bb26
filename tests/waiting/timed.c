/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timed.c - SO_LINGER, TCP_USER_TIMEOUT, TCP_DEFER_ACCEPT: options that wait for the
 * other side.
 */
#include <netinet/tcp.h>

#include "waiting.h"

#define LONG_S 15 /* a wait that somebody else is to end */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Nobody waited for so long. */
static const char *soon(double since)
{
	return now() - since < LONG_S / 3.0 ? "soon" : "late";
}

static void linger_for(int fd, int seconds)
{
	struct linger l = { .l_onoff = 1, .l_linger = seconds };

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
}

/* A connection whose reader has not read what was sent. */
static void full_pair(int *a, int *b, int seconds)
{
	pair(a, b);
	linger_for(*a, seconds);
	fill(*a);
}

static void say_rest(int fd)
{
	char byte;
	size_t n = 0, k;

	for (int i = 0; i < 400 && (n == 0 || recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0); i++) {
		k = drop(fd);
		n += k;
		if (k == 0)
			nap(5);
	}
	said(n > 1000000 ? "much, then" : "little, then", recv(fd, &byte, 1, 0));
}

static _Atomic int begun;

static void *reads_late(void *arg)
{
	int fd = *(int *)arg;
	char buf[65536];

	nap(150);
	begun = 1;
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	return NULL;
}

static void *closes_late(void *arg)
{
	nap(150);
	begun = 1;
	close(*(int *)arg);
	return NULL;
}

static void linger_waits(void)
{
	int a, b;
	pthread_t t;
	double since;

	for (int i = 0; i < 2; i++) {
		begun = 0;
		full_pair(&a, &b, LONG_S);
		if (i)
			unblock(a);
		t = started(reads_late, &b);
		since = now();
		said("close", close(a));
		say("the reader has begun: %d, %s", begun, soon(since));
		ended("reader", t);
		close(b);
	}
	begun = 0;
	full_pair(&a, &b, LONG_S);
	t = started(closes_late, &b);
	since = now();
	said("close", close(a));
	say("the peer has closed: %d, %s", begun, soon(since));
	ended("closer", t);
}

static void linger_does_not_wait(void)
{
	double t;
	int a, b;
	pid_t child;

	pair(&a, &b);
	linger_for(a, LONG_S);
	put(a, "little");
	t = now();
	said("close, all delivered", close(a));
	say("%s", soon(t));
	pair(&a, &b);
	linger_for(a, LONG_S);
	put(b, "unread");
	fill(a);
	t = now();
	said("close, something unread", close(a));
	say("%s", soon(t));
	full_pair(&a, &b, LONG_S);
	t = now();
	said("shutdown", shutdown(a, SHUT_WR));
	said("close of a duplicate", close(dup(a)));
	say("%s", soon(t));
	close(b);
	child = fork();
	if (child == 0) {
		full_pair(&a, &b, LONG_S);
		_exit(0);
	}
	t = now();
	MUST(waitpid(child, NULL, 0) == child);
	say("exit: %s", soon(t));
}

static void linger_ends(void)
{
	double t;
	int a, b, d;

	full_pair(&a, &b, 1);
	t = now();
	said("close", close(a));
	say("waited: %d", now() - t > 0.5);
	say_rest(b);
	full_pair(&a, &b, 1);
	d = dup(a);
	close(a);
	t = now();
	said("dup2", dup2(STDERR_FILENO, d) >= 0);
	say("waited: %d", now() - t > 0.5);
	say_rest(b);
}

static pthread_t waits;

static void *sends_signal(void *arg)
{
	(void)arg;
	nap(150);
	pthread_kill(waits, SIGUSR1);
	return NULL;
}

static void handler(int sig)
{
	(void)sig;
	begun++;
}

static void linger_interrupted(void)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART };
	int a, b;
	pthread_t t;
	double since;

	MUST(sigaction(SIGUSR1, &act, NULL) == 0);
	full_pair(&a, &b, LONG_S);
	waits = pthread_self();
	t = started(sends_signal, NULL);
	since = now();
	said("close", close(a));
	say("%s, handlers: %d", soon(since), begun);
	ended("sender", t);
	said("closed", fcntl(a, F_GETFD));
	say_rest(b);
}

/* Of two processes that have it, the one that closes it last waits. */
static void linger_forked(void)
{
	double t;
	int a, b, go[2];
	pid_t child;

	MUST(pipe(go) == 0);
	full_pair(&a, &b, 1);
	child = fork();
	if (child == 0) {
		close(b);
		MUST(read(go[0], &(char){ 0 }, 1) == 1);
		t = now();
		close(a);
		say("child waited: %d", now() - t > 0.5);
		_exit(0);
	}
	t = now();
	close(a);
	say("parent waited: %d", now() - t > 0.5);
	MUST(write(go[1], "x", 1) == 1);
	MUST(waitpid(child, NULL, 0) == child);
	say_rest(b);
}

/* ------------------------------------------------------------ user timeout */

static void timeout_for(int fd, int ms)
{
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)) == 0);
}

static void say_after(int a, int b)
{
	struct pollfd p = { .fd = a, .events = POLLIN | POLLOUT | POLLRDHUP };
	char buf[65536];
	ssize_t n;

	said("send", send(a, "x", 1, MSG_NOSIGNAL));
	said("send", send(a, "x", 1, MSG_NOSIGNAL));
	said("recv", recv(a, buf, 1, 0));
	MUST(poll(&p, 1, 0) == 1);
	say("%s", bits((uint32_t)p.revents));
	do
		n = recv(b, buf, sizeof(buf), 0);
	while (n > 0);
	said("the peer", n);
}

static void user_timeout_polled(void)
{
	struct pollfd p = { .events = POLLOUT };
	int a, b, ep = set_make();

	pair(&a, &b);
	timeout_for(a, 200);
	fill(a);
	p.fd = a;
	said("poll", poll(&p, 1, -1));
	say("%s", bits((uint32_t)p.revents));
	say_after(a, b);
	pair(&a, &b);
	timeout_for(a, 200);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLET, 1) == 0);
	fill(a);
	set_say("set", ep, -1);
	set_say("set", ep, 50);
	close(a);
	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 2) == 0);
	timeout_for(a, 200);
	fill(a);
	set_say("set", ep, -1);
	said("error", getsockopt(a, SOL_SOCKET, SO_ERROR, &(int){ 0 }, &(socklen_t){ sizeof(int) }));
}

static void *fills(void *arg)
{
	fill(*(int *)arg);
	return NULL;
}

static void user_timeout_blocked(void)
{
	char byte;
	int a, b, ep = set_make();
	pthread_t t;

	pair(&a, &b);
	timeout_for(a, 200);
	fill(a);
	said("send", send(a, "x", 1, MSG_NOSIGNAL));
	say_after(a, b);
	pair(&a, &b);
	timeout_for(a, 200);
	fill(a);
	said("recv", recv(a, &byte, 1, 0));
	/* It sleeps before there is anything to wait for. */
	pair(&a, &b);
	timeout_for(a, 200);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
	t = started(fills, &a);
	set_say("set", ep, -1);
	ended("filler", t);
}

/* Who reads, if slowly, is waited for. */
static void user_timeout_reader(void)
{
	static char buf[65536];
	struct pollfd p = { .events = POLLIN };
	int a, b;

	pair(&a, &b);
	timeout_for(a, 400);
	fill(a);
	for (int i = 0; i < 12; i++) {
		nap(100);
		MUST(recv(b, buf, sizeof(buf), 0) > 0);
		fill(a);
	}
	p.fd = a;
	said("poll", poll(&p, 1, 0));
	nap(30);
	drop(b);
	said("send", send(a, "x", 1, MSG_NOSIGNAL));
	/* All is read: nothing is waited for. */
	nap(30);
	drop(b);
	said("poll", poll(&p, 1, 900));
	timeout_for(a, 0);
	fill(a);
	said("poll, no timeout", poll(&p, 1, 900));
}

/* ------------------------------------------------------------ defer accept */

static struct sockaddr_in deferred_at;

static int deferred(int seconds)
{
	int l;

	listen_at(&l, &deferred_at);
	MUST(setsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) == 0);
	return l;
}

static int readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms);
}

static void say_accept(const char *what, int l)
{
	char buf[16];
	int fl = fcntl(l, F_GETFL), s, e;

	MUST(fcntl(l, F_SETFL, fl | O_NONBLOCK) == 0);
	s = accept(l, NULL, NULL);
	e = errno;
	MUST(fcntl(l, F_SETFL, fl) == 0);
	errno = e;
	said(what, s < 0 ? -1 : recv(s, buf, sizeof(buf), MSG_DONTWAIT));
	if (s >= 0)
		close(s);
}

static void deferred_until_data(void)
{
	int l = deferred(30), ep = set_make(), silent, a, b;
	pid_t child;

	MUST(set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN, 1) == 0);
	silent = client(&deferred_at);
	said("silent", readable(l, 100));
	set_say("silent", ep, 0);
	say_accept("silent", l);
	a = client(&deferred_at);
	put(a, "data");
	said("with data", readable(l, -1));
	set_say("with data", ep, 0);
	say_accept("with data", l);
	a = client(&deferred_at);
	shutdown(a, SHUT_WR);
	said("shut", readable(l, -1));
	say_accept("shut", l);
	close(client(&deferred_at));
	said("closed", readable(l, -1));
	say_accept("closed", l);
	child = fork();
	if (child == 0) {
		client(&deferred_at);
		for (;;)
			pause();
	}
	nap(100);
	said("silent still", readable(l, 0));
	kill(child, SIGKILL);
	MUST(waitpid(child, NULL, 0) == child);
	said("killed", readable(l, -1));
	say_accept("killed", l);
	/* The first to come is not the first to be accepted. */
	b = client(&deferred_at);
	put(b, "2");
	MUST(readable(l, -1) == 1);
	say_accept("second", l);
	put(silent, "first");
	MUST(readable(l, -1) == 1);
	say_accept("first", l);
	say_accept("none", l);
}

static void deferred_until_late(void)
{
	int l = deferred(1), ep = set_make(), a, s, v = 0;
	socklen_t len = sizeof(v);
	char buf[8];

	MUST(getsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &v, &len) == 0);
	say("seconds %d", v);
	a = client(&deferred_at);
	said("silent", readable(l, 200));
	said("silent, later", readable(l, -1));
	s = accept(l, NULL, NULL);
	said("recv", recv(s, buf, 1, MSG_DONTWAIT));
	put(a, "x");
	said("recv", recv(s, buf, 1, 0));
	MUST(set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLET, 1) == 0);
	client(&deferred_at);
	set_say("set", ep, 200);
	set_say("set, later", ep, -1);
	say_accept("accept", l);
	client(&deferred_at);
	said("blocking accept", accept(l, NULL, NULL) >= 0);
	v = 0;
	MUST(setsockopt(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, &v, sizeof(v)) == 0);
	client(&deferred_at);
	said("none", readable(l, -1));
}

/* The listener is several processes'; another than its maker accepts. */
static void deferred_shared(void)
{
	int l = deferred(30), a, go[2];
	char buf[8];
	pid_t child;

	MUST(pipe(go) == 0);
	client(&deferred_at); /* silent */
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 2; i++) {
			int s = accept(l, NULL, NULL);

			MUST(write(go[1], "x", 1) == 1);
			said("child reads", recv(s, buf, sizeof(buf), 0));
			said("child sends", send(s, "answer", 6, 0));
			close(s);
		}
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		a = client(&deferred_at);
		said("accepted", readable(go[0], 100));
		put(a, "x");
		MUST(read(go[0], buf, 1) == 1);
		said("answer", recv(a, buf, sizeof(buf), MSG_WAITALL));
		close(a);
	}
	MUST(waitpid(child, NULL, 0) == child);
	said("silent", readable(l, 0));
}

const struct test timed_tests[] = {
	{ "linger_waits", linger_waits },
	{ "linger_does_not_wait", linger_does_not_wait },
	{ "linger_ends", linger_ends },
	{ "linger_interrupted", linger_interrupted },
	{ "linger_forked", linger_forked },
	{ "user_timeout_polled", user_timeout_polled },
	{ "user_timeout_blocked", user_timeout_blocked },
	{ "user_timeout_reader", user_timeout_reader },
	{ "deferred_until_data", deferred_until_data },
	{ "deferred_until_late", deferred_until_late },
	{ "deferred_shared", deferred_shared },
	{ NULL, NULL },
};
