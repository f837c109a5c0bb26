/* SPDX-License-Identifier: BSD-2-Clause */
/* MSG_OOB, SO_OOBINLINE, SIOCATMARK, POLLPRI, SIGURG. */
#include "signals.h"

static volatile sig_atomic_t urgs;

static void count_urg(int sig)
{
	(void)sig;
	urgs++;
}

static void show_poll(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDBAND, 0 };
	struct timeval now = { 0, 0 };
	fd_set r, e;
	int mark = -1, there = -1;

	poll(&p, 1, 0);
	FD_ZERO(&r);
	FD_ZERO(&e);
	FD_SET(fd, &r);
	FD_SET(fd, &e);
	select(fd + 1, &r, NULL, &e, &now);
	ioctl(fd, SIOCATMARK, &mark);
	ioctl(fd, FIONREAD, &there);
	say("  poll %x select %d%d mark %d fionread %d sockatmark %d", p.revents, FD_ISSET(fd, &r),
	    FD_ISSET(fd, &e), mark, there, sockatmark(fd));
}

static void show_recv(int fd, size_t n, int flags)
{
	char buf[4096];
	long r;

	memset(buf, 0, sizeof(buf));
	r = recv(fd, buf, n, flags | MSG_DONTWAIT);
	say("recv %zu flags %x: %s '%.20s'", n, (unsigned)flags, said(r), r > 0 ? buf : "");
}

static void put(int fd, const char *text, int flags)
{
	long r = send(fd, text, strlen(text), flags);

	say("send '%s' flags %x: %s", text, (unsigned)flags, said(r));
	nap(2);
}

static void basics(void)
{
	int v[2];

	pair(v);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	put(v[0], "abc", 0);
	put(v[0], "X", MSG_OOB);
	put(v[0], "def", 0);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB | MSG_PEEK);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 1, MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 10, 0);
}

static void unread_byte_is_lost(void)
{
	int v[2];

	pair(v);
	put(v[0], "X", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	show_recv(v[1], 10, MSG_OOB);
	put(v[0], "abY", MSG_OOB);
	put(v[0], "cd", 0);
	show_recv(v[1], 10, 0);
	show_recv(v[1], 10, 0);
	show_recv(v[1], 10, MSG_OOB);
	show_poll(v[1]);
}

static void replaced(void)
{
	int v[2];

	pair(v);
	put(v[0], "X", MSG_OOB);
	put(v[0], "Y", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, MSG_OOB);
	show_recv(v[1], 10, 0);
	put(v[0], "abX", MSG_OOB);
	put(v[0], "cdY", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, MSG_OOB | MSG_PEEK);
	show_recv(v[1], 3, 0);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_recv(v[1], 10, 0);
	show_recv(v[1], 10, MSG_OOB);
	/* At the mark, taken or not, when the next one comes. */
	put(v[0], "abX", MSG_OOB);
	show_recv(v[1], 10, 0);
	show_recv(v[1], 10, MSG_OOB);
	put(v[0], "efY", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	put(v[0], "Z", MSG_OOB);
	show_poll(v[1]);
	put(v[0], "T", MSG_OOB);
	put(v[0], "U", MSG_OOB);
	put(v[0], "V", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
}

static void peeks(void)
{
	int v[2];

	pair(v);
	put(v[0], "abcX", MSG_OOB);
	put(v[0], "def", 0);
	show_recv(v[1], 10, MSG_PEEK);
	show_recv(v[1], 2, 0);
	show_recv(v[1], 10, MSG_PEEK);
	show_recv(v[1], 10, MSG_WAITALL);
	show_recv(v[1], 10, MSG_PEEK);
	show_recv(v[1], 2, MSG_PEEK);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 10, MSG_PEEK);
	show_poll(v[1]);
	show_recv(v[1], 2, MSG_TRUNC);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	put(v[0], "X", MSG_OOB);
	show_recv(v[1], 10, MSG_PEEK);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 0, 0);
	show_poll(v[1]);
}

static void inlined(void)
{
	int v[2], on = 1, got = -1;
	socklen_t len = sizeof(got);

	pair(v);
	say("set %s", said(setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on))));
	getsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &got, &len);
	say("get %d", got);
	put(v[0], "abX", MSG_OOB);
	put(v[0], "def", 0);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 10, MSG_PEEK);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	show_recv(v[1], 10, MSG_PEEK);
	show_recv(v[1], 1, 0);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	put(v[0], "X", MSG_OOB);
	put(v[0], "Y", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	put(v[0], "abX", MSG_OOB);
	on = 0;
	setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_recv(v[1], 1, MSG_OOB);
	on = 1;
	setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
}

