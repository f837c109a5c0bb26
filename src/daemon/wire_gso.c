/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "daemon/wire_gso.h"
#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

/* The engine's frames have neither tags nor IP options. */
#define IP_AT ETH_HEADER_BYTES
#define TCP_AT (IP_AT + IPV4_HEADER_BYTES)
#define IP_TOTAL_AT (IP_AT + 2u)
#define IP_CHECKSUM_AT (IP_AT + 10u)
#define IP_SOURCE_AT (IP_AT + 12u)
#define TCP_SEQ_AT (TCP_AT + 4u)
#define TCP_FLAGS_AT (TCP_AT + 13u)
#define TCP_WINDOW_AT (TCP_AT + 14u)
#define TCP_URGENT_AT (TCP_AT + 18u)

/* Of the large one only the last may have these. */
#define LAST_FLAGS (TCP_FIN | TCP_PSH)

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* May the segment @h follow? All that is in its headers is the same, but its place. */
static bool follows(const struct gso *g, const uint8_t *h, size_t header_bytes)
{
	return header_bytes == g->header_bytes && memcmp(h, g->header, IP_TOTAL_AT) == 0 &&
	       /* IP's flags, TTL and protocol: not its id, which DF makes meaningless */
	       memcmp(h + IP_AT + 6, g->header + IP_AT + 6, 4) == 0 &&
	       memcmp(h + IP_SOURCE_AT, g->header + IP_SOURCE_AT, TCP_SEQ_AT - IP_SOURCE_AT) == 0 &&
	       get32(h + TCP_SEQ_AT) == get32(g->header + TCP_SEQ_AT) + (uint32_t)g->data_bytes &&
	       memcmp(h + TCP_SEQ_AT + 4, g->header + TCP_SEQ_AT + 4, 5) == 0 && /* ACK, length */
	       ((h[TCP_FLAGS_AT] ^ g->header[TCP_FLAGS_AT]) & ~LAST_FLAGS) == 0 &&
	       memcmp(h + TCP_WINDOW_AT, g->header + TCP_WINDOW_AT, 2) == 0 &&
	       memcmp(h + TCP_URGENT_AT, g->header + TCP_URGENT_AT, header_bytes - TCP_URGENT_AT) ==
		       0;
}

bool gso_add(struct gso *g, const struct engine_frame *f)
{
	const uint8_t *h = f->piece[0].at;
	size_t header_bytes = f->piece[0].bytes, data = f->bytes - header_bytes;

	if (g->segments == 0) {
		memcpy(g->header, h, header_bytes);
		g->header_bytes = header_bytes;
		g->data_bytes = 0;
		g->size = (uint16_t)data;
		g->piece[0] = (struct iovec){g->header, header_bytes};
		g->pieces = 1;
	} else if (g->closed || data == 0 || data > g->size ||
		   g->pieces + f->pieces - 1 > GSO_PIECES ||
		   g->header_bytes - IP_AT + g->data_bytes + data > IPV4_PACKET_MAX ||
		   !follows(g, h, header_bytes)) {
		return false;
	} else {
		g->header[TCP_FLAGS_AT] = h[TCP_FLAGS_AT];
	}
	for (uint32_t i = 1; i < f->pieces; i++)
		g->piece[g->pieces++] =
			(struct iovec){(void *)(uintptr_t)f->piece[i].at, f->piece[i].bytes};
	g->segments++;
	g->data_bytes += data;
	g->closed = !f->partial || data == 0 || data < g->size ||
		    h[TCP_FLAGS_AT] & (LAST_FLAGS | TCP_SYN | TCP_RST | TCP_URG);
	return true;
}

void gso_seal(struct gso *g)
{
	uint8_t *h = g->header;

	if (g->segments < 2)
		return;
	put16(h + IP_TOTAL_AT, (uint16_t)(g->header_bytes - IP_AT + g->data_bytes));
	put16(h + IP_CHECKSUM_AT, 0);
	put16(h + IP_CHECKSUM_AT, checksum_fold(checksum_add(0, h + IP_AT, IPV4_HEADER_BYTES)));
	tcp_emit_partial(h + TCP_AT, get32(h + IP_SOURCE_AT), get32(h + IP_SOURCE_AT + 4),
			 (uint16_t)(g->header_bytes - TCP_AT + g->data_bytes));
}
