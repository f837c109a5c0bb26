/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datagrams.c - Who sleeps on a datagram socket, and what wakes him: a datagram,
 * the end, a signal, an error. Several threads and processes at one socket.
 */
#include <sys/eventfd.h>
#include <sys/time.h>

#include "waiting.h"

enum { SLEEPERS = 8 };

static int bound(struct sockaddr_in *ret_at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_at);

	*ret_at = (struct sockaddr_in){ .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(fd >= 0);
	MUST(bind(fd, (struct sockaddr *)ret_at, len) == 0);
	MUST(getsockname(fd, (struct sockaddr *)ret_at, &len) == 0);
	return fd;
}

static void aim(int fd, const struct sockaddr_in *at)
{
	MUST(connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0);
}

/* Each connected to the other. */
static void facing(int *a, int *b)
{
	struct sockaddr_in at_a, at_b;

	*a = bound(&at_a);
	*b = bound(&at_b);
	aim(*a, &at_b);
	aim(*b, &at_a);
}

static void send_to(int fd, const struct sockaddr_in *at, const char *text)
{
	MUST(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)at, sizeof(*at)) ==
	     (ssize_t)strlen(text));
}

/** struct sleeper - A thread in one call. */
struct sleeper {
	long (*call)(struct sleeper *s);
	int fd, ep;
	char text[64];
	uint32_t got;
	long r;
	int error;
	_Atomic int over;
	pthread_t thread;
};

static long sleeps_recv(struct sleeper *s)
{
	return recv(s->fd, s->text, sizeof(s->text) - 1, 0);
}

static long sleeps_read(struct sleeper *s)
{
	return read(s->fd, s->text, sizeof(s->text) - 1);
}

static long sleeps_recvmsg(struct sleeper *s)
{
	struct iovec iov = { s->text, sizeof(s->text) - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(s->fd, &msg, 0);
}

static long sleeps_recvmmsg(struct sleeper *s)
{
	struct iovec iov = { s->text, sizeof(s->text) - 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };

	return recvmmsg(s->fd, &m, 1, 0, NULL);
}

static long sleeps_poll(struct sleeper *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN | POLLRDHUP };
	int r = poll(&p, 1, 2000);

	s->got = (uint16_t)p.revents;
	return r;
}

static long sleeps_select(struct sleeper *s)
{
	struct timeval tv = { 2, 0 };
	fd_set in;
	int r;

	FD_ZERO(&in);
	FD_SET(s->fd, &in);
	r = select(s->fd + 1, &in, NULL, NULL, &tv);
	s->got = r > 0 && FD_ISSET(s->fd, &in) ? POLLIN : 0;
	return r;
}

static long sleeps_epoll(struct sleeper *s)
{
	struct epoll_event ev = { 0 };
	int r = epoll_wait(s->ep, &ev, 1, 2000);

	s->got = r > 0 ? ev.events : 0;
	return r;
}

static const struct {
	const char *name;
	long (*call)(struct sleeper *s);
} calls[] = {
	{ "recv", sleeps_recv }, { "read", sleeps_read }, { "recvmsg", sleeps_recvmsg },
	{ "recvmmsg", sleeps_recvmmsg }, { "poll", sleeps_poll }, { "select", sleeps_select },
	{ "epoll_wait", sleeps_epoll },
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;

	errno = 0;
	s->r = s->call(s);
	s->error = errno;
	atomic_store(&s->over, 1);
	return NULL;
}

static void sleeper_start(struct sleeper *s, long (*call)(struct sleeper *s), int fd)
{
	*s = (struct sleeper){ .call = call, .fd = fd, .ep = -1 };
	if (call == sleeps_epoll) {
		s->ep = set_make();
		MUST(set_ctl(s->ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP, 1) == 0);
	}
	s->thread = started(sleeper_main, s);
	nap(30);
}

/* What became of it, within a moment; @how wakes it for certain where that did not. */
static void sleeper_end(struct sleeper *s, const char *what, const char *name)
{
	for (int i = 0; i < 60 && !atomic_load(&s->over); i++)
		nap(5);
	if (!atomic_load(&s->over)) {
		say("%s, %s: sleeps", what, name);
		return;
	}
	ended(name, s->thread);
	if (s->r < 0)
		say("%s, %s: %s", what, name, strerrorname_np(s->error));
	else
		say("%s, %s: %ld %s '%s'", what, name, s->r, bits(s->got), s->text);
	if (s->ep >= 0)
		close(s->ep);
}

