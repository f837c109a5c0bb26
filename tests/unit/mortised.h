/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mortised.h - Where the daemon of this build is, for tests that start one.
 */
#ifndef MORTISE_TESTS_UNIT_MORTISED_H
#define MORTISE_TESTS_UNIT_MORTISED_H

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/** find_mortised() - $MORTISED, or the one beside the test program @self.
 * @ret: PATH_MAX bytes. Return: Is it there? */
static inline bool find_mortised(const char *self, char *ret)
{
	const char *named = getenv("MORTISED");
	char dir[PATH_MAX];

	if (named && *named)
		return realpath(named, ret);
	if (!realpath(self, dir) || !strrchr(dir, '/'))
		return false;
	*strrchr(dir, '/') = '\0';
	strncat(dir, "/../../src/daemon/mortised", sizeof(dir) - strlen(dir) - 1);
	return realpath(dir, ret);
}

#endif
