// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/words.h"
#include "shm/abi.h"

static void word_reason__each_has_one(void **state)
{
	(void)state;
	assert_null(word_reason(REASON_NONE));
	for (uint32_t i = 1; i < REASON_COUNT; i++) {
		assert_non_null(word_reason(i));
		for (uint32_t j = 1; j < i; j++)
			assert_string_not_equal(word_reason(i), word_reason(j));
	}
	assert_null(word_reason(REASON_COUNT));
	assert_null(word_reason(UINT32_MAX));
	assert_string_equal(word_reason(REASON_NO_LISTENER), "no-listener");
}

static void word_policy__there_and_back(void **state)
{
	(void)state;
	assert_int_equal(word_policy_find("share"), POLICY_SHARE);
	assert_int_equal(word_policy_find("none"), POLICY_NONE);
	assert_int_equal(word_policy_find("Share"), -1);
	assert_int_equal(word_policy_find(""), -1);
	assert_string_equal(word_policy(POLICY_NONE), "none");
	assert_string_equal(word_policy(77), "unknown");
}

static void word_state__as_ss(void **state)
{
	(void)state;
	assert_string_equal(word_state(HALF_BOUND, 0, 0), "UNCONN");
	assert_string_equal(word_state(HALF_LISTEN, 0, 0), "LISTEN");
	assert_string_equal(word_state(HALF_CONNECTING, 0, 1), "SYN-SENT");
	assert_string_equal(word_state(HALF_OPEN, 0, 1), "ESTAB");
	assert_string_equal(word_state(HALF_OPEN, 1, 1), "FIN-WAIT-2");
	assert_string_equal(word_state(HALF_OPEN, 2, 1), "CLOSE-WAIT");
	assert_string_equal(word_state(HALF_OPEN, 3, 1), "LAST-ACK");
	assert_string_equal(word_state(HALF_CLOSED, 0, 1), "FIN-WAIT-2");
	assert_string_equal(word_state(HALF_CLOSED, 2, 1), "LAST-ACK");
}

static void word_state__what_is_no_socket(void **state)
{
	(void)state;
	assert_null(word_state(HALF_FREE, 0, 1));
	assert_null(word_state(HALF_RELEASED, 0, 1));
	assert_null(word_state(99, 0, 1));
	assert_null(word_state(HALF_SEAT, 0, 0));
	assert_string_equal(word_state(HALF_SEAT, 0, 1), "ESTAB");
}

static void word_state_kernel__range(void **state)
{
	(void)state;
	assert_string_equal(word_state_kernel(1), "ESTAB");
	assert_string_equal(word_state_kernel(6), "TIME-WAIT");
	assert_string_equal(word_state_kernel(10), "LISTEN");
	assert_string_equal(word_state_kernel(0), "UNKNOWN");
	assert_string_equal(word_state_kernel(200), "UNKNOWN");
}

static void word_near__what_was_meant(void **state)
{
	static const char *const words[] = { "run", "ss", "status", "down", NULL };
	char far[200];

	(void)state;
	assert_string_equal(word_near("stauts", words), "status");
	assert_string_equal(word_near("rnu", words), "run");
	assert_string_equal(word_near("donw", words), "down");
	assert_string_equal(word_near("sss", words), "ss");
	assert_null(word_near("redis-server", words));
	assert_null(word_near("", words));
	memset(far, 'a', sizeof(far) - 1);
	far[sizeof(far) - 1] = 0;
	assert_null(word_near(far, words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(word_reason__each_has_one),
		cmocka_unit_test(word_policy__there_and_back),
		cmocka_unit_test(word_state__as_ss),
		cmocka_unit_test(word_state__what_is_no_socket),
		cmocka_unit_test(word_state_kernel__range),
		cmocka_unit_test(word_near__what_was_meant),
	};

	return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
