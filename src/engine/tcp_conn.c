// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_conn.c - A connection's beginning and end, and what the user asks of it
 * (RFC 9293 3.10.1 to 3.10.6).
 */
#include <errno.h>

#include "engine/neigh.h"
#include "engine/route.h"
#include "engine/sock.h"
#include "engine/tcp_parts.h"

/* Memory for a ring is asked for again after so long. */
#define ROOM_NS (100 * NS_MSEC)

/* ------------------------------------------------------------ the table */

static uint32_t *bucket(const struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
			uint16_t rport)
{
	uint64_t sum = siphash_2u64(&e->s->key, (uint64_t)laddr << 32 | raddr,
				    (uint64_t)lport << 16 | rport);

	return &e->tcp_bucket[sum & (e->s->tcp_buckets - 1)];
}

static bool is_of(const struct tcp *t, uint32_t laddr, uint16_t lport, uint32_t raddr,
		  uint16_t rport)
{
	return t->raddr == raddr && t->lport == lport && t->rport == rport && t->laddr == laddr;
}

struct tcp *tcp_find(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport)
{
	uint32_t i = e->s->tcp_last;

	if (i != NIL && is_of(&e->tcp[i], laddr, lport, raddr, rport))
		return &e->tcp[i];
	for (i = *bucket(e, laddr, lport, raddr, rport); i != NIL; i = e->tcp[i].chain) {
		if (!is_of(&e->tcp[i], laddr, lport, raddr, rport))
			continue;
		e->s->tcp_last = i;
		return &e->tcp[i];
	}
	return NULL;
}

bool engine_cookie(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr, uint16_t rport,
		   uint64_t *ret)
{
	const struct tcp *t = tcp_find(e, laddr, lport, raddr, rport);

	if (!t || t->sock == NIL)
		return false;
	*ret = e->sock[t->sock].cookie;
	return true;
}

bool tcp_exists(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr, uint16_t rport)
{
	return tcp_find(e, laddr, lport, raddr, rport) != NULL;
}

bool tcp_has_room(struct engine *e)
{
	if (e->s->tcps.used < e->s->tcps.cap)
		return true;
	/* 2 MSL are to keep old segments from a new connection; with a full table there would be
	 * none (MUST-13). */
	if (e->s->time_wait.head != NIL) {
		COUNT(e, TIME_WAIT_CUT);
		tcp_done(e, &e->tcp[e->s->time_wait.head], 0);
		return true;
	}
	COUNT(e, TCP_NO_ROOM);
	return false;
}

struct tcp *tcp_new(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		    uint16_t rport)
{
	uint32_t *head, i;
	struct tcp *t;

	if (!tcp_has_room(e))
		return NULL;
	i = slab_get(&e->s->tcps, e->tcp, sizeof(*e->tcp));
	t = &e->tcp[i];
	ilink_init(&t->out_link);
	ilink_init(&t->wait_link);
	ilist_init(&t->sent);
	ilist_init(&t->by_time);
	wheel_timer_init(&e->timer[i]);
	t->laddr = laddr;
	t->lport = lport;
	t->raddr = raddr;
	t->rport = rport;
	head = bucket(e, laddr, lport, raddr, rport);
	t->chain = *head;
	*head = i;
	t->sock = NIL;
	t->listener = NIL;
	t->ooo = NIL;
	t->rto_us = TCP_RTO_INIT_US; /* RFC 6298 2.1 */
	t->rcvbuf = min_u32(TCP_BUF_START, e->s->config.rcvbuf_max);
	t->rcvbuf_max = e->s->config.rcvbuf_max;
	t->sndbuf = min_u32(TCP_BUF_START, e->s->config.sndbuf_max);
	t->sndbuf_max = e->s->config.sndbuf_max;
	t->peer_mss = TCP_MSS_DEFAULT;
	t->rcv_mss = TCP_MSS_DEFAULT;
	t->route_change = e->s->route_change - 1;
	return t;
}

