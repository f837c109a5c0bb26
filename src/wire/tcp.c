// SPDX-License-Identifier: BSD-2-Clause
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

#define OPTION_END 0u
#define OPTION_NOP 1u
#define OPTION_MSS 2u
#define OPTION_WSCALE 3u
#define OPTION_SACK_OK 4u
#define OPTION_SACK 5u
#define OPTION_TS 8u

#define MSS_BYTES 4u
#define WSCALE_BYTES 3u
#define SACK_OK_BYTES 2u
#define TS_BYTES 10u
#define SACK_BLOCK_BYTES 8u

static void parse_sack(struct cursor body, struct tcp_header *h)
{
	unsigned blocks = (unsigned)(cursor_left(&body) / SACK_BLOCK_BYTES);

	h->sacks = 0;
	while (h->sacks < blocks && h->sacks < TCP_SACK_MAX) {
		h->sack[h->sacks].start = cursor_be32(&body);
		h->sack[h->sacks].end = cursor_be32(&body);
		h->sacks++;
	}
	if (h->sacks)
		h->has |= TCP_HAS_SACK;
}

static void parse_option(unsigned type, unsigned length, struct cursor body, struct tcp_header *h)
{
	switch (type) {
	case OPTION_MSS:
		if (length == MSS_BYTES) {
			h->mss = cursor_be16(&body);
			h->has |= TCP_HAS_MSS;
			return;
		}
		break;
	case OPTION_WSCALE:
		if (length == WSCALE_BYTES) {
			h->wscale = cursor_u8(&body);
			h->has |= TCP_HAS_WSCALE;
			return;
		}
		break;
	case OPTION_SACK_OK:
		if (length == SACK_OK_BYTES) {
			h->has |= TCP_HAS_SACK_OK;
			return;
		}
		break;
	case OPTION_SACK:
		if (length >= 2 + SACK_BLOCK_BYTES && (length - 2) % SACK_BLOCK_BYTES == 0) {
			parse_sack(body, h);
			return;
		}
		break;
	case OPTION_TS:
		if (length == TS_BYTES) {
			h->ts_value = cursor_be32(&body);
			h->ts_echo = cursor_be32(&body);
			h->has |= TCP_HAS_TS;
			return;
		}
		break;
	default:
		/* RFC 9293 3.1, MUST-6: an option that is not known is passed over. */
		return;
	}
	h->has |= TCP_HAS_BAD;
}

static void parse_options(struct cursor c, struct tcp_header *h)
{
	while (cursor_left(&c) && !(h->has & TCP_HAS_BAD)) {
		unsigned type = cursor_u8(&c);
		unsigned length;
		struct cursor body;

		if (type == OPTION_END)
			return;
		if (type == OPTION_NOP)
			continue;
		length = cursor_u8(&c);
		body = cursor_sub(&c, length < 2 ? SIZE_MAX : length - 2);
		if (body.failed) {
			h->has |= TCP_HAS_BAD;
			return;
		}
		parse_option(type, length, body, h);
	}
}

enum wire_fault tcp_parse(struct cursor *c, struct tcp_header *ret)
{
	const uint8_t *fixed = cursor_take(c, TCP_HEADER_BYTES);
	struct tcp_header h = {0};
	struct cursor f, options;

	if (!fixed)
		return WIRE_SHORT;
	f = cursor_of(fixed, TCP_HEADER_BYTES);
	h.sport = cursor_be16(&f);
	h.dport = cursor_be16(&f);
	h.seq = cursor_be32(&f);
	h.ack = cursor_be32(&f);
	h.header_bytes = (uint8_t)((cursor_u8(&f) >> 4) * 4);
	h.flags = cursor_u8(&f);
	h.window = cursor_be16(&f);
	cursor_skip(&f, 2);
	h.urgent = cursor_be16(&f);
	if (h.header_bytes < TCP_HEADER_BYTES)
		return WIRE_LENGTH;
	options = cursor_sub(c, h.header_bytes - TCP_HEADER_BYTES);
	if (options.failed)
		return WIRE_LENGTH;
	parse_options(options, &h);
	*ret = h;
	return WIRE_OK;
}

bool tcp_sum_ok(const struct cursor *segment, uint32_t src, uint32_t dst)
{
	size_t bytes = cursor_left(segment);

	if (bytes > IPV4_PACKET_MAX)
		return false;
	return checksum_fold(
		       checksum_add(checksum_pseudo4(src, dst, IPV4_PROTO_TCP, (uint16_t)bytes),
				    segment->at, bytes)) == 0;
}

