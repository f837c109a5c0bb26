/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static int setup(void **state)
{
	*state = world_make(2);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static unsigned mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned n = 0;

	while (fgets(line, sizeof(line), f))
		n += strstr(line, "mortise-") != NULL;
	fclose(f);
	return n;
}

/* ------------------------------------------------------ create and admit */

static void party_create__header(void **state)
{
	struct world *w = *state;
	struct arena_hdr *hdr = arena_hdr(w->of[1].p->base);

	assert_int_equal(hdr->magic, ARENA_MAGIC);
	assert_int_equal(hdr->version, ABI_VERSION);
	assert_int_equal(hdr->pid, getpid());
	assert_string_equal(hdr->comm, "test");
	assert_int_equal(hdr->party, 1);
	assert_int_equal(w->of[1].p->mbox->magic, MAILBOX_MAGIC);
	assert_int_equal(arena_fd_check(w->of[1].arena_fd, ARENA_BYTES), 0);
	assert_int_equal(arena_fd_check(w->of[1].mbox_fd, MAILBOX_BYTES), 0);
}

static void party_create__long_name(void **state)
{
	int a, m;
	struct party *p = party_create("a-name-of-more-than-sixteen-bytes", &a, &m);

	(void)state;
	assert_non_null(p);
	assert_int_equal(strnlen(arena_hdr(p->base)->comm, 16), 15);
	party_destroy(p);
	close(a);
	close(m);
}

static void party_destroy__leaves_nothing(void **state)
{
	struct world *w;
	struct conn a, b;
	unsigned was = mappings();

	(void)state;
	w = world_make(2);
	world_pair(w, &a, &b);
	assert_true(mappings() > was);
	world_free(w);
	assert_int_equal(mappings(), was);
}

/* ----------------------------------------------------------------- slots */

static void party_slot_alloc__fresh(void **state)
{
	struct party *p = ((struct world *)*state)->of[1].p;
	int a = party_slot_alloc(p), b = party_slot_alloc(p);

	assert_int_equal(a, 0);
	assert_int_equal(b, 1);
	assert_int_equal(half_state(arena_half(p->base, 1)), HALF_FREE);
	assert_int_equal(half_gen(arena_half(p->base, 1)), 1);
	assert_int_equal(arena_hdr(p->base)->slots_used, 2);
}

static void party_slot_alloc__exhausted(void **state)
{
	struct party *p = ((struct world *)*state)->of[1].p;

	for (unsigned i = 0; i < SLOT_MAX; i++)
		assert_int_equal(party_slot_alloc(p), i);
	assert_int_equal(party_slot_alloc(p), -ENOSPC);
	assert_int_equal(arena_hdr(p->base)->slots_used, SLOT_MAX);
	party_slot_free(p, 77);
	assert_int_equal(party_slot_alloc(p), 77);
	assert_int_equal(party_slot_alloc(p), -ENOSPC);
	/* One that is retired far back in a long queue is found. */
	for (unsigned i = 0; i < 1000; i++) {
		half_set_state(arena_half(p->base, i), i == 999 ? HALF_RELEASED : HALF_CLOSED);
		party_slot_retire(p, i);
	}
	assert_int_equal(party_slot_alloc(p), 999);
	assert_int_equal(party_slot_alloc(p), -ENOSPC);
}

static void party_slot_alloc__zeroed_and_of_a_new_generation(void **state)
{
	struct party *p = ((struct world *)*state)->of[1].p;
	struct half *h = world_half(p, 1, 2);
	static const char zero[sizeof(struct half)];

	memset((char *)h + offsetof(struct half, cookie), 0xff,
	       offsetof(struct half, ext_count) - offsetof(struct half, cookie));
	memset((void *)&h->tx_lock, 0xff, sizeof(*h) - offsetof(struct half, tx_lock));
	party_slot_free(p, 0);
	assert_int_equal(party_slot_alloc(p), 0);
	assert_int_equal(half_state(h), HALF_FREE);
	assert_int_equal(half_gen(h), 2);
	assert_memory_equal((char *)h + 8, zero, sizeof(*h) - 8);
}

static void party_slot_alloc__not_when_inherited(void **state)
{
	struct party *p = ((struct world *)*state)->of[1].p;

	assert_int_equal(party_slot_alloc(p), 0);
	p->inherited = true;
	assert_int_equal(party_slot_alloc(p), -ENOSPC);
	party_slot_free(p, 0);
	party_slot_retire(p, 0);
	assert_int_equal(p->free_slot_count + p->zombie_count, 0);
	assert_int_equal(party_ring_alloc(p, 14), 0);
}

