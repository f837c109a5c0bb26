// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "wire/checksum.h"

/* End-around carry: 2^64 - 1 is a multiple of 2^16 - 1, so 64-bit words sum to the same. */
static inline uint64_t add64(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t fold16(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffffu);
	sum = (sum >> 32) + (sum & 0xffffffffu);
	sum = (sum >> 16) + (sum & 0xffffu);
	sum = (sum >> 16) + (sum & 0xffffu);
	return (uint16_t)sum;
}

static inline uint16_t swap_if_little(uint16_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint16_t)(v << 8 | v >> 8);
#else
	return v;
#endif
}

uint64_t checksum_add(uint64_t sum, const void *octets, size_t bytes)
{
	const uint8_t *p = octets;
	uint64_t other = 0; /* a second chain of carries: they run side by side */
	uint64_t last = 0;

	for (; bytes >= 32; bytes -= 32, p += 32) {
		sum = add64(sum, load64(p));
		other = add64(other, load64(p + 8));
		sum = add64(sum, load64(p + 16));
		other = add64(other, load64(p + 24));
	}
	for (; bytes >= 8; bytes -= 8, p += 8)
		sum = add64(sum, load64(p));
	if (bytes) {
		memcpy(&last, p, bytes);
		sum = add64(sum, last);
	}
	return add64(sum, other);
}

uint64_t checksum_add_at(uint64_t sum, const void *octets, size_t bytes, size_t offset)
{
	uint16_t part;

	if (!(offset & 1))
		return checksum_add(sum, octets, bytes);
	/* RFC 1071 2 (B): a sum of swapped words is the swapped sum. */
	part = fold16(checksum_add(0, octets, bytes));
	return add64(sum, (uint16_t)(part << 8 | part >> 8));
}

uint64_t checksum_join(uint64_t sum, uint64_t other)
{
	return add64(sum, other);
}

uint64_t checksum_add_be16(uint64_t sum, uint16_t v)
{
	return add64(sum, swap_if_little(v));
}

uint64_t checksum_add_be32(uint64_t sum, uint32_t v)
{
	return checksum_add_be16(checksum_add_be16(sum, (uint16_t)(v >> 16)), (uint16_t)v);
}

uint64_t checksum_pseudo4(uint32_t src, uint32_t dst, uint8_t proto, uint16_t bytes)
{
	uint64_t sum = checksum_add_be32(checksum_add_be32(0, src), dst);

	return checksum_add_be16(checksum_add_be16(sum, proto), bytes);
}

uint16_t checksum_fold(uint64_t sum)
{
	return swap_if_little((uint16_t)~fold16(sum));
}

uint16_t checksum_update16(uint16_t check, uint16_t old, uint16_t new)
{
	/* RFC 1624: HC' = ~(~HC + ~m + m'). */
	return (uint16_t)~fold16((uint64_t)(uint16_t)~check + (uint16_t)~old + new);
}
