/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service.c - Echo and discard on 127.0.0.1, ports 7 and 9, by the daemon
 * itself (--test-services). They show that a peer half may belong to the
 * daemon.
 *
 * The service is a party (inner.h). One turn of the daemon's loop serves each
 * connection for a bounded time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/inner.h"
#include "daemon/log.h"
#include "shm/conn.h"
#include "shm/hint.h"
#include "shm/seat.h"

#define SERVICE_ADDR 0x7f000001u
#define SERVICE_BACKLOG 128u
#define SERVICE_CONNS 1024u
#define SERVICE_ROUNDS 16 /* buffers moved for one connection in one turn */
#define SERVICE_BUFFER 16384u
#define LISTENERS 2u

static const uint16_t service_ports[LISTENERS] = { 7, 9 };

/** struct service_conn - @len bytes at @buf + @off wait to be sent. */
struct service_conn {
	struct conn conn;
	bool used, active, echo;
	size_t off, len;
	unsigned char *buf;
};

struct service {
	struct inner in;
	bool awake; /* something is active: do not sleep */
	struct half *listeners[LISTENERS];
	uint64_t cursors[LISTENERS];
	struct service_conn conns[SERVICE_CONNS];
	uint16_t by_slot[SLOT_MAX]; /* connection + 1 */
};

/* ----------------------------------------------------------- connections */

static void conn_end(struct service *s, unsigned i, bool rst)
{
	struct service_conn *c = &s->conns[i];
	struct half *own = c->conn.own;
	unsigned slot = arena_slot(s->in.p->base, own);

	half_end(s->in.p, own, c->conn.peer, c->conn.owner, rst);
	store_release(&arena_handles(s->in.p->base)[i], 0);
	half_release(own);
	conn_detach(&c->conn);
	s->by_slot[slot] = 0;
	party_slot_retire(s->in.p, slot);
	free(c->buf);
	memset(c, 0, sizeof(*c));
}

/* Move one buffer. Return: 1, or 0 where there is nothing to do now, or
 * -errno: it ended. */
static int conn_step(struct service_conn *c)
{
	ssize_t n;

	if (c->len == 0) {
		n = conn_recv(&c->conn, c->buf, SERVICE_BUFFER, 0, 0);
		if (n == -EAGAIN)
			return 0; /* NOTIFY_DATA stays wanted all the time. */
		if (n <= 0)
			return n == 0 ? -EPIPE : (int)n;
		c->off = 0;
		c->len = c->echo ? (size_t)n : 0;
		return 1;
	}
	n = conn_send(&c->conn, c->buf + c->off, c->len);
	if (n == -EAGAIN) {
		conn_want_hint(&c->conn, NOTIFY_SPACE);
		n = conn_send(&c->conn, c->buf + c->off, c->len);
		if (n == -EAGAIN)
			return 0;
		conn_unwant_hint(&c->conn, NOTIFY_SPACE, 0);
	}
	if (n < 0)
		return (int)n;
	c->off += (size_t)n;
	c->len -= (size_t)n;
	return 1;
}

static void conn_serve(struct service *s, unsigned i)
{
	struct service_conn *c = &s->conns[i];
	int r = 1;

	for (int round = 0; r > 0 && round < SERVICE_ROUNDS; round++)
		r = conn_step(c);
	c->active = r > 0;
	s->awake |= c->active;
	if (r == 0)
		conn_trim(&c->conn);
	if (r < 0)
		conn_end(s, i, c->len > 0);
}

static void service_accept(struct service *s, unsigned which)
{
	for (unsigned i = 0; i < SERVICE_CONNS; i++) {
		struct service_conn *c = &s->conns[i];

		if (c->used)
			continue;
		if (seat_take(s->in.p, s->listeners[which], &s->cursors[which], i, &c->conn) < 0)
			return;
		c->used = true;
		c->active = true;
		s->awake = true;
		c->echo = service_ports[which] == 7;
		s->by_slot[arena_slot(s->in.p->base, c->conn.own)] = (uint16_t)(i + 1);
		c->buf = malloc(SERVICE_BUFFER);
		if (!c->buf) {
			conn_end(s, i, true);
			return;
		}
		conn_want_hint(&c->conn, NOTIFY_DATA);
	}
}

static void service_hint(void *arg, unsigned slot)
{
	struct service *s = arg;

	if (slot >= SLOT_MAX)
		return;
	if (s->by_slot[slot])
		s->conns[s->by_slot[slot] - 1].active = true;
}

static void service_turn(struct service *s)
{
	hint_take(s->in.p->mbox, service_hint, s);
	s->awake = false;
	for (unsigned i = 0; i < SERVICE_CONNS; i++)
		if (s->conns[i].used && s->conns[i].active)
			conn_serve(s, i);
	/* Cheap, and it also finds a claim whose hint was lost. */
	for (unsigned i = 0; i < LISTENERS; i++)
		if (s->listeners[i] && seat_waiting(s->in.p, s->listeners[i], &s->cursors[i]))
			service_accept(s, i);
}

/* -------------------------------------------------------------- the loop */

void service_event(struct daemon *d)
{
	if (d->service)
		inner_drain(&d->service->in);
}

void service_tick(struct daemon *d)
{
	if (d->service)
		party_peers_sweep(d->service->in.p);
}

bool service_prepare(struct daemon *d)
{
	struct service *s = d->service;

	return !s || (inner_prepare(&s->in) && !s->awake);
}

void service_woken(struct daemon *d)
{
	struct service *s = d->service;

	if (!s)
		return;
	inner_woken(&s->in);
	service_turn(s);
}

/* ----------------------------------------------------------------- start */

static void service_listen(struct service *s, unsigned which)
{
	struct ctl_msg m = { .listen = { .at = addr_word_make(SERVICE_ADDR, service_ports[which]) } };
	int slot = party_slot_alloc(s->in.p), r = -ENOSPC;
	struct half *l;

	if (slot >= 0) {
		l = arena_half(s->in.p->base, (unsigned)slot);
		store_relaxed(&l->local, m.listen.at);
		half_set_state(l, HALF_BOUND);
		atomic_fetch_or(&l->want, WANT_HINT_DATA);
		r = seat_open(s->in.p, l, SERVICE_BACKLOG);
		if (r == 0) {
			m.listen.slot = (uint32_t)slot;
			m.listen.gen = half_gen(l);
			s->listeners[which] = l;
			r = -ports_listen(s->in.d, s->in.id, &m);
		}
	}
	if (r < 0)
		log_line("test service on port %u: %s", service_ports[which], strerror(-r));
}

void service_start(struct daemon *d)
{
	struct service *s = calloc(1, sizeof(*s));
	int err = s ? inner_open(&s->in, d) : -ENOMEM;

	if (err < 0) {
		log_line("test services cannot start: %s", strerror(-err));
		free(s);
		return;
	}
	daemon_watch(d, s->in.bell, WATCH_BELL, 0, EPOLLIN);
	d->service = s;
	for (unsigned i = 0; i < LISTENERS; i++)
		service_listen(s, i);
	log_line("test services: echo on port 7, discard on port 9, party %u", s->in.id);
}
