/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram.c - A datagram socket's life.
 *
 * Theory of operation. The program's descriptor is the kernel's socket, so
 * binding, connecting, options and errors are the kernel's, and who knows
 * nothing of us (another program, after exec, by a message) has a socket that
 * works. We follow what the program does with it, and keep a half beside it. The
 * half's handle is the library's own descriptor: its last copy is gone with the
 * last process that looks into the inbox.
 *
 * The inbox opens when the socket first receives, and it is told of in the
 * registry then, if the program chose its address; or when it first sends to a
 * socket of this host, so that an answer finds it: datagrams say whose half they
 * come from. A socket that only its kernel side is used of, because it sends to
 * other hosts or is handed to another program (inetd), costs no more than that.
 *
 * Under policy none too, datagrams that memory does not carry are the kernel's. Under
 * policy net none is: docs/wire.md 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/copy.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/dgram.h"
#include "posix/dgram_error.h"
#include "posix/handle.h"
#include "posix/options.h"
#include "posix/pool.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/sock_life.h"
#include "posix/sockopt.h"
#include "posix/template.h"
#include "posix/watch.h"
#include "shm/addr.h"

#define STOPPED_NS (10 * NS_PER_MS)   /* who has the lock for longer is stopped */
#define TTL_DEFAULT 64ull
#define STANDARD_FDS 3u
#define SNDBUF_LEAST 4608 /* Linux's */
#define LO_MTU 65536u
#define IP6_UDP_HEADERS 48u
#define RCVBUF_LEAST 16384 /* bytes, as getsockopt() has it */
#define LOOPBACK_FIRST 0x7f000000u

static struct pool dgrams = { .size = sizeof(struct dgram) };
static struct pool boxes = { .size = sizeof(struct inbox) };
static struct lock pools_lock;

static void *get(struct pool *p)
{
	void *o;

	lock_take(&pools_lock);
	o = pool_get(p);
	lock_drop(&pools_lock);
	return o;
}

static void put(struct pool *p, void *o)
{
	lock_take(&pools_lock);
	pool_put(p, o);
	lock_drop(&pools_lock);
}

struct sock *dgram_enter(int fd)
{
	struct fobj *o = fdtab_peek(fd);

	if (!o || o->kind != FOBJ_DGRAM)
		return NULL;
	section_enter();
	asleep_reap();
	o = fdtab_get(fd);
	if (o && o->kind == FOBJ_DGRAM)
		return (struct sock *)(void *)o;
	if (o)
		fdtab_put(o);
	section_leave();
	return NULL;
}

/* --------------------------------------------------------------------- box */

bool dgram_box_lock(struct sock *s)
{
	if (!__atomic_load_n(&s->dgram->box, __ATOMIC_ACQUIRE))
		return false;
	sock_rx_lock(s);
	if (likely(!load_relaxed(&s->half->shared)) ||
	    half_lock_until(&s->half->rx_lock, clock_now_ns() + STOPPED_NS))
		return true;
	sock_rx_unlock(s);
	return false;
}

bool dgram_is_busy(const struct sock *s)
{
	return s->dgram->box && load_relaxed(&s->half->shared) && load_relaxed(&s->half->rx_lock);
}

void dgram_box_unlock(struct sock *s)
{
	if (unlikely(load_relaxed(&s->half->rx_lock)))
		half_unlock(&s->half->rx_lock);
	sock_rx_unlock(s);
}

uint32_t dgram_now(struct sock *s)
{
	uint32_t now = POLLOUT | POLLWRNORM;
	struct inbox_seat *seat;

	if (!dgram_box_lock(s))
		return now;
	if (unlikely(process.policy == POLICY_NET))
		now |= dgram_errors_fetch(s);
	if (dgram_next(s, &seat) != DGRAM_NEXT_NONE)
		now |= POLLIN | POLLRDNORM;
	dgram_box_unlock(s);
	return now;
}

