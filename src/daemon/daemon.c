/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.c - The loop, its start from the table, and its end.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/addrs.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/shares.h"
#include "daemon/wire.h"

#define DAEMON_EVENTS 128
#define ESTATE_PAUSE_NS (20 * NS_PER_MS) /* between two sweeps that were asked for */
#define ESTATE_PERIOD_NS NS_PER_SEC      /* between two where nobody asked */

void daemon_watch(struct daemon *d, int fd, enum watch what, unsigned id, uint32_t events)
{
	uint32_t gen = id ? daemon_rec(d, id)->gen : 0;
	struct epoll_event ev = {
		.events = events,
		.data.u64 = (uint64_t)what << 60 | (uint64_t)gen << 16 | id,
	};

	if (epoll_ctl(d->epfd, EPOLL_CTL_ADD, fd, &ev) != 0)
		log_line("cannot watch: %s", strerror(errno));
}

void daemon_unwatch(struct daemon *d, int fd)
{
	epoll_ctl(d->epfd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---------------------------------------------------------------- keeper */

static _Noreturn void daemon_orphaned(void)
{
	log_line("the keeper is gone: so is the domain");
	_exit(1);
}

void daemon_link(struct daemon *d, const struct link_msg *m, const int *fds, unsigned nfds)
{
	if (link_send(d->k->link, m, fds, nfds) < 0)
		daemon_orphaned();
}

int daemon_link_make(struct daemon *d, unsigned id, unsigned count, uint32_t *ids, int *near)
{
	struct link_msg m = { .op = LINK_MAKE, .party = id, .count = count };
	unsigned n = CTL_HANDLE_BATCH;

	daemon_link(d, &m, NULL, 0);
	if (link_recv(d->k->link, &m, near, &n) < 0)
		daemon_orphaned();
	if (m.error || n == 0 || n != m.count) {
		for (unsigned i = 0; i < n; i++)
			close(near[i]);
		return m.error ? m.error : -EMFILE;
	}
	memcpy(ids, m.ids, n * sizeof(ids[0]));
	return (int)n;
}

void daemon_link_hear(struct daemon *d, unsigned id, unsigned handle)
{
	struct link_msg m = { .op = LINK_HEAR, .party = id, .count = handle };
	unsigned n = 0;

	daemon_link(d, &m, NULL, 0);
	if (link_recv(d->k->link, &m, NULL, &n) < 0)
		daemon_orphaned();
}

int daemon_link_accept(struct daemon *d, unsigned id)
{
	struct link_msg m = { .op = LINK_ACCEPT, .party = id };
	unsigned n = 1;
	int fd = -1;

	daemon_link(d, &m, NULL, 0);
	if (link_recv(d->k->link, &m, &fd, &n) < 0)
		daemon_orphaned();
	if (m.error)
		return m.error;
	if (n == 0)
		return -EMFILE; /* The keeper had room for it, we had none. */
	d->k->kept[id][KEPT_CTL] = fd + 1;
	return fd;
}

/* The socket's name goes away first; whoever came in before that is served. */
static bool daemon_close_door(struct daemon *d)
{
	struct pollfd pfd = { .fd = d->k->listen_fd, .events = POLLIN };
	char door[PATH_MAX], aside[PATH_MAX];

	/* Whoever comes too late has us started again: the service manager listens, too. */
	if (d->t->activated)
		return poll(&pfd, 1, 0) != 1;
	if (snprintf(door, sizeof(door), "%s/ctl", d->k->dir) >= (int)sizeof(door) ||
	    snprintf(aside, sizeof(aside), "%s/ctl.leaving", d->k->dir) >= (int)sizeof(aside))
		return true;
	rename(door, aside);
	if (poll(&pfd, 1, 0) == 1) {
		rename(aside, door);
		return false;
	}
	return true;
}

static _Noreturn void daemon_end(struct daemon *d)
{
	struct link_msg m = { .op = LINK_LEAVE };

	daemon_link(d, &m, NULL, 0);
	_exit(0);
}

void daemon_leave(struct daemon *d, bool force)
{
	log_line("leaving%s", force ? ", connections are ended" : "");
	wire_leave(d);
	/* All of them first: one that sees its peer's end may close at once. */
	for (unsigned id = 1; force && id < d->t->rec_high; id++)
		if (daemon_state(d, id) >= REC_ALIVE)
			estate_reset_all(d, id);
	for (unsigned id = 1; force && id < d->t->rec_high; id++)
		if (daemon_state(d, id) >= REC_ALIVE)
			estate_execute_all(d, id);
	daemon_end(d);
}

/* Nobody is here, and nothing is kept for anybody. */
static void daemon_idle(struct daemon *d, uint64_t now)
{
	if (d->idle_since_ns == 0) {
		d->idle_since_ns = now;
		return;
	}
	if (now - d->idle_since_ns < d->t->linger_ns)
		return;
	if (!daemon_close_door(d)) {
		d->idle_since_ns = now;
		return;
	}
	log_line("leaving: unused");
	daemon_end(d);
}

/* ------------------------------------------------------------------ loop */

static void daemon_event(struct daemon *d, const struct epoll_event *ev)
{
	uint64_t data = ev->data.u64, count;
	unsigned id = (unsigned)(data & 0xffff);
	uint32_t gen = (uint32_t)(data >> 16);
	struct pollfd pfd;

	switch ((enum watch)(data >> 60)) {
	case WATCH_CTL:
		if (id >= PARTY_MAX || daemon_rec(d, id)->gen != gen)
			return;
		if (ev->events & EPOLLIN)
			serve_readable(d, id);
		else if (ev->events & EPOLLOUT)
			serve_writable(d, id);
		else
			clients_gone(d, id);
		return;
	case WATCH_PIDFD:
		if (id >= PARTY_MAX || daemon_rec(d, id)->gen != gen)
			return;
		/* What it said before it died counts. */
		serve_readable(d, id);
		clients_gone(d, id);
		return;
	case WATCH_LISTEN:
		clients_accept(d);
		return;
	case WATCH_LINK:
		/* Replies are taken where they are asked for: this is the end. */
		pfd = (struct pollfd){ .fd = d->k->link, .events = POLLIN };
		if (poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLHUP | POLLERR)))
			daemon_orphaned();
		return;
	case WATCH_KICK:
		if (read(d->k->to_daemon, &count, sizeof(count)) < 0)
			return;
		return;
	case WATCH_BELL:
		service_event(d);
		return;
	case WATCH_WIRE_BELL:
	case WATCH_TAP:
		wire_event(d, (enum watch)(data >> 60));
		return;
	case WATCH_ADDRS:
		addrs_event(d->addrs_fd, d->reg);
		return;
	}
}

