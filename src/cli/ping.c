// SPDX-License-Identifier: BSD-2-Clause
/*
 * ping.c - `mortise ping`: echo requests by the domain's own network, in the
 * words of iputils.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/opt.h"
#include "cli/verbs.h"
#include "ctl/client.h"

enum { ICMP_HEADER = 8, IP_HEADER = 20, PAYLOAD_MAX = 65507, SLACK_MS = 2000 };

/** struct pings - What is asked for, and what has come of it. Times in ms. */
struct pings {
	const char *host;
	char addr[INET_ADDRSTRLEN];
	struct ctl_msg ask;
	double count, interval_s, timeout_s;
	bool quiet;
	unsigned sent, got;
	double min, max, sum, sum2;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/** one() - Ask once. Return: 0, a positive errno of the answer, or -1: the daemon is gone. */
static int one(struct pings *p, int fd, struct ctl_msg *ret)
{
	struct ctl_msg m = p->ask;
	unsigned nfds = 0;
	int err;

	m.version = CTL_VERSION;
	m.len = ctl_bytes(CTL_PING);
	m.seq = p->sent;
	m.ping.sequence = p->sent & 0xffff;
	err = ctl_send(fd, &m, NULL, 0);
	while (!err) {
		nfds = 0;
		err = ctl_recv(fd, ret, NULL, &nfds, (int)m.ping.timeout_ms + SLACK_MS);
		if (!err && ret->type == (CTL_PING | CTL_REPLY) && ret->seq == m.seq)
			return ret->error;
	}
	complain("ping: the daemon does not answer: %s", strerror(-err));
	return -1;
}

static void answered(struct pings *p, const struct ctl_msg *m)
{
	double ms = (double)m->ping.rtt_ns / (double)NS_PER_MS;
	struct in_addr from = {htonl(m->ping.addr)};
	char text[INET_ADDRSTRLEN];

	p->got++;
	p->min = p->got == 1 || ms < p->min ? ms : p->min;
	p->max = ms > p->max ? ms : p->max;
	p->sum += ms;
	p->sum2 += ms * ms;
	if (!p->quiet)
		printf("%u bytes from %s: icmp_seq=%u ttl=%u time=%.*f ms\n",
		       m->ping.bytes + ICMP_HEADER, inet_ntop(AF_INET, &from, text, sizeof(text)),
		       p->sent, m->ping.ttl, ms < 1 ? 3 : 2, ms);
}

static void summary(const struct pings *p, uint64_t began_ns)
{
	double mean = p->got ? p->sum / p->got : 0,
	       var = p->got ? p->sum2 / p->got - mean * mean : 0;

	printf("\n--- %s ping statistics ---\n%u packets transmitted, %u received, %g%% packet "
	       "loss, "
	       "time %llums\n",
	       p->host, p->sent, p->got, p->sent ? 100.0 * (p->sent - p->got) / p->sent : 0,
	       (unsigned long long)((clock_now_ns() - began_ns) / NS_PER_MS));
	if (p->got)
		printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", p->min, mean, p->max,
		       sqrt(var > 0 ? var : 0));
}

static int run(struct pings *p, int fd)
{
	uint64_t began_ns = clock_now_ns();

	printf("PING %s (%s) %u(%u) bytes of data.\n", p->host, p->addr, p->ask.ping.bytes,
	       p->ask.ping.bytes + ICMP_HEADER + IP_HEADER);
	while (!stopped && (p->count < 1 || p->sent < p->count)) {
		struct timespec t = clock_timespec((uint64_t)(p->interval_s * NS_PER_SEC));
		struct ctl_msg m;
		int err;

		fflush(stdout);
		if (p->sent)
			nanosleep(&t, NULL);
		if (stopped)
			break;
		p->sent++;
		err = one(p, fd, &m);
		if (err < 0)
			return EXIT_FAILURE;
		if (err == ENONET) {
			complain("ping: the domain has no network of its own; `mortise up --tap "
				 "NAME "
				 "--address A/BITS` brings one up");
			return EXIT_FAILURE;
		}
		if (err == 0)
			answered(p, &m);
		else if (err != ETIMEDOUT && !p->quiet)
			printf("From %s icmp_seq=%u %s\n", p->addr, p->sent, strerror(err));
	}
	summary(p, began_ns);
	return p->got ? EXIT_SUCCESS : EXIT_FAILURE;
}

/** resolve() - Return: false, with a message. */
static bool resolve(struct pings *p)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *ai;
	int err = getaddrinfo(p->host, NULL, &hints, &ai);
	struct in_addr a;

	if (err) {
		complain("ping: %s: %s", p->host, gai_strerror(err));
		return false;
	}
	a = ((struct sockaddr_in *)(void *)ai->ai_addr)->sin_addr;
	freeaddrinfo(ai);
	inet_ntop(AF_INET, &a, p->addr, sizeof(p->addr));
	p->ask.ping.addr = ntohl(a.s_addr);
	return true;
}

int verb_ping(int argc, char **argv)
{
	static const struct opt table[] = {
		{'c', "count", "COUNT"},     {'i', "interval", "SECONDS"},
		{'W', "timeout", "SECONDS"}, {'s', "size", "OCTETS"},
		{'t', "ttl", "HOPS"},	     {'q', "quiet", NULL},
		{0, "domain", "NAME"},	     {0}};
	struct opt_walk w = {.verb = "ping", .table = table, .argc = argc, .argv = argv, .next = 1};
	struct pings p = {.ask = {.type = CTL_PING}, .interval_s = 1, .timeout_s = 1};
	struct sigaction sa = {.sa_handler = stop};
	const char *domain = NULL;
	double size = 56, ttl = 64;
	bool ok = true;
	int i, fd, status;

	while (ok && (i = opt_next_name(&w, &p.host)) >= 0) {
		const char *name = table[i].name;

		if (i == 0)
			ok = opt_number("ping", name, w.value, 1, 1e9, &p.count);
		else if (i == 1)
			ok = opt_number("ping", name, w.value, 0, 3600, &p.interval_s);
		else if (i == 2)
			ok = opt_number("ping", name, w.value, 0.001, 3600, &p.timeout_s);
		else if (i == 3)
			ok = opt_number("ping", name, w.value, 0, PAYLOAD_MAX, &size);
		else if (i == 4)
			ok = opt_number("ping", name, w.value, 1, 255, &ttl);
		else if (i == 5)
			p.quiet = true;
		else
			domain = w.value;
	}
	if (!ok || i == OPT_BAD || (i == OPT_END && !opt_none_left(&w)))
		return EXIT_USAGE;
	if (i == OPT_HELP)
		return verb_help("ping");
	if (!p.host) {
		complain("ping: whom? mortise ping 10.0.0.1");
		return EXIT_USAGE;
	}
	domain = opt_domain(domain);
	if (!domain)
		return EXIT_USAGE;
	if (!resolve(&p))
		return EXIT_FAILURE;
	p.ask.ping.bytes = (uint32_t)size;
	p.ask.ping.ttl = (uint32_t)ttl;
	p.ask.ping.timeout_ms = (uint32_t)(p.timeout_s * 1000);
	status = ask_open(domain, &fd);
	if (status)
		return status;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	status = run(&p, fd);
	close(fd);
	return status;
}
