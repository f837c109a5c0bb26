/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.c - A handle is the near end of an AF_UNIX stream pair; we hold the
 * far end. It hangs up when the last copy of the near end is gone, through
 * dup, fork, exec, descriptor passing and SIGKILL.
 *
 * A far end is bound to an abstract name, "\0mortise/NETNS/DOMAIN/PARTY/NUMBER",
 * which getpeername() on the near end shows: so a fresh process image knows a
 * handle when it meets one. Where someone else sits on that name (another
 * directory's domain of the same name does), a sixth part makes it unique.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "daemon/log.h"
#include "daemon/pairs.h"

#define PAIRS_JUNK_BYTES 65536u

int pairs_init(struct pairs *p, struct table *t, int epfd)
{
	/* Sparse: only the pages of parties that have handles exist. */
	size_t bytes = sizeof(p->far[0]) * PARTY_MAX;
	size_t high_bytes = sizeof(p->high[0]) * PARTY_MAX;
	void *far, *high;

	far = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (far == MAP_FAILED)
		return -errno;
	high = mmap(NULL, high_bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (high == MAP_FAILED) {
		munmap(far, bytes);
		return -ENOMEM;
	}
	p->table = t;
	p->epfd = epfd;
	p->far = far;
	p->high = high;
	p->closed = 0;
	return 0;
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
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP,
				  .data.u64 = (uint64_t)party << 32 | handle };
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return -errno;
	r = pair_bind(p->table, fds[0], party, handle);
	if (r == 0 && epoll_ctl(p->epfd, EPOLL_CTL_ADD, fds[0], &ev) != 0)
		r = -errno;
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	p->far[party][handle] = fds[0] + 1;
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
		if (load_relaxed(&t->handle_count) >= t->handles_max)
			break;
		r = pair_make(p, party, h, &near[made]);
		if (r < 0)
			break;
		if (h >= p->high[party])
			p->high[party] = h + 1;
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

void pairs_event(struct pairs *p, unsigned party, unsigned handle, uint32_t events)
{
	struct table *t = p->table;
	int fd = p->far[party][handle] - 1;
	uint32_t tail;

	/* The daemon's word is not waited for here: it may be dead. */
	if (fd < 0 || load_acquire(&t->handles[party][handle]) != HANDLE_LIVE)
		return;
	if (!(events & (EPOLLHUP | EPOLLERR))) {
		pair_discard(fd);
		if (events & EPOLLRDHUP) {
			/* A raw shutdown(SHUT_WR): readable for ever, but not
			 * closed. Hear only the hang-up from now on. */
			struct epoll_event ev = { .data.u64 = (uint64_t)party << 32 | handle };

			epoll_ctl(p->epfd, EPOLL_CTL_MOD, fd, &ev);
		}
		return;
	}
	epoll_ctl(p->epfd, EPOLL_CTL_DEL, fd, NULL);
	store_release(&t->handles[party][handle], HANDLE_HUNG);
	FAULT_POINT("keeper.hung");
	tail = load_relaxed(&t->hung_tail);
	t->hung[tail % HUNG_RING] = party << 16 | handle;
	store_release(&t->hung_tail, tail + 1);
}

void pairs_reap(struct pairs *p)
{
	struct table *t = p->table;

	while (p->closed != load_acquire(&t->hung_head)) {
		uint32_t entry = t->hung[p->closed++ % HUNG_RING];
		unsigned party = entry >> 16, handle = entry & 0xffff;

		close(p->far[party][handle] - 1);
		p->far[party][handle] = 0;
		atomic_fetch_sub(&t->handle_count, 1);
		store_release(&t->handles[party][handle], HANDLE_FREE);
	}
}

void pairs_forget(struct pairs *p)
{
	for (unsigned party = 0; party < PARTY_MAX; party++)
		for (unsigned h = 0; h < p->high[party]; h++)
			if (p->far[party][h])
				close(p->far[party][h] - 1);
}
