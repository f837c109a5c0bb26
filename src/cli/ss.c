// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/color.h"
#include "cli/opt.h"
#include "cli/ss_filter.h"
#include "cli/ss_format.h"
#include "cli/verbs.h"

enum { TCP, UDP, UNIX, LISTENING, ALL, NUMERIC, RESOLVE, PROCESSES, INFO, EXTENDED, MEMORY,
       SUMMARY, IPV4, IPV6, ONELINE, NO_HEADER, JSON, FLAGS, COLOR = FLAGS, DOMAIN };

static const struct opt table[] = {
	[TCP] = { 't', "tcp", NULL },
	[UDP] = { 'u', "udp", NULL },
	[UNIX] = { 'x', "unix", NULL },
	[LISTENING] = { 'l', "listening", NULL },
	[ALL] = { 'a', "all", NULL },
	[NUMERIC] = { 'n', "numeric", NULL },
	[RESOLVE] = { 'r', "resolve", NULL },
	[PROCESSES] = { 'p', "processes", NULL },
	[INFO] = { 'i', "info", NULL },
	[EXTENDED] = { 'e', "extended", NULL },
	[MEMORY] = { 'm', "memory", NULL },
	[SUMMARY] = { 's', "summary", NULL },
	[IPV4] = { '4', "ipv4", NULL },
	[IPV6] = { '6', "ipv6", NULL },
	[ONELINE] = { 'O', "oneline", NULL },
	[NO_HEADER] = { 'H', "no-header", NULL },
	[JSON] = { 0, "json", NULL },
	[COLOR] = { 0, "color", "[WHEN]" },
	[DOMAIN] = { 0, "domain", "NAME" },
	{ 0 },
};

/** struct command - What was asked for. @words: the filter's, @count of them. */
struct command {
	struct ss_show show;
	const char *domain;
	const char *color;
	bool flag[FLAGS];
	char **words;
	int count;
};

/**
 * read_arguments() - As ss, options may stand between and behind the filter's words.
 * Return: OPT_END, OPT_BAD or OPT_HELP.
 */
static int read_arguments(int argc, char **argv, struct command *c)
{
	struct opt_walk w = { .verb = "ss", .table = table, .argc = argc, .argv = argv, .next = 1 };
	bool only_words = false;
	int i;

	for (;;) {
		i = only_words ? OPT_END : opt_next(&w);
		if (i == OPT_END) {
			only_words |= w.next > 1 && !strcmp(argv[w.next - 1], "--");
			if (w.next >= argc)
				return OPT_END;
			c->words[c->count++] = argv[w.next++];
		} else if (i < 0) {
			return i;
		} else if (i == DOMAIN) {
			c->domain = w.value;
		} else if (i == COLOR) {
			c->color = w.value ? w.value : "always";
		} else {
			c->flag[i] = true;
		}
	}
}

static void set_show(struct command *c)
{
	const bool *f = c->flag;

	c->show = (struct ss_show){
		.tcp = f[TCP], .udp = f[UDP], .unix_only = f[UNIX] && !f[TCP] && !f[UDP],
		.ipv4 = f[IPV4], .ipv6 = f[IPV6], .listening = f[LISTENING],
		.all = f[ALL] || f[SUMMARY], .numeric = f[NUMERIC], .resolve = f[RESOLVE],
		.processes = f[PROCESSES], .extended = f[EXTENDED], .memory = f[MEMORY],
		.info = f[INFO], .oneline = f[ONELINE], .summary = f[SUMMARY],
		.no_header = f[NO_HEADER], .json = f[JSON],
	};
	if (f[UNIX])
		complain("ss: AF_UNIX sockets are never Mortise's; to see the kernel's: ss -x");
}

/** filter_complain() - What is wrong, and where: the text, and a mark below it. */
static void filter_complain(const struct ss_filter_error *e)
{
	enum { BEFORE = 40, SHOWN = 72 };
	size_t from = e->at > BEFORE ? e->at - BEFORE : 0;
	char text[SHOWN + 1];

	complain("ss: %s", e->what);
	if (!*e->text)
		return;
	snprintf(text, sizeof(text), "%s", e->text + from);
	for (char *s = text; *s; s++) {
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f)
			*s = '?';
	}
	complain("ss:   %s", text);
	complain("ss:   %*s", (int)(e->at - from) + 1, "^");
}

static void show_rows(const struct command *c, const struct ss_row *rows, size_t n)
{
	if (c->show.summary)
		(c->show.json ? ss_summary_json : ss_summary)(stdout, c->domain, rows, n);
	else if (c->show.json)
		ss_json(stdout, c->domain, rows, n, &c->show);
	else
		ss_table(stdout, rows, n, &c->show);
}

/** ask_and_show() - Return: the exit status. */
static int ask_and_show(struct command *c)
{
	struct ss_row *rows = NULL;
	int fd, status = ask_open(c->domain, &fd);
	long n;

	if (status)
		return status;
	n = ask_list(fd, c->domain, &c->show, &rows);
	close(fd);
	if (n < 0)
		return EXIT_FAILURE;
	show_rows(c, rows, (size_t)n);
	free(rows);
	return EXIT_SUCCESS;
}

/** understand() - Options, filter, domain. Return: the exit status so far. */
static int understand(int argc, char **argv, struct command *c)
{
	static struct ss_filter filter;
	static struct ss_filter_error error;
	int color, i = read_arguments(argc, argv, c);

	if (i == OPT_HELP)
		return verb_help("ss");
	if (i == OPT_BAD)
		return EXIT_USAGE;
	c->domain = opt_domain(c->domain);
	color = color_wanted(stdout, c->color);
	if (!c->domain || color < 0)
		return EXIT_USAGE;
	if (c->count && !ss_filter_parse(c->count, c->words, &filter, &error)) {
		filter_complain(&error);
		return EXIT_USAGE;
	}
	set_show(c);
	c->show.color = color;
	c->show.filter = c->count ? &filter : NULL;
	return ask_and_show(c);
}

int verb_ss(int argc, char **argv)
{
	struct command c = { .words = calloc((size_t)argc, sizeof(char *)) };
	int status;

	if (!c.words) {
		complain("ss: out of memory");
		return EXIT_FAILURE;
	}
	status = understand(argc, argv, &c);
	free(c.words);
	return status;
}
