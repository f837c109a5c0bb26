/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "shm/addr.h"

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

unsigned addr_rank(addr_word listens, addr_word target)
{
	bool dual = listens & ADDR_WORD_DUAL;

	if (listens == ADDR_WORD_GATE)
		return 1;
	if (addr_word_port(listens) != addr_word_port(target))
		return 0;
	if (addr_word_is6(listens) == addr_word_is6(target) &&
	    addr_word_addr(listens) == addr_word_addr(target))
		return dual && !addr_word_is6(target) ? 3 : 4;
	if (!addr_word_is_any(listens))
		return 0;
	if (addr_word_is6(target))
		return addr_word_is6(listens) ? 2 : 0;
	if (addr_word_is6(listens) && !dual)
		return 0;
	return dual ? 1 : 2;
}

bool addr_conflicts(addr_word a, addr_word b)
{
	if (addr_word_port(a) != addr_word_port(b))
		return false;
	if (addr_word_is6(a) == addr_word_is6(b))
		return addr_word_addr(a) == addr_word_addr(b) || addr_word_is_any(a) ||
		       addr_word_is_any(b);
	if (addr_word_is6(b))
		return addr_conflicts(b, a);
	return addr_word_is_any(a) && a & ADDR_WORD_DUAL;
}

bool addr_in6_is_any(const uint8_t in6[16])
{
	static const uint8_t any[16];

	return memcmp(in6, any, sizeof(any)) == 0;
}

bool addr_in6_is_mapped(const uint8_t in6[16])
{
	return memcmp(in6, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

void addr_in6_map(uint32_t v4, uint8_t ret_in6[16])
{
	memcpy(ret_in6, mapped_prefix, sizeof(mapped_prefix));
	for (unsigned i = 0; i < 4; i++)
		ret_in6[12 + i] = (uint8_t)(v4 >> (24 - 8 * i));
}

uint32_t addr_in6_v4(const uint8_t in6[16])
{
	uint32_t v4 = 0;

	for (unsigned i = 0; i < 4; i++)
		v4 = v4 << 8 | in6[12 + i];
	return v4;
}

bool addr_in6_is_linklocal(const uint8_t in6[16])
{
	return in6[0] == 0xfe && (in6[1] & 0xc0) == 0x80;
}

/* Entries that are there: whoever sees the count sees what is in them. */
static uint32_t addrs_known(const struct registry *r)
{
	/* Pairs with the release in registry_addr_set(). */
	uint32_t n = load_acquire(&r->addr_count);

	return n < ADDR_MAX ? n : ADDR_MAX;
}

int registry_addr_find(const struct registry *r, const uint8_t in6[16], uint32_t scope,
		       uint32_t *ret_index)
{
	uint32_t n = addrs_known(r);

	if (!addr_in6_is_linklocal(in6))
		scope = 0;
	for (uint32_t i = 0; i < n; i++)
		if (r->addrs[i].scope == scope && memcmp(r->addrs[i].in6, in6, 16) == 0) {
			*ret_index = i;
			return 0;
		}
	return -ENOENT;
}

int registry_addr_get(const struct registry *r, addr_word w, uint8_t ret_in6[16],
		      uint32_t *ret_scope)
{
	uint32_t i = addr_word_addr(w);

	if (!addr_word_is6(w)) {
		addr_in6_map(i, ret_in6);
		*ret_scope = 0;
		return 0;
	}
	if (i >= addrs_known(r))
		return -ENOENT;
	memcpy(ret_in6, r->addrs[i].in6, 16);
	*ret_scope = r->addrs[i].scope;
	return 0;
}

bool registry_addr_is_own(const struct registry *r, addr_word w)
{
	uint32_t i = addr_word_addr(w);
	uint8_t in6[16];

	if (addr_word_is_any(w))
		return false;
	if (!addr_word_is6(w)) {
		if (addr_word_is_loopback(w))
			return true;
		addr_in6_map(addr_word_addr(w), in6);
		if (registry_addr_find(r, in6, 0, &i) < 0)
			return false;
	}
	return i < addrs_known(r) && load_relaxed(&r->addrs[i].own);
}

void registry_addr_init(struct registry *r)
{
	uint8_t in6[16] = { 0 };

	registry_addr_set(r, in6, 0, false);
	in6[15] = 1;
	registry_addr_set(r, in6, 0, true);
}

int registry_addr_set(struct registry *r, const uint8_t in6[16], uint32_t scope, bool own)
{
	uint32_t i;

	if (registry_addr_find(r, in6, scope, &i) < 0) {
		if (!own && !addr_in6_is_any(in6))
			return 0;
		i = addrs_known(r);
		if (i == ADDR_MAX)
			return -ENOSPC;
		memcpy(r->addrs[i].in6, in6, 16);
		r->addrs[i].scope = addr_in6_is_linklocal(in6) ? scope : 0;
		store_release(&r->addr_count, i + 1);
	}
	store_relaxed(&r->addrs[i].own, own);
	return 0;
}
