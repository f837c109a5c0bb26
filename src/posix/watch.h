/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.h - Who waits for which socket, and how a waiter is woken.
 *
 * A *waiter* is an epoll set, or one call that sleeps. A *watch* is one
 * waiter's interest in one target: a socket of ours, or an epoll set. A
 * *bell* is an eventfd on which waiters sleep; peers ring the bell that the
 * socket's half names, if somebody sleeps on it.
 *
 * Everything here is guarded by watch_lock() and called inside a section
 * (section.h), where nothing else is said.
 */
#ifndef MORTISE_POSIX_WATCH_H
#define MORTISE_POSIX_WATCH_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "posix/fdtab.h"
#include "posix/sock.h"
#include "shm/spin.h"

#define BELL_NONE (-1)
#define SLICE_MIN_NS 1000000ull  /* where no bell rings: 1 ms, */
#define SLICE_MAX_NS 20000000ull /* growing to 20 ms */

enum waiter_kind { WAITER_EPOLL = 1, WAITER_CALL = 2 };

/**
 * struct waiter - Somebody who waits for several things.
 * @kind:     Of what it is a part.
 * @bell:     Its own bell, or BELL_NONE. Others may have the same one.
 * @kick_bell: The bell that we rang for it, and that no thread of it has heard
 *            yet; else BELL_NONE. @kick_ns: When.
 * @bells:    Bells that may ring for it: the ones of its sockets' halves.
 * @sleeping: Threads of ours that sleep in it, or are about to.
 * @generation: watch_generation when it was made.
 * @ready:    Watches to be looked at, in order; ready_count of them.
 * @all:      All watches.
 * @slow:     Of those, the ones that no bell rings for.
 * @mirrored: Watches that have a part in the kernel's set (epoll.c).
 * @peer_cpu: half.cpu of the peer that hinted last.
 *
 * The atomic ones are written under the lock, and read without as well.
 */
struct waiter {
	enum waiter_kind kind;
	int bell;
	int kick_bell;
	uint64_t kick_ns;
	_Atomic uint32_t bells;
	uint32_t sleeping;
	uint32_t generation;
	struct watch *ready_first, *ready_last;
	_Atomic uint32_t ready_count;
	struct watch *all;
	struct watch *mirrored;
	uint32_t slow;
	_Atomic uint32_t peer_cpu;
	struct spin spin;
	struct waiter *next, *prev; /* WAITER_CALL: all of them */
};

/**
 * struct edge - Edge-triggered: what was told of last.
 * @sig:     Foreign, several processes', or for POLLOUT alone: the state then.
 * @full:    Several processes have it: there was no room.
 * @pending: Of what has no such state, in a set that several processes have:
 *           it was added or changed, and nobody was told of it since.
 * @changes: There, how often it was.
 */
struct edge {
	_Atomic uint64_t sig;
	_Atomic uint32_t full, pending, changes;
};

/**
 * struct watch - One interest.
 * @target:  What is watched; struct sock or struct epset.
 * @fd:      The number that it was registered under.
 * @care:    poll bits that are reported.
 * @flags:   EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE.
 * @data:    The caller's.
 * @armed:   What sock_want() was asked for and still holds: POLLIN, POLLOUT.
 * @edge:    What counts: @own, or in a joint set the ledger's.
 * @entry:   In a joint set, its index in the ledger + 1.
 * @asleep:  Threads that sleep in the target, a set, through this.
 * @seen:    Edge-triggered and ours: the state when last looked at without a hint.
 * @kernel_id: In the kernel's set under this number; 0: not.
 * @kernel_fd: The descriptor that stands there for it.
 * @ring_id:   The same for a shared listener's own eventfd; @ring_fd.
 * @kernel_own, @ring_own: That descriptor is this watch's alone, and closed with it.
 * @busy:    Times it was found ready without a break.
 * @belled:  The waiter listens to the bell of the target's half.
 * @on_ready, @disabled: In the ready list; a one-shot that has fired.
 * @hot:     The kernel said that @kernel_fd is readable.
 * @moved:   The descriptor refers to something else now.
 * @foreign: No bell of ours rings for it now.
 * @fresh:   Added, or reported, and not asleep since: see holder_have().
 * @mute:    There was no bell to be had.
 * @judged:  The last look has compared its state with @edge.
 * @common:  It is on the ready list because of what all processes were told;
 *           an edge for one of them.
 */
