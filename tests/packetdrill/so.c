// SPDX-License-Identifier: BSD-2-Clause
/*
 * so.c - packetdrill's interface on the engine: the calls of its scripts.
 *
 * Two calls packetdrill makes itself, past its interface: getsockopt() for
 * what a script asserts of TCP_INFO, and sendfile(). So the object is loaded
 * with LD_PRELOAD as well, and defines them, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sock.h"
#include "fds.h"
#include "interface.h"
#include "options.h"
#include "world.h"

#define EXPORT __attribute__((visibility("default")))

/* The kernel's convention to that of the calls. */
static int64_t done(int64_t n)
{
	world_settle();
	world_unlock();
	if (n >= 0)
		return n;
	errno = (int)-n;
	return -1;
}

static struct fd *begin(int fd)
{
	world_lock();
	return fd_of(fd);
}

/** struct call - What world_wait() tries. */
struct call {
	struct fd *f;
	void *room;
	const void *octets;
	size_t bytes, at;
	struct engine_sock sock;
	struct sockaddr_in from;
	bool peek, urgent, more;
	int fd;
};

static uint64_t patience(const struct fd *f, int flags, uint64_t timeout_ns)
{
	return f->nonblock || (flags & MSG_DONTWAIT) ? 0 : timeout_ns;
}

/* ------------------------------------------------------------ connections */

static int on_socket(void *u, int domain, int type, int protocol)
{
	enum engine_kind kind;
	struct fd *f;
	int fd, err;

	(void)u;
	world_lock();
	if (domain != AF_INET)
		return (int)done(-EAFNOSUPPORT);
	switch (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) {
	case SOCK_STREAM:
		kind = ENGINE_TCP;
		break;
	case SOCK_DGRAM:
		kind = protocol == IPPROTO_ICMP ? ENGINE_PING : ENGINE_UDP;
		break;
	default:
		return (int)done(-ESOCKTNOSUPPORT);
	}
	fd = fd_new(FD_SOCKET);
	if (fd < 0)
		return (int)done(-errno);
	f = fd_of(fd);
	f->proto = kind;
	f->nonblock = type & SOCK_NONBLOCK;
	err = engine_open(world_engine(), kind, (uint64_t)fd, &f->sock);
	if (err != 0) {
		fd_free(fd);
		return (int)done(err);
	}
	if (kind == ENGINE_TCP)
		options_start(f);
	return (int)done(fd);
}

static bool address_of(const struct sockaddr *addr, socklen_t bytes, struct sockaddr_in *ret)
{
	if (!addr || bytes < sizeof(*ret))
		return false;
	memcpy(ret, addr, sizeof(*ret));
	return ret->sin_family == AF_INET;
}

static int on_bind(void *u, int fd, const struct sockaddr *addr, socklen_t bytes)
{
	struct fd *f = begin(fd);
	struct sockaddr_in a;

	(void)u;
	if (!f)
		return (int)done(-EBADF);
	if (!address_of(addr, bytes, &a))
		return (int)done(-EINVAL);
	return (int)done(
		engine_bind(world_engine(), f->sock, ntohl(a.sin_addr.s_addr), ntohs(a.sin_port)));
}

static int on_listen(void *u, int fd, int backlog)
{
	struct fd *f = begin(fd);

	(void)u;
	/* Linux takes one more than it says. */
	return (int)done(f ? engine_listen(world_engine(), f->sock, (uint32_t)backlog + 1)
			   : -EBADF);
}

static void tell_address(const struct sockaddr_in *a, struct sockaddr *addr, socklen_t *bytes)
{
	if (!addr || !bytes)
		return;
	memcpy(addr, a, *bytes < sizeof(*a) ? *bytes : sizeof(*a));
	*bytes = sizeof(*a);
}

static int64_t try_accept(void *arg)
{
	struct call *c = arg;

	return engine_accept(world_engine(), world.now_ns, c->f->sock, (uint64_t)c->fd, &c->sock);
}

