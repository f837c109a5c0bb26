/* SPDX-License-Identifier: BSD-2-Clause */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/seat_row.h"
#include "world.h"

static int setup(void **state)
{
	*state = world_make(3);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static bool word_test(const struct party *p, unsigned row)
{
	return p->seat_used[row / 64] >> (row % 64) & 1;
}

static unsigned rows_used(const struct party *p)
{
	unsigned n = 0;

	for (unsigned r = 0; r < SEAT_MAX / 64; r++)
		n += word_test(p, r);
	return n;
}

/* A connector's half that says that it has seat @i of @l, claim included. */
static struct half *forge(struct world *w, unsigned id, struct half *l, unsigned i,
			  enum half_state s, addr_word remote)
{
	struct party *p = w->of[id].p, *lp = w->of[2].p;
	struct half *h = world_half(p, addr_word_make(WORLD_ADDR, 40001), remote);
	uint64_t seat = load_relaxed(&arena_seats(lp->base)[l->seat_base + 1 + i]);

	store_relaxed(&h->peer, half_ref_make(2, slot_word_slot(seat), slot_word_gen(seat)));
	store_relaxed(&h->peer_party_gen, 1);
	half_set_state(h, s);
	store_relaxed(&lp->mbox->claims[l->seat_base + 1 + i], half_ref_of(p, h));
	if (load_relaxed(&lp->mbox->claims[l->seat_base]) <= i)
		store_relaxed(&lp->mbox->claims[l->seat_base], i + 1);
	return h;
}

/* ------------------------------------------------------------- seat_open */

static void seat_open__goes_to_listen(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 4);

	assert_int_equal(half_state(l), HALF_LISTEN);
	assert_int_equal(l->seat_count, 5);
	assert_int_equal(p->slots_made, 6);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t seat = arena_seats(p->base)[l->seat_base + 1 + i];
		struct half *h = arena_half(p->base, slot_word_slot(seat));

		assert_int_equal(half_state(h), HALF_SEAT);
		assert_int_equal(half_gen(h), slot_word_gen(seat));
		assert_int_equal(h->peer, 0);
	}
}

static void seat_open__again_changes_nothing(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 4);
	uint32_t base = l->seat_base;

	assert_int_equal(seat_open(w->of[2].p, l, 100), 0);
	assert_int_equal(l->seat_count, 5);
	assert_int_equal(l->seat_base, base);
}

static void seat_open__backlog_is_limited(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 0x7fffffff);

	assert_int_equal(l->seat_count, SEAT_BACKLOG_MAX + 1);
}

static void seat_open__rows_exhausted(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l[2000], *one;
	struct conn a, b;
	uint64_t cursor = 0;
	unsigned n = 0, made;

	/* Rows of 64 entries: one counter, 63 seats. No slots are left for
	 * the seats of most: that is no failure. */
	for (; n < ARRAY_LEN(l); n++) {
		l[n] = world_half(p, addr_word_make(WORLD_ADDR, (uint16_t)(1000 + n)), 0);
		if (!l[n] || seat_open(p, l[n], 62) < 0)
			break;
	}
	if (n < ARRAY_LEN(l) && l[n])
		assert_int_equal(half_state(l[n]), HALF_BOUND);
	made = n;
	assert_true(made > 400);
	for (unsigned i = 0; i < made; i++) {
		seat_close(p, l[i]);
		party_slot_retire(p, arena_slot(p->base, l[i]));
	}
	assert_int_equal(rows_used(p), 0);
	/* All of it can be had again; the last row is as good as the first. */
	memset(p->seat_used, 0xff, sizeof(p->seat_used));
	p->seat_used[15] &= ~(1ull << 63);
	one = world_listen(w, 2, 80, 62);
	assert_int_equal(one->seat_base, 65536 - 64);
	assert_int_equal(seat_open(p, world_half(p, 1, 0), 0), -ENOSPC);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_take(p, one, &cursor, 0, &b), 0);
	memset(p->seat_used, 0, sizeof(p->seat_used));
}

