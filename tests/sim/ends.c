// SPDX-License-Identifier: BSD-2-Clause
/*
 * ends.c - Connections that end in every order: each side ends in one of four ways, one
 * of them earlier by a gap that is nothing, less than a round trip, one, or several; with
 * and without unread octets, over a link that loses and one that does not. Whatever comes
 * of it for the sides, nothing is left in the engines, and no frame breaks a rule.
 */
#include <errno.h>
#include <stdio.h>

#include "runs.h"

enum end { END_SHUTDOWN, END_CLOSE, END_ABORT, END_SHUTDOWN_CLOSE, ENDS };

static const char *const end_name[ENDS] = {"shutdown", "close", "abort", "shutdown and close"};
static const uint64_t gaps_ns[] = {0, SIM_MSEC, 40 * SIM_MSEC, 300 * SIM_MSEC};

#define GAPS (sizeof(gaps_ns) / sizeof(gaps_ns[0]))
#define OCTETS 5000u

/**
 * struct ends_case - @first: which side is earlier. @unread: nobody reads before the ends.
 */
struct ends_case {
	enum end end[2];
	uint64_t gap_ns;
	unsigned first;
	bool unread, lossy;
};

/** struct side - @clean: the end was heard and all octets came. @open: it has the socket. */
struct side {
	struct engine_sock sock;
	uint64_t received;
	bool open, clean, reset;
};

struct ends {
	struct sim sim;
	struct app app; /* for the checker's octets only */
	struct side side[2];
	char fault[200];
};

static void let_pass(struct ends *x, uint64_t ns)
{
	uint64_t until = x->sim.now_ns + ns;

	do {
		while (sim_pump(&x->sim))
			;
	} while (sim_step(&x->sim, until));
}

static bool join(struct ends *x, uint16_t *ret_port)
{
	struct sim *s = &x->sim;
	struct engine *client = &s->host[0].e;
	struct engine *server = &s->host[1].e;
	struct engine_info info;

	app_listen(&x->app, 1);
	if (engine_open(client, ENGINE_TCP, 0, &x->side[0].sock) != 0)
		return false;
	for (unsigned i = 0; i < 400; i++) {
		if (i == 0)
			(void)engine_connect(client, s->now_ns, x->side[0].sock, sim_addr(1),
					     APP_PORT);
		let_pass(x, 100 * SIM_MSEC);
		if (engine_accept(server, s->now_ns, x->app.listener[1], 0, &x->side[1].sock) ==
		    0) {
			(void)engine_info(client, x->side[0].sock, &info);
			*ret_port = info.lport;
			x->side[0].open = x->side[1].open = true;
			return true;
		}
	}
	return false;
}

static void read_all(struct ends *x, unsigned i)
{
	struct side *d = &x->side[i];
	uint8_t room[4096];
	int64_t n;

	while (d->open && !d->clean && !d->reset) {
		n = engine_recv(&x->sim.host[i].e, x->sim.now_ns, d->sock, room, sizeof(room));
		if (n == -EAGAIN)
			return;
		if (n > 0)
			d->received += (uint64_t)n;
		else if (n == 0)
			d->clean = true;
		else
			d->reset = true;
	}
}

static void end_side(struct ends *x, unsigned i, enum end how)
{
	struct engine *e = &x->sim.host[i].e;
	struct side *d = &x->side[i];

	if (how == END_SHUTDOWN || how == END_SHUTDOWN_CLOSE)
		(void)engine_shutdown(e, x->sim.now_ns, d->sock, ENGINE_SHUT_WR);
	if (how == END_SHUTDOWN)
		return;
	if (how == END_ABORT)
		(void)engine_abort(e, x->sim.now_ns, d->sock);
	else
		(void)engine_close(e, x->sim.now_ns, d->sock);
	d->open = false;
}

static void run(uint64_t seed, const struct ends_case *k, struct result *ret)
{
	static struct ends x;
	struct sim *s = &x.sim;
	struct engine_config c = run_config();
	uint8_t octets[OCTETS];
	uint16_t port = 0;
	bool done;

	run_begin(s, &x.app, seed, ret);
	for (unsigned i = 0; i < 2; i++) {
		(void)sim_host_add(s, &c);
		s->host[i].link = (struct link){.delay_ns = 10 * SIM_MSEC};
		x.side[i] = (struct side){0};
	}
	if (!join(&x, &port)) {
		run_end(s, &x.app, false, ret);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		s->host[i].link.loss = k->lossy ? PERCENT(20) : 0;
		app_octets(port, i == 0, 0, octets, OCTETS);
		(void)engine_send(&s->host[i].e, s->now_ns, x.side[i].sock, octets, OCTETS);
	}
	let_pass(&x, 5 * SIM_MSEC);
	if (!k->unread) {
		read_all(&x, 0);
		read_all(&x, 1);
	}
	end_side(&x, k->first, k->end[k->first]);
	let_pass(&x, k->gap_ns);
	end_side(&x, !k->first, k->end[!k->first]);
	/* Whoever has a socket left reads to the end, and closes. */
	for (unsigned n = 0; n < 300 && (x.side[0].open || x.side[1].open); n++) {
		let_pass(&x, SIM_SEC);
		for (unsigned i = 0; i < 2; i++) {
			read_all(&x, i);
			if (x.side[i].clean || x.side[i].reset)
				end_side(&x, i, END_CLOSE);
		}
	}
	/* A reset that was lost leaves the other side waiting, for ever: it has a user. */
	done = k->lossy || (!x.side[0].open && !x.side[1].open);
	for (unsigned i = 0; i < 2; i++) {
		if (x.side[i].open)
			end_side(&x, i, END_CLOSE);
	}
	/* Where both ended in order, and read all, nothing was lost. */
	if (done && k->end[0] == END_SHUTDOWN && k->end[1] == END_SHUTDOWN &&
	    (x.side[0].received != OCTETS || x.side[1].received != OCTETS))
		done = false;
	if (done)
		done = app_drain(&x.app, s->now_ns + 2000 * SIM_SEC);
	run_end(s, &x.app, done, ret);
}

unsigned ends_runs(const struct options *o)
{
	unsigned failed = 0, n = 0;
	uint64_t seed;
	struct result r;

	for (unsigned i = 0; i < ENDS * ENDS * GAPS * 2 * 2 * 2; i++) {
		struct ends_case k = {
			.end = {(enum end)(i % ENDS), (enum end)(i / ENDS % ENDS)},
			.gap_ns = gaps_ns[i / ENDS / ENDS % GAPS],
			.first = i / ENDS / ENDS / GAPS % 2,
			.unread = i / ENDS / ENDS / GAPS / 2 % 2,
			.lossy = i / ENDS / ENDS / GAPS / 4 % 2,
		};

		seed = o->first + i;
		run(seed, &k, &r);
		n++;
		if (!r.fault[0])
			continue;
		failed++;
		printf("client: %s, server: %s, side %u first by %llu ms, %s, %s, seed %llu: %s\n",
		       end_name[k.end[0]], end_name[k.end[1]], k.first,
		       (unsigned long long)k.gap_ns / SIM_MSEC, k.unread ? "unread" : "read",
		       k.lossy ? "lossy" : "whole", (unsigned long long)seed, r.fault);
	}
	printf("%u orders of ending\n", n);
	printf(failed ? "not ok sim/ends: %u failed\n" : "ok sim/ends\n", failed);
	return failed;
}
