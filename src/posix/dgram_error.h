/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram_error.h - Errors that the domain's network reports of datagrams (policy net).
 */
#ifndef MORTISE_POSIX_DGRAM_ERROR_H
#define MORTISE_POSIX_DGRAM_ERROR_H

#include "posix/dgram.h"

/** dgram_errors_fetch() - Have those that have come. Caller has the inbox. Return: POLLERR where
 * there is one to tell of, or 0. */
uint32_t dgram_errors_fetch(struct sock *s);

/** dgram_error_take() - The one that the next call tells. Caller has the inbox.
 * Return: -errno, or 0. */
long dgram_error_take(struct sock *s);

/** dgram_error_pending() - The same, for who has not the inbox. */
long dgram_error_pending(struct sock *s);

/** dgram_errqueue_take() - recvmsg(MSG_ERRQUEUE): the oldest of IP_RECVERR's queue.
 * Return: bytes of the datagram that it is about, -EAGAIN: none, or -EFAULT. */
long dgram_errqueue_take(struct sock *s, struct msghdr *msg);

#endif
