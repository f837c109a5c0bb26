/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uring.c - liburing's functions that make a ring and submit what is in it: the system
 * calls are instructions of its own. Of struct io_uring only the beginning is known here,
 * which has been the same in all versions whose library is named liburing.so.1 or .2.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <signal.h>

#include "posix/leave.h"
#include "posix/submission.h"
#include "preload/real.h"

/** struct io_uring - @sqe_head to @sqe_tail, mod 2^32, is what has not been submitted yet. */
struct io_uring {
	unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *kdropped, *array;
	struct io_uring_sqe *sqes;
	unsigned sqe_head, sqe_tail;
};

/* With these entries are 64 bytes long, and go to the kernel when they are submitted. */
#define FLAGS_SEEN \
	(IORING_SETUP_IOPOLL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_ATTACH_WQ | \
	 IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | \
	 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER | \
	 IORING_SETUP_DEFER_TASKRUN)

/* liburing's function of that name, looked up once. */
#define NEXT(name, ...) \
	({ \
		static _Atomic(void *) found; \
		void *next_ = load_relaxed(&found); \
\
		if (unlikely(!next_)) { \
			next_ = dlsym(RTLD_NEXT, #name); \
			store_relaxed(&found, next_); \
		} \
		next_ ? ((__typeof__(&name))next_)(__VA_ARGS__) : -ENOSYS; \
	})

/* Return: 0 or -errno. */
static int ring_begins(unsigned flags)
{
	bool seen = !(flags & ~FLAGS_SEEN) && process.policy == POLICY_SHARE;

	return process.pid && !seen ? (int)leave_ring() : 0;
}

EXPORT int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	int r = ring_begins(flags);

	return r < 0 ? r : NEXT(io_uring_queue_init, entries, ring, flags);
}

EXPORT int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *p)
{
	int r = ring_begins(p->flags);

	return r < 0 ? r : NEXT(io_uring_queue_init_params, entries, ring, p);
}

EXPORT int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring,
				   struct io_uring_params *p, void *buf, size_t bytes)
{
	int r = ring_begins(p->flags);

	return r < 0 ? r : NEXT(io_uring_queue_init_mem, entries, ring, p, buf, bytes);
}

/* A ring of the program's own making: how it submits is not known. */
EXPORT int io_uring_setup(unsigned entries, struct io_uring_params *p)
{
	int r = ring_begins(~0u);

	return r < 0 ? r : NEXT(io_uring_setup, entries, p);
}

/* ---------------------------------------------------------------- submitting */

static void ring_submits(const struct io_uring *ring)
{
	if (process.enabled)
		submission_look(ring->sqes, *ring->kring_mask, ring->sqe_head, ring->sqe_tail);
}

static void files_known(const int *fds, unsigned n)
{
	if (process.enabled)
		submission_files(fds, n);
}

EXPORT int io_uring_submit(struct io_uring *ring)
{
	ring_submits(ring);
	return NEXT(io_uring_submit, ring);
}

EXPORT int io_uring_submit_and_wait(struct io_uring *ring, unsigned n)
{
	ring_submits(ring);
	return NEXT(io_uring_submit_and_wait, ring, n);
}

EXPORT int io_uring_submit_and_get_events(struct io_uring *ring)
{
	ring_submits(ring);
	return NEXT(io_uring_submit_and_get_events, ring);
}

EXPORT int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned n, struct __kernel_timespec *t, sigset_t *mask)
{
	ring_submits(ring);
	return NEXT(io_uring_submit_and_wait_timeout, ring, cqe, n, t, mask);
}

EXPORT int io_uring_submit_and_wait_min_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
						unsigned n, struct __kernel_timespec *t,
						unsigned least, sigset_t *mask)
{
	ring_submits(ring);
	return NEXT(io_uring_submit_and_wait_min_timeout, ring, cqe, n, t, least, mask);
}

EXPORT int io_uring_submit_and_wait_reg(struct io_uring *ring, struct io_uring_cqe **cqe,
					unsigned n, int reg)
{
	ring_submits(ring);
	return NEXT(io_uring_submit_and_wait_reg, ring, cqe, n, reg);
}

EXPORT int io_uring_register_files(struct io_uring *ring, const int *fds, unsigned n)
{
	files_known(fds, n);
	return NEXT(io_uring_register_files, ring, fds, n);
}

EXPORT int io_uring_register_files_tags(struct io_uring *ring, const int *fds, const uint64_t *tags,
					unsigned n)
{
	files_known(fds, n);
	return NEXT(io_uring_register_files_tags, ring, fds, tags, n);
}

EXPORT int io_uring_register_files_update(struct io_uring *ring, unsigned at, const int *fds,
					  unsigned n)
{
	files_known(fds, n);
	return NEXT(io_uring_register_files_update, ring, at, fds, n);
}

EXPORT int io_uring_register_files_update_tag(struct io_uring *ring, unsigned at, const int *fds,
					      const uint64_t *tags, unsigned n)
{
	files_known(fds, n);
	return NEXT(io_uring_register_files_update_tag, ring, at, fds, tags, n);
}
