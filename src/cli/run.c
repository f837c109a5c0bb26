// SPDX-License-Identifier: BSD-2-Clause
/*
 * run.c - `mortise run`: see that the daemon runs, put the library into the
 * environment, become the program.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/opt.h"
#include "cli/self.h"
#include "cli/start.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "ctl/client.h"

enum { EXIT_OURS = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

char *run_preload(const char *old, const char *library)
{
	size_t len = strlen(library);
	char *ret;

	if (!old || !*old)
		return strdup(library);
	for (const char *p = old; *p;) {
		size_t n = strcspn(p, ": ");

		if (n == len && !memcmp(p, library, len))
			return strdup(old);
		p += n + (p[n] != 0);
	}
	if (asprintf(&ret, "%s:%s", old, library) < 0)
		return NULL;
	return ret;
}

/** environment() - What the program is to find. Return: False without memory. */
static bool environment(const char *library, const char *domain, int policy)
{
	char *preload = run_preload(getenv("LD_PRELOAD"), library), daemon[PATH_MAX];
	bool ok = preload && !setenv("LD_PRELOAD", preload, 1) &&
		  !setenv("MORTISE_DOMAIN", domain, 1) &&
		  !setenv("MORTISE_POLICY", word_policy((uint32_t)policy), 1);

	free(preload);
	/* The daemon leaves when it is unused; the library starts it again. */
	if (ctl_daemon_path(daemon, sizeof(daemon)))
		setenv("MORTISED", daemon, 1);
	return ok;
}

int verb_run(int argc, char **argv)
{
	static const struct opt table[] = { CONFIG_OPTS, { 0 } };
	struct opt_walk w = { .verb = "run", .table = table, .argc = argc, .argv = argv, .next = 1 };
	const char *domain;
	char library[PATH_MAX];
	int i, policy;

	while ((i = opt_next(&w)) >= 0) {
		if (!config_flag(&config, (enum setting)i, w.value ? w.value : "always"))
			return EXIT_USAGE;
	}
	if (i == OPT_HELP)
		return verb_help("run");
	if (i == OPT_BAD)
		return EXIT_USAGE;
	if (!config_export(&config)) {
		complain("run: %s", strerror(ENOMEM));
		return EXIT_OURS;
	}
	domain = opt_domain(NULL);
	if (!domain || !opt_policy(NULL, &policy))
		return EXIT_USAGE;
	if (w.next >= argc) {
		complain("run: which program? mortise run -- PROGRAM ARG...");
		return EXIT_USAGE;
	}
	if (!self_library(library)) {
		complain("run: there is no libmortise.so beside this command, in ../preload or "
			 "in ../lib/mortise; install it with `make install`");
		return EXIT_OURS;
	}
	if (strpbrk(library, ": ")) {
		complain("run: LD_PRELOAD cannot hold the path \"%s\"; install Mortise where no "
			 "folder has a space or a colon in its name", library);
		return EXIT_OURS;
	}
	policy = start_daemon("run", domain, policy, NULL, NULL);
	if (policy < 0)
		return EXIT_OURS;
	if (!environment(library, domain, policy)) {
		complain("run: %s", strerror(ENOMEM));
		return EXIT_OURS;
	}
	execvp(argv[w.next], argv + w.next);
	complain("run: %s: %s", argv[w.next], strerror(errno));
	return errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
