/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shared.c - What several processes have: what one does is what others see.
 */
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include "waiting.h"

static void poll_say(const char *what, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };

	MUST(poll(&p, 1, 0) >= 0);
	say("%s: %s", what, bits((uint32_t)p.revents));
}

static void send_fd(int over, int fd)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} c = { .hdr = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
			 .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (char[]){ "x" }, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };

	memcpy(CMSG_DATA(&c.hdr), &fd, sizeof(fd));
	MUST(sendmsg(over, &m, 0) == 1);
}

static int receive_fd(int over)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	int fd;

	MUST(recvmsg(over, &m, 0) == 1 && c.hdr.cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(&c.hdr), sizeof(fd));
	return fd;
}

bool child_has(int over[2])
{
	pid_t pid;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, over) == 0);
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	close(over[pid != 0]);
	return pid == 0;
}

void order(int over)
{
	char byte = 'o';

	MUST(write(over, &byte, 1) == 1);
	MUST(read(over, &byte, 1) == 1);
}

void ordered(int over)
{
	char byte;

	if (read(over, &byte, 1) != 1)
		_exit(0);
}

void done(int over)
{
	MUST(write(over, "d", 1) == 1);
}

static int number(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	MUST(getsockopt(fd, level, name, &v, &len) == 0);
	return v;
}

static int bound(struct sockaddr_in *at)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*at);

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(s >= 0 && bind(s, (struct sockaddr *)at, len) == 0);
	MUST(getsockname(s, (struct sockaddr *)at, &len) == 0);
	return s;
}

/* Given away, a bound socket is one still, until somebody calls listen(). */
static void given_bound(void)
{
	struct sockaddr_in at;
	int over[2], s = bound(&at), ep = set_make(), c;

	MUST(set_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN, 1) == 0);
	if (child_has(over)) {
		int got = receive_fd(over[1]);

		poll_say("there", got);
		said("accept", accept(got, NULL, NULL));
		say("listens: %d", number(got, SOL_SOCKET, SO_ACCEPTCONN));
		done(over[1]);
		ordered(over[1]);
		said("listen", listen(got, 5));
		done(over[1]);
		ordered(over[1]);
		c = accept(got, NULL, NULL);
		put(c, "served");
		done(over[1]);
		_exit(0);
	}
	send_fd(over[0], s);
	MUST(read(over[0], &(char){ 0 }, 1) == 1);
	poll_say("here", s);
	set_say("in a set", ep, 0);
	said("accept here", accept(s, NULL, NULL));
	order(over[0]);
	poll_say("it listens", s);
	set_say("in the set", ep, 0);
	say("listens: %d", number(s, SOL_SOCKET, SO_ACCEPTCONN));
	c = client(&at);
	set_say("somebody came", ep, 1000);
	order(over[0]);
	say("got %zu", drop(c));
}

/* A one-shot that has fired stays silent when its socket is given away. */
static void given_fired(void)
{
	struct sockaddr_in at;
	int over[2], s = bound(&at), ep = set_make();

	MUST(set_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN | EPOLLONESHOT, 1) == 0);
	set_say("fired", ep, 0);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, over) == 0);
	send_fd(over[0], s);
	poll_say("the set", ep);
	set_say("silent", ep, 20);
	set_ctl(ep, EPOLL_CTL_MOD, s, EPOLLIN | EPOLLONESHOT, 2);
	set_say("again", ep, 20);
}

/* Each client is one edge, also where several processes have the listener. */
static void edge_of_shared_listener(void)
{
	struct sockaddr_in at;
	int over[2], l, ep = set_make();

	listen_at(&l, &at);
	client(&at);
	if (child_has(over)) {
		int own = set_make();

		ordered(over[1]);
		MUST(set_ctl(own, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLET, 2) == 0);
		set_say("child", own, 1000);
		set_say("child, once", own, 20);
		poll_say("child's set", own);
		done(over[1]);
		ordered(over[1]);
		set_say("child, the second", own, 1000);
		set_say("child, once more", own, 20);
		done(over[1]);
		_exit(0);
	}
	MUST(set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN | EPOLLOUT | EPOLLET, 1) == 0);
	set_say("first", ep, 1000);
	set_say("once", ep, 20);
	poll_say("set", ep);
	order(over[0]);
	client(&at);
	set_say("second", ep, 1000);
	set_say("once more", ep, 20);
	order(over[0]);
}

