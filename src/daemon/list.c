/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.c - Who is connected, for `mortise ss` and `mortise status`.
 *
 * The memory that is read here changes meanwhile, and may be nonsense: what
 * is impossible is shown as nothing.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/rows.h"
#include "daemon/wire.h"
#include "shm/addr.h"
#include "shm/seat.h"

#define LIST_ROWS_MAX 65536u
#define QUEUE_MAX (1ull << 40) /* no ring holds more: a lie */

/* NULL: there is no room, or there are so many that the rest is left out. */
static struct ctl_msg *row_add(struct rows *rows)
{
	return rows->count < LIST_ROWS_MAX ? rows_add(rows) : NULL;
}

/* The half at the other end, where it is there and names us. */
static struct half *list_find(struct daemon *d, half_ref ref, uint32_t party_gen)
{
	void *base = ref ? clients_lookup(d, half_ref_party(ref), party_gen) : NULL;
	struct half *h = base ? half_find(base, ref) : NULL;

	return h && half_gen(h) == half_ref_gen(ref) ? h : NULL;
}

/* What took the seat @ref's place, if it has moved; else @ref. */
static half_ref list_moved(struct daemon *d, half_ref ref, uint32_t *party_gen)
{
	const struct half *s = list_find(d, ref, *party_gen);

	if (!s || !(load_acquire(&s->end) & END_MOVED))
		return ref;
	*party_gen = load_relaxed(&s->moved_gen);
	return load_relaxed(&s->moved);
}

static const struct half *list_peer(struct daemon *d, half_ref self, const struct half *h)
{
	uint32_t gen = load_relaxed(&h->peer_party_gen), back_gen;
	half_ref ref = list_moved(d, load_acquire(&h->peer), &gen), back;
	const struct half *peer = list_find(d, ref, gen);

	if (!peer)
		return NULL;
	back_gen = load_relaxed(&peer->peer_party_gen);
	back = list_moved(d, load_acquire(&peer->peer), &back_gen);
	return back == self || back == 0 ? peer : NULL;
}

static uint64_t list_queue(uint64_t tail, uint64_t head)
{
	return tail - head < QUEUE_MAX ? tail - head : 0;
}

/* Ring memory that @h has now. */
static uint64_t list_ring(const struct half *h)
{
	uint32_t live = load_relaxed(&h->ext_live), count = load_relaxed(&h->ext_count);
	uint64_t bytes = 0;

	if (count - live > RING_EXTENTS)
		return 0;
	for (; live != count; live++) {
		uint64_t log2 = load_relaxed(&h->ext[live % RING_EXTENTS].where) & 0xff;

		if (log2 >= RING_LOG2_MIN && log2 <= RING_LOG2_MAX)
			bytes += 1ull << log2;
	}
	return bytes;
}

static uint64_t list_age_ns(const struct half *h)
{
	uint64_t born = load_relaxed(&h->born_ns), now = clock_now_ns();

	return born && born < now ? now - born : 0;
}

static uint64_t list_waiting(const struct client *c, const struct half *l)
{
	uint32_t base = load_relaxed(&l->seat_base), n = load_relaxed(&l->seat_count);
	uint64_t waiting = 0;

	if (n > SEAT_ROW_MAX || base >= SEAT_MAX - 1 - n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t seat = load_relaxed(arena_seats(c->peer.base) + base + 1 + i);

		if (!seat || slot_word_slot(seat) >= SLOT_MAX ||
		    load_relaxed(&c->peer.mbox->claims[base + 1 + i]) == 0)
			continue;
		if (half_state(arena_half(c->peer.base, slot_word_slot(seat))) == HALF_SEAT)
			waiting++;
	}
	return waiting;
}

/* What waits in a datagram socket's channels, and what found no room there. */
static void list_channels(struct daemon *d, const struct client *c, const struct half *h,
			  struct ctl_msg *m)
{
	uint32_t base = load_relaxed(&h->seat_base), n = load_relaxed(&h->seat_count);

	if (half_state(h) != HALF_DGRAM || n > SEAT_ROW_MAX || base >= SEAT_MAX - 1 - n)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t seat = load_relaxed(arena_seats(c->peer.base) + base + 1 + i);
		half_ref claim = load_relaxed(&c->peer.mbox->claims[base + 1 + i]);
		unsigned id = half_ref_party(claim);
		const struct half *own, *tx;

