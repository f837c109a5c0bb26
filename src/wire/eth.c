// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "wire/eth.h"

enum wire_fault eth_parse(struct cursor *c, struct eth *ret)
{
	const uint8_t *fixed = cursor_take(c, ETH_HEADER_BYTES);
	struct eth h = {0};
	struct cursor f;

	if (!fixed)
		return WIRE_SHORT;
	f = cursor_of(fixed, ETH_HEADER_BYTES);
	cursor_copy(&f, h.dst, sizeof(h.dst));
	cursor_copy(&f, h.src, sizeof(h.src));
	h.type = cursor_be16(&f);
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
	uint8_t *p = emit_take(e, ETH_HEADER_BYTES);

	if (!p)
		return;
	memcpy(p, h->dst, sizeof(h->dst));
	memcpy(p + sizeof(h->dst), h->src, sizeof(h->src));
	put_be16(p + sizeof(h->dst) + sizeof(h->src), h->type);
}
