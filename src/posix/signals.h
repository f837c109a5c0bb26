/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.h - The program's signal handlers, called from a wrapper of ours.
 */
#ifndef MORTISE_POSIX_SIGNALS_H
#define MORTISE_POSIX_SIGNALS_H

#include <signal.h>

#include "base/defs.h"

/** signals_off - The program is excluded: its handlers are its own. Set at
 * start only. */
extern bool signals_off;

/** struct sigaction's setter in libc; given, since libc's symbol is replaced. */
typedef int (*sigaction_fn)(int sig, const struct sigaction *act, struct sigaction *old);

/** signals_start() - Called by the library's constructor.
 * @libc: libc's own sigaction(). */
void signals_start(sigaction_fn libc);

/**
 * signals_guard() - From now on bad addresses that the program gives to calls
 * on sockets of ours are EFAULT. Called before there is such a socket.
 */
void signals_guard(void);

/**
 * signals_cancelled - pthread_cancel() was called for this thread: sleeps in
 * sockets of ours end with -EINTR from now on, unless the thread has disabled
 * cancellation, and who sees that calls pthread_testcancel() with nothing
 * held.
 */
extern __thread bool signals_cancelled
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/** signals_no_point - The call in progress is no cancellation point. */
extern __thread bool signals_no_point
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/** signals_is_cancelled() - And it has not disabled that. */
bool signals_is_cancelled(void);

/**
 * signals_cancel_start() - Be told of cancelled threads: stand before libc's
 * handler of its own signal for that, which exists from the first
 * pthread_cancel() on.
 * Return: That signal, or -errno.
 */
int signals_cancel_start(void);

/**
 * signals_action() - sigaction() as the program means it.
 * @libc: libc's own sigaction().
 * Return: As sigaction(), with errno.
 */
int signals_action(int sig, const struct sigaction *act, struct sigaction *old,
		   sigaction_fn libc);

/** signals_bsd() - signal() of 4.3BSD, which is glibc's. */
sighandler_t signals_bsd(int sig, sighandler_t handler, sigaction_fn libc);
/** signals_sysv() - signal() of System V: one-shot, nothing masked. */
sighandler_t signals_sysv(int sig, sighandler_t handler, sigaction_fn libc);
/** signals_interrupt() - siginterrupt(). */
int signals_interrupt(int sig, int flag, sigaction_fn libc);

/** signals_fork_before/after() - No other thread is changing the table while
 * it is copied. */
void signals_fork_before(void);
void signals_fork_after(void);

#endif
