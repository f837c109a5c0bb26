/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mixed.c - Sockets beside everything else that can be polled; signal masks.
 */
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "waiting.h"

enum { SOCKET, SERVER, PIPE, EVENT, TIMER, SIGNAL, INOTIFY, TERMINAL, LISTENER, SETFD, KINDS };

static const char *const kind_names[KINDS] = { "socket", "server", "pipe", "event", "timer",
					       "signal", "inotify", "terminal", "listener", "set" };

/** struct things - One of each, and the other end of each. */
struct things {
	int fd[KINDS];
	int peer, pipe_in, master, in_set_peer;
	struct sockaddr_in at;
	char dir[32];
};

static void things_make(struct things *t)
{
	int pipes[2], a;
	sigset_t set;

	*t = (struct things){ .dir = "/tmp/waiting-XXXXXX" };
	pair(&t->fd[SOCKET], &t->peer);
	listen_at(&t->fd[LISTENER], &t->at);
	MUST(pipe2(pipes, O_CLOEXEC) == 0);
	t->fd[PIPE] = pipes[0];
	t->pipe_in = pipes[1];
	t->fd[EVENT] = eventfd(0, EFD_CLOEXEC);
	t->fd[TIMER] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	t->fd[SIGNAL] = signalfd(-1, &set, SFD_CLOEXEC);
	t->fd[INOTIFY] = inotify_init1(IN_CLOEXEC);
	MUST(mkdtemp(t->dir));
	MUST(inotify_add_watch(t->fd[INOTIFY], t->dir, IN_CREATE) >= 0);
	MUST(openpty(&t->master, &t->fd[TERMINAL], NULL, NULL, NULL) == 0);
	pair(&t->fd[SERVER], &a);
	t->fd[SETFD] = set_make();
	pair(&a, &t->in_set_peer);
	MUST(set_ctl(t->fd[SETFD], EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
}

/* Let something come in at one of them. */
static void things_stir(struct things *t, int kind)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
	uint64_t one = 1;
	char path[64];
	int fd;

	switch (kind) {
	case SOCKET:
		put(t->peer, "x");
		break;
	case SERVER:
		shutdown(t->fd[SERVER], SHUT_RD);
		break;
	case PIPE:
		MUST(write(t->pipe_in, "x", 1) == 1);
		break;
	case EVENT:
		MUST(write(t->fd[EVENT], &one, 8) == 8);
		break;
	case TIMER:
		MUST(timerfd_settime(t->fd[TIMER], 0, &soon, NULL) == 0);
		break;
	case SIGNAL:
		MUST(kill(getpid(), SIGUSR1) == 0);
		break;
	case INOTIFY:
		snprintf(path, sizeof(path), "%s/x", t->dir);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		MUST(fd >= 0);
		close(fd);
		break;
	case TERMINAL:
		MUST(write(t->master, "x\n", 2) == 2);
		break;
	case LISTENER:
		client(&t->at);
		break;
	default:
		put(t->in_set_peer, "x");
		break;
	}
}

static void things_end(struct things *t)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/x", t->dir);
	unlink(path);
	rmdir(t->dir);
}

/** struct later - To be stirred while another thread sleeps. */
struct later {
	struct things *t;
	int kind;
};

static void *stir_later(void *arg)
{
	struct later *l = arg;

	nap(30);
	things_stir(l->t, l->kind);
	return NULL;
}

static void poll_say(const char *what, struct things *t, short events, int ms)
{
	struct pollfd p[KINDS];
	char line[512] = "";
	int r;

	for (int k = 0; k < KINDS; k++)
		p[k] = (struct pollfd){ .fd = t->fd[k], .events = events };
	r = poll(p, KINDS, ms);
	for (int k = 0; k < KINDS; k++) {
		size_t at = strlen(line);

		if (p[k].revents)
			snprintf(line + at, sizeof(line) - at, " %s=%s", kind_names[k],
				 bits((uint16_t)p[k].revents));
	}
	say("%s: %d%s", what, r, line);
}

