/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_info.c - What the kernel says of a connection over loopback in the same
 * state, with the figures of this one in place of its own.
 *
 * Bytes are counted exactly. Acknowledged is what fits the peer's receive buffer,
 * as on loopback. Segments are as many as the bytes would fill. A round trip takes
 * less than the least that can be told, 1 us. When data last came or went is not
 * noted, as that would cost a look at the clock each time: these times are since
 * that was first seen in an answer of ours.
 *
 * Who finds no room looks at the clock, as he is about to wait. So the times of being
 * limited are measured: by the window where the peer's receive buffer is full, else
 * by the send buffer. All that fits is acknowledged at once, so there is no other
 * time of being busy. The delivery rate is what the peer has read between two answers, by
 * the time between them; where that is nothing, the last one stands, as in Linux.
 *
 * Of a connection to the domain's network the daemon has the figures.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "ctl/proto.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/sockopt.h"
#include "posix/tcp_info.h"
#include "posix/template.h"
#include "shm/addr.h"
#include "shm/seat.h"

#define INFO_BYTES 512u /* more than any kernel's */

#define TIMESTAMPS_BYTES 12u /* the option, and what fills it up */

/* As Linux numbers them. */
enum {
	ESTABLISHED = 1,
	SYN_SENT,
	SYN_RECV,
	FIN_WAIT1,
	FIN_WAIT2,
	TIME_WAIT,
	CLOSED,
	CLOSE_WAIT,
	LAST_ACK,
	LISTENS,
	CLOSING,
};

/* What the domain's TCP knows of it. Return: false where it is not the network's. */
static bool ask_wire(const struct sock *s, struct ctl_msg *ret)
{
	half_ref peer = s->conn.peer_ref;

	if (load_relaxed(&s->stage) != SOCK_OPEN || !conn_is_wire(&s->conn))
		return false;
	*ret = (struct ctl_msg){ .type = CTL_TCP_INFO };
	ret->shared.party = half_ref_party(peer);
	ret->shared.slot = half_ref_slot(peer);
	ret->shared.gen = half_ref_gen(peer);
	return process_call(ret, NULL, 0, NULL, NULL) == 0;
}

/* Linux's has no room for timestamps in it. */
static uint32_t wire_mss(const struct ctl_msg *m)
{
	return m->row.tcp_mss - (m->row.tcp_flags & CTL_TCP_TS ? TIMESTAMPS_BYTES : 0);
}

int tcp_info_state(struct sock *s)
{
	uint32_t side, end;

	if (sock_listens(s))
		return LISTENS;
	if (load_relaxed(&s->stage) != SOCK_OPEN)
		return CLOSED;
	conn_poll(&s->conn);
	if (conn_pending(&s->conn))
		return SYN_SENT;
	side = load_relaxed(&s->half->side);
	end = load_acquire(&s->conn.peer->end);
	if (side & SIDE_RST_SEEN)
		return CLOSED;
	if (end & END_FIN)
		return side & SIDE_WR_SHUT ? CLOSED : CLOSE_WAIT;
	return side & SIDE_WR_SHUT ? FIN_WAIT2 : ESTABLISHED;
}

static uint32_t loopback_mss(const struct sock *s)
{
	uint32_t most = addr_word_is6(load_relaxed(&s->half->remote)) ? 65464 : 65483;
	uint32_t set = (uint32_t)options_int(s, IPPROTO_TCP, TCP_MAXSEG, 0);

	return set > TIMESTAMPS_BYTES && set - TIMESTAMPS_BYTES < most ? set - TIMESTAMPS_BYTES : most;
}

int tcp_info_mss(const struct sock *s)
{
	struct ctl_msg m;

	return (int)(ask_wire(s, &m) ? wire_mss(&m) : loopback_mss(s));
}

static uint32_t segments(uint64_t bytes, uint32_t size)
{
	return size ? (uint32_t)((bytes + size - 1) / size) : 0;
}

/* How long @bytes have been so many, as far as was looked. */
static uint32_t quiet_ms(uint64_t *bytes_seen, uint64_t *since_ns, uint64_t bytes, uint64_t now)
{
	if (*since_ns == 0 || *bytes_seen != bytes) {
		*bytes_seen = bytes;
		*since_ns = now;
	}
	return (uint32_t)((now - *since_ns) / (uint64_t)NS_PER_MS);
}

static void limited(struct sock *s, uint64_t until_ns)
{
	struct sock_info *i = &s->info;
	uint64_t since = atomic_exchange(&i->full_ns, 0);

	if (since && until_ns > since)
		atomic_fetch_add_explicit(load_relaxed(&i->full_window) ? &i->window_ns : &i->sndbuf_ns,
					  until_ns - since, memory_order_relaxed);
}

