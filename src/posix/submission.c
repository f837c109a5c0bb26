/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sys/socket.h>

#include "base/copy.h"
#include "posix/calls.h"
#include "posix/fallback.h"
#include "posix/leave.h"
#include "posix/process.h"
#include "posix/rights.h"
#include "posix/section.h"
#include "posix/sock.h"
#include "posix/submission.h"

static void sock_given(struct sock *s, void *arg)
{
	long r = 0;

	(void)arg;
	if (load_relaxed(&s->obj.nfds) == 0)
		return;
	if (load_acquire(&s->stage) == SOCK_OPEN) {
		r = fallback_connected(s, REASON_OPTION);
	} else {
		section_enter();
		lock_take(&s->lock);
		if (load_relaxed(&s->stage) != SOCK_OPEN && load_relaxed(&s->obj.nfds))
			r = fallback_socket(s, REASON_OPTION);
		lock_drop(&s->lock);
		section_leave();
	}
	if (r < 0)
		process_log(0, "a socket in an io_uring could not become the kernel's: %ld", r);
}

static void descriptor_given(int fd)
{
	struct fobj *o = fdtab_get(fd);

	if (likely(!o))
		return;
	leave_ring();
	if (o->kind == FOBJ_SOCK)
		sock_given(container_of(o, struct sock, obj), NULL);
	else if (o->kind == FOBJ_EPOLL)
		socks_each(sock_given, NULL); /* The kernel's set does not know of ours. */
	section_enter();
	fdtab_put(o);
	section_leave();
}

void submission_files(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int fd;

		if (!copy_try(&fd, fds + i, sizeof(fd)))
			return; /* The kernel says so. */
		descriptor_given(fd);
	}
}

/* What goes along with it, by SCM_RIGHTS: who receives it has to get the kernel's. */
static void message_given(const struct io_uring_sqe *e)
{
	struct msghdr msg;

	if (!copy_try(&msg, (const void *)(uintptr_t)e->addr, sizeof(msg)) || !msg.msg_control ||
	    !copy_can_read(msg.msg_control, msg.msg_controllen))
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t n = 0;
		const int *fds;

		if (c->cmsg_len >
		    msg.msg_controllen - (size_t)((char *)c - (char *)msg.msg_control))
			return;
		fds = rights_fds(c, &n);
		if (fds)
			submission_files(fds, (unsigned)n);
	}
}

static void entry_look(const struct io_uring_sqe *e)
{
	/* By its index it was looked at when it was registered. */
	if (!(e->flags & IOSQE_FIXED_FILE))
		descriptor_given(e->fd);
	switch (e->opcode) {
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		if (!(e->splice_flags & SPLICE_F_FD_IN_FIXED))
			descriptor_given(e->splice_fd_in);
		break;
	case IORING_OP_EPOLL_CTL:
		descriptor_given((int)e->off);
		break;
	case IORING_OP_FILES_UPDATE:
		submission_files((const int *)(uintptr_t)e->addr, e->len);
		break;
	case IORING_OP_SENDMSG:
		message_given(e);
		break;
	default:
		break;
	}
}

void submission_look(const struct io_uring_sqe *sqes, uint32_t mask, uint32_t from, uint32_t to)
{
	/* More than there are: it is not a ring, and the kernel will say so. */
	if (to - from > mask + 1)
		return;
	for (; from != to; from++)
		entry_look(&sqes[from & mask]);
}
