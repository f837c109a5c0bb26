/* SPDX-License-Identifier: BSD-2-Clause */
/* Handlers that use sockets, and that end, or leave, calls which sleep. */
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "signals.h"

#define TICK_MS 40
#define ODD_BYTES 999983 /* of which no buffer holds a whole number */

/* ------------------------------------------------------- a tick's handler */

static volatile sig_atomic_t ticks;
static void (*on_tick)(int tick);

static void tick(int sig)
{
	int saved = errno;

	(void)sig;
	ticks++;
	if (on_tick)
		on_tick(ticks);
	errno = saved;
}

static void tick_stop(void)
{
	struct itimerval none = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &none, NULL);
}

static void tick_start(int flags, unsigned ms, void (*fn)(int))
{
	struct sigaction a = { .sa_handler = tick, .sa_flags = flags };
	struct itimerval t = { { 0, (suseconds_t)ms * 1000 }, { 0, (suseconds_t)ms * 1000 } };

	tick_stop();
	ticks = 0;
	on_tick = fn;
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

/* -------------------------------------------------------- what can sleep */

static int v[2], list = -1, ep = -1, file = -1;
static struct sockaddr_in list_at;
static char big[1 << 20];

static long by_read(void) { return read(v[1], big, 8); }
static long by_recv(void) { return recv(v[1], big, 8, 0); }
static long by_recvfrom(void) { return recvfrom(v[1], big, 8, 0, NULL, NULL); }

static struct msghdr *message(size_t n)
{
	static struct iovec iov;
	static struct msghdr m;

	iov = (struct iovec){ big, n };
	m = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
	return &m;
}

static long by_readv(void) { return readv(v[1], message(8)->msg_iov, 1); }
static long by_recvmsg(void) { return recvmsg(v[1], message(8), 0); }

static long by_recvmmsg(void)
{
	struct mmsghdr m[2] = { { .msg_hdr = *message(8) }, { .msg_hdr = *message(8) } };

	return recvmmsg(v[1], m, 2, MSG_WAITFORONE, NULL);
}

static long by_peek(void) { return recv(v[1], big, 8, MSG_PEEK); }
static long by_send(void) { return send(v[1], big, sizeof(big), 0); }
static long by_write(void) { return write(v[1], big, sizeof(big)); }
static long by_writev(void) { return writev(v[1], message(sizeof(big))->msg_iov, 1); }
static long by_sendmsg(void) { return sendmsg(v[1], message(sizeof(big)), 0); }

static long by_sendmmsg(void)
{
	struct mmsghdr m[1] = { { .msg_hdr = *message(sizeof(big)) } };

	return sendmmsg(v[1], m, 1, 0);
}

static long by_sendfile(void)
{
	off_t at = 0;

	return sendfile(v[1], file, &at, sizeof(big));
}

static long by_accept(void) { return accept(list, NULL, NULL) >= 0; }
static long by_accept4(void) { return accept4(list, NULL, NULL, SOCK_CLOEXEC) >= 0; }

static long by_poll(void)
{
	struct pollfd p = { v[1], POLLIN, 0 };

	return poll(&p, 1, -1);
}

static long by_ppoll(void)
{
	struct pollfd p = { v[1], POLLIN, 0 };
	struct timespec t = { 5, 0 };

	return ppoll(&p, 1, &t, NULL);
}

static long by_select(void)
{
	struct timeval t = { 5, 0 };
	fd_set r;

	FD_ZERO(&r);
	FD_SET(v[1], &r);
	return select(v[1] + 1, &r, NULL, NULL, &t);
}

static long by_pselect(void)
{
	fd_set r;

	FD_ZERO(&r);
	FD_SET(v[1], &r);
	return pselect(v[1] + 1, &r, NULL, NULL, NULL, NULL);
}

static long by_epoll_wait(void)
{
	struct epoll_event e;

	return epoll_wait(ep, &e, 1, -1);
}

static long by_epoll_pwait(void)
{
	struct epoll_event e;

	return epoll_pwait(ep, &e, 1, 5000, NULL);
}

enum kind { RECV, SEND, ACCEPT, POLL };

static const struct call {
	const char *name;
	enum kind kind;
	long (*fn)(void);
} calls[] = {
	{ "read", RECV, by_read }, { "recv", RECV, by_recv }, { "recvfrom", RECV, by_recvfrom },
	{ "readv", RECV, by_readv }, { "recvmsg", RECV, by_recvmsg },
	{ "recvmmsg", RECV, by_recvmmsg }, { "peek", RECV, by_peek },
	{ "send", SEND, by_send }, { "write", SEND, by_write }, { "writev", SEND, by_writev },
	{ "sendmsg", SEND, by_sendmsg }, { "sendmmsg", SEND, by_sendmmsg },
	{ "sendfile", SEND, by_sendfile },
	{ "accept", ACCEPT, by_accept }, { "accept4", ACCEPT, by_accept4 },
	{ "poll", POLL, by_poll }, { "ppoll", POLL, by_ppoll }, { "select", POLL, by_select },
	{ "pselect", POLL, by_pselect }, { "epoll_wait", POLL, by_epoll_wait },
	{ "epoll_pwait", POLL, by_epoll_pwait },
};

static void open_all(void)
{
	struct epoll_event e = { .events = EPOLLIN };

	pair(v);
	if (list >= 0)
		close(list);
	list = listener(&list_at);
	if (ep >= 0)
		close(ep);
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, v[1], &e);
	if (file < 0) {
		file = memfd_create("file", 0);
		if (write(file, big, sizeof(big)) != sizeof(big))
			say("memfd: %s", strerror(errno));
	}
}

