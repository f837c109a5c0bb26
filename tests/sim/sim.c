// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dev/pcapng.h"
#include "sim.h"

/** struct sim_frame - On its way. */
struct sim_frame {
	uint64_t at_ns, order;
	unsigned from;
	size_t bytes;
	bool harmed;
	uint8_t octets[];
};

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "sim: %s\n", what);
		abort();
	}
}

uint64_t sim_random(struct sim *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15ull; /* SplitMix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
	return n ? sim_random(s) % n : 0;
}

bool sim_chance(struct sim *s, uint32_t of)
{
	return of && (sim_random(s) & 0xffff) < of;
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
	for (size_t i = 0; i < s->heap_n; i++)
		free(s->heap[i]);
	free(s->heap);
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
		key[k] = (uint8_t)sim_random(s);
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

/* ------------------------------------------------------------ frames on their way: a heap */

static bool before(const struct sim_frame *a, const struct sim_frame *b)
{
	return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void heap_push(struct sim *s, struct sim_frame *f)
{
	size_t i = s->heap_n++;

	if (s->heap_n > s->heap_cap) {
		s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 256;
		s->heap = realloc(s->heap, s->heap_cap * sizeof(*s->heap));
		must(s->heap != NULL, "memory");
	}
	for (; i && before(f, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = f;
}

static struct sim_frame *heap_pop(struct sim *s)
{
	struct sim_frame *top = s->heap[0];
	struct sim_frame *last = s->heap[--s->heap_n];
	size_t i = 0;

	for (;;) {
		size_t kid = 2 * i + 1;

		if (kid >= s->heap_n)
			break;
		if (kid + 1 < s->heap_n && before(s->heap[kid + 1], s->heap[kid]))
			kid++;
		if (!before(s->heap[kid], last))
			break;
		s->heap[i] = s->heap[kid];
		i = kid;
	}
	if (s->heap_n)
		s->heap[i] = last;
	return top;
}

/* ------------------------------------------------------------ links */

static bool is_lost(struct sim *s, struct link *l, size_t bytes)
{
	for (uint32_t i = 0; i < l->cuts; i++) {
		if (s->now_ns >= l->cut_from[i] && s->now_ns < l->cut_to[i])
			return true;
	}
	if (l->hole && bytes > l->hole)
		return true;
	if (l->in_bad ? sim_chance(s, l->bad_end) : sim_chance(s, l->bad))
		l->in_bad = !l->in_bad;
	return sim_chance(s, l->in_bad ? l->bad_loss : l->loss);
}

static void launch(struct sim *s, struct link *l, unsigned from, const uint8_t *octets,
		   size_t bytes, uint64_t at_ns)
{
	struct sim_frame *f = malloc(sizeof(*f) + bytes);

	must(f != NULL, "memory");
	f->at_ns = at_ns + l->delay_ns + sim_below(s, l->jitter_ns);
	if (sim_chance(s, l->reorder))
		f->at_ns += l->delay_ns / 2 + sim_below(s, 10 * SIM_MSEC);
	f->order = s->order++;
	f->from = from;
	f->bytes = bytes;
	f->harmed = false;
	memcpy(f->octets, octets, bytes);
	/* Ethernet has a checksum of its own; behind it, only what has one is harmed. */
	if (octets[12] == 8 && octets[13] == 0 && sim_chance(s, l->corrupt)) {
		uint64_t bit = sim_below(s, (bytes - 14) * 8);

		f->octets[14 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		f->harmed = true;
	}
	heap_push(s, f);
}

static void emit(struct sim *s, unsigned from, const uint8_t *octets, size_t bytes)
{
	struct link *l = &s->host[from].link;
	uint64_t at = s->now_ns;

	s->frames++;
	if (s->filter)
		s->filter(s->filter_arg, from, octets, bytes);
	if (s->checker)
		checker_sent(s->checker, s->now_ns, octets, bytes);
	if (l->rate) {
		uint64_t free_at = l->busy_until > at ? l->busy_until : at;

		/* What stands in the queue now. */
		if ((free_at - at) * (l->rate / 8) / SIM_SEC + bytes > l->queue_bytes) {
			s->lost++;
			if (s->pcap)
				pcapng_frame(s->pcap, from, s->now_ns, octets, bytes,
					     "dropped: queue");
			return;
		}
		l->busy_until = free_at + bytes * 8 * SIM_SEC / l->rate;
		at = l->busy_until;
	}
	if (is_lost(s, l, bytes)) {
		s->lost++;
		if (s->pcap)
			pcapng_frame(s->pcap, from, s->now_ns, octets, bytes, "lost");
		return;
	}
	if (s->pcap)
		pcapng_frame(s->pcap, from, s->now_ns, octets, bytes, NULL);
	launch(s, l, from, octets, bytes, at);
	if (sim_chance(s, l->dup))
		launch(s, l, from, octets, bytes, at);
}

bool sim_pump(struct sim *s)
{
	static uint8_t octets[65536 + 64];
	static struct engine_frame f;
	bool any = false;

	for (unsigned i = 0; i < s->hosts; i++) {
		while (engine_output(&s->host[i].e, s->now_ns, &f)) {
			size_t n = 0;

			for (uint32_t k = 0; k < f.pieces; k++) {
				memcpy(octets + n, f.piece[k].at, f.piece[k].bytes);
				n += f.piece[k].bytes;
			}
			must(n == f.bytes, "a frame's pieces are not its length");
			emit(s, i, octets, n);
			any = true;
		}
	}
	return any;
}

static void deliver(struct sim *s, const struct sim_frame *f)
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
	uint64_t next = s->heap_n ? s->heap[0]->at_ns : UINT64_MAX;

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
	while (s->heap_n && s->heap[0]->at_ns <= s->now_ns) {
		struct sim_frame *f = heap_pop(s);

		deliver(s, f);
		free(f);
	}
	for (unsigned i = 0; i < s->hosts; i++) {
		if (engine_deadline(&s->host[i].e) <= s->now_ns)
			engine_time(&s->host[i].e, s->now_ns);
	}
	return true;
}
