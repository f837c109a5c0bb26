/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - A TCP/IP stack as a function of frames, commands and time.
 *
 * It makes no system call, has no clock, no thread and no randomness but the
 * key that it is given, and allocates nothing after engine_init(): the whole
 * state is one mapping of the caller's, without a pointer in it. Whoever calls
 * it with the same frames, commands and times gets the same frames and events.
 *
 * The caller's loop: frames that came to engine_input(); engine_time() once
 * engine_deadline() has come; then engine_output() until it has no more, and
 * engine_event() until it has no more. Commands in between.
 *
 * Times are nanoseconds of any clock that never goes back. Addresses and ports
 * are in host order. docs/engine.md is the theory of operation.
 */
#ifndef MORTISE_ENGINE_ENGINE_H
#define MORTISE_ENGINE_ENGINE_H

#include "base/defs.h"

#define ENGINE_HEADER_BYTES 136u /* Ethernet, IPv4 and TCP with all options, and some */
#define ENGINE_PIECES 40u
#define ENGINE_WINDOWS 4u

struct engine_state;
struct tcp;
struct tcp_seg;
struct syn;
struct sock;
struct pkt;
struct cell;
struct neigh;
struct ooo;
struct timer;
struct buddy_page;
struct engine_sock;

/**
 * struct engine_window - Memory that rings may lie in, as this process maps it.
 * @base: NULL: there is none. Window 0 is the ring area of the mapping itself.
 */
struct engine_window {
	uint8_t *base;
	uint64_t bytes;
};

/**
 * struct engine_lent - Octets of a frame that the caller lets stay: see engine_input_lent().
 * @open:     They may be lent now.
 * @at, @bytes: Where they are; 0: none are lent.
 * @tcp, @gen: The connection that octets have come for in order; gen 0: for none.
 * @position: In its receive ring, of the first.
 * @placed:   So many of the first are not there, but at the reader.
 */
struct engine_lent {
	const uint8_t *at;
	uint64_t position;
	uint32_t bytes, tcp, gen, placed;
	bool open;
};

/**
 * struct engine - How one process sees the state. Not part of it: made by
 * engine_init() or engine_attach(), of no use once the mapping is gone.
 */
struct engine {
	struct engine_state *s;
	struct tcp *tcp;
	struct tcp_seg *seg;
	struct syn *syn;
	struct sock *sock;
	struct pkt *pkt;
	struct cell *cell;
	struct neigh *neigh;
	struct ooo *ooo;
	struct timer *timer;
	struct buddy_page *book;
	uint32_t *tcp_bucket;
	uint32_t *syn_bucket;
	uint32_t *port_bucket;
	struct engine_window window[ENGINE_WINDOWS];
	struct engine_lent lent;
};

#define ENGINE_ADDRESSES 8u
#define ENGINE_GROUPS 64u /* multicast groups that are joined at once, by whatever sockets */
#define ENGINE_ROUTES 64u

/** struct engine_address - One of the interface's own. @prefix: Bits of its network, 1 to 32. */
struct engine_address {
	uint32_t addr;
	uint8_t prefix;
};

#define ENGINE_OFFLOAD_SUM 1u /* it completes TCP's checksums */
#define ENGINE_OFFLOAD_TSO 2u /* and cuts large TCP segments; with the other only */

