/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - What was set on a socket is remembered in the order of setting: to
 * be read back, to be inherited by accept(), and to be set again where a kernel
 * socket stands for it, or takes its place.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/sys.h"
#include "ctl/proto.h"
#include "posix/async.h"
#include "posix/options.h"
#include "posix/sockopt.h"
#include "posix/template.h"

#define OPTS_MOST 24u

struct opt {
	int level, name;
	bool late; /* set once it listened or was connected */
	uint32_t len;
	unsigned char val[OPTION_BYTES];
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

	if (!o || len > OPTION_BYTES)
		return -ENOBUFS;
	if (!e) {
		if (o->count == OPTS_MOST)
			return -ENOBUFS;
		e = &o->opt[o->count++];
	}
	e->level = level;
	e->name = name;
	e->late = load_relaxed(&s->stage) != SOCK_NEW;
	e->len = len;
	if (len)
		memcpy(e->val, val, len);
	sockopt_act(s, level, name, options_int(s, level, name, len ? e->val[0] : 0));
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

bool options_has(const struct sock *s, int level, int name)
{
	return opt_find(s, level, name) != NULL;
}

static void opt_set(const struct opt *e, int fd)
{
	sys5(SYS_setsockopt, fd, e->level, e->name, e->val, e->len);
}

bool options_any_asked(const struct sock *s)
{
	for (uint32_t i = 0; s->opts && i < s->opts->count; i++)
		if (!sockopt_is_kept(s->opts->opt[i].level, s->opts->opt[i].name))
			return true;
	return false;
}

void options_repeat_asked(const struct sock *s, int fd, bool late)
{
	for (uint32_t i = 0; s->opts && i < s->opts->count; i++)
		if (s->opts->opt[i].late == late &&
		    !sockopt_is_kept(s->opts->opt[i].level, s->opts->opt[i].name))
			opt_set(&s->opts->opt[i], fd);
}

void options_repeat(const struct sock *s, int fd, int level, int name)
{
	const struct opt *e = opt_find(s, level, name);

	if (e)
		opt_set(e, fd);
}

void options_replay(struct sock *s, int fd)
{
	int v6only = s->v6only;
	struct timeval tv;

	async_replay(s, fd);
	/* Once it is bound, the kernel knows. */
	if (s->family == AF_INET6)
		sys5(SYS_setsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	for (uint32_t i = 0; s->opts && i < s->opts->count; i++)
		opt_set(&s->opts->opt[i], fd);
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

void options_linger_note(struct sock *s)
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
	options_linger_note(to);
	to->rcvtimeo_ns = from->rcvtimeo_ns;
	to->sndtimeo_ns = from->sndtimeo_ns;
	store_relaxed(&to->half->rcvlowat, load_relaxed(&from->half->rcvlowat));
	store_relaxed(&to->half->oob_inline, load_relaxed(&from->half->oob_inline));
	store_relaxed(&to->half->sndbuf, load_relaxed(&from->half->sndbuf));
	store_relaxed(&to->half->rcvbuf, load_relaxed(&from->half->rcvbuf));
	if (from->opts && opts_get(to)) {
		for (uint32_t i = 0; i < from->opts->count; i++) {
			struct opt *e = &to->opts->opt[to->opts->count];

			*e = from->opts->opt[i];
			/* Linux begins anew with that one. */
			if (e->level == SOL_SOCKET && e->name == SO_PRIORITY)
				continue;
			to->opts->count++;
			e->late = false;
			sockopt_act(to, e->level, e->name, options_int(to, e->level, e->name, 0));
		}
	}
}

void options_fork_before(void)
{
	lock_take(&opts_lock);
	template_fork_before();
}

void options_fork_parent(void)
{
	template_fork_parent();
	lock_drop(&opts_lock);
}

void options_fork_child(void)
{
	template_fork_child();
	opts_lock = (struct lock){ 0 };
}

void options_keep_to_kernel(struct sock *s)
{
	if (opts_get(s))
		s->opts->kernel_only = true;
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
