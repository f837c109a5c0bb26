/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_frames.h - Frames between the device and the engine.
 */
#ifndef MORTISE_DAEMON_WIRE_FRAMES_H
#define MORTISE_DAEMON_WIRE_FRAMES_H

#include "daemon/wire_conn.h"

/** wire_frames_in() - A bounded number of those that the device has. Return: how many. */
unsigned wire_frames_in(struct wire *w);

/** wire_frames_out() - A bounded number of those that the engine has. Return: there may be more. */
bool wire_frames_out(struct wire *w);

#endif
