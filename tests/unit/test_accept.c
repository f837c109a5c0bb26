/* SPDX-License-Identifier: BSD-2-Clause */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

/*
 * Party 1 connects, party 2 made the listener, party 3 is its child: @lp is
 * what it inherited.
 */
struct shop {
	struct world *w;
	struct party *asker, *maker, *worker, *lp;
	struct half *l;
	uint16_t port;
};

#define PORT 80u

static void shop_open(struct shop *s, unsigned backlog)
{
	s->l = world_listen(s->w, 2, PORT, backlog);
	seat_share(s->maker, s->l, 0);
	memcpy(s->lp, s->maker, sizeof(*s->lp));
	s->lp->inherited = true;
}

static int setup(void **state)
{
	struct shop *s = calloc(1, sizeof(*s));

	s->w = world_make(3);
	s->asker = s->w->of[1].p;
	s->maker = s->w->of[2].p;
	s->worker = s->w->of[3].p;
	s->lp = malloc(sizeof(*s->lp));
	shop_open(s, 4);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct shop *s = *state;

	free(s->lp);
	world_free(s->w);
	free(s);
	return 0;
}

static int take(struct shop *s, struct conn *ret)
{
	return seat_take_shared(s->lp, s->l, s->worker, s->w->next_handle++ % HANDLE_MAX, ret);
}

/* Half, word and claim of seat @i. */
static _Atomic uint64_t *word_of(const struct shop *s, unsigned i)
{
	return &arena_seats(s->maker->base)[s->l->seat_base + 1 + i];
}

static struct half *seat_of(const struct shop *s, unsigned i)
{
	return arena_half(s->maker->base, slot_word_slot(*word_of(s, i)));
}

static _Atomic uint64_t *claim_of(const struct shop *s, unsigned i)
{
	return &s->maker->mbox->claims[s->l->seat_base + 1 + i];
}

static half_ref seat_ref(const struct shop *s, unsigned i)
{
	return half_ref_make(2, slot_word_slot(*word_of(s, i)), slot_word_gen(*word_of(s, i)));
}

static unsigned slots_in_use(struct party *p)
{
	party_peers_sweep(p);
	return p->slots_made - p->free_slot_count;
}

/* Say something each way. */
static void converse(struct conn *a, struct conn *b)
{
	char buf[8];

	assert_int_equal(conn_send(a, "ping", 4), 4);
	assert_int_equal(conn_recv(b, buf, 8, 0, 0), 4);
	assert_memory_equal(buf, "ping", 4);
	assert_int_equal(conn_send(b, "pong!", 5), 5);
	assert_int_equal(conn_recv(a, buf, 8, 0, 0), 5);
	assert_memory_equal(buf, "pong!", 5);
}

/* close() as sock_last() does it. */
static void finish(struct conn *c)
{
	struct party *p = c->party;
	struct half *own = c->own;

	conn_finish(c, false);
	half_release(own);
	conn_detach(c);
	party_slot_retire(p, arena_slot(p->base, own));
}

static void rest(void)
{
	usleep(1500);
}

/* ------------------------------------------------------------------ taking */