/* A listener under several numbers, one of which asks for nothing. */
static void listener_twice(void)
{
	struct sockaddr_in at;
	int over[2], l, ep = set_make(), twin;

	listen_at(&l, &at);
	twin = dup(l);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, l, EPOLLIN, 1) == 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, twin, 0, 2) == 0);
	if (child_has(over)) {
		ordered(over[1]);
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	order(over[0]);
	set_say("nobody", ep, 0);
	client(&at);
	poll_say("the set", ep);
	set_say("somebody", ep, 1000);
	said("the other asks", set_ctl(ep, EPOLL_CTL_MOD, twin, EPOLLIN | EPOLLET, 3));
	set_say("both", ep, 1000);
	said("one goes", set_ctl(ep, EPOLL_CTL_DEL, l, 0, 0));
	/* What is left counts edges; that it was changed may be one. */
	epoll_wait(ep, (struct epoll_event[1]){ 0 }, 1, 20);
	client(&at);
	set_say("an edge", ep, 1000);
	set_say("once", ep, 20);
}

/* Who came first is accepted first, whatever is forked in between. */
static void order_when_shared(void)
{
	static const char *const names[] = { "one", "two", "three" };
	struct sockaddr_in at;
	int over[2], l = socket(AF_INET, SOCK_STREAM, 0), fds[3];
	socklen_t len = sizeof(at);

	at = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(bind(l, (struct sockaddr *)&at, len) == 0 && listen(l, 1) == 0);
	MUST(getsockname(l, (struct sockaddr *)&at, &len) == 0);
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			MUST(accept(l, NULL, NULL) >= 0);
		fds[i] = client(&at);
		put(fds[i], names[i]);
	}
	if (child_has(over)) {
		ordered(over[1]);
		_exit(0);
	}
	for (int i = 1; i < 3; i++) {
		char buf[16] = "";
		int a = accept(l, NULL, NULL);

		MUST(recv(a, buf, sizeof(buf) - 1, 0) > 0);
		say("%s", buf);
	}
}

/* What one process shuts down listens for nobody. */
static void shut_by_another(void)
{
	struct sockaddr_in at;
	int over[2], l, got;

	listen_at(&l, &at);
	if (child_has(over)) {
		ordered(over[1]);
		done(over[1]);
		ordered(over[1]);
		poll_say("child", l);
		said("child accepts", accept(l, NULL, NULL));
		send_fd(over[1], l);
		_exit(0);
	}
	order(over[0]);
	said("shutdown", shutdown(l, SHUT_RD));
	MUST(write(over[0], "o", 1) == 1);
	got = receive_fd(over[0]);
	poll_say("given back", got);
	poll_say("here", l);
}

