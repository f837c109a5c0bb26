/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * color.h - Whether the command's output has colours, and which.
 */
#ifndef MORTISE_CLI_COLOR_H
#define MORTISE_CLI_COLOR_H

#include <stdio.h>

#include "base/defs.h"

enum color { COLOR_NONE, COLOR_HEAD, COLOR_GOOD, COLOR_WARN, COLOR_BAD };

/**
 * color_wanted() - "auto" is: @out is a terminal that can, and NO_COLOR is not set.
 * @when: "auto", "always" or "never"; NULL: $MORTISE_COLOR, else auto.
 * Return: 0 or 1; -1, with a message, where @when is none of these.
 */
int color_wanted(FILE *out, const char *when);

/** color_begin(), color_end() - Around what is written; nothing without @on. */
void color_begin(FILE *out, bool on, enum color c);
void color_end(FILE *out, bool on, enum color c);

#endif