static void seat_open__slots_exhausted(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_half(p, addr_word_make(WORLD_ADDR, 80), 0);
	struct listener_ref ref;
	struct conn a, b;
	uint64_t cursor = 0;
	int last = -1;

	for (int s; (s = party_slot_alloc(p)) >= 0;)
		last = s;
	assert_int_equal(seat_open(p, l, 2), 0); /* listens, without seats */
	ref = (struct listener_ref){ half_ref_of(p, l), 1 };
	registry_listen(w->reg, addr_word_make(WORLD_ADDR, 80), &ref, false);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), -EAGAIN);
	assert_int_equal(seat_take(p, l, &cursor, 0, &b), -EAGAIN);
	/* One slot comes free: the next look at the queue makes a seat. */
	party_slot_free(p, (unsigned)last);
	assert_int_equal(seat_take(p, l, &cursor, 0, &b), -EAGAIN);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_take(p, l, &cursor, 0, &b), 0);
	assert_int_equal(half_ref_of(p, b.own), a.peer_ref);
}

/* ------------------------------------------------- seat_claim, seat_take */

static void seat_claim__both_name_each_other(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 4);
	uint64_t cursor = 0;
	struct conn a, b;

	assert_false(seat_waiting(w->of[2].p, l, &cursor));
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(half_state(a.own), HALF_OPEN);
	assert_true(seat_waiting(w->of[2].p, l, &cursor));
	/* Established before it is accepted: it can send and end. */
	assert_int_equal(send_pattern(&a, 0, 1000), 1000);
	assert_int_equal(conn_poll(&a), POLLOUT | POLLWRNORM);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 17, &b), 0);
	assert_false(seat_waiting(w->of[2].p, l, &cursor));
	assert_int_equal(half_state(b.own), HALF_OPEN);
	assert_int_equal(a.own->peer, half_ref_of(w->of[2].p, b.own));
	assert_int_equal(b.own->peer, half_ref_of(w->of[1].p, a.own));
	assert_int_equal(b.own->local, a.own->remote);
	assert_int_equal(b.own->remote, a.own->local);
	assert_int_equal(b.own->handle, 18);
	assert_int_equal(arena_handles(w->of[2].p->base)[17],
			 slot_word_make(arena_slot(w->of[2].p->base, b.own), half_gen(b.own)));
	assert_int_equal(recv_pattern(&b, 0, 2000), 1000);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 18, &b), -EAGAIN);
}

static void seat_claim__of_ones_own_listener(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 1, 80, 0);
	uint64_t cursor = 0;
	struct conn a, b;

	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_take(w->of[1].p, l, &cursor, 0, &b), 0);
	assert_int_equal(send_pattern(&a, 0, 10), 10);
	assert_int_equal(recv_pattern(&b, 0, 10), 10);
	assert_int_equal(w->introduced, 0);
	world_close(&a);
	assert_int_equal(recv_pattern(&b, 10, 1), 0);
	world_close(&b);
}

static void seat_claim__rings_the_listeners_bell(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 4);
	struct conn a;
	uint64_t n;

	store_relaxed(&l->bell, 2);
	atomic_fetch_or(&l->want, WANT_HINT_DATA);
	store_relaxed(&arena_hdr(w->of[2].p->base)->bells[2].sleepers, 1);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_true(hint_any(w->of[2].p->mbox));
	assert_int_equal(read(w->of[2].bell_fd[2], &n, 8), 8);
}

static void seat_take__in_the_order_of_arrival(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 6);
	uint64_t cursor = 0;
	struct conn a[500], b;
	unsigned in = 0, out = 0;

	/* Many rounds, with between 0 and 7 waiting. */
	for (unsigned i = 0; in < 500; i++) {
		for (unsigned k = i % 7 + 1; k > 0 && in - out < 7 && in < 500; k--, in++)
			assert_int_equal(world_connect(w, 1 + 2 * (in & 1), 80, &a[in], NULL), 0);
		for (unsigned k = i % 5 + 1; k > 0 && out < in; k--, out++) {
			assert_int_equal(seat_take(w->of[2].p, l, &cursor, out, &b), 0);
			assert_int_equal(half_ref_of(a[out].party, a[out].own), b.own->peer);
		}
	}
}

