/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * async.c - SIGIO and SIGURG: the half says who its owner is (shm/owner.c), the
 * handle keeps what F_GETOWN and F_GETSIG answer, and kernel sockets that stand
 * for ours, or take their place, are told.
 */
#include <fcntl.h>

#include "base/sys.h"
#include "posix/async.h"
#include "posix/calls.h"
#include "shm/owner.h"

void async_replay(const struct sock *s, int fd)
{
	uint32_t how = load_relaxed(&s->half->owner_how);
	struct f_owner_ex who = { .pid = (pid_t)load_relaxed(&s->half->owner) };

	if (who.pid == 0)
		return;
	who.type = how & OWNER_THREAD ? F_OWNER_TID :
		   how & OWNER_GROUP ? F_OWNER_PGRP : F_OWNER_PID;
	sys3(SYS_fcntl, fd, F_SETOWN_EX, &who);
	sys3(SYS_fcntl, fd, F_SETSIG, how & OWNER_SIGNAL_MASK);
}

void async_move(struct sock *s, int fd)
{
	uint32_t flags = load_relaxed(&s->half->file_flags);

	if (flags & O_ASYNC && load_relaxed(&s->half->owner_fd) == (uint32_t)fd)
		sys3(SYS_fcntl, fd, F_SETFL, flags & (O_ASYNC | O_NONBLOCK));
}

/* Who connects without us is accepted from the shadow: the kernel tells of that. */
void async_shadow(struct sock *s)
{
	int shadow = sock_shadow(s);
	bool on = load_relaxed(&s->half->file_flags) & O_ASYNC;

	if (shadow < 0 || load_relaxed(&s->half->owner) == 0)
		return;
	async_replay(s, shadow);
	sys3(SYS_fcntl, shadow, F_SETFL, O_NONBLOCK | (on ? O_ASYNC : 0));
}

void async_info_fix(siginfo_t *info)
{
	owner_info_fix(info);
	if (info->si_code < POLL_IN || info->si_code > POLL_HUP || !fd_is_library(info->si_fd))
		return;
	for (int fd = 0; fd < fdtab_kernel_size(); fd++) {
		struct fobj *o = fdtab_peek(fd);

		if (o && o->kind == FOBJ_SOCK && ((struct sock *)(void *)o)->shadow_fd == info->si_fd) {
			info->si_fd = fd;
			return;
		}
	}
}

/* The handle has been told whose it is: now whoever sends to us is. */
void async_owner(struct sock *s, int fd)
{
	struct f_owner_ex who = { .pid = 0 };
	long sig = sys2(SYS_fcntl, fd, F_GETSIG);
	uint32_t kind;

	if (sys3(SYS_fcntl, fd, F_GETOWN_EX, &who) < 0)
		return;
	kind = who.type == F_OWNER_TID ? OWNER_THREAD :
	       who.type == F_OWNER_PGRP ? OWNER_GROUP : OWNER_PROCESS;
	lock_take(&s->lock);
	owner_set(s->half, kind, who.pid, sig > 0 ? (unsigned)sig : 0);
	async_shadow(s);
	lock_drop(&s->lock);
}

void async_switch(struct sock *s, int fd, bool on)
{
	lock_take(&s->lock);
	if (on)
		atomic_fetch_or(&s->half->file_flags, O_ASYNC);
	else
		atomic_fetch_and(&s->half->file_flags, ~(uint32_t)O_ASYNC);
	owner_async(s->half, on, fd);
	async_shadow(s);
	lock_drop(&s->lock);
}
