/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - What a socket remembers of setsockopt(), for the rest of posix.
 */
#ifndef MORTISE_POSIX_OPTIONS_H
#define MORTISE_POSIX_OPTIONS_H

#include <signal.h>

#include "posix/sock.h"

/** options_replay() - Set on kernel socket @fd what was set on @s. */
void options_replay(struct sock *s, int fd);

/** options_async() - O_ASYNC, once @fd is that kernel socket. */
void options_async(struct sock *s, int fd);

/** options_shadow() - Clients of the kernel's are told of as others are: after
 * listen(), and when owner or O_ASYNC change. */
void options_shadow(struct sock *s);

/** options_info_fix() - What the program is to see of a signal. */
void options_info_fix(siginfo_t *info);

/** options_inherit() - An accepted socket takes over its listener's. */
void options_inherit(struct sock *to, const struct sock *from);

/** options_kernel_only() - Was an option set that only the kernel has? */
bool options_kernel_only(const struct sock *s);

/** options_fork_before/parent() - All is whole while the child is made. */
void options_fork_before(void);
void options_fork_parent(void);
/** options_fork_child() - Only this thread is left. */
void options_fork_child(void);

/** options_have_inet6() - Has the kernel IPv6? */
bool options_have_inet6(void);

/** options_v6only_default() - IPV6_V6ONLY of a fresh AF_INET6 socket. */
bool options_v6only_default(void);

/** options_remember() - That was set on @s; @len at most 32. Return: 0 or -ENOBUFS. */
long options_remember(struct sock *s, int level, int name, const void *val, uint32_t len);
/** options_int() - What was set on @s, or @otherwise. */
int options_int(const struct sock *s, int level, int name, int otherwise);
/** options_repeat() - Set that one on @fd, where it was set on @s. */
void options_repeat(const struct sock *s, int fd, int level, int name);

uint32_t options_reuse(const struct sock *s);
void options_free(struct sock *s);

#endif
