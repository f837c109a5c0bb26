/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - usage: waiting NAME; without a name: list them.
 */
#include <stdarg.h>

#include "waiting.h"

void say(const char *format, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	MUST(write(STDOUT_FILENO, line, (size_t)n) == n);
}

void said(const char *what, long r)
{
	if (r >= 0)
		say("%s: %ld", what, r);
	else
		say("%s: %s", what, strerrorname_np(errno));
}

const char *bits(uint32_t events)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = { { POLLIN, "IN" }, { POLLPRI, "PRI" }, { POLLOUT, "OUT" }, { POLLERR, "ERR" },
		      { POLLHUP, "HUP" }, { POLLNVAL, "NVAL" }, { POLLRDNORM, "RDNORM" },
		      { POLLRDBAND, "RDBAND" }, { POLLWRNORM, "WRNORM" }, { POLLWRBAND, "WRBAND" },
		      { POLLRDHUP, "RDHUP" } };
	static char buffers[8][128];
	static unsigned turn;
	char *out = buffers[turn++ % 8];

	out[0] = 0;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(events & names[i].bit))
			continue;
		if (out[0])
			strcat(out, "|");
		strcat(out, names[i].name);
	}
	return out[0] ? out : "-";
}

void nap(unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000l };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

void listen_at(int *ret_listener, struct sockaddr_in *ret_at)
{
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_at);

	*ret_at = (struct sockaddr_in){ .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(l >= 0);
	MUST(bind(l, (struct sockaddr *)ret_at, len) == 0);
	MUST(listen(l, 64) == 0);
	MUST(getsockname(l, (struct sockaddr *)ret_at, &len) == 0);
	*ret_listener = l;
}

int client(const struct sockaddr_in *at)
{
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(c >= 0);
	MUST(connect(c, (const struct sockaddr *)at, sizeof(*at)) == 0);
	return c;
}

void pair(int *a, int *b)
{
	struct sockaddr_in at;
	int l;

	listen_at(&l, &at);
	*a = client(&at);
	*b = accept(l, NULL, NULL);
	MUST(*b >= 0);
	close(l);
}

void put(int fd, const char *text)
{
	MUST(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

size_t drop(int fd)
{
	static char buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	return total;
}

void fill(int fd)
{
	static const char zeros[65536];

	/* The kernel moves some of it on; then there is room once more. */
	for (int pass = 0; pass < 3; pass++) {
		while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
		nap(5);
	}
}

void unblock(int fd)
{
	MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

int set_make(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	MUST(ep >= 0);
	return ep;
}

int set_ctl(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, op, fd, &ev);
}

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;
	uint64_t p = x->data.u64, q = y->data.u64;

	return (p > q) - (p < q);
}

int set_say(const char *what, int ep, int ms)
{
	struct epoll_event evs[32];
	char line[512] = "";
	int n = epoll_wait(ep, evs, 32, ms);

	if (n <= 0) {
		said(what, n);
		return n;
	}
	qsort(evs, (size_t)n, sizeof(evs[0]), by_data);
	for (int i = 0; i < n; i++) {
		size_t at = strlen(line);

		snprintf(line + at, sizeof(line) - at, " %llu=%s",
			 (unsigned long long)evs[i].data.u64, bits(evs[i].events));
	}
	say("%s:%s", what, line);
	return n;
}

pthread_t started(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	MUST(pthread_create(&t, NULL, fn, arg) == 0);
	return t;
}

void *ended(const char *what, pthread_t t)
{
	struct timespec until;
	void *r = NULL;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 4;
	if (pthread_timedjoin_np(t, &r, &until) != 0) {
		say("%s: hangs", what);
		_exit(1);
	}
	return r;
}

int main(int argc, char **argv)
{
	const struct test *const all[] = { sets_tests, nested_tests, mixed_tests, pointer_tests,
					   thread_tests, cancel_tests, datagram_tests, effect_tests,
					   shared_tests, timed_tests, limit_tests, ring_tests, liburing_tests,
					   carried_tests, control_tests, joint_tests };

	signal(SIGPIPE, SIG_IGN);
	if (argc > 2) {
		executed(argv[1], argv + 2);
		return 0;
	}
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct test *t = all[i]; t->name; t++) {
			if (argc < 2) {
				puts(t->name);
			} else if (strcmp(t->name, argv[1]) == 0) {
				alarm(20);
				t->run();
				return 0;
			}
		}
	return argc < 2 ? 0 : 2;
}
