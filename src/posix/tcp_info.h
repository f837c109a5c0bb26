/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_info.h - TCP_INFO of a connection in memory.
 */
#ifndef MORTISE_POSIX_TCP_INFO_H
#define MORTISE_POSIX_TCP_INFO_H

#include "posix/sock.h"

/** tcp_info_state() - TCP_ESTABLISHED and the like. */
int tcp_info_state(struct sock *s);

/** tcp_info_mss() - What a connection over loopback comes to: its MTU without headers
 * and timestamps; IPv4's total length has 16 bits. Of the network's: what its TCP sends at most. */
int tcp_info_mss(const struct sock *s);

/** tcp_info_full() - A send has found no room. */
void tcp_info_full(struct sock *s);
/** tcp_info_roomy() - There is room now, where there was none (sock->info.full_ns). */
void tcp_info_roomy(struct sock *s);

/** tcp_info_queued() - Of a connection: octets that were sent and that its peer has not
 * acknowledged; without those that are on their way, where @unsent. */
uint64_t tcp_info_queued(struct sock *s, bool unsent);

/** tcp_info_give() - getsockopt(TCP_INFO). Return: 0 or -errno. */
long tcp_info_give(struct sock *s, void *val, socklen_t *len);

#endif
