/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sets.c - One epoll set: its entries, its edges, its rules.
 */
#include <sys/resource.h>
#include <sys/syscall.h>

#include "waiting.h"

/* The number is another socket's now; the entry went with the old one. */
static void number_reused(void)
{
	int ep = set_make(), a, b, c, d, old;

	pair(&a, &b);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	old = a;
	close(a);
	pair(&c, &d);
	say("same number: %d", c == old);
	put(d, "x");
	set_say("nothing", ep, 20);
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, old, EPOLLIN, 2));
	said("del", set_ctl(ep, EPOLL_CTL_DEL, old, 0, 0));
	said("add", set_ctl(ep, EPOLL_CTL_ADD, old, EPOLLIN, 3));
	set_say("its own", ep, 1000);
	/* dup2 over it is a close too. */
	pair(&a, &b);
	say("dup2: %d", dup2(a, old) == old);
	send(d, "y", 1, MSG_NOSIGNAL);
	set_say("over", ep, 20);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, old, EPOLLIN, 4));
	put(b, "z");
	set_say("again", ep, 1000);
}

/* An entry is {number, file}: it lives while any duplicate does. */
static void dup_and_close(void)
{
	int ep = set_make(), a, b, other, third;

	pair(&a, &b);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	other = dup(a);
	said("add the other", set_ctl(ep, EPOLL_CTL_ADD, other, EPOLLIN, 2));
	put(b, "x");
	set_say("both", ep, 1000);
	close(a);
	set_say("both still", ep, 1000);
	said("mod the closed one", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN, 9));
	said("del the closed one", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
	/* The same file under the same number again: the same entry. */
	third = fcntl(other, F_DUPFD, a);
	say("again the number: %d", third == a);
	said("add again", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 3));
	said("mod again", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN, 4));
	set_say("changed", ep, 1000);
	said("del again", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
	set_say("one", ep, 1000);
	close(a);
	close(other);
	set_say("none", ep, 20);
}

static void set_dup(void)
{
	int ep = set_make(), twin = dup(ep), a, b;

	pair(&a, &b);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLET, 1));
	said("there", set_ctl(twin, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	put(b, "x");
	set_say("one", twin, 1000);
	set_say("edge taken", ep, 20);
	close(ep);
	put(b, "y");
	set_say("twin", twin, 1000);
	said("closed", epoll_wait(ep, (struct epoll_event[1]){ 0 }, 1, 0));
	said("mod", set_ctl(twin, EPOLL_CTL_MOD, a, EPOLLIN, 2));
	set_say("level", twin, 1000);
}

static void one_shot(void)
{
	int ep = set_make(), a, b;

	pair(&a, &b);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLONESHOT, 1));
	put(b, "x");
	set_say("first", ep, 1000);
	set_say("spent", ep, 20);
	put(b, "y");
	set_say("spent still", ep, 20);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("arm", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLONESHOT, 2));
	set_say("what is there", ep, 1000);
	drop(a);
	said("arm", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLONESHOT, 3));
	set_say("nothing", ep, 20);
	put(b, "z");
	set_say("new", ep, 1000);
	drop(a);
	said("arm for out", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLOUT | EPOLLONESHOT | EPOLLET, 4));
	set_say("out", ep, 1000);
	set_say("spent", ep, 20);
	/* Not even an end is told. */
	close(b);
	nap(5);
	set_say("end", ep, 20);
	said("arm", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, 5));
	set_say("end", ep, 1000);
	said("no bits", set_ctl(ep, EPOLL_CTL_MOD, a, 0, 6));
	set_say("no bits", ep, 20);
}

