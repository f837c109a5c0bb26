/* SPDX-License-Identifier: BSD-2-Clause */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

/* Party 1 dies in most tests; party 2 looks on; party 0 executes. */
struct two {
	struct world *w;
	struct conn a, b;
	struct peer *dead[3];
};

static int setup(void **state)
{
	struct two *t = calloc(1, sizeof(*t));

	t->w = world_make(2);
	world_pair(t->w, &t->a, &t->b);
	for (unsigned id = 1; id <= 2; id++)
		must(party_peer_get(t->w->of[0].p, id, 1, &t->dead[id]) == 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct two *t = *state;

	world_free(t->w);
	free(t);
	return 0;
}

static void run(struct two *t, struct half *h, unsigned id)
{
	execute_half(t->w->of[0].p, t->dead[id], arena_slot(t->w->of[id].p->base, h),
		     half_gen(h));
}

static void execute_half__another_generation(void **state)
{
	struct two *t = *state;
	struct party *d = t->w->of[0].p;
	unsigned slot = arena_slot(t->a.party->base, t->a.own);

	execute_half(d, t->dead[1], slot, half_gen(t->a.own) + 1);
	execute_half(d, t->dead[1], slot, half_gen(t->a.own) - 1);
	execute_half(d, t->dead[1], SLOT_MAX, 1);
	execute_half(d, t->dead[1], 0xffffffff, 1);
	assert_int_equal(half_state(t->a.own), HALF_OPEN);
	assert_int_equal(conn_poll(&t->b), POLLOUT | POLLWRNORM);
}

static void execute_half__free_and_released(void **state)
{
	struct two *t = *state;
	struct half *h = world_half(t->a.party, 1, 0);

	half_set_state(h, HALF_FREE);
	run(t, h, 1);
	assert_int_equal(half_state(h), HALF_FREE);
	half_set_state(h, HALF_RELEASED);
	run(t, h, 1);
	assert_int_equal(half_state(h), HALF_RELEASED);
}

static void execute_half__bound(void **state)
{
	struct two *t = *state;
	struct half *h = world_half(t->a.party, 1, 0);

	run(t, h, 1);
	assert_int_equal(half_state(h), HALF_RELEASED);
	assert_int_equal(h->end, 0);
}

static void execute_half__open_ends_with_fin(void **state)
{
	struct two *t = *state;
	uint32_t e;
	char c;

	send_pattern(&t->a, 0, 100);
	conn_want_futex(&t->b, NOTIFY_DATA);
	e = load_relaxed(&t->a.own->event);
	run(t, t->a.own, 1);
	assert_true(load_relaxed(&t->a.own->event) > e); /* woken */
	assert_int_equal(half_state(t->a.own), HALF_RELEASED);
	assert_int_equal(recv_pattern(&t->b, 0, 1000), 100);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
	assert_int_equal(conn_send(&t->b, "x", 1), 1); /* meets a closed socket */
	assert_int_equal(conn_send(&t->b, "x", 1), -EPIPE);
}

static void execute_half__open_with_unread_data_ends_with_rst(void **state)
{
	struct two *t = *state;
	char c;

	send_pattern(&t->b, 0, 10);
	run(t, t->a.own, 1);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), -ECONNRESET);
}

static void execute_half__open_after_shutdown(void **state)
{
	struct two *t = *state;

	conn_shutdown_write(&t->a);
	run(t, t->a.own, 1);
	assert_int_equal(t->a.own->end, END_FIN);
	assert_int_equal(half_state(t->a.own), HALF_RELEASED);
}

static void execute_half__rings_the_bell(void **state)
{
	struct two *t = *state;
	uint64_t n;

	conn_want_hint(&t->b, NOTIFY_DATA);
	store_relaxed(&arena_hdr(t->b.party->base)->bells[0].sleepers, 1);
	run(t, t->a.own, 1);
	assert_true(hint_any(t->b.party->mbox));
	assert_int_equal(read(t->w->of[2].bell_fd[0], &n, 8), 8);
}

