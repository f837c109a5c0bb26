/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - Local ports of connectors, leased from the daemon in blocks.
 */
#ifndef MORTISE_POSIX_PORTS_H
#define MORTISE_POSIX_PORTS_H

#include "base/defs.h"

/** port_take() - A port that no other connection of this process has, or 0. */
uint16_t port_take(void);
void port_give(uint16_t port);
void port_fork_child(void);

#endif