size_t tcp_header_size(const struct tcp_header *h)
{
	size_t bytes = TCP_HEADER_BYTES;

	if (h->has & TCP_HAS_MSS)
		bytes += MSS_BYTES;
	if (h->has & TCP_HAS_TS)
		bytes += 2 + TS_BYTES;
	else if (h->has & TCP_HAS_SACK_OK)
		bytes += 2 + SACK_OK_BYTES;
	if (h->has & TCP_HAS_WSCALE)
		bytes += 1 + WSCALE_BYTES;
	if (h->has & TCP_HAS_SACK)
		bytes += 4 + (size_t)h->sacks * SACK_BLOCK_BYTES;
	return bytes;
}

/* Each is padded in front to whole words; "SACK permitted" goes where the padding of the timestamps
 * was. */
static void emit_options(struct emit *e, const struct tcp_header *h)
{
	if (h->has & TCP_HAS_MSS) {
		emit_u8(e, OPTION_MSS);
		emit_u8(e, MSS_BYTES);
		emit_be16(e, h->mss);
	}
	if (h->has & (TCP_HAS_TS | TCP_HAS_SACK_OK)) {
		if (!(h->has & TCP_HAS_TS) || !(h->has & TCP_HAS_SACK_OK))
			emit_be16(e, OPTION_NOP << 8 | OPTION_NOP);
		if (h->has & TCP_HAS_SACK_OK) {
			emit_u8(e, OPTION_SACK_OK);
			emit_u8(e, SACK_OK_BYTES);
		}
		if (h->has & TCP_HAS_TS) {
			emit_u8(e, OPTION_TS);
			emit_u8(e, TS_BYTES);
			emit_be32(e, h->ts_value);
			emit_be32(e, h->ts_echo);
		}
	}
	if (h->has & TCP_HAS_WSCALE) {
		emit_u8(e, OPTION_NOP);
		emit_u8(e, OPTION_WSCALE);
		emit_u8(e, WSCALE_BYTES);
		emit_u8(e, h->wscale);
	}
	if (h->has & TCP_HAS_SACK) {
		emit_be16(e, OPTION_NOP << 8 | OPTION_NOP);
		emit_u8(e, OPTION_SACK);
		emit_u8(e, 2 + h->sacks * SACK_BLOCK_BYTES);
		for (unsigned i = 0; i < h->sacks && i < TCP_SACK_MAX; i++) {
			emit_be32(e, h->sack[i].start);
			emit_be32(e, h->sack[i].end);
		}
	}
}

/* The header, its checksum field zero. Return: its first octet; NULL: there is no room. */
static uint8_t *emit_header(struct emit *e, const struct tcp_header *h, size_t payload_bytes)
{
	size_t bytes = tcp_header_size(h);
	uint8_t *p;
	struct emit f;

	if (bytes > TCP_HEADER_MAX || bytes + payload_bytes > IPV4_PACKET_MAX) {
		e->failed = true;
		return NULL;
	}
	p = emit_take(e, TCP_HEADER_BYTES);
	if (!p)
		return NULL;
	f = emit_to(p, TCP_HEADER_BYTES);
	emit_be16(&f, h->sport);
	emit_be16(&f, h->dport);
	emit_be32(&f, h->seq);
	emit_be32(&f, h->ack);
	emit_u8(&f, (unsigned)bytes / 4 << 4); /* 3.1: reserved bits are sent as zero */
	emit_u8(&f, h->flags);
	emit_be16(&f, h->window);
	emit_be16(&f, 0);
	emit_be16(&f, h->urgent);
	emit_options(e, h);
	return e->failed ? NULL : p;
}

static uint64_t pseudo_sum(const struct tcp_header *h, uint32_t src, uint32_t dst,
			   size_t payload_bytes)
{
	return checksum_pseudo4(src, dst, IPV4_PROTO_TCP,
				(uint16_t)(tcp_header_size(h) + payload_bytes));
}

void tcp_emit(struct emit *e, const struct tcp_header *h, uint32_t src, uint32_t dst,
	      uint64_t payload_sum, size_t payload_bytes)
{
	uint8_t *p = emit_header(e, h, payload_bytes);
	uint64_t sum = pseudo_sum(h, src, dst, payload_bytes);

	if (!p)
		return;
	sum = checksum_add(sum, p, tcp_header_size(h));
	put_be16(p + TCP_SUM_OFFSET, checksum_fold(checksum_join(sum, payload_sum))); /* MUST-2 */
}

void tcp_emit_partial(struct emit *e, const struct tcp_header *h, uint32_t src, uint32_t dst,
		      size_t payload_bytes)
{
	uint8_t *p = emit_header(e, h, payload_bytes);
	uint64_t sum = pseudo_sum(h, src, dst, payload_bytes);

	if (p)
		put_be16(p + TCP_SUM_OFFSET, (uint16_t)~checksum_fold(sum));
}
