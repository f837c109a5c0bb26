/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.c - Options about how much, how little and who; what pieces and pipes do; and
 * TCP_INFO's figures.
 */
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "waiting.h"

/* Not in each libc's headers. */
#define BUF_LOCK 72     /* SO_BUF_LOCK */
#define BUF_LOCK_SEND 1 /* SOCK_SNDBUF_LOCK */

static void set(int fd, int level, int option, int v)
{
	MUST(setsockopt(fd, level, option, &v, sizeof(v)) == 0);
}

static int get(int fd, int level, int option)
{
	int v = -1;
	socklen_t len = sizeof(v);

	MUST(getsockopt(fd, level, option, &v, &len) == 0);
	return v;
}

static int count(int fd, unsigned long request)
{
	int n = -1;

	MUST(ioctl(fd, request, &n) == 0);
	return n;
}

static const char *polled(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? "?" : bits((uint32_t)p.revents);
}

/* What is written before anything is read. */
static size_t taken(int fd)
{
	static const char zeros[65536];
	size_t total = 0;
	ssize_t n;

	for (int pass = 0; pass < 4; pass++, nap(5))
		while ((n = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
			total += (size_t)n;
	return total;
}

/* As pair(), with a receive buffer of @rcvbuf. */
static void pair_with(int *a, int *b, int rcvbuf)
{
	struct sockaddr_in at;
	int l;

	listen_at(&l, &at);
	set(l, SOL_SOCKET, SO_RCVBUF, rcvbuf);
	*a = client(&at);
	*b = accept(l, NULL, NULL);
	MUST(*b >= 0);
	close(l);
}

static void buffers(void)
{
	size_t small, large;
	int a, b;

	pair(&a, &b);
	set(a, SOL_SOCKET, SO_SNDBUF, 20000);
	set(b, SOL_SOCKET, SO_RCVBUF, 10000);
	say("%d %d", get(a, SOL_SOCKET, SO_SNDBUF), get(b, SOL_SOCKET, SO_RCVBUF));
	set(b, SOL_SOCKET, SO_RCVBUF, 1);
	set(b, SOL_SOCKET, SO_SNDBUF, 1);
	say("least %d %d", get(b, SOL_SOCKET, SO_SNDBUF), get(b, SOL_SOCKET, SO_RCVBUF));
	set(b, SOL_SOCKET, SO_RCVBUF, 1 << 30);
	set(b, SOL_SOCKET, SO_SNDBUF, 1 << 30);
	say("most %d %d", get(b, SOL_SOCKET, SO_SNDBUF), get(b, SOL_SOCKET, SO_RCVBUF));
	said("forced", setsockopt(b, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 9000000 }, sizeof(int)));
	said("forced", setsockopt(b, SOL_SOCKET, SO_SNDBUFFORCE, &(int){ 9000000 }, sizeof(int)));
	say("forced %d %d", get(b, SOL_SOCKET, SO_SNDBUF), get(b, SOL_SOCKET, SO_RCVBUF));
	pair_with(&a, &b, 8192);
	set(a, SOL_SOCKET, SO_SNDBUF, 8192);
	say("inherited %d", get(b, SOL_SOCKET, SO_RCVBUF));
	small = taken(a);
	said("fits", small > 0 && small < 200000);
	say("%s", polled(a, POLLOUT));
	said("unacknowledged", count(a, SIOCOUTQ) > 0);
	/* One of them set. */
	pair_with(&a, &b, 8192);
	said("the sender's grows", taken(a) > 2300000);
	pair(&a, &b);
	set(a, SOL_SOCKET, SO_SNDBUF, 8192);
	said("the receiver's does not", taken(a) < 300000);
	/* Not set, both grow. */
	pair(&a, &b);
	large = taken(a);
	said("grown", large > 2000000 && large > 10 * small);
	said("unacknowledged", count(a, SIOCOUTQ) > 0);
	said("read", drop(b) > 50000);
}

/* What fits, where a buffer may not grow by itself. @when: 0: never; 1: before
 * the connection is there; 2: after; 3: and not any more. */
static void locked(const char *what, int when)
{
	struct sockaddr_in at;
	int a, b, l;

	listen_at(&l, &at);
	a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(a >= 0);
	if (when == 1 || when == 3)
		set(a, SOL_SOCKET, BUF_LOCK, BUF_LOCK_SEND);
	MUST(connect(a, (struct sockaddr *)&at, sizeof(at)) == 0);
	b = accept(l, NULL, NULL);
	if (when == 2)
		set(a, SOL_SOCKET, BUF_LOCK, BUF_LOCK_SEND);
	if (when == 3)
		set(a, SOL_SOCKET, BUF_LOCK, 0);
	said(what, get(a, SOL_SOCKET, BUF_LOCK));
	said("fits little", taken(a) < 300000);
	close(a);
	close(b);
	close(l);
}

static void buf_lock(void)
{
	struct sockaddr_in at;
	int a, b, l;

	locked("not locked", 0);
	locked("locked", 1);
	locked("locked late", 2);
	listen_at(&l, &at);
	set(l, SOL_SOCKET, BUF_LOCK, BUF_LOCK_SEND);
	a = client(&at);
	b = accept(l, NULL, NULL);
	said("inherited", get(b, SOL_SOCKET, BUF_LOCK));
	said("fits little", taken(b) < 300000);
	said("size", get(b, SOL_SOCKET, SO_SNDBUF));
	said("is set", setsockopt(b, SOL_SOCKET, SO_SNDBUF, &(int){ 9000 }, sizeof(int)));
	said("unlocked", setsockopt(b, SOL_SOCKET, BUF_LOCK, &(int){ 0 }, sizeof(int)));
	said("size", get(b, SOL_SOCKET, SO_SNDBUF));
	said("no such lock", setsockopt(b, SOL_SOCKET, BUF_LOCK, &(int){ 4 }, sizeof(int)));
	close(a);
}

static void window_clamp(void)
{
	struct sockaddr_in at;
	int a, b, l;

	listen_at(&l, &at);
	set(l, IPPROTO_TCP, TCP_WINDOW_CLAMP, 16384);
	a = client(&at);
	b = accept(l, NULL, NULL);
	said("value", get(b, IPPROTO_TCP, TCP_WINDOW_CLAMP));
	set(a, SOL_SOCKET, SO_SNDBUF, 8192);
	said("fits", taken(a) < 200000);
	said("unacknowledged", count(a, SIOCOUTQ) > 0);
}

static void notsent_lowat(void)
{
	int a, b;

	pair_with(&a, &b, 16384);
	set(a, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4096);
	said("value", get(a, IPPROTO_TCP, TCP_NOTSENT_LOWAT));
	say("%s", polled(a, POLLOUT));
	said("fits", taken(a) < 200000);
	say("%s", polled(a, POLLOUT));
	said("unsent", count(a, SIOCOUTQNSD) > 0);
	for (int i = 0; i < 100; i++, nap(2))
		drop(b);
	say("%s", polled(a, POLLOUT));
	set(a, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0);
	said("more fits", taken(a) > 300000);
}

static void rcvlowat(void)
{
	char buf[8];
	int a, b, ep = set_make();

	pair(&a, &b);
	set(b, SOL_SOCKET, SO_RCVLOWAT, 4);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1) == 0);
	put(a, "abc");
	nap(20);
	say("%s", polled(b, POLLIN));
	set_say("set", ep, 0);
	said("recv, none waiting", recv(b, buf, 8, MSG_DONTWAIT));
	put(a, "abc");
	nap(20);
	put(a, "de");
	nap(20);
	say("%s", polled(b, POLLIN));
	set_say("set", ep, 0);
	said("recv", recv(b, buf, 8, 0));
	put(a, "x");
	nap(20);
	shutdown(a, SHUT_WR);
	nap(20);
	say("%s", polled(b, POLLIN));
	said("recv", recv(b, buf, 8, 0));
}