static void out_of_table(struct engine *e, struct tcp *t)
{
	uint32_t i = TCP_INDEX(e, t);
	uint32_t *link = bucket(e, t->laddr, t->lport, t->raddr, t->rport);

	if (e->s->tcp_last == i)
		e->s->tcp_last = NIL;
	while (*link != NIL && *link != i)
		link = &e->tcp[*link].chain;
	if (*link == i)
		*link = t->chain;
}

void tcp_wake(struct engine *e, struct tcp *t)
{
	uint32_t i = TCP_INDEX(e, t);

	if (!ilist_has(tcp_out_links(e), i))
		ilist_push(&e->s->tcp_out, tcp_out_links(e), i);
}

static void off_lists(struct engine *e, struct tcp *t)
{
	uint32_t i = TCP_INDEX(e, t);

	if (ilist_has(tcp_out_links(e), i))
		ilist_remove(t->arp_waits ? &e->s->arp_wait : &e->s->tcp_out, tcp_out_links(e), i);
	t->arp_waits = false;
	if (t->listener == NIL && ilist_has(tcp_wait_links(e), i))
		ilist_remove(&e->s->time_wait, tcp_wait_links(e), i);
	if (ilist_has(tcp_wait_links(e), i)) {
		ilist_remove(&e->sock[t->listener].accept, tcp_wait_links(e), i);
		e->sock[t->listener].accepting--;
	}
	t->listener = NIL;
}

static void forget(struct engine *e, struct tcp *t)
{
	ring_drop(e, &t->rcv);
	slab_put(&e->s->tcps, e->tcp, sizeof(*t), TCP_INDEX(e, t));
}

void tcp_tell(struct engine *e, struct tcp *t, uint32_t events)
{
	if (t->sock != NIL)
		sock_event(e, &e->sock[t->sock], events);
}

void tcp_done(struct engine *e, struct tcp *t, int error)
{
	out_of_table(e, t);
	off_lists(e, t);
	seg_free_all(e, t);
	ooo_drop(e, t);
	ring_drop(e, &t->snd);
	for (unsigned i = 0; i < TCP_TIMERS; i++)
		t->timer_ns[i] = 0;
	wheel_cancel(&e->s->wheel, e->timer, TCP_INDEX(e, t));
	t->snd_kept = t->snd_tail;
	t->state = TCP_CLOSED;
	if (t->sock == NIL) {
		forget(e, t);
		return;
	}
	t->fin_received = true;
	tcp_tell(e, t, ENGINE_CLOSED | ENGINE_READABLE | ENGINE_WRITABLE);
	if (error)
		sock_error(e, &e->sock[t->sock], error);
}

/* Nobody has it: where the table is full it goes before its time, after those that wait already. */
static void waits_alone(struct engine *e, const struct tcp *t)
{
	uint32_t i = TCP_INDEX(e, t);

	if (t->sock != NIL || t->listener != NIL)
		return;
	if (ilist_has(tcp_wait_links(e), i))
		ilist_remove(&e->s->time_wait, tcp_wait_links(e), i);
	ilist_push(&e->s->time_wait, tcp_wait_links(e), i);
}

void tcp_time_wait(struct engine *e, struct tcp *t)
{
	t->state = TCP_TIME_WAIT;
	seg_free_all(e, t);
	ring_drop(e, &t->snd);
	t->snd_kept = t->snd_tail;
	for (unsigned i = 0; i < TCP_TIMERS; i++) {
		if (i != TCP_TIMER_DELACK)
			t->timer_ns[i] = 0;
	}
	timer_set(e, t, TCP_TIMER_END, e->s->now_ns + e->s->config.time_wait_ns);
	waits_alone(e, t);
	tcp_tell(e, t, ENGINE_CLOSED);
}

/* ------------------------------------------------------------ numbers */

