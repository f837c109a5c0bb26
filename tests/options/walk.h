/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk.h - Everything that can be set on a socket or asked of it, tried.
 *
 * The program prints a line for each call, with nothing in it that differs from
 * run to run; ./run starts it on the kernel and through Mortise and compares.
 */
#ifndef MORTISE_TESTS_OPTIONS_WALK_H
#define MORTISE_TESTS_OPTIONS_WALK_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(what)                                                                         \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #what, \
				errno);                                                    \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

/** struct kind - What socket() is asked for. */
struct kind {
	const char *name;
	int domain, type;
};
#define KINDS 4
extern const struct kind kinds[KINDS];

enum stage { FRESH, BOUND, LISTENING, CONNECTED, ACCEPTED, SHUT, STAGES };
extern const char *const stage_names[STAGES];

/** stage_is_of() - Can a socket of that kind be in it? */
bool stage_is_of(const struct kind *k, enum stage stage);
/** stage_make() - A new socket of kind @k in @stage. Its peer, where it has
 * one, lives until the next one is made. */
int stage_make(const struct kind *k, enum stage stage);
/** stage_connect() - Connect @fd to somebody who listens. Return: 0 or -1. */
int stage_connect(const struct kind *k, int fd);
/** stage_is_memory() - Does what is sent on @fd, which stage_connect() has connected, and
 * what comes there, go through memory? */
bool stage_is_memory(const struct kind *k, int fd);

/** outcome() - A call's result: its value, or the name of errno. */
const char *outcome(long r);

/* An address where nothing is; not constant, or the compiler would have its say. */
extern void *volatile nowhere;

void walk_options(const struct kind *k);
void walk_requests(const struct kind *k);

#endif
