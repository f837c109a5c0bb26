/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_CLI_SOCK_DIAG_H
#define MORTISE_CLI_SOCK_DIAG_H

#include <linux/netlink.h>
#include <stddef.h>

/**
 * sock_diag_dump() - Ask the kernel for a list of its sockets (sock_diag(7)).
 * @request: struct inet_diag_req_v2, struct unix_diag_req; @bytes of it.
 * @each:    Called for each message, @len bytes of which are there.
 * A kernel that does not know, or does not answer, has none.
 */
void sock_diag_dump(const void *request, size_t bytes,
		    void (*each)(const struct nlmsghdr *h, size_t len, void *context),
		    void *context);

#endif