/* bind() chooses the address, connect() the port. */
static void no_port(void)
{
	struct sockaddr_in at, own = { .sin_family = AF_INET }, peer = own;
	socklen_t len = sizeof(own);
	int a, b, l;

	listen_at(&l, &at);
	a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set(a, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	inet_pton(AF_INET, "127.0.0.9", &own.sin_addr);
	said("bind", bind(a, (struct sockaddr *)&own, len));
	MUST(getsockname(a, (struct sockaddr *)&own, &len) == 0);
	say("%s, port %d", inet_ntoa(own.sin_addr), ntohs(own.sin_port));
	said("connect", connect(a, (struct sockaddr *)&at, sizeof(at)));
	MUST(getsockname(a, (struct sockaddr *)&own, &len) == 0);
	say("%s, a port: %d", inet_ntoa(own.sin_addr), own.sin_port != 0);
	b = accept(l, (struct sockaddr *)&peer, &len);
	say("accepted from %s, that port: %d", inet_ntoa(peer.sin_addr),
	    peer.sin_port == own.sin_port);
	close(a);
	close(b);
	a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set(a, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	own.sin_port = 0;
	said("bind", bind(a, (struct sockaddr *)&own, len));
	said("listen", listen(a, 1));
	MUST(getsockname(a, (struct sockaddr *)&own, &len) == 0);
	say("%s, a port: %d", inet_ntoa(own.sin_addr), own.sin_port != 0);
	b = client(&own);
	close(b);
	close(a);
	close(l);
}

/* An address that nobody has, yet. */
static void freebind(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	int a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "192.0.2.99", &own.sin_addr);
	said("bind", bind(a, (struct sockaddr *)&own, sizeof(own)));
	set(a, IPPROTO_IP, IP_FREEBIND, 1);
	said("bind freely", bind(a, (struct sockaddr *)&own, sizeof(own)));
	said("listen", listen(a, 1));
	close(a);
}

/* What it was limited to, less what a timestamp takes. */
static void maxseg(void)
{
	struct sockaddr_in at;
	struct tcp_info t;
	socklen_t len = sizeof(t);
	int a, b, l;

	listen_at(&l, &at);
	a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set(a, IPPROTO_TCP, TCP_MAXSEG, 1000);
	said("fresh", get(a, IPPROTO_TCP, TCP_MAXSEG));
	MUST(connect(a, (struct sockaddr *)&at, sizeof(at)) == 0);
	b = accept(l, NULL, NULL);
	said("connected", get(a, IPPROTO_TCP, TCP_MAXSEG));
	MUST(getsockopt(a, IPPROTO_TCP, TCP_INFO, &t, &len) == 0);
	said("info", t.tcpi_snd_mss);
	close(a);
	close(b);
	set(l, IPPROTO_TCP, TCP_MAXSEG, 2000);
	a = client(&at);
	b = accept(l, NULL, NULL);
	said("accepted", get(b, IPPROTO_TCP, TCP_MAXSEG));
	set(b, IPPROTO_TCP, TCP_MAXSEG, 3000);
	said("set late", get(b, IPPROTO_TCP, TCP_MAXSEG));
	close(a);
	close(b);
	close(l);
}

static void reuse(void)
{
	struct sockaddr_in at;
	int l, m, n, a[8], got = 0;

	listen_at(&l, &at);
	m = socket(AF_INET, SOCK_STREAM, 0);
	said("bind, taken", bind(m, (struct sockaddr *)&at, sizeof(at)));
	set(m, SOL_SOCKET, SO_REUSEADDR, 1);
	said("bind, listening", bind(m, (struct sockaddr *)&at, sizeof(at)));
	close(l);
	said("bind, closed", bind(m, (struct sockaddr *)&at, sizeof(at)));
	said("listen", listen(m, 4));
	a[0] = client(&at);
	n = accept(m, NULL, NULL);
	close(n); /* this side keeps the port for a while */
	drop(a[0]);
	close(a[0]);
	close(m);
	l = socket(AF_INET, SOCK_STREAM, 0);
	set(l, SOL_SOCKET, SO_REUSEADDR, 1);
	said("bind after", bind(l, (struct sockaddr *)&at, sizeof(at)));
	close(l);
	l = socket(AF_INET, SOCK_STREAM, 0);
	m = socket(AF_INET, SOCK_STREAM, 0);
	at.sin_port = 0;
	set(l, SOL_SOCKET, SO_REUSEPORT, 1);
	MUST(bind(l, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(l, 16) == 0);
	MUST(getsockname(l, (struct sockaddr *)&at, &(socklen_t){ sizeof(at) }) == 0);
	said("one of them", bind(m, (struct sockaddr *)&at, sizeof(at)));
	set(m, SOL_SOCKET, SO_REUSEPORT, 1);
	said("both", bind(m, (struct sockaddr *)&at, sizeof(at)));
	said("listen", listen(m, 16));
	for (int i = 0; i < 8; i++)
		a[i] = client(&at);
	unblock(l);
	unblock(m);
	for (int i = 0; i < 20; i++, nap(5)) {
		got += accept(l, NULL, NULL) >= 0;
		got += accept(m, NULL, NULL) >= 0;
	}
	say("accepted by either: %d", got);
}

static void said_inherited(const char *what, int level, int option, int v)
{
	struct sockaddr_in at;
	int l, s, r;

	listen_at(&l, &at);
	r = setsockopt(l, level, option, &v, sizeof(v));
	said(what, r);
	client(&at);
	s = accept(l, NULL, NULL);
	MUST(s >= 0);
	say(" %d, accepted with %d", get(l, level, option), get(s, level, option));
	close(s);
	close(l);
}

static void inherited(void)
{
	char name[16] = "reno";
	socklen_t len = sizeof(name);
	struct sockaddr_in at;
	int l, s;

	said_inherited("SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1);
	said_inherited("TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 77);
	said_inherited("TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 7);
	said_inherited("TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 3);
	said_inherited("SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, 5);
	said_inherited("SO_MARK", SOL_SOCKET, SO_MARK, 9);
	said_inherited("SO_BUSY_POLL", SOL_SOCKET, SO_BUSY_POLL, 50);
	said_inherited("TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1);
	said_inherited("TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 3);
	said_inherited("TCP_SYNCNT, too many", IPPROTO_TCP, TCP_SYNCNT, 128);
	said_inherited("TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, 11);
	said_inherited("TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	said_inherited("TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT, 5000);
	said_inherited("SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, 3);
	said_inherited("SO_ZEROCOPY", SOL_SOCKET, SO_ZEROCOPY, 1);
	said_inherited("TCP_INQ", IPPROTO_TCP, TCP_INQ, 1);
	listen_at(&l, &at);
	said("TCP_CONGESTION", setsockopt(l, IPPROTO_TCP, TCP_CONGESTION, name, 4));
	client(&at);
	s = accept(l, NULL, NULL);
	MUST(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &len) == 0);
	say(" accepted with %s", name);
	said("no such", setsockopt(l, IPPROTO_TCP, TCP_CONGESTION, "mortise", 7));
}

/* A busy one still says when data came, sleeping or not. */
static void *sends_late(void *arg)
{
	nap(60);
	put(*(int *)arg, "x");
	return NULL;
}

static void others(void)
{
	struct sockaddr_in at;
	char name[16] = "", buf[16];
	socklen_t len = sizeof(name);
	unsigned long cookie[3];
	int a, b, c, l, one = 1;
	pthread_t t;

	pair(&a, &b);
	set(b, SOL_SOCKET, SO_BUSY_POLL, 200);
	t = started(sends_late, &a);
	said("busy recv", recv(b, buf, 1, 0));
	ended("sender", t);
	c = get(b, SOL_SOCKET, SO_INCOMING_CPU);
	said("incoming cpu", c >= 0 && c < (int)sysconf(_SC_NPROCESSORS_CONF));
	for (int i = 0; i < 3; i++) {
		len = sizeof(cookie[0]);
		MUST(getsockopt(i == 2 ? dup(a) : i ? b : a, SOL_SOCKET, SO_COOKIE, &cookie[i], &len) == 0);
	}
	say("cookies: %d %d %d", cookie[0] != 0, cookie[0] != cookie[1], cookie[0] == cookie[2]);
	c = socket(AF_INET, SOCK_STREAM, 0);
	said("no such device", setsockopt(c, SOL_SOCKET, SO_BINDTODEVICE, "mortise9", 9));
	said("lo", setsockopt(c, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	len = sizeof(name);
	MUST(getsockopt(c, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0);
	say("%s", name);
	listen_at(&l, &at);
	said("connect", connect(c, (struct sockaddr *)&at, sizeof(at)));
	said("accept", accept(l, NULL, NULL) >= 0);
	/* Corked bytes are there when the cork is drawn. */
	pair(&a, &b);
	set(a, IPPROTO_TCP, TCP_CORK, 1);
	put(a, "abc");
	said("more", send(a, "def", 3, MSG_MORE));
	set(a, IPPROTO_TCP, TCP_CORK, 0);
	nap(20);
	said("uncorked", recv(b, buf, sizeof(buf), MSG_DONTWAIT));
	said("quickack", setsockopt(b, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one)));
	c = socket(AF_INET, SOCK_STREAM, 0);
	said("maxseg", setsockopt(c, IPPROTO_TCP, TCP_MAXSEG, &(int){ 1000 }, sizeof(int)));
	said("maxseg, tiny", setsockopt(c, IPPROTO_TCP, TCP_MAXSEG, &(int){ 7 }, sizeof(int)));
}

/* -------------------------------------------------------- pieces and pipes */

static volatile int minus_one = -1;
static void *volatile nowhere = (void *)16;

static void pieces(void)
{
	static struct iovec iov[1025];
	static char bytes[1025], got[1025];
	struct iovec bad[3] = { { got, 3 }, { nowhere, 3 }, { got + 6, 3 } };
	struct msghdr m = { .msg_iov = bad, .msg_iovlen = 2 };
	int a, b;

	pair(&a, &b);
	for (int i = 0; i < 1025; i++)
		iov[i] = (struct iovec){ bytes + i, 1 };
	said("writev 1025", writev(a, iov, 1025));
	said("writev -1", writev(a, iov, minus_one));
	said("writev 0", writev(a, iov, 0));
	said("writev 1024", writev(a, iov, 1024));
	nap(5);
	for (int i = 0; i < 1025; i++)
		iov[i] = (struct iovec){ got + i, 1 };
	said("readv 1025", readv(b, iov, 1025));
	said("readv 0", readv(b, iov, 0));
	said("readv 1024", readv(b, iov, 1024));
	iov[1] = (struct iovec){ got, (size_t)-1 };
	said("too long", readv(b, iov, 2));
	iov[0].iov_len = iov[1].iov_len = 0;
	said("send nothing", send(a, "", 0, 0));
	said("pieces of nothing", writev(a, iov, 2));
	put(a, "x");
	nap(5);
	said("into nothing", recv(b, got, 0, 0));
	said("into pieces of nothing", readv(b, iov, 2));
	said("the byte", recv(b, got, 2, 0));
	said("nothing there", recv(b, got, 0, MSG_DONTWAIT));
	/* A bad piece: what was good before it is not lost. */
	put(a, "abcdef");
	nap(5);
	said("readv, bad second", readv(b, bad, 2));
	said("recvmsg, bad second", recvmsg(b, &m, 0));
	said("not reached", readv(b, bad, 1));
	said("the rest", (long)drop(b));
	put(a, "abc");
	nap(5);
	said("just not reached", readv(b, bad, 3));
	put(a, "abc");
	nap(5);
	put(a, "defghi");
	nap(5);
	said("bad between", readv(b, bad, 3));
	bad[1] = (struct iovec){ got + 3, 3 };
	said("all good", readv(b, bad, 3));
	say("%.9s", got);
	put(a, "klm");
	nap(5);
	bad[0].iov_base = nowhere;
	said("bad first", readv(b, bad, 2));
	said("the rest", (long)drop(b));
	bad[0] = (struct iovec){ got, 3 };
	bad[1].iov_base = nowhere;
	said("writev, bad second", writev(a, bad, 2));
	nap(5);
	said("arrived", (long)drop(b));
}

static void pipes(void)
{
	char buf[64] = "", path[] = "/tmp/mortise-limits-XXXXXX";
	struct iovec iov = { (char *)"vmspliced", 9 };
	int a, b, p[2], q[2], f = mkstemp(path);
	off_t at = 2;

	MUST(f >= 0 && unlink(path) == 0);
	MUST(write(f, "0123456789", 10) == 10);
	MUST(pipe(p) == 0 && pipe(q) == 0);
	pair(&a, &b);
	said("vmsplice", vmsplice(p[1], &iov, 1, 0));
	said("tee", tee(p[0], q[1], 64, 0));
	said("splice", splice(p[0], NULL, a, NULL, 64, 0));
	said("splice", splice(q[0], NULL, a, NULL, 4, SPLICE_F_MOVE));
	said("recv", recv(b, buf, 13, MSG_WAITALL));
	say("%.13s", buf);
	put(a, "into the pipe");
	nap(5);
	said("splice", splice(b, NULL, p[1], NULL, 8, 0));
	said("splice", splice(b, NULL, p[1], NULL, 64, 0));
	unblock(b);
	said("splice, none", splice(b, NULL, p[1], NULL, 64, 0));
	MUST(fcntl(b, F_SETFL, 0) == 0);
	said("splice, none in the pipe", splice(q[0], NULL, a, NULL, 64, SPLICE_F_NONBLOCK) == 5);
	said("splice, none in the pipe", splice(q[0], NULL, a, NULL, 64, SPLICE_F_NONBLOCK));
	said("recv", recv(b, buf, 5, MSG_WAITALL));
	said("read", read(p[0], buf, sizeof(buf)));
	say("%.13s", buf);
	said("offset", splice(b, &at, p[1], NULL, 1, 0));
	said("tee", tee(b, p[1], 1, 0));
	said("vmsplice", vmsplice(a, &iov, 1, 0));
	said("no pipe", splice(a, NULL, b, NULL, 1, 0));
	said("nothing", splice(b, NULL, p[1], NULL, 0, 0));
	/* A socket that does not block, and is full: the pipe keeps it. */
	MUST(write(q[1], "kept", 4) == 4);
	taken(a);
	unblock(a);
	said("splice, full", splice(q[0], NULL, a, NULL, 4, 0));
	MUST(fcntl(a, F_SETFL, 0) == 0);
	said("kept", read(q[0], buf, 4));
	for (int i = 0; i < 200 && count(a, SIOCOUTQ) > 0; i++, nap(2))
		drop(b);
	drop(b);
	said("sendfile", sendfile(a, f, &at, 3));
	said("offset", at);
	MUST(lseek(f, 7, SEEK_SET) == 7);
	said("sendfile", sendfile(a, f, NULL, 100));
	said("position", lseek(f, 0, SEEK_CUR));
	said("recv", recv(b, buf, 6, MSG_WAITALL));
	say("%.6s", buf);
	MUST(lseek(f, 0, SEEK_SET) == 0);
	said("sendfile, nothing", sendfile(a, f, NULL, 0));
	put(a, "socket to pipe");
	nap(5);
	said("sendfile, from a socket", sendfile(p[1], b, NULL, 100));
	said("read", read(p[0], buf, sizeof(buf)));
	said("sendfile, with an offset", sendfile(p[1], b, &at, 1));
	said("sendfile, socket to socket", sendfile(a, b, NULL, 1));
	said("sendfile, socket to file", sendfile(f, b, NULL, 1));
	said("sendfile, offset nowhere", sendfile(a, f, nowhere, 1));
	MUST(write(q[1], "rest", 4) == 4);
	said("sendfile, from a pipe", sendfile(a, q[0], NULL, 1));
	shutdown(a, SHUT_WR);
	said("sendfile, shut", sendfile(a, f, NULL, 1));
	said("splice, shut", splice(q[0], NULL, a, NULL, 1, 0));
	said("splice, end", splice(b, NULL, p[1], NULL, 1, 0));
}

/* ------------------------------------------------------------------ TCP_INFO */

static void info(struct tcp_info *t, int fd)
{
	socklen_t len = sizeof(*t);

	memset(t, 0, sizeof(*t));
	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, t, &len) == 0);
}

static void say_info(const char *what, int fd)
{
	struct tcp_info t;

	info(&t, fd);
	say("%s: state %u ca %u retransmits %u probes %u backoff %u", what, t.tcpi_state,
	    t.tcpi_ca_state, t.tcpi_retransmits, t.tcpi_probes, t.tcpi_backoff);
	say(" options %#x wscale %d %d", t.tcpi_options, t.tcpi_snd_wscale > 0, t.tcpi_rcv_wscale > 0);
	say(" lost %u retrans %u sacked %u fackets %u", t.tcpi_lost, t.tcpi_retrans, t.tcpi_sacked,
	    t.tcpi_fackets);
	say(" rto %d rtt %d min %d pmtu %u", t.tcpi_rto >= 200000, t.tcpi_rtt > 0 && t.tcpi_rtt < 100000,
	    t.tcpi_min_rtt < 100000, t.tcpi_pmtu);
	say(" sent %llu received %llu retransmitted %llu not sent %d", (unsigned long long)t.tcpi_bytes_sent,
	    (unsigned long long)t.tcpi_bytes_received, (unsigned long long)t.tcpi_bytes_retrans,
	    t.tcpi_notsent_bytes > 0);
	say(" total %u dsack %u reordered %u out of order %u ce %u", t.tcpi_total_retrans,
	    t.tcpi_dsack_dups, t.tcpi_reord_seen, t.tcpi_rcv_ooopack, t.tcpi_delivered_ce);
	say(" acked all %d, segments %d %d", t.tcpi_bytes_acked - t.tcpi_bytes_sent <= 1,
	    t.tcpi_data_segs_out > 0, t.tcpi_data_segs_in > 0);
	say(" window %d %d", t.tcpi_snd_cwnd > 0, t.tcpi_snd_wnd > 0);
}

static void info_fields(void)
{
	struct tcp_info t;
	struct sockaddr_in at;
	uint64_t was;
	int a, b, l;

	pair(&a, &b);
	for (int i = 0; i < 5; i++) {
		put(a, "question");
		drop(b);
		nap(5);
		put(b, "an answer");
		nap(5);
		drop(a);
	}
	nap(60);
	say_info("client", a);
	say_info("server", b);
	nap(120);
	info(&t, a);
	say("idle: sent %d received %d", t.tcpi_last_data_sent >= 100, t.tcpi_last_data_recv >= 100);
	put(a, "x");
	nap(20);
	info(&t, a);
	say("sent just now %d", t.tcpi_last_data_sent < 100);
	info(&t, b);
	say("received just now %d", t.tcpi_last_data_recv < 100);
	taken(a);
	info(&t, a);
	say("full: not sent %d, sent %d", t.tcpi_notsent_bytes > 1000000, t.tcpi_bytes_sent > 50000);
	nap(50);
	was = t.tcpi_rwnd_limited;
	info(&t, a);
	say("limited: by the window %d, longer %d, busy %d, not by its buffer %d", t.tcpi_rwnd_limited > 0,
	    t.tcpi_rwnd_limited > was, t.tcpi_busy_time >= t.tcpi_rwnd_limited,
	    t.tcpi_sndbuf_limited < t.tcpi_rwnd_limited);
	say("rate %d", t.tcpi_delivery_rate > 0);
	was = t.tcpi_delivery_rate;
	drop(b);
	nap(5);
	info(&t, a);
	say("read: limited %d, rate %d, another %d", t.tcpi_rwnd_limited > 0, t.tcpi_delivery_rate > 0,
	    t.tcpi_delivery_rate != was);
	was = t.tcpi_rwnd_limited;
	nap(30);
	info(&t, a);
	say("no longer limited %d", t.tcpi_rwnd_limited == was);
	listen_at(&l, &at);
	client(&at);
	client(&at);
	nap(5);
	info(&t, l);
	say("listener: state %u, %u of %u", t.tcpi_state, t.tcpi_unacked, t.tcpi_sacked);
	info(&t, socket(AF_INET, SOCK_STREAM, 0));
	say("fresh: state %u", t.tcpi_state);
}

const struct test limit_tests[] = {
	{ "buffers", buffers },
	{ "buf_lock", buf_lock },
	{ "window_clamp", window_clamp },
	{ "notsent_lowat", notsent_lowat },
	{ "rcvlowat", rcvlowat },
	{ "reuse", reuse },
	{ "no_port", no_port },
	{ "freebind", freebind },
	{ "maxseg", maxseg },
	{ "inherited", inherited },
	{ "others", others },
	{ "pieces", pieces },
	{ "pipes", pipes },
	{ "info_fields", info_fields },
	{ NULL, NULL },
};
