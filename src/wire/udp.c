// SPDX-License-Identifier: BSD-2-Clause
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

enum wire_fault udp_parse(struct cursor *c, size_t whole_bytes, struct udp *ret)
{
	struct udp h;

	h.sport = cursor_be16(c);
	h.dport = cursor_be16(c);
	h.bytes = cursor_be16(c);
	h.sum = cursor_be16(c);
	if (c->failed)
		return WIRE_SHORT;
	if (h.bytes < UDP_HEADER_BYTES || h.bytes > whole_bytes)
		return WIRE_LENGTH;
	if (cursor_left(c) > (size_t)h.bytes - UDP_HEADER_BYTES)
		cursor_trim(c, (size_t)h.bytes - UDP_HEADER_BYTES);
	*ret = h;
	return WIRE_OK;
}

/* The length is summed twice: in the pseudo-header and in the header. */
static uint64_t header_sum(const struct udp *h, uint32_t src, uint32_t dst, uint64_t payload_sum)
{
	uint64_t sum = checksum_pseudo4(src, dst, IPV4_PROTO_UDP, h->bytes);

	sum = checksum_add_be32(sum, (uint32_t)h->sport << 16 | h->dport);
	sum = checksum_add_be16(sum, h->bytes);
	return checksum_join(sum, payload_sum);
}

bool udp_sum_ok(const struct udp *h, uint32_t src, uint32_t dst, uint64_t payload_sum)
{
	if (h->sum == 0)
		return true;
	return checksum_fold(checksum_add_be16(header_sum(h, src, dst, payload_sum), h->sum)) == 0;
}

void udp_emit(struct emit *e, const struct udp *h, uint32_t src, uint32_t dst, uint64_t payload_sum)
{
	uint16_t sum = checksum_fold(header_sum(h, src, dst, payload_sum));

	emit_be16(e, h->sport);
	emit_be16(e, h->dport);
	emit_be16(e, h->bytes);
	/* RFC 768: a sum of zero goes as all ones; zero says that there is none. */
	emit_be16(e, sum ? sum : 0xffffu);
}
