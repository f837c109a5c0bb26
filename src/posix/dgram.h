/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram.h - Datagram sockets.
 *
 * The program's descriptor is a UDP socket of the kernel's, which is bound,
 * connected and given its options as the program says: it says whose a port is
 * and what is wrong with a call, and it carries what does not go through
 * memory. Beside it the socket has a half with an inbox (shm/inbox.h), to which
 * other programs of the domain send.
 */
#ifndef MORTISE_POSIX_DGRAM_H
#define MORTISE_POSIX_DGRAM_H

#include "posix/calls.h"
#include "posix/route.h"
#include "posix/sock.h"
#include "shm/inbox.h"

/* half.ancillary: control messages that were asked for. */
#define ANC_PKTINFO 0x1u
#define ANC_TTL 0x2u
#define ANC_TOS 0x4u
#define ANC_ORIGDST 0x8u
#define ANC_TIMESTAMP 0x10u
#define ANC_TIMESTAMPNS 0x20u
#define ANC_TIMESTAMPING 0x40u
#define ANC_RXQ_OVFL 0x80u
#define ANC_GRO 0x100u
#define ANC_PKTINFO6 0x200u
#define ANC_HOPLIMIT 0x400u
#define ANC_TCLASS 0x800u
#define ANC_ORIGDST6 0x1000u
#define ANC_6 (ANC_PKTINFO6 | ANC_HOPLIMIT | ANC_TCLASS | ANC_ORIGDST6)

/* half.options of a datagram socket: UDP_SEGMENT in bytes, 0 none; the others as in the
 * IP header. Each so many bits from its place on. */
#define HOW_SEGMENT 0u
#define HOW_SEGMENT_BITS 16u
#define HOW_TTL 16u
#define HOW_TOS 24u
#define HOW_HOPS 32u
#define HOW_TCLASS 40u
#define HOW_BITS 8u

#define NOBODY (~0ull)         /* half.remote: an address without an addr_word */
#define DGRAM_BROADCAST 0x7fffffffu /* on lo */
#define DGRAM_UDP_MOST 65507u  /* payload of one datagram over IPv4 */
#define DGRAM_UDP6_MOST 65527u /* and over IPv6 */
/* Segments that Linux leaves in one piece on lo: with headers less than 64 KiB. */
#define DGRAM_GSO_MOST (65536u - 14 - 40 - 8 - 1)

/* Does the registry know of it? */
enum dgram_told {
	DGRAM_UNTOLD,
	DGRAM_NEEDLESS, /* no, and its address is not one that others would look for */
	DGRAM_TOLD,
};

#define DGRAM_ERRORS_MOST 4u

/** struct dgram_error - Of IP_RECVERR's queue: the record, and what was quoted. */
struct dgram_error {
	struct dgram_record rec;
	uint8_t payload[DGRAM_QUOTED_MOST];
};

/**
 * struct dgram - Of a sock in SOCK_PACKETS.
 * @box:       What it receives through memory; NULL: nothing, so far.
 *             Guarded by sock->rx_lock, once it is there.
 * @peer:      Whom it is connected to, of this host, where half.remote is @remote; 0:
 *             nobody, or another host.
 * @told:      The registry was, of @told_at.
 * @kernel_got: Datagrams that came through the kernel, since that was thought about.
 * @pending_to: To whom is what the kernel has the beginning of (DGRAM_PENDING), as far as
 *             this process sent it: @pending_bytes, in segments of @pending_segment.
 * @cork:      Under policy net: what DGRAM_PENDING means, @cork_bytes; room for one, or NULL.
 *             Guarded by sock->tx_lock, as the two.
 * @whole6:    Bytes that go over IPv6 in memory; what is longer the kernel judges, since
 *             IPV6_DONTFRAG, IPV6_MTU_DISCOVER or IPV6_MTU may forbid it.
 * @no_box:    There was no room for an inbox: what is sent to it goes through the kernel.
 * @turns:     Receives, so that it has its turn while memory is busy.
 * @error:     The network's, which the next call tells: dgram_error.h. Guarded as @box, as are
 *             @errors, of which @error_count are in use from @error_first on.
 * @peer_cpu:  Where the sender of the last datagram ran, + 1.
 */
struct dgram {
	struct inbox *box;
	addr_word remote, peer;
	bool no_box;
	uint32_t whole6;
	enum dgram_told told;
	uint32_t kernel_got;
	addr_word pending_to;
	size_t pending_bytes;
	uint16_t pending_segment;
	unsigned char *cork;
	size_t cork_bytes;
	addr_word told_at;
	addr_word source_to, source; /* addr_source()'s last answer */
	uint32_t turns;
	_Atomic uint32_t peer_cpu;
	int error;
	uint8_t error_first, error_count;
	struct dgram_error errors[DGRAM_ERRORS_MOST];
};

