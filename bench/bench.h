/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - What pingpong, stream and connrate have in common: options,
 * sockets, and the one line of key=value that each prints.
 *
 * Plain POSIX sockets only: what is measured is whatever socket layer the
 * process was started on. The server is forked and exec'ed, so that it starts
 * as clean as the client does.
 */
#ifndef MORTISE_BENCH_H
#define MORTISE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/**
 * struct bench_opts - The command line.
 * @role:       "both" (start the server too), "server" or "client".
 * @addr:       IPv4 address of the server.
 * @cc:         TCP_CONGESTION, or "" to leave it alone.
 * @busy:       0: blocking calls; 1: non-blocking ones, spinning; 2: and
 *              sched_yield between them.
 * @nodelay:    TCP_NODELAY; -1 leaves it alone.
 * @pin_server: CPU, or -1; likewise @pin_client.
 * @naddr:      connrate: addresses to cycle through, from @addr on.
 * @size_bytes: Of one message or write.
 * @read_bytes: stream: the server's reads; 0: max(size, 64 KB).
 * @count:      Messages, writes or connections; 0: until @time_s is over.
 * @time_s:     Upper bound of the timed part.
 */
struct bench_opts {
	const char *role;
	const char *addr;
	const char *cc;
	int port;
	int busy;
	int nodelay;
	int pin_server;
	int pin_client;
	int naddr;
	size_t size_bytes;
	size_t read_bytes;
	long count;
	double time_s;
};

extern struct bench_opts bench;

/** bench_parse() - Read the command line into bench; leaves with 1 where it is wrong. */
void bench_parse(int argc, char **argv, const char *what);
bool bench_is_server(void);

/** bench_alloc() - Memory that begins at a page, filled; leaves where there is none. */
void *bench_alloc(size_t size_bytes);

/** bench_die() - Say what failed and errno, and leave with 2. */
_Noreturn void bench_die(const char *what);
uint64_t bench_now_ns(void);
void bench_pin(int cpu);

/** bench_spawn_server() - With role "both", start this program again as the server. */
pid_t bench_spawn_server(int argc, char **argv);

/**
 * bench_listen() - Listen on bench.addr, or on all addresses.
 * Return: The descriptor, non-blocking never.
 */
int bench_listen(bool wildcard);

/** bench_socket() - A TCP socket with the options that were asked for. */
int bench_socket(void);

/** bench_accept() - Accept one connection, as bench.busy says. */
int bench_accept(int listener);

/** bench_addr() - The server's address, its last octet moved by @offset. */
struct sockaddr_in bench_addr(int offset);

/** bench_connect() - Connect, trying for 5 s while the server starts. */
int bench_connect(void);
void bench_nonblock(int fd);

/**
 * bench_send() - Send all of it.
 * Return: false where the peer has gone.
 */
bool bench_send(int fd, const void *p, size_t n);

/**
 * bench_recv() - Receive all of it.
 * Return: false at an end before.
 */
bool bench_recv(int fd, void *p, size_t n);

/** bench_wait() - What is done between two attempts of a busy call. */
void bench_wait(void);

/** bench_print_head() - The options, as the line's beginning. */
void bench_print_head(const char *name);

/** bench_print_times() - Sort @n times, print percentiles in microseconds. */
void bench_print_times(uint32_t *ns, size_t n, double elapsed_s);

/** bench_finish() - Wait for the server, print both ends' CPU times, end the line. */
void bench_finish(pid_t server);

#endif