		if (!seat || slot_word_slot(seat) >= SLOT_MAX || !claim || id >= PARTY_MAX)
			continue;
		own = arena_half(c->peer.base, slot_word_slot(seat));
		tx = list_find(d, claim, daemon_rec(d, id)->gen);
		if (!tx)
			continue;
		m->row.recv_q += list_queue(load_relaxed(&tx->tail), load_relaxed(&own->head));
		m->row.drops += load_relaxed(&tx->drops);
		m->row.rx_ring += list_ring(tx);
	}
}

static void list_owner(const struct rec *r, struct ctl_msg *m)
{
	m->row.pid = r->pid;
	m->row.uid = r->uid;
	m->row.fd = -1;
	memcpy(m->row.comm, r->comm, sizeof(m->row.comm));
}

/* The command has no registry to look them up in. */
static void list_addrs(const struct daemon *d, struct ctl_msg *m)
{
	registry_addr_get(d->reg, m->row.local, m->row.local_ip6, &m->row.local_scope);
	registry_addr_get(d->reg, m->row.remote, m->row.remote_ip6, &m->row.remote_scope);
}

static void list_half(struct daemon *d, unsigned id, unsigned slot, struct rows *rows)
{
	struct client *c = &d->clients[id];
	const struct half *h = arena_half(c->peer.base, slot), *peer;
	half_ref self = half_ref_make(id, slot, half_gen(h));
	enum half_state s = half_state(h);
	uint64_t tail = load_relaxed(&h->tail), head = load_relaxed(&h->head);
	struct ctl_msg *m;

	/* What the wire has is the network's end, not a socket of anybody's here. */
	if (wire_is_party(d, id))
		return;
	if (s == HALF_FREE || s == HALF_SEAT || load_relaxed(&h->side) & SIDE_CHANNEL ||
	    (s == HALF_BOUND && !load_relaxed(&h->local)))
		return;
	peer = list_peer(d, self, h);
	if (s == HALF_CLOSED || s == HALF_RELEASED) {
		enum half_state ps = peer ? half_state(peer) : HALF_FREE;

		if ((ps != HALF_OPEN && ps != HALF_SEAT) ||
		    list_queue(tail, load_relaxed(&peer->head)) == 0)
			return;
		s = HALF_CLOSED;
	}
	m = row_add(rows);
	if (!m)
		return;
	list_owner(daemon_rec(d, id), m);
	m->row.state = s;
	m->row.local = load_relaxed(&h->local);
	m->row.remote = load_relaxed(&h->remote);
	list_addrs(d, m);
	m->row.tx_bytes = tail;
	m->row.rx_bytes = head;
	m->row.wakes = load_relaxed(&h->wakes);
	m->row.sleeps = load_relaxed(&h->sleeps);
	m->row.spins = load_relaxed(&h->spins);
	m->row.cookie = load_relaxed(&h->cookie);
	m->row.inode = (uint64_t)id << 32 | load_relaxed(&h->handle);
	m->row.family = load_relaxed(&h->side) & SIDE_INET6 ? AF_INET6 : AF_INET;
	m->row.protocol = IPPROTO_TCP;
	m->row.sndbuf = load_relaxed(&h->sndbuf);
	m->row.rcvbuf = load_relaxed(&h->rcvbuf);
	m->row.age_ns = list_age_ns(h);
	m->row.cpu = load_relaxed(&h->cpu);
	m->row.shared = load_relaxed(&h->shared) != 0;
	if (load_relaxed(&h->dgram)) {
		m->row.protocol = IPPROTO_UDP;
		m->row.state = HALF_BOUND;
		m->row.drops = load_relaxed(&h->drops);
		list_channels(d, c, h, m);
		return;
	}
	if (s == HALF_LISTEN) {
		uint32_t seats = load_relaxed(&h->seat_count);

		m->row.recv_q = list_waiting(c, h);
		m->row.send_q = seats ? seats - 1 : 0;
		m->row.tx_bytes = m->row.rx_bytes = 0;
		return;
	}
	m->row.tx_ring = list_ring(h);
	m->row.rx_ring = peer ? list_ring(peer) : 0;
	if (load_relaxed(&h->end) & END_FIN)
		m->row.half_closed |= 1;
	if (!peer) {
		m->row.send_q = s == HALF_OPEN ? list_queue(tail, 0) : 0;
		return;
	}
	if (d->wire && wire_is_party(d, half_ref_party(load_relaxed(&h->peer))))
		wire_info(d, half_ref_slot(load_relaxed(&h->peer)), m);
	m->row.recv_q = list_queue(load_relaxed(&peer->tail), head);
	m->row.send_q = list_queue(tail, load_relaxed(&peer->head));
	if (load_relaxed(&peer->end) & END_FIN)
		m->row.half_closed |= 2;
}

