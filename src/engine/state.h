/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h - The layout of the mapping: one struct engine_state at its
 * beginning, then the tables, then the ring area. Inside of the engine only.
 *
 * Everything here is found by index. What refers to an object that may go
 * before it does so with a generation, too.
 */
#ifndef MORTISE_ENGINE_STATE_H
#define MORTISE_ENGINE_STATE_H

#include "base/checked.h"
#include "base/ilist.h"
#include "engine/buddy.h"
#include "engine/count.h"
#include "engine/engine.h"
#include "engine/slab.h"
#include "engine/siphash.h"
#include "engine/tcp.h"
#include "engine/wheel.h"
#include "wire/eth.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

#define ENGINE_MAGIC 0x4d54534534ull /* "MTSE4": changes with the layout */

#define NS_SEC 1000000000ull
#define NS_MSEC 1000000ull
#define NS_USEC 1000ull

#define COUNT(e, what) ((e)->s->count[COUNT_##what]++)
#define COUNT_FAULT(e, layer, fault) ((e)->s->count[COUNT_##layer##_FAULT + (fault)]++)

/* ------------------------------------------------------------ datagrams */

#define CELL_BYTES 2040u /* a multiple of 8: fragments begin at those */
#define PKT_CELLS 33u	 /* of the largest datagram */
#define PKT_GAPS 64u	 /* fragments of one datagram */

struct cell {
	struct slab_head head;
	uint8_t data[CELL_BYTES];
};

enum pkt_kind { PKT_IP, PKT_ARP };

/**
 * struct pkt - A datagram's payload, behind the IP header: one to send, one
 * received, or one being put together.
 * @link:     In the one queue that it is in.
 * @next_hop: To whom it is sent; 0: to everybody on the link.
 * @bytes:    Of the payload.
 * @sent:     Of the payload, in fragments that have gone.
 * @sock, @sock_gen: Whose send buffer it counts in; sock NIL: nobody's.
 * @begun:    Something of it has gone.
 * @alert:    With the option for routers to look at it (RFC 2113).
 * @mac:      For PKT_ARP: where to.
 * @sport:    Received UDP: the sender's port.
 * @about:    For one that waits in a socket's queue of errors.
 */
struct pkt {
	struct slab_head head;
	struct ilink link;
	uint32_t src, dst, next_hop;
	uint32_t bytes, sent;
	uint32_t sock, sock_gen;
	uint16_t id, sport;
	uint8_t kind, proto, ttl, tos;
	bool df, begun, alert;
	uint8_t mac[6];
	struct engine_error about;
	uint32_t cell[PKT_CELLS];
};

/**
 * struct reass - A datagram in pieces. One of a small table.
 * @pkt:   Where its payload is put together; NIL: this entry is free.
 * @total: Of the payload; 0: the last fragment has not come.
 * @start, @end: What has come, in ascending order, neighbours joined.
 * @first: The first fragment's header and 8 octets, for the error when time is over.
 */
struct reass {
	uint32_t pkt;
	uint32_t src, dst;
	uint16_t id;
	uint8_t proto, ttl;
	uint32_t total;
	uint32_t pieces;
	uint16_t start[PKT_GAPS], end[PKT_GAPS];
	uint8_t first[IPV4_HEADER_BYTES + 8];
	bool has_first;
};

#define REASS_MAX 16u
#define REASS_TIMEOUT_NS (30 * NS_SEC)

/* ------------------------------------------------------------ neighbours */

enum neigh_state { NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_PROBE };

/**
 * struct neigh - Who has an address on the link.
 * @lru:       All of them, least recently used first.
 * @queue:     Datagrams that wait for the answer; at most NEIGH_QUEUE.
 * @confirmed_ns: When it last answered.
 * @asked:     Requests since.
 */
struct neigh {
	struct slab_head head;
	struct ilink lru;
	uint32_t addr;
	uint32_t chain;
	struct ilist queue;
	uint32_t queued;
	uint64_t confirmed_ns;
	uint8_t mac[6];
	uint8_t state, asked;
};

#define NEIGH_QUEUE 4u
#define NEIGH_BUCKETS 256u
#define NEIGH_ASK_MAX 3u
#define NEIGH_ASK_NS NS_SEC /* RFC 1122 2.3.2.1: at most one a second */
#define NEIGH_REACHABLE_NS (30 * NS_SEC)

/* ------------------------------------------------------------ our addresses: acd.h */

