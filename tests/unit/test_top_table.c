// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/top_table.h"
#include "shm/abi.h"

enum { CLIENT = 11, SERVER = 12 };

static struct ss_row row(uint32_t pid, const char *state, uint16_t local, uint16_t peer,
			 uint64_t tx, uint64_t rx)
{
	struct ss_row r = {
		.netid = "tcp", .state = state, .transport = "shm", .pid = pid, .handle = local,
		.local_port = local, .peer_port = peer, .tx_bytes = tx, .rx_bytes = rx,
		.recv_q = 3, .send_q = 5, .wakes = tx / 10, .fd = -1,
	};

	strcpy(r.local, "127.0.0.1");
	strcpy(r.peer, peer ? "127.0.0.1" : "0.0.0.0");
	strcpy(r.process, pid == CLIENT ? "client" : "ser\033ver");
	return r;
}

static struct sample sample(double at_s, struct ss_row *rows, size_t n)
{
	struct sample s = { .at_ns = (uint64_t)(at_s * NS_PER_SEC), .rows = rows, .count = n };

	strcpy(s.status.status.domain, "lab");
	s.status.status.policy = POLICY_NONE;
	s.status.status.clients = 2;
	s.status.status.connections = 1;
	s.status.status.listeners = 1;
	s.status.status.bytes = (uint64_t)(at_s * 1e6);
	s.status.status.opened = (uint64_t)at_s;
	s.status.status.fallbacks[REASON_REMOTE] = 4;
	return s;
}

/* One connection, its listener, and a datagram socket that is the kernel's. */
static struct sample first(void)
{
	static struct ss_row rows[4];

	rows[0] = row(CLIENT, "ESTAB", 61001, 7000, 1000, 0);
	rows[1] = row(SERVER, "ESTAB", 7000, 61001, 0, 1000);
	rows[2] = row(SERVER, "LISTEN", 7000, 0, 0, 0);
	rows[3] = row(SERVER, "UNCONN", 53, 0, 0, 0);
	rows[3].netid = "udp";
	rows[3].transport = "kernel";
	rows[3].reason = "datagram";
	return sample(10, rows, 4);
}

/* Two seconds later: 4000 bytes more; and a second connection. */
static struct sample second(void)
{
	static struct ss_row rows[6];
	struct sample s = first();

	memcpy(rows, s.rows, 4 * sizeof(*rows));
	rows[0].tx_bytes = rows[1].rx_bytes = 5000;
	rows[1].drops = 6; /* of a stream, so that one row has all */
	rows[4] = row(CLIENT, "ESTAB", 61002, 7000, 200, 0);
	rows[5] = row(SERVER, "ESTAB", 7000, 61002, 0, 200);
	return sample(12, rows, 6);
}

static const struct top_line *find(const struct top_line *l, long n, uint32_t pid, const char *local)
{
	for (long i = 0; i < n; i++) {
		if (l[i].pid == pid && (!local || !strcmp(l[i].local, local)))
			return &l[i];
	}
	fail();
	return NULL;
}

static void top_lines__rates_of_sockets(void **state)
{
	struct sample a = first(), b = second();
	struct top_line *l;
	const struct top_line *old, *new, *kernel;
	long n = top_lines(&a, &b, TOP_SOCKETS, &l);

	(void)state;
	assert_int_equal(n, 6);
	old = find(l, n, CLIENT, "127.0.0.1:61001");
	assert_true(old->rated);
	assert_true(old->rate.tx == 2000 && old->rate.rx == 0 && old->rate.wakes == 0);
	/* It was not there before: all that went through it did so since. */
	new = find(l, n, CLIENT, "127.0.0.1:61002");
	assert_true(new->rate.tx == 100 && new->rate.wakes == 10);
	kernel = find(l, n, SERVER, "127.0.0.1:53");
	assert_false(kernel->rated);
	assert_int_equal(kernel->kernel, 1);
	free(l);
}

static void top_lines__first_sample_has_no_rates(void **state)
{
	struct sample a = first();
	struct top_line *l;
	char cell[64];
	long n = top_lines(NULL, &a, TOP_SOCKETS, &l);

	(void)state;
	assert_int_equal(n, 4);
	assert_false(l[0].rated);
	top_cell(&l[0], TOP_TX, cell, sizeof(cell));
	assert_string_equal(cell, "-");
	free(l);
}

static void top_lines__a_count_that_fell_is_another_sockets(void **state)
{
	struct sample a = first(), b = second();
	struct top_line *l;
	long n;

	(void)state;
	a.rows[0].tx_bytes = 1000000;
	n = top_lines(&a, &b, TOP_SOCKETS, &l);
	assert_true(find(l, n, CLIENT, "127.0.0.1:61001")->rate.tx == 2500);
	free(l);
}

static void top_lines__processes(void **state)
{
	struct sample a = first(), b = second();
	struct top_line *l;
	const struct top_line *server, *client;
	long n = top_lines(&a, &b, TOP_PROCESSES, &l);

	(void)state;
	assert_int_equal(n, 2);
	client = find(l, n, CLIENT, NULL);
	server = find(l, n, SERVER, NULL);
	assert_int_equal(client->open, 2);
	assert_true(client->rate.tx == 2100);
	assert_int_equal(server->open, 3);
	assert_int_equal(server->listening, 1);
	assert_int_equal(server->kernel, 1);
	assert_true(server->rate.rx == 2100);
	/* A listener's queue is of connections, not of bytes. */
	assert_int_equal(server->recv_q, 9);
	assert_string_equal(server->process, "ser?ver");
	free(l);
}

