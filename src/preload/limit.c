/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/sys.h"
#include "posix/leave.h"
#include "posix/rlimit.h"
#include "preload/real.h"

#define FEW 64u

/* struct rlimit and rlimit64 are one on 64-bit machines. */
_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "64-bit machines only");

int __getrlimit(__rlimit_resource_t resource, struct rlimit *ret);

EXPORT int __getrlimit(__rlimit_resource_t resource, struct rlimit *ret)
{
	return (int)result(rlimit_prlimit(0, (int)resource, NULL, (struct rlimit64 *)ret));
}
ALIAS(getrlimit, __getrlimit);
ALIAS(getrlimit64, __getrlimit);

/* A sandbox's first step: no more descriptors. */
static void before(int resource, const struct rlimit *set)
{
	if (resource == RLIMIT_NOFILE && set && set->rlim_max < FEW && process.pid && fdtab &&
	    (uint32_t)sys0(SYS_getpid) == process.pid)
		leave_prepare();
}

EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *set)
{
	before((int)resource, set);
	return (int)result(rlimit_prlimit(0, (int)resource, (const struct rlimit64 *)set, NULL));
}
ALIAS(setrlimit64, setrlimit);

EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *set,
		   struct rlimit *old)
{
	before(pid == 0 ? (int)resource : -1, set);
	return (int)result(rlimit_prlimit(pid, (int)resource, (const struct rlimit64 *)set,
					  (struct rlimit64 *)old));
}
ALIAS(prlimit64, prlimit);

EXPORT long sysconf(int name)
{
	return name == _SC_OPEN_MAX ? rlimit_open_max() : real.sysconf(name);
}
ALIAS(__sysconf, sysconf);

EXPORT int getdtablesize(void)
{
	long n = rlimit_open_max();

	return n < 0 || n > 1 << 30 ? 1 << 30 : (int)n;
}

