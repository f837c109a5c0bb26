/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waiting.h - Cases whose output on the kernel's sockets is the standard.
 *
 * Each case is one process and prints what it sees. ./run starts it on the
 * kernel and then through Mortise; both must print the same. So a case prints
 * nothing that differs from run to run: no numbers of descriptors, no times.
 */
#ifndef MORTISE_TESTS_WAITING_H
#define MORTISE_TESTS_WAITING_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(what)                                                                         \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #what, \
				errno);                                                    \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

/** struct test - One case. */
struct test {
	const char *name;
	void (*run)(void);
};

/* Each ends with a name of NULL. */
extern const struct test sets_tests[], nested_tests[], mixed_tests[], pointer_tests[],
	thread_tests[], cancel_tests[], datagram_tests[], shared_tests[],
	effect_tests[], timed_tests[], limit_tests[],
	ring_tests[], liburing_tests[],
	carried_tests[], control_tests[], joint_tests[];

/** executed() - The same program, executed by one of its tests: @what is the second word. */
void executed(const char *what, char **args);

/** say() - One line of the output, at once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** said() - A call's result and, where it failed, errno's name. */
void said(const char *what, long r);
/** bits() - poll's or epoll's bits by name; of eight static buffers. */
const char *bits(uint32_t events);

void nap(unsigned ms);
void listen_at(int *ret_listener, struct sockaddr_in *ret_at);
int client(const struct sockaddr_in *at);
void pair(int *a, int *b);
/** put() - Send the text, all of it. */
void put(int fd, const char *text);
/** drop() - Read all that is there, and forget it. Return: how much it was. */
size_t drop(int fd);
/** fill() - Send until there is no room. */
void fill(int fd);
void unblock(int fd);

int set_make(void);
/** set_add() - Return: 0 or -1, as epoll_ctl(). */
int set_ctl(int ep, int op, int fd, uint32_t events, uint64_t data);
/** set_say() - Wait at most @ms; print the events, in the order of their data. */
int set_say(const char *what, int ep, int ms);

/* A child that does something when it is told to: order(), from a thread of its
 * parent's, waits until it has. */

/** child_has() - Fork. One end of @over each. Return: true in the child. */
bool child_has(int over[2]);
void order(int over);
/** ordered() - In the child: wait for it. The parent's end is the child's. */
void ordered(int over);
void done(int over);

/** started() - Start a thread. */
pthread_t started(void *(*fn)(void *), void *arg);
/** ended() - Join it, or print that it hangs. Return: its result. */
void *ended(const char *what, pthread_t t);

#endif
