// SPDX-License-Identifier: BSD-2-Clause
/*
 * call.c - The commands of users (engine.h), where they are the same for
 * datagrams and streams, or which of the two they are for.
 */
#include <errno.h>

#include "engine/icmp.h"
#include "engine/igmp.h"
#include "engine/pkt.h"
#include "engine/raw.h"
#include "engine/route.h"
#include "engine/sock.h"
#include "engine/tcp_conn.h"
#include "engine/udp.h"

#define BUF_MIN 2048u

/* Each call's beginning: it is @now_ns; the socket, or NULL. */
static struct sock *enter(struct engine *e, uint64_t now_ns, struct engine_sock ref)
{
	e->s->now_ns = max_u64(e->s->now_ns, now_ns);
	return sock_of(e, ref);
}

int engine_open(struct engine *e, enum engine_kind kind, uint64_t cookie, struct engine_sock *ret)
{
	struct sock *s;

	if (kind != ENGINE_TCP && kind != ENGINE_UDP && kind != ENGINE_PING &&
	    kind != ENGINE_RAW_ICMP)
		return -EPROTONOSUPPORT;
	s = sock_new(e, (uint8_t)kind, cookie);
	if (!s)
		return -ENFILE;
	*ret = (struct engine_sock){.index = SOCK_INDEX(e, s), .gen = s->head.gen};
	return 0;
}

int engine_bind(struct engine *e, struct engine_sock ref, uint32_t addr, uint16_t port)
{
	struct sock *s = sock_of(e, ref);

	if (!s)
		return -EBADF;
	if ((s->lport && s->kind != SOCK_RAW_ICMP) || s->tcp != NIL)
		return -EINVAL;
	if (addr && !engine_is_local(e, addr) &&
	    !(s->kind == SOCK_UDP && (ipv4_is_multicast(addr) || engine_is_broadcast(e, addr))))
		return -EADDRNOTAVAIL;
	if (s->kind == SOCK_RAW_ICMP) {
		s->laddr = addr;
		return 0;
	}
	return sock_bind_port(e, s, addr, port, 0, 0);
}

static int connect_datagram(struct engine *e, struct sock *s, uint32_t addr, uint16_t port)
{
	uint32_t src, next_hop;
	int err = route_find_from(e, addr, sock_from(s, addr), &src, &next_hop);

	if (err != 0)
		return err;
	if (next_hop == 0 && !s->broadcast)
		return -EACCES;
	if (!s->lport) {
		err = sock_bind_port(e, s, 0, 0, addr, port);
		if (err != 0)
			return err;
	}
	if (!s->laddr)
		s->laddr = src;
	s->raddr = addr;
	s->rport = s->kind == SOCK_UDP ? port : 0;
	s->connected = true;
	return 0;
}

int engine_connect(struct engine *e, uint64_t now_ns, struct engine_sock ref, uint32_t addr,
		   uint16_t port)
{
	struct sock *s = enter(e, now_ns, ref);

	if (!s)
		return -EBADF;
	if (s->kind != SOCK_TCP)
		return connect_datagram(e, s, addr, port);
	return tcp_connect(e, s, addr, port);
}

int engine_listen(struct engine *e, struct engine_sock ref, uint32_t backlog)
{
	struct sock *s = sock_of(e, ref);
	int err;

	if (!s)
		return -EBADF;
	if (s->kind != SOCK_TCP)
		return -EOPNOTSUPP;
	if (s->tcp != NIL)
		return -EINVAL;
	if (!s->lport) {
		err = sock_bind_port(e, s, 0, 0, 0, 0);
		if (err != 0)
			return err;
	}
	s->listening = true;
	s->backlog = backlog ? backlog : 1;
	return 0;
}

int engine_accept(struct engine *e, uint64_t now_ns, struct engine_sock ref, uint64_t cookie,
		  struct engine_sock *ret)
{
	struct sock *s = enter(e, now_ns, ref);

	if (!s)
		return -EBADF;
	if (!s->listening)
		return -EINVAL;
	return tcp_accept(e, s, cookie, ret);
}

static int64_t send_datagram(struct engine *e, struct sock *s, const void *octets, size_t bytes,
			     uint32_t addr, uint16_t port)
{
	int err = sock_error_take(s);

	if (err != 0)
		return err;
	if (s->shut_wr)
		return -EPIPE;
	if (s->kind == SOCK_UDP && port == 0)
		return -EINVAL;
	if (engine_is_broadcast(e, addr) && !s->broadcast)
		return -EACCES;
	if (!s->lport) {
		err = sock_bind_port(e, s, 0, 0, addr, port);
		if (err != 0)
			return err;
	}
	if (s->kind == SOCK_UDP)
		return udp_send(e, s, octets, bytes, addr, port);
	return s->kind == SOCK_PING ? icmp_send(e, s, octets, bytes, addr)
				    : raw_send(e, s, octets, bytes, addr);
}