void tcp_info_full(struct sock *s)
{
	struct sock_info *i = &s->info;
	uint64_t now = clock_now_ns(), tail = load_relaxed(&s->half->tail);

	/* Who does not poll for room was sending until it was seen to be full again. */
	if (load_relaxed(&i->full_ns) && load_relaxed(&i->full_tail) != tail)
		limited(s, load_relaxed(&i->full_seen_ns));
	if (!load_relaxed(&i->full_ns)) {
		store_relaxed(&i->full_tail, tail);
		store_relaxed(&i->full_window, conn_undelivered(&s->conn) > 0);
		store_relaxed(&i->full_ns, now);
	}
	store_relaxed(&i->full_seen_ns, now);
}

void tcp_info_roomy(struct sock *s)
{
	limited(s, clock_now_ns());
}

/* What the peer has read since this was asked last. */
static void fill_rate(struct sock *s, struct tcp_info *t, uint64_t now)
{
	struct sock_info *i = &s->info;
	uint64_t tail = load_relaxed(&s->half->tail), unread = conn_unsent(&s->conn);
	uint64_t acked = tail > unread ? tail - unread : 0;
	uint64_t since = i->acked_ns ? i->acked_ns : load_relaxed(&s->half->born_ns);

	if (acked > i->acked && now > since) {
		i->rate = (uint64_t)((double)(acked - i->acked) * NS_PER_SEC / (double)(now - since));
		i->acked = acked;
	}
	i->acked_ns = now;
	t->tcpi_delivery_rate = i->rate;
}

/* Also how long it has been so until now. */
static void fill_limits(struct sock *s, struct tcp_info *t, uint64_t now)
{
	struct sock_info *i = &s->info;

	if (load_relaxed(&i->full_ns) && load_relaxed(&i->full_tail) != load_relaxed(&s->half->tail)) {
		limited(s, load_relaxed(&i->full_seen_ns));
	} else if (load_relaxed(&i->full_ns)) {
		limited(s, now);
		if (!conn_writable(&s->conn))
			tcp_info_full(s);
	}
	t->tcpi_rwnd_limited = load_relaxed(&i->window_ns) / NS_PER_US;
	t->tcpi_sndbuf_limited = load_relaxed(&i->sndbuf_ns) / NS_PER_US;
	t->tcpi_busy_time = t->tcpi_rwnd_limited + t->tcpi_sndbuf_limited;
}

static void fill_open(struct sock *s, struct tcp_info *t)
{
	uint64_t sent = load_relaxed(&s->half->tail), late = conn_undelivered(&s->conn);
	uint64_t got = load_relaxed(&s->half->head) + conn_readable(&s->conn);
	uint64_t now = clock_now_ns();

	t->tcpi_snd_mss = t->tcpi_rcv_mss = t->tcpi_advmss = loopback_mss(s);
	/* The template's own handshake counts in some of these. */
	t->tcpi_retransmits = t->tcpi_probes = t->tcpi_backoff = 0;
	t->tcpi_unacked = t->tcpi_sacked = t->tcpi_lost = t->tcpi_retrans = t->tcpi_fackets = 0;
	t->tcpi_total_retrans = t->tcpi_dsack_dups = t->tcpi_reord_seen = t->tcpi_rcv_ooopack = 0;
	t->tcpi_bytes_retrans = 0;
	t->tcpi_delivered_ce = 0;
	t->tcpi_snd_wnd = (uint32_t)conn_window(&s->conn);
	t->tcpi_notsent_bytes = (uint32_t)late;
	t->tcpi_bytes_acked = t->tcpi_bytes_sent = sent - late;
	t->tcpi_bytes_received = got;
	t->tcpi_data_segs_out = t->tcpi_segs_out = t->tcpi_delivered =
		segments(sent - late, t->tcpi_snd_mss);
	t->tcpi_data_segs_in = t->tcpi_segs_in = segments(got, t->tcpi_rcv_mss);
	t->tcpi_rtt = t->tcpi_rttvar = t->tcpi_rcv_rtt = t->tcpi_min_rtt = 1;
	t->tcpi_last_data_sent = quiet_ms(&s->info.tail, &s->info.tail_ns, sent, now);
	t->tcpi_last_data_recv = quiet_ms(&s->info.got, &s->info.got_ns, got, now);
	t->tcpi_last_ack_recv = t->tcpi_last_data_sent;
	fill_rate(s, t, now);
	fill_limits(s, t, now);
}

uint64_t tcp_info_queued(struct sock *s, bool unsent)
{
	struct ctl_msg m;
	uint64_t n = 0;

	/* The daemon takes what is in the ring before it answers. */
	if (ask_wire(s, &m))
		n = m.row.tcp_unsent + (unsent ? 0 : m.row.tcp_unacked);
	return n + conn_undelivered(&s->conn);
}

