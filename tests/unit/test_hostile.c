/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hostile.c - A peer half that is noise, and changes while it is read.
 *
 * A thread scribbles over the half of party 1, in party 1's own mapping, while
 * party 2 uses its connection to it in all ways. Party 2 must not crash, not
 * hang, and its connection to party 3 must not notice.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "shm/urgent.h"
#include "world.h"

#define ROUND_NS (3 * NS_PER_MS)
#define OP_NS (5 * NS_PER_SEC) /* on a machine that is busy otherwise */

enum scribble { NOISE, ZEROES, ONES, NEAR, FLIP_TAIL, ENDS, EXTENTS, SCRIBBLES };

struct scribbler {
	struct world *w;
	struct half *half;
	const struct half *victim;
	struct mailbox *mbox; /* of the victim's party; NULL: left alone */
	enum scribble how;
	uint64_t seed;
	_Atomic bool stop;
};

static void scribble(struct scribbler *s)
{
	struct half *h = s->half;
	uint64_t v = dice(&s->seed);
	_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)h;

	switch (s->how) {
	case NOISE:
		store_relaxed(&words[v % 64], dice(&s->seed));
		break;
	case ZEROES:
		store_relaxed(&words[v % 64], 0);
		break;
	case ONES:
		store_relaxed(&words[v % 64], UINT64_MAX);
		break;
	case NEAR: /* what a reader might believe */
		store_relaxed(&h->tail, load_relaxed(&s->victim->head) + v % 100000 - 50);
		store_relaxed(&h->head, load_relaxed(&s->victim->tail) - v % 100000 + 50);
		store_relaxed(&h->want, (uint32_t)(v >> 32));
		store_relaxed(&h->want_space, load_relaxed(&s->victim->head) + v % 3);
		store_relaxed(&h->bell, (uint32_t)(v >> 40));
		store_relaxed(&h->urgent, load_relaxed(&s->victim->head) + (v >> 8) % 9);
		store_relaxed(&h->urgent_skip, load_relaxed(&s->victim->head) + (v >> 16) % 9);
		break;
	case FLIP_TAIL: /* it ended, but is there more? */
		store_relaxed(&h->end, END_FIN);
		store_relaxed(&h->tail, load_relaxed(&s->victim->head) + (v & 1));
		break;
	case ENDS:
		store_relaxed(&h->end, (uint32_t)v & 7);
		store_relaxed(&h->want, v & 8 ? WANT_CLOSED : 0);
		store_relaxed(&h->gen_state, (v >> 8 & 3 ? 1ull << 32 : v << 40) | (v >> 16 & 15));
		break;
	default:
		store_relaxed(&h->tail, load_relaxed(&s->victim->head) + v % 500000);
		store_relaxed(&h->ext_count, (uint32_t)(v >> 20 & 15) + (v & 1 ? 0xfffffff8u : 0));
		store_relaxed(&h->ext[v >> 24 & 7].first, load_relaxed(&s->victim->head) +
			      (v >> 28 & 0xffff) - 30000);
		store_relaxed(&h->ext[v >> 24 & 7].where, v & 2 ? dice(&s->seed) :
			      (ARENA_OFF_RINGS / PAGE_BYTES + (v >> 32 & 0xffff)) << 8 |
			      (13 + (v >> 50 & 15)));
	}
	if (s->mbox) {
		_Atomic uint64_t *mail = (_Atomic uint64_t *)(void *)s->mbox;

		v = dice(&s->seed);
		store_relaxed(&mail[8 + v % 520], dice(&s->seed));
		store_relaxed(&s->mbox->claims[64 + (v >> 32) % 8],
			      v >> 62 ? half_ref_make(1, v % 8, 1) : dice(&s->seed));
	}
}

static void *scribble_thread(void *arg)
{
	struct scribbler *s = arg;

	while (!load_relaxed(&s->stop)) {
		for (unsigned i = 0; i < 50; i++)
			scribble(s);
		sched_yield(); /* on one core, let it be read */
	}
	return NULL;
}

static void ignore(void *arg, unsigned slot)
{
	(void)arg;
	assert_true(slot < SLOT_MAX);
}