int64_t engine_sendto(struct engine *e, uint64_t now_ns, struct engine_sock ref, const void *octets,
		      size_t bytes, uint32_t addr, uint16_t port)
{
	struct sock *s = enter(e, now_ns, ref);

	if (!s)
		return -EBADF;
	if (s->kind == SOCK_TCP)
		return -EISCONN;
	return send_datagram(e, s, octets, bytes, addr, port);
}

static int64_t send_stream(struct engine *e, uint64_t now_ns, struct engine_sock ref,
			   const void *octets, size_t bytes, enum tcp_send how)
{
	struct sock *s = enter(e, now_ns, ref);

	if (!s)
		return -EBADF;
	return s->kind == SOCK_TCP ? tcp_send(e, s, octets, bytes, how) : -EOPNOTSUPP;
}

int64_t engine_send_more(struct engine *e, uint64_t now_ns, struct engine_sock ref,
			 const void *octets, size_t bytes)
{
	return send_stream(e, now_ns, ref, octets, bytes, TCP_SEND_MORE);
}

int64_t engine_send_urgent(struct engine *e, uint64_t now_ns, struct engine_sock ref,
			   const void *octets, size_t bytes)
{
	return send_stream(e, now_ns, ref, octets, bytes, TCP_SEND_URGENT);
}

int engine_urgent(struct engine *e, struct engine_sock ref, uint64_t *ret)
{
	const struct sock *s = sock_of(e, ref);

	if (!s)
		return -EBADF;
	return s->kind == SOCK_TCP ? tcp_urgent(e, s, ret) : -EOPNOTSUPP;
}

int64_t engine_send(struct engine *e, uint64_t now_ns, struct engine_sock ref, const void *octets,
		    size_t bytes)
{
	struct sock *s = enter(e, now_ns, ref);

	if (!s)
		return -EBADF;
	if (s->kind == SOCK_TCP)
		return tcp_send(e, s, octets, bytes, TCP_SEND);
	if (!s->connected)
		return -EDESTADDRREQ;
	return send_datagram(e, s, octets, bytes, s->raddr, s->rport);
}

/* The oldest of a socket's queue: its octets into @room. @ret: what it was, without them. */
static int64_t recv_datagram(struct engine *e, struct sock *s, void *room, size_t bytes,
			     struct pkt *ret)
{
	int err = sock_error_take(s);
	struct pkt *p;

	if (err != 0)
		return err;
	if (s->queue.head == NIL)
		return s->shut_rd ? 0 : -EAGAIN;
	p = &e->pkt[ilist_pop(&s->queue, pkt_links(e))];
	*ret = *p;
	s->queued -= pkt_cost(p);
	if (bytes > p->bytes)
		bytes = p->bytes;
	pkt_read(e, p, 0, room, bytes);
	pkt_free(e, p);
	return (int64_t)bytes;
}

int64_t engine_recv(struct engine *e, uint64_t now_ns, struct engine_sock ref, void *room,
		    size_t bytes)
{
	struct sock *s = enter(e, now_ns, ref);
	struct pkt p;

	if (!s)
		return -EBADF;
	if (s->kind == SOCK_TCP)
		return tcp_recv(e, s, room, bytes);
	return recv_datagram(e, s, room, bytes, &p);
}

int64_t engine_recvmsg(struct engine *e, struct engine_sock ref, void *room, size_t bytes,
		       struct engine_datagram *ret)
{
	struct sock *s = sock_of(e, ref);
	struct pkt p = {0};
	int64_t n;

	if (!s)
		return -EBADF;
	if (s->kind == SOCK_TCP)
		return -EOPNOTSUPP;
	n = recv_datagram(e, s, room, bytes, &p);
	if (n >= 0)
		*ret = (struct engine_datagram){
			.bytes = p.bytes,
			.src = p.src,
			.dst = p.dst,
			.sport = p.sport,
			.ttl = p.ttl,
			.tos = p.tos,
		};
	return n;
}

int64_t engine_recvfrom(struct engine *e, struct engine_sock ref, void *room, size_t bytes,
			size_t *ret_bytes, uint32_t *ret_addr, uint16_t *ret_port)
{
	struct engine_datagram d = {0};
	int64_t n = engine_recvmsg(e, ref, room, bytes, &d);

	if (n < 0)
		return n;
	if (ret_bytes)
		*ret_bytes = d.bytes;
	if (ret_addr)
		*ret_addr = d.src;
	if (ret_port)
		*ret_port = d.sport;
	return n;
}

