// SPDX-License-Identifier: BSD-2-Clause
/*
 * script.c - Any calls, in any order, by programs on three hosts: sockets of all kinds, also
 * ones that were closed, calls that make no sense, time that passes between them, over
 * links that lose. No call may break anything: no frame breaks a rule, and when all is
 * closed nothing is left.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/pcapng.h"
#include "runs.h"

#define HOSTS 3u
#define HELD 12u
#define STEPS 1200u

/** struct held - A socket of a program's, perhaps closed already. @sent: octets of its stream. */
struct held {
	struct engine_sock sock;
	enum engine_kind kind;
	bool used, client;
	uint16_t port;
	uint64_t sent;
};

struct script {
	struct sim sim;
	struct app app;
	struct held held[HOSTS][HELD];
};

static uint16_t port_of(struct script *x)
{
	return (uint16_t)(APP_PORT + sim_below(&x->sim, 3));
}

static uint32_t group_of(struct script *x)
{
	return 0xe8010200u + (uint32_t)sim_below(&x->sim, 3);
}

static uint32_t addr_of(struct script *x)
{
	switch (sim_below(&x->sim, 8)) {
	case 0:
		return (uint32_t)link_random(&x->sim.random);
	case 1:
		return 0x0a0000ff;
	case 2:
		return sim_addr(HOSTS + 5); /* nobody */
	case 3:
		return group_of(x);
	default:
		return sim_addr((unsigned)sim_below(&x->sim, HOSTS));
	}
}

static struct held *free_place(struct script *x, unsigned host)
{
	for (unsigned i = 0; i < HELD; i++) {
		if (!x->held[host][i].used)
			return &x->held[host][i];
	}
	return NULL;
}

static void open_one(struct script *x, unsigned host)
{
	static const enum engine_kind kinds[] = {ENGINE_TCP, ENGINE_TCP,  ENGINE_TCP,
						 ENGINE_UDP, ENGINE_PING, ENGINE_RAW_ICMP};
	struct held *h = free_place(x, host);

	if (!h)
		return;
	*h = (struct held){.kind = kinds[sim_below(&x->sim, 6)]};
	h->used = engine_open(&x->sim.host[host].e, h->kind, 0, &h->sock) == 0;
}

static void accept_one(struct script *x, unsigned host, struct engine_sock listener)
{
	struct engine *e = &x->sim.host[host].e;
	struct held *h = free_place(x, host);
	struct engine_info info;
	struct engine_sock sock;

	if (!h || engine_accept(e, x->sim.now_ns, listener, 0, &sock) != 0)
		return;
	(void)engine_info(e, sock, &info);
	*h = (struct held){.sock = sock, .kind = ENGINE_TCP, .used = true, .port = info.rport};
}

static void write_some(struct script *x, unsigned host, struct held *h)
{
	struct engine *e = &x->sim.host[host].e;
	static uint8_t octets[20000];
	size_t want = 1 + sim_below(&x->sim, sizeof(octets));
	struct engine_info info;
	int64_t n;

	if (h->kind == ENGINE_TCP) {
		/* The stream's octets, as the checker wants them. */
		if (engine_info(e, h->sock, &info) != 0)
			return;
		if (h->client)
			h->port = info.lport;
		app_octets(h->port, h->client, h->sent, octets, want);
	} else if (want > 3000) {
		want = 3000;
	}
	if (sim_below(&x->sim, 6) == 0)
		n = engine_send_urgent(e, x->sim.now_ns, h->sock, octets, want);
	else
		n = engine_send(e, x->sim.now_ns, h->sock, octets, want);
	if (n > 0)
		h->sent += (uint64_t)n;
}

/* One that is open, mostly. */
static struct held *pick(struct script *x, unsigned host)
{
	unsigned i = (unsigned)sim_below(&x->sim, HELD);

	if (sim_below(&x->sim, 8) == 0)
		return &x->held[host][i];
	for (unsigned n = 0; n < HELD && !x->held[host][i].used; n++)
		i = (i + 1) % HELD;
	return &x->held[host][i];
}

/* So that there is somebody to talk to from the beginning. */
static void listen_first(struct script *x, unsigned host)
{
	struct engine *e = &x->sim.host[host].e;
	struct held *h = &x->held[host][0];

	*h = (struct held){.kind = ENGINE_TCP, .used = true};
	if (engine_open(e, ENGINE_TCP, 0, &h->sock) == 0)
		(void)engine_bind(e, h->sock, 0, (uint16_t)(APP_PORT + host));
	(void)engine_listen(e, h->sock, 3);
}