enum acd_state { ACD_PROBE, ACD_ANNOUNCE, ACD_USED, ACD_CONFLICT };

/** struct acd - Of one address. @sent: probes, or announcements. @due_ns: of the next step; 0:
 * none.
 */
struct acd {
	uint64_t due_ns, defended_ns;
	uint8_t state, sent;
};

/* ------------------------------------------------------------ multicast groups: igmp.h */

#define IGMP_GROUPS ENGINE_GROUPS

/**
 * struct igmp_group - A group that is joined, or whose end is still being said.
 * @users:     Sockets that have joined it.
 * @change_ns: When its last change is said next, @changes times from now on; 0: it has been.
 * @answer_ns: When a query is answered; 0: none is to be.
 * @last:      Nobody has reported it since we did.
 */
struct igmp_group {
	uint32_t addr, users;
	uint64_t change_ns, answer_ns;
	uint8_t changes;
	bool last;
};

/** struct igmp_state - @until_ns: Until when routers of version 1, and 2, are taken to be there.
 * @robustness: How often a change is said; 0: no router has said. */
struct igmp_state {
	struct igmp_group group[IGMP_GROUPS];
	uint32_t groups;
	uint8_t robustness;
	uint64_t until_ns[2];
};

/* ------------------------------------------------------------ sockets */

enum sock_kind {
	SOCK_TCP = ENGINE_TCP,
	SOCK_UDP = ENGINE_UDP,
	SOCK_PING = ENGINE_PING,
	SOCK_RAW_ICMP = ENGINE_RAW_ICMP,
};

#define SOCK_GROUPS 20u /* as Linux has it at first */

/**
 * struct sock - What the user has. A connection (tcp) outlives it when it is
 * closed, and is there before it while it waits to be accepted.
 * @event_link: In state.events while @events is not empty.
 * @port_link:  In the chain of its port's bucket while @lport is not 0.
 * @tcp:        The connection; NIL: none.
 * @accept:     Listener: established connections that wait, by tcp.wait_link.
 * @queue:      Datagrams received; @queued octets, counted with what they take up.
 * @errors:     What IP_RECVERR keeps; @error_cost octets.
 * @sending:    Octets in datagrams that have not left.
 * @full:       A send found no room: ENGINE_WRITABLE when there is.
 */
struct sock {
	struct slab_head head;
	struct ilink event_link, port_link;
	uint64_t cookie;
	uint32_t events;
	uint32_t laddr, raddr;
	uint16_t lport, rport;
	uint32_t tcp;
	struct ilist accept;
	uint32_t accepting, backlog, half_open;
	struct ilist queue;
	uint32_t queued, rcvbuf;
	struct ilist errors;
	uint32_t error_cost;
	uint32_t icmp_filter;
	uint32_t sending, sndbuf;
	uint32_t groups, group[SOCK_GROUPS];
	uint32_t group_from; /* from which address to send to groups; 0: the first */
	uint32_t keep_idle_s, keep_interval_s, keep_count, user_timeout_ms;
	uint32_t maxseg;
	uint32_t pacing_max; /* octets a second; PACE_NONE: no limit */
	int32_t error;
	uint8_t kind, cc, ttl, tos, pmtu_discover;
	bool listening, connected, full, shut_rd, shut_wr;
	bool recverr;
	uint8_t group_ttl;
	bool group_loop;
	bool broadcast, keepalive, nodelay, cork, quickack, rcvbuf_fixed, sndbuf_fixed;
};

/* ------------------------------------------------------------ the whole */

/** struct route - @prefix: bits. @gateway: 0: on the link. @src: which of our addresses to send
 * from. */
struct route {
	uint32_t dst, gateway, src;
	uint8_t prefix;
};

#define PMTU_ENTRIES 256u
#define PMTU_MIN 552u		   /* less is not believed; RFC 1191 says 68 */
#define PMTU_AGE_NS (600 * NS_SEC) /* RFC 1191 6.3 */

/** struct pmtu - What is known about the way to @dst; the newest of those that fall into its place.
 */
struct pmtu {
	uint32_t dst, mtu;
	uint64_t until_ns;
};

/** struct bucket_limit - A token bucket: @tokens at @then_ns. */
struct token_bucket {
	uint64_t then_ns;
	uint32_t tokens;
	uint32_t pad;
};

/* Timers: one for each connection, half-open connection and neighbour, one for each
 * reassembly, then these. Their numbers follow each other in that order. */
