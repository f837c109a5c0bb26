/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

struct two {
	struct world *w;
	struct conn a, b;
};

static int setup(void **state)
{
	struct two *t = calloc(1, sizeof(*t));

	t->w = world_make(2);
	world_pair(t->w, &t->a, &t->b);
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

static void half_set_state__keeps_the_generation(void **state)
{
	struct two *t = *state;
	uint32_t gen = half_gen(t->a.own);

	half_set_state(t->a.own, HALF_CLOSED);
	assert_int_equal(half_gen(t->a.own), gen);
	assert_int_equal(half_state(t->a.own), HALF_CLOSED);
}

static void half_ref_of__round_trip(void **state)
{
	struct two *t = *state;
	half_ref r = half_ref_of(t->a.party, t->a.own);

	assert_int_equal(half_ref_party(r), 1);
	assert_int_equal(half_ref_gen(r), half_gen(t->a.own));
	assert_ptr_equal(half_find(t->a.party->base, r), t->a.own);
	r = half_ref_make(PARTY_MAX - 1, SLOT_MAX - 1, 0xffffffff);
	assert_int_equal(half_ref_party(r), PARTY_MAX - 1);
	assert_int_equal(half_ref_slot(r), SLOT_MAX - 1);
	assert_int_equal(half_ref_gen(r), 0xffffffff);
}

static void half_find__impossible_slot(void **state)
{
	struct two *t = *state;

	assert_null(half_find(t->a.party->base, half_ref_make(1, SLOT_MAX, 1)));
	assert_non_null(half_find(t->a.party->base, half_ref_make(1, SLOT_MAX - 1, 1)));
}

static void hint_ignore(void *arg, unsigned slot)
{
	(void)arg, (void)slot;
}

static uint32_t notify(struct two *t, uint32_t what)
{
	return half_notify(t->a.party, t->a.own, t->a.peer, t->a.owner, what);
}

static void half_notify__whom_it_wakes(void **state)
{
	static const struct {
		uint32_t want, what;
		bool wakes;
	} cases[] = {
		{ 0, NOTIFY_DATA, false },
		{ WANT_CLOSED, NOTIFY_DATA, false },
		{ WANT_DATA_ONE, NOTIFY_DATA, true },
		{ WANT_DATA_ONE, NOTIFY_SPACE, false },
		{ WANT_DATA_ONE, NOTIFY_END, true },
		{ WANT_SPACE_ONE, NOTIFY_DATA, false },
		{ WANT_SPACE_ONE, NOTIFY_SPACE, true },
		{ WANT_SPACE_ONE, NOTIFY_END, true },
		{ WANT_DATA_MASK | WANT_CLOSED, NOTIFY_DATA, true },
	};
	struct two *t = *state;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t e = load_relaxed(&t->a.own->event);
		uint64_t wakes = load_relaxed(&t->a.own->wakes);

		store_relaxed(&t->b.own->want, cases[i].want);
		assert_int_equal(notify(t, cases[i].what), cases[i].want);
		assert_int_equal(t->a.own->event - e, cases[i].wakes);
		assert_int_equal(t->a.own->wakes - wakes, cases[i].wakes);
	}
}

static void half_notify__space_not_before_its_index(void **state)
{
	struct two *t = *state;
	uint32_t e = load_relaxed(&t->a.own->event);

	store_relaxed(&t->b.own->want, WANT_SPACE_ONE | WANT_HINT_SPACE);
	store_relaxed(&t->b.own->want_space, 1000);
	store_relaxed(&t->a.own->head, 999);
	notify(t, NOTIFY_SPACE);
	assert_int_equal(t->a.own->event, e);
	assert_false(hint_any(t->w->of[2].p->mbox));
	store_relaxed(&t->a.own->head, 1000);
	notify(t, NOTIFY_SPACE);
	assert_int_equal(t->a.own->event, e + 1);
	assert_true(hint_any(t->w->of[2].p->mbox));
}

static unsigned hints_of(struct world *w, unsigned id, unsigned slot)
{
	const struct mailbox *mb = w->of[id].p->mbox;
	unsigned n = (load_relaxed(&mb->hint_l0[slot / 64]) >> slot % 64) & 1;

	hint_take(w->of[id].p->mbox, hint_ignore, NULL);
	return n;
}

/* A half of party 2's that party 3 polls: it is rung at its alias. */
static void half_ring__who_has_the_bell(void **state)
{
	struct two *t = *state;
	unsigned own = arena_slot(t->w->of[2].p->base, t->b.own);
	uint64_t n = 0;

	world_party(t->w, 3, 0x80000007);
	atomic_store(&arena_hdr(t->w->of[3].p->base)->bells[5].sleepers, 1);
	store_relaxed(&t->b.own->want, WANT_HINT_DATA | 3 * WANT_TAKEN_ONE);
	store_relaxed(&t->b.own->bell_at, bell_at_make(5, 3, 777, 0x80000007) | BELL_AT_DOUBT);
	notify(t, NOTIFY_DATA);
	assert_int_equal(hints_of(t->w, 3, 777), 1);
	assert_int_equal(read(t->w->of[3].bell_fd[5], &n, sizeof(n)), sizeof(n));
	assert_false(hint_any(t->w->of[2].p->mbox));
	/* It died: the owner's again. */
	registry_party_set(t->w->reg, 3, 0x80000007, PARTY_DEAD, 1, 0);
	notify(t, NOTIFY_DATA);
	assert_int_equal(hints_of(t->w, 2, own), 1);
	assert_false(hint_any(t->w->of[3].p->mbox));
	/* Its number is another's. */
	registry_party_set(t->w->reg, 3, 8, PARTY_ALIVE, 1, 0);
	notify(t, NOTIFY_DATA);
	assert_int_equal(hints_of(t->w, 2, own), 1);
	/* Nobody's, and one that never was. */
	store_relaxed(&t->b.own->bell_at, BELL_AT_NOBODY);
	notify(t, NOTIFY_DATA);
	assert_int_equal(hints_of(t->w, 2, own), 1);
	store_relaxed(&t->b.own->bell_at, bell_at_make(15, PARTY_MAX - 1, SLOT_MAX - 1, 1));
	notify(t, NOTIFY_DATA);
	assert_int_equal(hints_of(t->w, 2, own), 1);
}

