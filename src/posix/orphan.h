/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orphan.h - When keeper and daemon are gone, nobody says any more that a
 * peer has died: who waits for one looks, once a second.
 */
#ifndef MORTISE_POSIX_ORPHAN_H
#define MORTISE_POSIX_ORPHAN_H

#include "base/clock.h"
#include "posix/sock.h"

#define ORPHAN_LOOK_NS NS_PER_SEC

/** orphan_fd() - What a sleeper sleeps on as well, for POLLRDHUP: its hang-up
 * is the end of the domain. -1: there is none, or it has hung up already. */
int orphan_fd(void);

/**
 * orphan_look() - Where nobody else would say it: is the peer of @s dead?
 * Cheap; looks once in ORPHAN_LOOK_NS. Then the socket is at its end.
 * A side that several processes share is taken for alive.
 *
 * Return: True where it was found dead just now.
 */
bool orphan_look(struct sock *s);

#endif
