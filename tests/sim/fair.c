// SPDX-License-Identifier: BSD-2-Clause
/*
 * fair.c - Flows that share a bottleneck: the way from the switch to the one who
 * receives. Jain's index of what each has received once all are on their way, and how much
 * of the link they use.
 */
#include <stdio.h>

#include "runs.h"

#define RATE 100000000u	    /* bits a second */
#define QUEUE_BYTES 250000u /* a round trip's worth */
#define SENDERS 16u
#define START_S 2u /* not counted */

/** struct share - Of what @flows flows got. */
struct share {
	double jain, used;
};

static struct share measure(const struct app *a, const uint64_t *before, double seconds)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < a->flows; i++) {
		double x = (double)(a->flow[i].server.received - before[i]);

		sum += x;
		squares += x * x;
	}
	return (struct share){
		.jain = squares > 0 ? sum * sum / (a->flows * squares) : 0,
		.used = sum * 8 / seconds / RATE,
	};
}

static struct share run(uint64_t seed, uint32_t cc, unsigned flows, unsigned seconds,
			struct result *ret)
{
	static struct sim s;
	static struct app a;
	uint64_t before[APP_FLOWS];
	struct engine_config c = run_config();
	struct share share;
	uint64_t start;

	run_begin(&s, &a, seed, ret);
	c.ring_bytes = 64u << 20;
	c.rcvbuf_max = c.sndbuf_max = 1u << 20;
	for (unsigned i = 0; i <= SENDERS; i++) {
		(void)sim_host_add(&s, &c);
		/* Not all the same round trip: 18 to 22 ms. */
		s.host[i].link.delay_ns = 9 * SIM_MSEC + (i % 5) * SIM_MSEC / 2;
	}
	s.host[SENDERS].down =
		(struct link){.delay_ns = SIM_MSEC, .rate = RATE, .queue_bytes = QUEUE_BYTES};
	start = s.now_ns;
	for (unsigned i = 0; i < flows; i++) {
		struct app_flow *f = app_flow_add(&a, i % SENDERS, SENDERS, UINT64_MAX / 2, 0);

		f->cc = cc;
		f->start_ns = start + sim_below(&s, SIM_SEC);
	}
	(void)app_run(&a, start + START_S * SIM_SEC);
	for (unsigned i = 0; i < flows; i++)
		before[i] = a.flow[i].server.received;
	if (app_timed_out(&a))
		(void)app_run(&a, start + (START_S + seconds) * SIM_SEC);
	share = measure(&a, before, seconds);
	/* They were never to end: what is wrong is anything but the time. */
	run_end(&s, &a, app_timed_out(&a), ret);
	return share;
}

/* Return: it went wrong. */
static bool run_cell(const struct options *o, uint32_t cc, unsigned flows, unsigned seconds,
		     struct cells *cells)
{
	uint64_t seed = o->first + flows;
	double value[CELL_VALUES];
	struct result r = {0};
	struct share share;
	enum cells_fate fate;
	char name[40];

	snprintf(name, sizeof(name), "fair-%s-%u-%u", cc_name[cc], flows, seconds);
	fate = cells_next(cells, name, value);
	if (fate == CELL_OTHERS)
		return false;
	if (fate == CELL_OURS) {
		share = run(seed, cc, flows, seconds, &r);
		value[0] = share.jain;
		value[1] = share.used;
	}
	printf("| %u | %s | %.3f | %.1f %% |\n", flows, cc_name[cc], value[0], 100 * value[1]);
	/* Far less than usual: something starves, or stands still. */
	if (r.fault[0] || value[0] < 0.6 || value[1] < 0.7) {
		printf("%u flows, %s, seed %llu: %s\n", flows, cc_name[cc],
		       (unsigned long long)seed, r.fault[0] ? r.fault : "unfair, or idle");
		return true;
	}
	if (fate == CELL_OURS)
		cells_keep(cells, name, value);
	return false;
}

unsigned fair_runs(const struct options *o, unsigned seconds, unsigned most, struct cells *cells)
{
	unsigned failed = 0;

	printf("| flows | congestion control | Jain's index | of the link |\n"
	       "| --- | --- | --- | --- |\n");
	for (uint32_t cc = 0; cc < ENGINE_CCS; cc++) {
		for (unsigned flows = 1; flows <= most; flows *= 2)
			failed += run_cell(o, cc, flows, seconds, cells);
	}
	printf(failed ? "not ok sim/fair: %u failed\n" : "ok sim/fair\n", failed);
	return failed;
}
