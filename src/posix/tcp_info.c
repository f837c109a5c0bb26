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
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/sockopt.h"
#include "posix/tcp_info.h"
#include "posix/template.h"
#include "shm/addr.h"
#include "shm/seat.h"

#define INFO_BYTES 512u /* more than any kernel's */

/* As Linux numbers them. */
enum { ESTABLISHED = 1, FIN_WAIT2 = 5, CLOSED = 7, CLOSE_WAIT = 8, LISTENS = 10 };

int tcp_info_state(struct sock *s)
{
	uint32_t side, end;

	if (sock_listens(s))
		return LISTENS;
	if (load_relaxed(&s->stage) != SOCK_OPEN)
		return CLOSED;
	conn_poll(&s->conn);
	side = load_relaxed(&s->half->side);
	end = load_acquire(&s->conn.peer->end);
	if (side & SIDE_RST_SEEN)
		return CLOSED;
	if (end & END_FIN)
		return side & SIDE_WR_SHUT ? CLOSED : CLOSE_WAIT;
	return side & SIDE_WR_SHUT ? FIN_WAIT2 : ESTABLISHED;
}

int tcp_info_mss(const struct sock *s)
{
	return addr_word_is6(load_relaxed(&s->half->remote)) ? 65464 : 65483;
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

static void fill_open(struct sock *s, struct tcp_info *t)
{
	uint64_t sent = load_relaxed(&s->half->tail), late = conn_undelivered(&s->conn);
	uint64_t got = load_relaxed(&s->half->head) + conn_readable(&s->conn);
	uint64_t now = clock_now_ns();

	t->tcpi_snd_mss = t->tcpi_rcv_mss = t->tcpi_advmss = (uint32_t)tcp_info_mss(s);
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
	t->tcpi_last_data_sent = quiet_ms(&s->info_tail, &s->info_tail_ns, sent, now);
	t->tcpi_last_data_recv = quiet_ms(&s->info_got, &s->info_got_ns, got, now);
	t->tcpi_last_ack_recv = t->tcpi_last_data_sent;
	t->tcpi_delivery_rate = t->tcpi_busy_time = 0;
	t->tcpi_rwnd_limited = t->tcpi_sndbuf_limited = 0;
}

long tcp_info_give(struct sock *s, void *val, socklen_t *len)
{
	union {
		struct tcp_info info;
		char bytes[INFO_BYTES];
	} t = { 0 };
	socklen_t has = sizeof(t);
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
	/* Of a listener Linux has the queue here: how long it is, and may be. */
	if (sock_listens(s)) {
		t.info.tcpi_unacked = seat_waiting_count(s->party, s->half, &s->accept_cursor);
		t.info.tcpi_sacked = load_relaxed(&s->half->seat_count) - 1;
	}
	return sockopt_give(val, len, &t, has);
}
