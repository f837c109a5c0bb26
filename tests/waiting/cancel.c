/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cancel.c - pthread_cancel(), deferred and asynchronous, at each cancellation
 * point: while it sleeps, and pending when it is called.
 */
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "waiting.h"

/** struct site - One call at which a thread is cancelled. */
struct site {
	const char *name;
	enum { READS, WRITES, ACCEPTS, NEVER_SLEEPS } kind;
	long (*call)(int fd, int ep);
};

static char big[24 << 20]; /* more than either side takes unread */
static int file_fd;

static long do_read(int fd, int ep)
{
	char b[8];
	(void)ep;
	return read(fd, b, sizeof(b));
}
static long do_readv(int fd, int ep)
{
	char b[8];
	(void)ep;
	b[0] = 0;
	return readv(fd, &(struct iovec){ b, sizeof(b) }, 1);
}
static long do_recv(int fd, int ep)
{
	char b[8];
	(void)ep;
	return recv(fd, b, sizeof(b), 0);
}
static long do_recv_all(int fd, int ep)
{
	char b[64];
	(void)ep;
	return recv(fd, b, sizeof(b), MSG_WAITALL);
}
static long do_recvfrom(int fd, int ep)
{
	char b[8];
	(void)ep;
	return recvfrom(fd, b, sizeof(b), 0, NULL, NULL);
}
static long do_recvmsg(int fd, int ep)
{
	char b[8];
	struct iovec v = { b, sizeof(b) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	(void)ep;
	return recvmsg(fd, &m, 0);
}
static long do_recvmmsg(int fd, int ep)
{
	char b[8];
	struct iovec v = { b, sizeof(b) };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
	(void)ep;
	return recvmmsg(fd, &m, 1, 0, NULL);
}
static long do_poll(int fd, int ep)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	(void)ep;
	return poll(&p, 1, 3000);
}
static long do_ppoll(int fd, int ep)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	(void)ep;
	return ppoll(&p, 1, &(struct timespec){ 3, 0 }, NULL);
}
static long do_select(int fd, int ep)
{
	fd_set in;
	(void)ep;
	FD_ZERO(&in);
	FD_SET(fd, &in);
	return select(fd + 1, &in, NULL, NULL, &(struct timeval){ 3, 0 });
}
static long do_pselect(int fd, int ep)
{
	fd_set in;
	(void)ep;
	FD_ZERO(&in);
	FD_SET(fd, &in);
	return pselect(fd + 1, &in, NULL, NULL, &(struct timespec){ 3, 0 }, NULL);
}
static long do_wait(int fd, int ep)
{
	struct epoll_event ev;
	(void)fd;
	return epoll_wait(ep, &ev, 1, 3000);
}
static long do_pwait(int fd, int ep)
{
	struct epoll_event ev;
	sigset_t none;
	(void)fd;
	sigemptyset(&none);
	return epoll_pwait(ep, &ev, 1, 3000, &none);
}
static long do_pwait2(int fd, int ep)
{
	struct epoll_event ev;
	(void)fd;
	return epoll_pwait2(ep, &ev, 1, &(struct timespec){ 3, 0 }, NULL);
}
static long do_write(int fd, int ep)
{
	(void)ep;
	return write(fd, big, sizeof(big));
}
static long do_writev(int fd, int ep)
{
	(void)ep;
	return writev(fd, &(struct iovec){ big, sizeof(big) }, 1);
}
static long do_send(int fd, int ep)
{
	(void)ep;
	return send(fd, big, sizeof(big), MSG_NOSIGNAL);
}
static long do_sendto(int fd, int ep)
{
	(void)ep;
	return sendto(fd, big, sizeof(big), MSG_NOSIGNAL, NULL, 0);
}
static long do_sendmsg(int fd, int ep)
{
	struct iovec v = { big, sizeof(big) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	(void)ep;
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}
static long do_sendmmsg(int fd, int ep)
{
	struct iovec v = { big, sizeof(big) };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
	(void)ep;
	return sendmmsg(fd, &m, 1, MSG_NOSIGNAL);
}
static long do_accept(int fd, int ep)
{
	(void)ep;
	return accept(fd, NULL, NULL);
}
static long do_accept4(int fd, int ep)
{
	(void)ep;
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC);
}
static long do_connect(int fd, int ep)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	(void)ep;
	return connect(fd, (struct sockaddr *)&at, sizeof(at));
}
static long do_close(int fd, int ep)
{
	(void)ep;
	return close(fd);
}
static long do_lock(int fd, int ep)
{
	struct flock l = { .l_type = F_RDLCK };
	(void)ep;
	return fcntl(fd, F_SETLKW, &l);
}
static long do_getfl(int fd, int ep)
{
	(void)ep;
	return fcntl(fd, F_GETFD);
}
static long do_sendfile(int fd, int ep)
{
	off_t at = 0;
	(void)ep;
	return sendfile(fd, file_fd, &at, 10);
}
static long do_shutdown(int fd, int ep)
{
	(void)ep;
	return shutdown(fd, SHUT_WR);
}
static long do_name(int fd, int ep)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	(void)ep;
	return getsockname(fd, (struct sockaddr *)&at, &len);
}

