/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linger.h - SO_LINGER with a time: close() waits until what was sent is
 * acknowledged.
 *
 * In memory that is what fits the peer's receive buffer, as on loopback: so close()
 * waits for a peer that does not read, and for no other. As on Linux it does so
 * whether or not the socket is non-blocking, until the time is over or a handler
 * has run, says 0 in any case, and a process that exits waits for nothing.
 */
#ifndef MORTISE_POSIX_LINGER_H
#define MORTISE_POSIX_LINGER_H

#include "posix/sock.h"

/**
 * linger_wait() - The last descriptor of this process was closed. Called inside a
 * section, which is left for the sleep, with no locks.
 * @shared: Other processes may have it: then only who was the last one waits, and
 *          it is the executor that ends the half, and has by now where ours was the last
 *          handle.
 * @give_up: For asleep.h, with @shared as asleep.what: a handler left it for good.
 */
void linger_wait(struct sock *s, bool shared, void (*give_up)(struct asleep *a));

/** linger_begin() - Of a socket that other processes may have: the last of those that
 * close it is the one to wait. Before its handle is closed. */
void linger_begin(struct sock *s);

/** linger_is_due() - Has linger_wait() anything to wait for? */
bool linger_is_due(struct sock *s);

#endif