uint32_t tcp_iss(const struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		 uint16_t rport)
{
	/* RFC 6528 3: M + F(four, secret), M a clock of 4 us. */
	uint64_t f = siphash_2u64(&e->s->key, ((uint64_t)laddr << 32 | raddr) ^ 0x697373ull,
				  (uint64_t)lport << 16 | rport);

	return (uint32_t)f + (uint32_t)(e->s->now_ns >> 12);
}

uint32_t tcp_ts_offset(const struct engine *e, uint32_t laddr, uint32_t raddr)
{
	/* By the addresses alone: it goes on from one connection of theirs to the next. */
	return (uint32_t)siphash_2u64(&e->s->key, (uint64_t)laddr << 32 | raddr, 0x7473);
}

uint32_t tcp_ts_now(const struct engine *e, uint32_t offset)
{
	/* RFC 7323 5.4: a tick of a millisecond. */
	return (uint32_t)(e->s->now_ns / NS_MSEC) + offset;
}

uint8_t tcp_wscale_for(uint32_t bytes)
{
	uint8_t scale = 0;

	while (scale < TCP_WSCALE_MAX && bytes >> scale > UINT16_MAX)
		scale++;
	return scale;
}

uint16_t tcp_offered_mss(const struct engine *e, uint32_t user_mss)
{
	uint32_t mss = e->s->config.mtu - IPV4_HEADER_BYTES - TCP_HEADER_BYTES;

	return (uint16_t)(user_mss ? min_u32(mss, user_mss) : mss);
}

void tcp_sync_mss(const struct engine *e, struct tcp *t)
{
	/* RFC 9293 3.7.1, MUST-16: the smaller of what the peer takes and what the path takes. */
	uint32_t path = t->pmtu_discover ? t->pmtu : e->s->config.mtu;
	uint32_t mss = min_u32(t->peer_mss, path - IPV4_HEADER_BYTES - TCP_HEADER_BYTES);

	if (t->user_mss)
		mss = min_u32(mss, t->user_mss);
	t->mss = max_u32(mss, 48); /* room for options, whatever the peer says */
}

int tcp_route(struct engine *e, struct tcp *t)
{
	uint32_t src;
	int err = route_find(e, t->raddr, &src, &t->next_hop);

	if (err != 0)
		return err;
	t->pmtu = route_pmtu(e, t->raddr);
	if (t->hole_mtu)
		t->pmtu = min_u32(t->pmtu, t->hole_mtu);
	t->route_change = e->s->route_change;
	tcp_sync_mss(e, t);
	return 0;
}

void tcp_inherit(struct tcp *t, const struct sock *s)
{
	t->cc = s->cc;
	t->ttl = s->ttl;
	t->tos = s->tos;
	t->pmtu_discover = s->pmtu_discover;
	t->nodelay = s->nodelay;
	t->cork = s->cork;
	t->quickack = s->quickack;
	t->keepalive = s->keepalive;
	t->keep_idle_s = s->keep_idle_s;
	t->keep_interval_s = s->keep_interval_s;
	t->keep_count = s->keep_count;
	t->user_timeout_ms = s->user_timeout_ms;
	t->user_mss = s->maxseg;
	t->pacing_max = s->pacing_max;
	t->pace_ns = 0;
	t->rcvbuf_fixed = s->rcvbuf_fixed;
	t->sndbuf_fixed = s->sndbuf_fixed;
	if (s->rcvbuf_fixed)
		t->rcvbuf = max_u32(t->rcvbuf_fixed ? min_u32(s->rcvbuf, t->rcvbuf_max) : 0, 2048);
	if (s->sndbuf_fixed)
		t->sndbuf = min_u32(s->sndbuf, t->sndbuf_max);
}

void tcp_options_changed(struct engine *e, struct sock *s, bool push)
{
	struct tcp *t = s->tcp == NIL ? NULL : &e->tcp[s->tcp];

	if (!t || t->state == TCP_CLOSED)
		return;
	tcp_inherit(t, s);
	if (t->state >= TCP_ESTABLISHED) {
		tcp_sync_mss(e, t);
		keep_arm(e, t);
	}
	t->force |= push && tcp_unsent(t);
	tcp_wake(e, t); /* without cork or Nagle there may be something to send */
}

