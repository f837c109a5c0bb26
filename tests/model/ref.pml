/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ref.pml - A close against a send in another thread of one process.
 *
 * Models fdtab_get_slow(), fdtab_put(), fdtab_remove(), fdtab_install() and
 * the object's last(): one thread sends on a descriptor, another closes it
 * and opens a new socket, which takes the same object out of the pool, under
 * the same number or another one.
 * Fences: the count and the table are changed by locked instructions; a
 * fresh object's count is a plain store before its number's entry.
 *
 * Wanted: last() comes once in each life, not while a call uses the object,
 * and a call uses only an object that its descriptor referred to.
 *
 * Mistakes: NO_ZERO_CHECK (a count of zero is incremented), NO_RECHECK (the
 * table is not looked at again), END_AT_CLOSE (close() does not wait for the
 * count).
 */
#define CPUS 2
#define DEPTH 2
#define REFS 0     /* of the one object */
#define ENTRY(f) (1 + (f))
#define WORDS 3
#include "tso.h"

byte number;    /* which number the object's present life belongs to */
bool alive = true;
bool in_use, in_pool, closed_all;

inline last()
{
	d_step {
		assert(alive && !in_use);
		alive = false;
		in_pool = true
	}
}

#define PUT(c) \
	atomic { LOCK(c); mem[REFS]--; n = mem[REFS] }; \
	if \
	:: n == 0 -> last() \
	:: else \
	fi

proctype sends()
{
	byte n, i;

	do
	:: i == 2 -> break
	:: else ->
		i++;
get:
		n = 0;
		if
		:: SEEN(0, ENTRY(0)) == 0 -> goto next
		:: else
		fi;
#ifdef NO_ZERO_CHECK
		atomic { LOCK(0); mem[REFS]++ };
#else
again:
		LD(0, REFS, n);
		if
		:: n == 0 -> goto get
		:: atomic { n != 0 && LOCK(0) && mem[REFS] == n -> mem[REFS] = n + 1 }
		:: n != 0 && LOCK(0) && mem[REFS] != n -> goto again
		fi;
#endif
#ifndef NO_RECHECK
		if
		:: SEEN(0, ENTRY(0)) == 0 -> PUT(0); goto get
		:: else
		fi;
#endif
		/* The call itself. */
		atomic { assert(alive && number == 0); in_use = true };
		in_use = false;
		PUT(0);
next:
		skip
	od
}

#define CLOSE(f) \
	atomic { LOCK(1); n = mem[ENTRY(f)]; mem[ENTRY(f)] = 0 }; \
	DROP

#ifdef END_AT_CLOSE
#define DROP last()
#else
#define DROP PUT(1)
#endif

proctype closes()
{
	byte n;

	CLOSE(0);
	if
	:: atomic { in_pool -> in_pool = false };
		if
		:: number = 0
		:: number = 1
		fi;
		alive = true;
		ST(1, REFS, 1);
		ST(1, ENTRY(number), 1);
		CLOSE(number)
	:: true
	fi;
	closed_all = true
}

init {
	mem[REFS] = 1;
	mem[ENTRY(0)] = 1;
	atomic { run sends(); run closes() };
	closed_all && _nr_pr == 2 && sb[0].n == 0 && sb[1].n == 0;
	assert(mem[REFS] == 0 && !alive)
}
