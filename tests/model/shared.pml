/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shared.pml - A listener that two processes accept from, neither of which
 * made it: claims, the move to another half, following, and a seat that is
 * made anew.
 *
 * Models seat_take_shared(), take_away(), seat_renew(), conn_follow(),
 * conn_notify(), and execute_stream() for either side. One seat in the row, so
 * that all meet; two connections, one after the other, the second of which
 * needs the seat that the first one had. Acceptor X may die at any step, also
 * with the seat's lock held, which Y then takes; it may stop anywhere, since nobody
 * makes a process go on. The first connector may die at any step from its
 * claim on. Each publishes once while it is being accepted; whoever accepted
 * sleeps until there is something.
 * Fences: END_MOVED is a locked instruction, WANT_MOVED is followed by a fence;
 * publication, fence, look at want; want, fence, look at what was published.
 * half_renew() after its fence is one step here. See defer.pml, too, which this
 * is a part of.
 *
 * Wanted: each connection is accepted once, and by one who lives what was
 * published, or the end, is noticed; one that X took is lost only with X.
 * Nobody sleeps for ever, and the second connector finds the seat. A connector
 * meets the half that names it, and never a seat that is another's.
 *
 * Mistakes: NO_LOCK, MOVED_FIRST (the seat says moved before there is a half),
 * MOVED_UNWANTED (the wish that says so is not set), NO_SECOND_LOOK (who follows does not
 * look at the new half's want), NO_WAKE (who sleeps on the seat's word is left
 * there), SEAT_SLEEPS (likewise by the executor of X), TIDY_EARLY (made anew
 * without asking whether its connector has followed), TIDY_DEAD (a dead
 * connector's at once), CLAIM_FIRST (the claim goes before the seat's word),
 * CLEAR_RENEWED (the claim of a seat that is being made anew is taken for
 * untrue), SKIP_RENEWED (what one who died left half made stays so),
 * BELIEVE_CLAIM, NO_EXEC_FOLLOW (the connector's executor does not follow),
 * NO_EXEC_AGAIN (nor look whether it was accepted in between).
 */
#define CPUS 3
#define DEPTH 2

#define DEFERRED 4         /* in a claim: CLAIM_DEFERRED */
#ifdef DEFERS
#define MARK DEFERRED
#else
#define MARK 0
#endif

#define SEATW 0            /* the seat's word: its generation */
#define SGEN 1             /* the generation that the half has */
#define CLAIM 2
#define SPEER 3
#define SMOVED 4
#define SEND 5             /* 1: END_MOVED */
#define SWANT 6            /* 1: WANT_MOVED */
#define NAME(j) (6 + (j))  /* connector j's half.peer: 1..3 the seat, 3 + h a half */
#define STATE(j) (8 + (j)) /* 0 CONNECTING, 1 OPEN or later */
#define TAIL(j) (10 + (j))
#define CEND(j) (12 + (j))
#define CWANT(j) (14 + (j))
#define HPEER(h) (16 + (h)) /* halves 1, 2 are X's, 3, 4 are Y's */
#define HWANT(h) (20 + (h))
#define WORDS 25
#include "tso.h"

byte lock;             /* half.rx_lock: 1 X, 2 Y */
bool x_dead;
bool wake_c[3], wake_h[5];
byte taken[3];
bool served[3], lost[3], dead[3];
bool connected;

#define CAS(c, A, OLD, NEW, OK) \
	atomic { LOCK(c); OK = (mem[A] == OLD); \
		if :: OK -> mem[A] = NEW :: else fi }
#define BY_SEAT(n) ((n) <= 3)

/* at: 0 while the peer is the seat, else the half. */
inline follow(c, j)
{
	if
	:: at == 0 && SEEN(c, SEND) ->
		LD(c, SMOVED, w);
		/* Still the same generation: so it was of ours. */
		assert(SEEN(c, SGEN) == seat);
		assert(w && SEEN(c, HPEER(w)) == j);
		at = w;
		ST(c, NAME(j), 3 + at)
	:: else -> assert(at || SEEN(c, SGEN) == seat)
	fi;
	w = 0
}

inline look_at_want(c)
{
	FENCE(c);
	LD(c, (at -> HWANT(at) : SWANT), w);
	if
	:: w && at -> wake_h[at] = true
	:: w && !at -> moved_on = true
	:: else
	fi;
	w = 0
}

/* seat_speaks() */
inline speak(c, j)
{
	if
	:: !at -> CAS(c, CLAIM, j + DEFERRED, j, ok)
	:: else
	fi
}

#define DIES if :: j == 1 -> goto died :: skip fi

proctype connector()
{
	byte j = 1, seat, at, w;
	bool ok, moved_on;

next:
	atomic { seat = 0; at = 0; w = 0; ok = false };
	/* Another try is of no use before something has changed. */
	(mem[CLAIM] == 0 && sb[0].n == 0);
	LD(0, SEATW, seat);
	ST(0, NAME(j), seat);
	CAS(0, CLAIM, 0, j + MARK, ok);
	if
	:: !ok -> goto next
	:: else
	fi;
	if
	:: SEEN(0, SEATW) == seat -> goto seated
	:: else
	fi;
	if
	:: SEEN(0, SGEN) == seat ->
		if
		:: SEEN(0, SPEER) == j -> goto seated
		:: else
		fi
	:: else
	fi;
	CAS(0, CLAIM, j + MARK, 0, ok);
	if
	:: SEEN(0, SGEN) == seat ->
		if
		:: SEEN(0, SPEER) == j -> goto seated
		:: else
		fi
	:: else
	fi;
	goto next;
seated:
	ST(0, STATE(j), 1);
	DIES;
	/* conn_send() */
	ST(0, TAIL(j), 1);
	DIES;
	look_at_want(0);
	if
	:: moved_on ->
		moved_on = false;
		follow(0, j);
		DIES;
#ifndef NO_SECOND_LOOK
		look_at_want(0)
#endif
	:: else
	fi;
#ifndef STAYS_SILENT
	speak(0, j);
#endif
	/* Else nobody would ever look at it. */
	assert(at || mem[CLAIM] != j + DEFERRED);
	/* conn_recv(): it sleeps on the word of its peer, while that is the seat. */
	do
	:: at -> break
	:: else ->
		wake_c[j] = false;
		ST(0, CWANT(j), 1);
		FENCE(0);
		if
		:: SEEN(0, SEND) -> follow(0, j)
		:: else ->
			if
			:: wake_c[j]
			:: j == 1 && !wake_c[j] -> goto died
			fi
		fi
	od;
	DIES;
	goto over;

died:
	/* execute_stream(), in the daemon. */
	dead[j] = true;
	FENCE(0);
	atomic { at = 0; w = 0; moved_on = false; LD(0, NAME(j), w);
		at = (BY_SEAT(w) -> 0 : w - 3); w = 0 };
	if
	:: !at && SEEN(0, SGEN) != seat -> goto unseen
	:: else
	fi;
#ifndef NO_EXEC_FOLLOW
	follow(0, j);
#endif
	atomic { LOCK(0); mem[CEND(j)] = 1 };
	ST(0, STATE(j), 1);
	look_at_want(0);
#ifndef NO_EXEC_AGAIN
	if
	:: moved_on ->
		moved_on = false;
#ifndef NO_EXEC_FOLLOW
		follow(0, j);
#endif
		if
		:: at -> look_at_want(0)
		:: else
		fi
	:: else
	fi;
#endif
#ifndef EXEC_SILENT
	speak(0, j);
#endif
	goto over;
unseen:
	/* Nobody can be told. */
	atomic { LOCK(0); mem[CEND(j)] = 1 };
over:
	moved_on = false;
	FENCE(0);
	if
	:: j == 1 -> j = 2; goto next
	:: else
	fi;
	connected = true
}

#define OF_SEAT(n) ((n) == mem[SEATW])
#ifdef SKIP_RENEWED
#define HALF_MADE false
#else
#define HALF_MADE (mem[SGEN] != mem[SEATW])
#endif
/* Is there anything to be done? Else it would look for ever. */
#define TO_TAKE (mem[CLAIM] && mem[CLAIM] < DEFERRED && !mem[SEND] && mem[SGEN] == mem[SEATW] && \
		 (OF_SEAT(mem[NAME(mem[CLAIM])]) || mem[STATE(mem[CLAIM])]))