/* ------------------------------------------------------------ commands */

int tcp_connect(struct engine *e, struct sock *s, uint32_t addr, uint16_t port)
{
	uint32_t src, next_hop;
	struct tcp *t;
	int err;

	if (s->listening)
		return -EINVAL;
	if (s->tcp != NIL)
		return e->tcp[s->tcp].state == TCP_SYN_SENT ? -EALREADY : -EISCONN;
	if (port == 0 || addr == 0)
		return -EADDRNOTAVAIL;
	err = route_find_from(e, addr, s->laddr, &src, &next_hop);
	if (err != 0)
		return err;
	if (next_hop == 0 || ipv4_is_multicast(addr))
		return -ENETUNREACH; /* MUST-57's other side */
	if (s->lport && tcp_exists(e, s->laddr ? s->laddr : src, s->lport, addr, port))
		return -EADDRNOTAVAIL;
	if (!tcp_has_room(e))
		return -ENFILE;
	if (!s->lport) {
		err = sock_bind_port(e, s, src, 0, addr, port);
		if (err != 0)
			return err;
	}
	if (!s->laddr)
		s->laddr = src;
	t = tcp_new(e, s->laddr, s->lport, addr, port);
	if (!t)
		return -ENFILE;
	s->tcp = TCP_INDEX(e, t);
	s->raddr = addr;
	s->rport = port;
	t->sock = SOCK_INDEX(e, s);
	tcp_inherit(t, s);
	t->state = TCP_SYN_SENT;
	t->iss = tcp_iss(e, t->laddr, t->lport, t->raddr, t->rport);
	t->snd_una = t->snd_nxt = t->recover = t->rack_fack = t->snd_sml = t->iss;
	t->snd_base = UINT64_MAX; /* the position of the SYN: one before the first octet's */
	t->ts_offset = tcp_ts_offset(e, t->laddr, t->raddr);
	t->rcv_wscale = tcp_wscale_for(t->rcvbuf_fixed ? t->rcvbuf : t->rcvbuf_max);
	t->cwnd = t->mss = TCP_MSS_DEFAULT;
	(void)tcp_route(e, t);
	tcp_wake(e, t);
	return -EINPROGRESS;
}

int tcp_accept(struct engine *e, struct sock *l, uint64_t cookie, struct engine_sock *ret)
{
	struct tcp *t;
	struct sock *s;

	if (l->accept.head == NIL)
		return -EAGAIN;
	s = sock_new(e, SOCK_TCP, cookie);
	if (!s)
		return -ENFILE;
	t = &e->tcp[ilist_pop(&l->accept, tcp_wait_links(e))];
	l->accepting--;
	t->listener = NIL;
	t->sock = SOCK_INDEX(e, s);
	s->tcp = TCP_INDEX(e, t);
	s->laddr = t->laddr;
	s->raddr = t->raddr;
	s->rport = t->rport;
	s->cc = l->cc;
	s->ttl = l->ttl;
	s->tos = l->tos;
	s->pmtu_discover = l->pmtu_discover;
	s->nodelay = l->nodelay;
	s->cork = l->cork;
	s->quickack = l->quickack;
	s->keepalive = l->keepalive;
	s->keep_idle_s = l->keep_idle_s;
	s->keep_interval_s = l->keep_interval_s;
	s->keep_count = l->keep_count;
	s->user_timeout_ms = l->user_timeout_ms;
	s->maxseg = l->maxseg;
	s->recverr = l->recverr;
	s->pacing_max = l->pacing_max;
	s->rcvbuf = l->rcvbuf;
	s->sndbuf = l->sndbuf;
	s->rcvbuf_fixed = l->rcvbuf_fixed;
	s->sndbuf_fixed = l->sndbuf_fixed;
	*ret = (struct engine_sock){.index = SOCK_INDEX(e, s), .gen = s->head.gen};
	sock_event(e, s,
		   ENGINE_WRITABLE |
			   (t->rcv_tail != t->rcv_head || t->fin_received ? ENGINE_READABLE : 0));
	return 0;
}

