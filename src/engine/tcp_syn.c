// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_syn.c - Connections that are half open.
 *
 * A SYN for a listener makes a struct syn, not a connection: 80 octets, in a
 * table of its own. The ACK of our SYN-ACK makes the connection, if the accept
 * queue has room; without room the ACK is dropped, and comes again with the
 * first data. When the table is full, a SYN is answered with a cookie: the
 * initial sequence number is made from the four of the connection, the time
 * and the MSS, by the engine's key, and nothing is kept. Options but the MSS
 * are lost by that.
 */
#include <errno.h>

#include "engine/sock.h"
#include "engine/tcp_parts.h"

#define COOKIE_PERIOD_NS (64 * NS_SEC)
#define COOKIE_PERIODS 2u

static const uint16_t cookie_mss[8] = {536, 1000, 1220, 1360, 1400, 1440, 1460, 8960};

static uint64_t four(uint32_t laddr, uint16_t lport, uint32_t raddr, uint16_t rport,
		     uint64_t *ret_b)
{
	*ret_b = (uint64_t)lport << 16 | rport;
	return (uint64_t)laddr << 32 | raddr;
}

static uint32_t *bucket(const struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
			uint16_t rport)
{
	uint64_t b;
	uint64_t a = four(laddr, lport, raddr, rport, &b);

	return &e->syn_bucket[siphash_2u64(&e->s->key, a, b) & (e->s->syn_buckets - 1)];
}

struct syn *syn_find(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport)
{
	uint32_t i;

	if (!e->s->syns.used)
		return NULL;
	i = *bucket(e, laddr, lport, raddr, rport);
	for (; i != NIL; i = e->syn[i].chain) {
		struct syn *y = &e->syn[i];

		if (y->laddr == laddr && y->raddr == raddr && y->lport == lport &&
		    y->rport == rport)
			return y;
	}
	return NULL;
}

static struct sock *listener_of(struct engine *e, const struct syn *y)
{
	struct engine_sock ref = {.index = y->listener, .gen = y->listener_gen};

	return sock_of(e, ref);
}

static void drop(struct engine *e, struct syn *y)
{
	uint32_t i = SYN_INDEX(e, y);
	uint32_t *link = bucket(e, y->laddr, y->lport, y->raddr, y->rport);
	struct sock *l = listener_of(e, y);

	while (*link != i)
		link = &e->syn[*link].chain;
	*link = y->chain;
	if (l)
		l->half_open--;
	wheel_cancel(&e->s->wheel, e->timer, e->s->timer_syn + i);
	slab_put(&e->s->syns, e->syn, sizeof(*y), i);
}

void syn_drop_all(struct engine *e, struct sock *l)
{
	uint32_t index = SOCK_INDEX(e, l);

	for (uint32_t i = 0; l->half_open && i < e->s->syns.fresh; i++) {
		struct syn *y = &e->syn[i];

		if ((y->head.gen & 1) && y->listener == index && y->listener_gen == l->head.gen)
			drop(e, y);
	}
}

static uint32_t buffer_of(const struct engine *e, const struct sock *l)
{
	return l->rcvbuf_fixed ? min_u32(l->rcvbuf, e->s->config.rcvbuf_max)
			       : min_u32(TCP_BUF_START, e->s->config.rcvbuf_max);
}

/* In octets, not scaled. */
static uint16_t window_of(struct engine *e, const struct syn *y)
{
	const struct sock *l = listener_of(e, y);

	return (uint16_t)min_u32(l ? buffer_of(e, l) : TCP_BUF_START, UINT16_MAX);
}

static void send_synack(struct engine *e, const struct syn *y)
{
	const struct sock *l = listener_of(e, y);
	struct tcp_header h = {
		.sport = y->lport,
		.dport = y->rport,
		.seq = y->iss,
		.ack = y->irs + 1,
		.flags = TCP_SYN | TCP_ACK,
		.has = TCP_HAS_MSS | (y->has & (TCP_HAS_WSCALE | TCP_HAS_SACK_OK | TCP_HAS_TS)),
		.wscale = y->our_wscale,
		.ts_value = tcp_ts_now(e, y->ts_offset),
		.ts_echo = y->ts_recent,
	};

	h.window = window_of(e, y);
	h.mss = tcp_offered_mss(e, l ? l->maxseg : 0);
	tcp_reply(e, y->laddr, y->raddr, &h);
}

