/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connect.c - To a listener of the domain, by claiming a seat; or else the
 * socket becomes the kernel's, and its connect() does the rest.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/fallback.h"
#include "posix/options.h"
#include "posix/ports.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/served.h"
#include "posix/sock.h"
#include "posix/sock_life.h"
#include "posix/watch.h"
#include "shm/owner.h"
#include "shm/seat.h"

#define FOLLOWED_NS (2 * NS_PER_MS) /* a seat rests so long, and a little */

static void follow_one(struct sock *s, void *any)
{
	if (load_acquire(&s->stage) == SOCK_OPEN && conn_follow(&s->conn))
		*(bool *)any = true;
}

/* Our connections that were accepted elsewhere follow. Return: Was there one? */
static bool socks_follow(void)
{
	bool any = false;

	socks_each(follow_one, &any);
	return any;
}

/* One of a group, as the addresses have it; another, where that has no room or
 * is gone. Return: As seat_claim(). */
static int connect_group(struct sock *s, addr_word to, uint32_t pick)
{
	int r = -ECONNREFUSED, n = 1;

	for (int i = 0; i < n && (r == -EAGAIN || r == -ECONNREFUSED); i++) {
		struct listener_ref ref;

		n = registry_find_one(s->party->reg, to, pick + (uint32_t)i, &ref);
		if (n > 0 && !served_look(s, &ref))
			r = -ECONNREFUSED;
		else if (n > 0)
			r = seat_claim(s->party, s->half, &ref, &s->conn);
	}
	return r;
}

/* A wildcard is the socket's own address, or loopback's. */
static addr_word connect_any(const struct sock *s, addr_word to)
{
	addr_word local = load_relaxed(&s->half->local);
	bool bound4 = s->bound && !addr_word_is6(local);

	if (to == ADDR_WORD_OTHER || !addr_word_is_any(to))
		return to;
	if (!addr_word_is6(to) && bound4 && !addr_word_is_any(local))
		return addr_word_make(addr_word_addr(local), addr_word_port(to));
	if (!addr_word_is6(to) || bound4)
		return addr_word_make(INADDR_LOOPBACK, addr_word_port(to));
	return addr_word_make6(ADDR_LOOPBACK6, addr_word_port(to));
}

/* From where: where it is bound, else from where the kernel would. Port 0.
 * Return: 0, -errno, or FALLBACK | reason where the kernel has more to say. */
static long connect_from(const struct sock *s, addr_word to, addr_word *ret)
{
	addr_word local = addr_word_at(load_relaxed(&s->half->local) & ~ADDR_WORD_DUAL, 0);
	bool share = process.policy == POLICY_SHARE;

	if (s->family == AF_INET6 && s->v6only && !addr_word_is6(to))
		return -ENETUNREACH;
	/* Bound to ::ffff:a.b.c.d. */
	if (s->bound && !addr_word_is6(local) && addr_word_is6(to))
		return share ? FALLBACK(REASON_REMOTE) : -EAFNOSUPPORT;
	if (!s->bound || addr_word_is_any(local)) {
		*ret = addr_source(s, to);
		return 0;
	}
	/* One that is bound to an interface reaches what is there. */
	if (!registry_addr_is_own(s->party->reg, local) ||
	    ((addr_needs_scope(s, local) || addr_needs_scope(s, to)) &&
	     addr_word_at(to, 0) != local))
		return share ? FALLBACK(REASON_REMOTE) : -ENETUNREACH;
	*ret = local;
	return 0;
}

/* @from: With port 0. Return: 0, or FALLBACK | reason. */
static long connect_local(struct sock *s, addr_word to, addr_word from)
{
	struct listener_ref ref;
	uint16_t port = 0;
	addr_word was = load_relaxed(&s->half->local);
	uint32_t pick;
	int r;

	if (registry_find(s->party->reg, to, &ref) < 0)
		return FALLBACK(REASON_NO_LISTENER);
	/* With IP_BIND_ADDRESS_NO_PORT, bind() left it to us. */
	if (!s->bound || addr_word_port(was) == 0) {
		port = port_take();
		if (port == 0)
			return FALLBACK(REASON_LIMIT);
	}
	from = addr_word_at(from, port ? port : addr_word_port(was));
	s->unconnected_at = was;
	store_relaxed(&s->half->local, from);
	store_relaxed(&s->half->remote, to);
	pick = addr_word_port(from) * 2654435761u >> 16;
	r = connect_group(s, to, pick);
	if (r == -EAGAIN && socks_follow()) {
		struct timespec t = clock_timespec(FOLLOWED_NS);

		/* We ourselves kept seats; they will be made anew. */
		sys2(SYS_nanosleep, &t, NULL);
		r = connect_group(s, to, pick);
	}
	if (r == 0) {
		if (port)
			atomic_fetch_or(&s->half->side, SIDE_LEASED);
		store_release(&s->stage, SOCK_OPEN);
		return 0;
	}
	if (port)
		port_give(port);
	store_relaxed(&s->half->local, was);
	store_relaxed(&s->half->remote, 0);
	return FALLBACK(r == -EAGAIN ? REASON_BACKLOG : REASON_NO_LISTENER);
}

