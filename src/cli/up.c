// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/config.h"
#include "cli/opt.h"
#include "cli/start.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "ctl/client.h"
#include "shm/abi.h"

#define STAY "1000000000"
_Static_assert(CTL_LINGER_MAX == 1000000000, "STAY is that");

/** foreground() - Become the daemon. Return: the exit status where that failed. */
static int foreground(const char *domain, int policy, const char *const *more)
{
	const char *word = word_policy(policy < 0 ? POLICY_SHARE : (uint32_t)policy);
	const char *args[CTL_START_MORE + 9];
	unsigned n = 8;
	char path[PATH_MAX];
	int fd = ask_connect(domain, true);

	if (fd >= 0) {
		close(fd);
		complain("up: a daemon of domain \"%s\" runs already; end it with `mortise down`",
			 domain);
		return EXIT_FAILURE;
	}
	if (fd != -1)
		return EXIT_FAILURE;
	if (!ctl_daemon_path(path, sizeof(path))) {
		complain("up: there is no `mortised` beside this command or in "
			 "../libexec/mortise; install it, or name it in MORTISED");
		return EXIT_FAILURE;
	}
	unsetenv("LD_PRELOAD");
	memcpy(args, (const char *[]){ path, "--foreground", "--domain", domain, "--policy", word,
				       "--linger", STAY }, n * sizeof(*args));
	for (; *more && n < ARRAY_LEN(args) - 1; more++)
		args[n++] = *more;
	args[n] = NULL;
	execv(path, (char *const *)(uintptr_t)args);
	complain("up: %s: %s", path, strerror(errno));
	return EXIT_FAILURE;
}

/** stay() - The daemon is to stay when nobody uses it. */
static int stay(const char *domain)
{
	struct ctl_msg m = { .type = CTL_LINGER, .linger = { .seconds = CTL_LINGER_MAX } };
	int fd = ask_connect(domain, false), err;

	if (fd < 0)
		return EXIT_FAILURE;
	err = ctl_call(fd, &m, NULL, 0, NULL, NULL);
	close(fd);
	if (!err)
		return EXIT_SUCCESS;
	complain("up: %s", strerror(-err));
	return EXIT_FAILURE;
}

/** absolute() - A path for a daemon, which is in another folder than we. Return: NULL without
 * memory. */
static const char *absolute(const char *path)
{
	char here[PATH_MAX], *ret = NULL;

	if (*path == '/')
		return path;
	return getcwd(here, sizeof(here)) && asprintf(&ret, "%s/%s", here, path) > 0 ? ret : NULL;
}

/** net_add() - An argument of the daemon's. Return: false, with a message. */
static bool net_add(const char **more, unsigned *n, const char *name, const char *value)
{
	char *option = NULL;

	if (*n + 2 > CTL_START_MORE) {
		complain("up: --%s %s: more than %u of these are not taken", name, value,
			 CTL_START_MORE / 2);
		return false;
	}
	if (asprintf(&option, "--%s", name) < 0)
		option = NULL;
	more[(*n)++] = option;
	more[(*n)++] = strcmp(name, "pcap") ? value : absolute(value);
	if (option && more[*n - 1])
		return true;
	complain("up: --%s %s: %s", name, value, strerror(errno));
	return false;
}

/** net_from_files() - The same, of the section [domain NAME]. */
static bool net_from_files(const char *domain, const char **more, unsigned *n)
{
	const struct config_net *c;

	for (unsigned i = 0; (c = config_net(&config, domain, i)); i++)
		if (!net_add(more, n, c->name, c->value))
			return false;
	return true;
}

int verb_up(int argc, char **argv)
{
	enum { FOREGROUND = SET_COUNT, NET_FIRST };
	static const struct opt table[] = { CONFIG_OPTS,	    { 'f', "foreground", NULL },
					    { 0, "tap", "NAME" },   { 0, "address", "ADDRESS/BITS" },
					    { 0, "gateway", "ADDRESS" }, { 0, "mtu", "OCTETS" },
					    { 0, "offload", "on|off" }, { 0, "loopback", "memory|packets" }, { 0, "pcap", "FILE" },
					    { 0 } };
	const char *more[CTL_START_MORE + 1] = { NULL };
	unsigned n = 0;
	struct opt_walk w = { .verb = "up", .table = table, .argc = argc, .argv = argv, .next = 1 };
	const char *domain = NULL, *name = NULL;
	bool front = false, was = false;
	int i, policy;

	while ((i = opt_next_name(&w, &name)) >= 0) {
		if (i == FOREGROUND) {
			front = true;
		} else if (i >= NET_FIRST) {
			if (!net_add(more, &n, table[i].name, w.value))
				return EXIT_USAGE;
		} else if (!config_flag(&config, (enum setting)i, w.value ? w.value : "always")) {
			return EXIT_USAGE;
		}
	}
	if (i == OPT_HELP)
		return verb_help("up");
	if (config.at[SET_DOMAIN].from == FROM_FLAG)
		domain = config.at[SET_DOMAIN].value;
	if (i == OPT_BAD || !opt_name(&w, name, &domain) ||
	    (name && !config_flag(&config, SET_DOMAIN, name)))
		return EXIT_USAGE;
	if (!config_export(&config)) {
		complain("up: %s", strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	domain = opt_domain(NULL);
	if (!domain || !opt_policy(NULL, &policy) || (!n && !net_from_files(domain, more, &n)))
		return EXIT_USAGE;
	if (n && policy >= 0 && policy != POLICY_NET && config.at[SET_POLICY].from == FROM_FLAG) {
		complain("up: with --tap the policy is net; leave --policy %s out",
			 word_policy((uint32_t)policy));
		return EXIT_USAGE;
	}
	if (n)
		policy = POLICY_NET;
	if (front)
		return foreground(domain, policy, more);
	if (start_daemon("up", domain, policy, more, &was) < 0 || stay(domain))
		return EXIT_FAILURE;
	complain("domain \"%s\" is %s, until `mortise down%s%s`", domain, was ? "up already" : "up",
		 strcmp(domain, CTL_DOMAIN_DEFAULT) ? " --domain " : "",
		 strcmp(domain, CTL_DOMAIN_DEFAULT) ? domain : "");
	return EXIT_SUCCESS;
}
