// SPDX-License-Identifier: BSD-2-Clause
/*
 * main.c - Runs of the simulator.
 *
 *   sim [--first SEED] [--count N] [--verbose] [--pcap FILE] [--only KIND]
 *   sim --grid
 *
 * Without --only, each KIND: random, replay, ends, script, fair. A line `ok` for each; for a
 * run that fails its seed, what was wrong, and for random ones a capture (sim-SEED.pcapng in
 * $SIM_DIR, or here). --grid prints a table, for docs/performance.md.
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
	unsigned failed = 0;

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
		} else {
			fprintf(stderr, "usage: sim [--first SEED] [--count N] [--verbose] "
					"[--pcap FILE] [--only KIND] | --grid\n");
			return 2;
		}
	}
	if (grid)
		return grid_runs(&o) + fair_runs(&o, LONG_FAIR_S, 64) ? 1 : 0;
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
			failed += fair_runs(&o, SHORT_FAIR_S, 4);
	}
	return failed ? 1 : 0;
}
