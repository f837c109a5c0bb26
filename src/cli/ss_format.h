/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ss_format.h - Rows of `mortise ss`, written as a table, as JSON, or as sums.
 */
#ifndef MORTISE_CLI_SS_FORMAT_H
#define MORTISE_CLI_SS_FORMAT_H

#include <stdio.h>

#include "cli/ss_row.h"

/** ss_table() - As ss: -e behind each row; -m and -i on a line below it. */
void ss_table(FILE *out, const struct ss_row *rows, size_t n, const struct ss_show *show);

/** ss_json() - All that is known of each; @show->processes adds who holds it. */
void ss_json(FILE *out, const char *domain, const struct ss_row *rows, size_t n,
	     const struct ss_show *show);

/** ss_summary() - Of all rows: how many of each kind, in which state, why the kernel's. */
void ss_summary(FILE *out, const char *domain, const struct ss_row *rows, size_t n);
void ss_summary_json(FILE *out, const char *domain, const struct ss_row *rows, size_t n);

#endif
