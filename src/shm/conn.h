/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h - A connection as one side sees it: its own half, the peer's half,
 * and what the two make of a byte stream. Nothing here sleeps, and nothing
 * knows of descriptors.
 */
#ifndef MORTISE_SHM_CONN_H
#define MORTISE_SHM_CONN_H

#include <sys/types.h>
#include <sys/uio.h>

#include "shm/abi.h"
#include "shm/half.h"
#include "shm/party.h"

/**
 * struct conn - One side's view. Private memory; zeroed is "not connected".
 * @party:  Whose arena @own lives in. @party->inherited: in a forked child.
 * @owner:  The peer's party, with a reference.
 * @seat_owner: The party whose seat was claimed; @owner until the peer moved.
 * @rx_*:   The extent that was read last, checked: bytes [rx_first, rx_limit)
 *          of the stream are at rx_mem[(i - rx_first) & rx_mask].
 *          Guarded by the caller's receive lock.
 * @tx_*:   The extent being filled; guarded by the caller's send lock.
 */
struct conn {
	struct party *party;
	struct half *own;
	const struct half *peer;
	struct peer *owner, *seat_owner;
	struct peer *lent; /* @party is inherited: a reference of our own party's */
	half_ref peer_ref;
	/* receive */
	const unsigned char *rx_mem;
	uint64_t rx_first, rx_limit, rx_mask;
	uint32_t rx_count;         /* the peer's ext_count that this was checked for */
	uint64_t rx_tail_seen;     /* highest tail of the peer that was seen */
	uint64_t rx_urgent;        /* an urgent byte is ahead: urgent.h; 0: none */
	/* send */
	unsigned char *tx_mem;
	uint64_t tx_first, tx_mask;
	uint64_t tx_head_seen; /* highest head of the peer that was seen */
	uint64_t tx_head_full; /* the head when the ring was last full */
	uint64_t tx_full_ns;   /* when that was noted */
	uint64_t tx_trim_tail; /* the tail at the last conn_trim() */
	uint32_t tx_ext;       /* ext_count that tx_* was loaded for; 0: none */
	_Atomic bool tx_reader_reads; /* the head moved between two times that it was full */
	_Atomic bool tx_cramped;      /* there was no memory to grow into */
	/* TCP_USER_TIMEOUT: since stall_ns the peer's head is stall_head; 0: no stall seen */
	_Atomic uint64_t stall_ns, stall_head;
};

/**
 * conn_attach() - Two halves that name each other.
 * @peer_ref: Checked: its slot exists.
 * @owner:    A reference, which the connection takes over.
 */
int conn_attach(struct conn *c, struct party *p, struct half *own, half_ref peer_ref,
		struct peer *owner);

/**
 * conn_follow() - Where another process than the listener's owner accepted,
 * the peer is no longer the seat that was claimed, but a half of that
 * process's. Cheap where nothing of the sort happened; else it may ask the
 * daemon, once for each party.
 * Return: True where the peer is another half now.
 */
bool conn_follow(struct conn *c);

/** conn_notify() - half_notify() of the peer, wherever it is by now. */
uint32_t conn_notify(struct conn *c, uint32_t what);

/** conn_finish() - half_end() of our side. */
void conn_finish(struct conn *c, bool force_rst);

/** conn_detach() - Drop the reference; the halves are left alone. */
void conn_detach(struct conn *c);

#define CONN_PEEK 1u    /* leave the data where it is */
#define CONN_DISCARD 2u /* MSG_TRUNC: @buf is not written */
#define CONN_STOP 8u    /* at an urgent byte, with nothing read yet: -ERESTART */
#define CONN_RAW 16u    /* urgent bytes are as any other */
#define CONN_MORE 4u    /* the call has bytes already: an error waits for the next one */

/**
 * conn_send() - Put bytes into the ring, as many as fit now.
 * Caller holds the send lock where the side is shared or has threads.
 *
 * Return: Bytes taken, which may be fewer than @len; -EAGAIN where none fit;
 *         -ENOBUFS where there is no ring memory at all; -EPIPE, or the
 *         pending error, taken; -EFAULT where @buf cannot be read.
 */