int engine_shutdown(struct engine *e, uint64_t now_ns, struct engine_sock ref, unsigned how)
{
	struct sock *s = enter(e, now_ns, ref);

	if (!s)
		return -EBADF;
	if (s->kind == SOCK_TCP)
		return tcp_shutdown(e, s, how);
	if (!s->connected)
		return -ENOTCONN;
	s->shut_rd |= (how & ENGINE_SHUT_RD) != 0;
	s->shut_wr |= (how & ENGINE_SHUT_WR) != 0;
	sock_event(e, s, ENGINE_READABLE);
	return 0;
}

static int give_back(struct engine *e, uint64_t now_ns, struct engine_sock ref, bool abort)
{
	struct sock *s = enter(e, now_ns, ref);

	if (!s)
		return -EBADF;
	if (s->kind == SOCK_TCP)
		tcp_close(e, s, abort);
	sock_free(e, s);
	return 0;
}

int engine_close(struct engine *e, uint64_t now_ns, struct engine_sock ref)
{
	return give_back(e, now_ns, ref, false);
}

int engine_abort(struct engine *e, uint64_t now_ns, struct engine_sock ref)
{
	return give_back(e, now_ns, ref, true);
}

static int set_group(struct engine *e, struct sock *s, uint32_t group, bool add)
{
	int err;

	if (s->kind != SOCK_UDP || !ipv4_is_multicast(group))
		return -EINVAL;
	for (uint32_t i = 0; i < s->groups; i++) {
		if (s->group[i] != group)
			continue;
		if (add)
			return -EADDRINUSE;
		s->group[i] = s->group[--s->groups];
		igmp_leave(e, group);
		return 0;
	}
	if (!add)
		return -EADDRNOTAVAIL;
	if (s->groups == SOCK_GROUPS)
		return -ENOBUFS;
	err = igmp_join(e, group);
	if (err == 0)
		s->group[s->groups++] = group;
	return err;
}

/* Those of any socket. Return: 1: not one of these. */
static int set_common(struct engine *e, struct sock *s, enum engine_option o, uint32_t v)
{
	switch (o) {
	case ENGINE_SO_BROADCAST:
		s->broadcast = v != 0;
		return 0;
	case ENGINE_SO_RCVBUF:
		s->rcvbuf = max_u32(v, BUF_MIN);
		s->rcvbuf_fixed = true;
		return 0;
	case ENGINE_SO_SNDBUF:
		s->sndbuf = max_u32(v, BUF_MIN);
		s->sndbuf_fixed = true;
		return 0;
	case ENGINE_IP_RECVERR:
		s->recverr = v != 0;
		return 0;
	case ENGINE_ICMP_FILTER:
		if (s->kind != SOCK_RAW_ICMP)
			return -ENOPROTOOPT;
		s->icmp_filter = v;
		return 0;
	case ENGINE_SO_MAX_PACING_RATE:
		s->pacing_max = v;
		return 0;
	case ENGINE_IP_TTL:
		if (v < 1 || v > 255)
			return -EINVAL;
		s->ttl = (uint8_t)v;
		return 0;
	case ENGINE_IP_TOS:
		if (v > 255)
			return -EINVAL;
		s->tos = (uint8_t)v;
		return 0;
	case ENGINE_IP_MTU_DISCOVER:
		s->pmtu_discover = v != 0;
		return 0;
	case ENGINE_IP_ADD_MEMBERSHIP:
	case ENGINE_IP_DROP_MEMBERSHIP:
		return set_group(e, s, v, o == ENGINE_IP_ADD_MEMBERSHIP);
	case ENGINE_IP_MULTICAST_TTL:
		if (v > 255)
			return -EINVAL;
		s->group_ttl = (uint8_t)v;
		return 0;
	case ENGINE_IP_MULTICAST_LOOP:
		s->group_loop = v != 0;
		return 0;
	case ENGINE_IP_MULTICAST_IF:
		if (v && !engine_is_ours(e, v))
			return -EADDRNOTAVAIL;
		s->group_from = v;
		return 0;
	default:
		return 1;
	}
}

