/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "posix/rlimit.h"
#include "posix/signals.h"
#include "preload/fork.h"

void fork_before(void)
{
	process_fork_before();
	signals_fork_before();
}

long fork_after(long pid)
{
	int saved = errno;

	signals_fork_after();
	if (pid == 0) {
		rlimit_fork_child();
		system_fork_child();
		process_fork_child();
	} else {
		process_fork_parent();
	}
	errno = saved;
	return pid;
}

/* A child that shares our memory (vfork's) makes a child of its own: our
 * tables are its parent's, and are let be. */
static bool is_borrowed(void)
{
	return process.pid && (uint32_t)sys0(SYS_getpid) != process.pid;
}

EXPORT pid_t fork(void)
{
	if (!process.pid || is_borrowed())
		return real.fork();
	fork_before();
	return (pid_t)fork_after(real.fork());
}
ALIAS(__fork, fork);
/* A vfork child shares memory with us, where it could do anything. */
ALIAS(vfork, fork);
ALIAS(__vfork, fork);

EXPORT pid_t _Fork(void)
{
	if (!process.pid || is_borrowed())
		return real._Fork();
	fork_before();
	return (pid_t)fork_after(real._Fork());
}

struct clone_start {
	int (*fn)(void *);
	void *arg;
};

static int clone_child(void *start)
{
	struct clone_start s = *(struct clone_start *)start;

	fork_after(0);
	return s.fn(s.arg);
}

EXPORT int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	struct clone_start s = { fn, arg };
	pid_t *parent_tid, *child_tid;
	va_list ap;
	void *tls;
	int r;

	va_start(ap, arg);
	parent_tid = va_arg(ap, pid_t *);
	tls = va_arg(ap, void *);
	child_tid = va_arg(ap, pid_t *);
	va_end(ap);
	if (!process.pid || flags & CLONE_THREAD || !fn || !stack)
		return real.clone(fn, stack, flags, arg, parent_tid, tls, child_tid);
	if (flags & CLONE_VM || is_borrowed()) {
		process_epoch_move();
		r = real.clone(fn, stack, flags, arg, parent_tid, tls, child_tid);
		process_epoch_move();
		return r;
	}
	fork_before();
	/* The child has a copy of this frame. */
	r = real.clone(clone_child, stack, flags, &s, parent_tid, tls, child_tid);
	return (int)fork_after(r == 0 ? -1 : r);
}
ALIAS(__clone, clone);

EXPORT pid_t forkpty(int *master, char *name, const struct termios *t, const struct winsize *w)
{
	pid_t pid;
	int fd;

	if (!process.pid || is_borrowed())
		return real.forkpty(master, name, t, w);
	fork_before();
	pid = (pid_t)fork_after(real.forkpty(&fd, name, t, w));
	if (pid == 0)
		for (int std = 0; std < 3; std++)
			fd_made(std);
	if (pid <= 0)
		return pid;
	*master = fd;
	/* The child is there: a number above the limit is the program's now. */
	if ((uint64_t)fd < load_relaxed(&process.nofile_soft))
		fd_made(fd);
	return pid;
}

EXPORT int daemon(int nochdir, int noclose)
{
	struct stat st;
	int fd;

	switch (fork()) {
	case -1:
		return -1;
	case 0:
		break;
	default:
		_exit(0);
	}
	if (setsid() < 0)
		return -1;
	if (!nochdir && chdir("/") < 0)
		return -1;
	if (noclose)
		return 0;
	fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode)) {
		close(fd);
		errno = ENODEV;
		return -1;
	}
	for (int to = 0; to < 3; to++)
		if (fd != to)
			dup2(fd, to);
	if (fd > 2)
		close(fd);
	return 0;
}
