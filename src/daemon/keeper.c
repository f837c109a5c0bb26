/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.c - Holds descriptors, hears hang-ups, forks daemons.
 *
 * Theory of operation. Everything that a daemon's death must not undo is
 * held here: the listening socket, clients' control sockets and pidfds,
 * memfds, bells, and the far ends of handles. The daemon is a forked child.
 * When it dies, for whatever reason, the next one inherits all of that
 * through fork(), reads the table, and goes on; no client notices but by a
 * CTL_RESTARTED.
 *
 * Far ends beyond what the keeper may hold are its wards' (ward.c).
 *
 * The keeper does no work that a client could make go wrong: it reads
 * nothing that a client writes but bytes to be thrown away, and maps no
 * client's memory.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/keeper.h"
#include "daemon/link.h"
#include "daemon/log.h"
#include "daemon/shares.h"

#define KEEPER_EVENTS 256
#define BACKOFF_FIRST_NS (10 * NS_PER_MS)
#define BACKOFF_MAX_NS (5 * NS_PER_SEC)
#define BACKOFF_QUICK_NS NS_PER_SEC /* a daemon that dies younger died at once */
#define TERM_PATIENCE_NS (3 * NS_PER_SEC)

/* Event data that is not a far end's: no descriptor has this number. See also DATA_WARD. */
#define DATA_LINK (~0ull)
#define DATA_KICK (~0ull - 1)
#define DATA_CHILD (~0ull - 2)
#define DATA_SIGNAL (~0ull - 3)

/**
 * struct nursery - The daemon that runs, or when the next one will.
 * @pid:      0: none now.
 * @due_ns:   When to fork the next one.
 * @quick:    Daemons in a row that died at once.
 * @leave:    The domain ends. @failed: Because it could not begin.
 * @term_ns:  When SIGTERM came, or 0.
 */
struct nursery {
	pid_t pid;
	int pidfd;
	uint64_t born_ns;
	uint64_t due_ns;
	unsigned quick;
	bool leave, failed;
	uint64_t term_ns;
};

static void keeper_watch(int epfd, int fd, uint64_t data)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = data };

	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
}