static void inherited(void)
{
	struct sockaddr_in at;
	int l = listener(&at), on = 1, got = -1, c, a;
	socklen_t len = sizeof(got);

	setsockopt(l, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	c = client(&at);
	put(c, "abX", MSG_OOB);
	put(c, "Y", MSG_OOB);
	a = accept(l, NULL, NULL);
	getsockopt(a, SOL_SOCKET, SO_OOBINLINE, &got, &len);
	say("get %d", got);
	show_poll(a);
	show_recv(a, 10, 0);
	show_recv(a, 10, 0);
	show_poll(a);
}

static void before_accept(void)
{
	struct sockaddr_in at;
	int l = listener(&at), c = client(&at), a;

	put(c, "X", MSG_OOB);
	put(c, "Y", MSG_OOB);
	put(c, "ab", 0);
	a = accept(l, NULL, NULL);
	show_poll(a);
	show_recv(a, 1, MSG_OOB);
	show_recv(a, 10, 0);
	show_poll(a);
}

static void errors(void)
{
	struct sockaddr_in at;
	int s = socket(AF_INET, SOCK_STREAM, 0), l = listener(&at), v[2];

	show_recv(s, 1, MSG_OOB);
	say("send unconnected %s", said(send(s, "x", 1, MSG_OOB | MSG_NOSIGNAL)));
	show_recv(l, 1, MSG_OOB);
	show_poll(l);
	pair(v);
	put(v[0], "", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	put(v[0], "X", MSG_OOB);
	shutdown(v[1], SHUT_RD);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 1, MSG_OOB);
	pair(v);
	put(v[0], "abX", MSG_OOB);
	close(v[0]);
	nap(2);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 10, 0);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
}

