/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.h - The domain's own network: the engine between a device and the
 * programs' connections. docs/wire.md has the whole.
 */
#ifndef MORTISE_DAEMON_WIRE_H
#define MORTISE_DAEMON_WIRE_H

#include "daemon/daemon.h"

/** wire_start() - Begin it, on the table's device. Return: 0, or -errno, which is logged. */
int wire_start(struct daemon *d);

/** wire_event() - The device has frames, or the bell was rung. */
void wire_event(struct daemon *d, enum watch what);

/**
 * wire_prepare() - About to sleep.
 * Return: for how long at most, in milliseconds; 0 where there is work, -1: there is no wire.
 */
int wire_prepare(struct daemon *d);

/** wire_woken() - A turn: frames in, programs' bytes both ways, frames out. */
void wire_woken(struct daemon *d);

void wire_tick(struct daemon *d);

/** wire_is_party() - Is it the wire's own? */
bool wire_is_party(const struct daemon *d, unsigned id);

/** wire_leave() - The domain ends: connections are reset. */
void wire_leave(struct daemon *d);

/**
 * wire_listeners() - The registry's listeners, or receivers of datagrams, of the port that @at has
 * have changed: let the network reach those
 * that are there now.
 * Return: 0, or -errno where it cannot: -EADDRINUSE, -ENFILE.
 */
int wire_listeners(struct daemon *d, addr_word at);

/** wire_rows() - CTL_NET: all rows, and the last. Return: how many, or -errno. */
int wire_rows(struct daemon *d, uint32_t seq, uint32_t what, struct ctl_msg **ret);

/** wire_info() - Of the connection with the wire's half @slot: what its TCP knows, into a row of
 * CTL_LIST. */
void wire_info(const struct daemon *d, unsigned slot, struct ctl_msg *m);

/** wire_info_of() - The same, of generation @gen of that half, once what its program has done
 * until now has come to its TCP. */
void wire_info_of(struct daemon *d, unsigned slot, uint32_t gen, struct ctl_msg *m);

/** wire_ping() - CTL_PING; the answer follows when there is one. Return: 0 or a positive errno. */
int wire_ping(struct daemon *d, unsigned id, const struct ctl_msg *m);

#endif