/* enum engine_tcp_state, in its order. */
static const uint8_t wire_states[] = { CLOSED,	  LISTENS,    SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT1,
				       FIN_WAIT2, CLOSE_WAIT, CLOSING,	LAST_ACK, TIME_WAIT };

/* Which @m is about; after fill_open(). */
static void fill_wire(struct sock *s, const struct ctl_msg *m, struct tcp_info *t)
{
	uint32_t mss = wire_mss(m), flags = m->row.tcp_flags;

	if (m->row.tcp_state < ARRAY_LEN(wire_states))
		t->tcpi_state = wire_states[m->row.tcp_state];
	if (mss == 0)
		return; /* It is over. */
	t->tcpi_options = (uint8_t)((flags & CTL_TCP_TS ? TCPI_OPT_TIMESTAMPS : 0) |
				    (flags & CTL_TCP_SACK ? TCPI_OPT_SACK : 0) |
				    (flags >> 8 & 0xffff ? TCPI_OPT_WSCALE : 0));
	t->tcpi_snd_wscale = flags >> 8 & 0xf;
	t->tcpi_rcv_wscale = flags >> 16 & 0xf;
	t->tcpi_snd_mss = t->tcpi_rcv_mss = mss;
	t->tcpi_advmss = m->row.tcp_mss;
	t->tcpi_pmtu = m->row.tcp_pmtu;
	t->tcpi_rto = m->row.tcp_rto_us;
	t->tcpi_rtt = m->row.tcp_rtt_us;
	t->tcpi_rttvar = m->row.tcp_rttvar_us;
	t->tcpi_min_rtt = m->row.tcp_min_rtt_us;
	t->tcpi_rcv_rtt = 0;
	t->tcpi_snd_cwnd = segments(m->row.tcp_cwnd, m->row.tcp_mss);
	t->tcpi_snd_ssthresh = m->row.tcp_ssthresh >= INT32_MAX
				       ? INT32_MAX
				       : segments(m->row.tcp_ssthresh, m->row.tcp_mss);
	t->tcpi_unacked = segments(m->row.tcp_unacked, mss);
	t->tcpi_total_retrans = m->row.tcp_retrans_segs;
	t->tcpi_bytes_retrans = m->row.tcp_bytes_retrans;
	t->tcpi_bytes_sent = m->row.tcp_bytes_sent;
	t->tcpi_bytes_acked = m->row.tcp_bytes_acked;
	t->tcpi_bytes_received = m->row.tcp_bytes_received;
	t->tcpi_segs_out = m->row.tcp_segs_out;
	t->tcpi_segs_in = m->row.tcp_segs_in;
	t->tcpi_data_segs_out = segments(m->row.tcp_bytes_sent, mss);
	t->tcpi_data_segs_in = segments(m->row.tcp_bytes_received, mss);
	t->tcpi_delivered = segments(m->row.tcp_bytes_acked, mss);
	t->tcpi_snd_wnd = m->row.tcp_snd_wnd;
	t->tcpi_rcv_space = m->row.tcp_rcv_wnd;
	t->tcpi_notsent_bytes = (uint32_t)(conn_undelivered(&s->conn) + m->row.tcp_unsent);
	t->tcpi_pacing_rate = m->row.tcp_pacing_rate == UINT32_MAX ? UINT64_MAX
								   : m->row.tcp_pacing_rate;
	t->tcpi_delivery_rate = m->row.tcp_delivery_rate;
	/* Room in the ring says nothing of the network. */
	t->tcpi_busy_time = t->tcpi_rwnd_limited = t->tcpi_sndbuf_limited = 0;
}

long tcp_info_give(struct sock *s, void *val, socklen_t *len)
{
	union {
		struct tcp_info info;
		char bytes[INFO_BYTES];
	} t = { 0 };
	socklen_t has = sizeof(t);
	struct ctl_msg m;
	int fd = template_take(s);
	long r;

	if (fd < 0)
		return fd;
	r = sys5(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &t, &has);
	template_drop(false);
	if (r < 0)
		return r;
	t.info.tcpi_state = (uint8_t)tcp_info_state(s);
	t.info.tcpi_last_data_sent = t.info.tcpi_last_data_recv = 0;
	t.info.tcpi_last_ack_sent = t.info.tcpi_last_ack_recv = 0;
	if (load_relaxed(&s->stage) == SOCK_OPEN)
		fill_open(s, &t.info);
	if (ask_wire(s, &m))
		fill_wire(s, &m, &t.info);
	/* Of a listener Linux has the queue here: how long it is, and may be. */
	if (sock_listens(s)) {
		t.info.tcpi_unacked = seat_waiting_count(s->party, s->half, &s->accept_cursor);
		t.info.tcpi_sacked = load_relaxed(&s->half->seat_count) - 1;
	}
	return sockopt_give(val, len, &t, has);
}