static int on_accept(void *u, int fd, struct sockaddr *addr, socklen_t *bytes)
{
	struct fd *f = begin(fd), *n;
	struct call c = {.f = f};
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct engine_info info;
	int64_t err;

	(void)u;
	if (!f)
		return (int)done(-EBADF);
	c.fd = fd_new(FD_SOCKET);
	if (c.fd < 0)
		return (int)done(-errno);
	err = world_wait(try_accept, &c, patience(f, 0, f->rcvtimeo_ns));
	if (err < 0) {
		fd_free(c.fd);
		return (int)done(err);
	}
	n = fd_of(c.fd);
	n->proto = ENGINE_TCP;
	n->sock = c.sock;
	n->lowat = f->lowat;
	n->sndbuf = f->sndbuf;
	n->rcvbuf = f->rcvbuf;
	n->linger_s = f->linger_s;
	if (engine_info(world_engine(), c.sock, &info) == 0) {
		a.sin_addr.s_addr = htonl(info.raddr);
		a.sin_port = htons(info.rport);
	}
	tell_address(&a, addr, bytes);
	return (int)done(c.fd);
}

/* A connection that is being made, or an error that ended it. */
static int64_t try_connected(void *arg)
{
	struct call *c = arg;
	struct engine *e = world_engine();
	struct sock *s = sock_of(e, c->f->sock);
	uint32_t error = 0;

	if (!s)
		return -EBADF;
	if (s->tcp != NIL &&
	    (e->tcp[s->tcp].state == TCP_SYN_SENT || e->tcp[s->tcp].state == TCP_SYN_RECEIVED))
		return -EAGAIN;
	(void)engine_get(e, c->f->sock, ENGINE_SO_ERROR, &error);
	return -(int64_t)error;
}

static int on_connect(void *u, int fd, const struct sockaddr *addr, socklen_t bytes)
{
	struct fd *f = begin(fd);
	struct call c = {.f = f};
	struct sockaddr_in a;
	int64_t err;

	(void)u;
	if (!f)
		return (int)done(-EBADF);
	if (!address_of(addr, bytes, &a))
		return (int)done(-EAFNOSUPPORT);
	err = engine_connect(world_engine(), world.now_ns, f->sock, ntohl(a.sin_addr.s_addr),
			     ntohs(a.sin_port));
	if (err == -EISCONN) {
		/* A second connect() hears the error of the first. */
		int64_t was = try_connected(&c);

		return (int)done(was && was != -EAGAIN ? was : err);
	}
	if (err != -EINPROGRESS || f->nonblock)
		return (int)done(err);
	err = world_wait(try_connected, &c, f->sndtimeo_ns);
	return (int)done(err == -EAGAIN ? -EINPROGRESS : err);
}

static int on_shutdown(void *u, int fd, int how)
{
	struct fd *f = begin(fd);
	unsigned bits;

	(void)u;
	if (!f)
		return (int)done(-EBADF);
	bits = (how != SHUT_WR ? ENGINE_SHUT_RD : 0) | (how != SHUT_RD ? ENGINE_SHUT_WR : 0);
	return (int)done(engine_shutdown(world_engine(), world.now_ns, f->sock, bits));
}

static int on_close(void *u, int fd)
{
	struct fd *f = begin(fd);
	int err = 0;

	(void)u;
	if (!f) {
		world_unlock();
		return close(fd);
	}
	if (f->kind == FD_SOCKET && f->linger_s == 0)
		err = engine_abort(world_engine(), world.now_ns, f->sock);
	else if (f->kind == FD_SOCKET)
		err = engine_close(world_engine(), world.now_ns, f->sock);
	fd_free(fd);
	return (int)done(err);
}

/* ------------------------------------------------------------ data */

static int64_t peek(struct call *c)
{
	struct engine *e = world_engine();
	struct sock *s = sock_of(e, c->f->sock);
	struct tcp *t = s && s->tcp != NIL ? &e->tcp[s->tcp] : NULL;
	size_t ready = t ? (size_t)(t->rcv_tail - t->rcv_head) : 0;

	if (!ready)
		return engine_recv(e, world.now_ns, c->f->sock, c->room, 0);
	if (ready < c->bytes)
		c->bytes = ready;
	ring_get(e, &t->rcv, t->rcv_head, c->room, c->bytes);
	return (int64_t)c->bytes;
}

