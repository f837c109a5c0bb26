// SPDX-License-Identifier: BSD-2-Clause
/*
 * random.c - Transfers over links of any kind: what happens is the seed's to say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/pcapng.h"
#include "runs.h"

static void random_link(struct sim *s, struct link *l)
{
	l->delay_ns = PICK(s, 20000, 1000000, 10000000, 40000000, 150000000);
	l->jitter_ns = PICK(s, 0, 0, 100000, 1000000, 5000000);
	l->rate = PICK(s, 0, 1000000, 10000000, 100000000, 1000000000);
	l->queue_bytes = (uint32_t)PICK(s, 9100, 20000, 64000, 256000, 1000000);
	l->loss = (uint32_t)PICK(s, 0, 0, 0, PERCENT(0.1), PERCENT(1), PERCENT(5), PERCENT(15));
	if (sim_below(s, 4) == 0) {
		l->bad = PERCENT(0.5);
		l->bad_end = PERCENT(20);
		l->bad_loss = PERCENT(70);
	}
	l->dup = (uint32_t)PICK(s, 0, 0, PERCENT(0.5), PERCENT(5));
	l->reorder = (uint32_t)PICK(s, 0, 0, PERCENT(0.5), PERCENT(5), PERCENT(30));
	l->corrupt = (uint32_t)PICK(s, 0, 0, PERCENT(0.5), PERCENT(3));
	if (sim_below(s, 8) == 0) {
		uint64_t from = s->now_ns + sim_below(s, 5 * SIM_SEC);

		l->cuts = 1 + (uint32_t)sim_below(s, LINK_CUTS);
		for (uint32_t i = 0; i < l->cuts; i++) {
			l->cut_from[i] = from;
			l->cut_to[i] = from + sim_below(s, 8 * SIM_SEC);
			from = l->cut_to[i] + sim_below(s, 5 * SIM_SEC);
		}
	}
	if (sim_below(s, 16) == 0) {
		/* Large packets vanish, with or without a word. */
		l->hole = 14 + 576 + (uint32_t)sim_below(s, 1000);
		l->says = sim_below(s, 2);
	}
}

static void random_flow(struct sim *s, struct app *a, unsigned flows)
{
	uint64_t up = PICK(s, 0, 1, 1000, 20000, 200000, 1000000) / (1 + flows / 4);
	uint64_t down = PICK(s, 0, 1, 1000, 20000, 200000) / (1 + flows / 4);
	unsigned client = s->hosts == 2 ? 0 : (unsigned)sim_below(s, s->hosts);
	unsigned server = (client + 1 + (unsigned)sim_below(s, s->hosts - 1)) % s->hosts;
	struct app_flow *f = app_flow_add(a, client, server, up, down);

	f->start_ns = s->now_ns + sim_below(s, flows == 1 ? 1 : 2 * SIM_SEC);
	f->cc = (uint32_t)sim_below(s, ENGINE_CCS);
	f->nodelay = sim_below(s, 2);
	for (unsigned i = 0; i < s->hosts; i++) {
		const struct link *l = &s->host[i].link;

		if (l->bad || l->cuts || l->hole || l->loss > PERCENT(2))
			f->client.linger = f->server.linger = true;
	}
	f->client.chunk = f->server.chunk = (uint32_t)PICK(s, 100, 3000, 65536);
	if (up + down < 500000 && sim_below(s, 4) == 0)
		f->server.pause_ns = PICK(s, 1000000, 100000000, 1000000000);
	if (f->server.pause_ns && f->server.chunk < 3000)
		f->server.chunk = 3000;
}