struct watch {
	struct waiter *waiter;
	struct fobj *target;
	struct watch *target_next, *target_prev;
	struct watch *all_next, *all_prev;
	struct watch *ready_next, *ready_prev;
	struct watch *mirror_next;
	uint64_t data;
	uint64_t seen;
	struct edge own, *edge;
	int fd, kernel_fd, ring_fd;
	uint32_t care, flags, armed, kernel_id, ring_id, busy, entry, asleep;
	bool belled, on_ready, disabled, hot, moved, foreign, mute, fresh, common, judged;
	bool kernel_own, ring_own;
};

/** watch_generation - Counts forks: bells of another generation belong to
 * another process. */
extern uint8_t watch_generation;
/** watch_process_pid() - The process whose generation that was; 0: not known. */
uint32_t watch_generation_pid(uint8_t generation);
/** watch_generation_bell() - Its bell's descriptor in this process, or -1. */
int watch_generation_bell(uint8_t generation, unsigned bell);

void watch_lock(void);
void watch_unlock(void);

static inline struct sock *watch_sock(const struct watch *w)
{
	return w->target->kind != FOBJ_EPOLL ? (struct sock *)(void *)w->target : NULL;
}

/**
 * watch_add() - Take an interest in @target. Not yet belled, not yet ready.
 * @care: poll bits.
 * Return: NULL where there is no memory.
 */
struct watch *watch_add(struct waiter *r, struct fobj *target, int fd, uint32_t care);

/** watch_is_unheard() - Where another process made @s, does nobody ring us for it? */
bool watch_is_unheard(const struct sock *s);

/** watch_set() - What epoll_ctl() says of it. @events: With the flags. */
void watch_set(struct watch *w, uint32_t events, uint64_t data);

/** watch_del() - End it. A watch has no reference on its target: the last
 * close of a socket ends its epoll entries, and a call holds its own. */
void watch_del(struct watch *w);

/** watch_drop() - The same, with nothing undone elsewhere: in a forked child. */
void watch_drop(struct watch *w);

/** watch_find() - The watch of @r on @target that was made for @fd, or NULL. */
struct watch *watch_find(const struct waiter *r, const struct fobj *target, int fd);

/**
 * watch_bell() - Have the target ring: its half's bell is set where nobody
 * else listens to it, and joined by the waiter in any case.
 * Return: Bells that the waiter must listen to, and does not yet.
 */
uint32_t watch_bell(struct watch *w);

/** watch_now() - Poll bits of the target that hold now; nothing is armed. */
uint32_t watch_now(struct watch *w);

/** watch_may_be_ready() - Without a hint: has anything moved since the last
 * time, where edges count? */
bool watch_may_be_ready(struct watch *w);

/** watch_state() - What edge.sig would be, had it been told of as it is now, by who
 * looks without hints. Of what is no stream. */
uint64_t watch_state(struct watch *w);

/**
 * watch_look() - The bits cared for that hold now. Where none does, or the
 * watch is edge-triggered, the target will hint at the next change: arming and
 * a second look are part of this.
 */
uint32_t watch_look(struct watch *w);

/** watch_enqueue() - To be looked at; wakes the waiter. */
void watch_enqueue(struct watch *w);
/** watch_enqueue_common() - The same; each process that has the set does so. */
void watch_enqueue_common(struct watch *w);
void watch_dequeue(struct watch *w);
/** watch_requeue() - To the end of the ready list, where it is in already. */
void watch_requeue(struct watch *w);
/** watch_stamp() - Its peer learns on which CPU we are. */
void watch_stamp(const struct watch *w);
/** watch_disarm() - Nothing is wanted for it any more; its peer is spared. */
void watch_disarm(struct watch *w);

/**
 * watch_take_hints() - What peers hinted at goes to the waiters' lists.
 * @self: Not woken: the caller looks at its list next. May be NULL.
 */
void watch_take_hints(const struct waiter *self);

/** watch_drain() - Reset the bells of the mask, but for those that a waiter
 * who was kicked has not heard yet. Take hints afterwards. */
void watch_drain(uint32_t bells);
/** watch_bell_fd() - The eventfd of a bell that somebody has, or -1. */
int watch_bell_fd(unsigned bell);

/** watch_hint_taker - Who takes hints just now, or NULL: he needs no kick. */
extern const struct waiter *watch_hint_taker;

/** watch_foreign_set() - Whether it is polled in slices, and with it who waits
 * for its waiter. */
void watch_foreign_set(struct watch *w, bool foreign);

