/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * asleep.h - Calls of this thread that sleep, and what they hold meanwhile.
 *
 * A handler may leave a sleeping call by siglongjmp(). The call never goes on
 * then, and its reference would keep the socket from being closed, and the
 * peer from seeing an end. So what a sleeping call holds is noted beside the
 * stack, and the thread's next call finds the notes of calls that are gone.
 */
#ifndef MORTISE_POSIX_ASLEEP_H
#define MORTISE_POSIX_ASLEEP_H

#include "posix/fdtab.h"

#define ASLEEP_MOST 8u

struct waiter;

/**
 * struct asleep - One call.
 * @give_up: Lets go of what it holds.
 * @obj:     What it has a reference on, or NULL.
 * @waiter, @rung, @generation, @what: As @give_up likes.
 * @handler: Frame of the handler that interrupts it; 0: none does.
 * @alt_end: Where that runs on another stack: [@handler's page.., @alt_end).
 */
struct asleep {
	void (*give_up)(struct asleep *a);
	struct fobj *obj;
	struct waiter *waiter;
	uint32_t rung, generation, what;
	uintptr_t handler, alt_start, alt_end;
};

/** struct asleep_calls - Of one thread; the innermost is the last. */
struct asleep_calls {
	uint32_t count;
	struct asleep call[ASLEEP_MOST];
};
extern __thread struct asleep_calls asleep_calls
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/** asleep_begin() - In a section, which is then left for the sleep.
 * Return: For asleep_end(). */
unsigned asleep_begin(const struct asleep *a);
/** asleep_end() - In a section, after the sleep. */
void asleep_end(unsigned index);

/** asleep_give_up() - The thread ends inside its sleep: all its calls are gone. */
void asleep_give_up(void);

/** asleep_reap() - At the beginning of a call, in a section. */
void asleep_reap_slow(void);
static inline void asleep_reap(void)
{
	if (unlikely(asleep_calls.count))
		asleep_reap_slow();
}

/**
 * asleep_interrupted() - A handler is about to be called.
 * @frame: Of its caller.
 * @alt, @alt_bytes: The alternate signal stack.
 * Return: For asleep_resumed().
 */
struct asleep *asleep_interrupted(uintptr_t frame, uintptr_t alt, size_t alt_bytes);
static inline void asleep_resumed(struct asleep *a)
{
	if (a)
		a->handler = 0;
}

/** asleep_fork_child() - Sockets start with a reference for each descriptor:
 * one more for each call of this thread, whose handler forked. */
void asleep_fork_child(void);

#endif