static int64_t try_recv(void *arg)
{
	struct call *c = arg;
	uint32_t addr = 0;
	uint16_t port = 0;
	int64_t n;

	if (c->peek && c->f->proto == ENGINE_TCP)
		return peek(c);
	if (c->f->proto == ENGINE_TCP)
		return engine_recv(world_engine(), world.now_ns, c->f->sock, c->room, c->bytes);
	n = engine_recvfrom(world_engine(), c->f->sock, c->room, c->bytes, NULL, &addr, &port);
	c->from = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(addr),
		.sin_port = htons(port),
	};
	return n;
}

static ssize_t receive(int fd, void *room, size_t bytes, int flags, struct sockaddr_in *from)
{
	struct fd *f = begin(fd);
	struct call c = {.f = f, .room = room, .bytes = bytes, .peek = flags & MSG_PEEK};
	int64_t n;

	if (!f) {
		world_unlock();
		return read(fd, room, bytes);
	}
	if (!room && bytes)
		return (ssize_t)done(-EFAULT);
	n = world_wait(try_recv, &c, patience(f, flags, f->rcvtimeo_ns));
	if (from)
		*from = c.from;
	return (ssize_t)done(n);
}

/* All of it, as a blocking write is. Return: octets, where some were taken. */
static int64_t try_send(void *arg)
{
	struct call *c = arg;
	const uint8_t *at = (const uint8_t *)c->octets + c->at;
	struct engine *e = world_engine();
	int64_t (*send)(struct engine *, uint64_t, struct engine_sock, const void *, size_t) =
		c->urgent ? engine_send_urgent
		: c->more ? engine_send_more
			  : engine_send;
	int64_t n = send(e, world.now_ns, c->f->sock, at, c->bytes - c->at);

	if (n < 0)
		return n != -EAGAIN && c->at ? (int64_t)c->at : n;
	c->at += (size_t)n;
	return c->at < c->bytes ? -EAGAIN : (int64_t)c->at;
}

static ssize_t transmit(int fd, const void *octets, size_t bytes, int flags,
			const struct sockaddr_in *to)
{
	struct fd *f = begin(fd);
	struct call c = {
		.f = f,
		.octets = octets,
		.bytes = bytes,
		.urgent = flags & MSG_OOB,
		.more = flags & MSG_MORE,
	};
	struct engine *e;
	int64_t n;

	if (!f) {
		world_unlock();
		return write(fd, octets, bytes);
	}
	e = world_engine();
	if (!octets && bytes)
		return (ssize_t)done(-EFAULT);
	if (to)
		return (ssize_t)done(engine_sendto(e, world.now_ns, f->sock, octets, bytes,
						   ntohl(to->sin_addr.s_addr),
						   ntohs(to->sin_port)));
	if (!bytes)
		return (ssize_t)done(0);
	n = world_wait(try_send, &c, patience(f, flags, f->sndtimeo_ns));
	if (n == -EAGAIN && c.at)
		n = (int64_t)c.at;
	return (ssize_t)done(n);
}

static ssize_t on_read(void *u, int fd, void *room, size_t bytes)
{
	(void)u;
	return receive(fd, room, bytes, 0, NULL);
}

static ssize_t on_recv(void *u, int fd, void *room, size_t bytes, int flags)
{
	(void)u;
	return receive(fd, room, bytes, flags, NULL);
}

static ssize_t on_recvfrom(void *u, int fd, void *room, size_t bytes, int flags,
			   struct sockaddr *addr, socklen_t *addr_bytes)
{
	struct sockaddr_in from;
	ssize_t n = receive(fd, room, bytes, flags, &from);

	(void)u;
	if (n >= 0)
		tell_address(&from, addr, addr_bytes);
	return n;
}

static ssize_t on_write(void *u, int fd, const void *octets, size_t bytes)
{
	(void)u;
	return transmit(fd, octets, bytes, 0, NULL);
}

static ssize_t on_send(void *u, int fd, const void *octets, size_t bytes, int flags)
{
	(void)u;
	return transmit(fd, octets, bytes, flags, NULL);
}

static ssize_t on_sendto(void *u, int fd, const void *octets, size_t bytes, int flags,
			 const struct sockaddr *addr, socklen_t addr_bytes)
{
	struct sockaddr_in to;
	bool named = address_of(addr, addr_bytes, &to);

	(void)u;
	if (flags & MSG_FASTOPEN) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return transmit(fd, octets, bytes, flags, named ? &to : NULL);
}