static void seat_take_shared__the_takers_half_is_the_socket(void **state)
{
	struct shop *s = *state;
	struct half *seat = seat_of(s, 0);
	struct conn a, b;
	uint64_t word;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	assert_ptr_equal(a.peer, half_find(a.owner->base, seat_ref(s, 0)));
	must(seat_take_shared(s->lp, s->l, s->worker, 7, &b) == 0);
	assert_ptr_equal(b.party, s->worker);
	assert_int_equal(half_state(b.own), HALF_OPEN);
	assert_int_equal(b.own->handle, 8);
	word = arena_handles(s->worker->base)[7];
	assert_ptr_equal(arena_half(s->worker->base, slot_word_slot(word)), b.own);
	assert_int_equal(half_gen(b.own), slot_word_gen(word));
	assert_int_equal(b.own->remote, addr_word_make(WORLD_ADDR, 40000));
	assert_int_equal(b.own->local, addr_word_make(WORLD_ADDR, PORT));
	assert_int_equal(seat->end, END_MOVED);
	assert_int_equal(seat->moved, half_ref_of(s->worker, b.own));
	assert_int_equal(half_state(seat), HALF_RELEASED);
	/* Its connector has not looked yet. */
	assert_int_equal(a.own->peer, seat_ref(s, 0));
	assert_false(seat_waiting(s->lp, s->l, NULL));
	assert_true(conn_poll(&a) & POLLOUT);
	assert_int_equal(a.own->peer, half_ref_of(s->worker, b.own));
	assert_int_equal(a.own->peer_party_gen, s->worker->gen);
	assert_int_equal(a.peer_ref, a.own->peer);
	converse(&a, &b);
	finish(&a);
	assert_true(conn_poll(&b) & POLLRDHUP);
	finish(&b);
}

static void seat_take_shared__in_place_by_the_maker(void **state)
{
	struct shop *s = *state;
	struct half *seat = seat_of(s, 0);
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(seat_take_shared(s->maker, s->l, s->maker, 7, &b) == 0);
	assert_ptr_equal(b.own, seat);
	assert_int_equal(*claim_of(s, 0), 0);
	assert_int_equal(seat->end, 0);
	converse(&a, &b);
}

static void seat_take_shared__what_was_sent_and_ended_before(void **state)
{
	struct shop *s = *state;
	struct conn a, b;
	char buf[8];

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	assert_int_equal(conn_send(&a, "early", 5), 5);
	finish(&a);
	must(take(s, &b) == 0);
	assert_int_equal(conn_recv(&b, buf, 8, 0, 0), 5);
	assert_int_equal(conn_recv(&b, buf, 8, 0, 0), 0);
	finish(&b);
}

static void seat_take_shared__in_the_order_of_arrival(void **state)
{
	struct shop *s = *state;
	struct conn a[6], b;

	for (unsigned i = 0; i < 6; i++)
		must(world_connect(s->w, 1, PORT, &a[i], NULL) == 0);
	for (unsigned i = 0; i < 6; i++) {
		int r = i % 2 ? seat_take_shared(s->maker, s->l, s->maker, i, &b) : take(s, &b);

		assert_int_equal(r, 0);
		assert_ptr_equal(b.peer, half_find(b.owner->base, half_ref_of(s->asker, a[i].own)));
		assert_int_equal(s->l->accept_cursor, i + 1);
	}
	assert_int_equal(take(s, &b), -EAGAIN);
	assert_int_equal(seat_take_shared(s->maker, s->l, s->maker, 9, &b), -EAGAIN);
}

#define NOBODY 0x3ffffffeu /* no thread has this number */

/* Who holds a seat and lives, perhaps stopped, keeps nobody from the others. */
static void seat_take_shared__passes_over_whom_another_holds(void **state)
{
	struct shop *s = *state;
	_Atomic uint32_t *locks = arena_seat_locks(s->maker->base) + s->l->seat_base + 1;
	unsigned in_use = slots_in_use(s->worker);
	struct conn a[3], b;

	for (unsigned i = 0; i < 3; i++)
		must(world_connect(s->w, 1, PORT, &a[i], NULL) == 0);
	store_relaxed(&locks[0], 1);
	for (unsigned i = 1; i < 3; i++) {
		assert_true(seat_waiting(s->lp, s->l, NULL));
		must(take(s, &b) == 0);
		assert_ptr_equal(b.peer, half_find(b.owner->base, half_ref_of(s->asker, a[i].own)));
		assert_int_equal(locks[i], 0);
	}
	assert_false(seat_waiting(s->lp, s->l, NULL));
	assert_int_equal(take(s, &b), -EAGAIN);
	assert_int_equal(seat_take_shared(s->maker, s->l, s->maker, 9, &b), -EAGAIN);
	assert_int_equal(locks[0], 1);
	assert_int_equal(seat_of(s, 0)->peer, 0);
	/* It dies. */
	store_relaxed(&locks[0], NOBODY);
	assert_true(seat_waiting(s->lp, s->l, NULL));
	must(take(s, &b) == 0);
	assert_ptr_equal(b.peer, half_find(b.owner->base, half_ref_of(s->asker, a[0].own)));
	converse(&a[0], &b);
	assert_int_equal(locks[0], 0);
	assert_int_equal(slots_in_use(s->worker), in_use + 3);
}