static void edge_partial(void)
{
	int ep = set_make(), a, b;
	char buf[4];

	pair(&a, &b);
	unblock(a);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLRDHUP | EPOLLET, 1));
	set_say("nothing", ep, 20);
	put(b, "abcdefgh");
	set_say("edge", ep, 1000);
	said("read", read(a, buf, 2));
	set_say("no edge by a read", ep, 20);
	put(b, "ij");
	set_say("edge by more", ep, 1000);
	said("read", read(a, buf, 4));
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLET, 2));
	set_say("edge by mod", ep, 1000);
	set_say("once", ep, 20);
	say("rest: %zu", drop(a));
	set_say("empty", ep, 20);
	put(b, "k");
	put(b, "l");
	set_say("two sends, one edge", ep, 1000);
	set_say("one edge", ep, 20);
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLRDHUP | EPOLLET, 3));
	set_say("by mod", ep, 1000);
	shutdown(b, SHUT_WR);
	nap(5);
	set_say("end", ep, 1000);
	set_say("end once", ep, 20);
	say("rest: %zu", drop(a));
	set_say("quiet", ep, 20);
	said("read", read(a, buf, 4));
	close(b);
}

static void edge_out(void)
{
	int ep = set_make(), a, b;

	pair(&a, &b);
	unblock(a);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLOUT | EPOLLET, 1));
	set_say("room", ep, 1000);
	set_say("once", ep, 20);
	put(a, "x");
	set_say("a send is none", ep, 20);
	drop(b);
	nap(5);
	set_say("nor is a read of the peer", ep, 20);
	fill(a);
	set_say("full", ep, 20);
	while (drop(b))
		nap(5);
	set_say("room again", ep, 1000);
	set_say("once", ep, 20);
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLOUT | EPOLLET, 2));
	set_say("by mod", ep, 1000);
	put(b, "y");
	set_say("data tells of both", ep, 1000);
	fill(a);
	put(b, "y");
	set_say("data alone", ep, 1000);
	while (drop(b))
		nap(5);
	set_say("both", ep, 1000);
}

