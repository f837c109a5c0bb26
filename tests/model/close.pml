/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * close.pml - A close against a send in another process.
 *
 * Models half_end() and execute_stream() against conn_send() with
 * half_notify(): the closer sets WANT_CLOSED (locked, and a fence) and then
 * looks at the sender's tail; the sender publishes its tail, makes a fence
 * and then looks at WANT_CLOSED. The closer may die at any point; the
 * executor then ends the half again.
 *
 * Wanted: each byte sent is read, or the closer publishes RST, or the sender
 * is told that it met a closed socket. A connection that was read empty ends
 * with FIN alone, and its sender is told nothing: it looks at the head, too.
 *
 * Mistakes: NO_SENDER_FENCE, NO_CLOSER_FENCE (WANT_CLOSED by a plain store),
 * LOOK_FIRST (the tail is looked at before WANT_CLOSED is set), EXEC_TRUSTS
 * (the executor takes WANT_CLOSED for a sign that the end was published),
 * SENDER_TRUSTS (WANT_CLOSED is enough for the sender).
 */
#define CPUS 3
#define DEPTH 3
#define WORDS 5
#define TAIL 0   /* the sender's */
#define HEAD 1   /* the closer's */
#define WANT 2   /* the closer's: WANT_CLOSED alone */
#define END 3    /* the closer's */
#define STATE 4  /* the closer's: 0 OPEN, 1 CLOSED */
#define FIN 1
#define RST 2
#define SENDS 2
#include "tso.h"

bool told;      /* conn_send() saw WANT_CLOSED, and bytes that were not read */
bool sent_all;
byte closing;   /* 1: dead, the executor's turn; 2: done */

proctype sender()
{
	byte i, w, e, h;

	do
	:: i == SENDS -> break
	:: else ->
		LD(0, END, e);
		if
		:: e & RST -> break
		:: else
		fi;
		i++;
		ST(0, TAIL, i);
#ifndef NO_SENDER_FENCE
		FENCE(0);
#endif
		LD(0, WANT, w);
#ifndef SENDER_TRUSTS
		LD(0, HEAD, h);
#endif
		if
		:: w && h < i -> told = true; break
		:: else
		fi
	od;
	FENCE(0);
	sent_all = true
}

/* half_end() by processor c. MAY_DIE stands wherever the owner can be killed. */
#define HALF_END(c, MAY_DIE) \
	WISH(c, MAY_DIE) \
	LD(c, TAIL, t); \
	LD(c, HEAD, h); \
	WISH_LATE(c) \
	MAY_DIE \
	LD(c, END, e); \
	atomic { LOCK(c); mem[END] = mem[END] | ((t != h) -> RST : FIN) }; \
	MAY_DIE \
	ST(c, STATE, 1)

#ifdef NO_CLOSER_FENCE
#define SET_CLOSED(c) ST(c, WANT, 1)
#else
#define SET_CLOSED(c) atomic { LOCK(c); mem[WANT] = 1 }
#endif
#ifdef LOOK_FIRST
#define WISH(c, MAY_DIE)
#define WISH_LATE(c) SET_CLOSED(c);
#else
#define WISH(c, MAY_DIE) SET_CLOSED(c); MAY_DIE
#define WISH_LATE(c)
#endif
#define DIE if :: closing = 1; goto out :: skip fi;

proctype closer()
{
	byte t, h, e;

	/* Read what is there, or not. */
	do
	:: LD(1, TAIL, t) -> LD(1, HEAD, h);
		if
		:: h < t -> ST(1, HEAD, h + 1)
		:: else
		fi
	:: break
	od;
	DIE
	HALF_END(1, DIE);
	closing = 2;
out:
	skip
}

proctype executor()
{
	byte t, h, e, s;

	/* A process that is gone has no stores in flight. */
	if
	:: closing == 1 && sb[1].n == 0
	:: closing == 2 -> goto out
	fi;
	LD(2, STATE, s);
	LD(2, END, e);
#ifdef EXEC_TRUSTS
	if
	:: mem[WANT] -> goto done
	:: else
	fi;
#endif
	if
	:: s == 1 && e
	:: else -> HALF_END(2, skip;)
	fi;
done:
	FENCE(2);
	closing = 2;
out:
	skip
}

init {
	atomic { run sender(); run closer(); run executor() };
	closing == 2 && sent_all && sb[1].n == 0;
	assert(mem[TAIL] == mem[HEAD] || told || mem[END] & RST);
	assert(mem[END]);
	/* A reader that was quicker than the look at WANT_CLOSED is no loss. */
	assert(!told || mem[TAIL] != mem[HEAD]);
	/* Bytes that were all read, and a sender that met nothing: no RST. */
	assert(mem[TAIL] != mem[HEAD] || !(mem[END] & RST))
}
