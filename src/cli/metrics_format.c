// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/metrics.h"
#include "cli/opt.h"
#include "cli/words.h"

/** family() - What stands before the samples of one name. */
static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(FILE *out, const char *name, const char *type, const char *help, uint64_t n)
{
	family(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, n);
}

/** struct kind - Sockets that have the same labels; the strings are constants. */
struct kind {
	const char *netid, *state, *transport;
	uint64_t count, recv_q, send_q;
};

enum { KINDS_MAX = 64 }; /* more than there are */

static bool is_kind(const struct kind *k, const struct ss_row *r)
{
	return !strcmp(k->netid, r->netid) && !strcmp(k->state, r->state) &&
	       !strcmp(k->transport, r->transport);
}

static size_t kinds_of(const struct sample *s, struct kind *kinds)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct ss_row *r = &s->rows[i];
		struct kind *k = kinds;

		while (k < kinds + n && !is_kind(k, r))
			k++;
		if (k == kinds + KINDS_MAX)
			continue;
		if (k == kinds + n) {
			*k = (struct kind){ r->netid, r->state, r->transport, 0, 0, 0 };
			n++;
		}
		k->count++;
		if (strcmp(r->state, "LISTEN") != 0) { /* theirs are connections */
			k->recv_q += r->recv_q;
			k->send_q += r->send_q;
		}
	}
	return n;
}

static void sockets(FILE *out, const struct sample *s)
{
	struct kind kinds[KINDS_MAX];
	size_t n = kinds_of(s, kinds);

	family(out, "mortise_sockets", "gauge", "Sockets of the domain's programs.");
	for (size_t i = 0; i < n; i++)
		fprintf(out,
			"mortise_sockets{netid=\"%s\",state=\"%s\",transport=\"%s\"} %" PRIu64 "\n",
			kinds[i].netid, kinds[i].state, kinds[i].transport, kinds[i].count);
	family(out, "mortise_socket_queue_bytes", "gauge",
	       "Bytes that wait in sockets, which were not read or not acknowledged.");
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(kinds[i].state, "LISTEN"))
			continue;
		for (int send = 0; send < 2; send++)
			fprintf(out,
				"mortise_socket_queue_bytes{netid=\"%s\",state=\"%s\","
				"transport=\"%s\",queue=\"%s\"} %" PRIu64 "\n",
				kinds[i].netid, kinds[i].state, kinds[i].transport,
				send ? "send" : "receive",
				send ? kinds[i].send_q : kinds[i].recv_q);
	}
}

void metrics_text(FILE *out, const struct sample *s, uint64_t unix_ns)
{
	const struct ctl_msg *m = s ? &s->status : NULL;
	uint64_t up_ns;

	single(out, "mortise_up", "gauge", "Whether the domain's daemon answered.", s != NULL);
	if (!s)
		return;
	/* A domain's name has no letter that would have to be escaped. */
	family(out, "mortise_domain_info", "gauge", "The domain, its policy, the command's version.");
	fprintf(out, "mortise_domain_info{domain=\"%s\",policy=\"%s\",version=\"%s\"} 1\n",
		m->status.domain, word_policy(m->status.policy), MORTISE_VERSION);
	up_ns = s->at_ns > m->status.started_ns ? s->at_ns - m->status.started_ns : 0;
	family(out, "mortise_start_time_seconds", "gauge",
	       "When the domain began, in seconds since 1970.");
	fprintf(out, "mortise_start_time_seconds %.1f\n", (double)(unix_ns - up_ns) / 1e9);
	single(out, "mortise_clients", "gauge", "Processes that take part.", m->status.clients);
	single(out, "mortise_connections", "gauge", "Open connections through shared memory.",
	       m->status.connections);
	single(out, "mortise_listeners", "gauge", "Listening sockets in shared memory.",
	       m->status.listeners);
	single(out, "mortise_handles", "gauge", "Descriptors that stand for sockets, pooled ones "
	       "included.", m->status.handles);
	single(out, "mortise_connections_opened_total", "counter",
	       "Connections ever made through shared memory.", m->status.opened);
	single(out, "mortise_sent_bytes_total", "counter", "Bytes ever sent through shared memory.",
	       m->status.bytes);
	single(out, "mortise_control_messages_total", "counter",
	       "Requests that the daemon served.", m->status.messages);
	family(out, "mortise_fallback_sockets_total", "counter",
	       "Sockets that became the kernel's, by reason.");
	for (uint32_t i = 0; i < ARRAY_LEN(m->status.fallbacks); i++) {
		if (word_reason(i))
			fprintf(out, "mortise_fallback_sockets_total{reason=\"%s\"} %" PRIu64 "\n",
				word_reason(i), m->status.fallbacks[i]);
	}
	sockets(out, s);
}

bool metrics_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const char *colon = strrchr(text, ':');
	char host[64];
	unsigned long port;
	size_t len;
	char *end;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		goto bad;
	port = strtoul(colon + 1, &end, 10);
	len = (size_t)(colon - text);
	if (*end || port > UINT16_MAX || len >= sizeof(host))
		goto bad;
	memcpy(host, text, len);
	host[len] = 0;
	if (inet_pton(AF_INET, host, &in4.sin_addr) == 1) {
		in4.sin_port = htons((uint16_t)port);
		memcpy(ret, &in4, sizeof(in4));
		*ret_len = sizeof(in4);
		return true;
	}
	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		goto bad;
	host[len - 1] = 0;
	if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) != 1)
		goto bad;
	in6.sin6_port = htons((uint16_t)port);
	memcpy(ret, &in6, sizeof(in6));
	*ret_len = sizeof(in6);
	return true;
bad:
	complain("metrics: \"%s\" is no address and port: 127.0.0.1:9550 or [::1]:9550, for "
		 "instance", text);
	return false;
}
