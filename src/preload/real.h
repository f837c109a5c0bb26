/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * real.h - libc's own functions, of which ours took the names.
 */
#ifndef MORTISE_PRELOAD_REAL_H
#define MORTISE_PRELOAD_REAL_H

#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/defs.h"
#include "posix/calls.h"
#include "posix/fdtab.h"
#include "posix/process.h"
#include "posix/signals.h"

struct file_handle;
struct winsize;

/**
 * struct real - A pointer for each line of real_list.h.
 * Each points to a stub at first, which looks the function up and calls it: so
 * a call before our constructor works. The constructor looks up all.
 */
struct real {
#define REAL(type, name, params, args) type (*name) params;
#include "preload/real_list.h"
#undef REAL
};
extern struct real real;

/** real_start() - Look up all. */
void real_start(void);
/** stdio_start() - Teach libc's streams about our descriptors. */
void stdio_start(void);

/* Exported under its own name; preload.map lists it too. */
#define EXPORT __attribute__((visibility("default")))

/* Another exported name of the same function. */
#define ALIAS(other, name) \
	__asm__(".globl " #other "\n.type " #other ", %function\n.set " #other ", " #name)

/** cancel_test() - End this thread where it was cancelled, and may be. */
void cancel_test(void);

/** result() - From -errno to errno. */
static inline long result(long r)
{
	if (unlikely(r < 0)) {
		if (r == -EINTR && signals_cancelled)
			cancel_test();
		errno = (int)-r;
		return -1;
	}
	return r;
}

/** is_ours() - Does @fd refer to something of ours? A cancellation point then. */
static inline bool is_ours(int fd)
{
	if (likely(!fdtab_peek(fd)))
		return false;
	if (unlikely(signals_cancelled))
		cancel_test();
	return true;
}

/** cancellable() - A cancellation point, ours or not: libc's own tests as well. */
static inline void cancellable(void)
{
	if (unlikely(signals_cancelled))
		cancel_test();
}

/** plain_result() - Of what is no cancellation point. */
static inline long plain_result(long r)
{
	if (likely(r >= 0))
		return r;
	errno = (int)-r;
	return -1;
}

/** made() - A descriptor that libc has just returned. */
static inline int made(int fd)
{
	return fd < 0 ? fd : (int)result(fd_made(fd));
}

/** made_pair() - Two; both are closed where one is above the limit. */
int made_pair(int fds[2]);

/** made_file() - A stream that libc has just opened; NULL where its number is
 * above the program's limit. */
FILE *made_file(FILE *f);

#endif