static void close_all(void)
{
	close(v[0]);
	close(v[1]);
}

/* Full, to the last byte. */
static void fill(int fd)
{
	int quiet = 0;

	while (quiet < 3) {
		if (send(fd, big, sizeof(big), MSG_DONTWAIT) > 0) {
			quiet = 0;
			continue;
		}
		quiet++;
		nap(3);
	}
}

static void drain(int fd)
{
	while (recv(fd, big, sizeof(big), MSG_DONTWAIT) > 0)
		;
}

static int tick_client = -1;

/* What is waited for happens at the second tick, in the handler itself. */
static void relent(int n)
{
	if (n < 2)
		return;
	if (send(v[0], "x", 1, MSG_DONTWAIT) < 0)
		say("send in the handler: %s", strerror(errno));
	drain(v[0]);
	if (tick_client < 0)
		tick_client = client(&list_at);
}

static void interrupt_all(int flags, bool timed)
{
	struct timeval t = { 5, 0 };

	memset(big, 'b', sizeof(big));
	for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
		long r;

		open_all();
		tick_client = -1;
		if (timed) {
			setsockopt(v[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
			setsockopt(v[1], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
			setsockopt(list, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
		}
		if (calls[i].kind == SEND)
			fill(v[1]);
		tick_start(flags, TICK_MS, relent);
		r = calls[i].fn();
		say("%s: %s after %d ticks", calls[i].name,
		    calls[i].kind == SEND && r > 0 ? "some" : said(r), ticks < 3 ? ticks : 3);
		tick_stop();
		if (tick_client >= 0)
			close(tick_client);
		close_all();
	}
}

static void interrupted(void) { interrupt_all(0, false); }
static void restarted(void) { interrupt_all(SA_RESTART, false); }
static void interrupted_timed(void) { interrupt_all(0, true); }
static void restarted_timed(void) { interrupt_all(SA_RESTART, true); }

/* ------------------------------------------------------ some, then a signal */

static void partly(void)
{
	int flags[] = { 0, SA_RESTART }, lowat = 6;
	long r;

	for (unsigned i = 0; i < 2; i++) {
		pair(v);
		send(v[0], "abc", 3, 0);
		tick_start(flags[i], TICK_MS, NULL);
		r = recv(v[1], big, 10, MSG_WAITALL);
		say("MSG_WAITALL: %s after %d", said(r), ticks);
		tick_stop();
		send(v[0], "abc", 3, 0);
		setsockopt(v[1], SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat));
		tick_start(flags[i], TICK_MS, NULL);
		r = recv(v[1], big, 10, 0);
		say("SO_RCVLOWAT: %s after %d", said(r), ticks);
		tick_stop();
		tick_start(flags[i], TICK_MS, NULL);
		do
			r = send(v[0], big, ODD_BYTES, 0);
		while (r == ODD_BYTES);
		say("send: %s", r > 0 ? "some" : said(r));
		tick_stop();
		close_all();
	}
}

static void timeouts(void)
{
	struct timeval t = { 0, 100000 };
	struct timespec a, b;
	long r, ms;

	pair(v);
	setsockopt(v[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(v[1], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			fill(v[1]);
		clock_gettime(CLOCK_MONOTONIC, &a);
		r = i ? send(v[1], big, 10, 0) : recv(v[1], big, 10, 0);
		say("%s", said(r));
		clock_gettime(CLOCK_MONOTONIC, &b);
		ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
		say("in time: %d", ms >= 99 && ms < 2000);
	}
}

/* ------------------------------------------------- handlers that end things */

static void shut_own(int n) { if (n == 1) shutdown(v[1], SHUT_RDWR); }
static void close_own(int n) { if (n == 1) close(v[1]); }
static void close_peer(int n) { if (n == 1) close(v[0]); }

static void replace_own(int n)
{
	int w[2];

	if (n != 1)
		return;
	pair(w);
	send(w[0], "other", 5, 0);
	dup2(w[1], v[1]);
}

static void nonblocking(int n) { if (n == 1) fcntl(v[1], F_SETFL, O_NONBLOCK); }

static void end_in_recv(const char *what, int flags, void (*fn)(int))
{
	long r;

	pair(v);
	tick_start(flags, TICK_MS, fn);
	r = recv(v[1], big, 8, 0);
	say("%s: %s after %d", what, said(r), ticks < 2 ? ticks : 2);
	tick_stop();
	close(v[0]);
	close(v[1]);
}

static void endings(void)
{
	end_in_recv("shutdown, restart", SA_RESTART, shut_own);
	end_in_recv("shutdown", 0, shut_own);
	end_in_recv("close, restart", SA_RESTART, close_own);
	end_in_recv("close", 0, close_own);
	end_in_recv("peer's close, restart", SA_RESTART, close_peer);
	end_in_recv("peer's close", 0, close_peer);
	end_in_recv("dup2, restart", SA_RESTART, replace_own);
	end_in_recv("nonblocking, restart", SA_RESTART, nonblocking);
	end_in_recv("nonblocking", 0, nonblocking);
}

/* ------------------------------------------------------------ leave by jump */

static sigjmp_buf away;

static void jump(int n)
{
	(void)n;
	siglongjmp(away, 1);
}

/* Each call is left; then all of it works still, and ends are seen. */
static void jumps(void)
{
	for (volatile unsigned i = 0; i < ARRAY_LEN(calls); i++) {
		volatile int k;
		char c = 0;
		long r;

		open_all();
		if (calls[i].kind == SEND)
			fill(v[1]);
		for (k = 0; k < 3; k++) {
			if (sigsetjmp(away, 1) == 0) {
				tick_start(k & 1 ? SA_RESTART : 0, 15, jump);
				r = calls[i].fn();
				say("%s came back: %s", calls[i].name, said(r));
			}
			tick_stop();
		}
		drain(v[0]);
		send(v[0], "!", 1, 0);
		r = recv(v[1], &c, 1, 0);
		say("%s: %s '%c'", calls[i].name, said(r), c);
		k = client(&list_at);
		r = accept(list, NULL, NULL);
		say("  accept %d", r >= 0);
		close(k);
		close((int)r);
		close(v[1]);
		nap(2);
		drain(v[0]);
		say("  end %s", said(recv(v[0], &c, 1, MSG_DONTWAIT)));
		close(v[0]);
	}
}

static char other_stack[65536];

static void jumps_from_other_stack(void)
{
	stack_t st = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) };

	sigaltstack(&st, NULL);
	for (volatile unsigned i = 0; i < ARRAY_LEN(calls); i += 3) {
		open_all();
		if (calls[i].kind == SEND)
			fill(v[1]);
		for (volatile int k = 0; k < 2; k++) {
			if (sigsetjmp(away, 1) == 0) {
				tick_start(SA_ONSTACK, 15, jump);
				say("%s came back: %s", calls[i].name, said(calls[i].fn()));
			}
			tick_stop();
		}
		close(v[1]);
		nap(2);
		drain(v[0]);
		say("%s: end %s", calls[i].name, said(recv(v[0], big, 1, MSG_DONTWAIT)));
		close(v[0]);
	}
}

/* ------------------------------------------------------------------- forks */

static void fork_and_relent(int n)
{
	pid_t pid;

	if (n != 1)
		return;
	pid = fork();
	if (pid == 0) {
		ticks = 2;
		tick_client = -1;
		drain(v[0]);
		send(v[0], "x", 1, MSG_DONTWAIT);
		client(&list_at);
		_exit(0);
	}
	after_end(pid);
}

/* All that held the other end are gone: that may take a moment to be heard. */
static void show_end(int fd)
{
	struct pollfd p = { fd, POLLRDHUP, 0 };

	poll(&p, 1, 3000);
	drain(fd);
	say("  end %s", said(recv(fd, big, 1, MSG_DONTWAIT)));
}

/* A child made in a handler sends what its parent waits for. */
static void forks(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
		long r;

		open_all();
		if (calls[i].kind == SEND)
			fill(v[1]);
		tick_start(SA_RESTART, TICK_MS, fork_and_relent);
		r = calls[i].fn();
		tick_stop();
		say("%s: %s", calls[i].name, calls[i].kind == SEND && r > 0 ? "some" : said(r));
		close(v[0]);
		if (calls[i].kind != SEND)
			show_end(v[1]);
		close(v[1]);
	}
}

static pid_t forked;

static void fork_and_return(int n)
{
	if (n == 1)
		forked = fork();
}

static void end(int fd)
{
	close(fd);
}

/* The child of a handler goes on in the very call. */
static void forked_goes_on(void)
{
	static const enum kind kinds[] = { RECV, POLL };

	for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
		long r;

		if (calls[i].kind != kinds[0] && calls[i].kind != kinds[1])
			continue;
		open_all();
		forked = -1;
		tick_start(calls[i].kind == POLL ? 0 : SA_RESTART, TICK_MS, fork_and_return);
		if (calls[i].kind == POLL) {
			r = calls[i].fn();
			tick_stop();
			if (forked == 0) {
				say("child %s: %s", calls[i].name, said(r));
				_exit(0);
			}
			after_end(forked);
			say("%s: %s", calls[i].name, said(r));
		} else {
			pid_t helper = after(120, end, v[0]);

			close(v[0]);
			r = calls[i].fn();
			tick_stop();
			if (forked == 0) {
				say("child %s: %s", calls[i].name, said(r));
				_exit(0);
			}
			after_end(forked);
			after_end(helper);
			say("%s: %s", calls[i].name, said(r));
		}
		close(v[0]);
		close(v[1]);
	}
}

