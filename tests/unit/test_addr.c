/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/addr.h"
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

/* addr_word of a text with port 80, known already. */
static addr_word word(const char *text, uint32_t scope)
{
	uint8_t in6[16];
	uint32_t i;

	assert_int_equal(inet_pton(AF_INET6, text, in6), 1);
	if (addr_in6_is_mapped(in6))
		return addr_word_make(addr_in6_v4(in6), 80);
	assert_int_equal(registry_addr_find(r, in6, scope, &i), 0);
	return addr_word_make6(i, 80);
}

static int set(const char *text, uint32_t scope, bool own)
{
	uint8_t in6[16];

	assert_int_equal(inet_pton(AF_INET6, text, in6), 1);
	return registry_addr_set(r, in6, scope, own);
}

static void addr_word__parts(void **state)
{
	addr_word w = addr_word_make6(0xfffffffeu, 65535), v4 = addr_word_make(0xffffffffu, 1);

	(void)state;
	assert_true(addr_word_is6(w));
	assert_int_equal(addr_word_addr(w), 0xfffffffeu);
	assert_int_equal(addr_word_port(w), 65535);
	assert_false(addr_word_is6(v4));
	assert_int_equal(addr_word_addr(v4), 0xffffffffu);
	assert_int_equal(addr_word_at(w | ADDR_WORD_DUAL, 7),
			 addr_word_make6(0xfffffffeu, 7) | ADDR_WORD_DUAL);
	assert_true(addr_word_is_loopback(addr_word_make(0x7f123456, 1)));
	assert_false(addr_word_is_loopback(addr_word_make(ADDR_LOOPBACK6, 1)));
	assert_true(addr_word_is_loopback(addr_word_make6(ADDR_LOOPBACK6, 1)));
	assert_false(addr_word_is_loopback(addr_word_make6(127u << 24, 1)));
}

/* Linux's order: exact, then the wildcard; of equals IPv4's own socket. */
static void addr_rank__order(void **state)
{
	addr_word v4 = addr_word_make(0x7f000001, 80), v6 = addr_word_make6(1, 80);
	addr_word any4 = addr_word_make(0, 80), any6 = addr_word_make6(0, 80);

	(void)state;
	assert_true(addr_rank(v4, v4) > addr_rank(v4 | ADDR_WORD_DUAL, v4));
	assert_true(addr_rank(v4 | ADDR_WORD_DUAL, v4) > addr_rank(any4, v4));
	assert_true(addr_rank(any4, v4) > addr_rank(any6 | ADDR_WORD_DUAL, v4));
	assert_true(addr_rank(any6 | ADDR_WORD_DUAL, v4) > 0);
	/* The wire's listener is there for all, whatever the port. */
	assert_true(addr_rank(ADDR_WORD_GATE, v4) > 0);
	assert_int_equal(addr_rank(v4, ADDR_WORD_GATE), 0);
	assert_true(addr_rank(any4 | ADDR_WORD_DUAL, v4) > 0);
	assert_int_equal(addr_rank(any6, v4), 0);
	assert_int_equal(addr_rank(any4, v6), 0);
	assert_int_equal(addr_rank(any4 | ADDR_WORD_DUAL, v6), 0);
	assert_true(addr_rank(v6, v6) > addr_rank(any6, v6));
	assert_int_equal(addr_rank(any6, v6), addr_rank(any6 | ADDR_WORD_DUAL, v6));
	assert_int_equal(addr_rank(addr_word_make(1, 80), v6), 0); /* the index is no address */
	assert_int_equal(addr_rank(addr_word_at(v4, 81), v4), 0);
	assert_int_equal(addr_rank(addr_word_make6(2, 80), v6), 0);
}