static void seat_claim__backlog_full(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3), *own;
	struct conn a[4], more, b;
	uint64_t cursor = 0;

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world_connect(w, 1, 80, &a[i], NULL), 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(world_connect(w, 1, 80, &more, &own), -EAGAIN);
		assert_int_equal(half_state(own), HALF_BOUND);
		assert_int_equal(own->peer, 0);
		party_slot_free(w->of[1].p, arena_slot(w->of[1].p->base, own));
	}
	/* Those who were refused hold nothing. */
	assert_int_equal(w->of[1].p->peers[2]->refs, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(seat_take(w->of[2].p, l, &cursor, i, &b), 0);
		assert_int_equal(half_ref_of(a[i].party, a[i].own), b.own->peer);
	}
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 4, &b), -EAGAIN);
	assert_int_equal(world_connect(w, 1, 80, &more, &own), 0);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 4, &b), 0);
}

static void seat_claim__the_only_free_seat_is_found(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 100);
	struct conn a;

	for (unsigned i = 0; i < 101; i++)
		assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), -EAGAIN);
	store_relaxed(&w->of[2].p->mbox->claims[l->seat_base + 1 + 60], 0);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), -EAGAIN);
}

static void seat_claim__many_overflows_lose_nobody(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 40), *own;
	uint64_t seed = dice_seed(), cursor = 0;
	unsigned connected = 0, accepted = 0;
	struct conn a, b;

	for (unsigned i = 0; i < 5000; i++) {
		int r;

		if (dice(&seed) % 3) {
			r = world_connect(w, 1, 80, &a, &own);
			connected += r == 0;
			assert_true(r == 0 || r == -EAGAIN);
			if (r)
				party_slot_free(w->of[1].p, arena_slot(w->of[1].p->base, own));
		} else {
			r = seat_take(w->of[2].p, l, &cursor, 0, &b);
			assert_int_equal(r, connected > accepted ? 0 : -EAGAIN);
			accepted += r == 0;
		}
	}
	while (seat_take(w->of[2].p, l, &cursor, 0, &b) == 0)
		accepted++;
	assert_int_equal(connected, accepted);
}

static void seat_claim__refused_by_what_is_no_listener(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[1].p;
	struct half *l = world_listen(w, 2, 80, 3), *own;
	half_ref ref = half_ref_of(w->of[2].p, l);
	struct listener_ref bad[] = {
		{ half_ref_make(2, 0xffff, 1), 1 },                  /* no such slot */
		{ half_ref_make(2, half_ref_slot(ref) + 1, 1), 1 },  /* a seat */
		{ half_ref_make(2, half_ref_slot(ref), 9), 1 },      /* another generation */
	};
	struct conn a;

	own = world_half(p, 1, addr_word_make(WORLD_ADDR, 80));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(seat_claim(p, own, &bad[i], &a), -ECONNREFUSED);
	/* Another generation of its party; no such party; not to be mapped. */
	assert_int_equal(seat_claim(p, own, &(struct listener_ref){ ref, 2 }, &a), -ESRCH);
	assert_int_equal(seat_claim(p, own, &(struct listener_ref){ half_ref_make(99, 0, 1), 1 },
				    &a), -ESRCH);
	assert_int_equal(seat_claim(p, own,
				    &(struct listener_ref){ half_ref_make(9999, 0, 1), 1 }, &a),
			 -EPROTO);
	assert_int_equal(p->peers[2]->refs, 0);
	w->fail = -EMFILE;
	assert_int_equal(seat_claim(w->of[3].p, world_half(w->of[3].p, 1, 2),
				    &(struct listener_ref){ ref, 1 }, &a), -EMFILE);
	w->fail = 0;
	/* A party that is dead by now. */
	registry_party_set(w->reg, 2, 1, PARTY_DEAD, 0, 0);
	assert_int_equal(seat_claim(p, own, &(struct listener_ref){ ref, 1 }, &a), -ECONNREFUSED);
	assert_int_equal(half_state(own), HALF_BOUND);
}

