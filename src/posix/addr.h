/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - Addresses as callers give and take them: struct sockaddr_in and
 * struct sockaddr_in6, by the socket's family.
 */
#ifndef MORTISE_POSIX_ADDR_H
#define MORTISE_POSIX_ADDR_H

#include "posix/sock.h"
#include "shm/addr.h"

/* An IPv6 address that no addr_word names, since this host never had it. */
#define ADDR_WORD_OTHER (~0ull)

/**
 * addr_parse() - What a caller names. ::ffff:a.b.c.d is a.b.c.d.
 * @ret: On success; perhaps ADDR_WORD_OTHER.
 * Return: 0; -EINVAL where it is too short, or link-local without an
 *         interface; -EAFNOSUPPORT; -EFAULT.
 */
long addr_parse(const struct sock *s, const struct sockaddr *addr, socklen_t len, addr_word *ret);

/** addr_fill() - Give an address to a caller, as Linux cuts it. Return: 0 or -errno. */
long addr_fill(const struct sock *s, addr_word w, struct sockaddr *addr, socklen_t *len);

/** addr_any() - The wildcard of the socket's family, port 0. */
addr_word addr_any(const struct sock *s);

/** addr_bound() - @w as the place where @s is bound: with ADDR_WORD_DUAL where
 * IPv4 reaches an AF_INET6 socket there. */
addr_word addr_bound(const struct sock *s, addr_word w);

/** addr_needs_scope() - Does @w mean something on one interface alone? */
bool addr_needs_scope(const struct sock *s, addr_word w);

/**
 * addr_source() - From which address the kernel connects to @to, an address of
 * this host.
 * Return: That, with port 0.
 */
addr_word addr_source(const struct sock *s, addr_word to);

/** addr_is_group() - Does a caller that addr_parse() let pass name an IPv6 multicast group? */
bool addr_is_group(const struct sock *s, const struct sockaddr *addr);

#endif
