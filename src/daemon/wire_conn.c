/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_conn.c - The daemon's half of a program's connection to the network.
 *
 * Theory of operation. To the program it is a connection through memory like
 * any other, whose other half belongs to the daemon. Bytes go between its rings
 * and frames, by the engine's buffers where they have to wait; ends are passed on:
 *
 *   the program               the network              what is done
 *   FIN (shutdown)                                     the engine sends FIN
 *   closed: FIN                                        the engine's socket is given back: it sends
 *                                                      what there is, and FIN; what comes later is
 *                                                      answered by RST
 *   RST (closed with unread bytes, SO_LINGER 0)        RST
 *                             FIN                      FIN, behind the last byte
 *                             RST, errors, no answer   RST, with the errno in end_error
 *   FIN                       FIN                      both sockets are given back
 *
 * A connection that a program begins comes as a claim on a seat of the gate, a
 * listener of the daemon's: the seat's half is the connection's, and END_UP in
 * it says that the network's peer has answered. One that the network begins
 * claims a seat of the program's listener, as any connector's does.
 *
 * Should the daemon die, the halves' executor resets them: SIDE_LINGER0.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/log.h"
#include "daemon/wire_conn.h"
#include "shm/addr.h"
#include "shm/seat.h"

#define ROUNDS 8		/* pieces moved one way for one connection in one turn */
#define PIECE_BYTES 65536u	/* of one of them */
#define KEPT_LEAST 4096u	/* less is rather copied than waited for */
#define SERVE_MOST 256u		/* connections in one turn */
#define WAIT_NS (5 * NS_PER_MS) /* until a full queue is tried again */

/* half.options: docs/abi.md 3. */
#define OPT_KEEPALIVE 0x1u
#define OPT_NODELAY 0x20u
#define OPT_CORK 0x40u
#define OPT_QUICKACK_OFF 0x80u

static uint32_t index_of_conn(const struct wire *w, const struct wire_conn *c)
{
	return (uint32_t)(c - w->conns);
}

void wire_conns_init(struct wire *w)
{
	for (uint32_t i = WIRE_CONNS; i-- > 0;) {
		w->conns[i].next = w->free_first;
		w->free_first = i + 1;
	}
}

static struct wire_conn *conn_new(struct wire *w)
{
	struct wire_conn *c;

	if (!w->free_first)
		return NULL;
	c = &w->conns[w->free_first - 1];
	w->free_first = c->next;
	*c = (struct wire_conn){0};
	return c;
}

/* One that is in no list but perhaps the active one, which drops what is free. */
static void conn_free(struct wire *w, struct wire_conn *c)
{
	c->state = WIRE_FREE;
	if (c->active)
		return;
	c->next = w->free_first;
	w->free_first = index_of_conn(w, c) + 1;
}

static void conn_activate(struct wire *w, struct wire_conn *c)
{
	uint32_t me = index_of_conn(w, c) + 1;

	if (c->active || c->state == WIRE_WAITING || c->state == WIRE_FREE)
		return;
	c->active = true;
	c->next = 0;
	if (w->active_last)
		w->conns[w->active_last - 1].next = me;
	else
		w->active_first = me;
	w->active_last = me;
}

void wire_conn_hint(void *wire, unsigned slot)
{
	struct wire *w = wire;

	if (slot - w->dgram_slot < w->dgrams)
		w->dgram_ready = true;
	else if (slot == w->gate_slot)
		w->gate_ready = true;
	else if (slot < SLOT_MAX && w->by_slot[slot])
		conn_activate(w, &w->conns[w->by_slot[slot] - 1]);
}

/* ------------------------------------------------------------------- ends */

/* The half ends, with FIN or RST; the engine's socket has been given back. */
static void half_over(struct wire *w, struct wire_conn *c, bool rst)
{
	struct half *own = c->conn.own;
	unsigned slot = arena_slot(w->in.p->base, own);

	conn_finish(&c->conn, rst);
	store_release(&arena_handles(w->in.p->base)[index_of_conn(w, c)], 0);
	half_release(own);
	conn_detach(&c->conn);
	w->by_slot[slot] = 0;
	party_slot_retire(w->in.p, slot);
	conn_free(w, c);
}

