// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/self.h"

bool self_find(const char *const *where, int mode, char ret[PATH_MAX])
{
	char self[PATH_MAX], path[2 * PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	for (; *where; where++) {
		snprintf(path, sizeof(path), "%s/%s", self, *where);
		if (realpath(path, ret) && !access(ret, mode))
			return true;
	}
	return false;
}

bool self_library(char ret[PATH_MAX])
{
	static const char *const where[] = { "libmortise.so", "../preload/libmortise.so",
					     "../lib/mortise/libmortise.so", NULL };

	return self_find(where, R_OK, ret);
}

bool self_helper(const char *folder, const char *name, char ret[PATH_MAX])
{
	char beside[128], built[128], installed[128];
	const char *const where[] = { beside, built, installed, NULL };

	snprintf(beside, sizeof(beside), "%s", name);
	snprintf(built, sizeof(built), "%s/%s", folder, name);
	snprintf(installed, sizeof(installed), "../libexec/mortise/%s", name);
	return self_find(where, X_OK, ret);
}
