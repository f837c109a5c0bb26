/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app.h - Programs of the simulator: each connection has a side that connects
 * and one that accepts; both send octets that can be told apart by where they
 * are, end, and read until the other's end.
 */
#ifndef MORTISE_TESTS_SIM_APP_H
#define MORTISE_TESTS_SIM_APP_H

#include "sim.h"

#define APP_FLOWS 64u
#define APP_PORT 7000u

/**
 * struct app_side - One end.
 * @total: Octets to send. @chunk: the most in one call, each way.
 * @pause_ns: Up to so long between two reads; 0: none.
 * @linger: Not closed before all is acknowledged: a connection without a user gives up sooner.
 * @next_ns: Not before then; UINT64_MAX: an event will come.
 */
struct app_side {
	struct engine_sock sock;
	unsigned host;
	uint64_t total, sent, received;
	uint32_t chunk;
	uint64_t pause_ns, next_ns;
	bool open, connected, ended, heard_end, done, linger;
	int error;
};

struct app_flow {
	struct app_side client, server;
	uint64_t start_ns, tried_ns, done_ns;
	uint16_t port;
	bool started;
	uint32_t cc;
	bool nodelay;
};

struct app {
	struct sim *sim;
	struct app_flow flow[APP_FLOWS];
	unsigned flows;
	struct engine_sock listener[SIM_HOSTS];
	bool listening[SIM_HOSTS];
	char fault[256];
	bool timed_out;
	uint32_t rcvbuf, sndbuf;
};

/** app_octets() - Octets [at, at + bytes) of the stream that @port (the client's) sends, or is sent.
 */
void app_octets(uint16_t port, bool from_client, uint64_t at, uint8_t *room, size_t bytes);

void app_init(struct app *a, struct sim *s);

/** app_flow_add() - @up: octets from client to server, @down: back. */
struct app_flow *app_flow_add(struct app *a, unsigned client, unsigned server, uint64_t up,
			      uint64_t down);

/** app_listen() - Let @host accept. */
void app_listen(struct app *a, unsigned host);

/** app_run() - Until all flows are done, something is wrong, or @until_ns. Return: all are done. */
bool app_run(struct app *a, uint64_t until_ns);

/** app_timed_out() - Was all that was wrong with app_run() its end? Then it can go on. */
bool app_timed_out(struct app *a);

/** app_drain() - Until nothing is left in any engine. Return: false: something is, fault says what.
 */
bool app_drain(struct app *a, uint64_t until_ns);

#endif
