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
 * Or the caller has put them where the reader wants them before it gives the frame
 * in (engine_input_placed()): it read the payload from its device to there, since
 * this connection's was likely to be next. Then they are not copied at all.
 *
 * At most one frame is lent. Where it is is the process's, not the state's: who
 * copies the mapping does so between two frames.
 */
#include <string.h>

#include "engine/sock.h"
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

/* Whose reader has all that came, and no gap is behind it. */
static bool takes_placed(const struct tcp *t)
{
	return t->sock != NIL && t->state >= TCP_ESTABLISHED && t->state <= TCP_FIN_WAIT_2 &&
	       !t->fin_received && !t->shut_rd && t->ooo == NIL && t->rcv_head == t->rcv_tail &&
	       t->rcv_up <= t->rcv_head;
}

static struct tcp *placeable(struct engine *e, struct engine_sock ref)
{
	const struct sock *s = sock_of(e, ref);

	return s && s->kind == SOCK_TCP && s->tcp != NIL && takes_placed(&e->tcp[s->tcp])
		       ? &e->tcp[s->tcp]
		       : NULL;
}

static size_t headers_of(const struct tcp *t)
{
	return ETH_HEADER_BYTES + IPV4_HEADER_BYTES + TCP_HEADER_BYTES + (t->ts_ok ? 12 : 0);
}

size_t engine_place(struct engine *e, struct engine_sock ref)
{
	const struct tcp *t = placeable(e, ref);

	return t ? headers_of(t) : 0;
}

/* Of this connection, with these headers and no other, and nothing else to do with its octets? */
static bool is_next(struct engine *e, struct tcp *t, struct cursor c, size_t placed,
		    const struct engine_offload *o)
{
	const uint8_t *frame = c.at;
	struct tcp_header h;
	struct eth eth;
	struct ipv4 ip;

	if (eth_parse(&c, &eth) != WIRE_OK || eth.type != ETH_TYPE_IPV4 ||
	    memcmp(eth.dst, e->s->config.mac, sizeof(eth.dst)) != 0 ||
	    ipv4_parse(&c, &ip) != WIRE_OK || ip.proto != IPV4_PROTO_TCP || ipv4_is_fragment(&ip) ||
	    ip.src != t->raddr || ip.dst != t->laddr || !engine_is_ours(e, ip.dst))
		return false;
	/* Its sum is right, or the device leaves it to us, who need not make it. */
	if (o->sum_start ? o->sum_start != c.at - frame || o->sum_offset != TCP_SUM_OFFSET
			 : !o->sum_ok || o->cut_bytes)
		return false;
	return tcp_parse(&c, &h) == WIRE_OK && h.sport == t->rport && h.dport == t->lport &&
	       (size_t)(c.at - frame) == headers_of(t) && cursor_left(&c) >= placed &&
	       tcp_is_next(e, t, &h, (uint32_t)cursor_left(&c));
}

bool engine_input_placed(struct engine *e, uint64_t now_ns, struct engine_sock ref,
			 const void *frame, size_t bytes, size_t placed,
			 const struct engine_offload *o)
{
	struct tcp *t = placeable(e, ref);

	if (!t || placed == 0 || bytes < headers_of(t) + placed ||
	    !is_next(e, t, cursor_of(frame, bytes), placed, o))
		return false;
	e->lent = (struct engine_lent){.open = true, .placed = (uint32_t)placed};
	engine_input_offloaded(e, now_ns, frame, bytes, o);
	e->lent.open = false;
	/* All that could drop it was asked. */
	if (borrower(e) != t || e->lent.bytes < placed)
		return false;
	tcp_received(e, t, placed);
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
