/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdtab.c - Descriptor numbers.
 *
 * A number is the kernel's unless the table says otherwise, and every call
 * that returns a new number resets its entry (fd_made()), since closes that
 * libc makes inside itself bypass us.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "posix/asleep.h"
#include "posix/calls.h"
#include "posix/fdtab.h"
#include "posix/handle.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/sock.h"

#define FDTAB_MOST (1u << 20)

_Atomic(struct fobj *) *fdtab;
unsigned fdtab_size;

/* Of each number: 1 + index of its struct ksock, or 0. */
static _Atomic uint16_t *fdtab_ksock;
static uint32_t ksock_next;
static _Atomic uint64_t fallbacks_early[REASON_COUNT];

void fdtab_init(void)
{
	long a, b;

	/* Room for a hard limit that is raised later. */
	a = sys6(SYS_mmap, 0, FDTAB_MOST * sizeof(*fdtab), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	b = sys6(SYS_mmap, 0, FDTAB_MOST * sizeof(*fdtab_ksock), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((a < 0 && a > -4096) || (b < 0 && b > -4096))
		return;
	fdtab = (void *)a;
	fdtab_ksock = (void *)b;
	fdtab_grow(load_relaxed(&process.nofile_hard));
}

void fdtab_grow(uint64_t hard)
{
	unsigned n = hard > FDTAB_MOST || hard == 0 ? FDTAB_MOST : (unsigned)hard;

	if (fdtab && n > fdtab_size)
		fdtab_size = n;
}

struct fobj *fdtab_get_slow(int fd)
{
	for (;;) {
		struct fobj *o = fdtab_peek(fd);
		uint32_t n;

		if (!o)
			return NULL;
		n = load_relaxed(&o->refs);
		/* Zero: it is on its way out, and the number with it. */
		while (n != 0 && !atomic_compare_exchange_weak(&o->refs, &n, n + 1))
			;
		if (n != 0) {
			if (fdtab_peek(fd) == o)
				return o;
			fdtab_put(o);
		}
		cpu_relax();
	}
}

void fdtab_install(int fd, struct fobj *o)
{
	atomic_fetch_add(&o->nfds, 1);
	store_release(&fdtab[fd], o);
}

struct fobj *fdtab_remove(int fd)
{
	struct fobj *o = NULL;

	if ((unsigned)fd < fdtab_size && load_relaxed(&fdtab[fd]))
		o = atomic_exchange(&fdtab[fd], NULL);
	if (o)
		atomic_fetch_sub(&o->nfds, 1);
	return o;
}

/* The same at once. Return: what was there. */
static struct fobj *fdtab_replace(int fd, struct fobj *o)
{
	struct fobj *old;

	atomic_fetch_add(&o->nfds, 1);
	old = atomic_exchange(&fdtab[fd], o);
	if (old)
		atomic_fetch_sub(&old->nfds, 1);
	return old;
}

/* ------------------------------------------------- kernel sockets counted */

static void ksock_forget(int fd)
{
	uint16_t i;

	if ((unsigned)fd >= fdtab_size || likely(load_relaxed(&fdtab_ksock[fd]) == 0))
		return;
	i = atomic_exchange(&fdtab_ksock[fd], 0);
	if (i && process.party)
		store_release(&arena_ksocks(process.party->base)[i - 1].key, 0);
}

void fdtab_kernel(int fd, enum reason why)
{
	struct party *p = process.party;
	struct stat st = { 0 };

	if (!p) {
		atomic_fetch_add(&fallbacks_early[why], 1);
		return;
	}
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		uint64_t n = load_relaxed(&fallbacks_early[i]);

		if (n && atomic_compare_exchange_strong(&fallbacks_early[i], &n, 0))
			atomic_fetch_add(&arena_hdr(p->base)->fallbacks[i], n);
	}
	atomic_fetch_add(&arena_hdr(p->base)->fallbacks[why], 1);
	if ((unsigned)fd >= fdtab_size)
		return;
	ksock_forget(fd);
	for (unsigned try = 0; try < 64; try++) {
		uint32_t i = ksock_next++ % KSOCK_MAX;
		struct ksock *k = &arena_ksocks(p->base)[i];
		uint64_t none = 0;

		if (!atomic_compare_exchange_strong(&k->key, &none,
						    (uint64_t)(fd + 1) << 8 | (uint32_t)why))
			continue;
		store_relaxed(&k->inode, fstat(fd, &st) == 0 ? st.st_ino : 0);
		store_relaxed(&fdtab_ksock[fd], (uint16_t)(i + 1));
		return;
	}
}

/* ------------------------------------------------------------ descriptors */

bool fd_is_ours(int fd)
{
	struct fobj *o = fdtab_peek(fd);

	return o && o->kind == FOBJ_SOCK;
}

/* The highest number that the program was given. */
static _Atomic uint32_t highest;

int fdtab_kernel_size(void)
{
	int size = 64;

	while ((uint32_t)size <= load_relaxed(&highest))
		size *= 2;
	return size;
}

long fd_made(long fd)
{
	struct fobj *o;

	if (fd < 0 || !fdtab)
		return fd;
	if (unlikely((uint64_t)fd >= load_relaxed(&process.nofile_soft))) {
		sys1(SYS_close, fd);
		return -EMFILE;
	}
	if (unlikely((uint32_t)fd > load_relaxed(&highest)))
		store_relaxed(&highest, (uint32_t)fd);
	ksock_forget((int)fd);
	if (unlikely(fdtab_peek((int)fd))) {
		/* libc closed it behind our back. */
		section_enter();
		o = fdtab_remove((int)fd);
		if (o)
			fdtab_put(o);
		section_leave();
	}
	return fd;
}

static bool is_child_sharing_memory(void)
{
	return (uint32_t)sys0(SYS_getpid) != process.pid;
}

/* Close a descriptor of a socket of ours. Keeps the handle where it was the
 * last one: it goes back to the pool, or its going is the end of the socket. */
static long close_sock(int fd, struct sock *s)
{
	if (load_relaxed(&s->obj.nfds) == 0 && s->obj.kind == FOBJ_SOCK)
		handle_park(fd, &s->parked_fd);
	return sys1(SYS_close, fd);
}

long call_close(int fd)
{
	struct fobj *o;
	long r;

	if (unlikely((unsigned)fd >= fdtab_size))
		return NOT_OURS;
	if (!fdtab_peek(fd)) {
		if (unlikely(fd_is_library(fd)))
			return is_child_sharing_memory() ? NOT_OURS : -EBADF;
		ksock_forget(fd);
		return NOT_OURS;
	}
	if (is_child_sharing_memory())
		return NOT_OURS;
	section_enter();
	asleep_reap();
	o = fdtab_remove(fd);
	if (!o) {
		section_leave();
		return -EBADF;
	}
	if (o->kind != FOBJ_EPOLL) {
		struct sock *s = (struct sock *)o;

		if (load_relaxed(&o->nfds) == 0) {
			watch_gone(s);
			s->closing = true;
		}
		r = close_sock(fd, s);
	} else {
		r = sys1(SYS_close, fd);
	}
	fdtab_put(o);
	section_leave();
	return r;
}

/* @to is a duplicate of @fd by now: both refer to the same object. */
static void dup_install(int to, struct fobj *o)
{
	struct fobj *old = fdtab_remove(to);

	fdtab_install(to, o);
	if (old)
		fdtab_put(old);
}

long call_dup(int fd)
{
	return call_fcntl(fd, F_DUPFD, 0);
}

long fd_dup_from(int fd, int cmd, unsigned long least)
{
	struct fobj *o;
	long r;

	section_enter();
	o = fdtab_get(fd);
	if (!o) {
		section_leave();
		return NOT_OURS;
	}
	if (least >= load_relaxed(&process.nofile_soft) || least >= fdtab_size)
		r = -EINVAL;
	else
		r = fd_made(sys3(SYS_fcntl, fd, cmd, least));
	if (r >= (long)fdtab_size) {
		sys1(SYS_close, r);
		r = -EMFILE;
	}
	if (r >= 0)
		dup_install((int)r, o); /* takes our reference */
	else
		fdtab_put(o);
	section_leave();
	return r;
}

long call_dup3(int fd, int to, int flags)
{
	struct fobj *o, *old;
	long r;

	if (fd_is_library(fd))
		return -EBADF;
	if (fd_is_library(to) && to >= 0 && !is_child_sharing_memory())
		return -EBADF;
	if (!fdtab_peek(fd) && !fdtab_peek(to)) {
		ksock_forget(to);
		return NOT_OURS;
	}
	if (is_child_sharing_memory())
		return NOT_OURS;
	if ((uint64_t)(unsigned)to >= load_relaxed(&process.nofile_soft) ||
	    (unsigned)to >= fdtab_size)
		return -EBADF;
	section_enter();
	o = fdtab_get(fd);
	/* Keep the old one's handle alive across the dup3, as in close(). */
	if (!o && sys2(SYS_fcntl, fd, F_GETFD) < 0) {
		section_leave();
		return -EBADF;
	}
	/* What @to is, it is at each moment: a call of another thread may begin
	 * anew just now. So ours is there before the descriptor, the kernel's after. */
	old = o ? fdtab_replace(to, o) : fdtab_get(to);
	if (old && old->kind == FOBJ_SOCK && load_relaxed(&old->nfds) == (o ? 0 : 1))
		handle_park(to, &((struct sock *)old)->parked_fd);
	ksock_forget(to);
	r = sys3(SYS_dup3, fd, to, flags);
	if (old && !o)
		fdtab_put(old);
	if (!o)
		old = r >= 0 ? fdtab_remove(to) : NULL;
	else if (r < 0 && fdtab_remove(to))
		fdtab_put(o);
	if (old && old->kind != FOBJ_EPOLL && load_relaxed(&old->nfds) == 0) {
		watch_gone((struct sock *)old);
		((struct sock *)old)->closing = true;
	}
	if (old)
		fdtab_put(old);
	section_leave();
	return r;
}

long call_close_range(unsigned first, unsigned last, int flags)
{
	unsigned top = fdtab_size, how = (unsigned)flags;
	long r = 0;

	if (first > last || how & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return -EINVAL;
	if (is_child_sharing_memory())
		return NOT_OURS;
	if (how & CLOSE_RANGE_UNSHARE) {
		r = sys1(SYS_unshare, 0x400 /* CLONE_FILES */);
		if (r < 0)
			return r;
	}
	/* Runs of the kernel's numbers between ours and the library's own. */
	for (unsigned at = first; at <= last && r >= 0;) {
		unsigned end = at;

		while (end < top && end <= last && !fdtab_peek((int)end) &&
		       !fd_is_library((int)end)) {
			ksock_forget((int)end);
			end++;
		}
		if (end >= top)
			return sys3(SYS_close_range, at, last, how & CLOSE_RANGE_CLOEXEC);
		if (end > at)
			r = sys3(SYS_close_range, at, end - 1, how & CLOSE_RANGE_CLOEXEC);
		if (end <= last && fdtab_peek((int)end)) {
			if (how & CLOSE_RANGE_CLOEXEC)
				sys3(SYS_fcntl, end, F_SETFD, FD_CLOEXEC);
			else
				call_close((int)end);
		}
		at = end + 1;
	}
	return r;
}
