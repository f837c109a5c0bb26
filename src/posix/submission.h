/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * submission.h - What a program is about to hand to the kernel in an io_uring.
 *
 * The kernel makes those calls itself, past libc: on a socket of ours it would reach the
 * handle. So before they are submitted each descriptor in them that is ours becomes the
 * kernel's: an unconnected socket and a listener as in any fallback, a connection through a
 * relay. From the first one on the process has kernel sockets only (leave_ring()). A ring
 * that never sees a socket, as of a database that reads its files through it, costs a look at
 * each entry, and its process stays in memory.
 */
#ifndef MORTISE_POSIX_SUBMISSION_H
#define MORTISE_POSIX_SUBMISSION_H

#include <linux/io_uring.h>

#include "base/defs.h"

/**
 * submission_look() - Entries [@from, @to) of a ring of @mask + 1, mod 2^32, are about to be
 * submitted.
 * @sqes: The program's, 64 bytes each.
 */
void submission_look(const struct io_uring_sqe *sqes, uint32_t mask, uint32_t from, uint32_t to);

/** submission_files() - @n descriptors are about to be known to a ring by an index. */
void submission_files(const int *fds, unsigned n);

#endif
