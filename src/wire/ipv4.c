// SPDX-License-Identifier: BSD-2-Clause
#include "wire/checksum.h"
#include "wire/ipv4.h"

#define FLAG_DF 0x4000u
#define FLAG_MF 0x2000u
#define OFFSET_MASK 0x1fffu

#define OPTION_END 0u
#define OPTION_NOP 1u
#define OPTION_RECORD_ROUTE 7u
#define OPTION_TIMESTAMP 68u
#define OPTION_LOOSE_ROUTE 131u
#define OPTION_STRICT_ROUTE 137u
#define OPTION_ROUTER_ALERT 148u

/* RFC 791 3.1: type, length of all three, pointer from 4 on; past the end where all was visited. */
static bool parse_route(struct cursor body, unsigned length, struct ipv4 *h)
{
	unsigned pointer = cursor_u8(&body);

	if (body.failed || pointer < 4)
		return false;
	h->options |= IPV4_OPT_SOURCE_ROUTE;
	h->route_left |= pointer <= length;
	return true;
}

static enum wire_fault parse_options(struct cursor c, struct ipv4 *h)
{
	while (cursor_left(&c)) {
		unsigned type = cursor_u8(&c);
		unsigned length;
		struct cursor body;

		if (type == OPTION_END)
			break;
		if (type == OPTION_NOP)
			continue;
		length = cursor_u8(&c);
		if (c.failed || length < 2)
			return WIRE_OPTION;
		body = cursor_sub(&c, length - 2);
		if (body.failed)
			return WIRE_OPTION;
		switch (type) {
		case OPTION_LOOSE_ROUTE:
		case OPTION_STRICT_ROUTE:
			if (!parse_route(body, length, h))
				return WIRE_OPTION;
			break;
		case OPTION_RECORD_ROUTE:
			h->options |= IPV4_OPT_RECORD_ROUTE;
			break;
		case OPTION_TIMESTAMP:
			h->options |= IPV4_OPT_TIMESTAMP;
			break;
		case OPTION_ROUTER_ALERT:
			h->options |= IPV4_OPT_ROUTER_ALERT;
			break;
		default:
			/* RFC 1122 3.2.1.8: those that are not understood are ignored. */
			h->options |= IPV4_OPT_OTHER;
		}
	}
	return WIRE_OK;
}

static enum wire_fault parse(struct cursor *c, struct ipv4 *ret, bool quoted)
{
	struct ipv4 h = {0};
	const uint8_t *start = c->at;
	size_t came = cursor_left(c);
	const uint8_t *fixed = cursor_take(c, IPV4_HEADER_BYTES);
	unsigned first, fragment;
	struct cursor f, options;
	enum wire_fault fault;

	if (!fixed)
		return WIRE_SHORT;
	f = cursor_of(fixed, IPV4_HEADER_BYTES);
	first = cursor_u8(&f);
	h.tos = cursor_u8(&f);
	h.total_bytes = cursor_be16(&f);
	h.id = cursor_be16(&f);
	fragment = cursor_be16(&f);
	h.ttl = cursor_u8(&f);
	h.proto = cursor_u8(&f);
	cursor_skip(&f, 2); /* the checksum is judged with the rest */
	h.src = cursor_be32(&f);
	h.dst = cursor_be32(&f);
	if (first >> 4 != 4)
		return WIRE_VERSION; /* RFC 1122 3.2.1.1 */
	h.header_bytes = (uint16_t)((first & 15) * 4);
	if (h.header_bytes < IPV4_HEADER_BYTES || h.total_bytes < h.header_bytes)
		return WIRE_LENGTH;
	options = cursor_sub(c, h.header_bytes - IPV4_HEADER_BYTES);
	if (options.failed)
		return WIRE_SHORT;
	/* RFC 1122 3.2.1.2: verified for every packet. */
	if (!quoted && checksum_fold(checksum_add(0, start, h.header_bytes)) != 0)
		return WIRE_CHECKSUM;
	if (!quoted && h.total_bytes > came)
		return WIRE_LENGTH;
	h.df = fragment & FLAG_DF;
	h.mf = fragment & FLAG_MF;
	h.offset_bytes = (uint16_t)((fragment & OFFSET_MASK) * 8);
	fault = parse_options(options, &h);
	if (fault != WIRE_OK)
		return fault;
	if (!quoted)
		cursor_trim(c, (size_t)h.total_bytes - h.header_bytes);
	*ret = h;
	return WIRE_OK;
}

enum wire_fault ipv4_parse(struct cursor *c, struct ipv4 *ret)
{
	return parse(c, ret, false);
}

enum wire_fault ipv4_parse_quoted(struct cursor *c, struct ipv4 *ret)
{
	return parse(c, ret, true);
}

void ipv4_emit(struct emit *e, const struct ipv4 *h)
{
	bool alert = h->options & IPV4_OPT_ROUTER_ALERT;
	unsigned bytes = IPV4_HEADER_BYTES + (alert ? IPV4_ALERT_BYTES : 0);
	uint8_t *p = emit_take(e, bytes);

	if (!p)
		return;
	p[0] = (uint8_t)(4 << 4 | bytes / 4);
	p[1] = h->tos;
	put_be16(p + 2, h->total_bytes);
	put_be16(p + 4, h->id);
	put_be16(p + 6, (h->df ? FLAG_DF : 0) | (h->mf ? FLAG_MF : 0) | h->offset_bytes / 8u);
	p[8] = h->ttl;
	p[9] = h->proto;
	put_be16(p + 10, 0);
	put_be32(p + 12, h->src);
	put_be32(p + 16, h->dst);
	if (alert) {
		put_be16(p + 20, OPTION_ROUTER_ALERT << 8 | IPV4_ALERT_BYTES);
		put_be16(p + 22, 0);
	}
	put_be16(p + 10, checksum_fold(checksum_add(0, p, bytes)));
}
