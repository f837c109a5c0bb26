/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * measure.h - What `mortise bench` measures: jobs, each a run of one small
 * program, on the kernel's sockets and on Mortise's by turns.
 */
#ifndef MORTISE_CLI_MEASURE_H
#define MORTISE_CLI_MEASURE_H

#include "base/defs.h"

enum {
	SIDES_MAX = 4,	/* the kernel with each congestion control; Mortise; the machine */
	ROUNDS_MAX = 32,
	KEYS_MAX = 12,	/* values of one run */
	JOBS_MAX = 24,
	SIZES = 8,	/* of stream's writes, and of limits' copies */
	PERCENTILES = 5,
};

extern const unsigned measure_sizes[SIZES];		    /* bytes */
extern const char *const measure_percentiles[PERCENTILES]; /* as in "p999_us" */

/** enum placement - Where the two ends run. */
enum placement { TWO_BLOCKING, TWO_POLLING, ONE_BLOCKING };

enum job_kind { JOB_LIMITS, JOB_LATENCY, JOB_STREAM, JOB_CONNECTIONS };

/**
 * struct job - One program and its options.
 * @size:   Bytes of a message or write.
 * @keys:   @key_count names of values in the line that it prints.
 * @values: By side, key and round; @runs of each side went well.
 * @why:    What went wrong last, or "".
 */
struct job {
	enum job_kind kind;
	enum placement placement;
	unsigned size;
	const char *keys[KEYS_MAX];
	unsigned key_count;
	double values[SIDES_MAX][KEYS_MAX][ROUNDS_MAX];
	unsigned runs[SIDES_MAX];
	char why[160];
};

/**
 * struct measure - All of it.
 * @cc:       The kernel's congestion controls that are compared; the first
 *            @kernels sides. Side @kernels is Mortise's. "" : the machine's own.
 * @cpus:     Two CPUs of different cores; @cpu_count 1: there is one only.
 * @seconds:  Of one run's timed part.
 * @domain:   Of its own, in a directory of its own (MORTISE_DIR).
 * @stop:     Set by a signal: end soon.
 */
struct measure {
	struct job jobs[JOBS_MAX];
	unsigned job_count;
	char cc[SIDES_MAX - 1][16];
	unsigned kernels;
	int cpus[2];
	unsigned cpu_count;
	double seconds;
	unsigned rounds;
	char dir[64];
	char machine[128];
	const volatile int *stop;
};

/** measure_plan() - Look at the machine, and decide what to run. 0, or -1 with a message. */
int measure_plan(struct measure *m);

/**
 * measure_round() - Run all jobs on all sides once. Failures are noted in the jobs.
 * @note: Called before each run.
 */
void measure_round(struct measure *m, unsigned round, void (*note)(const struct measure *m,
		   const struct job *j, unsigned round, unsigned side));

/** measure_end() - Remove the domain and its directory. */
void measure_end(struct measure *m);

/** struct spread - Median, least and greatest of @n values; @n 0: none. */
struct spread {
	double median, least, greatest;
	unsigned n;
};

struct spread measure_spread(const double *values, unsigned n);

/** measure_of() - Of one value of a job on one side. */
struct spread measure_of(const struct job *j, unsigned side, unsigned key);

/** measure_kernel() - Which kernel side is the best there; its figures, that is the yardstick's. */
struct spread measure_kernel(const struct measure *m, const struct job *j, unsigned key,
			     bool less, unsigned *ret_side);

/** measure_find() - A job, or NULL. */
const struct job *measure_find(const struct measure *m, enum job_kind kind,
			       enum placement placement, unsigned size);

/** measure_limit() - A value of the machine's own, by its key; n 0: not measured. */
struct spread measure_limit(const struct measure *m, const char *key);

/** measure_value() - The number behind "KEY=" in a line. */
bool measure_value(const char *line, const char *key, double *ret);

#endif
