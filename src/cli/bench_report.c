// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_report.h"
#include "cli/json.h"
#include "cli/opt.h"
#include "cli/plot.h"

enum { COLUMNS = 7, CELL = 96, ROWS_MAX = JOBS_MAX + 1 };

static const char *const placements[] = { "two cores, blocking", "two cores, polling",
					  "one core, blocking" };

/** struct figure - A job as a line of the table. @key: Its value. @less: is better. */
struct figure {
	const struct job *job;
	char what[CELL];
	const char *unit;
	unsigned key;
	bool less;
	char limit_key[CELL]; /* "": none */
	const char *limit_name;
};

static void size_text(unsigned bytes, char *ret, size_t size)
{
	if (bytes >= 1 << 20)
		snprintf(ret, size, "%u MB", bytes >> 20);
	else if (bytes >= 1 << 10)
		snprintf(ret, size, "%u KB", bytes >> 10);
	else
		snprintf(ret, size, "%u B", bytes);
}

/** figure_of() - False where the job is no line: the machine's own limits. */
static bool figure_of(const struct job *j, struct figure *f)
{
	char size[16];

	*f = (struct figure){ .job = j, .limit_name = "" };
	size_text(j->size, size, sizeof(size));
	switch (j->kind) {
	case JOB_LATENCY:
		snprintf(f->what, sizeof(f->what), "round trip, %s", size);
		f->unit = "us";
		f->key = 1; /* the median */
		f->less = true;
		snprintf(f->limit_key, sizeof(f->limit_key), "%s",
			 j->placement == ONE_BLOCKING ? "wake_one_us" : "line_us");
		f->limit_name = j->placement == ONE_BLOCKING ? "futex wakes" : "cache line";
		return true;
	case JOB_STREAM:
		snprintf(f->what, sizeof(f->what), "stream, %s writes", size);
		f->unit = "GB/s";
		snprintf(f->limit_key, sizeof(f->limit_key), "copy_%u", j->size);
		f->limit_name = "memcpy";
		return true;
	case JOB_CONNECTIONS:
		snprintf(f->what, sizeof(f->what), "connect to close");
		f->unit = "1/s";
		return true;
	default:
		return false;
	}
}

static void number(double v, char *ret, size_t size)
{
	if (v >= 99999.5)
		snprintf(ret, size, "%.4gk", v / 1e3);
	else if (v >= 999.5)
		snprintf(ret, size, "%.0f", v);
	else
		snprintf(ret, size, "%.3g", v);
}

static void spread_text(struct spread s, const char *behind, char *ret, size_t size)
{
	char median[16], least[16], greatest[16];

	if (!s.n) {
		snprintf(ret, size, "-");
		return;
	}
	number(s.median, median, sizeof(median));
	number(s.least, least, sizeof(least));
	number(s.greatest, greatest, sizeof(greatest));
	snprintf(ret, size, "%s (%s..%s)%s%s", median, least, greatest, *behind ? " " : "", behind);
}

/** gain() - How many times better Mortise is than the kernel; 0: not known. */
static double gain(const struct figure *f, struct spread kernel, struct spread ours)
{
	if (!kernel.n || !ours.n || !(kernel.median > 0) || !(ours.median > 0))
		return 0;
	return f->less ? kernel.median / ours.median : ours.median / kernel.median;
}

static void row_make(const struct measure *m, const struct figure *f, char cells[COLUMNS][CELL])
{
	unsigned side;
	struct spread kernel = measure_kernel(m, f->job, f->key, f->less, &side);
	struct spread ours = measure_of(f->job, m->kernels, f->key);
	struct spread limit = measure_limit(m, f->limit_key);
	double times = gain(f, kernel, ours);
	char text[16];

	snprintf(cells[0], CELL, "%s", f->what);
	snprintf(cells[1], CELL, "%s", placements[f->job->placement]);
	snprintf(cells[2], CELL, "%s", f->unit);
	spread_text(kernel, m->cc[side], cells[3], CELL);
	spread_text(ours, "", cells[4], CELL);
	number(times, text, sizeof(text));
	snprintf(cells[5], CELL, times > 0 ? "%s x" : "-", text);
	number(limit.median, text, sizeof(text));
	snprintf(cells[6], CELL, limit.n ? "%s %s" : "-", text, f->limit_name);
}

static void limits_line(FILE *out, const struct measure *m)
{
	struct spread line = measure_limit(m, "line_us"), wake = measure_limit(m, "wake_us");
	struct spread one = measure_limit(m, "wake_one_us"), copy = measure_limit(m, "copy_65536");

	fputs("The machine:", out);
	if (line.n)
		fprintf(out, " a cache line there and back %.3g us; futex wakes there and back %.3g us "
			"on two cores,", line.median, wake.median);
	if (one.n)
		fprintf(out, "%s %.3g us on one; memcpy of 64 KB %.3g GB/s.\n",
			line.n ? "" : " futex wakes there and back", one.median, copy.median);
	else
		fputs(" not measured.\n", out);
}

