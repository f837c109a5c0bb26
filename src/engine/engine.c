// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine.c - The mapping's making, and the ways in and out of it.
 */
#include <errno.h>
#include <string.h>

#include "engine/acd.h"
#include "engine/igmp.h"
#include "engine/ip.h"
#include "engine/neigh.h"
#include "engine/tcp_conn.h"

#define COUNT_NAME(name, text) text,
#define FAULT_NAMES(layer) \
	layer "-fault-none", layer "-short", layer "-version", layer "-length", layer "-checksum", \
		layer "-option", layer "-foreign",

static const char *const count_names[] = {
	ENGINE_COUNTS(COUNT_NAME) FAULT_NAMES("eth") FAULT_NAMES("arp") FAULT_NAMES("ip")
		FAULT_NAMES("icmp") FAULT_NAMES("igmp") FAULT_NAMES("udp") FAULT_NAMES("tcp")};
_Static_assert(ARRAY_LEN(count_names) == ENGINE_COUNT_MAX, "each counter has a name");

#define TABLE_MAX (1u << 24)

/* The least power of two that is not below @v. */
static uint32_t power_above(uint32_t v)
{
	uint32_t p = 1;

	while (p < v)
		p *= 2;
	return p;
}

static uint32_t or_default(uint32_t v, uint32_t otherwise)
{
	return v ? v : otherwise;
}