/* RFC 9293 3.10.7.4, second and fourth: an ACK to a RST or a SYN that may be forged. */
static void challenge(struct engine *e, const struct syn *y)
{
	struct tcp_header h = {
		.sport = y->lport,
		.dport = y->rport,
		.seq = y->iss + 1,
		.ack = y->irs + 1,
		.flags = TCP_ACK,
		.has = y->has & TCP_HAS_TS,
		.window = (uint16_t)(window_of(e, y) >> y->our_wscale),
		.ts_value = tcp_ts_now(e, y->ts_offset),
		.ts_echo = y->ts_recent,
	};

	COUNT(e, TCP_CHALLENGE);
	tcp_reply(e, y->laddr, y->raddr, &h);
}

static void arm(struct engine *e, struct syn *y)
{
	wheel_set(&e->s->wheel, e->timer, e->s->timer_syn + SYN_INDEX(e, y),
		  e->s->now_ns + (NS_SEC << y->tries));
}

void syn_timer(struct engine *e, uint32_t index)
{
	struct syn *y = &e->syn[index];

	if (++y->tries > TCP_SYNACK_RETRIES) {
		COUNT(e, SYN_TIMEOUT);
		drop(e, y);
		return;
	}
	COUNT(e, TCP_RETRANS);
	send_synack(e, y);
	arm(e, y);
}

/* ------------------------------------------------------------ cookies */

static uint32_t cookie_make(const struct engine *e, const struct ip_in *in,
			    const struct tcp_header *h, uint32_t irs, uint64_t period, unsigned mss)
{
	uint64_t b;
	uint64_t a = four(in->dst, h->dport, in->src, h->sport, &b);
	uint64_t sum = siphash_2u64(&e->s->key, a, b);

	sum = siphash_2u64(&e->s->key, sum ^ 0x636f6f6b6965ull,
			   (uint64_t)irs << 32 | (period << 3 | mss));
	return (uint32_t)sum << 8 | (uint32_t)(period & 31) << 3 | mss;
}

static void cookie_send(struct engine *e, struct sock *l, const struct ip_in *in,
			const struct tcp_header *h)
{
	unsigned mss = 0;
	struct tcp_header r = {
		.sport = h->dport,
		.dport = h->sport,
		.ack = h->seq + 1,
		.flags = TCP_SYN | TCP_ACK,
		.has = TCP_HAS_MSS,
		.mss = (uint16_t)(e->s->config.mtu - IPV4_HEADER_BYTES - TCP_HEADER_BYTES),
	};

	while (mss < 7 && (h->has & TCP_HAS_MSS) && cookie_mss[mss + 1] <= h->mss)
		mss++;
	r.seq = cookie_make(e, in, h, h->seq, e->s->now_ns / COOKIE_PERIOD_NS, mss);
	r.window = (uint16_t)min_u32(buffer_of(e, l), UINT16_MAX);
	e->s->cookie_ns = e->s->now_ns ? e->s->now_ns : 1;
	COUNT(e, SYN_COOKIES_OUT);
	tcp_reply(e, in->dst, in->src, &r);
}

/* Is this the ACK of a cookie? @ret: the SYN that it stood for. */
static bool cookie_check(struct engine *e, const struct ip_in *in, const struct tcp_header *h,
			 struct syn *ret)
{
	uint32_t cookie = h->ack - 1;
	uint64_t now = e->s->now_ns / COOKIE_PERIOD_NS;
	unsigned mss = cookie & 7;

	/* While none was sent lately, none is believed: no guessing. */
	if (!e->s->cookie_ns || e->s->now_ns - e->s->cookie_ns > COOKIE_PERIODS * COOKIE_PERIOD_NS)
		return false;
	for (uint64_t age = 0; age < COOKIE_PERIODS && age <= now; age++) {
		if (cookie_make(e, in, h, h->seq - 1, now - age, mss) != cookie)
			continue;
		*ret = (struct syn){
			.laddr = in->dst,
			.raddr = in->src,
			.lport = h->dport,
			.rport = h->sport,
			.iss = cookie,
			.irs = h->seq - 1,
			.mss = cookie_mss[mss],
			.ts_offset = tcp_ts_offset(e, in->dst, in->src),
		};
		COUNT(e, SYN_COOKIES_IN);
		return true;
	}
	COUNT(e, SYN_COOKIES_BAD);
	return false;
}