static void seat_claim__seat_fields_that_are_noise(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3);
	uint64_t seed = dice_seed();
	_Atomic uint64_t *seats = arena_seats(w->of[2].p->base);
	uint32_t base = l->seat_base;
	struct half *own;
	struct conn a;

	for (unsigned i = 0; i < 3000; i++) {
		int r;

		store_relaxed(&l->seat_base, dice(&seed) & 1 ? (uint32_t)dice(&seed) : base);
		store_relaxed(&l->seat_count, dice(&seed) & 1 ? (uint32_t)dice(&seed) : 4);
		store_relaxed(&seats[base + 1 + i % 4], dice(&seed) & 1 ? dice(&seed) : 0);
		store_relaxed(&w->of[2].p->mbox->claims[base], dice(&seed));
		r = world_connect(w, 1, 80, &a, &own);
		assert_true(r == 0 || r == -EAGAIN || r == -ECONNREFUSED);
		half_release(own);
		party_slot_retire(w->of[1].p, arena_slot(w->of[1].p->base, own));
	}
}

static void seat_take__claim_words_that_are_noise(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3);
	_Atomic uint64_t *claims = &w->of[2].p->mbox->claims[l->seat_base];
	uint64_t seed = dice_seed(), cursor = 0;
	struct conn a, b;

	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = 0; k < 4; k++)
			store_relaxed(&claims[1 + k], dice(&seed) & 1 ?
				      half_ref_make(dice(&seed) % 4, dice(&seed) % 16, 1) :
				      dice(&seed));
		store_relaxed(&claims[0], dice(&seed) & 1 ? dice(&seed) : dice(&seed) % 8);
		(void)seat_waiting(w->of[2].p, l, &cursor);
		assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	}
	/* The next one is served. Tickets go up: one that was set back hides
	 * claims until the counter has gone round. */
	for (unsigned k = 1; k < 5; k++)
		store_relaxed(&claims[k], 0);
	store_relaxed(&claims[0], 1000);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), 0);
}

static void seat_take__claimant_that_names_another_seat(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3), *h;
	uint64_t cursor = 0;
	struct conn a, b;

	h = forge(w, 1, l, 0, HALF_CONNECTING, addr_word_make(WORLD_ADDR, 80));
	store_relaxed(&h->peer, load_relaxed(&h->peer) + 1);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	/* It is still choosing, and withdraws the claim itself. */
	assert_int_not_equal(w->of[2].p->mbox->claims[l->seat_base + 1], 0);
	/* One that has chosen, or has ended, does not: then it is cleared. */
	half_set_state(h, HALF_OPEN);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	assert_int_equal(w->of[2].p->mbox->claims[l->seat_base + 1], 0);
	h = forge(w, 1, l, 1, HALF_BOUND, addr_word_make(WORLD_ADDR, 80));
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	assert_int_not_equal(w->of[2].p->mbox->claims[l->seat_base + 2], 0);
	store_relaxed(&h->peer, 0);
	half_release(h);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	assert_int_equal(w->of[2].p->mbox->claims[l->seat_base + 2], 0);
	/* One that wants another port, another address. */
	(void)forge(w, 1, l, 2, HALF_CONNECTING, addr_word_make(WORLD_ADDR, 81));
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	(void)forge(w, 1, l, 3, HALF_CONNECTING, addr_word_make(WORLD_ADDR + 1, 80));
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), 0);
}

static void seat_take__wildcard_listener_takes_any_address(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_half(p, addr_word_make(0, 80), 0);
	struct listener_ref ref;
	uint64_t cursor = 0;
	struct conn a, b;

	assert_int_equal(seat_open(p, l, 0), 0);
	ref = (struct listener_ref){ half_ref_of(p, l), 1 };
	assert_int_equal(registry_listen(w->reg, addr_word_make(0, 80), &ref, false), 0);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_take(p, l, &cursor, 0, &b), 0);
	assert_int_equal(b.own->local, addr_word_make(WORLD_ADDR, 80));
}

