/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.c - The engine, driven by the daemon's loop.
 *
 * One turn: frames that came, then what programs want (hints, the gate), then
 * what the engine says, then bytes both ways, then frames out. Each part is
 * bounded, so the daemon goes on to serve its clients; a turn that had more to
 * do than its bounds is followed by another without a sleep.
 *
 * The engine's state dies with the daemon: connections are reset, the next
 * daemon begins a new one on the same device, which the keeper holds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/wire.h"
#include "daemon/wire_capture.h"
#include "daemon/wire_conn.h"
#include "daemon/wire_dgram.h"
#include "daemon/wire_frames.h"
#include "daemon/wire_spin.h"
#include "shm/addr.h"
#include "shm/hint.h"
#include "shm/seat.h"

#define GATE_BACKLOG 1023u
#define SLEEP_MOST_MS 1000u /* a hint may be lost */
#define TCPS 32768u
#define RING_BYTES (1ull << 30) /* address space; what is used is bounded by buffers */
#define UNSENT_MAX (256u << 10)
#define TURNS_NS (200 * NS_PER_US) /* until clients are looked at */
#define PING_PAYLOAD_MOST 65507u
#define ICMP_HEADER 8u

/* ------------------------------------------------------------------- ping */

static struct wire_ping *ping_free(struct wire *w)
{
	for (unsigned i = 0; i < WIRE_PINGS; i++)
		if (!w->pings[i].client)
			return &w->pings[i];
	return NULL;
}

/* The answer, where who asked is there still. */
static void ping_answer(struct wire *w, struct wire_ping *p, int error)
{
	struct daemon *d = w->in.d;

	engine_close(&w->e, w->now_ns, p->sock);
	p->m.type |= CTL_REPLY;
	p->m.len = ctl_bytes(p->m.type);
	p->m.error = error;
	p->m.ping.rtt_ns = w->now_ns - p->sent_ns;
	if (daemon_rec(d, p->client)->gen == p->client_gen &&
	    keeper_fd(d->k, p->client, KEPT_CTL) >= 0)
		ctl_send(keeper_fd(d->k, p->client, KEPT_CTL), &p->m, NULL, 0);
	p->client = 0;
}

static void ping_event(struct wire *w, struct wire_ping *p)
{
	static uint8_t message[ICMP_HEADER + PING_PAYLOAD_MOST];
	struct engine_datagram about;
	int64_t n;

	if (!p->client)
		return;
	n = engine_recvmsg(&w->e, p->sock, message, sizeof(message), &about);
	if (n == -EAGAIN)
		return;
	if (n >= (int64_t)ICMP_HEADER)
		p->m.ping.bytes = (uint32_t)n - ICMP_HEADER;
	if (n >= 0) {
		p->m.ping.addr = about.src;
		p->m.ping.ttl = about.ttl;
	}
	ping_answer(w, p, n < 0 ? (int)-n : 0);
}

static void pings_late(struct wire *w)
{
	for (unsigned i = 0; i < WIRE_PINGS; i++)
		if (w->pings[i].client && w->now_ns >= w->pings[i].until_ns)
			ping_answer(w, &w->pings[i], ETIMEDOUT);
}

int wire_ping(struct daemon *d, unsigned id, const struct ctl_msg *m)
{
	static uint8_t message[ICMP_HEADER + PING_PAYLOAD_MOST] = {8};
	struct wire *w = d->wire;
	struct wire_ping *p = w ? ping_free(w) : NULL;
	int64_t err;

	if (!w)
		return ENONET;
	if (!p)
		return EAGAIN;
	if (m->ping.bytes > PING_PAYLOAD_MOST || m->ping.ttl > 255 || m->ping.timeout_ms == 0 ||
	    m->ping.timeout_ms > CTL_PING_TIMEOUT_MAX)
		return EINVAL;
	w->now_ns = clock_now_ns();
	err = engine_open(&w->e, ENGINE_PING, wire_cookie(WIRE_KIND_PING, (uint32_t)(p - w->pings)),
			  &p->sock);
	if (err < 0)
		return (int)-err;
	if (m->ping.ttl)
		engine_set(&w->e, w->now_ns, p->sock, ENGINE_IP_TTL, m->ping.ttl);
	message[6] = (uint8_t)(m->ping.sequence >> 8);
	message[7] = (uint8_t)m->ping.sequence;
	for (uint32_t i = 0; i < m->ping.bytes; i++)
		message[ICMP_HEADER + i] = (uint8_t)i;
	/* Connected: so it hears that it is unreachable. */
	err = engine_connect(&w->e, w->now_ns, p->sock, m->ping.addr, 0);
	if (err == 0)
		err = engine_send(&w->e, w->now_ns, p->sock, message, ICMP_HEADER + m->ping.bytes);
	if (err < 0) {
		engine_close(&w->e, w->now_ns, p->sock);
		return (int)-err;
	}
	p->client = id;
	p->client_gen = daemon_rec(d, id)->gen;
	p->sent_ns = w->now_ns;
	p->until_ns = w->now_ns + m->ping.timeout_ms * NS_PER_MS;
	p->m = *m;
	return 0;
}