/* Nor is a seat made anew under somebody's hands. */
static void seat_tidy__leaves_whom_another_holds(void **state)
{
	struct shop *s = *state;
	_Atomic uint32_t *locks = arena_seat_locks(s->maker->base) + s->l->seat_base + 1;
	uint64_t was = *word_of(s, 0);
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(take(s, &b) == 0);
	conn_follow(&a);
	rest();
	store_relaxed(&locks[0], 1);
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_equal(*word_of(s, 0), was);
	store_relaxed(&locks[0], NOBODY);
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_not_equal(*word_of(s, 0), was);
	assert_int_equal(locks[0], 0);
}

static void seat_take_shared__nobody_costs_no_slot(void **state)
{
	struct shop *s = *state;
	unsigned was = slots_in_use(s->worker);
	struct conn b;

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(take(s, &b), -EAGAIN);
	assert_int_equal(slots_in_use(s->worker), was);
	half_set_state(s->l, HALF_CLOSED);
	assert_int_equal(take(s, &b), -EINVAL);
	assert_int_equal(slots_in_use(s->worker), was);
	half_set_state(s->l, HALF_LISTEN);
}

static void seat_take_shared__no_slot_leaves_the_queue(void **state)
{
	struct shop *s = *state;
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	while (party_slot_alloc(s->worker) >= 0)
		;
	assert_int_equal(take(s, &b), -ENOSPC);
	assert_true(seat_waiting(s->lp, s->l, NULL));
	party_slot_free(s->worker, 5);
	must(take(s, &b) == 0);
	converse(&a, &b);
}

/* --------------------------------------------------------------- following */

static void conn_follow__who_sleeps_is_woken(void **state)
{
	struct shop *s = *state;
	uint32_t was;
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	conn_want_futex(&a, NOTIFY_DATA);
	was = a.peer->event;
	must(take(s, &b) == 0);
	/* On the seat's word; and at the follow on our own. */
	assert_int_not_equal(a.peer->event, was);
	was = a.own->event;
	assert_true(conn_follow(&a));
	assert_int_not_equal(a.own->event, was);
	assert_false(conn_follow(&a));
	assert_ptr_equal(a.peer, half_find(a.owner->base, half_ref_of(s->worker, b.own)));
}

static void conn_follow__a_publication_follows(void **state)
{
	struct shop *s = *state;
	uint32_t was;
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	/* Its ring is there: the send looks at nothing of its peer's but `want`. */
	assert_int_equal(conn_send(&a, "w", 1), 1);
	must(take(s, &b) == 0);
	conn_want_futex(&b, NOTIFY_DATA);
	was = a.own->event;
	assert_int_equal(conn_send(&a, "x", 1), 1);
	/* Whoever sleeps at the new half is woken. */
	assert_true(a.own->event - was >= 1);
	assert_int_equal(a.own->peer, half_ref_of(s->worker, b.own));
}

static void conn_follow__a_seat_that_lies(void **state)
{
	struct shop *s = *state;
	struct conn a;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	store_relaxed(&seat_of(s, 0)->moved, half_ref_make(3, 17, 4));
	store_relaxed(&seat_of(s, 0)->moved_gen, 1);
	atomic_fetch_or(&seat_of(s, 0)->end, END_MOVED);
	assert_true(conn_poll(&a) & POLLHUP);
	assert_int_equal(conn_take_error(&a), ECONNRESET);
}

