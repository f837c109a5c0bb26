// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "engine/icmp.h"
#include "engine/igmp.h"
#include "engine/pkt.h"
#include "engine/sock.h"
#include "engine/udp.h"
#include "wire/checksum.h"
#include "wire/udp.h"

void udp_input(struct engine *e, const struct ip_in *in, struct cursor c)
{
	struct udp h;
	enum wire_fault fault = udp_parse(&c, cursor_left(&c), &h);
	struct sock *s;

	COUNT(e, UDP_IN);
	if (fault != WIRE_OK) {
		COUNT_FAULT(e, UDP, fault);
		return;
	}
	if (!in->sum_ok &&
	    !udp_sum_ok(&h, in->src, in->dst, checksum_add(0, c.at, cursor_left(&c)))) {
		COUNT(e, UDP_CHECKSUM);
		return;
	}
	if (!in->unicast) {
		/* RFC 1112: to each socket that wants it. */
		if (!sock_datagram_all(e, in, h.dport, h.sport, c))
			COUNT(e, UDP_NO_PORT);
		return;
	}
	s = sock_find(e, SOCK_UDP, in->dst, h.dport, in->src, h.sport);
	if (s) {
		sock_datagram(e, s, in, h.sport, cursor_of(NULL, 0), c);
		return;
	}
	COUNT(e, UDP_NO_PORT);
	/* RFC 1122 4.1.3.1 */
	icmp_error(e, in, ICMP4_UNREACHABLE, ICMP4_UNREACHABLE_PORT);
}

/* Who keeps errors finds the path's MTU there, as ip(7) has it. */
static void too_long(struct engine *e, struct sock *s, uint32_t dst, uint16_t dport)
{
	struct engine_error about = {
		.error = EMSGSIZE,
		.local = true,
		.info = route_pmtu(e, dst),
		.dst = dst,
		.dport = dport,
	};

	if (!s->recverr)
		return;
	sock_error_about(e, s, &about, cursor_of(NULL, 0));
	(void)sock_error_take(s); /* the call itself says it */
}

/* RFC 1112 6.1: who has joined here gets it, too. */
static void loop(struct engine *e, const struct sock *s, uint32_t src, uint32_t dst, uint16_t dport,
		 const void *octets, size_t bytes)
{
	struct ip_in in = {
		.src = src,
		.dst = dst,
		.proto = IPV4_PROTO_UDP,
		.ttl = s->group_ttl,
		.tos = s->tos,
	};

	if (s->group_loop && igmp_wants(e, dst))
		(void)sock_datagram_all(e, &in, dport, s->lport, cursor_of(octets, bytes));
}

int64_t udp_send(struct engine *e, struct sock *s, const void *octets, size_t bytes, uint32_t dst,
		 uint16_t dport)
{
	struct udp h = {.sport = s->lport, .dport = dport};
	uint8_t header[UDP_HEADER_BYTES];
	struct emit out = emit_to(header, sizeof(header));
	uint32_t src, next_hop;
	bool group = ipv4_is_multicast(dst);
	struct pkt *p;
	int err;

	if (bytes > UDP_PAYLOAD_MAX)
		return -EMSGSIZE;
	err = route_find_from(e, dst, sock_from(s, dst), &src, &next_hop);
	if (err != 0)
		return err;
	if (s->pmtu_discover && bytes + UDP_HEADER_BYTES + IPV4_HEADER_BYTES > route_pmtu(e, dst)) {
		too_long(e, s, dst, dport);
		return -EMSGSIZE;
	}
	/* One datagram is taken however small the buffer is, as Linux does. */
	if (s->sending && s->sending + bytes > s->sndbuf) {
		s->full = true;
		return -EAGAIN;
	}
	if (group && s->group_ttl == 0) {
		loop(e, s, src, dst, dport, octets, bytes);
		return (int64_t)bytes;
	}
	p = pkt_new_kept(e, UDP_HEADER_BYTES + bytes);
	if (!p) {
		COUNT(e, UDP_NO_ROOM);
		return -ENOBUFS;
	}
	h.bytes = (uint16_t)(UDP_HEADER_BYTES + bytes);
	udp_emit(&out, &h, src, dst, checksum_add(0, octets, bytes));
	pkt_write(e, p, 0, header, sizeof(header));
	pkt_write(e, p, sizeof(header), octets, bytes);
	p->src = src;
	p->dst = dst;
	p->proto = IPV4_PROTO_UDP;
	p->ttl = group ? s->group_ttl : s->ttl;
	p->tos = s->tos;
	p->df = s->pmtu_discover;
	p->sock = SOCK_INDEX(e, s);
	p->sock_gen = s->head.gen;
	s->sending += pkt_cost(p);
	err = ip_send(e, p);
	if (err == 0 && group)
		loop(e, s, src, dst, dport, octets, bytes);
	return err ? err : (int64_t)bytes;
}
