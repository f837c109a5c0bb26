// SPDX-License-Identifier: BSD-2-Clause
#include "wire/arp.h"

#define ARP_HARDWARE_ETHERNET 1u
#define ARP_IPV4_BYTES 4u

enum wire_fault arp_parse(struct cursor *c, struct arp *ret)
{
	struct arp a;
	unsigned hardware = cursor_be16(c);
	unsigned protocol = cursor_be16(c);
	unsigned hardware_bytes = cursor_u8(c);
	unsigned protocol_bytes = cursor_u8(c);

	a.op = cursor_be16(c);
	if (c->failed)
		return WIRE_SHORT;
	/* RFC 826, packet reception: the hardware, then the protocol, else discard. */
	if (hardware != ARP_HARDWARE_ETHERNET || hardware_bytes != ETH_ADDR_BYTES ||
	    protocol != ETH_TYPE_IPV4 || protocol_bytes != ARP_IPV4_BYTES)
		return WIRE_FOREIGN;
	cursor_copy(c, a.sender, sizeof(a.sender));
	a.sender_ip = cursor_be32(c);
	cursor_copy(c, a.target, sizeof(a.target));
	a.target_ip = cursor_be32(c);
	if (c->failed)
		return WIRE_SHORT;
	*ret = a;
	return WIRE_OK;
}

void arp_emit(struct emit *e, const struct arp *a)
{
	emit_be16(e, ARP_HARDWARE_ETHERNET);
	emit_be16(e, ETH_TYPE_IPV4);
	emit_u8(e, ETH_ADDR_BYTES);
	emit_u8(e, ARP_IPV4_BYTES);
	emit_be16(e, a->op);
	emit_copy(e, a->sender, sizeof(a->sender));
	emit_be32(e, a->sender_ip);
	emit_copy(e, a->target, sizeof(a->target));
	emit_be32(e, a->target_ip);
}
