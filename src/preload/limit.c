/* SPDX-License-Identifier: BSD-2-Clause */

#include "posix/rlimit.h"
#include "preload/real.h"

/* struct rlimit and rlimit64 are one on 64-bit machines. */
_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "64-bit machines only");

int __getrlimit(__rlimit_resource_t resource, struct rlimit *ret);

EXPORT int __getrlimit(__rlimit_resource_t resource, struct rlimit *ret)
{
	return (int)result(rlimit_prlimit(0, (int)resource, NULL, (struct rlimit64 *)ret));
}
ALIAS(getrlimit, __getrlimit);
ALIAS(getrlimit64, __getrlimit);

EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *set)
{
	return (int)result(rlimit_prlimit(0, (int)resource, (const struct rlimit64 *)set, NULL));
}
ALIAS(setrlimit64, setrlimit);

EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *set,
		   struct rlimit *old)
{
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