/* Others are told where it receives. Caller holds s->lock. */
static void announce(struct sock *s)
{
	int group = 0, r;
	socklen_t len = sizeof(group);

	s->dgram->told = DGRAM_TOLD;
	s->dgram->told_at = load_relaxed(&s->half->local);
	if (sys5(SYS_getsockopt, s->shadow_fd, SOL_SOCKET, SO_REUSEPORT, &group, &len) == 0 && group)
		atomic_fetch_or(&s->half->dgram, DGRAM_GROUP);
	/* A child that has asked nothing so far is nobody yet. */
	r = process_party() ? sock_tell(s, CTL_LISTEN, s->foreign ? s->party->id : 0, CTL_REUSE_PORT)
			    : -ENOTCONN;
	if (r < 0) {
		/* Some would send through the kernel, others not: there is no order in that. */
		dgram_to_kernel(s);
		process_log(2, "a datagram socket is not in the registry: %d", r);
	}
}

/* Caller holds s->lock. */
static void open_box(struct sock *s)
{
	uint16_t port = addr_word_port(load_relaxed(&s->half->local));
	struct inbox *b;

	if (port == 0)
		return;
	/* Its half is in another process's arena, where we can make no seats. */
	if (s->foreign || process_port_excluded(port)) {
		dgram_to_kernel(s);
		return;
	}
	/* What came before goes before. */
	atomic_fetch_or(&s->half->dgram, DGRAM_LATER);
	b = get(&boxes);
	if (!b || inbox_open(b, s->party, s->half) < 0) {
		/* There are some thousand rows of seats. It can send nonetheless. */
		if (b)
			put(&boxes, b);
		s->dgram->no_box = true;
		return;
	}
	__atomic_store_n(&s->dgram->box, b, __ATOMIC_RELEASE);
}

bool dgram_open(struct sock *s)
{
	struct dgram *d = s->dgram;

	if (likely(__atomic_load_n(&d->box, __ATOMIC_ACQUIRE) && d->told != DGRAM_UNTOLD))
		return true;
	if (dgram_is_kernels(s) || d->no_box)
		return d->box != NULL;
	lock_take(&s->lock);
	if (!d->box)
		open_box(s);
	/* Whose port nobody can know answers are found by what it sends. */
	if (d->box && d->told == DGRAM_UNTOLD && !s->bound)
		d->told = DGRAM_NEEDLESS;
	if (d->box && d->told == DGRAM_UNTOLD && !dgram_is_kernels(s))
		announce(s);
	lock_drop(&s->lock);
	return d->box != NULL;
}

void dgram_announce(struct sock *s)
{
	if (s->dgram->told == DGRAM_TOLD)
		return;
	lock_take(&s->lock);
	if (s->dgram->box && s->dgram->told != DGRAM_TOLD && !dgram_is_kernels(s))
		announce(s);
	lock_drop(&s->lock);
}

void dgram_to_kernel(struct sock *s)
{
	atomic_fetch_or(&s->half->dgram, DGRAM_KERNEL);
}

/* ------------------------------------------------------------------- names */

bool dgram_is_own(const struct sock *s, addr_word at)
{
	uint32_t addr = addr_word_addr(at);

	/* The broadcast addresses of lo are not one host's. */
	if (!addr_word_is6(at) && (addr == LOOPBACK_FIRST || addr == DGRAM_BROADCAST))
		return false;
	return registry_addr_is_own(s->party->reg, at);
}

/* What the kernel calls it now. */
static void name(struct sock *s, int fd)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	addr_word local = 0, was = load_relaxed(&s->half->local);

	if (sys3(SYS_getsockname, fd, &at, &len) < 0 ||
	    addr_parse(s, (struct sockaddr *)&at, len, &local) < 0)
		local = 0;
	/* Who sends to it goes by the port that its seats were made for. */
	if (s->dgram->box && addr_word_port(local) != addr_word_port(was))
		dgram_to_kernel(s);
	store_relaxed(&s->half->local, local ? addr_bound(s, local) : 0);
}

/* Whom it is connected to, by the kernel's word; @given where that has none. */
static addr_word peer_name(const struct sock *s, int fd, addr_word given)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	addr_word peer = given;

	if (sys3(SYS_getpeername, fd, &at, &len) < 0 ||
	    addr_parse(s, (struct sockaddr *)&at, len, &peer) < 0)
		return given;
	return peer;
}

