// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "cells.h"

int cells_open(struct cells *c, const char *path, unsigned part, unsigned parts)
{
	*c = (struct cells){.part = part, .parts = parts};
	/* Several parts may write to one file at the same time: each line by one write. */
	c->file = path ? fopen(path, "a+") : NULL;
	if (path && !c->file)
		return errno;
	if (c->file)
		(void)setvbuf(c->file, NULL, _IOLBF, BUFSIZ);
	return 0;
}

void cells_close(struct cells *c)
{
	if (c->file)
		(void)fclose(c->file);
}

static bool find(struct cells *c, const char *name, double ret[CELL_VALUES])
{
	char line[200], word[100];
	bool found = false;
	double v[CELL_VALUES];

	if (!c->file)
		return false;
	rewind(c->file);
	while (!found && fgets(line, sizeof(line), c->file)) {
		if (sscanf(line, "%99s %lf %lf", word, &v[0], &v[1]) != 3 ||
		    strcmp(word, name) != 0)
			continue;
		memcpy(ret, v, sizeof(v));
		found = true;
	}
	(void)fseek(c->file, 0, SEEK_END);
	return found;
}

enum cells_fate cells_next(struct cells *c, const char *name, double ret[CELL_VALUES])
{
	/* By its number, so that parts that run side by side do not take each other's. */
	bool ours = c->asked++ % c->parts == c->part - 1;

	if (find(c, name, ret))
		return CELL_KNOWN;
	c->missing += !ours;
	return ours ? CELL_OURS : CELL_OTHERS;
}

void cells_keep(struct cells *c, const char *name, const double value[CELL_VALUES])
{
	if (c->file)
		(void)fprintf(c->file, "%s %.6f %.6f\n", name, value[0], value[1]);
}
