// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "wire/checksum.h"

/* The machine that it runs on may have wider registers than the one that it is built for. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SUM_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SUM_CLONES
#endif

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

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t load16(const uint8_t *p)
{
	uint16_t v;

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

/* Four 64-bit lanes; one register where the machine has such wide ones, two or four elsewhere. */
typedef uint64_t lanes __attribute__((vector_size(32)));

/* The sum of whole blocks of 64 octets. Each 32-bit word is added to a 64-bit lane, so there is no
 * carry to take care of: 2^32 of them fit. */
static SUM_CLONES uint64_t sum_blocks(const uint8_t *p, size_t bytes)
{
	const lanes low = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	lanes even = {0}, odd = {0}, even2 = {0}, odd2 = {0};
	uint64_t sum = 0;

	for (; bytes >= 64; bytes -= 64, p += 64) {
		lanes a, b;

		memcpy(&a, p, sizeof(a));
		memcpy(&b, p + sizeof(a), sizeof(b));
		even += a & low;
		odd += a >> 32;
		even2 += b & low;
		odd2 += b >> 32;
	}
	even += even2;
	odd += odd2;
	/* A lane's low word is an even word of the octets, its high word an odd one: as 32-bit
	 * words they count the same (2^32 - 1 is a multiple of 2^16 - 1). */
	for (unsigned i = 0; i < 4; i++)
		sum = add64(add64(sum, even[i]), odd[i]);
	return sum;
}

uint64_t checksum_add(uint64_t sum, const void *octets, size_t bytes)
{
	const uint8_t *p = octets;

	if (bytes >= 64) {
		sum = add64(sum, sum_blocks(p, bytes));
		p += bytes & ~(size_t)63;
		bytes &= 63;
	}
	for (; bytes >= 8; bytes -= 8, p += 8)
		sum = add64(sum, load64(p));
	/* Less than 8 are left: as 4, 2 and 1, each at an even place. */
	if (bytes & 4) {
		sum = add64(sum, load32(p));
		p += 4;
	}
	if (bytes & 2) {
		sum = add64(sum, load16(p));
		p += 2;
	}
	if (bytes & 1)
		sum = add64(sum, load16((const uint8_t[2]){*p, 0}));
	return sum;
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
