/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto.h - What a party and the daemon say to each other.
 *
 * A SOCK_SEQPACKET AF_UNIX connection, one for each process. One request is
 * one record, struct ctl_msg with only the first ctl_msg.len bytes sent;
 * replies carry the request's @seq and its type | CTL_REPLY. Descriptors
 * travel as SCM_RIGHTS with the record. The daemon copies a record out, then
 * validates it; a malformed, oversized or out-of-order one ends that client
 * and no other. Requests are idempotent: a client that saw CTL_RESTARTED (a
 * new daemon took over), or no reply in time, sends the same again.
 */
#ifndef MORTISE_CTL_PROTO_H
#define MORTISE_CTL_PROTO_H

#include "base/defs.h"

#define CTL_VERSION 10u /* Of this protocol and of the ABI together. */
#define CTL_REPLY 0x8000u
#define CTL_FD_MAX 64      /* descriptors in one record */
#define CTL_HANDLE_BATCH 64 /* at most, in one CTL_HANDLES */
#define CTL_TEXT_MAX 3072
#define CTL_LINGER_MAX 1000000000u
#define CTL_PING_TIMEOUT_MAX 3600000u
#define CTL_REUSE_ADDR 1u
#define CTL_REUSE_PORT 2u
#define CTL_NET_ADDR 1u
#define CTL_NET_ROUTE 2u
#define CTL_NET_NEIGH 3u
#define CTL_NET_STATS 4u
#define CTL_TCP_TS 1u
#define CTL_TCP_SACK 2u
#define CTL_HAS_BELL 1u
#define CTL_HAS_SHADOW 2u

enum ctl_type {
	CTL_HELLO = 1,   /* fds: arena (rw), mailbox (rw), bell 0 -> registry (ro) */
	CTL_BELL,        /* fds: eventfd of bell @bell.number -> fds: the one that is in use already */
	CTL_HANDLES,     /* @handles.count -> @handles, fds: that many handles */
	CTL_PEER,        /* @peer -> @peer, fds: arena (ro), mailbox (rw), bell 0 */
	CTL_PEER_BELL,   /* @peer -> fds: eventfd */
	CTL_LET_GO,      /* @peer; no reply */
	CTL_LISTEN,      /* @listen -> error 0 or EADDRINUSE */
	CTL_UNLISTEN,    /* @listen -> */
	CTL_DEMOTE,      /* @listen, of any party: no longer shared memory -> */
	CTL_BIND,        /* policy none: @listen.at (port 0: choose) -> @listen.at */
	CTL_UNBIND,      /* policy none; no reply */
	CTL_LEASE,       /* -> @lease */
	CTL_GOODBYE,     /* the process is about to exec or leave; no reply */
	CTL_SHARE,       /* @shared: of a half that several processes hold. fds: its own eventfd,
			    its shadow (the ones that @shared.has names, in this order) -> */
	CTL_SHARED_BELL, /* @shared -> fds: that eventfd; ENOENT */
	CTL_ATTACH,      /* fds: a copy of a handle -> @shared; fds: its party's arena (rw), mailbox
			    (rw), then what @shared.has names. ENOENT: it is none */
	CTL_TCP_INFO,    /* @shared: a half of the wire's -> @row, of which wire and tcp_ are filled in;
			    ENOENT: it is none, or is over */
	CTL_CLOSED,      /* @shared, with its handle: our copies are closed; were they the last,
			    the half has ended before the reply -> */
	/* The command's. They need no hello. */
	CTL_LIST = 64,   /* -> records CTL_LIST|CTL_REPLY, one a socket, then one with @row.last */
	CTL_STATUS,      /* -> @status */
	CTL_DOWN,        /* @down.force -> error 0, or EBUSY with @status.connections */
	CTL_LINGER,      /* @linger -> */
	CTL_PING,        /* @ping -> @ping; when there is an answer, or it is late: ETIMEDOUT */
	CTL_NET,         /* @net.what -> records CTL_NET|CTL_REPLY, then one with @net.last */
	CTL_RESTARTED = 127, /* daemon to client, seq 0: I am new; ask again */
};

/**
 * struct ctl_msg - One record, both ways.
 * @version: CTL_VERSION, in each record.
 * @len:     Bytes of this record, header included.
 * @error:   In replies: 0 or a positive errno.
 */