/* The network has ended it: @err is what the program hears. */
static void conn_fail(struct wire *w, struct wire_conn *c, int err)
{
	engine_close(&w->e, w->now_ns, c->sock);
	store_relaxed(&c->conn.own->end_error, (uint32_t)err);
	half_over(w, c, true);
}

/* The program has. */
static void conn_abort(struct wire *w, struct wire_conn *c)
{
	engine_abort(&w->e, w->now_ns, c->sock);
	half_over(w, c, true);
}

static bool program_closed(const struct wire_conn *c)
{
	return half_gen(c->conn.peer) != half_ref_gen(c->conn.peer_ref) ||
	       half_state(c->conn.peer) >= HALF_CLOSED;
}

/* ---------------------------------------------------------------- options */

/* What the program set, where the engine knows it. */
static void options_apply(struct wire *w, struct wire_conn *c)
{
	uint64_t o = load_relaxed(&c->conn.peer->options);
	uint32_t timeout = load_relaxed(&c->conn.peer->user_timeout_ms);
	const struct {
		enum engine_option option;
		uint32_t value;
	} all[] = {
		{ENGINE_SO_KEEPALIVE, !!(o & OPT_KEEPALIVE)},
		{ENGINE_TCP_NODELAY, !!(o & OPT_NODELAY)},
		{ENGINE_TCP_CORK, !!(o & OPT_CORK)},
		{ENGINE_TCP_QUICKACK, !(o & OPT_QUICKACK_OFF)},
		{ENGINE_TCP_KEEPIDLE, (uint32_t)(o >> 8) & 0x7fff},
		{ENGINE_TCP_KEEPINTVL, (uint32_t)(o >> 23) & 0x7fff},
		{ENGINE_TCP_KEEPCNT, (uint32_t)(o >> 38) & 0x7f},
		{ENGINE_TCP_USER_TIMEOUT, timeout},
	};

	if (likely(o == c->options && timeout == c->user_timeout_ms))
		return;
	c->options = o;
	c->user_timeout_ms = timeout;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		/* 0: the default, which the engine has. */
		if (all[i].option >= ENGINE_TCP_KEEPIDLE && all[i].option <= ENGINE_TCP_KEEPCNT &&
		    all[i].value == 0)
			continue;
		/* Quick ACKs are the engine's choice, as Linux's, until they are turned off. */
		if (all[i].option == ENGINE_TCP_QUICKACK)
			continue;
		engine_set(&w->e, w->now_ns, c->sock, all[i].option, all[i].value);
	}
}

/* ------------------------------------------------------------------ bytes */

/* What the network has acknowledged is not needed any more. */
static void kept_release(struct wire *w, struct wire_conn *c)
{
	uint32_t kept = (uint32_t)engine_kept(&w->e, c->sock);

	if (kept == c->kept)
		return;
	conn_recv_end(&c->conn, c->kept - kept);
	c->kept = kept;
}

/* The engine gets a copy of what is more than @most. Return: whether it took all of that. */
static bool kept_copy(struct wire *w, struct wire_conn *c, uint32_t most)
{
	while (c->kept > most) {
		const unsigned char *at = NULL;
		ssize_t n = conn_recv_begin(&c->conn, 0, &at);
		int64_t taken;

		if (n > c->kept - most)
			n = c->kept - most;
		taken = n > 0 ? engine_keep(&w->e, c->sock, at, (size_t)n) : n;
		if (taken <= 0)
			return false;
		c->kept -= (uint32_t)taken;
		conn_recv_end(&c->conn, (size_t)taken);
	}
	return true;
}

/* All that the program has room for is on its way, and would have to come back before it goes on:
 * more would fit into the network. */
static void kept_limit(struct wire *w, struct wire_conn *c)
{
	uint32_t most = (uint32_t)conn_recv_room(&c->conn) / 2;
	struct engine_info info;

	if (c->kept > most && engine_info(&w->e, c->sock, &info) == 0 && info.unsent == 0)
		(void)kept_copy(w, c, most / 2);
}

