/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk.c - usage: walk [KIND...]; kinds: tcp4 tcp6 udp4 udp6. All without one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "walk.h"

#define CONNECT_MS 40

const struct kind kinds[KINDS] = {
	{ "tcp4", AF_INET, SOCK_STREAM },
	{ "tcp6", AF_INET6, SOCK_STREAM },
	{ "udp4", AF_INET, SOCK_DGRAM },
	{ "udp6", AF_INET6, SOCK_DGRAM },
};
const char *const stage_names[STAGES] = { "fresh", "bound", "listening", "connected", "accepted",
					  "shut" };
void *volatile nowhere = (void *)16;

/**
 * struct far - Who is connected to, of one kind.
 * @fd:   Listens, or waits for datagrams.
 * @peer: The other end of the connection that was made last.
 */
static struct far {
	int fd, peer;
	struct sockaddr_storage at;
	socklen_t len;
} fars[KINDS];

static socklen_t loopback(const struct kind *k, struct sockaddr_storage *at)
{
	*at = (struct sockaddr_storage){ .ss_family = (sa_family_t)k->domain };
	if (k->domain == AF_INET) {
		((struct sockaddr_in *)at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(struct sockaddr_in);
	}
	((struct sockaddr_in6 *)at)->sin6_addr = in6addr_loopback;
	return sizeof(struct sockaddr_in6);
}

static int bound(const struct kind *k)
{
	struct sockaddr_storage at;
	socklen_t len = loopback(k, &at);
	int fd = socket(k->domain, k->type | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	MUST(bind(fd, (struct sockaddr *)&at, len) == 0);
	return fd;
}

/* What comes goes through memory once somebody has looked for it. */
static void look(int fd)
{
	char c;

	while (recv(fd, &c, sizeof(c), MSG_DONTWAIT) >= 0)
		continue;
}

static struct far *far_of(const struct kind *k)
{
	struct far *f = &fars[k - kinds];

	if (f->fd > 0)
		return f;
	f->fd = bound(k);
	f->peer = -1;
	f->len = sizeof(f->at);
	if (k->type == SOCK_STREAM)
		MUST(listen(f->fd, 16) == 0);
	else
		look(f->fd);
	MUST(getsockname(f->fd, (struct sockaddr *)&f->at, &f->len) == 0);
	return f;
}

/* A reset leaves nothing behind that could hold a port. */
static void drop(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* Some options make it wait for what never comes. */
static int connect_soon(int fd, const struct far *f)
{
	int flags = fcntl(fd, F_GETFL), error = ETIMEDOUT;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(error);
	int r;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	r = connect(fd, (const struct sockaddr *)&f->at, f->len);
	if (r < 0 && errno == EINPROGRESS) {
		if (poll(&p, 1, CONNECT_MS) > 0)
			MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
		errno = error;
		r = error ? -1 : 0;
	}
	error = errno;
	fcntl(fd, F_SETFL, flags);
	errno = error;
	return r;
}

int stage_connect(const struct kind *k, int fd)
{
	struct far *f = far_of(k);
	int r = connect_soon(fd, f), error = errno;

	if (f->peer >= 0)
		drop(f->peer);
	f->peer = -1;
	if (r == 0 && k->type == SOCK_STREAM) {
		struct pollfd p = { .fd = f->fd, .events = POLLIN };

		/* Or the listener never hears of it. */
		if (poll(&p, 1, CONNECT_MS) > 0)
			f->peer = accept(f->fd, NULL, NULL);
		else
			r = -1, error = ETIMEDOUT;
	}
	if (r < 0 && k->type == SOCK_STREAM) {
		/* Who may still come is not to be taken for the next one. */
		close(f->fd);
		f->fd = 0;
	}
	errno = error;
	return r;
}

bool stage_is_of(const struct kind *k, enum stage stage)
{
	return k->type == SOCK_STREAM || stage == FRESH || stage == BOUND || stage == CONNECTED;
}

int stage_make(const struct kind *k, enum stage stage)
{
	struct far *f = far_of(k);
	int fd;

	if (stage == BOUND || stage == LISTENING) {
		fd = bound(k);
		MUST(stage == BOUND || listen(fd, 4) == 0);
		return fd;
	}
	fd = socket(k->domain, k->type | SOCK_CLOEXEC, 0);
	MUST(fd >= 0);
	if (stage == FRESH)
		return fd;
	MUST(stage_connect(k, fd) == 0);
	if (stage == ACCEPTED) {
		int peer = f->peer;

		f->peer = fd;
		return peer;
	}
	MUST(stage != SHUT || shutdown(fd, SHUT_WR) == 0);
	return fd;
}

/* By an instruction of our own: the library must not have its say. */
static long raw(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
#else
	long r = syscall(number, a, b, c, d, e, f);

	return r < 0 ? -errno : r;
#endif
}

static bool stream_is_memory(const struct kind *k, int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	MUST(raw(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, (long)&domain, (long)&len, 0) == 0);
	return domain != k->domain;
}

/* Does a datagram get from @from to @to without being in the kernel's queue? */
static bool goes_by_memory(int from, int to)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	char c;
	long r;

	look(to);
	MUST(getsockname(to, (struct sockaddr *)&at, &len) == 0);
	if (sendto(from, "", 1, 0, (struct sockaddr *)&at, len) != 1)
		return false;
	r = raw(SYS_recvfrom, to, (long)&c, sizeof(c), MSG_PEEK | MSG_DONTWAIT, 0, 0);
	return recv(to, &c, sizeof(c), MSG_DONTWAIT) == 1 && r == -EAGAIN;
}

bool stage_is_memory(const struct kind *k, int fd)
{
	struct far *f = far_of(k);

	if (k->type == SOCK_STREAM)
		return stream_is_memory(k, fd);
	return goes_by_memory(fd, f->fd) && goes_by_memory(f->fd, fd);
}

const char *outcome(long r)
{
	static char text[32];

	if (r < 0)
		return strerrorname_np(errno) ? strerrorname_np(errno) : "?";
	snprintf(text, sizeof(text), "%ld", r);
	return text;
}

static void walk(const struct kind *k)
{
	walk_options(k);
	walk_requests(k);
}

int main(int argc, char **argv)
{
	static char out[1 << 20];

	setvbuf(stdout, out, _IOFBF, sizeof(out));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	signal(SIGURG, SIG_IGN);
	for (unsigned i = 0; i < KINDS; i++) {
		bool asked = argc < 2;

		for (int a = 1; a < argc; a++)
			asked |= strcmp(argv[a], kinds[i].name) == 0;
		if (asked)
			walk(&kinds[i]);
	}
	return 0;
}