/* ------------------------------------------------------------ many of them */

static int w[2];
static volatile sig_atomic_t wrong;

/* Its own pair; made, used and closed in between, too. */
static void use_sockets(int n)
{
	char c = (char)n, d = 0;
	int x[2];

	if (send(w[0], &c, 1, 0) != 1 || recv(w[1], &d, 1, 0) != 1 || c != d)
		wrong = 1;
	if (n % 16)
		return;
	x[0] = client(&list_at);
	x[1] = accept(list, NULL, NULL);
	if (x[1] < 0 || send(x[1], &c, 1, 0) != 1 || recv(x[0], &d, 1, 0) != 1 || c != d)
		wrong = 2;
	close(x[0]);
	close(x[1]);
}

static void echo(int fd)
{
	char buf[512];
	long n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		send(fd, buf, (size_t)n, 0);
}

static void often(void)
{
	char out[300], in[300];
	pid_t pid;
	int rounds = 0;

	list = listener(&list_at);
	pair(w);
	pair(v);
	pid = after(0, echo, v[0]);
	close(v[0]);
	tick_start(SA_RESTART, 1, use_sockets);
	while (ticks < 500 && !wrong) {
		size_t n = 1 + (size_t)rounds % sizeof(out);

		memset(out, rounds, n);
		rounds++;
		if (send(v[1], out, n, 0) != (long)n)
			wrong = 3;
		for (size_t got = 0; got < n;) {
			long r = recv(v[1], in + got, n - got, 0);

			if (r <= 0) {
				wrong = 4;
				break;
			}
			got += (size_t)r;
		}
		if (memcmp(in, out, n) != 0)
			wrong = 5;
	}
	tick_stop();
	close(v[1]);
	after_end(pid);
	say("wrong %d, rounds %d", wrong, rounds > 10);
}

