// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "cli/ask.h"
#include "cli/domain_verb.h"
#include "cli/verbs.h"

/** word_taken() - Return: False, with a message, where it is none of @words. */
static bool word_taken(const char *verb, const char *word, const char *const *words)
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	if (*words)
		return true;
	complain("%s: what is \"%s\"? It shows, and changes nothing; see: mortise %s --help", verb,
		 word, verb);
	return false;
}

int domain_verb_read(struct opt_walk *w, const char *const *words, struct domain_verb *ret)
{
	struct domain_verb v = {0};
	const char *word = NULL;
	int i;

	while ((i = opt_next_name(w, &word)) >= 0) {
		v.given |= 1u << i;
		if (w->value)
			v.domain = w->value;
	}
	if (i == OPT_HELP)
		return verb_help(w->verb);
	if (i == OPT_BAD || (words && word && !word_taken(w->verb, word, words)) ||
	    !opt_name(w, words ? NULL : word, &v.domain))
		return EXIT_USAGE;
	v.domain = opt_domain(v.domain);
	if (!v.domain)
		return EXIT_USAGE;
	*ret = v;
	return -1;
}

int domain_verb_open(struct opt_walk *w, const char *const *words, struct domain_verb *ret,
		     int *ret_fd)
{
	int status = domain_verb_read(w, words, ret);

	if (status >= 0)
		return status;
	status = ask_open(ret->domain, ret_fd);
	return status ? status : -1;
}
