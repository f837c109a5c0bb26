/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static struct registry *r;

static int setup(void **state)
{
	(void)state;
	r = mmap(NULL, REGISTRY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED)
		return 1;
	registry_init(r, POLICY_SHARE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(r, REGISTRY_BYTES);
}

static struct listener_ref ref(unsigned party, unsigned slot)
{
	return (struct listener_ref){ half_ref_make(party, slot, 1), party + 100 };
}

static int add(uint32_t addr, uint16_t port, unsigned party, unsigned slot)
{
	struct listener_ref l = ref(party, slot);

	return registry_listen(r, addr_word_make(addr, port), &l, false);
}

static unsigned records_used(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LISTENER_MAX; i++)
		n += r->records[i].count != 0;
	return n;
}

static void registry_check__refuses_another(void **state)
{
	(void)state;
	assert_int_equal(registry_check(r), 0);
	r->version++;
	assert_int_equal(registry_check(r), -EPROTO);
	r->version--;
	r->magic ^= 1;
	assert_int_equal(registry_check(r), -EPROTO);
}

static void registry_find__nobody(void **state)
{
	struct listener_ref got = { 1, 2 };

	(void)state;
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, 80), &got), -ENOENT);
	assert_int_equal(add(WORLD_ADDR, 80, 1, 5), 0);
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, 81), &got), -ENOENT);
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR + 1, 80), &got), -ENOENT);
	assert_int_equal(got.half, 1); /* failure changes nothing */
}

static void registry_find__exact_before_wildcard(void **state)
{
	struct listener_ref got;

	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		assert_int_equal(add(first ? WORLD_ADDR : 0, (uint16_t)(80 + first), 1, 1), 0);
		assert_int_equal(add(first ? 0 : WORLD_ADDR, (uint16_t)(80 + first), 1, 2), 0);
		assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, (uint16_t)(80 + first)), &got), 0);
		assert_int_equal(half_ref_slot(got.half), first ? 1 : 2);
		assert_int_equal(got.party_gen, 101);
		assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR + 9, (uint16_t)(80 + first)), &got), 0);
		assert_int_equal(half_ref_slot(got.half), first ? 2 : 1);
	}
}

/* IPv6, and one socket for both families. */
static void registry_find__families(void **state)
{
	addr_word any6 = addr_word_make6(ADDR_ANY6, 80), lo6 = addr_word_make6(ADDR_LOOPBACK6, 80);
	addr_word lo4 = addr_word_make(WORLD_ADDR, 80);
	struct listener_ref one = ref(1, 1), two = ref(2, 2), got;

	(void)state;
	assert_int_equal(registry_listen(r, any6, &one, false), 0);
	assert_int_equal(registry_find(r, lo6, &got), 0);
	assert_int_equal(registry_find(r, lo4, &got), -ENOENT);
	assert_int_equal(registry_unlisten(r, any6 | ADDR_WORD_DUAL, one.half), -ENOENT);
	assert_int_equal(registry_unlisten(r, any6, one.half), 0);
	assert_int_equal(registry_listen(r, any6 | ADDR_WORD_DUAL, &one, false), 0);
	assert_int_equal(registry_find(r, lo4, &got), 0);
	assert_int_equal(registry_listen(r, addr_word_make(0, 80), &two, false), 0);
	assert_int_equal(registry_find(r, lo4, &got), 0);
	assert_int_equal(got.half, two.half);
	assert_int_equal(registry_find(r, lo6, &got), 0);
	assert_int_equal(got.half, one.half);
	assert_int_equal(registry_listen(r, lo6, &two, false), 0);
	assert_int_equal(registry_find(r, lo6, &got), 0);
	assert_int_equal(got.half, two.half);
}

static void registry_find__nonsense(void **state)
{
	struct listener_ref got;

	(void)state;
	r->ports[80] = 1ull << 32 | (LISTENER_MAX + 1);
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, 80), &got), -ENOENT);
	r->ports[80] = 1ull << 32 | 0xffffffffu;
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, 80), &got), -ENOENT);
	r->ports[80] = 1ull << 32 | 1;
	r->records[0].count = 0xffffffffu;
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, 80), &got), -ENOENT);
}

static void registry_party_alive__generation(void **state)
{
	(void)state;
	registry_party_set(r, 7, 3, PARTY_ALIVE, 1, 2);
	assert_true(registry_party_alive(r, 7, 3));
	assert_false(registry_party_alive(r, 7, 2));
	assert_false(registry_party_alive(r, 8, 3));
	assert_false(registry_party_alive(r, PARTY_MAX, 3));
	registry_party_set(r, 7, 3, PARTY_DEAD, 1, 2);
	assert_false(registry_party_alive(r, 7, 3));
}

static void registry_listen__taken(void **state)
{
	(void)state;
	assert_int_equal(add(WORLD_ADDR, 80, 1, 1), 0);
	assert_int_equal(add(WORLD_ADDR, 80, 2, 1), -EADDRINUSE);
	assert_int_equal(add(WORLD_ADDR, 80, 1, 1), 0); /* asked again */
	assert_int_equal(records_used(), 1);
}