/* ------------------------------------------------------------- policy net */

/* The kernel's socket is a descriptor only: where it is bound is the domain's matter. */

static int reuse_of(int fd)
{
	int addr = 0, port = 0;
	socklen_t len = sizeof(addr);

	sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &addr, &len);
	len = sizeof(port);
	sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_REUSEPORT, &port, &len);
	return (addr ? CTL_REUSE_ADDR : 0) | (port ? CTL_REUSE_PORT : 0);
}

/* Caller holds s->lock. Return: 0 or -errno. */
static long net_bind_at(struct sock *s, addr_word want)
{
	struct ctl_msg m = { .type = CTL_BIND };
	long r;

	m.listen.at = addr_bound(s, want) | ADDR_WORD_DGRAM;
	m.listen.slot = s->slot;
	m.listen.gen = half_gen(s->half);
	m.listen.reuse = (uint32_t)reuse_of(s->shadow_fd);
	r = process_call(&m, NULL, 0, NULL, NULL);
	if (r < 0)
		return r;
	store_relaxed(&s->half->local, m.listen.at & ~ADDR_WORD_DGRAM);
	s->bound = true;
	/* Whatever comes from now on is kept. */
	if (!s->dgram->box)
		open_box(s);
	if (!s->dgram->box)
		return -ENOBUFS;
	/* The kernel's socket has nothing that would go before. */
	atomic_fetch_and(&s->half->dgram, ~DGRAM_LATER);
	announce(s);
	return 0;
}

static long net_bind(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	addr_word want = 0;
	long r = addr_parse(s, addr, len, &want);

	if (r < 0)
		return r;
	if (s->bound || s->foreign || dgram_is_kernels(s))
		return -EINVAL;
	if (want == ADDR_WORD_OTHER || (!addr_word_is_any(want) && !dgram_is_own(s, want)))
		return -EADDRNOTAVAIL;
	return net_bind_at(s, want);
}

/* The domain's first address on the network; 0: it has none. */
static addr_word net_first(const struct registry *reg)
{
	for (uint32_t i = 0; i < load_acquire(&reg->addr_count) && i < ADDR_MAX; i++)
		if (load_relaxed(&reg->addrs[i].own) && addr_in6_is_mapped(reg->addrs[i].in6))
			return addr_word_make(addr_in6_v4(reg->addrs[i].in6), 0);
	return 0;
}

static long net_connect(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	addr_word to = 0, local, from;
	long r = 0;

	if (len >= sizeof(addr->sa_family) && addr->sa_family == AF_UNSPEC) {
		store_relaxed(&s->half->remote, 0);
		return 0;
	}
	r = addr_parse(s, addr, len, &to);
	if (r < 0)
		return r;
	if (to != ADDR_WORD_OTHER && addr_word_is_any(to))
		to = addr_word_make(INADDR_LOOPBACK, addr_word_port(to));
	if (to == ADDR_WORD_OTHER || (addr_word_is6(to) && !dgram_is_own(s, to)))
		return -ENETUNREACH;
	if (addr_word_port(load_relaxed(&s->half->local)) == 0)
		r = net_bind_at(s, addr_any(s));
	if (r < 0)
		return r;
	local = load_relaxed(&s->half->local);
	from = dgram_is_own(s, to) ? addr_source(s, to) : net_first(s->party->reg);
	if (addr_word_is_any(local))
		store_relaxed(&s->half->local, addr_bound(s, addr_word_at(from, addr_word_port(local))));
	store_relaxed(&s->half->remote, to);
	return 0;
}

long dgram_getname(int fd, bool peer, struct sockaddr *addr, socklen_t *len)
{
	struct sock *s = process.policy == POLICY_NET ? dgram_enter(fd) : NULL;
	long r;

	if (!s)
		return NOT_OURS;
	r = peer && !load_relaxed(&s->half->remote) ? -ENOTCONN
	    : addr_fill(s, peer ? load_relaxed(&s->half->remote)
				: load_relaxed(&s->half->local) & ~ADDR_WORD_DUAL, addr, len);
	return sock_leave(s, r);
}

