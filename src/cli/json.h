/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_CLI_JSON_H
#define MORTISE_CLI_JSON_H

#include <stdio.h>

/**
 * json_string() - Write a string in quotes.
 * @s: NULL writes null. Bytes that are not ASCII, of which a process name may
 *     have any, become '?': so the output is UTF-8 whatever they are.
 */
void json_string(FILE *out, const char *s);

#endif