static void keeper_unwatch(int epfd, int fd)
{
	epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

/* ------------------------------------------------------------ the daemon */

static _Noreturn void child_run(struct keeper *k, int sigfd, void (*daemon)(struct keeper *k))
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((uint32_t)getppid() != k->table->keeper_pid)
		_exit(1);
	signal(SIGINT, SIG_IGN); /* A terminal's: the keeper hears it too. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(sigfd);
	close(k->lock_fd);
	close(k->epfd);
	close(k->ready_fd);
	close(k->said_fd);
	wards_forget(&k->wards);
	daemon(k);
	_exit(1);
}

static void nursery_fork(struct nursery *n, struct keeper *k, int sigfd,
			 void (*daemon)(struct keeper *k))
{
	int fds[2];

	n->due_ns = clock_now_ns() + BACKOFF_MAX_NS;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
		log_line("no socket pair for a daemon: %s", strerror(errno));
		return;
	}
	n->pid = fork();
	if (n->pid == 0) {
		close(fds[0]);
		k->link = fds[1];
		child_run(k, sigfd, daemon);
	}
	close(fds[1]);
	if (n->pid < 0) {
		log_line("cannot fork a daemon: %s", strerror(errno));
		close(fds[0]);
		n->pid = 0;
		return;
	}
	n->pidfd = pidfd_open(n->pid, 0);
	n->born_ns = clock_now_ns();
	k->link = fds[0];
	keeper_watch(k->epfd, k->link, DATA_LINK);
	keeper_watch(k->epfd, n->pidfd, DATA_CHILD);
}

/* -------------------------------------------------------------- the link */

static void keeper_started(struct keeper *k, struct nursery *n, int error)
{
	if (!k->started)
		return;
	k->started(k, error);
	k->started = NULL;
	n->failed = n->leave = error != 0;
}

static void kept_drop(struct keeper *k, unsigned party, unsigned kind)
{
	int fd = keeper_fd(k, party, kind);

	if (fd < 0)
		return;
	close(fd);
	k->kept[party][kind] = 0;
	atomic_fetch_sub(&k->table->kept_count, 1);
}

static void kept_put(struct keeper *k, unsigned party, unsigned kind, int fd)
{
	kept_drop(k, party, kind);
	k->kept[party][kind] = fd + 1;
	atomic_fetch_add(&k->table->kept_count, 1);
}

static void link_make(struct keeper *k, struct link_msg *m)
{
	int near[CTL_HANDLE_BATCH];

	wards_make(&k->wards, m, near);
	/* Where the daemon is gone by now these hang up, and are recycled. */
	link_send(k->link, m, near, m->count);
	for (unsigned i = 0; i < m->count; i++)
		close(near[i]);
}

/* Accepted here, a connection is held before any daemon can die of it. */
static void link_accept(struct keeper *k, struct link_msg *m)
{
	int fd = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	m->error = fd < 0 ? -errno : 0;
	if (fd >= 0)
		kept_put(k, m->party, KEPT_CTL, fd);
	link_send(k->link, m, &fd, fd >= 0);
}

/* Serve one record. Return: false at the end. */
static bool link_serve(struct keeper *k, struct nursery *n)
{
	struct link_msg m;
	unsigned nfds = 1;
	int fd = -1;

	if (link_recv(k->link, &m, &fd, &nfds) < 0)
		return false;
	if (m.party >= PARTY_MAX) {
		if (nfds)
			close(fd);
		return true;
	}
	switch (m.op) {
	case LINK_MAKE:
		link_make(k, &m);
		break;
	case LINK_ACCEPT:
		link_accept(k, &m);
		break;
	case LINK_HEAR:
		wards_hear(&k->wards, &m);
		link_send(k->link, &m, NULL, 0);
		break;
	case LINK_KEEP:
		if (nfds && m.kind < KEPT_COUNT) {
			kept_put(k, m.party, m.kind, fd);
			return true;
		}
		break;
	case LINK_DROP:
		for (unsigned i = 0; i < KEPT_COUNT; i++)
			if (m.kinds & 1u << i)
				kept_drop(k, m.party, i);
		break;
	case LINK_SHARE:
	case LINK_UNSHARE:
		if (shares_link(k, &m, nfds ? fd : -1))
			return true;
		break;
	case LINK_LEAVE:
		n->leave = true;
		break;
	case LINK_STARTED:
		keeper_started(k, n, m.error);
		break;
	}
	if (nfds)
		close(fd);
	return true;
}

/* The daemon is gone: take what it had still told us, and plan the next. */
static void nursery_bury(struct nursery *n, struct keeper *k)
{
	uint64_t now = clock_now_ns(), wait = BACKOFF_FIRST_NS;
	struct pollfd pfd = { .fd = k->link, .events = POLLIN };
	int status = 0;

	/* Each record was sent before the death: there is an end. */
	while (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLIN))
		if (!link_serve(k, n))
			break;
	waitpid(n->pid, &status, 0);
	keeper_started(k, n, -ECHILD);
	keeper_unwatch(k->epfd, k->link);
	keeper_unwatch(k->epfd, n->pidfd);
	k->link = -1;
	if (!n->leave)
		log_line("daemon %d died (%s %d)", (int)n->pid,
			 WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	n->pid = 0;
	n->quick = now - n->born_ns < BACKOFF_QUICK_NS ? n->quick + 1 : 0;
	for (unsigned i = 1; i < n->quick && wait < BACKOFF_MAX_NS; i++)
		wait *= 2;
	n->due_ns = n->quick ? now + (wait < BACKOFF_MAX_NS ? wait : BACKOFF_MAX_NS) : now;
}

/* -------------------------------------------------------------- the loop */

static int keeper_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void eventfd_kick(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* Full: it is readable, which is all that is asked. */
}

static void eventfd_drain(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
}

static void keeper_event(struct keeper *k, struct nursery *n, int sigfd,
			 const struct epoll_event *ev)
{
	uint64_t data = ev->data.u64;
	struct signalfd_siginfo si;

	switch (data) {
	case DATA_LINK:
		for (int i = 0; i < 64 && k->link >= 0; i++) {
			struct pollfd pfd = { .fd = k->link, .events = POLLIN };

			if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLIN))
				break;
			if (!link_serve(k, n)) {
				nursery_bury(n, k);
				break;
			}
		}
		break;
	case DATA_CHILD:
		if (n->pid)
			nursery_bury(n, k);
		break;
	case DATA_KICK:
		eventfd_drain(k->to_keeper);
		wards_reap(&k->wards);
		break;
	case DATA_SIGNAL:
		if (read(sigfd, &si, sizeof(si)) != sizeof(si))
			break;
		if (n->term_ns)
			n->leave = true; /* Asked twice. */
		n->term_ns = clock_now_ns();
		store_release(&k->table->term, 1);
		eventfd_kick(k->to_daemon);
		break;
	default:
		if (data >= DATA_WARD)
			wards_hung_up(&k->wards, (unsigned)(data - DATA_WARD));
		else
			pairs_event(&k->wards.own, (int)data, ev->events);
	}
}

