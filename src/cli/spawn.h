/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_CLI_SPAWN_H
#define MORTISE_CLI_SPAWN_H

#include "base/defs.h"

/**
 * spawn_read() - Run a program in a process group of its own, and read what it says.
 * @argv:    Ends with NULL; argv[0] is a path.
 * @timeout_s: Then it, and all of its group, is killed.
 * @stop:    Not 0: the same, at once. May be NULL.
 * @ret:     Standard output and error, cut off at @size - 1 bytes.
 * Return: The exit status; 128 + the signal that ended it; -errno.
 */
int spawn_read(const char *const *argv, double timeout_s, const volatile int *stop, char *ret,
	       size_t size);

#endif
