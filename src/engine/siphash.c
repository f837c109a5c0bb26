// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "engine/siphash.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

static inline struct sip sip_start(const struct siphash_key *key)
{
	return (struct sip){
		.v0 = key->k0 ^ 0x736f6d6570736575ull,
		.v1 = key->k1 ^ 0x646f72616e646f6dull,
		.v2 = key->k0 ^ 0x6c7967656e657261ull,
		.v3 = key->k1 ^ 0x7465646279746573ull,
	};
}

static inline uint64_t sip_end(struct sip *s, uint64_t last)
{
	sip_word(s, last);
	s->v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static uint64_t le64(const uint8_t *p, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

struct siphash_key siphash_key_of(const uint8_t octets[16])
{
	return (struct siphash_key){.k0 = le64(octets, 8), .k1 = le64(octets + 8, 8)};
}

uint64_t siphash(const struct siphash_key *key, const void *octets, size_t bytes)
{
	const uint8_t *p = octets;
	struct sip s = sip_start(key);
	size_t left = bytes;

	for (; left >= 8; left -= 8, p += 8)
		sip_word(&s, le64(p, 8));
	return sip_end(&s, (uint64_t)bytes << 56 | le64(p, left));
}

uint64_t siphash_2u64(const struct siphash_key *key, uint64_t a, uint64_t b)
{
	struct sip s = sip_start(key);

	sip_word(&s, a);
	sip_word(&s, b);
	return sip_end(&s, (uint64_t)16 << 56);
}