/* --- One sleeper ------------------------------------------------------------ */

static void woken_by_datagram(void)
{
	for (int i = 0; i < CALLS; i++) {
		struct sleeper s;
		struct sockaddr_in at;
		int fd = bound(&at);
		int from = socket(AF_INET, SOCK_DGRAM, 0);

		sleeper_start(&s, calls[i].call, fd);
		send_to(from, &at, i % 2 ? "hello" : "");
		sleeper_end(&s, "a datagram", calls[i].name);
		close(from);
		close(fd);
	}
}

static void woken_by_shutdown(void)
{
	static const int hows[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };

	for (int k = 0; k < 3; k++) {
		for (int i = 0; i < CALLS; i++) {
			struct sleeper s;
			int a, b;

			facing(&a, &b);
			sleeper_start(&s, calls[i].call, a);
			said("shutdown", shutdown(a, hows[k]));
			sleeper_end(&s, k == 0 ? "SHUT_RD" : k == 1 ? "SHUT_WR" : "SHUT_RDWR",
				    calls[i].name);
			if (!atomic_load(&s.over)) {
				put(b, "late");
				sleeper_end(&s, "after it", calls[i].name);
			}
			close(a);
			close(b);
		}
	}
}

/* One that is not connected: ENOTCONN, and still it wakes. */
static void woken_by_shutdown_unconnected(void)
{
	for (int i = 0; i < CALLS; i++) {
		struct sleeper s;
		struct sockaddr_in at;
		int fd = bound(&at);

		sleeper_start(&s, calls[i].call, fd);
		said("shutdown", shutdown(fd, SHUT_RDWR));
		sleeper_end(&s, "unconnected", calls[i].name);
		if (!atomic_load(&s.over)) {
			int from = socket(AF_INET, SOCK_DGRAM, 0);

			send_to(from, &at, "late");
			sleeper_end(&s, "after it", calls[i].name);
			close(from);
		}
		close(fd);
	}
}