static void party_slot_retire__waits_for_the_peer(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[1].p;
	struct conn a, b;
	struct half *own;
	uint32_t gen;

	world_pair(w, &a, &b);
	own = a.own;
	gen = half_gen(own);
	assert_int_equal(send_pattern(&a, 0, 20000), 20000);
	world_close(&a);
	/* The peer has not read it yet, so nobody else gets it. */
	for (unsigned i = 0; i < 50; i++)
		assert_int_not_equal(party_slot_alloc(p), arena_slot(p->base, own));
	assert_int_equal(half_gen(own), gen);
	assert_int_equal(recv_pattern(&b, 0, 65536), 20000);
	world_close(&b);
	party_peers_sweep(p);
	assert_int_equal(half_gen(own), gen + 1);
	assert_int_equal(p->ring_used_bytes, 0);
	assert_int_equal(arena_hdr(p->base)->tx_bytes_done, 20000);
	party_peers_sweep(w->of[2].p);
	assert_int_equal(arena_hdr(w->of[2].p->base)->rx_bytes_done, 20000);
}

static void party_slot_retire__peer_is_recycled_first(void **state)
{
	struct world *w = *state;
	struct conn a, b;

	/* Each waits for the other's RELEASED; whoever looks first recycles,
	 * and the other sees a newer generation. */
	for (unsigned i = 0; i < 1000; i++) {
		world_pair(w, &a, &b);
		world_close(i & 1 ? &a : &b);
		world_close(i & 1 ? &b : &a);
		party_peers_sweep(w->of[1 + (i >> 1 & 1)].p);
	}
	for (unsigned id = 1; id <= 2; id++)
		party_peers_sweep(w->of[id].p);
	for (unsigned id = 1; id <= 2; id++) {
		struct party *p = w->of[id].p;

		party_peers_sweep(p);
		assert_int_equal(p->zombie_count, 0);
		assert_true(p->slots_made < 20);
		assert_int_equal(p->ring_used_bytes, 0);
		assert_int_equal(p->peers[3 - id]->refs, 0);
	}
}

/* ----------------------------------------------------------- ring memory */

static void party_ring_alloc__sizes(void **state)
{
	struct party *p = ((struct world *)*state)->of[1].p;
	uint64_t a, b;

	assert_int_equal(party_ring_alloc(p, RING_LOG2_MIN - 1), 0);
	assert_int_equal(party_ring_alloc(p, RING_LOG2_MAX + 1), 0);
	a = party_ring_alloc(p, 14);
	b = party_ring_alloc(p, 22);
	assert_true(a >= ARENA_OFF_RINGS && b >= a + (1u << 14));
	assert_int_equal(p->ring_used_bytes, (1u << 14) + (1u << 22));
	party_ring_free(p, a, 14);
	party_ring_free(p, b, 22);
	assert_int_equal(p->ring_used_bytes, 0);
	assert_int_equal(party_ring_alloc(p, 22), b);
	assert_int_equal(party_ring_alloc(p, 14), a);
}

static void party_ring_alloc__exhausted(void **state)
{
	struct party *p = ((struct world *)*state)->of[1].p;
	uint64_t at, last = 0, n = 0;

	while ((at = party_ring_alloc(p, 22)) != 0) {
		assert_true(at + (1u << 22) <= ARENA_BYTES);
		last = at;
		n++;
	}
	assert_int_equal(n, (ARENA_BYTES - ARENA_OFF_RINGS) >> 22);
	party_ring_free(p, last, 22);
	assert_int_equal(party_ring_alloc(p, 22), last);
	assert_int_equal(party_ring_alloc(p, 22), 0);
}

static void party_ring_free__no_overlap(void **state)
{
	struct party *p = ((struct world *)*state)->of[1].p;
	struct {
		uint64_t at;
		unsigned log2;
	} have[200] = { 0 };
	uint64_t seed = dice_seed();

	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = (unsigned)(dice(&seed) % ARRAY_LEN(have));

		if (have[k].at) {
			party_ring_free(p, have[k].at, have[k].log2);
			have[k].at = 0;
			continue;
		}
		have[k].log2 = RING_LOG2_MIN + (unsigned)(dice(&seed) % 9);
		have[k].at = party_ring_alloc(p, have[k].log2);
		for (unsigned o = 0; have[k].at && o < ARRAY_LEN(have); o++)
			assert_true(o == k || !have[o].at ||
				    have[o].at + (1ull << have[o].log2) <= have[k].at ||
				    have[k].at + (1ull << have[k].log2) <= have[o].at);
	}
}

/* ----------------------------------------------------------------- peers */

