/* SPDX-License-Identifier: BSD-2-Clause */
/* src/shm/chan.c and src/shm/inbox.c: one is the other's other end. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/chan.h"
#include "shm/inbox.h"
#include "world.h"

#define LIMIT 212992u

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

static struct inbox box_memory[3];

/* A datagram socket of party @id. */
static struct inbox *box_make(struct world *w, unsigned id)
{
	struct party *p = w->of[id].p;
	struct half *h = world_half(p, addr_word_make(WORLD_ADDR, WORLD_PORT), 0);

	must(h && inbox_open(&box_memory[id - 1], p, h) == 0);
	return &box_memory[id - 1];
}

static struct listener_ref box_ref(struct world *w, const struct inbox *b)
{
	(void)w;
	return (struct listener_ref){ half_ref_of(b->party, b->half), b->party->gen };
}

/* A record of @n bytes of the pattern from @first on. */
static int put(struct conn *c, const struct inbox *b, size_t n, uint64_t first, uint64_t ticket)
{
	static unsigned char bytes[DGRAM_PAYLOAD_MAX];
	struct dgram_record rec = { .bytes = (uint32_t)n, .ticket_ns = ticket,
				    .from = first };
	/* In three pieces, one of them empty. */
	struct iovec iov[3] = { { bytes, n / 3 }, { bytes, 0 }, { bytes + n / 3, n - n / 3 } };
	const struct half *box = half_find(c->owner->base, half_ref_of(b->party, b->half));

	for (size_t i = 0; i < n; i++)
		bytes[i] = pattern(first + i);
	return chan_put(c, box, &rec, iov, 3, LIMIT);
}

/* Take the oldest. Return: its bytes, -1: there is none. */
static long take(struct inbox *b)
{
	static unsigned char bytes[DGRAM_PAYLOAD_MAX];
	struct inbox_seat *s = inbox_next(b);
	size_t n;

	if (!s)
		return -1;
	n = s->rec.bytes;
	inbox_read(s, 0, bytes, n);
	for (size_t i = 0; i < n; i++)
		must(bytes[i] == pattern(s->rec.from + i));
	inbox_take(s);
	return (long)n;
}

static unsigned slots_in_use(const struct party *p)
{
	return p->slots_made - p->free_slot_count;
}

static void inbox__one_put_is_one_take(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	static const size_t sizes[] = { 0, 1, 16, 1472, 65507, 3 };
	struct conn c;

	assert_int_equal(take(b), -1);
	assert_int_equal(chan_open(w->of[1].p, &ref, &c), 0);
	assert_int_equal(take(b), -1);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(put(&c, b, sizes[i], i * 1000, i), 0);
	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(take(b), sizes[i]);
	assert_int_equal(take(b), -1);
	chan_close(w->of[1].p, &c);
	inbox_close(b);
}

static void inbox__oldest_of_several_senders_first(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	struct conn c1, c3;

	assert_int_equal(chan_open(w->of[1].p, &ref, &c1), 0);
	assert_int_equal(chan_open(w->of[3].p, &ref, &c3), 0);
	assert_int_equal(put(&c3, b, 30, 0, 5), 0);
	assert_int_equal(put(&c1, b, 10, 0, 1), 0);
	assert_int_equal(put(&c1, b, 11, 0, 9), 0);
	assert_int_equal(put(&c3, b, 31, 0, 6), 0);
	assert_int_equal(take(b), 10);
	assert_int_equal(take(b), 30);
	assert_int_equal(take(b), 31);
	assert_int_equal(take(b), 11);
	chan_close(w->of[1].p, &c1);
	chan_close(w->of[3].p, &c3);
	inbox_close(b);
}

static void chan_put__full_is_refused_whole(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	unsigned n = 0;
	struct conn c;

	assert_int_equal(chan_open(w->of[1].p, &ref, &c), 0);
	while (put(&c, b, 1400, n, n) == 0)
		n++;
	/* 1,400 and a head of 48, in steps of 16; and one beyond the limit. */
	assert_int_equal(n, LIMIT / 1456 + 1);
	assert_int_equal(put(&c, b, 0, 0, 0), -EAGAIN);
	assert_int_equal(take(b), 1400);
	assert_true(chan_moved(&c));
	assert_false(chan_moved(&c));
	assert_int_equal(put(&c, b, 0, 0, n), 0);
	for (unsigned i = 1; i < n; i++)
		assert_int_equal(take(b), 1400);
	assert_int_equal(take(b), 0);
	assert_int_equal(take(b), -1);
	chan_close(w->of[1].p, &c);
	inbox_close(b);
}

