// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/bench_report.h"
#include "cli/measure.h"
#include "cli/spawn.h"

static void measure_spread__median(void **state)
{
	struct spread s;

	(void)state;
	s = measure_spread((const double[]){ 3, 1, 2 }, 3);
	assert_true(s.median == 2 && s.least == 1 && s.greatest == 3 && s.n == 3);
	s = measure_spread((const double[]){ 4, 1, 2, 3 }, 4);
	assert_true(s.median == 2.5 && s.n == 4);
	assert_int_equal(measure_spread(NULL, 0).n, 0);
}

static void measure_value__whole_words(void **state)
{
	static const char line[] = "bench=x p50_us=1.5 xp99_us=7 p99_us=2e3 bad=1x GBps=-\n";
	double v = 9;

	(void)state;
	assert_true(measure_value(line, "p50_us", &v) && v == 1.5);
	assert_true(measure_value(line, "p99_us", &v) && v == 2000);
	assert_false(measure_value(line, "p9", &v));
	assert_false(measure_value(line, "bad", &v));
	assert_false(measure_value(line, "GBps", &v));
	assert_false(measure_value("", "p50_us", &v));
	assert_true(v == 2000);
}

/** fill() - A machine with two cores on which all has been measured, but one. */
static struct measure *fill(void)
{
	static struct measure m;
	struct job *j;

	memset(&m, 0, sizeof(m));
	strcpy(m.machine, "a \"box\", 2 CPUs");
	strcpy(m.cc[0], "bbr");
	strcpy(m.cc[1], "cubic");
	m.kernels = 2;
	m.cpu_count = 2;
	m.rounds = 2;
	m.seconds = 0.5;
	m.job_count = 4;
	j = &m.jobs[0];
	j->kind = JOB_LIMITS;
	j->keys[j->key_count++] = "line_us";
	j->keys[j->key_count++] = "copy_65536";
	j->keys[j->key_count++] = "wake_us";
	j->keys[j->key_count++] = "wake_one_us";
	j->runs[0] = 1;
	j->values[0][0][0] = 0.25;
	j->values[0][1][0] = 50;
	j->values[0][2][0] = 70;
	j->values[0][3][0] = 2;
	j = &m.jobs[1];
	j->kind = JOB_LATENCY;
	j->size = 64;
	j->key_count = PERCENTILES;
	for (unsigned side = 0; side < 3; side++) {
		static const double us[] = { 60, 50, 0.5 };

		j->runs[side] = 2;
		for (unsigned p = 0; p < PERCENTILES; p++) {
			j->values[side][p][0] = us[side] * (p + 1);
			j->values[side][p][1] = us[side] * (p + 1) * 1.5;
		}
	}
	j = &m.jobs[2];
	j->kind = JOB_STREAM;
	j->size = 65536;
	j->key_count = 1;
	for (unsigned side = 0; side < 3; side++) {
		static const double gbps[] = { 4, 8, 40 };

		j->runs[side] = 1;
		j->values[side][0][0] = gbps[side];
	}
	j = &m.jobs[3];
	j->kind = JOB_CONNECTIONS;
	j->size = 1;
	j->placement = ONE_BLOCKING;
	j->key_count = 1;
	j->runs[0] = 1;
	j->values[0][0][0] = 123456;
	strcpy(j->why, "Mortise: exit status 2: <\"bind\">");
	return &m;
}

static void measure_kernel__the_better(void **state)
{
	const struct measure *m = fill();
	unsigned side;

	(void)state;
	assert_true(measure_kernel(m, &m->jobs[1], 1, true, &side).median == 125);
	assert_int_equal(side, 1);
	assert_true(measure_kernel(m, &m->jobs[2], 0, false, &side).median == 8);
	assert_int_equal(side, 1);
	assert_true(measure_kernel(m, &m->jobs[3], 0, false, &side).n == 1);
	assert_int_equal(side, 0);
	assert_true(measure_limit(m, "copy_65536").median == 50);
	assert_int_equal(measure_limit(m, "copy_64").n, 0);
}

static char *written(void (*write)(FILE *out, const struct measure *m))
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	write(f, fill());
	fclose(f);
	return text;
}

static void bench_table__lines(void **state)
{
	char *text = written(bench_table);

	(void)state;
	assert_string_equal(text,
		"a \"box\", 2 CPUs; 2 rounds by turns, median (least..greatest); kernel: the better of "
		"bbr and cubic.\n"
		"The machine: a cache line there and back 0.25 us; futex wakes there and back 70 us on "
		"two cores, 2 us on one; memcpy of 64 KB 50 GB/s.\n"
		"\n"
		"what                  where                unit  kernel                       "
		"Mortise        gain   the machine's limit\n"
		"round trip, 64 B      two cores, blocking  us    125 (100..150) cubic         "
		"1.25 (1..1.5)  100 x  0.25 cache line\n"
		"stream, 64 KB writes  two cores, blocking  GB/s  8 (8..8) cubic               "
		"40 (40..40)    5 x    50 memcpy\n"
		"connect to close      one core, blocking   1/s   123.5k (123.5k..123.5k) bbr  "
		"-              -      -\n");
	free(text);
}

