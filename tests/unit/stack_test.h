/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_test.h - What the engine's tests begin with: cmocka, and one stack
 * (stack.h), made anew for each test by setup() and ended by teardown().
 */
#ifndef MORTISE_TESTS_STACK_TEST_H
#define MORTISE_TESTS_STACK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "stack.h"

static struct stack s;

static inline int setup(void **state)
{
	struct engine_config c = stack_config();

	(void)state;
	stack_init(&s, &c);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	stack_end(&s);
	return 0;
}

static inline struct engine_info info_of(struct engine_sock sock)
{
	struct engine_info i;

	assert_int_equal(engine_info(&s.e, sock, &i), 0);
	return i;
}

static inline struct engine_sock open_kind(enum engine_kind kind, uint64_t cookie)
{
	struct engine_sock u;

	assert_int_equal(engine_open(&s.e, kind, cookie, &u), 0);
	return u;
}

static inline struct engine_sock open_udp(uint16_t port)
{
	struct engine_sock u = open_kind(ENGINE_UDP, port);

	assert_int_equal(engine_bind(&s.e, u, 0, port), 0);
	return u;
}

#endif
