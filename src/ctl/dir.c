/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dir.c - Where a domain's daemon is found.
 *
 * The directory is the door: whoever can make a name in it can pose as the
 * daemon. So each part that we make, or find, must be a directory of our own
 * uid, not a symbolic link, and closed to others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/sys.h"
#include "ctl/client.h"

bool ctl_domain_valid(const char *domain)
{
	size_t n = domain ? strnlen(domain, CTL_DOMAIN_MAX + 1) : 0;

	if (n == 0 || n > CTL_DOMAIN_MAX || domain[0] < 'a' || domain[0] > 'z')
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = domain[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

uint64_t ctl_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

/* Make @path where it is missing, then see whose it is. @forbidden: mode
 * bits that it must not have. */
static int dir_own(const char *path, mode_t forbidden)
{
	struct stat st;
	long fd = sys3(SYS_mkdirat, AT_FDCWD, path, 0700);
	int r = 0;

	if (fd < 0 && fd != -EEXIST)
		return (int)fd;
	fd = sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return fd == -ELOOP || fd == -ENOTDIR ? -EPERM : (int)fd;
	if (fstat((int)fd, &st) != 0)
		r = -errno;
	else if (st.st_uid != geteuid() || (st.st_mode & forbidden) != 0)
		r = -EPERM;
	sys1(SYS_close, fd);
	return r;
}

int ctl_dir(const char *domain, char *ret, size_t size)
{
	const char *own = env_get("MORTISE_DIR"), *run = env_get("XDG_RUNTIME_DIR");
	size_t used;
	int n, r;

	if (!ctl_domain_valid(domain))
		return -EINVAL;
	if (own && *own)
		n = snprintf(ret, size, "%s", own);
	else if (run && *run == '/')
		n = snprintf(ret, size, "%s/mortise", run);
	else
		n = snprintf(ret, size, "/tmp/mortise-%u", (unsigned)geteuid());
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	r = dir_own(ret, 022);
	if (r < 0)
		return r;
	used = (size_t)n;
	n = snprintf(ret + used, size - used, "/%s-%llu", domain, (unsigned long long)ctl_netns());
	if (n < 0 || (size_t)n >= size - used)
		return -ENAMETOOLONG;
	return dir_own(ret, 077);
}

int ctl_address(const char *dir, const char *name, struct sockaddr_un *ret, int *ret_dirfd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int n = snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", dir, name);
	long fd = -1;

	if (n < 0)
		return -EINVAL;
	if ((size_t)n >= sizeof(un.sun_path)) {
		fd = sys4(SYS_openat, AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		if (fd < 0)
			return (int)fd;
		snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%ld/%.32s", fd, name);
	}
	*ret = un;
	*ret_dirfd = (int)fd;
	return 0;
}
