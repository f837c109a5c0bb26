// SPDX-License-Identifier: BSD-2-Clause
/*
 * main.c - Runs of the simulator.
 *
 *   sim [--first SEED] [--count N] [--verbose] [--pcap FILE] [--only KIND]
 *   sim --grid [--part K/N] [--state FILE]
 *
 * Without --only, each KIND: random, replay, ends, script, fair. A line `ok` for each; for a
 * run that fails its seed, what was wrong, and for random ones a capture (sim-SEED.pcapng in
 * $SIM_DIR, or here). --grid prints tables, for docs/engine.md; with --part only every Nth cell is
 * run. FILE keeps each cell's result: what it has is not run again, and once it has all of them,
 * whoever ran them, the tables are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs.h"

#define SHORT_FAIR_S 3u
#define LONG_FAIR_S 30u

static bool wanted(const char *only, const char *kind)
{
	return !only || strcmp(only, kind) == 0;
}

int main(int argc, char **argv)
{
	struct options o = {.first = 1, .count = 300};
	const char *only = NULL;
	bool grid = false;
	unsigned failed = 0, part = 1, parts = 1;
	const char *state = NULL;
	struct cells cells;
	int err;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0) {
			o.verbose = true;
		} else if (strcmp(argv[i], "--grid") == 0) {
			grid = true;
		} else if (i + 1 < argc && strcmp(argv[i], "--first") == 0) {
			o.first = strtoull(argv[++i], NULL, 10);
		} else if (i + 1 < argc && strcmp(argv[i], "--count") == 0) {
			o.count = strtoull(argv[++i], NULL, 10);
		} else if (i + 1 < argc && strcmp(argv[i], "--pcap") == 0) {
			o.pcap = argv[++i];
		} else if (i + 1 < argc && strcmp(argv[i], "--only") == 0) {
			only = argv[++i];
		} else if (i + 1 < argc && strcmp(argv[i], "--state") == 0) {
			state = argv[++i];
		} else if (i + 1 < argc && strcmp(argv[i], "--part") == 0 &&
			   sscanf(argv[i + 1], "%u/%u", &part, &parts) == 2 && part &&
			   part <= parts) {
			i++;
		} else {
			fprintf(stderr, "usage: sim [--first SEED] [--count N] [--verbose] "
					"[--pcap FILE] [--only KIND] | --grid [--part K/N] "
					"[--state FILE]\n");
			return 2;
		}
	}
	err = cells_open(&cells, grid ? state : NULL, part, parts);
	if (err != 0) {
		fprintf(stderr, "sim: %s: %s\n", state, strerror(err));
		return 2;
	}
	if (grid) {
		failed += grid_runs(&o, &cells);
		failed += fair_runs(&o, LONG_FAIR_S, 64, &cells);
		cells_close(&cells);
		return failed ? 1 : 0;
	}
	if (wanted(only, "random"))
		failed += random_runs(&o);
	if (o.count > 1 || only) {
		if (wanted(only, "replay"))
			failed += replay_runs(&o);
		if (wanted(only, "ends"))
			failed += ends_runs(&o);
		if (wanted(only, "script"))
			failed += script_runs(&o);
		if (wanted(only, "fair"))
			failed += fair_runs(&o, SHORT_FAIR_S, 4, &cells);
	}
	return failed ? 1 : 0;
}
