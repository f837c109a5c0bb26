/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - setsockopt(), getsockopt(), ioctl(), fcntl().
 *
 * Options that mean something on a connection in memory act here. The rest is
 * asked of a kernel TCP socket that the process keeps for this purpose (the
 * template): it knows which options there are, which values it takes and what
 * it makes of them. What it accepted is remembered, to be read back and to be
 * set again where the socket becomes the kernel's. An option that changes
 * what travels and that only the kernel can do makes the socket the kernel's
 * when it listens or connects; on a connection that is open it is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/in6.h> /* after netinet/in.h: what that lacks */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/sys.h"
#include "ctl/proto.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/fallback.h"
#include "posix/kept.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/watch.h"
#include "shm/futex.h"
#include "shm/owner.h"
#include "shm/urgent.h"

#define OUTQ_DELIVERED (2u << 20) /* half of what a ring takes */
#define OPTS_MOST 24u
#define OPT_BYTES 32u

struct opt {
	int level, name;
	uint32_t len;
	unsigned char val[OPT_BYTES];
};

/**
 * struct sockopts - What was set on one socket, in the order of setting.
 */
struct sockopts {
	uint32_t count;
	bool kernel_only;
	struct sockopts *next_free;
	struct opt opt[OPTS_MOST];
};

static struct sockopts *opts_free;
static struct lock opts_lock;
/* By family: AF_INET, AF_INET6. */
static int template_fds[2] = { -1, -1 };
static struct lock template_lock;
/* Of IPv6: 0 not asked yet, 1 there is none, 2 there is, 3 and V6ONLY is the default. */
static _Atomic uint32_t inet6_known;

/* Options with which a connection in memory is as good as the kernel's:
 * they act here, or have nothing to act on where no packet travels. */
static const struct {
	int level, name;
} in_memory[] = {
	{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_REUSEPORT }, { SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_SNDBUF },    { SOL_SOCKET, SO_RCVBUF },    { SOL_SOCKET, SO_SNDBUFFORCE },
	{ SOL_SOCKET, SO_RCVBUFFORCE }, { SOL_SOCKET, SO_PRIORITY }, { SOL_SOCKET, SO_MARK },
	{ SOL_SOCKET, SO_DONTROUTE }, { SOL_SOCKET, SO_OOBINLINE }, { SOL_SOCKET, SO_BROADCAST },
	{ SOL_SOCKET, SO_BUSY_POLL }, { SOL_SOCKET, SO_INCOMING_CPU }, { SOL_SOCKET, SO_DEBUG },
	{ SOL_SOCKET, SO_MAX_PACING_RATE }, { SOL_SOCKET, SO_TIMESTAMP },
	{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_CORK },    { IPPROTO_TCP, TCP_MAXSEG },
	{ IPPROTO_TCP, TCP_KEEPIDLE }, { IPPROTO_TCP, TCP_KEEPINTVL }, { IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT }, { IPPROTO_TCP, TCP_QUICKACK },
	{ IPPROTO_TCP, TCP_SYNCNT }, { IPPROTO_TCP, TCP_LINGER2 },
	/* The listener's, both: a promise that accept() may come later, or
	 * data earlier. */
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT }, { IPPROTO_TCP, TCP_FASTOPEN },
	{ IPPROTO_TCP, TCP_CONGESTION }, { IPPROTO_TCP, TCP_NOTSENT_LOWAT },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP }, { IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS },
	{ IPPROTO_IP, IP_TOS }, { IPPROTO_IP, IP_TTL }, { IPPROTO_IP, IP_MTU_DISCOVER },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT }, { IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IPV6, IPV6_V6ONLY }, { IPPROTO_IPV6, IPV6_TCLASS },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS }, { IPPROTO_IPV6, IPV6_MTU_DISCOVER },
	{ IPPROTO_IPV6, IPV6_MTU }, { IPPROTO_IPV6, IPV6_DONTFRAG },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL }, { IPPROTO_IPV6, IPV6_FREEBIND },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES }, { IPPROTO_IPV6, IPV6_MULTICAST_HOPS },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP },
};

