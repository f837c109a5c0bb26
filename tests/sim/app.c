// SPDX-License-Identifier: BSD-2-Clause
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

#define LISTENER UINT64_MAX

void app_octets(uint16_t port, bool from_client, uint64_t at, uint8_t *room, size_t bytes)
{
	/* Eight at a time: a run is a hundred megabytes, each looked at several times. */
	while (bytes) {
		uint64_t x = (at >> 3) * 0x9e3779b97f4a7c15ull + port * 2u + from_client;
		size_t skip = at & 7, n = bytes < 8 - skip ? bytes : 8 - skip;

		x ^= x >> 29;
		x = htole64(x >> 8 * skip);
		memcpy(room, &x, n);
		room += n;
		at += n;
		bytes -= n;
	}
}

static void fail(struct app *a, const char *what, const struct app_flow *f, int64_t value)
{
	if (!a->fault[0])
		snprintf(a->fault, sizeof(a->fault), "%.6f s: flow %u (port %u): %s (%lld)",
			 (double)a->sim->now_ns / 1e9, f ? (unsigned)(f - a->flow) : 0u,
			 f ? (unsigned)f->port : 0u, what, (long long)value);
}

void app_init(struct app *a, struct sim *s)
{
	memset(a, 0, sizeof(*a));
	a->sim = s;
}

void app_listen(struct app *a, unsigned host)
{
	struct engine *e = &a->sim->host[host].e;

	if (a->listening[host])
		return;
	a->listening[host] = true;
	if (engine_open(e, ENGINE_TCP, LISTENER, &a->listener[host]) != 0)
		abort();
	if (a->rcvbuf)
		(void)engine_set(e, a->sim->now_ns, a->listener[host], ENGINE_SO_RCVBUF, a->rcvbuf);
	if (a->sndbuf)
		(void)engine_set(e, a->sim->now_ns, a->listener[host], ENGINE_SO_SNDBUF, a->sndbuf);
	if (engine_bind(e, a->listener[host], 0, APP_PORT) != 0 ||
	    engine_listen(e, a->listener[host], 128) != 0)
		abort();
}

struct app_flow *app_flow_add(struct app *a, unsigned client, unsigned server, uint64_t up,
			      uint64_t down)
{
	struct app_flow *f = &a->flow[a->flows++];

	*f = (struct app_flow){
		.client = {.host = client, .total = up, .chunk = 65536, .next_ns = UINT64_MAX},
		.server = {.host = server, .total = down, .chunk = 65536, .next_ns = UINT64_MAX},
		.start_ns = a->sim->now_ns,
	};
	app_listen(a, server);
	return f;
}

static void start(struct app *a, struct app_flow *f)
{
	struct engine *e = &a->sim->host[f->client.host].e;
	struct engine_info info;
	uint64_t now = a->sim->now_ns;
	int err;

	f->started = true;
	f->tried_ns = now;
	if (engine_open(e, ENGINE_TCP, (uint64_t)(f - a->flow) * 2, &f->client.sock) != 0) {
		fail(a, "engine_open", f, 0);
		return;
	}
	(void)engine_set(e, now, f->client.sock, ENGINE_TCP_CONGESTION, f->cc);
	(void)engine_set(e, now, f->client.sock, ENGINE_TCP_NODELAY, f->nodelay);
	if (a->rcvbuf)
		(void)engine_set(e, now, f->client.sock, ENGINE_SO_RCVBUF, a->rcvbuf);
	if (a->sndbuf)
		(void)engine_set(e, now, f->client.sock, ENGINE_SO_SNDBUF, a->sndbuf);
	err = engine_connect(e, now, f->client.sock, sim_addr(f->server.host), APP_PORT);
	if (err != -EINPROGRESS) {
		fail(a, "engine_connect", f, err);
		return;
	}
	f->client.open = true;
	(void)engine_info(e, f->client.sock, &info);
	f->port = info.lport;
}

static void accept_one(struct app *a, unsigned host)
{
	struct engine *e = &a->sim->host[host].e;
	struct engine_sock sock;
	struct engine_info info;

	while (engine_accept(e, a->sim->now_ns, a->listener[host], 0, &sock) == 0) {
		unsigned i;

		(void)engine_info(e, sock, &info);
		for (i = 0; i < a->flows; i++) {
			struct app_flow *f = &a->flow[i];

			if (f->started && f->server.host == host && !f->server.open &&
			    !f->server.done && f->port == info.rport &&
			    info.raddr == sim_addr(f->client.host))
				break;
		}
		if (i == a->flows) {
			fail(a, "accepted a connection that nobody made", NULL, info.rport);
			return;
		}
		a->flow[i].server.sock = sock;
		a->flow[i].server.open = true;
		a->flow[i].server.connected = true;
		a->flow[i].server.next_ns = a->sim->now_ns;
		(void)engine_set(e, a->sim->now_ns, sock, ENGINE_TCP_CONGESTION, a->flow[i].cc);
		(void)engine_set(e, a->sim->now_ns, sock, ENGINE_TCP_NODELAY, a->flow[i].nodelay);
	}
}

