/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rlimit.h - RLIMIT_NOFILE and RLIMIT_AS as the program sees them.
 *
 * The real soft limit is the hard one, so that the library's descriptors have
 * room above the program's. The program sees and sets process.nofile_soft,
 * and what it executes gets that.
 *
 * Arenas are reservations of address space, by far larger than a program that
 * limits its own would allow. While it has a limit, the real soft one is that
 * and what the arenas take; the real hard one stays where it was, so that it
 * can follow. What the program executes gets its soft limit, not its hard one.
 */
#ifndef MORTISE_POSIX_RLIMIT_H
#define MORTISE_POSIX_RLIMIT_H

#include <sys/resource.h>
#include <sys/types.h>

#include "base/defs.h"

/** rlimit_start() - Raise the real soft limits. */
void rlimit_start(void);

/**
 * rlimit_prlimit() - prlimit(), as the program sees it.
 * Return: 0 or -errno.
 */
long rlimit_prlimit(pid_t pid, int resource, const struct rlimit64 *set, struct rlimit64 *old);

/** rlimit_open_max() - For sysconf(_SC_OPEN_MAX). */
long rlimit_open_max(void);

/**
 * rlimit_exec_before() - The program's own soft limits are the real ones until
 * rlimit_exec_after(). Nests; meanwhile the library may find no room for a
 * descriptor of its own.
 * @itself: This process executes. Else libc has a child do so, for which it
 *          maps memory first: then the child has the room of our arenas, too.
 */
void rlimit_exec_before(bool itself);
void rlimit_exec_after(bool itself);

/** rlimit_fork_child() - Only this thread is left. */
void rlimit_fork_child(void);

#endif
