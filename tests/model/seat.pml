/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seat.pml - connect() against accept(), with a listener that may close or
 * die at any point.
 *
 * Models claim_one() and seat_claim() with the caller's retry, seat_bind(),
 * seat_take(), seat_close(), execute_listener(), execute_seat() and what
 * estate_execute_all() does for the rest. One seat at a time in the row, so
 * that all meet; three connectors, of which the third comes after the first,
 * from the same process, and the second may die once it has claimed. The
 * executor may die and begin again.
 * Fences: the claim is a locked instruction, and a fence follows; CLOSED is
 * followed by a fence before the claims are looked at.
 *
 * Wanted: a connector that holds a seat is the one that the seat names, and
 * it was accepted, or is reset. One that holds no seat names none, and is
 * accepted nowhere.
 *
 * Mistakes: NO_CLOSE_FENCE, NO_LOOK_AGAIN (the connector believes its claim),
 * BELIEVE_CLAIM (the acceptor does not compare the name in the claimant's
 * half), STALE_CLAIM (it compares, but does not look at the claim again),
 * DROP_CLAIM (it withdraws an untrue claim of a claimant that lives: that one
 * may just have made it true),
 * SEAT_FIRST (the closing owner takes the seat's word away before the seat is
 * reset), PEER_LATE (the seat's word moves on before the seat names its
 * peer), KEEP_NAME (a connector that lost the race goes on naming the seat).
 */
#define CPUS 3
#define DEPTH 2
#define CONNECTORS 3
#define SEATS 4
#define TRIES 2

#define LSTATE 0          /* the listener: 0 LISTEN, 1 CLOSED */
#define SEAT 1            /* seats[0]: the half's number, 0 none */
#define CLAIM 2           /* claims[0]: the connector's number, 0 none */
#define NAME(j) (2 + (j)) /* connector j's half.peer */
#define SPEER(k) (5 + (k))     /* seat k's half.peer */
#define SSTATE(k) (9 + (k))    /* 0 SEAT, 1 OPEN, 2 RELEASED, 3 a newer generation */
#define SEND(k) (13 + (k))     /* seat k's end */
#define WORDS 18
#include "tso.h"

#define NOWHERE 99
byte got[CONNECTORS + 1]; /* seat that it holds, NOWHERE; 0: not known yet */
bool accepted[SEATS + 1];
byte made = 1;            /* seats made so far */
bool dead[CONNECTORS + 1];
bool ended;

#define CAS(c, A, OLD, NEW, OK) \
	atomic { LOCK(c); OK = (mem[A] == OLD); \
		if :: OK -> mem[A] = NEW :: else fi }

/* A guard with SEEN() is a load and a branch. */
inline connect(c, j, may_die)
{
	tries = 0;
again:
	atomic { seat = 0; w = 0; ok = false };
	if
	:: SEEN(c, LSTATE) || tries == TRIES -> goto refused
	:: else -> tries++
	fi;
	LD(c, SEAT, seat);
	if
	:: !seat || SEEN(c, CLAIM) -> goto again
	:: else
	fi;
	ST(c, NAME(j), seat);
	CAS(c, CLAIM, 0, j, ok);
	if
	:: !ok -> goto again
	:: ok
	:: ok && may_die -> goto dies
	fi;
#ifndef NO_LOOK_AGAIN
	if
	:: !SEEN(c, LSTATE) ->
		if
		:: SEEN(c, SEAT) == seat -> goto seated
		:: else
		fi
	:: else
	fi;
	/* The generation, then the name. */
	if
	:: SEEN(c, SSTATE(seat)) != 3 ->
		if
		:: SEEN(c, SPEER(seat)) == j -> goto seated
		:: else
		fi
	:: else
	fi;
	CAS(c, CLAIM, j, 0, ok);
	if
	:: SEEN(c, SSTATE(seat)) != 3 ->
		if
		:: SEEN(c, SPEER(seat)) == j -> goto seated
		:: else
		fi
	:: else
	fi;
	goto again;
#endif
seated:
	got[j] = seat;
	goto out;
dies:
	dead[j] = true;
	got[j] = NOWHERE;
	goto out;
refused:
#ifndef KEEP_NAME
	ST(c, NAME(j), 0);
#endif
	FENCE(c);
	assert(mem[NAME(j)] == 0);
	got[j] = NOWHERE;
out:
	atomic { seat = 0; w = 0; ok = false; tries = 0 }
}

proctype connector_twice()
{
	byte seat, w, tries;
	bool ok;

	connect(0, 1, false);
	connect(0, 3, false)
}

proctype connector_once()
{
	byte seat, w, tries;
	bool ok;

	connect(1, 2, true)
}

