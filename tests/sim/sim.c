// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cut.h"
#include "dev/pcapng.h"
#include "sim.h"

#define TO_SWITCH UINT32_MAX

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

/* A sum of 16-bit words, for a header made here. */
static uint16_t sum16(const uint8_t *p, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < bytes; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* "Fragmentation needed" (RFC 1191 4), from a router that has no address here but its host's. */
static void say_too_long(struct sim *s, unsigned to, const uint8_t *octets, size_t bytes,
			 uint32_t hole)
{
	struct sim_host *h = &s->host[to];
	uint8_t f[14 + 20 + 8 + 28] = {0};
	uint8_t *ip = f + 14;
	uint8_t *icmp = ip + 20;

	if (octets[12] != 8 || octets[13] != 0 || bytes < 14 + 28 || !(octets[14 + 6] & 0x40))
		return; /* no IPv4, or it may be cut */
	memcpy(f, h->mac, 6);
	memcpy(f + 6, octets, 6);
	f[12] = 8;
	ip[0] = 0x45;
	put16(ip + 2, sizeof(f) - 14);
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, octets + 14 + 16, 4);
	memcpy(ip + 16, octets + 14 + 12, 4);
	put16(ip + 10, sum16(ip, 20));
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, hole - 14);
	memcpy(icmp + 8, octets + 14, 28);
	put16(icmp + 2, sum16(icmp, 8 + 28));
	engine_input(&h->e, s->now_ns, f, sizeof(f));
}

/* @to: TO_SWITCH, or a host. */
static void launch(struct sim *s, const struct link *l, unsigned from, unsigned to,
		   const uint8_t *octets, size_t bytes, uint64_t at_ns, bool harmed)
{
	struct flight_frame *f = flight_new(from, octets, bytes);

	must(f != NULL, "memory");
	f->to = to;
	f->at_ns = link_arrival(l, &s->random, at_ns);
	f->harmed = link_harm(l, &s->random, f->octets, bytes) || harmed;
	must(flight_add(&s->flight, f), "memory");
}

/* A frame enters a link. The capture has what enters the first one, and what is lost later. */
static void enter(struct sim *s, struct link *l, unsigned from, unsigned to, const uint8_t *octets,
		  size_t bytes, bool harmed)
{
	static const char *const said[] = {[LINK_PASSED] = NULL,
					   [LINK_QUEUE_FULL] = "dropped: queue",
					   [LINK_LOST] = "lost",
					   [LINK_TOO_LONG] = "too long"};
	uint64_t at = 0;
	enum link_fate fate = link_take(l, &s->random, s->now_ns, bytes, &at);

	if (s->pcap && (to == TO_SWITCH || fate != LINK_PASSED))
		pcapng_frame(s->pcap, from, s->now_ns, octets, bytes, said[fate]);
	if (fate != LINK_PASSED) {
		s->lost++;
		if (fate == LINK_TOO_LONG)
			say_too_long(s, from, octets, bytes, l->hole);
		return;
	}
	launch(s, l, from, to, octets, bytes, at, harmed);
	if (link_chance(&s->random, l->dup))
		launch(s, l, from, to, octets, bytes, at, harmed);
}

static void emit(struct sim *s, unsigned from, const uint8_t *octets, size_t bytes)
{
	s->frames++;
	if (s->filter)
		s->filter(s->filter_arg, from, octets, bytes);
	if (s->checker)
		checker_sent(s->checker, s->now_ns, octets, bytes);
	enter(s, &s->host[from].link, from, TO_SWITCH, octets, bytes, false);
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
			any = true;
			if (f.interface == ENGINE_LOOPBACK) {
				engine_input_from(&s->host[i].e, s->now_ns, ENGINE_LOOPBACK, octets,
						  n);
				continue;
			}
			for (unsigned k = 0; (part = cut_frame(octets, n, &f.offload, k, one)); k++)
				emit(s, i, one, part);
		}
	}
	return any;
}

static void arrive(struct sim *s, const struct flight_frame *f, unsigned to)
{
	if (s->checker && !f->harmed)
		checker_arrived(s->checker, f->octets, f->bytes);
	engine_input(&s->host[to].e, s->now_ns, f->octets, f->bytes);
}

static void deliver(struct sim *s, const struct flight_frame *f)
{
	if (f->to != TO_SWITCH) {
		arrive(s, f, f->to);
		return;
	}
	for (unsigned i = 0; i < s->hosts; i++) {
		struct sim_host *h = &s->host[i];

		if (i == f->from || (!(f->octets[0] & 1) && memcmp(f->octets, h->mac, 6) != 0))
			continue;
		if (h->down.rate || h->down.delay_ns || h->down.loss)
			enter(s, &h->down, f->from, i, f->octets, f->bytes, f->harmed);
		else
			arrive(s, f, i);
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
