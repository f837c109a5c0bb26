/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock.h - A socket of ours: what a descriptor of this process refers to.
 */
#ifndef MORTISE_POSIX_SOCK_H
#define MORTISE_POSIX_SOCK_H

#include <sys/socket.h>

#include "base/lock.h"
#include "posix/asleep.h"
#include "posix/fdtab.h"
#include "posix/section.h"
#include "shm/conn.h"
#include "shm/spin.h"

struct watch;

enum sock_stage {
	SOCK_NEW = 0,    /* socket(), perhaps bound */
	SOCK_LISTEN,
	SOCK_OPEN,       /* connected, or was */
	SOCK_PACKETS,    /* a datagram socket: dgram.h */
};

/**
 * struct sock_info - What TCP_INFO tells and nothing else notes.
 * @tail, @got, @acked: Bytes when last asked; @tail_ns, @got_ns, @acked_ns: since when
 *             they were seen to be so many.
 * @rate:      Bytes a second, when there was one last.
 * @full_ns:   There has been no room since; 0: there is, as far as was seen.
 * @full_seen_ns, @full_tail: When that was seen last; the tail then.
 * @full_window: The peer's receive buffer is what is full.
 * @window_ns, @sndbuf_ns: How long there was none, by what was full.
 *
 * The atomic ones are any thread's that sends or polls, the others under lock.
 */
struct sock_info {
	uint64_t tail, tail_ns, got, got_ns, acked, acked_ns, rate;
	_Atomic uint64_t full_ns, full_seen_ns, full_tail, window_ns, sndbuf_ns;
	_Atomic bool full_window;
};

/**
 * struct sock - Private to the process; never returned to the kernel or to
 * malloc, so that a stale pointer points to a sock.
 * @obj:       Reference count and kind, for the descriptor table.
 * @lock:      Guards everything here but @conn's send and receive sides.
 * @stage:     Goes up; back to SOCK_NEW where it listens no more (sock_unlisten()), or did not
 *             become connected (sock_anew()).
 * @conn:      SOCK_OPEN: the connection. @conn.own is our half at all stages.
 * @tx_lock, @rx_lock: Between threads of this process, where it has several;
 *             a side that several processes share takes half.tx_lock as well.
 * @party:     Whose arena the half is in.
 * @slot:      Of the half. @gen: its generation, where another process made it.
 * @epoch:     process.epoch when it was made; an older one closes by hang-up.
 * @foreign:   Made by another process, our parent before the fork: its half's bell
 *             is not ours to begin with.
 * @bell_at:   What half.bell_at is while we are rung for it: holder.h. 0 where
 *             the half is ours; where it is foreign, and 0, we have no alias yet.
 * @handle:    Handle number.
 * @parked_fd: The handle after its last descriptor was closed, else -1.
 * @shadow_fd: Kernel socket from bind() on under policy share, else -1.
 * @bell_fd:   SOCK_LISTEN, held by several processes: its own eventfd, else -1.
 * @bound:     bind() has succeeded.
 * @bound_anew: Once the connection was over: its name is the shadow's.
 * @left:      In epoll sets that other processes have, entries of it stay.
 * @closing:   The program closed its last number here: its end may linger.
 * @connect_told: connect() has not yet reported success after EINPROGRESS.
 * @unconnected_at: SOCK_OPEN: its address before connect() gave it another.
 * @accept_cursor: For seat_take().
 * @watches:   Who waits for it: poll.c, epoll.c. Guarded by watch_lock().
 * @timed:     TCP_USER_TIMEOUT is set.
 * @due_ns, @due_next: In due.c's list.
 * @looked_ns: When its peer was last looked after: orphan.c.
 */
struct sock {
	struct fobj obj;
	struct lock lock;
	_Atomic uint32_t stage;
	struct conn conn;
	struct half *half;
	struct lock tx_lock, rx_lock;
	struct party *party;
	unsigned slot;
	uint32_t gen;
	uint32_t epoch;
	uint32_t pid;
	bool foreign;
	bool bound, bound_anew, connect_told, closing, left;
	bool v6only;      /* IPV6_V6ONLY, or bound to an IPv6 address */
	uint16_t family;  /* AF_INET or AF_INET6; in half.side, too */
	bool disconnecting; /* shut down before connect() could report: Linux connects it no more */
	bool retired;     /* a listener's half that was closed: see fallback.c */
	bool accept_busy; /* an ordinary client was accepted last */
	uint32_t handle;
	int parked_fd, shadow_fd, bell_fd;
	addr_word unconnected_at;
	uint64_t accept_cursor;
	bool accept_shadow_first;
	struct watch *watches;
	uint64_t bell_at;
	uint64_t looked_ns;
	/* Options; times in ns, 0: none. */
	uint64_t rcvtimeo_ns, sndtimeo_ns;
	uint64_t busy_ns;         /* SO_BUSY_POLL: how long to spin; 0: as configured */
	bool zerocopy, inq, timed; /* SO_ZEROCOPY, TCP_INQ, TCP_USER_TIMEOUT */
	uint64_t due_ns;
	struct sock *due_next;
	struct spin spin; /* of blocking calls */
	uint32_t run;     /* receives since the last send, up to a few */
	int linger; /* -1: off, else seconds */
	int linger_off; /* the seconds when it was last on */
	_Atomic int refused; /* see sock_refusal() */
	struct sockopts *opts; /* options.c */
	struct sock_info info; /* tcp_info.c */
	uint64_t kept_seen;    /* half.options when last looked at: kept.c */
	struct dgram *dgram;   /* SOCK_PACKETS */
	struct sock *next_free;
	bool used; /* between sock_make() or sock_adopt() and sock_end() */
	bool exec_held; /* by an exec under way: attach.c */
	bool fork_held; /* by a fork under way; put through next_held */
	struct sock *next_held;
};

