/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_show.c - What the domain's network looks like, for `mortise addr`, `route`,
 * `neigh`, `stats` and `ss -i`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/rows.h"
#include "daemon/wire.h"
#include "daemon/wire_conn.h"

#define ROWS_MAX 16384u

/* NULL: there is no room. */
static struct ctl_msg *row(struct rows *rows)
{
	if (rows->count < ROWS_MAX)
		return rows_add(rows);
	rows->failed = true;
	return NULL;
}

static void rows_addr(const struct daemon *d, struct rows *rows)
{
	const struct net_config *n = &d->t->net;

	for (uint32_t i = 0; i < n->addresses; i++) {
		struct ctl_msg *m = row(rows);

		if (!m)
			return;
		m->net.addr = n->address[i].addr;
		m->net.prefix = n->address[i].prefix;
		m->net.value = n->mtu;
		memcpy(m->net.mac, n->mac, sizeof(n->mac));
		memcpy(m->net.name, n->tap, sizeof(n->tap));
	}
}

static void rows_route(const struct daemon *d, struct rows *rows)
{
	struct engine_route r;

	for (uint32_t i = 0; engine_route_get(&d->wire->e, i, &r); i++) {
		struct ctl_msg *m = row(rows);

		if (!m)
			return;
		m->net.addr = r.dst;
		m->net.prefix = r.prefix;
		m->net.gateway = r.gateway;
		m->net.src = r.src;
		memcpy(m->net.name, d->t->net.tap, sizeof(d->t->net.tap));
	}
}

static void rows_neigh(const struct daemon *d, struct rows *rows)
{
	struct engine_neigh n;

	for (uint32_t i = 0; engine_neigh_get(&d->wire->e, i, &n); i++) {
		struct ctl_msg *m = row(rows);

		if (!m)
			return;
		m->net.addr = n.addr;
		m->net.state = n.state;
		m->net.value = n.age_ns;
		memcpy(m->net.mac, n.mac, sizeof(n.mac));
		memcpy(m->net.name, d->t->net.tap, sizeof(d->t->net.tap));
	}
}

static void row_stat(struct rows *rows, const char *name, uint64_t value)
{
	struct ctl_msg *m = row(rows);

	if (!m)
		return;
	strncpy(m->net.name, name, sizeof(m->net.name) - 1);
	m->net.value = value;
}

static void rows_stats(const struct daemon *d, struct rows *rows)
{
	const struct wire *w = d->wire;
	const char *name;

	row_stat(rows, "device-frames-bad", w->frames_bad);
	row_stat(rows, "device-frames-lost", w->frames_lost);
	row_stat(rows, "device-frames-placed", w->frames_placed);
	row_stat(rows, "device-frames-kept", w->frames_kept);
	row_stat(rows, "datagrams-unsent", w->dgrams_unsent);
	row_stat(rows, "datagrams-undelivered", w->dgrams_undelivered);
	for (unsigned i = 0; (name = engine_stat_name(i)); i++)
		row_stat(rows, name, engine_stat(&w->e, i));
}

int wire_rows(struct daemon *d, uint32_t seq, uint32_t what, struct ctl_msg **ret)
{
	struct rows rows = {.seq = seq, .type = CTL_NET};
	struct ctl_msg *last;

	if (!d->wire)
		return -ENONET;
	d->wire->now_ns = clock_now_ns();
	engine_time(&d->wire->e, d->wire->now_ns);
	switch (what) {
	case CTL_NET_ADDR:
		rows_addr(d, &rows);
		break;
	case CTL_NET_ROUTE:
		rows_route(d, &rows);
		break;
	case CTL_NET_NEIGH:
		rows_neigh(d, &rows);
		break;
	case CTL_NET_STATS:
		rows_stats(d, &rows);
		break;
	default:
		return -EINVAL;
	}
	last = row(&rows);
	if (!last || rows.failed) {
		free(rows.m);
		return -ENOMEM;
	}
	last->net.last = 1;
	*ret = rows.m;
	return (int)rows.count;
}

void wire_info(const struct daemon *d, unsigned slot, struct ctl_msg *m)
{
	struct wire *w = d->wire;
	const struct wire_conn *c;
	struct engine_info i;

	if (slot >= SLOT_MAX || !w->by_slot[slot])
		return;
	c = &w->conns[w->by_slot[slot] - 1];
	if (engine_info(&w->e, c->sock, &i) < 0)
		return;
	m->row.wire = 1;
	m->row.tcp_state = i.state;
	m->row.tcp_unacked = i.unacked;
	m->row.tcp_unsent = i.unsent;
	m->row.tcp_cwnd = i.cwnd;
	m->row.tcp_ssthresh = i.ssthresh;
	m->row.tcp_mss = i.mss;
	m->row.tcp_pmtu = i.pmtu;
	m->row.tcp_rtt_us = i.srtt_us;
	m->row.tcp_rttvar_us = i.rttvar_us;
	m->row.tcp_rto_us = i.rto_us;
	m->row.tcp_min_rtt_us = i.min_rtt_us;
	m->row.tcp_snd_wnd = i.snd_wnd;
	m->row.tcp_rcv_wnd = i.rcv_wnd;
	m->row.tcp_retrans_segs = i.retrans_segs;
	m->row.tcp_segs_out = i.sent_segs;
	m->row.tcp_segs_in = i.received_segs;
	m->row.tcp_flags = (i.timestamps ? CTL_TCP_TS : 0u) | (i.sack ? CTL_TCP_SACK : 0u) |
			   (uint32_t)i.snd_wscale << 8 | (uint32_t)i.rcv_wscale << 16 |
			   (uint32_t)i.cc << 24;
	m->row.tcp_bytes_sent = i.sent_bytes;
	m->row.tcp_bytes_acked = i.acked_bytes;
	m->row.tcp_bytes_received = i.received_bytes;
	m->row.tcp_bytes_retrans = i.retrans_bytes;
	m->row.tcp_pacing_rate = i.pacing_rate;
	m->row.tcp_delivery_rate = i.delivery_rate;
}

void wire_info_of(struct daemon *d, unsigned slot, uint32_t gen, struct ctl_msg *m)
{
	struct wire *w = d->wire;

	if (slot >= SLOT_MAX || half_gen(arena_half(w->in.p->base, slot)) != gen)
		return;
	w->now_ns = clock_now_ns();
	wire_conn_hint(w, slot);
	wire_serve(w);
	wire_conn_unkeep(w, slot);
	/* Its end may have been among that. */
	if (half_gen(arena_half(w->in.p->base, slot)) == gen)
		wire_info(d, slot, m);
}
