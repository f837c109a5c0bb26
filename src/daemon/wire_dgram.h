/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_dgram.h - Datagrams between programs and the network.
 */
#ifndef MORTISE_DAEMON_WIRE_DGRAM_H
#define MORTISE_DAEMON_WIRE_DGRAM_H

#include "daemon/wire_conn.h"

/** wire_dgram_open() - The halves that programs send to, in slots that follow each other. Return: the
 * first one's name, or 0. */
half_ref wire_dgram_open(struct wire *w, unsigned *ret_count);

/** wire_dgram_out() - What programs have sent, some of it. Return: whether there may be more. */
bool wire_dgram_out(struct wire *w);

/** wire_dgram_in() - What has come for the addresses of @l. */
void wire_dgram_in(struct wire *w, struct wire_listener *l);

/** wire_dgram_sweep() - Channels whose sockets are gone are closed. */
void wire_dgram_sweep(struct wire *w);

#endif
