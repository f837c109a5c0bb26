/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - Socket options of Linux, in the engine's. */
#ifndef MORTISE_TESTS_PACKETDRILL_OPTIONS_H
#define MORTISE_TESTS_PACKETDRILL_OPTIONS_H

#include <sys/socket.h>

#include "fds.h"

/** options_set(), options_get() - As the system calls. Return: 0, negative errno. */
int options_set(struct fd *f, int level, int name, const void *value, socklen_t bytes);
int options_get(struct fd *f, int level, int name, void *value, socklen_t *bytes);

/** options_start() - What the script's sysctls say a new stream has. */
void options_start(struct fd *f);

#endif
