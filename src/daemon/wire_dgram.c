/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_dgram.c - Datagrams between programs and the network.
 *
 * The wire has halves with inboxes (shm/inbox.h), to one of which each program that
 * sends to other hosts has a channel; and a channel to each socket for which
 * something came. For each address and port at which sockets of the domain
 * receive, the engine has one socket; which of several takes a datagram is
 * chosen here, as programs choose it among each other.
 *
 * A program may write any source into a record. It is believed where the
 * record names a half of that program's which has the port.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/wire.h"
#include "daemon/wire_dgram.h"
#include "shm/addr.h"
#include "shm/chan.h"
#include "shm/inbox.h"

#define OUT_MOST 256u /* datagrams of one turn */
#define RCVBUF_DEFAULT 212992u
#define CHANNELS 1024u
#define BOXES 32u /* of INBOX_SEATS programs that send each */

/** struct channel - To the socket @target; 0: this one is free. */
struct channel {
	half_ref target;
	const struct half *box;
	struct conn conn;
};

/** struct wire_dgram - The wire's own; there is one of it in a daemon. */
struct wire_dgram {
	struct inbox box[BOXES];
	struct channel channels[CHANNELS];
};

static struct wire_dgram the;
static uint8_t payload[DGRAM_PAYLOAD_MAX];

static int box_open(struct wire *w, struct inbox *box, unsigned slot)
{
	struct half *h = arena_half(w->in.p->base, slot);

	store_relaxed(&h->local, ADDR_WORD_GATE);
	store_relaxed(&h->dgram, DGRAM_SOCKET);
	half_set_state(h, HALF_BOUND);
	atomic_fetch_or(&h->want, WANT_HINT_DATA);
	return inbox_open(box, w->in.p, h);
}

half_ref wire_dgram_open(struct wire *w, unsigned *ret_count)
{
	int first = party_slot_alloc(w->in.p);
	unsigned slots = 1;

	if (first < 0)
		return 0;
	/* Before any of them makes seats, which are halves, too. */
	while (slots < BOXES && party_slot_alloc(w->in.p) == first + (int)slots)
		slots++;
	w->dgram_slot = (unsigned)first;
	while (w->dgrams < slots &&
	       box_open(w, &the.box[w->dgrams], w->dgram_slot + w->dgrams) == 0)
		w->dgrams++;
	*ret_count = w->dgrams;
	return w->dgrams ? half_ref_of(w->in.p, arena_half(w->in.p->base, w->dgram_slot)) : 0;
}

/* -------------------------------------------------------------------- out */

/* Is the sender's half what the record says? */
static bool is_from(const struct inbox_seat *s)
{
	const struct dgram_record *r = &s->rec;
	const struct half *h;

	if (half_ref_party(r->half) != half_ref_party(s->conn.peer_ref))
		return false;
	h = half_find(s->conn.owner->base, r->half);
	return h && half_gen(h) == half_ref_gen(r->half) && load_relaxed(&h->dgram) &&
	       addr_word_port(load_relaxed(&h->local)) == addr_word_port(r->from);
}

/* The engine's socket with the source @from: at that address, or at any. */
static struct wire_listener *source_of(struct wire *w, addr_word from)
{
	struct wire_listener *any = NULL;

	for (unsigned i = 0; i < WIRE_LISTENERS; i++) {
		struct wire_listener *l = &w->listeners[i];

		if (!l->used || !l->dgram || l->port != addr_word_port(from))
			continue;
		if (l->addr && l->addr == addr_word_addr(from))
			return l;
		if (!l->addr)
			any = l;
	}
	return any;
}

static void errors_in(struct wire *w, const struct wire_listener *l);

