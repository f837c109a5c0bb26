/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tick.h"

enum { GUARD_AGAIN_US = 50000 };

static int rate_hz;
static timer_t guard_timer;
static __thread timer_t thread_timer;
static _Atomic uint64_t ticks;
static __thread volatile sig_atomic_t guarded;

static void on_guard(int sig)
{
	(void)sig;
	guarded = 1;
}

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

/* A timer whose signal goes to the calling thread. */
static timer_t timer_here(int sig)
{
	struct sigevent sev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };
	timer_t t;

	sev._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &sev, &t))
		abort();
	return t;
}

static void timer_start(timer_t t, long first_us, long then_us)
{
	struct itimerspec its = {
		.it_value = { .tv_sec = first_us / 1000000, .tv_nsec = first_us % 1000000 * 1000 },
		.it_interval = { .tv_nsec = then_us * 1000 },
	};

	timer_settime(t, 0, &its, NULL);
}

static void tick_set(int hz)
{
	struct itimerval it = { 0 };

	it.it_interval.tv_usec = hz ? 1000000 / hz : 0;
	it.it_value = it.it_interval;
	setitimer(ITIMER_REAL, &it, NULL);
}

void tick_begin(int hz)
{
	struct sigaction tick_action = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct sigaction guard_action = { .sa_handler = on_guard };

	rate_hz = hz;
	sigaction(SIGALRM, &tick_action, NULL);
	sigaction(SIGUSR2, &tick_action, NULL);
	sigaction(SIGUSR1, &guard_action, NULL);
	guard_timer = timer_here(SIGUSR1);
	if (hz)
		tick_set(hz);
}

void tick_end(void)
{
	tick_guard(0);
	tick_set(0);
}

void tick_thread(void)
{
	sigset_t set;

	guarded = 0;
	if (!rate_hz)
		return;
	/* The process's own would come to either thread, as chance has it. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	thread_timer = timer_here(SIGUSR2);
	timer_start(thread_timer, 1000000 / rate_hz, 1000000 / rate_hz);
}

void tick_thread_end(void)
{
	if (rate_hz)
		timer_delete(thread_timer);
}

void tick_guard(long us)
{
	guarded = 0;
	/* It repeats, lest it comes just before the call that it bounds. */
	timer_start(guard_timer, us, us ? GUARD_AGAIN_US : 0);
}

void tick_guard_thread(pthread_t thread)
{
	pthread_kill(thread, SIGUSR1);
}

bool tick_only(void)
{
	return rate_hz && !guarded;
}

uint64_t tick_count(void)
{
	return ticks;
}
