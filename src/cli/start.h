/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_CLI_START_H
#define MORTISE_CLI_START_H

#include "base/defs.h"

/**
 * start_daemon() - See that the domain's daemon runs, with the policy asked for.
 * @verb:   For messages.
 * @policy: enum policy, or -1 for whichever it has; of a new one: share.
 * @more:   Arguments of a new one, as for ctl_start(); one that runs must not, then. May be NULL.
 * @ret_was: Set on success: it ran already. May be NULL.
 * Return: The policy it has, or -1 with a message.
 */
int start_daemon(const char *verb, const char *domain, int policy, const char *const *more,
		 bool *ret_was);

#endif
