// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/defs.h"
#include "cli/sock_diag.h"

enum { TIMEOUT_S = 2 };

/** read_some() - Return: false at the end of the dump, or where it broke off. */
static bool read_some(int fd, void (*each)(const struct nlmsghdr *, size_t, void *), void *context)
{
	_Alignas(struct nlmsghdr) char buf[32768];
	ssize_t got = recv(fd, buf, sizeof(buf), 0);
	size_t len = got > 0 ? (size_t)got : 0;

	if (got < 0)
		return errno == EINTR;
	for (const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)buf;
	     NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return false;
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			each(h, len, context);
	}
	return got > 0;
}

void sock_diag_dump(const void *request, size_t bytes,
		    void (*each)(const struct nlmsghdr *h, size_t len, void *context),
		    void *context)
{
	struct nlmsghdr h = {
		.nlmsg_len = (uint32_t)NLMSG_LENGTH(bytes),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
	};
	struct iovec iov[] = { { &h, sizeof(h) }, { (void *)(uintptr_t)request, bytes } };
	struct timeval patience = { .tv_sec = TIMEOUT_S };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (writev(fd, iov, 2) == (ssize_t)h.nlmsg_len) {
		while (read_some(fd, each, context))
			;
	}
	close(fd);
}