/* Sizes at random, in bursts that wrap and grow the ring. */
static void chan_put__wraps_and_grows(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	uint64_t seed = dice_seed(), sent = 0, taken = 0;
	static size_t sizes[4096];
	struct conn c;

	assert_int_equal(chan_open(w->of[1].p, &ref, &c), 0);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t d = dice(&seed);
		size_t n = (d >> 8) % (d & 64 ? 65508 : d & 32 ? 3000 : 200);

		if (d & 1 && sent - taken < ARRAY_LEN(sizes)) {
			sizes[sent % ARRAY_LEN(sizes)] = n;
			sent += put(&c, b, n, d, sent) == 0;
		} else if (taken < sent) {
			assert_int_equal(take(b), sizes[taken++ % ARRAY_LEN(sizes)]);
		} else {
			assert_int_equal(take(b), -1);
		}
	}
	assert_true(taken > 1000);
	chan_close(w->of[1].p, &c);
	inbox_close(b);
}

/* What is said of a mark afterwards is read where it lies, wherever in the ring. */
static void chan_mark__says_what_became_of_it(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	uint64_t seed = dice_seed();
	struct conn c;

	assert_int_equal(chan_open(w->of[1].p, &ref, &c), 0);
	for (uint64_t i = 2; i < 3000; i++) {
		struct dgram_record rec = { .ticket_ns = i, .flags = DGRAM_MARK,
					    .sent_ns = MARK_COMING };
		size_t n = dice(&seed) % 500;
		struct inbox_seat *s;
		_Atomic uint64_t *sent;

		assert_int_equal(put(&c, b, n, i, i), 0);
		assert_false(inbox_marks(b));
		assert_int_equal(chan_mark(&c, &rec, &sent), 0);
		assert_int_equal(take(b), n);
		assert_true(inbox_marks(b));
		s = inbox_next(b);
		assert_non_null(s);
		assert_true(s->rec.flags & DGRAM_MARK);
		assert_int_equal(inbox_mark_sent(s), MARK_COMING);
		store_release(sent, i);
		assert_int_equal(inbox_mark_sent(s), i);
		inbox_take(s);
		assert_int_equal(take(b), -1);
	}
	chan_close(w->of[1].p, &c);
	inbox_close(b);
}

/* It is there for what was dropped, too: the limit is not for it. */
static void chan_mark__fits_a_full_channel(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	struct dgram_record rec = { .flags = DGRAM_MARK, .sent_ns = MARK_VOID };
	struct conn c;

	assert_int_equal(chan_open(w->of[1].p, &ref, &c), 0);
	while (put(&c, b, 1400, 0, 1) == 0)
		continue;
	assert_int_equal(chan_mark(&c, &rec, NULL), 0);
	assert_non_null(inbox_next(b));
	assert_true(inbox_marks(b));
	inbox_close(b);
	/* Nobody reads: it is not counted. */
	assert_int_equal(load_relaxed(&c.own->urgent), 1);
	assert_int_equal(chan_mark(&c, &rec, NULL), -EPIPE);
	assert_int_equal(load_relaxed(&c.own->urgent), 1);
	chan_close(w->of[1].p, &c);
}

static void chan_open__refused_where_nobody_reads(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	unsigned before = slots_in_use(w->of[1].p);
	struct conn c;

	store_relaxed(&b->half->dgram, DGRAM_KERNEL);
	assert_int_equal(chan_open(w->of[1].p, &ref, &c), -ECONNREFUSED);
	store_relaxed(&b->half->dgram, 0);
	inbox_close(b);
	assert_int_equal(chan_open(w->of[1].p, &ref, &c), -ECONNREFUSED);
	assert_int_equal(slots_in_use(w->of[1].p), before);
}