/**
 * struct engine_config - What is fixed for the life of a state. Zero where a
 * default is said.
 * @mac:        The interface's.
 * @mtu:        Octets of an IP packet; 68 to 65535. Default 1500.
 * @addresses:  How many of @address.
 * @gateway:    Default route; 0: none.
 * @tcps, @segs, @syns, @socks, @pkts, @cells, @neighs, @ooos: Sizes of tables:
 *              connections (1024), segments in flight (16 for each connection),
 *              half-open ones (256), sockets (those and the connections' number),
 *              datagrams (512), their cells of 2 KiB (1024), neighbours (256),
 *              connections with gaps in what they received (256).
 * @ring_bytes: Payload of connections; default 16 MiB. Rounded up to pages.
 * @rcvbuf_max, @sndbuf_max: To which the buffers of a connection tune themselves; default 16 MiB,
 *              at most that, and at most half of @ring_bytes.
 * @unsent_max:  Octets written and not sent yet that a stream takes, below its buffer; 0: no limit.
 *               So many are enough where the writer is quick, and stay in the cache.
 * @time_wait_ns: 2 MSL; default 60 s.
 * @local_port_min, @local_port_max: For sockets that chose none. Default 32768, 60999.
 * @no_announce: Do not announce the addresses by gratuitous ARP.
 * @probe:       Use an address only once nobody answered when it was asked for (RFC 5227 2.1),
 *               which takes 4 to 7 s; see engine_address_state().
 * @offload:     What the device does for us: ENGINE_OFFLOAD_ bits; 0: nothing.
 * @loopback:    Our own addresses and 127.0.0.0/8 are reached through ENGINE_LOOPBACK; else
 *               they are ENETUNREACH.
 * @no_timestamps: Neither offer TCP's timestamps nor take them (RFC 7323 3).
 */
struct engine_config {
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t addresses;
	struct engine_address address[ENGINE_ADDRESSES];
	uint32_t gateway;
	uint32_t tcps, segs, syns, socks, pkts, cells, neighs, ooos;
	uint64_t ring_bytes;
	uint32_t rcvbuf_max, sndbuf_max, unsent_max;
	uint64_t time_wait_ns;
	uint16_t local_port_min, local_port_max;
	uint8_t offload;
	bool no_announce, no_timestamps;
	bool loopback;
	bool probe;
};

/**
 * engine_bytes() - How large the mapping has to be.
 *
 * Return: octets; 0: no such configuration, see engine_init().
 */
size_t engine_bytes(const struct engine_config *config);

/**
 * engine_init() - Make a state in @mem, which is zeroed memory, aligned to a page.
 * @key: 16 octets that nobody can guess.
 *
 * Return: 0, or -EINVAL: a figure of the configuration is impossible, or -ENOMEM: @bytes are too
 * few.
 */
int engine_init(struct engine *e, void *mem, size_t bytes, const struct engine_config *config,
		const uint8_t key[16], uint64_t now_ns);

/**
 * engine_attach() - See a state that is there already, perhaps at another address than before.
 *
 * Return: 0, or -EINVAL: this is no state of this version.
 */
int engine_attach(struct engine *e, void *mem, size_t bytes);

/* ------------------------------------------------------------ the outside */

/**
 * enum engine_interface - Where frames go and come from.
 *
 * What engine_output() gives for ENGINE_LOOPBACK is for the engine itself: the caller hands it
 * to engine_input_from(), at once or as much later as it likes. None is made without
 * engine_config.loopback.
 */
enum engine_interface { ENGINE_DEVICE, ENGINE_LOOPBACK, ENGINE_INTERFACES };

/** engine_input() - A frame has come from the device. It may be anything; nothing of it is kept by
 * reference. */
void engine_input(struct engine *e, uint64_t now_ns, const void *frame, size_t bytes);

/** engine_input_from() - The same, from any interface. */
void engine_input_from(struct engine *e, uint64_t now_ns, enum engine_interface from,
		       const void *frame, size_t bytes);

/**
 * struct engine_offload - What is left to the device of a frame that goes to it, or was left to
 * us of one that comes. All zero: nothing.
 * @sum_start:  Octets of the frame before those that are still to be summed: TCP's or UDP's first.
 *              0: the checksum is there.
 * @sum_offset: From there to the field, which has the pseudo-header's sum.
 * @cut_bytes:  Payload octets of each TCP segment that this one is to be cut into, or was made of;
 *              0: it is one segment.
 * @sum_ok:     Of one that comes: the device has found the checksum right.
 */
struct engine_offload {
	uint16_t sum_start, sum_offset, cut_bytes;
	bool sum_ok;
};

/**
 * engine_input_offloaded() - engine_input() for a device that leaves things to us. What @o says
 * may be as wrong as the frame: one that it does not fit to is dropped and counted.
 */
