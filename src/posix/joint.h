/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * joint.h - Epoll sets that several processes have since a fork.
 *
 * Everything is guarded by watch_lock() where nothing else is said. Where the
 * set is not joint (epset.joint is NULL), nothing happens.
 */
#ifndef MORTISE_POSIX_JOINT_H
#define MORTISE_POSIX_JOINT_H

#include "posix/epoll.h"

/** joint_fork_before() - All sets are joint from now on, if there is memory. */
void joint_fork_before(void);
/** joint_fork_child() - This process is another holder. Return: how many entries no
 * bell rings for. */
uint32_t joint_fork_child(struct epset *e);
/** joint_end() - The set is closed here. Its watches are gone. */
void joint_end(struct epset *e);

/** joint_count - Joint sets that this process has. */
extern uint32_t joint_count;

/**
 * joint_prepare() - Have what joint_enter() needs and may not ask for: a bell,
 * parties to look at. Without the lock: asks the daemon.
 */
void joint_prepare_slow(struct epset *e);
static inline void joint_prepare(struct epset *e)
{
	if (unlikely(joint_count))
		joint_prepare_slow(e);
}

/**
 * joint_enter() - Nobody else changes the set, or takes an event, until
 * joint_leave(), and what others have done is done here. Watches come and go.
 */
void joint_enter_slow(struct epset *e);
static inline void joint_enter(struct epset *e)
{
	if (unlikely(e->joint))
		joint_enter_slow(e);
}
void joint_leave_slow(struct epset *e);
static inline void joint_leave(struct epset *e)
{
	if (unlikely(e->joint))
		joint_leave_slow(e);
}

/** joint_found() - @fd is @target here: an entry of that name is a watch from now on. */
void joint_found(struct epset *e, int fd, const struct fobj *target);

/** joint_sleep_begin() - Others wake us from now on, also by what they do to sets that
 * @r watches. Return: false where there is something to look at already. */
bool joint_sleep_begin(struct waiter *r);
void joint_sleep_end(struct waiter *r);
/** joint_is_unheard() - There is no room for one more to be woken. */
bool joint_is_unheard(const struct epset *e);
/** joint_wake() - One thread less sleeps in @e. */
void joint_wake(struct epset *e);

/* What this process does to an entry. */

/** joint_add() - @w is there for all. Return: 0 or -errno. */
long joint_add(struct watch *w);
/** joint_mod() - Its settings are, as @w has them. */
void joint_mod(const struct watch *w);
/** joint_del() - It is there no more. */
void joint_del(struct watch *w);
/** joint_note() - Its parts in the kernel's set are as @w has them. */
void joint_note(const struct watch *w);
/**
 * joint_closed() - The last descriptor of @w's target is closed here. @shared:
 * Others may have it; then the entry stays.
 * Return: whether it does.
 */
bool joint_closed(struct watch *w, bool shared);
/** joint_pends() - What @w was put on the ready list for: was nobody told of it yet? */
bool joint_pends(const struct watch *w);
/** joint_edge() - The same; and now we are. */
bool joint_edge_slow(struct watch *w);
static inline bool joint_edge(struct watch *w)
{
	return likely(!w->entry) || joint_edge_slow(w);
}
/** joint_fired() - @w's one shot was told of. */
void joint_fired(const struct watch *w);
/** joint_kernel_added() - So was a descriptor of the kernel's, to the kernel's set. */
void joint_kernel_added(struct epset *e);
/** joint_id() - The number of a new part in the kernel's set. */
uint32_t joint_id(struct epset *e);

/* Entries whose socket this process does not have. */

/** joint_take() - Those that are ready. Between joint_enter() and joint_leave(). */
int joint_take_slow(struct epset *e, struct epoll_event *evs, int max);
static inline int joint_take(struct epset *e, struct epoll_event *evs, int max)
{
	return unlikely(e->joint) ? joint_take_slow(e, evs, max) : 0;
}
/** joint_poll() - Is one? Likewise; nothing is taken. @all: Look at each. */
bool joint_poll(struct epset *e, bool all);
/** joint_heard() - The kernel reported part @id of one. Return: false: of none. */
bool joint_heard(struct epset *e, uint32_t id);
/** joint_door() - The kernel reported that somebody changed the set. Return: false
 * where it will report so again. */
bool joint_door(struct epset *e);

#endif
