/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * identity.c - What makes the process another user's, or moves its root or its
 * network. Only a change of all three user ids counts: a program that changes
 * its effective one for a while comes back. And what confines it to some
 * system calls.
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "posix/leave.h"
#include "preload/identity.h"
#include "preload/real.h"

static bool is_ready(void)
{
	return process.pid && fdtab && (uint32_t)sys0(SYS_getpid) == process.pid;
}

static bool uids_differ_from(uid_t uid)
{
	uid_t r, e, s;

	return getresuid(&r, &e, &s) == 0 && (r != uid || e != uid || s != uid);
}

/* May this process take the uid for good? */
static bool uid_leaves(uid_t uid)
{
	return is_ready() && uid != (uid_t)-1 && geteuid() == 0 && uids_differ_from(uid);
}

EXPORT int setuid(uid_t uid)
{
	bool leaves = uid_leaves(uid);
	int r;

	if (leaves)
		leave_uid_before();
	r = real.setuid(uid);
	if (r == 0 && leaves)
		leave_done();
	return r;
}

EXPORT int setreuid(uid_t ruid, uid_t euid)
{
	bool leaves = ruid == euid && uid_leaves(euid);
	int r;

	if (leaves)
		leave_uid_before();
	r = real.setreuid(ruid, euid);
	if (r == 0 && leaves)
		leave_done();
	return r;
}

EXPORT int setresuid(uid_t ruid, uid_t euid, uid_t suid)
{
	bool leaves = ruid == euid && suid == euid && uid_leaves(euid);
	int r;

	if (leaves)
		leave_uid_before();
	r = real.setresuid(ruid, euid, suid);
	if (r == 0 && leaves)
		leave_done();
	return r;
}

EXPORT int chroot(const char *path)
{
	if (is_ready())
		leave_prepare();
	return real.chroot(path);
}

EXPORT int unshare(int flags)
{
	int r;

	if (!is_ready() || !(flags & (CLONE_NEWNET | CLONE_NEWUSER)))
		return real.unshare(flags);
	leave_prepare();
	r = real.unshare(flags);
	/* Another network is another domain. */
	if (r == 0 && flags & CLONE_NEWNET)
		leave_done();
	return r;
}

EXPORT int setns(int fd, int type)
{
	int r;

	if (!is_ready())
		return real.setns(fd, type);
	leave_prepare();
	r = real.setns(fd, type);
	if (r == 0 && (type == 0 || type & CLONE_NEWNET))
		leave_done();
	return r;
}

long identity_confine(long nr, long a, long b, long c, long d, long e)
{
	long r;

	if (is_ready())
		leave_confine_before();
	r = sys5(nr, a, b, c, d, e);
	if (r == 0 && is_ready())
		leave_confined();
	return r;
}

EXPORT int prctl(int option, ...)
{
	long b, c, d, e;
	va_list ap;

	va_start(ap, option);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	e = va_arg(ap, long);
	va_end(ap);
	if (option == PR_SET_SECCOMP)
		return (int)result(identity_confine(SYS_prctl, option, b, c, d, e));
	return (int)result(sys5(SYS_prctl, option, b, c, d, e));
}