/* The user's buffer is full though the network takes more: a larger one. */
static void tune(struct tcp *t)
{
	if (!t->sndbuf_fixed && t->cwnd / 2 > t->sndbuf / 4)
		t->sndbuf = min_u32(sat_mul_u32(t->sndbuf, 2), t->sndbuf_max);
}

void tcp_tell_room(struct engine *e, struct tcp *t)
{
	uint32_t most = e->s->config.unsent_max;

	if (!t->want_write || t->snd_tail - t->snd_base >= t->sndbuf - t->sndbuf / 3 ||
	    (most && tcp_unsent(t) > most / 2))
		return;
	t->want_write = false;
	tcp_tell(e, t, ENGINE_WRITABLE);
}

static int send_error(struct sock *s, const struct tcp *t)
{
	int err = sock_error_take(s);

	if (err != 0)
		return err;
	if (!t)
		return -ENOTCONN;
	if (t->state == TCP_SYN_SENT || t->state == TCP_SYN_RECEIVED)
		return s->shut_wr ? -EPIPE : 0;
	if (t->state != TCP_ESTABLISHED && t->state != TCP_CLOSE_WAIT)
		return -EPIPE;
	return t->fin_wanted ? -EPIPE : 0;
}

/* How much may be written. */
static uint32_t send_room(const struct engine *e, struct tcp *t)
{
	uint32_t held = (uint32_t)(t->snd_tail - t->snd_base), most = e->s->config.unsent_max, room;

	if (held >= t->sndbuf)
		tune(t);
	room = sat_sub_u32(t->sndbuf, held);
	return most ? min_u32(room, sat_sub_u32(most, tcp_unsent(t))) : room;
}

uint32_t tcp_ring_room(struct engine *e, struct tcp *t, uint32_t bytes)
{
	uint64_t una = t->snd_base, want;
	uint32_t held = (uint32_t)(t->snd_kept - una);

	if (t->snd.bytes >= held + bytes)
		return bytes;
	want = min_u64(t->sndbuf, max_u64(2 * (uint64_t)(held + bytes), 16384));
	if (!ring_grow(e, &t->snd, want, una, t->snd_kept) &&
	    !ring_grow(e, &t->snd, held + bytes, una, t->snd_kept))
		COUNT(e, TCP_RING_FULL);
	return min_u32(bytes, sat_sub_u32(t->snd.bytes, held));
}

int64_t tcp_send(struct engine *e, struct sock *s, const void *octets, size_t bytes,
		 enum tcp_send how)
{
	struct tcp *t = s->tcp == NIL ? NULL : &e->tcp[s->tcp];
	size_t wanted = bytes;
	bool kept = how == TCP_SEND_KEPT;
	uint32_t room;
	int err = send_error(s, t);

	if (err != 0 || !t)
		return err;
	/* RFC 9293 3.10.2: in SYN-SENT, SYN-RECEIVED queued for later; here: not yet. */
	if (t->state < TCP_ESTABLISHED) {
		t->want_write = true;
		return -EAGAIN;
	}
	if (kept && !keep_may(e, t))
		return -EOPNOTSUPP;
	if (!kept && t->snd_kept != t->snd_tail)
		return -EBUSY;
	room = send_room(e, t);
	bytes = min_u64(bytes, room);
	if (bytes && !kept)
		bytes = tcp_ring_room(e, t, (uint32_t)bytes);
	if (!bytes) {
		t->want_write = true;
		/* No ACK need come that would tell of room, where none is for want of memory. */
		if (room)
			timer_set(e, t, TCP_TIMER_ROOM, e->s->now_ns + ROOM_NS);
		return -EAGAIN;
	}
	if (!kept) {
		ring_put(e, &t->snd, t->snd_tail, octets, bytes);
		t->snd_kept += bytes;
	}
	t->snd_tail += bytes;
	/* What was not taken holds the urgent octet: it is still to come. */
	if (how == TCP_SEND_URGENT && bytes == wanted)
		urgent_wanted(e, t);
	t->more = how == TCP_SEND_MORE;
	if (!t->more)
		t->snd_push = t->snd_tail;
	tcp_wake(e, t);
	return (int64_t)bytes;
}