/* To the network: the wire's listener takes the connection, and answers. Return: 0: on its way;
 * or -errno. */
static long connect_wire(struct sock *s, addr_word to)
{
	addr_word local = load_relaxed(&s->half->local);
	struct listener_ref gate;
	int r;

	if (addr_word_is6(to) || (s->family == AF_INET6 && s->v6only) ||
	    registry_gate(s->party->reg, &gate) < 0)
		return -ENETUNREACH;
	if (s->bound && (addr_word_is6(local) ? !addr_word_is_any(local)
					      : addr_word_is_loopback(local) &&
						!addr_word_is_loopback(to)))
		return -EINVAL;
	s->unconnected_at = local;
	store_relaxed(&s->half->remote, to);
	atomic_fetch_or(&s->half->side, SIDE_WIRE);
	r = seat_claim(s->party, s->half, &gate, &s->conn);
	if (r == 0) {
		store_release(&s->stage, SOCK_OPEN);
		return 0;
	}
	atomic_fetch_and(&s->half->side, ~SIDE_WIRE);
	store_relaxed(&s->half->remote, 0);
	return r == -EAGAIN ? r : -ENETUNREACH;
}

/* It has failed, and connect() says so: Linux has it unconnected from then on, with the port
 * that was chosen. Caller holds s->lock. */
static void connect_failed(struct sock *s)
{
	addr_word at = s->bound ? s->unconnected_at : addr_any(s);

	sock_wire_name(s);
	store_relaxed(&s->half->local,
		      addr_word_at(at, addr_word_port(load_relaxed(&s->half->local))));
	atomic_fetch_or(&s->half->side, SIDE_UNTOLD);
}

/* Until the network has answered. Return: 0 or -errno. */
static long connect_wait(struct sock *s)
{
	uint32_t handled = section_state.handled, broke = section_state.broke;
	uint64_t deadline = s->sndtimeo_ns ? clock_now_ns() + s->sndtimeo_ns : 0;
	long r = 0;

	while (r == 0 && conn_pending(&s->conn)) {
		r = wait_sock(s, POLLOUT, deadline, &section_state.handled, handled);
		/* It has begun: beginning anew is going on. */
		if (r == -EINTR && !deadline && section_verdict(handled, broke) == CALL_AGAIN) {
			handled = section_state.handled;
			r = 0;
		}
	}
	if (r == -ETIMEDOUT)
		return -EINPROGRESS;
	if (r < 0)
		return r;
	lock_take(&s->lock);
	s->connect_told = true;
	r = -conn_take_error(&s->conn);
	if (r == 0)
		sock_wire_name(s);
	else
		connect_failed(s);
	lock_drop(&s->lock);
	return r;
}

/* Caller holds s->lock. Return: Is the network to be waited for? */
static bool connect_begun(struct sock *s)
{
	bool wire = load_relaxed(&s->half->side) & SIDE_WIRE;

	s->connect_told = !wire && !sock_nonblocking(s);
	watch_changed(s);
	if (!wire)
		owner_signal(s->half, POLL_OUT);
	return wire;
}

