// SPDX-License-Identifier: BSD-2-Clause
#include "wire/eth.h"

enum wire_fault eth_parse(struct cursor *c, struct eth *ret)
{
	struct eth h = {0};

	cursor_copy(c, h.dst, sizeof(h.dst));
	cursor_copy(c, h.src, sizeof(h.src));
	h.type = cursor_be16(c);
	while (h.type == ETH_TYPE_8021Q || h.type == ETH_TYPE_8021AD) {
		if (h.tags == ETH_TAGS_MAX)
			return WIRE_FOREIGN;
		h.tags++;
		h.tci = cursor_be16(c);
		h.type = cursor_be16(c);
	}
	if (c->failed)
		return WIRE_SHORT;
	if (h.type < ETH_TYPE_MIN)
		return WIRE_FOREIGN;
	*ret = h;
	return WIRE_OK;
}

void eth_emit(struct emit *e, const struct eth *h)
{
	emit_copy(e, h->dst, sizeof(h->dst));
	emit_copy(e, h->src, sizeof(h->src));
	emit_be16(e, h->type);
}
