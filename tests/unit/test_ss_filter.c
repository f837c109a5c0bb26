// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/ss_filter.h"

static struct ss_filter filter;
static struct ss_filter_error error;

static bool parse(const char *text)
{
	char *argv[] = { (char *)(uintptr_t)text };

	return ss_filter_parse(1, argv, &filter, &error);
}

static struct ss_row row(const char *local, uint16_t local_port, const char *peer,
			 uint16_t peer_port)
{
	struct ss_row r = { .netid = "tcp", .state = "ESTAB", .local_port = local_port,
			    .peer_port = peer_port };
	uint8_t ip[16];

	r.family = strchr(local, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(r.family, local, ip), 1);
	ss_row_address(r.family, ip, 0, r.local_ip, r.local);
	assert_int_equal(inet_pton(r.family, peer, ip), 1);
	ss_row_address(r.family, ip, 0, r.peer_ip, r.peer);
	return r;
}

static void matches(const char *text, const struct ss_row *r, bool want)
{
	if (!parse(text))
		fail_msg("\"%s\": %s at %zu", text, error.what, error.at);
	if (ss_filter_match(&filter, r) != want)
		fail_msg("\"%s\" gives %d", text, !want);
}

static void ss_filter_parse__states(void **state)
{
	static const struct {
		const char *text;
		uint32_t states;
	} cases[] = {
		{ "", 0 },
		{ "state established", 1u << 1 },
		{ "state listening", 1u << 10 },
		{ "state listen state closed", 1u << 10 | 1u << 7 },
		{ "state LISTENING state Close", 1u << 10 | 1u << 7 },
		{ "state syn-rcv", 1u << 3 },
		{ "state all", SS_STATES_ALL },
		{ "state connected", SS_STATES_CONNECTED },
		{ "state synchronized", SS_STATES_CONNECTED & ~(1u << 2) },
		{ "state bucket", 1u << 3 | 1u << 6 },
		{ "state big", SS_STATES_ALL & ~(1u << 3 | 1u << 6) },
		{ "exclude established", SS_STATES_ALL & ~(1u << 1) },
		{ "state connected exclude time-wait", SS_STATES_CONNECTED & ~(1u << 6) },
		{ "excl bucket", SS_STATES_ALL & ~(1u << 3 | 1u << 6) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(parse(cases[i].text));
		assert_int_equal(filter.states, cases[i].states);
		assert_int_equal(filter.root, -1);
	}
}

static void ss_filter_match__ports(void **state)
{
	struct ss_row r = row("127.0.0.1", 80, "127.0.0.1", 40000);

	(void)state;
	matches("sport = :80", &r, true);
	matches("sport = 80", &r, true);
	matches("sport :80", &r, true);
	matches("sport=:80", &r, true);
	matches("sport == :http", &r, true);
	matches("sport eq http", &r, true);
	matches("sport != :80", &r, false);
	matches("sport ne :81", &r, true);
	matches("dport > :1024", &r, true);
	matches("dport gt 40000", &r, false);
	matches("dport >= 40000", &r, true);
	matches("dport < 40000", &r, false);
	matches("dport <= 40000", &r, true);
	matches("dport lt 65535", &r, true);
	matches("dport geq 1", &r, true);
	matches("dport leq 1", &r, false);
	matches("dport = *", &r, true);
	matches("sport = :*", &r, true);
}

static void ss_filter_match__addresses(void **state)
{
	struct ss_row r = row("127.0.0.1", 80, "127.9.0.1", 40000),
		      r6 = row("::1", 80, "fe80::2", 40000),
		      mapped = row("::ffff:10.1.2.3", 80, "::ffff:10.1.2.4", 9);

	(void)state;
	matches("src 127.0.0.1", &r, true);
	matches("src = 127.0.0.1", &r, true);
	matches("src != 127.0.0.1", &r, false);
	matches("dst 127.0.0.1", &r, false);
	matches("dst 127.0.0.0/8", &r, true);
	matches("dst 127.0.0.0/9", &r, true);
	matches("dst 127.0.0.0/13", &r, false);
	matches("dst 0.0.0.0/0", &r, true);
	matches("src 127.0.0.1:80", &r, true);
	matches("src 127.0.0.1:81", &r, false);
	matches("src != 127.0.0.1:81", &r, true);
	matches("src 127.0.0.0/8:http", &r, true);
	matches("src :80", &r, true);
	matches("src *:80", &r, true);
	matches("src *", &r, true);
	matches("src localhost", &r, true);
	matches("src localhost:81", &r, false);
	matches("src ::1", &r6, true);
	matches("src [::1]", &r6, true);
	matches("src [::1]:80", &r6, true);
	matches("src [::1]:81", &r6, false);
	matches("dst fe80::/10", &r6, true);
	matches("dst [fe80::]/10:40000", &r6, true);
	matches("dst ff00::/8", &r6, false);
	matches("src ::/0", &r6, true);
	matches("src ::1", &r, false);
	matches("src 127.0.0.1", &r6, false);
	matches("src inet:127.0.0.1:80", &r, true);
	matches("src inet:*", &r, true);
	matches("src inet:*", &r6, false);
	matches("src inet::80", &r, true);
	matches("src inet6:*", &r, false);
	matches("src inet6:*", &r6, true);
	matches("src inet6:[::1]:80", &r6, true);
	matches("src inet6:::1", &r6, true);
	matches("src inet6:*:81", &r6, false);
	matches("src inet6:127.0.0.1", &r, false);
	matches("src inet:::1", &r6, false);
	matches("src inet:localhost", &r, true);
	matches("src inet6:localhost", &r, false);
	matches("src inet:10.1.0.0/16", &mapped, true);
	matches("src 10.0.0.0/8", &mapped, true);
	matches("src ::ffff:10.1.2.3", &mapped, true);
	matches("src fe80::/10", &mapped, false);
}

static void ss_filter_match__logic(void **state)
{
	struct ss_row r = row("127.0.0.1", 80, "127.9.0.1", 40000);

	(void)state;
	matches("sport = 80 and dport = 40000", &r, true);
	matches("sport = 80 dport = 1", &r, false);
	matches("sport = 1 or dport = 40000", &r, true);
	matches("sport = 1 | dport = 1", &r, false);
	matches("sport = 80 && dport = 40000", &r, true);
	matches("sport = 1 || sport = 2 || sport = 80", &r, true);
	matches("not sport = 80", &r, false);
	matches("! sport = 1", &r, true);
	matches("not not sport = 80", &r, true);
	/* "and" before "or"; "not" before both. */
	matches("sport = 80 or sport = 80 and dport = 1", &r, true);
	matches("( sport = 80 or sport = 80 ) and dport = 1", &r, false);
	matches("not sport = 1 and dport = 1", &r, false);
	matches("( sport = :http or sport = :https )", &r, true);
	matches("((sport=80)(dport=40000))", &r, true);
	matches("state established ( dport = 40000 or sport = 1 )", &r, true);
	matches("src 127.0.0.1 and not dst 10.0.0.0/8", &r, true);
}

static void ss_filter_parse__joins_arguments(void **state)
{
	char *argv[] = { (char *)"state", (char *)"established", (char *)"( sport =",
			 (char *)":80 )" };

	(void)state;
	assert_true(ss_filter_parse(4, argv, &filter, &error));
	assert_string_equal(error.text, "state established ( sport = :80 )");
	assert_int_equal(filter.states, 1u << 1);
	assert_int_equal(filter.count, 1);
}

static void ss_filter_parse__says_what_and_where(void **state)
{
	static const struct {
		const char *text;
		size_t at;
		const char *what;
	} bad[] = {
		{ "sprot = 80", 0, "\"sprot\" begins no condition; did you mean sport?" },
		{ "established", 0, "begins no condition: sport, dport, src, dst, not and ( do" },
		{ "state etsablished", 6, "\"etsablished\" is no state; did you mean established?" },
		{ "state nonsense", 6, "is no state; see mortise-ss(1)" },
		{ "state", 5, "a state is missing" },
		{ "state established exclude established", 0, "no state is left" },
		{ "sport = 80 state established", 11, "state stands before" },
		{ "sport = nosuchservice", 8, "\"nosuchservice\" is no port" },
		{ "sport = :65536", 9, "is no port" },
		{ "sport = 80x", 8, "is no port" },
		{ "sport = -1", 8, "is no port" },
		{ "sport =", 7, "a port is missing" },
		{ "sport > *", 8, "* is any port" },
		{ "dst", 3, "an address is missing" },
		{ "dst )", 4, "an address is missing" },
		{ "dst > 1.2.3.4", 4, "= or != only" },
		{ "dst 1.2.3.4/33", 4, "0 to 32 bits" },
		{ "dst ::1/129", 4, "0 to 128 bits" },
		{ "dst 1.2.3/8", 4, "is no address" },
		{ "dst [::1", 4, "ends with ]" },
		{ "dst [::1]x", 4, "ends with ]" },
		{ "dst /8", 4, "wants an address" },
		{ "dst 1.2.3.4:nosuch", 12, "is no port" },
		{ "src a..b", 4, "not found as a name" },
		{ "( sport = 80", 0, "this ( is not closed" },
		{ "sport = 80 )", 11, "\")\" closes nothing" },
		{ "( sport = 80 ]", 13, "\"]\"" },
		{ "()", 1, "begins no condition" },
		{ "sport = 80 and", 14, "a condition is missing here" },
		{ "or sport = 80", 0, "a condition is missing here" },
		{ "sport = 80 and and dport = 80", 15, "a condition is missing here" },
		{ "src unix:/tmp/x", 4, "unix: is a family that Mortise's sockets are never of" },
		{ "not", 3, "a condition is missing here" },
		{ "dev = eth0", 0, "a condition of ss that Mortise's sockets do not have" },
		{ "\033[2J", 0, "\"?[2J\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse(bad[i].text))
			fail_msg("\"%s\" is accepted", bad[i].text);
		if (!strstr(error.what, bad[i].what) || error.at != bad[i].at)
			fail_msg("\"%s\": \"%s\" at %zu", bad[i].text, error.what, error.at);
	}
}

static void ss_filter_parse__bounds(void **state)
{
	static char text[3 * SS_FILTER_TEXT_MAX];

	(void)state;
	memset(text, '(', SS_FILTER_TEXT_MAX - 3);
	assert_false(parse(text));
	assert_non_null(strstr(error.what, "levels of ( and not"));
	text[0] = 0;
	for (int i = 0; i < SS_FILTER_NODES / 2 + 1; i++)
		strcat(text, "sport 1 ");
	assert_false(parse(text));
	assert_non_null(strstr(error.what, "more than 512 conditions"));
	memset(text, 'a', sizeof(text) - 1);
	assert_false(parse(text));
	assert_non_null(strstr(error.what, "longer than"));
	text[SS_FILTER_TEXT_MAX - 2] = 0;
	assert_false(parse(text));
	assert_non_null(strstr(error.what, "begins no condition"));
	memcpy(text, "src ", 4);
	assert_false(parse(text));
}

/* Whatever words come in whatever order: an answer, and a place inside the text. */
static void ss_filter_parse__noise(void **state)
{
	static const char *const words[] = {
		"(", ")", "not", "!", "or", "and", "|", "&&", "sport", "dport", "=",
		"!=", ">", "<=", ":80", "80", "*", "127.0.0.1", "[::1]:80", "::/0", "state", "exclude",
		"all", "established", "\x80\xff", "]", "[", "/", "1.2.3.4/8:9",
		/* With an address behind: a name would be looked up, which takes its time. */
		"src 127.0.0.1 ", "dst != [::1]:80 ", "dst = 1.2.3.4/8:9 ", "src /", "dst [ ",
	};
	unsigned seed = (unsigned)time(NULL), good = 0;
	struct ss_row r = row("127.0.0.1", 80, "127.9.0.1", 40000);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 50000; i++) {
		char text[256] = "";
		int n = rand() % 12;

		for (int k = 0; k < n; k++) {
			strcat(text, words[(size_t)rand() % ARRAY_LEN(words)]);
			if (rand() % 4)
				strcat(text, " ");
		}
		if (parse(text)) {
			good++;
			ss_filter_match(&filter, &r);
		} else {
			assert_true(error.at <= strlen(error.text));
			assert_true(*error.what);
		}
	}
	assert_true(good > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ss_filter_parse__states),
		cmocka_unit_test(ss_filter_match__ports),
		cmocka_unit_test(ss_filter_match__addresses),
		cmocka_unit_test(ss_filter_match__logic),
		cmocka_unit_test(ss_filter_parse__joins_arguments),
		cmocka_unit_test(ss_filter_parse__says_what_and_where),
		cmocka_unit_test(ss_filter_parse__bounds),
		cmocka_unit_test(ss_filter_parse__noise),
	};

	return cmocka_run_group_tests_name("ss_filter", tests, NULL, NULL);
}
