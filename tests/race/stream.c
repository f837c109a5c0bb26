/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - Both directions of a connection, a thread for each of the four
 * ends, with growth, trimming and futex sleeps. One mapping.
 */
#include <poll.h>
#include <pthread.h>

#include "../unit/world.h"
#include "base/clock.h"
#include "shm/futex.h"

#define BYTES (48ull << 20)

/* A side has a sender's and a receiver's thread: a view for each, as a
 * process that shares a socket has. */
struct end {
	struct conn *c;
	uint64_t seed;
};

static void wait_for(struct conn *c, uint32_t what, uint32_t events)
{
	uint32_t seen = load_acquire(&c->peer->event);

	conn_want_futex(c, what);
	if (!(conn_poll(c) & events))
		futex_wait(&c->peer->event, seen, clock_now_ns() + 5 * NS_PER_SEC);
	conn_unwant_futex(c, what);
}

static void *sender(void *arg)
{
	struct end *e = arg;
	uint64_t done = 0;

	while (done < BYTES) {
		/* Small ones now and then, so that rings shrink as well. */
		size_t len = 1 + dice(&e->seed) % (dice(&e->seed) % 16 ? 100000 : 200);
		ssize_t r;

		if (len > BYTES - done)
			len = (size_t)(BYTES - done);
		r = send_pattern(e->c, done, len);
		if (r == -EAGAIN) {
			conn_trim(e->c);
			wait_for(e->c, NOTIFY_SPACE, POLLOUT);
			continue;
		}
		must(r > 0);
		done += (uint64_t)r;
		if (dice(&e->seed) % 64 == 0)
			conn_trim(e->c);
	}
	conn_shutdown_write(e->c);
	return NULL;
}

static void *receiver(void *arg)
{
	struct end *e = arg;
	uint64_t done = 0;

	for (;;) {
		ssize_t r = recv_pattern(e->c, done, 1 + dice(&e->seed) % 65536);

		if (r == -EAGAIN) {
			wait_for(e->c, NOTIFY_DATA, POLLIN);
			continue;
		}
		must(r >= 0);
		if (r == 0)
			break;
		done += (uint64_t)r;
	}
	must(done == BYTES);
	return NULL;
}

int main(void)
{
	struct world *w;
	uint64_t seed = dice_seed();
	struct conn a, b;
	pthread_t t[4];
	struct end e[4];

	alarm(100);
	w = world_make(2);
	w->one_mapping = true;
	world_pair(w, &a, &b);
	for (unsigned i = 0; i < 4; i++) {
		e[i] = (struct end){ i & 1 ? &b : &a, dice(&seed) };
		must(pthread_create(&t[i], NULL, i < 2 ? sender : receiver, &e[i]) == 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	must(conn_take_error(&a) == 0 && conn_take_error(&b) == 0);
	world_close(&a);
	world_close(&b);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned id = 1; id <= 2; id++)
			party_peers_sweep(w->of[id].p);
	must(w->of[1].p->ring_used_bytes == 0 && w->of[2].p->ring_used_bytes == 0);
	return 0;
}
