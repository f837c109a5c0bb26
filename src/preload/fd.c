/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "preload/real.h"

int made_pair(int fds[2])
{
	int first = made(fds[0]), saved;

	if (first >= 0 && made(fds[1]) >= 0)
		return 0;
	saved = errno;
	real.close(first >= 0 ? fds[0] : fds[1]);
	errno = saved;
	return -1;
}

EXPORT int close(int fd)
{
	long r;

	cancellable();
	r = call_close(fd);
	return r == NOT_OURS ? real.close(fd) : (int)result(r);
}
ALIAS(__close, close);

/* It is close() in libc too, for whatever the number is. */
EXPORT int mq_close(mqd_t fd)
{
	return close(fd);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	long r = call_close_range(first, last, flags);

	return r == NOT_OURS ? real.close_range(first, last, flags) : (int)result(r);
}

EXPORT void closefrom(int low)
{
	int saved = errno;

	close_range(low < 0 ? 0 : (unsigned)low, ~0u, 0);
	errno = saved;
}

EXPORT int dup(int fd)
{
	long r = fdtab_peek(fd) ? call_dup(fd) : NOT_OURS;

	return r == NOT_OURS ? made(real.dup(fd)) : (int)result(r);
}

/* The program's limit is not the kernel's. */
static bool above_limit(int fd)
{
	return process.pid && (uint64_t)(unsigned)fd >= load_relaxed(&process.nofile_soft);
}

EXPORT int dup2(int fd, int to)
{
	long r;

	if (fd == to)
		return real.dup2(fd, to);
	if (above_limit(to))
		return (int)result(-EBADF);
	r = call_dup3(fd, to, 0);
	return r == NOT_OURS ? real.dup2(fd, to) : (int)result(r);
}
ALIAS(__dup2, dup2);

EXPORT int dup3(int fd, int to, int flags)
{
	long r;

	if (fd == to || flags & ~O_CLOEXEC)
		return (int)result(-EINVAL);
	if (above_limit(to))
		return (int)result(-EBADF);
	r = call_dup3(fd, to, flags);
	return r == NOT_OURS ? real.dup3(fd, to, flags) : (int)result(r);
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	unsigned long arg;
	va_list ap;
	long r;

	va_start(ap, cmd);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
		cancellable();
	r = fdtab_peek(fd) ? call_fcntl(fd, cmd, arg) : NOT_OURS;
	if (r != NOT_OURS)
		return (int)result(r);
	if (cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC)
		return real.fcntl(fd, cmd, arg);
	if (above_limit((int)arg))
		return real.fcntl(fd, F_GETFD, 0) < 0 ? -1 : (int)result(-EINVAL);
	return made(real.fcntl(fd, cmd, arg));
}
ALIAS(fcntl64, fcntl);
ALIAS(__fcntl, fcntl);

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	long r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	r = fdtab_peek(fd) ? call_ioctl(fd, request, arg) : NOT_OURS;
	return r == NOT_OURS ? real.ioctl(fd, request, arg) : (int)result(r);
}

/* Not by real: an allocator may call it before anything can be looked up. */
EXPORT void *mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	long r;

	/* The kernel lets TCP sockets be mapped for reading (TCP_ZEROCOPY_RECEIVE). */
	if (unlikely(!(flags & MAP_ANONYMOUS) && fd_is_ours(fd)))
		r = prot & (PROT_WRITE | PROT_EXEC) ? -EPERM : -ENODEV;
	else
		r = sys6(SYS_mmap, at, bytes, prot, flags, fd, offset);
	if (unlikely(r < 0 && r > -(long)PAGE_BYTES)) {
		errno = (int)-r;
		return MAP_FAILED;
	}
	return (void *)r;
}
ALIAS(mmap64, mmap);
