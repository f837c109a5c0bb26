// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/ss_filter.h"
#include "cli/ss_row.h"
#include "shm/abi.h"
#include "ss_rows.h"

static void ss_row_make__in_memory(void **state)
{
	struct ss_row r = row(HALF_OPEN, 6379, 40000);

	(void)state;
	assert_string_equal(r.netid, "tcp");
	assert_string_equal(r.state, "ESTAB");
	assert_string_equal(r.transport, "shm");
	assert_null(r.reason);
	assert_string_equal(r.local, "127.0.0.1");
	assert_int_equal(r.local_port, 6379);
	assert_int_equal(r.peer_port, 40000);
	assert_string_equal(r.process, "redis-server");
	assert_int_equal(r.family, AF_INET);
	assert_int_equal(r.local_ip[11], 0xff);
	assert_int_equal(r.local_ip[12], 127);
}

static void ss_row_make__datagrams(void **state)
{
	struct ctl_msg m = message(HALF_BOUND, 53, 0);
	struct ss_row r;

	(void)state;
	m.row.protocol = IPPROTO_UDP;
	m.row.drops = 7;
	assert_true(ss_row_make(&m, &r));
	assert_string_equal(r.netid, "udp");
	assert_string_equal(r.state, "UNCONN");
	assert_int_equal(r.drops, 7);
	m.row.remote = addr_word_make(LOOPBACK, 5353);
	assert_true(ss_row_make(&m, &r));
	assert_string_equal(r.state, "ESTAB");
}

static void ss_row_make__ipv6(void **state)
{
	struct ctl_msg m = message(HALF_OPEN, 80, 40000);
	struct ss_row r;

	(void)state;
	m.row.family = AF_INET6;
	inet_pton(AF_INET6, "::1", m.row.local_ip6);
	inet_pton(AF_INET6, "fe80::2", m.row.remote_ip6);
	m.row.remote_scope = 1;
	assert_true(ss_row_make(&m, &r));
	assert_string_equal(r.local, "::1");
	assert_string_equal(r.peer, "fe80::2%lo");
	assert_int_equal(r.local_port, 80);
	assert_int_equal(r.peer_port, 40000);
	/* No peer. */
	m.row.remote = 0;
	m.row.remote_scope = 0;
	inet_pton(AF_INET6, "::ffff:0.0.0.0", m.row.remote_ip6);
	assert_true(ss_row_make(&m, &r));
	assert_string_equal(r.peer, "::");
	m.row.remote = 1ull << 48 | 7ull << 16;
	m.row.remote_scope = 0xfffffff0; /* There is no such interface. */
	memset(m.row.remote_ip6, 0xee, 16);
	assert_true(ss_row_make(&m, &r));
	assert_string_equal(r.peer, "eeee:eeee:eeee:eeee:eeee:eeee:eeee:eeee%4294967280");
}

static void ss_row_make__kernel(void **state)
{
	struct ctl_msg m = message(0, 80, 40000);
	struct ss_row r;

	(void)state;
	m.row.transport = 1;
	m.row.reason = REASON_NO_LISTENER;
	assert_true(ss_row_make(&m, &r));
	assert_string_equal(r.transport, "kernel");
	assert_string_equal(r.reason, "no-listener");
	assert_string_equal(r.state, "ESTAB");
	m.row.remote = 0;
	m.row.reason = REASON_DATAGRAM;
	assert_true(ss_row_make(&m, &r));
	assert_string_equal(r.netid, "udp");
	assert_string_equal(r.state, "UNCONN");
	m.row.reason = 1234;
	assert_true(ss_row_make(&m, &r));
	assert_null(r.reason);
}

static void ss_row_make__nothing_to_show(void **state)
{
	struct ctl_msg m = message(HALF_FREE, 1, 2);
	struct ss_row r;

	(void)state;
	assert_false(ss_row_make(&m, &r));
	m.row.state = HALF_RELEASED;
	assert_false(ss_row_make(&m, &r));
	m.row.state = 0xffffffff;
	assert_false(ss_row_make(&m, &r));
}

