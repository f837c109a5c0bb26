// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/metrics.h"
#include "cli/opt.h"
#include "shm/abi.h"

static char *text_of(const struct sample *s, uint64_t unix_ns)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	metrics_text(f, s, unix_ns);
	fclose(f);
	return text;
}

static void metrics_text__no_daemon(void **state)
{
	char *text = text_of(NULL, 0);

	(void)state;
	assert_string_equal(text, "# HELP mortise_up Whether the domain's daemon answered.\n"
				  "# TYPE mortise_up gauge\n"
				  "mortise_up 0\n");
	free(text);
}

static void metrics_text__lines(void **state)
{
	static const char *const lines[] = {
		"\nmortise_up 1\n",
		"\nmortise_domain_info{domain=\"lab\",policy=\"none\",version=\"",
		"# TYPE mortise_start_time_seconds gauge\nmortise_start_time_seconds 995.5\n",
		"# TYPE mortise_clients gauge\nmortise_clients 2\n",
		"# TYPE mortise_connections gauge\nmortise_connections 3\n",
		"# TYPE mortise_listeners gauge\nmortise_listeners 4\n",
		"# TYPE mortise_handles gauge\nmortise_handles 5\n",
		"# TYPE mortise_connections_opened_total counter\n"
		"mortise_connections_opened_total 18446744073709551615\n",
		"# TYPE mortise_sent_bytes_total counter\nmortise_sent_bytes_total 7\n",
		"# TYPE mortise_control_messages_total counter\nmortise_control_messages_total 8\n",
		"# TYPE mortise_fallback_sockets_total counter\n"
		"mortise_fallback_sockets_total{reason=\"no-listener\"} 0\n",
		"\nmortise_fallback_sockets_total{reason=\"remote\"} 9\n",
		"# TYPE mortise_sockets gauge\n"
		"mortise_sockets{netid=\"tcp\",state=\"ESTAB\",transport=\"shm\"} 2\n"
		"mortise_sockets{netid=\"tcp\",state=\"LISTEN\",transport=\"shm\"} 1\n",
		"# TYPE mortise_socket_queue_bytes gauge\n"
		"mortise_socket_queue_bytes{netid=\"tcp\",state=\"ESTAB\",transport=\"shm\","
		"queue=\"receive\"} 30\n"
		"mortise_socket_queue_bytes{netid=\"tcp\",state=\"ESTAB\",transport=\"shm\","
		"queue=\"send\"} 300\n",
	};
	struct ss_row rows[3] = {
		{ .netid = "tcp", .state = "ESTAB", .transport = "shm", .recv_q = 10, .send_q = 100 },
		{ .netid = "tcp", .state = "LISTEN", .transport = "shm", .recv_q = 1, .send_q = 511 },
		{ .netid = "tcp", .state = "ESTAB", .transport = "shm", .recv_q = 20, .send_q = 200 },
	};
	struct sample s = { .at_ns = 5 * NS_PER_SEC, .rows = rows, .count = 3 };
	const char *at;
	char *text;

	(void)state;
	strcpy(s.status.status.domain, "lab");
	s.status.status.policy = POLICY_NONE;
	s.status.status.started_ns = NS_PER_SEC / 2;
	s.status.status.clients = 2;
	s.status.status.connections = 3;
	s.status.status.listeners = 4;
	s.status.status.handles = 5;
	s.status.status.opened = UINT64_MAX;
	s.status.status.bytes = 7;
	s.status.status.messages = 8;
	s.status.status.fallbacks[REASON_REMOTE] = 9;
	text = text_of(&s, 1000 * NS_PER_SEC);
	at = text;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		const char *next = strstr(at, lines[i]);

		if (!next)
			fail_msg("no \"%s\" after \"%s\"", lines[i], at);
		at = next ? next + strlen(lines[i]) - 1 : at; /* the newline may begin the next */
	}
	assert_string_equal(at, "\n");
	free(text);
}

static void metrics_address__both_families(void **state)
{
	struct sockaddr_storage a;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	socklen_t len;

	(void)state;
	assert_true(metrics_address("127.0.0.2:9550", &a, &len));
	memcpy(&in4, &a, sizeof(in4));
	assert_int_equal(len, sizeof(in4));
	assert_int_equal(in4.sin_family, AF_INET);
	assert_int_equal(ntohl(in4.sin_addr.s_addr), 0x7f000002);
	assert_int_equal(ntohs(in4.sin_port), 9550);
	assert_true(metrics_address("[::1]:0", &a, &len));
	memcpy(&in6, &a, sizeof(in6));
	assert_int_equal(len, sizeof(in6));
	assert_int_equal(in6.sin6_family, AF_INET6);
	assert_true(IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr));
}

static void metrics_address__refuses(void **state)
{
	static char longer[] = "[1111111111111111111111111111111111111111111111111111111111111111]:1";
	static const char *const bad[] = { "", ":", "1:2", "127.0.0.1", "::1:80", "[::1]", "[]:80",
					   "[::1]:65536", "127.0.0.1:80 ", "[127.0.0.1]:80", "]:1",
					   longer };
	struct sockaddr_storage a = { 0 };
	socklen_t len = 77;
	FILE *null = fopen("/dev/null", "w");

	(void)state;
	complain_to(null);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(metrics_address(bad[i], &a, &len));
	complain_to(NULL);
	fclose(null);
	assert_int_equal(len, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_text__no_daemon),
		cmocka_unit_test(metrics_text__lines),
		cmocka_unit_test(metrics_address__both_families),
		cmocka_unit_test(metrics_address__refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
