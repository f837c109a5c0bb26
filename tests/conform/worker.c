/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One of the two processes whose calls are compared.
 *
 * Each call is bounded: a signal interrupts what still blocks after GUARD_US,
 * and EINTR is then its result, on the kernel as elsewhere. A slot that is
 * closed keeps its number: using it again asks for EBADF.
 *
 * There may be a helper: a thread that is in a call while the worker makes
 * others. For its children see family.c.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include "program.h"
#include "tick.h"
#include "address.h"
#include "worker.h"

enum {
	NEVER_OPEN = 777,	/* A number that no program reaches here. */
	IOV_MAX_HERE = 8,
	UNTOUCHED = 0xEE,
	EPALL_ROUNDS = 24,
};

struct worker_state worker;
static __thread volatile sig_atomic_t sigpipes;
static unsigned char buffers[2][STREAM_MAX + 1];
static __thread unsigned char *buffer = buffers[0];

/**
 * struct helper - The second thread.
 * @fd: Which descriptor its call is on, found before it starts.
 */
static struct helper {
	pthread_t thread;
	bool running;
	_Atomic bool done;
	_Atomic int tid;
	int fd;
	struct step step;
	struct outcome out;
} helper;
static __thread int fd_now = -1;	/* The helper's descriptor. */

static void on_sigpipe(int sig)
{
	(void)sig;
	sigpipes++;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int worker_fd(int64_t slot)
{
	if (fd_now >= 0)
		return fd_now;
	if (slot < 0 || slot >= SLOTS || worker.slot_fd[slot] < 0)
		return NEVER_OPEN;
	if (worker.slot_open[slot])
		return worker.slot_fd[slot];
	for (int i = 0; i < SLOTS; i++)
		if (worker.slot_open[i] && worker.slot_fd[i] == worker.slot_fd[slot])
			return NEVER_OPEN;
	return worker.slot_fd[slot];
}

void worker_slot_set(int64_t slot, int fd)
{
	worker.slot_fd[slot] = fd;
	worker.slot_open[slot] = true;
}

/* The byte of stream @key at @pos. */
static unsigned char pattern(uint64_t key, uint64_t pos)
{
	uint64_t w = (pos / 8 + 1) * 0x9E3779B97F4A7C15u ^ key * 0xD6E8FEB86659FD93u;

	unsigned char c;

	w ^= w >> 29;
	w *= 0xBF58476D1CE4E5B9u;
	w ^= w >> 32;
	c = (unsigned char)(w >> (8 * (pos % 8)));
	return c == UNTOUCHED ? 0 : c;
}

static void pattern_fill(uint64_t key, uint64_t pos, unsigned char *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		p[i] = pattern(key, pos + i);
}

unsigned char *worker_buffer(void)
{
	return buffer;
}

void worker_pattern(uint64_t key, unsigned char *p, uint64_t n)
{
	pattern_fill(key, 0, p, n);
}

static enum bytes pattern_check(uint64_t key, uint64_t pos, const unsigned char *p, uint64_t n,
				uint64_t room)
{
	bool untouched = true;

	if (n < room && p[n] != UNTOUCHED)
		return BYTES_BAD;	/* Written beyond what was returned. */
	for (uint64_t i = 0; i < n && untouched; i++)
		untouched = p[i] == UNTOUCHED;
	if (!n)
		return BYTES_NONE;
	if (untouched)
		return BYTES_VOID;	/* MSG_TRUNC throws away. */
	for (uint64_t i = 0; i < n; i++)
		if (p[i] != pattern(key, pos + i))
			return BYTES_BAD;
	return BYTES_GOOD;
}

void worker_say(struct outcome *out, const char *fmt, ...)
{
	unsigned long len = strlen(out->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->text + len, sizeof(out->text) - len, fmt, ap);
	va_end(ap);
}

/* A new descriptor is the lowest from @min that the program has not in use. */
void worker_check_lowest(struct outcome *out, int64_t min)
{
	for (int64_t fd = min < 3 ? 3 : min; fd < out->ret; fd++) {
		bool used = false;

		for (int i = 0; i < SLOTS; i++)
			used |= worker.slot_open[i] && worker.slot_fd[i] == fd;
		if (!used) {
			worker_say(out, " not the lowest");
			return;
		}
	}
}

/* SO_DOMAIN, asked of the kernel past every library: is it really a handle? */
static int raw_domain(int fd)
{
	int domain = -1;
	socklen_t len = sizeof(domain);
#ifdef __x86_64__
	long ret = SYS_getsockopt;
	register long optval __asm__("r10") = (long)&domain;
	register long optlen __asm__("r8") = (long)&len;

	__asm__ volatile("syscall" : "+a"(ret)
			 : "D"((long)fd), "S"((long)SOL_SOCKET), "d"((long)SO_DOMAIN),
			   "r"(optval), "r"(optlen)
			 : "rcx", "r11", "memory");
#else
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
#endif
	return domain;
}

bool worker_is_kernels(int fd)
{
	int domain = raw_domain(fd);

	return domain == AF_INET || domain == AF_INET6;
}

/* Ports for the coordinator, who pairs the two ends by them. */
static void learn_ports(struct outcome *out, int fd)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);
	int err = errno;

	if (!getsockname(fd, (struct sockaddr *)&sin, &len))
		out->lport = ntohs(sin.sin_port);
	len = sizeof(sin);
	if (!getpeername(fd, (struct sockaddr *)&sin, &len))
		out->rport = ntohs(sin.sin_port);
	if (out->rport)
		out->handle = worker_is_kernels(fd) ? 1 : 2;
	errno = err;
}