/* Each point at which an owner, or an executor before us, may have stopped. */
static void execute_half__after_each_step_of_a_close(void **state)
{
	struct two *t = *state;

	for (unsigned unread = 0; unread < 2; unread++) {
		for (unsigned step = 0; step < 6; step++) {
			struct conn a, b;
			uint32_t end;

			world_pair(t->w, &a, &b);
			send_pattern(&b, 0, unread);
			conn_want_futex(&b, NOTIFY_DATA);
			if (step > 0)
				atomic_fetch_or(&a.own->want, WANT_CLOSED);
			if (step > 1)
				atomic_fetch_or(&a.own->end, unread ? END_RST : END_FIN);
			if (step > 2)
				half_set_state(a.own, HALF_CLOSED);
			if (step > 4)
				half_release(a.own);
			run(t, a.own, 1);
			assert_int_equal(half_state(a.own), HALF_RELEASED);
			end = a.own->end;
			assert_int_equal(end, unread ? END_RST : END_FIN);
			/* Where the wake may be missing, it was made up for. */
			if (step < 5)
				assert_true(a.own->event > 0);
			run(t, a.own, 1);
			assert_int_equal(a.own->end, end);
			assert_int_equal(half_state(a.own), HALF_RELEASED);
			assert_int_equal(conn_recv(&b, (char[1]){ 0 }, 1, 0, 0),
					 unread ? -ECONNRESET : 0);
		}
	}
}

static void execute_half__both_sides_die(void **state)
{
	struct two *t = *state;

	run(t, t->a.own, 1);
	run(t, t->b.own, 2);
	assert_int_equal(half_state(t->a.own), HALF_RELEASED);
	assert_int_equal(half_state(t->b.own), HALF_RELEASED);
	assert_true(half_reusable(t->a.own, t->b.party->base));
	assert_true(half_reusable(t->b.own, t->a.party->base));
	assert_int_equal(t->w->of[0].p->peers[1]->refs, 1); /* ours, from setup() */
}

static void execute_half__connecting_before_its_claim(void **state)
{
	struct two *t = *state;
	struct half *l = world_listen(t->w, 2, 80, 1), *h;
	uint64_t seat = arena_seats(t->b.party->base)[l->seat_base + 1], cursor = 0;
	struct conn a, b;

	h = world_half(t->a.party, 1, addr_word_make(WORLD_ADDR, 80));
	half_set_state(h, HALF_CONNECTING);
	run(t, h, 1); /* names nobody yet */
	assert_int_equal(half_state(h), HALF_RELEASED);
	h = world_half(t->a.party, 1, addr_word_make(WORLD_ADDR, 80));
	store_relaxed(&h->peer, half_ref_make(2, slot_word_slot(seat), slot_word_gen(seat)));
	store_relaxed(&h->peer_party_gen, 1);
	half_set_state(h, HALF_CONNECTING);
	run(t, h, 1);
	assert_int_equal(half_state(h), HALF_RELEASED);
	/* The seat is as good as new. */
	assert_int_equal(world_connect(t->w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_take(t->b.party, l, &cursor, 0, &b), 0);
	assert_int_equal(send_pattern(&a, 0, 5), 5);
	assert_int_equal(recv_pattern(&b, 0, 50), 5);
}

static void execute_half__connector_that_was_not_accepted(void **state)
{
	struct two *t = *state;
	struct half *l = world_listen(t->w, 2, 80, 1);
	uint64_t cursor = 0;
	struct conn a, b;

	assert_int_equal(world_connect(t->w, 1, 80, &a, NULL), 0);
	send_pattern(&a, 0, 50);
	run(t, a.own, 1);
	/* Its slot is not given away: the acceptor has not seen it. */
	assert_false(half_reusable(a.own, t->b.party->base));
	assert_int_equal(seat_take(t->b.party, l, &cursor, 0, &b), 0);
	assert_int_equal(recv_pattern(&b, 0, 100), 50);
	assert_int_equal(recv_pattern(&b, 50, 100), 0);
}

static void execute_half__listener_resets_its_queue(void **state)
{
	struct two *t = *state;
	struct half *l = world_listen(t->w, 2, 80, 3), *own;
	struct conn a[2], late;
	char c;

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(world_connect(t->w, 1, 80, &a[i], NULL), 0);
	conn_want_futex(&a[0], NOTIFY_DATA);
	for (unsigned twice = 0; twice < 2; twice++) {
		run(t, l, 2);
		assert_int_equal(half_state(l), HALF_RELEASED);
	}
	assert_true(a[0].peer->event > 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(half_state(a[i].peer), HALF_RELEASED);
		assert_int_equal(conn_recv(&a[i], &c, 1, 0, 0), -ECONNRESET);
	}
	assert_int_equal(world_connect(t->w, 1, 80, &late, &own), -ECONNREFUSED);
}

/* An executor died after k seats: the next one does the rest. */
static void execute_half__listener_half_done(void **state)
{
	struct two *t = *state;

	for (unsigned k = 0; k <= 4; k++) {
		struct half *l = world_listen(t->w, 2, (uint16_t)(80 + k), 3);
		struct conn a[4];
		char c;

		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(world_connect(t->w, 1, (uint16_t)(80 + k), &a[i], NULL), 0);
		half_set_state(l, HALF_CLOSED);
		for (unsigned i = 0; i < k; i++) {
			/* As far as an executor gets: the peer is written. */
			struct half *s = arena_half(t->b.party->base,
						    half_ref_slot(a[i].peer_ref));

			store_relaxed(&s->peer_party_gen, 1);
			store_relaxed(&s->peer, half_ref_of(a[i].party, a[i].own));
			if (i > 0)
				atomic_fetch_or(&s->end, END_RST);
			if (i > 1)
				half_set_state(s, HALF_CLOSED);
			if (i == 3)
				half_release(s);
		}
		run(t, l, 2);
		assert_int_equal(half_state(l), HALF_RELEASED);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(half_state(a[i].peer), HALF_RELEASED);
			assert_int_equal(conn_recv(&a[i], &c, 1, 0, 0), -ECONNRESET);
		}
	}
}