static void seat_take__a_ticket_without_a_claim(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3);
	uint64_t cursor = 0;
	struct conn a, b;

	/* Connectors that died between ticket and claim. */
	for (unsigned i = 0; i < 30; i++) {
		atomic_fetch_add(&w->of[2].p->mbox->claims[l->seat_base], i % 4);
		assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
		assert_true(seat_waiting(w->of[2].p, l, &cursor));
		assert_int_equal(seat_take(w->of[2].p, l, &cursor, i, &b), 0);
		assert_int_equal(half_ref_of(w->of[1].p, a.own), b.own->peer);
		assert_int_equal(seat_take(w->of[2].p, l, &cursor, i, &b), -EAGAIN);
	}
}

/* Its ticket was drawn while another waited at that seat, who has been accepted. */
static void seat_take__a_claim_that_comes_late(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p, *asker = w->of[1].p;
	struct half *l = world_listen(w, 2, 80, 3), *own;
	uint64_t cursor = 0;
	struct peer *owner;
	struct conn a, b;
	half_ref seat;

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	atomic_fetch_add(&p->mbox->claims[l->seat_base], 1);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(seat_take(p, l, &cursor, i, &b), 0);
	own = world_half(asker, addr_word_make(WORLD_ADDR, 40001), addr_word_make(WORLD_ADDR, 80));
	assert_int_equal(party_peer_get(asker, 2, 1, &owner), 0);
	store_relaxed(&own->peer_party_gen, owner->gen);
	half_set_state(own, HALF_CONNECTING);
	assert_int_equal(seat_claim_one(asker, own, half_find(owner->base, half_ref_of(p, l)),
					(uint64_t)half_gen(l) << 32 | HALF_LISTEN, owner,
					l->seat_base, 0, &seat),
			 0);
	half_set_state(own, HALF_OPEN);
	assert_true(seat_waiting(p, l, &cursor));
	assert_int_equal(seat_take(p, l, &cursor, 4, &b), 0);
	assert_int_equal(b.own->peer, half_ref_of(asker, own));
	assert_false(seat_waiting(p, l, &cursor));
}

static void seat_take__claimant_that_died(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3);
	struct peer *dead;
	uint64_t cursor = 0;
	struct conn a, b;
	char c;

	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(send_pattern(&a, 0, 100), 100);
	assert_int_equal(party_peer_get(w->of[0].p, 1, 1, &dead), 0);
	registry_party_set(w->reg, 1, 1, PARTY_DEAD, 0, 0);
	execute_half(w->of[0].p, dead, arena_slot(w->of[1].p->base, a.own), half_gen(a.own));
	/* Accepted like one that lives; what it sent is there, then its end. */
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), 0);
	assert_int_equal(recv_pattern(&b, 0, 1000), 100);
	assert_int_equal(conn_recv(&b, &c, 1, 0, 0), 0);
}

static void seat_take__claimant_that_cannot_be_mapped_stays(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3);
	uint64_t cursor = 0;
	struct conn a[3], b;

	assert_int_equal(world_connect(w, 1, 80, &a[0], NULL), 0);
	w->fail = -ENFILE;
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -ENFILE);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -ENFILE);
	assert_true(seat_waiting(w->of[2].p, l, &cursor));
	w->fail = 0;
	assert_int_equal(world_connect(w, 3, 80, &a[1], NULL), 0);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), 0);
	assert_int_equal(b.own->peer, half_ref_of(w->of[1].p, a[0].own));
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), 0);
	assert_int_equal(b.own->peer, half_ref_of(w->of[3].p, a[1].own));
}

static void seat_take__claimants_party_is_gone(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3);
	uint64_t cursor = 0;
	struct conn a, b;

	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	w->of[1].gone = true;
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), -EAGAIN);
	assert_false(seat_waiting(w->of[2].p, l, &cursor));
}