static void shut_by_child(void)
{
	struct sockaddr_in at;
	int over[2], l, c;

	listen_at(&l, &at);
	c = client(&at);
	if (child_has(over)) {
		ordered(over[1]);
		said("shutdown", shutdown(l, SHUT_RDWR));
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	order(over[0]);
	nap(20);
	poll_say("its client", c);
	poll_say("here", l);
	said("accept", accept(l, NULL, NULL));
}

/* What one process does to a connection is an edge for another, here and in its child. */
static void ended_by_another(void)
{
	int over[2], back[2], ends[2], peer, ep = set_make();
	char byte;

	pair(&ends[0], &peer);
	pair(&ends[1], &back[0]);
	if (child_has(over)) {
		close(peer);
		ordered(over[1]);
		done(over[1]);
		ordered(over[1]);
		said("child sends", send(ends[0], "x", 1, MSG_NOSIGNAL));
		done(over[1]);
		ordered(over[1]);
		said("child shuts", shutdown(ends[1], SHUT_RD));
		done(over[1]);
		ordered(over[1]);
		ep = set_make();
		MUST(set_ctl(ep, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLRDHUP | EPOLLET, 3) == 0);
		set_say("child", ep, 0);
		done(over[1]);
		set_say("child", ep, 2000);
		ordered(over[1]);
		_exit(0);
	}
	for (int i = 0; i < 2; i++)
		MUST(set_ctl(ep, EPOLL_CTL_ADD, ends[i], EPOLLOUT | EPOLLRDHUP | EPOLLET,
			     (uint64_t)i) == 0);
	close(peer);
	order(over[0]);
	nap(20);
	set_say("here", ep, 100);
	order(over[0]);
	set_say("reset", ep, 2000);
	order(over[0]);
	set_say("shut", ep, 2000);
	order(over[0]);
	nap(50);
	MUST(shutdown(ends[1], SHUT_WR) == 0);
	nap(50);
	MUST(write(over[0], "o", 1) == 1);
	said("over", read(over[0], &byte, 1));
}

static void *accept_one(void *arg)
{
	long r = accept(*(int *)arg, NULL, NULL);

	return (void *)r;
}

/* A child that is made while a thread is still in a call on a socket that has no
 * descriptor any more has no part in it: the port is free after the call. */
static void closed_in_call(void)
{
	struct sockaddr_in at;
	int over[2], l, n, yes = 1;
	pthread_t t;

	listen_at(&l, &at);
	/* Which the connection has from it. */
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	n = l;
	t = started(accept_one, &n);
	nap(50);
	close(l);
	if (child_has(over)) {
		ordered(over[1]);
		_exit(0);
	}
	client(&at);
	say("accepted: %d", (long)ended("accept", t) >= 0);
	l = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	said("bind", bind(l, (struct sockaddr *)&at, sizeof(at)));
	said("listen", listen(l, 5));
}

/* Who accepts is another process than listened: FIONREAD is asked of it, too. */
static void count_of_moved(void)
{
	struct sockaddr_in at;
	int over[2], l, c, n = -1;

	listen_at(&l, &at);
	if (child_has(over)) {
		ordered(over[1]);
		put(accept(l, NULL, NULL), "four");
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	c = client(&at);
	order(over[0]);
	said("asked", ioctl(c, FIONREAD, &n));
	say("bytes: %d", n);
}

/* As Linux has it: what was shut down before connect() told is connected no more. */
static void shut_before_told(void)
{
	struct sockaddr_in at;
	struct linger now = { .l_onoff = 1 };
	int l, c, a;

	listen_at(&l, &at);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	said("asked", connect(c, (struct sockaddr *)&at, sizeof(at)));
	a = accept(l, NULL, NULL);
	setsockopt(a, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(a);
	nap(50);
	said("shutdown", shutdown(c, SHUT_WR));
	said("connect", connect(c, (struct sockaddr *)&at, sizeof(at)));
}

/* The same, but connect() is asked first: there is no connection any more. */
static void reset_before_told(void)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	char byte[4];
	int l, c, a;

	listen_at(&l, &at);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	said("asked", connect(c, (struct sockaddr *)&at, sizeof(at)));
	a = accept(l, NULL, NULL);
	MUST(write(a, "data", 4) == 4 && write(c, "data", 4) == 4);
	nap(20);
	close(a);
	nap(50);
	poll_say("before", c);
	said("connect", connect(c, (struct sockaddr *)&at, sizeof(at)));
	said("peek", recv(c, byte, 4, MSG_PEEK));
	said("read", recv(c, byte, 4, 0));
	said("nothing", recv(c, byte, 0, 0));
	said("send", send(c, "x", 1, MSG_NOSIGNAL));
	said("peer", getpeername(c, (struct sockaddr *)&at, &len));
	poll_say("after", c);
}

/* And there may be another one, or it listens. */
static void connect_after_reset(void)
{
	struct linger now = { .l_onoff = 1 };
	struct sockaddr_in at, here = { .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int ep = set_make(), l, v = 1, cs[3];

	listen_at(&l, &at);
	for (int i = 0; i < 3; i++) {
		int a;

		cs[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		MUST(setsockopt(cs[i], IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)) == 0);
		said("asked", connect(cs[i], (struct sockaddr *)&at, sizeof(at)));
		a = accept(l, NULL, NULL);
		MUST(setsockopt(a, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
		close(a);
		nap(20);
		if (i == 1)
			say("error: %d", number(cs[i], SOL_SOCKET, SO_ERROR));
		said("told", connect(cs[i], (struct sockaddr *)&at, sizeof(at)));
		say("error: %d", number(cs[i], SOL_SOCKET, SO_ERROR));
	}
	MUST(set_ctl(ep, EPOLL_CTL_ADD, cs[0], EPOLLOUT, 1) == 0);
	for (int i = 0; i < 2; i++) {
		fcntl(cs[i], F_SETFL, 0);
		said("again", connect(cs[i], (struct sockaddr *)&at, sizeof(at)));
		said("twice", connect(cs[i], (struct sockaddr *)&at, sizeof(at)));
		MUST(accept(l, NULL, NULL) >= 0);
		said("sent", send(cs[i], "x", 1, 0));
	}
	set_say("writable", ep, 1000);
	said("bind", bind(cs[2], (struct sockaddr *)&here, sizeof(here)));
	said("listen", listen(cs[2], 5));
	say("option: %d", number(cs[0], IPPROTO_TCP, TCP_NODELAY));
}

/* What is wrong with the address goes before what is with the socket. */
static void bind_inherited(void)
{
	struct sockaddr_in at, far = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(0x08080808) };
	int over[2], l;

	listen_at(&l, &at);
	if (child_has(over)) {
		ordered(over[1]);
		said("not ours", bind(l, (struct sockaddr *)&far, sizeof(far)));
		at.sin_port = 0;
		said("ours", bind(l, (struct sockaddr *)&at, sizeof(at)));
		done(over[1]);
		_exit(0);
	}
	order(over[0]);
}

static void bind_say(const char *what, int fd, uint32_t at)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(at) };
	socklen_t len = sizeof(in);

	said(what, bind(fd, (struct sockaddr *)&in, len));
	MUST(getsockname(fd, (struct sockaddr *)&in, &len) == 0);
	say("%s: %x", what, ntohl(in.sin_addr.s_addr));
}

static void bind_say6(const char *what, int fd, const struct in6_addr *at)
{
	struct sockaddr_in6 in = { .sin6_family = AF_INET6, .sin6_addr = *at };

	said(what, bind(fd, (struct sockaddr *)&in, sizeof(in)));
}

/* A connection that is over has let go of its port, and is bound once more. */
static void bind_anew(void)
{
	struct in6_addr far = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8, [15] = 8 } };
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(at);
	int ends[2], l, a, b;

	pair(&ends[0], &ends[1]);
	for (int i = 0; i < 2; i++) {
		bind_say("connected, not ours", ends[i], 0x08080808);
		bind_say("connected", ends[i], INADDR_LOOPBACK);
		MUST(shutdown(ends[i], SHUT_WR) == 0);
		nap(20);
	}
	for (int i = 0; i < 2; i++) {
		bind_say("not ours", ends[i], 0x08080808);
		bind_say("over", ends[i], 0x7f000003);
		bind_say("twice", ends[i], 0x7f000004);
		said("listen", listen(ends[i], 5));
	}
	l = socket(AF_INET6, SOCK_STREAM, 0);
	MUST(bind(l, (struct sockaddr *)&at, len) == 0 && listen(l, 5) == 0);
	MUST(getsockname(l, (struct sockaddr *)&at, &len) == 0);
	a = socket(AF_INET6, SOCK_STREAM, 0);
	MUST(connect(a, (struct sockaddr *)&at, len) == 0);
	b = accept(l, NULL, NULL);
	bind_say6("connected 6, not ours", b, &far);
	MUST(shutdown(a, SHUT_WR) == 0 && shutdown(b, SHUT_WR) == 0);
	nap(20);
	bind_say6("not ours 6", b, &far);
	bind_say6("over 6", b, &in6addr_loopback);
	bind_say6("twice 6", b, &in6addr_loopback);
	said("connect", connect(b, (struct sockaddr *)&at, len));
}

