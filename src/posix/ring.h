/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - The eventfd of a listener that several processes hold.
 *
 * Each of them has a copy, and puts it where it waits: into the kernel's epoll
 * sets with the program's own flags, into poll's array. So the kernel picks who
 * is woken, passes over processes that are stopped or gone, and workers come
 * and go unannounced. Connectors write to it after each claim.
 */
#ifndef MORTISE_POSIX_RING_H
#define MORTISE_POSIX_RING_H

#include "posix/sock.h"

/**
 * ring_share() - Other processes are about to hold the listener @s. Caller
 * holds s->lock.
 * Return: 0, or -errno: then nobody but this process can wait for it.
 */
int ring_share(struct sock *s);

/** ring_share_all() - Before a fork: all listeners. Takes their locks. */
void ring_share_all(void);

/**
 * ring_drain() - Nothing was found in memory: reset the eventfd.
 * Return: True where somebody came meanwhile; then it rings again.
 */
bool ring_drain(struct sock *s);

/** ring_again() - Somebody waits who could not be taken just now. */
void ring_again(const struct sock *s);

/** ring_listener() - Ring another party's listener; as party_ops.ring_shared. */
void ring_listener(void *arg, half_ref listener, uint32_t party_gen);

void ring_fork_child(void);

#endif
