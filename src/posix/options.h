/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - What a socket remembers of setsockopt(), for the rest of posix.
 */
#ifndef MORTISE_POSIX_OPTIONS_H
#define MORTISE_POSIX_OPTIONS_H

#include "posix/sock.h"

/** options_replay() - Set on kernel socket @fd what was set on @s. */
void options_replay(struct sock *s, int fd);

/** options_inherit() - An accepted socket takes over its listener's. */
void options_inherit(struct sock *to, const struct sock *from);

/** options_kernel_only() - Was an option set that only the kernel has? */
bool options_kernel_only(const struct sock *s);

/** options_fork_before/parent() - All is whole while the child is made. */
void options_fork_before(void);
void options_fork_parent(void);
/** options_fork_child() - Only this thread is left. */
void options_fork_child(void);

bool options_reuseaddr(const struct sock *s);
void options_free(struct sock *s);

#endif
