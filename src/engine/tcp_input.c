// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_input.c - SEGMENT ARRIVES: RFC 9293 3.10.7, in its order of checks.
 */
#include <errno.h>

#include "engine/sock.h"
#include "engine/tcp_parts.h"

#define CHALLENGES 10u /* RFC 5961 7: in CHALLENGE_NS, a connection */
#define CHALLENGE_NS (5 * NS_SEC)
#define OOW_NS (500 * NS_MSEC)
#define PAWS_AGE_NS (24ull * 86400 * NS_SEC) /* RFC 7323 5.5 */
#define QUICK_START 8u

void tcp_challenge(struct engine *e, struct tcp *t)
{
	if (e->s->now_ns - t->challenge_ns >= CHALLENGE_NS || !t->challenges) {
		t->challenge_ns = e->s->now_ns;
		t->challenges = 0;
	}
	if (t->challenges++ >= CHALLENGES) {
		COUNT(e, TCP_CHALLENGE_LIMITED);
		return;
	}
	COUNT(e, TCP_CHALLENGE);
	t->ack_now = true;
	tcp_wake(e, t);
}

static uint32_t rcv_window(const struct tcp *t)
{
	return seq_gt(t->rcv_adv, t->rcv_nxt) ? t->rcv_adv - t->rcv_nxt : 0;
}

/* 3.4, table 6: is [seq, seq + len) at all in the window? */
static bool is_acceptable(const struct tcp *t, uint32_t seq, uint32_t len)
{
	uint32_t wnd = rcv_window(t);
	uint32_t last = seq + len - 1;

	/* Right behind the window, too, which the table has not: so looks each ACK of a peer that
	 * has filled it, and of whose data something was lost. */
	if (len == 0)
		return seq_geq(seq, t->rcv_nxt) && seq_leq(seq, t->rcv_nxt + wnd);
	if (wnd == 0)
		return false;
	return (seq_geq(seq, t->rcv_nxt) && seq_lt(seq, t->rcv_nxt + wnd)) ||
	       (seq_geq(last, t->rcv_nxt) && seq_lt(last, t->rcv_nxt + wnd)) ||
	       /* or all around it, which the table forgets */
	       (seq_lt(seq, t->rcv_nxt) && seq_geq(last, t->rcv_nxt + wnd));
}

/* RFC 7323 5.3, R1 */
static bool is_old_duplicate(const struct engine *e, const struct tcp *t,
			     const struct tcp_header *h)
{
	return t->ts_ok && (h->has & TCP_HAS_TS) && seq_lt(h->ts_value, t->ts_recent) &&
	       e->s->now_ns - t->ts_recent_ns < PAWS_AGE_NS;
}

/* Something that is not acceptable: answered with an ACK, but not each of a flood of them. */
static void answer_unacceptable(struct engine *e, struct tcp *t, const struct tcp_header *h,
				uint32_t len)
{
	if (h->flags & TCP_RST)
		return;
	/* All of it was received before: the ACK says so (RFC 2883 4). */
	if (t->sack_ok && len && seq_leq(h->seq + len, t->rcv_nxt)) {
		t->dsack = true;
		t->dsack_start = h->seq;
		t->dsack_end = h->seq + len;
	}
	if (len == 0) {
		/* Without data it may be the answer to an ACK of ours: no dialogue of those. */
		if (t->oow_ns && e->s->now_ns - t->oow_ns < OOW_NS)
			return;
		t->oow_ns = e->s->now_ns;
	}
	t->ack_now = true;
	tcp_wake(e, t);
}

/* ------------------------------------------------------------ data */

/* Room in the ring for all up to @position. */
static bool ring_has(struct engine *e, struct tcp *t, uint64_t position)
{
	uint64_t end = t->rcv_tail + (ooo_highest(e, t) - t->rcv_nxt);
	uint64_t need = position - t->rcv_head;

	if (need <= t->rcv.bytes)
		return true;
	/* Generously, so that it is not copied often; what there is, where there is less. */
	if (need * 2 <= t->rcvbuf && ring_grow(e, &t->rcv, need * 2, t->rcv_head, end))
		return true;
	return ring_grow(e, &t->rcv, need, t->rcv_head, end);
}

