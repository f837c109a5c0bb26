/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leave.h - A process that becomes another user's, or goes where the daemon
 * cannot be reached: chroot, another network namespace, a filter of system calls.
 *
 * Memory of one uid is never mapped by another, so what it would take later is
 * done before: listeners become the kernel's, and established connections know
 * all that they need. Those go on in memory that is mapped already.
 */
#ifndef MORTISE_POSIX_LEAVE_H
#define MORTISE_POSIX_LEAVE_H

#include "base/defs.h"

/** leave_prepare() - Before a change that keeps the daemon reachable through
 * the channel that is open, as chroot() does, or one that takes descriptors
 * away: open it, have what sleeping takes, and know all peers. */
void leave_prepare(void);

/** leave_uid_before() - Before all user ids of the process change. */
void leave_uid_before(void);

/**
 * leave_confine_before() - Before the process confines itself to some system
 * calls: what others would be needed for later is done.
 */
void leave_confine_before(void);
/** leave_confined() - After. */
void leave_confined(void);

/**
 * leave_ring() - The process is about to use sockets in an io_uring, or makes one whose
 * submissions are not seen: those calls do not go through libc. So its sockets are the
 * kernel's from now on (reason `option`), and its listeners become so; connections that it
 * has stay where they are, but see submission.h.
 * Return: 0, or -ENOSYS under policies that have no kernel sockets to go on with.
 */
long leave_ring(void);

/** leave_done() - After: new sockets are the kernel's from now on. */
void leave_done(void);

#endif
