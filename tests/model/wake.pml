/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wake.pml - Sleep and wake with a futex.
 *
 * Models conn_send() with half_notify(), conn_want_futex(),
 * conn_unwant_futex() and the futex wait of a blocking call. The sleeper says
 * what it wants (locked: a full fence), loads the event word, looks again and
 * sleeps where the event word is still the same. The waker publishes, makes a
 * fence, loads want, and where somebody wants it bumps the event word and
 * wakes all. Two processes sleep for the same side; the second may be killed
 * at any point, and leaves its count behind. The waker may be killed too: the
 * executor then publishes the end and wakes (half_end()).
 *
 * Wanted: who lives sees all that is published, and the end. Nobody sleeps
 * for ever (spin: no invalid end state).
 *
 * Mistakes: NO_WAKER_FENCE, WANT_PLAIN (no locked instruction), NO_LOOK_AGAIN,
 * EVENT_LATE (the event word is loaded after the second look), NO_BUMP,
 * WAKE_ONE, UNWANT_ALL (a sleeper that wakes clears the count), NO_EXECUTOR
 * (another process holds the killed waker's side, and does nothing).
 */
#define CPUS 4
#define DEPTH 2
#define TAIL 0
#define END 1
#define EVENT 2 /* of the waker's half */
#define WANT 3  /* of the sleepers' half */
#define WORDS 4
#define SENDS 2
#include "tso.h"

byte asleep[4];  /* of processors 1 and 2; 1: in the kernel's queue */
bool waker_dead;

#ifdef NO_BUMP
#define BUMP(c) skip
#else
#define BUMP(c) atomic { LOCK(c); mem[EVENT]++ }
#endif

inline futex_wake(c)
{
#ifdef WAKE_ONE
	atomic {
		if
		:: asleep[1] -> asleep[1] = 0
		:: asleep[2] -> asleep[2] = 0
		:: else
		fi
	}
#else
	d_step { asleep[1] = 0; asleep[2] = 0 }
#endif
}

inline notify(c)
{
#ifndef NO_WAKER_FENCE
	FENCE(c);
#endif
	if
	:: SEEN(c, WANT) -> BUMP(c); futex_wake(c)
	:: else
	fi
}

#define DIE if :: goto died :: skip fi

proctype waker()
{
	byte i;

	do
	:: i == SENDS -> break
	:: else ->
		i++;
		ST(0, TAIL, i);
		DIE;
		notify(0);
		DIE
	od;
	goto out;
died:
	waker_dead = true;
out:
	skip
}

proctype executor()
{
end:
	waker_dead && sb[0].n == 0;
	waker_dead = false;
#ifndef NO_EXECUTOR
	atomic { LOCK(3); mem[END] = 1 };
	notify(3)
#endif
}

#define LOOK(c) (SEEN(c, TAIL) > have || SEEN(c, END))
#ifdef WANT_PLAIN
#define WISH(c) ST(c, WANT, SEEN(c, WANT) + 1)
#else
#define WISH(c) atomic { LOCK(c); mem[WANT]++ }
#endif
#ifdef UNWANT_ALL
#define UNWISH(c) atomic { LOCK(c); mem[WANT] = 0 }
#else
#define UNWISH(c) atomic { LOCK(c); mem[WANT]-- }
#endif

proctype sleeper(byte c; bool mortal)
{
	byte have, ev;

	do
	:: have == SENDS -> break
	:: have < SENDS && LOOK(c) ->
		if
		:: SEEN(c, TAIL) > have -> have++
		:: else -> break /* the end */
		fi
	:: have < SENDS && !LOOK(c) ->
		WISH(c);
#ifndef EVENT_LATE
		LD(c, EVENT, ev);
#endif
#ifndef NO_LOOK_AGAIN
		if
		:: LOOK(c) -> goto awake
		:: else
		fi;
#endif
#ifdef EVENT_LATE
		LD(c, EVENT, ev);
#endif
		/* futex_wait(): the kernel looks at the word itself. */
		if
		:: atomic { FENCE(c) && mem[EVENT] == ev -> asleep[c] = 1 };
			if
			:: !asleep[c]
			:: mortal -> asleep[c] = 0; goto died
			fi
		:: FENCE(c) && mem[EVENT] != ev
		fi;
awake:
		ev = 0;
		UNWISH(c)
	:: mortal -> goto died
	od;
died:
	have = 0; ev = 0
}

init {
	atomic {
		run waker(); run executor();
		run sleeper(1, false); run sleeper(2, true)
	}
}