/* More is read in a round trip than half of what the buffer lets come: twice the buffer. */
static void tune(struct engine *e, struct tcp *t)
{
	uint64_t rtt_ns = NS_USEC * (uint64_t)max_u32(t->srtt_us, 1000);

	if (t->rcvbuf_fixed || e->s->now_ns - t->tune_ns < rtt_ns)
		return;
	if (t->tune_ns && (t->rcv_tail - t->tune_head) * 2 > t->rcvbuf)
		t->rcvbuf = min_u32(sat_mul_u32(t->rcvbuf, 2), t->rcvbuf_max);
	t->tune_ns = e->s->now_ns;
	t->tune_head = t->rcv_tail;
}

/* Octets at or behind rcv_nxt. Return: false: there was no room, they count as lost. */
static bool take_data(struct engine *e, struct tcp *t, uint32_t seq, const uint8_t *octets,
		      uint32_t bytes)
{
	uint32_t ahead = seq - t->rcv_nxt;
	bool dup = false;

	if (!ring_has(e, t, t->rcv_tail + ahead + bytes)) {
		COUNT(e, TCP_RING_FULL);
		return false;
	}
	if (ahead) {
		if (!ooo_insert(e, t, seq, seq + bytes, &dup)) {
			COUNT(e, TCP_OOO_FULL);
			return false;
		}
		if (dup && t->sack_ok) {
			t->dsack = true;
			t->dsack_start = seq;
			t->dsack_end = seq + bytes;
		}
		if (!dup)
			ring_put(e, &t->rcv, t->rcv_tail + ahead, octets, bytes);
		/* RFC 5681 4.2: at once. Each one: without SACK it is by their number that the
		 * sender learns of the loss. */
		if (t->ack_now && !t->sack_ok && t->dup_acks < UINT8_MAX)
			t->dup_acks++;
		t->ack_now = true;
		return true;
	}
	if (!lend_data(e, t, octets, bytes))
		ring_put(e, &t->rcv, t->rcv_tail, octets, bytes);
	t->rcv_nxt += bytes;
	t->dup_acks = 0;
	if (t->ooo != NIL) {
		bytes += ooo_absorb(e, t);
		t->ack_now = true; /* it fills a gap */
	}
	t->rcv_tail += bytes;
	t->sum_received += bytes;
	tcp_tell(e, t, ENGINE_READABLE);
	tune(e, t);
	return true;
}

bool tcp_is_next(struct engine *e, struct tcp *t, const struct tcp_header *h, uint32_t bytes)
{
	/* As tcp_segment() asks them. */
	return bytes && (h->flags & ~TCP_PSH) == TCP_ACK && t->ts_ok == !!(h->has & TCP_HAS_TS) &&
	       !is_old_duplicate(e, t, h) && h->seq == t->rcv_nxt && bytes <= tcp_window_now(t) &&
	       seq_leq(h->ack, t->snd_nxt) && seq_geq(h->ack, t->snd_una - t->max_wnd) &&
	       ring_has(e, t, t->rcv_tail + bytes);
}

/* RFC 9293 3.8.6.3: every second full segment at least, and within TCP_DELACK_NS. */
static void ack_later(struct engine *e, struct tcp *t, uint32_t bytes)
{
	t->rcv_mss = max_u32(t->rcv_mss, min_u32(bytes, t->mss));
	t->unacked_segs++;
	if (t->quick || t->quickack || t->unacked_segs >= 2 ||
	    t->rcv_nxt - t->last_ack_sent >= 2 * t->rcv_mss)
		t->ack_now = true;
	else if (!t->timer_ns[TCP_TIMER_DELACK])
		timer_set(e, t, TCP_TIMER_DELACK, e->s->now_ns + TCP_DELACK_NS);
}

