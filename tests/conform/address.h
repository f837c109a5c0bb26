/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address.h - Addresses that programs name, of both families.
 */
#ifndef CONFORM_ADDRESS_H
#define CONFORM_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "worker.h"

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

/** address_make() - @ip: an IPv4 address, or ADDR6 + k. Return: its length. */
socklen_t address_make(union address *a, int64_t ip, int64_t port);

/** address_say() - Add " @what=address:@port@" to what is compared. */
void address_say(struct outcome *out, const char *what, const union address *a, socklen_t len);

#endif