ssize_t conn_send(struct conn *c, const void *buf, size_t len);

/** conn_room() - How many of @len bytes conn_send() would take now.
 * Return: As conn_send(), which says -EAGAIN where it is none. */
ssize_t conn_room(struct conn *c, size_t len);

/** conn_sendv() - The same for pieces, without the first @skip bytes of them. */
ssize_t conn_sendv(struct conn *c, const struct iovec *iov, int n, size_t skip);

/** conn_send_urgent() - The same; the last byte taken is an urgent one. */
ssize_t conn_send_urgent(struct conn *c, const struct iovec *iov, int n, size_t skip);

/**
 * conn_recv() - Take bytes out of the peer's ring.
 * @skip: For CONN_PEEK: so many bytes after the head.
 *
 * Return: Bytes, 0 at the end of the stream (or @len 0), -EAGAIN where
 *         nothing is there, or a pending error, negative, taken;
 *         -EFAULT where @buf cannot be written to.
 */
ssize_t conn_recv(struct conn *c, void *buf, size_t len, uint64_t skip, uint32_t flags);

/**
 * conn_recv_begin() - Bytes to be read where they lie: in one piece, at *@ret.
 * The peer may change them meanwhile. Urgent ones are as any other.
 * @skip: So many before them were begun with already, and not ended.
 * Return: How many, at least 1; else as conn_recv().
 */
ssize_t conn_recv_begin(struct conn *c, size_t skip, const unsigned char **ret);
/** conn_recv_room() - Of the ring that they are in: a writer who has so many unread waits. */
size_t conn_recv_room(const struct conn *c);
/** conn_recv_end() - @n of them have been read. */
void conn_recv_end(struct conn *c, size_t n);

/**
 * conn_send_begin() - Room for up to @len bytes, in two pieces, of which the second may have none.
 * Return: How many, at least 1; else as conn_send().
 */
ssize_t conn_send_begin(struct conn *c, size_t len, struct iovec ret[2]);
/** conn_send_end() - @n bytes are in place. */
void conn_send_end(struct conn *c, size_t n);

/** conn_up() - Of the wire's side: from now on its peer is connected. */
void conn_up(struct conn *c);
/** conn_options_set() - Options in our half have changed: the wire, where it is our peer, looks. */
void conn_options_set(struct conn *c);
/** conn_is_wire() - Is its other end the domain's network? */
bool conn_is_wire(const struct conn *c);
/** conn_pending() - Is it a connection to the network that has not been answered? */
static inline bool conn_pending(const struct conn *c)
{
	uint32_t side = load_relaxed(&c->own->side);

	return unlikely(side & SIDE_WIRE) && !(side & SIDE_RST_SEEN) &&
	       !(load_acquire(&c->peer->end) & (END_UP | END_FIN | END_RST));
}

/** conn_readable() - Bytes that can be read now (0 also where broken). */
uint64_t conn_readable(struct conn *c);

/** conn_unsent() - Bytes that we sent and the peer has not read. SIOCOUTQ. */
uint64_t conn_unsent(struct conn *c);

/** conn_undelivered() - Of these, what does not fit the peer's receive buffer: not
 * sent yet, where a network would be in between. */
uint64_t conn_undelivered(struct conn *c);

/** conn_is_acknowledged() - Of a side that has ended: nothing is undelivered, or nobody is there to
 * take it; of the wire, the network's peer has acknowledged all, the FIN included. */
bool conn_is_acknowledged(struct conn *c);

/** conn_window() - What the peer takes unread, and has not yet. */
uint64_t conn_window(struct conn *c);

/** conn_writable() - As Linux: a third of what may be queued is free. */
bool conn_writable(struct conn *c);

/** conn_may_grow() - The ring is full; would more memory be given if its reader
 * went on not reading? */
bool conn_may_grow(const struct conn *c);

