/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connect.c - Connectors of two parties against an acceptor whose listener
 * closes and opens again. Whoever is told that it is connected is either
 * served, or reset; nobody is left waiting. One mapping.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "../unit/world.h"
#include "base/clock.h"

#define CONNECTS 10000u

struct shared {
	struct world *w;
	_Atomic bool stop;
	_Atomic uint32_t served, reset, refused, full, accepted;
};

struct connector {
	struct shared *s;
	unsigned id;
};

/* Ends of connections are seen within this time, or never. */
#define NEVER_NS (20 * NS_PER_SEC)

static void *connector(void *arg)
{
	struct connector *me = arg;
	struct shared *s = me->s;
	struct party *p = s->w->of[me->id].p;

	for (unsigned i = 0; i < CONNECTS; i++) {
		uint64_t until = clock_now_ns() + NEVER_NS;
		struct half *own;
		struct conn c;
		ssize_t r;
		char byte;

		r = world_connect(s->w, me->id, 80, &c, &own);
		must(r == 0 || r == -EAGAIN || r == -ECONNREFUSED || r == -ENOENT);
		if (r < 0) {
			atomic_fetch_add(r == -EAGAIN ? &s->full : &s->refused, 1);
			half_release(own);
			party_slot_retire(p, arena_slot(p->base, own));
			sched_yield();
			continue;
		}
		byte = (char)me->id;
		r = conn_send(&c, &byte, 1);
		must(r == 1 || r == -ECONNRESET || r == -EPIPE);
		/* An answer, or an end. */
		while ((r = conn_recv(&c, &byte, 1, 0, 0)) == -EAGAIN) {
			must(clock_now_ns() < until);
			sched_yield();
		}
		if (r == 1) {
			must(byte == (char)(me->id + 1));
			atomic_fetch_add(&s->served, 1);
		} else {
			atomic_fetch_add(&s->reset, 1);
		}
		world_close(&c);
	}
	return NULL;
}

static void serve(struct shared *s, struct conn *b)
{
	uint64_t until = clock_now_ns() + NEVER_NS;
	ssize_t r;
	char byte;

	atomic_fetch_add(&s->accepted, 1);
	while ((r = conn_recv(b, &byte, 1, 0, 0)) == -EAGAIN) {
		must(clock_now_ns() < until);
		sched_yield();
	}
	if (r == 1) {
		must(addr_word_port(load_relaxed(&b->own->local)) == 80);
		byte++;
		must(conn_send(b, &byte, 1) == 1);
	}
	world_close(b);
}

static void *acceptor(void *arg)
{
	struct shared *s = arg;
	struct party *p = s->w->of[2].p;
	uint64_t seed = dice_seed();

	while (!load_relaxed(&s->stop)) {
		struct half *l = world_listen(s->w, 2, 80, 3);
		uint64_t cursor = 0, until = clock_now_ns() + dice(&seed) % (300 * NS_PER_US);
		struct conn b;

		while (clock_now_ns() < until) {
			int r = seat_take(p, l, &cursor, 5, &b);

			must(r == 0 || r == -EAGAIN);
			if (r == 0)
				serve(s, &b);
			else
				sched_yield();
		}
		registry_unlisten(s->w->reg, addr_word_make(WORLD_ADDR, 80), half_ref_of(p, l));
		seat_close(p, l);
		party_slot_retire(p, arena_slot(p->base, l));
	}
	return NULL;
}

int main(void)
{
	struct shared s = { .w = world_make(3) };
	struct connector c[2] = { { &s, 1 }, { &s, 3 } };
	pthread_t t[3];

	alarm(110);
	s.w->one_mapping = true;
	must(pthread_create(&t[2], NULL, acceptor, &s) == 0);
	for (unsigned i = 0; i < 2; i++)
		must(pthread_create(&t[i], NULL, connector, &c[i]) == 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	store_relaxed(&s.stop, true);
	pthread_join(t[2], NULL);
	printf("# served %u, reset %u, refused %u, full %u, accepted %u\n", s.served, s.reset,
	       s.refused, s.full, s.accepted);
	must(s.served + s.reset + s.refused + s.full == 2 * CONNECTS);
	must(s.served > 0 && s.served <= s.accepted);
	/* Nothing is left behind. */
	for (unsigned i = 0; i < 3; i++)
		for (unsigned id = 1; id <= 3; id++)
			party_peers_sweep(s.w->of[id].p);
	for (unsigned id = 1; id <= 3; id++) {
		struct party *p = s.w->of[id].p;

		must(p->zombie_count == 0);
		must(p->free_slot_count == p->slots_made);
		must(p->ring_used_bytes == 0);
		for (unsigned o = 0; o < WORLD_PARTIES; o++)
			must(o == id || !p->peers[o] || p->peers[o]->refs == 0);
	}
	return 0;
}
