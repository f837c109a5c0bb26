/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accept.c - Who waits in the queue: in memory, or at the shadow, in turns.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/calls.h"
#include "posix/fallback.h"
#include "posix/kept.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/section.h"
#include "posix/served.h"
#include "posix/sock.h"
#include "posix/sock_life.h"
#include "posix/watch.h"
#include "shm/seat.h"

static long accept_shadow(struct sock *s, struct sockaddr *addr, socklen_t *len, int flags)
{
	long fd;

	if (s->shadow_fd < 0)
		return -EAGAIN;
	fd = fd_made(sys4(SYS_accept4, s->shadow_fd, addr, len, flags));
	if (fd >= 0)
		fdtab_kernel((int)fd, REASON_ACCEPTED);
	return fd;
}

/* Several processes may hold the listener @s. */
static bool listener_is_shared(const struct sock *s)
{
	return s->foreign || s->epoch != load_acquire(&process.epoch) ||
	       load_relaxed(&s->half->shared);
}

static int take_one(struct sock *s, struct sock *a)
{
	int r;

	if (!listener_is_shared(s))
		return seat_take(s->party, s->half, &s->accept_cursor, a->handle, &a->conn);
	seat_share(s->party, s->half, s->accept_cursor);
	r = seat_take_shared(s->party, s->half, a->party, a->handle, &a->conn);
	/* While we tried, others passed over whom we leave there. */
	if (r < 0 && r != -EAGAIN)
		ring_again(s);
	/* The others are not to wake for what has been taken. */
	if (r == 0 && !(sock_poll(s) & POLLIN))
		ring_drain(s);
	return r;
}

static long accept_seat(struct sock *s, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct party *p = process_party();
	struct sock *a;
	long r = -EAGAIN, number;

	served_here(s);
	if (!(sock_poll(s) & POLLIN) && !ring_drain(s))
		return -EAGAIN;
	a = sock_make(p ? p : s->party, &r);
	if (!a)
		return r == -ENOTCONN ? FALLBACK(REASON_NO_DAEMON) : -ENFILE;
	/* Where there is none, the connection stays in the queue. */
	number = sock_number_take(a, flags & SOCK_CLOEXEC);
	r = number < 0 ? number : take_one(s, a);
	if (r < 0) {
		if (number >= 0)
			sys1(SYS_close, number);
		sock_unmake(a);
		return r;
	}
	sock_set_half(a, arena_slot(a->party->base, a->conn.own));
	a->connect_told = true;
	a->family = s->family;
	a->v6only = s->v6only;
	atomic_fetch_or(&a->half->side, sock_side_family(a));
	store_relaxed(&a->stage, SOCK_OPEN);
	kept_pull(s);
	options_inherit(a, s);
	kept_copy(a, s->half);
	store_relaxed(&a->half->file_flags, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
	if (addr)
		addr_fill(a, load_relaxed(&a->half->remote), addr, len);
	sock_number_set(a, number);
	return number;
}

long sock_accept_memory(struct sock *s)
{
	return accept_seat(s, NULL, NULL, SOCK_CLOEXEC);
}

static long sock_accept(struct sock *s, struct sockaddr *addr, socklen_t *len, int flags)
{
	long r = -EAGAIN;

	if (!sock_listens(s))
		return -EINVAL;
	/* In turns, so that neither kind of client starves the other. */
	s->accept_shadow_first = !s->accept_shadow_first;
	if (s->accept_shadow_first && s->accept_busy)
		r = accept_shadow(s, addr, len, flags);
	if (r == -EAGAIN)
		r = accept_seat(s, addr, len, flags);
	if (r == -EAGAIN) {
		r = accept_shadow(s, addr, len, flags);
		s->accept_busy = r >= 0;
	}
	return r;
}

static long accept_once(int fd, struct sockaddr *addr, socklen_t *len, int flags, uint32_t broke)
{
	uint32_t handled = section_state.handled;
	uint64_t deadline = 0;
	struct sock *s;
	bool may_wait;
	long r;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	/* Now: a flag that changes later is for later calls. */
	may_wait = !sock_nonblocking(s);
	r = flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) ? -EINVAL : 0;
	if (r == 0 && addr && (!len || (int)*len < 0))
		r = len ? -EINVAL : -EFAULT;
	/* A second process waits on this listener? */
	if (r == 0 && fallback_waits(s))
		r = NOT_OURS;
	while (r == 0) {
		lock_take(&s->lock);
		r = sock_accept(s, addr, len, flags);
		if (r <= FALLBACK(0)) {
			/* The domain has ended. Who waits in the queue is reset;
			 * the kernel's clients go on. */
			r = fallback_socket(s, FALLBACK_REASON(r));
			lock_drop(&s->lock);
			r = r < 0 ? r : NOT_OURS;
			break;
		}
		lock_drop(&s->lock);
		if (r != -EAGAIN || !may_wait)
			break;
		if (s->rcvtimeo_ns && !deadline)
			deadline = clock_now_ns() + s->rcvtimeo_ns;
		/* Since the call began anew? */
		r = section_state.broke != broke ? -EINTR :
		    wait_sock(s, POLLIN, deadline, &section_state.handled, handled);
		if (r == -EINTR && !deadline)
			r = section_verdict(handled, broke);
		if (r == -ETIMEDOUT)
			r = -EAGAIN;
		/* It became the kernel's while we slept. */
		if (fdtab_peek(fd) != &s->obj && load_relaxed(&s->stage) != SOCK_LISTEN)
			r = fdtab_peek(fd) ? -EINVAL : NOT_OURS;
	}
	return sock_leave(s, r);
}

long call_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	uint32_t broke = section_state.broke;
	long r;

	do
		r = accept_once(fd, addr, len, flags, broke);
	while (unlikely(r == CALL_AGAIN));
	return r;
}
