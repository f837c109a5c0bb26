// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cut.h"
#include "dev/pcapng.h"
#include "sim.h"

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "sim: %s\n", what);
		abort();
	}
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
	return link_below(&s->random, n);
}

void sim_init(struct sim *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->random = seed;
	s->now_ns = SIM_SEC + sim_below(s, 1000 * SIM_SEC);
}

void sim_end(struct sim *s)
{
	for (unsigned i = 0; i < s->hosts; i++)
		munmap(s->host[i].mem, s->host[i].mem_bytes);
	flight_end(&s->flight);
	if (s->pcap)
		fclose(s->pcap);
	if (s->checker)
		checker_free(s->checker);
}

static void *map(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(mem != MAP_FAILED, "mmap");
	return mem;
}

unsigned sim_host_add(struct sim *s, const struct engine_config *config)
{
	struct engine_config c = *config;
	unsigned i = s->hosts++;
	struct sim_host *h = &s->host[i];
	uint8_t key[16];

	c.mac[0] = 2;
	c.mac[5] = (uint8_t)(i + 1);
	memcpy(h->mac, c.mac, 6);
	c.addresses = 1;
	c.address[0] = (struct engine_address){.addr = sim_addr(i), .prefix = 24};
	for (unsigned k = 0; k < 16; k++)
		key[k] = (uint8_t)link_random(&s->random);
	h->mem_bytes = engine_bytes(&c);
	must(h->mem_bytes != 0, "a configuration that is none");
	h->mem = map(h->mem_bytes);
	must(engine_init(&h->e, h->mem, h->mem_bytes, &c, key, s->now_ns) == 0, "engine_init");
	return i;
}

void sim_move(struct sim *s, unsigned host)
{
	struct sim_host *h = &s->host[host];
	void *mem = map(h->mem_bytes);

	memcpy(mem, h->mem, h->mem_bytes);
	/* Whatever still points there reads nonsense. */
	memset(h->mem, 0xa5, 65536);
	munmap(h->mem, h->mem_bytes);
	h->mem = mem;
	must(engine_attach(&h->e, mem, h->mem_bytes) == 0, "engine_attach");
}

static void launch(struct sim *s, const struct link *l, unsigned from, const uint8_t *octets,
		   size_t bytes, uint64_t at_ns)
{
	struct flight_frame *f = flight_new(from, octets, bytes);

	must(f != NULL, "memory");
	f->at_ns = link_arrival(l, &s->random, at_ns);
	f->harmed = link_harm(l, &s->random, f->octets, bytes);
	must(flight_add(&s->flight, f), "memory");
}

static void emit(struct sim *s, unsigned from, const uint8_t *octets, size_t bytes)
{
	static const char *const said[] = {
		[LINK_PASSED] = NULL, [LINK_QUEUE_FULL] = "dropped: queue", [LINK_LOST] = "lost"};
	struct link *l = &s->host[from].link;
	enum link_fate fate;
	uint64_t at = 0;

	s->frames++;
	if (s->filter)
		s->filter(s->filter_arg, from, octets, bytes);
	if (s->checker)
		checker_sent(s->checker, s->now_ns, octets, bytes);
	fate = link_take(l, &s->random, s->now_ns, bytes, &at);
	if (s->pcap)
		pcapng_frame(s->pcap, from, s->now_ns, octets, bytes, said[fate]);
	if (fate != LINK_PASSED) {
		s->lost++;
		return;
	}
	launch(s, l, from, octets, bytes, at);
	if (link_chance(&s->random, l->dup))
		launch(s, l, from, octets, bytes, at);
}

bool sim_pump(struct sim *s)
{
	static uint8_t octets[65536 + 64], one[65536 + 64];
	static struct engine_frame f;
	bool any = false;

	for (unsigned i = 0; i < s->hosts; i++) {
		while (engine_output(&s->host[i].e, s->now_ns, &f)) {
			size_t n = 0, part;

			for (uint32_t k = 0; k < f.pieces; k++) {
				memcpy(octets + n, f.piece[k].at, f.piece[k].bytes);
				n += f.piece[k].bytes;
			}
			must(n == f.bytes, "a frame's pieces are not its length");
			for (unsigned k = 0; (part = cut_frame(octets, n, &f.offload, k, one)); k++)
				emit(s, i, one, part);
			any = true;
		}
	}
	return any;
}

static void deliver(struct sim *s, const struct flight_frame *f)
{
	for (unsigned i = 0; i < s->hosts; i++) {
		struct sim_host *h = &s->host[i];

		if (i == f->from || (!(f->octets[0] & 1) && memcmp(f->octets, h->mac, 6) != 0))
			continue;
		if (s->checker && !f->harmed)
			checker_arrived(s->checker, f->octets, f->bytes);
		engine_input(&h->e, s->now_ns, f->octets, f->bytes);
	}
}

bool sim_step(struct sim *s, uint64_t until_ns)
{
	uint64_t next = flight_next_ns(&s->flight);

	for (unsigned i = 0; i < s->hosts; i++) {
		uint64_t due = engine_deadline(&s->host[i].e);

		if (due < next)
			next = due;
	}
	if (next > until_ns) {
		s->now_ns = until_ns > s->now_ns ? until_ns : s->now_ns;
		return false;
	}
	if (next > s->now_ns)
		s->now_ns = next;
	while (flight_next_ns(&s->flight) <= s->now_ns) {
		struct flight_frame *f = flight_pop(&s->flight);

		deliver(s, f);
		free(f);
	}
	for (unsigned i = 0; i < s->hosts; i++) {
		if (engine_deadline(&s->host[i].e) <= s->now_ns)
			engine_time(&s->host[i].e, s->now_ns);
	}
	return true;
}
