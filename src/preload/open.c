/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open.c - What returns a new descriptor of the kernel's: the number is
 * forgotten, and the limit is the program's.
 */
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <utmp.h>

#include "posix/exec.h"
#include "preload/real.h"

/* The mode, where there is one; without, what lies there does not matter. */
#define MODE(last)                                \
	({                                        \
		va_list ap_;                      \
		mode_t m_;                        \
                                                  \
		va_start(ap_, last);              \
		m_ = (mode_t)va_arg(ap_, int);    \
		va_end(ap_);                      \
		m_;                               \
	})

EXPORT int open(const char *path, int flags, ...)
{
	return made(real.open(path, flags, MODE(flags)));
}
ALIAS(open64, open);
ALIAS(__open, open);
ALIAS(__open64, open);

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	return made(real.openat(dir, path, flags, MODE(flags)));
}
ALIAS(openat64, openat);

int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
mqd_t __mq_open_2(const char *name, int flags);

EXPORT int __open_2(const char *path, int flags)
{
	return made(real.__open_2(path, flags));
}
ALIAS(__open64_2, __open_2);

EXPORT int __openat_2(int dir, const char *path, int flags)
{
	return made(real.__openat_2(dir, path, flags));
}
ALIAS(__openat64_2, __openat_2);

EXPORT int creat(const char *path, mode_t mode)
{
	return made(real.creat(path, mode));
}
ALIAS(creat64, creat);

EXPORT int pipe(int fds[2])
{
	int r = real.pipe(fds);

	return r < 0 ? r : made_pair(fds);
}
ALIAS(__pipe, pipe);

EXPORT int pipe2(int fds[2], int flags)
{
	int r = real.pipe2(fds, flags);

	return r < 0 ? r : made_pair(fds);
}

EXPORT int eventfd(unsigned value, int flags)
{
	return made(real.eventfd(value, flags));
}

EXPORT int timerfd_create(clockid_t clock, int flags)
{
	return made(real.timerfd_create(clock, flags));
}

EXPORT int signalfd(int fd, const sigset_t *mask, int flags)
{
	int r = real.signalfd(fd, mask, flags);

	return fd == -1 ? made(r) : r;
}

EXPORT int inotify_init(void)
{
	return made(real.inotify_init());
}

EXPORT int inotify_init1(int flags)
{
	return made(real.inotify_init1(flags));
}

EXPORT int fanotify_init(unsigned flags, unsigned event_flags)
{
	return made(real.fanotify_init(flags, event_flags));
}

EXPORT int memfd_create(const char *name, unsigned flags)
{
	return made(real.memfd_create(name, flags));
}

EXPORT int pidfd_open(pid_t pid, unsigned flags)
{
	return made(real.pidfd_open(pid, flags));
}

EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	int got = (int)made(real.pidfd_getfd(pidfd, fd, flags));

	if (got >= 0)
		exec_adopt(got);
	return got;
}

EXPORT int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
	return made(real.open_by_handle_at(mount, handle, flags));
}

EXPORT int open_tree(int dir, const char *path, unsigned flags)
{
	return made(real.open_tree(dir, path, flags));
}

EXPORT int fsopen(const char *name, unsigned flags)
{
	return made(real.fsopen(name, flags));
}

EXPORT int fspick(int dir, const char *path, unsigned flags)
{
	return made(real.fspick(dir, path, flags));
}

EXPORT int fsmount(int fd, unsigned flags, unsigned attr)
{
	return made(real.fsmount(fd, flags, attr));
}

EXPORT int shm_open(const char *name, int flags, mode_t mode)
{
	return made(real.shm_open(name, flags, mode));
}

EXPORT mqd_t mq_open(const char *name, int flags, ...)
{
	struct mq_attr *attr;
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = (mode_t)va_arg(ap, int);
	attr = va_arg(ap, struct mq_attr *);
	va_end(ap);
	return made(real.mq_open(name, flags, mode, attr));
}

EXPORT mqd_t __mq_open_2(const char *name, int flags)
{
	return made(real.__mq_open_2(name, flags));
}

EXPORT int posix_openpt(int flags)
{
	return made(real.posix_openpt(flags));
}

EXPORT int getpt(void)
{
	return made(real.getpt());
}

EXPORT int openpty(int *master, int *slave, char *name, const struct termios *t,
		   const struct winsize *w)
{
	int fds[2], r = real.openpty(&fds[0], &fds[1], name, t, w);

	if (r < 0 || made_pair(fds) < 0)
		return -1;
	*master = fds[0];
	*slave = fds[1];
	return r;
}

/* libc's own closes the numbers that are replaced behind our back. */
EXPORT int login_tty(int fd)
{
	setsid();
	if (ioctl(fd, TIOCSCTTY, NULL) < 0)
		return -1;
	for (int to = 0; to < 3; to++)
		if (fd != to && dup2(fd, to) < 0)
			return -1;
	if (fd > 2)
		close(fd);
	return 0;
}

EXPORT int mkstemp(char *path)
{
	return made(real.mkstemp(path));
}
ALIAS(mkstemp64, mkstemp);

EXPORT int mkostemp(char *path, int flags)
{
	return made(real.mkostemp(path, flags));
}
ALIAS(mkostemp64, mkostemp);

EXPORT int mkstemps(char *path, int suffix)
{
	return made(real.mkstemps(path, suffix));
}
ALIAS(mkstemps64, mkstemps);

EXPORT int mkostemps(char *path, int suffix, int flags)
{
	return made(real.mkostemps(path, suffix, flags));
}
ALIAS(mkostemps64, mkostemps);

EXPORT DIR *opendir(const char *path)
{
	DIR *d = real.opendir(path);

	if (d && process.pid && (uint64_t)dirfd(d) >= load_relaxed(&process.nofile_soft)) {
		closedir(d);
		errno = EMFILE;
		return NULL;
	}
	if (d)
		fd_made(dirfd(d));
	return d;
}