/* Options that servers set on each connection, or on each request: checked
 * and kept here, so that they cost no system call. @most 0: a truth value. */
static const struct {
	int level, name, least, most;
} kept_here[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, 0, 0 },
	{ SOL_SOCKET, SO_REUSEADDR, 0, 0 },
	{ SOL_SOCKET, SO_OOBINLINE, 0, 0 },
	{ IPPROTO_TCP, TCP_NODELAY, 0, 0 },
	{ IPPROTO_TCP, TCP_CORK, 0, 0 },
	{ IPPROTO_TCP, TCP_QUICKACK, 0, 0 },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 1, 32767 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 1, 32767 },
	{ IPPROTO_TCP, TCP_KEEPCNT, 1, 127 },
};

static bool is_in_memory(int level, int name)
{
	for (unsigned i = 0; i < ARRAY_LEN(in_memory); i++)
		if (in_memory[i].level == level && in_memory[i].name == name)
			return true;
	return false;
}

/* Takes template_lock where it succeeds. */
static int template_get(int family)
{
	int *fd = &template_fds[family == AF_INET6];

	lock_take(&template_lock);
	if (*fd < 0)
		*fd = process_fd_high((int)sys3(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (*fd < 0)
		lock_drop(&template_lock);
	return *fd;
}

/* The template is every socket's: what was set on it is not kept. Caller
 * holds template_lock. */
static void template_reset(int family)
{
	int *fd = &template_fds[family == AF_INET6];

	if (*fd >= 0)
		process_fd_high_close(*fd);
	*fd = -1;
}

/* It takes a socket to know; so, once. */
static uint32_t inet6_ask(void)
{
	uint32_t known = load_relaxed(&inet6_known);
	socklen_t len = sizeof(int);
	int fd, v = 0;

	if (known)
		return known;
	fd = template_get(AF_INET6);
	if (fd < 0)
		return fd == -EAFNOSUPPORT ? 1 : 2; /* no room just now: asked again */
	sys5(SYS_getsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, &v, &len);
	lock_drop(&template_lock);
	store_relaxed(&inet6_known, v ? 3 : 2);
	return v ? 3 : 2;
}

bool options_have_inet6(void)
{
	return inet6_ask() != 1;
}

bool options_v6only_default(void)
{
	return inet6_ask() == 3;
}

/* ---------------------------------------------------------------- memory */

static struct sockopts *opts_get(struct sock *s)
{
	struct sockopts *o = s->opts;

	if (o)
		return o;
	lock_take(&opts_lock);
	if (!opts_free) {
		long r = sys6(SYS_mmap, NULL, 16 * sizeof(*o), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (unsigned i = 0; i < 16 && (r > 0 || r < -4095); i++) {
			((struct sockopts *)r)[i].next_free = opts_free;
			opts_free = &((struct sockopts *)r)[i];
		}
	}
	o = opts_free;
	if (o)
		opts_free = o->next_free;
	lock_drop(&opts_lock);
	if (o) {
		o->count = 0;
		o->kernel_only = false;
	}
	s->opts = o;
	return o;
}

void options_free(struct sock *s)
{
	if (!s->opts)
		return;
	lock_take(&opts_lock);
	s->opts->next_free = opts_free;
	opts_free = s->opts;
	lock_drop(&opts_lock);
	s->opts = NULL;
}

static struct opt *opt_find(const struct sock *s, int level, int name)
{
	struct sockopts *o = s->opts;

	for (uint32_t i = 0; o && i < o->count; i++)
		if (o->opt[i].level == level && o->opt[i].name == name)
			return &o->opt[i];
	return NULL;
}

long options_remember(struct sock *s, int level, int name, const void *val, uint32_t len)
{
	struct sockopts *o = opts_get(s);
	struct opt *e = opt_find(s, level, name);

	if (!o || len > OPT_BYTES)
		return -ENOBUFS;
	if (!e) {
		if (o->count == OPTS_MOST)
			return -ENOBUFS;
		e = &o->opt[o->count++];
	}
	e->level = level;
	e->name = name;
	e->len = len;
	if (len)
		memcpy(e->val, val, len);
	return 0;
}

int options_int(const struct sock *s, int level, int name, int otherwise)
{
	const struct opt *e = opt_find(s, level, name);
	int v;

	if (!e || e->len < sizeof(v))
		return otherwise;
	memcpy(&v, e->val, sizeof(v));
	return v;
}

/* O_ASYNC apart, which is for a number of the program's to set. */
static void owner_replay(const struct sock *s, int fd)
{
	uint32_t how = load_relaxed(&s->half->owner_how);
	struct f_owner_ex who = { .pid = (pid_t)load_relaxed(&s->half->owner) };

	if (who.pid == 0)
		return;
	who.type = how & OWNER_THREAD ? F_OWNER_TID :
		   how & OWNER_GROUP ? F_OWNER_PGRP : F_OWNER_PID;
	sys3(SYS_fcntl, fd, F_SETOWN_EX, &who);
	sys3(SYS_fcntl, fd, F_SETSIG, how & OWNER_SIGNAL_MASK);
}

void options_async(struct sock *s, int fd)
{
	uint32_t flags = load_relaxed(&s->half->file_flags);

	if (flags & O_ASYNC && load_relaxed(&s->half->owner_fd) == (uint32_t)fd)
		sys3(SYS_fcntl, fd, F_SETFL, flags & (O_ASYNC | O_NONBLOCK));
}

/* Who connects without us is accepted from the shadow: the kernel tells of that. */
void options_shadow(struct sock *s)
{
	int shadow = sock_shadow(s);
	bool on = load_relaxed(&s->half->file_flags) & O_ASYNC;

	if (shadow < 0 || load_relaxed(&s->half->owner) == 0)
		return;
	owner_replay(s, shadow);
	sys3(SYS_fcntl, shadow, F_SETFL, O_NONBLOCK | (on ? O_ASYNC : 0));
}

void options_info_fix(siginfo_t *info)
{
	owner_info_fix(info);
	if (info->si_code < POLL_IN || info->si_code > POLL_HUP || !fd_is_library(info->si_fd))
		return;
	for (int fd = 0; fd < fdtab_kernel_size(); fd++) {
		struct fobj *o = fdtab_peek(fd);

		if (o && o->kind == FOBJ_SOCK && ((struct sock *)(void *)o)->shadow_fd == info->si_fd) {
			info->si_fd = fd;
			return;
		}
	}
}

void options_repeat(const struct sock *s, int fd, int level, int name)
{
	const struct opt *e = opt_find(s, level, name);

	if (e)
		sys5(SYS_setsockopt, fd, e->level, e->name, e->val, e->len);
}

void options_replay(struct sock *s, int fd)
{
	struct timeval tv;

	int v6only = s->v6only;

	owner_replay(s, fd);
	/* Once it is bound, the kernel knows. */
	if (s->family == AF_INET6)
		sys5(SYS_setsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	for (uint32_t i = 0; s->opts && i < s->opts->count; i++) {
		const struct opt *e = &s->opts->opt[i];

		sys5(SYS_setsockopt, fd, e->level, e->name, e->val, e->len);
	}
	if (s->linger >= 0) {
		struct linger l = { 1, s->linger };

		sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	}
	if (s->rcvtimeo_ns) {
		tv = (struct timeval){ (time_t)(s->rcvtimeo_ns / NS_PER_SEC),
				       (suseconds_t)(s->rcvtimeo_ns % NS_PER_SEC / 1000) };
		sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	}
	if (s->sndtimeo_ns) {
		tv = (struct timeval){ (time_t)(s->sndtimeo_ns / NS_PER_SEC),
				       (suseconds_t)(s->sndtimeo_ns % NS_PER_SEC / 1000) };
		sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	}
	if (load_relaxed(&s->half->rcvlowat) > 1) {
		int v = (int)load_relaxed(&s->half->rcvlowat);

		sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVLOWAT, &v, sizeof(v));
	}
}

/* Whoever ends the side for us, because we were killed, is to know. */
static void linger_note(struct sock *s)
{
	uint32_t had = load_relaxed(&s->half->side) & SIDE_LINGER0;

	if (s->linger == 0 && !had)
		atomic_fetch_or(&s->half->side, SIDE_LINGER0);
	else if (s->linger != 0 && had)
		atomic_fetch_and(&s->half->side, ~SIDE_LINGER0);
}

void options_inherit(struct sock *to, const struct sock *from)
{
	to->linger = from->linger;
	to->linger_off = from->linger_off;
	linger_note(to);
	to->rcvtimeo_ns = from->rcvtimeo_ns;
	to->sndtimeo_ns = from->sndtimeo_ns;
	store_relaxed(&to->half->rcvlowat, load_relaxed(&from->half->rcvlowat));
	store_relaxed(&to->half->oob_inline, load_relaxed(&from->half->oob_inline));
	store_relaxed(&to->half->sndbuf, load_relaxed(&from->half->sndbuf));
	store_relaxed(&to->half->rcvbuf, load_relaxed(&from->half->rcvbuf));
	if (from->opts && opts_get(to)) {
		to->opts->count = from->opts->count;
		memcpy(to->opts->opt, from->opts->opt,
		       from->opts->count * sizeof(from->opts->opt[0]));
	}
}

void options_fork_before(void)
{
	lock_take(&opts_lock);
	lock_take(&template_lock);
}

void options_fork_parent(void)
{
	lock_drop(&template_lock);
	lock_drop(&opts_lock);
}

void options_fork_child(void)
{
	/* The kernel's sockets behind them are the parent's as well. */
	template_reset(AF_INET);
	template_reset(AF_INET6);
	opts_lock = (struct lock){ 0 };
	template_lock = (struct lock){ 0 };
}

bool options_kernel_only(const struct sock *s)
{
	return s->opts && s->opts->kernel_only;
}

uint32_t options_reuse(const struct sock *s)
{
	return (options_int(s, SOL_SOCKET, SO_REUSEADDR, 0) ? CTL_REUSE_ADDR : 0) |
	       (options_int(s, SOL_SOCKET, SO_REUSEPORT, 0) ? CTL_REUSE_PORT : 0);
}

/* ------------------------------------------------------------------- set */

static long timeo_set(uint64_t *ret_ns, const void *val, socklen_t len)
{
	struct timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, val, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		*ret_ns = 1; /* Linux: at once */
	else if (tv.tv_sec > 1000000000)
		*ret_ns = 0;
	else
		*ret_ns = (uint64_t)tv.tv_sec * NS_PER_SEC + (uint64_t)tv.tv_usec * NS_PER_US;
	return 0;
}

static long template_set(struct sock *s, int level, int name, const void *val, socklen_t len)
{
	unsigned char back[OPT_BYTES];
	socklen_t back_len = sizeof(back);
	int fd = template_get(s->family);
	bool buffer = level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF ||
					      name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE);
	long r;

	if (fd < 0)
		return fd;
	r = sys5(SYS_setsockopt, fd, level, name, val, len);
	if (r == 0 && sys5(SYS_getsockopt, fd, level, name == SO_SNDBUFFORCE && buffer ? SO_SNDBUF
						       : name == SO_RCVBUFFORCE && buffer
							       ? SO_RCVBUF
							       : name,
			   back, &back_len) != 0)
		back_len = 0;
	template_reset(s->family);
	lock_drop(&template_lock);
	if (r < 0)
		return r;
	if (!is_in_memory(level, name)) {
		if (load_relaxed(&s->stage) == SOCK_OPEN)
			return -ENOPROTOOPT;
		if (opts_get(s))
			s->opts->kernel_only = true;
	}
	if (buffer && back_len >= sizeof(uint32_t)) {
		uint32_t v;

		memcpy(&v, back, sizeof(v));
		if (name == SO_SNDBUF || name == SO_SNDBUFFORCE) {
			store_relaxed(&s->half->sndbuf, v);
			watch_roomy(s);
		} else {
			store_relaxed(&s->half->rcvbuf, v);
		}
	}
	/* What was given, since that is what a kernel socket is to be set to;
	 * what is read back is asked of the template again. */
	if (len > OPT_BYTES)
		len = OPT_BYTES;
	r = options_remember(s, level, name, val, len);
	if (r == 0 && s->shadow_fd >= 0)
		sys5(SYS_setsockopt, s->shadow_fd, level, name, val, len);
	return r;
}

static long v6only_set(struct sock *s, int v, socklen_t len)
{
	if (len < sizeof(v) || s->bound || load_relaxed(&s->stage) != SOCK_NEW)
		return -EINVAL;
	s->v6only = v;
	if (v)
		atomic_fetch_or(&s->half->side, SIDE_V6ONLY);
	else
		atomic_fetch_and(&s->half->side, ~SIDE_V6ONLY);
	if (s->shadow_fd >= 0)
		sys5(SYS_setsockopt, s->shadow_fd, IPPROTO_IPV6, IPV6_V6ONLY, &v, sizeof(v));
	return 0;
}

/* An AF_INET6 socket that is connected over IPv4 becomes an AF_INET one. */
static long addrform_set(struct sock *s, int v, socklen_t len)
{
	if (len < sizeof(v) || v != AF_INET)
		return -EINVAL;
	if (load_relaxed(&s->stage) != SOCK_OPEN || sock_tcp_state(s) != TCP_ESTABLISHED)
		return -ENOTCONN;
	if (s->v6only || addr_word_is6(load_relaxed(&s->half->remote)))
		return -EADDRNOTAVAIL;
	s->family = AF_INET;
	atomic_fetch_and(&s->half->side, ~SIDE_INET6);
	return 0;
}

static long sock_setsockopt(struct sock *s, int level, int name, const void *val, socklen_t len)
{
	struct linger l;
	int v = 0;

	if (!val && len)
		return -EFAULT;
	if (len >= sizeof(v))
		memcpy(&v, val, sizeof(v));
	if (level == SOL_SOCKET) {
		switch (name) {
		case SO_RCVTIMEO:
			return timeo_set(&s->rcvtimeo_ns, val, len);
		case SO_SNDTIMEO:
			return timeo_set(&s->sndtimeo_ns, val, len);
		case SO_LINGER:
			if (len < sizeof(l))
				return -EINVAL;
			memcpy(&l, val, sizeof(l));
			s->linger = l.l_onoff ? (l.l_linger < 0 ? 0x7fffffff : l.l_linger) : -1;
			if (l.l_onoff)
				s->linger_off = s->linger;
			linger_note(s);
			return 0;
		case SO_RCVLOWAT:
			if (len < sizeof(v))
				return -EINVAL;
			store_relaxed(&s->half->rcvlowat,
				      v < 0 ? 0x7fffffffu : v == 0 ? 1u : (uint32_t)v);
			/* There may be enough now. That our own side is shut is
			 * no news. */
			if (load_relaxed(&s->stage) == SOCK_OPEN && sock_poll(s) & POLLIN &&
			    (conn_readable(&s->conn) || s->conn.peer->end & END_FIN))
				watch_again(s);
			return 0;
		default:
			break;
		}
	}
	if (s->family == AF_INET6 && level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
		return v6only_set(s, v, len);
	/* There are no packets to label, and no kernel to say which labels may be. */
	if (s->family == AF_INET6 && level == IPPROTO_IPV6 && name == IPV6_FLOWINFO_SEND && v &&
	    process.policy == POLICY_NONE)
		return -ENOPROTOOPT;
	if (s->family == AF_INET6 && level == IPPROTO_IPV6 && name == IPV6_ADDRFORM)
		return addrform_set(s, v, len);
	for (unsigned i = 0; i < ARRAY_LEN(kept_here); i++) {
		if (kept_here[i].level != level || kept_here[i].name != name)
			continue;
		if (len < sizeof(v) ||
		    (kept_here[i].most && (v < kept_here[i].least || v > kept_here[i].most)))
			return -EINVAL;
		if (kept_here[i].most == 0)
			v = v != 0;
		if (level == SOL_SOCKET && name == SO_OOBINLINE)
			store_relaxed(&s->half->oob_inline, (uint32_t)v);
		if (s->shadow_fd >= 0)
			sys5(SYS_setsockopt, s->shadow_fd, level, name, &v, sizeof(v));
		return options_remember(s, level, name, &v, sizeof(v));
	}
	return template_set(s, level, name, val, len);
}

/* A label is leased to one socket: it must be the kernel's from here on. */
static long flow_label_set(struct sock *s)
{
	long r = -ENOPROTOOPT;

	if (process.policy == POLICY_SHARE && load_relaxed(&s->stage) == SOCK_NEW &&
	    fallback_socket(s, REASON_OPTION) == 0)
		r = NOT_OURS;
	return r;
}

long call_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct sock *s;
	long r;

	s = sock_enter(fd);
	if (!s)
		return dgram_setsockopt(fd, level, name, val, len);
	lock_take(&s->lock);
	kept_pull(s);
	if (s->family == AF_INET6 && level == IPPROTO_IPV6 && name == IPV6_FLOWLABEL_MGR)
		r = flow_label_set(s);
	else
		r = sock_setsockopt(s, level, name, val, len);
	if (r == 0)
		kept_note(s, level, name);
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

/* ------------------------------------------------------------------- get */

static long give(void *val, socklen_t *len, const void *from, size_t n)
{
	if (!len)
		return -EFAULT;
	if ((int)*len < 0)
		return -EINVAL;
	if (*len > n)
		*len = (socklen_t)n;
	memcpy(val, from, *len);
	return 0;
}

static long give_int(void *val, socklen_t *len, int v)
{
	return give(val, len, &v, sizeof(v));
}

static long give_timeo(void *val, socklen_t *len, uint64_t ns)
{
	struct timeval tv = { (time_t)(ns / NS_PER_SEC), (suseconds_t)(ns % NS_PER_SEC / 1000) };

	return give(val, len, &tv, sizeof(tv));
}

int sock_tcp_state(struct sock *s)
{
	uint32_t side, end;

	if (sock_listens(s))
		return TCP_LISTEN;
	if (load_relaxed(&s->stage) != SOCK_OPEN)
		return TCP_CLOSE;
	conn_poll(&s->conn);
	side = load_relaxed(&s->half->side);
	end = load_acquire(&s->conn.peer->end);
	if (side & SIDE_RST_SEEN)
		return TCP_CLOSE;
	if (end & END_FIN)
		return side & SIDE_WR_SHUT ? TCP_CLOSE : TCP_CLOSE_WAIT;
	return side & SIDE_WR_SHUT ? TCP_FIN_WAIT2 : TCP_ESTABLISHED;
}

/* Of loopback: its MTU without headers and timestamps; IPv4's total length has 16 bits. */
static int sock_mss(const struct sock *s)
{
	return addr_word_is6(load_relaxed(&s->half->remote)) ? 65464 : 65483;
}

static long give_tcp_info(struct sock *s, void *val, socklen_t *len)
{
	struct tcp_info t = { 0 };

	t.tcpi_state = (uint8_t)sock_tcp_state(s);
	t.tcpi_snd_mss = t.tcpi_rcv_mss = t.tcpi_advmss = (uint32_t)sock_mss(s);
	t.tcpi_pmtu = 65535;
	t.tcpi_rtt = t.tcpi_rcv_rtt = 1;
	t.tcpi_snd_cwnd = 64;
	t.tcpi_snd_ssthresh = 0x7fffffff;
	t.tcpi_rcv_space = 65535;
	if (load_relaxed(&s->stage) == SOCK_OPEN)
		t.tcpi_unacked = (uint32_t)(conn_unsent(&s->conn) / 65483);
	return give(val, len, &t, sizeof(t));
}

static long template_give(struct sock *s, int level, int name, void *val, socklen_t *len)
{
	const struct opt *e = opt_find(s, level, name);
	int fd = template_get(s->family);
	long r;

	if (fd < 0)
		return fd;
	if (e)
		sys5(SYS_setsockopt, fd, level, name, e->val, e->len);
	r = sys5(SYS_getsockopt, fd, level, name, val, len);
	if (e)
		template_reset(s->family);
	lock_drop(&template_lock);
	return r;
}

static long sock_getsockopt(struct sock *s, int level, int name, void *val, socklen_t *len)
{
	struct linger l = { s->linger >= 0, s->linger_off };
	bool open = load_relaxed(&s->stage) == SOCK_OPEN;
	uint64_t cookie;

	for (unsigned i = 0; i < ARRAY_LEN(kept_here); i++)
		if (kept_here[i].level == level && kept_here[i].name == name &&
		    opt_find(s, level, name))
			return give_int(val, len, options_int(s, level, name, 0));
	if (level == IPPROTO_TCP) {
		switch (name) {
		case TCP_INFO:
			return give_tcp_info(s, val, len);
		case TCP_NODELAY:
			return give_int(val, len, options_int(s, level, name, 0));
		case TCP_QUICKACK:
			return give_int(val, len, options_int(s, level, name, 1));
		case TCP_MAXSEG:
			if (open && !opt_find(s, level, name))
				return give_int(val, len, sock_mss(s));
			break;
		default:
			break;
		}
	}
	if (s->family == AF_INET6 && level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
		return give_int(val, len, s->v6only);
	if (level != SOL_SOCKET)
		return template_give(s, level, name, val, len);
	switch (name) {
	case SO_ERROR:
		return give_int(val, len, open ? conn_take_error(&s->conn) : sock_refusal(s));
	case SO_TYPE:
		return give_int(val, len, SOCK_STREAM);
	case SO_DOMAIN:
		return give_int(val, len, s->family);
	case SO_PROTOCOL:
		return give_int(val, len, IPPROTO_TCP);
	case SO_ACCEPTCONN:
		return give_int(val, len, sock_listens(s));
	case SO_KEEPALIVE:
	case SO_REUSEADDR:
	case SO_OOBINLINE:
		return give_int(val, len, options_int(s, level, name, 0));
	case SO_LINGER:
		return give(val, len, &l, sizeof(l));
	case SO_RCVTIMEO:
		return give_timeo(val, len, s->rcvtimeo_ns);
	case SO_SNDTIMEO:
		return give_timeo(val, len, s->sndtimeo_ns);
	case SO_RCVLOWAT:
		return give_int(val, len, (int)load_relaxed(&s->half->rcvlowat));
	case SO_SNDBUF:
		if (load_relaxed(&s->half->sndbuf))
			return give_int(val, len, (int)load_relaxed(&s->half->sndbuf));
		break;
	case SO_RCVBUF:
		if (load_relaxed(&s->half->rcvbuf))
			return give_int(val, len, (int)load_relaxed(&s->half->rcvbuf));
		break;
	case SO_COOKIE:
		cookie = load_relaxed(&s->half->cookie);
		if (len && *len < sizeof(cookie))
			return -EINVAL;
		return give(val, len, &cookie, sizeof(cookie));
	default:
		break;
	}
	return template_give(s, level, name, val, len);
}

long call_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct sock *s;
	long r;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	kept_pull(s);
	r = sock_getsockopt(s, level, name, val, len);
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

/* ----------------------------------------------------------- ioctl, fcntl */

/* The handle has been told whose it is: now whoever sends to us is. */
static void owner_read(struct sock *s, int fd)
{
	struct f_owner_ex who = { .pid = 0 };
	long sig = sys2(SYS_fcntl, fd, F_GETSIG);
	uint32_t kind;

	if (sys3(SYS_fcntl, fd, F_GETOWN_EX, &who) < 0)
		return;
	kind = who.type == F_OWNER_TID ? OWNER_THREAD :
	       who.type == F_OWNER_PGRP ? OWNER_GROUP : OWNER_PROCESS;
	lock_take(&s->lock);
	owner_set(s->half, kind, who.pid, sig > 0 ? (unsigned)sig : 0);
	options_shadow(s);
	lock_drop(&s->lock);
}

static void async_set(struct sock *s, int fd, bool on)
{
	lock_take(&s->lock);
	if (on)
		atomic_fetch_or(&s->half->file_flags, O_ASYNC);
	else
		atomic_fetch_and(&s->half->file_flags, ~(uint32_t)O_ASYNC);
	owner_async(s->half, on, fd);
	options_shadow(s);
	lock_drop(&s->lock);
}

static void flags_set(struct sock *s, int fd, uint32_t flags)
{
	if ((flags ^ load_relaxed(&s->half->file_flags)) & O_ASYNC)
		async_set(s, fd, flags & O_ASYNC);
	store_relaxed(&s->half->file_flags, flags);
	/* A thread of ours that sleeps in a blocking call sleeps on, as on
	 * Linux: the flag counts when a call begins. */
}

static long sock_ioctl(struct sock *s, int fd, unsigned long request, void *arg)
{
	bool open = load_relaxed(&s->stage) == SOCK_OPEN;
	uint64_t n = 0;
	int v;
	long r;

	switch (request) {
	case FIONREAD:
		if (sock_listens(s))
			return -EINVAL;
		if (!arg)
			return -EFAULT;
		if (open) {
			/* Its bytes may be with another process's half by now. */
			conn_follow(&s->conn);
			n = conn_until_mark(&s->conn);
		}
		*(int *)arg = (int)n;
		return 0;
	case TIOCOUTQ: /* SIOCOUTQ */
		if (sock_listens(s))
			return -EINVAL;
		if (!arg)
			return -EFAULT;
		/* What fits the peer's receive buffer is delivered and
		 * acknowledged at once, as on loopback. */
		n = open ? conn_unsent(&s->conn) : 0;
		*(int *)arg = n > OUTQ_DELIVERED ? (int)(n - OUTQ_DELIVERED) : 0;
		return 0;
	case FIONBIO:
		if (!arg)
			return -EFAULT;
		memcpy(&v, arg, sizeof(v));
		if (v)
			atomic_fetch_or(&s->half->file_flags, O_NONBLOCK);
		else
			atomic_fetch_and(&s->half->file_flags, ~(uint32_t)O_NONBLOCK);
		return 0;
	case SIOCATMARK:
		if (!arg)
			return -EFAULT;
		*(int *)arg = open && conn_at_mark(&s->conn);
		return 0;
	case FIOASYNC:
		if (!arg)
			return -EFAULT;
		memcpy(&v, arg, sizeof(v));
		async_set(s, fd, v);
		return 0;
	case FIOSETOWN:
	case SIOCSPGRP:
		/* The handle knows its owner, as any file does. */
		r = sys3(SYS_ioctl, fd, request, arg);
		if (r == 0)
			owner_read(s, fd);
		return r;
	case FIOGETOWN:
	case SIOCGPGRP:
	case FIOCLEX:
	case FIONCLEX:
		return NOT_OURS; /* of the descriptor: the handle's will do */
	default:
		/* Interfaces and the like: the same for every TCP socket. */
		v = template_get(s->family);
		if (v < 0)
			return v;
		r = sys3(SYS_ioctl, v, request, arg);
		lock_drop(&template_lock);
		return r;
	}
}

long call_ioctl(int fd, unsigned long request, void *arg)
{
	struct sock *s;
	long r;

	s = sock_enter(fd);
	if (!s)
		return dgram_ioctl(fd, request, arg);
	r = sock_ioctl(s, fd, request, arg);
	return sock_leave(s, r);
}

#define SETTABLE (O_APPEND | O_NONBLOCK | O_ASYNC | O_NOATIME)

long call_fcntl(int fd, int cmd, unsigned long arg)
{
	struct sock *s;
	long r = NOT_OURS;

	if (!fdtab_peek(fd))
		return fd_is_library(fd) ? -EBADF : NOT_OURS;
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		return fd_dup_from(fd, cmd, arg);
	s = sock_enter(fd);
	if (!s)
		return dgram_fcntl(fd, cmd, arg);
	if (cmd == F_GETFL)
		r = (long)(O_RDWR | load_relaxed(&s->half->file_flags));
	else if (cmd == F_SETFL && arg & O_DIRECT)
		r = -EINVAL;
	else if (cmd == F_SETFL) {
		flags_set(s, fd, (uint32_t)arg & SETTABLE);
		r = 0;
	} else if (cmd == F_SETOWN || cmd == F_SETOWN_EX || cmd == F_SETSIG) {
		r = sys3(SYS_fcntl, fd, cmd, arg);
		if (r == 0)
			owner_read(s, fd);
	}
	return sock_leave(s, r);
}
