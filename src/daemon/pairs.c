/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.c - A handle is the near end of an AF_UNIX stream pair; a holder has the
 * far end. It hangs up when the last copy of the near end is gone, through
 * dup, fork, exec, descriptor passing and SIGKILL.
 *
 * A far end is bound to an abstract name, "\0mortise/NETNS/DOMAIN/PARTY/NUMBER",
 * which getpeername() on the near end shows: so a fresh process image knows a
 * handle when it meets one. Where someone else sits on that name (another
 * directory's domain of the same name does), a sixth part makes it unique.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "daemon/log.h"
#include "daemon/pairs.h"

#define PAIRS_JUNK_BYTES 65536u

void pairs_init(struct pairs *p, struct table *t, unsigned number, int epfd)
{
	p->table = t;
	p->holder = &t->holders[number];
	p->epfd = epfd;
	memset(p->far, 0, sizeof(p->far));
}

static int pair_bind(const struct table *t, int fd, unsigned party, unsigned handle)
{
	static unsigned nonce;

	for (int try = 0; try < 64; try++) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "mortise/%llu/%s/%u/%u",
				 (unsigned long long)t->netns, t->domain, party, handle);

		if (try > 0)
			n += snprintf(un.sun_path + 1 + n, sizeof(un.sun_path) - 1 - (size_t)n,
				      "/%u.%u", t->keeper_pid, nonce++);
		if (bind(fd, (struct sockaddr *)&un,
			 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

/* Make one pair under number @handle. */
static int pair_make(struct pairs *p, unsigned party, unsigned handle, int *ret_near)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP };
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return -errno;
	ev.data.u64 = (unsigned)fds[0];
	r = (unsigned)fds[0] < HOLDER_FDS ? pair_bind(p->table, fds[0], party, handle) : -EMFILE;
	if (r == 0 && epoll_ctl(p->epfd, EPOLL_CTL_ADD, fds[0], &ev) != 0)
		r = -errno;
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	p->far[fds[0]] = (party << 16 | handle) + 1;
	/* Proof of possession, see shares.c. */
	getsockopt(fds[1], SOL_SOCKET, SO_COOKIE, &cookie, &len);
	store_relaxed(&p->table->cookies[party][handle], cookie);
	FAULT_POINT("keeper.pair");
	store_release(&p->table->handles[party][handle], HANDLE_LIVE);
	*ret_near = fds[1];
	return 0;
}

int pairs_make(struct pairs *p, unsigned party, unsigned count, uint32_t *ids, int *near)
{
	struct table *t = p->table;
	unsigned made = 0;
	int r = -EMFILE;

	for (unsigned h = 0; h < CLIENT_HANDLES && made < count; h++) {
		if (load_acquire(&t->handles[party][h]) != HANDLE_FREE)
			continue;
		if (load_relaxed(&p->holder->held) >= p->holder->max)
			break;
		r = pair_make(p, party, h, &near[made]);
		if (r < 0)
			break;
		if (h >= load_relaxed(&t->handle_high[party]))
			store_relaxed(&t->handle_high[party], h + 1);
		atomic_fetch_add(&p->holder->held, 1);
		atomic_fetch_add(&t->handle_count, 1);
		ids[made++] = h;
	}
	return made ? (int)made : r;
}

/* An unaccelerated program wrote to its handle: nobody will ever read that. */
static void pair_discard(int fd)
{
	static char junk[PAIRS_JUNK_BYTES];

	for (int i = 0; i < 4; i++)
		if (recv(fd, junk, sizeof(junk), MSG_DONTWAIT) < (ssize_t)sizeof(junk))
			return;
}

static bool pair_hung(int fd)
{
	struct pollfd pfd = { .fd = fd };

	return poll(&pfd, 1, 0) == 1;
}

void pairs_event(struct pairs *p, int fd, uint32_t events)
{
	uint32_t entry = p->far[fd] - 1, tail;
	unsigned party = entry >> 16, handle = entry & 0xffff;

	/* pairs_hear() may have been faster, and the number another far end's by now. */
	if (p->far[fd] == 0 || (events & (EPOLLHUP | EPOLLERR) && !pair_hung(fd)))
		return;
	if (!(events & (EPOLLHUP | EPOLLERR))) {
		pair_discard(fd);
		if (events & EPOLLRDHUP) {
			/* A raw shutdown(SHUT_WR): readable for ever, but not
			 * closed. Hear only the hang-up from now on. */
			struct epoll_event ev = { .data.u64 = (unsigned)fd };

			epoll_ctl(p->epfd, EPOLL_CTL_MOD, fd, &ev);
		}
		return;
	}
	/* By name: a daemon that was just forked may have a copy still. */
	epoll_ctl(p->epfd, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
	p->far[fd] = 0;
	/* The number is not free: the daemon is to say that it is done. Its
	 * word is not waited for here, it may be dead. */
	store_release(&p->table->handles[party][handle], HANDLE_HUNG);
	FAULT_POINT("keeper.hung");
	tail = load_relaxed(&p->holder->tail);
	p->holder->hung[tail % HUNG_RING] = entry;
	store_release(&p->holder->tail, tail + 1);
}

bool pairs_hear(struct pairs *p, unsigned party, unsigned handle)
{
	for (unsigned fd = 0; fd < HOLDER_FDS; fd++) {
		if (p->far[fd] != (party << 16 | handle) + 1)
			continue;
		if (pair_hung((int)fd))
			pairs_event(p, (int)fd, EPOLLHUP);
		return true;
	}
	return false;
}

void pairs_forget(struct pairs *p)
{
	for (unsigned fd = 0; fd < HOLDER_FDS; fd++)
		if (p->far[fd])
			close((int)fd);
}
