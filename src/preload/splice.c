/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * splice.c - Between a socket and a pipe or a file, by a copy. tee() and vmsplice()
 * are for pipes alone: the handle answers as any socket does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "base/copy.h"
#include "preload/real.h"

#define SPLICE_CHUNK 65536

/* Which end of a pipe: O_RDONLY or O_WRONLY, -1: no pipe. */
static int pipe_end(int fd)
{
	if (fdtab_peek(fd) || real.fcntl(fd, F_GETPIPE_SZ, 0) < 0)
		return -1;
	return real.fcntl(fd, F_GETFL, 0) & O_ACCMODE;
}

/* By a copy; what is moved to a pipe is what it has room for now. */
static long ours_splice(int in, const off64_t *in_at, int out, const off64_t *out_at, size_t n,
			unsigned flags)
{
	char buf[SPLICE_CHUNK];
	/* As on Linux, that is about the pipe: the socket has O_NONBLOCK. */
	bool no_wait = flags & SPLICE_F_NONBLOCK;
	ssize_t got, put;

	if (pipe_end(fdtab_peek(in) ? out : in) < 0)
		return -EINVAL;
	/* The pipe's, the socket's. */
	if (fdtab_peek(in) ? out_at : in_at)
		return -ESPIPE;
	if (in_at || out_at)
		return -EINVAL;
	if (n == 0)
		return 0;
	if (n > sizeof(buf))
		n = sizeof(buf);
	if (fdtab_peek(in)) {
		struct pollfd p = { .fd = out, .events = POLLOUT };
		int queued = 0, room = real.fcntl(out, F_GETPIPE_SZ, 0);

		/* First the room, so that nothing taken from the socket is lost. */
		if (no_wait || real.fcntl(out, F_GETFL, 0) & O_NONBLOCK) {
			if (real.poll(&p, 1, 0) == 0)
				return -EAGAIN;
		} else if (real.poll(&p, 1, -1) < 0) {
			return -errno;
		}
		if (real.ioctl(out, 0x541B /* FIONREAD */, &queued) == 0 && room - queued >= PIPE_BUF &&
		    (size_t)(room - queued) < n)
			n = (size_t)(room - queued) / PIPE_BUF * PIPE_BUF;
		else if (room - queued < PIPE_BUF && n > PIPE_BUF)
			n = PIPE_BUF;
		got = call_recv(in, buf, n, 0);
		if (got <= 0)
			return got;
		for (put = 0; put < got;) {
			ssize_t r = real.write(out, buf + put, (size_t)(got - put));

			if (r < 0 && (errno == EINTR || errno == EAGAIN)) {
				real.poll(&p, 1, -1);
				continue;
			}
			if (r < 0)
				return put ? put : -errno;
			put += r;
		}
		return put;
	}
	if (no_wait) {
		struct pollfd p = { .fd = in, .events = POLLIN };

		if (real.poll(&p, 1, 0) == 0)
			return -EAGAIN;
	}
	/* First the room, here too. */
	if (call_fcntl(out, F_GETFL, 0) & O_NONBLOCK) {
		got = call_send_room(out, n);
		if (got == -EPIPE)
			got = call_send(out, "", 1, 0); /* and its signal */
		if (got < 0)
			return got;
		n = (size_t)got;
	}
	got = real.read(in, buf, n);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	/* The pipe cannot take it back: all of it goes. */
	for (put = 0; put < got;) {
		long r = call_send(out, buf + put, (size_t)(got - put),
				   flags & SPLICE_F_MORE ? MSG_MORE : 0);

		if (r == -EINTR)
			continue;
		if (r == -EAGAIN) {
			struct pollfd p = { .fd = out, .events = POLLOUT };

			call_ppoll(&p, 1, NULL, NULL);
			continue;
		}
		if (r < 0)
			return put ? put : r;
		put += r;
	}
	return put;
}

/* As the kernel has it: into a pipe only. */
static long sendfile_from_socket(int out, int in, const off_t *offset, size_t n)
{
	if (pipe_end(out) < 0)
		return -EINVAL;
	return offset ? -ESPIPE : ours_splice(in, NULL, out, NULL, n, 0);
}

EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t n)
{
	long r;

	signals_no_point = true;
	if (fdtab_peek(in))
		r = sendfile_from_socket(out, in, offset, n);
	else
		r = fdtab_peek(out) ? call_sendfile(out, in, offset, n) : NOT_OURS;
	signals_no_point = false;
	return r == NOT_OURS ? real.sendfile(out, in, offset, n) : plain_result(r);
}
ALIAS(sendfile64, sendfile);

EXPORT ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags)
{
	if (likely(!fd_is_ours(in) && !fd_is_ours(out)))
		return real.splice(in, in_at, out, out_at, n, flags);
	cancellable();
	return result(ours_splice(in, in_at, out, out_at, n, flags));
}
