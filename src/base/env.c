/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/env.h"

#define ENV_BYTES 4096u /* of one value; a longer one is not remembered */

static struct kept {
	const char *name;
	char value[ENV_BYTES];
	bool set;
} kept[] = {
	{ .name = "MORTISE_DIR" },
	{ .name = "MORTISED" },
	{ .name = "MORTISE_EXCLUDE" },
	{ .name = "XDG_RUNTIME_DIR" },
};

static bool kept_all;

void env_keep(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(kept); i++) {
		const char *value = getenv(kept[i].name);

		kept[i].set = value && strlen(value) < ENV_BYTES;
		if (kept[i].set)
			strcpy(kept[i].value, value);
	}
	kept_all = true;
}

const char *env_get(const char *name)
{
	for (unsigned i = 0; kept_all && i < ARRAY_LEN(kept); i++)
		if (strcmp(kept[i].name, name) == 0)
			return kept[i].set ? kept[i].value : NULL;
	return getenv(name);
}
