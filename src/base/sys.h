/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sys.h - System calls without libc's wrappers: no errno, no cancellation
 * point, and never one of the symbols that the preloaded library replaces.
 */
#ifndef MORTISE_BASE_SYS_H
#define MORTISE_BASE_SYS_H

#include <sys/syscall.h>

#include "base/defs.h"

#if defined(__clang_analyzer__)
/* The analyser does not know what an asm statement writes through pointers. */
long sys_call(long nr, long a, long b, long c, long d, long e, long f);
#else
/** sys_call() - Do system call @nr. Return: its result, or -errno. */
static inline long sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "unknown machine"
#endif
}
#endif

#define SYS_(nr, a, b, c, d, e, f) \
	sys_call((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define sys0(nr) SYS_(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a) SYS_(nr, a, 0, 0, 0, 0, 0)
#define sys2(nr, a, b) SYS_(nr, a, b, 0, 0, 0, 0)
#define sys3(nr, a, b, c) SYS_(nr, a, b, c, 0, 0, 0)
#define sys4(nr, a, b, c, d) SYS_(nr, a, b, c, d, 0, 0)
#define sys5(nr, a, b, c, d, e) SYS_(nr, a, b, c, d, e, 0)
#define sys6(nr, a, b, c, d, e, f) SYS_(nr, a, b, c, d, e, f)

#endif
