// SPDX-License-Identifier: BSD-2-Clause
/*
 * top.c - `mortise top`: its options, and what it prints where nobody watches.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/opt.h"
#include "cli/top.h"
#include "cli/verbs.h"
#include "cli/words.h"

#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 3600.0
#define COUNT_MAX 1e9

static bool find_column(const char *name, enum top_column *ret)
{
	const char *names[TOP_COLUMNS + 1], *near;

	for (unsigned c = 0; c < TOP_COLUMNS; c++) {
		names[c] = top_name(c);
		if (!strcmp(names[c], name)) {
			*ret = c;
			return true;
		}
	}
	names[TOP_COLUMNS] = NULL;
	near = word_near(name, names);
	complain("top: no column \"%s\"%s%s%s", name, near ? "; did you mean " :
		 "; see: mortise top --help", near ? near : "", near ? "?" : "");
	return false;
}

static bool print_sample(const struct sample *before, const struct sample *now,
			 const struct top_opts *o, bool json)
{
	struct top_line *lines[TOP_VIEWS] = { NULL };
	size_t n[TOP_VIEWS] = { 0 };
	bool ok = true;

	for (unsigned v = 0; v < TOP_VIEWS && ok; v++) {
		long got;

		if (!json && v != o->view)
			continue;
		got = top_lines(before, now, v, &lines[v]);
		ok = got >= 0;
		if (!ok)
			break;
		n[v] = top_filter(lines[v], (size_t)got, v, o->filter);
		top_sort(lines[v], n[v], o->sort, o->descending);
	}
	if (!ok)
		complain("top: %s", strerror(ENOMEM));
	else if (json)
		top_json(stdout, before, now, lines[TOP_PROCESSES], n[TOP_PROCESSES],
			 lines[TOP_SOCKETS], n[TOP_SOCKETS]);
	else
		top_text(stdout, before, now, lines[o->view], n[o->view], o->view);
	for (unsigned v = 0; v < TOP_VIEWS; v++)
		free(lines[v]);
	return ok;
}

/** batch() - Samples, each with the rates since the one before. */
static int batch(const struct top_opts *o, bool json)
{
	struct timespec pause = clock_timespec((uint64_t)(o->interval_s * NS_PER_SEC));
	struct sample before = { 0 }, now = { 0 };
	int status = sample_take(o->domain, false, &before);

	for (unsigned long i = 0; !status && (!o->count || i < o->count); i++) {
		nanosleep(&pause, NULL);
		status = sample_take(o->domain, false, &now);
		if (status)
			break;
		if (i && !json)
			putchar('\n');
		if (!print_sample(&before, &now, o, json) || fflush(stdout))
			status = EXIT_FAILURE; /* finish() in main.c names a failed write */
		sample_free(&before);
		before = now;
		now = (struct sample){ 0 };
	}
	sample_free(&before);
	sample_free(&now);
	return status;
}

int verb_top(int argc, char **argv)
{
	enum { BATCH, COUNT, DELAY, SOCKETS, SORT, FILTER, REVERSE, JSON, DOMAIN };
	static const struct opt table[] = {
		[BATCH] = { 'b', "batch", NULL },
		[COUNT] = { 'n', "count", "COUNT" },
		[DELAY] = { 'd', "delay", "SECONDS" },
		[SOCKETS] = { 'c', "connections", NULL },
		[SORT] = { 0, "sort", "COLUMN" },
		[FILTER] = { 0, "filter", "WORD" },
		[REVERSE] = { 'r', "reverse", NULL },
		[JSON] = { 0, "json", NULL },
		[DOMAIN] = { 0, "domain", "NAME" },
		{ 0 },
	};
	struct opt_walk w = { .verb = "top", .table = table, .argc = argc, .argv = argv, .next = 1 };
	struct top_opts o = { .interval_s = 2, .sort = TOP_TX, .filter = "" };
	bool plain = !isatty(STDOUT_FILENO), json = false, reverse = false;
	double count = 0;
	int i;

	while ((i = opt_next(&w)) >= 0) {
		switch (i) {
		case BATCH:
			plain = true;
			break;
		case COUNT:
			if (!opt_number("top", "COUNT", w.value, 1, COUNT_MAX, &count))
				return EXIT_USAGE;
			break;
		case DELAY:
			if (!opt_number("top", "SECONDS", w.value, INTERVAL_MIN_S, INTERVAL_MAX_S,
					&o.interval_s))
				return EXIT_USAGE;
			break;
		case SOCKETS:
			o.view = TOP_SOCKETS;
			break;
		case SORT:
			if (!find_column(w.value, &o.sort))
				return EXIT_USAGE;
			break;
		case FILTER:
			o.filter = w.value;
			break;
		case REVERSE:
			reverse = true;
			break;
		case JSON:
			json = true;
			break;
		default:
			o.domain = w.value;
			break;
		}
	}
	if (i == OPT_HELP)
		return verb_help("top");
	if (i == OPT_BAD || !opt_none_left(&w))
		return EXIT_USAGE;
	o.domain = opt_domain(o.domain);
	if (!o.domain)
		return EXIT_USAGE;
	o.count = (unsigned long)count;
	o.descending = top_is_number(o.sort) != reverse;
	return plain || json ? batch(&o, json) : top_screen(&o);
}