/* Who has a limit on what he writes is not to be held by what is in flight. */
static bool writes_little(const struct wire_conn *c)
{
	return load_relaxed(&c->conn.peer->notsent_lowat) || load_relaxed(&c->conn.peer->sndbuf);
}

/* @n octets at @at, behind those that are kept. Return: as engine_send(). */
static int64_t send_piece(struct wire *w, struct wire_conn *c, const unsigned char *at, size_t n)
{
	int64_t sent;

	if (c->kept || (n >= KEPT_LEAST && !writes_little(c))) {
		sent = engine_send_kept(&w->e, w->now_ns, c->sock, n);
		if (sent > 0)
			c->kept += (uint32_t)sent;
		if (sent != -EOPNOTSUPP)
			return sent;
		if (!kept_copy(w, c, 0))
			return -EAGAIN;
	}
	sent = engine_send(&w->e, w->now_ns, c->sock, at, n);
	if (sent > 0)
		conn_recv_end(&c->conn, (size_t)sent);
	return sent;
}

void wire_conn_unkeep(struct wire *w, unsigned slot)
{
	if (w->by_slot[slot])
		(void)kept_copy(w, &w->conns[w->by_slot[slot] - 1], 0);
}

unsigned wire_conn_kept(struct wire *w, uint32_t index, uint32_t skip, uint32_t bytes,
			struct iovec *ret, unsigned most)
{
	struct wire_conn *c = &w->conns[index];
	unsigned pieces = 0;

	if (c->state != WIRE_OPEN || skip > c->kept || bytes > c->kept - skip)
		return 0;
	for (; bytes; pieces++) {
		const unsigned char *at = NULL;
		ssize_t n = pieces < most ? conn_recv_begin(&c->conn, skip, &at) : 0;

		if (n <= 0) {
			conn_activate(w, c);
			return 0;
		}
		if (n > bytes)
			n = bytes;
		ret[pieces] = (struct iovec){(void *)(uintptr_t)at, (size_t)n};
		skip += (uint32_t)n;
		bytes -= (uint32_t)n;
	}
	return pieces;
}

/* From the program to the network. Return: whether more may follow at once; -1: it ended. */
static int pump_out(struct wire *w, struct wire_conn *c)
{
	kept_release(w, c);
	kept_limit(w, c);
	for (int round = 0; round < ROUNDS; round++) {
		const unsigned char *at = NULL;
		ssize_t n = c->out_end ? -EAGAIN : conn_recv_begin(&c->conn, c->kept, &at);
		int64_t sent;

		if (n == -EAGAIN)
			return 0;
		if (n == 0) {
			c->out_end = true;
			engine_shutdown(&w->e, w->now_ns, c->sock, ENGINE_SHUT_WR);
			return 0;
		}
		if (n < 0) {
			conn_abort(w, c);
			return -1;
		}
		if (n > PIECE_BYTES)
			n = PIECE_BYTES;
		sent = send_piece(w, c, at, (size_t)n);
		/* ENGINE_WRITABLE follows. */
		if (sent == -EAGAIN)
			return 0;
		if (sent < 0) {
			conn_fail(w, c, (int)-sent);
			return -1;
		}
	}
	return 1;
}

/* Room in the ring towards the program, or an error as of conn_send(). */
static ssize_t ring_room(struct wire_conn *c, struct iovec ret[2])
{
	ssize_t n = conn_send_begin(&c->conn, PIECE_BYTES, ret);

	if (n != -EAGAIN) {
		if (c->want_space)
			conn_unwant_hint(&c->conn, NOTIFY_SPACE, 0);
		c->want_space = false;
		return n;
	}
	/* The wish, then another look. */
	conn_want_hint(&c->conn, NOTIFY_SPACE);
	c->want_space = true;
	return conn_send_begin(&c->conn, PIECE_BYTES, ret);
}

