// SPDX-License-Identifier: BSD-2-Clause
#include "engine/icmp.h"
#include "engine/igmp.h"
#include "engine/ip.h"
#include "engine/tcp_conn.h"
#include "engine/udp.h"
#include "wire/udp.h"

/* RFC 1812 4.3.2.3: an error quotes as much as fits into 576 octets. */
#define QUOTE_MAX (IPV4_REASSEMBLY_MIN - IPV4_HEADER_BYTES - 8)

void ip_deliver(struct engine *e, const struct ip_in *in, struct cursor payload)
{
	switch (in->proto) {
	case IPV4_PROTO_TCP:
		tcp_input(e, in, payload);
		break;
	case IPV4_PROTO_UDP:
		udp_input(e, in, payload);
		break;
	case IPV4_PROTO_ICMP:
		icmp_input(e, in, payload);
		break;
	case IPV4_PROTO_IGMP:
		igmp_input(e, in, payload);
		break;
	default:
		COUNT(e, IP_PROTO_UNKNOWN);
		/* RFC 1122 3.2.2.1 */
		icmp_error(e, in, ICMP4_UNREACHABLE, ICMP4_UNREACHABLE_PROTOCOL);
	}
}

/* RFC 1122 3.2.1.3: never a source: broadcast, multicast, loopback, ourselves, nobody. */
static bool source_is_sane(const struct engine *e, uint32_t src)
{
	return src != 0 && !ipv4_is_multicast(src) && !ipv4_is_loopback(src) &&
	       !engine_is_broadcast(e, src) && !engine_is_ours(e, src) && src >> 24 != 0;
}

/* What goes round comes from one of our addresses, and goes to one. */
static bool from_ourselves(const struct engine *e, const struct ipv4 *h)
{
	return e->s->config.loopback && engine_is_local(e, h->src) && engine_is_local(e, h->dst);
}

/* Does what is said about the checksum and the cuts fit to the packet? */
static bool offload_fits(const struct engine_offload *o, const struct ipv4 *h, size_t header_bytes)
{
	bool tcp = h->proto == IPV4_PROTO_TCP;

	if (!o->sum_start && !o->cut_bytes)
		return true;
	if (ipv4_is_fragment(h) || (o->cut_bytes && !(tcp && o->sum_start)))
		return false;
	return o->sum_start == header_bytes &&
	       ((tcp && o->sum_offset == TCP_SUM_OFFSET) ||
		(h->proto == IPV4_PROTO_UDP && o->sum_offset == UDP_SUM_OFFSET));
}

void ip_input(struct engine *e, struct cursor c, bool link_unicast, enum engine_interface from,
	      const struct engine_offload *o)
{
	const uint8_t *packet = c.at;
	struct ipv4 h;
	enum wire_fault fault = ipv4_parse(&c, &h);
	bool ours;
	struct ip_in in;

	COUNT(e, IP_IN);
	if (fault != WIRE_OK) {
		COUNT_FAULT(e, IP, fault);
		return;
	}
	ours = from == ENGINE_LOOPBACK ? from_ourselves(e, &h) : engine_is_ours(e, h.dst);
	/* RFC 1122 3.3.6: a packet to one address in a frame to all is dropped. */
	if (!(ours && link_unicast) &&
	    !(!ours && from == ENGINE_DEVICE &&
	      (ipv4_is_multicast(h.dst) ? igmp_wants(e, h.dst) : engine_is_broadcast(e, h.dst)))) {
		COUNT(e, IP_NOT_FOR_US);
		return;
	}
	/* RFC 4541 2.1.1: a switch that asks for groups may have no address. */
	if (from == ENGINE_DEVICE && !source_is_sane(e, h.src) &&
	    !(h.src == 0 && h.proto == IPV4_PROTO_IGMP)) {
		COUNT(e, IP_SOURCE_BAD);
		return;
	}
	if (!offload_fits(o, &h, (size_t)(c.at - packet))) {
		COUNT(e, OFFLOAD_BAD);
		return;
	}
	if (h.route_left) {
		COUNT(e, IP_SOURCE_ROUTE);
		return;
	}
	if (ipv4_is_fragment(&h)) {
		reass_input(e, &h, packet, c, ours);
		return;
	}
	in = (struct ip_in){
		.src = h.src,
		.dst = h.dst,
		.quote = packet,
		.quote_bytes = h.total_bytes < QUOTE_MAX ? h.total_bytes : QUOTE_MAX,
		.proto = h.proto,
		.ttl = h.ttl,
		.tos = h.tos,
		.cut_bytes = o->cut_bytes,
		.sum_ok = o->sum_ok || o->sum_start,
		.unicast = ours,
	};
	ip_deliver(e, &in, c);
}
