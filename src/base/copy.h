/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.h - memcpy() from or to the program's memory, which may not be there:
 * where a system call would answer EFAULT, so must we, and not fault.
 *
 * A fault inside such a copy ends it. That takes a handler of SIGSEGV and
 * SIGBUS (posix/signals.c), which asks copy_fault(); where none is installed,
 * or a thread blocks these signals, the process ends as after any fault.
 */
#ifndef MORTISE_BASE_COPY_H
#define MORTISE_BASE_COPY_H

#include "base/defs.h"

/**
 * copy_guard - The stack of this thread's copy in progress, 0: none. A handler
 * that runs in the middle of one sets it aside.
 */
extern __thread uintptr_t copy_guard
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/**
 * copy_try() - As memcpy().
 * Return: False where @dst or @src cannot be touched; then part of it may
 *         have been copied.
 */
bool copy_try(void *dst, const void *src, size_t bytes);

/** copy_can_read() - Can all of it be read now? */
bool copy_can_read(const void *src, size_t bytes);

/**
 * copy_fault() - A fault of this thread's, seen by its handler.
 * @context: The handler's third argument.
 * Return: True where it came of copy_try(), which goes on to return false.
 */
bool copy_fault(void *context);

#endif