/* A connector that was slow: the seat was taken by another and has moved on. */
static void seat_claim__seat_moved_on(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 0), *late;
	uint64_t cursor = 0;
	struct conn a, b, c;

	late = forge(w, 3, l, 0, HALF_CONNECTING, addr_word_make(WORLD_ADDR, 80));
	store_relaxed(&w->of[2].p->mbox->claims[l->seat_base + 1], 0); /* not claimed yet */
	store_relaxed(&w->of[2].p->mbox->claims[l->seat_base], 0);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &b), 0);
	/* Its claim comes now, for a seat that is another's. */
	store_relaxed(&w->of[2].p->mbox->claims[l->seat_base + 1], half_ref_of(w->of[3].p, late));
	atomic_fetch_add(&w->of[2].p->mbox->claims[l->seat_base], 1);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 0, &c), -EAGAIN);
	assert_int_equal(b.own->peer, half_ref_of(w->of[1].p, a.own));
	assert_int_equal(send_pattern(&a, 0, 10), 10);
	assert_int_equal(recv_pattern(&b, 0, 10), 10);
}

/* ------------------------------------------------------------ seat_defer */

#define LATE_MS 600000u

static void seat_defer__who_speaks_is_taken(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 6);
	struct conn a, c, b;
	uint64_t cursor = 0;

	/* Seats that are there already, and those that come. */
	seat_defer(p, l, LATE_MS);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
		assert_int_equal(world_connect(w, 3, 80, &c, NULL), 0);
		assert_false(seat_waiting(p, l, &cursor));
		assert_int_equal(seat_waiting_count(p, l, &cursor), 0);
		assert_true(seat_due(p, l, &cursor) > 0);
		assert_int_equal(seat_take(p, l, &cursor, 1, &b), -EAGAIN);
		assert_int_equal(conn_send(&c, "x", 1), 1);
		assert_int_equal(seat_waiting_count(p, l, &cursor), 1);
		assert_int_equal(seat_take(p, l, &cursor, 1, &b), 0);
		assert_int_equal(b.own->peer, half_ref_of(c.party, c.own));
		assert_int_equal(b.own->want, 0);
		world_close(&b);
		conn_shutdown_write(&a);
		assert_int_equal(seat_take(p, l, &cursor, 2, &b), 0);
		assert_int_equal(b.own->peer, half_ref_of(a.party, a.own));
		assert_int_equal(seat_due(p, l, &cursor), 0);
		world_close(&b);
		world_close(&a);
		world_close(&c);
	}
}

static void seat_defer__rings_when_it_speaks(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 4);
	struct conn a;
	uint64_t n;

	seat_defer(w->of[2].p, l, LATE_MS);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	store_relaxed(&l->bell, 2);
	atomic_fetch_or(&l->want, WANT_HINT_DATA);
	store_relaxed(&arena_hdr(w->of[2].p->base)->bells[2].sleepers, 1);
	assert_int_equal(conn_send(&a, "x", 1), 1);
	assert_int_equal(read(w->of[2].bell_fd[2], &n, 8), 8);
}

static void seat_defer__until_it_is_late(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 4), *s;
	struct conn a, b;
	uint64_t cursor = 0, due;

	seat_defer(p, l, LATE_MS);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	due = seat_due(p, l, &cursor);
	assert_int_equal(seat_due(p, l, &cursor), due);
	s = arena_half(p->base, slot_word_slot(arena_seats(p->base)[l->seat_base + 1]));
	s->born_ns -= LATE_MS * 1000000ull;
	assert_true(seat_waiting(p, l, &cursor));
	assert_int_equal(seat_take(p, l, &cursor, 1, &b), 0);
	assert_int_equal(b.own->peer, half_ref_of(a.party, a.own));
	assert_int_equal(b.own->remote, a.own->local);
	/* Off: who waits is there at once, who comes too. */
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_false(seat_waiting(p, l, &cursor));
	seat_defer(p, l, 0);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	assert_int_equal(seat_waiting_count(p, l, &cursor), 2);
}

static void seat_defer__one_that_died_is_taken(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 4), *own;
	struct peer *dead;
	struct conn a, b;
	uint64_t cursor = 0;

	seat_defer(p, l, LATE_MS);
	assert_int_equal(world_connect(w, 1, 80, &a, &own), 0);
	assert_false(seat_waiting(p, l, &cursor));
	assert_int_equal(party_peer_get(w->of[0].p, 1, w->of[1].gen, &dead), 0);
	execute_half(w->of[0].p, dead, arena_slot(w->of[1].p->base, own), half_gen(own));
	assert_int_equal(seat_take(p, l, &cursor, 1, &b), 0);
	assert_int_equal(conn_recv(&b, (char[1]){ 0 }, 1, 0, 0), 0);
}

