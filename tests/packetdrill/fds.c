// SPDX-License-Identifier: BSD-2-Clause
/* fds.c - Descriptors, and what they are ready for. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/sock.h"
#include "engine/tcp_parts.h"
#include "fds.h"
#include "world.h"

static struct fd table[FD_MAX];

int fd_new(enum fd_kind kind)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fd >= FD_MAX) {
		close(fd);
		errno = EMFILE;
		return -1;
	}
	table[fd] = (struct fd){
		.kind = kind,
		.linger_s = -1,
		.lowat = UINT32_MAX,
		.sndtimeo_ns = UINT64_MAX,
		.rcvtimeo_ns = UINT64_MAX,
	};
	return fd;
}

struct fd *fd_of(int fd)
{
	if (fd < 0 || fd >= FD_MAX || table[fd].kind == FD_NONE)
		return NULL;
	return &table[fd];
}

static void unwatch(int fd)
{
	for (unsigned i = 0; i < FD_MAX; i++) {
		struct fd *set = &table[i];

		for (unsigned k = 0; set->kind == FD_EPOLL && k < set->watches; k++) {
			if (set->watch[k].fd == fd)
				set->watch[k] = set->watch[--set->watches];
		}
	}
}

void fd_free(int fd)
{
	unwatch(fd);
	table[fd].kind = FD_NONE;
	close(fd);
}

void fd_free_all(void)
{
	for (int fd = 0; fd < FD_MAX; fd++) {
		if (table[fd].kind != FD_NONE)
			fd_free(fd);
	}
}

void fd_event(const struct engine_event *ev)
{
	for (unsigned i = 0; i < FD_MAX; i++) {
		struct fd *set = &table[i];

		for (unsigned k = 0; set->kind == FD_EPOLL && k < set->watches; k++) {
			if (set->watch[k].fd == (int)ev->cookie)
				set->watch[k].armed = true;
		}
	}
}

static uint32_t stream_ready(const struct fd *f, const struct sock *s, const struct tcp *t)
{
	uint32_t r = s->error ? EPOLLERR : 0;
	uint32_t held = (uint32_t)(t->snd_tail - t->snd_base);

	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED)
		return r;
	if (t->rcv_tail != t->rcv_head)
		r |= EPOLLIN | EPOLLRDNORM;
	if (t->fin_received || t->shut_rd)
		r |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	if (t->state == TCP_CLOSED || ((t->fin_received || t->shut_rd) && t->fin_wanted))
		r |= EPOLLHUP;
	if (t->fin_wanted || t->state == TCP_CLOSED)
		return r | EPOLLOUT | EPOLLWRNORM;
	/* Linux: a third is free, and less than the mark is unsent. */
	if (held <= t->sndbuf / 3 * 2 && tcp_unsent(t) < f->lowat)
		r |= EPOLLOUT | EPOLLWRNORM;
	return r;
}

uint32_t fd_ready(const struct fd *f)
{
	struct engine *e = world_engine();
	struct sock *s = sock_of(e, f->sock);

	if (!s)
		return EPOLLERR | EPOLLHUP;
	if (s->listening)
		return s->accept.head != NIL ? EPOLLIN | EPOLLRDNORM : 0;
	if (s->kind != SOCK_TCP)
		return EPOLLOUT | EPOLLWRNORM | (s->queue.head != NIL ? EPOLLIN : 0) |
		       (s->error ? EPOLLERR : 0);
	if (s->tcp == NIL)
		return EPOLLOUT | EPOLLHUP;
	return stream_ready(f, s, &e->tcp[s->tcp]);
}
