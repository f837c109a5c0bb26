/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nested.c - Sets in sets, and sets in poll and select.
 */
#include <sys/eventfd.h>

#include "waiting.h"

static void poll_set(const char *what, int ep, int ms)
{
	struct pollfd p = { .fd = ep, .events = POLLIN | POLLOUT | POLLPRI };
	int r = poll(&p, 1, ms);

	say("%s: poll %d %s", what, r, bits((uint16_t)p.revents));
}

/* A chain of five: what is ready at the bottom is seen at the top. */
static void nested_five(void)
{
	int ep[6], a, b, event = eventfd(0, EFD_CLOEXEC);
	uint64_t one = 1;
	char what[32];

	pair(&a, &b);
	for (int i = 0; i < 6; i++)
		ep[i] = set_make();
	/* From the top down, so that each is checked when it is deepest. */
	for (int i = 0; i < 5; i++) {
		snprintf(what, sizeof(what), "level %d", i);
		said(what, set_ctl(ep[i], EPOLL_CTL_ADD, ep[i + 1], EPOLLIN, (uint64_t)i));
	}
	said("socket at the bottom", set_ctl(ep[4], EPOLL_CTL_ADD, a, EPOLLIN, 77));
	said("socket below it", set_ctl(ep[5], EPOLL_CTL_ADD, b, EPOLLIN, 78));
	said("event", set_ctl(ep[3], EPOLL_CTL_ADD, event, EPOLLIN, 79));
	set_say("nothing", ep[0], 20);
	put(b, "x");
	set_say("top", ep[0], 1000);
	set_say("second", ep[1], 1000);
	set_say("bottom", ep[4], 1000);
	poll_set("top", ep[0], 1000);
	drop(a);
	set_say("top", ep[0], 20);
	poll_set("top", ep[0], 20);
	MUST(write(event, &one, sizeof(one)) == sizeof(one));
	set_say("top by event", ep[0], 1000);
	set_say("its set", ep[3], 1000);
	MUST(read(event, &one, sizeof(one)) == sizeof(one));
	set_say("top", ep[0], 20);
	close(ep[2]);
	put(b, "y");
	set_say("cut", ep[0], 20);
	set_say("below", ep[3], 1000);
}

static void nested_loops(void)
{
	int ep[8], a, b;
	char what[32];

	pair(&a, &b);
	for (int i = 0; i < 8; i++)
		ep[i] = set_make();
	said("a in b", set_ctl(ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN, 1));
	said("b in a", set_ctl(ep[1], EPOLL_CTL_ADD, ep[0], EPOLLIN, 1));
	said("c in b", set_ctl(ep[1], EPOLL_CTL_ADD, ep[2], EPOLLIN, 1));
	said("a in c", set_ctl(ep[2], EPOLL_CTL_ADD, ep[0], EPOLLIN, 1));
	said("twice", set_ctl(ep[0], EPOLL_CTL_ADD, ep[1], EPOLLIN, 1));
	said("by two ways", set_ctl(ep[0], EPOLL_CTL_ADD, ep[2], EPOLLIN, 2));
	said("socket", set_ctl(ep[2], EPOLL_CTL_ADD, a, EPOLLIN, 3));
	put(b, "x");
	set_say("both ways", ep[0], 1000);
	for (int i = 2; i < 7; i++) {
		snprintf(what, sizeof(what), "deeper %d", i);
		said(what, set_ctl(ep[i], EPOLL_CTL_ADD, ep[i + 1], EPOLLIN, 1));
	}
	set_say("as before", ep[0], 1000);
}