enum timer_other { TIMER_ACD, TIMER_IGMP, TIMER_OTHERS };

struct engine_offsets {
	uint64_t tcp, seg, syn, sock, pkt, cell, neigh, ooo, timer, book, tcp_bucket, syn_bucket,
		port_bucket;
	uint64_t ring, ring_bytes, bytes;
};

struct engine_state {
	uint64_t magic;
	uint64_t now_ns;
	struct engine_config config;
	struct engine_offsets at;
	struct siphash_key key;
	struct slab tcps, segs, syns, socks, pkts, cells, neighs, ooos;
	struct buddy buddy;
	struct wheel wheel;
	uint32_t tcp_buckets, syn_buckets, port_buckets;	   /* powers of two */
	uint32_t timer_syn, timer_neigh, timer_reass, timer_other; /* their first */

	struct ilist tx;       /* datagrams to send, by pkt.link */
	struct ilist tcp_out;  /* connections that may have something to send, by tcp.out_link */
	struct ilist arp_wait; /* connections whose neighbour has not answered, the same link */
	struct ilist events;   /* sockets with events */
	struct ilist
		time_wait; /* connections that nobody has, the oldest first, by tcp.wait_link */
	struct ilist neigh_lru;
	uint32_t neigh_bucket[NEIGH_BUCKETS];

	struct route route[ENGINE_ROUTES];
	uint32_t routes;
	uint32_t route_change; /* bumped by each change */
	struct pmtu pmtu[PMTU_ENTRIES];
	struct reass reass[REASS_MAX];
	struct token_bucket icmp_limit;
	struct acd acd[ENGINE_ADDRESSES];
	struct igmp_state igmp;
	uint64_t cookie_ns;   /* when a SYN cookie was last sent */
	uint32_t tcp_last;    /* the connection that was found last: the next segment is often its,
				 too; NIL: it is gone */
	uint32_t port_offset; /* RFC 6056 3.3.3: of the next search */
	uint64_t draws;	      /* numbers drawn from the key */
	uint64_t count[ENGINE_COUNT_MAX];
	/* Where a datagram that came in pieces is laid out in one. */
	uint8_t scratch[IPV4_PACKET_MAX + 1];
};

/** engine_draw() - A number nobody can guess, another one each time. */
static inline uint64_t engine_draw(struct engine *e)
{
	return siphash_2u64(&e->s->key, e->s->draws++, 0x64726177);
}

/** engine_is_ours() - Is @addr one of the interface's that is in use? */
bool engine_is_ours(const struct engine *e, uint32_t addr);

/** engine_is_local() - One of ours, or 127.0.0.0/8 where there is a loopback. */
bool engine_is_local(const struct engine *e, uint32_t addr);

/** engine_is_broadcast() - 255.255.255.255, or a broadcast address of one of our networks. */
bool engine_is_broadcast(const struct engine *e, uint32_t addr);

static inline struct itable tcp_out_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->tcp[0].out_link, sizeof(struct tcp)};
}

static inline struct itable tcp_wait_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->tcp[0].wait_link, sizeof(struct tcp)};
}

static inline struct itable pkt_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->pkt[0].link, sizeof(struct pkt)};
}

static inline struct itable neigh_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->neigh[0].lru, sizeof(struct neigh)};
}

static inline struct itable sock_event_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->sock[0].event_link, sizeof(struct sock)};
}

static inline struct itable sock_port_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->sock[0].port_link, sizeof(struct sock)};
}

static inline struct itable seg_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->seg[0].order, sizeof(struct tcp_seg)};
}

static inline struct itable seg_time_links(const struct engine *e)
{
	return (struct itable){(uint8_t *)&e->seg[0].time, sizeof(struct tcp_seg)};
}

static inline uint32_t index_of(const void *table, const void *object, size_t stride)
{
	return (uint32_t)((size_t)((const uint8_t *)object - (const uint8_t *)table) / stride);
}

#define SYN_INDEX(e, y) index_of((e)->syn, (y), sizeof(struct syn))
#define TCP_INDEX(e, t) index_of((e)->tcp, (t), sizeof(struct tcp))
#define SOCK_INDEX(e, s) index_of((e)->sock, (s), sizeof(struct sock))
#define PKT_INDEX(e, p) index_of((e)->pkt, (p), sizeof(struct pkt))
#define NEIGH_INDEX(e, n) index_of((e)->neigh, (n), sizeof(struct neigh))

#endif