void engine_input_offloaded(struct engine *e, uint64_t now_ns, const void *frame, size_t bytes,
			    const struct engine_offload *o);

/**
 * engine_input_lent() - engine_input_offloaded() of a frame that stays where it is until
 * engine_lent_end(), before which nothing but engine_recv(), engine_event() and what ends a socket
 * may be called.
 * @ret_cookie: Of a stream for which octets have come: to receive now saves a copy, of these, or
 *              where some were there before, of the next frame's.
 *
 * Return: false: there are none.
 */
bool engine_input_lent(struct engine *e, uint64_t now_ns, const void *frame, size_t bytes,
		       const struct engine_offload *o, uint64_t *ret_cookie);

/**
 * engine_place() - May the next frame's payload go straight to where the reader of this stream
 * wants it, without the engine? So where all that came was received, and nothing is missing.
 *
 * Return: how many octets of headers would be before it; 0: no.
 */
size_t engine_place(struct engine *e, struct engine_sock s);

/**
 * engine_input_placed() - engine_input_lent() of a frame whose first @placed octets of payload,
 * behind engine_place()'s headers, the reader has already. They count as received; what @frame has
 * in their place is not read. What is behind them is lent.
 *
 * Return: false: they are not what comes next in this stream, or somebody has to sum them. Nothing
 * has happened: the caller puts them in their place, and gives the frame in by another call.
 */
bool engine_input_placed(struct engine *e, uint64_t now_ns, struct engine_sock s, const void *frame,
			 size_t bytes, size_t placed, const struct engine_offload *o);

/** engine_lent_end() - What was not received is copied; the frame is the caller's again. */
void engine_lent_end(struct engine *e);

/** struct engine_piece - Borrowed until the engine is called next. */
struct engine_piece {
	const uint8_t *at;
	size_t bytes;
};

/**
 * struct engine_frame - A frame to send, as a gather list.
 * @bytes:  Of all, @kept ones included.
 * @header: Where piece 0 lies: do not copy the struct.
 * @kept:   So many octets behind the pieces are with the caller (engine_send_kept()): of the
 *          stream with @kept_cookie, those behind the first @kept_at of what engine_kept() says.
 * @interface: enum engine_interface: where to.
 * @offload: What the device is to do with it, of what engine_config.offload says that it can.
 */
struct engine_frame {
	struct engine_piece piece[ENGINE_PIECES];
	struct engine_offload offload;
	uint32_t pieces;
	uint32_t bytes;
	uint32_t kept, kept_at;
	uint64_t kept_cookie;
	uint8_t interface;
	uint8_t header[ENGINE_HEADER_BYTES];
};

/**
 * engine_output() - The next frame to send. It counts as sent: a caller that
 * cannot send it has lost it. So ask only while the device takes frames.
 *
 * Return: true, or false: there is none now.
 */
bool engine_output(struct engine *e, uint64_t now_ns, struct engine_frame *ret);

/** engine_time() - Let time be @now_ns: timers that are due fire. */
void engine_time(struct engine *e, uint64_t now_ns);

/** engine_deadline() - When to call engine_time(); UINT64_MAX: no timer is set. May be early, never
 * late. */
uint64_t engine_deadline(const struct engine *e);

/* ------------------------------------------------------------ sockets */

/** struct engine_sock - A socket. Stale ones are found out: -EBADF. */
struct engine_sock {
	uint32_t index;
	uint32_t gen;
};

/* Events: bits. Each is said once, when it becomes true. */
#define ENGINE_READABLE 1u /* something to receive, or the end, or an error */
#define ENGINE_WRITABLE 2u /* room to send again after -EAGAIN, connected, an error, or our FIN was
			      acknowledged */
#define ENGINE_ACCEPT 4u   /* a connection to accept */
#define ENGINE_ERROR 8u	   /* ENGINE_SO_ERROR has one */
#define ENGINE_CLOSED 16u  /* both directions have ended */
#define ENGINE_STALLED 64u /* R1 of RFC 9293 3.8.3: sent again three times without an answer */
#define ENGINE_URGENT 32u  /* the peer has sent something urgent: engine_urgent() */
#define ENGINE_FREED 128u  /* engine_kept() is less than it was */