static void kernels_text(const struct measure *m, char *ret, size_t size)
{
	if (m->kernels > 1)
		snprintf(ret, size, "the better of %s and %s", m->cc[0], m->cc[1]);
	else
		snprintf(ret, size, "%s", m->cc[0][0] ? m->cc[0] : "its own congestion control");
}

void bench_table(FILE *out, const struct measure *m)
{
	static const char *const head[COLUMNS] = { "what",	"where",	"unit", "kernel",
						   "Mortise",	"gain", "the machine's limit" };
	static char cells[ROWS_MAX][COLUMNS][CELL];
	unsigned rows = 1;
	size_t width[COLUMNS] = { 0 };
	struct figure f;
	char text[64];

	kernels_text(m, text, sizeof(text));
	fprintf(out, "%s; %u round%s by turns, median (least..greatest); kernel: %s.\n", m->machine,
		m->rounds, m->rounds == 1 ? "" : "s", text);
	limits_line(out, m);
	fputc('\n', out);
	for (unsigned c = 0; c < COLUMNS; c++)
		snprintf(cells[0][c], CELL, "%s", head[c]);
	for (unsigned i = 0; i < m->job_count; i++) {
		if (figure_of(&m->jobs[i], &f))
			row_make(m, &f, cells[rows++]);
	}
	for (unsigned r = 0; r < rows; r++) {
		for (unsigned c = 0; c < COLUMNS; c++) {
			size_t len = strlen(cells[r][c]);

			width[c] = len > width[c] ? len : width[c];
		}
	}
	for (unsigned r = 0; r < rows; r++) {
		for (unsigned c = 0; c < COLUMNS; c++)
			fprintf(out, c + 1 < COLUMNS ? "%-*s  " : "%.*s", (int)width[c], cells[r][c]);
		fputc('\n', out);
	}
}

/* ------------------------------------------------------------------- JSON */

static void json_spread(FILE *out, const char *name, struct spread s)
{
	if (!s.n)
		fprintf(out, "\"%s\":null", name);
	else
		fprintf(out, "\"%s\":{\"median\":%.6g,\"least\":%.6g,\"greatest\":%.6g,\"rounds\":%u}",
			name, s.median, s.least, s.greatest, s.n);
}

static void json_figure(FILE *out, const struct measure *m, const struct figure *f)
{
	const struct job *j = f->job;
	unsigned side;
	struct spread kernel = measure_kernel(m, j, f->key, f->less, &side);
	struct spread ours = measure_of(j, m->kernels, f->key);
	double times = gain(f, kernel, ours);

	fprintf(out, "{\"what\":\"%s\",\"where\":\"%s\",\"bytes\":%u,\"unit\":\"%s\","
		"\"less_is_better\":%s,", f->what, placements[j->placement], j->size, f->unit,
		f->less ? "true" : "false");
	json_spread(out, "kernel", kernel);
	fputs(",\"kernel_congestion_control\":", out);
	json_string(out, m->cc[side][0] ? m->cc[side] : NULL);
	fputc(',', out);
	json_spread(out, "mortise", ours);
	fprintf(out, times > 0 ? ",\"gain\":%.4g," : ",\"gain\":null,", times);
	json_spread(out, "limit", measure_limit(m, f->limit_key));
	if (j->kind == JOB_LATENCY) {
		fputs(",\"percentiles\":[", out);
		for (unsigned p = 0; p < PERCENTILES; p++) {
			fprintf(out, "%s{\"percentile\":%s,", p ? "," : "",
				p + 1 < PERCENTILES ? measure_percentiles[p] : "99.9");
			json_spread(out, "kernel", measure_of(j, side, p));
			fputc(',', out);
			json_spread(out, "mortise", measure_of(j, m->kernels, p));
			fputc('}', out);
		}
		fputc(']', out);
	}
	fputs(",\"failure\":", out);
	json_string(out, j->why[0] ? j->why : NULL);
	fputc('}', out);
}

void bench_json(FILE *out, const struct measure *m)
{
	const char *comma = "";
	struct figure f;

	fputs("{\"machine\":", out);
	json_string(out, m->machine);
	fprintf(out, ",\"version\":\"%s\",\"rounds\":%u,\"seconds\":%.3g,\"cpus\":%u,\"limits\":{",
		MORTISE_VERSION, m->rounds, m->seconds, m->cpu_count);
	for (unsigned i = 0; i < m->job_count; i++) {
		const struct job *j = &m->jobs[i];

		for (unsigned k = 0; j->kind == JOB_LIMITS && k < j->key_count; k++) {
			fputs(comma, out);
			json_spread(out, j->keys[k], measure_of(j, 0, k));
			comma = ",";
		}
	}
	fputs("},\"figures\":[", out);
	comma = "\n";
	for (unsigned i = 0; i < m->job_count; i++) {
		if (!figure_of(&m->jobs[i], &f))
			continue;
		fputs(comma, out);
		json_figure(out, m, &f);
		comma = ",\n";
	}
	fputs("\n]}\n", out);
}

/* ---------------------------------------------------------------- picture */

#define COLOUR_KERNEL "#d55e00"
#define COLOUR_OURS "#2b8cc4"
#define COLOUR_LIMIT "#8c8c8c"

