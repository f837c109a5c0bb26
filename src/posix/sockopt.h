/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockopt.h - What setsockopt() does to a socket in memory.
 */
#ifndef MORTISE_POSIX_SOCKOPT_H
#define MORTISE_POSIX_SOCKOPT_H

#include "posix/sock.h"

/** sockopt_is_kept() - Is that one checked and kept here, with no word of the
 * kernel's? */
bool sockopt_is_kept(int level, int name);

/** sockopt_act() - @name was set to @v on @s, by the program or by inheritance:
 * let it have its effect. */
void sockopt_act(struct sock *s, int level, int name, int v);

/** sockopt_give() - Hand a value out, as Linux cuts it. Return: 0 or -errno. */
long sockopt_give(void *val, socklen_t *len, const void *from, size_t bytes);

#endif
