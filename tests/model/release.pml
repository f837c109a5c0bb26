/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * release.pml - RELEASED, and a slot that is used again.
 *
 * Models half_end(), half_release(), half_reusable(), slot_recycle() and
 * party_slot_alloc(), against execute_half() and execute_stream(). Half A
 * hangs up while its party lives (its last holder was a child): the executor
 * ends it, and may die at any point and begin again, since it says that it is
 * done only afterwards. The party's allocator meanwhile takes the slot for
 * another connection as soon as it may. Half B is ended by its own process,
 * which then reuses its slot too. Generation and state are one word.
 *
 * Wanted: who has not released reads its peer in the generation that it knew;
 * the executor touches no later one; both slots are used again in the end.
 *
 * Mistakes: NO_GEN (the executor does not compare generations), TWO_LOADS (it
 * loads generation and state one after the other), NO_WAIT (a slot is reused
 * without a look at the peer), NO_NEWER (a peer of a newer generation does not
 * count as released), RELEASE_FIRST (RELEASED before the last look at the
 * peer).
 */
#define CPUS 3
#define DEPTH 3
#define GS(h) (h)      /* generation << 4 | state */
#define END(h) (2 + (h))
#define WORDS 4
#define FREE 0
#define OPEN 1
#define CLOSED 2
#define RELEASED 3
#define W(g, s) ((g) * 16 + (s))
#define GEN(w) ((w) / 16)
#define STATE(w) ((w) % 16)
#include "tso.h"

bool executed;

/* half_end()'s and half_notify()'s looks at a peer */
#define USE(c, peer) assert(GEN(SEEN(c, GS(peer))) == 1)

/* Processor c brings half h, whose word was gs, to its end. */
#define FINISH(c, h, MAY_DIE) \
	USE(c, 1 - (h)); \
	atomic { LOCK(c); mem[END(h)] = 1 }; \
	MAY_DIE \
	ST(c, GS(h), W(GEN(SEEN(c, GS(h))), CLOSED)); \
	MAY_DIE \
	EARLY(c, h) \
	FENCE(c); \
	USE(c, 1 - (h)); \
	MAY_DIE \
	ST(c, GS(h), W(GEN(SEEN(c, GS(h))), RELEASED))
#ifdef RELEASE_FIRST
#define EARLY(c, h) ST(c, GS(h), W(GEN(SEEN(c, GS(h))), RELEASED));
#else
#define EARLY(c, h)
#endif

#define DIE if :: goto died :: skip fi;

proctype executor()
{
	byte w;

died:
	FENCE(2);
	LD(2, GS(0), w);
#ifndef NO_GEN
	if
	:: GEN(w) != 1 -> goto out
	:: else
	fi;
#endif
#ifdef TWO_LOADS
	LD(2, GS(0), w);
#endif
	if
	:: STATE(w) == FREE || STATE(w) == RELEASED -> goto out
	:: else
	fi;
	FINISH(2, 0, DIE);
	FENCE(2);
	DIE
out:
	w = 0;
	FENCE(2);
	executed = true
}

#ifdef NO_WAIT
#define REUSABLE(w) true
#elif defined(NO_NEWER)
#define REUSABLE(w) (STATE(w) == RELEASED)
#else
#define REUSABLE(w) (GEN(w) != 1 || STATE(w) == RELEASED)
#endif

/* The allocator of half h's party: once more, then a new connection. */
inline reuse(c, h)
{
	STATE(SEEN(c, GS(h))) == RELEASED;
	REUSABLE(SEEN(c, GS(1 - h)));
	ST(c, GS(h), W(2, FREE));
	FENCE(c);
	ST(c, END(h), 0);
	ST(c, GS(h), W(2, OPEN));
	FENCE(c)
}

proctype owner_a()
{
	reuse(0, 0)
}

proctype side_b()
{
	/* Read, until the peer's end shows or the program closes. */
	do
	:: USE(1, 0)
	:: break
	od;
	FINISH(1, 1, skip;);
	reuse(1, 1)
}

init {
	mem[GS(0)] = W(1, OPEN);
	mem[GS(1)] = W(1, OPEN);
	atomic { run executor(); run owner_a(); run side_b() };
	executed && _nr_pr == 2;
	assert(mem[GS(0)] == W(2, OPEN) && !mem[END(0)]);
	assert(mem[GS(1)] == W(2, OPEN) && !mem[END(1)])
}
