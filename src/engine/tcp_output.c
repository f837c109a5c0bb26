// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_output.c - What is sent, and when.
 *
 * A connection that may have something to send is in state.tcp_out. When the
 * device takes a frame, tcp_frame() asks the first of them: choose() says what
 * it would send now, without changing anything; then the neighbour is looked
 * up; then the segment is made, and the connection goes to the end of the
 * list. So nothing is queued behind the device: an ACK is as new as can be,
 * and connections take turns.
 */
#include <errno.h>

#include "engine/neigh.h"
#include "engine/pkt.h"
#include "engine/tcp_parts.h"
#include "wire/checksum.h"

/* Of a segment that the device cuts: as long as IPv4 can say, with all options. */
#define LARGE_BYTES (IPV4_PACKET_MAX - IPV4_HEADER_BYTES - TCP_HEADER_MAX)

enum send_kind { SEND_NOTHING, SEND_SYN, SEND_AGAIN, SEND_NEW, SEND_ACK, SEND_KEEP };

/**
 * struct plan - A segment that could be sent.
 * @seg:   For SEND_AGAIN. @bytes: of data; more than a segment's, where the device cuts it.
 * @fin:   With a FIN behind them.
 * @probe: It is the loss probe. @rescue: the rescue retransmission.
 */
struct plan {
	enum send_kind kind;
	struct tcp_seg *seg;
	uint32_t bytes;
	bool fin, probe, rescue;
};

/* The position of a sequence number in the send ring; snd_base is that of snd_una. */
static uint64_t position(const struct tcp *t, uint32_t seq)
{
	return t->snd_base + (seq - t->snd_una);
}

uint32_t tcp_unsent(const struct tcp *t)
{
	if (t->state < TCP_SYN_RECEIVED || t->fin_sent || !t->snd_tail)
		return 0;
	return (uint32_t)(t->snd_tail - position(t, t->snd_nxt));
}

uint32_t tcp_data_max(const struct tcp *t)
{
	uint32_t options = t->ts_ok ? 12 : 0;

	/* RFC 9293 3.7.1: without what the options take. */
	if (t->sack_ok && (t->dsack || t->sack_recents))
		options +=
			4 + 8 * min_u32((t->dsack ? 1u : 0u) + t->sack_recents, t->ts_ok ? 3 : 4);
	return t->mss > options + 8 ? t->mss - options : 8;
}

/* ------------------------------------------------------------ what */

static struct tcp_seg *first_waiting(const struct engine *e, const struct tcp *t)
{
	struct tcp_seg *s = t->wait_bytes ? seg_first(e, t) : NULL;

	while (s && (s->flags & (SEG_LOST | SEG_RETRANS)) != SEG_LOST)
		s = seg_next(e, s);
	return s;
}

static bool choose_again(const struct engine *e, struct tcp *t, struct plan *p)
{
	struct tcp_seg *s;

	if (t->rto_pending) {
		s = seg_first(e, t);
		if (s) {
			*p = (struct plan){.kind = SEND_AGAIN, .seg = s};
			return true;
		}
	}
	/* RFC 5682 2.1, step 2b: new data first. */
	if (t->frto == FRTO_NEW)
		return false;
	s = first_waiting(e, t);
	if (s && pace_holds(e, t))
		return false;
	/* One segment may always be out: else nothing would ever come back. */
	if (!s || (tcp_pipe(t) && tcp_pipe(t) + min_u32(seg_bytes(s), t->mss) > t->cwnd))
		return false;
	*p = (struct plan){.kind = SEND_AGAIN, .seg = s};
	return true;
}

/* RFC 9293 3.8.6.2.1 (SWS avoidance) with 3.7.4 (Nagle): may a segment of @bytes go that is not
 * full? */
static bool small_may_go(const struct tcp *t, uint32_t bytes, uint32_t unsent, bool fin)
{
	if (t->force || urgent_unsent(t))
		return true;
	if (bytes == unsent) { /* (2), (3): all there is */
		if (fin)
			return true;
		if (t->cork || t->more)
			return false;
		/* Minshall's rule for Nagle's: one small segment in flight, not one behind full
		 * ones, whose ACK might be delayed for want of it. */
		return t->nodelay || seq_leq(t->snd_sml, t->snd_una) ||
		       seq_gt(t->snd_sml, t->snd_nxt);
	}
	return bytes >= t->max_wnd / 2 && bytes; /* (3) */
}

