/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * channel.c - One record with its descriptors, sent or taken.
 *
 * Raw system calls throughout: this also runs inside the preloaded library,
 * which replaces sendmsg(), recvmsg(), poll() and close().
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sys.h"
#include "ctl/client.h"

uint32_t ctl_bytes(uint16_t type)
{
	bool reply = type & CTL_REPLY;

	switch (type & ~CTL_REPLY) {
	case CTL_HELLO:
		return CTL_BYTES(hello);
	case CTL_BELL:
		return CTL_BYTES(bell);
	case CTL_HANDLES:
		return CTL_BYTES(handles);
	case CTL_PEER:
	case CTL_PEER_BELL:
	case CTL_LET_GO:
		return CTL_BYTES(peer);
	case CTL_LISTEN:
	case CTL_UNLISTEN:
	case CTL_DEMOTE:
	case CTL_BIND:
	case CTL_UNBIND:
		return CTL_BYTES(listen);
	case CTL_SHARE:
	case CTL_SHARED_BELL:
	case CTL_ATTACH:
	case CTL_CLOSED:
		return CTL_BYTES(shared);
	case CTL_TCP_INFO:
		return reply ? CTL_BYTES(row) : CTL_BYTES(shared);
	case CTL_LEASE:
		return reply ? CTL_BYTES(lease) : CTL_HEADER_BYTES;
	case CTL_GOODBYE:
	case CTL_RESTARTED:
		return CTL_HEADER_BYTES;
	case CTL_LIST:
		return reply ? CTL_BYTES(row) : CTL_HEADER_BYTES;
	case CTL_STATUS:
		return reply ? CTL_BYTES(status) : CTL_HEADER_BYTES;
	case CTL_DOWN:
		return reply ? CTL_BYTES(status) : CTL_BYTES(down);
	case CTL_NET:
		return CTL_BYTES(net);
	case CTL_PING:
		return CTL_BYTES(ping);
	case CTL_LINGER:
		return reply ? CTL_HEADER_BYTES : CTL_BYTES(linger);
	default:
		return 0;
	}
}

int ctl_send(int fd, const struct ctl_msg *m, const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * CTL_FD_MAX)];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)m, .iov_len = m->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	long r;

	if (m->len < CTL_HEADER_BYTES || m->len > sizeof(*m) || nfds > CTL_FD_MAX)
		return -EINVAL;
	if (nfds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		r = sys3(SYS_sendmsg, fd, &msg, MSG_NOSIGNAL);
	while (r == -EINTR);
	if (r < 0)
		return (int)r;
	return r == (long)m->len ? 0 : -EPROTO;
}

/* Take over the descriptors that came; close those without room. */
static void channel_take_fds(struct msghdr *msg, int *fds, unsigned *nfds)
{
	unsigned room = *nfds, got = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int one;

			memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(one));
			if (got < room)
				fds[got++] = one;
			else
				sys1(SYS_close, one);
		}
	}
	*nfds = got;
}

/* Wait for @fd to have something. @deadline_ns: 0: none. */
static int channel_wait(int fd, uint64_t deadline_ns)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct timespec ts, *tsp = NULL;
	long r;

	if (deadline_ns) {
		uint64_t now = clock_now_ns();

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		ts = clock_timespec(deadline_ns - now);
		tsp = &ts;
	}
	r = sys5(SYS_ppoll, &pfd, 1, tsp, NULL, 8);
	if (r < 0 && r != -EINTR)
		return (int)r;
	return 0;
}

int ctl_recv(int fd, struct ctl_msg *ret, int *fds, unsigned *ret_nfds, int timeout_ms)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * CTL_FD_MAX)];
	} control = { 0 };
	uint64_t deadline = 0;
	struct msghdr msg;
	struct iovec iov;
	unsigned none = 0, *nfds = ret_nfds ? ret_nfds : &none;
	long r;

	if (timeout_ms > 0)
		deadline = clock_now_ns() + (uint64_t)(unsigned)timeout_ms * NS_PER_MS;
	for (;;) {
		iov = (struct iovec){ .iov_base = ret, .iov_len = sizeof(*ret) };
		msg = (struct msghdr){ .msg_iov = &iov,
				       .msg_iovlen = 1,
				       .msg_control = &control,
				       .msg_controllen = sizeof(control) };
		r = sys3(SYS_recvmsg, fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (r == -EINTR)
			continue;
		if (r != -EAGAIN)
			break;
		if (timeout_ms == 0)
			r = -ETIMEDOUT;
		else
			r = channel_wait(fd, deadline);
		if (r < 0)
			break;
	}
	if (r < 0) {
		*nfds = 0;
		return r == -ECONNRESET ? -EPIPE : (int)r;
	}
	channel_take_fds(&msg, fds, nfds);
	if (r == 0) {
		r = -EPIPE;
	} else if (r < (long)CTL_HEADER_BYTES || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
		   ret->len != (uint32_t)r) {
		r = -EPROTO;
	} else if (ret->version != CTL_VERSION) {
		r = -EPROTONOSUPPORT;
	} else {
		memset((char *)ret + r, 0, sizeof(*ret) - (size_t)r);
		return 0;
	}
	for (unsigned i = 0; i < *nfds; i++)
		sys1(SYS_close, fds[i]);
	*nfds = 0;
	return (int)r;
}