long dgram_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sock *s = dgram_enter(fd);
	long r;

	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	if (process.policy == POLICY_NET) {
		r = net_bind(s, addr, len);
		lock_drop(&s->lock);
		return sock_leave(s, r);
	}
	r = sys3(SYS_bind, fd, addr, len);
	if (r == 0) {
		name(s, fd);
		s->bound = true;
		/* Of several with SO_REUSEADDR, the last one takes what comes. */
		if ((uint32_t)registry_dgram_word(s->party->reg,
						  addr_word_port(load_relaxed(&s->half->local))))
			open_box(s);
		if (s->dgram->box)
			announce(s);
	}
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

long dgram_autobind(struct sock *s)
{
	/* One that was connected keeps the address that it was bound to, not the port. */
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} at = { .in = { 0 } };
	socklen_t len = sizeof(at);
	long r = 0;

	lock_take(&s->lock);
	if (addr_word_port(load_relaxed(&s->half->local)) == 0 && process.policy == POLICY_NET) {
		r = net_bind_at(s, addr_any(s));
	} else if (addr_word_port(load_relaxed(&s->half->local)) == 0) {
		r = sys3(SYS_getsockname, s->shadow_fd, &at, &len);
		if (r == 0)
			r = sys3(SYS_bind, s->shadow_fd, &at, len);
		/* EINVAL: it has one, since another process that holds it sent. */
		if (r == -EINVAL)
			r = 0;
		if (r == 0)
			name(s, s->shadow_fd);
	}
	lock_drop(&s->lock);
	return r;
}

long dgram_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sock *s = dgram_enter(fd);
	addr_word to = 0;
	bool connected;
	long r;

	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	if (process.policy == POLICY_NET) {
		r = net_connect(s, addr, len);
		lock_drop(&s->lock);
		return sock_leave(s, r);
	}
	r = sys3(SYS_connect, fd, addr, len);
	if (r == 0) {
		connected = addr->sa_family != AF_UNSPEC;
		if (addr_parse(s, addr, len, &to) < 0)
			to = connected ? NOBODY : 0;
		if (connected && addr_word_is_any(to))
			to = peer_name(s, fd, to);
		store_relaxed(&s->half->remote, to);
		atomic_fetch_and(&s->half->dgram, ~DGRAM_UNROUTED);
		name(s, fd);
		/* Linux leaves an IPv6 socket that is connected no more with an address
		 * that getsockname() does not show. */
		if (!connected && s->family == AF_INET6)
			dgram_to_kernel(s);
	}
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

long dgram_shutdown(int fd, int how)
{
	struct sock *s = dgram_enter(fd);
	long r;

	if (!s)
		return NOT_OURS;
	r = sys2(SYS_shutdown, fd, how);
	/* Where it is not connected, Linux says so and shuts it all the same. It is an edge
	 * for who watches, whatever is there. */
	if (r == 0 || r == -ENOTCONN) {
		dgram_to_kernel(s);
		watch_again(s);
	}
	return sock_leave(s, r);
}

/* ----------------------------------------------------------------- options */

/* Options that concern neither what is received nor, through memory, how it is
 * sent; or that the kernel's socket alone is asked about. */