static const struct site sites[] = {
	{ "read", READS, do_read },
	{ "readv", READS, do_readv },
	{ "recv", READS, do_recv },
	{ "recv all", READS, do_recv_all },
	{ "recvfrom", READS, do_recvfrom },
	{ "recvmsg", READS, do_recvmsg },
	{ "recvmmsg", READS, do_recvmmsg },
	{ "poll", READS, do_poll },
	{ "ppoll", READS, do_ppoll },
	{ "select", READS, do_select },
	{ "pselect", READS, do_pselect },
	{ "epoll_wait", READS, do_wait },
	{ "epoll_pwait", READS, do_pwait },
	{ "epoll_pwait2", READS, do_pwait2 },
	{ "write", WRITES, do_write },
	{ "writev", WRITES, do_writev },
	{ "send", WRITES, do_send },
	{ "sendto", WRITES, do_sendto },
	{ "sendmsg", WRITES, do_sendmsg },
	{ "sendmmsg", WRITES, do_sendmmsg },
	{ "accept", ACCEPTS, do_accept },
	{ "accept4", ACCEPTS, do_accept4 },
	{ "connect", NEVER_SLEEPS, do_connect },
	{ "close", NEVER_SLEEPS, do_close },
	{ "fcntl F_SETLKW", NEVER_SLEEPS, do_lock },
	{ "fcntl F_GETFD", NEVER_SLEEPS, do_getfl },
	{ "sendfile", NEVER_SLEEPS, do_sendfile },
	{ "shutdown", NEVER_SLEEPS, do_shutdown },
	{ "getsockname", NEVER_SLEEPS, do_name },
};
#define SITES (sizeof(sites) / sizeof(sites[0]))

/** struct job - One thread at one site.
 * @mode: How it is cancelled.
 */
struct job {
	const struct site *site;
	enum { DEFERRED, ASYNC, PENDING, READY, DISABLED } mode;
	int fd, ep;
	_Atomic bool cleaned, go;
};

static void cleanup(void *arg)
{
	atomic_store(&((struct job *)arg)->cleaned, true);
}

static void *victim(void *arg)
{
	struct job *j = arg;
	long r = 0;
	int old;

	pthread_cleanup_push(cleanup, j);
	if (j->mode == ASYNC)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	if (j->mode == PENDING || j->mode == READY)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (j->mode == DISABLED)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	while ((j->mode == PENDING || j->mode == READY) && !atomic_load(&j->go))
		sched_yield();
	if (j->mode == PENDING || j->mode == READY)
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	r = j->site->call(j->fd, j->ep);
	if (j->mode == DISABLED)
		r = r < 0 ? -errno : 0;
	pthread_cleanup_pop(0);
	return (void *)(intptr_t)(r < 0 ? -2 : 7);
}

/* The socket is as good as before, in this thread and with this peer. */
static const char *usable(int fd, int peer)
{
	char buf[8];

	while (drop(peer) || drop(fd))
		nap(2);
	if (send(fd, "ping", 4, MSG_NOSIGNAL) != 4 || recv(peer, buf, 4, MSG_WAITALL) != 4)
		return "cannot send";
	if (send(peer, "pong", 4, MSG_NOSIGNAL) != 4 || recv(fd, buf, 4, MSG_WAITALL) != 4)
		return "cannot receive";
	close(fd);
	/* Nothing of the thread's keeps it open. */
	if (recv(peer, buf, 1, 0) != 0)
		return "no end";
	close(peer);
	return "usable";
}

static const char *listens(int l, const struct sockaddr_in *at)
{
	int c = client(at), s = accept(l, NULL, NULL);

	if (s < 0)
		return "cannot accept";
	close(l);
	nap(5);
	close(s);
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(c, (const struct sockaddr *)at, sizeof(*at)) == 0)
		return "still listens";
	close(c);
	return "usable";
}

