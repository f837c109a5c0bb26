/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.h - A process that stands between sockets of ours and a program that
 * the library is not in.
 */
#ifndef MORTISE_POSIX_RELAY_H
#define MORTISE_POSIX_RELAY_H

#include <stddef.h>

#include "base/defs.h"

struct relay_link;

/**
 * struct relay - One relay process, from its making to its start.
 * @links: Room for @room, in a mapping of @bytes.
 * @go:    Its end makes the relay begin; a byte in it makes it leave.
 */
struct relay {
	struct relay_link *links;
	size_t count, room, bytes;
	int go;
};

/** relay_open() - Return: 0 or -errno. */
int relay_open(struct relay *r, size_t room);

/**
 * relay_add() - One more connection.
 * @fd:    A descriptor of ours, connected.
 * @flags: O_NONBLOCK: as the program has it.
 * Return: What the program gets for it: the near end of a pair, close-on-exec,
 *         in the library's range, closed by relay_close(); or -errno.
 */
int relay_add(struct relay *r, int fd, int flags);

/**
 * relay_add_far() - One more connection, whose other end is there.
 * @far: A kernel socket in the library's range, which may still be connecting. The
 *       relay's from now on, also where this fails.
 * Return: 0 or -ENOBUFS.
 */
int relay_add_far(struct relay *r, int fd, int far);

/** relay_start() - Make the process. It waits for relay_go().
 * Return: 0 or -errno. */
int relay_start(struct relay *r);

/** relay_go() - What was to be done is done. After exec it goes by itself. */
void relay_go(struct relay *r);
/** relay_take() - As relay_go(), and the connections are the relay's alone: their numbers
 * are closed here. */
void relay_take(struct relay *r);
/** relay_cancel() - It failed: the process leaves, and touches nothing. */
void relay_cancel(struct relay *r);

/** relay_close() - The near ends, and all else that is here. */
void relay_close(struct relay *r);

#endif
