// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/opt.h"
#include "cli/words.h"
#include "ctl/client.h"

static FILE *complaints; /* NULL: stderr */

void complain_to(FILE *out)
{
	complaints = out;
}

void complain(const char *format, ...)
{
	va_list ap;

	if (!complaints)
		complaints = stderr;
	fputs("mortise: ", complaints);
	va_start(ap, format);
	vfprintf(complaints, format, ap);
	va_end(ap);
	fputc('\n', complaints);
}

static int bad_name(const struct opt_walk *w, const char *name, size_t len)
{
	const char *names[32] = { "help" };
	char typed[64];
	const char *near;
	size_t n = 1;

	for (const struct opt *o = w->table; o->letter || o->name; o++) {
		if (o->name && n + 1 < ARRAY_LEN(names))
			names[n++] = o->name;
	}
	names[n] = NULL;
	snprintf(typed, sizeof(typed), "%.*s", (int)(len < 63 ? len : 63), name);
	near = word_near(typed, names);
	if (near)
		complain("%s: no option --%s; did you mean --%s?", w->verb, typed, near);
	else
		complain("%s: no option --%s; see: mortise %s --help", w->verb, typed, w->verb);
	return OPT_BAD;
}

static int long_option(struct opt_walk *w, const char *name)
{
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;

	w->next++;
	if (len == 4 && !memcmp(name, "help", 4))
		return OPT_HELP;
	for (int i = 0; w->table[i].letter || w->table[i].name; i++) {
		const struct opt *o = &w->table[i];

		if (!o->name || strlen(o->name) != len || memcmp(o->name, name, len) != 0)
			continue;
		if (!o->value && value) {
			complain("%s: --%s takes no value", w->verb, o->name);
			return OPT_BAD;
		}
		if (o->value && !value && o->value[0] != '[') {
			if (w->next >= w->argc) {
				complain("%s: --%s wants a %s: --%s=%s", w->verb, o->name, o->value,
					 o->name, o->value);
				return OPT_BAD;
			}
			value = w->argv[w->next++];
		}
		w->value = value;
		return i;
	}
	return bad_name(w, name, len);
}

/** letter_value() - The rest of "-n5", or the next argument; NULL where there is none. */
static const char *letter_value(struct opt_walk *w)
{
	const char *rest = w->letters;

	if (rest) {
		w->letters = NULL;
		w->next++;
		return rest;
	}
	return w->next < w->argc ? w->argv[w->next++] : NULL;
}

static int letter_option(struct opt_walk *w)
{
	char c = *w->letters++;

	if (!*w->letters) {
		w->letters = NULL;
		w->next++;
	}
	if (c == 'h')
		return OPT_HELP;
	for (int i = 0; w->table[i].letter || w->table[i].name; i++) {
		const struct opt *o = &w->table[i];

		if (o->letter != c)
			continue;
		if (o->value) {
			w->value = letter_value(w);
			if (!w->value) {
				complain("%s: -%c wants a %s: -%c %s", w->verb, c, o->value, c,
					 o->value);
				return OPT_BAD;
			}
		}
		return i;
	}
	complain("%s: no option -%c; see: mortise %s --help", w->verb, c, w->verb);
	return OPT_BAD;
}

int opt_next(struct opt_walk *w)
{
	const char *arg;

	w->value = NULL;
	if (w->letters)
		return letter_option(w);
	if (w->next >= w->argc)
		return OPT_END;
	arg = w->argv[w->next];
	if (arg[0] != '-' || !arg[1])
		return OPT_END;
	if (!strcmp(arg, "--")) {
		w->next++;
		return OPT_END;
	}
	if (arg[1] == '-')
		return long_option(w, arg + 2);
	w->letters = arg + 1;
	return letter_option(w);
}

bool opt_none_left(const struct opt_walk *w)
{
	if (w->next >= w->argc)
		return true;
	complain("%s: what is \"%s\"? No such argument is expected; see: mortise %s --help", w->verb,
		 w->argv[w->next], w->verb);
	return false;
}

int opt_next_name(struct opt_walk *w, const char **name)
{
	int i = opt_next(w);

	if (i != OPT_END || *name || w->next >= w->argc)
		return i;
	*name = w->argv[w->next++];
	return opt_next(w);
}

bool opt_name(const struct opt_walk *w, const char *name, const char **domain)
{
	if (!opt_none_left(w))
		return false;
	if (name && *domain && strcmp(*domain, name) != 0) {
		complain("%s: which one, \"%s\" or --domain %s?", w->verb, name, *domain);
		return false;
	}
	if (name)
		*domain = name;
	return true;
}

const char *opt_domain(const char *given)
{
	const char *env = getenv("MORTISE_DOMAIN");
	const char *name = given ? given : env && *env ? env : CTL_DOMAIN_DEFAULT;

	if (ctl_domain_valid(name))
		return name;
	complain("\"%s\"%s is no domain name: up to %d of a-z, 0-9 and '-', a letter first", name,
		 given ? "" : " in MORTISE_DOMAIN", CTL_DOMAIN_MAX);
	return NULL;
}

bool opt_number(const char *verb, const char *name, const char *value, double min, double max,
		double *ret)
{
	char *end;
	double n = strtod(value, &end);
	bool whole = min >= 1;

	/* Written so that what is no number fails, too. */
	if (end != value && !*end && n >= min && n <= max && (!whole || n == (double)(long)n)) {
		*ret = n;
		return true;
	}
	complain("%s: %s %s: %s from %.10g to %.10g is wanted", verb, name, value,
		 whole ? "a whole number" : "a number", min, max);
	return false;
}

bool opt_policy(const char *given, int *ret)
{
	static const char *const words[] = { "share", "none", "net", NULL };
	const char *env = getenv("MORTISE_POLICY");
	const char *word = given ? given : env && *env ? env : NULL;
	const char *near;

	*ret = -1;
	if (!word)
		return true;
	*ret = word_policy_find(word);
	if (*ret >= 0)
		return true;
	near = word_near(word, words);
	complain("\"%s\"%s is no policy: share (other addresses are the kernel's), none"
		 " (they are unreachable) or net (by the domain's own network)%s%s%s",
		 word, given ? "" : " in MORTISE_POLICY", near ? "; did you mean " : "",
		 near ? near : "", near ? "?" : "");
	return false;
}
