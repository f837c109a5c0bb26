/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.h - The kinds of runs, one a file.
 */
#ifndef MORTISE_TESTS_SIM_RUNS_H
#define MORTISE_TESTS_SIM_RUNS_H

#include "app.h"
#include "cells.h"

/** struct result - What came of a run. @hash: of all frames, in order. */
struct result {
	char fault[300];
	uint64_t hash, frames, lost, virtual_ns;
	uint64_t bytes;
};

/** struct options - @count: of runs, from seed @first on. @pcap: where to write the frames. */
struct options {
	uint64_t first, count;
	const char *pcap;
	bool verbose;
};

#define PICK(s, ...) \
	((const uint64_t[]){ \
		__VA_ARGS__})[sim_below((s), sizeof((const uint64_t[]){__VA_ARGS__}) / 8)]
#define PERCENT(p) ((uint32_t)((p)*655.36))

/** run_config() - A small engine, of which many fit into a process. */
struct engine_config run_config(void);

/** run_begin() - A sim and an app, with a checker. run_end() - What came of it. @done: as it
 * should.
 */
void run_begin(struct sim *s, struct app *a, uint64_t seed, struct result *ret);
void run_end(struct sim *s, struct app *a, bool done, struct result *ret);

/* Each prints its lines and `ok sim/NAME`. Return: how many runs failed. */

/** random_runs() - Transfers over links of any kind. replay_runs() - The same seed, and mappings
 * that move, give the same frames. */
unsigned random_runs(const struct options *o);
unsigned replay_runs(const struct options *o);

/** ends_runs() - Connections that end in every order. */
unsigned ends_runs(const struct options *o);

/** script_runs() - Any calls, in any order, by both sides. */
unsigned script_runs(const struct options *o);

/** fair_runs() - 1 to @most flows at a bottleneck. @seconds: virtual ones. */
unsigned fair_runs(const struct options *o, unsigned seconds, unsigned most, struct cells *cells);

/** grid_runs() - Loss x delay x buffer x MTU, 300 cells for each congestion control. */
unsigned grid_runs(const struct options *o, struct cells *cells);

extern const char *const cc_name[ENGINE_CCS];

#endif
