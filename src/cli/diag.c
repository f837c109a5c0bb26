// SPDX-License-Identifier: BSD-2-Clause
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/diag.h"
#include "cli/sock_diag.h"

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

struct rows {
	struct ss_row *at;
	size_t n;
};

static void each(const struct nlmsghdr *h, size_t len, void *context)
{
	const struct rows *r = context;

	diag_message(h, len, r->at, r->n);
}

void diag_fill(struct ss_row *rows, size_t n)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct rows context = { .at = rows, .n = n };
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= rows[i].inode != 0;
	for (size_t i = 0; any && i < ARRAY_LEN(families) * ARRAY_LEN(protocols); i++) {
		struct inet_diag_req_v2 ask = {
			.sdiag_family = families[i / 2], .sdiag_protocol = protocols[i % 2],
			.idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1), .idiag_states = UINT32_MAX,
		};

		sock_diag_dump(&ask, sizeof(ask), each, &context);
	}
}
