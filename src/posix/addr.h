/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - Addresses as callers give and take them.
 */
#ifndef MORTISE_POSIX_ADDR_H
#define MORTISE_POSIX_ADDR_H

#include <sys/socket.h>

#include "shm/abi.h"

/** addr_parse() - An AF_INET address of a caller. Return: 0 or -errno. */
long addr_parse(const struct sockaddr *addr, socklen_t len, addr_word *ret);

/** sock_addr_fill() - Give an address to a caller, as Linux cuts it. */
long sock_addr_fill(addr_word w, struct sockaddr *addr, socklen_t *len);

/** addr_is_loopback() - Is it in 127.0.0.0/8? @addr in host order. */
bool addr_is_loopback(uint32_t addr);

#endif