/* SO_SNDBUF makes room: an edge for who asked for room, and for no one else. */
static void sndbuf_edge(void)
{
	int ep = set_make(), a, b, v = 100000;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, a, EPOLLOUT | EPOLLET, 1) == 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLET, 2) == 0);
	put(a, "x");
	set_say("first", ep, 1000);
	nap(60); /* The ACK is an edge there. */
	set_say("none", ep, 0);
	said("here", setsockopt(a, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	said("there", setsockopt(b, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	set_say("edge", ep, 20);
	set_say("once", ep, 20);
}

/* ------------------------------------------------------------------ options */

static const struct {
	const char *name;
	int level, option, value;
} tried[] = {
	{ "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1 },
	{ "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 1 },
	{ "SO_BROADCAST", SOL_SOCKET, SO_BROADCAST, 1 },
	{ "SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, 1 },
	{ "SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, 7 },
	{ "SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, 4 },
	{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1 },
	{ "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 61 },
	{ "TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 11 },
	{ "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 5 },
	{ "TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 4321 },
	{ "SO_ZEROCOPY", SOL_SOCKET, SO_ZEROCOPY, 1 },
	{ "TCP_INQ", IPPROTO_TCP, TCP_INQ, 1 },
	{ "IP_TTL", IPPROTO_IP, IP_TTL, 33 },
};

/* Those that one process sees of another's setting only where it comes to them
 * by exec or in a message. */
static bool late(int option)
{
	return option == SO_PRIORITY || option == IP_TTL;
}

static void options_set(int fd, int off)
{
	struct linger l = { .l_onoff = 1, .l_linger = 9 };
	struct timeval tv = { 3, 500000 };

	for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		int v = off && tried[i].value == 1 ? 0 : tried[i].value + off;

		if (off && late(tried[i].option))
			continue;
		MUST(setsockopt(fd, tried[i].level, tried[i].option, &v, sizeof(v)) == 0);
	}
	l.l_linger += off;
	tv.tv_sec += off;
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	tv.tv_sec++;
	MUST(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
}

static void options_say(const char *what, int fd)
{
	static const int times[] = { SO_RCVTIMEO, SO_SNDTIMEO };
	struct linger l;
	struct timeval tv;
	socklen_t len = sizeof(l);

	say("%s", what);
	for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
		say(" %s %d", tried[i].name, number(fd, tried[i].level, tried[i].option));
	MUST(getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len) == 0);
	say(" SO_LINGER %d %d", l.l_onoff, l.l_linger);
	for (int i = 0; i < 2; i++) {
		len = sizeof(tv);
		MUST(getsockopt(fd, SOL_SOCKET, times[i], &tv, &len) == 0);
		say(" timeout %ld.%06ld", (long)tv.tv_sec, (long)tv.tv_usec);
	}
}

/* One of each sort. */
static void options_three(int fds[3])
{
	struct sockaddr_in at;
	int peer;

	pair(&fds[0], &peer);
	listen_at(&fds[1], &at);
	fds[2] = socket(AF_INET, SOCK_STREAM, 0);
	for (int i = 0; i < 3; i++)
		options_set(fds[i], 0);
}

static void options_forked(void)
{
	int over[2], fds[3];

	options_three(fds);
	if (child_has(over)) {
		for (;;) {
			ordered(over[1]);
			for (int i = 0; i < 3; i++)
				options_say("child", fds[i]);
			for (int i = 0; i < 3; i++)
				options_set(fds[i], 2);
			done(over[1]);
		}
	}
	order(over[0]);
	for (int i = 0; i < 3; i++)
		options_say("parent", fds[i]);
	for (int i = 0; i < 3; i++)
		options_set(fds[i], 1);
	order(over[0]);
}

static void options_given(void)
{
	int over[2], fds[3];

	if (child_has(over)) {
		for (int i = 0; i < 3; i++) {
			int got = receive_fd(over[1]);

			options_say("child", got);
			done(over[1]);
		}
		_exit(0);
	}
	options_three(fds);
	for (int i = 0; i < 3; i++) {
		send_fd(over[0], fds[i]);
		MUST(read(over[0], &(char){ 0 }, 1) == 1);
	}
}

static void options_executed(void)
{
	int fds[3];
	char text[3][16];
	char *argv[] = { (char *)"waiting", (char *)"options_there", text[0], text[1], text[2],
			 NULL };

	options_three(fds);
	for (int i = 0; i < 3; i++) {
		fcntl(fds[i], F_SETFD, 0);
		snprintf(text[i], sizeof(text[i]), "%d", fds[i]);
	}
	execv("/proc/self/exe", argv);
	MUST(!"exec");
}

static void options_there(char **fds)
{
	for (; *fds; fds++)
		options_say("executed", atoi(*fds));
}

/* Two numbers of one socket that is not connected are two of one after an exec. */
static void two_numbers(void)
{
	struct sockaddr_in at;
	int l, a, b;
	char text[3][16];
	char *argv[] = { (char *)"waiting", (char *)"numbers_there", text[0], text[1], text[2],
			 NULL };
	int fds[3];

	listen_at(&l, &at);
	a = socket(AF_INET, SOCK_STREAM, 0);
	b = dup(a);
	fds[0] = l, fds[1] = a, fds[2] = b;
	for (int i = 0; i < 3; i++) {
		fcntl(fds[i], F_SETFD, 0);
		snprintf(text[i], sizeof(text[i]), "%d", fds[i]);
	}
	execv("/proc/self/exe", argv);
	MUST(!"exec");
}

static void numbers_there(char **fds)
{
	int l = atoi(fds[0]), a = atoi(fds[1]), b = atoi(fds[2]), v = 1;
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	MUST(getsockname(l, (struct sockaddr *)&at, &len) == 0);
	said("set", setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)));
	say("seen: %d", number(b, IPPROTO_TCP, TCP_NODELAY));
	said("connect", connect(a, (struct sockaddr *)&at, len));
	said("connect", connect(b, (struct sockaddr *)&at, len));
	said("accept", accept(l, NULL, NULL) >= 0);
	close(a);
	said("send", send(b, "x", 1, MSG_NOSIGNAL));
}

#define OPENINGS 150

static void *open_many(void *arg)
{
	atomic_int *opened = arg;
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	while (*opened < OPENINGS) {
		int l = socket(AF_INET, SOCK_STREAM, 0);

		MUST(bind(l, (struct sockaddr *)&any, sizeof(any)) == 0);
		listen(l, 1);
		++*opened;
	}
	return NULL;
}

/* What another thread opens just then goes along, too. */
static void opened_in_exec(void)
{
	char *argv[] = { (char *)"waiting", (char *)"opened_there", (char *)"", NULL };
	static atomic_int opened;

	started(open_many, &opened);
	while (opened < 5)
		sched_yield();
	execv("/proc/self/exe", argv);
	MUST(!"exec");
}

static void opened_there(char **none)
{
	int wrong = 0, there = 0;

	(void)none;
	for (int fd = 3; fd < OPENINGS + 10; fd++) {
		struct sockaddr_in at = { .sin_family = AF_UNSPEC };
		socklen_t len = sizeof(at);
		int c, listens = 0;

		if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
			continue;
		there++;
		len = sizeof(listens);
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
		wrong += at.sin_family != AF_INET;
		if (!listens)
			continue;
		c = socket(AF_INET, SOCK_STREAM, 0);
		wrong += connect(c, (struct sockaddr *)&at, sizeof(at)) != 0;
		wrong += accept(fd, NULL, NULL) < 0;
		close(c);
	}
	say("there: %d, wrong: %d", there >= 5, wrong);
}

void executed(const char *what, char **args)
{
	static const struct {
		const char *name;
		void (*run)(char **args);
	} all[] = {
		{ "options_there", options_there },
		{ "numbers_there", numbers_there },
		{ "opened_there", opened_there },
	};

	alarm(20);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].name, what) == 0)
			all[i].run(args);
}

/* A socket that is not connected yet is one socket there, too. */
static void shut_when_given(void)
{
	int over[2], ep = set_make(), s;

	if (child_has(over)) {
		int got = receive_fd(over[1]);

		done(over[1]);
		ordered(over[1]);
		said("shutdown", shutdown(got, SHUT_RDWR));
		done(over[1]);
		ordered(over[1]);
		_exit(0);
	}
	s = socket(AF_INET, SOCK_STREAM, 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, s, EPOLLIN | EPOLLET, 1) == 0);
	set_say("before", ep, 0);
	send_fd(over[0], s);
	MUST(read(over[0], &(char){ 0 }, 1) == 1);
	order(over[0]);
	set_say("shut", ep, 1000);
}

#define TURNS 3000

static void *look_always(void *arg)
{
	int *looked = arg, fd, wrong = 0;

	while ((fd = __atomic_load_n(looked, __ATOMIC_RELAXED)) >= 0) {
		struct sockaddr_in at = { 0 };
		socklen_t len = sizeof(at);

		wrong += getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
			 at.sin_family != AF_INET;
	}
	return (void *)(intptr_t)wrong;
}

/* A number that dup2() gives to another socket is one of them at each moment. */
static void dup2_while_looked_at(void)
{
	int ends[4], fd, looked;
	pthread_t t;

	pair(&ends[0], &ends[1]);
	pair(&ends[2], &ends[3]);
	looked = fd = dup(ends[0]);
	t = started(look_always, &looked);
	for (int i = 0; i < TURNS; i++)
		MUST(dup2(ends[i % 4], fd) == fd);
	__atomic_store_n(&looked, -1, __ATOMIC_RELAXED);
	say("wrong: %d", (int)(intptr_t)ended("looks", t));
}

#define CLOSINGS 40

/* @fd is closed. */
static bool refuses(int fd, const struct sockaddr_in *at)
{
	int r = connect(fd, (const struct sockaddr *)at, sizeof(*at)), err = errno;

	close(fd);
	return r != 0 && err == ECONNREFUSED;
}

/* Whose close is the last: the child has ended, or closed its copy before. */
static void refused_after_last(bool child_ends)
{
	int refused = 0;

	for (int i = 0; i < CLOSINGS; i++) {
		int over[2], l, c;
		struct sockaddr_in at;

		listen_at(&l, &at);
		if (child_has(over)) {
			if (child_ends)
				_exit(0);
			close(l);
			done(over[1]);
			ordered(over[1]);
			_exit(0);
		}
		if (child_ends)
			MUST(wait(NULL) > 0);
		else
			MUST(read(over[0], &(char){ 0 }, 1) == 1);
		/* Made before, so that the two calls come one upon the other. */
		c = socket(AF_INET, SOCK_STREAM, 0);
		close(l);
		refused += refuses(c, &at);
		close(over[0]);
		if (!child_ends)
			MUST(wait(NULL) > 0);
	}
	say("refused %d of %d", refused, CLOSINGS);
}

static void last_after_exit(void)
{
	refused_after_last(true);
}

static void last_after_close(void)
{
	refused_after_last(false);
}

/* The child's is the last; it has accepted there. */
static void last_in_child(void)
{
	int refused = 0;

	for (int i = 0; i < CLOSINGS; i++) {
		int over[2], l, c;
		struct sockaddr_in at;

		listen_at(&l, &at);
		if (child_has(over)) {
			MUST(accept(l, NULL, NULL) >= 0);
			done(over[1]);
			ordered(over[1]);
			close(l);
			done(over[1]);
			ordered(over[1]);
			_exit(0);
		}
		close(l);
		c = socket(AF_INET, SOCK_STREAM, 0);
		MUST(connect(c, (struct sockaddr *)&at, sizeof(at)) == 0);
		MUST(read(over[0], &(char){ 0 }, 1) == 1);
		close(c);
		c = socket(AF_INET, SOCK_STREAM, 0);
		order(over[0]);
		refused += refuses(c, &at);
		close(over[0]);
		MUST(wait(NULL) > 0);
	}
	say("refused %d of %d", refused, CLOSINGS);
}

/* How who has a listener may end without closing it. */
enum ending { BY_EXIT, BY_KILL, BY_EXEC };

/* Never returns. @over: for the next program, which sends back what it reads. */
static void end_now(enum ending how, int over)
{
	char *argv[] = { (char *)"cat", NULL };

	switch (how) {
	case BY_EXIT:
		_exit(0);
	case BY_KILL:
		raise(SIGKILL);
		break;
	case BY_EXEC:
		dup2(over, 0);
		dup2(over, 1);
		execv("/bin/cat", argv);
		break;
	}
	_exit(1);
}

/* A child's own listener, and, @shared, one that its parent made and has closed. */
static void refused_after(enum ending how, bool shared)
{
	int refused = 0;

	for (int i = 0; i < CLOSINGS; i++) {
		int over[2], l = -1, c;
		struct sockaddr_in at;

		if (shared)
			listen_at(&l, &at);
		if (child_has(over)) {
			if (!shared) {
				listen_at(&l, &at);
				MUST(write(over[1], &at, sizeof(at)) == sizeof(at));
			}
			fcntl(l, F_SETFD, FD_CLOEXEC);
			MUST(accept(l, NULL, NULL) >= 0);
			done(over[1]);
			ordered(over[1]);
			end_now(how, over[1]);
		}
		if (shared)
			close(l);
		else
			MUST(read(over[0], &at, sizeof(at)) == sizeof(at));
		c = client(&at);
		MUST(read(over[0], &(char){ 0 }, 1) == 1);
		close(c);
		c = socket(AF_INET, SOCK_STREAM, 0);
		MUST(write(over[0], "o", 1) == 1);
		if (how == BY_EXEC)
			order(over[0]);
		else
			MUST(wait(NULL) > 0);
		refused += refuses(c, &at);
		close(over[0]);
		if (how == BY_EXEC)
			MUST(wait(NULL) > 0);
	}
	say("refused %d of %d", refused, CLOSINGS);
}

static void gone_by_exit(void)
{
	refused_after(BY_EXIT, false);
	refused_after(BY_EXIT, true);
}

static void gone_by_kill(void)
{
	refused_after(BY_KILL, false);
	refused_after(BY_KILL, true);
}

static void gone_by_exec(void)
{
	refused_after(BY_EXEC, false);
	refused_after(BY_EXEC, true);
}

/* Who has a copy that it never used; an exec that fails. */
static void still_there(void)
{
	struct sockaddr_in at;
	char *argv[] = { (char *)"none", NULL };
	int over[2], l, c;

	listen_at(&l, &at);
	fcntl(l, F_SETFD, FD_CLOEXEC);
	said("exec", execv("/nowhere", argv));
	c = socket(AF_INET, SOCK_STREAM, 0);
	said("after it", connect(c, (struct sockaddr *)&at, sizeof(at)));
	if (child_has(over)) {
		ordered(over[1]);
		said("first", accept(l, NULL, NULL) >= 0);
		done(over[1]);
		ordered(over[1]);
		said("second", accept(l, NULL, NULL) >= 0);
		done(over[1]);
		_exit(0);
	}
	close(l);
	order(over[0]);
	c = socket(AF_INET, SOCK_STREAM, 0);
	said("its copy", connect(c, (struct sockaddr *)&at, sizeof(at)));
	order(over[0]);
}

const struct test shared_tests[] = {
	{ "gone_by_exit", gone_by_exit },
	{ "gone_by_kill", gone_by_kill },
	{ "gone_by_exec", gone_by_exec },
	{ "still_there", still_there },
	{ "last_after_exit", last_after_exit },
	{ "last_after_close", last_after_close },
	{ "last_in_child", last_in_child },
	{ "given_bound", given_bound },
	{ "given_fired", given_fired },
	{ "edge_of_shared_listener", edge_of_shared_listener },
	{ "listener_twice", listener_twice },
	{ "order_when_shared", order_when_shared },
	{ "shut_by_another", shut_by_another },
	{ "shut_by_child", shut_by_child },
	{ "ended_by_another", ended_by_another },
	{ "closed_in_call", closed_in_call },
	{ "count_of_moved", count_of_moved },
	{ "shut_before_told", shut_before_told },
	{ "reset_before_told", reset_before_told },
	{ "connect_after_reset", connect_after_reset },
	{ "bind_inherited", bind_inherited },
	{ "bind_anew", bind_anew },
	{ "sndbuf_edge", sndbuf_edge },
	{ "options_forked", options_forked },
	{ "options_given", options_given },
	{ "options_executed", options_executed },
	{ "two_numbers", two_numbers },
	{ "opened_in_exec", opened_in_exec },
	{ "shut_when_given", shut_when_given },
	{ "dup2_while_looked_at", dup2_while_looked_at },
	{ NULL, NULL },
};