/* Datagrams of @segment octets each, where that is not 0 (UDP_SEGMENT). */
static void send_record(struct wire *w, struct wire_listener *l, const struct dgram_record *r)
{
	size_t each = r->segment ? r->segment : r->bytes, at = 0;

	if (r->ttl && r->ttl != l->ttl &&
	    engine_set(&w->e, w->now_ns, l->sock, ENGINE_IP_TTL, r->ttl) == 0)
		l->ttl = r->ttl;
	if (r->tos != l->tos && engine_set(&w->e, w->now_ns, l->sock, ENGINE_IP_TOS, r->tos) == 0)
		l->tos = r->tos;
	do {
		size_t n = r->bytes - at < each ? r->bytes - at : each;

		if (engine_sendto(&w->e, w->now_ns, l->sock, payload + at, n, addr_word_addr(r->to),
				  addr_word_port(r->to)) < 0)
			w->dgrams_unsent++;
		at += n;
	} while (at < r->bytes);
}

/* Return: whether there may be more. */
static bool box_out(struct wire *w, struct inbox *box)
{
	struct inbox_seat *s;

	for (unsigned n = 0; n < OUT_MOST; n++) {
		struct wire_listener *l;
		struct dgram_record r;

		s = inbox_next(box);
		if (!s)
			return false;
		r = s->rec;
		l = is_from(s) ? source_of(w, r.from) : NULL;
		/* Else sending would tell of another's. First: it uses @payload, too. */
		if (l)
			errors_in(w, l);
		if (!l || addr_word_is6(r.to) || r.bytes > sizeof(payload) ||
		    !inbox_read(s, 0, payload, r.bytes))
			w->dgrams_unsent++;
		else
			send_record(w, l, &r);
		inbox_take(s);
	}
	return true;
}

bool wire_dgram_out(struct wire *w)
{
	bool more = false;

	for (unsigned i = 0; i < w->dgrams; i++)
		more |= box_out(w, &the.box[i]);
	return more;
}

/* --------------------------------------------------------------------- in */

static struct channel *channel_to(struct wire *w, const struct listener_ref *ref)
{
	uint32_t at = (uint32_t)((ref->half * 0x9e3779b97f4a7c15ull) >> 40) % CHANNELS;
	struct channel *c = &the.channels[at];

	if (c->target == ref->half && !chan_over(&c->conn))
		return c;
	/* Another's, which can be opened again; or one that has ended. */
	if (c->target)
		chan_close(w->in.p, &c->conn);
	c->target = 0;
	if (chan_open(w->in.p, ref, &c->conn) < 0)
		return NULL;
	c->target = ref->half;
	c->box = half_find(c->conn.owner->base, ref->half);
	return c;
}

/* Where @box is, for what came to the engine's socket @l. At the wildcard that does not say to
 * which address: those that are at one of them by connect() are as good as there. */
static addr_word place_of(const struct wire_listener *l, const struct half *box, addr_word to)
{
	addr_word local = load_relaxed(&box->local);

	return l->addr || addr_word_is_any(local) || addr_word_is6(local)
		       ? to
		       : addr_word_at(local & ~ADDR_WORD_DUAL, l->port);
}

/* Whose it is, of the sockets that receive there. Return: false: nobody's. */
static bool choose(struct wire *w, const struct wire_listener *l, addr_word from, addr_word to,
		   struct listener_ref *ret)
{
	uint32_t pick = (uint32_t)((from * 31 + to) * 2654435761u) >> 8;
	unsigned best = 0, same = 0;
	struct listener_ref ref;

	for (unsigned i = 0; registry_dgram(w->in.d->reg, addr_word_port(to), i, &ref) == 0; i++) {
		const struct half *box;
		struct peer *owner;
		unsigned rank;

		if (party_peer_get(w->in.p, half_ref_party(ref.half), ref.party_gen, &owner) < 0)
			continue;
		box = half_find(owner->base, ref.half);
		rank = box ? chan_rank(box, ref.half, from, place_of(l, box, to)) : 0;
		if (rank > best ||
		    (rank && rank == best &&
		     (!(load_relaxed(&box->dgram) & DGRAM_GROUP) || pick % ++same == 0))) {
			same = rank > best ? 1 : same;
			best = rank;
			*ret = ref;
		}
		party_peer_put(w->in.p, owner);
	}
	return best > 0;
}