static bool option_is_kernels(int level, int name)
{
	if (level == SOL_SOCKET)
		return name == SO_REUSEADDR || name == SO_REUSEPORT || name == SO_BROADCAST ||
		       name == SO_SNDBUF || name == SO_SNDBUFFORCE ||
		       name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW || name == SO_DONTROUTE ||
		       name == SO_RCVLOWAT || name == SO_KEEPALIVE || name == SO_LINGER ||
		       name == SO_PRIORITY || name == SO_DEBUG || name == SO_OOBINLINE ||
		       name == SO_NO_CHECK || name == SO_BUSY_POLL || name == SO_PASSCRED ||
		       name == SO_INCOMING_CPU || name == SO_ZEROCOPY ||
		       name == SO_MAX_PACING_RATE || name == SO_MARK;
	if (level == SOL_IP)
		return name == IP_RECVERR || name == IP_MTU_DISCOVER || name == IP_FREEBIND ||
		       name == IP_BIND_ADDRESS_NO_PORT || name == IP_MULTICAST_IF ||
		       name == IP_MULTICAST_TTL || name == IP_MULTICAST_LOOP ||
		       name == IP_UNICAST_IF || name == IP_MULTICAST_ALL;
	if (level == SOL_IPV6)
		return name == IPV6_RECVERR ||
		       name == IPV6_MULTICAST_IF || name == IPV6_MULTICAST_HOPS ||
		       name == IPV6_MULTICAST_LOOP || name == IPV6_MULTICAST_ALL ||
		       name == IPV6_UNICAST_IF || name == IPV6_FREEBIND ||
		       name == IPV6_AUTOFLOWLABEL;
	return level == SOL_UDP && (name == UDP_NO_CHECK6_TX || name == UDP_NO_CHECK6_RX);
}

static void note_rcvbuf(struct sock *s, int fd)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	if (sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len) < 0)
		return;
	store_relaxed(&s->half->rcvbuf, (uint32_t)bytes);
	/* How few it holds goes by what a datagram costs the kernel. */
	if (bytes < RCVBUF_LEAST)
		dgram_to_kernel(s);
}

static void note_timeout(struct sock *s, int fd)
{
	struct timeval t = { 0 };
	socklen_t len = sizeof(t);

	if (sys5(SYS_getsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &t, &len) == 0)
		store_relaxed(&s->half->kept_rcvtimeo_ns, (uint64_t)t.tv_sec * NS_PER_SEC +
								  (uint64_t)t.tv_usec * NS_PER_US);
}

/* Where it is connected, the kernel's socket has no way to its peer behind these, and no
 * IP_MTU, until a datagram has gone there. */
static bool forgets_way(const struct sock *s, int level, int name)
{
	return load_relaxed(&s->half->remote) && process.policy != POLICY_NET &&
	       ((level == SOL_IP && name == IP_TOS) || (level == SOL_SOCKET && name == SO_MARK) ||
		(level == SOL_IPV6 && name == IPV6_TCLASS && s->family == AF_INET6));
}

static void how_set(struct half *h, unsigned at, unsigned bits, unsigned value)
{
	uint64_t mask = ((1ull << bits) - 1) << at, word = load_relaxed(&h->options);

	while (!atomic_compare_exchange_weak(&h->options, &word,
					     (word & ~mask) | ((uint64_t)value << at & mask)))
		continue;
}

static void note_v6only(struct sock *s, bool on)
{
	s->v6only = on;
	if (on)
		atomic_fetch_or(&s->half->side, SIDE_V6ONLY);
	else
		atomic_fetch_and(&s->half->side, ~SIDE_V6ONLY);
}

/* What is larger than a packet may be refused, or go in fragments: the kernel knows. */
static void note_size6(struct dgram *d, int name, int value)
{
	uint32_t mtu = name == IPV6_MTU && value ? (uint32_t)value : LO_MTU;

	if (mtu - IP6_UDP_HEADERS < d->whole6)
		d->whole6 = mtu - IP6_UDP_HEADERS;
}

