/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tso.h - Memory with store buffers, as x86 has it.
 *
 * Promela alone is sequentially consistent, and would not miss a fence. Here
 * each processor has a first-in first-out buffer of stores. A load looks into
 * its own buffer first, then into memory. drain() empties the buffers at any
 * moment; a fence or a locked instruction waits until its own is empty.
 *
 * A model defines, before it includes this file: CPUS, WORDS (of memory) and
 * DEPTH (of a buffer; when it is full the processor waits).
 *
 * ST, LD: plain (relaxed, acquire, release are all the same on x86).
 * FENCE:  atomic_thread_fence(memory_order_seq_cst).
 * LOCK:   opens a locked instruction, to be used as
 *         atomic { LOCK(c); ... mem[A] ... }.
 */
typedef store_buffer {
	byte n;
	byte a[DEPTH];
	byte v[DEPTH];
}
store_buffer sb[CPUS];
byte mem[WORDS];

#define ST(c, A, V) \
	atomic { sb[c].n < DEPTH -> sb[c].a[sb[c].n] = (A); \
		 sb[c].v[sb[c].n] = (V); sb[c].n++ }

#if DEPTH == 2
#define SEEN(c, A) \
	((sb[c].n > 1 && sb[c].a[1] == (A)) -> sb[c].v[1] : \
	((sb[c].n > 0 && sb[c].a[0] == (A)) -> sb[c].v[0] : mem[A]))
#else
#define SEEN(c, A) \
	((sb[c].n > 2 && sb[c].a[2] == (A)) -> sb[c].v[2] : \
	((sb[c].n > 1 && sb[c].a[1] == (A)) -> sb[c].v[1] : \
	((sb[c].n > 0 && sb[c].a[0] == (A)) -> sb[c].v[0] : mem[A])))
#endif
#define LD(c, A, R) R = SEEN(c, A)

#define FENCE(c) (sb[c].n == 0)
#define LOCK(c) (sb[c].n == 0)

#define DRAIN_ONE(c) \
	d_step { sb[c].n > 0 -> \
		mem[sb[c].a[0]] = sb[c].v[0]; \
		sb[c].a[0] = sb[c].a[1]; sb[c].v[0] = sb[c].v[1]; \
		DRAIN_REST(c) \
		sb[c].n--; sb[c].a[sb[c].n] = 0; sb[c].v[sb[c].n] = 0 }
#if DEPTH == 2
#define DRAIN_REST(c)
#else
#define DRAIN_REST(c) sb[c].a[1] = sb[c].a[2]; sb[c].v[1] = sb[c].v[2];
#endif

active proctype drain()
{
end:
	do
	:: DRAIN_ONE(0)
	:: DRAIN_ONE(1)
#if CPUS > 2
	:: DRAIN_ONE(2)
#endif
#if CPUS > 3
	:: DRAIN_ONE(3)
#endif
	od
}