static void chan_open__no_seat_is_free(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	struct conn c[3 * INBOX_SEATS];
	unsigned n = 0, all;
	int r;

	/* Its owner makes more, each time it looks. */
	while ((r = chan_open(w->of[1].p, &ref, &c[n])) == 0)
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_true(n > 0 && n < INBOX_SEATS);
	assert_int_equal(take(b), -1);
	while (n < ARRAY_LEN(c) && chan_open(w->of[1].p, &ref, &c[n]) == 0) {
		n++;
		take(b);
	}
	assert_int_equal(n, INBOX_SEATS);
	/* One that has ended, and was read, makes room for another. */
	assert_int_equal(put(&c[7], b, 5, 0, 0), 0);
	chan_close(w->of[1].p, &c[7]);
	assert_int_equal(chan_open(w->of[1].p, &ref, &c[7]), -EAGAIN);
	assert_int_equal(take(b), 5);
	assert_int_equal(take(b), -1);
	assert_int_equal(chan_open(w->of[1].p, &ref, &c[7]), 0);
	assert_int_equal(put(&c[7], b, 6, 0, 0), 0);
	assert_int_equal(take(b), 6);
	all = n;
	for (unsigned i = 0; i < all; i++)
		chan_close(w->of[1].p, &c[i]);
	inbox_close(b);
}

/* Everything comes back: slots, rows, references. */
static void inbox_close__leaves_nothing(void **state)
{
	struct world *w = *state;
	struct conn c;

	for (unsigned i = 0; i < 3 * SLOT_MAX / 4; i++) {
		struct inbox *b = box_make(w, 2);
		struct listener_ref ref = box_ref(w, b);

		assert_int_equal(chan_open(w->of[1].p, &ref, &c), 0);
		assert_int_equal(put(&c, b, 10, 0, 0), 0);
		/* Read, unread, not even attached. */
		if (i % 3 == 0)
			assert_int_equal(take(b), 10);
		else if (i % 3 == 1)
			assert_non_null(inbox_next(b));
		inbox_close(b);
		party_slot_retire(w->of[2].p, arena_slot(w->of[2].p->base, b->half));
		assert_int_equal(put(&c, b, 10, 0, 0), -EPIPE);
		assert_true(chan_over(&c));
		chan_close(w->of[1].p, &c);
	}
	assert_true(w->of[1].p->slots_made < 64);
	assert_true(w->of[2].p->slots_made < 64);
	for (unsigned r = 0; r < ARRAY_LEN(w->of[2].p->seat_used); r++)
		assert_int_equal(w->of[2].p->seat_used[r], 0);
}

/* The executor of a sender: its reader gets what was sent, then lets go. */
static void execute_half__of_a_sender(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	struct party *p = w->of[1].p, *d = w->of[0].p;
	struct half *own;
	struct peer *dead;
	struct conn c;

	assert_int_equal(chan_open(p, &ref, &c), 0);
	assert_int_equal(put(&c, b, 77, 0, 0), 0);
	own = c.own;
	assert_int_equal(party_peer_get(d, 1, 1, &dead), 0);
	atomic_fetch_or(&b->half->want, WANT_HINT_DATA);
	execute_half(d, dead, arena_slot(p->base, own), half_gen(own));
	assert_int_equal(half_state(own), HALF_RELEASED);
	/* Told, so that it lets go. */
	assert_true(hint_any(w->of[2].p->mbox));
	assert_int_equal(take(b), 77);
	assert_int_equal(take(b), -1);
	assert_int_equal(b->open, 0);
	assert_true(half_reusable(own, w->of[2].p->base));
	inbox_close(b);
}

static void execute_half__of_a_receiver(void **state)
{
	struct world *w = *state;
	struct inbox *b = box_make(w, 2);
	struct listener_ref ref = box_ref(w, b);
	struct party *p = w->of[1].p, *d = w->of[0].p;
	struct conn read, unseen;
	struct peer *dead;

	assert_int_equal(chan_open(p, &ref, &read), 0);
	assert_int_equal(put(&read, b, 1, 0, 0), 0);
	assert_int_equal(take(b), 1);
	assert_int_equal(chan_open(p, &ref, &unseen), 0);
	assert_int_equal(party_peer_get(d, 2, 1, &dead), 0);
	for (int twice = 0; twice < 2; twice++)
		execute_half(d, dead, arena_slot(b->party->base, b->half), half_gen(b->half));
	assert_int_equal(half_state(b->half), HALF_RELEASED);
	assert_int_equal(put(&read, b, 1, 0, 0), -EPIPE);
	assert_int_equal(put(&unseen, b, 1, 0, 0), -EPIPE);
	chan_close(p, &read);
	chan_close(p, &unseen);
	inbox_forget(b);
}

