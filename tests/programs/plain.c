/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plain - A program without the library in it: statically linked.
 *
 *   plain                 copy standard input to standard output
 *   plain exec PROGRAM..  execute PROGRAM without LD_PRELOAD
 *   plain first           "hello" to standard output, then as the first one
 *   plain fail FD         expect EPIPE or ECONNRESET of writes to it, in time
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_all(const char *buf, ssize_t n)
{
	while (n > 0) {
		ssize_t r = write(1, buf, (size_t)n);

		if (r < 0)
			return 2;
		buf += r;
		n -= r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char buf[65536];
	ssize_t n;

	alarm(60);
	if (argc > 2 && strcmp(argv[1], "exec") == 0) {
		alarm(0);
		unsetenv("LD_PRELOAD");
		execvp(argv[2], argv + 2);
		return 127;
	}
	if (argc > 2 && strcmp(argv[1], "fail") == 0) {
		signal(SIGPIPE, SIG_IGN);
		while (write(atoi(argv[2]), buf, sizeof(buf)) > 0)
			;
		return errno == EPIPE || errno == ECONNRESET ? 0 : 4;
	}
	if (argc > 1 && strcmp(argv[1], "first") == 0 && write_all("hello\n", 6) != 0)
		return 2;
	while ((n = read(0, buf, sizeof(buf))) > 0)
		if (write_all(buf, n) != 0)
			return 2;
	return n < 0 ? 3 : 0;
}
