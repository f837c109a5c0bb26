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
#include "posix/options.h"
#include "posix/process.h"
#include "posix/sock.h"
#include "posix/sock_life.h"

#define ENDING_LOOKS 10u
#define ENDING_LOOK_NS (2 * NS_PER_MS)

long shadow_make(struct sock *s)
{
	long fd = sys3(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

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

void shadow_name(struct sock *s)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);

	if (sys3(SYS_getsockname, s->shadow_fd, &in, &len) == 0)
		store_relaxed(&s->half->local, addr_word_make(ntohl(in.sin_addr.s_addr),
							      ntohs(in.sin_port)));
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
		store_relaxed(&s->half->local, m.listen.at);
	return r;
}

/* Somebody of the domain has listened there, perhaps until just now: then its
 * shadow is gone as soon as the daemon has heard of its end. */
static long shadow_bind(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	long r = sys3(SYS_bind, s->shadow_fd, addr, len);
	addr_word want = 0;

	if (r != -EADDRINUSE || addr_parse(addr, len, &want) < 0)
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

static long sock_bind(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	addr_word want = 0;
	long r;

	if (s->foreign && !sock_own(s))
		return -EINVAL;
	if (process.policy == POLICY_NONE) {
		r = addr_parse(addr, len, &want);
		if (r == 0 && addr_word_addr(want) != 0 && !addr_is_loopback(addr_word_addr(want)))
			r = -EADDRNOTAVAIL;
		if (r == 0)
			r = s->bound || load_relaxed(&s->stage) != SOCK_NEW ? -EINVAL
									    : bind_in_domain(s, want);
		if (r == 0)
			s->bound = true;
		return r;
	}
	if (s->shadow_fd >= 0)
		return sys3(SYS_bind, s->shadow_fd, addr, len);
	/* The kernel says whose port it is, and what is wrong with it. */
	r = shadow_make(s);
	if (r < 0)
		return r;
	r = shadow_bind(s, addr, len);
	/* What is wrong with the address goes before what is with the socket. */
	if (load_relaxed(&s->stage) != SOCK_NEW && (r == 0 || r == -EADDRINUSE))
		r = -EINVAL;
	if (r < 0) {
		shadow_drop(s);
		return r;
	}
	shadow_name(s);
	s->bound = true;
	return 0;
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
	lock_drop(&s->lock);
	return sock_leave(s, r);
}
