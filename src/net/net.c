// SPDX-License-Identifier: BSD-2-Clause
/*
 * net.c - The engine behind the interface of the library (mortise/net.h).
 *
 * The memory begins with a struct mnet, how this process sees the rest; the
 * engine's state, which has no pointers, is behind it. Numbers of the public
 * header are the library's ABI, so they are its own, and put into the engine's here.
 */
#include <errno.h>
#include <string.h>

#include "engine/engine.h"
#include "net/net.h"
#include "wire/eth.h"
#include "wire/ipv4.h"

#define FRAME_MAX (ETH_HEADER_BYTES + IPV4_PACKET_MAX)
#define POLL_FRAMES 64u
#define NET_MAGIC 0x4d4e455431ull /* "MNET1" */

/**
 * struct mnet - @frame, @piece: what mnet_output() gave. @room: a frame that comes, or goes to
 * ourselves.
 */
struct mnet {
	uint64_t magic;
	struct engine e;
	struct engine_frame frame;
	struct mnet_piece piece[ENGINE_PIECES];
	uint8_t room[FRAME_MAX];
};

static size_t view_bytes(void)
{
	return (sizeof(struct mnet) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static struct engine_sock in(struct mnet_sock s)
{
	return (struct engine_sock){.index = s.index, .gen = s.generation};
}

static struct mnet_sock out(struct engine_sock s)
{
	return (struct mnet_sock){.index = s.index, .generation = s.gen};
}

/* ------------------------------------------------------------ a stack */

static bool config_of(const struct mnet_config *c, struct engine_config *ret)
{
	if (!c || c->bytes < sizeof(*c) || c->addresses > MNET_ADDRESSES)
		return false;
	*ret = (struct engine_config){
		.mtu = c->mtu,
		.addresses = c->addresses,
		.gateway = c->gateway,
		.tcps = c->connections,
		.syns = c->half_open,
		.socks = c->sockets,
		.pkts = c->datagrams,
		.neighs = c->neighbours,
		.ring_bytes = c->ring_bytes,
		.rcvbuf_max = c->rcvbuf_max,
		.sndbuf_max = c->sndbuf_max,
		.time_wait_ns = c->time_wait_ns,
		.local_port_min = c->port_min,
		.local_port_max = c->port_max,
		.no_announce = c->no_announce,
		.no_timestamps = c->no_timestamps,
		.probe = c->probe_addresses,
		.loopback = c->loopback,
	};
	memcpy(ret->mac, c->mac, sizeof(ret->mac));
	for (uint32_t i = 0; i < c->addresses; i++)
		ret->address[i] = (struct engine_address){.addr = c->address[i].addr,
							  .prefix = c->address[i].prefix};
	return true;
}

size_t mnet_bytes(const struct mnet_config *config)
{
	struct engine_config c;
	size_t bytes = config_of(config, &c) ? engine_bytes(&c) : 0;

	return bytes ? view_bytes() + bytes : 0;
}

int mnet_init(void *mem, size_t bytes, const struct mnet_config *config, const uint8_t key[16],
	      uint64_t now_ns, struct mnet **ret)
{
	struct mnet *net = mem;
	struct engine_config c;
	int err;

	if (!config_of(config, &c) || !mem || (uintptr_t)mem % PAGE_BYTES)
		return -EINVAL;
	if (bytes < view_bytes())
		return -ENOMEM;
	err = engine_init(&net->e, (uint8_t *)mem + view_bytes(), bytes - view_bytes(), &c, key,
			  now_ns);
	if (err != 0)
		return err;
	net->magic = NET_MAGIC;
	*ret = net;
	return 0;
}

int mnet_attach(void *mem, size_t bytes, struct mnet **ret)
{
	struct mnet *net = mem;
	int err;

	if (!mem || (uintptr_t)mem % PAGE_BYTES || bytes < view_bytes() || net->magic != NET_MAGIC)
		return -EINVAL;
	err = engine_attach(&net->e, (uint8_t *)mem + view_bytes(), bytes - view_bytes());
	if (err == 0)
		*ret = net;
	return err;
}

/* ------------------------------------------------------------ device and clock */

void mnet_input(struct mnet *net, uint64_t now_ns, const void *frame, size_t bytes)
{
	engine_input(&net->e, now_ns, frame, bytes);
}

/* A frame to ourselves. */
static void turn_round(struct mnet *net, uint64_t now_ns)
{
	size_t at = 0;

	for (uint32_t i = 0; i < net->frame.pieces; i++) {
		memcpy(net->room + at, net->frame.piece[i].at, net->frame.piece[i].bytes);
		at += net->frame.piece[i].bytes;
	}
	engine_input_from(&net->e, now_ns, ENGINE_LOOPBACK, net->room, at);
}

bool mnet_output(struct mnet *net, uint64_t now_ns, struct mnet_frame *ret)
{
	struct engine_frame *f = &net->frame;

	do {
		if (!engine_output(&net->e, now_ns, f))
			return false;
		if (f->interface == ENGINE_LOOPBACK)
			turn_round(net, now_ns);
	} while (f->interface == ENGINE_LOOPBACK);
	for (uint32_t i = 0; i < f->pieces; i++)
		net->piece[i] =
			(struct mnet_piece){.at = f->piece[i].at, .bytes = f->piece[i].bytes};
	*ret = (struct mnet_frame){.piece = net->piece, .pieces = f->pieces, .bytes = f->bytes};
	return true;
}

void mnet_time(struct mnet *net, uint64_t now_ns)
{
	engine_time(&net->e, now_ns);
}

uint64_t mnet_deadline(const struct mnet *net)
{
	return engine_deadline(&net->e);
}

uint64_t mnet_poll(struct mnet *net, uint64_t now_ns, const struct mnet_device *d)
{
	struct mnet_frame f;
	uint32_t taken = 0;
	size_t bytes;

	while (taken < POLL_FRAMES && (bytes = d->receive(d->context, net->room, FRAME_MAX))) {
		engine_input(&net->e, now_ns, net->room, bytes);
		taken++;
	}
	engine_time(&net->e, now_ns);
	while ((!d->can_send || d->can_send(d->context)) && mnet_output(net, now_ns, &f))
		d->send(d->context, &f);
	return taken == POLL_FRAMES ? now_ns : engine_deadline(&net->e);
}

/* ------------------------------------------------------------ sockets */

bool mnet_event(struct mnet *net, struct mnet_event *ret)
{
	struct engine_event ev;

	if (!engine_event(&net->e, &ev))
		return false;
	*ret = (struct mnet_event){.sock = out(ev.sock), .cookie = ev.cookie, .events = ev.events};
	return true;
}

/* Bits and kinds are the same numbers, by no accident. */
_Static_assert(MNET_READABLE == ENGINE_READABLE && MNET_WRITABLE == ENGINE_WRITABLE &&
		       MNET_ACCEPT == ENGINE_ACCEPT && MNET_ERROR == ENGINE_ERROR &&
		       MNET_CLOSED == ENGINE_CLOSED && MNET_URGENT == ENGINE_URGENT &&
		       MNET_STALLED == ENGINE_STALLED,
	       "events");
_Static_assert((int)MNET_TCP == ENGINE_TCP && (int)MNET_UDP == ENGINE_UDP &&
		       (int)MNET_PING == ENGINE_PING && (int)MNET_RAW_ICMP == ENGINE_RAW_ICMP,
	       "kinds");
_Static_assert(MNET_SHUT_RD == ENGINE_SHUT_RD && MNET_SHUT_WR == ENGINE_SHUT_WR, "shutdown");
_Static_assert((int)MNET_CUBIC == ENGINE_CUBIC && (int)MNET_RENO == ENGINE_RENO, "congestion");
_Static_assert((int)MNET_STATE_LISTEN == ENGINE_LISTEN &&
		       (int)MNET_STATE_ESTABLISHED == ENGINE_ESTABLISHED &&
		       (int)MNET_STATE_TIME_WAIT == ENGINE_TIME_WAIT,
	       "states");

int mnet_open(struct mnet *net, enum mnet_kind kind, uint64_t cookie, struct mnet_sock *ret)
{
	struct engine_sock s;
	int err = engine_open(&net->e, (enum engine_kind)kind, cookie, &s);

	if (err == 0)
		*ret = out(s);
	return err;
}

int mnet_bind(struct mnet *net, struct mnet_sock s, uint32_t addr, uint16_t port)
{
	return engine_bind(&net->e, in(s), addr, port);
}

int mnet_connect(struct mnet *net, uint64_t now_ns, struct mnet_sock s, uint32_t addr,
		 uint16_t port)
{
	return engine_connect(&net->e, now_ns, in(s), addr, port);
}

int mnet_listen(struct mnet *net, struct mnet_sock s, uint32_t backlog)
{
	return engine_listen(&net->e, in(s), backlog);
}

int mnet_accept(struct mnet *net, uint64_t now_ns, struct mnet_sock s, uint64_t cookie,
		struct mnet_sock *ret)
{
	struct engine_sock a;
	int err = engine_accept(&net->e, now_ns, in(s), cookie, &a);

	if (err == 0)
		*ret = out(a);
	return err;
}

int64_t mnet_send(struct mnet *net, uint64_t now_ns, struct mnet_sock s, const void *octets,
		  size_t bytes)
{
	return engine_send(&net->e, now_ns, in(s), octets, bytes);
}

int64_t mnet_send_urgent(struct mnet *net, uint64_t now_ns, struct mnet_sock s, const void *octets,
			 size_t bytes)
{
	return engine_send_urgent(&net->e, now_ns, in(s), octets, bytes);
}

int64_t mnet_sendto(struct mnet *net, uint64_t now_ns, struct mnet_sock s, const void *octets,
		    size_t bytes, uint32_t addr, uint16_t port)
{
	return engine_sendto(&net->e, now_ns, in(s), octets, bytes, addr, port);
}

int64_t mnet_recv(struct mnet *net, uint64_t now_ns, struct mnet_sock s, void *room, size_t bytes)
{
	return engine_recv(&net->e, now_ns, in(s), room, bytes);
}

int64_t mnet_recvfrom(struct mnet *net, struct mnet_sock s, void *room, size_t bytes,
		      size_t *ret_bytes, uint32_t *ret_addr, uint16_t *ret_port)
{
	return engine_recvfrom(&net->e, in(s), room, bytes, ret_bytes, ret_addr, ret_port);
}

int mnet_urgent(struct mnet *net, struct mnet_sock s, uint64_t *ret_octets)
{
	return engine_urgent(&net->e, in(s), ret_octets);
}

int mnet_shutdown(struct mnet *net, uint64_t now_ns, struct mnet_sock s, unsigned how)
{
	return engine_shutdown(&net->e, now_ns, in(s), how);
}

int mnet_close(struct mnet *net, uint64_t now_ns, struct mnet_sock s)
{
	return engine_close(&net->e, now_ns, in(s));
}

int mnet_abort(struct mnet *net, uint64_t now_ns, struct mnet_sock s)
{
	return engine_abort(&net->e, now_ns, in(s));
}

static const enum engine_option options[] = {
	[MNET_SO_ERROR] = ENGINE_SO_ERROR,
	[MNET_SO_BROADCAST] = ENGINE_SO_BROADCAST,
	[MNET_SO_RCVBUF] = ENGINE_SO_RCVBUF,
	[MNET_SO_SNDBUF] = ENGINE_SO_SNDBUF,
	[MNET_SO_KEEPALIVE] = ENGINE_SO_KEEPALIVE,
	[MNET_TCP_NODELAY] = ENGINE_TCP_NODELAY,
	[MNET_TCP_CORK] = ENGINE_TCP_CORK,
	[MNET_TCP_QUICKACK] = ENGINE_TCP_QUICKACK,
	[MNET_TCP_KEEPIDLE] = ENGINE_TCP_KEEPIDLE,
	[MNET_TCP_KEEPINTVL] = ENGINE_TCP_KEEPINTVL,
	[MNET_TCP_KEEPCNT] = ENGINE_TCP_KEEPCNT,
	[MNET_TCP_USER_TIMEOUT] = ENGINE_TCP_USER_TIMEOUT,
	[MNET_TCP_CONGESTION] = ENGINE_TCP_CONGESTION,
	[MNET_TCP_MAXSEG] = ENGINE_TCP_MAXSEG,
	[MNET_IP_TTL] = ENGINE_IP_TTL,
	[MNET_IP_TOS] = ENGINE_IP_TOS,
	[MNET_IP_MTU_DISCOVER] = ENGINE_IP_MTU_DISCOVER,
	[MNET_IP_ADD_MEMBERSHIP] = ENGINE_IP_ADD_MEMBERSHIP,
	[MNET_IP_DROP_MEMBERSHIP] = ENGINE_IP_DROP_MEMBERSHIP,
	[MNET_ICMP_FILTER] = ENGINE_ICMP_FILTER,
	[MNET_SO_MAX_PACING_RATE] = ENGINE_SO_MAX_PACING_RATE,
	[MNET_IP_MULTICAST_TTL] = ENGINE_IP_MULTICAST_TTL,
	[MNET_IP_MULTICAST_LOOP] = ENGINE_IP_MULTICAST_LOOP,
	[MNET_IP_MULTICAST_IF] = ENGINE_IP_MULTICAST_IF,
};

static bool option_is_known(enum mnet_option option)
{
	return (size_t)option < sizeof(options) / sizeof(options[0]);
}

int mnet_set(struct mnet *net, uint64_t now_ns, struct mnet_sock s, enum mnet_option option,
	     uint32_t value)
{
	return option_is_known(option) ? engine_set(&net->e, now_ns, in(s), options[option], value)
				       : -ENOPROTOOPT;
}

int mnet_get(struct mnet *net, struct mnet_sock s, enum mnet_option option, uint32_t *ret)
{
	return option_is_known(option) ? engine_get(&net->e, in(s), options[option], ret)
				       : -ENOPROTOOPT;
}

/* ------------------------------------------------------------ what it looks like inside */

int mnet_info(struct mnet *net, struct mnet_sock s, struct mnet_info *ret, size_t bytes)
{
	struct engine_info i;
	struct mnet_info o;
	int err = engine_info(&net->e, in(s), &i);

	if (err != 0)
		return err;
	o = (struct mnet_info){
		.kind = (enum mnet_kind)i.kind,
		.state = (enum mnet_tcp_state)i.state,
		.local_addr = i.laddr,
		.remote_addr = i.raddr,
		.local_port = i.lport,
		.remote_port = i.rport,
		.readable = i.readable,
		.unsent = i.unsent,
		.unacked = i.unacked,
		.mss = i.mss,
		.pmtu = i.pmtu,
		.cwnd = i.cwnd,
		.ssthresh = i.ssthresh,
		.snd_wnd = i.snd_wnd,
		.rcv_wnd = i.rcv_wnd,
		.srtt_us = i.srtt_us,
		.rttvar_us = i.rttvar_us,
		.rto_us = i.rto_us,
		.min_rtt_us = i.min_rtt_us,
		.sent_bytes = i.sent_bytes,
		.retrans_bytes = i.retrans_bytes,
		.acked_bytes = i.acked_bytes,
		.received_bytes = i.received_bytes,
		.retrans_segs = i.retrans_segs,
		.sent_segs = i.sent_segs,
		.received_segs = i.received_segs,
		.rtos = i.rtos,
		.pacing_rate = i.pacing_rate,
		.delivery_rate = i.delivery_rate,
	};
	memset(ret, 0, bytes);
	memcpy(ret, &o, bytes < sizeof(o) ? bytes : sizeof(o));
	return 0;
}

uint64_t mnet_stat(const struct mnet *net, unsigned number)
{
	return engine_stat(&net->e, number);
}

const char *mnet_stat_name(unsigned number)
{
	return engine_stat_name(number);
}

int mnet_route_add(struct mnet *net, uint32_t dst, uint8_t prefix, uint32_t gateway)
{
	return engine_route_add(&net->e, dst, prefix, gateway);
}

int mnet_route_drop(struct mnet *net, uint32_t dst, uint8_t prefix)
{
	return engine_route_drop(&net->e, dst, prefix);
}
