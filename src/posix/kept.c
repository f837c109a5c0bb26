/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "posix/kept.h"
#include "posix/options.h"

#define VALUE_BYTES 32u

/* In half.options: @bits at @at; 0: the default. @off: 0 is on. */
static const struct {
	int level, name;
	uint8_t at, bits;
	bool off;
} carried[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, 0, 1, false },   { SOL_SOCKET, SO_REUSEADDR, 1, 1, false },
	{ SOL_SOCKET, SO_REUSEPORT, 2, 1, false },   { SOL_SOCKET, SO_BROADCAST, 3, 1, false },
	{ SOL_SOCKET, SO_OOBINLINE, 4, 1, false },   { IPPROTO_TCP, TCP_NODELAY, 5, 1, false },
	{ IPPROTO_TCP, TCP_CORK, 6, 1, false },      { IPPROTO_TCP, TCP_QUICKACK, 7, 1, true },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 8, 15, false }, { IPPROTO_TCP, TCP_KEEPINTVL, 23, 15, false },
	{ IPPROTO_TCP, TCP_KEEPCNT, 38, 7, false },  { SOL_SOCKET, SO_ZEROCOPY, 45, 1, false },
	{ IPPROTO_TCP, TCP_INQ, 46, 1, false },
};

/* Others that are worth carrying. */
static const struct {
	int level, name;
} others[] = {
	{ SOL_SOCKET, SO_PRIORITY },      { SOL_SOCKET, SO_MARK },
	{ SOL_SOCKET, SO_DONTROUTE },     { SOL_SOCKET, SO_BUSY_POLL },
	{ SOL_SOCKET, SO_BINDTODEVICE },  { SOL_SOCKET, SO_INCOMING_CPU },
	{ IPPROTO_TCP, TCP_SYNCNT },      { IPPROTO_TCP, TCP_LINGER2 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT }, { IPPROTO_TCP, TCP_CONGESTION },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT }, { IPPROTO_TCP, TCP_WINDOW_CLAMP },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS },
	{ IPPROTO_IP, IP_TOS },           { IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_MTU_DISCOVER },  { IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT },
	{ IPPROTO_IPV6, IPV6_TCLASS },    { IPPROTO_IPV6, IPV6_UNICAST_HOPS },
};

static uint64_t field(uint64_t word, unsigned i)
{
	return word >> carried[i].at & ((1ull << carried[i].bits) - 1);
}

static void word_set(struct sock *s, uint64_t mask, uint64_t value)
{
	uint64_t word = load_relaxed(&s->half->options);

	while (!atomic_compare_exchange_weak(&s->half->options, &word, (word & ~mask) | value))
		;
	s->kept_seen = (s->kept_seen & ~mask) | value;
}

static void note_carried(struct sock *s, unsigned i)
{
	uint64_t most = (1ull << carried[i].bits) - 1;
	int v = options_int(s, carried[i].level, carried[i].name, carried[i].off);
	uint64_t value = most == 1 ? (v != 0) != carried[i].off : (uint64_t)v & most;

	word_set(s, most << carried[i].at, value << carried[i].at);
}

/* Times and SO_LINGER have words of their own. */
static void note_times(struct sock *s)
{
	store_relaxed(&s->half->kept_rcvtimeo_ns, s->rcvtimeo_ns);
	store_relaxed(&s->half->kept_sndtimeo_ns, s->sndtimeo_ns);
	store_relaxed(&s->half->kept_linger,
		      (uint64_t)(uint32_t)(s->linger + 1) << 32 | (uint32_t)s->linger_off);
}

void kept_note(struct sock *s, int level, int name)
{
	if (level == SOL_SOCKET &&
	    (name == SO_RCVTIMEO || name == SO_SNDTIMEO || name == SO_LINGER)) {
		note_times(s);
		return;
	}
	if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT) {
		store_relaxed(&s->half->user_timeout_ms,
			      (uint32_t)options_int(s, level, name, 0));
		return;
	}
	for (unsigned i = 0; i < ARRAY_LEN(carried); i++)
		if (carried[i].level == level && carried[i].name == name) {
			note_carried(s, i);
			return;
		}
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		if (others[i].level == level && others[i].name == name)
			word_set(s, KEPT_OTHERS, KEPT_OTHERS);
}

void kept_take(struct sock *s)
{
	uint64_t word = load_relaxed(&s->half->options);
	uint64_t linger = load_relaxed(&s->half->kept_linger);
	int timeout = (int)load_relaxed(&s->half->user_timeout_ms);

	for (unsigned i = 0; word != s->kept_seen && i < ARRAY_LEN(carried); i++) {
		int v = (int)field(word, i);

		if (field(word, i) == field(s->kept_seen, i))
			continue;
		if (carried[i].bits == 1)
			v = (v != 0) != carried[i].off;
		options_remember(s, carried[i].level, carried[i].name, &v, sizeof(v));
	}
	s->kept_seen = word;
	if (timeout != options_int(s, IPPROTO_TCP, TCP_USER_TIMEOUT, 0))
		options_remember(s, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	s->rcvtimeo_ns = load_relaxed(&s->half->kept_rcvtimeo_ns);
	s->sndtimeo_ns = load_relaxed(&s->half->kept_sndtimeo_ns);
	s->linger = (int)(linger >> 32) - 1;
	s->linger_off = (int)(uint32_t)linger;
}

void kept_copy(struct sock *s, const struct half *from)
{
	store_relaxed(&s->half->options, load_relaxed(&from->options));
	store_relaxed(&s->half->user_timeout_ms, load_relaxed(&from->user_timeout_ms));
	store_relaxed(&s->half->kept_rcvtimeo_ns, load_relaxed(&from->kept_rcvtimeo_ns));
	store_relaxed(&s->half->kept_sndtimeo_ns, load_relaxed(&from->kept_sndtimeo_ns));
	store_relaxed(&s->half->kept_linger, load_relaxed(&from->kept_linger));
	kept_take(s);
}

int kept_socket(struct sock *s)
{
	long fd;

	if (!(load_relaxed(&s->half->options) & KEPT_OTHERS))
		return -1;
	fd = sys3(SYS_socket, s->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		options_repeat(s, (int)fd, others[i].level, others[i].name);
	return (int)fd;
}

/* Return: its length, 0 where there is none. */
static socklen_t value_of(int fd, unsigned i, unsigned char *ret)
{
	socklen_t len = VALUE_BYTES;

	memset(ret, 0, VALUE_BYTES);
	return sys5(SYS_getsockopt, fd, others[i].level, others[i].name, ret, &len) == 0 ? len : 0;
}

void kept_read(struct sock *s, int fd)
{
	unsigned char v[VALUE_BYTES], plain[VALUE_BYTES];
	long fresh;

	if (!(load_relaxed(&s->half->options) & KEPT_OTHERS))
		return;
	fresh = sys3(SYS_socket, s->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fresh < 0)
		return;
	for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
		socklen_t len = value_of(fd, i, v);

		value_of((int)fresh, i, plain);
		if (len && memcmp(v, plain, sizeof(v)) != 0)
			options_remember(s, others[i].level, others[i].name, v, len);
	}
	sys1(SYS_close, fresh);
}
