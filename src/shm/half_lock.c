/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * half_lock.c - A lock word in shared memory that outlives its holders.
 *
 * The word is 0, or the holder's thread id, with FUTEX_WAITERS where others
 * wait. What it guards is a send that nobody sees before its last store (the
 * tail), so a lock whose holder died can simply be taken: there is nothing to
 * repair. Waiters look whether the holder lives each LOOK_NS.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/sys.h"
#include "shm/conn.h"
#include "shm/futex.h"

#define LOOK_NS (20 * NS_PER_MS)
#define WATCH_SPINS 200
#define EXITING 0x4u /* PF_EXITING, of the flags in /proc/PID/stat */

static __thread uint32_t my_tid;

void half_lock_forked(void)
{
	my_tid = 0;
}

static uint32_t tid_get(void)
{
	if (unlikely(my_tid == 0))
		my_tid = (uint32_t)sys0(SYS_gettid);
	return my_tid;
}

/* A zombie has a thread id for as long as its parent likes, and the parent may
 * be who waits here. One that is killed closes its descriptors, by which others
 * hear of it and come to look here, before it is a zombie: PF_EXITING is set first. */
static bool tid_ends(uint32_t tid)
{
	char path[32], stat[128];
	const char *at;
	char state;
	long fd, n;

	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	fd = sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	n = sys3(SYS_read, fd, stat, sizeof(stat) - 1);
	sys1(SYS_close, fd);
	stat[n > 0 ? n : 0] = 0;
	/* proc(5): pid (comm) state ppid pgrp session tty_nr tpgid flags */
	at = strrchr(stat, ')');
	if (!at || !at[1])
		return false;
	state = at[2];
	for (int field = 0; at && field < 7; field++)
		at = strchr(at + 1, ' ');
	return state == 'Z' || state == 'X' || (at && strtoul(at, NULL, 10) & EXITING);
}

static bool tid_alive(uint32_t tid)
{
	return sys2(SYS_tkill, tid, 0) != -ESRCH && !tid_ends(tid);
}

/* Its holder, where that is still the same after a while; 0: it was dropped. */
static uint32_t holder_watched(const _Atomic uint32_t *word)
{
	uint32_t seen = load_relaxed(word);

	for (int spin = 0; spin < WATCH_SPINS && seen; spin++) {
		if (load_relaxed(word) != seen)
			return 0;
		cpu_relax();
	}
	return seen;
}

bool half_trylock(_Atomic uint32_t *word, bool of_dead)
{
	uint32_t me = tid_get(), seen = 0;

	if (atomic_compare_exchange_strong(word, &seen, me))
		return true;
	if (!of_dead)
		return false;
	seen = holder_watched(word);
	return (seen == 0 || !tid_alive(seen & FUTEX_TID_MASK)) &&
	       atomic_compare_exchange_strong(word, &seen, me);
}

bool half_lock_lives(const _Atomic uint32_t *word)
{
	uint32_t seen = holder_watched(word);

	return seen && tid_alive(seen & FUTEX_TID_MASK);
}

bool half_lock_until(_Atomic uint32_t *word, uint64_t deadline_ns)
{
	uint32_t me = tid_get(), seen = 0;

	for (int spin = 0; spin < 200; spin++) {
		seen = 0;
		if (atomic_compare_exchange_strong(word, &seen, me)) {
			FAULT_POINT("lock.held");
			return true;
		}
		cpu_relax();
	}
	for (;;) {
		seen = load_relaxed(word);
		if (seen == 0 || !tid_alive(seen & FUTEX_TID_MASK)) {
			/* Others may wait: keep saying so. */
			if (atomic_compare_exchange_strong(word, &seen, me | FUTEX_WAITERS))
				return true;
			continue;
		}
		if (deadline_ns && clock_now_ns() >= deadline_ns)
			return false;
		if (!(seen & FUTEX_WAITERS) &&
		    !atomic_compare_exchange_strong(word, &seen, seen | FUTEX_WAITERS))
			continue;
		futex_wait(word, seen | FUTEX_WAITERS, clock_now_ns() + LOOK_NS);
	}
}

void half_lock(_Atomic uint32_t *word)
{
	half_lock_until(word, 0);
}

void half_unlock(_Atomic uint32_t *word)
{
	if (atomic_exchange(word, 0) & FUTEX_WAITERS)
		futex_wake(word, 1);
}