/* The pieces of @v in one; NULL: no memory. */
static uint8_t *flatten(const struct iovec *v, size_t n, bool copy, size_t *ret_bytes)
{
	size_t bytes = 0, at = 0;
	uint8_t *all;

	for (size_t i = 0; i < n; i++)
		bytes += v[i].iov_len;
	all = malloc(bytes + 1);
	for (size_t i = 0; all && copy && i < n; i++) {
		memcpy(all + at, v[i].iov_base, v[i].iov_len);
		at += v[i].iov_len;
	}
	*ret_bytes = bytes;
	return all;
}

static ssize_t receive_pieces(int fd, const struct iovec *v, size_t n, int flags)
{
	size_t bytes, at = 0;
	uint8_t *all = flatten(v, n, false, &bytes);
	ssize_t got = all ? receive(fd, all, bytes, flags, NULL) : -1;

	for (size_t i = 0; got > 0 && i < n && at < (size_t)got; i++) {
		size_t part = v[i].iov_len < (size_t)got - at ? v[i].iov_len : (size_t)got - at;

		memcpy(v[i].iov_base, all + at, part);
		at += part;
	}
	free(all);
	return got;
}

static ssize_t transmit_pieces(int fd, const struct iovec *v, size_t n, int flags)
{
	size_t bytes;
	uint8_t *all = flatten(v, n, true, &bytes);
	ssize_t sent = all ? transmit(fd, all, bytes, flags, NULL) : -1;

	free(all);
	return sent;
}

static ssize_t on_readv(void *u, int fd, const struct iovec *v, int n)
{
	(void)u;
	return receive_pieces(fd, v, (size_t)n, 0);
}

static ssize_t on_writev(void *u, int fd, const struct iovec *v, int n)
{
	(void)u;
	return transmit_pieces(fd, v, (size_t)n, 0);
}

static ssize_t on_recvmsg(void *u, int fd, struct msghdr *m, int flags)
{
	(void)u;
	m->msg_controllen = 0;
	m->msg_flags = 0;
	return receive_pieces(fd, m->msg_iov, m->msg_iovlen, flags);
}

static ssize_t on_sendmsg(void *u, int fd, const struct msghdr *m, int flags)
{
	(void)u;
	return transmit_pieces(fd, m->msg_iov, m->msg_iovlen, flags);
}

/* ------------------------------------------------------------ descriptors */

static int on_fcntl(void *u, int fd, int command, ...)
{
	struct fd *f = begin(fd);
	va_list args;
	long arg;

	(void)u;
	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	if (!f) {
		world_unlock();
		return fcntl(fd, command, arg);
	}
	switch (command) {
	case F_GETFL:
		return (int)done(O_RDWR | (f->nonblock ? O_NONBLOCK : 0));
	case F_SETFL:
		f->nonblock = arg & O_NONBLOCK;
		return (int)done(0);
	default:
		return (int)done(-EINVAL);
	}
}

static int on_ioctl(void *u, int fd, unsigned long request, ...)
{
	struct fd *f = begin(fd);
	struct engine_info info;
	va_list args;
	int *value;

	(void)u;
	va_start(args, request);
	value = va_arg(args, int *);
	va_end(args);
	if (!f || engine_info(world_engine(), f->sock, &info) != 0)
		return (int)done(-EBADF);
	switch (request) {
	case FIONREAD:
		*value = (int)info.readable;
		return (int)done(0);
	case TIOCOUTQ:
		*value = (int)(info.unsent + info.unacked);
		return (int)done(0);
	default:
		return (int)done(-ENOTTY);
	}
}

static int on_getsockopt(void *u, int fd, int level, int name, void *value, socklen_t *bytes)
{
	struct fd *f = begin(fd);

	(void)u;
	return (int)done(f ? options_get(f, level, name, value, bytes) : -EBADF);
}

static int on_setsockopt(void *u, int fd, int level, int name, const void *value, socklen_t bytes)
{
	struct fd *f = begin(fd);

	(void)u;
	return (int)done(f ? options_set(f, level, name, value, bytes) : -EBADF);
}

EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict bytes)
{
	if (fd_of(fd))
		return on_getsockopt(NULL, fd, level, name, value, bytes);
	return (int)syscall(SYS_getsockopt, fd, level, name, value, bytes);
}

EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t bytes)
{
	uint8_t *octets;
	ssize_t n;

	if (!fd_of(out))
		return (ssize_t)syscall(SYS_sendfile, out, in, offset, bytes);
	octets = malloc(bytes + 1);
	if (!octets)
		return -1;
	n = offset ? pread(in, octets, bytes, *offset) : read(in, octets, bytes);
	if (n > 0)
		n = transmit(out, octets, (size_t)n, 0, NULL);
	if (n > 0 && offset)
		*offset += n;
	free(octets);
	return n;
}

/* ------------------------------------------------------------ readiness */

struct poll_call {
	struct pollfd *fds;
	nfds_t n;
};

static int64_t try_poll(void *arg)
{
	struct poll_call *c = arg;
	int64_t ready = 0;

	for (nfds_t i = 0; i < c->n; i++) {
		struct fd *f = fd_of(c->fds[i].fd);
		int asked = c->fds[i].events | POLLERR | POLLHUP;

		c->fds[i].revents = f ? (short)((int)fd_ready(f) & asked) : POLLNVAL;
		ready += c->fds[i].revents != 0;
	}
	return ready ? ready : -EAGAIN;
}

static int64_t none_is_zero(int64_t n)
{
	return n == -EAGAIN ? 0 : n;
}

static uint64_t timeout_of(int ms)
{
	return ms < 0 ? UINT64_MAX : (unsigned)ms * NS_MSEC;
}

static int on_poll(void *u, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct poll_call c = {.fds = fds, .n = n};

	(void)u;
	world_lock();
	return (int)done(none_is_zero(world_wait(try_poll, &c, timeout_of(timeout_ms))));
}

static int on_epoll_create(void *u, int size)
{
	int fd;

	(void)u;
	world_lock();
	fd = size > 0 ? fd_new(FD_EPOLL) : -1;
	return (int)done(fd < 0 ? -EINVAL : fd);
}

static struct watch *watch_of(struct fd *set, int fd)
{
	for (unsigned i = 0; i < set->watches; i++) {
		if (set->watch[i].fd == fd)
			return &set->watch[i];
	}
	return NULL;
}

static int on_epoll_ctl(void *u, int epfd, int op, int fd, struct epoll_event *event)
{
	struct fd *set = begin(epfd);
	struct watch *w;

	(void)u;
	if (!set || set->kind != FD_EPOLL || !fd_of(fd))
		return (int)done(-EBADF);
	w = watch_of(set, fd);
	if (op == EPOLL_CTL_ADD && w)
		return (int)done(-EEXIST);
	if (op != EPOLL_CTL_ADD && !w)
		return (int)done(-ENOENT);
	if (op == EPOLL_CTL_DEL) {
		*w = set->watch[--set->watches];
		return (int)done(0);
	}
	if (!w) {
		if (set->watches == WATCHES_MAX)
			return (int)done(-ENOSPC);
		w = &set->watch[set->watches++];
	}
	*w = (struct watch){.fd = fd, .event = *event, .armed = true};
	return (int)done(0);
}

struct epoll_call {
	struct fd *set;
	struct epoll_event *events;
	int max;
};

static int64_t try_epoll(void *arg)
{
	struct epoll_call *c = arg;
	int64_t n = 0;

	for (unsigned i = 0; i < c->set->watches && n < c->max; i++) {
		struct watch *w = &c->set->watch[i];
		struct fd *f = fd_of(w->fd);
		uint32_t r = f ? fd_ready(f) & (w->event.events | EPOLLERR | EPOLLHUP) : 0;

		if (!r || w->spent || (w->event.events & EPOLLET && !w->armed))
			continue;
		c->events[n] = w->event;
		c->events[n++].events = r;
		w->armed = false;
		w->spent = w->event.events & EPOLLONESHOT;
	}
	return n ? n : -EAGAIN;
}

static int on_epoll_wait(void *u, int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	struct epoll_call c = {.set = begin(epfd), .events = events, .max = max};

	(void)u;
	if (!c.set || c.set->kind != FD_EPOLL)
		return (int)done(-EBADF);
	return (int)done(none_is_zero(world_wait(try_epoll, &c, timeout_of(timeout_ms))));
}

static int on_pipe(void *u, int fds[2])
{
	(void)u;
	return pipe(fds);
}