/* What is kept for somebody. */
static void daemon_census(const struct daemon *d, unsigned *ret_here, unsigned *ret_estates)
{
	unsigned here = 0, estates = 0;

	for (unsigned id = 1; id < d->t->rec_high; id++) {
		enum rec_state s = daemon_state(d, id);

		here += (s == REC_CONN || s == REC_ALIVE) && !d->t->recs[id].service;
		estates += s == REC_DEAD;
	}
	*ret_here = here;
	*ret_estates = estates;
}

/* Between two sleeps. Return: how long the next may be, in milliseconds. */
static int daemon_housekeeping(struct daemon *d)
{
	bool more = estate_hangups(d);
	uint32_t done = load_relaxed(&d->t->hung_done);
	uint64_t now = clock_now_ns(), until = 0, one = 1;
	unsigned here, estates;

	if (done != d->done_told && write(d->k->to_keeper, &one, sizeof(one)) == sizeof(one))
		d->done_told = done;
	if (load_acquire(&d->t->term))
		daemon_leave(d, true);
	if ((d->estates_dirty && now + ESTATE_PERIOD_NS >= d->estates_due_ns + ESTATE_PAUSE_NS) ||
	    now >= d->estates_due_ns) {
		estate_sweep(d);
		service_tick(d);
		wire_tick(d);
		d->estates_due_ns = now + ESTATE_PERIOD_NS;
		if (d->listen_paused) {
			d->listen_paused = false;
			daemon_watch(d, d->k->listen_fd, WATCH_LISTEN, 0, EPOLLIN);
		}
	}
	if (more)
		return 0;
	daemon_census(d, &here, &estates);
	if (here == 0 && estates == 0) {
		daemon_idle(d, now);
		until = d->idle_since_ns + d->t->linger_ns;
	} else {
		d->idle_since_ns = 0;
	}
	if (estates || d->listen_paused) {
		uint64_t due = d->estates_due_ns;

		if (d->estates_dirty)
			due = due - ESTATE_PERIOD_NS + ESTATE_PAUSE_NS;
		until = until && until < due ? until : due;
	}
	if (until == 0)
		return -1;
	now = clock_now_ns();
	return until <= now ? 0 : (int)((until - now) / NS_PER_MS) + 1;
}

