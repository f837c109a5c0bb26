// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "engine/acd.h"
#include "engine/ip.h"
#include "engine/neigh.h"
#include "engine/pkt.h"
#include "engine/tcp_conn.h"

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static uint32_t *bucket(const struct engine *e, uint32_t addr)
{
	return &e->s->neigh_bucket[siphash_2u64(&e->s->key, addr, 0x617270) % NEIGH_BUCKETS];
}

static struct neigh *find(struct engine *e, uint32_t addr)
{
	uint32_t i = *bucket(e, addr);

	while (i != NIL && e->neigh[i].addr != addr)
		i = e->neigh[i].chain;
	return i == NIL ? NULL : &e->neigh[i];
}

/* As find(), but first where it was the last time. */
static struct neigh *find_near(struct engine *e, uint32_t addr, uint32_t *hint)
{
	struct neigh *n;

	if (hint && *hint < e->s->neighs.fresh) {
		n = &e->neigh[*hint];
		if ((n->head.gen & 1) && n->addr == addr)
			return n;
	}
	n = find(e, addr);
	if (n && hint)
		*hint = NEIGH_INDEX(e, n);
	return n;
}

static void send_arp(struct engine *e, const struct arp *a, const uint8_t to[6])
{
	uint8_t octets[ARP_BYTES];
	struct emit out = emit_to(octets, sizeof(octets));
	struct pkt *p = pkt_new(e, ARP_BYTES);

	if (!p) {
		COUNT(e, ARP_NO_ROOM);
		return;
	}
	arp_emit(&out, a);
	pkt_write(e, p, 0, octets, ARP_BYTES);
	p->kind = PKT_ARP;
	memcpy(p->mac, to, sizeof(p->mac));
	ilist_push(&e->s->tx, pkt_links(e), PKT_INDEX(e, p));
}

static void ask(struct engine *e, struct neigh *n)
{
	struct arp a = {.op = ARP_REQUEST, .target_ip = n->addr};
	uint32_t next_hop;

	memcpy(a.sender, e->s->config.mac, sizeof(a.sender));
	if (route_find(e, n->addr, &a.sender_ip, &next_hop) != 0)
		a.sender_ip = e->s->config.address[0].addr;
	send_arp(e, &a, n->state == NEIGH_PROBE ? n->mac : everybody);
	n->asked++;
	wheel_set(&e->s->wheel, e->timer, e->s->timer_neigh + NEIGH_INDEX(e, n),
		  e->s->now_ns + NEIGH_ASK_NS);
}

static void forget(struct engine *e, struct neigh *n)
{
	uint32_t i = NEIGH_INDEX(e, n);
	uint32_t *link = bucket(e, n->addr);
	uint32_t p;

	while ((p = ilist_pop(&n->queue, pkt_links(e))) != NIL)
		pkt_free(e, &e->pkt[p]);
	while (*link != i)
		link = &e->neigh[*link].chain;
	*link = n->chain;
	ilist_remove(&e->s->neigh_lru, neigh_links(e), i);
	wheel_cancel(&e->s->wheel, e->timer, e->s->timer_neigh + i);
	slab_put(&e->s->neighs, e->neigh, sizeof(*n), i);
}

/* NULL: all of them are being asked for. */
static struct neigh *make(struct engine *e, uint32_t addr)
{
	uint32_t i = slab_get(&e->s->neighs, e->neigh, sizeof(*e->neigh));
	struct neigh *n;

	if (i == NIL) {
		uint32_t old = e->s->neigh_lru.head;

		COUNT(e, ARP_NO_ROOM);
		/* For those that are being asked for somebody waits; it takes them 3 s at most. */
		while (old != NIL && e->neigh[old].state == NEIGH_INCOMPLETE)
			old = e->neigh[old].lru.next;
		if (old == NIL)
			return NULL;
		forget(e, &e->neigh[old]);
		i = slab_get(&e->s->neighs, e->neigh, sizeof(*e->neigh));
	}
	n = &e->neigh[i];
	n->addr = addr;
	n->chain = *bucket(e, addr);
	*bucket(e, addr) = i;
	ilink_init(&n->lru);
	ilist_push(&e->s->neigh_lru, neigh_links(e), i);
	ilist_init(&n->queue);
	wheel_timer_init(&e->timer[e->s->timer_neigh + i]);
	return n;
}

static void use(struct engine *e, struct neigh *n)
{
	uint32_t i = NEIGH_INDEX(e, n);

	if (e->s->neigh_lru.tail == i)
		return;
	ilist_remove(&e->s->neigh_lru, neigh_links(e), i);
	ilist_push(&e->s->neigh_lru, neigh_links(e), i);
}

