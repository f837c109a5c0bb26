/* SPDX-License-Identifier: BSD-2-Clause */
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "preload/real.h"

EXPORT int socket(int domain, int type, int protocol)
{
	long r = call_socket(domain, type, protocol);

	return r == NOT_OURS ? made(real.socket(domain, type, protocol)) : (int)result(r);
}
ALIAS(__socket, socket);

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	int r = real.socketpair(domain, type, protocol, fds);

	return r < 0 ? r : made_pair(fds);
}

EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	long r = fdtab_peek(fd) ? call_bind(fd, addr, len) : NOT_OURS;

	return r == NOT_OURS ? real.bind(fd, addr, len) : (int)result(r);
}

EXPORT int listen(int fd, int backlog)
{
	long r = fdtab_peek(fd) ? call_listen(fd, backlog) : NOT_OURS;

	return r == NOT_OURS ? real.listen(fd, backlog) : (int)result(r);
}

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	long r = is_ours(fd) ? call_connect(fd, addr, len) : NOT_OURS;

	return r == NOT_OURS ? real.connect(fd, addr, len) : (int)result(r);
}
ALIAS(__connect, connect);

EXPORT int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	long r = is_ours(fd) ? call_accept4(fd, addr, len, 0) : NOT_OURS;

	return r == NOT_OURS ? made(real.accept(fd, addr, len)) : (int)result(r);
}

EXPORT int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	long r = is_ours(fd) ? call_accept4(fd, addr, len, flags) : NOT_OURS;

	return r == NOT_OURS ? made(real.accept4(fd, addr, len, flags)) : (int)result(r);
}

EXPORT int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	long r = fdtab_peek(fd) ? call_getsockname(fd, addr, len) : NOT_OURS;

	return r == NOT_OURS ? real.getsockname(fd, addr, len) : (int)result(r);
}

EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	long r = fdtab_peek(fd) ? call_getpeername(fd, addr, len) : NOT_OURS;

	return r == NOT_OURS ? real.getpeername(fd, addr, len) : (int)result(r);
}

EXPORT int shutdown(int fd, int how)
{
	long r = fdtab_peek(fd) ? call_shutdown(fd, how) : NOT_OURS;

	return r == NOT_OURS ? real.shutdown(fd, how) : (int)result(r);
}

EXPORT int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	long r = fdtab_peek(fd) ? call_setsockopt(fd, level, name, val, len) : NOT_OURS;

	return r == NOT_OURS ? real.setsockopt(fd, level, name, val, len) : (int)result(r);
}

EXPORT int getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	long r = fdtab_peek(fd) ? call_getsockopt(fd, level, name, val, len) : NOT_OURS;

	return r == NOT_OURS ? real.getsockopt(fd, level, name, val, len) : (int)result(r);
}

EXPORT int sockatmark(int fd)
{
	int at = 0;
	long r = fdtab_peek(fd) ? call_ioctl(fd, SIOCATMARK, &at) : NOT_OURS;

	if (r == NOT_OURS)
		return real.sockatmark(fd);
	return r < 0 ? (int)result(r) : at;
}

/* glibc's range of reserved ports for this. */
#define RESERVED_FIRST 512
#define RESERVED_LAST 1023

EXPORT int bindresvport(int fd, struct sockaddr_in *addr)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	long r = -EADDRINUSE;

	if (!fdtab_peek(fd))
		return real.bindresvport(fd, addr);
	if (!addr)
		addr = &any;
	else if (addr->sin_family != AF_INET)
		return (int)result(-EPFNOSUPPORT);
	for (int port = RESERVED_LAST; port >= RESERVED_FIRST && r == -EADDRINUSE; port--) {
		addr->sin_port = htons((uint16_t)port);
		r = bind(fd, (struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
	}
	return (int)result(r);
}

EXPORT int rresvport(int *port)
{
	return made(real.rresvport(port));
}

EXPORT int rresvport_af(int *port, sa_family_t family)
{
	return made(real.rresvport_af(port, family));
}

/* Multicast filters: what TCP answers to all of them. libc would ask the handle. */
EXPORT int getipv4sourcefilter(int fd, struct in_addr interface, struct in_addr group, uint32_t *mode,
			       uint32_t *n, struct in_addr *list)
{
	return fdtab_peek(fd) ? (int)result(-EINVAL) :
				real.getipv4sourcefilter(fd, interface, group, mode, n, list);
}

EXPORT int setipv4sourcefilter(int fd, struct in_addr interface, struct in_addr group, uint32_t mode,
			       uint32_t n, const struct in_addr *list)
{
	return fdtab_peek(fd) ? (int)result(-EINVAL) :
				real.setipv4sourcefilter(fd, interface, group, mode, n, list);
}

EXPORT int getsourcefilter(int fd, uint32_t interface, const struct sockaddr *group, socklen_t len,
			   uint32_t *mode, uint32_t *n, struct sockaddr_storage *list)
{
	return fdtab_peek(fd) ? (int)result(-EINVAL) :
				real.getsourcefilter(fd, interface, group, len, mode, n, list);
}

EXPORT int setsourcefilter(int fd, uint32_t interface, const struct sockaddr *group, socklen_t len,
			   uint32_t mode, uint32_t n, const struct sockaddr_storage *list)
{
	return fdtab_peek(fd) ? (int)result(-EINVAL) :
				real.setsourcefilter(fd, interface, group, len, mode, n, list);
}