struct engine_event {
	struct engine_sock sock;
	uint64_t cookie; /* as given to engine_open(), or engine_accept() */
	uint32_t events;
};

/** engine_event() - The next socket to which something happened. Return: false: there is none. */
bool engine_event(struct engine *e, struct engine_event *ret);

enum engine_kind {
	ENGINE_TCP = 1,
	ENGINE_UDP,
	ENGINE_PING,	 /* echo requests, and the answers to them */
	ENGINE_RAW_ICMP, /* any ICMP message; what comes begins with its IP header */
};

/** engine_open() - Return: 0, or -ENFILE, -EPROTONOSUPPORT. */
int engine_open(struct engine *e, enum engine_kind kind, uint64_t cookie, struct engine_sock *ret);

/**
 * engine_bind() - Give a socket its local address and port.
 * @addr: One of our own, a multicast or broadcast one for UDP, or 0: any.
 * @port: 0: one is chosen.
 *
 * Return: 0, or -EBADF, -EINVAL: it has one, -EADDRNOTAVAIL, -EADDRINUSE.
 */
int engine_bind(struct engine *e, struct engine_sock s, uint32_t addr, uint16_t port);

/**
 * engine_connect() - Begin a connection, or name a datagram socket's peer.
 *
 * Return: 0: a datagram socket is connected; -EINPROGRESS: a stream's SYN is on its way,
 *         ENGINE_WRITABLE or ENGINE_ERROR will follow; or -EBADF, -EISCONN, -EALREADY, -EINVAL: it
 *         listens, -EADDRNOTAVAIL: no port is left, -ENETUNREACH, -EACCES: broadcast, -ENFILE.
 */
int engine_connect(struct engine *e, uint64_t now_ns, struct engine_sock s, uint32_t addr,
		   uint16_t port);

/** engine_listen() - @backlog: Connections that may wait for engine_accept(). Return: 0, -EBADF,
 * -EINVAL, -EOPNOTSUPP, -EADDRINUSE. */
int engine_listen(struct engine *e, struct engine_sock s, uint32_t backlog);

/** engine_accept() - Return: 0, or -EBADF, -EINVAL: it does not listen, -EAGAIN, -ENFILE. */
int engine_accept(struct engine *e, uint64_t now_ns, struct engine_sock s, uint64_t cookie,
		  struct engine_sock *ret);

/**
 * engine_send() - Send octets of a stream, or a datagram to the connected peer.
 *
 * Return: octets taken, perhaps fewer than @bytes for a stream; or -EBADF, -EAGAIN, -ENOTCONN,
 *         -EBUSY: see engine_kept(), -EPIPE, -EMSGSIZE, -EDESTADDRREQ, or the socket's error, which
 *         is then taken.
 */
int64_t engine_send(struct engine *e, uint64_t now_ns, struct engine_sock s, const void *octets,
		    size_t bytes);

/**
 * engine_send_more() - engine_send() for a stream, to which more is to be added soon.
 *
 * What is no full segment waits for that: until engine_send(), until something is acknowledged, or
 * for 200 ms, whatever ENGINE_TCP_NODELAY says.
 * Return: as engine_send(), and -EOPNOTSUPP: no stream.
 */
int64_t engine_send_more(struct engine *e, uint64_t now_ns, struct engine_sock s,
			 const void *octets, size_t bytes);

/**
 * engine_send_kept() - engine_send() of octets of a stream that stay with the caller until they
 * are acknowledged: frames say which of them they have (engine_frame.kept). What is sent again may
 * be asked for again, so they had better not change.
 *
 * Return: as engine_send(), and -EOPNOTSUPP: somebody has to sum them, and no device does.
 */
int64_t engine_send_kept(struct engine *e, uint64_t now_ns, struct engine_sock s, size_t bytes);

/** engine_kept() - How many octets, the last ones that were written, the caller has to keep. While
 * there are any, engine_send() is -EBUSY, and engine_close() a reset. */
