/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * served.h - Has any process a listener of the registry?
 *
 * A listener's last close without close() (an exit, an exec, a signal) is heard
 * by the daemon a moment later, and until then it looks like one that is just not
 * accepting. So its half names a process that has it (half.served_by), as that one
 * said itself. connect() asks the kernel whether there is such a process, and where
 * not, the daemon, which then looks for the last close at once. It is a hint: what
 * it says wrongly costs a question, or leaves that moment as it is.
 */
#ifndef MORTISE_POSIX_SERVED_H
#define MORTISE_POSIX_SERVED_H

#include "posix/process.h"
#include "posix/sock.h"

/** served_here() - This process has listener @s. */
static inline void served_here(struct sock *s)
{
	if (unlikely(load_relaxed(&s->half->served_by) != process.pid))
		store_relaxed(&s->half->served_by, process.pid);
}

/** served_no_more() - It is about to have it no more. */
void served_no_more(struct sock *s);

/** served_exec_before/after() - An exec begins; it has failed. */
void served_exec_before(void);
void served_exec_after(void);

/** served_look() - Has somebody the listener @ref? Caller holds the lock of @s, which is
 * to be connected there. */
bool served_look(const struct sock *s, const struct listener_ref *ref);

#endif