/* Seventh. @fin: the segment has one, behind the data. Return: is the FIN's turn? */
static bool process_data(struct engine *e, struct tcp *t, uint32_t seq, struct cursor data,
			 bool *fin)
{
	uint32_t bytes = (uint32_t)cursor_left(&data);
	uint32_t edge = t->rcv_nxt + rcv_window(t);

	/* What was received already, in front. */
	if (bytes && seq_lt(seq, t->rcv_nxt)) {
		uint32_t old = min_u32(t->rcv_nxt - seq, bytes);

		if (t->sack_ok) {
			t->dsack = true;
			t->dsack_start = seq;
			t->dsack_end = seq + old;
		}
		t->ack_now = true;
		cursor_skip(&data, old);
		seq += old;
		bytes -= old;
	}
	/* What is beyond the window, behind; the FIN with it. */
	if (bytes && seq_gt(seq + bytes, edge)) {
		bytes = seq_lt(seq, edge) ? edge - seq : 0;
		*fin = false;
	}
	if (bytes && t->fin_received)
		return false; /* behind the end of the stream */
	if (bytes) {
		bool in_order = seq == t->rcv_nxt;

		if (!take_data(e, t, seq, data.at, bytes)) {
			*fin = false;
			t->ack_now = true;
			return false;
		}
		if (in_order)
			ack_later(e, t, bytes);
		seq += bytes;
	}
	/* A FIN behind a gap is not remembered: its sender sends it again. */
	return *fin && seq == t->rcv_nxt && !t->fin_received;
}

/* Eighth */
static void process_fin(struct engine *e, struct tcp *t)
{
	t->fin_received = true;
	t->rcv_nxt++;
	t->ack_now = true;
	ooo_drop(e, t); /* whatever was behind it is nonsense */
	tcp_tell(e, t, ENGINE_READABLE);
	switch (t->state) {
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
		t->state = TCP_CLOSE_WAIT;
		break;
	case TCP_FIN_WAIT_1:
		if (t->fin_acked)
			tcp_time_wait(e, t);
		else
			t->state = TCP_CLOSING;
		break;
	case TCP_FIN_WAIT_2:
		tcp_time_wait(e, t);
		break;
	default:
		break;
	}
}

/* ------------------------------------------------------------ ACK */

/* Our FIN is acknowledged. Return: false: the connection is no more. */
static bool process_fin_acked(struct engine *e, struct tcp *t)
{
	switch (t->state) {
	case TCP_FIN_WAIT_1:
		t->state = TCP_FIN_WAIT_2;
		tcp_tell(e, t, ENGINE_WRITABLE);
		if (t->sock == NIL)
			timer_set(e, t, TCP_TIMER_END, e->s->now_ns + TCP_FIN2_NS);
		break;
	case TCP_CLOSING:
		tcp_time_wait(e, t);
		break;
	case TCP_LAST_ACK:
		tcp_done(e, t, 0);
		return false;
	default:
		break;
	}
	return true;
}

/* Fifth. Return: false: the segment goes no further. */
static bool process_ack(struct engine *e, struct tcp *t, const struct ip_in *in,
			const struct tcp_header *h, uint32_t bytes)
{
	bool fin_was_acked = t->fin_acked;

	if (t->state == TCP_SYN_RECEIVED) {
		if (!(seq_lt(t->snd_una, h->ack) && seq_leq(h->ack, t->snd_nxt))) {
			tcp_refuse(e, in, h, bytes);
			return false;
		}
		t->state = TCP_ESTABLISHED;
		t->snd_wnd = (uint32_t)h->window << t->snd_wscale;
		t->max_wnd = t->snd_wnd;
		t->snd_wl1 = h->seq;
		t->snd_wl2 = h->ack;
		tcp_tell(e, t, ENGINE_WRITABLE);
		keep_arm(e, t);
	}
	/* RFC 5961 5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT, else a challenge. */
	if (seq_gt(h->ack, t->snd_nxt) || seq_lt(h->ack, t->snd_una - t->max_wnd)) {
		COUNT(e, TCP_BAD_ACK);
		tcp_challenge(e, t);
		return false;
	}
	tcp_ack(e, t, h, bytes);
	if (t->fin_acked && !fin_was_acked)
		return process_fin_acked(e, t);
	return true;
}

