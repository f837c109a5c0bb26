/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.h - Frames into a pcapng file, with their virtual times.
 */
#ifndef MORTISE_TESTS_SIM_PCAPNG_H
#define MORTISE_TESTS_SIM_PCAPNG_H

#include <stdio.h>

#include "base/defs.h"

/** pcapng_open() - A file for @interfaces Ethernets. NULL, errno: it cannot be written. */
FILE *pcapng_open(const char *path, unsigned interfaces);

/** pcapng_frame() - @comment: NULL: none. */
void pcapng_frame(FILE *f, unsigned interface, uint64_t time_ns, const void *frame, size_t bytes,
		  const char *comment);

#endif