uint64_t engine_kept(struct engine *e, struct engine_sock s);

/**
 * engine_keep() - Copy the first of the kept octets: the caller need not keep them any longer.
 * @octets: The first @bytes of them; no more than there are.
 *
 * Return: octets taken, perhaps fewer; or -EBADF, -EINVAL, -ENOBUFS: there is no memory.
 */
int64_t engine_keep(struct engine *e, struct engine_sock s, const void *octets, size_t bytes);

/**
 * engine_send_urgent() - engine_send() for a stream; the last of @octets is urgent (RFC 6093).
 *
 * It is where fewer than @bytes are taken not urgent yet: call again with the rest.
 * Return: as engine_send(), and -EOPNOTSUPP: no stream.
 */
int64_t engine_send_urgent(struct engine *e, uint64_t now_ns, struct engine_sock s,
			   const void *octets, size_t bytes);

/**
 * engine_urgent() - Where the last urgent octet is, which stays in line.
 * @ret_octets: To be received before it; 0: it is next. No engine_recv() takes it together
 *              with one before it.
 *
 * Return: 0, or -EBADF, -EINVAL: there is none that was not received, -EOPNOTSUPP: no stream.
 */
int engine_urgent(struct engine *e, struct engine_sock s, uint64_t *ret_octets);

/** engine_sendto() - A datagram to an address. As engine_send(), and -EINVAL, -EISCONN, -EACCES,
 * -ENETUNREACH. */
int64_t engine_sendto(struct engine *e, uint64_t now_ns, struct engine_sock s, const void *octets,
		      size_t bytes, uint32_t addr, uint16_t port);

/**
 * engine_recv() - Receive octets of a stream.
 *
 * Return: octets; 0: the peer has ended; or -EBADF, -EAGAIN, -ENOTCONN, or the socket's error,
 * which is then taken.
 */
int64_t engine_recv(struct engine *e, uint64_t now_ns, struct engine_sock s, void *room,
		    size_t bytes);

/**
 * engine_recvfrom() - Receive a datagram; what does not fit into @room is gone.
 * @ret_bytes: Of the datagram, perhaps more than @bytes. Any of the three may be NULL.
 *
 * Return: octets in @room; or -EBADF, -EAGAIN, -EOPNOTSUPP, or the socket's error.
 */
int64_t engine_recvfrom(struct engine *e, struct engine_sock s, void *room, size_t bytes,
			size_t *ret_bytes, uint32_t *ret_addr, uint16_t *ret_port);

/**
 * struct engine_datagram - What a datagram was.
 * @bytes: Of it, perhaps more than there was room for.
 */
struct engine_datagram {
	size_t bytes;
	uint32_t src, dst;
	uint16_t sport;
	uint8_t ttl, tos;
};

/** engine_recvmsg() - engine_recvfrom(), with all that is known about it. */
int64_t engine_recvmsg(struct engine *e, struct engine_sock s, void *room, size_t bytes,
		       struct engine_datagram *ret);

/**
 * struct engine_error - An error of the queue that ENGINE_IP_RECVERR keeps.
 * @error:     errno.
 * @type, @code: ICMP's. @local: It is not ICMP's: the datagram was too long for the path.
 * @info:      The MTU, with EMSGSIZE.
 * @offender:  Who sent the ICMP message; 0: nobody.
 * @dst, @dport: Where the datagram was to go.
 * @bytes:     Of its payload, as far as it was quoted.
 */
struct engine_error {
	int32_t error;
	uint8_t type, code;
	bool local;
	uint32_t info, offender, dst;
	uint16_t dport;
	size_t bytes;
};

/**
 * engine_recverr() - Take the oldest error of the queue, and what is quoted of the datagram.
 *
 * ENGINE_SO_ERROR is then the next one's.
 * Return: octets in @room; or -EBADF, -EAGAIN: there is none.
 */
int64_t engine_recverr(struct engine *e, struct engine_sock s, void *room, size_t bytes,
		       struct engine_error *ret);

#define ENGINE_SHUT_RD 1u
#define ENGINE_SHUT_WR 2u