void tcp_received(struct engine *e, struct tcp *t, size_t bytes)
{
	t->rcv_head += bytes;
	/* RFC 9293 3.8.6.2.2: say so where the window opens by much, but not with each
	 * read: what the peer may send already brings an ACK. */
	if (t->state >= TCP_ESTABLISHED && !t->fin_received &&
	    tcp_window_could(t) >= min_u32(t->rcvbuf / 2, 2 * t->mss) &&
	    tcp_window_could(t) >= tcp_window_now(t)) {
		t->ack_now = true;
		tcp_wake(e, t);
	}
}

int64_t tcp_recv(struct engine *e, struct sock *s, void *room, size_t bytes)
{
	struct tcp *t = s->tcp == NIL ? NULL : &e->tcp[s->tcp];
	size_t ready = t ? (size_t)(t->rcv_tail - t->rcv_head) : 0;
	int err;

	if (!t)
		return -ENOTCONN;
	if (ready) {
		if (bytes > ready)
			bytes = ready;
		bytes = (size_t)min_u64(bytes, urgent_limit(t));
		lend_get(e, t, room, bytes);
		tcp_received(e, t, bytes);
		return (int64_t)bytes;
	}
	err = sock_error_take(s);
	if (err != 0)
		return err;
	if (t->fin_received || t->shut_rd)
		return 0;
	return t->state < TCP_ESTABLISHED && t->state != TCP_SYN_SENT &&
			       t->state != TCP_SYN_RECEIVED
		       ? -ENOTCONN
		       : -EAGAIN;
}

/* RFC 9293 3.10.4: no more to send. */
static void finish(struct engine *e, struct tcp *t)
{
	if (t->fin_wanted)
		return;
	t->fin_wanted = true;
	if (t->state == TCP_ESTABLISHED || t->state == TCP_SYN_RECEIVED)
		t->state = TCP_FIN_WAIT_1;
	else if (t->state == TCP_CLOSE_WAIT)
		t->state = TCP_LAST_ACK;
	tcp_wake(e, t);
}

int tcp_shutdown(struct engine *e, struct sock *s, unsigned how)
{
	struct tcp *t = s->tcp == NIL ? NULL : &e->tcp[s->tcp];

	if (!t || t->state < TCP_SYN_RECEIVED || t->state == TCP_SYN_RECEIVED)
		return -ENOTCONN;
	if (how & ENGINE_SHUT_RD) {
		s->shut_rd = true;
		t->shut_rd = true; /* What comes stays to be read, as on Linux. */
		tcp_tell(e, t, ENGINE_READABLE);
	}
	if (how & ENGINE_SHUT_WR) {
		s->shut_wr = true;
		if (t->state == TCP_ESTABLISHED || t->state == TCP_CLOSE_WAIT)
			finish(e, t);
	}
	return 0;
}

static void abort_all_waiting(struct engine *e, struct sock *l)
{
	uint32_t i;

	/* RFC 9293 3.10.4: who waits to be accepted hears a reset. */
	while ((i = l->accept.head) != NIL) {
		tcp_send_rst(e, &e->tcp[i]);
		tcp_done(e, &e->tcp[i], 0);
	}
	syn_drop_all(e, l);
}