/* @move: copy the mappings to other addresses, time and again. */
static void run(uint64_t seed, bool move, const char *pcap, struct result *ret)
{
	static struct sim s;
	static struct app a;
	struct engine_config c = run_config();
	unsigned hosts;
	unsigned flows;
	bool done;

	run_begin(&s, &a, seed, ret);
	/* Every second run has devices that cut and sum. */
	c.offload = seed % 2 ? ENGINE_OFFLOAD_SUM | ENGINE_OFFLOAD_TSO : 0;
	c.mtu = (uint16_t)PICK(&s, 1500, 1500, 1500, 576, 9000, 296);
	hosts = (unsigned)PICK(&s, 2, 2, 2, 3, 5);
	for (unsigned i = 0; i < hosts; i++) {
		(void)sim_host_add(&s, &c);
		random_link(&s, &s.host[i].link);
		if (s.host[i].link.queue_bytes < 2u * c.mtu)
			s.host[i].link.queue_bytes = 2u * c.mtu;
	}
	if (pcap) {
		s.pcap = pcapng_open(pcap, hosts);
		if (!s.pcap)
			perror(pcap);
	}
	if (sim_below(&s, 4) == 0)
		a.rcvbuf = (uint32_t)PICK(&s, 4096, 20000, 500000);
	if (sim_below(&s, 4) == 0)
		a.sndbuf = (uint32_t)PICK(&s, 4096, 20000, 500000);
	flows = (unsigned)PICK(&s, 1, 1, 1, 2, 5, 16);
	for (unsigned i = 0; i < flows; i++)
		random_flow(&s, &a, flows);
	if (move) {
		/* In slices of time, a move after each. */
		uint64_t until = s.now_ns;

		do {
			until += 211 * SIM_MSEC;
			done = app_run(&a, until);
			for (unsigned i = 0; i < s.hosts; i++)
				sim_move(&s, i);
		} while (!done && app_timed_out(&a) && until < ret->virtual_ns + 7200 * SIM_SEC);
	} else {
		done = app_run(&a, s.now_ns + 7200 * SIM_SEC);
	}
	if (done)
		done = app_drain(&a, s.now_ns + 1000 * SIM_SEC);
	run_end(&s, &a, done, ret);
}

static void tell(uint64_t seed, const struct result *r)
{
	char path[300];
	const char *dir = getenv("SIM_DIR");
	struct result again;

	snprintf(path, sizeof(path), "%s/sim-%llu.pcapng", dir ? dir : ".",
		 (unsigned long long)seed);
	run(seed, false, path, &again);
	printf("seed %llu: %s\n  again: sim --first %llu --count 1; frames: %s\n",
	       (unsigned long long)seed, r->fault, (unsigned long long)seed, path);
}

unsigned random_runs(const struct options *o)
{
	unsigned failed = 0;
	uint64_t frames = 0, lost = 0, bytes = 0;

	for (uint64_t i = 0; i < o->count && failed < 5; i++) {
		uint64_t seed = o->first + i;
		struct result r;

		run(seed, false, o->pcap, &r);
		frames += r.frames;
		lost += r.lost;
		bytes += r.bytes;
		if (o->verbose)
			printf("seed %llu: %llu frames, %llu lost, %llu octets, %.3f s\n",
			       (unsigned long long)seed, (unsigned long long)r.frames,
			       (unsigned long long)r.lost, (unsigned long long)r.bytes,
			       (double)r.virtual_ns / 1e9);
		if (r.fault[0]) {
			failed++;
			tell(seed, &r);
		}
	}
	printf("%llu runs, %llu frames of which %llu were lost, %llu octets\n",
	       (unsigned long long)o->count, (unsigned long long)frames, (unsigned long long)lost,
	       (unsigned long long)bytes);
	printf(failed ? "not ok sim/random: %u failed\n" : "ok sim/random\n", failed);
	return failed;
}

/* The same seed gives the same frames; so do mappings that are copied to other addresses. */
unsigned replay_runs(const struct options *o)
{
	unsigned failed = 0;

	for (uint64_t seed = o->first; seed < o->first + 5; seed++) {
		struct result one, two, moved;

		run(seed, false, NULL, &one);
		run(seed, false, NULL, &two);
		run(seed, true, NULL, &moved);
		if (one.hash != two.hash) {
			printf("seed %llu: another run, other frames\n", (unsigned long long)seed);
			failed++;
		}
		if (one.hash != moved.hash) {
			printf("seed %llu: moved, other frames: %s\n", (unsigned long long)seed,
			       moved.fault);
			failed++;
		}
	}
	printf(failed ? "not ok sim/replay: %u failed\n" : "ok sim/replay\n", failed);
	return failed;
}