static void top_lines__none(void **state)
{
	struct sample a = sample(1, NULL, 0);
	struct top_line *l;

	(void)state;
	assert_int_equal(top_lines(NULL, &a, TOP_PROCESSES, &l), 0);
	assert_null(l);
	top_sort(l, 0, TOP_TX, true);
	assert_int_equal(top_filter(l, 0, TOP_PROCESSES, "x"), 0);
}

static void top_sort__by_each_column(void **state)
{
	struct sample a = first(), b = second();

	(void)state;
	for (unsigned c = 0; c < TOP_COLUMNS; c++) {
		struct top_line *l;
		long n = top_lines(&a, &b, TOP_SOCKETS, &l);

		top_sort(l, (size_t)n, c, true);
		for (long i = 1; i < n; i++) {
			char x[64], y[64];

			if (top_is_number(c))
				continue;
			top_cell(&l[i - 1], c, x, sizeof(x));
			top_cell(&l[i], c, y, sizeof(y));
			assert_true(strcmp(x, y) >= 0);
		}
		if (c == TOP_TX)
			assert_true(l[0].rate.tx == 2000 && l[1].rate.tx == 100);
		free(l);
	}
}

static void top_filter__cells_of_the_view(void **state)
{
	struct sample a = first(), b = second();
	struct top_line *l;
	size_t n = (size_t)top_lines(&a, &b, TOP_SOCKETS, &l);

	(void)state;
	assert_int_equal(top_filter(l, n, TOP_SOCKETS, ""), 6);
	assert_int_equal(top_filter(l, n, TOP_SOCKETS, "CLIENT"), 2);
	assert_int_equal(top_filter(l, 2, TOP_SOCKETS, ":61002"), 1);
	assert_int_equal(top_filter(l, 1, TOP_SOCKETS, "no such"), 0);
	free(l);
}

static void top_short__units(void **state)
{
	static const struct {
		double n;
		const char *text;
	} cases[] = {
		{ 0, "0" },	  { 0.4, "0" },	     { 999, "999" },	 { 999.6, "1.0k" },
		{ 1234, "1.2k" }, { 99900, "99.9k" }, { 99960, "100k" }, { 123456, "123k" },
		{ 1.5e9, "1.5G" }, { 2e18, "2.0E" }, { 2e22, "20000E" },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		top_short(cases[i].n, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

/** written() - What a writer printed. */
static char *written(bool json, const struct sample *a, const struct sample *b)
{
	struct top_line *p, *s;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	size_t np = (size_t)top_lines(a, b, TOP_PROCESSES, &p);
	size_t ns = (size_t)top_lines(a, b, TOP_SOCKETS, &s);

	top_sort(p, np, TOP_TX, true);
	top_sort(s, ns, TOP_TX, true);
	if (json)
		top_json(f, a, b, p, np, s, 1);
	else
		top_text(f, a, b, p, np, TOP_PROCESSES);
	fclose(f);
	free(p);
	free(s);
	return text;
}

static void top_text__lines(void **state)
{
	struct sample a = first(), b = second();
	char *text = written(false, &a, &b);

	(void)state;
	assert_string_equal(text,
		"mortise top: domain lab (none), up 12 s; clients 2, connections 1, listeners 1\n"
		"Memory: 1.0M B/s, 1 new connections/s; since the start 12.0M B, 12 connections\n"
		"Kernel: remote 4 so far\n"
		"\n"
		"PID Process Open Listen Kernel Tx B/s Rx B/s Recv-Q Send-Q Wakes/s Sleeps/s Spins/s "
		"Drops/s\n"
		" 11 client     2      0      0   2.1k      0      6     10      10        0       0 "
		"      0\n"
		" 12 ser?ver    3      1      1      0   2.1k      9     15       0        0       0 "
		"      3\n");
	free(text);
}

static void top_json__one_line(void **state)
{
	struct sample a = first(), b = second();
	char *text = written(true, &a, &b);

	(void)state;
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_non_null(strstr(text, "{\"domain\":\"lab\",\"policy\":\"none\",\"interval_s\":2.000,"
				     "\"clients\":2,\"connections\":1,\"listeners\":1,\"opened\":12,"
				     "\"opened_per_s\":1.0,\"bytes\":12000000,"
				     "\"bytes_per_s\":1000000.0,\"fallbacks\":{"));
	assert_non_null(strstr(text, "\"remote\":4"));
	assert_non_null(strstr(text,
		"\"processes\":[{\"pid\":11,\"process\":\"client\",\"open\":2,\"listening\":0,"
		"\"kernel\":0,\"recv_q\":6,\"send_q\":10,\"tx_bytes_per_s\":2100.0,"
		"\"rx_bytes_per_s\":0.0,\"wakes_per_s\":10.0,\"sleeps_per_s\":0.0,"
		"\"spins_per_s\":0.0,\"drops_per_s\":0.0},{\"pid\":12,\"process\":\"ser?ver\""));
	assert_non_null(strstr(text,
		"\"sockets\":[{\"pid\":11,\"process\":\"client\",\"netid\":\"tcp\","
		"\"state\":\"ESTAB\",\"local\":\"127.0.0.1:61001\",\"peer\":\"127.0.0.1:7000\","
		"\"transport\":\"shm\",\"reason\":null,\"recv_q\":3,\"send_q\":5,"
		"\"tx_bytes_per_s\":2000.0,"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(top_lines__rates_of_sockets),
		cmocka_unit_test(top_lines__first_sample_has_no_rates),
		cmocka_unit_test(top_lines__a_count_that_fell_is_another_sockets),
		cmocka_unit_test(top_lines__processes),
		cmocka_unit_test(top_lines__none),
		cmocka_unit_test(top_sort__by_each_column),
		cmocka_unit_test(top_filter__cells_of_the_view),
		cmocka_unit_test(top_short__units),
		cmocka_unit_test(top_text__lines),
		cmocka_unit_test(top_json__one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
