/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connection.h - Two sockets that face each other, for the programs here.
 */
#ifndef MORTISE_TESTS_PRELOAD_CONNECTION_H
#define MORTISE_TESTS_PRELOAD_CONNECTION_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* A connection over 127.0.0.1. */
static inline void connection(int ends[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(l, (struct sockaddr *)&a, n) < 0 || listen(l, 5) < 0 ||
	    getsockname(l, (struct sockaddr *)&a, &n) < 0)
		_exit(2);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(ends[0], (struct sockaddr *)&a, n) < 0)
		_exit(2);
	ends[1] = accept(l, NULL, NULL);
	close(l);
}

#endif
