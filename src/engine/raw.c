// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "engine/pkt.h"
#include "engine/raw.h"
#include "engine/sock.h"

/* The header anew: without options, and in one piece where it came in several. */
static void header_of(const struct ip_in *in, size_t bytes, uint8_t room[IPV4_HEADER_BYTES])
{
	struct emit out = emit_to(room, IPV4_HEADER_BYTES);
	struct ipv4 h = {
		.src = in->src,
		.dst = in->dst,
		.proto = in->proto,
		.ttl = in->ttl,
		.tos = in->tos,
		.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + bytes),
	};

	ipv4_emit(&out, &h);
}

void raw_input(struct engine *e, const struct ip_in *in, uint8_t type, struct cursor message)
{
	uint8_t header[IPV4_HEADER_BYTES];
	uint32_t i = sock_first_at(e, RAW_PORT);

	header_of(in, cursor_left(&message), header);
	for (; i != NIL; i = e->sock[i].port_link.next) {
		struct sock *s = &e->sock[i];

		if (s->kind != SOCK_RAW_ICMP || (s->laddr && s->laddr != in->dst) ||
		    (s->connected && s->raddr != in->src) ||
		    (type < 32 && (s->icmp_filter >> type & 1)))
			continue;
		sock_datagram(e, s, in, 0, cursor_of(header, sizeof(header)), message);
	}
}

int64_t raw_send(struct engine *e, struct sock *s, const void *octets, size_t bytes, uint32_t dst)
{
	uint32_t src, next_hop;
	struct pkt *p;
	int err;

	if (bytes > IPV4_PACKET_MAX - IPV4_HEADER_BYTES)
		return -EMSGSIZE;
	err = route_find_from(e, dst, s->laddr, &src, &next_hop);
	if (err != 0)
		return err;
	p = pkt_new_kept(e, bytes);
	if (!p) {
		COUNT(e, IP_NO_ROOM);
		return -ENOBUFS;
	}
	pkt_write(e, p, 0, octets, bytes);
	p->src = src;
	p->dst = dst;
	p->proto = IPV4_PROTO_ICMP;
	p->ttl = s->ttl;
	p->tos = s->tos;
	err = ip_send(e, p);
	return err ? err : (int64_t)bytes;
}
