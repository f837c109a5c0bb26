/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of a worker have in common. */
#ifndef CONFORM_WORKER_H
#define CONFORM_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "program.h"

/* Descriptors that a worker has from its coordinator, where no program reaches;
 * and so low that the kernel's table does not reach NEVER_OPEN. */
enum {
	FD_CHILD_IN = 190,	/* Steps for its child. */
	FD_CHILD_OUT = 191,	/* Its child's outcomes. */
	FD_CHANNEL = 192,	/* To the other worker and its child: descriptors go there. */
};

/* What CONFORM_MUTATE falsifies, to show that the comparison sees it. */
enum mutation {
	MUTATE_NONE, MUTATE_ERRNO, MUTATE_BYTE, MUTATE_POLLHUP, MUTATE_EPOLLRDHUP,
	MUTATE_SHORT_SEND, MUTATE_SIGPIPE, MUTATE_FIONREAD, MUTATE_PEERPORT,
	MUTATE_SO_ERROR, MUTATE_ONESHOT, MUTATE_LOST_WAKE,
	/* Of datagrams: */
	MUTATE_D_SHORT, MUTATE_D_BYTE, MUTATE_D_TRUNC, MUTATE_D_FROM, MUTATE_D_LOST,
};

/**
 * struct worker_state - Of this process.
 * @slot_fd:   Its descriptor; kept when it is closed; -1: never used.
 * @slot_open: It is open.
 * @mutation:  What is falsified.
 * @hz:        The timer's rate.
 * @child:     A worker forked by this one, 0 none.
 * @held:      FORKHOLD's child, 0 none.
 */
struct worker_state {
	int slot_fd[SLOTS];
	bool slot_open[SLOTS];
	int mutation;
	int hz;
	int child;
	int held;
};

extern struct worker_state worker;

/** worker_fd() - The descriptor of a slot, or one that is not open. */
int worker_fd(int64_t slot);

/** worker_slot_set() - Something new is in @slot. */
void worker_slot_set(int64_t slot, int fd);

/** worker_check_lowest() - Say so where @out's descriptor is not the lowest
 * from @min that the program has not in use. */
void worker_check_lowest(struct outcome *out, int64_t min);

/** worker_say() - Append to @out's text. */
void worker_say(struct outcome *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** worker_is_kernels() - Is it a socket of the kernel's internet, as a raw system
 * call sees it? */
bool worker_is_kernels(int fd);

/** worker_buffer() - This thread's, STREAM_MAX bytes and one. */
unsigned char *worker_buffer(void);

/** worker_pattern() - The first @n bytes of what @key names. */
void worker_pattern(uint64_t key, unsigned char *p, uint64_t n);

/** dgram_call() - As worker_call(), of datagrams. Return: whether it is one of theirs. */
bool dgram_call(const struct step *st, struct outcome *out);

/** worker_call() - Make the call of @st in this process. */
void worker_call(const struct step *st, struct outcome *out);

/** worker_forked() - In a child that goes on as a worker: no second thread,
 * no children. */
void worker_forked(void);

/**
 * family_step() - FORK, EXEC, GIVE and the like.
 * Return: false where there is no outcome to tell: in the child of FORK.
 */
bool family_step(const struct step *st, struct outcome *out);

/** family_fork_call() - FORKSEND, FORKRECV: a child makes one call. */
void family_fork_call(const struct step *st, struct outcome *out);

/** family_hold() - FORKHOLD: a child that has everything, and does nothing. */
void family_hold(struct outcome *out);
/** family_hold_end() - FORKEND: it is killed. */
void family_hold_end(struct outcome *out);

/** family_reset() - No children, nothing under way in the channel. */
void family_reset(void);

/** family_resume() - After EXEC: take over what @text, its argument, says. */
void family_resume(const char *text, struct outcome *out);

/** family_once() - The child of FORKSEND and FORKRECV that has executed this
 * file: make the call that @text describes. Return: exit status. */
int family_once(const char *text);

#endif
