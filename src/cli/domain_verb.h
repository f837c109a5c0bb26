/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domain_verb.h - How a verb begins that asks a domain's daemon: --domain, flags, a word.
 */
#ifndef MORTISE_CLI_DOMAIN_VERB_H
#define MORTISE_CLI_DOMAIN_VERB_H

#include "cli/opt.h"

/** struct domain_verb - @given: Bit i: option i of the table. @domain: A valid name. */
struct domain_verb {
	uint32_t given;
	const char *domain;
};

/**
 * domain_verb_read() - All its arguments.
 * @w:     At the beginning. Of the table's options, --domain alone has a value.
 * @words: The words that it takes besides, as `ip route show` does, with NULL behind them;
 *         NULL: a word is the domain's name.
 * Return: -1; or the exit status, with all said.
 */
int domain_verb_read(struct opt_walk *w, const char *const *words, struct domain_verb *ret);

/** domain_verb_open() - The same, and a connection to the domain's daemon. */
int domain_verb_open(struct opt_walk *w, const char *const *words, struct domain_verb *ret,
		     int *ret_fd);

#endif