static void conn_follow__a_party_that_cannot_be_had_now(void **state)
{
	struct shop *s = *state;
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(take(s, &b) == 0);
	s->w->fail = -ENFILE;
	assert_false(conn_follow(&a));
	assert_int_equal(conn_send(&a, "ping", 4), 4);
	assert_int_equal(conn_take_error(&a), 0);
	s->w->fail = 0;
	assert_true(conn_poll(&a) & POLLOUT);
	assert_ptr_equal(a.peer, half_find(a.owner->base, half_ref_of(s->worker, b.own)));
	assert_true(conn_poll(&b) & POLLIN);
}

/* Two that share the connecting side: each follows for itself. */
static void conn_follow__each_of_two_processes(void **state)
{
	struct shop *s = *state;
	struct conn a, b, child;
	unsigned in_use = slots_in_use(s->asker);

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	conn_prepare_fork(&a);
	child = a;
	must(take(s, &b) == 0);
	assert_true(conn_follow(&a));
	rest();
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_equal(seat_of(s, 0)->end, END_MOVED);
	assert_true(conn_follow(&child));
	assert_ptr_equal(child.peer, a.peer);
	converse(&child, &b);
	/* The last of them ended: the executor says so. */
	execute_half(s->w->of[0].p, &(struct peer){ .id = 1, .gen = 1, .base = s->asker->base,
		     .mbox = s->asker->mbox }, arena_slot(s->asker->base, a.own), half_gen(a.own));
	assert_int_equal(half_state(a.own), HALF_RELEASED);
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_equal(seat_of(s, 0)->end, 0);
	assert_int_equal(half_state(seat_of(s, 0)), HALF_SEAT);
	finish(&b);
	party_slot_retire(s->asker, arena_slot(s->asker->base, a.own));
	assert_int_equal(slots_in_use(s->asker), in_use);
}

/* ------------------------------------------------------------------ tidying */

static void seat_tidy__made_anew_once_followed(void **state)
{
	struct shop *s = *state;
	uint64_t was = *word_of(s, 0);
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(take(s, &b) == 0);
	rest();
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_equal(*word_of(s, 0), was);
	assert_int_not_equal(*claim_of(s, 0), 0);
	conn_follow(&a);
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_equal(slot_word_slot(*word_of(s, 0)), slot_word_slot(was));
	assert_int_equal(slot_word_gen(*word_of(s, 0)), slot_word_gen(was) + 1);
	assert_int_equal(*claim_of(s, 0), 0);
	assert_int_equal(half_state(seat_of(s, 0)), HALF_SEAT);
	assert_int_equal(seat_of(s, 0)->peer, 0);
	assert_int_equal(seat_of(s, 0)->moved, 0);
	assert_int_equal(seat_of(s, 0)->want, 0);
	assert_int_equal(seat_of(s, 0)->local, s->l->local);
	converse(&a, &b);
}

static void seat_tidy__rests_for_a_moment(void **state)
{
	struct shop *s = *state;
	uint64_t was = *word_of(s, 0);
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(take(s, &b) == 0);
	conn_follow(&a);
	store_relaxed(&seat_of(s, 0)->born_ns, UINT64_MAX / 2); /* so far in the future */
	seat_tidy(s->lp, s->l, s->worker);
	assert_true(*word_of(s, 0) == was || seat_of(s, 0)->peer == 0);
}

/* The connector's process is dead, a child of it is not. */
static void seat_tidy__a_dead_party_may_have_children(void **state)
{
	struct shop *s = *state;
	uint64_t was = *word_of(s, 0);
	struct conn a, b, child;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	conn_prepare_fork(&a);
	child = a;
	must(take(s, &b) == 0);
	registry_party_set(s->w->reg, 1, 1, PARTY_DEAD, 0, 0);
	rest();
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_equal(*word_of(s, 0), was);
	converse(&child, &b);
}

