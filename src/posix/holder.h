/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holder.h - Which of several processes is rung for a socket that they share.
 *
 * A half has one bell. The process that made the half has it to begin with;
 * another that polls the socket takes it, and is then hinted at in its own
 * mailbox, at an alias: a slot of its own arena in which there is no half.
 * Whoever loses it is told, and looks by itself (watch.foreign) until it has
 * it again. All is guarded by watch_lock() where nothing else is said.
 */
#ifndef MORTISE_POSIX_HOLDER_H
#define MORTISE_POSIX_HOLDER_H

#include "posix/sock.h"

struct watch;

/** holder_concerns() - Is @s a connection that several processes have? */
static inline bool holder_concerns(const struct sock *s)
{
	return (unlikely(s->foreign) || unlikely(load_relaxed(&s->half->shared))) &&
	       load_acquire(&((struct sock *)(uintptr_t)s)->stage) == SOCK_OPEN;
}

/** holder_lacks() - Has it no alias yet, and needs one? Without the lock. */
static inline bool holder_lacks(const struct sock *s)
{
	return unlikely(s->foreign) && !s->bell_at && holder_concerns(s);
}

/**
 * holder_stock() - Have a party, and @count aliases ready, up to a limit.
 * Without the lock: it may ask the daemon.
 * Return: False where there is none.
 */
bool holder_stock(unsigned count);

/** holder_choose() - Bell @bell of ours is the one for @s, a foreign socket.
 * Return: False where there is no alias. */
bool holder_choose(struct sock *s, unsigned bell);

/** holder_is_us() - Are we rung for @s now? */
bool holder_is_us(const struct sock *s);

/**
 * holder_have() - The same; but it is taken where @w has been added or reported
 * lately, and where nobody else sleeps on it.
 */
bool holder_have(struct watch *w);

/** holder_release() - Nobody here watches @s any more. */
void holder_release(struct sock *s);

/** holder_tell() - We ourselves changed the state of @s: who is rung for it, in another
 * process, looks. Without the lock: it may ask the daemon. */
void holder_tell(struct sock *s);

/** holder_end() - The last descriptor is closed. Without the lock. */
void holder_end(struct sock *s);

/** holder_waits - Somebody must be met before his bell can be taken. */
extern _Atomic uint32_t holder_waits;
/** holder_meet() - Do that. Without the lock: it asks the daemon. */
void holder_meet(void);

void holder_fork_child(void);

#endif