/* Cut [p, p+n) into @count pieces; an empty one in the middle. */
static int cut(struct iovec *iov, unsigned char *p, uint64_t n, int64_t count)
{
	uint64_t done = 0;
	int c = count < 1 ? 1 : count > IOV_MAX_HERE ? IOV_MAX_HERE : (int)count;

	for (int i = 0; i < c; i++) {
		uint64_t piece = i == c - 1 ? n - done : i == 1 ? 0 : (n - done) / 2;

		iov[i].iov_base = p + done;
		iov[i].iov_len = piece;
		done += piece;
	}
	return c;
}

static uint64_t length(int64_t arg)
{
	return arg < 0 ? 0 : arg > STREAM_MAX ? STREAM_MAX : (uint64_t)arg;
}

static ssize_t do_sendfile(int fd, const struct step *st, uint64_t n)
{
	int file = memfd_create("conform", MFD_CLOEXEC);
	ssize_t ret;
	int err;

	if (file < 0 || write(file, buffer, n) != (ssize_t)n)
		abort();
	(void)st;
	lseek(file, 0, SEEK_SET);
	ret = sendfile(fd, file, NULL, n);
	err = errno;
	close(file);
	errno = err;
	return ret;
}

static void do_send(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);
	uint64_t n = length(st->arg[1]);
	int flags = (int)st->arg[2];
	union address sin;
	socklen_t sin_len = address_make(&sin, INADDR_LOOPBACK, 1);
	struct iovec iov[IOV_MAX_HERE];
	struct msghdr msg = { .msg_iov = iov };

	pattern_fill(st->key, st->pos, buffer, n);
	switch (st->op) {
	case OP_WRITE:
		out->ret = write(fd, buffer, n);
		break;
	case OP_WRITEV:
		out->ret = writev(fd, iov, cut(iov, buffer, n, st->arg[2]));
		break;
	case OP_SENDTO:
		out->ret = sendto(fd, buffer, n, flags, &sin.sa, sin_len);
		break;
	case OP_SENDMSG:
		msg.msg_iovlen = (size_t)cut(iov, buffer, n, st->arg[3]);
		out->ret = sendmsg(fd, &msg, flags);
		break;
	case OP_SENDFILE:
		out->ret = do_sendfile(fd, st, n);
		break;
	default:
		out->ret = send(fd, buffer, n, flags);
		break;
	}
	out->err = errno;
	if (worker.mutation == MUTATE_SHORT_SEND && out->ret == 100)
		out->ret = 99;
}

static void do_recv(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);
	uint64_t n = length(st->arg[1]);
	int flags = (int)st->arg[2];
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);
	struct iovec iov[IOV_MAX_HERE];
	struct msghdr msg = { .msg_iov = iov };

	memset(buffer, UNTOUCHED, n + 1);
	/* The compiler is not to know what n can be: then a fortified build has
	 * the checked twins of read and recvfrom called.
	 */
	if (st->op == OP_READ || st->op == OP_RECVFROM)
		__asm__ volatile("" : "+r"(n));
	switch (st->op) {
	case OP_READ:
		out->ret = read(fd, buffer, n);
		break;
	case OP_READV:
		out->ret = readv(fd, iov, cut(iov, buffer, n, st->arg[2]));
		break;
	case OP_RECVFROM:
		out->ret = recvfrom(fd, buffer, n, flags, (struct sockaddr *)&sin, &len);
		break;
	case OP_RECVMSG:
		msg.msg_iovlen = (size_t)cut(iov, buffer, n, st->arg[3]);
		msg.msg_name = &sin;
		msg.msg_namelen = sizeof(sin);
		out->ret = recvmsg(fd, &msg, flags);
		break;
	default:
		out->ret = recv(fd, buffer, n, flags);
		break;
	}
	out->err = errno;
	if (out->ret < 0)
		return;
	if (st->op == OP_RECVFROM)
		worker_say(out, " addrlen=%u", len);
	if (st->op == OP_RECVMSG)
		worker_say(out, " namelen=%u flags=%#x control=%zu", msg.msg_namelen,
		    (unsigned int)msg.msg_flags, msg.msg_controllen);
	if (worker.mutation == MUTATE_BYTE && out->ret > 2)
		buffer[out->ret / 2] ^= 1;
	out->bytes = (int)pattern_check(st->key, st->pos, buffer, (uint64_t)out->ret, n + 1);
}

