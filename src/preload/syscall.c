/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syscall.c - libc's syscall(): those that would reach a handle, or make or
 * end a descriptor, go the way of their names.
 */
#include <fcntl.h>
#include <sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "posix/exec.h"
#include "posix/leave.h"
#include "posix/rlimit.h"
#include "preload/fork.h"
#include "preload/identity.h"

EXPORT long syscall(long nr, ...)
{
	long a, b, c, d, e, f;
	va_list ap;

	va_start(ap, nr);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	e = va_arg(ap, long);
	f = va_arg(ap, long);
	va_end(ap);
	switch (nr) {
	case SYS_read:
		return read((int)a, (void *)b, (size_t)c);
	case SYS_write:
		return write((int)a, (const void *)b, (size_t)c);
	case SYS_readv:
		return readv((int)a, (const struct iovec *)b, (int)c);
	case SYS_writev:
		return writev((int)a, (const struct iovec *)b, (int)c);
	case SYS_close:
		return close((int)a);
	case SYS_close_range:
		return close_range((unsigned)a, (unsigned)b, (int)c);
	case SYS_dup:
		return dup((int)a);
	case SYS_dup3:
		return dup3((int)a, (int)b, (int)c);
	case SYS_fcntl:
		return fcntl((int)a, (int)b, c);
	case SYS_ioctl:
		return ioctl((int)a, (unsigned long)b, c);
	case SYS_socket:
		return socket((int)a, (int)b, (int)c);
	case SYS_bind:
		return bind((int)a, (const struct sockaddr *)b, (socklen_t)c);
	case SYS_listen:
		return listen((int)a, (int)b);
	case SYS_connect:
		return connect((int)a, (const struct sockaddr *)b, (socklen_t)c);
	case SYS_accept:
		return accept((int)a, (struct sockaddr *)b, (socklen_t *)c);
	case SYS_accept4:
		return accept4((int)a, (struct sockaddr *)b, (socklen_t *)c, (int)d);
	case SYS_getsockname:
		return getsockname((int)a, (struct sockaddr *)b, (socklen_t *)c);
	case SYS_getpeername:
		return getpeername((int)a, (struct sockaddr *)b, (socklen_t *)c);
	case SYS_shutdown:
		return shutdown((int)a, (int)b);
	case SYS_setsockopt:
		return setsockopt((int)a, (int)b, (int)c, (const void *)d, (socklen_t)e);
	case SYS_getsockopt:
		return getsockopt((int)a, (int)b, (int)c, (void *)d, (socklen_t *)e);
	case SYS_sendto:
		return sendto((int)a, (const void *)b, (size_t)c, (int)d,
			      (const struct sockaddr *)e, (socklen_t)f);
	case SYS_recvfrom:
		return recvfrom((int)a, (void *)b, (size_t)c, (int)d, (struct sockaddr *)e,
				(socklen_t *)f);
	case SYS_sendmsg:
		return sendmsg((int)a, (const struct msghdr *)b, (int)c);
	case SYS_recvmsg:
		return recvmsg((int)a, (struct msghdr *)b, (int)c);
	case SYS_sendmmsg:
		return sendmmsg((int)a, (struct mmsghdr *)b, (unsigned)c, (int)d);
	case SYS_recvmmsg:
		return recvmmsg((int)a, (struct mmsghdr *)b, (unsigned)c, (int)d,
				(struct timespec *)e);
	case SYS_epoll_create1:
		return epoll_create1((int)a);
	case SYS_epoll_ctl:
		return epoll_ctl((int)a, (int)b, (int)c, (struct epoll_event *)d);
	case SYS_epoll_pwait:
		return epoll_pwait((int)a, (struct epoll_event *)b, (int)c, (int)d,
				   (const sigset_t *)e);
	case SYS_ppoll:
		/* What is left of the timeout is not written back. */
		return ppoll((struct pollfd *)a, (nfds_t)b, (const struct timespec *)c,
			     (const sigset_t *)d);
#ifdef SYS_poll
	case SYS_poll:
		return poll((struct pollfd *)a, (nfds_t)b, (int)c);
	case SYS_select:
		return select((int)a, (fd_set *)b, (fd_set *)c, (fd_set *)d, (struct timeval *)e);
	case SYS_epoll_create:
		return epoll_create((int)a);
	case SYS_epoll_wait:
		return epoll_wait((int)a, (struct epoll_event *)b, (int)c, (int)d);
	case SYS_dup2:
		return dup2((int)a, (int)b);
	case SYS_fork:
	case SYS_vfork:
		return _Fork();
#endif
	case SYS_execve:
		return result(exec_at(AT_FDCWD, (const char *)a, (char *const *)b,
				      (char *const *)c, 0));
	case SYS_execveat:
		return result(exec_at((int)a, (const char *)b, (char *const *)c, (char *const *)d,
				      (int)e));
	case SYS_prlimit64:
		return result(rlimit_prlimit((pid_t)a, (int)b, (const struct rlimit64 *)c,
					     (struct rlimit64 *)d));
	case SYS_io_uring_setup: {
		long r = process.pid ? leave_ring() : 0;

		return result(r < 0 ? r : sys2(nr, a, b));
	}
	case SYS_prctl:
		return prctl((int)a, b, c, d, e);
	case SYS_seccomp:
		return result(a == SECCOMP_SET_MODE_FILTER || a == SECCOMP_SET_MODE_STRICT ?
				      identity_confine(nr, a, b, c, d, e) :
				      sys5(nr, a, b, c, d, e));
	case SYS_clone:
		/* fork() by another name; with a stack of its own the child
		 * could not come back through here. */
		if (!(a & CLONE_VM) && !b && process.pid) {
			fork_before();
			return result(fork_after(SYS_(nr, a, b, c, d, e, f)));
		}
		break;
#ifdef SYS_clone3
	case SYS_clone3: {
		/* Its first word is the flags, its sixth the stack. */
		const uint64_t *args = (const uint64_t *)a;

		if (a && b >= 48 && !(args[0] & CLONE_VM) && !args[5] && process.pid) {
			fork_before();
			return result(fork_after(SYS_(nr, a, b, c, d, e, f)));
		}
		break;
	}
#endif
	default:
		break;
	}
	return result(sys_call(nr, a, b, c, d, e, f));
}
