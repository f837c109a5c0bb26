// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/domain_verb.h"
#include "cli/json.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "shm/abi.h"

/** bytes_text() - "12.3 MB": powers of 1000, as network figures are. */
static void bytes_text(uint64_t bytes, char *ret, size_t size)
{
	static const char *const units[] = { "bytes", "KB", "MB", "GB", "TB", "PB" };
	double n = (double)bytes;
	size_t u = 0;

	while (n >= 999.95 && u + 1 < ARRAY_LEN(units)) {
		n /= 1000;
		u++;
	}
	snprintf(ret, size, u ? "%.1f %s" : "%.0f %s", n, units[u]);
}

static uint64_t up_s(const struct ctl_msg *m, uint64_t now_ns)
{
	return now_ns > m->status.started_ns ? (now_ns - m->status.started_ns) / NS_PER_SEC : 0;
}

void status_text(FILE *out, const struct ctl_msg *m, uint64_t now_ns)
{
	const char *comma = "";
	char bytes[32];

	bytes_text(m->status.bytes, bytes, sizeof(bytes));
	fprintf(out, "domain        %s\n", m->status.domain);
	fprintf(out, "policy        %s\n", word_policy(m->status.policy));
	fprintf(out, "daemon        pid %u, keeper %u, up %" PRIu64 " s\n", m->status.daemon_pid,
		m->status.keeper_pid, up_s(m, now_ns));
	if (m->status.linger_s < CTL_LINGER_MAX)
		fprintf(out, "stays         %u s after its last program\n", m->status.linger_s);
	else
		fputs("stays         until `mortise down`\n", out);
	fprintf(out, "clients       %u\n", m->status.clients);
	fprintf(out, "connections   %u open, %" PRIu64 " since it began\n", m->status.connections,
		m->status.opened);
	fprintf(out, "listeners     %u\n", m->status.listeners);
	fprintf(out, "memory        %s sent through it\n", bytes);
	fputs("fallbacks     ", out);
	for (uint32_t i = 0; i < ARRAY_LEN(m->status.fallbacks); i++) {
		const char *reason = word_reason(i);

		if (!m->status.fallbacks[i] || !reason)
			continue;
		fprintf(out, "%s%s %" PRIu64, comma, reason, m->status.fallbacks[i]);
		comma = ", ";
	}
	fputs(*comma ? "\n" : "none\n", out);
}

void status_fallbacks_json(FILE *out, const struct ctl_msg *m)
{
	for (uint32_t i = 1; i < REASON_COUNT; i++)
		fprintf(out, "%s\"%s\":%" PRIu64, i > 1 ? "," : "{", word_reason(i),
			m->status.fallbacks[i]);
	fputc('}', out);
}

void status_json(FILE *out, const struct ctl_msg *m, uint64_t now_ns)
{
	fputs("{\"domain\":", out);
	json_string(out, m->status.domain);
	fprintf(out, ",\"policy\":\"%s\",\"version\":%u", word_policy(m->status.policy),
		m->status.version);
	fprintf(out, ",\"daemon_pid\":%u,\"keeper_pid\":%u,\"up_s\":%" PRIu64, m->status.daemon_pid,
		m->status.keeper_pid, up_s(m, now_ns));
	fputs(",\"stays_s\":", out);
	if (m->status.linger_s < CTL_LINGER_MAX)
		fprintf(out, "%u", m->status.linger_s);
	else
		fputs("null", out);
	fprintf(out, ",\"clients\":%u,\"connections\":%u,\"listeners\":%u,\"handles\":%u",
		m->status.clients, m->status.connections, m->status.listeners, m->status.handles);
	fprintf(out, ",\"opened\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"messages\":%" PRIu64,
		m->status.opened, m->status.bytes, m->status.messages);
	fputs(",\"fallbacks\":", out);
	status_fallbacks_json(out, m);
	fputs("}\n", out);
}

int verb_status(int argc, char **argv)
{
	enum { JSON };
	static const struct opt table[] = { [JSON] = { 0, "json", NULL },
					    { 0, "domain", "NAME" },
					    { 0 } };
	struct opt_walk w = {
		.verb = "status", .table = table, .argc = argc, .argv = argv, .next = 1
	};
	struct domain_verb v;
	struct ctl_msg m;
	int fd, err, status = domain_verb_open(&w, NULL, &v, &fd);

	if (status >= 0)
		return status;
	err = ask_status(fd, &m);
	close(fd);
	if (err)
		return EXIT_FAILURE;
	(v.given & 1u << JSON ? status_json : status_text)(stdout, &m, clock_now_ns());
	return EXIT_SUCCESS;
}
