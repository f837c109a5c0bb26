/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MORTISE_CLI_SS_NAMES_H
#define MORTISE_CLI_SS_NAMES_H

#include "cli/ss_row.h"

/**
 * ss_names_port() - "http", or the number; "*" for 0.
 * @netid: "tcp" or "udp".
 */
void ss_names_port(uint16_t port, const char *netid, bool numeric, char *ret, size_t size);

/**
 * ss_names_host() - The address as ss writes it, IPv6 in brackets; with
 * @resolve the host's name where it has one. Asks for each address once.
 * @ip: As in struct ss_row. @text: the same in text.
 */
void ss_names_host(const uint8_t ip[16], const char *text, bool resolve, char *ret, size_t size);

#endif