/* @value: Of the ones that are numbers. */
static void note_option(struct sock *s, int fd, int level, int name, int value)
{
	struct half *h = s->half;
	int r = ancillary_option(h, level, name, value);

	if (r < 0)
		dgram_to_kernel(s);
	if (level == SOL_UDP && name == UDP_GRO)
		dgram_set(s, DGRAM_GRO, value != 0);
	if (forgets_way(s, level, name))
		atomic_fetch_or(&s->half->dgram, DGRAM_UNROUTED);
	if (r <= 0)
		return;
	if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_RCVBUFFORCE))
		note_rcvbuf(s, fd);
	else if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_SNDBUFFORCE))
		store_relaxed(&h->sndbuf,
			      (uint32_t)(value < SNDBUF_LEAST / 2 ? SNDBUF_LEAST : value));
	else if (level == SOL_SOCKET && name == SO_NO_CHECK)
		dgram_set(s, DGRAM_NO_CHECK, value != 0);
	else if ((level == SOL_IP && name == IP_RECVERR) ||
		 (level == SOL_IPV6 && name == IPV6_RECVERR))
		value ? atomic_fetch_or(&h->dgram, DGRAM_QUEUES) : 0u;
	else if (level == SOL_SOCKET && (name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW))
		note_timeout(s, fd);
	else if (level == SOL_IP && name == IP_TTL)
		how_set(h, HOW_TTL, HOW_BITS, value < 0 ? TTL_DEFAULT : (unsigned)value);
	else if (level == SOL_IP && name == IP_TOS)
		how_set(h, HOW_TOS, HOW_BITS, (unsigned)value);
	else if (level == SOL_IPV6 && name == IPV6_UNICAST_HOPS)
		how_set(h, HOW_HOPS, HOW_BITS, value < 0 ? TTL_DEFAULT : (unsigned)value);
	else if (level == SOL_IPV6 && name == IPV6_TCLASS)
		how_set(h, HOW_TCLASS, HOW_BITS, value < 0 ? 0 : (unsigned)value);
	else if (level == SOL_IPV6 && name == IPV6_V6ONLY)
		note_v6only(s, value != 0);
	else if (level == SOL_IPV6 && (name == IPV6_MTU || name == IPV6_MTU_DISCOVER ||
				       name == IPV6_DONTFRAG))
		note_size6(s->dgram, name, value);
	else if (level == SOL_UDP && name == UDP_SEGMENT)
		how_set(h, HOW_SEGMENT, HOW_SEGMENT_BITS, (unsigned)value);
	else if (level == SOL_UDP && name == UDP_CORK)
		dgram_set(s, DGRAM_CORKED, value != 0);
	else if (!option_is_kernels(level, name))
		dgram_to_kernel(s);
}

/* SO_PEEK_OFF is the kernel's alone, and counts from the first datagram that is there: not
 * while there are some in memory. */
static bool counts_past_memory(struct sock *s, const void *val, socklen_t len)
{
	struct inbox_seat *seat = NULL;
	int off;

	if (len < sizeof(off) || !copy_try(&off, val, sizeof(off)) || off < 0)
		return false;
	dgram_to_kernel(s);
	if (!dgram_box_lock(s))
		return false;
	dgram_next(s, &seat);
	dgram_box_unlock(s);
	return seat != NULL;
}

/* Caller holds s->lock. */
static long set_option(struct sock *s, int fd, int level, int name, const void *val, socklen_t len)
{
	if (level == SOL_UDP && name == UDP_CORK)
		return dgram_cork(s, fd, val, len);
	if (level == SOL_SOCKET && name == SO_PEEK_OFF && counts_past_memory(s, val, len))
		return -EOPNOTSUPP;
	return sys5(SYS_setsockopt, fd, level, name, val, len);
}

long dgram_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct sock *s = dgram_enter(fd);
	int value = 0;
	long r;

	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	r = set_option(s, fd, level, name, val, len);
	if (r == 0) {
		if (val && len >= sizeof(value))
			memcpy(&value, val, sizeof(value));
		else if (val && len > 0)
			value = *(const unsigned char *)val;
		note_option(s, fd, level, name, value);
	}
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

long dgram_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct sock *s = process.policy == POLICY_NET && level == SOL_SOCKET && name == SO_ERROR
				 ? dgram_enter(fd) : NULL;
	int e;

	if (!s)
		return NOT_OURS;
	e = (int)-dgram_error_pending(s);
	return sock_leave(s, e ? sockopt_give(val, len, &e, sizeof(e)) : NOT_OURS);
}

/* Bytes of the next datagram, or -1 where it is not memory's. */
static long next_bytes(struct sock *s)
{
	struct inbox_seat *seat;
	long n = -1;

	if (!dgram_box_lock(s))
		return -1;
	if (dgram_next(s, &seat) == DGRAM_NEXT_MEMORY)
		n = seat->rec.bytes;
	dgram_box_unlock(s);
	return n;
}