static void deliver(struct wire *w, const struct wire_listener *l, const struct dgram_record *r)
{
	struct iovec piece = {payload, r->bytes};
	struct listener_ref ref;
	struct channel *c;
	uint32_t room;

	if (!choose(w, l, r->from, r->to, &ref)) {
		w->dgrams_undelivered++;
		return;
	}
	c = channel_to(w, &ref);
	room = c ? load_relaxed(&c->box->rcvbuf) : 0;
	if (!c || chan_put(&c->conn, c->box, r, &piece, 1, room ? room : RCVBUF_DEFAULT) < 0) {
		if (c)
			atomic_fetch_add(&c->conn.own->drops, 1);
		w->dgrams_undelivered++;
	}
}

/* Linux: who is connected and has no IP_RECVERR is told of those that will not pass. */
static bool is_hard(const struct engine_error *e)
{
	/* RFC 1122 3.2.2.1: a network, a host, a source route, for one type of service. */
	return e->type != 3 || !(e->code < 2 || e->code == 5 || e->code == 11 || e->code == 12);
}

/* Is the socket of @box one that hears of it? */
static bool hears(const struct half *box, const struct engine_error *e)
{
	return load_relaxed(&box->dgram) & DGRAM_QUEUES ||
	       (load_relaxed(&box->remote) && is_hard(e));
}

/* What became of datagrams that went from there. */
static void errors_in(struct wire *w, const struct wire_listener *l)
{
	const struct net_config *n = &w->in.d->t->net;
	struct dgram_record r = {
		.to = addr_word_make(l->addr ? l->addr : n->address[0].addr, l->port),
		.flags = DGRAM_ERROR,
	};
	struct engine_error e;
	int64_t got;

	while ((got = engine_recverr(&w->e, l->sock, payload, DGRAM_QUOTED_MOST, &e)) >= 0) {
		struct iovec piece = {payload, (size_t)got};
		struct listener_ref ref;
		struct channel *c;

		r.bytes = (uint32_t)got;
		r.from = addr_word_make(e.dst, e.dport);
		r.segment = (uint16_t)e.error;
		r.ttl = e.type;
		r.tos = e.code;
		r.half = (uint64_t)e.offender << 32 | e.info;
		r.half_party_gen = e.local;
		r.ticket_ns = w->now_ns;
		if (!choose(w, l, r.from, r.to, &ref) || !(c = channel_to(w, &ref)) ||
		    !hears(c->box, &e))
			continue;
		if (chan_put(&c->conn, c->box, &r, &piece, 1, RCVBUF_DEFAULT) < 0)
			w->dgrams_undelivered++;
	}
}

void wire_dgram_in(struct wire *w, struct wire_listener *l)
{
	const struct net_config *n = &w->in.d->t->net;
	struct dgram_record r = {
		.to = addr_word_make(l->addr ? l->addr : n->address[0].addr, l->port),
	};

	errors_in(w, l);
	/* As many as the engine's socket holds. */
	for (;;) {
		uint32_t addr;
		uint16_t port;
		int64_t got = engine_recvfrom(&w->e, l->sock, payload, sizeof(payload), NULL, &addr,
					      &port);

		/* The queue had no room for more. */
		if (got < 0 && got != -EAGAIN)
			continue;
		if (got < 0)
			return;
		r.bytes = (uint32_t)got;
		r.from = addr_word_make(addr, port);
		r.ticket_ns = w->now_ns;
		deliver(w, l, &r);
	}
}

void wire_dgram_sweep(struct wire *w)
{
	for (unsigned i = 0; i < CHANNELS; i++) {
		struct channel *c = &the.channels[i];

		if (!c->target || !chan_over(&c->conn))
			continue;
		chan_close(w->in.p, &c->conn);
		c->target = 0;
	}
}
