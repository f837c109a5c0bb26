/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.h - The command's questions to the daemon. Each gives its own message
 * where it fails.
 */
#ifndef MORTISE_CLI_ASK_H
#define MORTISE_CLI_ASK_H

#include "cli/ss_row.h"

/**
 * ask_connect() - A connection to the domain's daemon.
 * @quiet: Say nothing where there is no daemon.
 * Return: A descriptor; -1 where no daemon runs; -2 for any other failure,
 *         with a message.
 */
int ask_connect(const char *domain, bool quiet);

/**
 * ask_open() - As ask_connect(), with a message in any case.
 * Return: 0; or the exit status.
 */
int ask_open(const char *domain, int *ret_fd);

/** ask_failed() - Say why @what failed. @err: negative errno. */
void ask_failed(const char *what, int err);

/** ask_status() - Return: 0, or -1 with a message. */
int ask_status(int fd, struct ctl_msg *ret);

/**
 * ask_list() - All sockets of the domain, those that @show wants.
 * @ret: The caller frees it.
 * Return: How many, or -1 with a message.
 */
long ask_list(int fd, const char *domain, const struct ss_show *show, struct ss_row **ret);

#endif