static void flags_note(struct sock *s, int fd)
{
	long flags = sys2(SYS_fcntl, fd, F_GETFL);

	if (flags < 0)
		return;
	store_relaxed(&s->half->file_flags, (uint32_t)flags & (O_NONBLOCK | O_ASYNC));
	/* Nobody but the kernel sends SIGIO for it. */
	if (flags & O_ASYNC)
		dgram_to_kernel(s);
}

long dgram_ioctl(int fd, unsigned long request, void *arg)
{
	struct sock *s = dgram_enter(fd);
	long r = NOT_OURS, n = -1;

	if (!s)
		return NOT_OURS;
	if (request == FIONREAD)
		n = next_bytes(s);
	if (n >= 0) {
		int bytes = (int)n;

		memcpy(arg, &bytes, sizeof(bytes));
		r = 0;
	} else if (request == FIONBIO || request == FIOASYNC) {
		r = sys3(SYS_ioctl, fd, request, arg);
		if (r == 0)
			flags_note(s, fd);
	}
	return sock_leave(s, r);
}

long dgram_fcntl(int fd, int cmd, unsigned long arg)
{
	struct sock *s = cmd == F_SETFL ? dgram_enter(fd) : NULL;
	long r;

	if (!s)
		return NOT_OURS;
	r = sys3(SYS_fcntl, fd, F_SETFL, arg);
	if (r == 0)
		flags_note(s, fd);
	return sock_leave(s, r);
}

/* -------------------------------------------------------------------- life */

/* What goes with the kernel's socket @fd. Return: NULL where there is no room. */
static struct sock *dgram_make(struct party *p, int domain, int fd, uint32_t file_flags)
{
	struct dgram *d = get(&dgrams);
	/* The library's own descriptor of the kernel's socket: for who waits. */
	long error = 0, shadow = d ? process_fd_copy(fd) : -ENOMEM;
	struct sock *s = shadow < 0 ? NULL : sock_make(p, &error);
	int slot = s ? party_slot_alloc(p) : -ENOSPC;

	if (slot < 0) {
		if (s)
			sock_unmake(s);
		if (shadow >= 0)
			process_fd_high_close((int)shadow);
		if (d)
			put(&dgrams, d);
		return NULL;
	}
	d->whole6 = DGRAM_UDP6_MOST;
	s->dgram = d;
	s->family = (uint16_t)domain;
	s->v6only = domain == AF_INET6 && template_v6only_default();
	s->shadow_fd = (int)shadow;
	s->obj.kind = FOBJ_DGRAM;
	sock_begin_half(s, (unsigned)slot, file_flags);
	store_relaxed(&s->half->dgram, DGRAM_SOCKET);
	store_relaxed(&s->half->options, TTL_DEFAULT << HOW_TTL | TTL_DEFAULT << HOW_HOPS);
	note_rcvbuf(s, fd);
	store_release(&s->stage, SOCK_PACKETS);
	return s;
}

long dgram_socket(int domain, int type, int protocol)
{
	struct party *p = process_party();
	struct sock *s;
	long fd;

	fd = fd_made(sys3(SYS_socket, domain, type, protocol));
	if (fd < 0)
		return fd;
	if (protocol != 0 && protocol != IPPROTO_UDP) {
		fdtab_kernel((int)fd, REASON_DATAGRAM);
		return fd;
	}
	s = p && fd < (long)fdtab_size
		    ? dgram_make(p, domain, (int)fd, type & SOCK_NONBLOCK ? O_NONBLOCK : 0)
		    : NULL;
	if (s)
		fdtab_install((int)fd, &s->obj);
	else
		fdtab_kernel((int)fd, p ? REASON_LIMIT : REASON_NO_DAEMON);
	return fd;
}

/* By the name that it was announced with: it may have been connected since. */
static void unannounce(struct sock *s)
{
	store_relaxed(&s->half->local, s->dgram->told_at);
	sock_tell(s, CTL_UNLISTEN, 0, 0);
}