/* Take what must come: @st->want bytes at most; ends at EOF and errors. */
static void do_recvall(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);
	uint64_t total = 0;
	uint64_t target = st->op == OP_DRAIN ? st->want : length(st->arg[1]);
	uint64_t end_ms = now_ms() + 3000;

	if (target > st->want)
		target = st->want;
	out->bytes = BYTES_GOOD;
	do {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t n = target - total;
		ssize_t ret;

		if (n > STREAM_MAX)
			n = STREAM_MAX;
		if (n)
			poll(&p, 1, 500);
		memset(buffer, UNTOUCHED, n + 1);
		ret = recv(fd, buffer, n, MSG_DONTWAIT);
		if (ret < 0 && errno != EAGAIN) {
			out->err = errno;
			worker_say(out, " ended");
			if (!total)
				out->ret = -1;
			break;
		}
		if (!ret && n) {
			worker_say(out, " eof");
			break;
		}
		if (ret > 0) {
			if (pattern_check(st->key, st->pos + total, buffer, (uint64_t)ret,
					  n + 1) != BYTES_GOOD)
				out->bytes = BYTES_BAD;
			total += (uint64_t)ret;
		}
	} while (total < target && now_ms() < end_ms);
	if (!out->ret)
		out->ret = (int64_t)total;
	if (!total)
		out->bytes = BYTES_NONE;
	worker_say(out, total == target ? " all" : " less");
}

/* Send until there is no more room, for 20 ms on end. */
static void do_fill(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);
	uint64_t total = 0;
	int refusals = 0;

	while (total < (16u << 20) && refusals < 20) {
		ssize_t ret;

		pattern_fill(st->key, st->pos + total, buffer, 16384);
		ret = send(fd, buffer, 16384, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (ret > 0) {
			total += (uint64_t)ret;
			refusals = 0;
			continue;
		}
		if (errno != EAGAIN) {
			out->err = errno;
			out->ret = -1;
			return;
		}
		refusals++;
		nap_us(1000);
	}
	out->ret = (int64_t)total;
	worker_say(out, refusals ? " full" : " endless");
}

static void do_outq(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);
	uint64_t end_ms = now_ms() + 400;
	int value = -1;

	do {
		out->ret = ioctl(fd, SIOCOUTQ, &value);
		out->err = errno;
		if (st->op == OP_OUTQ || out->ret < 0 || !value)
			break;
		nap_us(500);
	} while (now_ms() < end_ms);
	if (!out->ret && st->op == OP_OUTQ0)
		worker_say(out, value ? " bytes left" : " empty");
	else if (!out->ret && value < 0)
		worker_say(out, " negative");
}

static void do_settle(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);
	uint64_t end_ms = now_ms() + (uint64_t)st->arg[2];

	for (int i = 0;; i++) {
		struct pollfd p = { .fd = fd };
		int value = 0;

		if (st->arg[1] == SETTLE_BYTES) {
			if (ioctl(fd, FIONREAD, &value) || (uint64_t)value >= st->want)
				return;
		} else {
			if (st->arg[1] == SETTLE_IN)
				p.events = POLLIN;
			if (st->arg[1] == SETTLE_OUT)
				p.events = POLLOUT;
			if (st->arg[1] == SETTLE_FIN)
				p.events = POLLRDHUP;
			if (poll(&p, 1, 0) > 0)
				return;
		}
		if (now_ms() >= end_ms)
			break;
		nap_us(i < 10 ? 50 : 1000);
	}
	out->ret = -1;
}

/* Nagle holds small data back until an ACK comes; let it out. */
static void do_push(const struct step *st)
{
	int fd = worker_fd(st->arg[0]);
	int old = 0;
	int on = 1;
	socklen_t len = sizeof(old);

	if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &old, &len))
		return;
	/* It may be set already: that does not let out what MSG_MORE keeps. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!old)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &old, sizeof(old));
}

static void do_getsockopt(const struct step *st, struct outcome *out)
{
	int level = (int)st->arg[1];
	int name = (int)st->arg[2];
	union {
		int i;
		unsigned char c;
		struct linger l;
		struct timeval tv;
		char raw[128];
	} v;
	socklen_t len = sizeof(int);

	memset(&v, 0, sizeof(v));
	if (level == SOL_SOCKET && name == SO_LINGER)
		len = sizeof(v.l);
	if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
		len = sizeof(v.tv);
	if (st->argc > 3)
		len = (socklen_t)st->arg[3];
	out->ret = getsockopt(worker_fd(st->arg[0]), level, name, &v, &len);
	out->err = errno;
	if (out->ret)
		return;
	worker_say(out, " len=%u", len);
	if (level == SOL_SOCKET && name == SO_LINGER)
		worker_say(out, " %d,%d", v.l.l_onoff, v.l.l_linger);
	else if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
		worker_say(out, " %lld.%06ld", (long long)v.tv.tv_sec, (long)v.tv.tv_usec);
	else if (level == SOL_SOCKET && name == SO_ERROR && len == 4)
		worker_say(out, " %s", v.i ? strerrorname_np(v.i) : "0");
	else
		worker_say(out, " value=%d", v.i);
	if (worker.mutation == MUTATE_SO_ERROR && name == SO_ERROR && v.i)
		snprintf(out->text, sizeof(out->text), " len=%u 0", len);
}

static void do_setsockopt(const struct step *st, struct outcome *out)
{
	int level = (int)st->arg[1];
	int name = (int)st->arg[2];
	int i = (int)st->arg[3];
	struct linger l = { .l_onoff = i, .l_linger = (int)st->arg[4] };
	/* The two timeouts: arg[3] in microseconds. */
	struct timeval tv = { .tv_sec = st->arg[3] / 1000000, .tv_usec = st->arg[3] % 1000000 };
	const void *v = &i;
	socklen_t len = sizeof(i);

	if (level == SOL_SOCKET && name == SO_LINGER) {
		v = &l;
		len = sizeof(l);
	}
	if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) {
		v = &tv;
		len = sizeof(tv);
	}
	if (st->argc > 5)
		len = (socklen_t)st->arg[5];
	out->ret = setsockopt(worker_fd(st->arg[0]), level, name, v, len);
	out->err = errno;
}

