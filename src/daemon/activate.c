/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/activate.h"

enum { FIRST_FD = 3 }; /* SD_LISTEN_FDS_START */

/* What @name says, or -1. */
static long number_of(const char *name)
{
	const char *s = getenv(name);
	char *end;
	long n;

	if (!s || *s < '0' || *s > '9')
		return -1;
	errno = 0;
	n = strtol(s, &end, 10);
	return *end || errno ? -1 : n;
}

static int option_of(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

int activate_fd(void)
{
	long pid = number_of("LISTEN_PID"), count = number_of("LISTEN_FDS");
	int fd = FIRST_FD;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	/* Meant for whoever started us, and left in the environment. */
	if (pid != (long)getpid() || count <= 0)
		return -ENOENT;
	if (count != 1 || option_of(fd, SO_DOMAIN) != AF_UNIX ||
	    option_of(fd, SO_TYPE) != SOCK_SEQPACKET || option_of(fd, SO_ACCEPTCONN) != 1)
		return -ENOTSUP;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return fd;
}

void activate_ready(void)
{
	static const char ready[] = "READY=1";
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = name ? strlen(name) : 0;
	int fd;

	if (len > 1 && len < sizeof(un.sun_path) && (*name == '/' || *name == '@')) {
		memcpy(un.sun_path, name, len);
		if (*name == '@')
			un.sun_path[0] = 0;
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd >= 0) {
			sendto(fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL, (struct sockaddr *)&un,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
			close(fd);
		}
	}
	unsetenv("NOTIFY_SOCKET");
}

int activate_link(const char *dir, const char *path)
{
	char link[PATH_MAX], fresh[PATH_MAX];

	if (*path != '/')
		return -EINVAL;
	if (snprintf(link, sizeof(link), "%s/ctl", dir) >= (int)sizeof(link) ||
	    snprintf(fresh, sizeof(fresh), "%s/ctl.link", dir) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	/* In one step: who connects meanwhile finds the old one or the new one. */
	if (unlink(fresh) != 0 && errno != ENOENT)
		return -errno;
	if (symlink(path, fresh) != 0 || rename(fresh, link) != 0)
		return -errno;
	return 0;
}

bool activate_linked(const char *dir)
{
	char link[PATH_MAX], to[4];

	return snprintf(link, sizeof(link), "%s/ctl", dir) < (int)sizeof(link) &&
	       readlink(link, to, sizeof(to)) > 0;
}
