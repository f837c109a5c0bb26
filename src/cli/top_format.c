// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cli/json.h"
#include "cli/top_table.h"
#include "cli/verbs.h"
#include "cli/words.h"

/** per_s() - Growth of a count between two samples; 0 where there is but one. */
static double per_s(const struct sample *before, const struct sample *now, uint64_t was,
		    uint64_t is)
{
	if (!before || now->at_ns <= before->at_ns)
		return 0;
	/* A new daemon, or a party that took its share along: no growth. */
	return is < was ? 0 : (double)(is - was) * 1e9 / (double)(now->at_ns - before->at_ns);
}

static double bytes_per_s(const struct sample *before, const struct sample *now)
{
	return per_s(before, now, before ? before->status.status.bytes : 0,
		     now->status.status.bytes);
}

static double opened_per_s(const struct sample *before, const struct sample *now)
{
	return per_s(before, now, before ? before->status.status.opened : 0,
		     now->status.status.opened);
}

static void fallbacks_text(const struct ctl_msg *m, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "Kernel:");
	const char *comma = " ";

	for (uint32_t i = 0; i < ARRAY_LEN(m->status.fallbacks) && n < size; i++) {
		const char *reason = word_reason(i);

		if (!reason || !m->status.fallbacks[i])
			continue;
		n += (size_t)snprintf(ret + n, size - n, "%s%s %" PRIu64, comma, reason,
				      m->status.fallbacks[i]);
		comma = ", ";
	}
	if (n < size)
		snprintf(ret + n, size - n, *comma == ' ' ? " no socket so far" : " so far");
}

void top_summary(const struct sample *before, const struct sample *now, int line, char *ret,
		 size_t size)
{
	const struct ctl_msg *m = &now->status;
	uint64_t up_s = now->at_ns > m->status.started_ns
				? (now->at_ns - m->status.started_ns) / NS_PER_SEC : 0;
	char now_b[16], now_c[16], all_b[16], all_c[16];

	switch (line) {
	case 0:
		snprintf(ret, size,
			 "mortise top: domain %.32s (%s), up %" PRIu64 " s; clients %u, "
			 "connections %u, listeners %u",
			 m->status.domain, word_policy(m->status.policy), up_s,
			 m->status.clients, m->status.connections, m->status.listeners);
		break;
	case 1:
		top_short(bytes_per_s(before, now), now_b, sizeof(now_b));
		top_short(opened_per_s(before, now), now_c, sizeof(now_c));
		top_short((double)m->status.bytes, all_b, sizeof(all_b));
		top_short((double)m->status.opened, all_c, sizeof(all_c));
		snprintf(ret, size, "Memory: %s B/s, %s new connections/s; since the start %s B, "
			 "%s connections", before ? now_b : "-", before ? now_c : "-", all_b, all_c);
		break;
	default:
		fallbacks_text(m, ret, size);
		break;
	}
}

void top_text(FILE *out, const struct sample *before, const struct sample *now,
	      const struct top_line *lines, size_t n, enum top_view view)
{
	int width[TOP_COLUMNS];
	char text[256];

	for (int i = 0; i < TOP_SUMMARY; i++) {
		top_summary(before, now, i, text, sizeof(text));
		fprintf(out, "%s\n", text);
	}
	fputc('\n', out);
	for (unsigned c = 0; c < TOP_COLUMNS; c++) {
		width[c] = (int)strlen(top_title(c));
		for (size_t i = 0; i < n; i++) {
			top_cell(&lines[i], c, text, sizeof(text));
			if ((int)strlen(text) > width[c])
				width[c] = (int)strlen(text);
		}
	}
	for (size_t i = 0; i <= n; i++) {
		const char *gap = "";

		for (unsigned c = 0; c < TOP_COLUMNS; c++) {
			if (!top_has(view, c))
				continue;
			if (i == 0)
				snprintf(text, sizeof(text), "%s", top_title(c));
			else
				top_cell(&lines[i - 1], c, text, sizeof(text));
			fprintf(out, "%s%*s", gap, top_is_number(c) ? width[c] : -width[c], text);
			gap = " ";
		}
		fputc('\n', out);
	}
}

static void json_rates(FILE *out, const struct top_line *l)
{
	if (!l->rated) {
		fputs(",\"tx_bytes_per_s\":null,\"rx_bytes_per_s\":null,\"wakes_per_s\":null,"
		      "\"sleeps_per_s\":null,\"spins_per_s\":null,\"drops_per_s\":null}", out);
		return;
	}
	fprintf(out,
		",\"tx_bytes_per_s\":%.1f,\"rx_bytes_per_s\":%.1f,\"wakes_per_s\":%.1f"
		",\"sleeps_per_s\":%.1f,\"spins_per_s\":%.1f,\"drops_per_s\":%.1f}",
		l->rate.tx, l->rate.rx, l->rate.wakes, l->rate.sleeps, l->rate.spins, l->rate.drops);
}

static void json_process(FILE *out, const struct top_line *l)
{
	fprintf(out, "{\"pid\":%u,\"process\":", l->pid);
	json_string(out, l->process);
	fprintf(out, ",\"open\":%u,\"listening\":%u,\"kernel\":%u", l->open, l->listening,
		l->kernel);
	fprintf(out, ",\"recv_q\":%" PRIu64 ",\"send_q\":%" PRIu64, l->recv_q, l->send_q);
	json_rates(out, l);
}

static void json_socket(FILE *out, const struct top_line *l)
{
	fprintf(out, "{\"pid\":%u,\"process\":", l->pid);
	json_string(out, l->process);
	fprintf(out, ",\"netid\":\"%s\",\"state\":\"%s\",\"local\":\"%s\",\"peer\":\"%s\"",
		l->netid, l->state, l->local, l->peer);
	fprintf(out, ",\"transport\":\"%s\",\"reason\":", l->transport);
	json_string(out, l->reason);
	fprintf(out, ",\"recv_q\":%" PRIu64 ",\"send_q\":%" PRIu64, l->recv_q, l->send_q);
	json_rates(out, l);
}

void top_json(FILE *out, const struct sample *before, const struct sample *now,
	      const struct top_line *processes, size_t n_processes,
	      const struct top_line *sockets, size_t n_sockets)
{
	const struct ctl_msg *m = &now->status;

	fputs("{\"domain\":", out);
	json_string(out, m->status.domain);
	fprintf(out, ",\"policy\":\"%s\",\"interval_s\":%.3f", word_policy(m->status.policy),
		before ? (double)(now->at_ns - before->at_ns) / 1e9 : 0.0);
	fprintf(out, ",\"clients\":%u,\"connections\":%u,\"listeners\":%u", m->status.clients,
		m->status.connections, m->status.listeners);
	fprintf(out, ",\"opened\":%" PRIu64 ",\"opened_per_s\":%.1f", m->status.opened,
		opened_per_s(before, now));
	fprintf(out, ",\"bytes\":%" PRIu64 ",\"bytes_per_s\":%.1f", m->status.bytes,
		bytes_per_s(before, now));
	fputs(",\"fallbacks\":", out);
	status_fallbacks_json(out, m);
	fputs(",\"processes\":[", out);
	for (size_t i = 0; i < n_processes; i++) {
		fputs(i ? "," : "", out);
		json_process(out, &processes[i]);
	}
	fputs("],\"sockets\":[", out);
	for (size_t i = 0; i < n_sockets; i++) {
		fputs(i ? "," : "", out);
		json_socket(out, &sockets[i]);
	}
	fputs("]}\n", out);
}
