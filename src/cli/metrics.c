// SPDX-License-Identifier: BSD-2-Clause
/*
 * metrics.c - `mortise metrics`: once on standard output, or the exporter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/metrics.h"
#include "cli/opt.h"
#include "cli/self.h"
#include "cli/verbs.h"

static int print_once(const char *domain)
{
	struct timespec t;
	struct sample s;
	int status = sample_take(domain, false, &s);

	if (status)
		return status;
	clock_gettime(CLOCK_REALTIME, &t);
	metrics_text(stdout, &s, (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec);
	sample_free(&s);
	return EXIT_SUCCESS;
}

static int become_exporter(const char *domain, const char *address)
{
	struct sockaddr_storage unused;
	char path[PATH_MAX];
	socklen_t len;

	if (!metrics_address(address, &unused, &len))
		return EXIT_USAGE;
	if (!self_helper("../exporter", "mortise-exporter", path)) {
		complain("metrics: there is no mortise-exporter beside this command or in "
			 "../libexec/mortise; Debian's package mortise-exporter has it, and a "
			 "build with libmicrohttpd");
		return EXIT_FAILURE;
	}
	/* It is to see the domain from outside. */
	unsetenv("LD_PRELOAD");
	execl(path, path, domain, address, (char *)NULL);
	complain("metrics: %s: %s", path, strerror(errno));
	return EXIT_FAILURE;
}

int verb_metrics(int argc, char **argv)
{
	static const struct opt table[] = { { 0, "listen", "ADDR:PORT" },
					    { 0, "domain", "NAME" },
					    { 0 } };
	struct opt_walk w = {
		.verb = "metrics", .table = table, .argc = argc, .argv = argv, .next = 1
	};
	const char *domain = NULL, *address = NULL;
	int i;

	while ((i = opt_next(&w)) >= 0)
		*(i == 0 ? &address : &domain) = w.value;
	if (i == OPT_HELP)
		return verb_help("metrics");
	if (i == OPT_BAD || !opt_none_left(&w))
		return EXIT_USAGE;
	domain = opt_domain(domain);
	if (!domain)
		return EXIT_USAGE;
	return address ? become_exporter(domain, address) : print_once(domain);
}
