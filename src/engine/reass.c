// SPDX-License-Identifier: BSD-2-Clause
/*
 * reass.c - Putting datagrams together (RFC 791 3.2; RFC 1122 3.3.2).
 *
 * At most REASS_MAX datagrams at a time, each of at most PKT_GAPS separate
 * pieces; the oldest gives way to a new one. A fragment that overlaps another
 * by so much as an octet ends its datagram (RFC 5722's rule for IPv6, which is
 * as right here): overlaps come from attacks, and two ways to resolve them are
 * one too many. An exact copy is only dropped.
 */
#include <string.h>

#include "engine/icmp.h"
#include "engine/ip.h"
#include "engine/pkt.h"

static uint32_t timer_of(const struct engine *e, uint32_t index)
{
	return e->s->timer_reass + index;
}

static void drop(struct engine *e, struct reass *r)
{
	uint32_t index = index_of(e->s->reass, r, sizeof(*r));

	pkt_free(e, &e->pkt[r->pkt]);
	r->pkt = NIL;
	wheel_cancel(&e->s->wheel, e->timer, timer_of(e, index));
}

/* The entry of a datagram, or a fresh one. RFC 791 3.2: by source, destination, protocol, id. */
static struct reass *find(struct engine *e, const struct ipv4 *h)
{
	struct reass *free = NULL;
	struct reass *oldest = NULL;
	uint64_t oldest_ns = UINT64_MAX;
	struct pkt *p;

	for (uint32_t i = 0; i < REASS_MAX; i++) {
		struct reass *r = &e->s->reass[i];
		uint64_t due;

		if (r->pkt == NIL) {
			free = free ? free : r;
			continue;
		}
		if (r->src == h->src && r->dst == h->dst && r->id == h->id && r->proto == h->proto)
			return r;
		due = wheel_due_ns(e->timer, timer_of(e, i));
		if (due < oldest_ns) {
			oldest_ns = due;
			oldest = r;
		}
	}
	if (!free) {
		COUNT(e, REASS_NO_ROOM);
		drop(e, oldest);
		free = oldest;
	}
	p = pkt_new_kept(e, 0);
	if (!p) {
		COUNT(e, REASS_NO_ROOM);
		return NULL;
	}
	*free = (struct reass){
		.pkt = PKT_INDEX(e, p),
		.src = h->src,
		.dst = h->dst,
		.id = h->id,
		.proto = h->proto,
		.ttl = h->ttl,
	};
	wheel_set(&e->s->wheel, e->timer, timer_of(e, index_of(e->s->reass, free, sizeof(*free))),
		  e->s->now_ns + REASS_TIMEOUT_NS);
	return free;
}

enum placed { PLACED, PLACED_COPY, PLACED_OVERLAP, PLACED_FULL };

/* Note that [start, end) has come. */
static enum placed place(struct reass *r, uint16_t start, uint16_t end)
{
	uint32_t i = 0;

	while (i < r->pieces && r->end[i] < start)
		i++;
	/* Piece i is the first that ends at or behind our start. */
	if (i < r->pieces && r->start[i] <= start && end <= r->end[i])
		return PLACED_COPY;
	if (i < r->pieces && r->end[i] == start) {
		if (i + 1 < r->pieces && r->start[i + 1] < end)
			return PLACED_OVERLAP;
		r->end[i] = end;
		if (i + 1 < r->pieces && r->start[i + 1] == end) {
			r->end[i] = r->end[i + 1];
			r->pieces--;
			memmove(&r->start[i + 1], &r->start[i + 2],
				(r->pieces - i - 1) * sizeof(r->start[0]));
			memmove(&r->end[i + 1], &r->end[i + 2],
				(r->pieces - i - 1) * sizeof(r->end[0]));
		}
		return PLACED;
	}
	if (i < r->pieces && r->start[i] < end)
		return PLACED_OVERLAP;
	if (i < r->pieces && r->start[i] == end) {
		r->start[i] = start;
		return PLACED;
	}
	if (r->pieces == PKT_GAPS)
		return PLACED_FULL;
	memmove(&r->start[i + 1], &r->start[i], (r->pieces - i) * sizeof(r->start[0]));
	memmove(&r->end[i + 1], &r->end[i], (r->pieces - i) * sizeof(r->end[0]));
	r->start[i] = start;
	r->end[i] = end;
	r->pieces++;
	return PLACED;
}

