/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service.c - Echo and discard on 127.0.0.1, ports 7 and 9, by the daemon
 * itself (--test-services). They show that a peer half may belong to the
 * daemon.
 *
 * The service is a party like any other, with a number, an arena and a
 * mailbox of its own, but for a control connection. So what it leaves when a
 * daemon dies is an estate like any other: the next daemon executes it, and
 * starts a new service. One turn of the daemon's loop serves each connection
 * for a bounded time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/daemon.h"
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
	struct daemon *d;
	struct party *p;
	unsigned id;
	int bell;
	bool awake; /* something is active: do not sleep */
	struct half *listeners[LISTENERS];
	uint64_t cursors[LISTENERS];
	struct service_conn conns[SERVICE_CONNS];
	uint16_t by_slot[SLOT_MAX]; /* connection + 1 */
};

/* ------------------------------------------------------------- its peers */

static int service_introduce(void *arg, unsigned id, uint32_t gen, struct peer *ret)
{
	struct service *s = arg;
	struct daemon *d = s->d;

	if (id == 0 || !clients_lookup(d, id, gen))
		return -ESRCH;
	d->t->knows[s->id][id / 64] |= 1ull << (id % 64);
	ret->base = arena_map(keeper_fd(d->k, id, KEPT_ARENA), ARENA_BYTES, false);
	if (!ret->base)
		return -errno;
	ret->mbox = arena_map(keeper_fd(d->k, id, KEPT_MBOX), MAILBOX_BYTES, true);
	if (!ret->mbox) {
		arena_unmap(ret->base, ARENA_BYTES);
		ret->base = NULL;
		return -ENOMEM;
	}
	ret->pid = daemon_rec(d, id)->pid;
	store_relaxed(&ret->bell_fd[0],
		      fcntl(keeper_fd(d->k, id, KEPT_BELL0), F_DUPFD_CLOEXEC, 0));
	return 0;
}

static int service_fetch_bell(void *arg, const struct peer *p, unsigned bell)
{
	struct service *s = arg;
	int fd = keeper_fd(s->d->k, p->id, KEPT_BELL0 + bell);

	if (fd < 0 || daemon_rec(s->d, p->id)->gen != p->gen)
		return -ESRCH;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static void service_let_go(void *arg, unsigned id, uint32_t gen)
{
	struct service *s = arg;

	if (daemon_rec(s->d, id)->gen != gen)
		return;
	s->d->t->knows[s->id][id / 64] &= ~(1ull << (id % 64));
	s->d->estates_dirty = true;
}

static const struct party_ops service_ops = {
	.introduce = service_introduce,
	.fetch_bell = service_fetch_bell,
	.let_go = service_let_go,
};

/* ----------------------------------------------------------- connections */

static void conn_end(struct service *s, unsigned i, bool rst)
{
	struct service_conn *c = &s->conns[i];
	struct half *own = c->conn.own;
	unsigned slot = arena_slot(s->p->base, own);

	half_end(s->p, own, c->conn.peer, c->conn.owner, rst);
	store_release(&arena_handles(s->p->base)[i], 0);
	half_release(own);
	conn_detach(&c->conn);
	s->by_slot[slot] = 0;
	party_slot_retire(s->p, slot);
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
		if (seat_take(s->p, s->listeners[which], &s->cursors[which], i, &c->conn) < 0)
			return;
		c->used = true;
		c->active = true;
		s->awake = true;
		c->echo = service_ports[which] == 7;
		s->by_slot[arena_slot(s->p->base, c->conn.own)] = (uint16_t)(i + 1);
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
	hint_take(s->p->mbox, service_hint, s);
	s->awake = false;
	for (unsigned i = 0; i < SERVICE_CONNS; i++)
		if (s->conns[i].used && s->conns[i].active)
			conn_serve(s, i);
	/* Cheap, and it also finds a claim whose hint was lost. */
	for (unsigned i = 0; i < LISTENERS; i++)
		if (s->listeners[i] && seat_waiting(s->p, s->listeners[i], &s->cursors[i]))
			service_accept(s, i);
}

/* -------------------------------------------------------------- the loop */

void service_event(struct daemon *d)
{
	uint64_t n;

	if (d->service && read(d->service->bell, &n, sizeof(n)) < 0)
		return;
}

void service_tick(struct daemon *d)
{
	if (d->service)
		party_peers_sweep(d->service->p);
}

bool service_prepare(struct daemon *d)
{
	struct service *s = d->service;

	if (!s)
		return true;
	store_relaxed(&arena_hdr(s->p->base)->bells[0].sleepers, 1);
	/* Whoever sets a hint after this look sees the sleeper, and rings. */
	atomic_thread_fence(memory_order_seq_cst);
	return !s->awake && !hint_any(s->p->mbox);
}

void service_woken(struct daemon *d)
{
	struct service *s = d->service;

	if (!s)
		return;
	store_relaxed(&arena_hdr(s->p->base)->bells[0].sleepers, 0);
	service_turn(s);
}

/* ----------------------------------------------------------------- start */

static void service_listen(struct service *s, unsigned which)
{
	struct ctl_msg m = { .listen = { .at = addr_word_make(SERVICE_ADDR, service_ports[which]) } };
	int slot = party_slot_alloc(s->p), r = -ENOSPC;
	struct half *l;

	if (slot >= 0) {
		l = arena_half(s->p->base, (unsigned)slot);
		store_relaxed(&l->local, m.listen.at);
		half_set_state(l, HALF_BOUND);
		atomic_fetch_or(&l->want, WANT_HINT_DATA);
		r = seat_open(s->p, l, SERVICE_BACKLOG);
		if (r == 0) {
			m.listen.slot = (uint32_t)slot;
			m.listen.gen = half_gen(l);
			s->listeners[which] = l;
			r = -ports_listen(s->d, s->id, &m);
		}
	}
	if (r < 0)
		log_line("test service on port %u: %s", service_ports[which], strerror(-r));
}

void service_start(struct daemon *d)
{
	struct service *s = calloc(1, sizeof(*s));
	int arena = -1, mbox = -1;
	struct rec *r;

	if (!s)
		return;
	s->d = d;
	s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->p = s->bell < 0 ? NULL : party_create("mortised", &arena, &mbox);
	s->id = s->p ? clients_take_record(d) : 0;
	if (s->id == 0)
		goto fail;
	r = daemon_rec(d, s->id);
	r->pid = (uint32_t)getpid();
	r->uid = (uint32_t)geteuid();
	r->service = 1;
	memcpy(r->comm, "mortised", sizeof("mortised"));
	clients_keep(d, s->id, KEPT_ARENA, arena);
	clients_keep(d, s->id, KEPT_MBOX, mbox);
	clients_keep(d, s->id, KEPT_BELL0, s->bell);
	if (clients_admit(d, s->id) < 0) {
		clients_drop(d, s->id, (1u << KEPT_COUNT) - 1);
		arena = mbox = s->bell = -1;
		goto fail;
	}
	party_admit(s->p, s->id, r->gen, d->reg, &service_ops, s);
	daemon_watch(d, s->bell, WATCH_BELL, 0, EPOLLIN);
	d->service = s;
	for (unsigned i = 0; i < LISTENERS; i++)
		service_listen(s, i);
	log_line("test services: echo on port 7, discard on port 9, party %u", s->id);
	return;
fail:
	log_line("test services cannot start");
	if (s->p)
		party_destroy(s->p);
	if (arena >= 0)
		close(arena);
	if (mbox >= 0)
		close(mbox);
	if (s->bell >= 0)
		close(s->bell);
	free(s);
}
