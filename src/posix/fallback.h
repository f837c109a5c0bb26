/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fallback.h - From ours to the kernel's, under the same numbers.
 */
#ifndef MORTISE_POSIX_FALLBACK_H
#define MORTISE_POSIX_FALLBACK_H

#include "posix/relay.h"
#include "posix/sock.h"

/* "The kernel must do it", among results: -200000 - reason. */
#define FALLBACK(why) (-200000L - (long)(why))
#define FALLBACK_REASON(r) ((enum reason)(-(r) - 200000L))

/**
 * fallback_socket() - Every descriptor of @s in this process refers to a
 * kernel socket from now on: its shadow, or a new one with the same options.
 * Caller holds s->lock. The last moment is before connect() completes, or at
 * a listener.
 * Return: 0, or -errno with nothing changed.
 */
long fallback_socket(struct sock *s, enum reason why);

/**
 * fallback_listener() - This process can no longer accept in shared memory: the
 * daemon takes the listener out of the registry for all who hold it, who waits
 * in memory is reset, and here it is the kernel's. Caller holds s->lock.
 */
long fallback_listener(struct sock *s, enum reason why);

/**
 * fallback_listener_on() - The same, but who waits in memory goes on: to the kernel's
 * listener, by a connection of the relay's under the same address, where that is free.
 * @relay: Is to be started and to take them (relay_take()). Who has no room in it is reset.
 */
long fallback_listener_on(struct sock *s, enum reason why, struct relay *relay);

/**
 * fallback_connected() - A connection in memory goes on through a relay: each number of @s
 * in this process is one end of the kernel's AF_UNIX pair from now on, and a process of its
 * own pumps the bytes (relay.h). Outside a section, with a reference.
 * Return: 0; -ENOTCONN where it is none any more; or -errno with nothing changed.
 */
long fallback_connected(struct sock *s, enum reason why);

/**
 * fallback_waits() - Somebody is about to wait for @s: where that takes
 * fallback_listener(), it is done. Without s->lock, with a reference.
 * Return: Are its descriptors the kernel's now?
 */
bool fallback_waits(struct sock *s);

#endif
