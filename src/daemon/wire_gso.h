/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_gso.h - Segments of one stream that follow each other, sent as one large
 * one that the device cuts: one system call, and one way through the other host's
 * lower layers, for all of them.
 */
#ifndef MORTISE_DAEMON_WIRE_GSO_H
#define MORTISE_DAEMON_WIRE_GSO_H

#include <sys/uio.h>

#include "engine/engine.h"

#define GSO_PIECES 128u

/**
 * struct gso - One that is being put together. Zeroed is empty.
 * @header:  Ethernet's, IP's and TCP's, of the first.
 * @size:    Data of each but the last.
 * @closed:  Nothing goes behind it.
 * @piece:   [0] is the header; the others are borrowed, as engine_piece says.
 */
struct gso {
	uint8_t header[ENGINE_HEADER_BYTES];
	size_t header_bytes, data_bytes;
	uint16_t size;
	unsigned segments, pieces;
	bool closed;
	struct iovec piece[GSO_PIECES];
};

/** gso_add() - Return: false: it does not belong behind what is there; true where that is empty. */
bool gso_add(struct gso *g, const struct engine_frame *f);

/** gso_seal() - Lengths and sums of the whole, before it is sent. */
void gso_seal(struct gso *g);

#endif