static void read_some(struct app *a, struct app_flow *f, struct app_side *s, bool is_client)
{
	static uint8_t room[65536], expected[65536];
	struct engine *e = &a->sim->host[s->host].e;
	const struct app_side *peer = is_client ? &f->server : &f->client;

	while (!s->heard_end) {
		int64_t n = engine_recv(e, a->sim->now_ns, s->sock, room,
					1 + sim_below(a->sim, s->chunk));

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			s->error = (int)-n;
			fail(a, "engine_recv", f, n);
			return;
		}
		app_octets(f->port, !is_client, s->received, expected, (size_t)n);
		if (memcmp(room, expected, (size_t)n) != 0) {
			fail(a, "a wrong octet was received", f, (int64_t)s->received);
			return;
		}
		s->received += (uint64_t)n;
		if (s->received > peer->total) {
			fail(a, "more was received than was sent", f, (int64_t)s->received);
			return;
		}
		if (n == 0) {
			s->heard_end = true;
			if (s->received != peer->total)
				fail(a, "the end came early", f, (int64_t)s->received);
			return;
		}
		if (s->pause_ns) {
			s->next_ns = a->sim->now_ns + 1 + sim_below(a->sim, s->pause_ns);
			return;
		}
	}
}

static void write_some(struct app *a, struct app_flow *f, struct app_side *s, bool is_client)
{
	static uint8_t octets[65536];
	struct engine *e = &a->sim->host[s->host].e;

	while (s->sent < s->total) {
		uint64_t want = 1 + sim_below(a->sim, s->chunk);
		int64_t n;

		if (want > s->total - s->sent)
			want = s->total - s->sent;
		app_octets(f->port, is_client, s->sent, octets, want);
		n = engine_send(e, a->sim->now_ns, s->sock, octets, want);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			s->error = (int)-n;
			fail(a, "engine_send", f, n);
			return;
		}
		s->sent += (uint64_t)n;
	}
	if (!s->ended) {
		s->ended = true;
		if (engine_shutdown(e, a->sim->now_ns, s->sock, ENGINE_SHUT_WR) != 0)
			fail(a, "engine_shutdown", f, 0);
	}
}

static void act(struct app *a, struct app_flow *f, struct app_side *s, bool is_client)
{
	struct engine *e = &a->sim->host[s->host].e;

	s->next_ns = UINT64_MAX;
	if (!s->open || s->done || !s->connected)
		return;
	read_some(a, f, s, is_client);
	write_some(a, f, s, is_client);
	if (s->ended && s->heard_end && !a->fault[0]) {
		struct engine_info info;

		(void)engine_info(e, s->sock, &info);
		if (s->linger && (info.unsent || info.unacked)) {
			s->next_ns = a->sim->now_ns + 100 * SIM_MSEC;
			return;
		}
		s->done = true;
		s->open = false;
		if (engine_close(e, a->sim->now_ns, s->sock) != 0)
			fail(a, "engine_close", f, 0);
		if (f->client.done && f->server.done)
			f->done_ns = a->sim->now_ns;
	}
}

static void hear(struct app *a, unsigned host)
{
	struct engine_event ev;

	while (engine_event(&a->sim->host[host].e, &ev)) {
		struct app_flow *f = NULL;
		struct app_side *s = NULL;

		if (ev.cookie == LISTENER) {
			accept_one(a, host);
			continue;
		}
		/* Those that were accepted are found by their socket: the cookie came before the
		 * flow. */
		for (unsigned i = 0; i < a->flows && !s; i++) {
			f = &a->flow[i];
			if (f->client.open && f->client.host == host &&
			    f->client.sock.index == ev.sock.index &&
			    f->client.sock.gen == ev.sock.gen)
				s = &f->client;
			else if (f->server.open && f->server.host == host &&
				 f->server.sock.index == ev.sock.index &&
				 f->server.sock.gen == ev.sock.gen)
				s = &f->server;
		}
		if (!s)
			continue;
		if (ev.events & ENGINE_ERROR) {
			uint32_t error = 0;

			(void)engine_get(&a->sim->host[host].e, ev.sock, ENGINE_SO_ERROR, &error);
			/* The server had forgotten the half-open connection, after 63 s, before our
			 * first data came, and answered with a reset: once more, too. */
			if (s == &f->client && error == ECONNRESET && !f->server.open &&
			    !f->server.done && s->received == 0 &&
			    a->sim->now_ns - f->tried_ns >= 60 * SIM_SEC) {
				(void)engine_close(&a->sim->host[host].e, a->sim->now_ns, ev.sock);
				*s = (struct app_side){.host = s->host,
						       .total = s->total,
						       .chunk = s->chunk,
						       .pause_ns = s->pause_ns,
						       .linger = s->linger,
						       .next_ns = UINT64_MAX};
				f->started = false;
				continue;
			}
			/* Nobody answered our ARP, for 3 s, or our SYN, for 3 minutes at least (RFC
			 * 9293 3.8.3, MUST-23): as a program would, once more. */
			if (!s->connected && (error == EHOSTUNREACH ||
					      (error == ETIMEDOUT &&
					       a->sim->now_ns - f->tried_ns >= 180 * SIM_SEC))) {
				(void)engine_close(&a->sim->host[host].e, a->sim->now_ns, ev.sock);
				s->open = false;
				f->started = false;
				continue;
			}
			s->error = (int)error;
			fail(a, s == &f->client ? "the client's error" : "the server's error", f,
			     error);
			return;
		}
		if (ev.events & ENGINE_WRITABLE)
			s->connected = true;
		if (s->next_ns == UINT64_MAX)
			s->next_ns = a->sim->now_ns;
	}
}

