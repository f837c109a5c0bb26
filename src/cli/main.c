// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"
#include "cli/opt.h"
#include "cli/verbs.h"
#include "cli/words.h"

static const struct verb *find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++) {
		if (!strcmp(v->name, name))
			return v;
	}
	return NULL;
}

static void unknown(const char *typed)
{
	const char *names[32], *near;
	size_t n = 0;

	for (const struct verb *v = verbs; v->name && n + 1 < ARRAY_LEN(names); v++)
		names[n++] = v->name;
	names[n] = NULL;
	near = word_near(typed, names);
	if (near)
		complain("no verb \"%s\"; did you mean `mortise %s`?", typed, near);
	else if (*typed == '-')
		complain("no option %s; see: mortise --help", typed);
	else
		complain("no verb \"%s\"; to run a program: mortise run -- %s; see: "
			 "mortise --help", typed, typed);
}

/** finish() - What could not be written is a failure. */
static int finish(int status)
{
	if ((fflush(stdout) || ferror(stdout)) && !status) {
		complain("cannot write: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	return status;
}

/** asks_help() - --help is among the verb's options. Behind a program's name it is that's. */
static bool asks_help(const struct verb *v, int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (v->run == verb_run && argv[i][0] != '-')
			return false;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	const struct verb *v;

	if (argc < 2) {
		complain("what is to be done? For instance: mortise run -- redis-server; see: "
			 "mortise --help");
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return finish(verb_help(NULL));
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("mortise %s\n", MORTISE_VERSION);
		return finish(EXIT_SUCCESS);
	}
	v = find(argv[1]);
	if (!v) {
		unknown(argv[1]);
		return EXIT_USAGE;
	}
	/* Help is given whatever the files say; doctor says itself what is wrong there. */
	if (v->run != verb_help_main && v->run != verb_doctor && !asks_help(v, argc, argv)) {
		if (!config_load(&config))
			return EXIT_USAGE;
		if (!config_export(&config)) {
			complain("%s", strerror(ENOMEM));
			return EXIT_FAILURE;
		}
	}
	return finish(v->run(argc - 1, argv + 1));
}