static void cancel_one(const struct site *site, int mode)
{
	struct job j = { .site = site, .mode = mode };
	struct sockaddr_in at;
	int peer = -1;
	pthread_t t;
	void *r;

	if (site->kind == ACCEPTS)
		listen_at(&j.fd, &at);
	else
		pair(&j.fd, &peer);
	j.ep = set_make();
	MUST(set_ctl(j.ep, EPOLL_CTL_ADD, j.fd, EPOLLIN, 1) == 0);
	if (site->call == do_recv_all)
		put(peer, "some");
	if (mode == READY && site->kind == READS)
		put(peer, "0123456789012345678901234567890123456789012345678901234567890123");
	t = started(victim, &j);
	if (mode == DEFERRED || mode == ASYNC || mode == DISABLED)
		nap(30);
	said(site->name, pthread_cancel(t));
	nap(5);
	atomic_store(&j.go, true);
	if (mode == DISABLED) {
		nap(30);
		if (site->kind == READS)
			put(peer, "0123456789012345678901234567890123456789012345678901234567890123");
		if (site->kind == ACCEPTS)
			close(client(&at));
		for (int i = 0; site->kind == WRITES && i < 100; i++) {
			drop(peer);
			nap(5);
		}
	}
	r = ended(site->name, t);
	say("%s: %s, cleanup %d", site->name,
	    r == PTHREAD_CANCELED ? "cancelled" : r == (void *)7 ? "returned" : "failed",
	    atomic_load(&j.cleaned));
	close(j.ep);
	if (site->kind == ACCEPTS)
		say("%s: %s", site->name, listens(j.fd, &at));
	else if (site->kind != NEVER_SLEEPS)
		say("%s: %s", site->name, usable(j.fd, peer));
	else
		say("%s: open %d", site->name, fcntl(j.fd, F_GETFD) >= 0);
}

static void cancel_deferred(void)
{
	for (unsigned i = 0; i < SITES; i++)
		if (sites[i].kind != NEVER_SLEEPS)
			cancel_one(&sites[i], DEFERRED);
}

static void cancel_async(void)
{
	for (unsigned i = 0; i < SITES; i++)
		if (sites[i].kind != NEVER_SLEEPS)
			cancel_one(&sites[i], ASYNC);
}

/* Cancelled before it calls; it would sleep, or not. */
static void cancel_pending(void)
{
	file_fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < SITES; i++)
		cancel_one(&sites[i], PENDING);
}

static void cancel_ready(void)
{
	for (unsigned i = 0; i < SITES; i++)
		if (sites[i].kind != NEVER_SLEEPS)
			cancel_one(&sites[i], READY);
}

static void cancel_disabled(void)
{
	for (unsigned i = 0; i < SITES; i++)
		if (sites[i].kind != NEVER_SLEEPS)
			cancel_one(&sites[i], DISABLED);
}

static void *long_sendfile(void *arg)
{
	off_t at = 0;

	return (void *)(intptr_t)(sendfile(*(int *)arg, file_fd, &at, sizeof(big)) ==
				  (ssize_t)sizeof(big) ? 7 : 8);
}

/* sendfile() is no cancellation point, asleep or not. */
static void cancel_sendfile(void)
{
	int a, b, left = 200;
	pthread_t t;
	void *r;

	file_fd = memfd_create("big", MFD_CLOEXEC);
	MUST(file_fd >= 0 && ftruncate(file_fd, sizeof(big)) == 0);
	pair(&a, &b);
	t = started(long_sendfile, &a);
	nap(50);
	said("cancel", pthread_cancel(t));
	nap(50);
	for (size_t got = 0; got < sizeof(big) && left-- > 0;) {
		got += drop(b);
		nap(5);
	}
	r = ended("sendfile", t);
	say("sendfile: %s", r == PTHREAD_CANCELED ? "cancelled" : r == (void *)7 ? "all" : "part");
}

/* Asynchronously, at no particular point: the library stays whole. */
static _Atomic long turns;

static void *busy(void *arg)
{
	int *fds = arg, old;
	struct pollfd p[2] = { { .fd = fds[0], .events = POLLIN }, { .fd = fds[1], .events = POLLIN } };
	char buf[64];

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	for (;;) {
		send(fds[0], buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
		poll(p, 2, 1);
		recv(fds[1], buf, sizeof(buf), 0);
		atomic_fetch_add(&turns, 1);
	}
	return NULL;
}

static void cancel_anywhere(void)
{
	char byte;

	for (int round = 0; round < 200; round++) {
		int fds[2];
		pthread_t t;

		pair(&fds[0], &fds[1]);
		t = started(busy, fds);
		for (int spin = 0; spin < round * 50; spin++)
			__asm__ volatile("" ::: "memory");
		if (round % 3 == 0)
			nap(1);
		pthread_cancel(t);
		if (ended("busy", t) != PTHREAD_CANCELED)
			say("not cancelled");
		drop(fds[1]);
		put(fds[0], "!");
		MUST(recv(fds[1], &byte, 1, 0) == 1);
		close(fds[0]);
		MUST(recv(fds[1], &byte, 1, 0) == 0);
		close(fds[1]);
	}
	say("whole");
}

const struct test cancel_tests[] = {
	{ "cancel_deferred", cancel_deferred },
	{ "cancel_async", cancel_async },
	{ "cancel_pending", cancel_pending },
	{ "cancel_ready", cancel_ready },
	{ "cancel_disabled", cancel_disabled },
	{ "cancel_sendfile", cancel_sendfile },
	{ "cancel_anywhere", cancel_anywhere },
	{ NULL, NULL },
};