/* One thing that party 2 does with its connection to the liar. */
static void use(struct world *w, struct conn *c, uint64_t *seed)
{
	static unsigned char buf[1 << 17];
	uint64_t v = dice(seed), began = clock_now_ns();
	size_t len = 1 + (v >> 8) % (1u << (v >> 32) % 18);
	ssize_t r = 0;

	switch (v % 14) {
	case 0:
	case 1:
	case 2:
		r = conn_send(c, buf, len);
		assert_true(r > 0 || r == -EAGAIN || r == -EPIPE || r == -ECONNRESET);
		assert_true(r <= (ssize_t)len);
		break;
	case 3:
	case 4:
	case 5:
		r = conn_recv(c, buf, len, 0, 0);
		assert_true(r >= 0 || r == -EAGAIN || r == -ECONNRESET || r == -EPIPE);
		assert_true(r <= (ssize_t)len);
		break;
	case 6:
		r = conn_recv(c, buf, len, (v >> 40) % 70000, CONN_PEEK);
		assert_true(r >= 0 || r == -EAGAIN || r == -ECONNRESET || r == -EPIPE);
		break;
	case 7:
		conn_poll(c);
		assert_true(conn_readable(c) <= 2 * (4u << 20));
		assert_true(conn_until_mark(c) <= 2 * (4u << 20));
		conn_at_mark(c);
		conn_unsent(c);
		conn_writable(c);
		break;
	case 8:
		conn_want_futex(c, NOTIFY_DATA | NOTIFY_SPACE);
		conn_unwant_futex(c, NOTIFY_DATA | NOTIFY_SPACE);
		conn_want_hint(c, NOTIFY_DATA | NOTIFY_SPACE);
		break;
	case 9:
		conn_trim(c);
		break;
	case 10:
		r = conn_take_error(c);
		assert_true(r == 0 || r == ECONNRESET || r == EPIPE);
		break;
	case 11:
		r = conn_recv_urgent(c, buf, v >> 40 & 1);
		assert_true(r == 1 || r == 0 || r == -EAGAIN || r == -EINVAL ||
			    r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE);
		break;
	case 12:
		r = conn_send_urgent(c, &(struct iovec){ buf, 1 + len % 3 }, 1, 0);
		assert_true(r > 0 || r == -EAGAIN || r == -EPIPE || r == -ECONNRESET);
		break;
	default:
		hint_take(w->of[2].p->mbox, ignore, NULL);
	}
	assert_true(clock_now_ns() - began < OP_NS);
}

struct honest {
	struct conn a, b;
	uint64_t in, out;
};

static void honest_step(struct honest *h, uint64_t *seed)
{
	ssize_t r = send_pattern(&h->a, h->in, dice(seed) % 5000);

	assert_true(r >= 0 || r == -EAGAIN);
	h->in += r > 0 ? (uint64_t)r : 0;
	r = recv_pattern(&h->b, h->out, 65536);
	assert_true(r > 0 || r == -EAGAIN);
	h->out += r > 0 ? (uint64_t)r : 0;
	assert_int_equal(load_relaxed(&h->b.own->side) | load_relaxed(&h->a.own->side), 0);
	assert_int_equal(load_relaxed(&h->b.own->error), 0);
}

/* Party 3 connects to party 2. */
static void honest_make(struct world *w, struct honest *h)
{
	struct half *l = world_listen(w, 2, 60, 0);
	uint64_t cursor = 0;

	assert_int_equal(world_connect(w, 3, 60, &h->a, NULL), 0);
	assert_int_equal(seat_take(w->of[2].p, l, &cursor, 7, &h->b), 0);
}

static void hostile_half(enum scribble how, bool mailbox)
{
	struct world *w = world_make(3);
	struct honest h = { 0 };
	uint64_t seed = dice_seed() + how;
	unsigned used = 0;

	honest_make(w, &h);
	for (unsigned round = 0; round < 80; round++) {
		struct scribbler s = { .w = w, .how = how, .seed = dice(&seed) };
		uint64_t ends;
		struct conn a, b;
		pthread_t t;

		world_pair(w, &a, &b);
		s.half = a.own;
		s.victim = b.own;
		s.mbox = mailbox ? w->of[2].p->mbox : NULL;
		/* Some rounds begin with a ring in use. */
		if (round & 1) {
			send_pattern(&a, 0, 200000);
			recv_pattern(&b, 0, 30000);
			send_pattern(&b, 0, 100000);
		}
		assert_int_equal(pthread_create(&t, NULL, scribble_thread, &s), 0);
		ends = clock_now_ns() + ROUND_NS;
		for (unsigned i = 0; clock_now_ns() < ends || i < 60; i++) {
			use(w, &b, &seed);
			honest_step(&h, &seed);
			used++;
		}
		world_close(&b);
		party_peers_sweep(w->of[2].p);
		store_relaxed(&s.stop, true);
		pthread_join(t, NULL);
		/* The liar's half stays as it is: its own trouble. */
	}
	printf("# %u uses, %llu honest bytes\n", used, (unsigned long long)h.out);
	/* Ring memory that went to those connections has come back, but for
	 * those whose liar says that it still reads. */
	for (unsigned i = 0; i < w->of[1].p->slots_made; i++)
		store_relaxed(&arena_half(w->of[1].p->base, i)->gen_state, 0);
	for (unsigned i = 0; i < 1000 && h.out < h.in; i++) {
		ssize_t r = recv_pattern(&h.b, h.out, 65536);

		assert_true(r > 0);
		h.out += (uint64_t)r;
	}
	party_peers_sweep(w->of[2].p);
	assert_int_equal(w->of[2].p->ring_used_bytes, 0);
	world_free(w);
}

