/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cells.h - Results of long runs, cell by cell, in a file: what is there need not be run again.
 */
#ifndef MORTISE_TESTS_SIM_CELLS_H
#define MORTISE_TESTS_SIM_CELLS_H

#include <stdio.h>

#include "base/defs.h"

#define CELL_VALUES 2u

/**
 * struct cells - @part, @parts: which of them to run here, from 1 on.
 * @file: Lines of name and values; NULL: nothing is kept.
 * @asked: Cells up to now. @missing: Of those, without a result, and left to other parts.
 */
struct cells {
	FILE *file;
	unsigned part, parts, asked, missing;
};

/** cells_open() - @path: NULL: nothing is kept. Return: 0, or an errno. */
int cells_open(struct cells *c, const char *path, unsigned part, unsigned parts);
void cells_close(struct cells *c);

enum cells_fate { CELL_KNOWN, CELL_OURS, CELL_OTHERS };

/**
 * cells_next() - The next cell, of this name. They are asked for in the same order each time.
 * @ret: What the file has, where it is known.
 *
 * Return: CELL_KNOWN; CELL_OURS: to be run here; CELL_OTHERS: by another part.
 */
enum cells_fate cells_next(struct cells *c, const char *name, double ret[CELL_VALUES]);

/** cells_keep() - It was run. */
void cells_keep(struct cells *c, const char *name, const double value[CELL_VALUES]);

#endif
