/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.h - Cases that say what they see, to be run on the kernel's sockets
 * and through Mortise: what they print is to be the same.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct test {
	const char *name;
	void (*fn)(void);
};

/* One list for each file of cases. */
extern const struct test urgent_tests[], async_tests[], handler_tests[];

/** say() - A line of the result. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** said() - "5", or "-EAGAIN". */
const char *said(long r);

/** pair() - Two ends of a connection over 127.0.0.1, v[0] the one that connected. */
void pair(int v[2]);

/** listener() - On a port of its own, told in @ret. */
int listener(struct sockaddr_in *ret);

/** client() - Connected to @to. */
int client(const struct sockaddr_in *to);

/** nap() - So long that what was sent has arrived. */
void nap(unsigned ms);

/** after() - A child that does @fn(@arg) after @ms; joined by after_end(). */
pid_t after(unsigned ms, void (*fn)(int), int arg);
void after_end(pid_t pid);

#endif
