/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_report.h - What `mortise bench` found: as a table, as JSON, as a picture.
 */
#ifndef MORTISE_CLI_BENCH_REPORT_H
#define MORTISE_CLI_BENCH_REPORT_H

#include <stdio.h>

#include "cli/measure.h"

void bench_table(FILE *out, const struct measure *m);
void bench_json(FILE *out, const struct measure *m);
void bench_svg(FILE *out, const struct measure *m);

/** bench_failures() - One line a job of which a run failed, on standard error. How many. */
unsigned bench_failures(const struct measure *m);

#endif