/* From the network to the program. Likewise. */
static int pump_in(struct wire *w, struct wire_conn *c)
{
	for (int round = 0; c->in_ready && round < ROUNDS; round++) {
		struct iovec at[2];
		ssize_t room = ring_room(c, at);
		int64_t n;

		if (room == -EAGAIN || room == -ENOBUFS)
			return 0;
		if (room < 0) {
			conn_abort(w, c);
			return -1;
		}
		n = engine_recv(&w->e, w->now_ns, c->sock, at[0].iov_base, at[0].iov_len);
		if (n > 0) {
			conn_send_end(&c->conn, (size_t)n);
			continue;
		}
		c->in_ready = false;
		if (n == 0) {
			c->in_end = true;
			conn_shutdown_write(&c->conn);
		} else if (n != -EAGAIN) {
			conn_fail(w, c, (int)-n);
			return -1;
		}
	}
	return c->in_ready;
}

/* Each spins only where it does not keep the other from running. */
static void where(struct wire *w, struct wire_conn *c)
{
	uint32_t cpu = spin_cpu();

	if (load_relaxed(&c->conn.own->cpu) != cpu)
		store_relaxed(&c->conn.own->cpu, cpu);
	w->program_cpu = load_relaxed(&c->conn.peer->cpu);
}

bool wire_conn_deliver(struct wire *w, uint32_t index)
{
	struct wire_conn *c = &w->conns[index];

	if (c->state != WIRE_OPEN || c->in_end || program_closed(c))
		return true;
	conn_follow(&c->conn);
	where(w, c);
	c->in_ready = true;
	return pump_in(w, c) != 0 || !c->in_ready;
}

size_t wire_conn_place(struct wire *w, uint32_t index, struct iovec ret[2])
{
	struct wire_conn *c = &w->conns[index];
	size_t headers;

	/* Behind what waits for room there is none. */
	if (c->state != WIRE_OPEN || c->in_end || c->in_ready || program_closed(c))
		return 0;
	headers = engine_place(&w->e, c->sock);
	conn_follow(&c->conn);
	return headers && conn_send_begin(&c->conn, PIECE_BYTES, ret) > 0 ? headers : 0;
}

bool wire_conn_placed(struct wire *w, uint32_t index, size_t bytes, bool more)
{
	struct wire_conn *c = &w->conns[index];

	where(w, c);
	conn_send_end(&c->conn, bytes);
	if (!more)
		return true;
	c->in_ready = true;
	return pump_in(w, c) != 0 || !c->in_ready;
}

/* Is somebody told, or may yet be, when our FIN has been acknowledged? It has not. */
static bool fin_awaited(struct wire *w, const struct wire_conn *c)
{
	struct engine_info info;

	if (program_closed(c) && (half_gen(c->conn.peer) != half_ref_gen(c->conn.peer_ref) ||
				  !load_relaxed(&c->conn.peer->closer)))
		return false;
	return engine_info(&w->e, c->sock, &info) == 0 &&
	       (info.state == ENGINE_FIN_WAIT_1 || info.state == ENGINE_CLOSING ||
		info.state == ENGINE_LAST_ACK);
}

/* Return: whether it has more to do at once. */
static bool conn_serve(struct wire *w, struct wire_conn *c)
{
	int out, in;

	/* Another process than the listener's owner may have accepted it. */
	conn_follow(&c->conn);
	if (c->state != WIRE_OPEN && !program_closed(c))
		return false;
	if (unlikely(load_acquire(&c->conn.peer->end) & END_RST)) {
		conn_abort(w, c);
		return false;
	}
	/* It was closed before the network had answered. */
	if (c->state == WIRE_CONNECTING) {
		conn_abort(w, c);
		return false;
	}
	where(w, c);
	options_apply(w, c);
	out = pump_out(w, c);
	in = out < 0 || c->in_end ? 0 : pump_in(w, c);
	if (out < 0 || in < 0)
		return false;
	/* What is kept in the program's memory is not once its half is over. */
	if (c->out_end && (c->in_end || program_closed(c)) && !fin_awaited(w, c) &&
	    kept_copy(w, c, 0)) {
		engine_close(&w->e, w->now_ns, c->sock);
		half_over(w, c, false);
		return false;
	}
	return out || (in && !c->want_space);
}

