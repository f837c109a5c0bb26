/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.h - `mortise top` on a terminal.
 */
#ifndef MORTISE_CLI_TOP_H
#define MORTISE_CLI_TOP_H

#include "cli/top_table.h"

/**
 * struct top_opts - The command line.
 * @count:      Samples to show; 0: until it is ended.
 * @interval_s: Between two.
 */
struct top_opts {
	const char *domain;
	unsigned long count;
	double interval_s;
	enum top_view view;
	enum top_column sort;
	bool descending;
	const char *filter;
};

/**
 * top_screen() - Show it on the terminal, until a key ends it.
 * Return: The exit status, with a message where it is not 0.
 */
int top_screen(const struct top_opts *o);

#endif