static void ctl_errors(void)
{
	int ep = set_make(), a, b, pipes[2], file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN };
	volatile int minus = -1, huge = INT32_MAX; /* not for the compiler to see */

	pair(&a, &b);
	MUST(pipe2(pipes, O_CLOEXEC) == 0);
	said("create -1", epoll_create1(-1));
	said("create 0", epoll_create(0));
	said("file", set_ctl(ep, EPOLL_CTL_ADD, file, EPOLLIN, 1));
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("add twice", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("mod unknown", set_ctl(ep, EPOLL_CTL_MOD, b, EPOLLIN, 1));
	said("del unknown", set_ctl(ep, EPOLL_CTL_DEL, b, EPOLLIN, 1));
	said("del without event", epoll_ctl(ep, EPOLL_CTL_DEL, a, NULL));
	said("add bad fd", set_ctl(ep, EPOLL_CTL_ADD, 999, EPOLLIN, 1));
	said("add -1", set_ctl(ep, EPOLL_CTL_ADD, -1, EPOLLIN, 1));
	said("to bad set", set_ctl(999, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("to socket", set_ctl(b, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("to pipe", set_ctl(pipes[0], EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("file to socket", set_ctl(b, EPOLL_CTL_ADD, file, EPOLLIN, 1));
	said("pipe to socket", set_ctl(b, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 1));
	said("itself", set_ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 1));
	said("socket to itself", set_ctl(a, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("bad op", epoll_ctl(ep, 77, a, &ev));
	said("bad op, unknown", epoll_ctl(ep, 77, b, &ev));
	said("bad op 0", epoll_ctl(ep, 0, a, &ev));
	said("max 0", epoll_wait(ep, &ev, 0, 0));
	said("max -1", epoll_wait(ep, &ev, minus, 0));
	said("max huge", epoll_wait(ep, &ev, huge, 0));
	said("wait on socket", epoll_wait(a, &ev, 1, 0));
	said("wait on pipe", epoll_wait(pipes[0], &ev, 1, 0));
	said("wait on nothing", epoll_wait(999, &ev, 1, 0));
	said("read a set", read(ep, &ev, sizeof(ev)));
	said("write a set", write(ep, &ev, sizeof(ev)));
	said("timeout", epoll_pwait2(ep, &ev, 1, &(struct timespec){ 0, 1000000000 }, NULL));
	said("timeout", epoll_pwait2(ep, &ev, 1, &(struct timespec){ -1, 0 }, NULL));
}

static void exclusive_rules(void)
{
	static const uint32_t with[] = { 0, EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLET, EPOLLERR | EPOLLHUP,
					 EPOLLIN | EPOLLWAKEUP, EPOLLPRI, EPOLLRDHUP, EPOLLRDNORM,
					 EPOLLONESHOT, EPOLLIN | EPOLLONESHOT, EPOLLWRNORM,
					 EPOLLMSG };
	int ep = set_make(), inner = set_make(), a, b, l;
	struct sockaddr_in at;

	pair(&a, &b);
	listen_at(&l, &at);
	for (unsigned i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		char what[32];
		int r = set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLEXCLUSIVE | with[i], 1);

		snprintf(what, sizeof(what), "with %x", with[i]);
		said(what, r);
		if (r == 0) {
			said("mod", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN, 1));
			said("del", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
		}
	}
	said("a set", set_ctl(ep, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE, 1));
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("mod to it", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLEXCLUSIVE, 1));
	said("del", set_ctl(ep, EPOLL_CTL_DEL, a, EPOLLEXCLUSIVE | EPOLLPRI, 0));
	said("listener", set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLEXCLUSIVE, 2));
	close(client(&at));
	set_say("connection", ep, 1000);
}

struct sleeper {
	int ep;
	_Atomic int woken;
};

static void *sleep_in_set(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event ev;

	if (epoll_wait(s->ep, &ev, 1, 400) == 1)
		atomic_store(&s->woken, 1);
	return NULL;
}

/* What another thread changes in a set wakes who sleeps in it. */
static void changed_under(void)
{
	int ep = set_make(), a, b, c, d;
	struct sleeper s = { .ep = ep };
	struct sockaddr_in at;
	pthread_t t;

	pair(&a, &b);
	pair(&c, &d);
	put(b, "x");
	t = started(sleep_in_set, &s);
	nap(50);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	ended("add", t);
	say("add: woken %d", atomic_exchange(&s.woken, 0));
	drop(a);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, c, EPOLLIN, 2));
	t = started(sleep_in_set, &s);
	nap(50);
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, c, EPOLLOUT, 2));
	ended("mod", t);
	say("mod: woken %d", atomic_exchange(&s.woken, 0));
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, c, EPOLLIN, 2));
	t = started(sleep_in_set, &s);
	nap(50);
	said("del", set_ctl(ep, EPOLL_CTL_DEL, c, 0, 0));
	put(d, "y");
	ended("del", t);
	say("del: woken %d", atomic_exchange(&s.woken, 0));
	/* A socket that becomes something while it is in a set. */
	listen_at(&a, &at);
	c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, c, EPOLLIN | EPOLLET, 3));
	set_say("new", ep, 1000);
	t = started(sleep_in_set, &s);
	nap(50);
	MUST(connect(c, (struct sockaddr *)&at, sizeof(at)) == 0);
	b = accept(a, NULL, NULL);
	put(b, "z");
	ended("connect", t);
	say("connect: woken %d", atomic_exchange(&s.woken, 0));
	/* The set itself is closed: who sleeps in it sleeps on. */
	drop(c);
	t = started(sleep_in_set, &s);
	nap(50);
	said("close", close(ep));
	put(b, "z");
	ended("close", t);
	say("close: woken %d", atomic_load(&s.woken));
}

static void *count_edges(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event ev;

	while (epoll_wait(s->ep, &ev, 1, 300) == 1)
		atomic_fetch_add(&s->woken, 1);
	return NULL;
}

