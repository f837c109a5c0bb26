/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.h - What only the kernel knows of the sockets that are its own:
 * state, queues and addresses, from /proc/net.
 */
#ifndef MORTISE_CLI_KERNEL_H
#define MORTISE_CLI_KERNEL_H

#include "cli/ss_row.h"

/**
 * kernel_fill() - Complete the rows whose transport is the kernel's, by inode;
 * and datagram sockets in shared memory, by their addresses: what waits in the
 * kernel's socket, which is their descriptor, counts too. Where several have the
 * same addresses (SO_REUSEPORT), or none has, they are left as they are.
 * @proc: "/proc"; tests have another.
 * Rows that the kernel does not show are left as they are.
 */
void kernel_fill(const char *proc, struct ss_row *rows, size_t n);

/**
 * kernel_line() - Read one line of /proc/net/tcp, tcp6, udp or udp6.
 * @ret: Set on success: inode, state, queues, addresses, ports, drops.
 */
bool kernel_line(const char *line, const char *netid, struct ss_row *ret);

#endif