static int keeper_timeout_ms(const struct nursery *n, uint64_t now)
{
	uint64_t at = 0;

	if (!n->pid)
		at = n->due_ns;
	else if (n->term_ns)
		at = n->term_ns + TERM_PATIENCE_NS;
	else
		return -1;
	return at <= now ? 0 : (int)((at - now) / NS_PER_MS) + 1;
}

int keeper_run(struct keeper *k, void (*daemon)(struct keeper *k))
{
	struct epoll_event events[KEEPER_EVENTS];
	struct nursery n = { 0 };
	int sigfd = keeper_signals();
	size_t bytes = sizeof(k->kept[0]) * PARTY_MAX;
	void *kept = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	k->link = -1;
	k->epfd = epoll_create1(EPOLL_CLOEXEC);
	k->to_daemon = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->to_keeper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->epfd < 0 || sigfd < 0 || kept == MAP_FAILED || k->to_daemon < 0 ||
	    k->to_keeper < 0) {
		log_line("keeper cannot start: %s", strerror(errno));
		return 1;
	}
	k->kept = kept;
	wards_init(&k->wards, k->table, k->epfd, k->to_daemon);
	keeper_watch(k->epfd, k->to_keeper, DATA_KICK);
	keeper_watch(k->epfd, sigfd, DATA_SIGNAL);
	/* A network takes more: its daemon says so. */
	if (!*k->table->net.tap)
		keeper_started(k, &n, 0);
	while (!n.leave && !k->wards.lost) {
		uint64_t now = clock_now_ns();
		uint32_t tail = load_relaxed(&k->wards.own.holder->tail);
		int got;

		if (!n.pid && n.term_ns)
			break;
		if (!n.pid && now >= n.due_ns)
			nursery_fork(&n, k, sigfd, daemon);
		if (n.pid && n.term_ns && now >= n.term_ns + TERM_PATIENCE_NS) {
			log_line("daemon does not leave: ended");
			kill(n.pid, SIGKILL);
			break;
		}
		got = epoll_wait(k->epfd, events, KEEPER_EVENTS, keeper_timeout_ms(&n, now));
		for (int i = 0; i < got; i++)
			keeper_event(k, &n, sigfd, &events[i]);
		if (load_relaxed(&k->wards.own.holder->tail) != tail)
			eventfd_kick(k->to_daemon);
	}
	/* LINK_LEAVE is a daemon's last act; whoever was told to leave and did
	 * not has had its time. */
	if (n.pid) {
		kill(n.pid, SIGKILL);
		waitpid(n.pid, NULL, 0);
	}
	return k->wards.lost || n.failed;
}
