/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/copy.h"
#include "posix/exec.h"
#include "posix/rights.h"
#include "preload/real.h"

extern void __chk_fail(void) __attribute__((noreturn));

/* A read of nothing is answered before the socket is asked; recv() of nothing waits. */
static inline long ours_read(int fd, void *buf, size_t n)
{
	return n ? call_recv(fd, buf, n, 0) : 0;
}

static long ours_readv(int fd, const struct iovec *iov, int n, int flags)
{
	int i = 0;

	if (n > 0 && n <= IOV_MAX && !copy_can_read(iov, (size_t)n * sizeof(*iov)))
		return -EFAULT;
	while (i < n && n <= IOV_MAX && iov[i].iov_len == 0)
		i++;
	return n >= 0 && i == n ? 0 : call_recvv(fd, iov, n, flags);
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	long r = is_ours(fd) ? ours_read(fd, buf, n) : NOT_OURS;

	return r == NOT_OURS ? real.read(fd, buf, n) : result(r);
}
ALIAS(__read, read);

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	long r = is_ours(fd) ? call_send(fd, buf, n, 0) : NOT_OURS;

	return r == NOT_OURS ? real.write(fd, buf, n) : result(r);
}
ALIAS(__write, write);

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	long r = is_ours(fd) ? ours_readv(fd, iov, n, 0) : NOT_OURS;

	return r == NOT_OURS ? real.readv(fd, iov, n) : result(r);
}

/* Nothing to write is no call on the socket at all. */
static long ours_writev(int fd, const struct iovec *iov, int n, int flags)
{
	if (n > 0 && n <= IOV_MAX && !copy_can_read(iov, (size_t)n * sizeof(*iov)))
		return -EFAULT;
	for (int i = 0; n <= IOV_MAX && i < n; i++)
		if (iov[i].iov_len)
			return call_sendv(fd, iov, n, flags);
	return n < 0 || n > IOV_MAX ? -EINVAL : 0;
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	long r = is_ours(fd) ? ours_writev(fd, iov, n, 0) : NOT_OURS;

	return r == NOT_OURS ? real.writev(fd, iov, n) : result(r);
}

/* pread, pwrite, preadv, pwritev and their twins are libc's: the handle
 * answers ESPIPE, as any socket does. These two take -1 for "no position". */
static long ours_v2(int fd, const struct iovec *iov, int n, off_t at, int flags, bool writes)
{
	int f = flags & RWF_NOWAIT ? MSG_DONTWAIT : 0;

	if (at != -1)
		return at < 0 ? -EINVAL : -ESPIPE;
	if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
		return -EOPNOTSUPP;
	return writes ? ours_writev(fd, iov, n, f) : ours_readv(fd, iov, n, f);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	long r = is_ours(fd) ? ours_v2(fd, iov, n, at, flags, false) : NOT_OURS;

	return r == NOT_OURS ? real.preadv2(fd, iov, n, at, flags) : result(r);
}
ALIAS(preadv64v2, preadv2);

EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	long r = is_ours(fd) ? ours_v2(fd, iov, n, at, flags, true) : NOT_OURS;

	return r == NOT_OURS ? real.pwritev2(fd, iov, n, at, flags) : result(r);
}
ALIAS(pwritev64v2, pwritev2);

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	long r = is_ours(fd) ? call_recv(fd, buf, n, flags) : NOT_OURS;

	return r == NOT_OURS ? real.recv(fd, buf, n, flags) : result(r);
}
ALIAS(__recv, recv);

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	long r = is_ours(fd) ? call_send(fd, buf, n, flags) : NOT_OURS;

	return r == NOT_OURS ? real.send(fd, buf, n, flags) : result(r);
}
ALIAS(__send, send);

EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len)
{
	long r = is_ours(fd) ? call_recvfrom(fd, buf, n, flags, addr, len) : NOT_OURS;

	return r == NOT_OURS ? real.recvfrom(fd, buf, n, flags, addr, len) : result(r);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
		      socklen_t len)
{
	long r = is_ours(fd) ? call_sendto(fd, buf, n, flags, addr, len) : NOT_OURS;

	return r == NOT_OURS ? real.sendto(fd, buf, n, flags, addr, len) : result(r);
}