/* Killed before it looked: the executor follows, and only then ... */
static void seat_tidy__a_dead_connector_that_never_looked(void **state)
{
	struct shop *s = *state;
	uint64_t was = *word_of(s, 0);
	struct peer dead = { .id = 1, .gen = 1, .base = s->asker->base, .mbox = s->asker->mbox };
	struct conn a, b;
	char buf[8];

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	assert_int_equal(conn_send(&a, "early", 5), 5);
	must(take(s, &b) == 0);
	conn_want_futex(&b, NOTIFY_DATA);
	registry_party_set(s->w->reg, 1, 1, PARTY_DEAD, 0, 0);
	rest();
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_equal(*word_of(s, 0), was);
	execute_half(s->w->of[0].p, &dead, arena_slot(s->asker->base, a.own), half_gen(a.own));
	assert_int_equal(a.own->peer, half_ref_of(s->worker, b.own));
	assert_int_equal(a.own->end, END_FIN);
	assert_int_equal(a.own->event, 1);
	seat_tidy(s->lp, s->l, s->worker);
	assert_int_not_equal(*word_of(s, 0), was);
	assert_int_equal(conn_recv(&b, buf, 8, 0, 0), 5);
	assert_int_equal(conn_recv(&b, buf, 8, 0, 0), 0);
	/* Its estate is dropped one day: nothing to be asked. */
	finish(&b);
	registry_party_set(s->w->reg, 1, 1, PARTY_FREE, 0, 0);
}

static void seat_tidy__slots_come_back(void **state)
{
	struct shop *s = *state;
	unsigned made, asker = slots_in_use(s->asker), worker = slots_in_use(s->worker);
	struct conn a, b;

	made = s->maker->slots_made;
	for (unsigned i = 0; i < 2000; i++) {
		int r = world_connect(s->w, 1, PORT, &a, NULL);

		if (r == -EAGAIN) {
			/* All seats rest. */
			party_slot_free(s->asker, s->asker->slots_made - 1);
			rest();
			seat_tidy(s->lp, s->l, s->worker);
			r = world_connect(s->w, 1, PORT, &a, NULL);
		}
		assert_int_equal(r, 0);
		must(take(s, &b) == 0);
		converse(&a, &b);
		if (i & 1)
			finish(&a);
		finish(&b);
		if (!(i & 1))
			finish(&a);
		if (i % 60 == 59)
			rest();
	}
	assert_int_equal(s->maker->slots_made, made);
	assert_true(slots_in_use(s->asker) <= asker + 40);
	assert_int_equal(slots_in_use(s->worker), worker);
	assert_false(party_distrusts(s->lp));
}

/* However far the round of all seats is from them. */
static void seat_take_shared__makes_the_next_ones_anew(void **state)
{
	struct shop *s = *state;
	struct conn a[63], b;
	unsigned first = 0;

	for (unsigned i = 0; i < 63; i++)
		must(world_connect(s->w, 1, PORT, &a[i], NULL) == 0);
	for (unsigned i = 0; i < 63; i++) {
		must(take(s, &b) == 0);
		assert_true(conn_follow(&a[i]));
	}
	/* Those that rested long enough meanwhile were made anew by the later takes. */
	for (; first < 10000 && world_connect(s->w, 1, PORT, &a[first % 63], NULL) == 0; first++) {
		must(take(s, &b) == 0);
		assert_true(conn_follow(&a[first % 63]));
	}
	rest();
	assert_int_equal(world_connect(s->w, 1, PORT, &a[0], NULL), -EAGAIN);
	s->l->seat_tidy = 40;
	assert_int_equal(take(s, &b), -EAGAIN);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(*claim_of(s, (first + i) % 63), 0);
	assert_int_not_equal(*claim_of(s, (first + 8) % 63), 0);
	for (unsigned i = 0; i < 8; i++) {
		must(world_connect(s->w, 1, PORT, &a[i], NULL) == 0);
		must(take(s, &b) == 0);
		converse(&a[i], &b);
	}
}

/* -------------------------------------------------------------- the longer row */