static int set_stream(struct sock *s, enum engine_option o, uint32_t v)
{
	switch (o) {
	case ENGINE_SO_KEEPALIVE:
		s->keepalive = v != 0;
		return 0;
	case ENGINE_TCP_NODELAY:
		s->nodelay = v != 0;
		return 0;
	case ENGINE_TCP_CORK:
		s->cork = v != 0;
		return 0;
	case ENGINE_TCP_QUICKACK:
		s->quickack = v != 0;
		return 0;
	case ENGINE_TCP_KEEPIDLE:
	case ENGINE_TCP_KEEPINTVL:
		if (v < 1 || v > 32767)
			return -EINVAL;
		*(o == ENGINE_TCP_KEEPIDLE ? &s->keep_idle_s : &s->keep_interval_s) = v;
		return 0;
	case ENGINE_TCP_KEEPCNT:
		if (v < 1 || v > 127)
			return -EINVAL;
		s->keep_count = v;
		return 0;
	case ENGINE_TCP_USER_TIMEOUT:
		s->user_timeout_ms = v;
		return 0;
	case ENGINE_TCP_CONGESTION:
		if (v >= ENGINE_CCS)
			return -EINVAL;
		s->cc = (uint8_t)v;
		return 0;
	case ENGINE_TCP_MAXSEG:
		if (v && (v < 88 || v > 65535))
			return -EINVAL;
		s->maxseg = v;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int engine_set(struct engine *e, uint64_t now_ns, struct engine_sock ref, enum engine_option o,
	       uint32_t value)
{
	struct sock *s = enter(e, now_ns, ref);
	int err;

	if (!s)
		return -EBADF;
	err = set_common(e, s, o, value);
	if (err == 1)
		err = s->kind == SOCK_TCP ? set_stream(s, o, value) : -ENOPROTOOPT;
	if (err == 0 && s->kind == SOCK_TCP)
		tcp_options_changed(e, s, o == ENGINE_TCP_NODELAY && value);
	return err;
}

int engine_get(struct engine *e, struct engine_sock ref, enum engine_option o, uint32_t *ret)
{
	struct sock *s = sock_of(e, ref);

	if (!s)
		return -EBADF;
	switch (o) {
	case ENGINE_SO_ERROR:
		*ret = (uint32_t)-sock_error_take(s);
		return 0;
	case ENGINE_SO_BROADCAST:
		*ret = s->broadcast;
		return 0;
	case ENGINE_SO_RCVBUF:
		*ret = s->rcvbuf;
		return 0;
	case ENGINE_SO_SNDBUF:
		*ret = s->sndbuf;
		return 0;
	case ENGINE_IP_RECVERR:
		*ret = s->recverr;
		return 0;
	case ENGINE_SO_MAX_PACING_RATE:
		*ret = s->pacing_max;
		return 0;
	case ENGINE_IP_TTL:
		*ret = s->ttl;
		return 0;
	case ENGINE_IP_TOS:
		*ret = s->tos;
		return 0;
	case ENGINE_IP_MTU_DISCOVER:
		*ret = s->pmtu_discover;
		return 0;
	case ENGINE_IP_MULTICAST_TTL:
		*ret = s->group_ttl;
		return 0;
	case ENGINE_IP_MULTICAST_LOOP:
		*ret = s->group_loop;
		return 0;
	case ENGINE_IP_MULTICAST_IF:
		*ret = s->group_from;
		return 0;
	default:
		break;
	}
	if (s->kind != SOCK_TCP)
		return -ENOPROTOOPT;
	switch (o) {
	case ENGINE_SO_KEEPALIVE:
		*ret = s->keepalive;
		return 0;
	case ENGINE_TCP_NODELAY:
		*ret = s->nodelay;
		return 0;
	case ENGINE_TCP_CORK:
		*ret = s->cork;
		return 0;
	case ENGINE_TCP_QUICKACK:
		*ret = s->quickack;
		return 0;
	case ENGINE_TCP_KEEPIDLE:
		*ret = s->keep_idle_s;
		return 0;
	case ENGINE_TCP_KEEPINTVL:
		*ret = s->keep_interval_s;
		return 0;
	case ENGINE_TCP_KEEPCNT:
		*ret = s->keep_count;
		return 0;
	case ENGINE_TCP_USER_TIMEOUT:
		*ret = s->user_timeout_ms;
		return 0;
	case ENGINE_TCP_CONGESTION:
		*ret = s->cc;
		return 0;
	case ENGINE_TCP_MAXSEG:
		*ret = s->tcp != NIL ? e->tcp[s->tcp].mss : s->maxseg;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int engine_info(struct engine *e, struct engine_sock ref, struct engine_info *ret)
{
	struct sock *s = sock_of(e, ref);

	if (!s)
		return -EBADF;
	*ret = (struct engine_info){
		.kind = (enum engine_kind)s->kind,
		.state = s->listening ? ENGINE_LISTEN : ENGINE_CLOSED_STATE,
		.laddr = s->laddr,
		.raddr = s->raddr,
		.lport = s->lport,
		.rport = s->rport,
		.rcvbuf = s->rcvbuf,
		.sndbuf = s->sndbuf,
		.readable = s->queued,
		.unsent = s->sending,
	};
	if (s->kind == SOCK_TCP && s->tcp != NIL)
		tcp_info(e, &e->tcp[s->tcp], ret);
	return 0;
}
