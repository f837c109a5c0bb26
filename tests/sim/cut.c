// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "base/emit.h"
#include "cut.h"
#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

#define SEQ 4u
#define FLAGS 13u

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

size_t cut_frame(const uint8_t *frame, size_t bytes, const struct engine_offload *o, unsigned i,
		 uint8_t *ret)
{
	uint8_t *ip = ret + ETH_HEADER_BYTES, *tcp = ret + o->sum_start;
	size_t headers, from, n;

	if (!o->cut_bytes) {
		memcpy(ret, frame, bytes);
		if (o->sum_start)
			put_be16(tcp + o->sum_offset,
				 checksum_fold(checksum_add(0, tcp, bytes - o->sum_start)));
		return i ? 0 : bytes;
	}
	headers = o->sum_start + (size_t)(frame[o->sum_start + 12] >> 4) * 4;
	from = headers + (size_t)i * o->cut_bytes;
	if (from >= bytes)
		return 0;
	n = bytes - from < o->cut_bytes ? bytes - from : o->cut_bytes;
	memcpy(ret, frame, headers);
	memcpy(ret + headers, frame + from, n);
	put_be16(ip + 2, (unsigned)(headers - ETH_HEADER_BYTES + n));
	put_be16(ip + 4, be16(ip + 4) + i);
	put_be16(ip + 10, 0);
	put_be16(ip + 10, checksum_fold(checksum_add(0, ip, IPV4_HEADER_BYTES)));
	put_be32(tcp + SEQ, be32(tcp + SEQ) + i * o->cut_bytes);
	if (from + n < bytes)
		tcp[FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	put_be16(tcp + o->sum_offset, 0);
	put_be16(tcp + o->sum_offset,
		 checksum_fold(
			 checksum_add(checksum_pseudo4(be32(ip + 12), be32(ip + 16), IPV4_PROTO_TCP,
						       (uint16_t)(headers - o->sum_start + n)),
				      tcp, headers - o->sum_start + n)));
	return headers + n;
}