static void seat_share__fills_the_row_up(void **state)
{
	struct shop *s = *state;
	struct conn a, b;

	assert_int_equal(s->l->seat_count, 63);
	for (unsigned i = 0; i < 63; i++) {
		assert_int_equal(half_state(seat_of(s, i)), HALF_SEAT);
		assert_int_equal(seat_of(s, i)->local, s->l->local);
	}
	assert_int_equal(s->maker->slots_made, 64);
	/* Twice is once. */
	s->l->accept_cursor = 3;
	seat_share(s->maker, s->l, 9);
	assert_int_equal(s->l->accept_cursor, 3);
	s->l->accept_cursor = 0;
	for (unsigned i = 0; i < 63; i++)
		must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	assert_int_equal(world_connect(s->w, 1, PORT, &a, NULL), -EAGAIN);
	for (unsigned i = 0; i < 63; i++)
		must(take(s, &b) == 0);
	assert_int_equal(take(s, &b), -EAGAIN);
}

static void seat_share__with_a_queue(void **state)
{
	struct shop *s = *state;
	struct half *l = world_listen(s->w, 2, 81, 4);
	uint64_t cursor = 0;
	struct conn a[12], b;
	unsigned n = 0;

	/* One has gone through the short row already; three wait. */
	must(world_connect(s->w, 1, 81, &a[0], NULL) == 0);
	must(seat_take(s->maker, l, &cursor, 0, &b) == 0);
	for (unsigned i = 1; i < 4; i++)
		must(world_connect(s->w, 1, 81, &a[i], NULL) == 0);
	seat_share(s->maker, l, cursor);
	for (unsigned i = 4; i < 12; i++)
		must(world_connect(s->w, 1, 81, &a[i], NULL) == 0);
	while (seat_take_shared(s->lp, l, s->worker, n, &b) == 0)
		n++;
	assert_int_equal(n, 11);
}

static void seat_share__a_child_adds_no_seats(void **state)
{
	struct shop *s = *state;
	struct half *l = world_listen(s->w, 2, 81, 4);

	memcpy(s->lp, s->maker, sizeof(*s->lp));
	s->lp->inherited = true;
	seat_share(s->lp, l, 2);
	assert_int_equal(l->seat_count, 5);
	assert_int_equal(l->accept_cursor, 2);
	assert_int_equal(l->shared, 1);
}

/* ------------------------------------------------------------------ hostile */

static void seat_take_shared__claims_that_are_noise(void **state)
{
	struct shop *s = *state;
	uint64_t seed = dice_seed();
	unsigned in_use = slots_in_use(s->worker);
	struct conn a, b;
	unsigned n = 0;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	for (unsigned i = 1; i < 63; i++)
		store_relaxed(claim_of(s, i), dice(&seed));
	store_relaxed(&s->maker->mbox->claims[s->l->seat_base], 63);
	while (take(s, &b) == 0)
		n++;
	assert_int_equal(n, 1);
	assert_true(party_distrusts(s->lp));
	for (unsigned i = 1; i < 63; i++)
		assert_int_equal(*claim_of(s, i), 0);
	assert_int_equal(slots_in_use(s->worker), in_use + 1);
	/* A counter that went back, or far ahead, hides nobody. */
	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	store_relaxed(&s->maker->mbox->claims[s->l->seat_base], 2);
	must(take(s, &b) == 0);
	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	store_relaxed(&s->maker->mbox->claims[s->l->seat_base], UINT64_MAX / 3);
	must(take(s, &b) == 0);
	assert_int_equal(take(s, &b), -EAGAIN);
}

/* A claim that says that the seat of another is the claimant's. */
static void seat_take_shared__a_claimant_that_names_another_seat(void **state)
{
	struct shop *s = *state;
	struct half *liar;
	struct conn a, b;

	assert_int_equal(world_connect(s->w, 1, PORT, &a, &liar), 0);
	store_relaxed(claim_of(s, 5), half_ref_of(s->asker, liar));
	store_relaxed(&s->maker->mbox->claims[s->l->seat_base], 6);
	must(take(s, &b) == 0);
	assert_int_equal(take(s, &b), -EAGAIN);
	assert_int_equal(*claim_of(s, 5), 0);
	assert_int_equal(seat_of(s, 5)->peer, 0);
}