void dgram_gone(struct sock *s, bool shared)
{
	struct dgram *d = s->dgram;

	if (shared) {
		if (d->box)
			inbox_forget(d->box);
	} else {
		if (d->told == DGRAM_TOLD)
			unannounce(s);
		if (process.policy == POLICY_NET && s->bound)
			sock_tell(s, CTL_UNBIND, 0, 0);
		store_release(&arena_handles(s->party->base)[s->handle], 0);
		if (d->box)
			inbox_close(d->box);
		else
			half_release(s->half);
	}
	if (d->box)
		put(&boxes, d->box);
	if (d->cork)
		sys2(SYS_munmap, d->cork, DGRAM_UDP_MOST);
	put(&dgrams, d);
	s->dgram = NULL;
}

/* ------------------------------------------------------------------ leaving */

void dgram_given(int fd)
{
	struct sock *s = dgram_enter(fd);

	if (!s)
		return;
	dgram_to_kernel(s);
	sock_leave(s, 0);
}

/* This program is the only one that reads its inbox. */
static bool is_alone(const struct sock *s)
{
	return !s->foreign && !load_relaxed(&s->half->shared);
}

static bool passes_sockets(char *const *envp)
{
	for (; envp && *envp; envp++)
		if (strncmp(*envp, "LISTEN_FDS=", strlen("LISTEN_FDS=")) == 0)
			return true;
	return false;
}

void dgram_exec_before(char *const *envp)
{
	bool all = passes_sockets(envp);

	/* In a child that shares our memory the tables are its parent's. */
	if (!process.enabled || process.pid != (uint32_t)sys0(SYS_getpid))
		return;
	for (unsigned fd = 0; fd < fdtab_size; fd++) {
		const struct fobj *o = fdtab_peek((int)fd);

		if (!o || o->kind != FOBJ_DGRAM || sys2(SYS_fcntl, fd, F_GETFD) != 0)
			continue;
		if (all || fd < STANDARD_FDS || is_alone((const struct sock *)(const void *)o))
			dgram_given((int)fd);
	}
}

static void leave_one(struct sock *s, void *arg)
{
	(void)arg;
	if (load_acquire(&s->stage) == SOCK_PACKETS)
		dgram_to_kernel(s);
}

void dgram_leave_all(void)
{
	socks_each(leave_one, NULL);
}

/* -------------------------------------------------------------------- fork */

/*
 * A child is about to have it too. One that has an address gets an inbox that
 * both read from. Without one, each of them would send from, and be answered at,
 * a half of its own, which the other does not look into.
 */
static void share_one(struct sock *s, void *arg)
{
	struct dgram *d;

	(void)arg;
	if (load_acquire(&s->stage) != SOCK_PACKETS || load_relaxed(&s->obj.nfds) == 0)
		return;
	d = s->dgram;
	lock_take(&s->lock);
	if (!d->box && !dgram_is_kernels(s) && !d->no_box)
		open_box(s);
	if (!d->box) {
		dgram_to_kernel(s);
	} else if (s->bell_fd < 0 && !s->foreign && !dgram_is_kernels(s)) {
		sock_rx_lock(s);
		inbox_fill(d->box);
		sock_rx_unlock(s);
		if (ring_share(s) < 0)
			dgram_to_kernel(s);
		else
			watch_changed(s);
	}
	/* Nobody is in the inbox with the lock of this process alone: the child takes
	 * the one in memory. */
	if (d->box && !s->foreign) {
		sock_rx_lock(s);
		store_release(&s->half->shared, 1);
		sock_rx_unlock(s);
	}
	lock_drop(&s->lock);
}

void dgram_share_all(void)
{
	socks_each(share_one, NULL);
}

void dgram_fork_pools(void)
{
	pools_lock = (struct lock){ 0 };
	dgrams = (struct pool){ .size = sizeof(struct dgram) };
	boxes = (struct pool){ .size = sizeof(struct inbox) };
}

void dgram_fork_child(struct sock *s)
{
	if (s->dgram->box)
		inbox_forked(s->dgram->box);
}