/* ------------------------------------------------------- with descriptors */

/* Descriptors came along: forget what was known of their numbers. */
static void rights_made(struct msghdr *m)
{
	if (likely(!m->msg_control))
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = 0, kept = 0;
		int *fds = rights_fds(c, &n);

		for (size_t i = 0; fds && i < n; i++) {
			long fd = fd_made(fds[i]);

			if (fd < 0) {
				m->msg_flags |= MSG_CTRUNC;
				continue;
			}
			exec_adopt((int)fd);
			fds[kept++] = (int)fd;
		}
		if (fds && kept < n)
			c->cmsg_len = CMSG_LEN(kept * sizeof(int));
	}
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	long r = is_ours(fd) ? call_recvmsg(fd, msg, flags) : NOT_OURS;

	if (r != NOT_OURS)
		return result(r);
	r = real.recvmsg(fd, msg, flags);
	if (r >= 0)
		rights_made(msg);
	return r;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	long r = is_ours(fd) ? call_sendmsg(fd, msg, flags) : NOT_OURS;
	struct rights rights;
	struct msghdr copy;

	if (r != NOT_OURS)
		return result(r);
	if (likely(!msg || !msg->msg_control))
		return real.sendmsg(fd, msg, flags);
	copy = *msg;
	rights_begin(&rights, fd, &copy);
	r = real.sendmsg(fd, &copy, flags);
	rights_end(&rights, r >= 0);
	return r;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout)
{
	long r = is_ours(fd) ? call_recvmmsg(fd, msgs, n, flags, timeout) : NOT_OURS;
	int got;

	if (r != NOT_OURS)
		return (int)result(r);
	got = real.recvmmsg(fd, msgs, n, flags, timeout);
	for (int i = 0; i < got; i++)
		rights_made(&msgs[i].msg_hdr);
	return got;
}

/* One by one where descriptors may go along. */
static int mmsg_rights(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		ssize_t r = sendmsg(fd, &msgs[i].msg_hdr, flags);

		if (r < 0)
			return i ? (int)i : -1;
		msgs[i].msg_len = (unsigned)r;
	}
	return (int)i;
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	long r = is_ours(fd) ? call_sendmmsg(fd, msgs, n, flags) : NOT_OURS;

	if (r != NOT_OURS)
		return (int)result(r);
	if (n > 1024)
		n = 1024; /* as the kernel */
	for (unsigned i = 0; i < n; i++)
		if (unlikely(rights_any(&msgs[i].msg_hdr)))
			return mmsg_rights(fd, msgs, n, flags);
	return real.sendmmsg(fd, msgs, n, flags);
}
ALIAS(__sendmmsg, sendmmsg);

/* -------------------------------------------------------------- fortified */

EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	if (n > room)
		__chk_fail();
	return read(fd, buf, n);
}

EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	if (n > room)
		__chk_fail();
	return recv(fd, buf, n, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
			      struct sockaddr *addr, socklen_t *len)
{
	if (n > room)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, addr, len);
}

/* libc reads and writes the number itself in these. */
EXPORT int eventfd_read(int fd, uint64_t *value)
{
	return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

EXPORT int eventfd_write(int fd, uint64_t value)
{
	return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}

/* -------------------------------------------------------------- formatted */

static int ours_printf(int fd, const char *format, va_list ap)
{
	char *text;
	int n = vasprintf(&text, format, ap), done = 0;
	long r = 0;

	if (n < 0)
		return -1;
	while (done < n && r >= 0) {
		r = call_send(fd, text + done, (size_t)(n - done), 0);
		if (r > 0)
			done += (int)r;
	}
	free(text);
	return r < 0 ? (int)result(r) : n;
}

EXPORT int vdprintf(int fd, const char *format, va_list ap)
{
	return fd_is_ours(fd) ? ours_printf(fd, format, ap) : real.vdprintf(fd, format, ap);
}

EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
	return fd_is_ours(fd) ? ours_printf(fd, format, ap) :
				real.__vdprintf_chk(fd, flag, format, ap);
}

EXPORT int dprintf(int fd, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = vdprintf(fd, format, ap);
	va_end(ap);
	return r;
}

EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = __vdprintf_chk(fd, flag, format, ap);
	va_end(ap);
	return r;
}
