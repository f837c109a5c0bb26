/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "base/copy.h"
#include "base/sys.h"
#include "posix/calls.h"

long call_sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
	char buf[65536];
	size_t done = 0;
	off_t at;
	long r = 0;

	if (fd_is_ours(in_fd))
		return fd_is_ours(out_fd) ? -EINVAL : NOT_OURS;
	if (!fd_is_ours(out_fd))
		return NOT_OURS;
	if (offset && !copy_try(&at, offset, sizeof(at)))
		return -EFAULT;
	at = offset ? at : (off_t)sys3(SYS_lseek, in_fd, 0, 1 /* SEEK_CUR */);
	if (at < 0)
		return offset ? -EINVAL : at == -ESPIPE ? -EINVAL : at;
	while (done < count) {
		size_t n = count - done < sizeof(buf) ? count - done : sizeof(buf);
		long sent;

		r = sys4(SYS_pread64, in_fd, buf, n, at);
		if (r <= 0)
			break;
		sent = call_send(out_fd, buf, (size_t)r, 0);
		if (sent < 0) {
			r = sent;
			break;
		}
		at += sent;
		done += (size_t)sent;
		if (sent < r)
			break;
	}
	if (offset && !copy_try(offset, &at, sizeof(at)))
		return -EFAULT;
	if (!offset && done)
		sys3(SYS_lseek, in_fd, at, 0 /* SEEK_SET */);
	return done ? (long)done : r;
}
