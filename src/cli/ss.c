// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/opt.h"
#include "cli/verbs.h"

int verb_ss(int argc, char **argv)
{
	enum { TCP, LISTENING, ALL, NUMERIC, PROCESSES, NO_HEADER, JSON, DOMAIN };
	static const struct opt table[] = {
		[TCP] = { 't', "tcp", NULL },
		[LISTENING] = { 'l', "listening", NULL },
		[ALL] = { 'a', "all", NULL },
		[NUMERIC] = { 'n', "numeric", NULL },
		[PROCESSES] = { 'p', "processes", NULL },
		[NO_HEADER] = { 'H', "no-header", NULL },
		[JSON] = { 0, "json", NULL },
		[DOMAIN] = { 0, "domain", "NAME" },
		{ 0 },
	};
	struct opt_walk w = { .verb = "ss", .table = table, .argc = argc, .argv = argv, .next = 1 };
	struct ss_show show = { 0 };
	bool *const flag[] = { [TCP] = &show.tcp,	    [LISTENING] = &show.listening,
			       [ALL] = &show.all,	    [NUMERIC] = &show.numeric,
			       [PROCESSES] = &show.processes, [NO_HEADER] = &show.no_header,
			       [JSON] = &show.json };
	const char *domain = NULL;
	struct ss_row *rows = NULL;
	long n;
	int i, fd;

	while ((i = opt_next(&w)) >= 0) {
		if (i == DOMAIN)
			domain = w.value;
		else
			*flag[i] = true;
	}
	if (i == OPT_HELP)
		return verb_help("ss");
	if (i == OPT_BAD || !opt_none_left(&w))
		return EXIT_USAGE;
	domain = opt_domain(domain);
	if (!domain)
		return EXIT_USAGE;
	fd = ask_connect(domain, false);
	if (fd < 0)
		return fd == -1 ? EXIT_NO_DAEMON : EXIT_FAILURE;
	n = ask_list(fd, domain, &show, &rows);
	close(fd);
	if (n < 0)
		return EXIT_FAILURE;
	if (show.json)
		ss_json(stdout, domain, rows, (size_t)n);
	else
		ss_table(stdout, rows, (size_t)n, &show);
	free(rows);
	return EXIT_SUCCESS;
}