/* Octets of the most that may go as one to be cut by the device: whole segments. */
static uint32_t large_max(const struct engine *e, const struct tcp *t, uint32_t max)
{
	uint64_t rate = pace_rate(t), most = LARGE_BYTES;

	if (!(e->s->config.offload & ENGINE_OFFLOAD_TSO) || t->probe_pending ||
	    ip_interface(t->next_hop) != ENGINE_DEVICE ||
	    /* The pointer would be copied into each, and counts from each. */
	    urgent_unsent(t))
		return max;
	/* What is paced goes in small pieces: a millisecond's. */
	if (rate != PACE_NONE)
		most = min_u64(most, rate / 1000);
	return max_u32((uint32_t)most / max, 1) * max;
}

/* More than the one full segment that may go: as many as may. */
static uint32_t enlarge(const struct engine *e, const struct tcp *t, uint32_t max, uint32_t room,
			uint32_t unsent)
{
	uint32_t most = min_u32(min_u32(large_max(e, t, max), room), t->cwnd - tcp_pipe(t));

	/* The last, not full one goes with them where it need not wait. */
	if (unsent <= most &&
	    small_may_go(t, unsent % max, unsent % max, t->fin_wanted && unsent < room))
		return unsent;
	return max_u32(min_u32(most, unsent) / max, 1) * max;
}

static bool choose_new(const struct engine *e, struct tcp *t, struct plan *p)
{
	uint32_t unsent = tcp_unsent(t);
	uint32_t max = tcp_data_max(t);
	uint32_t used = t->snd_nxt - t->snd_una;
	uint32_t room = sat_sub_u32(t->snd_wnd, used);
	uint32_t pipe = tcp_pipe(t);
	uint32_t bytes;
	bool fin = t->fin_wanted && !t->fin_sent;

	if (!unsent && !fin)
		return false;
	if (t->persist && t->rto_pending && t->sent.head == NIL) {
		/* RFC 9293 3.8.6.1: an octet into a closed window. */
		*p = (struct plan){.kind = SEND_NEW, .bytes = unsent ? 1 : 0, .fin = !unsent};
		return true;
	}
	bytes = min_u32(min_u32(unsent, max), room);
	if (!room || (!t->probe_pending && pace_holds(e, t)))
		return false;
	/* Congestion: whole segments, but one that is all there is may be less; and one may always
	 * be out: the MSS may have grown beyond a window that was one segment. A FIN alone is no
	 * load (RFC 5681 is about data). */
	if (pipe && bytes && pipe + bytes > t->cwnd && !t->probe_pending) {
		t->cwnd_limited = true;
		return false;
	}
	if (bytes == max && !t->probe_pending)
		bytes = enlarge(e, t, max, room, unsent);
	fin = fin && bytes == unsent && bytes < room;
	if (!bytes && !fin)
		return false;
	if (bytes < max && !t->probe_pending && !small_may_go(t, bytes, unsent, fin))
		return false;
	*p = (struct plan){.kind = SEND_NEW, .bytes = bytes, .fin = fin};
	return true;
}

static struct plan choose(struct engine *e, struct tcp *t)
{
	struct plan p = {.kind = SEND_NOTHING};

	switch (t->state) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
		if (t->sent.head == NIL || t->rto_pending)
			p.kind = SEND_SYN;
		else if (t->ack_now && t->state == TCP_SYN_RECEIVED)
			p.kind = SEND_ACK; /* both opened at once: to the other's SYN that came
					      again */
		return p;
	case TCP_CLOSED:
	case TCP_LISTEN:
		return p;
	default:
		break;
	}
	if (choose_again(e, t, &p))
		return p;
	if (choose_new(e, t, &p)) {
		p.probe = t->probe_pending;
		return p;
	}
	/* Rule 4 only where there is nothing new, or no room for it in the peer's window. */
	if (t->recovery == TCP_RECOVERY &&
	    (!tcp_unsent(t) || t->snd_wnd <= t->snd_nxt - t->snd_una)) {
		p.seg = recovery_rescue(e, t);
		if (p.seg) {
			p.kind = SEND_AGAIN;
			p.rescue = true;
			return p;
		}
	}
	if (t->probe_pending && seg_last(e, t)) {
		p = (struct plan){.kind = SEND_AGAIN, .seg = seg_last(e, t), .probe = true};
		return p;
	}
	if (t->ack_now)
		p.kind = SEND_ACK;
	else if (t->keep_pending)
		p.kind = SEND_KEEP;
	return p;
}

