/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_conn.h - What the rest of the engine asks of TCP.
 */
#ifndef MORTISE_ENGINE_TCP_CONN_H
#define MORTISE_ENGINE_TCP_CONN_H

#include "engine/ip.h"
#include "engine/state.h"

void tcp_input(struct engine *e, const struct ip_in *in, struct cursor c);

/** tcp_frame() - A frame of the first connection that may have one. Return: false: it had none. */
bool tcp_frame(struct engine *e, struct engine_frame *f);

/** tcp_timer() - The timer of connection @index. syn_timer() - of half-open connection @index. */
void tcp_timer(struct engine *e, uint32_t index);
void syn_timer(struct engine *e, uint32_t index);

/** tcp_exists() - Is there a connection of these four? */
bool tcp_exists(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr, uint16_t rport);

/** tcp_neigh_answered() - Connections that waited for ARP may send. tcp_neigh_lost() - @addr did
 * not answer. */
void tcp_neigh_answered(struct engine *e);

/** tcp_neigh_room() - One that was asked for is given up: who had no room to ask may now. */
void tcp_neigh_room(struct engine *e);
void tcp_neigh_lost(struct engine *e, uint32_t addr);

/**
 * struct tcp_error - What ICMP says about a segment of ours.
 * @seq:  Of the segment. @error: errno. @hard: Of those that RFC 1122 4.2.3.9 calls hard.
 * @about: For who keeps errors.
 * @too_long, @mtu, @packet_bytes: Fragmentation was needed.
 */
struct tcp_error {
	uint32_t seq, packet_bytes;
	int error;
	uint16_t mtu;
	bool hard, too_long;
	const struct engine_error *about;
};

/** tcp_heard_error() - Return: is there such a connection? */
bool tcp_heard_error(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport, const struct tcp_error *error);

/* The commands of engine.h, for streams. */
int tcp_connect(struct engine *e, struct sock *s, uint32_t addr, uint16_t port);
int tcp_accept(struct engine *e, struct sock *s, uint64_t cookie, struct engine_sock *ret);
/* TCP_SEND_KEPT: engine_send_kept(). */
enum tcp_send { TCP_SEND, TCP_SEND_MORE, TCP_SEND_URGENT, TCP_SEND_KEPT };

int64_t tcp_send(struct engine *e, struct sock *s, const void *octets, size_t bytes,
		 enum tcp_send how);
int tcp_urgent(const struct engine *e, const struct sock *s, uint64_t *ret);
int64_t tcp_recv(struct engine *e, struct sock *s, void *room, size_t bytes);
int tcp_shutdown(struct engine *e, struct sock *s, unsigned how);
void tcp_close(struct engine *e, struct sock *s, bool abort);
/** tcp_options_changed() - @push: What is held back now goes, even under a cork, as on Linux. */
void tcp_options_changed(struct engine *e, struct sock *s, bool push);
void tcp_info(const struct engine *e, const struct tcp *t, struct engine_info *ret);

#endif
