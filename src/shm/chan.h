/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chan.h - A channel: what one party sends to one datagram socket.
 *
 * A connection (conn.h) whose ring carries records, one for each datagram, and
 * whose other end is a seat of the receiver's half (inbox.h). It goes one way.
 */
#ifndef MORTISE_SHM_CHAN_H
#define MORTISE_SHM_CHAN_H

#include "shm/conn.h"

/**
 * chan_open() - Claim a seat at a datagram socket.
 * @to:  The socket's half, in HALF_DGRAM.
 * @ret: Set on success.
 *
 * Return: 0; -EAGAIN where no seat is free; -ECONNREFUSED where the socket is
 *         gone, or takes nothing through memory; -ENOSPC, -ESRCH and others.
 */
int chan_open(struct party *p, const struct listener_ref *to, struct conn *ret);

/**
 * chan_put() - Put one datagram in, whole or not at all.
 * @box:   The receiver's half; who sleeps there is woken.
 * @rec:   Its @bytes is the sum of the pieces.
 * @limit: Bytes that may be queued before it, records included.
 *
 * Caller holds the channel's lock. Return: 0; -EAGAIN where there is no room;
 * -ENOBUFS where there is no ring memory; -EPIPE where the other end is gone; -EFAULT
 * where a piece is not there to be read: nothing was put in.
 */
int chan_put(struct conn *c, const struct half *box, const struct dgram_record *rec,
	     const struct iovec *iov, int n, uint64_t limit);

/**
 * chan_mark() - Put in a mark: a datagram is about to go through the kernel. It wakes
 * nobody; the datagram will.
 * @rec: With DGRAM_MARK, and MARK_COMING or what became of it.
 * @ret: Set on success: where it is to be said what became of it, before anything
 *       else is put in. NULL: it is said already.
 *
 * Return: as chan_put(). What is queued is no hindrance.
 */
int chan_mark(struct conn *c, const struct dgram_record *rec, _Atomic uint64_t **ret);

/** chan_moved() - Has its reader read since this was asked last? For a sender that
 * finds no room, and may wait a moment. */
bool chan_moved(struct conn *c);

/** chan_over() - Does its other end take nothing any more? */
bool chan_over(const struct conn *c);

/**
 * chan_rank() - How well does the socket of @box take a datagram from @from to @to? One that is
 * connected to the sender, before an exact address, before the wildcard.
 * @ref: Its name.
 * Return: 0 not at all; else the higher, the better.
 */
unsigned chan_rank(const struct half *box, half_ref ref, addr_word from, addr_word to);

/** chan_close() - End our side of it. @c is zeroed. */
void chan_close(struct party *p, struct conn *c);

#endif
