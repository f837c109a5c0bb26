// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "cli/words.h"
#include "shm/abi.h"

static const char *const reasons[REASON_COUNT] = {
	[REASON_NO_LISTENER] = "no-listener",
	[REASON_REMOTE] = "remote",
	[REASON_FAMILY] = "family",
	[REASON_DATAGRAM] = "datagram",
	[REASON_OPTION] = "option",
	[REASON_SHARED] = "shared",
	[REASON_BACKLOG] = "backlog",
	[REASON_EXCLUDED] = "excluded",
	[REASON_LIMIT] = "limit",
	[REASON_NO_DAEMON] = "no-daemon",
	[REASON_ACCEPTED] = "accepted",
	[REASON_REUSEPORT] = "reuseport",
	[REASON_IDENTITY] = "identity",
};

const char *word_reason(uint32_t reason)
{
	return reason < REASON_COUNT ? reasons[reason] : NULL;
}

const char *word_policy(uint32_t policy)
{
	switch (policy) {
	case POLICY_SHARE:
		return "share";
	case POLICY_NONE:
		return "none";
	case POLICY_NET:
		return "net";
	default:
		return "unknown";
	}
}

int word_policy_find(const char *word)
{
	if (!strcmp(word, "share"))
		return POLICY_SHARE;
	if (!strcmp(word, "none"))
		return POLICY_NONE;
	if (!strcmp(word, "net"))
		return POLICY_NET;
	return -1;
}

const char *word_state(uint32_t state, uint32_t closed, uint64_t remote)
{
	switch (state) {
	case HALF_BOUND:
		return "UNCONN";
	case HALF_LISTEN:
		return "LISTEN";
	case HALF_CONNECTING:
		return "SYN-SENT";
	case HALF_SEAT:
		/* A claimed seat is what the kernel has in its accept queue. */
		if (!remote)
			return NULL;
		break;
	case HALF_OPEN:
		break;
	case HALF_CLOSED:
		closed |= 1;
		break;
	default:
		return NULL;
	}
	switch (closed & 3) {
	case 0:
		return "ESTAB";
	case 1:
		/* The peer's half shows our FIN at once: nothing waits for an
		 * acknowledgement, so there is no FIN-WAIT-1. */
		return "FIN-WAIT-2";
	case 2:
		return "CLOSE-WAIT";
	default:
		return "LAST-ACK";
	}
}

const char *word_state_kernel(unsigned state)
{
	static const char *const states[] = {
		NULL,	    "ESTAB",	 "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2",
		"TIME-WAIT", "UNCONN",	 "CLOSE-WAIT", "LAST-ACK", "LISTEN",     "CLOSING",
		"SYN-RECV",
	};

	return state < ARRAY_LEN(states) && states[state] ? states[state] : "UNKNOWN";
}

/** distance() - Letters to add, drop, change or swap; cut off at 63 letters. */
static unsigned distance(const char *a, const char *b)
{
	enum { MAX = 64 };
	unsigned row[3][MAX];
	size_t la = strlen(a), lb = strlen(b);

	if (la >= MAX || lb >= MAX)
		return MAX;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[la % 3][lb];
}

const char *word_near(const char *typed, const char *const *words)
{
	const char *ret = NULL;
	unsigned nearest = 3;

	for (; *words; words++) {
		unsigned d = distance(typed, *words);

		/* Of a two-letter word, two changes leave nothing. */
		if (d < nearest && d < strlen(*words)) {
			nearest = d;
			ret = *words;
		}
	}
	return ret;
}
