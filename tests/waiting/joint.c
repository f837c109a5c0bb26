/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * joint.c - An epoll set that several processes have since a fork is one: what one
 * of them does to it is so for all, and each event is told as if they were threads.
 */
#include <sys/prctl.h>

#include "waiting.h"

/* A child that does it a little later, while its parent sleeps. */
static void order_later(int over)
{
	MUST(write(over, "o", 1) == 1);
}

static void ordered_later(int over)
{
	ordered(over);
	nap(60);
}

static void did(int over)
{
	MUST(read(over, &(char){ 0 }, 1) == 1);
}

/* What the child accepted, its parent is told of, and has no number for. */
static void add_by_child(void)
{
	struct sockaddr_in at;
	int over[2], ep = set_make(), l, c;

	listen_at(&l, &at);
	if (child_has(over)) {
		int a;

		ordered(over[1]);
		a = accept(l, NULL, NULL);
		said("added", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLRDHUP, 7));
		done(over[1]);
		ordered(over[1]);
		say("child read %zu", drop(a));
		done(over[1]);
		ordered(over[1]);
		set_say("child", ep, 1000);
		say("child read %zu", drop(a));
		done(over[1]);
		ordered(over[1]);
		close(a);
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	c = client(&at);
	order(over[0]);
	set_say("nothing yet", ep, 20);
	put(c, "one");
	set_say("parent", ep, 1000);
	set_say("level-triggered", ep, 1000);
	order(over[0]);
	set_say("read", ep, 20);
	put(c, "two");
	order(over[0]);
	shutdown(c, SHUT_WR);
	set_say("the end", ep, 1000);
	order(over[0]);
	set_say("closed", ep, 20);
}

/* The other way round: it is the parent's, and the child is told while it sleeps. */
static void add_by_parent(void)
{
	int over[2], ep = set_make(), a, b, c, d;

	pair(&a, &b);
	if (child_has(over)) {
		ordered(over[1]);
		set_say("child", ep, 2000);
		said("again", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLOUT, 9));
		done(over[1]);
		ordered(over[1]);
		set_say("what it does not have", ep, 2000);
		done(over[1]);
		_exit(0);
	}
	order_later(over[0]);
	nap(60);
	put(b, "x");
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 3) == 0);
	did(over[0]);
	drop(a);
	pair(&c, &d);
	order_later(over[0]);
	nap(60);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, c, EPOLLIN, 4) == 0);
	nap(60);
	put(d, "x");
	did(over[0]);
	wait(NULL);
	set_say("parent", ep, 0);
}

/* The child changes what it is for, and under which data. */
static void mod_by_child(void)
{
	int over[2], ep = set_make(), a, b;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
	if (child_has(over)) {
		ordered_later(over[1]);
		MUST(set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLOUT, 2) == 0);
		done(over[1]);
		ordered(over[1]);
		said("taken out", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
		said("once more", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
		done(over[1]);
		ordered(over[1]);
		set_say("child", ep, 20);
		done(over[1]);
		_exit(0);
	}
	set_say("nothing", ep, 20);
	order_later(over[0]);
	set_say("changed", ep, 2000);
	did(over[0]);
	put(b, "x");
	set_say("for room alone", ep, 20);
	order(over[0]);
	set_say("gone", ep, 20);
	said("change it", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN, 3));
	said("take it out", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
	said("add it", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 4));
	order(over[0]);
	set_say("parent", ep, 20);
}

/* A shot is told of once, to one of them; the child loads again. */
static void one_shot(void)
{
	int over[2], ep = set_make(), a, b;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLONESHOT, 1) == 0);
	if (child_has(over)) {
		ordered(over[1]);
		set_say("child, not again", ep, 20);
		done(over[1]);
		ordered_later(over[1]);
		MUST(set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLONESHOT, 2) == 0);
		done(over[1]);
		ordered(over[1]);
		said("loaded", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLONESHOT, 3));
		set_say("child", ep, 1000);
		done(over[1]);
		_exit(0);
	}
	put(b, "x");
	set_say("parent", ep, 1000);
	set_say("fired", ep, 20);
	order(over[0]);
	order_later(over[0]);
	set_say("loaded by the child", ep, 2000);
	did(over[0]);
	order(over[0]);
	set_say("fired by the child", ep, 20);
}

/* An edge is one for both. */
static void edge(void)
{
	int over[2], ep = set_make(), a, b;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLOUT | EPOLLET, 1) == 0);
	set_say("room", ep, 1000);
	if (child_has(over)) {
		ordered(over[1]);
		set_say("child, not again", ep, 20);
		done(over[1]);
		ordered(over[1]);
		set_say("child", ep, 1000);
		done(over[1]);
		ordered(over[1]);
		said("changed", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLET, 2));
		done(over[1]);
		ordered(over[1]);
		set_say("child, told to the parent", ep, 20);
		done(over[1]);
		_exit(0);
	}
	set_say("not again", ep, 20);
	order(over[0]);
	put(b, "x");
	set_say("an arrival", ep, 1000);
	order_later(over[0]);
	nap(60);
	put(b, "y");
	did(over[0]);
	set_say("told to the child", ep, 20);
	order(over[0]);
	set_say("by a change", ep, 1000);
	order(over[0]);
}

