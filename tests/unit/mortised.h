/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mortised.h - A daemon of this build, in a directory of its own. For tests
 * that start one; behind cmocka.h.
 */
#ifndef MORTISE_TESTS_UNIT_MORTISED_H
#define MORTISE_TESTS_UNIT_MORTISED_H

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/client.h"

#define WAIT_MS 5000

static char base[64];		 /* MORTISE_DIR; the daemon's messages are in its "stderr" */
static char mortised[PATH_MAX]; /* find_mortised() */
static pid_t keeper;		 /* 0: not running */

static inline void nap(void)
{
	struct timespec ts = { .tv_nsec = 5 * 1000 * 1000 };

	nanosleep(&ts, NULL);
}

/* Wait for something that the daemon does in its own time. */
#define EVENTUALLY(cond)                                                       \
	do {                                                                   \
		uint64_t end_ = clock_now_ns() + WAIT_MS * NS_PER_MS;          \
		bool ok_;                                                      \
		while (!(ok_ = (cond)) && clock_now_ns() < end_)               \
			nap();                                                 \
		assert_true(ok_);                                              \
	} while (0)

/** find_mortised() - $MORTISED, or the one beside the test program @self.
 * Return: Is it there? */
static inline bool find_mortised(const char *self)
{
	const char *named = getenv("MORTISED");
	char dir[PATH_MAX];

	if (named && *named)
		return realpath(named, mortised);
	if (!realpath(self, dir) || !strrchr(dir, '/'))
		return false;
	*strrchr(dir, '/') = '\0';
	strncat(dir, "/../../src/daemon/mortised", sizeof(dir) - strlen(dir) - 1);
	return realpath(dir, mortised);
}

/** status_try() - Ask the daemon.
 * Return: CTL_STATUS's reply; keeper_pid is 0 where there was none. */
static inline struct ctl_msg status_try(void)
{
	struct ctl_msg m = { .type = CTL_STATUS };
	int fd = ctl_connect("default");

	if (fd < 0 || ctl_call(fd, &m, NULL, 0, NULL, NULL) != 0)
		m.status.keeper_pid = 0;
	if (fd >= 0)
		close(fd);
	return m;
}

/** daemon_run() - Start it in @base, and return when it answers.
 * @extra: One argument more, or NULL. */
static inline void daemon_run(const char *policy, const char *linger, const char *extra)
{
	char log[PATH_MAX];

	snprintf(log, sizeof(log), "%s/stderr", base);
	keeper = fork();
	assert_true(keeper >= 0);
	if (keeper == 0) {
		dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
		execl(mortised, mortised, "--foreground", "--policy", policy, "--linger", linger,
		      extra, (char *)NULL);
		_exit(127);
	}
	/* By this one: another may be on its way out. */
	EVENTUALLY(status_try().status.keeper_pid == (uint32_t)keeper);
}

/** setup_with() - An empty directory, and a daemon in it. Return: 0; -1: no directory. */
static inline int setup_with(const char *policy, const char *extra)
{
	strcpy(base, "/tmp/mortise-test-XXXXXX");
	if (!mkdtemp(base) || setenv("MORTISE_DIR", base, 1) != 0)
		return -1;
	daemon_run(policy, "1000", extra);
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	return setup_with("share", NULL);
}

/** teardown() - End the daemon, and remove what it left. TEST_KEEP set: show its messages. */
static inline int teardown(void **state)
{
	char cmd[128];

	(void)state;
	if (keeper > 0) {
		kill(keeper, SIGKILL);
		waitpid(keeper, NULL, 0);
	}
	keeper = 0;
	snprintf(cmd, sizeof(cmd), "%s'%s'%s", getenv("TEST_KEEP") ? "cat " : "rm -rf ", base,
		 getenv("TEST_KEEP") ? "/stderr" : "");
	return system(cmd);
}

#endif
