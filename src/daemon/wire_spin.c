/* SPDX-License-Identifier: BSD-2-Clause */
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/wire_frames.h"
#include "daemon/wire_spin.h"
#include "shm/hint.h"

#define SPIN_US_DEFAULT 50u
#define SPIN_US_MAX 1000000u
/* Who comes back from a look and a yield later has been kept from this CPU: it is
 * wanted, and a sleeper gets it sooner than one who never lets it go. */
#define KEPT_AWAY_NS (20 * NS_PER_US)

void wire_spin_init(struct wire *w)
{
	const char *said = getenv("MORTISE_SPIN_US");
	unsigned long us = SPIN_US_DEFAULT;
	char *end;

	if (said && *said) {
		us = strtoul(said, &end, 10);
		if (*end || us > SPIN_US_MAX) {
			log_line("MORTISE_SPIN_US=%s: not a number of microseconds up to 1000000",
				 said);
			us = SPIN_US_DEFAULT;
		}
	}
	w->spin_most_ns = us * NS_PER_US;
}

bool wire_spin(struct wire *w)
{
	uint64_t now = w->spin_most_ns ? clock_now_ns() : 0;
	uint64_t until = spin_until_ns(&w->spin, w->spin_most_ns, now);
	bool found = false;

	/* A program that spins here for us would wait for its own spinning. */
	if (until == now || w->down_said || spin_same_cpu(w->program_cpu))
		return false;
	while (!found && now < until) {
		uint64_t then = now;

		w->now_ns = now;
		found = hint_any(w->in.p->mbox) || wire_frames_in(w) > 0;
		if (found)
			break;
		sched_yield();
		now = clock_now_ns();
		if (now - then > KEPT_AWAY_NS)
			break;
	}
	if (found)
		spin_found(&w->spin);
	else
		spin_failed(&w->spin, until, now);
	return found;
}
