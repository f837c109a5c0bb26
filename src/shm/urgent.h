/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * urgent.h - MSG_OOB, as Linux's TCP has it.
 *
 * A sender names the ring index after its last urgent byte (half.urgent)
 * before its tail covers it. That byte is the *mark*: reading stops before it,
 * and the next read passes over it, or has it inline. A newer one makes the
 * byte before an ordinary one, unless the reader stood just there: then it is
 * passed over (half.urgent_skip).
 */
#ifndef MORTISE_SHM_URGENT_H
#define MORTISE_SHM_URGENT_H

#include "shm/conn.h"

/** urgent_set() - What is about to be published ends at index @end with an
 * urgent byte. The peer's owner gets its SIGURG. Caller holds the send lock. */
void urgent_set(struct conn *c, uint64_t end);

/** urgent_poll() - POLLPRI, or 0. */
uint32_t urgent_poll(const struct conn *c);

/** urgent_hole() - So many of the bytes behind our head are passed over next. */
uint64_t urgent_hole(const struct conn *c, uint64_t head);

/** urgent_ahead() - A mark is there, not yet passed: who waits for data looks. */
bool urgent_ahead(const struct conn *c);

#define URGENT_GO 1L    /* read *@at on, at most *@len bytes */
#define URGENT_AGAIN 2L /* the head has moved */
#define URGENT_PASSES 64u /* so often in one call */

/**
 * urgent_stop() - The mark and conn_recv(). Caller holds the receive lock.
 * Return: one of the above; 0 where the call ends at the mark; -ERESTART where
 *         CONN_STOP asks for that.
 */
ssize_t urgent_stop(struct conn *c, uint64_t skip, uint32_t flags, uint64_t *at, size_t *len);

/**
 * conn_recv_urgent() - recv() with MSG_OOB. Caller holds the receive lock.
 * Return: 1, 0 at the end, -EINVAL, -EAGAIN, -ENOTCONN.
 */
ssize_t conn_recv_urgent(struct conn *c, unsigned char *byte, bool peek);

/** conn_at_mark() - SIOCATMARK. */
bool conn_at_mark(struct conn *c);

/** conn_until_mark() - FIONREAD: what can be read without passing a mark. */
uint64_t conn_until_mark(struct conn *c);

#endif
