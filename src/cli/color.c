// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/color.h"
#include "cli/opt.h"

int color_wanted(FILE *out, const char *when)
{
	/* no-color.org: set and not empty; what is asked for by name goes before it. */
	const char *no = getenv("NO_COLOR"), *env = getenv("MORTISE_COLOR"), *term = getenv("TERM");

	if (!when && env && *env)
		when = env;
	if (!when || !strcmp(when, "auto"))
		return !(no && *no) && term && strcmp(term, "dumb") != 0 && isatty(fileno(out)) > 0;
	if (!strcmp(when, "always"))
		return 1;
	if (!strcmp(when, "never"))
		return 0;
	complain("--color %s: auto, always or never is wanted", when);
	return -1;
}

void color_begin(FILE *out, bool on, enum color c)
{
	static const char *const codes[] = {
		[COLOR_HEAD] = "1", [COLOR_GOOD] = "32", [COLOR_WARN] = "33", [COLOR_BAD] = "31",
	};

	if (on && c != COLOR_NONE)
		fprintf(out, "\033[%sm", codes[c]);
}

void color_end(FILE *out, bool on, enum color c)
{
	if (on && c != COLOR_NONE)
		fputs("\033[0m", out);
}