/* Nothing to send now. Something held back has a timer that frees it. */
static void rest(struct engine *e, struct tcp *t)
{
	t->probe_pending = false;
	t->rto_pending = false;
	t->force = false;
	if (pace_rest(e, t))
		return;
	if (t->state < TCP_ESTABLISHED || t->timer_ns[TCP_TIMER_RTO] || t->sent.head != NIL)
		return;
	if (!tcp_unsent(t) && !(t->fin_wanted && !t->fin_sent))
		return;
	if (t->snd_wnd == 0) {
		t->persist = true;
		rto_arm(e, t);
	} else {
		timer_set(e, t, TCP_TIMER_RTO, e->s->now_ns + TCP_OVERRIDE_NS);
	}
}

/* ------------------------------------------------------------ the window */

uint32_t tcp_window_now(const struct tcp *t)
{
	return seq_gt(t->rcv_adv, t->rcv_nxt) ? t->rcv_adv - t->rcv_nxt : 0;
}

uint32_t tcp_window_could(const struct tcp *t)
{
	uint32_t held = (uint32_t)(t->rcv_tail - t->rcv_head);
	/* And no more than the field can say. */
	uint32_t most =
		min_u32(sat_sub_u32(t->rcvbuf, held), (uint32_t)UINT16_MAX << t->rcv_wscale);

	return sat_sub_u32(most, tcp_window_now(t));
}

uint16_t tcp_window(struct tcp *t)
{
	uint32_t now = tcp_window_now(t);
	uint32_t could = tcp_window_could(t);
	uint32_t wnd = now;
	uint32_t field;

	/* RFC 9293 3.8.6.2.2: the right edge moves by a segment, or half of the buffer, or not. */
	if (could >= min_u32(t->rcvbuf / 2, t->mss))
		wnd = now + could;
	field = wnd >> t->rcv_wscale;
	/* SHLD-14: nor does rounding take back what was offered. */
	if ((field << t->rcv_wscale) < now)
		field++;
	field = min_u32(field, UINT16_MAX);
	t->rcv_adv = seq_max(t->rcv_adv, t->rcv_nxt + (field << t->rcv_wscale));
	return (uint16_t)field;
}

/* ------------------------------------------------------------ segments */

static void syn_header(struct engine *e, struct tcp *t, struct tcp_header *h)
{
	bool passive = t->state == TCP_SYN_RECEIVED;

	h->seq = t->iss;
	h->flags = TCP_SYN | (passive ? TCP_ACK : 0);
	/* RFC 7323 2.2: not scaled; 1.3: answered only where it was offered. */
	h->window = (uint16_t)min_u32(t->rcvbuf, UINT16_MAX);
	if (!passive)
		t->rcv_adv = h->window; /* from wherever the peer begins */
	h->has = TCP_HAS_MSS;		/* RFC 9293 3.7.1, MUST-14 */
	h->mss = tcp_offered_mss(e, t->user_mss);
	h->wscale = t->rcv_wscale;
	h->has |= !passive || t->wscale_ok ? TCP_HAS_WSCALE : 0;
	h->has |= !passive || t->sack_ok ? TCP_HAS_SACK_OK : 0;
	h->has |= (!passive && !e->s->config.no_timestamps) || t->ts_ok ? TCP_HAS_TS : 0;
}

static void stamp(const struct engine *e, const struct tcp *t, struct tcp_header *h)
{
	h->ts_value = tcp_ts_now(e, t->ts_offset);
	h->ts_echo = h->flags & TCP_ACK ? t->ts_recent : 0;
}

/* What is due with every segment that carries an ACK. */
static void ack_said(struct tcp *t)
{
	t->ack_now = t->dup_acks > 0;
	t->dup_acks -= t->ack_now;
	t->unacked_segs = 0;
	t->dsack = false;
	t->last_ack_sent = t->rcv_nxt;
	timer_cancel(t, TCP_TIMER_DELACK);
	if (t->quick)
		t->quick--;
}

