/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - What a socket remembers of setsockopt(), for the rest of posix.
 */
#ifndef MORTISE_POSIX_OPTIONS_H
#define MORTISE_POSIX_OPTIONS_H

#include "posix/sock.h"

#define OPTION_BYTES 32u /* of a value are remembered */

/** options_remember() - That @name was set; it has its effect. @len: at most
 * OPTION_BYTES. Return: 0, or -ENOBUFS. */
long options_remember(struct sock *s, int level, int name, const void *val, uint32_t len);

/** options_int() - What was set, as an int; @otherwise where it was not. */
int options_int(const struct sock *s, int level, int name, int otherwise);

/** options_has() - Was it set? */
bool options_has(const struct sock *s, int level, int name);

/** options_keep_to_kernel() - Only the kernel has what was set: see
 * options_kernel_only(). */
void options_keep_to_kernel(struct sock *s);

/** options_any_asked() - Was one set that the kernel was asked about? */
bool options_any_asked(const struct sock *s);

/** options_repeat_asked() - Set on kernel socket @fd what that was: before the socket
 * listened or was connected, or @late. */
void options_repeat_asked(const struct sock *s, int fd, bool late);

/** options_repeat() - Set that one on @fd, where it was set on @s. */
void options_repeat(const struct sock *s, int fd, int level, int name);

/** options_replay() - Set on kernel socket @fd all that was set on @s. */
void options_replay(struct sock *s, int fd);

/** options_inherit() - An accepted socket takes over its listener's. */
void options_inherit(struct sock *to, const struct sock *from);

/** options_linger_note() - @s->linger has changed: whoever ends the side for us,
 * because we were killed, is to know. */
void options_linger_note(struct sock *s);

/** options_kernel_only() - Was an option set that only the kernel has? */
bool options_kernel_only(const struct sock *s);

/** options_fork_before/parent() - All is whole while the child is made. */
void options_fork_before(void);
void options_fork_parent(void);
/** options_fork_child() - Only this thread is left. */
void options_fork_child(void);

uint32_t options_reuse(const struct sock *s);
void options_free(struct sock *s);

#endif
