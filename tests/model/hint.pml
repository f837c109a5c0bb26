/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hint.pml - Hints and bells: how select, poll and epoll are woken.
 *
 * Models half_notify() for WANT_HINT_*, peer_ring_bell(), hint_set(),
 * hint_take(), hint_any(), conn_want_hint(), and a sleeper that announces
 * itself in bell_state.sleepers before it looks at the hints a last time and
 * sleeps on the eventfd. Two setters, whose halves' peers share one word of
 * level 0. The first may die at any point, also between the levels; its
 * executor then publishes the end and rings again.
 * Fences: want and both levels and sleepers are changed by locked
 * instructions; half_notify() makes one before it loads want.
 *
 * Wanted: the owner sees what each of the two published, and never sleeps for
 * ever.
 *
 * Mistakes: NO_WAKER_FENCE, WANT_PLAIN, NO_LOOK_AGAIN (after want),
 * L1_FIRST, L1_SKIP (who finds bits in level 0 leaves level 1 alone), NO_ANY
 * (no last look at the hints), SLEEPERS_PLAIN, TAKE_L0_FIRST.
 */
#define CPUS 3
#define DEPTH 2
#define PUB(i) (i)  /* 1: data, 2: the end */
#define WANT(i) (2 + (i))
#define L0 4
#define L1 5
#define SLEEPERS 6
#define WORDS 7
#include "tso.h"

byte eventfd;
bool dead;

#define SET_L0(c, i) \
	atomic { LOCK(c); old = mem[L0]; mem[L0] = mem[L0] | (1 << (i)) }
#ifdef L1_SKIP
#define L1_DONE(c) old
#else
#define L1_DONE(c) SEEN(c, L1)
#endif
#define SET_L1(c) \
	if \
	:: L1_DONE(c) \
	:: else -> atomic { LOCK(c); mem[L1] = 1 } \
	fi

#define DIE if :: may_die -> goto died :: skip fi

/* Processor i is the setter of half i. */
inline notify(c)
{
#ifndef NO_WAKER_FENCE
	FENCE(c);
#endif
	if
	:: SEEN(c, WANT(c)) ->
#ifdef L1_FIRST
		SET_L1(c);
		DIE;
		SET_L0(c, c);
#else
		SET_L0(c, c);
		DIE;
		SET_L1(c);
#endif
		old = 0;
		DIE;
		if
		:: SEEN(c, SLEEPERS) -> DIE; eventfd = 1
		:: else
		fi
	:: else
	fi
}

proctype setter(byte i; bool may_die)
{
	byte old;

	ST(i, PUB(i), 1);
	DIE;
	notify(i);
	goto out;
died:
	/* The executor: on another processor, which sees what is in memory. */
	FENCE(i);
	may_die = false;
	old = 0;
	atomic { LOCK(i); mem[PUB(i)] = 2 };
	dead = true;
	notify(i);
out:
	skip
}

#ifdef WANT_PLAIN
#define WISH(i) ST(2, WANT(i), 1)
#else
#define WISH(i) atomic { LOCK(2); mem[WANT(i)] = 1 }
#endif
#define LOOK(i) \
	if \
	:: SEEN(2, PUB(i)) -> seen = seen | (1 << (i)) \
	:: else \
	fi
#ifdef SLEEPERS_PLAIN
#define ANNOUNCE(n) ST(2, SLEEPERS, n)
#else
#define ANNOUNCE(n) atomic { LOCK(2); mem[SLEEPERS] = n }
#endif
#define TAKE_LEVEL0 atomic { LOCK(2); bits = bits | mem[L0]; mem[L0] = 0 }
#define TAKE_LEVEL1 atomic { LOCK(2); l1 = mem[L1]; mem[L1] = 0 }

proctype owner()
{
	byte seen, bits, l1;

	WISH(0);
	WISH(1);
#ifndef NO_LOOK_AGAIN
	LOOK(0);
	LOOK(1);
#endif
	do
	:: seen == 3 -> break
	:: else ->
		if
		:: SEEN(2, L1) ->
#ifdef TAKE_L0_FIRST
			TAKE_LEVEL0;
			TAKE_LEVEL1;
#else
			TAKE_LEVEL1;
			if
			:: l1 -> TAKE_LEVEL0
			:: else
			fi;
#endif
			if
			:: bits & 1 -> LOOK(0)
			:: else
			fi;
			if
			:: bits & 2 -> LOOK(1)
			:: else
			fi;
			bits = 0; l1 = 0
		:: else ->
			ANNOUNCE(1);
#ifndef NO_ANY
			if
			:: SEEN(2, L1) -> goto awake
			:: else
			fi;
#endif
			eventfd -> eventfd = 0;
awake:
			ANNOUNCE(0)
		fi
	od
}

init {
	atomic { run setter(0, true); run setter(1, false); run owner() }
}