static void party_peer_get__once(void **state)
{
	struct world *w = *state;
	struct peer *a, *b;

	assert_int_equal(party_peer_get(w->of[1].p, 2, 1, &a), 0);
	assert_int_equal(party_peer_get(w->of[1].p, 2, 1, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(a->refs, 2);
	assert_int_equal(w->introduced, 1);
	assert_int_equal(party_peer_get(w->of[1].p, 1, 1, &a), 0);
	assert_true(a->self);
	assert_int_equal(w->introduced, 1);
}

static void party_peer_get__refuses(void **state)
{
	struct world *w = *state;
	struct peer *a = NULL;

	assert_int_equal(party_peer_get(w->of[1].p, PARTY_MAX, 1, &a), -EPROTO);
	assert_int_equal(party_peer_get(w->of[1].p, 3, 1, &a), -ESRCH);
	assert_int_equal(party_peer_get(w->of[1].p, 2, 9, &a), -ESRCH);
	w->fail = -ENOMEM;
	assert_int_equal(party_peer_get(w->of[1].p, 2, 1, &a), -ENOMEM);
	w->fail = 0;
	w->of[1].p->inherited = true;
	assert_int_equal(party_peer_get(w->of[1].p, 2, 1, &a), -ESRCH);
	assert_null(a);
}

static void party_peers_sweep__lets_go_of_the_dead_only(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[1].p;
	unsigned was = mappings();
	struct peer *a;

	assert_int_equal(party_peer_get(p, 2, 1, &a), 0);
	assert_int_equal(mappings(), was + 2);
	party_peer_put(p, a);
	party_peers_sweep(p);
	assert_int_equal(mappings(), was + 2); /* alive: will be wanted again */
	assert_int_equal(party_peer_get(p, 2, 1, &a), 0);
	registry_party_set(w->reg, 2, 1, PARTY_DEAD, 0, 0);
	party_peers_sweep(p);
	assert_int_equal(mappings(), was + 2); /* referred to */
	assert_int_equal(w->let_go, 0);
	party_peer_put(p, a);
	party_peers_sweep(p);
	assert_int_equal(mappings(), was);
	assert_int_equal(w->let_go, 1);
	party_peers_sweep(p);
	assert_int_equal(w->let_go, 1);
}

static void party_peer_get__number_given_away(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[1].p;
	unsigned was = mappings();
	struct peer *a, *b;

	assert_int_equal(party_peer_get(p, 2, 1, &a), 0);
	w->of[2].gen = 2; /* the next process of that number */
	registry_party_set(w->reg, 2, 2, PARTY_ALIVE, 0, 0);
	assert_int_equal(party_peer_get(p, 2, 2, &b), -ESRCH); /* still referred to */
	assert_int_equal(mappings(), was + 2);
	party_peer_put(p, a);
	assert_int_equal(party_peer_get(p, 2, 2, &b), 0);
	assert_int_equal(b->gen, 2);
	assert_int_equal(mappings(), was + 2);
}

/* Ten thousand short-lived clients, each a party of its own. */
static void party_peers_sweep__many_short_lived_clients(void **state)
{
	struct world *w = *state;
	struct party *server = w->of[2].p;
	struct half *l = world_listen(w, 2, 80, 8);
	unsigned was = 0;
	uint64_t cursor = 0;

	world_party_free(&w->of[1]);
	for (uint32_t gen = 2; gen < 1002; gen++) {
		struct conn a, b;

		world_party(w, 1, gen);
		assert_int_equal(world_connect(w, 1, 80, &a, NULL), 0);
		assert_int_equal(seat_take(server, l, &cursor, 0, &b), 0);
		assert_int_equal(send_pattern(&a, 0, 100), 100);
		world_close(&a);
		registry_party_set(w->reg, 1, gen, PARTY_DEAD, 0, 0);
		assert_int_equal(recv_pattern(&b, 0, 200), 100);
		assert_int_equal(recv_pattern(&b, 100, 200), 0);
		world_close(&b);
		world_party_free(&w->of[1]);
		if (gen == 20)
			was = mappings();
	}
	assert_true(mappings() <= was);
	assert_true(server->slots_made < 40);
	assert_true(w->let_go >= 990);
	world_party(w, 1, 1);
}

/* -------------------------------------------------------- peer_ring_bell */

static void peer_ring_bell__no_bell_to_be_had(void **state)
{
	struct world *w = *state;
	struct party *p = w->of[1].p;
	struct peer *peer;

	assert_int_equal(party_peer_get(p, 2, 1, &peer), 0);
	store_relaxed(&arena_hdr(w->of[2].p->base)->bells[0].sleepers, 1);
	p->ops = NULL;
	peer_ring_bell(p, peer, 5, 0);
	p->ops = &world_ops;
	assert_true(hint_any(w->of[2].p->mbox));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(party_create__header),
		T(party_create__long_name),
		T(party_destroy__leaves_nothing),
		T(party_ring_alloc__sizes),
		T(party_ring_alloc__exhausted),
		T(party_ring_free__no_overlap),
		T(party_slot_alloc__fresh),
		T(party_slot_alloc__exhausted),
		T(party_slot_alloc__zeroed_and_of_a_new_generation),
		T(party_slot_alloc__not_when_inherited),
		T(party_slot_retire__waits_for_the_peer),
		T(party_slot_retire__peer_is_recycled_first),
		T(party_peer_get__once),
		T(party_peer_get__refuses),
		T(party_peer_get__number_given_away),
		T(party_peers_sweep__lets_go_of_the_dead_only),
		T(party_peers_sweep__many_short_lived_clients),
		T(peer_ring_bell__no_bell_to_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