static void fill(struct engine *e, struct tcp *t, struct tcp_header *h)
{
	h->sport = t->lport;
	h->dport = t->rport;
	if (h->flags & TCP_SYN) {
		h->ack = h->flags & TCP_ACK ? t->rcv_nxt : 0;
	} else {
		h->flags |= TCP_ACK;
		h->ack = t->rcv_nxt;
		h->window = tcp_window(t);
		h->has = t->ts_ok ? TCP_HAS_TS : 0;
		if (t->sack_ok)
			ooo_sack(e, t, h, t->ts_ok ? 3 : 4);
		urgent_stamp(t, h);
	}
	stamp(e, t, h);
}

/* Header, then the data as slices of the ring. */
static void build(struct engine *e, struct tcp *t, struct tcp_header *h, uint32_t bytes,
		  uint32_t max, const uint8_t mac[6], struct engine_frame *f)
{
	struct emit out = emit_to(f->header, sizeof(f->header));
	struct ipv4 ip = {
		.src = t->laddr,
		.dst = t->raddr,
		.proto = IPV4_PROTO_TCP,
		.ttl = t->ttl,
		.tos = t->tos,
		.df = t->pmtu_discover,
	};
	const uint8_t *at[2];
	size_t n[2];
	unsigned pieces = 0;
	uint64_t sum = 0;

	if (bytes) {
		uint32_t ring = keep_frame(e, t, position(t, h->seq), bytes, f);

		if (ring)
			pieces = ring_slice(e, &t->snd, position(t, h->seq), ring, at, n);
	}
	ip.total_bytes = (uint16_t)(IPV4_HEADER_BYTES + tcp_header_size(h) + bytes);
	if (!ip.df)
		ip.id = ip_id(e); /* RFC 6864 4.1: of no meaning with DF */
	ip_header(e, &out, mac, &ip);
	f->pieces = 1;
	f->interface = ip_interface(t->next_hop);
	f->offload = (struct engine_offload){0};
	if (bytes && f->interface == ENGINE_DEVICE && e->s->config.offload & ENGINE_OFFLOAD_SUM) {
		f->offload.sum_start = (uint16_t)emit_bytes(&out);
		f->offload.sum_offset = TCP_SUM_OFFSET;
		f->offload.cut_bytes = bytes > max ? (uint16_t)max : 0;
		tcp_emit_partial(&out, h, t->laddr, t->raddr, bytes);
	} else {
		for (unsigned i = 0; i < pieces; i++)
			sum = checksum_add_at(sum, at[i], n[i], i ? n[0] : 0);
		tcp_emit(&out, h, t->laddr, t->raddr, sum, bytes);
	}
	f->piece[0] = (struct engine_piece){.at = f->header, .bytes = emit_bytes(&out)};
	f->bytes = (uint32_t)(emit_bytes(&out) + bytes);
	for (unsigned i = 0; i < pieces; i++)
		f->piece[f->pieces++] = (struct engine_piece){.at = at[i], .bytes = n[i]};
	t->segs_out += bytes > max ? (bytes - 1) / max + 1 : 1;
	COUNT(e, TCP_OUT);
}

/* Return: false: the book is full. */
static bool do_syn(struct engine *e, struct tcp *t, struct tcp_header *h)
{
	struct tcp_seg *s = seg_first(e, t);

	syn_header(e, t, h);
	if (!s) {
		if (!seg_new(e, t, t->iss, t->iss + 1, SEG_SYN))
			return false;
		t->snd_nxt = t->iss + 1;
		t->stalled_ns = e->s->now_ns;
		rto_arm(e, t);
	} else {
		seg_resent(e, t, s);
		t->segs_retrans++;
	}
	return true;
}

/* RFC 9293 3.9.1, MUST-61: PSH on the last of what there is, unless the user said that more comes.
 */
static bool pushes(const struct tcp *t, const struct plan *p)
{
	return p->bytes && p->bytes == tcp_unsent(t) && t->snd_push == t->snd_tail;
}

/* Each segment that the device cuts is one of the book's; what there is no room for stays unsent.
 * Return: false: there is none for the first. */
