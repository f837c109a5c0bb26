/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - ioctl() and fcntl().
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/copy.h"
#include "base/sys.h"
#include "posix/async.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/interfaces.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/tcp_info.h"
#include "posix/template.h"
#include "shm/urgent.h"

static void flags_set(struct sock *s, int fd, uint32_t flags)
{
	if ((flags ^ load_relaxed(&s->half->file_flags)) & O_ASYNC)
		async_switch(s, fd, flags & O_ASYNC);
	store_relaxed(&s->half->file_flags, flags);
	/* A thread of ours that sleeps in a blocking call sleeps on, as on
	 * Linux: the flag counts when a call begins. */
}

static long put_int(void *arg, int v)
{
	return copy_try(arg, &v, sizeof(v)) ? 0 : -EFAULT;
}

static long sock_ioctl(struct sock *s, int fd, unsigned long request, void *arg)
{
	bool open = load_relaxed(&s->stage) == SOCK_OPEN;
	uint64_t n = 0;
	int v;
	long r;

	switch (request) {
	case FIONREAD:
	case TIOCOUTQ: /* SIOCOUTQ */
	case SIOCOUTQNSD:
		if (sock_listens(s))
			return -EINVAL;
		/* What fits the peer's receive buffer is delivered and
		 * acknowledged at once, as on loopback. */
		/* Its bytes may be with another process's half by now. */
		if (open && request == FIONREAD)
			conn_follow(&s->conn);
		if (open)
			n = request == FIONREAD ? conn_until_mark(&s->conn)
						: tcp_info_queued(s, request == SIOCOUTQNSD);
		return put_int(arg, (int)n);
	case SIOCATMARK:
		return put_int(arg, open && conn_at_mark(&s->conn));
	case FIONBIO:
		if (!copy_try(&v, arg, sizeof(v)))
			return -EFAULT;
		if (v)
			atomic_fetch_or(&s->half->file_flags, O_NONBLOCK);
		else
			atomic_fetch_and(&s->half->file_flags, ~(uint32_t)O_NONBLOCK);
		return 0;
	case FIOASYNC:
		if (!copy_try(&v, arg, sizeof(v)))
			return -EFAULT;
		async_switch(s, fd, v);
		return 0;
	case FIOSETOWN:
	case SIOCSPGRP:
		/* The handle knows its owner, as any file does. */
		r = sys3(SYS_ioctl, fd, request, arg);
		if (r == 0)
			async_owner(s, fd);
		return r;
	case FIOGETOWN:
	case SIOCGPGRP:
	case FIOCLEX:
	case FIONCLEX:
		return NOT_OURS; /* of the descriptor: the handle's will do */
	default:
		/* Interfaces and the like: the same for every TCP socket. */
		v = template_take(s);
		if (v < 0)
			return v;
		r = sys3(SYS_ioctl, v, request, arg);
		template_drop(false);
		return r;
	}
}

long call_ioctl(int fd, unsigned long request, void *arg)
{
	struct sock *s;
	long r = interfaces_ioctl(request, arg);

	if (r != NOT_OURS)
		return r;
	s = sock_enter(fd);
	if (!s)
		return dgram_ioctl(fd, request, arg);
	r = sock_ioctl(s, fd, request, arg);
	return sock_leave(s, r);
}

#define SETTABLE (O_APPEND | O_NONBLOCK | O_ASYNC | O_NOATIME)

long call_fcntl(int fd, int cmd, unsigned long arg)
{
	struct sock *s;
	long r = NOT_OURS;

	if (!fdtab_peek(fd))
		return fd_is_library(fd) ? -EBADF : NOT_OURS;
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		return fd_dup_from(fd, cmd, arg);
	s = sock_enter(fd);
	if (!s)
		return dgram_fcntl(fd, cmd, arg);
	if (cmd == F_GETFL)
		r = (long)(O_RDWR | load_relaxed(&s->half->file_flags));
	else if (cmd == F_SETFL && arg & O_DIRECT)
		r = -EINVAL;
	else if (cmd == F_SETFL) {
		flags_set(s, fd, (uint32_t)arg & SETTABLE);
		r = 0;
	} else if (cmd == F_SETOWN || cmd == F_SETOWN_EX || cmd == F_SETSIG) {
		r = sys3(SYS_fcntl, fd, cmd, arg);
		if (r == 0)
			async_owner(s, fd);
	}
	return sock_leave(s, r);
}
