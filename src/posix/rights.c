/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "base/sys.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/fallback.h"
#include "posix/process.h"
#include "posix/program.h"
#include "posix/rights.h"

int *rights_fds(struct cmsghdr *c, size_t *ret_count)
{
	if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len < CMSG_LEN(sizeof(int)))
		return NULL;
	*ret_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	return (int *)(void *)CMSG_DATA(c);
}

/* How many of its descriptors are datagram sockets, or (@kind FOBJ_SOCK) others of
 * ours. @fn: Called for each. */
static size_t kind_each(const struct msghdr *msg, enum fobj_kind kind, void (*fn)(int fd))
{
	struct msghdr copy = *msg, *m = &copy;
	size_t found = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = 0;
		int *fds;

		/* The kernel says what is wrong with it. */
		if (c->cmsg_len > m->msg_controllen - (size_t)((char *)c - (char *)m->msg_control))
			break;
		fds = rights_fds(c, &n);
		for (size_t i = 0; fds && i < n; i++) {
			const struct fobj *o = fdtab_peek(fds[i]);

			if (!o || o->kind != kind)
				continue;
			found++;
			if (fn)
				fn(fds[i]);
		}
	}
	return found;
}

bool rights_any(const struct msghdr *msg)
{
	return msg->msg_control && msg->msg_controllen >= CMSG_LEN(sizeof(int)) &&
	       kind_each(msg, FOBJ_SOCK, NULL) + kind_each(msg, FOBJ_DGRAM, NULL) > 0;
}

/* Is the library not in the program at the other end of @fd? The kernel says
 * who made that end, or connected it, which may be another than reads it. */
static bool receiver_is_plain(int fd)
{
	const struct party *p = process_party();
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 0 ||
	    (uint32_t)cred.pid == process.pid)
		return false;
	for (unsigned id = 1; p && id < PARTY_MAX; id++) {
		const struct registry_party *r = &p->reg->parties[id];

		if ((uint32_t)load_acquire(&r->gen_state) == PARTY_ALIVE &&
		    load_relaxed(&r->pid) == (uint32_t)cred.pid)
			return false;
	}
	return program_of_pid_is_plain((unsigned)cred.pid);
}

/* What a program without the library gets instead of @fd: itself, where that
 * is the kernel's now. */
static int plain_one(struct rights *r, int fd)
{
	struct sock *s = sock_enter(fd);
	int by = fd;

	if (!s)
		return fd;
	lock_take(&s->lock);
	if (load_relaxed(&s->stage) == SOCK_OPEN) {
		attach_give(s);
		by = relay_add(&r->relay, fd, (int)load_relaxed(&s->half->file_flags));
	} else if (process.policy == POLICY_SHARE) {
		if (load_relaxed(&s->stage) == SOCK_LISTEN)
			fallback_listener(s, REASON_SHARED);
		else
			fallback_socket(s, REASON_SHARED);
	}
	lock_drop(&s->lock);
	sock_leave(s, 0);
	return by < 0 ? fd : by;
}

static void plain_begin(struct rights *r, struct msghdr *msg, size_t ours)
{
	long at = sys6(SYS_mmap, 0, msg->msg_controllen, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if ((at < 0 && at > -4096) || relay_open(&r->relay, ours) < 0)
		return;
	r->control = (void *)at;
	r->bytes = msg->msg_controllen;
	memcpy(r->control, msg->msg_control, r->bytes);
	msg->msg_control = r->control;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = 0;
		int *fds = rights_fds(c, &n);

		for (size_t i = 0; fds && i < n; i++)
			if (fd_is_ours(fds[i]))
				fds[i] = plain_one(r, fds[i]);
	}
	if (r->relay.count && relay_start(&r->relay) < 0)
		process_log(0, "no relay for sockets in a message: their receiver sees an end");
}

void rights_begin(struct rights *r, int fd, struct msghdr *msg)
{
	size_t ours;

	r->any = false;
	if (likely(!rights_any(msg)))
		return;
	kind_each(msg, FOBJ_DGRAM, dgram_given);
	ours = kind_each(msg, FOBJ_SOCK, NULL);
	*r = (struct rights){ .any = true, .relay.go = -1 };
	if (receiver_is_plain(fd)) {
		plain_begin(r, msg, ours);
	} else {
		for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
			size_t n = 0;
			int *fds = rights_fds(c, &n);

			for (size_t i = 0; fds && i < n; i++)
				attach_give_fd(fds[i]);
		}
	}
	process_epoch_move();
	FAULT_POINT("rights.begun");
}

void rights_end(struct rights *r, bool sent)
{
	if (likely(!r->any))
		return;
	process_epoch_move();
	if (!r->control)
		return;
	if (sent)
		relay_go(&r->relay);
	else
		relay_cancel(&r->relay);
	relay_close(&r->relay);
	sys2(SYS_munmap, r->control, r->bytes);
}