void tcp_close(struct engine *e, struct sock *s, bool abort)
{
	struct tcp *t = s->tcp == NIL ? NULL : &e->tcp[s->tcp];
	bool unread;

	if (s->listening)
		abort_all_waiting(e, s);
	if (!t)
		return;
	unread = t->rcv_tail != t->rcv_head;
	s->tcp = NIL;
	t->sock = NIL;
	if (t->state == TCP_CLOSED) {
		forget(e, t);
		return;
	}
	if (t->state == TCP_SYN_SENT) {
		tcp_done(e, t, 0);
		return;
	}
	if (t->state == TCP_TIME_WAIT) {
		ring_drop(e, &t->rcv);
		t->rcv_head = t->rcv_tail;
		waits_alone(e, t);
		return;
	}
	/* 3.10.5; and data that nobody will read are no orderly end (RFC 2525 2.17), nor those that
	 * nobody will have. */
	if (abort || unread || t->snd_kept != t->snd_tail || t->state == TCP_SYN_RECEIVED) {
		tcp_send_rst(e, t);
		tcp_done(e, t, 0);
		return;
	}
	finish(e, t);
	if (t->state == TCP_FIN_WAIT_2)
		timer_set(e, t, TCP_TIMER_END, e->s->now_ns + TCP_FIN2_NS);
	t->rcv_head = t->rcv_tail;
	keep_arm(e, t);
}

/* ------------------------------------------------------------ what others say */

void tcp_neigh_answered(struct engine *e)
{
	uint32_t i;

	while ((i = ilist_pop(&e->s->arp_wait, tcp_out_links(e))) != NIL) {
		e->tcp[i].arp_waits = false;
		ilist_push(&e->s->tcp_out, tcp_out_links(e), i);
	}
}

void tcp_neigh_room(struct engine *e)
{
	uint32_t i = e->s->arp_wait.head;

	while (i != NIL) {
		struct tcp *t = &e->tcp[i];
		uint32_t next = t->out_link.next;

		if (!neigh_asked(e, t->next_hop)) {
			ilist_remove(&e->s->arp_wait, tcp_out_links(e), i);
			t->arp_waits = false;
			ilist_push(&e->s->tcp_out, tcp_out_links(e), i);
		}
		i = next;
	}
}

void tcp_neigh_lost(struct engine *e, uint32_t addr)
{
	uint32_t i = e->s->arp_wait.head;

	while (i != NIL) {
		struct tcp *t = &e->tcp[i];

		i = t->out_link.next;
		if (t->next_hop != addr)
			continue;
		if (t->state == TCP_SYN_SENT) {
			tcp_done(e, t, EHOSTUNREACH);
			continue;
		}
		/* RFC 9293 3.9.2.2: the connection stays; it tries again when its timer says so. */
		ilist_remove(&e->s->arp_wait, tcp_out_links(e), TCP_INDEX(e, t));
		t->arp_waits = false;
		timer_not_sent(e, t, EHOSTUNREACH);
	}
}

void tcp_too_long(struct engine *e, struct tcp *t, uint32_t packet_bytes, uint32_t said)
{
	uint32_t mtu;

	(void)route_pmtu_learn(e, t->raddr, packet_bytes, said);
	/* Another connection may have been told before, since when this one did not look. */
	mtu = route_pmtu(e, t->raddr);
	if (mtu >= t->pmtu)
		return;
	t->pmtu = mtu;
	t->proved = 0;
	tcp_sync_mss(e, t);
	/* RFC 1191 6.5: what was too long goes again, at once; it says nothing about congestion. */
	for (struct tcp_seg *s = seg_first(e, t); s; s = seg_next(e, s)) {
		if (seg_bytes(s) > tcp_data_max(t))
			seg_mark_lost(e, t, s);
	}
	t->refused = true;
	tcp_wake(e, t);
}

void tcp_black_hole(struct engine *e, struct tcp *t)
{
	const struct tcp_seg *s = seg_first(e, t);
	uint32_t around = IPV4_HEADER_BYTES + TCP_HEADER_BYTES + (t->ts_ok ? 12 : 0);

	/* Not where as much, or the least, is what gets through otherwise. */
	if (!t->pmtu_discover || !s || (s->flags & SEG_SYN) || seg_bytes(s) <= t->proved ||
	    seg_bytes(s) + around <= PMTU_MIN)
		return;
	t->hole_mtu = min_u32(t->pmtu, route_plateau(seg_bytes(s) + around));
	t->pmtu = t->hole_mtu;
	tcp_sync_mss(e, t);
	COUNT(e, TCP_BLACK_HOLE);
}