/* RFC 7323 4.3 (2): from the segment that the next ACK answers. */
static void update_ts_recent(const struct engine *e, struct tcp *t, const struct tcp_header *h)
{
	if (t->ts_ok && (h->has & TCP_HAS_TS) && seq_geq(h->ts_value, t->ts_recent) &&
	    seq_leq(h->seq, t->last_ack_sent)) {
		t->ts_recent = h->ts_value;
		t->ts_recent_ns = e->s->now_ns;
	}
}

/* First: the sequence number. Return: false: the segment goes no further. */
static bool check_sequence(struct engine *e, struct tcp *t, const struct tcp_header *h,
			   uint32_t len)
{
	/* RFC 7323 3.2: without the option that all have to have. */
	if (t->ts_ok && !(h->has & TCP_HAS_TS) && !(h->flags & TCP_RST)) {
		COUNT(e, TCP_PAWS);
		return false;
	}
	if (!(h->flags & TCP_RST) && is_old_duplicate(e, t, h)) {
		COUNT(e, TCP_PAWS);
		answer_unacceptable(e, t, h, len);
		return false;
	}
	if (is_acceptable(t, h->seq, len))
		return true;
	COUNT(e, TCP_OUT_OF_WINDOW);
	/* 3.10.7.4: a FIN that comes again in TIME-WAIT restarts it. */
	if (t->state == TCP_TIME_WAIT && !(h->flags & TCP_RST) && (h->flags & TCP_FIN))
		tcp_time_wait(e, t);
	/* 3.10.7.4: with a closed window, ACKs are still believed, and URG. */
	if (rcv_window(t) == 0 && h->seq == t->rcv_nxt && (h->flags & TCP_ACK) &&
	    !(h->flags & (TCP_RST | TCP_SYN)) && seq_leq(h->ack, t->snd_nxt) &&
	    seq_geq(h->ack, t->snd_una - t->max_wnd) && t->state >= TCP_ESTABLISHED) {
		bool fin_was_acked = t->fin_acked;

		urgent_input(e, t, h); /* MUST-66 */
		tcp_ack(e, t, h, len);
		if (t->fin_acked && !fin_was_acked && !process_fin_acked(e, t))
			return false;
	}
	answer_unacceptable(e, t, h, len);
	return false;
}

/* Second: RST (RFC 5961 3.2). Return: false: the segment goes no further. */
static bool check_reset(struct engine *e, struct tcp *t, const struct tcp_header *h)
{
	int error = ECONNRESET;

	if (!(h->flags & TCP_RST))
		return true;
	COUNT(e, TCP_RST_IN);
	if (h->seq != t->rcv_nxt) {
		tcp_challenge(e, t);
		return false;
	}
	if (t->state == TCP_SYN_RECEIVED)
		error = ECONNREFUSED;
	else if (t->state == TCP_CLOSE_WAIT)
		error = EPIPE;
	else if (t->state == TCP_CLOSING || t->state == TCP_LAST_ACK || t->state == TCP_TIME_WAIT)
		error = 0;
	tcp_done(e, t, error);
	return false;
}

void tcp_segment(struct engine *e, struct tcp *t, const struct ip_in *in, struct tcp_header *h,
		 struct cursor data)
{
	uint32_t bytes = (uint32_t)cursor_left(&data);
	bool fin = h->flags & TCP_FIN;
	uint32_t len = bytes + ((h->flags & TCP_SYN) ? 1 : 0) + (fin ? 1 : 0);