/* Nothing but SIGIO tells that there is something to read. */
static volatile long io_bytes;
static volatile sig_atomic_t io_end;

static void on_io(int sig, siginfo_t *info, void *context)
{
	char buf[4096];
	long r;

	(void)sig;
	(void)context;
	while ((r = recv(info->si_fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		io_bytes += r;
	if (r == 0)
		io_end = 1;
}

static void send_many(int fd)
{
	char buf[1000] = { 0 };

	for (int i = 0; i < 2000; i++) {
		if (send(fd, buf, sizeof(buf), 0) != sizeof(buf))
			_exit(1);
		if (i % 50 == 0)
			nap(1);
	}
}

static void driven_by_io(void)
{
	struct sigaction a = { .sa_sigaction = on_io, .sa_flags = SA_SIGINFO };
	sigset_t set, was;
	pid_t pid;

	pair(v);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, &was);
	sigaction(SIGRTMIN + 2, &a, NULL);
	fcntl(v[1], F_SETOWN, getpid());
	fcntl(v[1], F_SETSIG, SIGRTMIN + 2);
	fcntl(v[1], F_SETFL, O_ASYNC | O_NONBLOCK);
	pid = after(5, send_many, v[0]);
	close(v[0]);
	while (!io_end)
		sigsuspend(&was);
	after_end(pid);
	say("%ld bytes", io_bytes);
}

const struct test handler_tests[] = {
	{ "handlers_interrupted", interrupted },
	{ "handlers_restarted", restarted },
	{ "handlers_interrupted_timed", interrupted_timed },
	{ "handlers_restarted_timed", restarted_timed },
	{ "handlers_partly", partly },
	{ "handlers_timeouts", timeouts },
	{ "handlers_endings", endings },
	{ "handlers_jumps", jumps },
	{ "handlers_jumps_from_other_stack", jumps_from_other_stack },
	{ "handlers_forks", forks },
	{ "handlers_forked_goes_on", forked_goes_on },
	{ "handlers_often", often },
	{ "handlers_driven_by_io", driven_by_io },
	{ NULL, NULL },
};
