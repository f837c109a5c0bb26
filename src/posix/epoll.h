/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll.h - Epoll sets that hold sockets of ours.
 *
 * The program's descriptor is a real epoll descriptor. The kernel's set holds
 * the program's kernel descriptors, and besides, under data that no program
 * uses: the eventfds of the bells, listeners' shadows, and inner epoll sets.
 */
#ifndef MORTISE_POSIX_EPOLL_H
#define MORTISE_POSIX_EPOLL_H

#include "posix/watch.h"

/**
 * struct epset - One epoll set. Never unmapped. Guarded by watch_lock().
 * @obj:        For the descriptor table.
 * @w:          Its watches are the entries for what is ours.
 * @fd:         A number that referred to it when last used.
 * @kernel:     Entries in the kernel's set besides the bells; errs high only.
 * @user:       Of those, the program's own; errs high only.
 * @dgrams:     Of those, datagram sockets'.
 * @asked_ns:   When the kernel was asked last because of these two.
 * @kernel_hot: The kernel had something when last asked.
 * @bells_in:   Bells whose eventfd is in the kernel's set.
 * @turn:       Counts looks.
 * @ids:        Last kernel_id given out.
 * @end_fd:     orphan_fd() as it is in the kernel's set, + 1; 0: not there.
 * @looked_ns:  When its sockets' peers were last looked after, without a daemon.
 * @alien:      When last asked, the kernel reported a bell of another process.
 * @watches:    Who watches this set: outer sets, polls.
 * @joint:      Several processes have it since a fork: joint.h. NULL: none ever did.
 */
struct epset {
	struct fobj obj;
	struct waiter w;
	int fd;
	_Atomic uint32_t kernel; /* read without the lock as well */
	uint32_t user, dgrams;
	uint64_t asked_ns;
	bool kernel_hot;
	uint32_t bells_in;
	uint32_t turn;
	uint32_t ids;
	int end_fd;
	uint64_t looked_ns;
	bool alien;
	struct watch *watches;
	struct joint *joint;
	struct epset *next, *prev;
};

static inline struct epset *epset_of(struct waiter *r)
{
	return container_of(r, struct epset, w);
}

/** epset_poll() - POLLIN | POLLRDNORM where an epoll_wait() would report
 * something now, else 0. Nothing is taken. */
uint32_t epset_poll(struct epset *e);

/** epset_sync() - Bring the kernel's set up to date: bells, shadows.
 * Return: 0 or -errno. */
int epset_sync(struct epset *e);

/** epset_abandon() - Its part in the kernel's set stays: another process's. */
void epset_abandon(struct watch *w);

/** epset_changed() - @w's socket has come to another stage: its shadow may have to be
 * in the kernel's set from now on. */
void epset_changed(struct watch *w);

/** epset_shared() - Its own eventfd has to be in the kernel's set from now on. */
void epset_shared(struct watch *w);

/** epset_moved() - @w's descriptor is the kernel's now: so is the entry. */
void epset_moved(struct watch *w);

/** epset_unmirror() - Take @w's part out of the kernel's set. */
void epset_unmirror(struct watch *w);

/** epset_fork_child() - All sets start without bells. */
void epset_fork_child(void);

#endif