bool tcp_heard_error(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport, const struct tcp_error *error)
{
	struct tcp *t = tcp_find(e, laddr, lport, raddr, rport);
	struct tcp_seg *s;

	if (!t)
		return syn_heard_error(e, laddr, lport, raddr, rport, error);
	/* RFC 5927 4.1: about something that is in flight. */
	if (seq_lt(error->seq, t->snd_una) || seq_geq(error->seq, t->snd_nxt))
		return false;
	if (error->too_long) {
		if (!t->pmtu_discover)
			return true;
		for (s = seg_first(e, t); s && seq_leq(s->end, error->seq); s = seg_next(e, s))
			;
		/* RFC 5927 7.2: such have arrived before. Perhaps the way is another one now: then
		 * this one will time out. */
		if (s && seg_bytes(s) <= t->proved) {
			t->said_mtu = error->mtu;
			t->said_bytes = error->packet_bytes;
			return true;
		}
		tcp_too_long(e, t, error->packet_bytes, error->mtu);
		return true;
	}
	/* RFC 9293 3.9.2.2: SHLD-26; at once in SYN-SENT, else (RFC 5927 5.2) where what it is
	 * about stays without an answer: see fire_rto(). */
	if (error->hard && t->state == TCP_SYN_SENT) {
		tcp_done(e, t, error->error);
		return true;
	}
	if (error->hard)
		t->hard_error = error->error;
	if (t->sock != NIL && e->sock[t->sock].recverr)
		sock_error_about(e, &e->sock[t->sock], error->about, cursor_of(NULL, 0));
	t->soft_error = error->error; /* MUST-56 */
	return true;
}

void tcp_info(const struct engine *e, const struct tcp *t, struct engine_info *ret)
{
	(void)e;
	ret->state = (enum engine_tcp_state)t->state;
	ret->lport = t->lport;
	ret->readable = t->rcv_tail - t->rcv_head;
	ret->unsent = tcp_unsent(t);
	ret->unacked = t->out_bytes;
	ret->mss = t->mss;
	ret->pmtu = t->pmtu;
	ret->cwnd = t->cwnd;
	ret->ssthresh = t->ssthresh;
	ret->snd_wnd = t->snd_wnd;
	ret->rcv_wnd = seq_gt(t->rcv_adv, t->rcv_nxt) ? t->rcv_adv - t->rcv_nxt : 0;
	ret->rcvbuf = t->rcvbuf;
	ret->sndbuf = t->sndbuf;
	ret->srtt_us = t->srtt_us;
	ret->rttvar_us = t->rttvar_us;
	ret->rto_us = (uint32_t)(rto_ns(t) / NS_USEC);
	ret->min_rtt_us = t->min_rtt_us;
	ret->sent_bytes = t->sum_sent;
	ret->retrans_bytes = t->sum_retrans;
	ret->acked_bytes = t->sum_acked;
	ret->received_bytes = t->sum_received;
	ret->retrans_segs = t->segs_retrans;
	ret->sent_segs = t->segs_out;
	ret->received_segs = t->segs_in;
	ret->rtos = t->rtos;
	ret->recoveries = t->recoveries;
	ret->undos = t->undos;
	ret->tlps = t->tlps;
	ret->snd_wscale = t->snd_wscale;
	ret->rcv_wscale = t->rcv_wscale;
	ret->sack = t->sack_ok;
	ret->timestamps = t->ts_ok;
	ret->cc = t->cc;
	ret->pacing_rate = pace_rate(t);
	ret->delivery_rate = t->rate;
	ret->rcv_tos = t->rcv_tos;
	ret->gaps = (uint8_t)(t->ooo == NIL ? 0 : min_u32(e->ooo[t->ooo].n, 255));
}
