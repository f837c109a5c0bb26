/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * close.c - A close against a send of the other side: either the closer sees
 * the bytes (RST), or their sender sees that it met a closed socket. Never
 * neither: that would be a byte that is lost in silence. And the slots of both
 * are used again while it goes on. One mapping.
 */
#include <pthread.h>
#include <sched.h>

#include "../unit/world.h"

#define ROUNDS 20000u

static struct conn a, b;
static _Atomic uint32_t turn, done;
static struct world *w;

static void await(_Atomic uint32_t *word, uint32_t value)
{
	for (unsigned i = 0; load_acquire(word) != value; i++) {
		if (i < 2000)
			cpu_relax();
		else
			sched_yield();
	}
}

static void *closer(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		await(&turn, i);
		for (volatile unsigned k = 0; k < i % 97; k++)
			;
		world_close(&b);
		store_release(&done, i);
	}
	return NULL;
}

int main(void)
{
	unsigned rst = 0, met = 0, late = 0;
	pthread_t t;

	alarm(100);
	w = world_make(2);
	w->one_mapping = true;
	must(pthread_create(&t, NULL, closer, NULL) == 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		bool saw_rst, saw_met;
		ssize_t r;
		char c;

		world_pair(w, &a, &b);
		store_release(&turn, i);
		for (volatile unsigned k = 0; k < i * 7919 % 1500; k++)
			;
		r = conn_send(&a, "x", 1);
		await(&done, i);
		saw_rst = load_acquire(&a.peer->end) & END_RST;
		saw_met = load_relaxed(&a.own->side) & SIDE_MET_CLOSED;
		must(r == 1 || r == -ECONNRESET || r == -EPIPE);
		must(r != 1 || saw_rst || saw_met);
		rst += saw_rst;
		met += saw_met;
		late += r < 0;
		/* It hears of it, whatever it does next. */
		r = conn_send(&a, "x", 1);
		must(r < 0);
		r = conn_recv(&a, &c, 1, 0, 0);
		must(r == 0 || r == -ECONNRESET);
		world_close(&a);
	}
	pthread_join(t, NULL);
	printf("# reset %u, met closed %u, too late %u\n", rst, met, late);
	must(w->of[1].p->slots_made < 50 && w->of[2].p->slots_made < 50);
	return 0;
}
