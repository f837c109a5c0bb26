/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_test.h - stack_test.h for who sends and receives streams: octets to send, and
 * what a peer does with them.
 */
#ifndef MORTISE_TESTS_STREAM_TEST_H
#define MORTISE_TESTS_STREAM_TEST_H

#include "stack_test.h"

static char data[70000];

/* The peer acknowledges all that was taken. */
static inline void ack_all(struct talk *t)
{
	talk_send(&s, t, TCP_ACK, NULL, 0);
}

static inline void write_octets(struct talk *t, size_t bytes)
{
	assert_int_equal(engine_send(&s.e, s.now, t->sock, data, bytes), bytes);
}

/* Take a segment of @bytes data. */
static inline void want(struct talk *t, size_t bytes)
{
	assert_true(stack_pull_ip(&s));
	assert_int_equal(cursor_left(&s.data), bytes);
	assert_int_equal(s.tcp.seq, t->ack);
	t->ack += (uint32_t)bytes;
}

#endif
