/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.pml - Publication of bytes, and a ring that moves from one stretch of
 * memory to another.
 *
 * Models conn_send(), conn_tx_switch(), tx_retire(), conn_tx_refresh() against
 * conn_recv(), conn_rx_refresh(), rx_locate(), rx_piece(), rx_publish(). Memory is
 * three blocks of two bytes; byte number i of the stream has the value i + 1.
 * A block that is given back is at once written to by another connection. The
 * writer moves to another block whenever it likes. Two processes share the
 * reader's side: they move the head by compare-and-swap, each with its own
 * cached extent; the second takes or peeks (CONN_PEEK) a few times.
 * Orders: bytes before ext_count and tail; the extent's entry before
 * ext_count; ext_count before the tail that it covers; the copy before the
 * head. These are releases: on x86 plain stores, which a store buffer keeps
 * in order. So the mistakes here are orders, not fences.
 *
 * Wanted: what a reader takes, or returns from a peek, are the stream's bytes.
 *
 * Mistakes: TAIL_FIRST (before the byte), COUNT_LATE (ext_count after the
 * tail), COUNT_FIRST (ext_count before its entry), NO_COUNT (the reader does
 * not compare ext_count), RETIRE_EARLY (the old block is given back at the
 * switch), HEAD_FIRST (before the copy), HEAD_STORE (two readers, no
 * compare-and-swap), PEEK_ONCE (a peek does not look whether the head moved).
 */
#define CPUS 3
#define DEPTH 2
#define TAIL 0
#define HEAD 1
#define COUNT 2
#define EXTENTS 3
#define FIRST(n) (3 + (n) % EXTENTS)
#define WHERE(n) (6 + (n) % EXTENTS)
#define BLOCK 2
#define BYTE(b, i) (9 + (b) * BLOCK + (i) % BLOCK)
#define BLOCKS 3
#define WORDS 15
#ifndef BYTES
#define BYTES 3
#endif
#ifndef SWITCHES
#define SWITCHES 2
#endif
#ifndef PEEKS
#define PEEKS 1
#endif
#define NONE 99
#include "tso.h"

byte live;          /* ext_live: the writer's alone */
bool busy[BLOCKS];

/* Give back what the reader has left behind. */
inline retire()
{
	do
#ifdef RETIRE_EARLY
	:: count - live > 1 ->
#else
	:: count - live > 1 && SEEN(0, FIRST(live + 1)) <= head ->
#endif
		LD(0, WHERE(live), b);
		live++;
		/* party_ring_free() takes a lock. Then somebody else's bytes. */
		atomic {
			FENCE(0);
			busy[b] = false;
			mem[BYTE(b, 0)] = NONE;
			mem[BYTE(b, 1)] = NONE;
			b = 0
		}
	:: else -> break
	od
}

proctype writer()
{
	byte tail, head, count, block, first, b;

	count = 1;
	do
	:: tail == BYTES -> break
	:: tail < BYTES && tail - (head > first -> head : first) < BLOCK ->
#ifdef TAIL_FIRST
		ST(0, TAIL, tail + 1);
		ST(0, BYTE(block, tail - first), tail + 1);
#else
		ST(0, BYTE(block, tail - first), tail + 1);
#ifdef COUNT_LATE
		ST(0, TAIL, tail + 1);
		ST(0, COUNT, count);
#else
		ST(0, TAIL, tail + 1);
#endif
#endif
		tail++
	:: SEEN(0, HEAD) > head ->
		LD(0, HEAD, head);
		retire()
	:: tail < BYTES && count <= SWITCHES && count - live < EXTENTS - 1 &&
	   !(busy[0] && busy[1] && busy[2]) ->
		if
		:: !busy[0] -> block = 0
		:: !busy[1] -> block = 1
		:: !busy[2] -> block = 2
		fi;
		busy[block] = true;
		first = tail;
#ifdef COUNT_FIRST
		ST(0, COUNT, count + 1);
#endif
		ST(0, FIRST(count), tail);
		ST(0, WHERE(count), block);
		count++;
#if !defined(COUNT_FIRST) && !defined(COUNT_LATE)
		ST(0, COUNT, count);
#endif
		retire()
	od
}

proctype reader(byte c; byte times)
{
	byte at, tail, n, block, rx_first, rx_limit, rx_count, got, ext;
	bool ok;

	do
	:: SEEN(c, HEAD) == BYTES || !times -> break
	:: else ->
		LD(c, HEAD, at);
		/* conn_rx_refresh(), where the cached tail does not do. */
		if
		:: tail <= at ->
			LD(c, TAIL, tail);
#ifndef NO_COUNT
			if
			:: SEEN(c, COUNT) != rx_count -> rx_limit = 0
			:: else
			fi
#endif
		:: else
		fi;
		if
		:: tail <= at -> goto next
		:: else
		fi;
		/* rx_locate() */
		if
		:: at < rx_first || at >= rx_limit ->
			atomic {
				LD(c, COUNT, n);
				rx_count = n;
				ok = false;
				rx_limit = NONE;
				ext = (n > EXTENTS -> n - EXTENTS : 0)
			};
			do
			:: n == ext -> break
			:: else ->
				atomic {
					n--;
					LD(c, FIRST(n), rx_first);
					if
					:: rx_first > at -> rx_limit = rx_first
					:: else -> ok = true; break
					fi
				}
			od;
			atomic {
				if
				:: ok -> LD(c, WHERE(n), block); n = 0; ext = 0
				:: else ->
					/* Only another reader's progress excuses it. */
					rx_limit = 0; n = 0; ext = 0;
					assert(SEEN(c, HEAD) > at);
					goto next
				fi
			}
		:: else
		fi;
#ifdef HEAD_FIRST
		atomic { LOCK(c); ok = (mem[HEAD] == at);
			mem[HEAD] = (ok -> at + 1 : mem[HEAD]) };
		LD(c, BYTE(block, at - rx_first), got);
#else
		LD(c, BYTE(block, at - rx_first), got);
		if
		:: c == 2 ->
#ifdef PEEK_ONCE
			ok = true
#else
			ok = (SEEN(c, HEAD) == at)
#endif
		:: true ->
#ifdef HEAD_STORE
			ok = true;
			ST(c, HEAD, at + 1)
#else
			atomic { LOCK(c); ok = (mem[HEAD] == at);
				mem[HEAD] = (ok -> at + 1 : mem[HEAD]) }
#endif
		fi;
#endif
		atomic {
			assert(!ok || got == at + 1);
			/* The first one reads on to the end. */
			times = (c == 2 -> times - 1 : times)
		};
next:
		atomic { got = 0; at = 0; ok = false }
	od
}

init {
	mem[COUNT] = 1; /* the first extent: block 0, from byte 0 on */
	busy[0] = true;
	atomic { run writer(); run reader(1, 1); run reader(2, PEEKS) }
}