/* What was told of before the fork is not told of after it. */
static void edge_before(void)
{
	int over[2], ep = set_make(), a, b, s = socket(AF_INET, SOCK_STREAM, 0);

	pair(&a, &b);
	put(b, "x");
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLET, 1) == 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN | EPOLLET, 2) == 0);
	set_say("before", ep, 1000);
	if (child_has(over)) {
		ordered(over[1]);
		set_say("child", ep, 20);
		done(over[1]);
		_exit(0);
	}
	set_say("parent", ep, 20);
	order(over[0]);
}

/* Room is an edge too, for whoever waits. */
static void edge_of_room(void)
{
	int over[2], ep = set_make(), a, b;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLOUT | EPOLLET, 1) == 0);
	set_say("room", ep, 1000);
	if (child_has(over)) {
		ordered(over[1]);
		set_say("child", ep, 1000);
		set_say("child, once", ep, 20);
		done(over[1]);
		_exit(0);
	}
	fill(a);
	set_say("full", ep, 20);
	while (drop(b))
		nap(5);
	order(over[0]);
	set_say("told to the child", ep, 20);
}

/* Closed here and open there: it is told of, until it is closed there too. */
static void closed_here(void)
{
	int over[2], ep = set_make(), a, b, was;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
	if (child_has(over)) {
		ordered(over[1]);
		said("child takes it out", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
		said("and adds it", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLRDHUP, 2));
		done(over[1]);
		ordered(over[1]);
		close(a);
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	was = a;
	close(a);
	put(b, "x");
	set_say("closed", ep, 1000);
	said("its number", set_ctl(ep, EPOLL_CTL_DEL, was, 0, 0));
	order(over[0]);
	set_say("changed", ep, 1000);
	shutdown(b, SHUT_WR);
	set_say("its end", ep, 1000);
	order(over[0]);
	nap(20);
	set_say("closed by all", ep, 20);
}

/* The last to close it is the one that waits. */
static void closed_there(void)
{
	int over[2], ep = set_make(), a, b, c, d;

	pair(&a, &b);
	pair(&c, &d);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, c, EPOLLIN | EPOLLET, 2) == 0);
	if (child_has(over)) {
		ordered(over[1]);
		close(a);
		close(c);
		done(over[1]);
		ordered(over[1]);
		set_say("child", ep, 1000);
		set_say("child, once", ep, 20);
		done(over[1]);
		_exit(0);
	}
	order(over[0]);
	put(b, "x");
	set_say("open here", ep, 1000);
	drop(a);
	put(d, "x");
	order(over[0]);
	set_say("told to the child", ep, 20);
	wait(NULL);
	put(b, "x");
	put(d, "x");
	set_say("the child is gone", ep, 1000);
	close(a);
	close(c);
	set_say("closed", ep, 20);
}

/* Its socket goes with who added it. */
static void adder_exits(void)
{
	struct sockaddr_in at;
	int over[2], ep = set_make(), l, c;

	listen_at(&l, &at);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN, 1) == 0);
	if (child_has(over)) {
		int a;

		ordered(over[1]);
		a = accept(l, NULL, NULL);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 2) == 0);
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	c = client(&at);
	set_say("a client", ep, 1000);
	order(over[0]);
	put(c, "x");
	set_say("its data", ep, 1000);
	close(over[0]);
	wait(NULL);
	nap(20);
	set_say("gone with the child", ep, 20);
	client(&at);
	set_say("another", ep, 1000);
	accept(l, NULL, NULL);
	set_say("accepted", ep, 20);
}

/* As daemon() does: who made the set leaves at once. */
static void parent_exits(void)
{
	struct sockaddr_in at;
	int ep = set_make(), l, c, a, over[2];

	listen_at(&l, &at);
	c = client(&at);
	a = accept(l, NULL, NULL);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLET, 1) == 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLET, 2) == 0);
	MUST(pipe(over) == 0);
	fflush(stdout);
	if (fork() != 0) {
		close(over[1]);
		MUST(read(over[0], &(char){ 0 }, 1) == 0);
		_exit(0);
	}
	close(over[0]);
	if (fork() != 0)
		_exit(0);
	while (getppid() != 1)
		nap(1);
	set_say("nothing", ep, 20);
	put(c, "x");
	set_say("data", ep, 1000);
	set_say("once", ep, 20);
	said("changed", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLONESHOT, 3));
	set_say("once more", ep, 1000);
	client(&at);
	set_say("a client", ep, 1000);
	set_say("once", ep, 20);
	close(a);
	set_say("closed", ep, 20);
	said("added", set_ctl(ep, EPOLL_CTL_ADD, accept(l, NULL, NULL), EPOLLOUT, 4));
	set_say("the next one", ep, 1000);
}

