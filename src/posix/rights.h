/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rights.h - Sockets of ours in SCM_RIGHTS, on their way out.
 */
#ifndef MORTISE_POSIX_RIGHTS_H
#define MORTISE_POSIX_RIGHTS_H

#include <sys/socket.h>

#include "posix/relay.h"

/**
 * struct rights - What a message that is being sent needs afterwards.
 * @any:     One of ours goes along; else nothing was done.
 * @control: A copy of the message's control data of @bytes, or NULL.
 */
struct rights {
	bool any;
	void *control;
	size_t bytes;
	struct relay relay;
};

/** rights_fds() - Descriptors of one control message, or NULL. */
int *rights_fds(struct cmsghdr *c, size_t *ret_count);

/** rights_any() - Does a socket of ours go along? */
bool rights_any(const struct msghdr *msg);

/**
 * rights_begin() - Prepare each socket of ours in @msg, which is about to be
 * sent on @fd. Where its receiver is a program without the library, @msg gets
 * other control data: a relay's ends, and kernel sockets, in their place.
 * @msg: The caller's own copy.
 */
void rights_begin(struct rights *r, int fd, struct msghdr *msg);

/** rights_end() - It was sent, or not. */
void rights_end(struct rights *r, bool sent);

#endif