static void bell_at__round_trip(void **state)
{
	uint64_t w = bell_at_make(BELL_MAX - 1, PARTY_MAX - 1, SLOT_MAX - 1, 0xffffffff);

	(void)state;
	assert_int_equal(bell_at_bell(w), BELL_MAX - 1);
	assert_int_equal(bell_at_party(w), PARTY_MAX - 1);
	assert_int_equal(bell_at_slot(w), SLOT_MAX - 1);
	assert_int_equal(bell_at_gen(w), 0x7fffffff);
	assert_int_equal(w & BELL_AT_DOUBT, 0);
	assert_int_equal(bell_at_party(BELL_AT_NOBODY), 0);
}

/* A wish on a shared side is the holder's to take back, and only while nobody
 * took the bell since. */
static void conn_unwant_hint__shared(void **state)
{
	struct two *t = *state;
	uint64_t me = bell_at_make(1, 3, 7, 1);

	conn_want_hint(&t->b, NOTIFY_DATA);
	store_relaxed(&t->b.own->shared, 1);
	store_relaxed(&t->b.own->bell_at, me);
	conn_unwant_hint(&t->b, NOTIFY_DATA, 0);
	assert_true(load_relaxed(&t->b.own->want) & WANT_HINT_DATA);
	store_relaxed(&t->b.own->bell_at, me | BELL_AT_DOUBT);
	conn_unwant_hint(&t->b, NOTIFY_DATA, me);
	assert_true(load_relaxed(&t->b.own->want) & WANT_HINT_DATA);
	store_relaxed(&t->b.own->bell_at, me);
	conn_unwant_hint(&t->b, NOTIFY_DATA, me);
	assert_false(load_relaxed(&t->b.own->want) & WANT_HINT_DATA);
}

static void half_end__fin_or_rst(void **state)
{
	struct two *t = *state;

	for (unsigned unread = 0; unread < 2; unread++) {
		for (unsigned force = 0; force < 2; force++) {
			struct conn a, b;

			world_pair(t->w, &a, &b);
			send_pattern(&a, 0, 10);
			recv_pattern(&b, 0, unread ? 9 : 10);
			half_end(b.party, b.own, b.peer, b.owner, force);
			assert_int_equal(b.own->end, unread || force ? END_RST : END_FIN);
			assert_int_equal(half_state(b.own), HALF_CLOSED);
			assert_true(b.own->want & WANT_CLOSED);
		}
	}
}

static void half_end__after_shutdown_keeps_fin(void **state)
{
	struct two *t = *state;

	conn_shutdown_write(&t->b);
	send_pattern(&t->a, 0, 1);
	half_end(t->b.party, t->b.own, t->b.peer, t->b.owner, false);
	assert_int_equal(t->b.own->end, END_FIN | END_RST);
}

static void half_end__after_both_fins_is_no_reset(void **state)
{
	struct two *t = *state;

	conn_shutdown_write(&t->b);
	send_pattern(&t->a, 0, 1);
	conn_shutdown_write(&t->a);
	half_end(t->b.party, t->b.own, t->b.peer, t->b.owner, true);
	assert_int_equal(t->b.own->end, END_FIN);
}

static void half_end__without_peer(void **state)
{
	struct two *t = *state;
	struct half *h = world_half(t->a.party, 1, 0);

	half_end(t->a.party, h, NULL, NULL, true);
	assert_int_equal(half_state(h), HALF_CLOSED);
	assert_int_equal(h->end, 0);
}

static void half_reusable__when(void **state)
{
	struct two *t = *state;
	void *peer_base = t->w->of[2].p->base;

	half_release(t->a.own);
	assert_false(half_reusable(t->a.own, peer_base)); /* it is OPEN */
	half_set_state(t->b.own, HALF_CLOSED);
	assert_false(half_reusable(t->a.own, peer_base));
	half_set_state(t->b.own, HALF_RELEASED);
	assert_true(half_reusable(t->a.own, peer_base));
	half_set_state(t->b.own, HALF_OPEN);
	assert_true(half_reusable(t->a.own, NULL)); /* its party is gone */
	store_relaxed(&t->b.own->gen_state, load_relaxed(&t->b.own->gen_state) + (1ull << 32));
	assert_true(half_reusable(t->a.own, peer_base)); /* another connection */
	store_relaxed(&t->a.own->peer, half_ref_make(2, 0xffff, 1));
	assert_true(half_reusable(t->a.own, peer_base)); /* nonsense */
	store_relaxed(&t->a.own->peer, 0);
	assert_true(half_reusable(t->a.own, peer_base));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(half_set_state__keeps_the_generation),
		T(half_ref_of__round_trip),
		T(half_find__impossible_slot),
		T(half_notify__whom_it_wakes),
		T(half_notify__space_not_before_its_index),
		T(half_ring__who_has_the_bell),
		T(bell_at__round_trip),
		T(conn_unwant_hint__shared),
		T(half_end__fin_or_rst),
		T(half_end__after_shutdown_keeps_fin),
		T(half_end__after_both_fins_is_no_reset),
		T(half_end__without_peer),
		T(half_reusable__when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