	if (!check_sequence(e, t, h, len) || !check_reset(e, t, h))
		return;
	/* Third, security, is gone. Fourth: SYN (RFC 5961 4.2). */
	if (h->flags & TCP_SYN) {
		tcp_challenge(e, t);
		return;
	}
	/* Fifth: ACK */
	if (!(h->flags & TCP_ACK))
		return;
	t->heard_ns = e->s->now_ns;
	t->rcv_tos = in->tos; /* MAY-9 */
	t->keep_probes = 0;
	if (!process_ack(e, t, in, h, bytes))
		return;
	/* Not before: a forged segment would shut out the true ones by its timestamp. */
	update_ts_recent(e, t, h);
	urgent_input(e, t, h); /* sixth */
	if (t->state == TCP_TIME_WAIT) {
		if (fin)
			tcp_time_wait(e, t);
		if (len) {
			t->ack_now = true;
			tcp_wake(e, t);
		}
		return;
	}
	if (t->fin_received) {
		if (len)
			t->ack_now = true; /* it is an old one */
		tcp_wake(e, t);
		return;
	}
	/* 3.6: data for somebody who will never read them are answered with a reset (RFC
	 * 2525 2.17). */
	if (t->sock == NIL && t->listener == NIL && bytes && seq_gt(h->seq + bytes, t->rcv_nxt)) {
		/* With the number that the peer expects, not the one behind what is in flight: RFC
		 * 5961 3.2 has it believe no other. */
		tcp_refuse(e, in, h, bytes);
		tcp_done(e, t, ECONNRESET);
		return;
	}
	if (process_data(e, t, h->seq, data, &fin))
		process_fin(e, t);
	if (t->ack_now)
		tcp_wake(e, t);
}

/* ------------------------------------------------------------ SYN-SENT */

static void take_syn_options(struct engine *e, struct tcp *t, const struct tcp_header *h)
{
	t->irs = h->seq;
	t->rcv_nxt = h->seq + 1;
	t->rcv_adv += t->rcv_nxt; /* the window that our SYN offered */
	t->last_ack_sent = t->rcv_nxt;
	t->peer_mss = (h->has & TCP_HAS_MSS) && h->mss ? h->mss : TCP_MSS_DEFAULT;
	t->sack_ok = h->has & TCP_HAS_SACK_OK;
	t->ts_ok = (h->has & TCP_HAS_TS) && !e->s->config.no_timestamps;
	t->wscale_ok = h->has & TCP_HAS_WSCALE;
	t->snd_wscale = t->wscale_ok ? (uint8_t)min_u32(h->wscale, TCP_WSCALE_MAX) : 0;
	t->rcv_wscale = t->wscale_ok ? t->rcv_wscale : 0;
	if (t->ts_ok) {
		t->ts_recent = h->ts_value;
		t->ts_recent_ns = e->s->now_ns;
	}
	t->snd_wnd = h->window; /* never scaled in a SYN */
	t->max_wnd = t->snd_wnd;
	t->snd_wl1 = h->seq;
	t->snd_wl2 = h->ack;
	t->quick = QUICK_START;
	tcp_sync_mss(e, t);
	cc_start(t);
}

/* 3.10.7.3 */
static void syn_sent(struct engine *e, struct tcp *t, const struct ip_in *in, struct tcp_header *h,
		     struct cursor data)
{
	bool ack_ok = false;
	uint32_t bytes = (uint32_t)cursor_left(&data);

