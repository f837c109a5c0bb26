/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.c - The library's constructor.
 */
#include "posix/exec.h"
#include "posix/signals.h"
#include "preload/real.h"

__attribute__((constructor(101))) static void preload_start(void)
{
	int saved = errno;

	real_start();
	process_start();
	exec_start();
	stdio_start();
	signals_off = !process.enabled;
	signals_start(real.sigaction);
	errno = saved;
}