/** sock_side_family() - The flags of half.side that say its family. */
static inline uint32_t sock_side_family(const struct sock *s)
{
	return (s->family == AF_INET6 ? SIDE_INET6 : 0) | (s->v6only ? SIDE_V6ONLY : 0);
}

/** sock_listens() - SOCK_LISTEN, and somebody has called listen(): what was only
 * made ready for that (sock_listen_ready()) is as a bound socket to its program. */
static inline bool sock_listens(const struct sock *s)
{
	return load_relaxed(&s->stage) == SOCK_LISTEN &&
	       load_relaxed(&s->half->side) & SIDE_LISTENS;
}

/** sock_lapsed() - A listener that other processes have as well, and that one of
 * them has shut down or given to the kernel: its half is over, perhaps another's. */
static inline bool sock_lapsed(const struct sock *s)
{
	if (likely(s->bell_fd < 0) || load_relaxed(&s->stage) != SOCK_LISTEN)
		return false;
	return load_acquire(&s->half->gen_state) != ((uint64_t)s->gen << 32 | HALF_LISTEN) ||
	       load_relaxed(&s->half->side) & SIDE_RD_SHUT;
}

/** sock_is_shared() - May another process have it? The half says so too where somebody
 * took a copy unasked (pidfd_getfd). */
bool sock_is_shared(const struct sock *s);

static inline bool sock_nonblocking(const struct sock *s)
{
	return load_relaxed(&s->half->file_flags) & 04000; /* O_NONBLOCK */
}

/** sock_get() - The socket of a descriptor, with a reference, or NULL. */
struct sock *sock_get(int fd);
void sock_put(struct sock *s);
/** sock_hold() - A reference on one that may be going just now. Return: false
 * where it has none any more. */
static inline bool sock_hold(struct sock *s)
{
	uint32_t n = load_relaxed(&s->obj.refs);

	while (n != 0 && !atomic_compare_exchange_weak(&s->obj.refs, &n, n + 1))
		;
	return n != 0;
}

/** sock_enter() - A call on @fd begins: inside a section, with a reference.
 * Return: NULL where it is not ours; then nothing has happened. */
static inline struct sock *sock_enter(int fd)
{
	struct sock *s;

	section_enter();
	asleep_reap();
	s = sock_get(fd);
	if (!s)
		section_leave();
	return s;
}

/** sock_leave() - The call ends. Return: @r. */
static inline long sock_leave(struct sock *s, long r)
{
	sock_put(s);
	section_leave();
	return r;
}


/* The send and the receive side, between threads and between processes. */
static inline void sock_tx_lock(struct sock *s)
{
	if (!__libc_single_threaded)
		lock_take(&s->tx_lock);
	if (unlikely(load_relaxed(&s->half->shared)))
		half_lock(&s->half->tx_lock);
}
static inline void sock_tx_unlock(struct sock *s)
{
	if (unlikely(load_relaxed(&s->half->tx_lock)))
		half_unlock(&s->half->tx_lock);
	if (load_relaxed(&s->tx_lock.word))
		lock_drop(&s->tx_lock);
}
static inline void sock_rx_lock(struct sock *s)
{
	if (!__libc_single_threaded)
		lock_take(&s->rx_lock);
}
static inline void sock_rx_unlock(struct sock *s)
{
	if (load_relaxed(&s->rx_lock.word))
		lock_drop(&s->rx_lock);
}

/**
 * sock_tell() - A request about where @s is bound: CTL_LISTEN, CTL_UNLISTEN,
 * CTL_DEMOTE, CTL_UNBIND.
 * @party: Of the listener, as ctl_msg.listen has it.
 * Return: 0 or -errno.
 */
int sock_tell(const struct sock *s, uint16_t type, uint32_t party, uint32_t reuse);

/** sock_listen_end() - A listener of our own party's listens no more: in the
 * registry, and in memory. */
void sock_listen_end(struct sock *s);

