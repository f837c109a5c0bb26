/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll.h - What poll and select have in common.
 */
#ifndef MORTISE_POSIX_POLL_H
#define MORTISE_POSIX_POLL_H

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "base/defs.h"

#define POLL_ON_STACK 1024u /* descriptors that need no memory of their own */

/**
 * poll_wait() - ppoll() on descriptors of which at least one is ours.
 * @implicit: Bits that are reported for each, asked for or not: POLLERR and
 *            POLLHUP for poll. (POLLNVAL is in any case.)
 * @timeout:  Checked; NULL: for ever.
 *
 * Return: As ppoll(), or NOT_OURS where none is ours (any more).
 */
long poll_wait(struct pollfd *fds, nfds_t n, uint32_t implicit, const struct timespec *timeout,
	       const sigset_t *mask);

/** poll_memory() - Zeroed memory for large calls; NULL: there is none. */
void *poll_memory(size_t bytes);
void poll_memory_free(void *p, size_t bytes);

#endif