/* One socket in two sets, by edges and by level, with a sleeper in each. */
static void in_two_sets(void)
{
	struct sleeper edge = { .ep = set_make() }, shot = { .ep = set_make() };
	pthread_t t, u;
	int a, b;

	pair(&a, &b);
	said("edge", set_ctl(edge.ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLET, 1));
	said("one-shot", set_ctl(shot.ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLONESHOT, 2));
	t = started(count_edges, &edge);
	u = started(count_edges, &shot);
	nap(50);
	for (int i = 0; i < 5; i++) {
		put(b, "x");
		nap(40);
	}
	ended("edge", t);
	ended("one-shot", u);
	say("edges: %d, shots: %d", atomic_load(&edge.woken), atomic_load(&shot.woken));
}

/* For who may not (most), EPOLLWAKEUP says nothing. */
static void wakeup_ignored(void)
{
	int ep = set_make(), a, b;

	pair(&a, &b);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLWAKEUP, 1));
	put(b, "x");
	set_say("in", ep, 1000);
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLOUT | EPOLLWAKEUP | EPOLLET, 2));
	set_say("out", ep, 1000);
	set_say("once", ep, 20);
}

/* A system call that no library sees. */
static long raw(long nr, long a, long b, long c)
{
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
#else
	return syscall(nr, a, b, c);
#endif
}

/* A client like a program that is not accelerated. */
static void ordinary_client(const struct sockaddr_in *at)
{
	long fd = raw(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	MUST(raw(SYS_connect, fd, (long)at, sizeof(*at)) == 0);
}

/* Four threads, each in a set of its own, and one connection. */
static void exclusive_one_woken_case(uint32_t flags, bool ordinary, const char *what)
{
	struct sleeper s[4] = { 0 };
	struct sockaddr_in at;
	pthread_t t[4];
	int l, woken = 0;

	listen_at(&l, &at);
	for (int i = 0; i < 4; i++) {
		s[i].ep = set_make();
		MUST(set_ctl(s[i].ep, EPOLL_CTL_ADD, l, EPOLLIN | flags, 1) == 0);
		t[i] = started(sleep_in_set, &s[i]);
	}
	nap(50);
	if (ordinary)
		ordinary_client(&at);
	else
		close(client(&at));
	for (int i = 0; i < 4; i++) {
		ended(what, t[i]);
		woken += atomic_load(&s[i].woken);
	}
	say("%s: %d woken", what, woken);
	for (int i = 0; i < 4; i++)
		close(s[i].ep);
	close(l);
}

static void exclusive_one_woken(void)
{
	exclusive_one_woken_case(0, false, "shared");
	exclusive_one_woken_case(EPOLLEXCLUSIVE, false, "exclusive");
	exclusive_one_woken_case(EPOLLEXCLUSIVE | EPOLLET, false, "exclusive edge");
	exclusive_one_woken_case(0, true, "shared, ordinary");
	exclusive_one_woken_case(EPOLLEXCLUSIVE, true, "exclusive, ordinary");
	exclusive_one_woken_case(EPOLLEXCLUSIVE | EPOLLET, true, "exclusive edge, ordinary");
}

static _Atomic int served;

static void *serve_exclusive(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event ev;

	while (epoll_wait(s->ep, &ev, 1, 3000) == 1) {
		int c = accept4(ev.data.fd, NULL, NULL, SOCK_NONBLOCK);
		char byte;

		if (c < 0)
			continue;
		MUST(fcntl(c, F_SETFL, 0) == 0);
		if (recv(c, &byte, 1, 0) == 1 && byte == 'q')
			break;
		atomic_fetch_add(&served, 1);
		close(c);
	}
	return NULL;
}

/* No connection is left waiting, however the wake-ups fall. */
static void exclusive_none_lost(void)
{
	struct sleeper s[4] = { 0 };
	struct sockaddr_in at;
	pthread_t t[4];
	int l;

	listen_at(&l, &at);
	unblock(l);
	for (int i = 0; i < 4; i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = l };

		s[i].ep = set_make();
		MUST(epoll_ctl(s[i].ep, EPOLL_CTL_ADD, l, &ev) == 0);
		t[i] = started(serve_exclusive, &s[i]);
	}
	for (int i = 0; i < 500; i++) {
		char byte = 'a';
		int c = client(&at);

		put(c, "a");
		/* Until it is served: nobody wakes up for another one's sake. */
		MUST(recv(c, &byte, 1, 0) == 0);
		close(c);
	}
	say("served: %d", atomic_load(&served));
	for (int i = 0; i < 4; i++)
		put(client(&at), "q");
	for (int i = 0; i < 4; i++)
		ended("server", t[i]);
}