/* Whoever has something to do now does it. Return: when the next has. */
static uint64_t act_all(struct app *a)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < a->flows; i++) {
		struct app_flow *f = &a->flow[i];

		if (!f->started) {
			if (f->start_ns > a->sim->now_ns) {
				next = f->start_ns < next ? f->start_ns : next;
				continue;
			}
			start(a, f);
		}
		if (f->client.next_ns <= a->sim->now_ns)
			act(a, f, &f->client, true);
		if (f->server.next_ns <= a->sim->now_ns)
			act(a, f, &f->server, false);
		next = f->client.next_ns < next ? f->client.next_ns : next;
		next = f->server.next_ns < next ? f->server.next_ns : next;
	}
	return next;
}

static bool all_done(const struct app *a)
{
	for (unsigned i = 0; i < a->flows; i++) {
		if (!a->flow[i].client.done || !a->flow[i].server.done)
			return false;
	}
	return true;
}

bool app_run(struct app *a, uint64_t until_ns)
{
	struct sim *s = a->sim;

	for (;;) {
		uint64_t next;

		do {
			for (unsigned i = 0; i < s->hosts; i++)
				hear(a, i);
			next = act_all(a);
		} while (sim_pump(s) || next <= s->now_ns);
		if (a->fault[0] || (s->checker && checker_fault(s->checker)))
			return false;
		if (all_done(a))
			return true;
		if (s->now_ns >= until_ns) {
			unsigned i = 0;

			while (a->flow[i].client.done && a->flow[i].server.done)
				i++;
			a->timed_out = a->fault[0] == 0;
			/* The number: bits of client done, server done, connected each. */
			fail(a, "not done in time", &a->flow[i],
			     a->flow[i].client.done | a->flow[i].server.done << 1 |
				     a->flow[i].client.connected << 2 |
				     a->flow[i].server.connected << 3);
			return false;
		}
		(void)sim_step(s, next < until_ns ? next : until_ns);
	}
}

bool app_timed_out(struct app *a)
{
	bool only = a->timed_out;

	if (only)
		a->fault[0] = 0;
	a->timed_out = false;
	return only;
}

static bool is_empty(const struct engine_usage *u)
{
	return !(u->tcps || u->segs || u->syns || u->socks || u->pkts || u->cells || u->ooos ||
		 u->ring_pages || u->groups);
}

bool app_drain(struct app *a, uint64_t until_ns)
{
	struct sim *s = a->sim;

	for (unsigned i = 0; i < s->hosts; i++) {
		if (a->listening[i])
			(void)engine_close(&s->host[i].e, s->now_ns, a->listener[i]);
		a->listening[i] = false;
	}
	for (;;) {
		bool empty = true;
		struct engine_usage u;

		while (sim_pump(s))
			;
		for (unsigned i = 0; i < s->hosts; i++) {
			engine_usage(&s->host[i].e, &u);
			empty &= is_empty(&u);
		}
		if (empty && s->flight.n == 0)
			return true;
		if (s->now_ns >= until_ns) {
			for (unsigned i = 0; i < s->hosts && !a->fault[0]; i++) {
				engine_usage(&s->host[i].e, &u);
				if (is_empty(&u))
					continue;
				snprintf(a->fault, sizeof(a->fault),
					 "host %u is not empty: tcps %u segs %u syns %u socks %u "
					 "pkts %u cells %u ooos %u pages %u groups %u",
					 i, u.tcps, u.segs, u.syns, u.socks, u.pkts, u.cells,
					 u.ooos, u.ring_pages, u.groups);
			}
			return false;
		}
		(void)sim_step(s, until_ns);
	}
}
