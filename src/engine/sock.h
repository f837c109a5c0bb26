/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock.h - Sockets: which there are, by port; their events, datagrams and errors.
 */
#ifndef MORTISE_ENGINE_SOCK_H
#define MORTISE_ENGINE_SOCK_H

#include "base/cursor.h"
#include "engine/ip.h"
#include "engine/state.h"

/** sock_of() - The socket that the user means, or NULL. */
struct sock *sock_of(struct engine *e, struct engine_sock ref);

/** sock_new() - NULL: the table is full. */
struct sock *sock_new(struct engine *e, uint8_t kind, uint64_t cookie);

/** sock_free() - Forget it; what it holds is freed, its connection is the caller's. */
void sock_free(struct engine *e, struct sock *s);

/** sock_event() - Something has happened that the user has not heard of. */
void sock_event(struct engine *e, struct sock *s, uint32_t events);

/** sock_error() - Keep @error for ENGINE_SO_ERROR and the next call. */
void sock_error(struct engine *e, struct sock *s, int error);

/**
 * sock_error_about() - The same, and where the user keeps errors, what it is about.
 * @payload: Of the datagram, as far as it is known.
 */
void sock_error_about(struct engine *e, struct sock *s, const struct engine_error *about,
		      struct cursor payload);

/** sock_error_take() - The pending error, negative, which is then gone; 0: none. */
int sock_error_take(struct sock *s);

/**
 * sock_find() - The socket of @kind that a packet is for: connected ones before
 * bound ones, an address before any. A listener for TCP. NULL: none.
 */
struct sock *sock_find(struct engine *e, uint8_t kind, uint32_t laddr, uint16_t lport,
		       uint32_t raddr, uint16_t rport);

/** sock_from() - From which address of ours the user wants what goes to @dst; 0: from any. */
static inline uint32_t sock_from(const struct sock *s, uint32_t dst)
{
	return ipv4_is_multicast(dst) && s->group_from ? s->group_from : s->laddr;
}

/** sock_first_at() - The first socket in the chain of @port, in which others' may be, too. */
uint32_t sock_first_at(const struct engine *e, uint16_t port);

/** sock_datagram() - Queue a datagram, @header and then @c, for the user; drops it where the buffer
 * is full. */
void sock_datagram(struct engine *e, struct sock *s, const struct ip_in *in, uint16_t sport,
		   struct cursor header, struct cursor c);

/** sock_datagram_all() - One that is for several. Return: for how many. */
unsigned sock_datagram_all(struct engine *e, const struct ip_in *in, uint16_t dport, uint16_t sport,
			   struct cursor c);

/** sock_sent() - A datagram of this socket's, if it is still there, has left: @cost is free again.
 */
void sock_sent(struct engine *e, uint32_t index, uint32_t gen, uint32_t cost);

/**
 * sock_bind_port() - Bind to @port, or to one that is chosen for talking to @raddr:@rport (RFC
 * 6056).
 *
 * Return: 0, or -EADDRINUSE, -EADDRNOTAVAIL: none is left.
 */
int sock_bind_port(struct engine *e, struct sock *s, uint32_t addr, uint16_t port, uint32_t raddr,
		   uint16_t rport);

#endif
