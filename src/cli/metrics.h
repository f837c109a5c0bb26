/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.h - A domain's figures in Prometheus's text format (0.0.4), for
 * `mortise metrics` and for the exporter, a process of its own.
 */
#ifndef MORTISE_CLI_METRICS_H
#define MORTISE_CLI_METRICS_H

#include <stdio.h>
#include <sys/socket.h>

#include "cli/sample.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/**
 * metrics_text() - Write all metrics.
 * @s:       NULL where no daemon runs: then only that.
 * @unix_ns: CLOCK_REALTIME at @s->at_ns.
 */
void metrics_text(FILE *out, const struct sample *s, uint64_t unix_ns);

/**
 * metrics_address() - "127.0.0.1:9550" or "[::1]:9550"; port 0: a free one.
 * Return: False, with a message, where it is neither.
 */
bool metrics_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len);

#endif
