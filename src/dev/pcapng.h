/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.h - Frames into a pcapng file, with their times and perhaps a comment.
 */
#ifndef MORTISE_DEV_PCAPNG_H
#define MORTISE_DEV_PCAPNG_H

#include <stdio.h>

#include "base/defs.h"

/** pcapng_open() - A file for @interfaces Ethernets. NULL, errno: it cannot be written. */
FILE *pcapng_open(const char *path, unsigned interfaces);

/** pcapng_section() - Begin one, in a file that is open: at its beginning, or behind others. */
void pcapng_section(FILE *f, unsigned interfaces);

/** pcapng_frame() - @comment: NULL: none. */
void pcapng_frame(FILE *f, unsigned interface, uint64_t time_ns, const void *frame, size_t bytes,
		  const char *comment);

#endif
