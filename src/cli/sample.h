/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.h - A domain at one moment: what the daemon counts, and all sockets.
 */
#ifndef MORTISE_CLI_SAMPLE_H
#define MORTISE_CLI_SAMPLE_H

#include "cli/ss_format.h"

/**
 * struct sample - One answer of the daemon's.
 * @at_ns:  CLOCK_MONOTONIC, when it was asked.
 * @status: CTL_STATUS reply.
 * @rows:   @count sockets of all kinds; sample_free() frees them.
 */
struct sample {
	uint64_t at_ns;
	struct ctl_msg status;
	struct ss_row *rows;
	size_t count;
};

/**
 * sample_take() - Ask the domain's daemon.
 * @quiet: No message where no daemon runs.
 * @ret:   Set on success; free it.
 * Return: 0; EXIT_NO_DAEMON where none runs, EXIT_FAILURE for what else went
 *         wrong, with a message.
 */
int sample_take(const char *domain, bool quiet, struct sample *ret);
void sample_free(struct sample *s);

#endif