static void ss_row_make__name_without_end(void **state)
{
	struct ctl_msg m = message(HALF_OPEN, 1, 2);
	struct ss_row r;

	(void)state;
	memset(m.row.comm, 'x', sizeof(m.row.comm));
	assert_true(ss_row_make(&m, &r));
	assert_int_equal(strlen(r.process), 16);
}

static void ss_wanted__as_ss(void **state)
{
	struct ss_row open = row(HALF_OPEN, 1, 2), listen = row(HALF_LISTEN, 1, 0),
		      bound = row(HALF_BOUND, 1, 0), udp = row(HALF_BOUND, 1, 0);
	struct ss_show none = { 0 }, l = { .listening = true }, a = { .all = true },
		       la = { .listening = true, .all = true }, ta = { .all = true, .tcp = true };

	(void)state;
	udp.netid = "udp";
	assert_true(ss_wanted(&open, &none));
	assert_false(ss_wanted(&listen, &none));
	assert_false(ss_wanted(&bound, &none));
	assert_false(ss_wanted(&udp, &none));
	assert_false(ss_wanted(&open, &l));
	assert_true(ss_wanted(&listen, &l));
	assert_false(ss_wanted(&bound, &l));
	assert_true(ss_wanted(&udp, &l));
	assert_true(ss_wanted(&open, &a));
	assert_true(ss_wanted(&bound, &a));
	assert_true(ss_wanted(&open, &la));
	assert_false(ss_wanted(&udp, &ta));
}

static void ss_wanted__kinds(void **state)
{
	struct ss_row tcp = row(HALF_OPEN, 1, 2), udp = row(HALF_OPEN, 1, 2);
	struct ss_show u = { .udp = true }, tu = { .udp = true, .tcp = true },
		       x = { .unix_only = true, .all = true }, v4 = { .ipv4 = true },
		       v6 = { .ipv6 = true }, a = { .all = true };

	(void)state;
	udp.netid = "udp";
	udp.family = AF_INET6;
	assert_false(ss_wanted(&tcp, &u));
	assert_true(ss_wanted(&udp, &u));
	assert_true(ss_wanted(&tcp, &tu));
	assert_true(ss_wanted(&udp, &tu));
	assert_false(ss_wanted(&tcp, &x));
	assert_true(ss_wanted(&tcp, &v4));
	assert_false(ss_wanted(&udp, &v4));
	assert_true(ss_wanted(&udp, &v6));
	tcp.state = "UNKNOWN";
	assert_true(ss_wanted(&tcp, &a));
	assert_false(ss_wanted(&tcp, &v4));
}

static void ss_wanted__states_of_the_filter(void **state)
{
	struct ss_row open = row(HALF_OPEN, 1, 2), listen = row(HALF_LISTEN, 1, 0);
	struct ss_filter f = { .states = ss_state_bit("LISTEN"), .root = -1 };
	struct ss_show show = { .filter = &f }, all = { .filter = &f, .all = true };

	(void)state;
	assert_true(ss_wanted(&listen, &show));
	assert_false(ss_wanted(&open, &show));
	assert_false(ss_wanted(&open, &all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ss_row_make__in_memory),
		cmocka_unit_test(ss_row_make__datagrams),
		cmocka_unit_test(ss_row_make__ipv6),
		cmocka_unit_test(ss_row_make__kernel),
		cmocka_unit_test(ss_row_make__nothing_to_show),
		cmocka_unit_test(ss_row_make__name_without_end),
		cmocka_unit_test(ss_wanted__as_ss),
		cmocka_unit_test(ss_wanted__kinds),
		cmocka_unit_test(ss_wanted__states_of_the_filter),
	};

	return cmocka_run_group_tests_name("ss_row", tests, NULL, NULL);
}
