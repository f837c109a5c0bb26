/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdtab.h - What each descriptor number of this process refers to: nothing
 * that the library knows (the kernel's), a socket of ours, or an epoll set.
 */
#ifndef MORTISE_POSIX_FDTAB_H
#define MORTISE_POSIX_FDTAB_H

#include <sys/single_threaded.h>

#include "base/defs.h"
#include "shm/abi.h"

enum fobj_kind { FOBJ_SOCK = 1, FOBJ_EPOLL = 2, FOBJ_DGRAM = 3 };

/** FOBJ_DGRAM - As FOBJ_SOCK a struct sock, but its descriptors are the kernel's
 * socket: what is not done for it specially is libc's to do. */

/**
 * struct fobj - First member of what a descriptor can refer to.
 * @refs: Descriptors plus calls in progress. Objects live in pools that are
 *        never unmapped, so a reference can be tried on a stale pointer.
 * @nfds: Descriptors alone.
 * @last: Called when @refs falls to zero.
 */
struct fobj {
	enum fobj_kind kind;
	_Atomic uint32_t refs;
	_Atomic uint32_t nfds;
	void (*last)(struct fobj *o);
};

extern _Atomic(struct fobj *) *fdtab; /* NULL until the library has started */
extern unsigned fdtab_size;

/** fdtab_peek() - What @fd refers to, without a reference. */
static inline struct fobj *fdtab_peek(int fd)
{
	if (unlikely((unsigned)fd >= fdtab_size))
		return NULL;
	return load_acquire(&fdtab[fd]);
}

/** fdtab_get() - The object with a reference, or NULL: the kernel's. */
struct fobj *fdtab_get_slow(int fd);
static inline struct fobj *fdtab_get(int fd)
{
	struct fobj *o = fdtab_peek(fd);

	if (likely(!o))
		return NULL;
	if (likely(__libc_single_threaded)) {
		store_relaxed(&o->refs, load_relaxed(&o->refs) + 1);
		return o;
	}
	return fdtab_get_slow(fd);
}

static inline void fdtab_put(struct fobj *o)
{
	if (likely(__libc_single_threaded)) {
		uint32_t n = load_relaxed(&o->refs) - 1;

		store_relaxed(&o->refs, n);
		if (n == 0)
			o->last(o);
	} else if (atomic_fetch_sub(&o->refs, 1) == 1) {
		o->last(o);
	}
}

void fdtab_init(void);
/** fdtab_grow() - The hard limit has been raised. */
void fdtab_grow(uint64_t hard);

/** fdtab_install() - @fd refers to @o from now on; takes over one reference
 * of the caller's and counts in @nfds. */
void fdtab_install(int fd, struct fobj *o);

/** fdtab_kernel_size() - How large Linux's table would be without our own
 * descriptors in it. */
int fdtab_kernel_size(void);

/** fdtab_remove() - @fd is the kernel's from now on. Return: what it was,
 * with the reference that the table had (put it), or NULL. */
struct fobj *fdtab_remove(int fd);

/** fd_dup_from() - F_DUPFD, F_DUPFD_CLOEXEC, of any object in the table. */
long fd_dup_from(int fd, int cmd, unsigned long least);

/** fdtab_kernel() - Note, for `mortise ss`, that @fd is a kernel socket. */
void fdtab_kernel(int fd, enum reason why);

#endif
