/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"
#include "posix/calls.h"
#include "posix/fastopen.h"
#include "posix/sock.h"

#define CLIENTS_MAY 1 /* in net.ipv4.tcp_fastopen */

static bool clients_may(void)
{
	static _Atomic int known; /* 1: yes, -1: no */
	char digits[8] = "";
	long fd, n;

	if (load_relaxed(&known))
		return load_relaxed(&known) > 0;
	fd = sys4(SYS_openat, AT_FDCWD, "/proc/sys/net/ipv4/tcp_fastopen", O_RDONLY | O_CLOEXEC, 0);
	n = fd < 0 ? fd : sys3(SYS_read, fd, digits, sizeof(digits) - 1);
	if (fd >= 0)
		sys1(SYS_close, fd);
	while (n > 0 && (digits[n - 1] < '0' || digits[n - 1] > '9'))
		n--;
	/* Its last digit says whether it is odd. */
	store_relaxed(&known, n > 0 && (digits[n - 1] - '0') & CLIENTS_MAY ? 1 : -1);
	return load_relaxed(&known) > 0;
}

long fastopen_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sock *s;
	uint32_t stage;
	long r;

	if (!clients_may())
		return -EOPNOTSUPP;
	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	stage = load_acquire(&s->stage);
	sock_leave(s, 0);
	if (stage == SOCK_OPEN)
		return -EISCONN;
	r = call_connect(fd, addr, len);
	/* Not blocking: it is there, and says so once. */
	return r == -EINPROGRESS && call_connect(fd, addr, len) == 0 ? 0 : r;
}
