/* SPDX-License-Identifier: BSD-2-Clause */
/* usage: signals-cases [NAME]: without one, their names. */
#include <netinet/tcp.h>
#include <stdarg.h>

#include "signals.h"

static const struct test *const lists[] = { urgent_tests, async_tests, handler_tests };

void say(const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(1, line, (size_t)n) != n)
		_exit(3);
}

const char *said(long r)
{
	static char text[4][40];
	static unsigned at;
	char *t = text[at++ % 4];

	if (r < 0)
		snprintf(t, sizeof(text[0]), "-%s", strerrorname_np(errno));
	else
		snprintf(t, sizeof(text[0]), "%ld", r);
	return t;
}

static void must(bool well, const char *what)
{
	if (!well) {
		say("%s: %s", what, strerror(errno));
		_exit(3);
	}
}

int listener(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET };
	ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(fd >= 0 && bind(fd, (struct sockaddr *)ret, len) == 0 && listen(fd, 8) == 0 &&
	     getsockname(fd, (struct sockaddr *)ret, &len) == 0, "listener");
	return fd;
}

int client(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0, "client");
	return fd;
}

void pair(int v[2])
{
	struct sockaddr_in at;
	int l = listener(&at), on = 1;

	v[0] = client(&at);
	v[1] = accept(l, NULL, NULL);
	must(v[1] >= 0, "accept");
	close(l);
	/* The kernel keeps nothing back. */
	for (int i = 0; i < 2; i++)
		setsockopt(v[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void nap(unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

pid_t after(unsigned ms, void (*fn)(int), int arg)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid == 0) {
		nap(ms);
		fn(arg);
		_exit(0);
	}
	return pid;
}

void after_end(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int main(int argc, char **argv)
{
	/* What a shell leaves blocked or ignored does not matter here. */
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	
	for (unsigned i = 0; i < ARRAY_LEN(lists); i++)
		for (const struct test *t = lists[i]; t->name; t++) {
			if (argc < 2) {
				say("%s", t->name);
			} else if (strcmp(argv[1], t->name) == 0) {
				t->fn();
				return 0;
			}
		}
	return argc < 2 ? 0 : 2;
}