void wire_serve(struct wire *w)
{
	uint32_t last = w->active_last;

	for (unsigned n = 0; w->active_first && n < SERVE_MOST; n++) {
		struct wire_conn *c = &w->conns[w->active_first - 1];
		bool was_last = w->active_first == last;

		w->active_first = c->next;
		if (!w->active_first)
			w->active_last = 0;
		c->active = false;
		if (c->state == WIRE_FREE)
			conn_free(w, c);
		else if (conn_serve(w, c))
			conn_activate(w, c);
		if (was_last)
			break;
	}
}

/* ------------------------------------------------------------- the gate */

/* Its half is as a connection of the daemon's is. */
static void conn_begin(struct wire *w, struct wire_conn *c)
{
	struct half *own = c->conn.own;

	w->by_slot[arena_slot(w->in.p->base, own)] = (uint16_t)(index_of_conn(w, c) + 1);
	/* Whoever has to end it in our place resets it. */
	atomic_fetch_or(&own->side, SIDE_LINGER0);
	conn_want_hint(&c->conn, NOTIFY_DATA);
}

/* From the address that the program's socket is bound to, if to any. Return: 0 or -errno. */
static int conn_connect(struct wire *w, struct wire_conn *c)
{
	addr_word from = load_relaxed(&c->conn.own->remote), to = load_relaxed(&c->conn.own->local);
	struct engine_info info;
	int err;

	if (addr_word_is6(to))
		return -ENETUNREACH;
	if (addr_word_port(from)) {
		err = engine_bind(&w->e, c->sock, addr_word_is6(from) ? 0 : addr_word_addr(from),
				  addr_word_port(from));
		if (err < 0)
			return err;
	}
	options_apply(w, c);
	err = engine_connect(&w->e, w->now_ns, c->sock, addr_word_addr(to), addr_word_port(to));
	if (err != -EINPROGRESS)
		return err;
	if (engine_info(&w->e, c->sock, &info) == 0)
		store_relaxed(&c->conn.own->remote, addr_word_make(info.laddr, info.lport));
	return 0;
}

void wire_gate(struct wire *w)
{
	while (seat_waiting(w->in.p, w->gate, &w->gate_cursor)) {
		struct wire_conn *c = conn_new(w);
		uint32_t i;
		int err;

		/* The rest waits until another ends. */
		if (!c)
			return;
		i = index_of_conn(w, c);
		if (seat_take(w->in.p, w->gate, &w->gate_cursor, i, &c->conn) < 0) {
			conn_free(w, c);
			return;
		}
		c->state = WIRE_CONNECTING;
		conn_begin(w, c);
		err = engine_open(&w->e, ENGINE_TCP, wire_cookie(WIRE_KIND_CONN, i), &c->sock);
		if (err == 0)
			err = conn_connect(w, c);
		if (err < 0)
			conn_fail(w, c, -err);
		else
			conn_activate(w, c);
	}
	w->gate_ready = false;
}

void wire_conn_event(struct wire *w, uint32_t index, uint32_t events)
{
	struct wire_conn *c = &w->conns[index];
	uint32_t err = 0;

	if (c->state == WIRE_FREE)
		return;
	if (events & (ENGINE_READABLE | ENGINE_ERROR | ENGINE_CLOSED))
		c->in_ready = true;
	if (c->state == WIRE_CONNECTING) {
		struct engine_info info;

		if (events & ENGINE_ERROR)
			engine_get(&w->e, c->sock, ENGINE_SO_ERROR, &err);
		if (err || engine_info(&w->e, c->sock, &info) < 0 ||
		    info.state == ENGINE_CLOSED_STATE) {
			conn_fail(w, c, err ? (int)err : ECONNABORTED);
			return;
		}
		if (info.state < ENGINE_ESTABLISHED)
			return;
		c->state = WIRE_OPEN;
		conn_up(&c->conn);
	}
	conn_activate(w, c);
}

/* -------------------------------------------------------------- listeners */

/*
 * conn_seat() - A seat of whoever listens there: of a group, the one that the client's address
 * picks, or the next.
 * Return: 0, -EAGAIN where no queue has room, or another -errno: nobody listens.
 */
