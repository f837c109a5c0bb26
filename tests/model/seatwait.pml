/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seatwait.pml - A listener that sleeps while its only seat is claimed.
 *
 * Models seat_claim()'s half_notify() to the listener and its failure with
 * EAGAIN, and the listener's sleep: it asks to be rung (locked), looks at its
 * claims, sleeps. The first connector may die as soon as it has claimed, so
 * that nobody rings for it: its executor rings whom its half names, which is
 * the seat, not the listener. The second one tries again when the seat is
 * free.
 *
 * Wanted: the second connector is accepted in the end.
 *
 * Mistakes: SILENT_FULL (who finds no free seat does not ring), NO_RING (who
 * has a seat does not ring), NO_LOOK_AGAIN, WANT_PLAIN.
 */
#define CPUS 3
#define DEPTH 2
#define CLAIM 0
#define WANT 1
#define WORDS 2
#include "tso.h"

bool rung, accepted;

#define NOTIFY(c) \
	FENCE(c); \
	if \
	:: SEEN(c, WANT) -> rung = true \
	:: else \
	fi

proctype connector_dies()
{
	if
	:: atomic { LOCK(0) && !mem[CLAIM] -> mem[CLAIM] = 1 };
		if
		:: true /* dies */
		:: NOTIFY(0)
		fi
	:: SEEN(0, CLAIM) != 0
	fi
}

proctype connector()
{
again:
	if
	:: atomic { LOCK(1) && !mem[CLAIM] -> mem[CLAIM] = 2 };
#ifndef NO_RING
		NOTIFY(1)
#endif
	:: SEEN(1, CLAIM) != 0 ->
#ifndef SILENT_FULL
		NOTIFY(1);
#endif
		SEEN(1, CLAIM) == 0;
		goto again
	fi;
	accepted
}

proctype listener()
{
	do
	:: accepted -> break
	:: !accepted && SEEN(2, CLAIM) -> accepted = (SEEN(2, CLAIM) == 2); ST(2, CLAIM, 0)
	:: !accepted && !SEEN(2, CLAIM) ->
#ifdef WANT_PLAIN
		ST(2, WANT, 1);
#else
		atomic { LOCK(2); mem[WANT] = 1 };
#endif
#ifndef NO_LOOK_AGAIN
		if
		:: SEEN(2, CLAIM) -> goto awake
		:: else
		fi;
#endif
		rung -> rung = false;
awake:
		skip
	od
}

init {
	atomic { run connector_dies(); run connector(); run listener() }
}
