/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/copy.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/process.h"

#define SIN6_SHORT 24u /* RFC 2133's, without sin6_scope_id: Linux takes it */
#define ANY_PORT 9 /* for a look at a route: nothing is sent */

static long parse4(const struct sockaddr *addr, socklen_t len, addr_word *ret)
{
	struct sockaddr_in in;

	if (len < sizeof(in))
		return -EINVAL;
	if (!copy_try(&in, addr, sizeof(in)))
		return -EFAULT;
	if (in.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	*ret = addr_word_make(ntohl(in.sin_addr.s_addr), ntohs(in.sin_port));
	return 0;
}

static addr_word word6(const struct registry *reg, const struct sockaddr_in6 *in)
{
	const uint8_t *in6 = in->sin6_addr.s6_addr;
	uint16_t port = ntohs(in->sin6_port);
	uint32_t index;

	if (addr_in6_is_mapped(in6))
		return addr_word_make(addr_in6_v4(in6), port);
	if (registry_addr_find(reg, in6, in->sin6_scope_id, &index) < 0)
		return ADDR_WORD_OTHER;
	return addr_word_make6(index, port);
}

static long parse6(const struct registry *reg, const struct sockaddr *addr, socklen_t len,
		   addr_word *ret)
{
	struct sockaddr_in6 in = { 0 };

	if (len < SIN6_SHORT)
		return -EINVAL;
	if (!copy_try(&in, addr, len < sizeof(in) ? SIN6_SHORT : sizeof(in)))
		return -EFAULT;
	if (in.sin6_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (addr_in6_is_linklocal(in.sin6_addr.s6_addr) && in.sin6_scope_id == 0)
		return -EINVAL;
	*ret = word6(reg, &in);
	return 0;
}

long addr_parse(const struct sock *s, const struct sockaddr *addr, socklen_t len, addr_word *ret)
{
	return s->family == AF_INET6 ? parse6(s->party->reg, addr, len, ret)
				     : parse4(addr, len, ret);
}

static void word_sockaddr4(addr_word w, struct sockaddr_in *ret)
{
	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(addr_word_port(w)),
				     .sin_addr.s_addr = htonl(addr_word_addr(w)) };
}

static void word_sockaddr6(const struct registry *reg, addr_word w, struct sockaddr_in6 *ret)
{
	*ret = (struct sockaddr_in6){ .sin6_family = AF_INET6,
				      .sin6_port = htons(addr_word_port(w)) };
	/* Of a socket that was never bound, the word is 0; that is :: here. */
	if (w != 0)
		registry_addr_get(reg, w, ret->sin6_addr.s6_addr, &ret->sin6_scope_id);
}

long addr_fill(const struct sock *s, addr_word w, struct sockaddr *addr, socklen_t *len)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a;
	socklen_t room, whole;

	if (!copy_try(&room, len, sizeof(room)))
		return -EFAULT;
	if ((int)room < 0)
		return -EINVAL;
	if (s->family == AF_INET6)
		word_sockaddr6(s->party->reg, w, &a.in6);
	else
		word_sockaddr4(w, &a.in);
	whole = s->family == AF_INET6 ? sizeof(a.in6) : sizeof(a.in);
	if (room > whole)
		room = whole;
	return copy_try(addr, &a, room) && copy_try(len, &whole, sizeof(whole)) ? 0 : -EFAULT;
}

addr_word addr_any(const struct sock *s)
{
	return s->family == AF_INET6 ? addr_bound(s, addr_word_make6(ADDR_ANY6, 0)) : 0;
}

addr_word addr_bound(const struct sock *s, addr_word w)
{
	bool dual = s->family == AF_INET6 && !s->v6only &&
		    (!addr_word_is6(w) || addr_word_is_any(w));

	return dual ? w | ADDR_WORD_DUAL : w & ~ADDR_WORD_DUAL;
}

bool addr_needs_scope(const struct sock *s, addr_word w)
{
	uint8_t in6[16];
	uint32_t scope;

	return addr_word_is6(w) && registry_addr_get(s->party->reg, w, in6, &scope) == 0 &&
	       addr_in6_is_linklocal(in6);
}

/* A route may prefer another source than its target: the kernel's word counts. */
static addr_word source_ask(const struct registry *reg, addr_word to)
{
	bool v6 = addr_word_is6(to);
	long fd = sys3(SYS_socket, v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	addr_word from = addr_word_at(to, 0);
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	socklen_t len = v6 ? sizeof(in6) : sizeof(in);
	void *at = v6 ? (void *)&in6 : (void *)&in;

	if (fd < 0)
		return from;
	word_sockaddr4(addr_word_at(to, ANY_PORT), &in);
	word_sockaddr6(reg, addr_word_at(to, ANY_PORT), &in6);
	if (sys3(SYS_connect, fd, at, len) == 0 && sys3(SYS_getsockname, fd, at, &len) == 0) {
		if (v6)
			parse6(reg, at, len, &from);
		else
			parse4(at, len, &from);
	}
	sys1(SYS_close, fd);
	return from == ADDR_WORD_OTHER ? addr_word_at(to, 0) : addr_word_at(from, 0);
}

addr_word addr_source(const struct sock *s, addr_word to)
{
	if (!addr_word_is_loopback(to))
		return process.confined || process.policy == POLICY_NET
			       ? addr_word_at(to, 0) : source_ask(s->party->reg, to);
	return addr_word_is6(to) ? addr_word_at(to, 0) : addr_word_make(INADDR_LOOPBACK, 0);
}

bool addr_is_group(const struct sock *s, const struct sockaddr *addr)
{
	return s->family == AF_INET6 &&
	       ((const uint8_t *)addr)[offsetof(struct sockaddr_in6, sin6_addr)] == 0xff;
}