/* A ring filled with noise ends that channel, and no other. */
static void inbox_next__noise(void **state)
{
	struct world *w = *state;
	uint64_t seed = dice_seed();

	for (unsigned round = 0; round < 300; round++) {
		struct inbox *b = box_make(w, 2);
		struct listener_ref ref = box_ref(w, b);
		struct conn bad, good;
		uint64_t tail;

		assert_int_equal(chan_open(w->of[1].p, &ref, &bad), 0);
		assert_int_equal(chan_open(w->of[3].p, &ref, &good), 0);
		assert_int_equal(put(&bad, b, 200, 0, 0), 0);
		tail = load_relaxed(&bad.own->tail);
		for (unsigned i = 0; i < sizeof(struct dgram_record); i++)
			bad.tx_mem[i] = (unsigned char)dice(&seed);
		if (dice(&seed) & 1)
			store_relaxed(&bad.own->tail, dice(&seed) & 1 ? dice(&seed) : tail - 1);
		if (dice(&seed) & 1)
			store_relaxed(&bad.own->ext[0].where, dice(&seed));
		assert_int_equal(put(&good, b, 9, 0, 0), 0);
		for (unsigned i = 0; i < 8; i++) {
			struct inbox_seat *s = inbox_next(b);
			static unsigned char bytes[DGRAM_PAYLOAD_MAX];

			if (!s)
				break;
			inbox_read(s, 0, bytes, s->rec.bytes);
			inbox_take(s);
		}
		assert_int_equal(put(&good, b, 13, 0, 0), 0);
		assert_int_equal(take(b), 13);
		chan_close(w->of[3].p, &good);
		inbox_close(b);
		party_slot_retire(w->of[2].p, arena_slot(w->of[2].p->base, b->half));
	}
}

/* Linux's order: who is connected to the sender, then the exact address, then the wildcard. */
static void chan_rank__order(void **state)
{
	struct inbox *b = box_make(*state, 1);
	addr_word to = addr_word_make(WORLD_ADDR, WORLD_PORT), any = addr_word_make(0, WORLD_PORT);
	addr_word from = addr_word_make(0x0a000001, 9), other = addr_word_make(0x0a000001, 10);
	half_ref ref = half_ref_of(b->party, b->half);
	unsigned exact = chan_rank(b->half, ref, from, to), wild, connected;

	store_relaxed(&b->half->local, any);
	wild = chan_rank(b->half, ref, from, to);
	store_relaxed(&b->half->remote, from);
	connected = chan_rank(b->half, ref, from, to);
	assert_true(connected > exact && exact > wild && wild > 0);
	assert_int_equal(chan_rank(b->half, ref, other, to), 0);
	store_relaxed(&b->half->remote, addr_word_at(from, 0)); /* any port of its */
	assert_true(chan_rank(b->half, ref, other, to) == connected);
	store_relaxed(&b->half->remote, 0);
	assert_int_equal(chan_rank(b->half, ref, from, addr_word_at(to, WORLD_PORT + 1)), 0);
	assert_int_equal(chan_rank(b->half, ref + 1, from, to), 0); /* the next generation's name */
	atomic_fetch_or(&b->half->dgram, DGRAM_KERNEL);
	assert_int_equal(chan_rank(b->half, ref, from, to), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inbox__one_put_is_one_take, setup, teardown),
		cmocka_unit_test_setup_teardown(chan_rank__order, setup, teardown),
		cmocka_unit_test_setup_teardown(inbox__oldest_of_several_senders_first, setup,
						teardown),
		cmocka_unit_test_setup_teardown(chan_put__full_is_refused_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(chan_put__wraps_and_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(chan_mark__says_what_became_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(chan_mark__fits_a_full_channel, setup, teardown),
		cmocka_unit_test_setup_teardown(chan_open__refused_where_nobody_reads, setup,
						teardown),
		cmocka_unit_test_setup_teardown(chan_open__no_seat_is_free, setup, teardown),
		cmocka_unit_test_setup_teardown(inbox_close__leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(execute_half__of_a_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(execute_half__of_a_receiver, setup, teardown),
		cmocka_unit_test_setup_teardown(inbox_next__noise, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