static void mixed_poll(void)
{
	struct things t;

	things_make(&t);
	poll_say("quiet", &t, POLLIN, 0);
	poll_say("quiet", &t, POLLIN, 20);
	poll_say("out", &t, POLLIN | POLLOUT, 1000);
	poll_say("norm", &t, POLLRDNORM | POLLWRNORM, 1000);
	poll_say("nothing asked", &t, 0, 20);
	for (int k = 0; k < KINDS; k++) {
		struct later l = { &t, k };
		pthread_t th = started(stir_later, &l);
		char what[32];

		snprintf(what, sizeof(what), "%s stirred", kind_names[k]);
		/* What was stirred before is ready still: one at a time. */
		if (k == 0) {
			poll_say(what, &t, POLLIN, 3000);
			ended("stir", th);
		} else {
			ended("stir", th);
			nap(5);
			poll_say(what, &t, POLLIN, 3000);
		}
	}
	poll_say("all", &t, POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLRDHUP, 1000);
	close(t.peer);
	close(t.pipe_in);
	close(t.master);
	nap(5);
	poll_say("ends", &t, POLLIN | POLLOUT | POLLRDHUP, 1000);
	poll_say("ends unasked", &t, 0, 1000);
	things_end(&t);
}

/* Each of them alone wakes a sleeper who waits for all. */
static void mixed_wakes(void)
{
	for (int k = 0; k < KINDS; k++) {
		struct later l = { NULL, k };
		struct things t;
		fd_set in;
		pthread_t th;
		int top = 0, r, ep = set_make();
		struct timeval tv = { 3, 0 };
		char what[64], line[256] = "";

		things_make(&t);
		l.t = &t;
		for (int i = 0; i < KINDS; i++)
			MUST(set_ctl(ep, EPOLL_CTL_ADD, t.fd[i], EPOLLIN, (uint64_t)i) == 0);
		snprintf(what, sizeof(what), "%s wakes poll", kind_names[k]);
		th = started(stir_later, &l);
		poll_say(what, &t, POLLIN, 3000);
		ended("stir", th);
		snprintf(what, sizeof(what), "%s in a set", kind_names[k]);
		set_say(what, ep, 1000);
		things_end(&t);
		for (int i = 0; i < KINDS; i++)
			close(t.fd[i]);
		things_make(&t);
		FD_ZERO(&in);
		for (int i = 0; i < KINDS; i++) {
			FD_SET(t.fd[i], &in);
			top = t.fd[i] > top ? t.fd[i] : top;
		}
		th = started(stir_later, &l);
		r = select(top + 1, &in, NULL, NULL, &tv);
		ended("stir", th);
		for (int i = 0; i < KINDS; i++)
			if (FD_ISSET(t.fd[i], &in))
				strcat(strcat(line, " "), kind_names[i]);
		say("%s wakes select: %d%s", kind_names[k], r, line);
		things_end(&t);
		for (int i = 0; i < KINDS; i++)
			close(t.fd[i]);
		close(ep);
		/* The signal of before is still pending. */
		if (k == SIGNAL) {
			struct signalfd_siginfo info;
			sigset_t set;
			int fd;

			sigemptyset(&set);
			sigaddset(&set, SIGUSR1);
			fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
			while (read(fd, &info, sizeof(info)) == sizeof(info))
				;
			close(fd);
		}
	}
}

static void select_say(const char *what, struct things *t, struct timeval *tv)
{
	fd_set in, out, ex;
	char line[512] = "";
	int top = 0, r;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&ex);
	for (int k = 0; k < KINDS; k++) {
		FD_SET(t->fd[k], &in);
		FD_SET(t->fd[k], &out);
		FD_SET(t->fd[k], &ex);
		top = t->fd[k] > top ? t->fd[k] : top;
	}
	r = select(top + 1, &in, &out, &ex, tv);
	for (int k = 0; k < KINDS; k++) {
		size_t at = strlen(line);
		int fd = t->fd[k];

		snprintf(line + at, sizeof(line) - at, " %s=%d%d%d", kind_names[k],
			 !!FD_ISSET(fd, &in), !!FD_ISSET(fd, &out), !!FD_ISSET(fd, &ex));
	}
	say("%s: %d%s", what, r, line);
}