static void execute_half__acceptor_died_in_accept(void **state)
{
	struct two *t = *state;

	/* 0: before the peer is written; 1: after it; 2: handle map written;
	 * 3: OPEN, the seat's word still names it. */
	for (unsigned step = 0; step < 4; step++) {
		uint16_t port = (uint16_t)(90 + step);
		struct half *l = world_listen(t->w, 2, port, 1), *s;
		struct conn a;
		char c;

		assert_int_equal(world_connect(t->w, 1, port, &a, NULL), 0);
		s = arena_half(t->b.party->base, half_ref_slot(a.peer_ref));
		if (step > 0) {
			store_relaxed(&s->peer_party_gen, 1);
			store_relaxed(&s->peer, half_ref_of(a.party, a.own));
		}
		if (step > 2)
			half_set_state(s, HALF_OPEN);
		run(t, l, 2);
		if (step > 1)
			run(t, s, 2); /* by its handle */
		assert_int_equal(half_state(s), HALF_RELEASED);
		assert_int_equal(conn_recv(&a, &c, 1, 0, 0), step > 2 ? 0 : -ECONNRESET);
	}
}

static void execute_half__listener_of_a_party_that_lives(void **state)
{
	struct two *t = *state;
	struct party *p = t->b.party;
	unsigned made;

	for (unsigned i = 0; i < 300; i++) {
		struct half *l = world_half(p, addr_word_make(WORLD_ADDR, 80), 0);

		assert_int_equal(seat_open(p, l, 100), 0);
		/* The owner closes by hang-up; the last holder is a child. */
		party_slot_retire(p, arena_slot(p->base, l));
		run(t, l, 2);
		party_peers_sweep(p);
		if (i == 0)
			made = p->slots_made;
	}
	assert_int_equal(p->slots_made, made);
	for (unsigned i = 0; i < ARRAY_LEN(p->seat_used); i++)
		assert_int_equal(p->seat_used[i], 0);
}