/** engine_shutdown() - @how: ENGINE_SHUT_ bits. Return: 0, -EBADF, -ENOTCONN. */
int engine_shutdown(struct engine *e, uint64_t now_ns, struct engine_sock s, unsigned how);

/**
 * engine_close() - Give a socket back. What a stream has still to send is sent, and
 * its end; unread octets make it a reset (RFC 2525 2.17). Datagrams that wait are sent.
 *
 * Return: 0, -EBADF.
 */
int engine_close(struct engine *e, uint64_t now_ns, struct engine_sock s);

/** engine_abort() - Give a socket back; a stream is reset. Return: 0, -EBADF. */
int engine_abort(struct engine *e, uint64_t now_ns, struct engine_sock s);

enum engine_option {
	ENGINE_SO_ERROR,     /* read: the pending error, which is then taken */
	ENGINE_SO_BROADCAST, /* 0, 1 */
	ENGINE_SO_RCVBUF,    /* octets; a stream's stops tuning itself */
	ENGINE_SO_SNDBUF,
	ENGINE_SO_KEEPALIVE, /* 0, 1 */
	ENGINE_TCP_NODELAY,  /* 0, 1 */
	ENGINE_TCP_CORK,     /* 0, 1 */
	ENGINE_TCP_QUICKACK, /* 0, 1 */
	ENGINE_TCP_KEEPIDLE, /* seconds */
	ENGINE_TCP_KEEPINTVL,
	ENGINE_TCP_KEEPCNT,
	ENGINE_TCP_USER_TIMEOUT, /* milliseconds; 0: by the number of retransmissions */
	ENGINE_TCP_CONGESTION,	 /* enum engine_cc */
	ENGINE_TCP_MAXSEG,
	ENGINE_IP_TTL,
	ENGINE_IP_TOS,
	ENGINE_IP_MTU_DISCOVER,	  /* 0: never set DF, 1: do */
	ENGINE_IP_ADD_MEMBERSHIP, /* a multicast group */
	ENGINE_IP_DROP_MEMBERSHIP,
	ENGINE_IP_MULTICAST_TTL,  /* 0 to 255; 1 at first. 0: it does not leave the host */
	ENGINE_IP_MULTICAST_LOOP, /* 0, 1: who has joined here gets what this socket sends; 1 at
				     first */
	ENGINE_IP_MULTICAST_IF,	  /* the address of ours to send from; 0: the first */
	ENGINE_IP_RECVERR,	  /* 0, 1: keep errors for engine_recverr(); all of them are told */
	ENGINE_ICMP_FILTER,	  /* of a raw socket: a bit for each type that is not wanted */
	ENGINE_SO_MAX_PACING_RATE, /* octets a second, of a stream; UINT32_MAX: no limit */
};

enum engine_cc { ENGINE_CUBIC, ENGINE_RENO, ENGINE_CCS };

/** engine_set() - Return: 0, or -EBADF, -EINVAL, -ENOPROTOOPT: not for this kind of socket. */
int engine_set(struct engine *e, uint64_t now_ns, struct engine_sock s, enum engine_option o,
	       uint32_t value);

/** engine_get() - As engine_set(). */
int engine_get(struct engine *e, struct engine_sock s, enum engine_option o, uint32_t *ret);

enum engine_tcp_state {
	ENGINE_CLOSED_STATE,
	ENGINE_LISTEN,
	ENGINE_SYN_SENT,
	ENGINE_SYN_RECEIVED,
	ENGINE_ESTABLISHED,
	ENGINE_FIN_WAIT_1,
	ENGINE_FIN_WAIT_2,
	ENGINE_CLOSE_WAIT,
	ENGINE_CLOSING,
	ENGINE_LAST_ACK,
	ENGINE_TIME_WAIT,
};

/**
 * struct engine_info - What a socket looks like inside.
 * @readable, @unsent, @unacked: Octets: that can be received; written and not yet sent; sent.
 * Windows, cwnd and ssthresh in octets; times in microseconds.
 * @rcv_tos: Of the last segment that came.
 * @pacing_rate, @delivery_rate: Octets a second: at which data go, UINT32_MAX where nothing holds
 * them; that arrived in the last round trip.
 */
