/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/fault.h"

#ifdef MORTISE_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"

static _Atomic unsigned arrivals;

static bool fault_is_mine(void)
{
	const char *once = getenv("MORTISE_FAULT_ONCE");
	long fd;

	if (!once)
		return true;
	fd = sys4(SYS_openat, AT_FDCWD, once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		sys1(SYS_close, fd);
	return fd >= 0;
}

/* Return: what is to be done at @name now, or "". */
static const char *fault_action(const char *name)
{
	const char *at = getenv("MORTISE_FAULT");
	size_t n = strlen(name);
	unsigned long count;
	char *end;

	if (!at || strncmp(at, name, n) != 0 || at[n] != ':')
		return "";
	count = strtoul(at + n + 1, &end, 10);
	if (*end != ':' || atomic_fetch_add(&arrivals, 1) + 1 < count || !fault_is_mine())
		return "";
	return end + 1;
}

void fault_point(const char *name)
{
	struct timespec pause = clock_timespec(NS_PER_SEC / 2);
	const char *action = fault_action(name);

	if (strcmp(action, "kill") == 0)
		sys2(SYS_kill, sys0(SYS_getpid), SIGKILL);
	else if (strcmp(action, "stop") == 0)
		sys3(SYS_tgkill, sys0(SYS_getpid), sys0(SYS_gettid), SIGSTOP);
	else if (strcmp(action, "sleep") == 0)
		sys2(SYS_nanosleep, &pause, 0);
}

int fault_fail(const char *name)
{
	return strcmp(fault_action(name), "fail") == 0;
}
#else
/* An empty file is none in ISO C. */
typedef int fault_none;
#endif
