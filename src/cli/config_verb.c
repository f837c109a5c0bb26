// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/opt.h"
#include "cli/verbs.h"

static void file_line(const char *whose, const char *path)
{
	if (!*path)
		printf("%s file: none, as neither XDG_CONFIG_HOME nor HOME is set\n", whose);
	else
		printf("%s file: %s%s\n", whose, path, access(path, F_OK) ? " (not there)" : "");
}

int verb_config(int argc, char **argv)
{
	static const struct opt table[] = { CONFIG_OPTS, { 0, "json", NULL }, { 0 } };
	struct opt_walk w = {
		.verb = "config", .table = table, .argc = argc, .argv = argv, .next = 1
	};
	bool json = false;
	int i;

	while ((i = opt_next(&w)) >= 0) {
		if (i >= SET_COUNT)
			json = true;
		else if (!config_flag(&config, (enum setting)i, w.value ? w.value : "always"))
			return EXIT_USAGE;
	}
	if (i == OPT_HELP)
		return verb_help("config");
	if (i == OPT_BAD || !opt_none_left(&w))
		return EXIT_USAGE;
	if (json) {
		config_json(stdout, &config);
		return EXIT_SUCCESS;
	}
	config_text(stdout, &config);
	putchar('\n');
	file_line("user's", config.user);
	file_line("system's", config.system);
	return EXIT_SUCCESS;
}