/* -------------------------------------------------------------- listeners */

static struct wire_listener *listener_find(struct wire *w, uint32_t addr, uint16_t port, bool dgram)
{
	for (unsigned i = 0; i < WIRE_LISTENERS; i++)
		if (w->listeners[i].used && w->listeners[i].port == port &&
		    w->listeners[i].addr == addr && w->listeners[i].dgram == dgram)
			return &w->listeners[i];
	return NULL;
}

static int listener_open(struct wire *w, uint32_t addr, uint16_t port, bool dgram)
{
	struct wire_listener *l = NULL;
	uint32_t i;
	int err;

	for (i = 0; i < WIRE_LISTENERS && !l; i++)
		if (!w->listeners[i].used && !w->listeners[i].waiting)
			l = &w->listeners[i];
	if (!l)
		return -ENFILE;
	err = engine_open(&w->e, dgram ? ENGINE_UDP : ENGINE_TCP,
			  wire_cookie(WIRE_KIND_LISTENER, (uint32_t)(l - w->listeners)), &l->sock);
	if (err < 0)
		return err;
	err = engine_bind(&w->e, l->sock, addr, port);
	/* Who waits in the program's own queue is counted there. */
	if (err == 0 && !dgram)
		err = engine_listen(&w->e, l->sock, SEAT_BACKLOG_MAX);
	if (err == 0 && dgram)
		engine_set(&w->e, w->now_ns, l->sock, ENGINE_IP_RECVERR, 1);
	if (err < 0) {
		engine_close(&w->e, w->now_ns, l->sock);
		return err;
	}
	*l = (struct wire_listener){.addr = addr,
				    .port = port,
				    .used = true,
				    .wanted = true,
				    .dgram = dgram,
				    .sock = l->sock};
	return 0;
}

/* Does the network reach whoever listens at @at? *@ret: by which address. */
static bool listener_outside(const struct wire *w, addr_word at, uint32_t *ret)
{
	*ret = 0;
	if (addr_word_is_any(at))
		return !addr_word_is6(at) || at & ADDR_WORD_DUAL;
	*ret = addr_word_addr(at);
	return !addr_word_is6(at) && (w->in.d->t->net.packets || !addr_word_is_loopback(at)) &&
	       registry_addr_is_own(w->in.d->reg, at);
}

int wire_listeners(struct daemon *d, addr_word at)
{
	struct wire *w = d->wire;
	uint32_t n = w ? (uint32_t)load_relaxed(&d->reg->ports[port_index(at)]) : 0;
	const struct registry_listener *r = n && n <= LISTENER_MAX ? &d->reg->records[n - 1] : NULL;
	uint32_t count = r ? load_relaxed(&r->count) : 0, addr;
	uint16_t port = addr_word_port(at);
	bool dgram = at & ADDR_WORD_DGRAM;
	int err = 0;

	if (!w)
		return 0;
	w->now_ns = clock_now_ns();
	for (unsigned i = 0; i < WIRE_LISTENERS; i++)
		w->listeners[i].wanted = false;
	for (uint32_t i = 0; i < count && i < LISTEN_PER_PORT; i++) {
		struct wire_listener *l;

		if (!listener_outside(w, load_relaxed(&r->at[i]) & ~ADDR_WORD_DGRAM, &addr))
			continue;
		l = listener_find(w, addr, port, dgram);
		if (l)
			l->wanted = true;
	}
	for (unsigned i = 0; i < WIRE_LISTENERS; i++) {
		struct wire_listener *l = &w->listeners[i];

		if (!l->used || l->port != port || l->dgram != dgram || l->wanted)
			continue;
		engine_close(&w->e, w->now_ns, l->sock);
		l->used = false;
	}
	for (uint32_t i = 0; i < count && i < LISTEN_PER_PORT; i++)
		if (listener_outside(w, load_relaxed(&r->at[i]) & ~ADDR_WORD_DGRAM, &addr) &&
		    !listener_find(w, addr, port, dgram) && err == 0)
			err = listener_open(w, addr, port, dgram);
	return err;
}