/* -------------------------------------------------------------------- deaths */

/* At "away.made", "away.named": the next one takes the same connector. */
static void seat_take_shared__after_one_who_died_in_it(void **state)
{
	struct shop *s = *state;
	struct peer dead = { .id = 3, .gen = 1, .base = s->worker->base, .mbox = s->worker->mbox };
	struct half *lost = world_half(s->worker, addr_word_make(WORLD_ADDR, PORT), 0);
	struct conn a, b;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	store_relaxed(&lost->peer, half_ref_of(s->asker, a.own));
	store_relaxed(&lost->peer_party_gen, 1);
	half_set_state(lost, HALF_OPEN);
	store_relaxed(&seat_of(s, 0)->peer, half_ref_of(s->asker, a.own));
	store_relaxed(&seat_of(s, 0)->peer_party_gen, 1);
	store_relaxed(&seat_of(s, 0)->moved, half_ref_of(s->worker, lost));
	store_relaxed(&seat_of(s, 0)->moved_gen, 1);
	assert_true(seat_waiting(s->lp, s->l, NULL));
	must(seat_take_shared(s->maker, s->l, s->maker, 1, &b) == 0);
	execute_half(s->w->of[0].p, &dead, arena_slot(s->worker->base, lost), half_gen(lost));
	assert_int_equal(half_state(lost), HALF_RELEASED);
	converse(&a, &b);
	assert_int_equal(conn_poll(&a) & (POLLHUP | POLLERR | POLLIN), 0);
}

/* At "away.moved": the seat's sleeper is woken by the executor. */
static void execute_half__of_one_whose_seat_still_sleeps(void **state)
{
	struct shop *s = *state;
	struct peer dead = { .id = 3, .gen = 1, .base = s->worker->base, .mbox = s->worker->mbox };
	struct half *seat = seat_of(s, 0);
	struct conn a, b;
	uint32_t was;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(take(s, &b) == 0);
	conn_want_futex(&a, NOTIFY_DATA);
	was = seat->event;
	execute_half(s->w->of[0].p, &dead, arena_slot(s->worker->base, b.own), half_gen(b.own));
	assert_int_not_equal(seat->event, was);
	assert_true(conn_poll(&a) & POLLRDHUP);
}

/* At "tidy.renewed": nobody sits down, nobody's claim is taken away, until the
 * next one goes on. */
static void seat_tidy__after_one_who_died_renewing(void **state)
{
	struct shop *s = *state;
	uint64_t was = *word_of(s, 0);
	struct conn a, b, c;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(take(s, &b) == 0);
	conn_follow(&a);
	half_renew(seat_of(s, 0));
	/* A ticket of this seat's is among those that are looked at. */
	s->l->accept_cursor = 0;
	assert_false(seat_waiting(s->lp, s->l, NULL));
	assert_int_equal(*word_of(s, 0), was);
	assert_int_not_equal(*claim_of(s, 0), 0);
	assert_int_equal(take(s, &c), -EAGAIN);
	assert_false(party_distrusts(s->lp));
	assert_int_equal(slot_word_gen(*word_of(s, 0)), slot_word_gen(was) + 1);
	assert_int_equal(*claim_of(s, 0), 0);
	converse(&a, &b);
}

/* At "tidy.seated": the claim is of one who sits elsewhere. */
static void seat_take_shared__after_one_who_died_seating(void **state)
{
	struct shop *s = *state;
	struct conn a, b, c;
	uint64_t claim;

	must(world_connect(s->w, 1, PORT, &a, NULL) == 0);
	must(take(s, &b) == 0);
	conn_follow(&a);
	claim = *claim_of(s, 0);
	rest();
	seat_tidy(s->lp, s->l, s->worker);
	store_relaxed(claim_of(s, 0), claim);
	s->l->accept_cursor = 0;
	assert_int_equal(take(s, &c), -EAGAIN);
	assert_int_equal(*claim_of(s, 0), 0);
	assert_int_equal(seat_of(s, 0)->peer, 0);
	converse(&a, &b);
}

