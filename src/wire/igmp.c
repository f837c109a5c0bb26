// SPDX-License-Identifier: BSD-2-Clause
#include "wire/checksum.h"
#include "wire/igmp.h"

#define QUERY_3_BYTES 12u
#define MAX_VERSION_1_MS 10000u /* RFC 2236 4: it says nothing, and means this */

/* RFC 9776 4.1.1: tenths of a second, as a floating-point number from 128 on. */
static uint32_t tenths(unsigned code)
{
	return code < 128 ? code : ((code & 15) | 16) << ((code >> 4 & 7) + 3);
}

enum wire_fault igmp_parse(struct cursor *c, struct igmp *ret)
{
	uint64_t sum = checksum_add(0, c->at, cursor_left(c));
	size_t bytes = cursor_left(c);
	struct igmp m = {0};
	unsigned code;

	m.type = cursor_u8(c);
	code = cursor_u8(c);
	cursor_skip(c, 2);
	m.group = cursor_be32(c);
	if (c->failed)
		return WIRE_SHORT;
	if (checksum_fold(sum) != 0)
		return WIRE_CHECKSUM;
	if (m.type == IGMP_QUERY && bytes == IGMP_BYTES) {
		m.version = code ? 2 : 1;
		m.max_ms = code ? 100 * code : MAX_VERSION_1_MS;
	} else if (m.type == IGMP_QUERY) {
		if (bytes < QUERY_3_BYTES)
			return WIRE_LENGTH; /* RFC 9776 7.1: of no version */
		m.version = 3;
		m.max_ms = 100 * tenths(code);
		m.robustness = cursor_u8(c) & 7;
	}
	*ret = m;
	return WIRE_OK;
}

static void seal(uint8_t *p, size_t bytes)
{
	put_be16(p + 2, checksum_fold(checksum_add(0, p, bytes)));
}

void igmp_emit(struct emit *e, uint8_t type, uint32_t group)
{
	uint8_t *p = emit_take(e, IGMP_BYTES);

	if (!p)
		return;
	memset(p, 0, IGMP_BYTES);
	p[0] = type;
	put_be32(p + 4, group);
	seal(p, IGMP_BYTES);
}

void igmp_emit_report(struct emit *e, const struct igmp_record *record, unsigned records)
{
	size_t bytes = IGMP_BYTES + (size_t)records * IGMP_RECORD_BYTES;
	uint8_t *p = emit_take(e, bytes);

	if (!p)
		return;
	memset(p, 0, bytes);
	p[0] = IGMP_REPORT_3;
	put_be16(p + 6, records);
	for (unsigned i = 0; i < records; i++) {
		p[IGMP_BYTES + i * IGMP_RECORD_BYTES] = record[i].type;
		put_be32(p + IGMP_BYTES + i * IGMP_RECORD_BYTES + 4, record[i].group);
	}
	seal(p, bytes);
}