/* --------------------------------------------------------------- the loop */

static void engine_events(struct wire *w)
{
	struct engine_event ev;

	while (engine_event(&w->e, &ev)) {
		uint32_t i = (uint32_t)ev.cookie;

		switch ((enum wire_kind)(ev.cookie >> 32)) {
		case WIRE_KIND_CONN:
			wire_conn_event(w, i, ev.events);
			break;
		case WIRE_KIND_LISTENER:
			if (w->listeners[i].used && w->listeners[i].dgram)
				wire_dgram_in(w, &w->listeners[i]);
			else if (w->listeners[i].used)
				wire_accept(w, &w->listeners[i]);
			break;
		case WIRE_KIND_PING:
			ping_event(w, &w->pings[i]);
			break;
		}
	}
}

void wire_event(struct daemon *d, enum watch what)
{
	if (d->wire && what == WATCH_WIRE_BELL)
		inner_drain(&d->wire->in);
	else if (d->wire)
		d->wire->readable = true;
}

/* Something that no wake-up will say. */
static bool has_work(const struct wire *w)
{
	return w->active_first || w->readable || w->more_out || w->dgram_ready;
}

static void turn(struct wire *w)
{
	w->now_ns = clock_now_ns();
	if (w->readable)
		wire_frames_in(w);
	hint_take(w->in.p->mbox, wire_conn_hint, w);
	if (w->dgram_ready)
		w->dgram_ready = wire_dgram_out(w);
	if (w->gate_ready)
		wire_gate(w);
	wire_waiting(w);
	engine_time(&w->e, w->now_ns);
	pings_late(w);
	engine_events(w);
	wire_serve(w);
	w->more_out = wire_frames_out(w);
	/* What went has made room, and who waits for it goes on at once. */
	engine_events(w);
	wire_capture_flush(w);
}

int wire_prepare(struct daemon *d)
{
	struct wire *w = d->wire;
	uint64_t until, now;

	if (!w)
		return -1;
	/* Several without a look at the daemon's other descriptors, which is a system call; the
	 * device's is read by the way. */
	for (uint64_t first = w->now_ns; has_work(w) || wire_spin(w);) {
		if (w->now_ns - first > TURNS_NS)
			return 0;
		w->readable |= has_work(w) && !w->down_said;
		turn(w);
	}
	/* Another look, behind what asks to be woken. */
	if (!inner_prepare(&w->in) || has_work(w))
		return 0;
	until = engine_deadline(&w->e);
	if (w->waiting_first && w->waiting_due_ns < until)
		until = w->waiting_due_ns;
	for (unsigned i = 0; i < WIRE_PINGS; i++)
		if (w->pings[i].client && w->pings[i].until_ns < until)
			until = w->pings[i].until_ns;
	now = clock_now_ns();
	if (until <= now)
		return 0;
	w->gate_ready = true;
	until = (until - now) / NS_PER_MS + 1;
	return until < SLEEP_MOST_MS ? (int)until : (int)SLEEP_MOST_MS;
}

void wire_woken(struct daemon *d)
{
	if (!d->wire)
		return;
	inner_woken(&d->wire->in);
	turn(d->wire);
}

void wire_tick(struct daemon *d)
{
	if (d->wire)
		party_peers_sweep(d->wire->in.p);
	if (d->wire)
		wire_dgram_sweep(d->wire);
}

bool wire_is_party(const struct daemon *d, unsigned id)
{
	return d->wire && d->wire->in.id == id;
}

