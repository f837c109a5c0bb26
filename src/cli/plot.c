// SPDX-License-Identifier: BSD-2-Clause
#include <math.h>
#include <string.h>

#include "cli/plot.h"

/* Pixels. A chart's frame is [LEFT, WIDTH - RIGHT] by FRAME_HEIGHT. */
enum {
	WIDTH = 760,
	HEAD = 44,
	CHART_HEIGHT = 390,
	FRAME_TOP = 40,
	FRAME_HEIGHT = 250,
	LEFT = 78,
	RIGHT = 24,
	FOOT = 42,
	LEGEND_ROW = 18,
	LEGEND_COLUMNS = 3,
};

/* Of about the same distance from white and from black. */
#define GREY "#767676"

static void escaped(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			fputs("&lt;", out);
		else if (*s == '>')
			fputs("&gt;", out);
		else if (*s == '&')
			fputs("&amp;", out);
		else
			fputc((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e ? '?' : *s, out);
	}
}

static void text(FILE *out, double x, double y, const char *anchor, const char *more, const char *s)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more);
	escaped(out, s);
	fputs("</text>\n", out);
}

static void segment(FILE *out, double x1, double y1, double x2, double y2, const char *more)
{
	fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2,
		more);
}

double plot_scale(double v, bool up)
{
	static const double steps[] = { 1, 2, 5, 10 };
	double power = pow(10, floor(log10(v)));
	double ret = power;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		double s = steps[i] * power;

		/* A little slack: 0.1 and its like are no binary numbers. */
		if (up && s >= v * (1 - 1e-9))
			return s;
		if (!up && s <= v * (1 + 1e-9))
			ret = s;
	}
	return ret;
}

void plot_number(double v, char *ret, size_t size)
{
	if (v >= 999999.5)
		snprintf(ret, size, "%.3gM", v / 1e6);
	else if (v >= 9999.5)
		snprintf(ret, size, "%.3gk", v / 1e3);
	else
		snprintf(ret, size, "%.4g", v);
}

/** struct frame - How values become pixels. @low, @high: The scale's ends. */
struct frame {
	double top, low, high;
	unsigned places;
};

static double at_x(const struct frame *f, unsigned place)
{
	double step = (double)(WIDTH - LEFT - RIGHT) / f->places;

	return LEFT + step * (place + 0.5);
}

static double at_y(const struct frame *f, double v)
{
	double part = (log10(v) - log10(f->low)) / (log10(f->high) - log10(f->low));

	return f->top + FRAME_HEIGHT * (1 - part);
}

/** find_scale() - Room for all points and their spreads. */
static void find_scale(const struct plot_chart *c, struct frame *f)
{
	double least = INFINITY, greatest = 0;

	for (unsigned l = 0; l < c->line_count; l++) {
		for (unsigned p = 0; p < c->place_count; p++) {
			const struct plot_line *line = &c->lines[l];

			if (isnan(line->y[p]))
				continue;
			least = fmin(least, fmin(line->y[p], line->least[p]));
			greatest = fmax(greatest, fmax(line->y[p], line->greatest[p]));
		}
	}
	if (!(least > 0) || isinf(least) || !(greatest > 0)) {
		least = 1;
		greatest = 10;
	}
	f->low = plot_scale(least, false);
	f->high = plot_scale(greatest, true);
	if (f->high < 9.99 * f->low) /* at least one decade */
		f->high = 10 * f->low;
}

static void draw_grid(FILE *out, const struct plot_chart *c, const struct frame *f)
{
	double bottom = f->top + FRAME_HEIGHT, decades = log10(f->high / f->low);
	char label[32];

	for (double v = f->low; v <= f->high * (1 + 1e-9);) {
		double y = at_y(f, v);
		bool whole = fabs(log10(v) - round(log10(v))) < 1e-6;

		segment(out, LEFT, y, WIDTH - RIGHT, y,
			whole ? "stroke=\"" GREY "\" stroke-opacity=\"0.45\""
			      : "stroke=\"" GREY "\" stroke-opacity=\"0.2\"");
		if (whole || decades < 4) {
			plot_number(v, label, sizeof(label));
			text(out, LEFT - 8, y + 4, "end", "", label);
		}
		v = plot_scale(v * 1.5, true);
	}
	for (unsigned p = 0; p < c->place_count; p++) {
		double x = at_x(f, p);

		segment(out, x, bottom, x, bottom + 5, "stroke=\"" GREY "\"");
		text(out, x, bottom + 20, "middle", "", c->places[p]);
	}
	fprintf(out,
		"<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"" GREY
		"\"/>\n",
		LEFT, f->top, WIDTH - LEFT - RIGHT, FRAME_HEIGHT);
	text(out, (LEFT + WIDTH - RIGHT) / 2.0, bottom + 40, "middle", "", c->x_label);
	fprintf(out, "<text transform=\"translate(20 %.1f) rotate(-90)\" text-anchor=\"middle\">",
		f->top + FRAME_HEIGHT / 2.0);
	escaped(out, c->y_label);
	fputs("</text>\n", out);
}