int neigh_resolve(struct engine *e, uint32_t addr, uint32_t *hint, uint8_t ret_mac[6])
{
	struct neigh *n;

	if (addr == 0) {
		memcpy(ret_mac, everybody, sizeof(everybody));
		return 0;
	}
	if (addr == ROUTE_LOOPBACK) {
		memcpy(ret_mac, e->s->config.mac, sizeof(e->s->config.mac));
		return 0;
	}
	if (ipv4_is_multicast(addr)) {
		/* RFC 1112 6.4: the low 23 bits. */
		put_be32(ret_mac + 2, addr & 0x7fffff);
		ret_mac[0] = 0x01;
		ret_mac[1] = 0x00;
		ret_mac[2] = 0x5e;
		return 0;
	}
	n = find_near(e, addr, hint);
	if (!n) {
		n = make(e, addr);
		if (!n)
			return -ENOBUFS;
		n->state = NEIGH_INCOMPLETE;
		ask(e, n);
		return -EAGAIN;
	}
	use(e, n);
	if (n->state == NEIGH_INCOMPLETE)
		return -EAGAIN;
	if (n->state == NEIGH_REACHABLE && e->s->now_ns - n->confirmed_ns > NEIGH_REACHABLE_NS) {
		n->state = NEIGH_PROBE;
		n->asked = 0;
		ask(e, n);
	}
	memcpy(ret_mac, n->mac, sizeof(n->mac));
	return 0;
}

bool neigh_asked(struct engine *e, uint32_t addr)
{
	return find(e, addr) != NULL;
}

void neigh_hold(struct engine *e, uint32_t addr, struct pkt *p)
{
	struct neigh *n = find(e, addr);

	if (!n) {
		pkt_free(e, p);
		return;
	}
	/* RFC 1122 2.3.2.2: the latest packet is kept. */
	if (n->queued == NEIGH_QUEUE) {
		pkt_free(e, &e->pkt[ilist_pop(&n->queue, pkt_links(e))]);
		n->queued--;
		COUNT(e, ARP_QUEUE_FULL);
	}
	ilist_push(&n->queue, pkt_links(e), PKT_INDEX(e, p));
	n->queued++;
}

void neigh_confirm(struct engine *e, uint32_t addr, uint32_t *hint)
{
	struct neigh *n = find_near(e, addr, hint);

	if (n && n->state != NEIGH_INCOMPLETE) {
		n->state = NEIGH_REACHABLE;
		n->confirmed_ns = e->s->now_ns;
		wheel_cancel(&e->s->wheel, e->timer, e->s->timer_neigh + NEIGH_INDEX(e, n));
	}
}

/* It has answered: what waited goes. */
static void learn(struct engine *e, struct neigh *n, const uint8_t mac[6])
{
	uint32_t p;

	memcpy(n->mac, mac, sizeof(n->mac));
	n->state = NEIGH_REACHABLE;
	n->confirmed_ns = e->s->now_ns;
	n->queued = 0;
	wheel_cancel(&e->s->wheel, e->timer, e->s->timer_neigh + NEIGH_INDEX(e, n));
	while ((p = ilist_pop(&n->queue, pkt_links(e))) != NIL)
		ilist_push(&e->s->tx, pkt_links(e), p);
	tcp_neigh_answered(e);
}

void neigh_broadcast(struct engine *e, struct arp *a)
{
	memcpy(a->sender, e->s->config.mac, sizeof(a->sender));
	send_arp(e, a, everybody);
}

void neigh_input(struct engine *e, const struct arp *a)
{
	struct neigh *n;
	bool for_us = engine_is_ours(e, a->target_ip);

	if (memcmp(a->sender, e->s->config.mac, sizeof(a->sender)) == 0)
		return; /* our own came back */
	if (acd_input(e, a))
		return;
	if (eth_is_multicast(a->sender) || a->sender_ip == UINT32_MAX ||
	    ipv4_is_multicast(a->sender_ip))
		return;
	/* RFC 826: correct what is there, whoever was asked; then, if it was us, add and answer.
	 * A probe (RFC 5227) has no sender's address: nothing to learn. */
	n = a->sender_ip ? find(e, a->sender_ip) : NULL;
	if (!n && a->sender_ip && for_us)
		n = make(e, a->sender_ip);
	if (n)
		learn(e, n, a->sender);
	if (for_us && a->op == ARP_REQUEST) {
		struct arp reply = {
			.op = ARP_REPLY, .sender_ip = a->target_ip, .target_ip = a->sender_ip};

		memcpy(reply.sender, e->s->config.mac, sizeof(reply.sender));
		memcpy(reply.target, a->sender, sizeof(reply.target));
		send_arp(e, &reply, a->sender);
	}
}

void neigh_timer(struct engine *e, uint32_t index)
{
	struct neigh *n = &e->neigh[index];

	if (n->asked < NEIGH_ASK_MAX) {
		ask(e, n);
		return;
	}
	COUNT(e, ARP_UNANSWERED);
	tcp_neigh_lost(e, n->addr);
	forget(e, n);
	tcp_neigh_room(e);
}

bool engine_neigh_get(const struct engine *e, uint32_t i, struct engine_neigh *ret)
{
	uint32_t at = e->s->neigh_lru.tail;
	const struct neigh *n;

	for (; i > 0 && at != NIL; i--)
		at = e->neigh[at].lru.prev;
	if (at == NIL)
		return false;
	n = &e->neigh[at];
	*ret = (struct engine_neigh){
		.addr = n->addr,
		.state = (enum engine_neigh_state)n->state,
		.age_ns = n->confirmed_ns ? e->s->now_ns - n->confirmed_ns : UINT64_MAX,
	};
	memcpy(ret->mac, n->mac, sizeof(ret->mac));
	return true;
}