struct ctl_msg {
	uint16_t version;
	uint16_t type;
	uint32_t len;
	uint32_t seq;
	int32_t error;
	union {
		struct {
			uint32_t pid;     /* checked against SO_PEERCRED */
			uint32_t party;   /* reply */
			uint32_t gen;     /* reply */
			uint32_t policy;  /* reply */
			uint32_t excluded; /* unused, 0 */
			char comm[16];
		} hello;
		struct {
			uint32_t number;
		} bell;
		struct {
			uint32_t count;
			uint32_t ids[CTL_HANDLE_BATCH]; /* reply: handle numbers of this party */
		} handles;
		struct {
			uint32_t id;
			uint32_t gen;
			uint32_t pid;  /* reply */
			uint32_t bell; /* PEER_BELL */
		} peer;
		struct {
			uint64_t at;    /* addr_word; ADDR_WORD_DUAL where that holds */
			uint32_t slot;
			uint32_t gen;   /* of the half */
			uint32_t party; /* DEMOTE, LISTEN: of the listener; 0: mine */
			uint32_t reuse; /* BIND: CTL_REUSE_*; LISTEN: others may listen there, too */
		} listen;
		struct {
			uint32_t party, party_gen;
			uint32_t slot, gen; /* the half */
			uint32_t has;       /* CTL_HAS_* */
			uint32_t handle;    /* CLOSED, reply of ATTACH: its number in that party */
		} shared;
		struct {
			uint16_t first; /* ports [first, first + count) are yours */
			uint16_t count;
		} lease;
		struct {
			uint32_t last;      /* 1: no row here, the list is complete */
			uint32_t transport; /* 0 shm, 1 kernel */
			uint32_t reason;    /* enum reason, for kernel */
			uint32_t state;     /* enum half_state, shm */
			uint32_t half_closed; /* 1 local FIN, 2 remote FIN */
			uint32_t pid;
			int32_t fd;         /* -1 unknown */
			uint32_t uid;
			uint64_t local, remote; /* addr_word */
			uint64_t recv_q, send_q; /* bytes; LISTEN: waiting, backlog */
			uint64_t tx_bytes, rx_bytes; /* through shared memory */
			uint64_t wakes, sleeps, spins;
			uint64_t inode; /* kernel: the socket's; shm: party << 32 | handle + 1, 0: none */
			uint64_t cookie;
			char comm[16];
			uint32_t family;    /* AF_INET, AF_INET6; 0 (kernel): the command asks the kernel */
			uint32_t protocol;  /* IPPROTO_TCP, IPPROTO_UDP; 0 likewise */
			uint8_t local_ip6[16], remote_ip6[16]; /* what @local and @remote name, in network
							  order; IPv4 v4-mapped */
			uint32_t local_scope, remote_scope; /* link-local: interface, else 0 */
			uint32_t sndbuf, rcvbuf;   /* bytes, as set; 0: automatic */
			uint64_t tx_ring, rx_ring; /* bytes of ring memory: own, the peer's */
			uint64_t drops;            /* datagrams for which there was no room */
			uint64_t age_ns;           /* since it came to be */
			uint32_t cpu;              /* where its owner last ran, + 1; 0: unknown */
			uint32_t shared;           /* 1: several processes hold it */
			/* With @wire: what the domain's TCP knows of it; octets, microseconds. */
			uint32_t wire, tcp_state; /* enum engine_tcp_state */
			uint32_t tcp_cwnd, tcp_ssthresh, tcp_mss, tcp_pmtu;
			uint32_t tcp_rtt_us, tcp_rttvar_us, tcp_rto_us, tcp_min_rtt_us;
			uint32_t tcp_snd_wnd, tcp_rcv_wnd;
			uint32_t tcp_retrans_segs, tcp_segs_out, tcp_segs_in;
			uint32_t tcp_flags; /* CTL_TCP_*; window scales << 8 and 16; cc << 24 */
			uint64_t tcp_unacked, tcp_unsent;
			uint64_t tcp_bytes_sent, tcp_bytes_acked, tcp_bytes_received;
			uint64_t tcp_bytes_retrans;
			uint64_t tcp_pacing_rate, tcp_delivery_rate; /* a second; UINT32_MAX: no limit */
		} row;
		struct {
			uint32_t version;
			uint32_t policy;
			uint32_t daemon_pid, keeper_pid;
			uint32_t clients, connections, listeners, handles;
			uint64_t opened;        /* connections ever made through memory */
			uint64_t bytes;         /* ever sent through memory */
			uint64_t fallbacks[32]; /* by enum reason */
			uint64_t messages;      /* control messages served */
			uint64_t started_ns;    /* CLOCK_MONOTONIC */
			char domain[64];
			uint32_t linger_s;      /* how long the daemon stays when it is unused */
		} status;
		struct {
			uint32_t force;
		} down;
		struct {
			uint32_t addr;       /* host order; reply: who answered */
			uint32_t bytes;      /* of payload; reply: of the answer's */
			uint32_t ttl;        /* 0: 64; reply: of the answer */
			uint32_t sequence;   /* 0 to 65535 */
			uint32_t timeout_ms; /* 1 to CTL_PING_TIMEOUT_MAX */
			uint32_t unused;     /* 0 */
			uint64_t rtt_ns;     /* reply */
		} ping;
		struct {
			uint32_t what;          /* CTL_NET_* */
			uint32_t last;          /* 1: no row here, the list is complete */
			uint32_t addr, gateway, src, prefix;
			uint32_t state;         /* enum engine_neigh_state */
			uint8_t mac[8];         /* 6 of them */
			uint32_t unused;
			uint64_t value;         /* a counter; an age in ns; an MTU */
			char name[40];          /* of the interface, or the counter */
		} net;
		struct {
			uint32_t seconds; /* to stay when unused; up to CTL_LINGER_MAX: for ever */
		} linger;
	};
};

#define CTL_HEADER_BYTES ((uint32_t)offsetof(struct ctl_msg, hello))
/** Bytes of a record that carries member @m. */
#define CTL_BYTES(m) ((uint32_t)(CTL_HEADER_BYTES + sizeof(((struct ctl_msg *)0)->m)))

#endif
