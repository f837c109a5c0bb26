/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - From a bound socket to a listener: seats in memory first, then
 * the registry, then the kernel's own queue behind the shadow.
 */
#include <errno.h>
#include <netinet/in.h>

#include "base/sys.h"
#include "posix/addr.h"
#include "posix/calls.h"
#include "posix/fallback.h"
#include "posix/async.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/served.h"
#include "posix/sock.h"
#include "posix/sock_life.h"
#include "posix/watch.h"
#include "shm/seat.h"

#define READY_BACKLOG 511u

static long sock_announce(struct sock *s, bool both_listen)
{
	return sock_tell(s, CTL_LISTEN, s->foreign ? s->party->id : 0, both_listen);
}

void sock_unlisten(struct sock *s)
{
	const struct half *was = s->half;
	uint64_t local = load_relaxed(&was->local);
	unsigned old = s->slot;
	int slot = party_slot_alloc(s->party);

	sock_alias(old, NULL);
	sock_close_listener(s);
	store_release(&s->stage, SOCK_NEW);
	if (slot < 0) {
		s->retired = true; /* good for nothing but close() */
		return;
	}
	sock_half_next(s, was, (unsigned)slot);
	store_relaxed(&s->half->local, local);
}

/* A local address. Under share the kernel chooses it. */
static long listen_bind(struct sock *s, bool share)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} any = { .in6.sin6_family = s->family };
	long r;

	if (s->bound)
		return 0;
	r = share ? shadow_make(s) : bind_in_domain(s, addr_any(s));
	if (r == 0 && share) {
		r = sys3(SYS_bind, s->shadow_fd, &any,
			 s->family == AF_INET6 ? sizeof(any.in6) : sizeof(any.in));
		if (r == 0)
			r = shadow_name(s);
		if (r < 0)
			shadow_drop(s);
	}
	if (r == 0)
		s->bound = true;
	return r;
}

/* Is it bound where connectors of this host are looked for in memory? */
static bool listens_here(const struct sock *s)
{
	addr_word local = load_relaxed(&s->half->local);

	return addr_word_is_any(local) || registry_addr_is_own(s->party->reg, local);
}

bool sock_listen_ready(struct sock *s)
{
	addr_word local = load_relaxed(&s->half->local);
	bool share = process.policy == POLICY_SHARE;

	if (s->foreign || !s->bound || s->retired || load_relaxed(&s->stage) != SOCK_NEW)
		return false;
	if (share && (!listens_here(s) || options_kernel_only(s) ||
		      process_port_excluded(addr_word_port(local))))
		return false;
	if (seat_open(s->party, s->half, READY_BACKLOG) < 0)
		return false;
	served_here(s);
	store_release(&s->stage, SOCK_LISTEN);
	return true;
}

/* The seats are there: somebody else's listen(), or sock_listen_ready(). */
static long listen_again(struct sock *s, int backlog)
{
	bool share = process.policy == POLICY_SHARE;
	long r = sock_listens(s) ? 0 : sock_announce(s, false);

	if (r < 0 && !share)
		return r == -EADDRINUSE ? r : -ENOBUFS;
	if (r < 0 && r != -EADDRINUSE)
		return FALLBACK(REASON_NO_DAEMON);
	if (r == -EADDRINUSE)
		return FALLBACK(REASON_REUSEPORT);
	r = s->shadow_fd >= 0 ? sys2(SYS_listen, s->shadow_fd, backlog) : 0;
	if (r == 0) {
		atomic_fetch_or(&s->half->side, SIDE_LISTENS);
		ring_again(s); /* Whoever else has it looks: it is another thing now. */
	}
	return r;
}

/* Return: 0, or -errno, or FALLBACK | reason where the kernel must do it. */
static long sock_listen(struct sock *s, int backlog)
{
	bool share = process.policy == POLICY_SHARE;
	uint16_t port;
	long r, kernel;

	if (sock_is_untold(s) && !sock_anew(s))
		return share ? FALLBACK(REASON_SHARED) : -EINVAL;
	if (load_relaxed(&s->stage) == SOCK_OPEN || s->retired)
		return -EINVAL;
	if (load_relaxed(&s->stage) == SOCK_LISTEN)
		return listen_again(s, backlog);
	if (s->foreign && !sock_own(s))
		return share ? FALLBACK(REASON_SHARED) : -EOPNOTSUPP;
	r = listen_bind(s, share);
	if (r < 0)
		return r;
	port = addr_word_port(load_relaxed(&s->half->local));
	if (share && !listens_here(s))
		return FALLBACK(REASON_REMOTE);
	if (share && process_port_excluded(port))
		return FALLBACK(REASON_EXCLUDED);
	if (share && (port == 0 || options_kernel_only(s)))
		return FALLBACK(REASON_OPTION);
	r = seat_open(s->party, s->half, backlog < 0 ? SEAT_BACKLOG_MAX : (unsigned)backlog);
	if (r < 0)
		return share ? FALLBACK(REASON_LIMIT) : -ENOBUFS;
	served_here(s);
	atomic_fetch_or(&s->half->side, SIDE_LISTENS);
	store_release(&s->stage, SOCK_LISTEN);
	/* In memory first: who finds nobody there asks the kernel, and would
	 * be connected by it. */
	r = sock_announce(s, !share && options_reuse(s) & CTL_REUSE_PORT);
	kernel = share ? sys2(SYS_listen, s->shadow_fd, backlog) : r;
	if (kernel < 0) {
		sock_unlisten(s);
		return kernel;
	}
	/* The kernel lets both listen: a group of SO_REUSEPORT. */
	if (r == -EADDRINUSE)
		r = sock_announce(s, true);
	if (r < 0)
		return FALLBACK(r == -EADDRINUSE || r == -ENOSPC ? REASON_REUSEPORT
								 : REASON_NO_DAEMON);
	return 0;
}

long call_listen(int fd, int backlog)
{
	struct sock *s;
	bool listened;
	long r;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	listened = sock_listens(s);
	r = sock_listen(s, backlog);
	if (r <= FALLBACK(0)) {
		r = fallback_socket(s, FALLBACK_REASON(r));
		if (r == 0)
			r = sys2(SYS_listen, fd, backlog);
	} else if (!listened && sock_listens(s)) {
		async_shadow(s);
		watch_changed(s);
	}
	lock_drop(&s->lock);
	return sock_leave(s, r);
}
