/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fastopen.h - MSG_FASTOPEN: connect() and send() in one call.
 */
#ifndef MORTISE_POSIX_FASTOPEN_H
#define MORTISE_POSIX_FASTOPEN_H

#include <sys/socket.h>

/**
 * fastopen_connect() - The first half of a send with MSG_FASTOPEN. In memory
 * the connection is there at once, as it is with a cookie on Linux.
 * @addr: Readable.
 * Return: 0: now send; -errno; NOT_OURS where the socket became the kernel's,
 *         which has that flag itself.
 */
long fastopen_connect(int fd, const struct sockaddr *addr, socklen_t len);

#endif
