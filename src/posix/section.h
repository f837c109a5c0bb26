/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section.h - Signals and the library.
 *
 * A handler of the program's must not run while the library has its state in
 * pieces. Handlers are wrapped (signals.c): one that arrives inside a section
 * is recorded, masked in the saved context, and raised again on leaving. One
 * that arrives between "look again" and the system call that sleeps makes
 * that call return -EINTR.
 */
#ifndef MORTISE_POSIX_SECTION_H
#define MORTISE_POSIX_SECTION_H

#include "base/defs.h"

/**
 * struct section_state - Of one thread.
 * @depth:   Sections entered and not left.
 * @pending: A handler was put off and is to be raised on leaving.
 * @handled: Handlers that ran in this thread, all of them.
 * @broke:   Of those, the ones installed without SA_RESTART.
 */
struct section_state {
	uint32_t depth;
	uint32_t pending;
	uint32_t handled;
	uint32_t broke;
};

extern __thread struct section_state section_state
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/** section_raise() - Raise what was put off. */
void section_raise(void);

static inline void section_enter(void)
{
	section_state.depth++;
	__asm__ volatile("" ::: "memory");
}

static inline void section_leave(void)
{
	__asm__ volatile("" ::: "memory");
	if (--section_state.depth == 0 && unlikely(section_state.pending))
		section_raise();
}

/**
 * section_sleep() - A system call that may sleep, outside any section.
 * @counter: &section_state.handled or &section_state.broke.
 * @seen:    Its value when the program's call began.
 *
 * Return: The system call's result, or -EINTR at once where *@counter is no
 *         longer @seen. A handler that comes before the system call has begun
 *         makes it return -EINTR too, if it counts in *@counter; else the
 *         system call is made.
 */
long section_sleep(long nr, const long args[6], const uint32_t *counter, uint32_t seen);

/* Among results: only handlers with SA_RESTART ended the sleep. The program's
 * call begins anew, as in Linux: with the descriptor and the flags as they are
 * now. Never seen by the program. */
#define CALL_AGAIN (-300000L)

/**
 * section_verdict() - A sleep without a deadline of the program's ended with
 * -EINTR, and nothing was transferred.
 * @handled: Was section_sleep()'s @seen for section_state.handled.
 * @broke:   section_state.broke when the program's call began.
 * Return: -EINTR or CALL_AGAIN.
 */
long section_verdict(uint32_t handled, uint32_t broke);

#endif
