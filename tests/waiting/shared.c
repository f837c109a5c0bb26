/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shared.c - What several processes have: what one does is what others see.
 */
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

/* One end each; the child waits for orders: a byte. */
static bool child_has(int over[2])
{
	pid_t pid;

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, over) == 0);
	fflush(stdout);
	pid = fork();
	MUST(pid >= 0);
	close(over[pid != 0]);
	return pid == 0;
}

static void order(int over)
{
	char byte = 'o';

	MUST(write(over, &byte, 1) == 1);
	MUST(read(over, &byte, 1) == 1);
}

static void ordered(int over)
{
	char byte;

	if (read(over, &byte, 1) != 1)
		_exit(0);
}

static void done(int over)
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

const struct test shared_tests[] = {
	{ "given_bound", given_bound },
	{ "given_fired", given_fired },
	{ "edge_of_shared_listener", edge_of_shared_listener },
	{ "listener_twice", listener_twice },
	{ "order_when_shared", order_when_shared },
	{ "shut_by_another", shut_by_another },
	{ "shut_by_child", shut_by_child },
	{ "shut_before_told", shut_before_told },
	{ "bind_inherited", bind_inherited },
	{ "sndbuf_edge", sndbuf_edge },
	{ NULL, NULL },
};
