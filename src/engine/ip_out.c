// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "engine/ip.h"
#include "engine/neigh.h"
#include "engine/pkt.h"

uint16_t ip_id(struct engine *e)
{
	return (uint16_t)engine_draw(e);
}

int ip_send(struct engine *e, struct pkt *p)
{
	uint32_t src;
	int err = route_find(e, p->dst, &src, &p->next_hop);

	if (err != 0) {
		COUNT(e, IP_NO_ROUTE);
		pkt_free(e, p);
		return err;
	}
	if (!p->src)
		p->src = src;
	p->kind = PKT_IP;
	p->id = ip_id(e);
	ilist_push(&e->s->tx, pkt_links(e), PKT_INDEX(e, p));
	return 0;
}

void ip_header(struct engine *e, struct emit *out, const uint8_t mac[6], const struct ipv4 *h)
{
	struct eth eth = {.type = ETH_TYPE_IPV4};

	memcpy(eth.dst, mac, sizeof(eth.dst));
	memcpy(eth.src, e->s->config.mac, sizeof(eth.src));
	eth_emit(out, &eth);
	ipv4_emit(out, h);
}

static void frame_begin(struct engine_frame *f, const struct emit *out)
{
	f->pieces = 1;
	f->interface = ENGINE_DEVICE;
	f->offload = (struct engine_offload){0};
	f->bytes = (uint32_t)emit_bytes(out);
	f->piece[0] = (struct engine_piece){.at = f->header, .bytes = f->bytes};
}

static void arp_frame(struct engine *e, struct pkt *p, struct engine_frame *f)
{
	struct emit out = emit_to(f->header, sizeof(f->header));
	struct eth eth = {.type = ETH_TYPE_ARP};

	memcpy(eth.dst, p->mac, sizeof(eth.dst));
	memcpy(eth.src, e->s->config.mac, sizeof(eth.src));
	eth_emit(&out, &eth);
	pkt_read(e, p, 0, emit_take(&out, p->bytes), p->bytes);
	frame_begin(f, &out);
}

bool ip_frame(struct engine *e, struct engine_frame *f)
{
	uint32_t i = e->s->tx.head;
	struct pkt *p = &e->pkt[i];
	struct emit out = emit_to(f->header, sizeof(f->header));
	uint32_t mtu, bytes, header;
	struct ipv4 h;
	uint8_t mac[6];
	int err;

	/* What was handed out by the last call is given back now: its pieces were borrowed. */
	if (p->begun && p->sent == p->bytes) {
		ilist_remove(&e->s->tx, pkt_links(e), i);
		pkt_free(e, p);
		return false;
	}
	if (p->kind == PKT_ARP) {
		arp_frame(e, p, f);
		ilist_remove(&e->s->tx, pkt_links(e), i);
		pkt_free(e, p);
		return true;
	}
	err = neigh_resolve(e, p->next_hop, NULL, mac);
	if (err != 0) {
		/* The request that it made may stand behind it: it steps aside. */
		ilist_remove(&e->s->tx, pkt_links(e), i);
		neigh_hold(e, p->next_hop, p);
		return false;
	}
	mtu = p->df ? e->s->config.mtu : route_pmtu(e, p->dst);
	bytes = p->bytes - p->sent;
	header = IPV4_HEADER_BYTES + (p->alert ? IPV4_ALERT_BYTES : 0);
	if (bytes + header > mtu) {
		if (p->df) {
			COUNT(e, IP_TOO_LONG_FOR_DF);
			ilist_remove(&e->s->tx, pkt_links(e), i);
			pkt_free(e, p);
			return false;
		}
		bytes = (mtu - header) & ~7u;
	}
	h = (struct ipv4){
		.src = p->src,
		.dst = p->dst,
		.id = p->id,
		.proto = p->proto,
		.ttl = p->ttl,
		.tos = p->tos,
		.df = p->df,
		.offset_bytes = (uint16_t)p->sent,
		.mf = p->sent + bytes < p->bytes,
		.total_bytes = (uint16_t)(header + bytes),
		.options = p->alert ? IPV4_OPT_ROUTER_ALERT : 0,
	};
	if (h.mf || h.offset_bytes)
		COUNT(e, IP_FRAGMENTS_OUT);
	ip_header(e, &out, mac, &h);
	frame_begin(f, &out);
	f->interface = ip_interface(p->next_hop);
	pkt_pieces(e, p, p->sent, bytes, f);
	p->sent += bytes;
	p->begun = true;
	return true;
}
