// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/color.h"
#include "cli/opt.h"

/** terminal() - A stream that is one. */
static FILE *terminal(int *ret_other)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY), other;

	assert_true(fd >= 0);
	assert_int_equal(grantpt(fd), 0);
	assert_int_equal(unlockpt(fd), 0);
	other = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(other >= 0);
	*ret_other = fd;
	return fdopen(other, "w");
}

static void color_wanted__who_says_so(void **state)
{
	static const struct {
		const char *flag, *env, *no_color, *term;
		int on_terminal, off_terminal;
	} cases[] = {
		{ NULL, NULL, NULL, "xterm", 1, 0 },
		{ NULL, "", "", "xterm", 1, 0 },
		{ "auto", NULL, NULL, "xterm", 1, 0 },
		{ NULL, NULL, "1", "xterm", 0, 0 },
		{ NULL, NULL, NULL, "dumb", 0, 0 },
		{ NULL, NULL, NULL, NULL, 0, 0 },
		{ "always", NULL, NULL, NULL, 1, 1 },
		{ "always", "never", "1", "dumb", 1, 1 }, /* The nearest goes first. */
		{ NULL, "always", "1", "dumb", 1, 1 },
		{ NULL, "never", NULL, "xterm", 0, 0 },
		{ "never", "always", NULL, "xterm", 0, 0 },
		{ "auto", "always", NULL, "xterm", 1, 0 },
	};
	FILE *off = fopen("/dev/null", "we"), *on;
	int other;

	(void)state;
	on = terminal(&other);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const names[] = { "MORTISE_COLOR", "NO_COLOR", "TERM" };
		const char *const values[] = { cases[i].env, cases[i].no_color, cases[i].term };

		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			unsetenv(names[k]);
			if (values[k])
				setenv(names[k], values[k], 1);
		}
		if (color_wanted(on, cases[i].flag) != cases[i].on_terminal ||
		    color_wanted(off, cases[i].flag) != cases[i].off_terminal)
			fail_msg("case %zu", i);
	}
	fclose(on);
	close(other);
	fclose(off);
}

static void color_wanted__refuses(void **state)
{
	char *said = NULL;
	size_t size;
	FILE *f = open_memstream(&said, &size);

	(void)state;
	complain_to(f);
	assert_int_equal(color_wanted(stdout, "yes"), -1);
	complain_to(NULL);
	fclose(f);
	assert_non_null(strstr(said, "--color yes: auto, always or never"));
	free(said);
}

static void color_begin__around(void **state)
{
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);

	(void)state;
	for (int on = 0; on < 2; on++) {
		for (enum color c = COLOR_NONE; c <= COLOR_BAD; c++) {
			color_begin(f, on, c);
			fputc('x', f);
			color_end(f, on, c);
		}
	}
	fclose(f);
	assert_string_equal(got, "xxxxxx\033[1mx\033[0m\033[32mx\033[0m\033[33mx\033[0m\033[31mx\033[0m");
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(color_wanted__who_says_so),
		cmocka_unit_test(color_wanted__refuses),
		cmocka_unit_test(color_begin__around),
	};

	return cmocka_run_group_tests_name("color", tests, NULL, NULL);
}
