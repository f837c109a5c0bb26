/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bind.c - A local address: in the domain under policy none, else the port of
 * a kernel socket, the shadow, which says whose it is and what is wrong with it.
 */
#include <errno.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/fallback.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/sock.h"
#include "posix/sock_life.h"

#define ENDING_LOOKS 10u
#define ENDING_LOOK_NS (2 * NS_PER_MS)

long shadow_make(struct sock *s)
{
	long fd = sys3(SYS_socket, s->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0)
		fd = process_fd_high((int)fd);
	if (fd < 0)
		return fd;
	options_replay(s, (int)fd);
	s->shadow_fd = (int)fd;
	return 0;
}

void shadow_drop(struct sock *s)
{
	process_fd_high_close(s->shadow_fd);
	s->shadow_fd = -1;
}

/* Linux: who is bound to an IPv6 address cannot do with IPv4. */
static void bound_at(struct sock *s, addr_word at)
{
	if (addr_word_is6(at) && !addr_word_is_any(at))
		s->v6only = true;
	atomic_fetch_or(&s->half->side, sock_side_family(s));
	store_relaxed(&s->half->local, addr_bound(s, at));
	s->bound = true;
}

long shadow_name(struct sock *s)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	addr_word local = ADDR_WORD_OTHER;

	if (sys3(SYS_getsockname, s->shadow_fd, &at, &len) < 0 ||
	    addr_parse(s, (struct sockaddr *)&at, len, &local) < 0 || local == ADDR_WORD_OTHER)
		return -EADDRNOTAVAIL;
	bound_at(s, local);
	return 0;
}

long bind_in_domain(struct sock *s, addr_word want)
{
	struct ctl_msg m = { .type = CTL_BIND };
	int r;

	m.listen.at = want;
	m.listen.slot = s->slot;
	m.listen.gen = half_gen(s->half);
	m.listen.reuse = options_reuse(s);
	r = process_call(&m, NULL, 0, NULL, NULL);
	if (r == 0)
		bound_at(s, m.listen.at);
	return r;
}

/* Somebody of the domain has listened there, perhaps until just now: then its
 * shadow is gone as soon as the daemon has heard of its end. */
static long shadow_bind(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	long r = sys3(SYS_bind, s->shadow_fd, addr, len);
	addr_word want = 0;

	if (r != -EADDRINUSE || addr_parse(s, addr, len, &want) < 0)
		return r;
	for (unsigned i = 0; i < ENDING_LOOKS && r == -EADDRINUSE; i++) {
		struct timespec t = clock_timespec(ENDING_LOOK_NS);
		struct listener_ref ref;
		bool listens = registry_find(s->party->reg, want, &ref) == 0;

		if (!listens && i > 0)
			break;
		sys2(SYS_nanosleep, &t, NULL);
		r = sys3(SYS_bind, s->shadow_fd, addr, len);
	}
	return r;
}

/* Policy none: what the kernel would say. */
static long bind_checked(struct sock *s, addr_word want)
{
	/* Linux: a socket is bound once. */
	bool again = s->bound || load_relaxed(&s->stage) != SOCK_NEW;

	if (s->family == AF_INET6 && (again || (s->v6only && !addr_word_is6(want))))
		return -EINVAL;
	if (want == ADDR_WORD_OTHER ||
	    (!addr_word_is_any(want) && !registry_addr_is_own(s->party->reg, want)))
		return -EADDRNOTAVAIL;
	if (again)
		return -EINVAL;
	return bind_in_domain(s, addr_bound(s, want));
}

/* Linux: a connection that is over has let go of its port, and can be bound once more. */
static bool is_bound_anew(struct sock *s)
{
	return load_relaxed(&s->stage) == SOCK_OPEN && !s->bound && !conn_pending(&s->conn) &&
	       sock_is_over(s);
}

/* Return: 0, -errno, or FALLBACK | reason. */
static long sock_bind(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	addr_word want = 0;
	bool anew, made;
	long r;

	/* Not where it is connected or listens: then it is refused below. */
	if (s->foreign)
		sock_own(s);
	if (sock_is_untold(s))
		sock_anew(s);
	if (process.policy != POLICY_SHARE) {
		r = addr_parse(s, addr, len, &want);
		if (r == 0)
			r = addr_is_group(s, addr) || s->foreign ? -EINVAL : bind_checked(s, want);
		return r;
	}
	if (s->shadow_fd >= 0)
		return sys3(SYS_bind, s->shadow_fd, addr, len);
	/* The kernel says whose port it is, and what is wrong with it. */
	r = shadow_make(s);
	if (r < 0)
		return r;
	r = shadow_bind(s, addr, len);
	/* Linux: of IPv4, what is wrong with the address goes before what is with the
	 * socket; of IPv6, what the socket is goes before whose the address is. */
	made = s->foreign || load_relaxed(&s->stage) != SOCK_NEW;
	anew = made && is_bound_anew(s);
	if (made && !anew &&
	    (r == 0 || r == -EADDRINUSE ||
	     (s->family == AF_INET6 && (r == -EADDRNOTAVAIL || r == -ENODEV))))
		r = -EINVAL;
	if (r < 0) {
		shadow_drop(s);
		return r;
	}
	/* Its half keeps the connection's names, and its lease's port: the shadow knows. */
	if (anew) {
		s->bound = s->bound_anew = true;
		return 0;
	}
	/* An address that is the host's by some rule of its own, or since a moment ago. */
	return shadow_name(s) < 0 ? FALLBACK(REASON_REMOTE) : 0;
}

long call_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sock *s;
	long r;

	s = sock_enter(fd);
	if (!s)
		return dgram_bind(fd, addr, len);
	lock_take(&s->lock);
	r = sock_bind(s, addr, len);
	if (r <= FALLBACK(0))
		r = fallback_socket(s, FALLBACK_REASON(r));
	lock_drop(&s->lock);
	return sock_leave(s, r);
}