static void child_waits(int ep, int a)
{
	struct epoll_event ev;
	char byte = 0;

	if (epoll_wait(ep, &ev, 1, 3000) != 1 || ev.data.u64 != 1)
		_exit(1);
	if (recv(a, &byte, 1, 0) != 1 || byte != 'c')
		_exit(2);
	_exit(epoll_wait(ep, &ev, 1, 20) == 0 ? 0 : 3);
}

static void share_bytes(int ep, int a)
{
	struct epoll_event ev;
	char byte;
	int taken = 0;

	while (epoll_wait(ep, &ev, 1, 1000) == 1) {
		ssize_t n = recv(a, &byte, 1, MSG_DONTWAIT);

		if (n == 0 || (n == 1 && byte == 'q'))
			break;
		taken += n == 1;
	}
	_exit(taken);
}

/* Three processes sleep in one set; each byte is taken by one of them. */
static void set_of_three(void)
{
	int ep = set_make(), a, b, status, total = 0;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			share_bytes(ep, a);
	close(a);
	nap(30);
	for (int i = 0; i < 60; i++) {
		put(b, "x");
		nap(2);
	}
	nap(50);
	put(b, "qqq");
	while (wait(&status) > 0)
		total += WEXITSTATUS(status);
	say("taken: %d", total);
}

/* A set that parent and child have: what is in it wakes either. */
static void set_over_fork(void)
{
	int ep = set_make(), a, b, pipes[2], status;
	pid_t pid;

	pair(&a, &b);
	MUST(pipe(pipes) == 0);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	said("add pipe", set_ctl(ep, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 2));
	put(b, "p");
	set_say("parent", ep, 1000);
	drop(a);
	pid = fork();
	if (pid == 0)
		child_waits(ep, a);
	nap(20);
	put(b, "c");
	MUST(waitpid(pid, &status, 0) == pid);
	say("child: %x", status);
	set_say("nothing", ep, 20);
	put(b, "p");
	set_say("parent", ep, 1000);
	drop(a);
	pid = fork();
	if (pid == 0) {
		/* The child's sockets in the parent's set. */
		set_say("child", ep, 1000);
		_exit(0);
	}
	MUST(write(pipes[1], "x", 1) == 1);
	MUST(waitpid(pid, &status, 0) == pid);
	say("child: %x", status);
	set_say("parent", ep, 1000);
	/* What the child closes stays open. */
	pid = fork();
	if (pid == 0) {
		close(a);
		close(pipes[0]);
		close(ep);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	put(b, "z");
	set_say("both", ep, 1000);
}

static double set_times(int ep, int ready, int *fds)
{
	struct epoll_event evs[64];
	struct timespec t0, t1;

	for (int i = 0; i < ready; i++)
		put(fds[i], "x");
	nap(2);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < 2000; i++)
		MUST(epoll_wait(ep, evs, 64, 0) == ready);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	return (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
}

/* The time of a wait goes by what is ready, not by what is in the set. */
static void many_in_set(void)
{
	struct rlimit lim;
	int ep = set_make(), peers[2000], c, s, n = 2000, left = 2000;
	static bool told[2000];
	double few, many;
	struct sockaddr_in at;
	int l;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	listen_at(&l, &at);
	for (int i = 0; i < 16; i++) {
		c = client(&at);
		s = accept(l, NULL, NULL);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN, (uint64_t)i) == 0);
		peers[i] = c;
	}
	few = set_times(ep, 1, peers);
	for (int i = 16; i < n; i++) {
		c = client(&at);
		s = accept(l, NULL, NULL);
		MUST(c >= 0 && s >= 0);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN, (uint64_t)i) == 0);
		peers[i] = c;
	}
	/* The new ones are looked at once. */
	set_say("one", ep, 100);
	many = set_times(ep, 1, peers);
	say("fair: %d", many < few * 8 + 4e6);
	/* All of them, in a short array: each has its turn. */
	for (int i = 0; i < n; i++)
		put(peers[i], "y");
	for (int turns = 0; left > 0 && turns < 1000; turns++) {
		struct epoll_event evs[64];
		int got = epoll_wait(ep, evs, 64, 1000);

		MUST(got > 0);
		for (int i = 0; i < got; i++) {
			left -= !told[evs[i].data.u64];
			told[evs[i].data.u64] = true;
		}
	}
	say("not told of: %d", left);
}

