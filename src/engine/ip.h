/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ip.h - IPv4 in and out.
 */
#ifndef MORTISE_ENGINE_IP_H
#define MORTISE_ENGINE_IP_H

#include "engine/route.h"
#include "engine/state.h"

/**
 * struct ip_in - What IP knows about a datagram that came.
 * @quote:      Its header and the beginning of its payload, for ICMP errors about it.
 * @sum_ok:     The transport's checksum need not be looked at.
 * @cut_bytes:  As in struct engine_offload.
 * @unicast:    To one of our addresses, by a frame to us alone: errors may be sent about it.
 */
struct ip_in {
	uint32_t src, dst;
	const uint8_t *quote;
	size_t quote_bytes;
	uint16_t cut_bytes;
	uint8_t proto, ttl, tos;
	bool sum_ok;
	bool unicast;
};

/** ip_input() - A packet; @link_unicast: its frame was to us alone. @o: offsets from its start. */
void ip_input(struct engine *e, struct cursor c, bool link_unicast, enum engine_interface from,
	      const struct engine_offload *o);

/** ip_deliver() - A whole datagram to the protocol that it is for. */
void ip_deliver(struct engine *e, const struct ip_in *in, struct cursor payload);

/** ip_send() - Route @p, whose src may be 0, and queue it. Return: 0, or -ENETUNREACH: it is gone.
 */
int ip_send(struct engine *e, struct pkt *p);

/**
 * ip_frame() - The next frame of the datagram at the head of the queue.
 *
 * Return: true: @f is a frame; false: there was nothing to send, the queue may have changed.
 */
bool ip_frame(struct engine *e, struct engine_frame *f);

/** ip_id() - The identification of the next datagram to @dst (RFC 6864: of meaning for fragments).
 */
uint16_t ip_id(struct engine *e);

/** ip_header() - Write Ethernet's and IP's header at the front of a frame. */
void ip_header(struct engine *e, struct emit *out, const uint8_t mac[6], const struct ipv4 *h);

/** ip_interface() - Where frames to @next_hop go. */
static inline uint8_t ip_interface(uint32_t next_hop)
{
	return next_hop == ROUTE_LOOPBACK ? ENGINE_LOOPBACK : ENGINE_DEVICE;
}

/** reass_input() - A fragment. @packet: its first octet. */
void reass_input(struct engine *e, const struct ipv4 *h, const uint8_t *packet,
		 struct cursor payload, bool unicast);

void reass_timer(struct engine *e, uint32_t index);

#endif