static void call(struct script *x, unsigned host)
{
	struct sim *s = &x->sim;
	struct engine *e = &s->host[host].e;
	struct held *h = pick(x, host);
	static uint8_t room[30000];
	struct engine_info info;
	struct engine_error error;
	struct engine_datagram d;
	uint64_t urgent;
	uint32_t value;

	switch (sim_below(s, 21)) {
	case 20:
		(void)engine_set(e, s->now_ns, h->sock,
				 sim_below(s, 2) ? ENGINE_IP_ADD_MEMBERSHIP
						 : ENGINE_IP_DROP_MEMBERSHIP,
				 group_of(x));
		break;
	case 0:
	case 1:
		open_one(x, host);
		break;
	case 2:
		(void)engine_bind(e, h->sock, sim_below(s, 2) ? 0 : addr_of(x), port_of(x));
		break;
	case 3:
	case 4:
		h->client |= engine_connect(e, s->now_ns, h->sock, addr_of(x), port_of(x)) ==
			     -EINPROGRESS;
		break;
	case 5:
	case 6:
		(void)engine_listen(e, h->sock, (uint32_t)sim_below(s, 4));
		break;
	case 7:
	case 8:
		accept_one(x, host, h->sock);
		break;
	case 9:
	case 10:
	case 11:
		write_some(x, host, h);
		break;
	case 12:
		if (h->kind != ENGINE_TCP)
			(void)engine_sendto(e, s->now_ns, h->sock, room, sim_below(s, 3000),
					    addr_of(x), port_of(x));
		break;
	case 13:
	case 14:
		(void)engine_recv(e, s->now_ns, h->sock, room, sim_below(s, sizeof(room)));
		break;
	case 15:
		(void)engine_recvmsg(e, h->sock, room, sim_below(s, 3000), &d);
		(void)engine_recverr(e, h->sock, room, sim_below(s, 3000), &error);
		(void)engine_urgent(e, h->sock, &urgent);
		break;
	case 16:
		(void)engine_shutdown(e, s->now_ns, h->sock, (unsigned)sim_below(s, 4));
		break;
	case 17:
		if (sim_below(s, 2))
			break;
		if (sim_below(s, 2))
			(void)engine_close(e, s->now_ns, h->sock);
		else
			(void)engine_abort(e, s->now_ns, h->sock);
		h->used = false; /* its number is tried again all the same */
		break;
	case 18:
		/* Not so slow that it takes hours. */
		(void)engine_set(e, s->now_ns, h->sock, ENGINE_SO_MAX_PACING_RATE,
				 100000 + (uint32_t)sim_below(s, 1u << 20));
		(void)engine_set(e, s->now_ns, h->sock,
				 (enum engine_option)sim_below(s, ENGINE_SO_MAX_PACING_RATE),
				 sim_below(s, 2)
					 ? (uint32_t)sim_below(s, 3)
					 : (uint32_t)link_random(&s->random) >> sim_below(s, 32));
		break;
	default:
		(void)engine_get(e, h->sock,
				 (enum engine_option)sim_below(s, ENGINE_SO_MAX_PACING_RATE + 2),
				 &value);
		(void)engine_info(e, h->sock, &info);
	}
}

static void let_pass(struct script *x, uint64_t ns)
{
	uint64_t until = x->sim.now_ns + ns;
	struct engine_event ev;

	do {
		while (sim_pump(&x->sim))
			;
		for (unsigned i = 0; i < HOSTS; i++) {
			while (engine_event(&x->sim.host[i].e, &ev))
				;
		}
	} while (sim_step(&x->sim, until) && !checker_fault(x->sim.checker));
}

static void run(uint64_t seed, const char *pcap, struct result *ret)
{
	static struct script x;
	struct sim *s = &x.sim;
	struct engine_config c = run_config();
	bool done;

	run_begin(s, &x.app, seed, ret);
	checker_may_give_up(s->checker);
	if (pcap)
		s->pcap = pcapng_open(pcap, HOSTS);
	memset(x.held, 0, sizeof(x.held));
	/* Tables that a script can fill. */
	c.socks = 10;
	c.tcps = 12;
	c.syns = 3;
	c.ooos = 2;
	c.pkts = 40;
	c.cells = 60;
	c.neighs = 3;
	c.loopback = sim_below(s, 2);
	for (unsigned i = 0; i < HOSTS; i++) {
		(void)sim_host_add(s, &c);
		s->host[i].link = (struct link){
			.delay_ns = PICK(s, 10000, 3 * SIM_MSEC, 40 * SIM_MSEC),
			.loss = (uint32_t)PICK(s, 0, PERCENT(2), PERCENT(20)),
			.reorder = (uint32_t)PICK(s, 0, PERCENT(10)),
		};
	}
	for (unsigned i = 0; i < HOSTS; i++)
		listen_first(&x, i);
	for (unsigned i = 0; i < STEPS && !checker_fault(s->checker); i++) {
		call(&x, (unsigned)sim_below(s, HOSTS));
		if (sim_below(s, 3) == 0)
			let_pass(&x, PICK(s, 100000, 5 * SIM_MSEC, 100 * SIM_MSEC, 2 * SIM_SEC));
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		for (unsigned k = 0; k < HELD; k++)
			(void)engine_close(&s->host[i].e, s->now_ns, x.held[i][k].sock);
	}
	done = !checker_fault(s->checker) && app_drain(&x.app, s->now_ns + 4000 * SIM_SEC);
	run_end(s, &x.app, done, ret);
}

unsigned script_runs(const struct options *o)
{
	unsigned failed = 0;
	uint64_t frames = 0;

	for (uint64_t i = 0; i < o->count && failed < 5; i++) {
		uint64_t seed = o->first + i;
		struct result r;

		run(seed, o->pcap, &r);
		frames += r.frames;
		if (!r.fault[0])
			continue;
		failed++;
		printf("script %llu: %s\n", (unsigned long long)seed, r.fault);
	}
	printf("%llu scripts of %u calls, %llu frames\n", (unsigned long long)o->count, STEPS,
	       (unsigned long long)frames);
	printf(failed ? "not ok sim/script: %u failed\n" : "ok sim/script\n", failed);
	return failed;
}