static int conn_seat(struct wire *w, struct wire_conn *c)
{
	addr_word from = load_relaxed(&c->half->local), to = load_relaxed(&c->half->remote);
	uint32_t pick = (addr_word_port(from) ^ addr_word_addr(from)) * 2654435761u >> 16;
	int r = -ECONNREFUSED, n = 1;

	for (int i = 0; i < n && (r == -EAGAIN || r == -ECONNREFUSED); i++) {
		struct listener_ref ref;

		n = registry_find_one(w->in.d->reg, to, pick + (uint32_t)i, &ref);
		if (n > 0)
			r = seat_claim(w->in.p, c->half, &ref, &c->conn);
	}
	return r;
}

/* Return: false where it is to wait. */
static bool conn_enqueue(struct wire *w, struct wire_conn *c)
{
	struct half *h = c->half;
	int r = conn_seat(w, c);

	if (r == -EAGAIN)
		return false;
	if (r < 0) {
		engine_abort(&w->e, w->now_ns, c->sock);
		party_slot_free(w->in.p, arena_slot(w->in.p->base, h));
		conn_free(w, c);
		return true;
	}
	c->half = NULL;
	c->state = WIRE_OPEN;
	c->in_ready = true;
	conn_begin(w, c);
	conn_activate(w, c);
	return true;
}

/* A connection of the engine's that was accepted: a half for it. Return: 0 or -errno. */
static int conn_accepted(struct wire *w, struct wire_conn *c)
{
	struct engine_info info;
	int slot = party_slot_alloc(w->in.p);

	if (slot < 0)
		return slot;
	c->half = arena_half(w->in.p->base, (unsigned)slot);
	engine_info(&w->e, c->sock, &info);
	store_relaxed(&c->half->local, addr_word_make(info.raddr, info.rport));
	store_relaxed(&c->half->remote, addr_word_make(info.laddr, info.lport));
	store_relaxed(&c->half->rcvlowat, 1);
	store_relaxed(&c->half->cookie, atomic_fetch_add(&w->in.p->cookie_next, 1));
	store_relaxed(&c->half->end, END_UP);
	half_set_state(c->half, HALF_BOUND);
	c->state = WIRE_WAITING;
	return 0;
}

void wire_accept(struct wire *w, struct wire_listener *l)
{
	while (l->waiting == 0) {
		struct wire_conn *c = conn_new(w);
		uint32_t i;

		if (!c)
			return;
		i = index_of_conn(w, c);
		if (engine_accept(&w->e, w->now_ns, l->sock, wire_cookie(WIRE_KIND_CONN, i),
				  &c->sock) < 0) {
			conn_free(w, c);
			return;
		}
		if (conn_accepted(w, c) < 0) {
			engine_abort(&w->e, w->now_ns, c->sock);
			conn_free(w, c);
		} else if (!conn_enqueue(w, c)) {
			c->listener = (uint32_t)(l - w->listeners) + 1;
			l->waiting++;
			c->next = w->waiting_first;
			w->waiting_first = i + 1;
			w->waiting_due_ns = w->now_ns + WAIT_NS;
		}
	}
}

void wire_waiting(struct wire *w)
{
	uint32_t *at = &w->waiting_first;

	if (!*at || w->now_ns < w->waiting_due_ns)
		return;
	w->waiting_due_ns = w->now_ns + WAIT_NS;
	while (*at) {
		struct wire_conn *c = &w->conns[*at - 1];
		struct wire_listener *l = &w->listeners[c->listener - 1];
		uint32_t next = c->next;

		if (!conn_enqueue(w, c)) {
			at = &c->next;
			continue;
		}
		*at = next;
		l->waiting--;
		if (l->used)
			wire_accept(w, l);
	}
}

void wire_reset_all(struct wire *w)
{
	for (uint32_t i = 0; i < WIRE_CONNS; i++) {
		struct wire_conn *c = &w->conns[i];

		if (c->state == WIRE_FREE)
			continue;
		engine_abort(&w->e, w->now_ns, c->sock);
		if (c->state != WIRE_WAITING)
			half_over(w, c, true);
	}
}