/* A short array takes its turns. */
static void fair_turns(void)
{
	int ep = set_make(), a[5], b[5], seen = 0;
	struct epoll_event ev;

	for (int i = 0; i < 5; i++) {
		pair(&a[i], &b[i]);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, a[i], EPOLLIN, (uint64_t)i) == 0);
		put(b[i], "x");
	}
	nap(5);
	for (int i = 0; i < 5; i++) {
		MUST(epoll_wait(ep, &ev, 1, 1000) == 1);
		seen |= 1 << ev.data.u64;
	}
	say("seen: %x", (unsigned)seen);
}

/* A listener, a connecting socket, and shutdown, as they go through a set. */
static void states(void)
{
	int ep = set_make(), l, c, s, err = 0;
	socklen_t len = sizeof(err);
	struct sockaddr_in at;

	listen_at(&l, &at);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	said("new", set_ctl(ep, EPOLL_CTL_ADD, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 1));
	set_say("unconnected", ep, 1000);
	said("listener", set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLET, 2));
	said("connect", connect(c, (struct sockaddr *)&at, sizeof(at)));
	nap(5);
	set_say("connected", ep, 1000);
	said("so_error", getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len));
	say("error %d", err);
	set_say("listener's edge is over", ep, 20);
	s = accept(l, NULL, NULL);
	said("shutdown", shutdown(s, SHUT_WR));
	nap(5);
	set_say("half closed", ep, 1000);
	said("shutdown", shutdown(c, SHUT_WR));
	nap(5);
	set_say("closed", ep, 1000);
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, c, EPOLLET, 3));
	set_say("hup alone", ep, 1000);
	set_say("once", ep, 20);
}

const struct test sets_tests[] = {
	{ "number_reused", number_reused },
	{ "dup_and_close", dup_and_close },
	{ "set_dup", set_dup },
	{ "one_shot", one_shot },
	{ "edge_partial", edge_partial },
	{ "edge_out", edge_out },
	{ "ctl_errors", ctl_errors },
	{ "exclusive_rules", exclusive_rules },
	{ "wakeup_ignored", wakeup_ignored },
	{ "exclusive_one_woken", exclusive_one_woken },
	{ "exclusive_none_lost", exclusive_none_lost },
	{ "set_over_fork", set_over_fork },
	{ "set_of_three", set_of_three },
	{ "changed_under", changed_under },
	{ "in_two_sets", in_two_sets },
	{ "many_in_set", many_in_set },
	{ "fair_turns", fair_turns },
	{ "states", states },
	{ NULL, NULL },
};
