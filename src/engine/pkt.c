// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "engine/pkt.h"
#include "engine/sock.h"

bool pkt_cover(struct engine *e, struct pkt *p, size_t from, size_t to)
{
	if (to > PKT_CELLS * (size_t)CELL_BYTES)
		return false;
	for (size_t i = from / CELL_BYTES; i * CELL_BYTES < to; i++) {
		if (p->cell[i] != NIL)
			continue;
		p->cell[i] = slab_get(&e->s->cells, e->cell, sizeof(*e->cell));
		if (p->cell[i] == NIL)
			return false;
	}
	return true;
}

struct pkt *pkt_new(struct engine *e, size_t bytes)
{
	uint32_t i = slab_get(&e->s->pkts, e->pkt, sizeof(*e->pkt));
	struct pkt *p;

	if (i == NIL)
		return NULL;
	p = &e->pkt[i];
	ilink_init(&p->link);
	p->sock = NIL;
	p->ttl = 64;
	for (unsigned c = 0; c < PKT_CELLS; c++)
		p->cell[c] = NIL;
	if (!pkt_cover(e, p, 0, bytes)) {
		pkt_free(e, p);
		return NULL;
	}
	p->bytes = (uint32_t)bytes;
	return p;
}

/* @used of @cap, and @more, leave a quarter. */
static bool leaves_some(const struct slab *p, size_t more)
{
	return p->used + more <= p->cap - p->cap / 4;
}

bool pkt_spare(const struct engine *e, size_t bytes)
{
	return leaves_some(&e->s->pkts, 1) &&
	       leaves_some(&e->s->cells, (bytes + CELL_BYTES - 1) / CELL_BYTES);
}

struct pkt *pkt_new_kept(struct engine *e, size_t bytes)
{
	return pkt_spare(e, bytes) ? pkt_new(e, bytes) : NULL;
}

void pkt_write(struct engine *e, struct pkt *p, size_t at, const void *octets, size_t bytes)
{
	const uint8_t *from = octets;

	while (bytes) {
		size_t in = at % CELL_BYTES;
		size_t n = bytes < CELL_BYTES - in ? bytes : CELL_BYTES - in;

		memcpy(e->cell[p->cell[at / CELL_BYTES]].data + in, from, n);
		at += n;
		from += n;
		bytes -= n;
	}
}

void pkt_read(struct engine *e, const struct pkt *p, size_t at, void *room, size_t bytes)
{
	uint8_t *to = room;

	while (bytes) {
		size_t in = at % CELL_BYTES;
		size_t n = bytes < CELL_BYTES - in ? bytes : CELL_BYTES - in;

		memcpy(to, e->cell[p->cell[at / CELL_BYTES]].data + in, n);
		at += n;
		to += n;
		bytes -= n;
	}
}

void pkt_pieces(struct engine *e, const struct pkt *p, size_t at, size_t bytes,
		struct engine_frame *f)
{
	while (bytes && f->pieces < ENGINE_PIECES) {
		size_t in = at % CELL_BYTES;
		size_t n = bytes < CELL_BYTES - in ? bytes : CELL_BYTES - in;

		f->piece[f->pieces++] = (struct engine_piece){
			.at = e->cell[p->cell[at / CELL_BYTES]].data + in, .bytes = n};
		f->bytes += (uint32_t)n;
		at += n;
		bytes -= n;
	}
}

uint32_t pkt_cost(const struct pkt *p)
{
	return (p->bytes + CELL_BYTES - 1) / CELL_BYTES * (uint32_t)sizeof(struct cell) +
	       (uint32_t)sizeof(*p);
}

void pkt_free(struct engine *e, struct pkt *p)
{
	if (p->sock != NIL)
		sock_sent(e, p->sock, p->sock_gen, pkt_cost(p));
	for (unsigned c = 0; c < PKT_CELLS; c++) {
		if (p->cell[c] != NIL)
			slab_put(&e->s->cells, e->cell, sizeof(*e->cell), p->cell[c]);
	}
	slab_put(&e->s->pkts, e->pkt, sizeof(*e->pkt), PKT_INDEX(e, p));
}
