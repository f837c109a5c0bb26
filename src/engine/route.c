// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "engine/route.h"

static uint32_t mask_of(unsigned prefix)
{
	return prefix ? ~0u << (32 - prefix) : 0;
}

/* Ours on the network that @addr is on, or 0. */
static uint32_t own_beside(const struct engine *e, uint32_t addr)
{
	const struct engine_config *c = &e->s->config;
	uint32_t best = 0;
	unsigned longest = 0;

	for (uint32_t i = 0; i < c->addresses; i++) {
		const struct engine_address *a = &c->address[i];

		if (((a->addr ^ addr) & mask_of(a->prefix)) == 0 && a->prefix > longest) {
			best = a->addr;
			longest = a->prefix;
		}
	}
	return best;
}

int route_find(const struct engine *e, uint32_t dst, uint32_t *ret_src, uint32_t *ret_next_hop)
{
	const struct engine_state *s = e->s;
	uint32_t src = own_beside(e, dst);
	uint32_t next_hop = dst;

	if (engine_is_ours(e, dst) || ipv4_is_loopback(dst)) {
		/* Ourselves: no business of the device's (RFC 1122 3.2.1.3 (g)). */
		if (!s->config.loopback)
			return -ENETUNREACH;
		if (ret_src)
			*ret_src = dst;
		*ret_next_hop = ROUTE_LOOPBACK;
		return 0;
	}
	/* RFC 1122 3.3.1.1: on the link, broadcast and multicast go there directly. */
	if (dst == UINT32_MAX || ipv4_is_multicast(dst)) {
		src = s->config.addresses ? s->config.address[0].addr : 0;
		next_hop = dst == UINT32_MAX ? 0 : dst;
	} else if (engine_is_broadcast(e, dst)) {
		next_hop = 0;
	} else {
		const struct route *best = NULL;

		/* They are kept with the longest prefix first; an address's own network counts as
		 * one. */
		for (uint32_t i = 0; i < s->routes && !best; i++) {
			if (((s->route[i].dst ^ dst) & mask_of(s->route[i].prefix)) == 0)
				best = &s->route[i];
		}
		if (!best)
			return -ENETUNREACH;
		if (best->gateway)
			next_hop = best->gateway;
		src = best->src;
	}
	/* It may be one that is not ours yet (acd.h). */
	if (!src || !engine_is_ours(e, src))
		return -ENETUNREACH;
	if (ret_src)
		*ret_src = src;
	*ret_next_hop = next_hop;
	return 0;
}

int route_find_from(const struct engine *e, uint32_t dst, uint32_t from, uint32_t *ret_src,
		    uint32_t *ret_next_hop)
{
	uint32_t src;
	int err = route_find(e, dst, &src, ret_next_hop);

	if (err != 0)
		return err;
	if (ipv4_is_loopback(from) && *ret_next_hop != ROUTE_LOOPBACK)
		return -EINVAL;
	/* It may be bound to a group, or to a broadcast address: no source. */
	*ret_src = from && engine_is_local(e, from) ? from : src;
	return 0;
}

int engine_route_add(struct engine *e, uint32_t dst, uint8_t prefix, uint32_t gateway)
{
	struct engine_state *s = e->s;
	uint32_t src = own_beside(e, gateway ? gateway : dst);
	uint32_t at;

	if (prefix > 32 || (dst & ~mask_of(prefix)))
		return -EINVAL;
	if (gateway && !src)
		return -ENETUNREACH;
	if (!src && s->config.addresses)
		src = s->config.address[0].addr;
	if (s->routes == ENGINE_ROUTES)
		return -ENOSPC;
	for (at = 0; at < s->routes && s->route[at].prefix >= prefix; at++) {
		if (s->route[at].dst == dst && s->route[at].prefix == prefix)
			return -EEXIST;
	}
	for (uint32_t i = s->routes; i > at; i--)
		s->route[i] = s->route[i - 1];
	s->route[at] = (struct route){.dst = dst, .gateway = gateway, .src = src, .prefix = prefix};
	s->routes++;
	s->route_change++;
	return 0;
}

int engine_route_drop(struct engine *e, uint32_t dst, uint8_t prefix)
{
	struct engine_state *s = e->s;

	for (uint32_t i = 0; i < s->routes; i++) {
		if (s->route[i].dst != dst || s->route[i].prefix != prefix)
			continue;
		for (s->routes--; i < s->routes; i++)
			s->route[i] = s->route[i + 1];
		s->route_change++;
		return 0;
	}
	return -ESRCH;
}

bool engine_route_get(const struct engine *e, uint32_t i, struct engine_route *ret)
{
	const struct route *r = &e->s->route[i % ENGINE_ROUTES];

	if (i >= e->s->routes)
		return false;
	*ret = (struct engine_route){
		.dst = r->dst, .gateway = r->gateway, .src = r->src, .prefix = r->prefix};
	return true;
}

static struct pmtu *pmtu_place(const struct engine *e, uint32_t dst)
{
	return &e->s->pmtu[siphash_2u64(&e->s->key, dst, 0x706d7475) % PMTU_ENTRIES];
}

uint32_t route_pmtu(const struct engine *e, uint32_t dst)
{
	const struct pmtu *p = pmtu_place(e, dst);

	if (p->dst == dst && p->until_ns > e->s->now_ns)
		return p->mtu;
	return e->s->config.mtu;
}

uint32_t route_plateau(uint32_t packet_bytes)
{
	static const uint16_t plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, PMTU_MIN};

	for (unsigned i = 0; i < ARRAY_LEN(plateau); i++) {
		if (plateau[i] < packet_bytes)
			return plateau[i];
	}
	return PMTU_MIN;
}

uint32_t route_pmtu_learn(struct engine *e, uint32_t dst, uint32_t packet_bytes, uint32_t mtu)
{
	uint32_t now = route_pmtu(e, dst);
	struct pmtu *p = pmtu_place(e, dst);

	if (mtu == 0)
		mtu = route_plateau(packet_bytes); /* a router that does not say */
	if (mtu < PMTU_MIN)
		mtu = PMTU_MIN;
	/* RFC 1191 3: never raised by a message. */
	if (mtu >= now)
		return 0;
	*p = (struct pmtu){.dst = dst, .mtu = mtu, .until_ns = e->s->now_ns + PMTU_AGE_NS};
	return mtu;
}