/**
 * struct patience - How long a call still waits that the timer interrupts.
 * @forever: There is no timeout. @zero: It only looks.
 * @again:   It is to be made again for what is left. One that only looks
 *           always is: the kernel says EINTR if the signal comes just then.
 */
struct patience {
	bool forever;
	bool zero;
	bool again;
	uint64_t end_ms;
};

static struct patience patience(const struct step *st, int64_t timeout_ms)
{
	struct patience p = {
		.forever = timeout_ms < 0,
		.zero = timeout_ms == 0,
		.again = st->again || timeout_ms == 0,
		.end_ms = now_ms() + (uint64_t)timeout_ms,
	};

	return p;
}

static int patience_left(const struct patience *p)
{
	uint64_t now = now_ms();

	if (p->forever)
		return -1;
	return p->zero || now >= p->end_ms ? 0 : (int)(p->end_ms - now);
}

static bool patience_again(const struct patience *p, const struct outcome *out)
{
	return p->again && out->ret < 0 && out->err == EINTR && tick_only();
}

static void do_poll(const struct step *st, struct outcome *out)
{
	struct pollfd p[ARGS_MAX / 2];
	struct patience pa = patience(st, st->arg[0]);
	nfds_t n = 0;

	for (int i = 1; i + 1 < st->argc; i += 2) {
		p[n].fd = worker_fd(st->arg[i]);
		p[n].events = (short)st->arg[i + 1];
		p[n].revents = 0;
		n++;
	}
	do {
		out->ret = poll(p, n, patience_left(&pa));
		out->err = errno;
	} while (patience_again(&pa, out));
	for (nfds_t i = 0; i < n && out->ret >= 0; i++) {
		if (worker.mutation == MUTATE_POLLHUP)
			p[i].revents &= (short)~POLLHUP;
		worker_say(out, " s%d=", (int)st->arg[1 + 2 * i]);
		names_pollbits(out->text, sizeof(out->text), (uint32_t)(unsigned short)p[i].revents);
	}
}

static void do_select(const struct step *st, struct outcome *out)
{
	static const char *const set_name[3] = { " r:", " w:", " e:" };
	fd_set sets[3];
	struct patience pa = patience(st, st->arg[0] < 0 ? 0 : st->arg[0]);
	struct timeval tv;
	int max = -1;

again:
	for (int k = 0; k < 3; k++) {
		FD_ZERO(&sets[k]);
		for (int i = 0; i < SLOTS; i++) {
			/* The kernel overlooks numbers beyond its table. */
			if (!(st->arg[1 + k] >> i & 1))
				continue;
			FD_SET(worker_fd(i), &sets[k]);
			max = worker_fd(i) > max ? worker_fd(i) : max;
		}
	}
	tv.tv_sec = 0;
	tv.tv_usec = patience_left(&pa) * 1000;
	out->ret = select(max + 1, &sets[0], &sets[1], &sets[2], &tv);
	out->err = errno;
	if (patience_again(&pa, out))
		goto again;
	for (int k = 0; k < 3 && out->ret >= 0; k++) {
		worker_say(out, "%s", set_name[k]);
		for (int i = 0; i < SLOTS; i++)
			if (st->arg[1 + k] >> i & 1 && FD_ISSET(worker_fd(i), &sets[k]))
				worker_say(out, "s%d,", i);
	}
}

static int event_order(const void *a, const void *b)
{
	const struct epoll_event *x = a;
	const struct epoll_event *y = b;

	if (x->data.u64 != y->data.u64)
		return x->data.u64 < y->data.u64 ? -1 : 1;
	return x->events < y->events ? -1 : x->events > y->events;
}