static void seat_defer__closing_resets_who_waits(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 4);
	struct conn a;

	seat_defer(w->of[2].p, l, LATE_MS);
	assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
	seat_close(w->of[2].p, l);
	assert_int_equal(conn_recv(&a, (char[1]){ 0 }, 1, 0, 0), -ECONNRESET);
	/* Nobody listens, and what names the listener may be anything. */
	assert_int_equal(conn_send(&a, "x", 1), -EPIPE);
}

/* ------------------------------------------------------------ seat_close */

static void seat_close__resets_who_waits(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 3);
	struct conn a[2];
	uint32_t e;
	char c;

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(world_connect(w, 1, 80, &a[i], NULL), 0);
	conn_want_futex(&a[0], NOTIFY_DATA);
	e = load_relaxed(&a[0].peer->event);
	seat_close(p, l);
	party_slot_retire(p, arena_slot(p->base, l));
	assert_true(load_relaxed(&a[0].peer->event) > e); /* rung */
	for (unsigned i = 0; i < 2; i++) {
		assert_true(conn_poll(&a[i]) & POLLERR);
		assert_int_equal(conn_recv(&a[i], &c, 1, 0, 0), -ECONNRESET);
	}
	assert_int_equal(rows_used(p), 0);
	/* The seats that were taken wait for their peers; the rest is free. */
	assert_int_equal(p->zombie_count, 3);
	assert_int_equal(p->free_slot_count, 2);
	for (unsigned i = 0; i < 2; i++)
		world_close(&a[i]);
	party_peers_sweep(p);
	assert_int_equal(p->zombie_count, 0);
	assert_int_equal(p->free_slot_count, 5);
	assert_int_equal(p->peers[1]->refs, 0);
	party_peers_sweep(w->of[1].p);
	assert_int_equal(w->of[1].p->peers[2]->refs, 0);
}

static void seat_close__refuses_later(void **state)
{
	struct world *w = *state;
	struct half *l = world_listen(w, 2, 80, 3), *own;
	struct conn a;

	seat_close(w->of[2].p, l);
	assert_int_equal(half_state(l), HALF_RELEASED);
	/* The registry has not been told yet. */
	assert_int_equal(world_connect(w, 1, 80, &a, &own), -ECONNREFUSED);
	assert_int_equal(half_state(own), HALF_BOUND);
	assert_int_equal(own->peer, 0);
	party_slot_retire(w->of[2].p, arena_slot(w->of[2].p->base, l));
	/* Its slot is another listener's: not that one's client. */
	for (unsigned i = 0; i < 5; i++)
		if (world_listen(w, 2, (uint16_t)(90 + i), 0) == l)
			break;
	assert_int_equal(half_state(l), HALF_LISTEN);
	assert_int_equal(world_connect(w, 1, 80, &a, &own), -ECONNREFUSED);
}

static void seat_close__row_and_slots_are_used_again(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	uint32_t base = 0;

	for (unsigned i = 0; i < 2000; i++) {
		struct half *l = world_half(p, addr_word_make(WORLD_ADDR, 80), 0);
		struct conn a, b;
		uint64_t cursor = 0;

		assert_int_equal(seat_open(p, l, 20), 0);
		base = base ? base : l->seat_base;
		assert_int_equal(l->seat_base, base);
		/* What lies in the claim words of a row is not believed. */
		assert_int_equal(seat_take(p, l, &cursor, 0, &b), -EAGAIN);
		if (i % 3 == 0) {
			struct listener_ref ref = { half_ref_of(p, l), 1 };
			struct half *own = world_half(w->of[1].p, 1,
						      addr_word_make(WORLD_ADDR, 80));

			assert_int_equal(seat_claim(w->of[1].p, own, &ref, &a), 0);
			if (i % 2) {
				assert_int_equal(seat_take(p, l, &cursor, 0, &b), 0);
				world_close(&b);
			}
			world_close(&a);
		}
		seat_close(p, l);
		party_slot_retire(p, arena_slot(p->base, l));
		/* A connector that is late by a listener's life. */
		store_relaxed(&p->mbox->claims[base + 1 + i % 20], half_ref_make(1, 0, 1));
	}
	assert_true(p->slots_made < 100);
	assert_true(w->of[1].p->slots_made < 100);
}

