/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor.h - What `mortise doctor` looks at. Nothing here changes anything: no
 * directory is made, no daemon started.
 */
#ifndef MORTISE_CLI_DOCTOR_H
#define MORTISE_CLI_DOCTOR_H

#include "cli/finding.h"

/**
 * doctor_program() - Which path a program will take. "#!" is followed to the
 * interpreter, and /usr/bin/env to what it starts.
 * @name: As given to `mortise run`.
 * Return: 0; -ENOENT or -EACCES where `mortise run` could not execute it:
 *         nothing is found then.
 */
int doctor_program(struct findings *f, const char *name);

/** doctor_find() - What execvp() would execute. Return: false where there is nothing. */
bool doctor_find(const char *name, char *ret, size_t size);

/** doctor_installation() - The parts that `mortise run` needs, and settings. */
void doctor_installation(struct findings *f);

/** doctor_environment() - LD_PRELOAD, and variables that look like ours. */
void doctor_environment(struct findings *f);

/** doctor_kernel() - Features that are used. */
void doctor_kernel(struct findings *f);

/** doctor_limits() - What ulimit says. */
void doctor_limits(struct findings *f);

/**
 * doctor_directory() - The folder of the domains, and what is in it.
 * @base: Of config_effective(). @domain: The one that would be used.
 */
void doctor_directory(struct findings *f, const char *base, const char *domain);

#endif