/** watch_slow_add() - So many more (fewer) of @r's are polled in slices. */
void watch_slow_add(struct waiter *r, uint32_t count);

/**
 * watch_stream_edge() - Is @now an edge of the connection between @own and @peer, on
 * which others may have been told of edges too? Then that was it: *@edge says so.
 * Return: The bits of @care, or 0.
 */
uint32_t watch_stream_edge(struct edge *edge, uint32_t care, uint32_t now, const struct half *own,
			   const struct half *peer);

/* Waiters: waiter.c. */

void waiter_init(struct waiter *r, enum waiter_kind kind);
/** waiter_fini() - Its watches end, its bell goes back. */
void waiter_fini(struct waiter *r);
/** waiter_call_get() - A waiter for a call; NULL where there is no memory.
 * Both without the lock held. */
struct waiter *waiter_call_get(void);
void waiter_call_put(struct waiter *r);

/**
 * waiter_bell_get() - Give it a bell of its own, if there is one to be had.
 * Called without the lock: it may ask the daemon.
 */
void waiter_bell_get(struct waiter *r);

/** waiter_awake() - A thread of it has woken up, and looks at the list. */
void waiter_awake(struct waiter *r);

/** waiter_pollfds() - Its bells, for ppoll(). Return: how many, at most
 * BELL_MAX. */
unsigned waiter_pollfds(const struct waiter *r, struct pollfd *fds);
/** waiter_heard() - After ppoll(): reset those that rang. */
void waiter_heard(const struct waiter *r, const struct pollfd *fds, unsigned n);

/** waiter_kick() - Wake a thread that sleeps in it, and in who watches it. */
void waiter_kick(struct waiter *r);

/** waiter_add_bells() - It sleeps on these as well from now on. */
void waiter_add_bells(struct waiter *r, uint32_t bells);

/** waiter_distrusts() - Hints are not to be relied on now: look at all. */
bool waiter_distrusts(void);

/**
 * waiter_adopt() - Have bells ring for what was inherited. Without the lock:
 * it may ask the daemon.
 */
void waiter_adopt(struct waiter *r);

/** waiter_in_slices() - Must it look by itself now and then? */
bool waiter_in_slices(const struct waiter *r);

/**
 * waiter_sleep_begin() - Peers ring for it from now on. Called without the
 * lock; take hints and look at the ready list once more afterwards.
 * Return: The bells, for waiter_sleep_end().
 */
uint32_t waiter_sleep_begin(struct waiter *r);
/** waiter_sleep_end() - Without the lock. */
void waiter_sleep_end(uint32_t bells, uint32_t generation);

/**
 * waiter_spin() - Wait a little for hints, without sleeping, if that may pay.
 * Called without the lock.
 * @until_ns: Not longer; 0: no limit but the configured one.
 * @look:     Called every few microseconds; true ends it. May be NULL.
 *
 * Return: True where there is something to look at.
 */
bool waiter_spin(struct waiter *r, uint64_t until_ns, bool (*look)(void *arg), void *arg);

/**
 * wait_sock() - Sleep until one socket is ready. Called inside one section,
 * which is left for the sleep, and with a reference on @s.
 * @events:      poll bits. POLLIN of a listener: its shadow counts too.
 * @deadline_ns: CLOCK_MONOTONIC; 0: none.
 * @counter:     As for section_sleep().
 *
 * Return: 0, also where the socket is now another thing; -ETIMEDOUT, -EINTR,
 *         -ENOMEM.
 */
int wait_sock(struct sock *s, uint32_t events, uint64_t deadline_ns, const uint32_t *counter,
	      uint32_t seen);

/**
 * watch_sent() - A datagram was sent on @s, so there is room: an edge, as in Linux.
 * Without the lock.
 */
void watch_sent(struct sock *s);

/**
 * watch_full() - A send on @s took less than it was given, or nothing: who
 * waits for its next edge of POLLOUT is to be hinted at. Without the lock;
 * cheap where nobody watches.
 */
void watch_full(struct sock *s);

/** watch_roomy() - SO_SNDBUF was set on @s: that is an edge of POLLOUT, where
 * there is room. Without the lock. */
void watch_roomy(struct sock *s);

/* Around fork(). Before: the lock is taken, so that the child finds
 * everything whole. Child: its bells are its own. */
void watch_fork_before(void);
void watch_fork_parent(void);
void watch_fork_child(void);
void waiter_fork_child(void);

#endif