static void execute_half__peer_cannot_be_mapped(void **state)
{
	struct two *t = *state;
	char c;

	world_free(t->w);
	t->w = world_make(2);
	world_pair(t->w, &t->a, &t->b);
	assert_int_equal(party_peer_get(t->w->of[0].p, 1, 1, &t->dead[1]), 0);
	t->w->fail = -ENOMEM;
	run(t, t->a.own, 1);
	t->w->fail = 0;
	assert_int_equal(half_state(t->a.own), HALF_RELEASED);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), -ECONNRESET);
}

static void execute_half__noise(void **state)
{
	struct two *t = *state;
	uint64_t seed = dice_seed();

	/* A dead party may have left anything in its halves. */
	for (unsigned i = 0; i < 20000; i++) {
		int slot = party_slot_alloc(t->a.party);
		struct half *h;
		uint32_t gen;

		if (slot < 0)
			break;
		h = arena_half(t->a.party->base, (unsigned)slot);
		gen = half_gen(h);
		for (unsigned k = 8; k < sizeof(*h); k += 8) {
			uint64_t v = dice(&seed) % 3 ? dice(&seed) : dice(&seed) % 70;

			memcpy((char *)h + k, &v, 8);
		}
		if (dice(&seed) & 1)
			store_relaxed(&h->peer, half_ref_make(dice(&seed) % 4, dice(&seed) % 16, 1));
		store_relaxed(&h->gen_state, (uint64_t)gen << 32 | dice(&seed) % 12);
		if (h->seat_count > 64)
			store_relaxed(&h->seat_count, (uint32_t)(dice(&seed) % 5000));
		execute_half(t->w->of[0].p, t->dead[1], (unsigned)slot, gen);
		assert_true(half_state(h) == HALF_RELEASED || half_state(h) == HALF_FREE);
	}
	/* Nobody else has seen anything of it. */
	assert_int_equal(send_pattern(&t->a, 0, 100), 100);
	assert_int_equal(recv_pattern(&t->b, 0, 100), 100);
	assert_int_equal(send_pattern(&t->b, 0, 100), 100);
	assert_int_equal(recv_pattern(&t->a, 0, 100), 100);
}

static void *lookup(void *arg, unsigned id, uint32_t gen)
{
	struct world *w = arg;

	return id < WORLD_PARTIES && w->of[id].p && !w->of[id].gone && w->of[id].gen == gen ?
		       w->of[id].p->base : NULL;
}

static void execute_idle__when_all_peers_let_go(void **state)
{
	struct two *t = *state;
	void *base = t->a.party->base;

	assert_false(execute_idle(base, lookup, t->w));
	run(t, t->a.own, 1);
	assert_false(execute_idle(base, lookup, t->w));
	world_close(&t->b);
	assert_true(execute_idle(base, lookup, t->w));
}

static void execute_idle__peers_party_is_gone(void **state)
{
	struct two *t = *state;

	run(t, t->a.own, 1);
	t->w->of[2].gone = true;
	assert_true(execute_idle(t->a.party->base, lookup, t->w));
}

static void execute_idle__impossible_high_water(void **state)
{
	struct two *t = *state;

	run(t, t->a.own, 1);
	world_close(&t->b);
	store_relaxed(&arena_hdr(t->a.party->base)->slots_used, 0xffffffff);
	assert_true(execute_idle(t->a.party->base, lookup, t->w));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(execute_half__another_generation),
		T(execute_half__free_and_released),
		T(execute_half__bound),
		T(execute_half__open_ends_with_fin),
		T(execute_half__open_with_unread_data_ends_with_rst),
		T(execute_half__open_after_shutdown),
		T(execute_half__rings_the_bell),
		T(execute_half__after_each_step_of_a_close),
		T(execute_half__both_sides_die),
		T(execute_half__connecting_before_its_claim),
		T(execute_half__connector_that_was_not_accepted),
		T(execute_half__listener_resets_its_queue),
		T(execute_half__listener_half_done),
		T(execute_half__acceptor_died_in_accept),
		T(execute_half__listener_of_a_party_that_lives),
		T(execute_half__peer_cannot_be_mapped),
		T(execute_half__noise),
		T(execute_idle__when_all_peers_let_go),
		T(execute_idle__peers_party_is_gone),
		T(execute_idle__impossible_high_water),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
