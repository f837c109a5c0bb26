// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "engine/igmp.h"
#include "engine/pkt.h"
#include "engine/raw.h"
#include "engine/sock.h"
#include "engine/tcp_conn.h"

#define SOCK_BUF_DEFAULT 212992u

static struct ilist port_chain(const struct engine *e, uint16_t port, uint32_t **ret)
{
	uint32_t *head = &e->port_bucket[2u * (port & (e->s->port_buckets - 1))];

	*ret = head;
	return (struct ilist){.head = head[0], .tail = head[1]};
}

uint32_t sock_first_at(const struct engine *e, uint16_t port)
{
	uint32_t *head;

	return port_chain(e, port, &head).head;
}

static void port_in(struct engine *e, struct sock *s)
{
	uint32_t *head;
	struct ilist l = port_chain(e, s->lport, &head);

	ilist_push(&l, sock_port_links(e), SOCK_INDEX(e, s));
	head[0] = l.head;
	head[1] = l.tail;
}

static void port_out(struct engine *e, struct sock *s)
{
	uint32_t *head;
	struct ilist l = port_chain(e, s->lport, &head);

	ilist_remove(&l, sock_port_links(e), SOCK_INDEX(e, s));
	head[0] = l.head;
	head[1] = l.tail;
}

struct sock *sock_of(struct engine *e, struct engine_sock ref)
{
	if (!slab_holds(&e->s->socks, e->sock, sizeof(*e->sock), ref.index, ref.gen))
		return NULL;
	return &e->sock[ref.index];
}

struct sock *sock_new(struct engine *e, uint8_t kind, uint64_t cookie)
{
	uint32_t i = slab_get(&e->s->socks, e->sock, sizeof(*e->sock));
	struct sock *s;

	if (i == NIL) {
		COUNT(e, SOCK_NO_ROOM);
		return NULL;
	}
	s = &e->sock[i];
	ilink_init(&s->event_link);
	ilink_init(&s->port_link);
	ilist_init(&s->accept);
	ilist_init(&s->queue);
	ilist_init(&s->errors);
	s->tcp = NIL;
	s->kind = kind;
	s->cookie = cookie;
	s->ttl = 64;
	s->group_ttl = 1; /* RFC 1112 6.1 */
	s->group_loop = true;
	s->rcvbuf = SOCK_BUF_DEFAULT;
	s->sndbuf = SOCK_BUF_DEFAULT;
	s->keep_idle_s = 7200; /* RFC 9293 3.8.4, MUST-28 */
	s->keep_interval_s = 75;
	s->keep_count = 9;
	s->pacing_max = UINT32_MAX;
	s->pmtu_discover = kind == SOCK_TCP;
	if (kind == SOCK_RAW_ICMP) {
		s->lport = RAW_PORT;
		port_in(e, s);
	}
	return s;
}

void sock_free(struct engine *e, struct sock *s)
{
	uint32_t i = SOCK_INDEX(e, s);
	uint32_t p;

	while ((p = ilist_pop(&s->queue, pkt_links(e))) != NIL ||
	       (p = ilist_pop(&s->errors, pkt_links(e))) != NIL)
		pkt_free(e, &e->pkt[p]);
	while (s->groups)
		igmp_leave(e, s->group[--s->groups]);
	if (s->events)
		ilist_remove(&e->s->events, sock_event_links(e), i);
	if (s->lport)
		port_out(e, s);
	slab_put(&e->s->socks, e->sock, sizeof(*e->sock), i);
}

void sock_event(struct engine *e, struct sock *s, uint32_t events)
{
	if (!s->events)
		ilist_push(&e->s->events, sock_event_links(e), SOCK_INDEX(e, s));
	s->events |= events;
}

bool engine_event(struct engine *e, struct engine_event *ret)
{
	uint32_t i = ilist_pop(&e->s->events, sock_event_links(e));

	if (i == NIL)
		return false;
	*ret = (struct engine_event){
		.sock = {.index = i, .gen = e->sock[i].head.gen},
		.cookie = e->sock[i].cookie,
		.events = e->sock[i].events,
	};
	e->sock[i].events = 0;
	return true;
}

struct sock *sock_find(struct engine *e, uint8_t kind, uint32_t laddr, uint16_t lport,
		       uint32_t raddr, uint16_t rport)
{
	uint32_t *head;
	uint32_t i = port_chain(e, lport, &head).head;
	struct sock *best = NULL;
	int most = -1;

	for (; i != NIL; i = e->sock[i].port_link.next) {
		struct sock *s = &e->sock[i];
		int score = 0;

		if (s->kind != kind || s->lport != lport || (kind == SOCK_TCP && !s->listening))
			continue;
		if (s->laddr) {
			if (s->laddr != laddr)
				continue;
			score += 1;
		}
		if (s->connected) {
			if (s->raddr != raddr || s->rport != rport)
				continue;
			score += 2;
		}
		if (score > most) {
			most = score;
			best = s;
		}
	}
	return best;
}