/* The number goes, the socket stays for the one who sleeps in it. */
static void close_under_sleeper(void)
{
	for (int i = 0; i < 4; i++) {
		struct sleeper s;
		struct sockaddr_in at;
		int fd = bound(&at);
		int from = socket(AF_INET, SOCK_DGRAM, 0);

		sleeper_start(&s, calls[i].call, fd);
		said("close", close(fd));
		sleeper_end(&s, "close", calls[i].name);
		send_to(from, &at, "still");
		sleeper_end(&s, "a datagram after it", calls[i].name);
		close(from);
	}
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void woken_by_signal(void)
{
	for (int restart = 0; restart < 2; restart++) {
		struct sigaction sa = { .sa_handler = on_usr1,
					.sa_flags = restart ? SA_RESTART : 0 };

		sigaction(SIGUSR1, &sa, NULL);
		for (int i = 0; i < CALLS; i++) {
			struct sleeper s;
			int a, b;

			facing(&a, &b);
			sleeper_start(&s, calls[i].call, a);
			pthread_kill(s.thread, SIGUSR1);
			sleeper_end(&s, restart ? "signal, SA_RESTART" : "signal", calls[i].name);
			if (!atomic_load(&s.over)) {
				put(b, "go on");
				sleeper_end(&s, "after it", calls[i].name);
			}
			close(a);
			close(b);
		}
	}
}

/* The peer is gone, which a datagram of our own finds out. */
static void woken_by_refusal(void)
{
	for (int i = 0; i < CALLS; i++) {
		struct sleeper s;
		int a, b;
		int error = 0;
		socklen_t len = sizeof(error);

		facing(&a, &b);
		close(b);
		sleeper_start(&s, calls[i].call, a);
		said("send", send(a, "x", 1, 0));
		sleeper_end(&s, "refused", calls[i].name);
		MUST(getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
		say("then SO_ERROR %s", error ? strerrorname_np(error) : "0");
		close(a);
	}
}

static void timeout(void)
{
	struct timeval tv = { 0, 60000 };
	char buf[8];
	int a, b;

	facing(&a, &b);
	MUST(setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	said("recv", recv(a, buf, sizeof(buf), 0));
	put(b, "in time");
	said("recv", recv(a, buf, sizeof(buf), 0));
	said("recv", recv(a, buf, sizeof(buf), 0));
	said("recv, MSG_DONTWAIT", recv(a, buf, sizeof(buf), MSG_DONTWAIT));
	MUST(shutdown(a, SHUT_RD) == 0);
	said("recv, shut", recv(a, buf, sizeof(buf), 0));
}

/* --- Several ---------------------------------------------------------------- */

/* So many sleep, so many datagrams come: each has one, none is lost. */
static void many_threads(void)
{
	struct sleeper s[SLEEPERS];
	struct sockaddr_in at;
	int fd = bound(&at);
	int from = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned seen = 0;

	for (int i = 0; i < SLEEPERS; i++)
		sleeper_start(&s[i], calls[i % 4].call, fd);
	for (int i = 0; i < SLEEPERS; i++) {
		char text[2] = { (char)('a' + i), 0 };

		send_to(from, &at, text);
	}
	for (int i = 0; i < SLEEPERS; i++) {
		ended("a receiver", s[i].thread);
		MUST(s[i].r == 1 && s[i].text[0] >= 'a' && s[i].text[0] < 'a' + SLEEPERS);
		MUST(!(seen & 1u << (s[i].text[0] - 'a')));
		seen |= 1u << (s[i].text[0] - 'a');
	}
	say("each of %d threads has one of its own", SLEEPERS);
	said("then", recv(fd, s[0].text, 1, MSG_DONTWAIT));
}

/* All of those who only look are told; one of those who take it has it. */
static void all_pollers(void)
{
	struct sleeper s[6];
	struct sockaddr_in at;
	int fd = bound(&at);
	int from = socket(AF_INET, SOCK_DGRAM, 0);

	for (int i = 0; i < 6; i++)
		sleeper_start(&s[i], calls[4 + i % 3].call, fd);
	send_to(from, &at, "one");
	for (int i = 0; i < 6; i++)
		sleeper_end(&s[i], "one datagram", calls[4 + i % 3].name);
	said("recv", recv(fd, s[0].text, 10, MSG_DONTWAIT));
	said("recv", recv(fd, s[0].text, 10, MSG_DONTWAIT));
}

static void processes(void)
{
	struct sockaddr_in at;
	int fd = bound(&at);
	int from = socket(AF_INET, SOCK_DGRAM, 0);
	int status;
	int total = 0;

	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (!pid) {
			char buf[16];
			int n = 0;

			while (recv(fd, buf, sizeof(buf), 0) == 1)
				n++;
			_exit(n);
		}
		MUST(pid > 0);
	}
	nap(50);
	for (int i = 0; i < 40; i++)
		send_to(from, &at, "x");
	for (int i = 0; i < 4; i++)	/* Whoever gets one of these leaves. */
		send_to(from, &at, "go");
	for (int i = 0; i < 4; i++) {
		MUST(wait(&status) > 0 && WIFEXITED(status));
		total += WEXITSTATUS(status);
	}
	say("%d datagrams for 4 processes", total);
	send_to(from, &at, "last");
	said("and one for the parent", recv(fd, &status, sizeof(status), MSG_DONTWAIT));
}

/* What a child does to the socket that both have. */
static void inherited(void)
{
	struct sleeper s;
	int a, b;
	pid_t pid;

	facing(&a, &b);
	sleeper_start(&s, sleeps_recv, a);
	pid = fork();
	if (!pid) {
		put(b, "from the child");
		close(a);
		close(b);
		_exit(0);
	}
	MUST(waitpid(pid, NULL, 0) == pid);
	sleeper_end(&s, "sent by a child", "recv");
	sleeper_start(&s, sleeps_epoll, a);
	pid = fork();
	if (!pid) {
		MUST(shutdown(a, SHUT_RD) == 0);
		_exit(0);
	}
	MUST(waitpid(pid, NULL, 0) == pid);
	sleeper_end(&s, "shut by a child", "epoll_wait");
	put(b, "more");
	said("recv", recv(a, s.text, sizeof(s.text), MSG_DONTWAIT));
}

/* --- Sets ------------------------------------------------------------------- */

static void mixtures(void)
{
	struct sockaddr_in at, at2;
	int u = bound(&at), v = bound(&at2), from = socket(AF_INET, SOCK_DGRAM, 0);
	int p[2], a, b, ev = eventfd(0, 0);
	char buf[16];

	MUST(pipe(p) == 0);
	pair(&a, &b);
	for (int round = 0; round < 5; round++) {
		struct pollfd f[] = {
			{ u, POLLIN, 0 }, { v, POLLIN | POLLOUT, 0 }, { p[0], POLLIN, 0 },
			{ a, POLLIN, 0 }, { ev, POLLIN, 0 }, { from, POLLPRI, 0 }, { -1, POLLIN, 0 },
		};

		switch (round) {
		case 0: send_to(from, &at, "u"); break;
		case 1: put(b, "b"); break;
		case 2: MUST(write(p[1], "p", 1) == 1); break;
		case 3: send_to(from, &at2, "v"); break;
		default: MUST(eventfd_write(ev, 1) == 0); break;
		}
		nap(20);
		said("poll", poll(f, 7, 1000));
		say("%s %s %s %s %s %s", bits((uint32_t)f[0].revents), bits((uint32_t)f[1].revents),
		    bits((uint32_t)f[2].revents), bits((uint32_t)f[3].revents),
		    bits((uint32_t)f[4].revents), bits((uint32_t)f[5].revents));
		if (round == 1)
			said("recv", recv(u, buf, sizeof(buf), MSG_DONTWAIT));
	}
}

static void edges(void)
{
	struct sockaddr_in at;
	int fd = bound(&at), from = socket(AF_INET, SOCK_DGRAM, 0);
	int et = set_make(), one = set_make(), level = set_make(), outer = set_make();
	char buf[16];

	MUST(set_ctl(et, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 1) == 0);
	MUST(set_ctl(one, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, 2) == 0);
	MUST(set_ctl(level, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT, 3) == 0);
	MUST(set_ctl(outer, EPOLL_CTL_ADD, et, EPOLLIN, 4) == 0);
	for (int i = 0; i < 3; i++) {
		send_to(from, &at, "x");
		nap(10);
		set_say("outer", outer, 0);
		set_say("edge", et, 0);
		set_say("edge again", et, 0);
		set_say("one shot", one, 0);
		set_say("level", level, 0);
	}
	said("recv", recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	set_say("edge after one was taken", et, 0);
	MUST(set_ctl(one, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 5) == 0);
	set_say("one shot, armed again", one, 0);
	say("%zu bytes left", drop(fd));
	set_say("level", level, 0);
	set_say("one shot", one, 0);
	/* Two at once are one edge; what is not taken makes no other. */
	send_to(from, &at, "y");
	send_to(from, &at, "z");
	nap(10);
	set_say("two at once", et, 0);
	set_say("edge again", et, 0);
	said("recv", recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	set_say("edge", et, 0);
	send_to(from, &at, "z");
	nap(10);
	set_say("another", et, 0);
	/* It is not connected; it is shut all the same, and that is an edge. */
	said("shutdown", shutdown(fd, SHUT_WR));
	set_say("outer, shut", outer, 0);
	set_say("edge, shut", et, 0);
	set_say("edge again", et, 0);
	MUST(close(fd) == 0);
	set_say("closed", level, 0);
}

/* Two numbers of one socket in a set: what becomes of one entry is no edge for the other. */
static void twins(void)
{
	struct sockaddr_in at;
	int fd = bound(&at), twin = dup(fd), ep = set_make();
	char buf[16];

	MUST(twin >= 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1) == 0);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, twin, EPOLLIN | EPOLLET | EPOLLONESHOT, 2) == 0);
	for (int i = 0; i < 3; i++) {
		/* By the kernel first; from the second on through memory. */
		MUST(sendto(fd, "x", 1, 0, (struct sockaddr *)&at, sizeof(at)) == 1);
		nap(10);
		set_say("one has come", ep, 0);
		set_say("the shot was no edge", ep, 0);
		MUST(set_ctl(ep, EPOLL_CTL_MOD, twin, EPOLLIN | EPOLLONESHOT, 3) == 0);
		set_say("armed again", ep, 0);
		MUST(set_ctl(ep, EPOLL_CTL_MOD, twin, EPOLLIN | EPOLLET, 4) == 0);
		set_say("changed", ep, 0);
		MUST(set_ctl(ep, EPOLL_CTL_DEL, twin, 0, 0) == 0);
		set_say("without it", ep, 0);
		MUST(set_ctl(ep, EPOLL_CTL_ADD, twin, EPOLLIN | EPOLLRDHUP, 5) == 0);
		set_say("with it", ep, 0);
		set_say("level", ep, 0);
		MUST(set_ctl(ep, EPOLL_CTL_MOD, twin, EPOLLIN | EPOLLET | EPOLLONESHOT, 2) == 0);
		if (i)
			said("recv", recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	}
	close(twin);
	set_say("closed", ep, 0);
	said("sent", sendto(fd, "y", 1, 0, (struct sockaddr *)&at, sizeof(at)));
	nap(10);
	set_say("closed, but open elsewhere", ep, 0);
}

/* Sleepers in sets with EPOLLEXCLUSIVE: at least one is woken by each. */
static void exclusive(void)
{
	struct sleeper s[4];
	struct sockaddr_in at;
	int fd = bound(&at), from = socket(AF_INET, SOCK_DGRAM, 0);
	int woken = 0;

	for (int i = 0; i < 4; i++) {
		s[i] = (struct sleeper){ .call = sleeps_epoll, .fd = fd, .ep = set_make() };
		MUST(set_ctl(s[i].ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, 1) == 0);
		s[i].thread = started(sleeper_main, &s[i]);
	}
	nap(50);
	send_to(from, &at, "x");
	nap(50);
	for (int i = 0; i < 4; i++)
		woken += atomic_load(&s[i].over);
	say("%s", woken ? "somebody is woken" : "nobody is woken");
	for (int i = 0; i < 4; i++)
		ended("epoll_wait", s[i].thread);
}

/* --- Much at once ------------------------------------------------------------- */

struct ping {
	int fd;
	int rounds;
};

static void *answer(void *arg)
{
	struct ping *p = arg;
	uint32_t n;

	for (int i = 0; i < p->rounds; i++)
		MUST(recv(p->fd, &n, sizeof(n), 0) == sizeof(n) &&
		     send(p->fd, &n, sizeof(n), 0) == sizeof(n));
	return NULL;
}

/* No wake is lost between two that wait for each other. */
static void ping_pong(void)
{
	struct ping p = { .rounds = 5000 };
	struct ping q = p;
	pthread_t t;
	int fd;

	facing(&p.fd, &fd);
	t = started(answer, &p);
	for (uint32_t i = 0; i < (uint32_t)q.rounds; i++) {
		struct pollfd f = { .fd = fd, .events = POLLIN };
		uint32_t n = i;

		MUST(send(fd, &n, sizeof(n), 0) == sizeof(n));
		if (i % 3 == 0)
			MUST(poll(&f, 1, 5000) == 1);
		MUST(recv(fd, &n, sizeof(n), 0) == sizeof(n) && n == i);
	}
	ended("the other", t);
	say("5000 rounds");
}

const struct test datagram_tests[] = {
	{ "dgram_woken_by_datagram", woken_by_datagram },
	{ "dgram_woken_by_shutdown", woken_by_shutdown },
	{ "dgram_woken_by_shutdown_unconnected", woken_by_shutdown_unconnected },
	{ "dgram_close_under_sleeper", close_under_sleeper },
	{ "dgram_woken_by_signal", woken_by_signal },
	{ "dgram_woken_by_refusal", woken_by_refusal },
	{ "dgram_timeout", timeout },
	{ "dgram_many_threads", many_threads },
	{ "dgram_all_pollers", all_pollers },
	{ "dgram_processes", processes },
	{ "dgram_inherited", inherited },
	{ "dgram_mixtures", mixtures },
	{ "dgram_edges", edges },
	{ "dgram_twins", twins },
	{ "dgram_exclusive", exclusive },
	{ "dgram_ping_pong", ping_pong },
	{ NULL, NULL },
};
