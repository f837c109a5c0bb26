/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uring.c - liburing's ways to make a ring, which make the system call by an
 * instruction of their own. What ring and params are is its own affair.
 */
#include <dlfcn.h>

#include "posix/leave.h"
#include "preload/real.h"

struct io_uring;
struct io_uring_params;

/* Return: liburing's function, or NULL with *@ret_error set. */
static void *ring_begins(const char *name, int *ret_error)
{
	void *next = dlsym(RTLD_NEXT, name);
	long r = next ? 0 : -ENOSYS;

	if (r == 0 && process.pid)
		r = leave_ring();
	*ret_error = (int)r;
	return r == 0 ? next : NULL;
}

EXPORT int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	int r;
	int (*next)(unsigned, struct io_uring *, unsigned) = ring_begins(__func__, &r);

	return next ? next(entries, ring, flags) : r;
}

EXPORT int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *p)
{
	int r;
	int (*next)(unsigned, struct io_uring *, struct io_uring_params *) =
		ring_begins(__func__, &r);

	return next ? next(entries, ring, p) : r;
}

EXPORT int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring,
				   struct io_uring_params *p, void *buf, size_t bytes)
{
	int r;
	int (*next)(unsigned, struct io_uring *, struct io_uring_params *, void *, size_t) =
		ring_begins(__func__, &r);

	return next ? next(entries, ring, p, buf, bytes) : r;
}

EXPORT int io_uring_setup(unsigned entries, struct io_uring_params *p)
{
	int r;
	int (*next)(unsigned, struct io_uring_params *) = ring_begins(__func__, &r);

	return next ? next(entries, p) : r;
}
