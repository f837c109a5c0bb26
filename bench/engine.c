/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - Two engines back to back in one process: what a segment costs,
 * without a device, a system call or an offload.
 *
 *   ./engine --time 1 --pin-client 0
 *   ./engine --count 100000          so many segments, for counters of instructions
 *
 * One writes 64 KB at a time, the other reads 64 KB at a time. A frame is copied from
 * the gather list that engine_output() gives into one piece, as a device would, and
 * that is what engine_input() gets: so each octet is copied four times and summed
 * twice. Time is virtual: a step of 10 us after each batch. An ACK for each second
 * segment goes the other way and is not counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "engine/engine.h"

#define BATCH 32u
#define STEP_NS 10000u
#define PORT 7000u
#define CHUNK 65536u
#define WARM_UP 20000u /* segments: the windows are open by then */

/** struct side - @peer: who gets its frames. @data: segments with data that it sent. */
struct side {
	struct engine e;
	struct side *peer;
	struct engine_sock sock;
	uint64_t frames, data;
};

static struct side sides[2];
static uint64_t now_ns = 1000000000ull;
static uint8_t chunk[CHUNK];

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "engine: %s\n", what);
		exit(1);
	}
}

static void make(struct side *s, unsigned number)
{
	struct engine_config c = {
		.mac = {2, 0, 0, 0, 0, (uint8_t)(number + 1)},
		.addresses = 1,
		.address = {{.addr = 0x0a000001u + number, .prefix = 24}},
		.tcps = 16,
		.segs = 8192,
		.ring_bytes = 16u << 20,
	};
	uint8_t key[16] = {(uint8_t)number};
	size_t bytes = engine_bytes(&c);
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(mem != MAP_FAILED, "memory");
	must(engine_init(&s->e, mem, bytes, &c, key, now_ns) == 0, "engine_init");
	s->peer = &sides[!number];
}

/* Up to @max frames of @s's to its peer. Return: how many. */
static unsigned carry(struct side *s, unsigned max)
{
	static uint8_t octets[2048];
	static struct engine_frame f;
	unsigned n = 0;

	while (n < max && engine_output(&s->e, now_ns, &f)) {
		size_t at = 0;

		for (uint32_t i = 0; i < f.pieces; i++) {
			memcpy(octets + at, f.piece[i].at, f.piece[i].bytes);
			at += f.piece[i].bytes;
		}
		s->frames++;
		s->data += f.pieces > 1;
		engine_input(&s->peer->e, now_ns, octets, at);
		n++;
	}
	return n;
}

static void pass(void)
{
	now_ns += STEP_NS;
	for (unsigned i = 0; i < 2; i++) {
		(void)carry(&sides[i], BATCH);
		if (engine_deadline(&sides[i].e) <= now_ns)
			engine_time(&sides[i].e, now_ns);
	}
}

static void join(void)
{
	struct engine_sock listener;
	struct side *client = &sides[0];
	struct side *server = &sides[1];

	must(engine_open(&server->e, ENGINE_TCP, 0, &listener) == 0 &&
		     engine_bind(&server->e, listener, 0, PORT) == 0 &&
		     engine_listen(&server->e, listener, 1) == 0,
	     "listen");
	must(engine_open(&client->e, ENGINE_TCP, 0, &client->sock) == 0, "open");
	(void)engine_connect(&client->e, now_ns, client->sock, 0x0a000002u, PORT);
	for (unsigned i = 0; i < 1000; i++) {
		pass();
		if (engine_accept(&server->e, now_ns, listener, 0, &server->sock) == 0)
			return;
	}
	must(false, "no connection");
}

static void work(struct side *from, bool drain)
{
	struct side *to = from->peer;

	while (engine_send(&from->e, now_ns, from->sock, chunk, CHUNK) > 0)
		;
	(void)carry(from, BATCH);
	if (drain) {
		while (engine_recv(&to->e, now_ns, to->sock, chunk, CHUNK) > 0)
			;
	}
}

/* @both: data in both directions at once. Return: segments with data, of both. */
static uint64_t run(bool both, uint64_t count, uint64_t until_ns)
{
	uint64_t before = sides[0].data + sides[1].data;
	uint64_t done = 0;

	for (;;) {
		work(&sides[0], true);
		if (both)
			work(&sides[1], true);
		pass();
		done = sides[0].data + sides[1].data - before;
		if (count ? done >= count : bench_now_ns() >= until_ns)
			return done;
	}
}

static double per_s(bool both)
{
	uint64_t start_ns = bench_now_ns();
	uint64_t done = run(both, 0, start_ns + (uint64_t)(bench.time_s * 0.5e9));

	return (double)done * 1e9 / (double)(bench_now_ns() - start_ns);
}

int main(int argc, char **argv)
{
	bench_parse(argc, argv, "engine: two engines back to back in one process");
	bench_pin(bench.pin_client);
	for (unsigned i = 0; i < 2; i++)
		make(&sides[i], i);
	join();
	(void)run(false, WARM_UP, 0);
	bench_print_head("engine");
	if (bench.count) {
		printf(" segments=%lu\n", (unsigned long)run(false, (uint64_t)bench.count, 0));
		return 0;
	}
	printf(" one_way_per_s=%.0f", per_s(false));
	printf(" both_ways_per_s=%.0f\n", per_s(true));
	return 0;
}