static void do_epwait(const struct step *st, struct outcome *out)
{
	struct epoll_event ev[32];
	int max = st->arg[1] > 32 ? 32 : (int)st->arg[1];
	struct patience pa = patience(st, st->arg[2]);

	memset(ev, 0, sizeof(ev));
	do {
		out->ret = epoll_wait(worker_fd(st->arg[0]), ev, max, patience_left(&pa));
		out->err = errno;
	} while (patience_again(&pa, out));
	if (out->ret <= 0)
		return;
	if (worker.mutation == MUTATE_LOST_WAKE && out->ret > 1)
		out->ret--;
	qsort(ev, (size_t)out->ret, sizeof(ev[0]), event_order);
	for (int i = 0; i < out->ret; i++) {
		if (worker.mutation == MUTATE_EPOLLRDHUP)
			ev[i].events &= ~(uint32_t)EPOLLRDHUP;
		worker_say(out, " %llu=", (unsigned long long)ev[i].data.u64);
		names_pollbits(out->text, sizeof(out->text), ev[i].events);
	}
}

/* Whose turn it is with a short array: after some rounds, everyone's. */
static void do_epall(const struct step *st, struct outcome *out)
{
	struct epoll_event ev[8];
	uint64_t tags[32];
	uint32_t bits[32];
	int n = 0;
	int max = st->arg[1] > 8 ? 8 : (int)st->arg[1];

	for (int round = 0; round < EPALL_ROUNDS; round++) {
		struct patience pa = patience(st, 0);

		memset(ev, 0, sizeof(ev));
		do {
			out->ret = epoll_wait(worker_fd(st->arg[0]), ev, max, 0);
			out->err = errno;
		} while (patience_again(&pa, out));
		if (out->ret < 0)
			return;
		for (int i = 0; i < out->ret; i++) {
			int k = 0;

			while (k < n && tags[k] != ev[i].data.u64)
				k++;
			if (k == 32)
				continue;
			if (k == n) {
				tags[n] = ev[i].data.u64;
				bits[n++] = 0;
			}
			bits[k] |= ev[i].events;
		}
	}
	while (n) {
		int least = 0;

		for (int i = 1; i < n; i++)
			if (tags[i] < tags[least])
				least = i;
		worker_say(out, " %llu=", (unsigned long long)tags[least]);
		names_pollbits(out->text, sizeof(out->text), bits[least]);
		tags[least] = tags[--n];
		bits[least] = bits[n];
	}
	out->ret = 0;
}

static void do_misc(int fd, enum misc which, struct outcome *out)
{
	char b[64];
	struct iovec iov = { .iov_base = b, .iov_len = 4 };
	struct stat sb;
	struct statfs sfs;
	struct termios tio;
	struct winsize ws;
	struct epoll_event ev;
	struct itimerspec its = { 0 };
	sigset_t set;
	void *p;
	int other;

	memset(b, 'x', sizeof(b));
	sigemptyset(&set);
	errno = 0;
	switch (which) {
	case MISC_lseek: out->ret = lseek(fd, 0, SEEK_CUR); break;
	case MISC_ftruncate: out->ret = ftruncate(fd, 10); break;
	case MISC_fsync: out->ret = fsync(fd); break;
	case MISC_fdatasync: out->ret = fdatasync(fd); break;
	case MISC_pread: out->ret = pread(fd, b, 4, 0); break;
	case MISC_pwrite: out->ret = pwrite(fd, b, 4, 0); break;
	case MISC_preadv: out->ret = preadv(fd, &iov, 1, 0); break;
	case MISC_pwritev: out->ret = pwritev(fd, &iov, 1, 0); break;
	case MISC_mmap:
		p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		out->ret = p == MAP_FAILED ? -1 : 0;
		break;
	case MISC_fchdir: out->ret = fchdir(fd); break;
	case MISC_getdents: out->ret = getdents64(fd, b, sizeof(b)); break;
	case MISC_fallocate: out->ret = fallocate(fd, 0, 0, 4); break;
	case MISC_fadvise:
		errno = posix_fadvise(fd, 0, 4, POSIX_FADV_NORMAL);
		out->ret = errno ? -1 : 0;
		break;
	case MISC_readahead: out->ret = readahead(fd, 0, 4); break;
	case MISC_fstat:
		out->ret = fstat(fd, &sb);
		if (!out->ret)
			worker_say(out, " type=%#o", (unsigned int)(sb.st_mode & S_IFMT));
		break;
	case MISC_fstatfs:
		out->ret = fstatfs(fd, &sfs);
		if (!out->ret)
			worker_say(out, " type=%#lx", (unsigned long)sfs.f_type);
		break;
	case MISC_isatty: out->ret = isatty(fd) ? 0 : -1; break;
	case MISC_tcgetattr: out->ret = tcgetattr(fd, &tio); break;
	case MISC_winsize: out->ret = ioctl(fd, TIOCGWINSZ, &ws); break;
	case MISC_epoll_on: out->ret = epoll_wait(fd, &ev, 1, 0); break;
	case MISC_timerfd_on: out->ret = timerfd_settime(fd, 0, &its, NULL); break;
	case MISC_inotify_on: out->ret = inotify_add_watch(fd, "/", IN_OPEN); break;
	case MISC_signalfd_on: out->ret = signalfd(fd, &set, 0); break;
	case MISC_openat: out->ret = openat(fd, "none", O_RDONLY); break;
	case MISC_fstatat: out->ret = fstatat(fd, "none", &sb, 0); break;
	case MISC_sockatmark: out->ret = sockatmark(fd); break;
	case MISC_fioclex: out->ret = ioctl(fd, FIOCLEX); break;
	case MISC_fionclex: out->ret = ioctl(fd, FIONCLEX); break;
	case MISC_sendfile_from:
		other = memfd_create("conform", MFD_CLOEXEC);
		out->ret = sendfile(other, fd, NULL, 4);
		out->err = errno;
		close(other);
		errno = out->err;
		break;
	case MISC_copy_range:
		other = memfd_create("conform", MFD_CLOEXEC);
		out->ret = copy_file_range(fd, NULL, other, NULL, 4, 0);
		out->err = errno;
		close(other);
		errno = out->err;
		break;
	case MISC_fpathconf: out->ret = fpathconf(fd, _PC_PIPE_BUF); break;
	case MISC_bad_ioctl: out->ret = ioctl(fd, 0xABCD, b); break;
	case MISC_COUNT: break;
	}
	out->err = errno;
}

