/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#include "base/sys.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/fallback.h"
#include "posix/handle.h"
#include "posix/async.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/relay.h"
#include "posix/ring.h"
#include "posix/section.h"
#include "posix/watch.h"

/* Every number of @s is the kernel's @kernel from now on. */
static void numbers_become(struct sock *s, int kernel, enum reason why)
{
	uint32_t left = load_relaxed(&s->obj.nfds);
	long r;

	for (int fd = 0; left > 0 && (unsigned)fd < fdtab_size; fd++) {
		long flags;

		if (fdtab_peek(fd) != &s->obj)
			continue;
		left--;
		flags = sys2(SYS_fcntl, fd, F_GETFD);
		if (left == 0)
			handle_park(fd, &s->parked_fd);
		fdtab_remove(fd);
		r = sys3(SYS_dup3, kernel, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
		if (r < 0)
			process_log(0, "descriptor %d could not become a kernel socket: %ld", fd, r);
		async_move(s, fd);
		watch_to_kernel(s, fd);
		fdtab_kernel(fd, why);
		/* The caller's own reference keeps @s. */
		fdtab_put(&s->obj);
	}
}

long fallback_socket(struct sock *s, enum reason why)
{
	bool listening = load_relaxed(&s->stage) == SOCK_LISTEN;
	int kernel = s->shadow_fd;
	long r;

	if (kernel < 0) {
		r = sys3(SYS_socket, s->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (r < 0)
			return r;
		kernel = process_fd_high((int)r);
		if (kernel < 0)
			return kernel;
	}
	/* A shadow has not been told of all. */
	options_replay(s, kernel);
	sys3(SYS_fcntl, kernel, F_SETFL, sock_nonblocking(s) ? O_NONBLOCK : 0);
	if (listening && !s->foreign)
		sock_listen_end(s);
	numbers_become(s, kernel, why);
	process_fd_high_close(kernel);
	s->shadow_fd = -1;
	process_log(2, "a socket became the kernel's, reason %u", (unsigned)why);
	/* What is left of it goes with the caller's reference: a half that
	 * nobody knows, a listener's that was closed above, or a connection that
	 * was reset before connect() told of it, which ends as any other. */
	if (load_relaxed(&s->stage) != SOCK_OPEN)
		store_release(&s->stage, SOCK_NEW);
	if (listening && !s->foreign)
		s->retired = true;
	atomic_fetch_add(&s->half->event, 1);
	return 0;
}

/* As its client, from its client's address. Return: 0 or -errno. */
static int hand_on(struct relay *relay, int fd)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = sizeof(from), to_len = sizeof(to);
	long far, r;

	if (call_getpeername(fd, (struct sockaddr *)&from, &from_len) < 0 ||
	    call_getsockname(fd, (struct sockaddr *)&to, &to_len) < 0)
		return -ENOTCONN;
	far = sys3(SYS_socket, to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (far < 0)
		return (int)far;
	sys3(SYS_bind, far, &from, from_len);
	r = sys3(SYS_connect, far, &to, to_len);
	if (r < 0 && r != -EINPROGRESS) {
		sys1(SYS_close, far);
		return (int)r;
	}
	far = process_fd_high((int)far);
	return far < 0 ? (int)far : relay_add_far(relay, fd, (int)far);
}

/* Who is in the queue has no time to lose: nobody may ever accept in memory again. */
static void queue_empty(struct sock *s, struct relay *relay)
{
	int fd;

	while ((fd = (int)sock_accept_memory(s)) >= 0) {
		struct linger now = { .l_onoff = 1 };

		if (relay && hand_on(relay, fd) == 0)
			continue;
		call_setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		call_close(fd);
	}
}

/* It was shut down: for all who have it. */
static void listener_shut(struct sock *s)
{
	atomic_fetch_or(&s->half->side, SIDE_RD_SHUT);
	ring_again(s);
}

long fallback_listener_on(struct sock *s, enum reason why, struct relay *relay)
{
	/* Without a party of our own there is no channel to say it on. And
	 * where its owner has closed it, its slot may be another's by now. */
	if (!sock_lapsed(s) && process_party() &&
	    sock_tell(s, CTL_DEMOTE, s->party->id, 0) == 0) {
		/* Those of our own end with the seats. */
		if (relay || s->foreign)
			queue_empty(s, relay);
		if (why == REASON_OPTION)
			listener_shut(s);
	}
	return fallback_socket(s, why);
}

long fallback_listener(struct sock *s, enum reason why)
{
	return fallback_listener_on(s, why, NULL);
}

/* Where several threads come at once, the first does it. */
static long connected_begin(struct sock *s, struct relay *r)
{
	long by = -ENOTCONN;

	lock_take(&s->lock);
	for (int fd = 0; (unsigned)fd < fdtab_size; fd++) {
		if (fdtab_peek(fd) != &s->obj || load_relaxed(&s->stage) != SOCK_OPEN)
			continue;
		attach_give(s);
		by = relay_add(r, fd, (int)load_relaxed(&s->half->file_flags));
		break;
	}
	lock_drop(&s->lock);
	return by;
}

long fallback_connected(struct sock *s, enum reason why)
{
	struct relay relay;
	long by = relay_open(&relay, 1), r;

	if (by < 0)
		return by;
	section_enter();
	by = connected_begin(s, &relay);
	section_leave();
	r = by < 0 ? by : relay_start(&relay);
	if (r == 0) {
		section_enter();
		lock_take(&s->lock);
		numbers_become(s, (int)by, why);
		lock_drop(&s->lock);
		section_leave();
		relay_go(&relay);
		process_log(2, "a connection became the kernel's, through a relay, reason %u",
			    (unsigned)why);
	}
	relay_close(&relay);
	return r;
}

bool fallback_waits(struct sock *s)
{
	bool gone = true;

	if (load_acquire(&s->stage) != SOCK_LISTEN)
		return false;
	/* Its connections need a party of ours, and somebody who rings. */
	if (likely(!s->foreign || (s->bell_fd >= 0 && process_party())) && !sock_lapsed(s))
		return false;
	lock_take(&s->lock);
	/* Another thread may have been faster. */
	if (load_relaxed(&s->stage) == SOCK_LISTEN)
		gone = fallback_listener(s, REASON_SHARED) == 0;
	lock_drop(&s->lock);
	return gone;
}