static void nested_edges(void)
{
	int outer = set_make(), inner = set_make(), a, b, pipes[2];

	pair(&a, &b);
	MUST(pipe(pipes) == 0);
	said("inner", set_ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLET, 1));
	said("socket", set_ctl(inner, EPOLL_CTL_ADD, a, EPOLLIN, 2));
	said("pipe", set_ctl(inner, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 3));
	put(b, "x");
	set_say("edge", outer, 1000);
	set_say("once", outer, 20);
	put(b, "y");
	set_say("another", outer, 1000);
	set_say("inner", inner, 1000);
	drop(a);
	set_say("inner", inner, 20);
	MUST(write(pipes[1], "z", 1) == 1);
	set_say("by the pipe", outer, 1000);
	set_say("once", outer, 20);
	said("one-shot", set_ctl(outer, EPOLL_CTL_MOD, inner, EPOLLIN | EPOLLONESHOT, 4));
	set_say("one-shot", outer, 1000);
	set_say("spent", outer, 20);
	said("del", set_ctl(outer, EPOLL_CTL_DEL, inner, 0, 0));
	set_say("gone", outer, 20);
}

/* The outer set has nothing of ours but the inner set. */
static void nested_in_kernel_only(void)
{
	int outer = set_make(), inner = set_make(), a, b, pipes[2];
	pid_t pid;
	int status;

	MUST(pipe(pipes) == 0);
	said("pipe", set_ctl(outer, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 1));
	said("empty inner", set_ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 2));
	pair(&a, &b);
	set_say("nothing", outer, 20);
	said("socket", set_ctl(inner, EPOLL_CTL_ADD, a, EPOLLIN, 3));
	put(b, "x");
	set_say("inner", outer, 1000);
	/* And asleep, woken from another process. */
	drop(a);
	pid = fork();
	if (pid == 0) {
		nap(50);
		put(b, "y");
		_exit(0);
	}
	set_say("woken", outer, 3000);
	MUST(waitpid(pid, &status, 0) == pid);
	drop(a);
	MUST(write(pipes[1], "x", 1) == 1);
	set_say("pipe", outer, 1000);
}

static void *put_later(void *arg)
{
	nap(50);
	put(*(int *)arg, "later");
	return NULL;
}

static void set_in_poll_and_select(void)
{
	int ep = set_make(), a, b, c, d, r;
	struct pollfd p[3];
	struct timeval second = { 3, 0 }, none = { 0, 0 };
	fd_set in, out, ex;
	pthread_t t;

	pair(&a, &b);
	pair(&c, &d);
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1));
	poll_set("quiet", ep, 0);
	poll_set("quiet", ep, 20);
	t = started(put_later, &b);
	poll_set("woken", ep, 3000);
	ended("put", t);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&ex);
	FD_SET(ep, &in);
	FD_SET(ep, &out);
	FD_SET(ep, &ex);
	r = select(ep + 1, &in, &out, &ex, &none);
	say("select: %d %d%d%d", r, !!FD_ISSET(ep, &in), !!FD_ISSET(ep, &out), !!FD_ISSET(ep, &ex));
	drop(a);
	FD_ZERO(&in);
	FD_SET(ep, &in);
	FD_SET(c, &in);
	t = started(put_later, &b);
	r = select((ep > c ? ep : c) + 1, &in, NULL, NULL, &second);
	ended("put", t);
	say("select: %d %d%d", r, !!FD_ISSET(ep, &in), !!FD_ISSET(c, &in));
	p[0] = (struct pollfd){ .fd = ep, .events = POLLIN | POLLRDNORM };
	p[1] = (struct pollfd){ .fd = c, .events = POLLIN | POLLOUT };
	p[2] = (struct pollfd){ .fd = -1, .events = POLLIN };
	r = poll(p, 3, 1000);
	say("poll: %d %s %s %s", r, bits((uint16_t)p[0].revents), bits((uint16_t)p[1].revents),
	    bits((uint16_t)p[2].revents));
	/* Edge-triggered inside: only a wait takes the edge. */
	drop(a);
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLET, 2));
	put(b, "x");
	poll_set("edge", ep, 1000);
	poll_set("still", ep, 1000);
	set_say("taken", ep, 1000);
	poll_set("gone", ep, 20);
}

const struct test nested_tests[] = {
	{ "nested_five", nested_five },
	{ "nested_loops", nested_loops },
	{ "nested_edges", nested_edges },
	{ "nested_in_kernel_only", nested_in_kernel_only },
	{ "set_in_poll_and_select", set_in_poll_and_select },
	{ NULL, NULL },
};
