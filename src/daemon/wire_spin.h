/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_spin.h - Looking for more before a sleep: a wake-up across CPUs takes
 * longer than most answers do.
 */
#ifndef MORTISE_DAEMON_WIRE_SPIN_H
#define MORTISE_DAEMON_WIRE_SPIN_H

#include "daemon/wire_conn.h"

/** wire_spin_init() - For as long as MORTISE_SPIN_US says, as in programs. */
void wire_spin_init(struct wire *w);

/**
 * wire_spin() - Look for frames and hints for a while, by turns with whoever wants this CPU.
 *
 * Return: there is something to do.
 */
bool wire_spin(struct wire *w);

#endif
