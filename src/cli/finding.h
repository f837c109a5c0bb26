/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finding.h - What `mortise doctor` found: a list, in words, each with a remedy
 * where there is something to remedy.
 */
#ifndef MORTISE_CLI_FINDING_H
#define MORTISE_CLI_FINDING_H

#include <stdio.h>

#include "base/defs.h"

/** In the order of how bad it is; also doctor's exit status. */
enum finding_level { FINDING_OK, FINDING_LIMIT, FINDING_BAD };

/**
 * struct finding - One.
 * @topic: What it is about: "program", "limits" ...
 * @id:    For scripts; fixed, as docs say it.
 * @remedy: "": none.
 */
struct finding {
	const char *topic, *id;
	enum finding_level level;
	char text[512];
	char remedy[512];
};

enum { FINDINGS_MAX = 64 };

/** struct findings - All of them, in order. Those beyond FINDINGS_MAX are dropped. */
struct findings {
	struct finding at[FINDINGS_MAX];
	unsigned count;
};

/** finding_add() - @format makes the text. */
__attribute__((format(printf, 5, 6))) struct finding *
finding_add(struct findings *f, const char *topic, const char *id, enum finding_level level,
	    const char *format, ...);

/** finding_remedy() - What to do about the one that was added last. */
__attribute__((format(printf, 2, 3))) void finding_remedy(struct findings *f, const char *format,
							   ...);

/** findings_worst() - Of @topic, or of all where it is NULL. */
enum finding_level findings_worst(const struct findings *f, const char *topic);

/** findings_text(), findings_json() - @program: what was examined, or NULL: the host alone. */
void findings_text(FILE *out, const struct findings *f, const char *program, bool color);
void findings_json(FILE *out, const struct findings *f, const char *program);

#endif