/** RING_WAIT_MOST - A reader may wait for so many bytes at once: the smallest
 * buffers that can be set take them before poll() holds the writer back. */
#define RING_WAIT_MOST 4096u

/** conn_peer_died() - Nobody is there to tell of it: its end is ours to see. */
void conn_peer_died(struct conn *c);

/**
 * conn_overdue() - TCP_USER_TIMEOUT: has the peer read nothing for so long, with bytes
 * undelivered? Then the connection ends here with ETIMEDOUT, and for the peer with RST.
 * The time begins with Linux's first probe: 200 ms after a look finds it so.
 * Return: When to look again; 0: no need.
 */
uint64_t conn_overdue(struct conn *c, uint64_t now_ns);

/** conn_poll() - POLLIN|POLLOUT|... exactly as Linux's tcp_poll() gives them. */
uint32_t conn_poll(struct conn *c);

/**
 * conn_glance() - What conn_poll() would say, for who may only read the two halves.
 * @p: Any party. @owner: The peer's.
 */
uint32_t conn_glance(struct party *p, struct half *own, const struct half *peer,
		     struct peer *owner);

/**
 * conn_want() - Say what we are about to sleep for; a full fence is made
 * here. Look again afterwards. Every conn_want() of a futex sleeper is undone
 * by conn_unwant().
 * @what: NOTIFY_DATA | NOTIFY_SPACE.
 */
void conn_want_futex(struct conn *c, uint32_t what);
void conn_unwant_futex(struct conn *c, uint32_t what);
/** conn_want_delivery() - As conn_want_futex(NOTIFY_SPACE), until conn_undelivered() is 0. */
void conn_want_delivery(struct conn *c);
/** conn_want_hint() - The same for select, poll, epoll: set until cleared. */
void conn_want_hint(struct conn *c, uint32_t what);
/** conn_unwant_hint() - Where the side is shared, only while half.bell_at is @bell_at. */
void conn_unwant_hint(struct conn *c, uint32_t what, uint64_t bell_at);

/** conn_shutdown_read() - Nothing more is read, but for what is there. */
void conn_shutdown_read(struct conn *c);
/** conn_shutdown_write() - Publish FIN. */
void conn_shutdown_write(struct conn *c);

/** conn_take_error() - SO_ERROR: the pending error, cleared. Also turns an
 * RST of the peer into one. */
int conn_take_error(struct conn *c);

/**
 * conn_trim() - Before a sleep: give grown ring memory back where the ring is
 * empty and little was sent lately. Caller holds the send lock.
 */
void conn_trim(struct conn *c);

/**
 * conn_prepare_fork() - The side is about to be several processes': from now
 * on it is locked, and it has ring memory, since only its owner can take some.
 */
void conn_prepare_fork(struct conn *c);

/**
 * conn_prepare_leave() - The same, and the owner is about to be another
 * program, or to give the socket away: nobody will be there to grow the ring.
 */
void conn_prepare_leave(struct conn *c);

/* The send lock of a side that several processes or threads share. */

/**
 * half_lock() - Take a lock in shared memory; survives a holder's death.
 * @word: tx_lock or rx_lock of a half of ours.
 */
void half_lock(_Atomic uint32_t *word);
/** half_lock_until() - The same, for so long: its holder may be stopped.
 * @deadline_ns: 0: none; one that is over: not if it takes a sleep.
 * Return: whether it was taken. */
bool half_lock_until(_Atomic uint32_t *word, uint64_t deadline_ns);
/** half_trylock() - Only if nobody has it. @of_dead: or one who is dead; who lives
 * is watched for some microseconds. */
bool half_trylock(_Atomic uint32_t *word, bool of_dead);
/** half_lock_lives() - Does somebody have it who lives? Likewise. */
bool half_lock_lives(const _Atomic uint32_t *word);
void half_unlock(_Atomic uint32_t *word);
/** half_lock_forked() - In a forked child: the thread has another id. */
void half_lock_forked(void);

#endif