/* The listener ends with a child; its maker lives, and has all slots again. */
static void listener_ends__slots_come_back(void **state)
{
	struct shop *s = *state;
	struct peer dead = { .id = 2, .gen = 1, .base = s->maker->base, .mbox = s->maker->mbox };
	struct conn a[5], b[5];

	for (unsigned i = 0; i < 5; i++)
		must(world_connect(s->w, 1, PORT, &a[i], NULL) == 0);
	/* 0: moved and followed. 1: moved, not followed. 2: in place. 3: waits. 4: made
	 * anew by one who died of it. */
	must(take(s, &b[0]) == 0);
	must(take(s, &b[1]) == 0);
	must(seat_take_shared(s->maker, s->l, s->maker, 2, &b[2]) == 0);
	conn_follow(&a[0]);
	half_renew(seat_of(s, 4));
	execute_half(s->w->of[0].p, &dead, arena_slot(s->maker->base, s->l), half_gen(s->l));
	assert_int_equal(half_state(s->l), HALF_RELEASED);
	assert_true(conn_poll(&a[3]) & POLLHUP);
	converse(&a[0], &b[0]);
	converse(&a[1], &b[1]);
	converse(&a[2], &b[2]);
	for (unsigned i = 0; i < 5; i++) {
		finish(&a[i]);
		if (i < 3)
			finish(&b[i]);
	}
	party_slot_retire(s->maker, arena_slot(s->maker->base, s->l));
	for (unsigned i = 0; i < 4; i++) {
		slots_in_use(s->asker);
		slots_in_use(s->maker);
		slots_in_use(s->worker);
	}
	assert_int_equal(slots_in_use(s->maker), 0);
	assert_int_equal(slots_in_use(s->worker), 0);
	assert_int_equal(slots_in_use(s->asker), 0);
	for (unsigned i = 0; i < ARRAY_LEN(s->maker->seat_used); i++)
		assert_int_equal(s->maker->seat_used[i], 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(seat_take_shared__the_takers_half_is_the_socket),
		T(seat_take_shared__in_place_by_the_maker),
		T(seat_take_shared__what_was_sent_and_ended_before),
		T(seat_take_shared__in_the_order_of_arrival),
		T(seat_take_shared__passes_over_whom_another_holds),
		T(seat_tidy__leaves_whom_another_holds),
		T(seat_take_shared__nobody_costs_no_slot),
		T(seat_take_shared__no_slot_leaves_the_queue),
		T(conn_follow__who_sleeps_is_woken),
		T(conn_follow__a_publication_follows),
		T(conn_follow__a_seat_that_lies),
		T(conn_follow__a_party_that_cannot_be_had_now),
		T(conn_follow__each_of_two_processes),
		T(seat_tidy__made_anew_once_followed),
		T(seat_tidy__rests_for_a_moment),
		T(seat_tidy__a_dead_party_may_have_children),
		T(seat_tidy__a_dead_connector_that_never_looked),
		T(seat_tidy__slots_come_back),
		T(seat_take_shared__makes_the_next_ones_anew),
		T(seat_share__fills_the_row_up),
		T(seat_share__with_a_queue),
		T(seat_share__a_child_adds_no_seats),
		T(seat_take_shared__claims_that_are_noise),
		T(seat_take_shared__a_claimant_that_names_another_seat),
		T(seat_take_shared__after_one_who_died_in_it),
		T(execute_half__of_one_whose_seat_still_sleeps),
		T(seat_tidy__after_one_who_died_renewing),
		T(seat_take_shared__after_one_who_died_seating),
		T(listener_ends__slots_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