#ifdef CLEAR_RENEWED
#define TO_CLEAR (mem[CLAIM] && mem[SGEN] != mem[SEATW])
#elif defined(CLEAR_DEFERRED)
#define TO_CLEAR (mem[CLAIM] > DEFERRED && mem[STATE(mem[CLAIM] - DEFERRED)])
#else
#define TO_CLEAR false
#endif
#ifdef TIDY_EARLY
#define LEFT(c, a) true
#else
#ifdef TIDY_DEAD
#define LEFT(c, a) (dead[a] || SEEN(c, NAME(a)) != g)
#else
#define LEFT(c, a) (SEEN(c, NAME(a)) != g)
#endif
#endif
#define TO_TIDY (HALF_MADE || (mem[SEND] && mem[SPEER] && \
		 (!OF_SEAT(mem[NAME(mem[SPEER])]) || dead[mem[SPEER]])))

#define MAY_DIE if :: me == 1 -> goto died :: skip fi

proctype acceptor(byte me)
{
	byte a, g, h;
	bool ok;

#define C me
again:
	atomic { a = 0; g = 0; h = 0; ok = false };
end:
	if
	:: TO_TAKE || TO_TIDY || TO_CLEAR ||
	   (mem[SEND] && !OF_SEAT(mem[NAME(mem[SPEER])]))
	:: me == 1 && !connected -> goto died
	fi;
	/* half_trylock(): of one who died it is taken. */
#ifndef NO_LOCK
	atomic {
		if
		:: lock == 0 -> lock = me
		:: lock == 1 && me == 2 && x_dead && sb[1].n == 0 -> lock = me
		fi
	};
#endif
	FENCE(C);
	LD(C, CLAIM, a);
	LD(C, SEATW, g);
	/* seat_is_moved() */
	if
	:: !a || SEEN(C, SEND) -> goto tidy
	:: else
	fi;
#ifndef CLEAR_RENEWED
	if
	:: SEEN(C, SGEN) != g -> goto tidy
	:: else
	fi;
#endif
	/* claim_defers() */
	if
	:: a >= DEFERRED ->
#ifdef CLEAR_DEFERRED
		CAS(C, CLAIM, a, 0, ok);
#endif
		goto tidy
	:: else
	fi;
	/* claim_believed() */
#ifndef BELIEVE_CLAIM
	if
	:: SEEN(C, NAME(a)) != g || SEEN(C, SGEN) != g ->
		if
		:: SEEN(C, STATE(a)) -> CAS(C, CLAIM, a, 0, ok)
		:: else
		fi;
		goto tidy
	:: else
	fi;
	if
	:: SEEN(C, CLAIM) != a -> goto tidy
	:: else
	fi;
#endif
	/* take_away() */
	h = (me - 1) * 2 + a;
#ifndef MOVED_FIRST
	ST(C, HPEER(h), a);
	MAY_DIE;
#endif
	ST(C, SPEER, a);
	ST(C, SMOVED, h);
	MAY_DIE;
	atomic { LOCK(C); mem[SEND] = 1; taken[a]++ };
	assert(taken[a] == 1);
	MAY_DIE;
#ifdef MOVED_FIRST
	ST(C, HPEER(h), a);
#endif
#ifndef MOVED_UNWANTED
	ST(C, SWANT, 1);
#endif
	FENCE(C);
	MAY_DIE;
#ifndef NO_WAKE
	if
	:: SEEN(C, CWANT(a)) -> wake_c[a] = true
	:: else
	fi;
#endif
tidy:
	LD(C, SEATW, g);
	if
	:: SEEN(C, SGEN) == g ->
		a = 0;
		LD(C, SPEER, a);
		if
		:: !SEEN(C, SEND) || !a -> goto unlock
		:: else
		fi;
		if
		:: !LEFT(C, a) -> goto unlock
		:: else
		fi;
		/* half_renew() */
		ST(C, SGEN, g + 1);
		FENCE(C);
		MAY_DIE;
		d_step { mem[SPEER] = 0; mem[SMOVED] = 0; mem[SEND] = 0; mem[SWANT] = 0 };
		MAY_DIE
	:: else ->
#ifdef SKIP_RENEWED
		goto unlock
#else
		/* seat_init() of what is zero already, or was about to be. */
		d_step { mem[SPEER] = 0; mem[SMOVED] = 0; mem[SEND] = 0; mem[SWANT] = 0 }
#endif
	fi;
#ifdef CLAIM_FIRST
	ST(C, CLAIM, 0);
	MAY_DIE;
#endif
	ST(C, SEATW, g + 1);
	MAY_DIE;
#ifndef CLAIM_FIRST
	ST(C, CLAIM, 0);
#endif
unlock:
	FENCE(C);
	MAY_DIE;
#ifndef NO_LOCK
	atomic { LOCK(C); lock = 0 };
#endif
	/* What it took: it sleeps until there is something. */
	do
	:: h == 0 -> break
	:: else ->
		a = h - (me - 1) * 2;
		wake_h[h] = false;
		ST(C, HWANT(h), 1);
		FENCE(C);
		if
		:: SEEN(C, TAIL(a)) || SEEN(C, CEND(a)) ->
			served[a] = true;
			break
		:: else ->
			if
			:: wake_h[h]
			:: me == 1 && !wake_h[h] -> goto died
			fi
		fi
	od;
	goto again;

died:
	FENCE(C);
	x_dead = true;
	/* execute_stream() of what the handle map names. */
	h = 1;
	do
	:: h > 2 -> break
	:: else ->
		a = mem[HPEER(h)];
		if
		:: a ->
			d_step {
				lost[a] = lost[a] || mem[NAME(a)] == 3 + h ||
					  (mem[SEND] && mem[SMOVED] == h && mem[SPEER] == a);
#ifndef SEAT_SLEEPS
				/* execute_wake_seat() */
				if
				:: mem[SEND] && mem[NAME(a)] == mem[SGEN] -> wake_c[a] = true
				:: else
				fi
#endif
			}
		:: else
		fi;
		h++
	od
}

init {
	atomic {
		mem[SEATW] = 1;
		mem[SGEN] = 1;
		run connector();
		run acceptor(1);
		run acceptor(2)
	};
	connected && (served[1] || lost[1]) && (served[2] || lost[2]);
	assert(taken[1] == 1 && taken[2] == 1)
}
