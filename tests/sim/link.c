// SPDX-License-Identifier: BSD-2-Clause
#include "link.h"

uint64_t link_random(uint64_t *random)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15ull; /* SplitMix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t link_below(uint64_t *random, uint64_t n)
{
	return n ? link_random(random) % n : 0;
}

bool link_chance(uint64_t *random, uint32_t of)
{
	return of && (link_random(random) & 0xffff) < of;
}

static bool is_lost(struct link *l, uint64_t *random, uint64_t now_ns)
{
	for (uint32_t i = 0; i < l->cuts; i++) {
		if (now_ns >= l->cut_from[i] && now_ns < l->cut_to[i])
			return true;
	}
	if (l->in_bad ? link_chance(random, l->bad_end) : link_chance(random, l->bad))
		l->in_bad = !l->in_bad;
	return link_chance(random, l->in_bad ? l->bad_loss : l->loss);
}

enum link_fate link_take(struct link *l, uint64_t *random, uint64_t now_ns, size_t bytes,
			 uint64_t *ret_at_ns)
{
	uint64_t at = now_ns;

	if (l->rate) {
		uint64_t free_at = l->busy_until > at ? l->busy_until : at;

		/* What stands in the queue now. */
		if ((free_at - at) * (l->rate / 8) / LINK_SEC + bytes > l->queue_bytes)
			return LINK_QUEUE_FULL;
		l->busy_until = free_at + bytes * 8 * LINK_SEC / l->rate;
		at = l->busy_until;
	}
	if (l->hole && bytes > l->hole)
		return l->says ? LINK_TOO_LONG : LINK_LOST;
	if (is_lost(l, random, now_ns))
		return LINK_LOST;
	*ret_at_ns = at;
	return LINK_PASSED;
}

uint64_t link_arrival(const struct link *l, uint64_t *random, uint64_t at_ns)
{
	at_ns += l->delay_ns + link_below(random, l->jitter_ns);
	if (link_chance(random, l->reorder))
		at_ns += l->delay_ns / 2 + link_below(random, 10 * LINK_MSEC);
	return at_ns;
}

bool link_harm(const struct link *l, uint64_t *random, uint8_t *octets, size_t bytes)
{
	uint64_t bit;

	if (bytes <= 14 || octets[12] != 8 || octets[13] != 0 || !link_chance(random, l->corrupt))
		return false;
	bit = link_below(random, (bytes - 14) * 8);
	octets[14 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	return true;
}
