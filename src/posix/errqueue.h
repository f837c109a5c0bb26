/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errqueue.h - MSG_ZEROCOPY and the error queue that tells of it.
 *
 * There is nothing to be gained here by lending the program's pages: the one copy
 * of a send is the only one. So as on Linux's loopback each send is over at once,
 * and its notice says that the bytes were copied (SO_EE_CODE_ZEROCOPY_COPIED).
 */
#ifndef MORTISE_POSIX_ERRQUEUE_H
#define MORTISE_POSIX_ERRQUEUE_H

#include <sys/socket.h>

#include <netinet/in.h>
#include <time.h>
#include <linux/errqueue.h> /* wants struct timespec */

#include "posix/sock.h"

/** struct errqueue_notice - As Linux has it in the control message. */
struct errqueue_notice {
	struct sock_extended_err error;
	struct sockaddr_in offender;
};

/** errqueue_give() - Into a control buffer, and say so in its flags. Return: 0 or -EFAULT. */
long errqueue_give(struct msghdr *msg, const struct errqueue_notice *n);

/** errqueue_sent() - A send with MSG_ZEROCOPY took bytes: queue its notice. */
void errqueue_sent(struct sock *s);

/**
 * errqueue_take() - recvmsg(MSG_ERRQUEUE). Inside a section.
 * @msg: Its control buffer is filled, and what the kernel writes back; NULL: the
 *       notice is taken and lost, as by recv().
 * Return: 0, or -EAGAIN where there is none, -EFAULT.
 */
long errqueue_take(struct sock *s, struct msghdr *msg);

#endif
