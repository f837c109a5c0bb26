/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * select.c - select and pselect, by way of poll.c, with Linux's mapping.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/calls.h"
#include "posix/fdtab.h"
#include "posix/poll.h"
#include "posix/probe.h"
#include "posix/process.h"

/* As in Linux's fs/select.c. POLLNVAL is an error of the whole call. */
#define IN_SET (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define OUT_SET (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define EX_SET POLLPRI

#define LONG_BITS (8 * (int)sizeof(unsigned long))

/* fd_set's own macros end at FD_SETSIZE, the system call does not. */
static unsigned long *word_of(fd_set *set, int fd)
{
	return (unsigned long *)(void *)set + fd / LONG_BITS;
}

static bool bit_of(fd_set *set, int fd)
{
	return set && *word_of(set, fd) >> (fd % LONG_BITS) & 1;
}

static void bit_set(fd_set *set, int fd, bool on)
{
	unsigned long bit = 1ul << (fd % LONG_BITS);

	if (!set)
		return;
	if (on)
		*word_of(set, fd) |= bit;
	else
		*word_of(set, fd) &= ~bit;
}

/* Does a word begin at @fd, and is it empty in all three? */
static bool no_bits(int fd, fd_set *r, fd_set *w, fd_set *e)
{
	return fd % LONG_BITS == 0 && !((r ? *word_of(r, fd) : 0) | (w ? *word_of(w, fd) : 0) |
					(e ? *word_of(e, fd) : 0));
}

/* How much the kernel reads and writes of a set. */
static size_t set_bytes(int n)
{
	return ((size_t)n + LONG_BITS - 1) / LONG_BITS * sizeof(unsigned long);
}

/* Return: bits from 0 on that can be touched, at most @n. */
static int touchable(fd_set *set, int n, bool write)
{
	size_t bytes = set_bytes(n), got;

	if (!set || n <= 0)
		return n;
	got = write ? probe_writable(set, bytes) : probe_readable(set, bytes);
	return got >= bytes ? n : (int)(got / sizeof(unsigned long)) * LONG_BITS;
}

static uint32_t asked_for(fd_set *r, fd_set *w, fd_set *e, int fd)
{
	return (bit_of(r, fd) ? (uint32_t)IN_SET : 0) | (bit_of(w, fd) ? (uint32_t)OUT_SET : 0) |
	       (bit_of(e, fd) ? (uint32_t)EX_SET : 0);
}

static long give_back(const struct pollfd *fds, unsigned count, fd_set *r, fd_set *w, fd_set *e)
{
	long bits = 0;

	for (unsigned i = 0; i < count; i++)
		if (fds[i].revents & POLLNVAL)
			return -EBADF;
	for (unsigned i = 0; i < count; i++) {
		int fd = fds[i].fd;
		uint32_t now = (uint16_t)fds[i].revents;
		bool in = bit_of(r, fd) && now & IN_SET, out = bit_of(w, fd) && now & OUT_SET;
		bool ex = bit_of(e, fd) && now & EX_SET;

		bit_set(r, fd, in);
		bit_set(w, fd, out);
		bit_set(e, fd, ex);
		bits += in + out + ex;
	}
	return bits;
}

static long select_with(struct pollfd *fds, int n, fd_set *r, fd_set *w, fd_set *e,
			const struct timespec *timeout, const sigset_t *mask)
{
	unsigned count = 0;
	long got;

	for (int fd = 0; fd < n; fd++) {
		uint32_t events = asked_for(r, w, e, fd);

		if (events)
			fds[count++] = (struct pollfd){ .fd = fd, .events = (short)events };
	}
	got = poll_wait(fds, count, 0, timeout, mask);
	return got < 0 ? got : give_back(fds, count, r, w, e);
}

int select_end(int n, fd_set *r, fd_set *w, fd_set *e)
{
	int size = fdtab_kernel_size(), end;

	if (!fdtab)
		return n;
	end = touchable(r, touchable(w, touchable(e, n, false), false), false);
	/* Numbers that libc was given behind our back make it larger. */
	for (int fd = size; fd < end; fd++) {
		if (no_bits(fd, r, w, e))
			fd += LONG_BITS - 1;
		else if (asked_for(r, w, e, fd) && !fd_is_library(fd) &&
			 sys2(SYS_fcntl, fd, F_GETFD) >= 0)
			return n;
	}
	return n < size ? n : size;
}

long call_pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
		  const sigset_t *mask, struct timespec *ret_left)
{
	uint64_t begin = 0, rel = 0, gone;
	unsigned count = 0;
	bool any = false;
	size_t bytes;
	void *memory;
	long got;

	if (n < 0)
		return -EINVAL;
	if (!fdtab)
		return NOT_OURS;
	/* Linux, too, ends where its table of descriptors does. */
	if (n > (int)fdtab_size)
		n = (int)fdtab_size;
	/* The kernel says what is wrong with it. */
	if (touchable(r, n, false) < n || touchable(w, n, false) < n || touchable(e, n, false) < n)
		return NOT_OURS;
	for (int fd = 0; fd < n; fd++) {
		if (no_bits(fd, r, w, e)) {
			fd += LONG_BITS - 1;
			continue;
		}
		if (!asked_for(r, w, e, fd))
			continue;
		count++;
		any |= fdtab_peek(fd) || fd_is_library(fd);
	}
	if (!any)
		return NOT_OURS;
	if (touchable(r, n, true) < n || touchable(w, n, true) < n || touchable(e, n, true) < n)
		return -EFAULT;
	if (timeout) {
		if (timeout->tv_sec < 0 || (uint64_t)timeout->tv_nsec >= NS_PER_SEC)
			return -EINVAL;
		rel = (uint64_t)timeout->tv_sec * NS_PER_SEC + (uint64_t)timeout->tv_nsec;
		if (ret_left && rel)
			begin = clock_now_ns();
	}
	bytes = count * sizeof(struct pollfd);
	memory = count <= POLL_ON_STACK ? __builtin_alloca(bytes) : poll_memory(bytes);
	if (!memory)
		return -ENOMEM;
	got = select_with(memory, n, r, w, e, timeout, mask);
	if (count > POLL_ON_STACK)
		poll_memory_free(memory, bytes);
	if (timeout && ret_left && got != NOT_OURS) {
		gone = rel ? clock_now_ns() - begin : 0;
		*ret_left = gone < rel ? clock_timespec(rel - gone) : (struct timespec){ 0 };
	}
	return got;
}
