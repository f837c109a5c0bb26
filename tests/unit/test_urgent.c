/* SPDX-License-Identifier: BSD-2-Clause */
/* test_urgent.c - The mark, as a sender places it and a reader sees it. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shm/urgent.h"
#include "world.h"

static ssize_t put(struct conn *c, const char *text, bool urgent)
{
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };

	return urgent ? conn_send_urgent(c, &iov, 1, 0) : conn_send(c, text, strlen(text));
}

static void expect(struct conn *c, const char *text, uint32_t flags)
{
	char buf[32] = { 0 };

	assert_int_equal(conn_recv(c, buf, sizeof(buf) - 1, 0, flags), strlen(text));
	assert_string_equal(buf, text);
}

static void urgent_mark(void **state)
{
	struct world *w = world_make(2);
	unsigned char byte = 0;
	struct conn a, b;
	char c;

	(void)state;
	world_pair(w, &a, &b);
	assert_int_equal(conn_recv_urgent(&b, &byte, false), -EINVAL);
	put(&a, "abX", true);
	put(&a, "cd", false);
	assert_true(conn_poll(&b) & POLLPRI);
	assert_int_equal(conn_until_mark(&b), 2);
	assert_false(conn_at_mark(&b));
	expect(&b, "ab", CONN_STOP);
	assert_true(conn_at_mark(&b));
	assert_int_equal(conn_until_mark(&b), 0);
	assert_int_equal(conn_readable(&b), 2);
	assert_int_equal(conn_recv_urgent(&b, &byte, true), 1);
	assert_int_equal(byte, 'X');
	assert_int_equal(conn_recv_urgent(&b, &byte, false), 1);
	assert_int_equal(conn_recv_urgent(&b, &byte, false), -EINVAL);
	assert_false(conn_poll(&b) & POLLPRI);
	/* Nothing more in the call that has read something; else it is asked for. */
	assert_int_equal(conn_recv(&b, &c, 1, 0, CONN_MORE), 0);
	assert_int_equal(conn_recv(&b, &c, 1, 0, CONN_STOP), -ERESTART);
	expect(&b, "cd", CONN_PEEK);
	expect(&b, "cd", 0);
	assert_false(conn_at_mark(&b));
	world_close(&a);
	world_close(&b);
	world_free(w);
}

static void urgent_newer(void **state)
{
	struct world *w = world_make(2);
	unsigned char byte = 0;
	struct conn a, b;

	(void)state;
	world_pair(w, &a, &b);
	/* The reader stands before the first one. */
	put(&a, "X", true);
	put(&a, "Y", true);
	put(&a, "Z", true);
	assert_true(conn_at_mark(&b));
	assert_int_equal(conn_recv_urgent(&b, &byte, false), 1);
	assert_int_equal(byte, 'Z');
	assert_int_equal(conn_recv(&b, &byte, 1, 0, 0), -EAGAIN);
	/* It does not: what was urgent is not any more. */
	put(&a, "abX", true);
	put(&a, "cY", true);
	expect(&b, "abXc", 0);
	store_relaxed(&b.own->oob_inline, 1);
	expect(&b, "Y", 0);
	world_close(&a);
	world_close(&b);
	world_free(w);
}

static void urgent_lies(void **state)
{
	static const uint64_t lies[] = { 1, 2, 3, 4, 5, 100, 1ull << 40, UINT64_MAX };
	struct world *w = world_make(2);
	unsigned char byte = 0;
	struct conn a, b;
	char buf[8];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(lies); i++)
		for (unsigned k = 0; k < ARRAY_LEN(lies); k++) {
			ssize_t r;

			world_pair(w, &a, &b);
			put(&a, "abcd", false);
			store_relaxed(&a.own->urgent_skip, lies[k]);
			store_relaxed(&a.own->urgent, lies[i]);
			assert_true(conn_readable(&b) <= 4);
			assert_true(conn_until_mark(&b) <= 4);
			conn_poll(&b);
			r = conn_recv_urgent(&b, &byte, false);
			assert_true(r == 1 || r == -EAGAIN || r == -EINVAL);
			for (unsigned n = 0; n < 10; n++) {
				r = conn_recv(&b, buf, sizeof(buf), 0, 0);
				assert_true(r == -EAGAIN || (r > 0 && r <= 4));
			}
			assert_true(load_relaxed(&b.own->head) <= 4);
			world_close(&a);
			world_close(&b);
		}
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urgent_mark),
		cmocka_unit_test(urgent_newer),
		cmocka_unit_test(urgent_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
