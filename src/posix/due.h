/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * due.h - Sockets that time alone changes: nobody publishes anything, and no bell
 * rings.
 *
 * There are two kinds: a connection with TCP_USER_TIMEOUT whose peer takes nothing
 * (conn_overdue()), and a listener with TCP_DEFER_ACCEPT at which somebody waits who
 * says nothing (seat_due()). Whoever looks at one and finds that it is waiting notes
 * when it is to be looked at again. Who sleeps in select, poll, epoll or accept() sleeps
 * no longer than until the first of them, and then has all of its kind looked at.
 *
 * A lock of its own, after the watch lock.
 */
#ifndef MORTISE_POSIX_DUE_H
#define MORTISE_POSIX_DUE_H

#include "posix/sock.h"

/** due_look() - Note of @s what there is to be noted. With the watch lock or without.
 * Return: When it is to be looked at again; 0: it waits for no moment. */
uint64_t due_look(struct sock *s);

/** due_cap() - Not longer than to the first that is due. @until_ns: CLOCK_MONOTONIC; 0 is
 * for ever, here and in the result. */
uint64_t due_cap(uint64_t until_ns);

/** due_run() - Who watches those whose time has come looks at them. With the watch lock.
 * Cheap where there is none. */
void due_run(void);

/** due_forget() - Of a socket that ends. */
void due_forget(struct sock *s);
/** due_fork_child() - The child finds out for itself. */
void due_fork_child(void);

#endif