/* A set in a set: what the child adds within, who waits around it is told of. */
static void nested(void)
{
	int over[2], inner = set_make(), outer = set_make(), a, b;

	pair(&a, &b);
	MUST(set_ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 1) == 0);
	if (child_has(over)) {
		ordered_later(over[1]);
		MUST(set_ctl(inner, EPOLL_CTL_ADD, a, EPOLLIN, 2) == 0);
		done(over[1]);
		ordered(over[1]);
		said("added", set_ctl(outer, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLONESHOT, 3));
		done(over[1]);
		ordered(over[1]);
		set_say("child, inner", inner, 20);
		set_say("child, outer", outer, 20);
		said("taken out", set_ctl(inner, EPOLL_CTL_DEL, a, 0, 0));
		done(over[1]);
		_exit(0);
	}
	put(b, "x");
	order_later(over[0]);
	set_say("outer", outer, 2000);
	did(over[0]);
	set_say("inner", inner, 0);
	order(over[0]);
	set_say("both", outer, 1000);
	order(over[0]);
	set_say("nothing in it", inner, 20);
	set_say("nothing", outer, 20);
}

/* A shared listener: a client is one edge, for one of them. */
static void listener(void)
{
	struct sockaddr_in at;
	int over[2], ep = set_make(), l, told = 0;

	listen_at(&l, &at);
	if (child_has(over)) {
		ordered(over[1]);
		said("added", set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLET, 1));
		done(over[1]);
		for (int i = 0; i < 4; i++) {
			ordered(over[1]);
			set_say("child, not again", ep, 20);
			done(over[1]);
		}
		/* Who dies may have seen what nobody was told of. */
		ordered(over[1]);
	}
	order(over[0]);
	for (int i = 0; i < 4; i++) {
		client(&at);
		told += set_say("parent", ep, 1000);
		order(over[0]);
	}
	said("parent, once more", epoll_wait(ep, (struct epoll_event[1]){ 0 }, 1, 20));
	say("told of %d", told);
}

/* A descriptor of the kernel's, and one whose number is another's by now. */
static void others(void)
{
	int over[2], ep = set_make(), a, b, p[2];

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
	MUST(pipe(p) == 0);
	if (child_has(over)) {
		int c, d;

		ordered(over[1]);
		said("a pipe", set_ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 2));
		done(over[1]);
		ordered(over[1]);
		pair(&c, &d);
		MUST(dup2(c, a) == a);
		close(c);
		said("another", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 3));
		said("and again", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 4));
		put(d, "x");
		set_say("child", ep, 1000);
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	order(over[0]);
	MUST(write(p[1], "x", 1) == 1);
	set_say("parent", ep, 0);
	put(b, "x");
	set_say("both", ep, 1000);
	order(over[0]);
	set_say("all three", ep, 1000);
	said("mine", set_ctl(ep, EPOLL_CTL_DEL, a, 0, 0));
	set_say("two", ep, 1000);
}

/* A datagram socket that the child has made. */
static void datagrams(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int over[2], ep = set_make(), s;

	if (child_has(over)) {
		int d = socket(AF_INET, SOCK_DGRAM, 0);

		MUST(bind(d, (struct sockaddr *)&at, len) == 0);
		MUST(getsockname(d, (struct sockaddr *)&at, &len) == 0);
		ordered(over[1]);
		MUST(write(over[1], &at.sin_port, 2) == 2);
		said("added", set_ctl(ep, EPOLL_CTL_ADD, d, EPOLLIN, 1));
		done(over[1]);
		ordered(over[1]);
		say("child read %zd", recv(d, (char[8]){ 0 }, 8, MSG_DONTWAIT));
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	order_later(over[0]);
	MUST(read(over[0], &at.sin_port, 2) == 2);
	did(over[0]);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	MUST(sendto(s, "abc", 3, 0, (struct sockaddr *)&at, len) == 3);
	set_say("parent", ep, 1000);
	order(over[0]);
	set_say("read", ep, 20);
	MUST(sendto(s, "de", 2, 0, (struct sockaddr *)&at, len) == 2);
	set_say("the next", ep, 1000);
}

/* An array of one event is enough for all, whoever has them. */
static void short_array(void)
{
	int over[2], ep = set_make(), a, b, seen = 0;
	struct epoll_event ev;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLOUT, 1) == 0);
	if (child_has(over)) {
		int c, d, e, f;

		ordered(over[1]);
		pair(&c, &d);
		pair(&e, &f);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, c, EPOLLOUT, 2) == 0);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, e, EPOLLOUT, 4) == 0);
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	order(over[0]);
	for (int i = 0; i < 8 && epoll_wait(ep, &ev, 1, 1000) == 1; i++)
		seen |= (int)ev.data.u64;
	say("seen %d", seen);
}