static void hostile_half__noise(void **state)
{
	(void)state;
	hostile_half(NOISE, false);
}

static void hostile_half__zeroes(void **state)
{
	(void)state;
	hostile_half(ZEROES, false);
}

static void hostile_half__ones(void **state)
{
	(void)state;
	hostile_half(ONES, false);
}

static void hostile_half__plausible_indices(void **state)
{
	(void)state;
	hostile_half(NEAR, false);
}

static void hostile_half__tail_that_flips_after_the_end(void **state)
{
	(void)state;
	hostile_half(FLIP_TAIL, false);
}

static void hostile_half__ends_and_states(void **state)
{
	(void)state;
	hostile_half(ENDS, false);
}

static void hostile_half__extents(void **state)
{
	(void)state;
	hostile_half(EXTENTS, false);
}

static void hostile_mailbox__noise(void **state)
{
	(void)state;
	hostile_half(NOISE, true);
}

/* Noise in claims and in claimants, while honest clients connect. */
static void hostile_mailbox__listener_still_serves(void **state)
{
	struct world *w = world_make(3);
	struct half *l = world_listen(w, 2, 80, 5); /* its row is entries 64..70 */
	struct half *liar = world_half(w->of[1].p, 1, addr_word_make(WORLD_ADDR, 80));
	struct scribbler s = { .w = w, .half = liar, .victim = l, .mbox = w->of[2].p->mbox,
			       .how = NOISE, .seed = dice_seed() };
	uint64_t cursor = 0, ends = clock_now_ns() + 300 * NS_PER_MS;
	unsigned served = 0;
	struct conn a, b;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, scribble_thread, &s), 0);
	while (clock_now_ns() < ends) {
		struct half *own;
		int r = world_connect(w, 3, 80, &a, &own);

		assert_true(r == 0 || r == -EAGAIN || r == -ECONNREFUSED);
		if (r < 0)
			party_slot_free(w->of[3].p, arena_slot(w->of[3].p->base, own));
		(void)seat_waiting(w->of[2].p, l, &cursor);
		for (unsigned i = 0; i < 6; i++) {
			r = seat_take(w->of[2].p, l, &cursor, 1, &b);
			assert_true(r == 0 || r == -EAGAIN);
			/* Whoever it is, it is a connection that can be closed. */
			if (r == 0)
				world_close(&b);
		}
		if (w->of[3].p->slots_made > 30000)
			break;
	}
	store_relaxed(&s.stop, true);
	pthread_join(t, NULL);
	/* The scribbler is gone: all is well at once. */
	for (unsigned i = 0; i <= 6; i++)
		store_relaxed(&w->of[2].p->mbox->claims[64 + i], 0);
	cursor = 0;
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(world_connect(w, 3, 80, &a, NULL), 0);
		assert_int_equal(seat_take(w->of[2].p, l, &cursor, 1, &b), 0);
		assert_int_equal(send_pattern(&a, 0, 100), 100);
		assert_int_equal(recv_pattern(&b, 0, 100), 100);
		served++;
	}
	assert_int_equal(served, 50);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_half__noise),
		cmocka_unit_test(hostile_half__zeroes),
		cmocka_unit_test(hostile_half__ones),
		cmocka_unit_test(hostile_half__plausible_indices),
		cmocka_unit_test(hostile_half__tail_that_flips_after_the_end),
		cmocka_unit_test(hostile_half__ends_and_states),
		cmocka_unit_test(hostile_half__extents),
		cmocka_unit_test(hostile_mailbox__noise),
		cmocka_unit_test(hostile_mailbox__listener_still_serves),
	};

	alarm(100); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
