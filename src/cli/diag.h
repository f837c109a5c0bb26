/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diag.h - The memory of the kernel's sockets, for -m: what /proc/net does not
 * say. By inet_diag, as ss(8) has it.
 */
#ifndef MORTISE_CLI_DIAG_H
#define MORTISE_CLI_DIAG_H

#include <linux/netlink.h>

#include "cli/ss_row.h"

/**
 * diag_fill() - Set @skmem of the rows that have an inode. Where the kernel does
 * not say (no inet_diag), they are left as they are.
 */
void diag_fill(struct ss_row *rows, size_t n);

/**
 * diag_message() - One message of a dump: if it is of a row, set that.
 * @len: Bytes that are there; what it says of itself may be more.
 */
void diag_message(const struct nlmsghdr *h, size_t len, struct ss_row *rows, size_t n);

#endif
