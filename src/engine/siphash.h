/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * siphash.h - SipHash-2-4, a keyed hash: who does not know the key cannot choose
 * what falls into one bucket, nor guess a sequence number made with it.
 */
#ifndef MORTISE_ENGINE_SIPHASH_H
#define MORTISE_ENGINE_SIPHASH_H

#include "base/defs.h"

struct siphash_key {
	uint64_t k0;
	uint64_t k1;
};

struct siphash_key siphash_key_of(const uint8_t octets[16]);

/** siphash() - The hash of @bytes octets. */
uint64_t siphash(const struct siphash_key *key, const void *octets, size_t bytes);

/** siphash_2u64() - Of two words, as if they were 16 octets, little end first. */
uint64_t siphash_2u64(const struct siphash_key *key, uint64_t a, uint64_t b);

#endif