/* ------------------------------------------------------------ becoming a connection */

static struct tcp *establish(struct engine *e, struct sock *l, const struct syn *y,
			     const struct tcp_header *h)
{
	struct tcp *t;

	if (l->accepting >= l->backlog) {
		COUNT(e, SYN_ACCEPT_FULL);
		return NULL;
	}
	t = tcp_new(e, y->laddr, y->lport, y->raddr, y->rport);
	if (!t)
		return NULL;
	tcp_inherit(t, l);
	t->state = TCP_ESTABLISHED;
	t->iss = y->iss;
	t->snd_una = t->snd_nxt = y->iss + 1;
	t->snd_base = 0;
	t->recover = y->iss;
	t->rack_fack = t->snd_una;
	t->irs = y->irs;
	t->rcv_nxt = t->last_ack_sent = y->irs + 1;
	t->rcvbuf = buffer_of(e, l);
	t->rcv_adv = t->rcv_nxt + min_u32(t->rcvbuf, UINT16_MAX);
	t->wscale_ok = y->has & TCP_HAS_WSCALE;
	t->sack_ok = y->has & TCP_HAS_SACK_OK;
	t->ts_ok = y->has & TCP_HAS_TS;
	t->snd_wscale = t->wscale_ok ? y->wscale : 0;
	t->rcv_wscale = t->wscale_ok ? y->our_wscale : 0;
	t->ts_offset = y->ts_offset;
	t->ts_recent = y->ts_recent;
	t->ts_recent_ns = e->s->now_ns;
	t->peer_mss = y->mss;
	t->quick = 8;
	t->heard_ns = e->s->now_ns;
	t->snd_wnd = (uint32_t)h->window << t->snd_wscale;
	t->max_wnd = max_u32(t->snd_wnd, y->window);
	t->snd_wl1 = h->seq;
	t->snd_wl2 = h->ack;
	(void)tcp_route(e, t);
	tcp_sync_mss(e, t);
	cc_start(t);
	/* RFC 6298 3, RFC 5681 3.1: the SYN-ACK's round trip; one that went twice means caution. */
	if (y->sent_ns && y->tries == 0)
		rtt_sample(e, t, (uint32_t)max_u64(1, (e->s->now_ns - y->sent_ns) / NS_USEC));
	else if (y->tries)
		t->cwnd = t->mss;
	t->listener = SOCK_INDEX(e, l);
	ilist_push(&l->accept, tcp_wait_links(e), TCP_INDEX(e, t));
	l->accepting++;
	keep_arm(e, t);
	sock_event(e, l, ENGINE_ACCEPT);
	return t;
}

/* RFC 9293 3.10.7.2 */
void syn_listen(struct engine *e, struct sock *l, const struct ip_in *in, struct tcp_header *h,
		struct cursor data, const uint32_t *floor)
{
	uint32_t i;
	struct syn *y;
	struct syn from_cookie;
	struct tcp *t;

