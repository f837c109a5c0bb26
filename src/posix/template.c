/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>

#include "base/sys.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/template.h"

/* By family (AF_INET, AF_INET6) and enum sock_stage; -1: not made yet. */
static int kept[2][SOCK_OPEN + 1] = { { -1, -1, -1 }, { -1, -1, -1 } };
static struct lock template_lock;
/* What template_take() gave: of kept[], or made for one question. */
static int *taken;
static int made = -1;
/* Of IPv6: 0 not asked yet, 1 there is none, 2 there is, 3 and V6ONLY is the default. */
static _Atomic uint32_t inet6_known;

/** union address - Loopback, port 0, of either family. */
union address {
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t loopback(int family, union address *at)
{
	*at = (union address){ 0 };
	if (family == AF_INET6) {
		at->in6.sin6_family = AF_INET6;
		at->in6.sin6_addr = in6addr_loopback;
		return sizeof(at->in6);
	}
	at->in.sin_family = AF_INET;
	at->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(at->in);
}

/* It is nobody's peer but its own, so no port is left to the network, and
 * closing it leaves nothing behind. */
static long connect_to_itself(int fd, union address *at, socklen_t len)
{
	struct linger now = { .l_onoff = 1 };
	long r = sys3(SYS_bind, fd, at, len);

	if (r == 0)
		r = sys3(SYS_getsockname, fd, at, &len);
	if (r == 0)
		r = sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	/* EINPROGRESS: by the time that it says so it is connected. */
	return r == 0 ? sys3(SYS_connect, fd, at, len) : r;
}

/* @s: What was set on it is to be set; NULL: nothing. */
static int template_make(const struct sock *s, int family, enum sock_stage stage)
{
	long fd = sys3(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	union address at;
	socklen_t len = loopback(family, &at);

	if (fd >= 0)
		fd = process_fd_high((int)fd);
	if (fd < 0)
		return (int)fd;
	if (s)
		options_repeat_asked(s, (int)fd, false);
	/* Where that fails, a fresh one has to do. A backlog of none: nobody
	 * is to connect. */
	if (stage == SOCK_LISTEN && sys3(SYS_bind, fd, &at, len) == 0)
		sys2(SYS_listen, fd, 0);
	if (stage == SOCK_OPEN)
		connect_to_itself((int)fd, &at, len);
	if (s)
		options_repeat_asked(s, (int)fd, true);
	return (int)fd;
}

int template_take(const struct sock *s)
{
	enum sock_stage stage = sock_listens(s) ? SOCK_LISTEN :
				load_relaxed(&s->stage) == SOCK_OPEN ? SOCK_OPEN : SOCK_NEW;
	bool special = options_any_asked(s);

	if (process.policy == POLICY_NET)
		stage = SOCK_NEW;
	lock_take(&template_lock);
	taken = special ? &made : &kept[s->family == AF_INET6][stage];
	if (*taken < 0)
		*taken = template_make(special ? s : NULL, s->family, stage);
	if (*taken < 0) {
		int r = *taken;

		*taken = -1;
		lock_drop(&template_lock);
		return r;
	}
	return *taken;
}

void template_drop(bool spoilt)
{
	if (spoilt || taken == &made) {
		process_fd_high_close(*taken);
		*taken = -1;
	}
	lock_drop(&template_lock);
}

/* It takes a socket to know; so, once. */
static uint32_t inet6_ask(void)
{
	uint32_t known = load_relaxed(&inet6_known);
	socklen_t len = sizeof(int);
	int v = 0;
	long fd;

	if (known)
		return known;
	fd = sys3(SYS_socket, AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd == -EAFNOSUPPORT ? 1 : 2; /* no room just now: asked again */
	sys5(SYS_getsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, &v, &len);
	sys1(SYS_close, fd);
	store_relaxed(&inet6_known, v ? 3 : 2);
	return v ? 3 : 2;
}

bool template_have_inet6(void)
{
	return inet6_ask() != 1;
}

bool template_v6only_default(void)
{
	return inet6_ask() == 3;
}

void template_fork_before(void)
{
	lock_take(&template_lock);
}

void template_fork_parent(void)
{
	lock_drop(&template_lock);
}

void template_fork_child(void)
{
	int *all = &kept[0][0];

	/* The kernel's sockets behind them are the parent's as well. */
	for (unsigned i = 0; i < 2 * (SOCK_OPEN + 1); i++) {
		if (all[i] >= 0)
			process_fd_high_close(all[i]);
		all[i] = -1;
	}
	template_lock = (struct lock){ 0 };
}