/** dgram_enter() - As sock_enter(), for datagram sockets. */
struct sock *dgram_enter(int fd);

/** dgram_socket() - A descriptor; @domain is AF_INET or AF_INET6. NOT_OURS: the
 * kernel makes it. */
long dgram_socket(int domain, int type, int protocol);

/** dgram_open() - Have an inbox, where the socket has an address, and tell others
 * where, if the program chose it. Return: whether there is one. */
bool dgram_open(struct sock *s);

/** dgram_autobind() - Give a socket without an address one, as its first send
 * does. Return: 0 or -errno. */
long dgram_autobind(struct sock *s);

/** dgram_announce() - Tell the registry of it though the program did not choose its
 * address. */
void dgram_announce(struct sock *s);

/** dgram_is_own() - Is it an address of this host's, and one host's alone? */
bool dgram_is_own(const struct sock *s, addr_word at);

/** dgram_is_kernels() - Does it neither send nor take anything through memory any more? */
static inline bool dgram_is_kernels(const struct sock *s)
{
	return load_relaxed(&s->half->dgram) & DGRAM_KERNEL;
}

/** dgram_has() - Has it one of these DGRAM_*, by whatever process that holds it? */
static inline bool dgram_has(const struct sock *s, uint32_t flags)
{
	return load_relaxed(&s->half->dgram) & flags;
}

/** dgram_set() - Give it such a flag, or take it. */
static inline void dgram_set(struct sock *s, uint32_t flag, bool on)
{
	if (on)
		atomic_fetch_or(&s->half->dgram, flag);
	else
		atomic_fetch_and(&s->half->dgram, ~flag);
}

/** dgram_to_kernel() - From now on all goes through the kernel's socket; what is
 * in the inbox is still to be read. */
void dgram_to_kernel(struct sock *s);

/** dgram_box_lock() - Its inbox is ours. Return: false where there is none, or
 * a process that was stopped has it. */
bool dgram_box_lock(struct sock *s);
void dgram_box_unlock(struct sock *s);
/** dgram_is_busy() - Has another process its inbox just now? */
bool dgram_is_busy(const struct sock *s);

/** dgram_may_have_error() - Has the kernel's socket an error to tell of, perhaps? */
static inline bool dgram_may_have_error(const struct sock *s)
{
	return load_relaxed(&s->half->dgram) & (DGRAM_ERRORS | DGRAM_QUEUES);
}

/** dgram_refused() - Take the error of what was sent through the kernel: -errno, 0
 * where there is none. */
long dgram_refused(struct sock *s);

/** dgram_now() - poll bits that hold through memory. */
uint32_t dgram_now(struct sock *s);

/** dgram_gone() - The last descriptor is closed, and no call is in progress.
 * @shared: Other processes may have it. */
void dgram_gone(struct sock *s, bool shared);

/** dgram_exec_before() - A descriptor that is meant for the next program (standard
 * input, LISTEN_FDS), or that nobody else reads, is the kernel's socket alone from
 * now on. */
void dgram_exec_before(char *const *envp);
/** dgram_given() - So is one that goes with a message. */
void dgram_given(int fd);
/** dgram_leave_all() - So are all of a process that cannot ask the daemon any more. */
void dgram_leave_all(void);

/* Around fork(). */
void dgram_share_all(void);
void dgram_fork_child(struct sock *s);
/* Another thread may have been changing the pools: the child begins with fresh ones. */
void dgram_fork_pools(void);

/* What sock.c's, options.c's and stream.c's calls are for datagram sockets;
 * NOT_OURS: @fd is none, or the kernel's socket does it. */
long dgram_bind(int fd, const struct sockaddr *addr, socklen_t len);
long dgram_connect(int fd, const struct sockaddr *addr, socklen_t len);
long dgram_shutdown(int fd, int how);
/* Policy net: getsockname(), or getpeername(). */
long dgram_getname(int fd, bool peer, struct sockaddr *addr, socklen_t *len);
long dgram_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
/** dgram_uncork() - Policy net: UDP_CORK is off; what waits goes. Return: 0 or -errno. */
long dgram_uncork(struct sock *s);
/** dgram_getsockopt() - What is not the kernel's to answer: SO_ERROR, under policy net. */
long dgram_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
long dgram_ioctl(int fd, unsigned long request, void *arg);
long dgram_fcntl(int fd, int cmd, unsigned long arg);

