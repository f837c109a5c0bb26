/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "base/lock.h"
#include "base/sys.h"
#include "posix/fdtab.h"
#include "posix/process.h"
#include "posix/rlimit.h"
#include "posix/section.h"

/* Guards the real limit and @lowered: how many exec's are under way. */
static struct lock lock;
static unsigned lowered;

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

void rlimit_start(void)
{
	struct rlimit64 l;

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
	long r = 0;

	if (resource != RLIMIT_NOFILE || was.rlim_max == 0 ||
	    (pid != 0 && (uint32_t)pid != process.pid))
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

void rlimit_exec_before(void)
{
	if (!process.pid)
		return;
	if (is_borrowed()) {
		kernel_soft(load_relaxed(&process.nofile_soft));
		return;
	}
	section_enter();
	lock_take(&lock);
	if (lowered++ == 0)
		kernel_soft(load_relaxed(&process.nofile_soft));
	lock_drop(&lock);
	section_leave();
}

void rlimit_exec_after(void)
{
	if (!process.pid)
		return;
	if (is_borrowed()) {
		kernel_soft(load_relaxed(&process.nofile_hard));
		return;
	}
	section_enter();
	lock_take(&lock);
	if (--lowered == 0)
		kernel_soft(load_relaxed(&process.nofile_hard));
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
}
