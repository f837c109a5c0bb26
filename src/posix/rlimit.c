/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/capability.h>

#include "base/lock.h"
#include "base/sys.h"
#include "posix/fdtab.h"
#include "posix/process.h"
#include "posix/rlimit.h"
#include "posix/section.h"
#include "shm/arena.h"

/* Guards the real limits, and how many exec's are under way for which each is
 * the program's own. */
static struct lock lock;
static unsigned lowered, space_lowered;

/**
 * struct space - RLIMIT_AS.
 * @limited:   There is one, @program is what the program sees of it, and the
 *             real soft limit is ours. Else it is as the kernel says.
 * @hard:      The real hard limit, which we leave alone.
 */
static struct space {
	_Atomic bool limited;
	struct rlimit64 program;
	uint64_t hard;
} space;

static long kernel_nofile(const struct rlimit64 *set, struct rlimit64 *old)
{
	return sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, set, old);
}

static void kernel_soft(uint64_t soft)
{
	struct rlimit64 l = { .rlim_cur = soft, .rlim_max = load_relaxed(&process.nofile_hard) };

	if (l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	kernel_nofile(&l, NULL);
}

/* ---------------------------------------------------------- address space */

/* Caller holds lock, or is alone. */
static void space_apply(bool is_exec)
{
	struct rlimit64 l = { .rlim_cur = space.program.rlim_cur, .rlim_max = space.hard };

	if (l.rlim_cur != RLIM64_INFINITY && !is_exec)
		l.rlim_cur += arena_reserved_bytes();
	if (l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	sys4(SYS_prlimit64, 0, RLIMIT_AS, &l, NULL);
}

/* arena_map() and arena_unmap() ask for it, under locks of the caller's. */
static void space_follow(void)
{
	if (!load_relaxed(&space.limited))
		return;
	section_enter();
	lock_take(&lock);
	space_apply(space_lowered > 0);
	lock_drop(&lock);
	section_leave();
}

static bool may_raise(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	return sys2(SYS_capget, &h, d) == 0 && d[0].effective & 1u << CAP_SYS_RESOURCE;
}

static long space_prlimit(const struct rlimit64 *set, struct rlimit64 *old)
{
	struct rlimit64 was, want = { 0 };
	long r = 0;

	if (set)
		want = *set; /* may be the same memory as @old */
	section_enter();
	lock_take(&lock);
	was = space.program;
	if (!load_relaxed(&space.limited))
		r = sys4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &was);
	if (r < 0 || !set)
		goto out;
	r = want.rlim_cur > want.rlim_max ? -EINVAL :
	    want.rlim_max > was.rlim_max && !may_raise() ? -EPERM : 0;
	if (r < 0)
		goto out;
	if (!load_relaxed(&space.limited))
		space.hard = was.rlim_max;
	if (want.rlim_max > space.hard)
		space.hard = want.rlim_max;
	space.program = want;
	store_relaxed(&space.limited, true);
	space_apply(space_lowered > 0);
out:
	lock_drop(&lock);
	section_leave();
	if (r == 0 && old)
		*old = was;
	return r;
}

static void space_start(void)
{
	struct rlimit64 l;

	arena_reserved_changes = space_follow;
	if (sys4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &l) < 0 || l.rlim_cur == l.rlim_max)
		return;
	space.program = l;
	space.hard = l.rlim_max;
	store_relaxed(&space.limited, true);
}

/* ------------------------------------------------------------- descriptors */

void rlimit_start(void)
{
	struct rlimit64 l;

	space_start();
	if (kernel_nofile(NULL, &l) < 0)
		return;
	store_relaxed(&process.nofile_hard, l.rlim_max);
	store_relaxed(&process.nofile_soft, l.rlim_cur);
	if (l.rlim_cur < l.rlim_max)
		kernel_soft(l.rlim_max);
}

static long nofile_set(const struct rlimit64 *set)
{
	struct rlimit64 real = { .rlim_cur = set->rlim_max, .rlim_max = set->rlim_max };
	long r;

	if (set->rlim_cur > set->rlim_max)
		return -EINVAL;
	section_enter();
	lock_take(&lock);
	if (lowered)
		real.rlim_cur = set->rlim_cur;
	/* The kernel says who may raise the hard limit, and how far. */
	r = set->rlim_max == load_relaxed(&process.nofile_hard) && !lowered ?
		    0 : kernel_nofile(&real, NULL);
	if (r == 0) {
		fdtab_grow(set->rlim_max);
		store_relaxed(&process.nofile_hard, set->rlim_max);
		store_relaxed(&process.nofile_soft, set->rlim_cur);
	}
	lock_drop(&lock);
	section_leave();
	return r;
}

long rlimit_prlimit(pid_t pid, int resource, const struct rlimit64 *set, struct rlimit64 *old)
{
	struct rlimit64 was = { .rlim_cur = load_relaxed(&process.nofile_soft),
				.rlim_max = load_relaxed(&process.nofile_hard) };
	struct rlimit64 want;
	bool self = pid == 0 || (uint32_t)pid == process.pid;
	long r = 0;

	if (resource == RLIMIT_AS && self && process.pid)
		return space_prlimit(set, old);
	if (resource != RLIMIT_NOFILE || was.rlim_max == 0 || !self)
		return sys4(SYS_prlimit64, pid, resource, set, old);
	if (set) {
		want = *set; /* may be the same memory as @old */
		r = nofile_set(&want);
	}
	if (r == 0 && old)
		*old = was;
	return r;
}

long rlimit_open_max(void)
{
	uint64_t soft = load_relaxed(&process.nofile_soft);
	struct rlimit64 l;

	if (soft == 0 && process.nofile_hard == 0) {
		if (kernel_nofile(NULL, &l) < 0)
			return -1;
		soft = l.rlim_cur;
	}
	return soft == RLIM64_INFINITY ? -1 : (long)soft;
}

/* A child that shares our memory (vfork's) has limits of its own, and never
 * comes back from a good exec to count. */
static bool is_borrowed(void)
{
	return (uint32_t)sys0(SYS_getpid) != process.pid;
}

void rlimit_exec_before(bool itself)
{
	bool space_too = itself && load_relaxed(&space.limited);

	if (!process.pid)
		return;
	if (is_borrowed()) {
		kernel_soft(load_relaxed(&process.nofile_soft));
		if (space_too)
			space_apply(true);
		return;
	}
	section_enter();
	lock_take(&lock);
	if (lowered++ == 0)
		kernel_soft(load_relaxed(&process.nofile_soft));
	if (space_too && space_lowered++ == 0)
		space_apply(true);
	lock_drop(&lock);
	section_leave();
}

void rlimit_exec_after(bool itself)
{
	bool space_too = itself && load_relaxed(&space.limited);

	if (!process.pid)
		return;
	if (is_borrowed()) {
		kernel_soft(load_relaxed(&process.nofile_hard));
		if (space_too)
			space_apply(false);
		return;
	}
	section_enter();
	lock_take(&lock);
	if (--lowered == 0)
		kernel_soft(load_relaxed(&process.nofile_hard));
	if (space_too && space_lowered && --space_lowered == 0)
		space_apply(false);
	lock_drop(&lock);
	section_leave();
}

void rlimit_fork_child(void)
{
	lock = (struct lock){ 0 };
	if (lowered) {
		lowered = 0;
		kernel_soft(load_relaxed(&process.nofile_hard));
	}
	if (space_lowered) {
		space_lowered = 0;
		space_apply(false);
	}
}
