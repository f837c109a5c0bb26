/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handle.pml - What a handle names: the map from handle numbers to slots, with
 * numbers and slots that are used again.
 *
 * Models sock_begin_half(), sock_last(), party_slot_alloc() and the handles'
 * numbers in the keeper's table, against estate_hangup() and execute_half().
 * Three sockets one after the other in the same slot. The first one may be held
 * by a child too: then its owner only closes its copy, and the executor ends it
 * when the child's is gone. Any other ends in process, or its owner is killed.
 * A socket's handle has a number in stock, or one that the keeper gives again.
 * The executor may die between any two steps, and the next one begins again.
 *
 * Wanted: no half is ended while a copy of its handle is there, and each is
 * ended once they are gone; no number names two sockets.
 *
 * Mistakes: NO_GEN (the executor takes whatever half has the slot now),
 * DONE_FIRST (it says that it is done before it has executed), REISSUE_HUNG (a
 * number is given again once it has hung up, done or not), REUSE_CLOSED (the
 * slot is used again before the half is RELEASED), CLEAR_BLIND (the executor
 * clears the map's word after it is done, whatever it names by then).
 */
#define CPUS 2
#define DEPTH 2
#define SOCKETS 3

#define GS 0              /* the slot: generation * 4 + state */
#define MAP(n) (n)        /* number n: generation, 0 none */
#define WORDS 3
#define USED 0
#define CLOSED 1
#define RELEASED 2
#define W(g, s) ((g) * 4 + (s))
#define GEN(w) ((w) / 4)
#define STATE(w) ((w) % 4)
#include "tso.h"

/* The keeper's table. */
#define FREE 0
#define LIVE 1
#define HUNG 2
#define DONE 3
byte number[3];
byte has[SOCKETS + 1];    /* which number each has */
bool held[SOCKETS + 1];   /* by the owner */
bool child[SOCKETS + 1];
bool ended[SOCKETS + 1];
bool made[SOCKETS + 1];
bool over, busy;

inline copies_gone(k)
{
	if
	:: !held[k] && !child[k] && has[k] -> number[has[k]] = HUNG; has[k] = 0
	:: else
	fi
}

#ifdef REISSUE_HUNG
#define CAN_HAVE(n) (number[n] == FREE || number[n] == DONE || number[n] == HUNG)
#else
#define CAN_HAVE(n) (number[n] == FREE || number[n] == DONE)
#endif

proctype owner()
{
	byte k = 1, n;

next:
	if
	:: CAN_HAVE(1) -> n = 1
	:: CAN_HAVE(2) -> n = 2
	fi;
	atomic { number[n] = LIVE; has[k] = n; held[k] = true; made[k] = true };
	/* The half's generation is the socket's number here. */
	ST(0, GS, W(k, USED));
	ST(0, MAP(n), k);
	FENCE(0);
	if
	:: goto dies
	:: k == 1 ->
		/* A child has it, and is the last to have it. */
		child[k] = true;
		d_step { held[k] = false; copies_gone(k) }
	:: true ->
		/* sock_last() */
		assert(SEEN(0, GS) == W(k, USED));
		ended[k] = true;
		ST(0, GS, W(k, CLOSED));
		ST(0, MAP(n), 0);
		ST(0, GS, W(k, RELEASED));
		FENCE(0);
		d_step { held[k] = false; copies_gone(k) }
	fi;
	if
	:: k < SOCKETS ->
		/* party_slot_alloc(): lazily. */
#ifdef REUSE_CLOSED
		STATE(SEEN(0, GS)) >= CLOSED;
#else
		STATE(SEEN(0, GS)) == RELEASED;
#endif
		k++;
		goto next
	:: else -> goto out
	fi;
dies:
	skip;
	d_step { held[k] = false; copies_gone(k) };
out:
	n = 0;
	over = true
}

proctype sharer()
{
end:
	child[1];
	d_step { child[1] = false; copies_gone(1) }
}

#define DIE if :: goto again :: skip fi

proctype executor()
{
	byte n, w, g;

again:
	atomic { n = 0; w = 0; g = 0; busy = false };
end:
	if
	:: atomic { number[1] == HUNG -> n = 1; busy = true }
	:: atomic { number[2] == HUNG -> n = 2; busy = true }
	fi;
#ifdef DONE_FIRST
	number[n] = DONE;
#endif
	LD(1, MAP(n), w);
	if
	:: w == 0 -> goto done
	:: else
	fi;
	DIE;
	/* execute_half(): generation and state in one load. */
	LD(1, GS, g);
#ifndef NO_GEN
	if
	:: GEN(g) != w -> goto executed
	:: else
	fi;
#endif
	if
	:: STATE(g) == RELEASED -> goto executed
	:: else
	fi;
	DIE;
	d_step {
		assert(!held[GEN(g)] && !child[GEN(g)]);
		ended[GEN(g)] = true
	};
	ST(1, GS, W(GEN(g), CLOSED));
	DIE;
	ST(1, GS, W(GEN(SEEN(1, GS)), RELEASED));
	FENCE(1);
executed:
	DIE;
#ifndef CLEAR_BLIND
	atomic { LOCK(1);
		if :: mem[MAP(n)] == w -> mem[MAP(n)] = 0 :: else fi };
#endif
done:
	DIE;
	FENCE(1);
	number[n] = DONE;
#ifdef CLEAR_BLIND
	ST(1, MAP(n), 0);
	FENCE(1);
#endif
	goto again
}

init {
	byte k;

	atomic { run owner(); run sharer(); run executor() };
	over && !child[1] && number[1] != HUNG && number[2] != HUNG && !busy &&
		sb[0].n == 0 && sb[1].n == 0;
	for (k : 1 .. SOCKETS) {
		assert(ended[k] || !made[k])
	}
}