/* A group of SO_REUSEPORT: one is picked, an exact address goes first. */
static void registry_listen__joined(void **state)
{
	struct listener_ref one = { half_ref_make(1, 1, 1), 1 }, two = { half_ref_make(2, 2, 1), 1 };
	struct listener_ref got;

	(void)state;
	assert_int_equal(registry_listen(r, addr_word_make(0, 80), &one, true), 0);
	assert_int_equal(registry_listen(r, addr_word_make(0, 80), &two, true), 0);
	assert_int_equal(registry_listen(r, addr_word_make(0, 80), &two, true), 0); /* asked again */
	assert_int_equal(registry_find_one(r, addr_word_make(5, 80), 6, &got), 2);
	assert_int_equal(got.half, one.half);
	assert_int_equal(registry_find_one(r, addr_word_make(5, 80), 7, &got), 2);
	assert_int_equal(got.half, two.half);
	assert_int_equal(registry_find_of(r, addr_word_make(5, 80), 2, 1, &got), 0);
	assert_int_equal(got.half, two.half);
	assert_int_equal(registry_find_of(r, addr_word_make(5, 80), 2, 2, &got), -ENOENT);
	assert_int_equal(registry_listen(r, addr_word_make(5, 80), &(struct listener_ref){ half_ref_make(3, 3, 1), 1 },
					 false), 0);
	assert_int_equal(registry_find_one(r, addr_word_make(5, 80), 7, &got), 1);
	assert_int_equal(half_ref_party(got.half), 3);
	assert_int_equal(registry_unlisten(r, addr_word_make(0, 80), one.half), 0);
	assert_int_equal(registry_find_one(r, addr_word_make(6, 80), 6, &got), 1);
	assert_int_equal(got.half, two.half);
}

static void registry_listen__limits(void **state)
{
	struct listener_ref got;

	(void)state;
	for (unsigned i = 0; i < LISTEN_PER_PORT; i++)
		assert_int_equal(add(WORLD_ADDR + i, 80, 1, i), 0);
	assert_int_equal(add(WORLD_ADDR + LISTEN_PER_PORT, 80, 1, 50), -ENOSPC);
	assert_int_equal(records_used(), 1);
	for (unsigned i = 0; i < LISTEN_PER_PORT; i++) {
		assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR + i, 80), &got), 0);
		assert_int_equal(half_ref_slot(got.half), i);
	}
	for (unsigned port = 1000; port < 1000 + LISTENER_MAX - 1; port++)
		assert_int_equal(add(0, (uint16_t)port, 1, 1), 0);
	assert_int_equal(add(0, 20000, 1, 1), -ENOSPC);
	assert_int_equal(registry_find(r, addr_word_make(1, 20000), &got), -ENOENT);
	registry_unlisten_party(r, 1);
	assert_int_equal(records_used(), 0);
	assert_int_equal(add(0, 20000, 1, 1), 0);
}

static void registry_unlisten__only_that_one(void **state)
{
	struct listener_ref got;

	(void)state;
	add(WORLD_ADDR, 80, 1, 1);
	add(0, 80, 2, 2);
	assert_int_equal(registry_unlisten(r, addr_word_make(WORLD_ADDR, 80), ref(1, 9).half), -ENOENT);
	assert_int_equal(registry_unlisten(r, addr_word_make(WORLD_ADDR, 81), ref(1, 1).half), -ENOENT);
	assert_int_equal(registry_unlisten(r, addr_word_make(0, 80), ref(1, 1).half), -ENOENT);
	assert_int_equal(registry_unlisten(r, addr_word_make(WORLD_ADDR, 80), ref(1, 1).half), 0);
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, 80), &got), 0);
	assert_int_equal(half_ref_party(got.half), 2);
	assert_int_equal(registry_unlisten(r, addr_word_make(0, 80), ref(2, 2).half), 0);
	assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, 80), &got), -ENOENT);
	assert_int_equal(registry_unlisten(r, addr_word_make(0, 80), ref(2, 2).half), -ENOENT);
	assert_int_equal(records_used(), 0);
}

static void registry_unlisten_party__all_of_it(void **state)
{
	struct listener_ref got;

	(void)state;
	for (uint16_t port = 100; port < 200; port++) {
		add(WORLD_ADDR, port, 1, 1);
		add(WORLD_ADDR + 1, port, 2, 2);
	}
	registry_unlisten_party(r, 1);
	for (uint16_t port = 100; port < 200; port++) {
		assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR, port), &got), -ENOENT);
		assert_int_equal(registry_find(r, addr_word_make(WORLD_ADDR + 1, port), &got), 0);
	}
	assert_int_equal(records_used(), 100);
}

static void registry_listen__records_are_used_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		assert_int_equal(add(WORLD_ADDR, 80, 1, 1), 0);
		assert_int_equal(registry_unlisten(r, addr_word_make(WORLD_ADDR, 80), ref(1, 1).half), 0);
	}
	assert_int_equal(records_used(), 0);
	assert_int_equal(r->ports[80] >> 32, 40000); /* the sequence moved each time */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registry_check__refuses_another),
		T(registry_find__nobody),
		T(registry_find__exact_before_wildcard),
		T(registry_find__families),
		T(registry_find__nonsense),
		T(registry_party_alive__generation),
		T(registry_listen__taken),
		T(registry_listen__joined),
		T(registry_listen__limits),
		T(registry_listen__records_are_used_again),
		T(registry_unlisten__only_that_one),
		T(registry_unlisten_party__all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
