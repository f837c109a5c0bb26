/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ward.c - A process can have RLIMIT_NOFILE descriptors, and each socket of
 * ours costs the domain one: the far end of its handle.
 *
 * Theory of operation. The keeper holds far ends until it has as many as it
 * may. Then it forks a ward, which does nothing but hold far ends and hear
 * them hang up, and another when that one is full. A ward makes the pairs that
 * it holds, when the keeper says so over a link of theirs; the near ends come
 * back in the reply. What hung up it writes into a ring of its own in the
 * table (struct holder), and rings the daemon. So the keeper has no part in
 * it, and the daemon looks at as many rings as there are holders.
 *
 * Only the process that the keeper waits for makes pairs: a party's numbers
 * have one writer at a time. The keeper waits for a ward, a ward for nobody.
 *
 * Ends. The keeper's: the link ends, and the parent-death signal comes, so no
 * ward is left. A ward's: as nobody else heard what it was to hear, processes
 * could die and their peers wait for ever. There is a state of affairs in
 * which programs look for their peers' deaths themselves: that without a
 * keeper. So the keeper says what happened and leaves, and a ward's death is the
 * keeper's: established connections go on, new ones are the kernel's.
 * A ward that has become empty stays: to end it would be to make it again.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/ward.h"

#define WARD_EVENTS 256
#define WARD_RETRY_NS NS_PER_SEC
#define WARD_LINK (~0ull)
#define WARD_BATCH 16u /* fewer at a time are not worth the asking */
#define NO_HOLDER HOLDER_MAX

/* -------------------------------------------------------- in the ward */

/* All that the keeper had, but for its log. */
static void ward_close_others(int link, int to_daemon)
{
	int keep[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, log_fd(), link, to_daemon };
	unsigned next = 0;

	for (;;) {
		int least = -1;

		for (size_t i = 0; i < ARRAY_LEN(keep); i++)
			if (keep[i] >= (int)next && (least < 0 || keep[i] < least))
				least = keep[i];
		if (least < 0)
			break;
		if ((unsigned)least > next)
			close_range(next, (unsigned)least - 1, 0);
		next = (unsigned)least + 1;
	}
	close_range(next, ~0u, 0);
}

static void ward_answer(struct pairs *p, int link)
{
	int near[CTL_HANDLE_BATCH], made;
	struct link_msg m;
	unsigned nfds = 0;

	if (link_recv(link, &m, NULL, &nfds) < 0)
		_exit(0);
	if (m.op == LINK_HEAR) {
		m.error = pairs_hear(p, m.party, m.count) ? 0 : -ESRCH;
		if (link_send(link, &m, NULL, 0) < 0)
			_exit(1);
		return;
	}
	made = pairs_make(p, m.party, m.count, m.ids, near);
	m.error = made < 0 ? made : 0;
	m.count = made < 0 ? 0 : (uint32_t)made;
	if (link_send(link, &m, near, m.count) < 0)
		_exit(1);
	for (unsigned i = 0; i < m.count; i++)
		close(near[i]);
}

static _Noreturn void ward_run(struct table *t, unsigned number, int link, int to_daemon)
{
	struct epoll_event events[WARD_EVENTS];
	static struct pairs p;
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = WARD_LINK };
	int epfd;

	/* The keeper's signals stay blocked: SIGTERM is for the keeper. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((uint32_t)getppid() != t->keeper_pid)
		_exit(1);
	prctl(PR_SET_NAME, "mortised-ward");
	ward_close_others(link, to_daemon);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, link, &ev) != 0) {
		log_line("ward %u cannot start: %s", number, strerror(errno));
		_exit(1);
	}
	pairs_init(&p, t, number, epfd);
	for (;;) {
		uint32_t tail = load_relaxed(&p.holder->tail);
		uint64_t one = 1;
		int got = epoll_wait(epfd, events, WARD_EVENTS, -1);

		for (int i = 0; i < got; i++)
			if (events[i].data.u64 == WARD_LINK)
				ward_answer(&p, link);
			else
				pairs_event(&p, (int)events[i].data.u64, events[i].events);
		if (load_relaxed(&p.holder->tail) != tail &&
		    write(to_daemon, &one, sizeof(one)) < 0)
			continue; /* Full: it is readable, which is all that is asked. */
	}
}

/* ------------------------------------------------------ in the keeper */

void wards_init(struct wards *w, struct table *t, int epfd, int to_daemon)
{
	pairs_init(&w->own, t, 0, epfd);
	w->to_daemon = to_daemon;
	store_release(&t->holder_count, 1);
}

