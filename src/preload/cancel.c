/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cancel.c - Thread cancellation while a thread sleeps in a socket of ours.
 *
 * libc's pthread_cancel() marks the thread, and sends its signal only to one
 * that is in a system call made by libc. We send it in any case; what stands
 * before libc's handler (signals.c) lets a sleep of ours end with -EINTR, the
 * call is left in good order, and its wrapper calls pthread_testcancel().
 */
#include <dlfcn.h>

#include "base/sys.h"
#include "preload/real.h"

/* libc describes struct pthread to debuggers: {bits, count, offset}. */
static long thread_id(pthread_t thread)
{
	const uint32_t *field = dlsym(RTLD_DEFAULT, "_thread_db_pthread_tid");

	if (!field || field[0] != 32)
		return 0;
	return *(const volatile int *)((const char *)thread + field[2]);
}

EXPORT int pthread_cancel(pthread_t thread)
{
	/* Before: a detached thread may be gone afterwards. */
	long tid = process.enabled ? thread_id(thread) : 0;
	int r = real.pthread_cancel(thread), sig;

	if (r != 0 || tid <= 0)
		return r;
	sig = signals_cancel_start();
	if (sig > 0)
		sys3(SYS_tgkill, process.pid, tid, sig);
	return r;
}

void cancel_test(void)
{
	pthread_testcancel();
}