#define SERVED 60
#define WORKERS 3

/* Workers that share one set: who finds a client accepts it and adds it, whoever
 * finds it ready serves it, and loads its shot again. */
static void work(int ep, int l)
{
	struct epoll_event ev;

	while (epoll_wait(ep, &ev, 1, 3000) == 1) {
		int fd = (int)(ev.data.u64 & 0xffff);
		char buf[16];

		if (fd == l) {
			fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
			if (fd >= 0)
				MUST(set_ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT,
					     (uint64_t)getpid() << 16 | (uint64_t)fd) == 0);
			continue;
		}
		/* Only who has it can serve it. */
		if (ev.data.u64 >> 16 != (uint64_t)getpid())
			exit(3);
		if (recv(fd, buf, sizeof(buf), 0) <= 0) {
			close(fd);
			continue;
		}
		send(fd, "ok", 2, MSG_NOSIGNAL);
		set_ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, ev.data.u64);
	}
}

/* Each with a set of its own around the listener, which came by fork. */
static void prefork(void)
{
	struct sockaddr_in at;
	pid_t pid[WORKERS];
	int l, served = 0, common = set_make();

	listen_at(&l, &at);
	unblock(l);
	MUST(set_ctl(common, EPOLL_CTL_ADD, l, EPOLLIN, 99) == 0);
	fflush(stdout);
	for (int i = 0; i < WORKERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			int ep = set_make();

			close(common);
			MUST(set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLEXCLUSIVE,
				     (uint64_t)l) == 0);
			work(ep, l);
			_exit(0);
		}
	}
	for (int i = 0; i < SERVED; i++) {
		int c = client(&at);
		char buf[2];

		put(c, "ask");
		served += recv(c, buf, 2, MSG_WAITALL) == 2;
		put(c, "ask");
		served += recv(c, buf, 2, MSG_WAITALL) == 2;
		close(c);
	}
	for (int i = 0; i < WORKERS; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < WORKERS; i++)
		wait(NULL);
	say("served %d", served);
	client(&at);
	set_say("parent", common, 1000);
}

/* Listener and clients in one set of all: clients that one of them has made known
 * to all, whose sockets they have since before the fork. */
static void prefork_joint(void)
{
	int ep = set_make(), over[2][2], a[8], b[8], asked = 0, answered = 0;

	for (int i = 0; i < 8; i++) {
		pair(&a[i], &b[i]);
		unblock(a[i]);
	}
	for (int n = 0; n < 2; n++)
		if (child_has(over[n])) {
			struct epoll_event ev;

			MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
			ordered(over[n][1]);
			if (n == 0)
				for (int i = 0; i < 8; i++)
					MUST(set_ctl(ep, EPOLL_CTL_ADD, a[i],
						     EPOLLIN | EPOLLONESHOT, (uint64_t)i) == 0);
			done(over[n][1]);
			while (epoll_wait(ep, &ev, 1, -1) == 1) {
				int fd = a[ev.data.u64];
				char byte;

				if (recv(fd, &byte, 1, 0) == 1)
					send(fd, &byte, 1, 0);
				MUST(set_ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT,
					     ev.data.u64) == 0);
			}
			_exit(0);
		}
	order(over[0][0]);
	order(over[1][0]);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 8; i++, asked++)
			put(b[i], "x");
		for (int i = 0; i < 8; i++)
			answered += recv(b[i], (char[1]){ 0 }, 1, 0) == 1;
	}
	say("asked %d, answered %d", asked, answered);
}

const struct test joint_tests[] = {
	{ "joint_add_by_child", add_by_child },
	{ "joint_add_by_parent", add_by_parent },
	{ "joint_mod_by_child", mod_by_child },
	{ "joint_one_shot", one_shot },
	{ "joint_edge", edge },
	{ "joint_edge_before", edge_before },
	{ "joint_edge_of_room", edge_of_room },
	{ "joint_closed_here", closed_here },
	{ "joint_closed_there", closed_there },
	{ "joint_adder_exits", adder_exits },
	{ "joint_parent_exits", parent_exits },
	{ "joint_nested", nested },
	{ "joint_listener", listener },
	{ "joint_others", others },
	{ "joint_datagrams", datagrams },
	{ "joint_short_array", short_array },
	{ "joint_prefork", prefork },
	{ "joint_prefork_one_set", prefork_joint },
	{ NULL, NULL },
};