static bool fill_in(const struct engine_config *config, struct engine_config *c)
{
	*c = *config;
	c->mtu = c->mtu ? c->mtu : 1500;
	c->tcps = or_default(c->tcps, 1024);
	if (c->tcps > TABLE_MAX)
		return false;
	c->segs = or_default(c->segs, 16 * c->tcps);
	c->syns = or_default(c->syns, 256);
	c->socks = or_default(c->socks, c->tcps + 64);
	c->pkts = or_default(c->pkts, 512);
	c->cells = or_default(c->cells, 1024);
	c->neighs = or_default(c->neighs, 256);
	c->ooos = or_default(c->ooos, 256);
	c->ring_bytes = c->ring_bytes ? c->ring_bytes : 16u << 20;
	c->ring_bytes = (c->ring_bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	c->rcvbuf_max = or_default(c->rcvbuf_max, 16u << 20);
	c->sndbuf_max = or_default(c->sndbuf_max, 16u << 20);
	c->rcvbuf_max = (uint32_t)min_u64(c->rcvbuf_max, c->ring_bytes / 2);
	c->sndbuf_max = (uint32_t)min_u64(c->sndbuf_max, c->ring_bytes / 2);
	c->time_wait_ns = c->time_wait_ns ? c->time_wait_ns : 60 * NS_SEC;
	if (!c->local_port_min && !c->local_port_max) {
		c->local_port_min = 32768;
		c->local_port_max = 60999;
	}
	if (c->mtu < IPV4_MTU_MIN || c->segs > TABLE_MAX || c->syns > TABLE_MAX ||
	    c->socks > TABLE_MAX || c->pkts > TABLE_MAX || c->cells > TABLE_MAX ||
	    c->neighs > TABLE_MAX || c->ooos > TABLE_MAX || c->addresses > ENGINE_ADDRESSES ||
	    c->rcvbuf_max > 16u << 20 || c->sndbuf_max > 16u << 20 || c->ring_bytes > 1ull << 40 ||
	    c->rcvbuf_max < PAGE_BYTES || c->sndbuf_max < PAGE_BYTES || c->local_port_min == 0 ||
	    c->local_port_min > c->local_port_max || eth_is_multicast(c->mac) ||
	    (c->offload & ENGINE_OFFLOAD_TSO && !(c->offload & ENGINE_OFFLOAD_SUM)))
		return false;
	for (uint32_t i = 0; i < c->addresses; i++) {
		const struct engine_address *a = &c->address[i];

		if (a->addr == 0 || a->addr == UINT32_MAX || ipv4_is_multicast(a->addr) ||
		    ipv4_is_loopback(a->addr) || a->prefix < 1 || a->prefix > 32)
			return false;
	}
	return true;
}

static uint64_t take(uint64_t *at, uint64_t count, uint64_t stride)
{
	uint64_t here = *at;

	*at = (here + count * stride + CACHE_LINE - 1) & ~(uint64_t)(CACHE_LINE - 1);
	return here;
}

static uint32_t timers_of(const struct engine_config *c)
{
	return c->tcps + c->syns + c->neighs + REASS_MAX + TIMER_OTHERS;
}

static void lay_out(const struct engine_config *c, struct engine_offsets *o)
{
	uint64_t at = 0;
	uint64_t buckets = power_above(c->tcps);

	(void)take(&at, 1, sizeof(struct engine_state));
	o->tcp = take(&at, c->tcps, sizeof(struct tcp));
	o->seg = take(&at, c->segs, sizeof(struct tcp_seg));
	o->syn = take(&at, c->syns, sizeof(struct syn));
	o->sock = take(&at, c->socks, sizeof(struct sock));
	o->pkt = take(&at, c->pkts, sizeof(struct pkt));
	o->cell = take(&at, c->cells, sizeof(struct cell));
	o->neigh = take(&at, c->neighs, sizeof(struct neigh));
	o->ooo = take(&at, c->ooos, sizeof(struct ooo));
	o->timer = take(&at, timers_of(c), sizeof(struct timer));
	o->book = take(&at, c->ring_bytes >> BUDDY_PAGE_SHIFT, sizeof(struct buddy_page));
	o->tcp_bucket = take(&at, buckets, sizeof(uint32_t));
	o->syn_bucket = take(&at, power_above(c->syns), sizeof(uint32_t));
	o->port_bucket =
		take(&at, 2 * (uint64_t)power_above(min_u32(c->socks, 65536)), sizeof(uint32_t));
	at = (at + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	o->ring = at;
	o->ring_bytes = c->ring_bytes;
	o->bytes = at + c->ring_bytes;
}

size_t engine_bytes(const struct engine_config *config)
{
	struct engine_config c;
	struct engine_offsets o;

	if (!fill_in(config, &c))
		return 0;
	lay_out(&c, &o);
	return o.bytes;
}

static void see(struct engine *e, void *mem)
{
	uint8_t *base = mem;
	struct engine_state *s = mem;

	*e = (struct engine){
		.s = s,
		.tcp = (void *)(base + s->at.tcp),
		.seg = (void *)(base + s->at.seg),
		.syn = (void *)(base + s->at.syn),
		.sock = (void *)(base + s->at.sock),
		.pkt = (void *)(base + s->at.pkt),
		.cell = (void *)(base + s->at.cell),
		.neigh = (void *)(base + s->at.neigh),
		.ooo = (void *)(base + s->at.ooo),
		.timer = (void *)(base + s->at.timer),
		.book = (void *)(base + s->at.book),
		.tcp_bucket = (void *)(base + s->at.tcp_bucket),
		.syn_bucket = (void *)(base + s->at.syn_bucket),
		.port_bucket = (void *)(base + s->at.port_bucket),
	};
	e->window[0] = (struct engine_window){.base = base + s->at.ring, .bytes = s->at.ring_bytes};
}

static void init_tables(struct engine *e, uint64_t now_ns)
{
	struct engine_state *s = e->s;
	const struct engine_config *c = &s->config;

	slab_init(&s->tcps, c->tcps);
	slab_init(&s->segs, c->segs);
	slab_init(&s->syns, c->syns);
	slab_init(&s->socks, c->socks);
	slab_init(&s->pkts, c->pkts);
	slab_init(&s->cells, c->cells);
	slab_init(&s->neighs, c->neighs);
	slab_init(&s->ooos, c->ooos);
	buddy_init(&s->buddy, e->book, (uint32_t)(c->ring_bytes >> BUDDY_PAGE_SHIFT));
	wheel_init(&s->wheel, now_ns);
	s->timer_syn = c->tcps;
	s->timer_neigh = s->timer_syn + c->syns;
	s->timer_reass = s->timer_neigh + c->neighs;
	s->timer_other = s->timer_reass + REASS_MAX;
	for (uint32_t i = 0; i < REASS_MAX + TIMER_OTHERS; i++)
		wheel_timer_init(&e->timer[s->timer_reass + i]);
	s->tcp_buckets = power_above(c->tcps);
	s->syn_buckets = power_above(c->syns);
	s->port_buckets = power_above(min_u32(c->socks, 65536));
	memset(e->tcp_bucket, 0xff, s->tcp_buckets * sizeof(uint32_t));
	memset(e->syn_bucket, 0xff, s->syn_buckets * sizeof(uint32_t));
	memset(e->port_bucket, 0xff, 2 * s->port_buckets * sizeof(uint32_t));
	memset(s->neigh_bucket, 0xff, sizeof(s->neigh_bucket));
	s->tcp_last = NIL;
	ilist_init(&s->tx);
	ilist_init(&s->tcp_out);
	ilist_init(&s->arp_wait);
	ilist_init(&s->events);
	ilist_init(&s->time_wait);
	ilist_init(&s->neigh_lru);
	for (uint32_t i = 0; i < REASS_MAX; i++)
		s->reass[i].pkt = NIL;
}

int engine_init(struct engine *e, void *mem, size_t bytes, const struct engine_config *config,
		const uint8_t key[16], uint64_t now_ns)
{
	struct engine_state *s = mem;
	struct engine_config c;
	struct engine_offsets o;

	if (!fill_in(config, &c) || (uintptr_t)mem % PAGE_BYTES)
		return -EINVAL;
	lay_out(&c, &o);
	if (bytes < o.bytes)
		return -ENOMEM;
	s->config = c;
	s->at = o;
	s->key = siphash_key_of(key);
	s->now_ns = now_ns;
	see(e, mem);
	init_tables(e, now_ns);
	for (uint32_t i = 0; i < c.addresses; i++) {
		uint32_t mask = ~0u << (32 - c.address[i].prefix);

		/* Two addresses of one network make one route. */
		(void)engine_route_add(e, c.address[i].addr & mask, c.address[i].prefix, 0);
	}
	if (c.gateway && engine_route_add(e, 0, 0, c.gateway) != 0)
		return -EINVAL;
	s->magic = ENGINE_MAGIC;
	acd_start(e);
	return 0;
}

int engine_attach(struct engine *e, void *mem, size_t bytes)
{
	const struct engine_state *s = mem;

	if (bytes < sizeof(*s) || (uintptr_t)mem % PAGE_BYTES || s->magic != ENGINE_MAGIC ||
	    s->at.bytes > bytes)
		return -EINVAL;
	see(e, mem);
	return 0;
}

bool engine_is_ours(const struct engine *e, uint32_t addr)
{
	const struct engine_config *c = &e->s->config;

	for (uint32_t i = 0; i < c->addresses; i++) {
		if (c->address[i].addr == addr)
			return e->s->acd[i].state == ACD_ANNOUNCE || e->s->acd[i].state == ACD_USED;
	}
	return false;
}

bool engine_is_local(const struct engine *e, uint32_t addr)
{
	return engine_is_ours(e, addr) || (e->s->config.loopback && ipv4_is_loopback(addr));
}

bool engine_is_broadcast(const struct engine *e, uint32_t addr)
{
	const struct engine_config *c = &e->s->config;

	if (addr == UINT32_MAX)
		return true;
	for (uint32_t i = 0; i < c->addresses; i++) {
		uint32_t host;

		if (c->address[i].prefix > 30)
			continue; /* RFC 3021: there is none */
		host = ~(~0u << (32 - c->address[i].prefix));
		if (((c->address[i].addr ^ addr) & ~host) == 0 && (addr & host) == host)
			return true;
	}
	return false;
}

static void pass_time(struct engine *e, uint64_t now_ns)
{
	e->s->now_ns = max_u64(e->s->now_ns, now_ns);
}

static void input(struct engine *e, uint64_t now_ns, enum engine_interface from, const void *frame,
		  size_t bytes, const struct engine_offload *o)
{
	struct cursor c = cursor_of(frame, bytes);
	struct eth h;
	enum wire_fault fault = eth_parse(&c, &h);
	bool to_us;

	pass_time(e, now_ns);
	COUNT(e, FRAMES_IN);
	if (fault != WIRE_OK) {
		COUNT_FAULT(e, ETH, fault);
		return;
	}
	to_us = memcmp(h.dst, e->s->config.mac, sizeof(h.dst)) == 0;
	if (!to_us && !eth_is_multicast(h.dst)) {
		COUNT(e, ETH_NOT_FOR_US);
		return;
	}
	if (h.type == ETH_TYPE_IPV4) {
		struct engine_offload left = *o;
		uint16_t before = (uint16_t)(c.at - (const uint8_t *)frame);

		/* From the packet's first octet; what lies before that fits to nothing. */
		if (o->sum_start)
			left.sum_start = o->sum_start > before ? (uint16_t)(o->sum_start - before)
							       : UINT16_MAX;
		ip_input(e, c, to_us, from, &left);
	} else if (h.type == ETH_TYPE_ARP && from == ENGINE_DEVICE) {
		struct arp a;

		fault = arp_parse(&c, &a);
		if (fault != WIRE_OK)
			COUNT_FAULT(e, ARP, fault);
		else
			neigh_input(e, &a);
	} else {
		COUNT(e, ETH_TYPE_UNKNOWN);
	}
}

void engine_input_from(struct engine *e, uint64_t now_ns, enum engine_interface from,
		       const void *frame, size_t bytes)
{
	input(e, now_ns, from, frame, bytes, &(struct engine_offload){0});
}

void engine_input(struct engine *e, uint64_t now_ns, const void *frame, size_t bytes)
{
	engine_input_from(e, now_ns, ENGINE_DEVICE, frame, bytes);
}

void engine_input_offloaded(struct engine *e, uint64_t now_ns, const void *frame, size_t bytes,
			    const struct engine_offload *o)
{
	input(e, now_ns, ENGINE_DEVICE, frame, bytes, o);
}

bool engine_output(struct engine *e, uint64_t now_ns, struct engine_frame *ret)
{
	pass_time(e, now_ns);
	ret->kept = 0;
	while (e->s->tx.head != NIL) {
		if (ip_frame(e, ret)) {
			COUNT(e, FRAMES_OUT);
			return true;
		}
	}
	while (e->s->tcp_out.head != NIL) {
		if (tcp_frame(e, ret)) {
			COUNT(e, FRAMES_OUT);
			return true;
		}
		/* It may have asked for its neighbour's address. */
		if (e->s->tx.head != NIL)
			return engine_output(e, now_ns, ret);
	}
	return false;
}

void engine_time(struct engine *e, uint64_t now_ns)
{
	struct engine_state *s = e->s;
	uint32_t id;

	pass_time(e, now_ns);
	while ((id = wheel_pop(&s->wheel, e->timer, s->now_ns)) != NIL) {
		if (id < s->timer_syn)
			tcp_timer(e, id);
		else if (id < s->timer_neigh)
			syn_timer(e, id - s->timer_syn);
		else if (id < s->timer_reass)
			neigh_timer(e, id - s->timer_neigh);
		else if (id < s->timer_other)
			reass_timer(e, id - s->timer_reass);
		else if (id == s->timer_other + TIMER_ACD)
			acd_timer(e);
		else
			igmp_timer(e);
	}
}

uint64_t engine_deadline(const struct engine *e)
{
	return wheel_next_ns(&e->s->wheel);
}

void engine_usage(const struct engine *e, struct engine_usage *ret)
{
	const struct engine_state *s = e->s;

	*ret = (struct engine_usage){
		.tcps = s->tcps.used,
		.segs = s->segs.used,
		.syns = s->syns.used,
		.socks = s->socks.used,
		.pkts = s->pkts.used,
		.cells = s->cells.used,
		.neighs = s->neighs.used,
		.ooos = s->ooos.used,
		.ring_pages = s->buddy.used,
		.timers = s->wheel.set,
		.groups = s->igmp.groups,
	};
}

uint64_t engine_stat(const struct engine *e, unsigned which)
{
	return which < ENGINE_COUNT_MAX ? e->s->count[which] : 0;
}

const char *engine_stat_name(unsigned which)
{
	return which < ENGINE_COUNT_MAX ? count_names[which] : NULL;
}