/* ----------------------------------------------------------- seat_remind */

static void seat_remind__a_claim_that_was_wiped_out(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 4);
	struct listener_ref ref = { half_ref_of(p, l), 1 };
	struct half *own = world_half(w->of[1].p, addr_word_make(WORLD_ADDR, 40001),
				      addr_word_make(WORLD_ADDR, 80));
	uint64_t cursor = 0;
	struct conn a, b;

	assert_int_equal(seat_claim(w->of[1].p, own, &ref, &a), 0);
	memset((void *)&p->mbox->claims[l->seat_base], 0, 6 * sizeof(uint64_t));
	assert_false(seat_waiting(p, l, &cursor));
	assert_int_equal(seat_take(p, l, &cursor, 0, &b), -EAGAIN);
	seat_remind(&a);
	assert_true(seat_waiting(p, l, &cursor));
	assert_int_equal(seat_take(p, l, &cursor, 0, &b), 0);
	assert_int_equal(a.own->peer, half_ref_of(p, b.own));
	/* Accepted: nothing is claimed any more. */
	seat_remind(&a);
	assert_false(seat_waiting(p, l, &cursor));
	world_close(&a);
	world_close(&b);
}

static void seat_waiting__a_counter_that_went_back(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 4);
	struct listener_ref ref = { half_ref_of(p, l), 1 };
	uint64_t cursor = 0;
	struct conn a[3], b;

	for (unsigned i = 0; i < 3; i++) {
		struct half *own = world_half(w->of[1].p, addr_word_make(WORLD_ADDR, 40001),
					      addr_word_make(WORLD_ADDR, 80));

		assert_int_equal(seat_claim(w->of[1].p, own, &ref, &a[i]), 0);
	}
	assert_int_equal(seat_take(p, l, &cursor, 0, &b), 0);
	world_close(&b);
	store_relaxed(&p->mbox->claims[l->seat_base], 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(seat_waiting(p, l, &cursor));
		assert_int_equal(seat_take(p, l, &cursor, 0, &b), 0);
		world_close(&b);
	}
	assert_false(seat_waiting(p, l, &cursor));
	for (unsigned i = 0; i < 3; i++)
		world_close(&a[i]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(seat_open__goes_to_listen),
		T(seat_open__again_changes_nothing),
		T(seat_open__backlog_is_limited),
		T(seat_open__rows_exhausted),
		T(seat_open__slots_exhausted),
		T(seat_take__in_the_order_of_arrival),
		T(seat_take__claim_words_that_are_noise),
		T(seat_take__claimant_that_names_another_seat),
		T(seat_take__wildcard_listener_takes_any_address),
		T(seat_take__a_ticket_without_a_claim),
		T(seat_take__a_claim_that_comes_late),
		T(seat_take__claimant_that_died),
		T(seat_take__claimant_that_cannot_be_mapped_stays),
		T(seat_take__claimants_party_is_gone),
		T(seat_remind__a_claim_that_was_wiped_out),
		T(seat_waiting__a_counter_that_went_back),
		T(seat_claim__both_name_each_other),
		T(seat_claim__of_ones_own_listener),
		T(seat_claim__rings_the_listeners_bell),
		T(seat_claim__backlog_full),
		T(seat_claim__the_only_free_seat_is_found),
		T(seat_claim__many_overflows_lose_nobody),
		T(seat_claim__refused_by_what_is_no_listener),
		T(seat_claim__seat_fields_that_are_noise),
		T(seat_claim__seat_moved_on),
		T(seat_defer__who_speaks_is_taken),
		T(seat_defer__rings_when_it_speaks),
		T(seat_defer__until_it_is_late),
		T(seat_defer__one_that_died_is_taken),
		T(seat_defer__closing_resets_who_waits),
		T(seat_close__resets_who_waits),
		T(seat_close__refuses_later),
		T(seat_close__row_and_slots_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
