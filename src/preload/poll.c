/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "preload/real.h"

extern void __chk_fail(void) __attribute__((noreturn));

/* As the kernel, with the limit that the program sees. */
static bool too_many(nfds_t n)
{
	return unlikely(n > load_relaxed(&process.nofile_soft) && process.pid != 0);
}

/* NULL: for ever. */
static const struct timespec *from_ms(int ms, struct timespec *t)
{
	if (ms < 0)
		return NULL;
	t->tv_sec = ms / 1000;
	t->tv_nsec = ms % 1000 * 1000000l;
	return t;
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec t;
	long r;

	cancellable();
	if (too_many(n))
		return (int)result(-EINVAL);
	r = call_ppoll(fds, n, from_ms(timeout, &t), NULL);
	return r == NOT_OURS ? real.poll(fds, n, timeout) : (int)result(r);
}
ALIAS(__poll, poll);

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	long r;

	cancellable();
	if (too_many(n))
		return (int)result(-EINVAL);
	r = call_ppoll(fds, n, timeout, mask);
	return r == NOT_OURS ? real.ppoll(fds, n, timeout, mask) : (int)result(r);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
	if (room / sizeof(*fds) < n)
		__chk_fail();
	return poll(fds, n, timeout);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t room)
{
	if (room / sizeof(*fds) < n)
		__chk_fail();
	return ppoll(fds, n, timeout, mask);
}

EXPORT int select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	struct timespec t = { 0 }, left = { 0 };
	long ret;

	cancellable();
	if (timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0)
			return (int)result(-EINVAL);
		t.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
		t.tv_nsec = timeout->tv_usec % 1000000 * 1000;
		left = t;
	}
	n = select_end(n, r, w, e);
	ret = call_pselect(n, r, w, e, timeout ? &t : NULL, NULL, timeout ? &left : NULL);
	if (ret == NOT_OURS)
		return real.select(n, r, w, e, timeout);
	if (timeout) {
		timeout->tv_sec = left.tv_sec;
		timeout->tv_usec = left.tv_nsec / 1000;
	}
	return (int)result(ret);
}
ALIAS(__select, select);

EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
		   const sigset_t *mask)
{
	long ret;

	cancellable();
	n = select_end(n, r, w, e);
	ret = call_pselect(n, r, w, e, timeout, mask, NULL);
	return ret == NOT_OURS ? real.pselect(n, r, w, e, timeout, mask) : (int)result(ret);
}

EXPORT int epoll_create1(int flags)
{
	long r = call_epoll_create1(flags);

	return r == NOT_OURS ? made(real.epoll_create1(flags)) : (int)result(r);
}

EXPORT int epoll_create(int size)
{
	return size <= 0 ? (int)result(-EINVAL) : epoll_create1(0);
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	long r = fdtab_peek(epfd) || fdtab_peek(fd) ? call_epoll_ctl(epfd, op, fd, ev) : NOT_OURS;

	return r == NOT_OURS ? real.epoll_ctl(epfd, op, fd, ev) : (int)result(r);
}

EXPORT int epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout)
{
	struct timespec t;
	long r = is_ours(epfd) ?
			 call_epoll_pwait2(epfd, evs, max, from_ms(timeout, &t), NULL) : NOT_OURS;

	return r == NOT_OURS ? real.epoll_wait(epfd, evs, max, timeout) : (int)result(r);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *evs, int max, int timeout, const sigset_t *mask)
{
	struct timespec t;
	long r = is_ours(epfd) ?
			 call_epoll_pwait2(epfd, evs, max, from_ms(timeout, &t), mask) : NOT_OURS;

	return r == NOT_OURS ? real.epoll_pwait(epfd, evs, max, timeout, mask) : (int)result(r);
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *evs, int max, const struct timespec *timeout,
			const sigset_t *mask)
{
	long r = is_ours(epfd) ? call_epoll_pwait2(epfd, evs, max, timeout, mask) : NOT_OURS;

	return r == NOT_OURS ? real.epoll_pwait2(epfd, evs, max, timeout, mask) : (int)result(r);
}
