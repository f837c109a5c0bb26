/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/log.h"

#define LOG_LINES_PER_SECOND 20u

static int log_to_fd = STDERR_FILENO;

void log_to(int fd)
{
	log_to_fd = fd;
}

int log_fd(void)
{
	return log_to_fd;
}

void log_line(const char *fmt, ...)
{
	static uint64_t second_ns;
	static unsigned lines, dropped;
	uint64_t now_ns = clock_now_ns();
	char line[512];
	struct tm tm;
	time_t now = time(NULL);
	size_t used;
	va_list ap;
	int n;

	/* A client that is refused in a loop must not fill the disk. */
	if (now_ns - second_ns >= NS_PER_SEC) {
		second_ns = now_ns;
		lines = 0;
	}
	if (lines >= LOG_LINES_PER_SECOND) {
		dropped++;
		return;
	}
	lines++;
	gmtime_r(&now, &tm);
	used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ ", &tm);
	n = snprintf(line + used, sizeof(line) - used, "mortised[%d]: ", (int)getpid());
	used += (size_t)n;
	if (dropped) {
		n = snprintf(line + used, sizeof(line) - used, "(%u lines left out) ", dropped);
		used += (size_t)n;
		dropped = 0;
	}
	va_start(ap, fmt);
	n = vsnprintf(line + used, sizeof(line) - used - 1, fmt, ap);
	va_end(ap);
	used += (size_t)(n < 0 ? 0 : n);
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	if (write(log_to_fd, line, used) < 0)
		return; /* Nowhere left to complain. */
}