static void reset(void)
{
	struct linger now = { 1, 0 };
	int v[2];

	pair(v);
	put(v[0], "abX", MSG_OOB);
	setsockopt(v[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(v[0]);
	nap(2);
	show_poll(v[1]);
	show_recv(v[1], 1, MSG_OOB);
	pair(v);
	setsockopt(v[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(v[0]);
	nap(2);
	show_recv(v[1], 1, MSG_OOB);
}

static void unread_at_close(void)
{
	char c;
	int v[2];

	pair(v);
	put(v[0], "X", MSG_OOB);
	show_recv(v[1], 1, MSG_OOB);
	close(v[1]);
	nap(2);
	say("after a byte that only MSG_OOB took: %s", said(recv(v[0], &c, 1, 0)));
	pair(v);
	put(v[0], "X", MSG_OOB);
	show_recv(v[1], 1, 0);
	close(v[1]);
	nap(2);
	say("after a byte that was passed over: %s", said(recv(v[0], &c, 1, 0)));
}

static void messages(void)
{
	char a[2] = "..", b[8] = ".......";
	struct iovec iov[2] = { { a, 2 }, { b, 8 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	int v[2];

	pair(v);
	put(v[0], "abcX", MSG_OOB);
	put(v[0], "defg", 0);
	say("%s flags %x", said(recvmsg(v[1], &m, MSG_DONTWAIT)), (unsigned)m.msg_flags);
	say("%s flags %x", said(recvmsg(v[1], &m, MSG_DONTWAIT | MSG_OOB | MSG_PEEK)),
	    (unsigned)m.msg_flags);
	a[0] = '-';
	say("%s flags %x '%c'", said(recvmsg(v[1], &m, MSG_DONTWAIT | MSG_OOB | MSG_TRUNC)),
	    (unsigned)m.msg_flags, a[0]);
	say("%s flags %x", said(recvmsg(v[1], &m, MSG_DONTWAIT | MSG_OOB)), (unsigned)m.msg_flags);
	say("%s flags %x '%c%c%c%c'", said(recvmsg(v[1], &m, MSG_DONTWAIT | MSG_WAITALL)),
	    (unsigned)m.msg_flags, a[0], a[1], b[0], b[1]);
	put(v[0], "X", MSG_OOB);
	m.msg_iovlen = 0;
	say("%s flags %x", said(recvmsg(v[1], &m, MSG_DONTWAIT | MSG_OOB)), (unsigned)m.msg_flags);
	say("%s", said(recvmsg(v[1], &m, MSG_DONTWAIT | MSG_OOB)));
	show_poll(v[1]);
	/* Of a message of pieces the last byte is urgent. */
	a[0] = '1';
	a[1] = '2';
	snprintf(b, sizeof(b), "345678Z");
	iov[1].iov_len = 7;
	m.msg_iovlen = 2;
	say("sendmsg %s", said(sendmsg(v[0], &m, MSG_OOB)));
	nap(2);
	show_recv(v[1], 1, MSG_OOB);
	show_recv(v[1], 20, 0);
	say("read %s", said(read(v[1], b, 0)));
}

static void lowat(void)
{
	int v[2], n = 4;

	pair(v);
	setsockopt(v[1], SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
	put(v[0], "abX", MSG_OOB);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
	put(v[0], "cde", 0);
	show_poll(v[1]);
	put(v[0], "f", 0);
	show_poll(v[1]);
	show_recv(v[1], 10, 0);
}

static void show_epoll(int ep)
{
	struct epoll_event ev[4];
	int n = epoll_wait(ep, ev, 4, 0);

	for (int i = 0; i < n; i++)
		say("  epoll %u: %x", ev[i].data.u32, ev[i].events);
	if (n <= 0)
		say("  epoll %s", said(n));
}

static void epolls(void)
{
	struct epoll_event e = { .data.u32 = 1 };
	int level = epoll_create1(0), edge = epoll_create1(0), in = epoll_create1(0), v[2];

	pair(v);
	e.events = EPOLLPRI;
	epoll_ctl(level, EPOLL_CTL_ADD, v[1], &e);
	e.events = EPOLLPRI | EPOLLET;
	epoll_ctl(edge, EPOLL_CTL_ADD, v[1], &e);
	e.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLONESHOT;
	epoll_ctl(in, EPOLL_CTL_ADD, v[1], &e);
	put(v[0], "ab", 0);
	for (int i = 0; i < 5; i++) {
		say("step %d", i);
		show_epoll(level);
		show_epoll(edge);
		show_epoll(in);
		switch (i) {
		case 0:
			put(v[0], "X", MSG_OOB);
			break;
		case 1:
			epoll_ctl(in, EPOLL_CTL_MOD, v[1], &e);
			show_recv(v[1], 1, MSG_OOB);
			break;
		case 2:
			put(v[0], "cY", MSG_OOB);
			break;
		default:
			show_recv(v[1], 10, 0);
			break;
		}
	}
}

static void sigurg(void)
{
	struct sigaction a = { .sa_handler = count_urg };
	int v[2], pid = 0;

	sigaction(SIGURG, &a, NULL);
	pair(v);
	put(v[0], "X", MSG_OOB);
	say("no owner: %d", urgs);
	say("set owner %s", said(fcntl(v[1], F_SETOWN, getpid())));
	say("it is %d", fcntl(v[1], F_GETOWN) == getpid());
	put(v[0], "Y", MSG_OOB);
	say("owner: %d", urgs);
	put(v[0], "abc", 0);
	say("data: %d", urgs);
	put(v[0], "abZ", MSG_OOB);
	say("again: %d", urgs);
	show_recv(v[1], 1, MSG_OOB);
	fcntl(v[1], F_SETOWN, 0);
	put(v[0], "T", MSG_OOB);
	say("none: %d owner %d", urgs, fcntl(v[1], F_GETOWN));
	pid = -getpgrp();
	setpgid(0, 0);
	pid = -getpgrp();
	say("ioctl %s", said(ioctl(v[1], SIOCSPGRP, &pid)));
	put(v[0], "U", MSG_OOB);
	say("group: %d", urgs);
	pid = 1;
	say("ioctl %s", said(ioctl(v[1], FIOGETOWN, &pid)));
	say("group is %d", pid == -getpgrp());
}

static int urgent_fd;
static char urgent_seen[64];

static void take_urgent(int sig)
{
	char c = '?';
	long r = recv(urgent_fd, &c, 1, MSG_OOB);
	size_t n = strlen(urgent_seen);

	(void)sig;
	if (n < sizeof(urgent_seen) - 2)
		urgent_seen[n] = r == 1 ? c : '-';
}

static void send_urgent(int fd)
{
	send(fd, "ab", 2, 0);
	nap(30);
	send(fd, "X", 1, MSG_OOB);
	nap(30);
	send(fd, "cd", 2, 0);
	nap(30);
	send(fd, "Y", 1, MSG_OOB);
	nap(30);
	send(fd, "ef", 2, 0);
}

/* The handler takes each byte while the program sleeps in recv(). */
static void sigurg_while_asleep(void)
{
	struct sigaction a = { .sa_handler = take_urgent, .sa_flags = SA_RESTART };
	char buf[16];
	pid_t pid;
	long r;
	int v[2];

	pair(v);
	urgent_fd = v[1];
	sigaction(SIGURG, &a, NULL);
	fcntl(v[1], F_SETOWN, getpid());
	pid = after(30, send_urgent, v[0]);
	for (int got = 0; got < 6;) {
		memset(buf, 0, sizeof(buf));
		r = recv(v[1], buf, sizeof(buf) - 1, 0);
		if (r <= 0)
			break;
		say("recv %s '%s' urgent '%s'", said(r), buf, urgent_seen);
		got += (int)r;
	}
	after_end(pid);
	say("urgent '%s'", urgent_seen);
	/* All of it at once: the call ends at the mark. */
	pid = after(30, send_urgent, v[0]);
	memset(buf, 0, sizeof(buf));
	r = recv(v[1], buf, 6, MSG_WAITALL);
	say("recv %s '%s'", said(r), buf);
	after_end(pid);
}

static void poll_pri(int fd)
{
	send(fd, "ab", 2, 0);
	nap(40);
	send(fd, "X", 1, MSG_OOB);
}

static void waits(void)
{
	struct epoll_event e = { .events = EPOLLPRI };
	struct pollfd p = { 0, POLLPRI, 0 };
	struct timeval t = { 5, 0 };
	int ep = epoll_create1(0), v[2];
	fd_set x;
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		pair(v);
		pid = after(20, poll_pri, v[0]);
		p.fd = v[1];
		FD_ZERO(&x);
		FD_SET(v[1], &x);
		epoll_ctl(ep, EPOLL_CTL_ADD, v[1], &e);
		if (i == 0)
			say("poll %s", said(poll(&p, 1, 5000)));
		else if (i == 1)
			say("select %s", said(select(v[1] + 1, NULL, NULL, &x, &t)));
		else
			say("epoll_wait %s", said(epoll_wait(ep, &e, 1, 5000)));
		show_poll(v[1]);
		after_end(pid);
		close(v[1]);
		close(v[0]);
	}
}

static unsigned long state;

static unsigned rnd(unsigned n)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(state >> 33) % n;
}

static void random_send(int fd)
{
	static unsigned char next;
	char buf[64];
	size_t n = 1 + rnd(rnd(4) ? 3 : 40);
	int flags = rnd(3) == 0 ? MSG_OOB : 0;

	for (size_t i = 0; i < n; i++)
		buf[i] = (char)('!' + next++ % 90);
	say("send %zu flags %x: %s", n, (unsigned)flags, said(send(fd, buf, n, flags)));
}

static void random_recv(int fd)
{
	static const int flags[] = { 0, 0, 0, MSG_PEEK, MSG_OOB, MSG_OOB | MSG_PEEK, MSG_WAITALL,
				     MSG_TRUNC, MSG_PEEK | MSG_WAITALL, MSG_OOB | MSG_TRUNC };
	char buf[2][64] = { { 0 } };
	size_t n = rnd(4) ? 1 + rnd(6) : rnd(60);
	struct iovec iov[2] = { { buf[0], n / 2 }, { buf[1], n - n / 2 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	int f = flags[rnd(sizeof(flags) / sizeof(flags[0]))];
	long r;

	if (rnd(4) == 0) {
		r = recvmsg(fd, &m, f | MSG_DONTWAIT);
		say("recvmsg %zu flags %x: %s %x '%s%s'", n, (unsigned)f, said(r),
		    (unsigned)m.msg_flags, buf[0], buf[1]);
		return;
	}
	r = recv(fd, buf[0], n, f | MSG_DONTWAIT);
	say("recv %zu flags %x: %s '%s'", n, (unsigned)f, said(r), buf[0]);
}

/* One sequence for each seed, which is taken from the environment. */
static void random_ones(void)
{
	const char *seed = getenv("SEED");
	int epoll[3], v[2], on = 0, count;
	struct epoll_event e = { .events = 0 };

	state = seed ? strtoul(seed, NULL, 10) : 1;
	for (unsigned k = 0; k < 40; k++) {
		pair(v);
		on = rnd(6) == 0;
		setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
		for (int i = 0; i < 3; i++) {
			epoll[i] = epoll_create1(0);
			e.events = (uint32_t)(i == 0 ? EPOLLIN | EPOLLPRI :
					      i == 1 ? EPOLLPRI : EPOLLIN | EPOLLPRI | EPOLLET);
			epoll_ctl(epoll[i], EPOLL_CTL_ADD, v[1], &e);
		}
		count = 5 + (int)rnd(40);
		for (int i = 0; i < count; i++) {
			switch (rnd(9)) {
			case 0: case 1: case 2:
				random_send(v[0]);
				break;
			case 3: case 4: case 5:
				random_recv(v[1]);
				break;
			case 6:
				show_epoll(epoll[rnd(3)]);
				break;
			case 7:
				on = (int)rnd(2);
				if (rnd(4) == 0 &&
				    setsockopt(v[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0)
					say("inline %d", on);
				break;
			default:
				if (rnd(20) == 0)
					say("shutdown %s", said(shutdown(v[0], SHUT_WR)));
				break;
			}
			show_poll(v[1]);
		}
		say("--");
		for (int i = 0; i < 3; i++)
			close(epoll[i]);
		close(v[1]);
		show_poll(v[0]);
		close(v[0]);
	}
}

const struct test urgent_tests[] = {
	{ "urgent_random", random_ones },
	{ "urgent_basics", basics },
	{ "urgent_unread_byte_is_lost", unread_byte_is_lost },
	{ "urgent_replaced", replaced },
	{ "urgent_peeks", peeks },
	{ "urgent_inlined", inlined },
	{ "urgent_inherited", inherited },
	{ "urgent_before_accept", before_accept },
	{ "urgent_errors", errors },
	{ "urgent_reset", reset },
	{ "urgent_unread_at_close", unread_at_close },
	{ "urgent_messages", messages },
	{ "urgent_lowat", lowat },
	{ "urgent_epolls", epolls },
	{ "urgent_sigurg", sigurg },
	{ "urgent_sigurg_while_asleep", sigurg_while_asleep },
	{ "urgent_waits", waits },
	{ NULL, NULL },
};
