/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_capture.h - Frames of the domain's network into a pcapng file, each with
 * the process whose socket it is of.
 */
#ifndef MORTISE_DAEMON_WIRE_CAPTURE_H
#define MORTISE_DAEMON_WIRE_CAPTURE_H

#include <sys/uio.h>

#include "daemon/wire_conn.h"

/** wire_capture_open() - @fd: Of a file, which has the sections of earlier daemons in it; -1:
 * nothing is captured. */
void wire_capture_open(struct wire *w, int fd);

/** wire_capture() - A frame, that came or that is sent; its checksum is completed in the file. */
void wire_capture(struct wire *w, bool out, const struct iovec *piece, unsigned count,
		  const struct engine_offload *o);

/** wire_capture_flush() - What was captured is in the file. */
void wire_capture_flush(struct wire *w);

#endif