static void finish(struct engine *e, struct reass *r, bool unicast)
{
	struct ip_in in = {
		.src = r->src,
		.dst = r->dst,
		.quote = r->first,
		.quote_bytes = sizeof(r->first),
		.proto = r->proto,
		.ttl = r->ttl,
		.unicast = unicast,
	};
	uint32_t total = r->total;
	uint8_t quote[sizeof(r->first)];

	COUNT(e, REASS_DONE);
	memcpy(quote, r->first, sizeof(quote));
	in.quote = quote;
	pkt_read(e, &e->pkt[r->pkt], 0, e->s->scratch, total);
	drop(e, r);
	ip_deliver(e, &in, cursor_of(e->s->scratch, total));
}

void reass_input(struct engine *e, const struct ipv4 *h, const uint8_t *packet,
		 struct cursor payload, bool unicast)
{
	size_t bytes = cursor_left(&payload);
	size_t end = h->offset_bytes + bytes;
	struct reass *r;

	COUNT(e, REASS_IN);
	/* RFC 791 3.1: pieces are of whole 8 octets, but the last. And no more than a packet can
	 * have. */
	if (bytes == 0 || (h->mf && bytes % 8) || end + IPV4_HEADER_BYTES > IPV4_PACKET_MAX) {
		COUNT(e, REASS_LENGTH);
		return;
	}
	r = find(e, h);
	if (!r)
		return;
	/* The last one says how long the whole is: all of them have to agree. */
	if ((!h->mf &&
	     ((r->total && r->total != end) || (r->pieces && r->end[r->pieces - 1] > end))) ||
	    (r->total && end > r->total)) {
		COUNT(e, REASS_LENGTH);
		drop(e, r);
		return;
	}
	switch (place(r, h->offset_bytes, (uint16_t)end)) {
	case PLACED_COPY:
		return;
	case PLACED_OVERLAP:
		COUNT(e, REASS_OVERLAP);
		drop(e, r);
		return;
	case PLACED_FULL:
		COUNT(e, REASS_NO_ROOM);
		drop(e, r);
		return;
	case PLACED:
		break;
	}
	if (!pkt_spare(e, end - h->offset_bytes) ||
	    !pkt_cover(e, &e->pkt[r->pkt], h->offset_bytes, end)) {
		COUNT(e, REASS_NO_ROOM);
		drop(e, r);
		return;
	}
	pkt_write(e, &e->pkt[r->pkt], h->offset_bytes, payload.at, bytes);
	if (h->offset_bytes == 0) {
		memcpy(r->first, packet, IPV4_HEADER_BYTES);
		memcpy(r->first + IPV4_HEADER_BYTES, payload.at, bytes < 8 ? bytes : 8);
		/* The quote is without the options. */
		r->first[0] = 4 << 4 | IPV4_HEADER_BYTES / 4;
		r->has_first = true;
	}
	if (!h->mf)
		r->total = (uint32_t)end;
	if (r->total && r->pieces == 1 && r->start[0] == 0 && r->end[0] == r->total)
		finish(e, r, unicast);
}

void reass_timer(struct engine *e, uint32_t index)
{
	struct reass *r = &e->s->reass[index];

	COUNT(e, REASS_TIMEOUT);
	/* RFC 1122 3.3.2: said to its sender, where the first fragment came. */
	if (r->has_first) {
		struct ip_in in = {
			.src = r->src,
			.dst = r->dst,
			.quote = r->first,
			.quote_bytes = sizeof(r->first),
			.proto = r->proto,
			.unicast = engine_is_local(e, r->dst),
		};

		icmp_error(e, &in, ICMP4_TIME_EXCEEDED, ICMP4_EXCEEDED_REASSEMBLY);
	}
	drop(e, r);
}
