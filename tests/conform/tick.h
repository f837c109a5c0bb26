/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signals that come while a worker makes its calls.
 *
 * SIGUSR1 is the guard: it interrupts what blocks for too long, and EINTR is
 * then the result. SIGALRM (SIGUSR2 in the second thread) is a timer of the
 * kind that programs have: its handler counts and is SA_RESTART. Nothing but
 * what signal(7) says may come of it.
 */
#ifndef CONFORM_TICK_H
#define CONFORM_TICK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { GUARD_US = 400000, LATE_US = 3000000 };

/** tick_begin() - In a new process: handlers, and the timer at @hz, 0 none. */
void tick_begin(int hz);

/** tick_end() - No signals any more: for exec, which keeps the timer alone. */
void tick_end(void);

/** tick_thread() - The calling thread is the second one: a timer of its own. */
void tick_thread(void);
void tick_thread_end(void);

/** tick_guard() - Interrupt this process's call after @us; 0: no more. */
void tick_guard(long us);

/** tick_guard_thread() - Interrupt the second thread's call now. */
void tick_guard_thread(pthread_t thread);

/** tick_only() - Was it the timer alone that just interrupted this thread? */
bool tick_only(void);

/** tick_count() - How often the timer has come. */
uint64_t tick_count(void);

#endif
