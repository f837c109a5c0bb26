/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plot.h - Charts as SVG: lines over named places, a logarithmic scale upwards.
 */
#ifndef MORTISE_CLI_PLOT_H
#define MORTISE_CLI_PLOT_H

#include <stdio.h>

#include "base/defs.h"

enum { PLOT_POINTS_MAX = 16, PLOT_LINES_MAX = 8 };

/**
 * struct plot_line - One line.
 * @y:       By place; NaN: no point there. Greater than 0.
 * @least, @greatest: The spread at each place; equal to @y where there is none.
 * @colour:  As SVG has it. @dash: stroke-dasharray, or NULL.
 * @marks:   A dot at each point.
 */
struct plot_line {
	const char *name, *colour, *dash;
	bool marks;
	double y[PLOT_POINTS_MAX], least[PLOT_POINTS_MAX], greatest[PLOT_POINTS_MAX];
};

/**
 * struct plot_chart - One chart.
 * @places:  Names along the axis, @place_count of them, at equal distances.
 * @x_label, @y_label: What the axes show, with the unit.
 */
struct plot_chart {
	const char *title, *x_label, *y_label;
	const char *places[PLOT_POINTS_MAX];
	unsigned place_count;
	struct plot_line lines[PLOT_LINES_MAX];
	unsigned line_count;
};

/**
 * plot_svg() - Write the charts, one below the other.
 * @title: Of all; also what a reader that does not see is told.
 * @notes: Lines at the foot, two.
 *
 * It has no background of its own, and colours that are read on light and dark.
 */
void plot_svg(FILE *out, const char *title, const char *const notes[2],
	      const struct plot_chart *charts, unsigned count);

/** plot_scale() - 1, 2 or 5 times a power of ten, not above @v (or not below, @up). */
double plot_scale(double v, bool up);

/** plot_number() - "0.05", "1", "20", "5k", "2M". */
void plot_number(double v, char *ret, size_t size);

#endif
