/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opt.h - Options on the command line, with messages that name the remedy.
 */
#ifndef MORTISE_CLI_OPT_H
#define MORTISE_CLI_OPT_H

#include <stdio.h>

#include "base/defs.h"

enum { EXIT_USAGE = 2, EXIT_NO_DAEMON = 3 };

/**
 * struct opt - One option.
 * @letter: 0: it has none. @name: without "--"; NULL: it has none.
 * @value:  What its value is called in messages; NULL: it takes none. In
 *          brackets: it may be left out, else it is --name=VALUE.
 * The table ends with a zeroed entry. -h and --help belong to each verb.
 */
struct opt {
	char letter;
	const char *name;
	const char *value;
};

/**
 * struct opt_walk - Where we are. Zeroed but for verb, table, argc, argv.
 * @value: Of the option just returned, or NULL.
 * @next:  After the end: index of the first argument that is no option.
 */
struct opt_walk {
	const char *verb;
	const struct opt *table;
	int argc;
	char **argv;
	int next;
	const char *value;
	const char *letters; /* rest of "-tan" */
};

#define OPT_END (-1)
#define OPT_BAD (-2)  /* a message has been given */
#define OPT_HELP (-3)

/** opt_next() - Return: index in the table, or OPT_*. */
int opt_next(struct opt_walk *w);

/** opt_none_left() - False, with a message, where an argument is left over. */
bool opt_none_left(const struct opt_walk *w);

/** opt_domain() - @given, else $MORTISE_DOMAIN, else the default one; NULL,
 * with a message, where its name is not allowed. */
const char *opt_domain(const char *given);

/**
 * opt_next_name() - opt_next() of a verb that takes one name, before, between or
 * behind its options.
 * @name: Set to the first argument that is no option; NULL before.
 */
int opt_next_name(struct opt_walk *w, const char **name);

/**
 * opt_name() - No argument is left, and @name and --domain do not contradict.
 * @domain: In: --domain's, or NULL. Out: @name, where there is one.
 * Return: False, with a message.
 */
bool opt_name(const struct opt_walk *w, const char *name, const char **domain);

/**
 * opt_policy() - @given, else $MORTISE_POLICY.
 * @ret: enum policy, or -1 where neither says one.
 * Return: False, with a message, where there is no such policy.
 */
bool opt_policy(const char *given, int *ret);

/**
 * opt_number() - An option's value as a number.
 * @name: The option, for the message.
 * @min: Below 1: fractions are allowed, too.
 * Return: False, with a message, where it is no number from @min to @max.
 */
bool opt_number(const char *verb, const char *name, const char *value, double min, double max,
		double *ret);

/** complain_to() - Where complain() writes from now on; NULL: standard error. */
void complain_to(FILE *out);

/** complain() - "mortise: ..." on standard error. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

#endif