static struct plot_line *add_line(struct plot_chart *c, const char *name, const char *colour,
				  const char *dash, bool marks)
{
	struct plot_line *l = &c->lines[c->line_count++];

	l->name = name;
	l->colour = colour;
	l->dash = dash;
	l->marks = marks;
	for (unsigned i = 0; i < PLOT_POINTS_MAX; i++)
		l->y[i] = NAN;
	return l;
}

static void set_point(struct plot_line *l, unsigned place, struct spread s)
{
	if (!s.n || !(s.least > 0))
		return;
	l->y[place] = s.median;
	l->least[place] = s.least;
	l->greatest[place] = s.greatest;
}

static void latency_lines(struct plot_chart *c, const struct measure *m, enum placement where,
			  const char *kernel_name, const char *our_name, const char *dash)
{
	const struct job *j = measure_find(m, JOB_LATENCY, where, 0);
	struct plot_line *kernel, *ours;
	unsigned side;

	if (!j)
		return;
	measure_kernel(m, j, 1, true, &side);
	kernel = add_line(c, kernel_name, COLOUR_KERNEL, dash, true);
	ours = add_line(c, our_name, COLOUR_OURS, dash, true);
	for (unsigned p = 0; p < PERCENTILES; p++) {
		set_point(kernel, p, measure_of(j, side, p));
		set_point(ours, p, measure_of(j, m->kernels, p));
	}
}

/** limit_line() - The same at each place. */
static void limit_line(struct plot_chart *c, const char *name, const char *dash, struct spread s)
{
	struct plot_line *l;

	if (!s.n)
		return;
	l = add_line(c, name, COLOUR_LIMIT, dash, false);
	for (unsigned p = 0; p < c->place_count; p++)
		set_point(l, p, s);
}

static void latency_chart(struct plot_chart *c, const struct measure *m)
{
	*c = (struct plot_chart){
		.title = "Round trip of 64 bytes, blocking calls (lower is better)",
		.x_label = "percentile of the round trips",
		.y_label = "microseconds",
		.places = { "10", "50 (median)", "90", "99", "99.9" },
		.place_count = PERCENTILES,
	};
	latency_lines(c, m, TWO_BLOCKING, "kernel, two cores", "Mortise, two cores", NULL);
	limit_line(c, "cache line, two cores", "2 3", measure_limit(m, "line_us"));
	latency_lines(c, m, ONE_BLOCKING, "kernel, one core", "Mortise, one core", "7 4");
	limit_line(c, "futex wakes, one core", "8 3 2 3", measure_limit(m, "wake_one_us"));
}

static void stream_chart(struct plot_chart *c, const struct measure *m)
{
	enum placement where = m->cpu_count > 1 ? TWO_BLOCKING : ONE_BLOCKING;
	static char names[SIZES][16], keys[SIZES][24];
	struct plot_line *kernel, *ours, *copies;

	*c = (struct plot_chart){
		.title = "One stream, one direction (higher is better)",
		.x_label = "size of one write",
		.y_label = "GB/s (1 GB = 1,000,000,000 bytes)",
		.place_count = SIZES,
	};
	kernel = add_line(c, "kernel", COLOUR_KERNEL, NULL, true);
	ours = add_line(c, "Mortise", COLOUR_OURS, NULL, true);
	copies = add_line(c, "memcpy on one core", COLOUR_LIMIT, "2 3", false);
	for (unsigned i = 0; i < SIZES; i++) {
		const struct job *j = measure_find(m, JOB_STREAM, where, measure_sizes[i]);
		unsigned side;

		size_text(measure_sizes[i], names[i], sizeof(names[i]));
		snprintf(keys[i], sizeof(keys[i]), "copy_%u", measure_sizes[i]);
		c->places[i] = names[i];
		set_point(copies, i, measure_limit(m, keys[i]));
		if (!j)
			continue;
		set_point(kernel, i, measure_kernel(m, j, 0, false, &side));
		set_point(ours, i, measure_of(j, m->kernels, 0));
	}
}

void bench_svg(FILE *out, const struct measure *m)
{
	struct plot_chart charts[2];
	char note[160], kernels[64];
	const char *const notes[2] = { m->machine, note };

	latency_chart(&charts[0], m);
	stream_chart(&charts[1], m);
	kernels_text(m, kernels, sizeof(kernels));
	snprintf(note, sizeof(note), "Medians of %u round%s by turns; bars: least to greatest; "
		 "kernel: %s", m->rounds, m->rounds == 1 ? "" : "s", kernels);
	plot_svg(out, "Mortise " MORTISE_VERSION " and the kernel's loopback TCP", notes, charts, 2);
}

unsigned bench_failures(const struct measure *m)
{
	unsigned n = 0;
	struct figure f;

	for (unsigned i = 0; i < m->job_count; i++) {
		const struct job *j = &m->jobs[i];

		if (!j->why[0])
			continue;
		n++;
		complain("bench: %s, %s: %s", figure_of(j, &f) ? f.what : "the machine's limits",
			 placements[j->placement], j->why);
	}
	return n;
}
