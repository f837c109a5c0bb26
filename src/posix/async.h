/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * async.h - Who is signalled when a socket is ready.
 */
#ifndef MORTISE_POSIX_ASYNC_H
#define MORTISE_POSIX_ASYNC_H

#include <signal.h>

#include "posix/sock.h"

/** async_replay() - Kernel socket @fd gets the owner and the signal of @s.
 * O_ASYNC apart, which is for a number of the program's to set. */
void async_replay(const struct sock *s, int fd);

/** async_move() - O_ASYNC, once @fd is that kernel socket. */
void async_move(struct sock *s, int fd);

/** async_shadow() - Clients of the kernel's are told of as others are: after
 * listen(), and when owner or O_ASYNC change. */
void async_shadow(struct sock *s);

/** async_info_fix() - What the program is to see of a signal. */
void async_info_fix(siginfo_t *info);

/** async_owner() - The handle @fd has been told whose it is: now whoever
 * signals is told. */
void async_owner(struct sock *s, int fd);

/** async_switch() - O_ASYNC, set by way of @fd. */
void async_switch(struct sock *s, int fd, bool on);

#endif