/** dgram_send() - One datagram. @msg: as for sendmsg(), with the destination. */
long dgram_send(int fd, const struct msghdr *msg, int flags);
long dgram_sendv(int fd, const struct iovec *iov, int n, int flags);
long dgram_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
		  socklen_t addr_len);
long dgram_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);

/**
 * dgram_recv() - One datagram.
 * @msg: As for recvmsg(); msg_namelen and msg_controllen are what there is room for.
 */
long dgram_recv(int fd, struct msghdr *msg, int flags);
long dgram_recvv(int fd, const struct iovec *iov, int n, int flags);
long dgram_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
		    socklen_t *addr_len);
long dgram_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout);

/* dgram_order.c */

/** dgram_kernel_has() - Has the kernel's socket a datagram? */
bool dgram_kernel_has(struct sock *s);

enum dgram_next {
	DGRAM_NEXT_NONE,
	DGRAM_NEXT_MEMORY,
	DGRAM_NEXT_KERNEL, /* it goes first, and there is one */
};

/** dgram_next() - From where the next datagram is to be read. Caller has the inbox.
 * @ret: In memory; or the mark for the kernel's, NULL where that has none. */
enum dgram_next dgram_next(struct sock *s, struct inbox_seat **ret);

/** dgram_mark_read() - What @mark stands for has been read from the kernel's socket. */
void dgram_mark_read(struct sock *s, struct inbox_seat *mark);

#define DGRAM_PASS_MOST 128u /* Linux's UDP_MAX_SEGMENTS */

/**
 * struct dgram_pass - A datagram on its way through the kernel.
 * @to:   0: not to a socket of this host's.
 * @whole: Who has UDP_GRO finds them as one. Set by the caller of dgram_pass_begin().
 * @nobody: There is no channel to @to, as far as the caller knows. Likewise.
 * @n:    Datagrams that the receiver finds; at most DGRAM_PASS_MOST.
 * @c:    Locked; NULL: there is none.
 * @mark: Where it is to be said what became of each.
 */
struct dgram_pass {
	addr_word from, to;
	bool whole, nobody;
	unsigned n;
	struct channel *c;
	_Atomic uint64_t *mark[DGRAM_PASS_MOST];
};

/** dgram_pass_begin() - @n datagrams are about to go to @to through the kernel. */
void dgram_pass_begin(struct sock *s, addr_word to, unsigned n, struct dgram_pass *ret);

/** dgram_pass_end() - They have, or not. */
void dgram_pass_end(struct dgram_pass *p, bool sent);

/** dgram_mark_past() - Mark those that went to @port through the kernel before there was @c. */
void dgram_mark_past(struct channel *c, uint16_t port);

/** dgram_cork() - setsockopt(UDP_CORK). Caller holds s->lock. */
long dgram_cork(struct sock *s, int fd, const void *val, socklen_t len);

/** dgram_source() - Which source address Linux takes: @wanted, if that is one; bound;
 * or by the route to @to. */
addr_word dgram_source(struct sock *s, addr_word to, addr_word wanted);

/* ancillary.c */

/**
 * struct ancillary_sent - What the control messages of a send ask for.
 * @segment:  As dgram.segment. @ttl, @tos: likewise.
 * @from:     IP_PKTINFO's or IPV6_PKTINFO's address, as an addr_word without a port;
 *            0: none.
 */
struct ancillary_sent {
	uint16_t segment;
	uint8_t ttl, tos;
	addr_word from;
};

/** ancillary_take() - Read them, of a send to @to; *@ret is what holds without them to
 * begin with. Return: False where memory cannot serve one, or Linux would refuse it. */
bool ancillary_take(const struct sock *s, addr_word to, const struct msghdr *msg,
		    struct ancillary_sent *ret);

/** ancillary_add_drops() - SO_RXQ_OVFL of a datagram that the kernel gave counts
 * those of memory, too. */
void ancillary_add_drops(struct msghdr *msg, uint64_t drops);

/**
 * ancillary_give() - Put the control messages that @s asked for beside a datagram.
 * @drops: For SO_RXQ_OVFL.
 */
void ancillary_give(const struct sock *s, const struct dgram_record *rec, uint64_t drops,
		    struct msghdr *msg);

/** ancillary_option() - An option has been set that has to do with them.
 * Return: 0; 1: it is none of those; -1: one that memory cannot serve. */
int ancillary_option(struct half *h, int level, int name, int value);

#endif