	/* First: RST */
	if (h->flags & TCP_RST)
		return;
	/* Second: ACK */
	if (h->flags & TCP_ACK) {
		if (!(h->flags & TCP_SYN) && cookie_check(e, in, h, &from_cookie)) {
			t = establish(e, l, &from_cookie, h);
			if (t)
				tcp_segment(e, t, in, h, data);
			return;
		}
		COUNT(e, TCP_NO_CONNECTION);
		tcp_refuse(e, in, h, cursor_left(&data));
		return;
	}
	/* Third: SYN */
	if (!(h->flags & TCP_SYN) || (h->flags & TCP_FIN))
		return;
	if (l->accepting >= l->backlog) {
		/* It will be sent again. */
		COUNT(e, SYN_ACCEPT_FULL);
		return;
	}
	i = slab_get(&e->s->syns, e->syn, sizeof(*e->syn));
	if (i == NIL) {
		COUNT(e, SYN_QUEUE_FULL);
		cookie_send(e, l, in, h);
		return;
	}
	y = &e->syn[i];
	wheel_timer_init(&e->timer[e->s->timer_syn + i]);
	y->listener = SOCK_INDEX(e, l);
	y->listener_gen = l->head.gen;
	l->half_open++;
	y->laddr = in->dst;
	y->raddr = in->src;
	y->lport = h->dport;
	y->rport = h->sport;
	y->chain = *bucket(e, y->laddr, y->lport, y->raddr, y->rport);
	*bucket(e, y->laddr, y->lport, y->raddr, y->rport) = i;
	y->irs = h->seq;
	y->iss = tcp_iss(e, y->laddr, y->lport, y->raddr, y->rport);
	if (floor && seq_leq(y->iss, *floor))
		y->iss = *floor + 64000; /* 3.6.1, MAY-2: larger than any that the old one used */
	y->has = e->s->config.no_timestamps ? h->has & (uint8_t)~TCP_HAS_TS : h->has;
	y->mss = (h->has & TCP_HAS_MSS) && h->mss ? h->mss : TCP_MSS_DEFAULT;
	y->window = h->window;
	y->wscale = h->has & TCP_HAS_WSCALE ? (uint8_t)min_u32(h->wscale, TCP_WSCALE_MAX) : 0;
	y->our_wscale = tcp_wscale_for(l->rcvbuf_fixed ? buffer_of(e, l) : e->s->config.rcvbuf_max);
	y->ts_recent = y->has & TCP_HAS_TS ? h->ts_value : 0;
	y->ts_offset = tcp_ts_offset(e, y->laddr, y->raddr);
	y->sent_ns = e->s->now_ns;
	send_synack(e, y);
	arm(e, y);
}

/* 3.10.7.4 for SYN-RECEIVED. Data that come with a SYN are not kept: they come again. */
void syn_input(struct engine *e, struct syn *y, const struct ip_in *in, struct tcp_header *h,
	       struct cursor data)
{
	struct sock *l = listener_of(e, y);
	uint32_t nxt = y->irs + 1;
	uint32_t wnd = min_u32(l ? buffer_of(e, l) : 0, UINT16_MAX);
	struct tcp *t;

	if (!l) {
		drop(e, y);
		return;
	}
	/* The SYN again: our answer was lost. */
	if ((h->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && h->seq == y->irs) {
		/* RFC 7323 4.3: the echo is of the newest, else the peer takes all the time since
		 * the first for a round trip. */
		if ((h->has & y->has & TCP_HAS_TS) && seq_geq(h->ts_value, y->ts_recent))
			y->ts_recent = h->ts_value;
		send_synack(e, y);
		return;
	}
	/* Right behind the window is where the ACK of a peer is that has filled it already: see
	 * is_acceptable(). */
	if (seq_lt(h->seq, nxt) || seq_gt(h->seq, nxt + wnd)) {
		COUNT(e, TCP_OUT_OF_WINDOW);
		return;
	}
	if (h->flags & TCP_RST) {
		COUNT(e, TCP_RST_IN);
		if (h->seq == nxt)
			drop(e, y);
		else
			challenge(e, y);
		return;
	}
	if (h->flags & TCP_SYN) {
		challenge(e, y);
		return;
	}
	if (!(h->flags & TCP_ACK))
		return;
	if (h->ack != y->iss + 1) {
		COUNT(e, TCP_BAD_ACK);
		tcp_refuse(e, in, h, cursor_left(&data));
		return;
	}
	if ((y->has & TCP_HAS_TS) &&
	    (!(h->has & TCP_HAS_TS) || seq_lt(h->ts_value, y->ts_recent))) {
		COUNT(e, TCP_PAWS);
		return;
	}
	t = establish(e, l, y, h);
	if (!t)
		return;
	drop(e, y);
	tcp_segment(e, t, in, h, data);
}

bool syn_heard_error(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr,
		     uint16_t rport, const struct tcp_error *error)
{
	struct syn *y = syn_find(e, laddr, lport, raddr, rport);

	/* RFC 5927 4.1: about our SYN-ACK. */
	if (!y || error->seq != y->iss)
		return false;
	/* Nothing is lost by that but a place in the table: who is there after all, asks again. */
	if (!error->too_long) {
		COUNT(e, SYN_UNREACHABLE);
		drop(e, y);
	}
	return true;
}