void sock_datagram(struct engine *e, struct sock *s, const struct ip_in *in, uint16_t sport,
		   struct cursor header, struct cursor c)
{
	struct pkt *p;

	if (s->shut_rd)
		return;
	if (s->queued >= s->rcvbuf) {
		COUNT(e, UDP_QUEUE_FULL);
		return;
	}
	p = pkt_new_kept(e, cursor_left(&header) + cursor_left(&c));
	if (!p) {
		COUNT(e, UDP_NO_ROOM);
		return;
	}
	pkt_write(e, p, 0, header.at, cursor_left(&header));
	pkt_write(e, p, cursor_left(&header), c.at, cursor_left(&c));
	p->src = in->src;
	p->dst = in->dst;
	p->ttl = in->ttl;
	p->tos = in->tos;
	p->sport = sport;
	ilist_push(&s->queue, pkt_links(e), PKT_INDEX(e, p));
	s->queued += pkt_cost(p);
	sock_event(e, s, ENGINE_READABLE);
}

static bool wants_group(const struct sock *s, uint32_t dst)
{
	for (uint32_t i = 0; i < s->groups; i++) {
		if (s->group[i] == dst)
			return true;
	}
	return false;
}

unsigned sock_datagram_all(struct engine *e, const struct ip_in *in, uint16_t dport, uint16_t sport,
			   struct cursor c)
{
	uint32_t *head;
	uint32_t i = port_chain(e, dport, &head).head;
	unsigned count = 0;

	for (; i != NIL; i = e->sock[i].port_link.next) {
		struct sock *s = &e->sock[i];

		if (s->kind != SOCK_UDP || s->lport != dport || (s->laddr && s->laddr != in->dst) ||
		    (s->connected && (s->raddr != in->src || s->rport != sport)) ||
		    (ipv4_is_multicast(in->dst) && !wants_group(s, in->dst)))
			continue;
		sock_datagram(e, s, in, sport, cursor_of(NULL, 0), c);
		count++;
	}
	return count;
}

void sock_sent(struct engine *e, uint32_t index, uint32_t gen, uint32_t cost)
{
	struct sock *s = sock_of(e, (struct engine_sock){.index = index, .gen = gen});

	if (!s)
		return;
	s->sending -= min_u32(cost, s->sending);
	if (s->full && s->sending < s->sndbuf / 2) {
		s->full = false;
		sock_event(e, s, ENGINE_WRITABLE);
	}
}

/* May @s be at addr:port beside what is there? */
static bool port_is_free(struct engine *e, const struct sock *s, uint32_t addr, uint16_t port)
{
	uint32_t *head;
	uint32_t i = port_chain(e, port, &head).head;

	for (; i != NIL; i = e->sock[i].port_link.next) {
		const struct sock *o = &e->sock[i];

		if (o->kind == s->kind && o->lport == port &&
		    (!o->laddr || !addr || o->laddr == addr))
			return false;
	}
	return true;
}

int sock_bind_port(struct engine *e, struct sock *s, uint32_t addr, uint16_t port, uint32_t raddr,
		   uint16_t rport)
{
	const struct engine_config *c = &e->s->config;
	uint32_t count = (uint32_t)c->local_port_max - c->local_port_min + 1;
	uint32_t offset;

	if (port) {
		if (!port_is_free(e, s, addr, port))
			return -EADDRINUSE;
		s->laddr = addr;
		s->lport = port;
		port_in(e, s);
		return 0;
	}
	/* RFC 6056 3.3.3: from a place that the peer decides with our key, stepping a count that
	 * all share. */
	offset = (uint32_t)siphash_2u64(&e->s->key, (uint64_t)raddr << 32 | addr, rport) +
		 e->s->port_offset;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t at = (uint16_t)(c->local_port_min + (offset + i) % count);

		if (!port_is_free(e, s, addr, at) ||
		    (s->kind == SOCK_TCP && raddr && tcp_exists(e, addr, at, raddr, rport)))
			continue;
		e->s->port_offset += i + 1;
		s->laddr = addr;
		s->lport = at;
		port_in(e, s);
		return 0;
	}
	return -EADDRNOTAVAIL;
}
