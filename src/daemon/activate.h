/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * activate.h - Being started by a service manager, in systemd's way: it has the
 * listening socket, and passes it on when somebody connects (sd_listen_fds(3),
 * sd_notify(3); both are environment variables and a descriptor, so no library
 * is needed).
 *
 * The domain's directory is named after the network namespace, which no unit
 * file can say. So the manager's socket is elsewhere, and `ctl` in that
 * directory is a symbolic link to it: activate_link() makes it, once the manager
 * listens. A program in another namespace has another directory, and does not
 * meet this daemon.
 */
#ifndef MORTISE_DAEMON_ACTIVATE_H
#define MORTISE_DAEMON_ACTIVATE_H

#include "base/defs.h"

/**
 * activate_fd() - The socket that was passed to us, close-on-exec and non-blocking
 * from now on. The variables are gone afterwards.
 * Return: Its descriptor; -ENOENT: none was passed; -ENOTSUP: it is no listening
 *         SOCK_SEQPACKET socket of AF_UNIX, or not the only one.
 */
int activate_fd(void);

/** activate_ready() - Tell the manager, where there is one, that we serve. */
void activate_ready(void);

/**
 * activate_link() - Make @dir's `ctl` a link to @path, an absolute one.
 * Return: 0, or -errno.
 */
int activate_link(const char *dir, const char *path);

/** activate_linked() - Is @dir's `ctl` such a link? */
bool activate_linked(const char *dir);

#endif
