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

#include "cli/ask.h"
#include "cli/opt.h"
#include "cli/self.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "ctl/client.h"

enum { EXIT_OURS = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/** find_library() - Beside this command, in the build tree, or installed. */
static bool find_library(char ret[PATH_MAX])
{
	static const char *const where[] = { "libmortise.so", "../preload/libmortise.so",
					     "../lib/mortise/libmortise.so", NULL };

	return self_find(where, R_OK, ret);
}

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

/**
 * ensure_daemon() - The domain's daemon runs, with the policy asked for.
 * @policy: enum policy, or -1 for whichever it has.
 * Return: The policy it has, or -1 with a message.
 */
static int ensure_daemon(const char *domain, int policy)
{
	struct ctl_msg m;
	int fd = ask_connect(domain, true), err;
	bool ok;

	if (fd == -1) {
		err = ctl_start(domain, word_policy(policy < 0 ? 0 : (uint32_t)policy));
		if (err == -ENOENT)
			complain("run: there is no `mortised` beside this command or in "
				 "../libexec/mortise; install it, or name it in MORTISED");
		else if (err == -EPERM || err == -EACCES)
			complain("run: the directory of domain \"%s\" is not yours alone; set "
				 "MORTISE_DIR or XDG_RUNTIME_DIR to a directory that is", domain);
		else if (err)
			complain("run: the daemon of domain \"%s\" did not start: %s", domain,
				 strerror(-err));
		if (err)
			return -1;
		fd = ask_connect(domain, false);
	}
	if (fd < 0)
		return -1;
	ok = !ask_status(fd, &m);
	close(fd);
	if (!ok)
		return -1;
	if (policy >= 0 && m.status.policy != (uint32_t)policy) {
		complain("run: policy %s asked for, but the daemon of domain \"%s\" runs with "
			 "policy %s; end it with `mortise down`, or take another --domain",
			 word_policy((uint32_t)policy), domain, word_policy(m.status.policy));
		return -1;
	}
	return (int)m.status.policy;
}

int verb_run(int argc, char **argv)
{
	static const struct opt table[] = { { 0, "domain", "NAME" },
					    { 0, "policy", "POLICY" },
					    { 0 } };
	struct opt_walk w = { .verb = "run", .table = table, .argc = argc, .argv = argv, .next = 1 };
	const char *domain = NULL, *policy_word = NULL;
	char library[PATH_MAX], *preload;
	int i, policy;

	while ((i = opt_next(&w)) >= 0)
		*(i == 0 ? &domain : &policy_word) = w.value;
	if (i == OPT_HELP)
		return verb_help("run");
	if (i == OPT_BAD)
		return EXIT_USAGE;
	domain = opt_domain(domain);
	if (!domain || !opt_policy(policy_word, &policy))
		return EXIT_USAGE;
	if (w.next >= argc) {
		complain("run: which program? mortise run -- PROGRAM ARG...");
		return EXIT_USAGE;
	}
	if (!find_library(library)) {
		complain("run: there is no libmortise.so beside this command, in ../preload or "
			 "in ../lib/mortise; install it with `make install`");
		return EXIT_OURS;
	}
	if (strpbrk(library, ": ")) {
		complain("run: LD_PRELOAD cannot hold the path \"%s\"; install Mortise where no "
			 "folder has a space or a colon in its name", library);
		return EXIT_OURS;
	}
	policy = ensure_daemon(domain, policy);
	if (policy < 0)
		return EXIT_OURS;
	preload = run_preload(getenv("LD_PRELOAD"), library);
	if (!preload || setenv("LD_PRELOAD", preload, 1) || setenv("MORTISE_DOMAIN", domain, 1) ||
	    setenv("MORTISE_POLICY", word_policy((uint32_t)policy), 1)) {
		complain("run: %s", strerror(ENOMEM));
		free(preload);
		return EXIT_OURS;
	}
	free(preload);
	/* The daemon leaves when it is unused; the library starts it again. */
	if (ctl_daemon_path(library, sizeof(library)))
		setenv("MORTISED", library, 1);
	execvp(argv[w.next], argv + w.next);
	complain("run: %s: %s", argv[w.next], strerror(errno));
	return errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