/* Return: 0, -errno, or FALLBACK | reason. */
static long sock_connect(struct sock *s, addr_word to)
{
	bool share = process.policy == POLICY_SHARE;
	addr_word from = 0;
	long r;

	if (sock_is_untold(s) && !sock_anew(s))
		return share ? FALLBACK(REASON_SHARED) : -EISCONN;
	switch ((enum sock_stage)load_relaxed(&s->stage)) {
	case SOCK_LISTEN:
		if (!sock_listens(s))
			return share ? FALLBACK(REASON_SHARED) : -EOPNOTSUPP;
		return -EISCONN;
	case SOCK_OPEN:
		if (s->connect_told)
			return s->disconnecting ? -EINVAL : -EISCONN;
		if (conn_pending(&s->conn))
			return -EALREADY;
		s->connect_told = true;
		/* It was reset before anyone asked how it went. */
		if (conn_poll(&s->conn) & POLLHUP &&
		    load_relaxed(&s->half->side) & SIDE_RST_SEEN) {
			r = conn_take_error(&s->conn);
			connect_failed(s);
			return r ? -r : -ECONNABORTED;
		}
		return 0;
	case SOCK_NEW:
	case SOCK_PACKETS:
		break;
	}
	if (load_relaxed(&s->refused)) {
		r = sock_refusal(s);
		store_relaxed(&s->refused, 0);
		return r ? -r : -ECONNABORTED;
	}
	to = connect_any(s, to);
	if (to == ADDR_WORD_OTHER)
		return share ? FALLBACK(REASON_REMOTE) : -ENETUNREACH;
	if (s->foreign && !sock_own(s))
		return share ? FALLBACK(REASON_SHARED) : -EOPNOTSUPP;
	if (!registry_addr_is_own(s->party->reg, to) ||
	    (unlikely(load_relaxed(&s->party->reg->packets)) && !addr_word_is6(to)))
		return share ? FALLBACK(REASON_REMOTE) : connect_wire(s, to);
	if (share && process_port_excluded(addr_word_port(to)))
		return FALLBACK(REASON_EXCLUDED);
	if (share && options_kernel_only(s))
		return FALLBACK(REASON_OPTION);
	r = connect_from(s, to, &from);
	if (r == 0)
		r = connect_local(s, to, from);
	if (r <= FALLBACK(0) && !share)
		r = FALLBACK_REASON(r) == REASON_BACKLOG ? -EAGAIN : -ECONNREFUSED;
	return r;
}

/* Policy none, and the listener's queue is full: as a SYN is sent again. */
static long connect_again(struct sock *s, addr_word to)
{
	uint64_t pause_ns = NS_PER_MS, until = clock_now_ns() + 127 * NS_PER_SEC;
	uint32_t handled = section_state.handled, broke = section_state.broke;
	bool wire;
	long r = -EAGAIN;

	if (s->sndtimeo_ns)
		until = clock_now_ns() + s->sndtimeo_ns;
	while (r == -EAGAIN) {
		struct timespec t = clock_timespec(pause_ns);
		long args[6] = { (long)&t, 0 };

		if (clock_now_ns() >= until)
			return -ETIMEDOUT;
		section_leave();
		r = section_sleep(SYS_nanosleep, args, &section_state.handled, handled);
		section_enter();
		/* It has begun: beginning anew is going on. */
		if (r == -EINTR && !s->sndtimeo_ns && section_verdict(handled, broke) == CALL_AGAIN)
			handled = section_state.handled;
		else if (r == -EINTR)
			return r;
		lock_take(&s->lock);
		r = sock_connect(s, to);
		wire = r == 0 && connect_begun(s);
		lock_drop(&s->lock);
		if (wire)
			return connect_wait(s);
		if (pause_ns < 64 * NS_PER_MS)
			pause_ns *= 2;
	}
	return r;
}

long call_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	addr_word to = 0;
	struct sock *s;
	bool was_open, first, wire = false;
	long r;

	s = sock_enter(fd);
	if (!s)
		return dgram_connect(fd, addr, len);
	lock_take(&s->lock);
	was_open = load_relaxed(&s->stage) == SOCK_OPEN && !sock_is_untold(s);
	first = !was_open && !load_relaxed(&s->refused);
	r = addr_parse(s, addr, len, &to);
	/* Bound to an interface, it may do without a scope. */
	if (r == -EINVAL && process.policy == POLICY_SHARE && options_kernel_only(s))
		r = FALLBACK(REASON_OPTION);
	else if (r == 0)
		r = sock_connect(s, to);
	if (r <= FALLBACK(0)) {
		r = fallback_socket(s, FALLBACK_REASON(r));
		if (r == 0)
			r = NOT_OURS; /* libc's connect() does the rest */
	} else if (r == 0 && !was_open) {
		wire = connect_begun(s);
		if (sock_nonblocking(s))
			r = -EINPROGRESS;
	}
	lock_drop(&s->lock);
	if (r == 0 && wire)
		r = connect_wait(s);
	if (r == -EAGAIN && !sock_nonblocking(s))
		r = connect_again(s, to);
	if (first && (r == -EAGAIN || r == -ECONNREFUSED) && sock_nonblocking(s)) {
		/* As on Linux, the answer comes after the call. */
		store_relaxed(&s->refused, ECONNREFUSED);
		watch_changed(s);
		owner_signal(s->half, POLL_ERR);
		r = -EINPROGRESS;
	}
	return sock_leave(s, r);
}