static bool note_new(struct engine *e, struct tcp *t, struct plan *p, uint32_t max)
{
	bool push = pushes(t, p);
	uint32_t noted = 0;

	do {
		uint32_t part = min_u32(p->bytes - noted, max), seq = t->snd_nxt + noted;
		bool last = noted + part == p->bytes, fin = p->fin && last;
		unsigned flags = (fin ? SEG_FIN : 0) | (push && last ? SEG_PUSH : 0);

		if (!seg_new(e, t, seq, seq + part + fin, (uint8_t)flags)) {
			p->bytes = noted;
			p->fin = false;
			return noted != 0;
		}
		noted += part;
	} while (noted < p->bytes);
	return true;
}

static bool do_new(struct engine *e, struct tcp *t, struct plan *p, struct tcp_header *h)
{
	uint32_t max = tcp_data_max(t), end;
	bool push;

	cc_idle(e, t);
	h->seq = t->snd_nxt;
	if (!note_new(e, t, p, max))
		return false;
	push = pushes(t, p);
	end = t->snd_nxt + p->bytes + (p->fin ? 1 : 0);
	if (t->snd_una == t->snd_nxt || !t->stalled_ns)
		t->stalled_ns = e->s->now_ns;
	t->snd_nxt = end;
	if (!t->rate_ns)
		rate_begin(e, t);
	t->fin_sent |= p->fin;
	h->flags |= push ? TCP_PSH : 0;
	h->flags |= p->fin ? TCP_FIN : 0;
	t->prr_out += p->bytes;
	t->sum_sent += p->bytes;
	t->sent_ns = e->s->now_ns;
	if (p->bytes % max)
		t->snd_sml = end;
	if (tcp_pipe(t) > t->used || seq_geq(t->snd_una, t->used_end)) {
		t->used = tcp_pipe(t);
		t->used_end = end;
	}
	if (!t->timer_ns[TCP_TIMER_RTO] || p->probe)
		rto_arm(e, t); /* RFC 6298 5.1 */
	if (p->probe) {
		t->tlp_out = true;
		t->tlp_retrans = false;
		t->tlp_end = t->snd_nxt;
		t->tlps++;
		COUNT(e, TCP_TLP);
	}
	tlp_arm(e, t);
	tcp_tell_room(e, t);
	return true;
}

static bool do_again(struct engine *e, struct tcp *t, struct plan *p, struct tcp_header *h)
{
	struct tcp_seg *s = p->seg;
	bool fin = s->flags & SEG_FIN;
	uint32_t bytes = seg_bytes(s) - fin;

	/* The path's MTU may have shrunk, and options may need room that they did not. */
	if (bytes > tcp_data_max(t)) {
		if (!seg_split(e, t, s, tcp_data_max(t)))
			return false;
		fin = false;
		bytes = seg_bytes(s);
	}
	if (t->recovery != TCP_OPEN && !t->undo_retrans)
		t->undo_ts = tcp_ts_now(e, t->ts_offset);
	seg_resent(e, t, s);
	p->bytes = bytes;
	h->seq = s->seq;
	h->flags |= fin ? TCP_FIN : 0;
	h->flags |= s->flags & SEG_PUSH ? TCP_PSH : 0;
	t->segs_retrans++;
	t->sum_retrans += bytes;
	t->prr_out += bytes;
	t->undo_retrans++;
	t->rescued |= p->rescue;
	COUNT(e, TCP_RETRANS);
	if (!t->timer_ns[TCP_TIMER_RTO] || p->probe)
		rto_arm(e, t);
	if (p->probe) {
		t->tlp_out = true;
		t->tlp_retrans = true;
		t->tlp_end = t->snd_nxt;
		t->tlps++;
		COUNT(e, TCP_TLP);
	}
	return true;
}

/* Change the connection as if the segment had gone. Return: false: it cannot go. */
static bool commit(struct engine *e, struct tcp *t, struct plan *p, struct tcp_header *h)
{
	bool ok = true;

	switch (p->kind) {
	case SEND_SYN:
		ok = do_syn(e, t, h);
		break;
	case SEND_NEW:
		ok = do_new(e, t, p, h);
		break;
	case SEND_AGAIN:
		ok = do_again(e, t, p, h);
		break;
	case SEND_KEEP:
		/* RFC 9293 3.8.4: an old sequence number, which has to be answered. */
		h->seq = t->snd_nxt - 1;
		t->keep_pending = false;
		break;
	default:
		h->seq = t->snd_nxt;
		break;
	}
	if (!ok) {
		COUNT(e, TCP_NO_ROOM);
		return false;
	}
	t->rto_pending = false;
	t->probe_pending = false;
	t->force = false;
	return true;
}

