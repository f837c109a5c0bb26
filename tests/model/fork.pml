/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork.pml - close against a fork in another thread: the epoch rule, and the
 * pool of handles.
 *
 * Models sock_make(), handle_take(), sock_last(), handle_give(),
 * process_fork_before(), process_fork_parent(), handle_fork_child(),
 * adopt_one() and the executor's hang-up. One thread makes two sockets, one
 * after the other, and closes each; the second may have the first one's handle
 * out of the pool. Another thread forks at any moment. The child has what
 * memory said when it was made: it closes its copies of what is in the pool or
 * being closed, goes on with the open one, and closes that too, or only ends.
 * Fences: the count of descriptors, `forking` and the epoch are moved by locked
 * instructions; the pool has a lock, which is held over the fork.
 *
 * Wanted: a socket is ended in process only where the child neither has it nor
 * has a copy of its handle; in the end each is ended, in process or since all
 * copies of its handle are gone.
 *
 * Mistakes: EPOCH_LATE (it moves only after the fork), MIDDLE_TRUSTED (a socket that is made during the fork is like any other: with
 * `forking`, the move before the fork alone would do), COUNT_LATE (the epoch is looked at before the descriptor is given
 * up), EPOCH_AFTER (it is noted after the handle was taken), GIVE_ANY (any
 * handle is pooled), TAKE_ANY (any is taken from the pool).
 */
#define CPUS 2
#define DEPTH 2

#define EPOCH 0
#define FORKING 1
#define NFDS(k) (1 + (k)) /* descriptors of socket k */
#define WORDS 4
#include "tso.h"

#define NONE 0
byte pool;               /* the handle in it */
byte pool_epoch;
bool pool_lock;
byte made = 0;           /* handles ever given */
bool parent_has[3], child_has[3];
byte map[3];             /* which socket the handle names */
bool child_uses[3];      /* the child has a descriptor of the socket */
bool ended[3];
bool child_made, child_done, forked, closed;
bool child_pool[3];

/* The kernel counts copies; the daemon executes. */
#define HANGUP(h) \
	if :: !parent_has[h] && !child_has[h] && map[h] -> ended[map[h]] = true; map[h] = 0 \
	:: else fi

inline close_parent(h)
{
	d_step { parent_has[h] = false; HANGUP(h) }
}

proctype closer()
{
	byte k = 1, epoch, h, now;
	bool shared, forking;

next:
	/* sock_make() */
	LD(0, EPOCH, epoch);
	LD(0, FORKING, forking);
take:
	atomic { !pool_lock -> pool_lock = true };
	FENCE(0);
	h = pool;
	pool = NONE;
	now = pool_epoch;
	atomic { LOCK(0); pool_lock = false };
#ifndef TAKE_ANY
	if
	:: h && SEEN(0, EPOCH) != now -> close_parent(h); h = NONE; goto take
	:: else
	fi;
#endif
	if
	:: h == NONE -> d_step { made++; h = made; parent_has[h] = true }
	:: else
	fi;
#ifdef EPOCH_AFTER
	LD(0, EPOCH, epoch);
	LD(0, FORKING, forking);
#endif
#ifdef MIDDLE_TRUSTED
	forking = false;
#endif
	d_step { map[h] = k; now = 0 };
	ST(0, NFDS(k), 1);
	/* close(): sock_last() */
#ifdef COUNT_LATE
	shared = (forking || SEEN(0, EPOCH) != epoch);
	atomic { LOCK(0); mem[NFDS(k)] = 0 };
#else
	atomic { LOCK(0); mem[NFDS(k)] = 0 };
	atomic {
		shared = (forking || SEEN(0, EPOCH) != epoch);
		assert(shared || !child_has[h])
	};
#endif
	if
	:: shared -> close_parent(h); goto over
	:: else
	fi;
	/* FIN, RELEASED: in the child nobody may go on with it. */
	d_step { assert(!child_uses[k]); ended[k] = true; map[h] = 0 };
	/* handle_give() */
	atomic { !pool_lock -> pool_lock = true };
	FENCE(0);
#ifdef GIVE_ANY
	if
	:: true -> pool = h; pool_epoch = SEEN(0, EPOCH)
	fi;
#else
	if
	:: SEEN(0, EPOCH) == epoch -> pool = h; pool_epoch = epoch
	:: else -> close_parent(h)
	fi;
#endif
	atomic { LOCK(0); pool_lock = false };
over:
	atomic { h = NONE; epoch = 0; shared = false; forking = false };
	if
	:: k == 1 -> k = 2; goto next
	:: else
	fi;
	FENCE(0);
	closed = true
}

proctype forker()
{
	byte h;

	atomic { LOCK(1); mem[FORKING] = 1 };
#ifndef EPOCH_LATE
	atomic { LOCK(1); mem[EPOCH] = mem[EPOCH] + 1 };
#endif
	atomic { !pool_lock -> pool_lock = true };
	/* fork(): memory as it is; descriptors as they are. */
	FENCE(1);
	d_step {
		child_has[1] = parent_has[1];
		child_has[2] = parent_has[2];
		child_pool[1] = (pool == 1);
		child_pool[2] = (pool == 2);
		child_uses[1] = mem[NFDS(1)];
		child_uses[2] = mem[NFDS(2)];
		child_made = true
	};
	pool_lock = false;
	atomic { LOCK(1); mem[EPOCH] = mem[EPOCH] + 1 };
	atomic { LOCK(1); mem[FORKING] = 0 };
	forked = true
}

proctype child()
{
	child_made;
	/* handle_fork_child() */
	d_step {
		if :: child_pool[1] -> child_has[1] = false; HANGUP(1) :: else fi;
		if :: child_pool[2] -> child_has[2] = false; HANGUP(2) :: else fi
	};
	/* It goes on with what it has, and ends. */
	d_step { child_uses[1] = false; child_uses[2] = false;
		child_has[1] = false; HANGUP(1); child_has[2] = false; HANGUP(2) };
	child_done = true
}

init {
	atomic { run closer(); run forker(); run child() };
	closed && forked && child_done;
	/* The parent ends. */
	d_step { parent_has[1] = false; HANGUP(1); parent_has[2] = false; HANGUP(2) };
	assert(ended[1] && ended[2])
}