	/* First: ACK */
	if (h->flags & TCP_ACK) {
		if (seq_leq(h->ack, t->iss) || seq_gt(h->ack, t->snd_nxt)) {
			COUNT(e, TCP_BAD_ACK);
			tcp_refuse(e, in, h, bytes);
			return;
		}
		ack_ok = true;
	}
	/* Second: RST. Only one that acknowledges our SYN is believed (RFC 5961 3.2). */
	if (h->flags & TCP_RST) {
		COUNT(e, TCP_RST_IN);
		if (ack_ok)
			tcp_done(e, t, ECONNREFUSED);
		return;
	}
	/* Fourth: SYN */
	if (!(h->flags & TCP_SYN))
		return;
	take_syn_options(e, t, h);
	t->heard_ns = e->s->now_ns;
	if (!ack_ok) {
		/* 3.5: both at once. Our SYN goes again, with an ACK. */
		t->state = TCP_SYN_RECEIVED;
		t->rto_pending = true;
		tcp_wake(e, t);
		return;
	}
	t->state = TCP_ESTABLISHED;
	tcp_ack(e, t, h, bytes);
	t->ack_now = true;
	tcp_tell(e, t, ENGINE_WRITABLE);
	keep_arm(e, t);
	/* 3.10.7.3: data or FIN with it are processed now. */
	if (bytes || (h->flags & TCP_FIN)) {
		bool fin = h->flags & TCP_FIN;

		if (process_data(e, t, h->seq + 1, data, &fin))
			process_fin(e, t);
	}
	tcp_wake(e, t);
}

/* ------------------------------------------------------------ from IP */

/* 3.6.1, MAY-2; RFC 6191: a new connection where the old one waits. Return: the old one is gone. */
static bool reuses_time_wait(struct engine *e, struct tcp *t, const struct tcp_header *h,
			     uint32_t *ret_floor)
{
	bool newer;

	if (t->state != TCP_TIME_WAIT || (h->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	newer = seq_gt(h->seq, t->rcv_nxt);
	if (t->ts_ok && (h->has & TCP_HAS_TS))
		newer = seq_gt(h->ts_value, t->ts_recent) || (h->ts_value == t->ts_recent && newer);
	if (!newer)
		return false;
	*ret_floor = t->snd_nxt;
	COUNT(e, TIME_WAIT_REUSED);
	tcp_done(e, t, 0);
	return true;
}

/* How many there were before the device put them together. */
static uint32_t segments(const struct ip_in *in, size_t bytes)
{
	return in->cut_bytes && bytes ? (uint32_t)((bytes - 1) / in->cut_bytes) + 1 : 1;
}

void tcp_input(struct engine *e, const struct ip_in *in, struct cursor c)
{
	struct cursor whole = c;
	struct tcp_header h;
	enum wire_fault fault = tcp_parse(&c, &h);
	uint32_t floor;
	bool reused = false;
	struct tcp *t;
	struct syn *y;
	struct sock *l;

	COUNT(e, TCP_IN);
	/* MUST-57: never to a broadcast or multicast address. */
	if (!in->unicast) {
		COUNT(e, TCP_NOT_UNICAST);
		return;
	}
	if (fault != WIRE_OK) {
		COUNT_FAULT(e, TCP, fault);
		return;
	}
	if (!in->sum_ok && !tcp_sum_ok(&whole, in->src, in->dst)) { /* MUST-3 */
		COUNT(e, TCP_CHECKSUM);
		return;
	}
	t = tcp_find(e, in->dst, h.dport, in->src, h.sport);
	if (t && reuses_time_wait(e, t, &h, &floor)) {
		reused = true;
		t = NULL;
	}
	if (t) {
		t->segs_in += segments(in, cursor_left(&c));
		if (t->state == TCP_SYN_SENT)
			syn_sent(e, t, in, &h, c);
		else
			tcp_segment(e, t, in, &h, c);
		return;
	}
	y = syn_find(e, in->dst, h.dport, in->src, h.sport);
	if (y) {
		syn_input(e, y, in, &h, c);
		return;
	}
	l = sock_find(e, SOCK_TCP, in->dst, h.dport, in->src, h.sport);
	if (l) {
		syn_listen(e, l, in, &h, c, reused ? &floor : NULL);
		return;
	}
	COUNT(e, TCP_NO_CONNECTION);
	tcp_refuse(e, in, &h, cursor_left(&c));
}