static void mixed_select(void)
{
	struct timeval none = { 0, 0 };
	struct things t;
	fd_set in;

	things_make(&t);
	select_say("quiet", &t, &none);
	for (int k = 0; k < KINDS; k++) {
		things_stir(&t, k);
		nap(5);
		select_say(kind_names[k], &t, NULL);
	}
	close(t.peer);
	nap(5);
	select_say("end", &t, NULL);
	FD_ZERO(&in);
	FD_SET(t.fd[SOCKET], &in);
	close(t.fd[PIPE]);
	FD_SET(t.fd[PIPE], &in);
	said("closed one", select(t.fd[PIPE] + t.fd[SOCKET] + 1, &in, NULL, NULL, &none));
	said("n < 0", select(-1, &in, NULL, NULL, &none));
	none.tv_usec = -1;
	said("negative", select(t.fd[SOCKET] + 1, &in, NULL, NULL, &none));
	things_end(&t);
}

/* What is left of select's timeout, and of poll's array. */
static void timeouts(void)
{
	struct timeval tv = { 2, 0 };
	struct timespec ts = { 2, 0 };
	int a, b;
	fd_set in;

	pair(&a, &b);
	put(b, "x");
	FD_ZERO(&in);
	FD_SET(a, &in);
	said("select", select(a + 1, &in, NULL, NULL, &tv));
	say("left: %d", tv.tv_sec == 1 || (tv.tv_sec == 2 && tv.tv_usec == 0));
	said("pselect", pselect(a + 1, &in, NULL, NULL, &ts, NULL));
	say("untouched: %d", ts.tv_sec == 2 && ts.tv_nsec == 0);
	drop(a);
	tv = (struct timeval){ 0, 20000 };
	said("select", select(a + 1, &in, NULL, NULL, &tv));
	say("left: %ld %ld, set %d", (long)tv.tv_sec, (long)tv.tv_usec, !!FD_ISSET(a, &in));
	ts = (struct timespec){ 0, 1000000000 };
	said("ppoll", ppoll(&(struct pollfd){ .fd = a, .events = POLLIN }, 1, &ts, NULL));
	said("pselect", pselect(a + 1, &in, NULL, NULL, &ts, NULL));
}

static void on_usr2(int sig)
{
	(void)sig;
	say("handler");
}

enum { PPOLL, PSELECT, PWAIT, PWAIT2 };

static long masked(int how, int fd, int ep, const sigset_t *mask)
{
	struct timespec ts = { 0, 50000000 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event ev;
	fd_set in;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	switch (how) {
	case PPOLL:
		return ppoll(&p, 1, &ts, mask);
	case PSELECT:
		return pselect(fd + 1, &in, NULL, NULL, &ts, mask);
	case PWAIT:
		return epoll_pwait(ep, &ev, 1, 50, mask);
	default:
		return epoll_pwait2(ep, &ev, 1, &ts, mask);
	}
}

static void blocked_say(const char *what)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	say("%s: blocked %d", what, sigismember(&now, SIGUSR2));
}

/* A pending signal that the mask lets through; one that it holds back. */
static void masks(void)
{
	static const char *const names[] = { "ppoll", "pselect", "epoll_pwait", "epoll_pwait2" };
	struct sigaction act = { .sa_handler = on_usr2, .sa_flags = SA_RESTART };
	int ep = set_make(), a, b;
	sigset_t block, none;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1) == 0);
	sigaction(SIGUSR2, &act, NULL);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR2);
	for (int how = PPOLL; how <= PWAIT2; how++) {
		said(names[how], masked(how, a, ep, NULL));
		sigprocmask(SIG_BLOCK, &block, NULL);
		raise(SIGUSR2);
		said("held back", masked(how, a, ep, NULL));
		said("let through", masked(how, a, ep, &none));
		blocked_say(names[how]);
		/* Ready and pending: the event is told, and the signal stays. */
		raise(SIGUSR2);
		put(b, "x");
		nap(5);
		said("ready", masked(how, a, ep, &none));
		drop(a);
		said("afterwards", masked(how, a, ep, &none));
		sigprocmask(SIG_SETMASK, &none, NULL);
		raise(SIGUSR2);
		said("mask of the call", masked(how, a, ep, &block));
		blocked_say(names[how]);
	}
}

const struct test mixed_tests[] = {
	{ "mixed_poll", mixed_poll },
	{ "mixed_wakes", mixed_wakes },
	{ "mixed_select", mixed_select },
	{ "timeouts", timeouts },
	{ "masks", masks },
	{ NULL, NULL },
};