/**
 * sock_poll() - All of poll's bits that hold now, as Linux's tcp_poll() has
 * them for this socket's state. What waits at a listener's shadow is not seen
 * here: sock_shadow() is for the kernel to watch.
 */
uint32_t sock_poll(struct sock *s);

#define REFUSED_TOLD (-1)

/**
 * sock_refusal() - Take the error of a connect() that failed, where there was
 * no time to tell (policy none; elsewhere that is the kernel's matter).
 * sock.refused is then REFUSED_TOLD until connect() is called again: so long,
 * Linux has both ways shut.
 * Return: errno or 0.
 */
static inline int sock_refusal(struct sock *s)
{
	int e = load_relaxed(&s->refused);

	if (e <= 0)
		return 0;
	store_relaxed(&s->refused, REFUSED_TOLD);
	return e;
}

/** sock_is_untold() - Its connect() has failed, and has said so: it is unconnected, and
 * sock_anew() is for it before it is bound, listens or connects. */
static inline bool sock_is_untold(const struct sock *s)
{
	return load_relaxed(&s->stage) == SOCK_OPEN &&
	       unlikely(load_relaxed(&s->half->side) & SIDE_UNTOLD);
}

/** sock_is_over() - Linux: unconnected, or the connection has gone through both ends, or
 * was reset. */
bool sock_is_over(struct sock *s);

/** sock_poke() - We ourselves changed the connection's state: whoever sleeps
 * on it, and whoever watches it, here and elsewhere, looks again. */
void sock_poke(struct sock *s);

/** sock_wire_name() - The wire chose the local address of a connection to the network: have it
 * in our half, too. Waits a moment where it has not yet. Caller holds s->lock. */
void sock_wire_name(struct sock *s);

/**
 * sock_shadow() - The kernel socket that a listener's sleepers must watch
 * for POLLIN as well, or -1.
 */
int sock_shadow(const struct sock *s);

/**
 * sock_want() - Ask the peer (or connectors) to hint and ring from now on.
 * A full fence: look again with sock_poll() afterwards.
 * @events: POLLIN, POLLRDHUP (data and ends), POLLOUT (space).
 */
void sock_want(struct sock *s, uint32_t events);
void sock_unwant(struct sock *s, uint32_t events);

/** sock_of_slot() - The socket whose half in our own arena is @slot, or NULL.
 * Without a reference: under watch_lock(), it cannot go while it has watches. */
struct sock *sock_of_slot(unsigned slot);

/* For attach.c. */

/**
 * sock_listen_ready() - A bound socket is given to other programs, and whoever
 * gets it may call listen(), several of them perhaps: seats are made now, by
 * the one who can, so that all of them share one listener.
 * Return: whether that was done.
 */
bool sock_listen_ready(struct sock *s);

/** sock_adopt() - One that another process made; no reference, stage or
 * connection yet. Return: NULL where there is no room. */
struct sock *sock_adopt(struct party *p, unsigned slot, uint32_t handle);
void sock_adopt_undo(struct sock *s);
/** sock_of_ref() - The socket of this process whose half is called @ref, in a party of
 * generation @party_gen, or NULL. Without a reference. */
struct sock *sock_of_ref(half_ref ref, uint32_t party_gen);
/** sock_of_half() - The socket of this process that has @h, with a reference,
 * or NULL. Walks all. */
struct sock *sock_of_half(const struct half *h);

/** sock_accept_memory() - accept() of who waits in memory; s->lock is held.
 * Return: A descriptor, or -errno. */
long sock_accept_memory(struct sock *s);

/** socks_each() - Call @fn for each socket that is in use, with a reference.
 * Without socks_lock. */
void socks_each(void (*fn)(struct sock *s, void *arg), void *arg);

/** sock_alias() - Hints at @slot of ours are for @s, whose half is elsewhere;
 * NULL: no more. Under watch_lock(). */
void sock_alias(unsigned slot, struct sock *s);

/* Around fork(): see process.h. */
void sock_fork_before(void);
/* Return: what a fork has held, for sock_fork_end(). */
struct sock *sock_fork_parent(void);
/* With no lock held: some of it may have been closed meanwhile. */
void sock_fork_end(struct sock *held);
void sock_fork_child(void);

/* Called by sock.c; written in watch.c. */

/** watch_changed() - This side itself changed the socket's state (connect,
 * listen, shutdown): whoever waits for it looks again. */
void watch_changed(struct sock *s);
/** watch_shared() - A listener has an eventfd of its own from now on: who waits
 * for it listens to that. No edge. */
void watch_shared(struct sock *s);
/** watch_again() - Data that was there already may count from now on. */
void watch_again(struct sock *s);
/** watch_gone() - The last descriptor was closed: out of all epoll sets. */
void watch_gone(struct sock *s);
/** watch_to_kernel() - Descriptor @fd refers to a kernel socket from now on:
 * move the epoll entries that were made for @fd to the kernel's sets. */
void watch_to_kernel(struct sock *s, int fd);

#endif