struct engine_info {
	enum engine_kind kind;
	enum engine_tcp_state state;
	uint32_t laddr, raddr;
	uint16_t lport, rport;
	uint64_t readable, unsent, unacked;
	uint32_t mss, pmtu, cwnd, ssthresh, snd_wnd, rcv_wnd, rcvbuf, sndbuf;
	uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
	uint64_t sent_bytes, retrans_bytes, acked_bytes, received_bytes;
	uint32_t retrans_segs, sent_segs, received_segs, rtos, recoveries, undos, tlps;
	uint8_t snd_wscale, rcv_wscale, sack, timestamps, cc, gaps, rcv_tos;
	uint64_t pacing_rate, delivery_rate;
};

/** engine_info() - Return: 0, -EBADF. */
int engine_info(struct engine *e, struct engine_sock s, struct engine_info *ret);

/**
 * struct engine_usage - How many of each table are in use: all zero but neighs when
 * nothing is open and nothing is on its way. @groups: multicast groups, of at most ENGINE_GROUPS.
 */
struct engine_usage {
	uint32_t tcps, segs, syns, socks, pkts, cells, neighs, ooos, ring_pages, timers;
	uint32_t groups;
};

void engine_usage(const struct engine *e, struct engine_usage *ret);

/** engine_stat() - A counter by its number in engine/count.h. */
uint64_t engine_stat(const struct engine *e, unsigned which);

/** engine_stat_name() - Its name; NULL: there is none of that number. */
const char *engine_stat_name(unsigned which);

/* ------------------------------------------------------------ addresses and routes */

enum engine_address_state {
	ENGINE_ADDRESS_USED,
	ENGINE_ADDRESS_PROBED,	 /* not used yet: it is being asked for */
	ENGINE_ADDRESS_CONFLICT, /* not used: another has it; asked for again after a minute */
};

/** engine_address_state() - What became of an address of ours. Return: enum engine_address_state,
 * or -EADDRNOTAVAIL: it is none. */
int engine_address_state(const struct engine *e, uint32_t addr);

/**
 * engine_route_add() - Send what goes to @dst/@prefix by way of @gateway; 0: it is on the link.
 *
 * Return: 0, or -EINVAL: bits of @dst below the prefix, or -EEXIST, -ENOSPC,
 *         -ENETUNREACH: the gateway is not on the link.
 */
int engine_route_add(struct engine *e, uint32_t dst, uint8_t prefix, uint32_t gateway);

/** engine_route_drop() - Return: 0, -ESRCH. */
int engine_route_drop(struct engine *e, uint32_t dst, uint8_t prefix);

/** struct engine_route - @gateway: 0: it is on the link. @src: from which address of ours. */
struct engine_route {
	uint32_t dst, gateway, src;
	uint8_t prefix;
};

/** engine_route_get() - Number @i of the routes, the longest prefix first. Return: false at their
 * end. */
bool engine_route_get(const struct engine *e, uint32_t i, struct engine_route *ret);

enum engine_neigh_state { ENGINE_NEIGH_INCOMPLETE, ENGINE_NEIGH_REACHABLE, ENGINE_NEIGH_PROBE };

/** struct engine_neigh - A neighbour. @age_ns: Since it answered last; UINT64_MAX: it never did. */
struct engine_neigh {
	uint32_t addr;
	uint8_t mac[6];
	enum engine_neigh_state state;
	uint64_t age_ns;
};

/** engine_neigh_get() - Number @i of the neighbours, the one used last first. Return: false at
 * their end. */
bool engine_neigh_get(const struct engine *e, uint32_t i, struct engine_neigh *ret);

/** engine_cookie() - Of the socket of a stream, by its addresses. Return: false: there is none, or
 * nobody has it any more. */
bool engine_cookie(struct engine *e, uint32_t laddr, uint16_t lport, uint32_t raddr, uint16_t rport,
		   uint64_t *ret);

#endif
