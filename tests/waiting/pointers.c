/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pointers.c - Addresses at which there is nothing.
 */
#include "waiting.h"

#define PAGE 4096

/* Two pages; the second cannot be touched, or not be written. */
static char *edge(int prot)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED);
	MUST(mprotect(p + PAGE, PAGE, prot) == 0);
	return p + PAGE;
}

/* Not constant: the compiler would have its say. */
static void *volatile high = (void *)0xffff800000000000ul;
static void *volatile low = (void *)16;

static void poll_pointers(void)
{
	char *none = edge(PROT_NONE), *fixed;
	struct pollfd *p = (void *)(none - 2 * sizeof(*p)), *ro;
	int a, b;

	pair(&a, &b);
	p[0] = p[1] = (struct pollfd){ .fd = a, .events = POLLOUT };
	said("null", poll(NULL, 1, 0));
	said("null, none", poll(NULL, 0, 0));
	said("low", poll(low, 1, 0));
	said("high", poll(high, 1, 0));
	said("gone", poll((void *)none, 1, 0));
	said("over the edge", poll(p, 3, 0));
	said("up to it", poll(p, 2, 0));
	said("half over", poll((void *)(none - 4), 1, 0));
	fixed = edge(PROT_READ | PROT_WRITE);
	ro = (void *)fixed;
	ro[0] = (struct pollfd){ .fd = a, .events = POLLOUT };
	MUST(mprotect(fixed, PAGE, PROT_READ) == 0);
	said("read-only", poll(ro, 1, 0));
	/* A bad timeout is libc's own fault: it copies it. */
	said("mask", ppoll(p, 1, NULL, (void *)none));
	said("mask", ppoll(p, 1, NULL, high));
	said("still", poll(p, 2, 0));
}

static void select_pointers(void)
{
	char *none = edge(PROT_NONE);
	struct timeval zero = { 0, 0 };
	fd_set in;
	int a, b;

	pair(&a, &b);
	FD_ZERO(&in);
	FD_SET(a, &in);
	said("null", select(a + 1, NULL, NULL, NULL, &zero));
	said("low", select(a + 1, low, NULL, NULL, &zero));
	said("high", select(a + 1, high, NULL, NULL, &zero));
	said("gone", select(a + 1, NULL, (void *)none, NULL, &zero));
	said("gone beside", select(a + 1, &in, NULL, (void *)none, &zero));
	said("mask", pselect(a + 1, &in, NULL, NULL, NULL, (void *)none));
	said("none asked", select(0, (void *)none, NULL, NULL, &zero));
	/* Only so much of a set is touched as has numbers below n. */
	memset(none - 8, 0, 8);
	said("up to the edge", select(a + 1, (void *)(none - 8), NULL, NULL, &zero));
	said("half over", select(a + 1, (void *)(none - 4), NULL, NULL, &zero));
	FD_ZERO(&in);
	FD_SET(a, &in);
	said("still", select(a + 1, NULL, &in, NULL, &zero));
}

static void set_pointers(void)
{
	char *none = edge(PROT_NONE), *fixed = edge(PROT_READ | PROT_WRITE);
	int ep = set_make(), a, b, c, d;
	struct epoll_event ev, *at = (void *)(none - sizeof(ev));

	pair(&a, &b);
	pair(&c, &d);
	said("add null", epoll_ctl(ep, EPOLL_CTL_ADD, a, NULL));
	said("add low", epoll_ctl(ep, EPOLL_CTL_ADD, a, low));
	said("add high", epoll_ctl(ep, EPOLL_CTL_ADD, a, high));
	said("add gone", epoll_ctl(ep, EPOLL_CTL_ADD, a, (void *)none));
	said("add half", epoll_ctl(ep, EPOLL_CTL_ADD, a, (void *)(none - 4)));
	said("add", set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLOUT, 1));
	said("mod gone", epoll_ctl(ep, EPOLL_CTL_MOD, a, (void *)none));
	said("bad op gone", epoll_ctl(ep, 77, a, (void *)none));
	said("bad set, gone", epoll_ctl(999, EPOLL_CTL_ADD, a, (void *)none));
	said("wait null", epoll_wait(ep, NULL, 1, 0));
	said("wait low", epoll_wait(ep, low, 1, 0));
	said("wait high", epoll_wait(ep, high, 1, 0));
	said("wait gone", epoll_wait(ep, (void *)none, 1, 0));
	said("wait for ever", epoll_wait(ep, (void *)none, 1, -1));
	said("wait at the edge", epoll_wait(ep, at, 1, 0));
	said("another", set_ctl(ep, EPOLL_CTL_ADD, c, EPOLLOUT, 2));
	/* What fits is told. */
	said("one of two", epoll_wait(ep, at, 2, 0));
	said("del", epoll_ctl(ep, EPOLL_CTL_DEL, a, (void *)none));
	said("mod", set_ctl(ep, EPOLL_CTL_MOD, c, EPOLLIN, 2));
	said("nothing, null", epoll_wait(ep, NULL, 1, 20));
	said("nothing, high", epoll_wait(ep, high, 1, 0));
	/* The edge is not lost by a bad pointer. */
	said("edge", set_ctl(ep, EPOLL_CTL_MOD, c, EPOLLIN | EPOLLET, 3));
	put(d, "x");
	nap(5);
	said("gone", epoll_wait(ep, (void *)none, 1, 1000));
	set_say("there", ep, 1000);
	said("edge", set_ctl(ep, EPOLL_CTL_MOD, c, EPOLLIN, 3));
	MUST(mprotect(fixed, PAGE, PROT_READ) == 0);
	said("read-only", epoll_wait(ep, (void *)fixed, 1, 0));
	said("mask", epoll_pwait(ep, &ev, 1, 0, (void *)none));
	said("timeout", epoll_pwait2(ep, &ev, 1, (void *)none, NULL));
	set_say("still", ep, 1000);
}

const struct test pointer_tests[] = {
	{ "poll_pointers", poll_pointers },
	{ "select_pointers", select_pointers },
	{ "set_pointers", set_pointers },
	{ NULL, NULL },
};
