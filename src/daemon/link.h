/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - What daemon and keeper say to each other: SOCK_SEQPACKET records.
 *
 * The keeper never waits for the daemon, so the daemon may wait for it.
 * Everything but LINK_MAKE, LINK_ACCEPT and LINK_HEAR is one way and is acted upon even when the daemon
 * has died meanwhile: the keeper drains the link before it starts another.
 */
#ifndef MORTISE_DAEMON_LINK_H
#define MORTISE_DAEMON_LINK_H

#include "ctl/proto.h"

enum link_op {
	LINK_MAKE = 1, /* @party, @count -> @count, @ids, near ends */
	LINK_ACCEPT,   /* @party -> @error, or the connection, kept as its KEPT_CTL */
	LINK_KEEP,     /* @party, @kind, one descriptor */
	LINK_DROP,     /* @party, @kinds: a mask of enum kept */
	LINK_LEAVE,    /* the domain ends */
	LINK_SHARE,    /* row @count, @kind: 0 eventfd, 1 shadow; one descriptor (shares.h) */
	LINK_UNSHARE,  /* row @count: close both */
	LINK_HEAR,     /* handle @count of @party: has it hung up? -> done, and so is all that
			  came before */
	LINK_STARTED,  /* @error: the domain's network is there, or why not: then the domain ends */
};

struct link_msg {
	uint32_t op;
	uint32_t party;
	uint32_t kind;
	uint32_t kinds;
	uint32_t count;
	int32_t error;
	uint32_t ids[CTL_HANDLE_BATCH];
};

/** link_send() - Return: 0 or -errno. */
int link_send(int fd, const struct link_msg *m, const int *fds, unsigned nfds);

/**
 * link_recv() - Take a record; waits where the descriptor does.
 * @ret_nfds: In: room in @fds. Out: how many came.
 * Return: 0, -EAGAIN, -EPIPE at the end, or another -errno.
 */
int link_recv(int fd, struct link_msg *ret, int *fds, unsigned *ret_nfds);

#endif
