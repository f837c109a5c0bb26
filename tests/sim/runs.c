// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <string.h>

#include "runs.h"

const char *const cc_name[ENGINE_CCS] = {[ENGINE_CUBIC] = "cubic", [ENGINE_RENO] = "reno"};

static void hash_frame(void *arg, unsigned host, const uint8_t *frame, size_t bytes)
{
	uint64_t h = *(uint64_t *)arg ^ host;

	while (bytes) {
		uint64_t word = 0;
		size_t n = bytes < 8 ? bytes : 8;

		memcpy(&word, frame, n);
		h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
		frame += n;
		bytes -= n;
	}
	*(uint64_t *)arg = h;
}

struct engine_config run_config(void)
{
	return (struct engine_config){
		.tcps = 128,
		.ring_bytes = 8u << 20,
		.segs = 8192,
		.socks = 160,
		.ooos = 64,
		.pkts = 64,
		.cells = 64,
		.neighs = 16,
		.syns = 64,
	};
}

void run_begin(struct sim *s, struct app *a, uint64_t seed, struct result *ret)
{
	memset(ret, 0, sizeof(*ret));
	sim_init(s, seed);
	s->checker = checker_new(app_octets);
	s->filter = hash_frame;
	s->filter_arg = &ret->hash;
	app_init(a, s);
	ret->virtual_ns = s->now_ns;
}

void run_end(struct sim *s, struct app *a, bool done, struct result *ret)
{
	ret->virtual_ns = s->now_ns - ret->virtual_ns;
	ret->frames = s->frames;
	ret->lost = s->lost;
	for (unsigned i = 0; i < a->flows; i++)
		ret->bytes += a->flow[i].client.received + a->flow[i].server.received;
	if (checker_fault(s->checker))
		snprintf(ret->fault, sizeof(ret->fault), "frame checker: %s",
			 checker_fault(s->checker));
	else if (!done)
		snprintf(ret->fault, sizeof(ret->fault), "%s", a->fault[0] ? a->fault : "not done");
	sim_end(s);
}