static void stroke(char *ret, size_t size, const struct plot_line *l, double width)
{
	snprintf(ret, size, "stroke=\"%s\" stroke-width=\"%.1f\"%s%s%s", l->colour, width,
		 l->dash ? " stroke-dasharray=\"" : "", l->dash ? l->dash : "", l->dash ? "\"" : "");
}

static void draw_line(FILE *out, const struct plot_chart *c, const struct frame *f,
		      const struct plot_line *l)
{
	const char *word = "M";
	char how[128];

	stroke(how, sizeof(how), l, l->marks ? 2.2 : 1.6);
	fprintf(out, "<path fill=\"none\" %s d=\"", how);
	for (unsigned p = 0; p < c->place_count; p++) {
		if (isnan(l->y[p])) {
			word = "M";
			continue;
		}
		fprintf(out, "%s%.1f %.1f", word, at_x(f, p), at_y(f, l->y[p]));
		word = "L";
	}
	fputs("\"/>\n", out);
	for (unsigned p = 0; p < c->place_count && l->marks; p++) {
		double x = at_x(f, p);

		if (isnan(l->y[p]))
			continue;
		if (l->greatest[p] > l->least[p]) {
			snprintf(how, sizeof(how), "stroke=\"%s\" stroke-opacity=\"0.6\"", l->colour);
			segment(out, x, at_y(f, l->least[p]), x, at_y(f, l->greatest[p]), how);
		}
		fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", x,
			at_y(f, l->y[p]), l->colour);
	}
}

static void draw_legend(FILE *out, const struct plot_chart *c, double top)
{
	double column = (double)(WIDTH - LEFT - RIGHT) / LEGEND_COLUMNS;
	char how[128];

	for (unsigned i = 0; i < c->line_count; i++) {
		const struct plot_line *l = &c->lines[i];
		double x = LEFT + column * (i % LEGEND_COLUMNS);
		double y = top + LEGEND_ROW * (double)(i / LEGEND_COLUMNS); /* NOLINT: rows */

		stroke(how, sizeof(how), l, l->marks ? 2.2 : 1.6);
		segment(out, x, y - 4, x + 26, y - 4, how);
		if (l->marks)
			fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
				x + 13, y - 4, l->colour);
		text(out, x + 32, y, "start", "", l->name);
	}
}

static void draw_chart(FILE *out, const struct plot_chart *c, double top)
{
	struct frame f = { .top = top + FRAME_TOP, .places = c->place_count ? c->place_count : 1 };

	find_scale(c, &f);
	text(out, LEFT, top + 24, "start", " font-size=\"15\" font-weight=\"bold\"", c->title);
	draw_grid(out, c, &f);
	for (unsigned i = 0; i < c->line_count; i++)
		draw_line(out, c, &f, &c->lines[i]);
	draw_legend(out, c, f.top + FRAME_HEIGHT + 64);
}

void plot_svg(FILE *out, const char *title, const char *const notes[2],
	      const struct plot_chart *charts, unsigned count)
{
	int height = HEAD + CHART_HEIGHT * (int)count + FOOT;

	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" role=\"img\" font-family=\"DejaVu Sans, Verdana, sans-serif\" "
		"font-size=\"12\" fill=\"" GREY "\">\n<title>",
		WIDTH, height, WIDTH, height);
	escaped(out, title);
	fputs("</title>\n", out);
	text(out, LEFT, 30, "start", " font-size=\"18\" font-weight=\"bold\"", title);
	for (unsigned i = 0; i < count; i++)
		draw_chart(out, &charts[i], HEAD + CHART_HEIGHT * (double)i);
	for (int i = 0; i < 2; i++)
		text(out, LEFT, height - 28 + 15.0 * i, "start", " font-size=\"11\"", notes[i]);
	fputs("</svg>\n", out);
}