static void off_list(struct engine *e, struct tcp *t)
{
	ilist_remove(&e->s->tcp_out, tcp_out_links(e), TCP_INDEX(e, t));
}

bool tcp_frame(struct engine *e, struct engine_frame *f)
{
	struct tcp *t = &e->tcp[e->s->tcp_out.head];
	struct plan p = choose(e, t);
	struct tcp_header h = {0};
	uint32_t max;
	uint8_t mac[6];

	off_list(e, t);
	if (p.kind == SEND_NOTHING) {
		rest(e, t);
		return false;
	}
	if (t->route_change != e->s->route_change) {
		if (tcp_route(e, t) != 0) {
			/* No way there now: as if it had been lost on the way. */
			timer_not_sent(e, t, ENETUNREACH);
			return false;
		}
		/* The new way may take less in a segment. */
		p = choose(e, t);
		if (p.kind == SEND_NOTHING) {
			rest(e, t);
			return false;
		}
	}
	if (neigh_resolve(e, t->next_hop, &t->neigh, mac) != 0) {
		ilist_push(&e->s->arp_wait, tcp_out_links(e), TCP_INDEX(e, t));
		t->arp_waits = true;
		return false;
	}
	max = tcp_data_max(t);
	if (!commit(e, t, &p, &h)) {
		/* The book is full: others' ACKs will empty it. */
		if (!t->timer_ns[TCP_TIMER_RTO])
			timer_set(e, t, TCP_TIMER_RTO, e->s->now_ns + TCP_OVERRIDE_NS);
		return false;
	}
	if (p.bytes)
		pace_sent(e, t, p.bytes);
	fill(e, t, &h);
	build(e, t, &h, p.bytes, max, mac, f);
	ack_said(t);
	ilist_push(&e->s->tcp_out, tcp_out_links(e), TCP_INDEX(e, t));
	return true;
}

/* ------------------------------------------------------------ without a connection's help */

void tcp_reply(struct engine *e, uint32_t laddr, uint32_t raddr, const struct tcp_header *h)
{
	uint8_t octets[TCP_HEADER_MAX];
	struct emit out = emit_to(octets, sizeof(octets));
	struct pkt *p;

	tcp_emit(&out, h, laddr, raddr, 0, 0);
	p = pkt_new(e, emit_bytes(&out));
	if (!p) {
		COUNT(e, TCP_NO_ROOM);
		return;
	}
	pkt_write(e, p, 0, octets, emit_bytes(&out));
	p->src = laddr;
	p->dst = raddr;
	p->proto = IPV4_PROTO_TCP;
	p->df = true;
	COUNT(e, TCP_OUT);
	(void)ip_send(e, p);
}

void tcp_refuse(struct engine *e, const struct ip_in *in, const struct tcp_header *h, size_t bytes)
{
	struct tcp_header r = {.sport = h->dport, .dport = h->sport, .flags = TCP_RST};

	/* RFC 9293 3.10.7.1: never to a RST. */
	if (h->flags & TCP_RST)
		return;
	if (h->flags & TCP_ACK) {
		r.seq = h->ack;
	} else {
		r.flags |= TCP_ACK;
		r.ack = h->seq + (uint32_t)bytes + ((h->flags & TCP_SYN) ? 1 : 0) +
			((h->flags & TCP_FIN) ? 1 : 0);
	}
	COUNT(e, TCP_RST_OUT);
	tcp_reply(e, in->dst, in->src, &r);
}

void tcp_send_rst(struct engine *e, struct tcp *t)
{
	struct tcp_header r = {
		.sport = t->lport,
		.dport = t->rport,
		.seq = t->snd_nxt,
		.ack = t->rcv_nxt,
		.flags = TCP_RST | TCP_ACK,
	};

	/* RFC 7323 3.2: on a connection that has them, with timestamps. */
	if (t->ts_ok) {
		r.has = TCP_HAS_TS;
		stamp(e, t, &r);
	}
	COUNT(e, TCP_RST_OUT);
	tcp_reply(e, t->laddr, t->raddr, &r);
}
