// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench.c - `mortise bench`: two minutes of measuring on this machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench_report.h"
#include "cli/opt.h"
#include "cli/verbs.h"

/* A round is some 40 runs; so these are two minutes, and less than half of one. */
#define ROUNDS 5
#define SECONDS 0.35
#define QUICK_ROUNDS 2
#define QUICK_SECONDS 0.08

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
	stopped = sig;
}

static void note(const struct measure *m, const struct job *j, unsigned round, unsigned side)
{
	static const char *const kinds[] = { "the machine's limits", "round trips", "stream",
					     "connections" };

	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[Kround %u of %u: %s, %u bytes: %s", round + 1, m->rounds,
		kinds[j->kind], j->size,
		j->kind == JOB_LIMITS ? "" : side == m->kernels ? "Mortise" : "kernel");
}

/** may_write() - Asked before minutes are spent. Return: false, with a message. */
static bool may_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char *copy = strdup(path);
	bool may = fd >= 0 || (errno == ENOENT && copy && access(dirname(copy), W_OK) == 0);

	if (!may)
		complain("bench: cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(copy);
	return may;
}

static int write_svg(const char *path, const struct measure *m)
{
	FILE *f = fopen(path, "we");
	int err;

	if (!f) {
		complain("bench: cannot write %s: %s", path, strerror(errno));
		return -1;
	}
	bench_svg(f, m);
	err = ferror(f) ? EIO : 0;
	if (fclose(f))
		err = errno;
	if (err)
		complain("bench: cannot write %s: %s", path, strerror(err));
	return err ? -1 : 0;
}

static int measure_and_report(struct measure *m, bool json, const char *svg)
{
	int status = EXIT_SUCCESS;

	if (m->cpu_count < 2)
		complain("bench: only one CPU may be used: what wants two is left out");
	for (unsigned i = 0; i < m->rounds && !stopped; i++)
		measure_round(m, i, note);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	measure_end(m);
	if (stopped) {
		complain("bench: interrupted");
		return 128 + stopped;
	}
	if (json)
		bench_json(stdout, m);
	else
		bench_table(stdout, m);
	if (svg && write_svg(svg, m))
		status = EXIT_FAILURE;
	return bench_failures(m) ? EXIT_FAILURE : status;
}

int verb_bench(int argc, char **argv)
{
	enum { QUICK, ROUND_COUNT, JSON, SVG };
	static const struct opt table[] = { [QUICK] = { 0, "quick", NULL },
					    [ROUND_COUNT] = { 0, "rounds", "COUNT" },
					    [JSON] = { 0, "json", NULL },
					    [SVG] = { 0, "svg", "FILE" },
					    { 0 } };
	struct opt_walk w = {
		.verb = "bench", .table = table, .argc = argc, .argv = argv, .next = 1
	};
	struct sigaction stop = { .sa_handler = on_stop };
	static struct measure m;
	const char *svg = NULL;
	double rounds = 0;
	bool quick = false, json = false;
	int i;

	while ((i = opt_next(&w)) >= 0) {
		switch (i) {
		case QUICK:
			quick = true;
			break;
		case ROUND_COUNT:
			if (!opt_number("bench", "COUNT", w.value, 1, ROUNDS_MAX, &rounds))
				return EXIT_USAGE;
			break;
		case JSON:
			json = true;
			break;
		default:
			svg = w.value;
			break;
		}
	}
	if (i == OPT_HELP)
		return verb_help("bench");
	if (i == OPT_BAD || !opt_none_left(&w))
		return EXIT_USAGE;
	m.rounds = rounds > 0 ? (unsigned)rounds : quick ? QUICK_ROUNDS : ROUNDS;
	m.seconds = quick ? QUICK_SECONDS : SECONDS;
	m.stop = &stopped;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	if (svg && !may_write(svg))
		return EXIT_FAILURE;
	return measure_plan(&m) ? EXIT_FAILURE : measure_and_report(&m, json, svg);
}
