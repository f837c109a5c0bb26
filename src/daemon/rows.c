/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "ctl/client.h"
#include "daemon/rows.h"

#define FIRST_ROOM 64

struct ctl_msg *rows_add(struct rows *rows)
{
	uint16_t type = rows->type | CTL_REPLY;
	struct ctl_msg *m;

	if (rows->count == rows->room) {
		size_t room = rows->room ? rows->room * 2 : FIRST_ROOM;
		void *bigger = reallocarray(rows->m, room, sizeof(*m));

		if (!bigger) {
			rows->failed = true;
			return NULL;
		}
		rows->m = bigger;
		rows->room = room;
	}
	m = &rows->m[rows->count++];
	*m = (struct ctl_msg){ .version = CTL_VERSION,
			       .type = type,
			       .len = ctl_bytes(type),
			       .seq = rows->seq };
	return m;
}
