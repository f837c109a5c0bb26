/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mortise/net.h - A TCP/IP stack for programs that bring their own device and clock.
 *
 * The library does nothing by itself: it makes no system call, starts no thread, reads no clock,
 * allocates nothing. You give it memory once; then frames that have come, calls on sockets, and the
 * time; it gives frames to send, events, and the time at which it wants to be called next. The same
 * frames, calls, times and key give the same frames, so a run can be replayed, and tested in
 * virtual time.
 *
 *	struct mnet_config c = {.bytes = sizeof(c), .mac = {2, 0, 0, 0, 0, 1},
 *				.addresses = 1, .address = {{MNET_IP4(10, 0, 0, 2), 24}},
 *				.gateway = MNET_IP4(10, 0, 0, 1)};
 *	void *mem = mmap(NULL, mnet_bytes(&c), PROT_READ | PROT_WRITE,
 *			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
 *	struct mnet *net;
 *
 *	mnet_init(mem, mnet_bytes(&c), &c, key, now(), &net);
 *	for (;;) {
 *		uint64_t due = mnet_poll(net, now(), &device);
 *		struct mnet_event ev;
 *
 *		while (mnet_event(net, &ev))
 *			handle(&ev);	// mnet_accept(), mnet_recv(), mnet_send() ...
 *		wait_for_the_device_until(due);
 *	}
 *
 * After calls on sockets there may be frames to send: go through mnet_poll() again before you wait.
 *
 * Rules
 * - One thread at a time for each struct mnet; several stacks are independent of each other.
 * - Errors are negative errno values; a call that fails has changed nothing.
 * - Times are nanoseconds, of any clock that never goes back. MNET_NEVER: no time.
 * - Addresses and ports are in host order: MNET_IP4(192, 168, 0, 1) is 0xc0a80001.
 * - A socket is a small value that is copied freely; one that was closed is found out: -EBADF.
 * - Calls do not block: -EAGAIN, and an event follows.
 *
 * Coming from lwIP: what its callbacks told you, mnet_event() tells you, when you ask, with the
 * number or pointer that you gave the socket. There is no tcp_recved(): mnet_recv() opens the
 * window. sys_check_timeouts() is mnet_time(), sys_timeouts_sleeptime() is mnet_deadline().
 * Coming from smoltcp: struct mnet_device is its Device, mnet_poll() its Interface::poll() and
 * poll_at(). Sockets have no buffers of yours: they come out of the memory that you gave, and tune
 * themselves. A listener stays one, and has a queue.
 */
#ifndef MORTISE_NET_H
#define MORTISE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MNET_API __attribute__((visibility("default")))
#else
#define MNET_API
#endif

struct mnet;

#define MNET_IP4(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define MNET_NEVER UINT64_MAX

/* ------------------------------------------------------------ a stack */

#define MNET_ADDRESSES 8

/** struct mnet_address - @prefix: bits of its network, 1 to 32. */
struct mnet_address {
	uint32_t addr;
	uint8_t prefix;
};

/**
 * struct mnet_config - What is fixed for the life of a stack. Zero: the default.
 * @bytes:     sizeof(struct mnet_config). Later versions add fields behind.
 * @mac:       The interface's.
 * @mtu:       Of an IP packet: 68 to 65535; 1500.
 * @addresses: How many of @address.
 * @gateway:   Default route; 0: none.
 * @connections: 1024. Each takes a kilobyte, and 1 KB of what is below for its segments.
 * @half_open: Connections whose handshake goes on; 256. More are answered with SYN cookies.
 * @sockets:   As many as connections, and 1024 more.
 * @datagrams: To send, received, or being put together; 512.
 * @neighbours: 256.
 * @ring_bytes: For the data of all connections; 16 MiB.
 * @rcvbuf_max, @sndbuf_max: What a connection's buffers may grow to; 16 MiB, which is the most.
 * @time_wait_ns: 60 s.
 * @port_min, @port_max: For sockets that chose none; 32768 to 60999.
 * @no_announce: No gratuitous ARP at the start.
 * @no_timestamps: Without TCP's timestamps.
 * @probe_addresses: RFC 5227: use an address once nobody else answered for it, after 4 to 7 s.
 * @loopback:  127.0.0.0/8 and own addresses can be connected to; the frames stay inside.
 */
struct mnet_config {
	size_t bytes;
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t addresses;
	struct mnet_address address[MNET_ADDRESSES];
	uint32_t gateway;
	uint32_t connections, half_open, sockets, datagrams, neighbours;
	uint64_t ring_bytes;
	uint32_t rcvbuf_max, sndbuf_max;
	uint64_t time_wait_ns;
	uint16_t port_min, port_max;
	bool no_announce, no_timestamps, probe_addresses, loopback;
};

/** mnet_bytes() - How much memory it takes. Return: octets; 0: no such configuration is possible.
 */
MNET_API size_t mnet_bytes(const struct mnet_config *config);

/**
 * mnet_init() - Make a stack in @mem: zeroed, aligned to 4096 octets, yours, and borrowed as long
 * as the stack is used. There is nothing to free but that memory.
 * @key: 16 octets that nobody can guess: sequence numbers and ports come from them.
 *
 * Return: 0, or -EINVAL: the configuration or the alignment; -ENOMEM: @bytes are too few.
 */
MNET_API int mnet_init(void *mem, size_t bytes, const struct mnet_config *config,
		       const uint8_t key[16], uint64_t now_ns, struct mnet **ret);

/**
 * mnet_attach() - A stack that is in @mem already, which is a copy, or is mapped elsewhere than
 * before: it goes on as it was.
 *
 * Return: 0, or -EINVAL: none of this version is there.
 */
MNET_API int mnet_attach(void *mem, size_t bytes, struct mnet **ret);

/* ------------------------------------------------------------ device and clock */

/** struct mnet_piece - As struct iovec. */
struct mnet_piece {
	const void *at;
	size_t bytes;
};

/** struct mnet_frame - An Ethernet frame of @bytes, in pieces; until the stack is called next. */
struct mnet_frame {
	const struct mnet_piece *piece;
	size_t pieces;
	size_t bytes;
};

/** mnet_input() - A frame has come, without its FCS. It may be anything; it is copied. */
MNET_API void mnet_input(struct mnet *net, uint64_t now_ns, const void *frame, size_t bytes);

/** mnet_output() - The next frame to send. It counts as sent, so ask only where it can be. Return:
 * false: there is none now. */
MNET_API bool mnet_output(struct mnet *net, uint64_t now_ns, struct mnet_frame *ret);

/** mnet_time() - Let time be @now_ns: what is due is done. */
MNET_API void mnet_time(struct mnet *net, uint64_t now_ns);

/** mnet_deadline() - When to call mnet_time() at the latest; MNET_NEVER. */
MNET_API uint64_t mnet_deadline(const struct mnet *net);

/**
 * struct mnet_device - Your device, for mnet_poll().
 * @receive:  Put a frame into @room, which takes @bytes. Return: its octets; 0: there is none.
 * @send:     Send it; where that fails it is lost, as on any network.
 * @can_send: Is there room for one more? NULL: always.
 */
struct mnet_device {
	void *context;
	size_t (*receive)(void *context, void *room, size_t bytes);
	void (*send)(void *context, const struct mnet_frame *frame);
	bool (*can_send)(void *context);
};

/**
 * mnet_poll() - Take the frames that have come (64 at most), do what is due, send what there is to
 * send.
 *
 * Return: when to come back at the latest, if no frame comes and no call is made before;
 *         MNET_NEVER. @now_ns: at once: there was more.
 */
MNET_API uint64_t mnet_poll(struct mnet *net, uint64_t now_ns, const struct mnet_device *device);

/* ------------------------------------------------------------ sockets */

struct mnet_sock {
	uint32_t index;
	uint32_t generation;
};

#define MNET_READABLE 1u /* something to receive, or the end, or an error */
#define MNET_WRITABLE 2u /* connected; or room again after -EAGAIN; or an error */
#define MNET_ACCEPT 4u	 /* a connection to accept */
#define MNET_ERROR 8u	 /* MNET_SO_ERROR has one */
#define MNET_CLOSED 16u	 /* both directions have ended */
#define MNET_URGENT 32u	 /* mnet_urgent() */
#define MNET_STALLED 64u /* sent again three times without an answer; it goes on */

/** struct mnet_event - @cookie: as given to mnet_open() or mnet_accept(). @events: those bits. */
struct mnet_event {
	struct mnet_sock sock;
	uint64_t cookie;
	uint32_t events;
};

/** mnet_event() - The next socket to which something has happened. Each thing is said once, when it
 * becomes true. Return: false: there is none. */
MNET_API bool mnet_event(struct mnet *net, struct mnet_event *ret);

enum mnet_kind {
	MNET_TCP = 1,
	MNET_UDP = 2,
	MNET_PING = 3,	   /* echo requests, and the answers to them */
	MNET_RAW_ICMP = 4, /* any ICMP message */
};

/** mnet_open() - @cookie: of your choice, a pointer for example. Return: 0, -ENFILE,
 * -EPROTONOSUPPORT. */
MNET_API int mnet_open(struct mnet *net, enum mnet_kind kind, uint64_t cookie,
		       struct mnet_sock *ret);

/** mnet_bind() - @addr 0: any. @port 0: one is chosen. Return: 0, -EBADF, -EINVAL: it has one,
 * -EADDRNOTAVAIL, -EADDRINUSE. */
MNET_API int mnet_bind(struct mnet *net, struct mnet_sock s, uint32_t addr, uint16_t port);

/**
 * mnet_connect() - Begin a connection, or name a datagram socket's peer.
 *
 * Return: 0: a datagram socket is connected. -EINPROGRESS: MNET_WRITABLE or MNET_ERROR will follow.
 *         -EBADF, -EISCONN, -EALREADY, -EINVAL: it listens, -EADDRNOTAVAIL: no port is left,
 *         -ENETUNREACH, -EACCES: broadcast, -ENFILE.
 */
MNET_API int mnet_connect(struct mnet *net, uint64_t now_ns, struct mnet_sock s, uint32_t addr,
			  uint16_t port);

/** mnet_listen() - @backlog: connections that may wait. Return: 0, -EBADF, -EINVAL, -EOPNOTSUPP,
 * -EADDRINUSE. */
MNET_API int mnet_listen(struct mnet *net, struct mnet_sock s, uint32_t backlog);

/** mnet_accept() - Return: 0, -EBADF, -EINVAL: it does not listen, -EAGAIN, -ENFILE. */
MNET_API int mnet_accept(struct mnet *net, uint64_t now_ns, struct mnet_sock s, uint64_t cookie,
			 struct mnet_sock *ret);

/**
 * mnet_send() - Octets of a stream, or a datagram to the connected peer.
 *
 * Return: octets taken, of a stream perhaps fewer than @bytes; or -EBADF, -EAGAIN, -ENOTCONN,
 *         -EPIPE, -EMSGSIZE, -EDESTADDRREQ, or the socket's error, which is then taken.
 */
MNET_API int64_t mnet_send(struct mnet *net, uint64_t now_ns, struct mnet_sock s,
			   const void *octets, size_t bytes);

/** mnet_send_urgent() - The same; the last octet is urgent (RFC 6093), once all are taken. */
MNET_API int64_t mnet_send_urgent(struct mnet *net, uint64_t now_ns, struct mnet_sock s,
				  const void *octets, size_t bytes);

/** mnet_sendto() - A datagram. As mnet_send(), and -EINVAL, -EISCONN, -EACCES, -ENETUNREACH. */
MNET_API int64_t mnet_sendto(struct mnet *net, uint64_t now_ns, struct mnet_sock s,
			     const void *octets, size_t bytes, uint32_t addr, uint16_t port);

/** mnet_recv() - Octets of a stream. Return: octets; 0: the peer has ended; or -EBADF, -EAGAIN,
 * -ENOTCONN, or the socket's error, which is then taken. */
MNET_API int64_t mnet_recv(struct mnet *net, uint64_t now_ns, struct mnet_sock s, void *room,
			   size_t bytes);

/**
 * mnet_recvfrom() - A datagram; what does not fit is gone.
 * @ret_bytes: Of the datagram, perhaps more than @bytes. Any of the three may be NULL.
 *
 * Return: octets in @room; or -EBADF, -EAGAIN, -EOPNOTSUPP, or the socket's error.
 */
MNET_API int64_t mnet_recvfrom(struct mnet *net, struct mnet_sock s, void *room, size_t bytes,
			       size_t *ret_bytes, uint32_t *ret_addr, uint16_t *ret_port);

/** mnet_urgent() - Where the last urgent octet is, which stays in line: @ret_octets before it.
 * Return: 0, -EBADF, -EINVAL: there is none, -EOPNOTSUPP. */
MNET_API int mnet_urgent(struct mnet *net, struct mnet_sock s, uint64_t *ret_octets);

#define MNET_SHUT_RD 1u
#define MNET_SHUT_WR 2u

/** mnet_shutdown() - @how: those bits. Return: 0, -EBADF, -ENOTCONN. */
MNET_API int mnet_shutdown(struct mnet *net, uint64_t now_ns, struct mnet_sock s, unsigned how);

/** mnet_close() - Give it back. What a stream has still to send is sent, and its end; octets that
 * nobody received make it a reset. Return: 0, -EBADF. */
MNET_API int mnet_close(struct mnet *net, uint64_t now_ns, struct mnet_sock s);

/** mnet_abort() - Give it back; a stream is reset. Return: 0, -EBADF. */
MNET_API int mnet_abort(struct mnet *net, uint64_t now_ns, struct mnet_sock s);

enum mnet_option {
	MNET_SO_ERROR = 0,     /* read: the pending error, positive, which is then taken */
	MNET_SO_BROADCAST = 1, /* 0, 1 */
	MNET_SO_RCVBUF = 2,    /* octets; a stream's stops tuning itself */
	MNET_SO_SNDBUF = 3,
	MNET_SO_KEEPALIVE = 4,	    /* 0, 1 */
	MNET_TCP_NODELAY = 5,	    /* 0, 1 */
	MNET_TCP_CORK = 6,	    /* 0, 1 */
	MNET_TCP_QUICKACK = 7,	    /* 0, 1 */
	MNET_TCP_KEEPIDLE = 8,	    /* seconds */
	MNET_TCP_KEEPINTVL = 9,	    /* seconds */
	MNET_TCP_KEEPCNT = 10,	    /* probes */
	MNET_TCP_USER_TIMEOUT = 11, /* milliseconds; 0: by the number of retransmissions */
	MNET_TCP_CONGESTION = 12,   /* enum mnet_congestion */
	MNET_TCP_MAXSEG = 13,	    /* octets, before connecting or listening */
	MNET_IP_TTL = 14,
	MNET_IP_TOS = 15,
	MNET_IP_MTU_DISCOVER = 16,    /* 0: fragment, 1: set DF */
	MNET_IP_ADD_MEMBERSHIP = 17,  /* a multicast group, in host order */
	MNET_IP_DROP_MEMBERSHIP = 18, /* the same */
	MNET_ICMP_FILTER = 19,	      /* of MNET_RAW_ICMP: a bit for each type that is not wanted */
	MNET_SO_MAX_PACING_RATE = 20, /* octets a second, of a stream; UINT32_MAX: no limit */
	MNET_IP_MULTICAST_TTL = 21,   /* 0 to 255; 1 at first. 0: it does not leave the host */
	MNET_IP_MULTICAST_LOOP = 22,  /* 0, 1: who has joined here gets what the socket sends */
	MNET_IP_MULTICAST_IF = 23,    /* the address of ours to send from; 0: the first */
};

enum mnet_congestion { MNET_CUBIC = 0, MNET_RENO = 1 };

/** mnet_set(), mnet_get() - Return: 0, -EBADF, -EINVAL, -ENOPROTOOPT: not for this kind of socket.
 */
MNET_API int mnet_set(struct mnet *net, uint64_t now_ns, struct mnet_sock s,
		      enum mnet_option option, uint32_t value);
MNET_API int mnet_get(struct mnet *net, struct mnet_sock s, enum mnet_option option, uint32_t *ret);

/* ------------------------------------------------------------ what it looks like inside */

enum mnet_tcp_state {
	MNET_STATE_CLOSED = 0,
	MNET_STATE_LISTEN = 1,
	MNET_STATE_SYN_SENT = 2,
	MNET_STATE_SYN_RECEIVED = 3,
	MNET_STATE_ESTABLISHED = 4,
	MNET_STATE_FIN_WAIT_1 = 5,
	MNET_STATE_FIN_WAIT_2 = 6,
	MNET_STATE_CLOSE_WAIT = 7,
	MNET_STATE_CLOSING = 8,
	MNET_STATE_LAST_ACK = 9,
	MNET_STATE_TIME_WAIT = 10,
};

/**
 * struct mnet_info - Octets, microseconds, octets a second.
 * @readable: Can be received. @unsent: taken by mnet_send() and not yet sent. @unacked: sent.
 */
struct mnet_info {
	enum mnet_kind kind;
	enum mnet_tcp_state state;
	uint32_t local_addr, remote_addr;
	uint16_t local_port, remote_port;
	uint64_t readable, unsent, unacked;
	uint32_t mss, pmtu, cwnd, ssthresh, snd_wnd, rcv_wnd;
	uint32_t srtt_us, rttvar_us, rto_us, min_rtt_us;
	uint64_t sent_bytes, retrans_bytes, acked_bytes, received_bytes;
	uint32_t retrans_segs, sent_segs, received_segs, rtos;
	uint64_t pacing_rate, delivery_rate;
};

/** mnet_info() - @bytes: sizeof(struct mnet_info); later versions add fields behind. Return: 0,
 * -EBADF. */
MNET_API int mnet_info(struct mnet *net, struct mnet_sock s, struct mnet_info *ret, size_t bytes);

/** mnet_stat() - A counter: frames, and each reason for which something was dropped. Their numbers
 * are those of this version; names stay. mnet_stat_name() - NULL: no more. */
MNET_API uint64_t mnet_stat(const struct mnet *net, unsigned number);
MNET_API const char *mnet_stat_name(unsigned number);

/** mnet_route_add() - @gateway 0: on the link. Return: 0, -EINVAL: bits below the prefix, -EEXIST,
 * -ENOSPC, -ENETUNREACH: the gateway is not on the link. */
MNET_API int mnet_route_add(struct mnet *net, uint32_t dst, uint8_t prefix, uint32_t gateway);

/** mnet_route_drop() - Return: 0, -ESRCH. */
MNET_API int mnet_route_drop(struct mnet *net, uint32_t dst, uint8_t prefix);

#ifdef __cplusplus
}
#endif

#endif