#ifdef BELIEVE_CLAIM
#define TRUE_NAME(a, seat) true
#else
#define TRUE_NAME(a, seat) (SEEN(2, NAME(a)) == seat)
#endif
#define DIE if :: goto died :: skip fi

proctype listener()
{
	byte a, w, seat, k;
	bool ok;

	/* seat_take(), again and again. */
	do
	:: goto close
	:: goto died
	:: SEEN(2, CLAIM) != 0 ->
		LD(2, CLAIM, a);
		LD(2, SEAT, seat);
		if
		:: !a || !seat -> goto next
		:: else
		fi;
		if
		:: !TRUE_NAME(a, seat) ->
#ifndef DROP_CLAIM
			/* It lives, and takes its claim back itself. */
			if
			:: !dead[a] -> goto next
			:: else
			fi;
#endif
			CAS(2, CLAIM, a, 0, ok);
			goto next
		:: else
		fi;
#ifndef STALE_CLAIM
		/* It names the seat, and it still claims it. */
		if
		:: SEEN(2, CLAIM) != a -> goto next
		:: else
		fi;
#endif
#ifndef PEER_LATE
		ST(2, SPEER(seat), a);
		DIE;
#endif
		ST(2, SSTATE(seat), 1);
		DIE;
		/* seat_make() may fail. */
		w = (made < SEATS -> made + 1 : 0);
		made = (w -> w : made);
		ST(2, SEAT, w);
#ifdef PEER_LATE
		ST(2, SPEER(seat), a);
#endif
		DIE;
		ST(2, CLAIM, 0);
		accepted[seat] = true;
next:
		atomic { a = 0; w = 0; seat = 0; ok = false }
	od;

close:
	ST(2, LSTATE, 1);
#ifndef NO_CLOSE_FENCE
	FENCE(2);
#endif
	DIE;
	LD(2, SEAT, seat);
	LD(2, CLAIM, a);
#ifdef SEAT_FIRST
	ST(2, SEAT, 0);
	DIE;
#endif
	if
	:: seat && a -> ok = (SEEN(2, NAME(a)) == seat)
	:: else -> ok = false
	fi;
	if
	:: ok ->
		ST(2, SPEER(seat), a);
		DIE;
		atomic { LOCK(2); mem[SEND(seat)] = 1 };
		DIE;
		ST(2, SSTATE(seat), 2)
	:: seat && !ok -> ST(2, SSTATE(seat), 3)
	:: else
	fi;
	DIE;
	ST(2, SEAT, 0);
	goto done;

died:
	/* execute_listener() */
	atomic { a = 0; w = 0; seat = 0; ok = false };
	ST(2, LSTATE, 1);
	FENCE(2);
	LD(2, SEAT, seat);
	LD(2, CLAIM, a);
	if
	:: seat && mem[SSTATE(seat)] == 0 ->
		LD(2, SPEER(seat), w);
		if
		:: w == 0 && a -> LD(2, NAME(a), w);
			if
			:: w == seat -> ST(2, SPEER(seat), a); w = a
			:: else -> w = 0
			fi
		:: else
		fi;
		FENCE(2);
		DIE;
		if
		:: w -> atomic { LOCK(2); mem[SEND(seat)] = 1 }
		:: else
		fi;
		DIE;
		ST(2, SSTATE(seat), 2)
	:: else
	fi;
	FENCE(2);
	DIE;
	/* The rest of its halves. */
	k = 1;
	do
	:: k > made -> break
	:: k <= made ->
		d_step {
			if
			:: mem[SSTATE(k)] < 2 && mem[SPEER(k)] -> mem[SEND(k)] = 1
			:: else
			fi;
			if
			:: mem[SSTATE(k)] < 2 -> mem[SSTATE(k)] = 2
			:: else
			fi
		};
		k++
	od;
	k = 0;
done:
	FENCE(2);
	ended = true
}

init {
	byte j;

	mem[SEAT] = 1;
	atomic { run connector_twice(); run connector_once(); run listener() };
	ended && got[1] && got[2] && got[3] && sb[0].n == 0 && sb[1].n == 0;
	d_step {
		for (j : 1 .. CONNECTORS) {
			if
			:: got[j] != NOWHERE ->
				assert(mem[SPEER(got[j])] == j);
				assert(accepted[got[j]] || mem[SEND(got[j])]);
				assert(mem[SSTATE(got[j])] != 3)
			:: else
			fi
		}
		for (j : 1 .. SEATS) {
			if
			:: accepted[j] ->
				assert(got[mem[SPEER(j)]] == j || dead[mem[SPEER(j)]])
			:: else
			fi
		}
	}
}
