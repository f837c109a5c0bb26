// SPDX-License-Identifier: BSD-2-Clause
/*
 * grid.c - One flow over each of 300 links, for each congestion control: how much of the
 * link it uses, where a transfer of a few seconds' worth is to come through in any case.
 */
#include <stdio.h>

#include "runs.h"

#define RATE 20000000ull /* bits a second */
#define SECONDS 5u	 /* of the link's time: what is sent */

static const double losses[] = {0, 0.01, 0.1, 1, 5};	  /* per cent */
static const uint64_t delays_ms[] = {1, 10, 25, 50, 100}; /* one way */
static const double buffers[] = {0.1, 0.5, 1, 4};	  /* of a round trip's worth */
static const uint16_t mtus[] = {576, 1500, 9000};

#define LOSSES (sizeof(losses) / sizeof(losses[0]))
#define DELAYS (sizeof(delays_ms) / sizeof(delays_ms[0]))
#define BUFFERS (sizeof(buffers) / sizeof(buffers[0]))
#define MTUS (sizeof(mtus) / sizeof(mtus[0]))
#define CELLS (LOSSES * DELAYS * BUFFERS * MTUS)

_Static_assert(CELLS == 300, "the grid has 300 cells");

/* Return: how much of the link it used, 0 to 1. */
static double run(uint64_t seed, uint32_t cc, unsigned cell, struct result *ret)
{
	static struct sim s;
	static struct app a;
	struct engine_config c = run_config();
	uint64_t delay_ns = delays_ms[cell / LOSSES % DELAYS] * SIM_MSEC;
	double buffer = buffers[cell / LOSSES / DELAYS % BUFFERS];
	uint64_t total = RATE / 8 * SECONDS;
	uint64_t round_trip = RATE / 8 * 2 * delay_ns / SIM_SEC; /* octets */
	struct app_flow *f;
	double used = 0;
	uint64_t start;
	bool done;

	run_begin(&s, &a, seed, ret);
	c.mtu = mtus[cell / LOSSES / DELAYS / BUFFERS];
	c.ring_bytes = 32u << 20;
	for (unsigned i = 0; i < 2; i++) {
		(void)sim_host_add(&s, &c);
		s.host[i].link.delay_ns = delay_ns;
		s.host[i].link.loss = PERCENT(losses[cell % LOSSES]);
	}
	s.host[0].link.rate = RATE;
	s.host[0].link.queue_bytes = (uint32_t)(buffer * (double)round_trip) + 2u * c.mtu;
	f = app_flow_add(&a, 0, 1, total, 0);
	f->cc = cc;
	start = s.now_ns;
	done = app_run(&a, start + 7200 * SIM_SEC);
	if (done)
		used = (double)total * 8 / RATE / ((double)(f->done_ns - start) / SIM_SEC);
	if (done)
		done = app_drain(&a, s.now_ns + 1000 * SIM_SEC);
	run_end(&s, &a, done, ret);
	return used;
}

/* The mean of the cells with this loss and this delay. */
static void print_row(uint32_t cc, const double *cells, unsigned loss)
{
	printf("| %s | %g %% |", cc_name[cc], losses[loss]);
	for (unsigned delay = 0; delay < DELAYS; delay++) {
		const unsigned count = BUFFERS * MTUS;
		double sum = 0, least = 1;

		for (unsigned i = 0; i < count; i++) {
			double used = cells[loss + LOSSES * (delay + DELAYS * i)];

			sum += used;
			least = used < least ? used : least;
		}
		printf(" %.0f (%.0f) |", 100 * sum / count, 100 * least);
	}
	printf("\n");
}

/* Return: it went wrong. */
static bool run_cell(const struct options *o, uint32_t cc, unsigned i, struct cells *cells,
		     double *ret_used)
{
	uint64_t seed = o->first + i;
	double value[CELL_VALUES] = {0};
	struct result r;
	char name[40];

	snprintf(name, sizeof(name), "%s-%u", cc_name[cc], i);
	if (cells_next(cells, name, value) == CELL_OURS) {
		value[0] = run(seed, cc, i, &r);
		value[1] = (double)r.virtual_ns / SIM_SEC;
		if (r.fault[0]) {
			printf("%s, cell %u, seed %llu: %s\n", cc_name[cc], i,
			       (unsigned long long)seed, r.fault);
			return true;
		}
		cells_keep(cells, name, value);
	}
	*ret_used = value[0];
	return false;
}

unsigned grid_runs(const struct options *o, struct cells *cells)
{
	static double used[ENGINE_CCS][CELLS];
	unsigned failed = 0;

	for (uint32_t cc = 0; cc < ENGINE_CCS; cc++) {
		for (unsigned i = 0; i < CELLS; i++)
			failed += run_cell(o, cc, i, cells, &used[cc][i]);
	}
	if (cells->missing || failed) {
		printf("%s sim/grid: %u failed, %u left to other parts\n",
		       failed ? "not ok" : "ok", failed, cells->missing);
		return failed;
	}
	printf("| | loss | 2 ms | 20 ms | 50 ms | 100 ms | 200 ms |\n"
	       "| --- | --- | --- | --- | --- | --- | --- |\n");
	for (uint32_t cc = 0; cc < ENGINE_CCS; cc++) {
		for (unsigned loss = 0; loss < LOSSES; loss++)
			print_row(cc, used[cc], loss);
	}
	printf("ok sim/grid\n");
	return 0;
}
