// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "dev/pcapng.h"

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 6u
#define LINKTYPE_ETHERNET 1u
#define OPTION_COMMENT 1u
#define OPTION_TSRESOL 9u

static void put32(FILE *f, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

static void put16(FILE *f, uint16_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

static void padded(FILE *f, const void *p, size_t bytes)
{
	static const char zero[4];

	fwrite(p, 1, bytes, f);
	fwrite(zero, 1, (4 - bytes % 4) % 4, f);
}

FILE *pcapng_open(const char *path, unsigned interfaces)
{
	FILE *f = fopen(path, "wbe");

	if (f)
		pcapng_section(f, interfaces);
	return f;
}

void pcapng_section(FILE *f, unsigned interfaces)
{
	put32(f, BLOCK_SECTION);
	put32(f, 28);
	put32(f, 0x1a2b3c4d);
	put16(f, 1);
	put16(f, 0);
	put32(f, UINT32_MAX); /* the section's length is not known */
	put32(f, UINT32_MAX);
	put32(f, 28);
	for (unsigned i = 0; i < interfaces; i++) {
		put32(f, BLOCK_INTERFACE);
		put32(f, 32);
		put16(f, LINKTYPE_ETHERNET);
		put16(f, 0);
		put32(f, 0); /* no limit of length */
		put16(f, OPTION_TSRESOL);
		put16(f, 1);
		put32(f, 9); /* nanoseconds */
		put32(f, 0);
		put32(f, 32);
	}
}

void pcapng_frame(FILE *f, unsigned interface, uint64_t time_ns, const void *frame, size_t bytes,
		  const char *comment)
{
	size_t said = comment ? strlen(comment) : 0;
	uint32_t options = comment ? (uint32_t)(4 + (said + 3) / 4 * 4 + 4) : 0;
	uint32_t length = (uint32_t)(32 + (bytes + 3) / 4 * 4 + options);

	put32(f, BLOCK_PACKET);
	put32(f, length);
	put32(f, interface);
	put32(f, (uint32_t)(time_ns >> 32));
	put32(f, (uint32_t)time_ns);
	put32(f, (uint32_t)bytes);
	put32(f, (uint32_t)bytes);
	padded(f, frame, bytes);
	if (comment) {
		put16(f, OPTION_COMMENT);
		put16(f, (uint16_t)said);
		padded(f, comment, said);
		put32(f, 0);
	}
	put32(f, length);
}
