/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.h - A reply of many records, while it is put together.
 */
#ifndef MORTISE_DAEMON_ROWS_H
#define MORTISE_DAEMON_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/proto.h"

/**
 * struct rows
 * @m:      malloc()ed; whoever asked frees them.
 * @room:   For so many.
 * @seq:    Of the request.
 * @type:   Likewise.
 * @failed: A row is missing: there was no memory.
 */
struct rows {
	struct ctl_msg *m;
	size_t count, room;
	uint32_t seq;
	uint16_t type;
	bool failed;
};

/** rows_add() - Another one, zeroed behind its header. Return: NULL: no memory. */
struct ctl_msg *rows_add(struct rows *rows);

#endif
