// SPDX-License-Identifier: BSD-2-Clause
/* gso.c - Which segments Linux would have sent as one. */
#include <string.h>

#include "base/emit.h"
#include "engine/tcp_parts.h"
#include "gso.h"
#include "wire/checksum.h"

#define GROUPS 256u
#define TCP_FLAGS_AT 12u /* the word */
#define TCP_SUM_AT 16u

/** struct segment - Where a packet's TCP header is, and what it says. */
struct segment {
	uint8_t *tcp;
	uint32_t seq, end, src, dst;
	uint16_t sport, dport;
};

/**
 * struct gso - @last, @cars, @start: the segments that follow each other now; 0 @cars: none.
 * @high: What was sent of the connection @of, once at least. @group: its segments that left as one,
 * the newest GROUPS.
 */
static struct gso {
	struct segment last, of;
	unsigned cars;
	uint32_t start, high;
	struct seq_range group[GROUPS];
	uint32_t groups;
} gso;

void gso_init(void)
{
	memset(&gso, 0, sizeof(gso));
}

static bool segment_of(struct packet *p, struct segment *ret)
{
	struct cursor c = cursor_of(p->octets, p->bytes);
	struct tcp_header h;
	struct ipv4 ip;

	if (ipv4_parse(&c, &ip) != WIRE_OK || ip.proto != IPV4_PROTO_TCP || ipv4_is_fragment(&ip))
		return false;
	*ret = (struct segment){
		.tcp = p->octets + (c.at - p->octets),
		.src = ip.src,
		.dst = ip.dst,
	};
	if (tcp_parse(&c, &h) != WIRE_OK)
		return false;
	ret->seq = h.seq;
	ret->end = h.seq + (uint32_t)cursor_left(&c);
	ret->sport = h.sport;
	ret->dport = h.dport;
	return true;
}

static bool same_connection(const struct segment *a, const struct segment *b)
{
	return a->dst == b->dst && a->sport == b->sport && a->dport == b->dport;
}

static void push(const struct segment *g)
{
	uint8_t *word = g->tcp + TCP_FLAGS_AT, *sum = g->tcp + TCP_SUM_AT;
	uint16_t old = (uint16_t)(word[0] << 8 | word[1]);

	put_be16(sum, checksum_update16((uint16_t)(sum[0] << 8 | sum[1]), old, old | TCP_PSH));
	put_be16(word, old | TCP_PSH);
}

/*
 * How many it would be: what is sent in a millisecond, and more where the round trip is
 * short, but tcp_min_tso_segs at least, and at most half of the window. 1: ethtool
 * turned it off.
 */
static unsigned segments_in_one(const struct segment *g)
{
	const struct tcp *t = tcp_find(&world.e, g->src, g->sport, g->dst, g->dport);
	uint64_t least = world_sysctl("tcp_min_tso_segs", 0, 2), rate, bytes;
	uint32_t mss;

	if (!t || !world_sysctl("gso", 0, 1))
		return 1;
	mss = tcp_data_max(t);
	rate = t->srtt_us ? (uint64_t)t->cwnd * 1000000u / t->srtt_us : 0;
	rate = rate * (t->cwnd < t->ssthresh / 2 ? 200 : 120) / 100;
	bytes = (rate >> 10) + (0x10000u >> min_u32(t->min_rtt_us >> 9, 31));
	least = max_u64(least, min_u64(bytes, 0xffff) / mss);
	return (unsigned)min_u64(least, max_u32(t->cwnd / mss / 2, 1));
}

static void leave(void)
{
	if (gso.cars >= 2) {
		push(&gso.last);
		gso.group[gso.groups++ % GROUPS] =
			(struct seq_range){.start = gso.start, .end = gso.last.end};
	}
	gso.cars = 0;
}

/* It ends what left as one, and so does what was sent just before. */
static bool ends_group(const struct segment *before, const struct segment *g)
{
	for (uint32_t i = 0; i < GROUPS && i < gso.groups; i++) {
		if (gso.group[i].end == g->end && seq_geq(before->seq, gso.group[i].start))
			return true;
	}
	return false;
}

void gso_packet(struct packet *p)
{
	struct segment g, before = gso.last;
	bool follows;

	if (!segment_of(p, &g) || g.seq == g.end) {
		leave();
		gso.last = (struct segment){.tcp = NULL};
		return;
	}
	if (!same_connection(&g, &gso.of)) {
		leave();
		gso_init();
		gso.of = g;
		gso.high = g.seq;
	}
	follows = before.tcp && same_connection(&before, &g) && before.end == g.seq &&
		  g.end - g.seq <= before.end - before.seq;
	if (seq_lt(g.seq, gso.high)) {
		leave();
		if (follows && ends_group(&before, &g))
			push(&g);
		gso.last = g;
		return;
	}
	gso.high = g.end;
	if (!follows)
		leave();
	gso.start = gso.cars ? gso.start : g.seq;
	gso.last = g;
	if (++gso.cars >= segments_in_one(&g))
		leave();
}

void gso_end(void)
{
	leave();
	gso.last = (struct segment){.tcp = NULL};
}