void wire_leave(struct daemon *d)
{
	struct wire *w = d->wire;

	if (!w)
		return;
	w->now_ns = clock_now_ns();
	wire_reset_all(w);
	wire_frames_out(w);
}

/* ------------------------------------------------------------------ start */

static int gate_open(struct wire *w)
{
	int slot = party_slot_alloc(w->in.p), r;
	unsigned dgrams;
	half_ref dgram;
	struct listener_ref ref = {.party_gen = daemon_rec(w->in.d, w->in.id)->gen};

	if (slot < 0)
		return slot;
	w->gate = arena_half(w->in.p->base, (unsigned)slot);
	w->gate_slot = (unsigned)slot;
	w->gate_ready = true;
	store_relaxed(&w->gate->local, ADDR_WORD_GATE);
	half_set_state(w->gate, HALF_BOUND);
	atomic_fetch_or(&w->gate->want, WANT_HINT_DATA);
	r = seat_open(w->in.p, w->gate, GATE_BACKLOG);
	if (r < 0)
		return r;
	ref.half = half_ref_of(w->in.p, w->gate);
	dgram = wire_dgram_open(w, &dgrams);
	if (!dgram)
		return -ENOSPC;
	store_relaxed(&w->in.d->reg->packets, w->in.d->t->net.packets);
	registry_gate_set(w->in.d->reg, &ref, dgram, dgrams);
	return 0;
}

static int engine_start(struct wire *w, const struct net_config *n)
{
	struct engine_config c = {
		.mtu = (uint16_t)n->mtu,
		.addresses = n->addresses,
		.gateway = n->gateway,
		.loopback = n->packets,
		.tcps = TCPS,
		.segs = 8 * TCPS,
		.syns = 4096,
		.pkts = 8192,
		.cells = 32768,
		.neighs = 4096,
		.ooos = 4096,
		.ring_bytes = RING_BYTES,
		.unsent_max = UNSENT_MAX,
		.offload = n->offload ? ENGINE_OFFLOAD_SUM | ENGINE_OFFLOAD_TSO : 0,
	};
	uint8_t key[16];
	size_t bytes;
	void *mem;

	memcpy(c.mac, n->mac, sizeof(c.mac));
	for (uint32_t i = 0; i < n->addresses; i++)
		c.address[i] = (struct engine_address){n->address[i].addr, n->address[i].prefix};
	bytes = engine_bytes(&c);
	if (bytes == 0)
		return -EINVAL;
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -EIO;
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (mem == MAP_FAILED)
		return -errno;
	return engine_init(&w->e, mem, bytes, &c, key, w->now_ns);
}

static void own_addresses(struct registry *r, const struct net_config *n)
{
	for (uint32_t i = 0; i < n->addresses; i++) {
		uint8_t in6[16];

		addr_in6_map(n->address[i].addr, in6);
		registry_addr_set(r, in6, 0, true);
	}
}

int wire_start(struct daemon *d)
{
	const struct net_config *n = &d->t->net;
	struct wire *w;
	int err;

	own_addresses(d->reg, n);
	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	err = w == MAP_FAILED ? -errno : inner_open(&w->in, d);
	if (err == 0) {
		w->tap = d->k->tap_fd;
		w->now_ns = clock_now_ns();
		w->readable = true;
		wire_conns_init(w);
		wire_spin_init(w);
		wire_capture_open(w, d->k->pcap_fd);
		err = engine_start(w, n);
	}
	if (err == 0)
		err = gate_open(w);
	if (err < 0) {
		log_line("no network on %s: %s", n->tap, strerror(-err));
		return err;
	}
	d->wire = w;
	daemon_watch(d, w->in.bell, WATCH_WIRE_BELL, 0, EPOLLIN);
	daemon_watch(d, w->tap, WATCH_TAP, 0, EPOLLIN);
	/* Those that were there before this daemon was. */
	for (unsigned port = 0; port < PORT_WORDS; port++)
		if ((uint32_t)load_relaxed(&d->reg->ports[port]))
			wire_listeners(d, (port & 0xffff) | (port >> 16 ? ADDR_WORD_DGRAM : 0));
	log_line("network: %s, MTU %u, party %u", n->tap, n->mtu, w->in.id);
	return 0;
}