static void do_connect(const struct step *st, struct outcome *out)
{
	int fd = worker_fd(st->arg[0]);
	union address to;
	socklen_t len = address_make(&to, st->arg[1], st->arg[2]);

	if (st->argc > 3)
		to.sa.sa_family = (sa_family_t)st->arg[3];
	if (st->argc > 4)
		len = (socklen_t)st->arg[4];

	/* With SO_SNDTIMEO the kernel says EINTR if the signal comes just then. */
	do {
		out->ret = connect(fd, &to.sa, len);
		out->err = errno;
	} while (out->ret && out->err == EINTR && tick_only());
	learn_ports(out, fd);
}

static void do_accept(const struct step *st, struct outcome *out)
{
	union address peer = { 0 };
	socklen_t len = sizeof(peer.v6);
	struct sockaddr *sa = &peer.sa;
	int fd = worker_fd(st->arg[1]);

	if (st->op == OP_ACCEPT4)
		out->ret = accept4(fd, sa, &len, (int)st->arg[2]);
	else if (st->argc > 2 && !st->arg[2])
		out->ret = accept(fd, NULL, NULL);
	else
		out->ret = accept(fd, sa, &len);
	out->err = errno;
	if (out->ret < 0)
		return;
	worker_slot_set(st->arg[0], (int)out->ret);
	if (fd_now < 0)		/* Else it may have been chosen before it slept. */
		worker_check_lowest(out, 0);
	if (st->op == OP_ACCEPT4 || st->argc <= 2 || st->arg[2])
		address_say(out, "from", &peer, len);
	learn_ports(out, (int)out->ret);
	/* The peer may be gone, and getpeername then says nothing. */
	if (!out->rport && len >= sizeof(peer.v4))
		out->rport = ntohs(peer.v4.sin_port); /* both have it there */
}

static void do_name(const struct step *st, struct outcome *out)
{
	union address name = { 0 };
	socklen_t len = st->argc > 1 ? (socklen_t)st->arg[1] : sizeof(name.v6);
	bool peer = st->op == OP_GETPEERNAME;

	out->ret = (peer ? getpeername : getsockname)(worker_fd(st->arg[0]), &name.sa, &len);
	out->err = errno;
	if (out->ret)
		return;
	if (worker.mutation == MUTATE_PEERPORT && peer)
		name.v4.sin_port = htons(9);
	address_say(out, "name", &name, len);
}

static void do_dup(const struct step *st, struct outcome *out)
{
	int64_t d = st->arg[0];
	int fd = worker_fd(st->arg[1]);
	bool over = false;

	switch (st->op) {
	case OP_DUP2:
		over = worker.slot_open[d];
		out->ret = worker.slot_open[d] ? dup2(fd, worker.slot_fd[d]) : dup(fd);
		break;
	case OP_DUP3:
		over = worker.slot_open[d];
		out->ret = worker.slot_open[d] ? dup3(fd, worker.slot_fd[d], (int)st->arg[2]) : dup(fd);
		break;
	case OP_FDUPFD:
		out->ret = fcntl(fd, (int)st->arg[2], (int)st->arg[3]);
		if (out->ret >= 0 && out->ret < st->arg[3])
			worker_say(out, " below the minimum");
		break;
	default:
		out->ret = dup(fd);
		break;
	}
	out->err = errno;
	if (out->ret < 0)
		return;
	if (over && out->ret != worker.slot_fd[d])
		worker_say(out, " not the one asked for");
	worker_slot_set(d, (int)out->ret);
	if (!over)
		worker_check_lowest(out, st->op == OP_FDUPFD ? st->arg[3] : 0);
}

