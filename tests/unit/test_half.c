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
		T(half_end__fin_or_rst),
		T(half_end__after_shutdown_keeps_fin),
		T(half_end__after_both_fins_is_no_reset),
		T(half_end__without_peer),
		T(half_reusable__when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
