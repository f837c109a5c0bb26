/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inbox.h - What a datagram socket receives through memory: its half's row of
 * seats, each the reading end of one sender's channel (chan.h).
 */
#ifndef MORTISE_SHM_INBOX_H
#define MORTISE_SHM_INBOX_H

#include "shm/conn.h"

#define INBOX_SEATS 63u /* senders at once: a row of 64, less the ticket counter */

/**
 * struct inbox_seat - A channel as its reader sees it.
 * @conn: Attached where @word is not 0.
 * @word: The seat's word that it was attached for.
 * @at:   Place in the ring of @rec, where @have.
 * @rec:  The oldest datagram's head; checked: all of it is in the ring.
 */
struct inbox_seat {
	struct conn conn;
	uint64_t word;
	uint64_t at;
	struct dgram_record rec;
	bool have;
};

/**
 * struct inbox - One process's view. Private memory.
 * @party:  Whose arena @half is in; @party->inherited in a forked child.
 * @half:   In HALF_DGRAM.
 * @claims: The ticket counter when claims were last looked for.
 * @open:   Seats that are attached; their numbers are in @order.
 *
 * All calls are made under one lock of the caller's; where several processes
 * hold the socket, under half.rx_lock as well.
 */
struct inbox {
	struct party *party;
	struct half *half;
	uint64_t claims;
	unsigned open;
	uint8_t order[INBOX_SEATS];
	struct inbox_seat seat[INBOX_SEATS];
};

/** inbox_open() - Make the half @h, in BOUND, one that datagrams are sent to:
 * it goes to HALF_DGRAM. @h is of @p's own arena. Return: 0 or -ENOSPC. */
int inbox_open(struct inbox *b, struct party *p, struct half *h);

/** inbox_fill() - Other processes are about to hold the socket too, and cannot
 * make seats: all that there may be are made now. By the owner. */
void inbox_fill(struct inbox *b);

/** inbox_forked() - In a forked child, whose parent's threads may have been
 * changing it. */
void inbox_forked(struct inbox *b);

/**
 * inbox_next() - The oldest datagram that is there; senders that have claimed a
 * seat since are attached first, which may ask the daemon.
 * Return: The seat with @have set, or NULL.
 */
struct inbox_seat *inbox_next(struct inbox *b);

/** inbox_read() - Copy @n bytes of that datagram's payload, from @off on: both
 * within @rec.bytes. Return: False where @dst is not there to be written. */
bool inbox_read(struct inbox_seat *s, size_t off, void *dst, size_t n);

/** inbox_take() - It has been read: the sender may use its memory again. */
void inbox_take(struct inbox_seat *s);

/** inbox_marks() - Is there a DGRAM_MARK in any of the rings? */
bool inbox_marks(const struct inbox *b);
/** inbox_mark_sent() - `sent_ns` of the mark that @s has first, as it is now. */
uint64_t inbox_mark_sent(struct inbox_seat *s);

/** inbox_drops() - Datagrams that found no room, of all senders that are or were attached. */
uint64_t inbox_drops(const struct inbox *b);

/** inbox_close() - The socket's last descriptor is closed, and no other process
 * ever held it: its senders find a closed end. By the owner; the half is
 * RELEASED. */
void inbox_close(struct inbox *b);

/** inbox_forget() - Detach this process's view; the halves are left alone. */
void inbox_forget(struct inbox *b);

#endif
