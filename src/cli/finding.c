// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <string.h>

#include "cli/color.h"
#include "cli/finding.h"
#include "cli/json.h"

struct finding *finding_add(struct findings *f, const char *topic, const char *id,
			    enum finding_level level, const char *format, ...)
{
	static struct finding dropped;
	struct finding *at = f->count < FINDINGS_MAX ? &f->at[f->count++] : &dropped;
	va_list ap;

	*at = (struct finding){ .topic = topic, .id = id, .level = level };
	va_start(ap, format);
	vsnprintf(at->text, sizeof(at->text), format, ap);
	va_end(ap);
	return at;
}

void finding_remedy(struct findings *f, const char *format, ...)
{
	struct finding *at = &f->at[f->count - 1];
	va_list ap;

	va_start(ap, format);
	vsnprintf(at->remedy, sizeof(at->remedy), format, ap);
	va_end(ap);
}

enum finding_level findings_worst(const struct findings *f, const char *topic)
{
	enum finding_level worst = FINDING_OK;

	for (unsigned i = 0; i < f->count; i++) {
		if ((!topic || !strcmp(topic, f->at[i].topic)) && f->at[i].level > worst)
			worst = f->at[i].level;
	}
	return worst;
}

static const char *verdict(enum finding_level worst, bool program)
{
	static const char *const words[2][3] = {
		{ "this host can accelerate programs",
		  "this host can accelerate programs, with the limits above",
		  "this host cannot accelerate programs" },
		{ "will be accelerated", "will be accelerated, with the limits above",
		  "will not be accelerated" },
	};

	return words[program][worst];
}

/** put_safely() - A file's name may hold anything; no control character is written. */
static void put_safely(FILE *out, const char *s)
{
	for (; *s; s++)
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, out);
}

void findings_text(FILE *out, const struct findings *f, const char *program, bool color)
{
	static const char *const words[] = { "ok", "limit", "bad" };
	static const enum color colors[] = { COLOR_GOOD, COLOR_WARN, COLOR_BAD };
	enum finding_level worst = findings_worst(f, NULL);
	const char *topic = "";

	for (unsigned i = 0; i < f->count; i++) {
		const struct finding *at = &f->at[i];

		if (strcmp(topic, at->topic) != 0) {
			topic = at->topic;
			color_begin(out, color, COLOR_HEAD);
			fputs(topic, out);
			color_end(out, color, COLOR_HEAD);
			fputc('\n', out);
		}
		fputs("  ", out);
		color_begin(out, color, colors[at->level]);
		fprintf(out, "%-6s", words[at->level]);
		color_end(out, color, colors[at->level]);
		put_safely(out, at->text);
		fputc('\n', out);
		if (*at->remedy) {
			fputs("        -> ", out);
			put_safely(out, at->remedy);
			fputc('\n', out);
		}
	}
	fputc('\n', out);
	if (program) {
		put_safely(out, program);
		fputc(' ', out);
	}
	color_begin(out, color, colors[worst]);
	fputs(verdict(worst, program != NULL), out);
	color_end(out, color, colors[worst]);
	fputs(".\n", out);
}

void findings_json(FILE *out, const struct findings *f, const char *program)
{
	static const char *const words[] = { "ok", "limit", "bad" };
	enum finding_level worst = findings_worst(f, NULL);

	fputs("{\"program\":", out);
	json_string(out, program);
	fprintf(out, ",\"verdict\":\"%s\",\"status\":%d,\"findings\":[", words[worst], (int)worst);
	for (unsigned i = 0; i < f->count; i++) {
		const struct finding *at = &f->at[i];

		fprintf(out, "%s\n{\"topic\":\"%s\",\"id\":\"%s\",\"level\":\"%s\",\"text\":",
			i ? "," : "", at->topic, at->id, words[at->level]);
		json_string(out, at->text);
		fputs(",\"remedy\":", out);
		json_string(out, *at->remedy ? at->remedy : NULL);
		fputc('}', out);
	}
	fputs(f->count ? "\n]}\n" : "]}\n", out);
}
