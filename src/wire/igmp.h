/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * igmp.h - Who wants to hear which multicast groups (RFC 1112 Appendix I, RFC 2236, RFC 9776).
 */
#ifndef MORTISE_WIRE_IGMP_H
#define MORTISE_WIRE_IGMP_H

#include "base/cursor.h"
#include "base/emit.h"
#include "wire/fault.h"

#define IGMP_BYTES 8u /* of a message of versions 1 and 2, and of a report's header */
#define IGMP_RECORD_BYTES 8u

#define IGMP_QUERY 0x11u
#define IGMP_REPORT_1 0x12u
#define IGMP_REPORT_2 0x16u
#define IGMP_LEAVE 0x17u
#define IGMP_REPORT_3 0x22u

#define IGMP_ALL_HOSTS 0xe0000001u   /* 224.0.0.1 */
#define IGMP_ALL_ROUTERS 0xe0000002u /* 224.0.0.2 */
#define IGMP_ROUTERS_3 0xe0000016u   /* 224.0.0.22: those that speak version 3 */

/* RFC 9776 4.2.13: of a record. Without a list of sources: from all, and from none. */
#define IGMP_IS_EXCLUDE 2u
#define IGMP_TO_INCLUDE 3u
#define IGMP_TO_EXCLUDE 4u

/**
 * struct igmp - A message.
 * @version:    Of a query: 1 to 3 (RFC 9776 7.1).
 * @robustness: What a query of version 3 asks for; 0: it does not say.
 * @group:      0: a query for all.
 * @max_ms:     Within how long a query is to be answered.
 */
struct igmp {
	uint8_t type, version, robustness;
	uint32_t group, max_ms;
};

/** igmp_parse() - A message that is whole in @c. Return: WIRE_OK, WIRE_SHORT, WIRE_LENGTH, or
 * WIRE_CHECKSUM. */
enum wire_fault igmp_parse(struct cursor *c, struct igmp *ret);

/** igmp_emit() - A message of version 1 or 2: a report, or that the group is left. */
void igmp_emit(struct emit *e, uint8_t type, uint32_t group);

/** struct igmp_record - @type: IGMP_IS_EXCLUDE and so on. */
struct igmp_record {
	uint8_t type;
	uint32_t group;
};

/** igmp_emit_report() - A report of version 3. */
void igmp_emit_report(struct emit *e, const struct igmp_record *record, unsigned records);

#endif