static void list_ksocks(struct daemon *d, unsigned id, struct rows *rows)
{
	struct ksock *ks = arena_ksocks(d->clients[id].peer.base);

	for (unsigned i = 0; i < KSOCK_MAX; i++) {
		uint64_t key = load_acquire(&ks[i].key);
		struct ctl_msg *m;

		if (key == 0 || (key & 0xff) >= REASON_COUNT)
			continue;
		m = row_add(rows);
		if (!m)
			return;
		list_owner(daemon_rec(d, id), m);
		m->row.transport = 1;
		m->row.reason = (uint32_t)(key & 0xff);
		m->row.fd = (int32_t)(key >> 8) - 1;
		m->row.local = load_relaxed(&ks[i].local);
		m->row.remote = load_relaxed(&ks[i].remote);
		list_addrs(d, m);
		m->row.inode = load_relaxed(&ks[i].inode);
	}
}

static unsigned list_slots(const struct client *c)
{
	unsigned used = c->peer.base ? load_acquire(&arena_hdr(c->peer.base)->slots_used) : 0;

	return used < SLOT_MAX ? used : SLOT_MAX;
}

int list_rows(struct daemon *d, uint32_t seq, struct ctl_msg **ret)
{
	struct rows rows = { .seq = seq, .type = CTL_LIST };
	struct ctl_msg *last;

	for (unsigned id = 1; id < d->t->rec_high; id++) {
		struct client *c = &d->clients[id];

		if (!c->peer.base || daemon_state(d, id) < REC_ALIVE)
			continue;
		for (unsigned slot = 0; slot < list_slots(c); slot++)
			list_half(d, id, slot, &rows);
		if (daemon_state(d, id) == REC_ALIVE)
			list_ksocks(d, id, &rows);
	}
	if (rows.count == LIST_ROWS_MAX)
		rows.count--;
	last = row_add(&rows);
	if (!last || rows.failed) {
		free(rows.m);
		return -ENOMEM;
	}
	last->row.last = 1;
	*ret = rows.m;
	return (int)rows.count;
}

/* Add a party's figures. A connection is counted at that of its halves which
 * is OPEN, or at the one with the smaller name where both are. */
static void status_party(struct daemon *d, unsigned id, struct ctl_msg *m)
{
	struct client *c = &d->clients[id];
	struct arena_hdr *hdr = arena_hdr(c->peer.base);

	m->status.opened += load_relaxed(&hdr->opened);
	m->status.bytes += load_relaxed(&hdr->tx_bytes_done);
	for (unsigned i = 0; i < ARRAY_LEN(m->status.fallbacks); i++)
		m->status.fallbacks[i] += load_relaxed(&hdr->fallbacks[i]);
	for (unsigned slot = 0; slot < list_slots(c); slot++) {
		const struct half *h = arena_half(c->peer.base, slot), *peer;
		half_ref self = half_ref_make(id, slot, half_gen(h));
		enum half_state s = half_state(h);

		/* Each datagram's bytes are counted at its socket. */
		if (s == HALF_FREE || load_relaxed(&h->side) & SIDE_CHANNEL)
			continue;
		m->status.bytes += load_relaxed(&h->tail);
		m->status.listeners += s == HALF_LISTEN && !wire_is_party(d, id);
		if (s != HALF_OPEN && s != HALF_CONNECTING)
			continue;
		peer = list_peer(d, self, h);
		if (!peer || half_state(peer) != HALF_OPEN || self < load_relaxed(&h->peer))
			m->status.connections++;
	}
}

void list_status(struct daemon *d, struct ctl_msg *m)
{
	const struct table *t = d->t;

	memset(&m->status, 0, sizeof(m->status));
	m->status.version = CTL_VERSION;
	m->status.policy = t->policy;
	m->status.daemon_pid = (uint32_t)getpid();
	m->status.keeper_pid = t->keeper_pid;
	m->status.handles = load_relaxed(&t->handle_count);
	m->status.messages = t->messages;
	m->status.started_ns = t->started_ns;
	m->status.linger_s = (uint32_t)(t->linger_ns / NS_PER_SEC);
	m->status.opened = t->opened;
	m->status.bytes = t->bytes;
	memcpy(m->status.fallbacks, t->fallbacks, sizeof(m->status.fallbacks));
	memcpy(m->status.domain, t->domain, sizeof(m->status.domain));
	for (unsigned id = 1; id < t->rec_high; id++) {
		if (daemon_state(d, id) == REC_ALIVE && !t->recs[id].service)
			m->status.clients++;
		if (d->clients[id].peer.base && daemon_state(d, id) >= REC_ALIVE)
			status_party(d, id, m);
	}
}
