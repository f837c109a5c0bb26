/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock_life.h - What sock.c, bind.c, listen.c, connect.c and accept.c know of
 * each other; for no one else.
 */
#ifndef MORTISE_POSIX_SOCK_LIFE_H
#define MORTISE_POSIX_SOCK_LIFE_H

#include "posix/sock.h"

/* sock.c */

/** sock_make() - A socket with a handle, parked, one reference, and no half or
 * number yet. Return: NULL with *@ret_error set. */
struct sock *sock_make(struct party *p, long *ret_error);
/** sock_unmake() - Undo sock_make(). */
void sock_unmake(struct sock *s);
/** sock_set_half() - Its half is @slot of its party's arena. */
void sock_set_half(struct sock *s, unsigned slot);
/** sock_begin_half() - The same, and a half in BOUND, known by the handle. */
void sock_begin_half(struct sock *s, unsigned slot, uint32_t file_flags);
/**
 * sock_own() - A socket that another process made, and that is not connected
 * and does not listen, is about to: it becomes our own, with a half and a
 * handle of ours and the shadow that it has. Who else holds it has another one
 * from now on. Caller holds s->lock.
 * Return: False where it stays what it was.
 */
bool sock_own(struct sock *s);
/** sock_half_next() - As sock_begin_half(), in place of @was, with what was set on that. */
void sock_half_next(struct sock *s, const struct half *was, unsigned slot);
/**
 * sock_anew() - A connection that failed before connect() could report success is a socket
 * as it was before: with another half, where it was bound. Caller holds s->lock.
 * Return: False where other processes have it as well, or there is no room.
 */
bool sock_anew(struct sock *s);
/** sock_close_listener() - sock_listen_end(), and its half and handle go. */
void sock_close_listener(struct sock *s);
/** sock_number_take() - The lowest free number for @s, whose handle is parked,
 * or -errno. sock_number_set() - It is that number's from now on. */
long sock_number_take(struct sock *s, bool cloexec);
void sock_number_set(struct sock *s, long fd);

/* bind.c */

/** shadow_make() - The kernel socket that holds our port. Return: 0 or -errno. */
long shadow_make(struct sock *s);
void shadow_drop(struct sock *s);
/** shadow_name() - Our local address is the shadow's. Return: 0, or -EADDRNOTAVAIL
 * where it is one that no addr_word names. */
long shadow_name(struct sock *s);
/** bind_in_domain() - Policy none: a port of the daemon's. Return: 0 or -errno. */
long bind_in_domain(struct sock *s, addr_word want);

/* listen.c */

/** sock_unlisten() - Undo seat_open() and what was announced: the half cannot
 * listen twice, so the socket goes on with another. */
void sock_unlisten(struct sock *s);

#endif