static void do_reset(bool linger0)
{
	struct linger l = { .l_onoff = 1 };

	for (int i = 0; i < SLOTS; i++) {
		if (worker.slot_open[i]) {
			/* No TIME_WAIT: ports are few. */
			if (linger0)
				setsockopt(worker.slot_fd[i], SOL_SOCKET, SO_LINGER, &l, sizeof(l));
			close(worker.slot_fd[i]);
		}
		worker.slot_open[i] = false;
		worker.slot_fd[i] = -1;
	}
}

static void *helper_main(void *arg)
{
	(void)arg;
	helper.tid = gettid();
	buffer = buffers[1];
	fd_now = helper.fd;
	tick_thread();
	worker_call(&helper.step, &helper.out);
	tick_thread_end();
	helper.out.sigpipe = sigpipes;
	helper.done = true;
	return NULL;
}

static void do_thread(const struct step *st)
{
	int64_t slot = st->op == OP_ACCEPT || st->op == OP_ACCEPT4 ? st->arg[1] : st->arg[0];

	if (helper.running)
		return;
	memset(&helper.out, 0, sizeof(helper.out));
	helper.step = *st;
	helper.done = false;
	helper.tid = 0;
	helper.fd = st->op == OP_POLL ? -1 : worker_fd(slot);
	if (pthread_create(&helper.thread, NULL, helper_main, NULL))
		abort();
	helper.running = true;
	while (!helper.tid)
		nap_us(200);
	wait_asleep(getpid(), helper.tid);
}

/* The helper's outcome; it is interrupted as the guard does it. */
static void do_join(struct outcome *out)
{
	uint64_t end_ms = now_ms() + GUARD_US / 1000;

	memset(out, 0, sizeof(*out));
	if (!helper.running) {
		out->ret = -1;
		return;
	}
	while (!helper.done) {
		if (now_ms() > end_ms)
			tick_guard_thread(helper.thread);
		nap_us(now_ms() > end_ms ? 20000 : 200);
	}
	pthread_join(helper.thread, NULL);
	helper.running = false;
	*out = helper.out;
}

void worker_call(const struct step *st, struct outcome *out)
{
	int64_t a0 = st->arg[0];
	int fd = worker_fd(a0);
	struct epoll_event ev;
	int fds[2];
	int value = 0;

	switch ((enum op)st->op) {
	case OP_SOCKET:
		out->ret = socket((int)st->arg[1], (int)st->arg[2], (int)st->arg[3]);
		break;
	case OP_BIND: {
		union address at;
		socklen_t len = address_make(&at, st->arg[1], st->arg[2]);

		out->ret = bind(fd, &at.sa, st->argc > 4 ? (socklen_t)st->arg[4] : len);
		out->err = errno;
		learn_ports(out, fd);
		return;
	}
	case OP_LISTEN:
		out->ret = listen(fd, (int)st->arg[1]);
		out->err = errno;
		learn_ports(out, fd);
		return;
	case OP_CONNECT: do_connect(st, out); return;
	case OP_ACCEPT: case OP_ACCEPT4: do_accept(st, out); return;
	case OP_GETSOCKNAME: case OP_GETPEERNAME: do_name(st, out); return;
	case OP_SEND: case OP_WRITE: case OP_WRITEV: case OP_SENDTO: case OP_SENDMSG:
	case OP_SENDFILE:
		do_send(st, out);
		return;
	case OP_RECV: case OP_READ: case OP_READV: case OP_RECVFROM: case OP_RECVMSG:
		do_recv(st, out);
		return;
	case OP_RECVALL: case OP_DRAIN: do_recvall(st, out); return;
	case OP_FILL: do_fill(st, out); return;
	case OP_FIONREAD:
		out->ret = ioctl(fd, FIONREAD, &value);
		out->err = errno;
		if (worker.mutation == MUTATE_FIONREAD && value)
			value++;
		if (!out->ret)
			worker_say(out, " bytes=%d", value);
		return;
	case OP_OUTQ: case OP_OUTQ0: do_outq(st, out); return;
	case OP_FIONBIO:
		value = (int)st->arg[1];
		out->ret = ioctl(fd, FIONBIO, &value);
		break;
	case OP_SHUTDOWN: out->ret = shutdown(fd, (int)st->arg[1]); break;
	case OP_CLOSE: case OP_CLOSERANGE:
		out->ret = st->op == OP_CLOSE ? close(fd) :
			close_range((unsigned int)fd, (unsigned int)fd, 0);
		out->err = errno;
		if (!out->ret && a0 >= 0 && a0 < SLOTS)
			worker.slot_open[a0] = false;
		return;
	case OP_DUP: case OP_DUP2: case OP_DUP3: case OP_FDUPFD: do_dup(st, out); return;
	case OP_FCNTL:
		out->ret = fcntl(fd, (int)st->arg[1], (int)st->arg[2]);
		break;
	case OP_GETSOCKOPT: do_getsockopt(st, out); return;
	case OP_SETSOCKOPT: do_setsockopt(st, out); return;
	case OP_POLL: do_poll(st, out); return;
	case OP_SELECT: do_select(st, out); return;
	case OP_EPCREATE: out->ret = epoll_create1((int)st->arg[1]); break;
	case OP_EPCTL:
		ev.events = (uint32_t)st->arg[3];
		ev.data.u64 = (uint64_t)st->arg[4];
		if (worker.mutation == MUTATE_ONESHOT)
			ev.events &= ~(uint32_t)EPOLLONESHOT;
		out->ret = epoll_ctl(fd, (int)st->arg[1], worker_fd(st->arg[2]), &ev);
		break;
	case OP_EPWAIT: do_epwait(st, out); return;
	case OP_PIPE:
		out->ret = pipe2(fds, (int)st->arg[2]);
		out->err = errno;
		if (!out->ret) {
			worker_slot_set(a0, fds[0]);
			worker_slot_set(st->arg[1], fds[1]);
		}
		return;
	case OP_MISC: do_misc(fd, (enum misc)st->arg[1], out); return;
	case OP_EPALL: do_epall(st, out); return;
	case OP_FORKSEND: case OP_FORKRECV: family_fork_call(st, out); return;
	case OP_FORKHOLD: family_hold(out); return;
	case OP_FORKEND: family_hold_end(out); return;
	case OP_JOIN: do_join(out); return;
	case OP_SETTLE: do_settle(st, out); return;
	case OP_PUSH: do_push(st); return;
	case OP_RESET: {
		struct outcome unused;

		do_join(&unused);
		family_reset();
		do_reset(a0 != 0);
		out->ret = (int64_t)tick_count();
		return;
	}
	default:
		dgram_call(st, out);	/* Else it is family_step()'s. */
		return;
	}
	out->err = errno;
	if (out->ret >= 0 && (st->op == OP_SOCKET || st->op == OP_EPCREATE)) {
		worker_slot_set(a0, (int)out->ret);
		worker_check_lowest(out, 0);
	}
}