static void bench_json__what_failed_is_null(void **state)
{
	char *text = written(bench_json);

	(void)state;
	assert_non_null(strstr(text, "{\"machine\":\"a \\\"box\\\", 2 CPUs\",\"version\":\""));
	assert_non_null(strstr(text,
		"\"limits\":{\"line_us\":{\"median\":0.25,\"least\":0.25,\"greatest\":0.25,"
		"\"rounds\":1},"));
	assert_non_null(strstr(text,
		"{\"what\":\"round trip, 64 B\",\"where\":\"two cores, blocking\",\"bytes\":64,"
		"\"unit\":\"us\",\"less_is_better\":true,\"kernel\":{\"median\":125,\"least\":100,"
		"\"greatest\":150,\"rounds\":2},\"kernel_congestion_control\":\"cubic\",\"mortise\":"
		"{\"median\":1.25,\"least\":1,\"greatest\":1.5,\"rounds\":2},\"gain\":100,"));
	assert_non_null(strstr(text, "{\"percentile\":99.9,\"kernel\":{\"median\":312.5,"));
	assert_non_null(strstr(text, "\"mortise\":null,\"gain\":null,\"limit\":null,\"failure\":"
				     "\"Mortise: exit status 2: <\\\"bind\\\">\"}"));
	free(text);
}

static void bench_svg__has_what_was_measured(void **state)
{
	char *text = written(bench_svg);

	(void)state;
	assert_memory_equal(text, "<?xml version=\"1.0\"", 19);
	assert_string_equal(text + strlen(text) - 7, "</svg>\n");
	assert_non_null(strstr(text, ">kernel, two cores</text>"));
	assert_non_null(strstr(text, ">Mortise, two cores</text>"));
	assert_null(strstr(text, "one core</text>\n<circle")); /* not measured: no line */
	assert_non_null(strstr(text, ">GB/s (1 GB = 1,000,000,000 bytes)</text>"));
	assert_non_null(strstr(text, ">microseconds</text>"));
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
	free(text);
}

static void spawn_read__what_is_said(void **state)
{
	const char *const argv[] = { "/bin/sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	char said[64], little[4];

	(void)state;
	assert_int_equal(spawn_read(argv, 20, NULL, said, sizeof(said)), 3);
	assert_string_equal(said, "out\nerr\n");
	assert_int_equal(spawn_read(argv, 20, NULL, little, sizeof(little)), 3);
	assert_string_equal(little, "out");
}

static void spawn_read__no_program(void **state)
{
	const char *const argv[] = { "/no/such/program", NULL };
	char said[64];

	(void)state;
	assert_int_equal(spawn_read(argv, 20, NULL, said, sizeof(said)), 127);
	assert_string_equal(said, "");
}

static void spawn_read__ends_all_of_it(void **state)
{
	const char *const argv[] = { "/bin/sh", "-c", "sleep 600 & echo $!; wait", NULL };
	static volatile int stop = 1;
	char said[64];

	(void)state;
	assert_int_equal(spawn_read(argv, 0.3, NULL, said, sizeof(said)), 128 + SIGKILL);
	assert_true(atoi(said) > 1);
	/* Dead, or a zombie that nobody has waited for yet. */
	for (int i = 0; i < 500 && !kill(atoi(said), 0); i++) {
		struct timespec ms = { .tv_nsec = NS_PER_MS };
		char path[64], line[256] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", atoi(said));
		f = fopen(path, "re");
		if (f) {
			if (!fgets(line, sizeof(line), f))
				line[0] = 0;
			fclose(f);
		}
		if (strstr(line, ") Z "))
			break;
		nanosleep(&ms, NULL);
		assert_true(i < 499);
	}
	assert_int_equal(spawn_read(argv, 20, &stop, said, sizeof(said)), 128 + SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measure_spread__median),
		cmocka_unit_test(measure_value__whole_words),
		cmocka_unit_test(measure_kernel__the_better),
		cmocka_unit_test(bench_table__lines),
		cmocka_unit_test(bench_json__what_failed_is_null),
		cmocka_unit_test(bench_svg__has_what_was_measured),
		cmocka_unit_test(spawn_read__what_is_said),
		cmocka_unit_test(spawn_read__no_program),
		cmocka_unit_test(spawn_read__ends_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