/* Return: 0, or -errno. */
static int ward_fork(struct wards *w, unsigned number)
{
	struct table *t = w->own.table;
	struct epoll_event ev = { .data.u64 = DATA_WARD + number }; /* EPOLLHUP always */
	int fds[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return -errno;
	pid = epoll_ctl(w->own.epfd, EPOLL_CTL_ADD, fds[0], &ev) == 0 ? fork() : -1;
	if (pid == 0)
		ward_run(t, number, fds[1], w->to_daemon);
	err = errno;
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -err;
	}
	w->of[number] = (struct ward){ .pid = pid, .link = fds[0] };
	t->holders[number].max = t->ward_max;
	store_release(&t->holder_count, number + 1);
	log_line("ward %u is process %d: %u far ends are held", number, (int)pid,
		 load_relaxed(&t->handle_count));
	return 0;
}

/* Who has room for enough of them; or for any, once there can be no other. */
static unsigned wards_choose(struct wards *w, unsigned want)
{
	struct table *t = w->own.table;
	unsigned count = load_relaxed(&t->holder_count), some = NO_HOLDER;
	unsigned enough = want < WARD_BATCH ? want : WARD_BATCH;
	int r;

	for (unsigned i = 0; i < count; i++) {
		const struct holder *h = &t->holders[i];
		uint32_t held = load_relaxed(&h->held);

		if (held < h->max && h->max - held >= enough)
			return i;
		if (held < h->max && some == NO_HOLDER)
			some = i;
	}
	if (count == HOLDER_MAX || clock_now_ns() < w->retry_ns)
		return some;
	r = ward_fork(w, count);
	if (r == 0)
		return count;
	w->retry_ns = clock_now_ns() + WARD_RETRY_NS;
	log_line("cannot fork a ward: %s", strerror(-r));
	return some;
}

static void ward_ask(struct wards *w, unsigned number, struct link_msg *m, int *near)
{
	int link = w->of[number].link;
	unsigned n = CTL_HANDLE_BATCH;

	if (link_send(link, m, NULL, 0) < 0 || link_recv(link, m, near, &n) < 0) {
		wards_hung_up(w, number);
		m->error = -EPIPE;
		m->count = 0;
		return;
	}
	if (m->op == LINK_HEAR || n == m->count)
		return;
	/* We had no room for them. These hang up now, and are recycled. */
	for (unsigned i = 0; i < n; i++)
		close(near[i]);
	m->error = -EMFILE;
	m->count = 0;
}

void wards_make(struct wards *w, struct link_msg *m, int *near)
{
	unsigned number;
	int made = -EMFILE;

	if (m->count > CTL_HANDLE_BATCH)
		m->count = CTL_HANDLE_BATCH;
	number = wards_choose(w, m->count);
	if (number != 0 && number != NO_HOLDER) {
		ward_ask(w, number, m, near);
		return;
	}
	if (number == 0)
		made = pairs_make(&w->own, m->party, m->count, m->ids, near);
	m->error = made < 0 ? made : 0;
	m->count = made < 0 ? 0 : (uint32_t)made;
}

void wards_hear(struct wards *w, struct link_msg *m)
{
	unsigned count = load_relaxed(&w->own.table->holder_count);
	uint32_t handle = m->count;
	int near[CTL_HANDLE_BATCH];

	m->error = pairs_hear(&w->own, m->party, handle) ? 0 : -ESRCH;
	for (unsigned i = 1; i < count && m->error && !w->lost; i++) {
		m->count = handle;
		ward_ask(w, i, m, near);
	}
}

void wards_reap(struct wards *w)
{
	struct table *t = w->own.table;

	for (unsigned i = 0; i < load_relaxed(&t->holder_count); i++) {
		struct holder *h = &t->holders[i];

		while (w->reaped[i] != load_acquire(&h->head)) {
			uint32_t entry = h->hung[w->reaped[i]++ % HUNG_RING];

			atomic_fetch_sub(&h->held, 1);
			atomic_fetch_sub(&t->handle_count, 1);
			store_release(&t->handles[entry >> 16][entry & 0xffff], HANDLE_FREE);
		}
	}
}

void wards_hung_up(struct wards *w, unsigned number)
{
	struct holder *h = &w->own.table->holders[number];
	int status = 0;

	if (w->lost)
		return;
	w->lost = true;
	/* It may be about to die of a link that it cannot use. */
	kill(w->of[number].pid, SIGKILL);
	waitpid(w->of[number].pid, &status, 0);
	log_line("ward %u (process %d) died (%s %d) with %u far ends: the keeper leaves, "
		 "connections go on without it", number, (int)w->of[number].pid,
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		 load_relaxed(&h->held));
}

void wards_forget(struct wards *w)
{
	pairs_forget(&w->own);
	for (unsigned i = 1; i < load_relaxed(&w->own.table->holder_count); i++)
		close(w->of[i].link);
}
