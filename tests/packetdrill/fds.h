/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fds.h - The script's descriptors: sockets of the engine and epoll sets.
 *
 * Each has the number of a real descriptor of /dev/null, which nobody else
 * then gets. What is not here (files, pipes) is the kernel's.
 */
#ifndef MORTISE_TESTS_PACKETDRILL_FDS_H
#define MORTISE_TESTS_PACKETDRILL_FDS_H

#include <sys/epoll.h>

#include "engine/engine.h"

#define FD_MAX 256
#define WATCHES_MAX 32

enum fd_kind { FD_NONE, FD_SOCKET, FD_EPOLL };

/**
 * struct watch - One descriptor in an epoll set.
 * @armed: Something has happened since it was last told (EPOLLET), or EPOLLONESHOT is not spent.
 */
struct watch {
	int fd;
	struct epoll_event event;
	bool armed, spent;
};

/**
 * struct fd - @linger_s: SO_LINGER's; -1: off. @sndbuf, @rcvbuf: as asked for; 0: nobody did.
 * @lowat: TCP_NOTSENT_LOWAT. @sndtimeo_ns, @rcvtimeo_ns: UINT64_MAX: none.
 */
struct fd {
	enum fd_kind kind;
	struct engine_sock sock;
	enum engine_kind proto;
	bool nonblock, reuseaddr, reuseport;
	int linger_s;
	uint32_t sndbuf, rcvbuf, lowat;
	uint64_t sndtimeo_ns, rcvtimeo_ns;
	struct watch watch[WATCHES_MAX];
	unsigned watches;
};

/** fd_new() - A descriptor; -1 and errno. */
int fd_new(enum fd_kind kind);

/** fd_of() - What it is; NULL: not ours. */
struct fd *fd_of(int fd);

/** fd_free() - It is closed. fd_free_all() - And all others. */
void fd_free(int fd);
void fd_free_all(void);

/** fd_event() - The engine has said something about a socket, whose cookie is its number. */
void fd_event(const struct engine_event *ev);

/** fd_ready() - Its EPOLL bits. */
uint32_t fd_ready(const struct fd *f);

#endif
