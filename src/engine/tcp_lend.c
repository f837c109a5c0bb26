// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_lend.c - Octets that are received where they came, in the frame.
 *
 * Where the caller lets the frame stay for a while (engine_input_lent()), and all
 * that came before was received, the next octets in order are not put into the
 * ring: engine_recv() takes them from the frame, and engine_lent_end() puts what
 * is left into the ring, where their place was kept. So what a reader keeps up
 * with is copied once, and its ring stays as it is.
 *
 * At most one frame is lent. Where it is is the process's, not the state's: who
 * copies the mapping does so between two frames.
 */
#include <string.h>

#include "engine/tcp_parts.h"

static struct tcp *borrower(const struct engine *e)
{
	const struct engine_lent *l = &e->lent;

	return l->gen && slab_holds(&e->s->tcps, e->tcp, sizeof(*e->tcp), l->tcp, l->gen)
		       ? &e->tcp[l->tcp]
		       : NULL;
}

bool lend_data(struct engine *e, const struct tcp *t, const uint8_t *octets, uint32_t bytes)
{
	if (!e->lent.open || t->shut_rd || t->sock == NIL)
		return false;
	e->lent.tcp = TCP_INDEX(e, t);
	e->lent.gen = t->head.gen;
	/* Behind what was not received yet there is only the ring. */
	if (t->rcv_head != t->rcv_tail)
		return false;
	e->lent.at = octets;
	e->lent.bytes = bytes;
	e->lent.position = t->rcv_tail;
	return true;
}

void lend_get(const struct engine *e, const struct tcp *t, void *room, size_t bytes)
{
	uint64_t skip = t->rcv_head - e->lent.position;
	size_t n = 0;

	if (borrower(e) == t && skip < e->lent.bytes) {
		n = (size_t)min_u64(bytes, e->lent.bytes - skip);
		memcpy(room, e->lent.at + skip, n);
	}
	ring_get(e, &t->rcv, t->rcv_head + n, (uint8_t *)room + n, bytes - n);
}

bool engine_input_lent(struct engine *e, uint64_t now_ns, const void *frame, size_t bytes,
		       const struct engine_offload *o, uint64_t *ret_cookie)
{
	const struct tcp *t;

	e->lent = (struct engine_lent){.open = true};
	engine_input_offloaded(e, now_ns, frame, bytes, o);
	e->lent.open = false;
	t = borrower(e);
	if (!t || t->sock == NIL)
		return false;
	*ret_cookie = e->sock[t->sock].cookie;
	return true;
}

void engine_lent_end(struct engine *e)
{
	const struct tcp *t = borrower(e);
	uint64_t end = e->lent.position + e->lent.bytes;

	/* Without a ring everything was given up, or received. */
	if (t && t->rcv.bytes && t->rcv_head < end)
		ring_put(e, &t->rcv, t->rcv_head, e->lent.at + (t->rcv_head - e->lent.position),
			 (size_t)(end - t->rcv_head));
	e->lent = (struct engine_lent){0};
}
