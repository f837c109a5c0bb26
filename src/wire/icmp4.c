// SPDX-License-Identifier: BSD-2-Clause
#include "wire/checksum.h"
#include "wire/icmp4.h"

enum wire_fault icmp4_parse(struct cursor *c, struct icmp4 *ret)
{
	struct icmp4 h;
	uint64_t sum = checksum_add(0, c->at, cursor_left(c));

	h.type = cursor_u8(c);
	h.code = cursor_u8(c);
	cursor_skip(c, 2);
	h.id = cursor_be16(c);
	h.seq = cursor_be16(c);
	if (c->failed)
		return WIRE_SHORT;
	if (checksum_fold(sum) != 0)
		return WIRE_CHECKSUM;
	*ret = h;
	return WIRE_OK;
}

void icmp4_emit(struct emit *e, const struct icmp4 *h, uint64_t body_sum)
{
	uint8_t *p = emit_take(e, ICMP4_HEADER_BYTES);

	if (!p)
		return;
	p[0] = h->type;
	p[1] = h->code;
	put_be16(p + 2, 0);
	put_be16(p + 4, h->id);
	put_be16(p + 6, h->seq);
	put_be16(p + 2, checksum_fold(checksum_add(body_sum, p, ICMP4_HEADER_BYTES)));
}