/* Between a socket and a pipe; offsets are for files, which it is not used with. */
static ssize_t move(int in, int out, size_t bytes, unsigned flags)
{
	uint8_t *octets = malloc(bytes + 1);
	ssize_t n = -1;

	if (octets && fd_of(in)) {
		n = receive(in, octets, bytes, flags & 2u ? MSG_DONTWAIT : 0, NULL);
		if (n > 0)
			n = write(out, octets, (size_t)n);
	} else if (octets) {
		n = read(in, octets, bytes);
		if (n > 0)
			n = transmit(out, octets, (size_t)n, 0, NULL);
	}
	free(octets);
	return n;
}

static int on_splice(void *u, int in, loff_t *in_off, int out, loff_t *out_off, size_t bytes,
		     unsigned flags)
{
	(void)u;
	(void)in_off;
	(void)out_off;
	return (int)move(in, out, bytes, flags);
}

/* ------------------------------------------------------------ network and time */

static int on_netdev_send(void *u, const void *packet, size_t bytes)
{
	(void)u;
	world_lock();
	world_input(packet, bytes);
	return (int)done(0);
}

/* packetdrill asks until there is one. A packet that is none ends the script. */
static const uint8_t no_packet[20] = {0x45, 0, 0xff, 0xff};

static int on_netdev_receive(void *u, void *room, size_t *count, long long *time_us)
{
	struct packet *p;

	(void)u;
	world_lock();
	p = world_packet();
	if (p && p->bytes <= *count) {
		memcpy(room, p->octets, p->bytes);
		*count = p->bytes;
		*time_us = (long long)(p->sent_ns / NS_USEC);
	} else {
		(void)fprintf(stderr, "the engine sends nothing more\n");
		memcpy(room, no_packet, sizeof(no_packet));
		*count = sizeof(no_packet);
		*time_us = (long long)(world.now_ns / NS_USEC);
	}
	free(p);
	return (int)done(0);
}

static int on_usleep(void *u, useconds_t us)
{
	(void)u;
	world_lock();
	world_let_return();
	world_advance(world.now_ns + us * NS_USEC);
	return (int)done(0);
}

static int on_gettimeofday(void *u, struct timeval *tv, struct timezone *tz)
{
	uint64_t now;

	(void)u;
	(void)tz;
	world_lock();
	now = world_time();
	tv->tv_sec = (time_t)(now / NS_SEC);
	tv->tv_usec = (suseconds_t)(now % NS_SEC / NS_USEC);
	world_unlock();
	return 0;
}

static void on_free(void *u)
{
	(void)u;
	world_lock();
	fd_free_all();
	world_end();
	world_unlock();
}

/* mtu=N is all that there may be in @flags. */
static uint16_t mtu_of(const char *flags)
{
	unsigned long mtu =
		flags && strncmp(flags, "mtu=", 4) == 0 ? strtoul(flags + 4, NULL, 10) : 0;

	return mtu >= IPV4_MTU_MIN && mtu <= UINT16_MAX ? (uint16_t)mtu : 1500;
}

EXPORT void packetdrill_interface_init(const char *flags, struct packetdrill_interface *ret)
{
	world_init(mtu_of(flags), fd_event);
	*ret = (struct packetdrill_interface){
		.free = on_free,
		.socket = on_socket,
		.bind = on_bind,
		.listen = on_listen,
		.accept = on_accept,
		.connect = on_connect,
		.read = on_read,
		.readv = on_readv,
		.recv = on_recv,
		.recvfrom = on_recvfrom,
		.recvmsg = on_recvmsg,
		.write = on_write,
		.writev = on_writev,
		.send = on_send,
		.sendto = on_sendto,
		.sendmsg = on_sendmsg,
		.fcntl = on_fcntl,
		.ioctl = on_ioctl,
		.close = on_close,
		.shutdown = on_shutdown,
		.getsockopt = on_getsockopt,
		.setsockopt = on_setsockopt,
		.poll = on_poll,
		.netdev_send = on_netdev_send,
		.netdev_receive = on_netdev_receive,
		.usleep = on_usleep,
		.gettimeofday = on_gettimeofday,
		.epoll_create = on_epoll_create,
		.epoll_ctl = on_epoll_ctl,
		.epoll_wait = on_epoll_wait,
		.pipe = on_pipe,
		.splice = on_splice,
	};
}
