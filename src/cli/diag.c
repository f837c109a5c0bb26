// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/diag.h"

enum { DIAG_TIMEOUT_S = 2 };

_Static_assert((int)SS_SKMEM_COUNT <= (int)SK_MEMINFO_VARS, "the kernel has as many");

void diag_message(const struct nlmsghdr *h, size_t len, struct ss_row *rows, size_t n)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	const struct rtattr *a = (const struct rtattr *)(const void *)(m + 1);
	uint32_t left;

	if (len < NLMSG_LENGTH(sizeof(*m)) || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    h->nlmsg_len > len || !m->idiag_inode)
		return;
	left = h->nlmsg_len - (uint32_t)NLMSG_LENGTH(sizeof(*m));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != INET_DIAG_SKMEMINFO)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (rows[i].inode != m->idiag_inode ||
			    RTA_PAYLOAD(a) < sizeof(rows[i].skmem))
				continue;
			memcpy(rows[i].skmem, RTA_DATA(a), sizeof(rows[i].skmem));
			rows[i].has_skmem = true;
		}
	}
}

/** read_dump() - Return: false at the end of the dump, or where it broke off. */
static bool read_dump(int fd, struct ss_row *rows, size_t n)
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
			diag_message(h, len, rows, n);
	}
	return got > 0;
}

static void dump(int fd, uint8_t family, uint8_t protocol, struct ss_row *rows, size_t n)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} ask = {
		.h = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.r = { .sdiag_family = family, .sdiag_protocol = protocol,
		       .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1), .idiag_states = UINT32_MAX },
	};

	if (send(fd, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask))
		return;
	while (read_dump(fd, rows, n))
		;
}

void diag_fill(struct ss_row *rows, size_t n)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct timeval patience = { .tv_sec = DIAG_TIMEOUT_S };
	bool any = false;
	int fd;

	for (size_t i = 0; i < n; i++)
		any |= rows[i].inode != 0;
	fd = any ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) : -1;
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (size_t i = 0; i < ARRAY_LEN(families) * ARRAY_LEN(protocols); i++)
		dump(fd, families[i / 2], protocols[i % 2], rows, n);
	close(fd);
}