static _Noreturn void daemon_loop(struct daemon *d)
{
	struct epoll_event events[DAEMON_EVENTS];

	for (;;) {
		int timeout = daemon_housekeeping(d), wire = wire_prepare(d), n;

		if (!service_prepare(d))
			timeout = 0;
		if (wire >= 0 && (timeout < 0 || wire < timeout))
			timeout = wire;
		n = epoll_wait(d->epfd, events, DAEMON_EVENTS, timeout);
		service_woken(d);
		for (int i = 0; i < n; i++)
			daemon_event(d, &events[i]);
		wire_woken(d);
	}
}

/* ----------------------------------------------------------------- start */

static struct party *daemon_executor(const struct daemon *d)
{
	struct party *p;
	int arena, mbox;

	p = party_create("mortised", &arena, &mbox);
	if (!p)
		return NULL;
	close(arena);
	close(mbox);
	party_admit(p, 0, d->t->daemon_starts, d->reg, NULL, NULL);
	/* It is introduced to nobody: whom it does not know is gone. */
	p->inherited = true;
	return p;
}

/* A domain that is to have a network is none without: where it was there before, the next daemon
 * tries again. */
static void daemon_network(struct daemon *d)
{
	struct link_msg m = { .op = LINK_STARTED };

	if (!*d->t->net.tap)
		return;
	m.error = wire_start(d);
	daemon_link(d, &m, NULL, 0);
	if (m.error)
		_exit(1);
}

void daemon_main(struct keeper *k)
{
	struct daemon *d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct table *t = k->table;

	if (d == MAP_FAILED)
		_exit(1);
	d->k = k;
	d->t = t;
	d->reg = k->registry;
	t->daemon_pid = (uint32_t)getpid();
	t->daemon_starts++;
	/* The last daemon may have died before it told the keeper. */
	d->done_told = load_relaxed(&t->hung_done) - 1;
	srand((unsigned)clock_now_ns());
	store_release(&d->reg->daemon_starts, t->daemon_starts);
	d->exec = daemon_executor(d);
	d->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!d->exec || d->epfd < 0) {
		log_line("daemon cannot start: %s", strerror(errno));
		_exit(1);
	}
	registry_party_set(d->reg, 0, t->daemon_starts, PARTY_ALIVE, t->daemon_pid,
			   (uint32_t)geteuid());
	log_line(t->daemon_starts == 1 ? "started: domain %s, policy %s"
				       : "restarted: domain %s, policy %s",
		 t->domain, t->policy == POLICY_NET ? "net" :
			    t->policy == POLICY_NONE ? "none" : "share");
	/* Memory first, for all: executing one needs its peers. */
	for (unsigned id = 1; id < t->rec_high; id++)
		if (daemon_state(d, id) >= REC_ALIVE && clients_map(d, id) < 0)
			log_line("party %u: its memory cannot be mapped again", id);
	for (unsigned id = 1; id < t->rec_high; id++)
		clients_rebuild(d, id);
	shares_sweep(d);
	shares_ring(d); /* for those whose death the last daemon did not finish */
	ports_repair(d);
	/* With a network of its own, the domain is another host. */
	d->addrs_fd = t->policy == POLICY_NET ? -1 : addrs_start(d->reg);
	if (d->addrs_fd >= 0)
		daemon_watch(d, d->addrs_fd, WATCH_ADDRS, 0, EPOLLIN);
	daemon_watch(d, k->listen_fd, WATCH_LISTEN, 0, EPOLLIN);
	daemon_watch(d, k->to_daemon, WATCH_KICK, 0, EPOLLIN);
	daemon_watch(d, k->link, WATCH_LINK, 0, EPOLLIN);
	if (t->test_services)
		service_start(d);
	daemon_network(d);
	daemon_loop(d);
}
