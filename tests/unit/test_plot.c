// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/plot.h"

static void plot_scale__round_numbers(void **state)
{
	static const struct {
		double v, down, up;
	} cases[] = {
		{ 1, 1, 1 },	   { 1.1, 1, 2 },     { 3, 2, 5 },	{ 7, 5, 10 },
		{ 0.05, 0.05, 0.05 }, { 0.3, 0.2, 0.5 }, { 999, 500, 1000 }, { 1000, 1000, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(fabs(plot_scale(cases[i].v, false) / cases[i].down - 1) < 1e-9);
		assert_true(fabs(plot_scale(cases[i].v, true) / cases[i].up - 1) < 1e-9);
	}
}

static void plot_number__short(void **state)
{
	static const struct {
		double v;
		const char *text;
	} cases[] = { { 0.05, "0.05" }, { 1, "1" },	  { 5000, "5000" },
		      { 20000, "20k" }, { 1e6, "1M" }, { 2.5e6, "2.5M" } };
	char text[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		plot_number(cases[i].v, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static char *svg(const struct plot_chart *c)
{
	static const char *const notes[2] = { "one", "a < b & c" };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	plot_svg(f, "title", notes, c, 1);
	fclose(f);
	return text;
}

static void plot_svg__a_gap_is_a_gap(void **state)
{
	struct plot_chart c = {
		.title = "chart", .x_label = "x", .y_label = "y",
		.places = { "p", "q", "r", "s" }, .place_count = 4, .line_count = 1,
		.lines = { { .name = "l", .colour = "#123456", .marks = true,
			     .y = { 1, NAN, 10, 100 }, .least = { 1, NAN, 10, 50 },
			     .greatest = { 1, NAN, 10, 100 } } },
	};
	char *text = svg(&c);
	unsigned circles = 0;

	(void)state;
	for (const char *p = text; (p = strstr(p, "<circle")); p++)
		circles++;
	assert_int_equal(circles, 3 + 1); /* and one in the legend */
	/* Two pieces: from the first point on, and from the third to the fourth. */
	assert_non_null(strstr(text, "d=\"M160.2 334.0M489.2 209.0L653.8 84.0\""));
	assert_non_null(strstr(text, ">a &lt; b &amp; c</text>"));
	assert_null(strstr(text, "nan"));
	free(text);
}

static void plot_svg__without_points(void **state)
{
	struct plot_chart c = { .title = "chart", .x_label = "x", .y_label = "y",
				.places = { "p" }, .place_count = 1 };
	char *text = svg(&c);

	(void)state;
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
	assert_non_null(strstr(text, "</svg>"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plot_scale__round_numbers),
		cmocka_unit_test(plot_number__short),
		cmocka_unit_test(plot_svg__a_gap_is_a_gap),
		cmocka_unit_test(plot_svg__without_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