void worker_forked(void)
{
	helper.running = false;
	worker.child = 0;
	worker.held = 0;
	sigpipes = 0;
	tick_begin(worker.hz);
}

/* Does it end by itself, or take as long as another process needs? */
static bool is_bounded(const struct step *st)
{
	return st->op == OP_SETTLE || st->op == OP_PUSH || st->op == OP_RESET ||
		st->op == OP_FILL || st->op == OP_DRAIN || st->op == OP_RECVALL ||
		st->op == OP_OUTQ0 || st->op == OP_DOVER || st->op == OP_JOIN || st->op == OP_FORKSEND ||
		st->op == OP_FORKRECV || st->op >= OP_FORK || st->thread;
}

/* One that ends by itself, or that another step ends, may be late on a busy machine:
 * that is no EINTR. */
static long guard_us(const struct step *st)
{
	bool timed = st->background || ((st->op == OP_POLL || st->op == OP_SELECT) && st->arg[0] > 0) ||
		     (st->op == OP_EPWAIT && st->arg[2] > 0);

	return timed ? LATE_US : GUARD_US;
}

int worker_main(int in, int out_fd, int mutate, int hz, const char *resume)
{
	struct sigaction pipe_action = { .sa_handler = on_sigpipe, .sa_flags = SA_RESTART };
	struct outcome out;
	struct step st;

	sigaction(SIGPIPE, &pipe_action, NULL);
	tick_begin(hz);
	worker.mutation = mutate;
	worker.hz = hz;
	for (int i = 0; i < SLOTS; i++)
		worker.slot_fd[i] = -1;
	memset(&out, 0, sizeof(out));
	if (resume) {
		family_resume(resume, &out);
		if (!io_write_all(out_fd, &out, sizeof(out)))
			return 1;
	}
	while (io_read_all(in, &st, sizeof(st))) {
		bool bounded = is_bounded(&st);
		bool told = true;

		memset(&out, 0, sizeof(out));
		if (!bounded)
			tick_guard(guard_us(&st));
		errno = 0;
		if (st.thread)
			do_thread(&st);
		else if (st.op >= OP_FORK && st.op <= OP_QUIT)
			told = family_step(&st, &out);
		else
			worker_call(&st, &out);
		if (!bounded)
			tick_guard(0);
		out.sigpipe += sigpipes;
		sigpipes = 0;
		if (worker.mutation == MUTATE_SIGPIPE)
			out.sigpipe = 0;
		if (worker.mutation == MUTATE_ERRNO && out.ret < 0 && out.err == ENOTCONN)
			out.err = EPIPE;
		if (told && !io_write_all(out_fd, &out, sizeof(out)))
			return 1;
	}
	return 0;
}
