/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * template.h - Kernel sockets that the process keeps to ask the kernel by: which
 * options and requests there are in a socket's state, which values they take, and
 * what becomes of these.
 *
 * One for each of fresh, listening and connected, of either family; the connected one
 * is connected to itself. Where the domain has a network of its own the kernel is to have no address
 * of it, so there is the fresh one only. What was set on the socket that is asked about is set there first.
 */
#ifndef MORTISE_POSIX_TEMPLATE_H
#define MORTISE_POSIX_TEMPLATE_H

#include "posix/sock.h"

/** template_take() - One in the state of @s, for the caller alone until
 * template_give(). Return: Its descriptor, or -errno with nothing taken. */
int template_take(const struct sock *s);

/** template_have_inet6() - Has the kernel IPv6? */
bool template_have_inet6(void);

/** template_v6only_default() - IPV6_V6ONLY of a fresh AF_INET6 socket. */
bool template_v6only_default(void);

/** template_drop() - The caller is done.
 * @spoilt: Something was set on it. */
void template_drop(bool spoilt);

/** template_fork_before/parent/child() - Around fork(). */
void template_fork_before(void);
void template_fork_parent(void);
void template_fork_child(void);

#endif