static void addr_conflicts__as_linux(void **state)
{
	addr_word v4 = addr_word_make(0x7f000001, 80), v6 = addr_word_make6(1, 80);
	addr_word any4 = addr_word_make(0, 80), any6 = addr_word_make6(0, 80);
	const struct {
		addr_word a, b;
		bool conflict;
	} cases[] = {
		{ v4, v4, true }, { v4, any4, true }, { v4, addr_word_make(0x7f000002, 80), false },
		{ v4, addr_word_at(v4, 81), false }, { any4, addr_word_at(any4, 81), false },
		{ v6, v6, true }, { v6, any6, true }, { v6, any6 | ADDR_WORD_DUAL, true },
		{ any6, any6 | ADDR_WORD_DUAL, true }, { v6, addr_word_make6(2, 80), false },
		{ v4, v6, false }, { any4, v6, false }, { v4, any6, false }, { any4, any6, false },
		{ v4, any6 | ADDR_WORD_DUAL, true }, { any4, any6 | ADDR_WORD_DUAL, true },
		{ v4 | ADDR_WORD_DUAL, any6 | ADDR_WORD_DUAL, true },
		{ any4 | ADDR_WORD_DUAL, any6, false }, { v4 | ADDR_WORD_DUAL, v6, false },
		{ v4 | ADDR_WORD_DUAL, v4, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(addr_conflicts(cases[i].a, cases[i].b), cases[i].conflict);
		assert_int_equal(addr_conflicts(cases[i].b, cases[i].a), cases[i].conflict);
	}
}

static void addr_in6__mapped(void **state)
{
	uint8_t in6[16], text[16];

	(void)state;
	addr_in6_map(0xc0000202, in6);
	inet_pton(AF_INET6, "::ffff:192.0.2.2", text);
	assert_memory_equal(in6, text, 16);
	assert_true(addr_in6_is_mapped(in6));
	assert_int_equal(addr_in6_v4(in6), 0xc0000202);
	in6[9] = 1;
	assert_false(addr_in6_is_mapped(in6));
	inet_pton(AF_INET6, "febf::1", in6);
	assert_true(addr_in6_is_linklocal(in6));
	inet_pton(AF_INET6, "fec0::1", in6);
	assert_false(addr_in6_is_linklocal(in6));
}

static void registry_addr_init__what_is_fixed(void **state)
{
	uint8_t in6[16];
	uint32_t scope = 7;

	(void)state;
	assert_int_equal(word("::", 0), addr_word_make6(ADDR_ANY6, 80));
	assert_int_equal(word("::1", 0), addr_word_make6(ADDR_LOOPBACK6, 80));
	assert_int_equal(word("::1", 9), addr_word_make6(ADDR_LOOPBACK6, 80));
	assert_false(registry_addr_is_own(r, word("::", 0)));
	assert_true(registry_addr_is_own(r, word("::1", 0)));
	assert_false(registry_addr_is_own(r, addr_word_make(0, 80)));
	assert_true(registry_addr_is_own(r, addr_word_make(0x7fffffff, 80)));
	assert_int_equal(registry_addr_get(r, addr_word_make6(2, 80), in6, &scope), -ENOENT);
	assert_int_equal(scope, 7);
	assert_false(registry_addr_is_own(r, addr_word_make6(2, 80)));
	assert_false(registry_addr_is_own(r, addr_word_make6(0xffffffffu, 80)));
}

static void registry_addr_set__comes_and_goes(void **state)
{
	addr_word one, two;
	uint8_t in6[16], text[16];
	uint32_t scope;

	(void)state;
	assert_int_equal(set("fd00::2", 3, false), 0); /* never ours: not learnt */
	assert_int_equal(r->addr_count, 2);
	assert_int_equal(set("fd00::2", 3, true), 0);
	one = word("fd00::2", 0);
	assert_true(registry_addr_is_own(r, one));
	assert_int_equal(set("fd00::2", 0, false), 0);
	assert_false(registry_addr_is_own(r, one));
	assert_int_equal(set("::ffff:192.0.2.2", 0, true), 0);
	assert_true(registry_addr_is_own(r, addr_word_make(0xc0000202, 1)));
	assert_false(registry_addr_is_own(r, addr_word_make(0xc0000203, 1)));
	assert_int_equal(set("fd00::2", 0, true), 0);
	two = word("fd00::2", 0);
	assert_int_equal(one, two);
	assert_int_equal(registry_addr_get(r, one, in6, &scope), 0);
	inet_pton(AF_INET6, "fd00::2", text);
	assert_memory_equal(in6, text, 16);
	assert_int_equal(scope, 0);
	assert_int_equal(registry_addr_get(r, addr_word_make(0x01020304, 1), in6, &scope), 0);
	assert_int_equal(addr_in6_v4(in6), 0x01020304);
}

/* A link-local address is another one on each interface. */
static void registry_addr_set__scopes(void **state)
{
	uint8_t in6[16];
	uint32_t scope, i;

	(void)state;
	set("fe80::1", 2, true);
	set("fe80::1", 3, true);
	assert_true(word("fe80::1", 2) != word("fe80::1", 3));
	set("fe80::1", 2, false);
	assert_false(registry_addr_is_own(r, word("fe80::1", 2)));
	assert_true(registry_addr_is_own(r, word("fe80::1", 3)));
	assert_int_equal(registry_addr_get(r, word("fe80::1", 3), in6, &scope), 0);
	assert_int_equal(scope, 3);
	assert_int_equal(registry_addr_find(r, in6, 4, &i), -ENOENT);
	assert_int_equal(registry_addr_find(r, in6, 0, &i), -ENOENT);
}

static void registry_addr_set__no_room(void **state)
{
	(void)state;
	for (uint32_t i = 2; i < ADDR_MAX; i++)
		assert_int_equal(set("fe80::1", i, true), 0);
	assert_int_equal(set("fe80::2", 1, true), -ENOSPC);
	assert_int_equal(set("fe80::1", 5, false), 0);
	assert_int_equal(set("fe80::2", 1, true), -ENOSPC); /* an index is never another's */
	assert_int_equal(set("fe80::1", 5, true), 0);
	/* A count that no daemon wrote. */
	r->addr_count = ~0u;
	assert_true(registry_addr_is_own(r, word("fe80::1", ADDR_MAX - 1)));
	assert_false(registry_addr_is_own(r, addr_word_make6(ADDR_MAX, 1)));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(addr_word__parts),
		T(addr_rank__order),
		T(addr_conflicts__as_linux),
		T(addr_in6__mapped),
		T(registry_addr_init__what_is_fixed),
		T(registry_addr_set__comes_and_goes),
		T(registry_addr_set__scopes),
		T(registry_addr_set__no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
