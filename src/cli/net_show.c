// SPDX-License-Identifier: BSD-2-Clause
/*
 * net_show.c - `mortise addr`, `route`, `neigh` and `stats`: a domain's own
 * network, in the words of ip.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/domain_verb.h"
#include "cli/json.h"
#include "cli/verbs.h"
#include "ctl/client.h"

enum { TIMEOUT_MS = 5000, NUD_INCOMPLETE = 0, NUD_REACHABLE, NUD_PROBE };

/* Options; ALL is of stats alone. */
enum { JSON, DOMAIN, ALL };

/** struct show - How it is wanted. @all: counters that are 0, too. */
struct show {
	bool json, all;
	unsigned count; /* of rows so far */
};

static const char *text(uint32_t addr, char ret[INET_ADDRSTRLEN])
{
	struct in_addr a = {htonl(addr)};

	return inet_ntop(AF_INET, &a, ret, INET_ADDRSTRLEN);
}

static void json_begin(struct show *s)
{
	fputs(s->count++ ? ",\n{" : "\n{", stdout);
}

static void print_mac(const uint8_t *mac)
{
	printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void show_addr(const struct ctl_msg *m, struct show *s)
{
	uint32_t mask = m->net.prefix ? ~0u << (32 - m->net.prefix) : 0;
	char a[INET_ADDRSTRLEN], b[INET_ADDRSTRLEN];

	if (s->json) {
		json_begin(s);
		printf("\"ifname\":\"%s\",\"mtu\":%" PRIu64 ",\"address\":\"", m->net.name,
		       m->net.value);
		print_mac(m->net.mac);
		printf("\",\"local\":\"%s\",\"prefixlen\":%u}", text(m->net.addr, a),
		       m->net.prefix);
		return;
	}
	if (s->count++ == 0) {
		printf("1: %s: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu %" PRIu64 "\n    link/ether ",
		       m->net.name, m->net.value);
		print_mac(m->net.mac);
		puts(" brd ff:ff:ff:ff:ff:ff");
	}
	printf("    inet %s/%u", text(m->net.addr, a), m->net.prefix);
	if (m->net.prefix < 31)
		printf(" brd %s", text(m->net.addr | ~mask, b));
	printf(" scope global %s\n", m->net.name);
}

static void show_route(const struct ctl_msg *m, struct show *s)
{
	char dst[INET_ADDRSTRLEN + 4], a[INET_ADDRSTRLEN];

	if (m->net.prefix == 0)
		strcpy(dst, "default");
	else if (m->net.prefix == 32)
		text(m->net.addr, dst);
	else
		snprintf(dst, sizeof(dst), "%s/%u", text(m->net.addr, a), m->net.prefix);
	if (s->json) {
		json_begin(s);
		printf("\"dst\":\"%s\"", dst);
		if (m->net.gateway)
			printf(",\"gateway\":\"%s\"", text(m->net.gateway, a));
		printf(",\"dev\":\"%s\",\"prefsrc\":\"%s\"}", m->net.name, text(m->net.src, a));
		return;
	}
	fputs(dst, stdout);
	if (m->net.gateway)
		printf(" via %s", text(m->net.gateway, a));
	printf(" dev %s%s src %s\n", m->net.name, m->net.gateway ? "" : " scope link",
	       text(m->net.src, a));
}

static void show_neigh(const struct ctl_msg *m, struct show *s)
{
	static const char *const states[] = {"INCOMPLETE", "REACHABLE", "PROBE"};
	const char *state = m->net.state < ARRAY_LEN(states) ? states[m->net.state] : "NONE";
	char a[INET_ADDRSTRLEN];

	if (s->json) {
		json_begin(s);
		printf("\"dst\":\"%s\",\"dev\":\"%s\"", text(m->net.addr, a), m->net.name);
	} else {
		printf("%s dev %s", text(m->net.addr, a), m->net.name);
	}
	if (m->net.state != NUD_INCOMPLETE) {
		fputs(s->json ? ",\"lladdr\":\"" : " lladdr ", stdout);
		print_mac(m->net.mac);
		if (s->json)
			printf("\",\"confirmed_ms\":%" PRIu64,
			       (uint64_t)(m->net.value / NS_PER_MS));
	}
	printf(s->json ? ",\"state\":[\"%s\"]}" : " %s\n", state);
}

static void show_stats(const struct ctl_msg *m, struct show *s)
{
	if (!m->net.value && !s->all)
		return;
	if (s->json)
		printf("%s\"%s\":%" PRIu64, s->count++ ? ",\n" : "\n", m->net.name, m->net.value);
	else
		printf("%-32s %" PRIu64 "\n", m->net.name, m->net.value);
}

/** rows() - Ask for them, and show each. Return: 0 or -errno. */
static int rows(int fd, uint32_t what, void (*one)(const struct ctl_msg *, struct show *),
		struct show *s)
{
	struct ctl_msg m = {.version = CTL_VERSION,
			    .type = CTL_NET,
			    .len = ctl_bytes(CTL_NET),
			    .seq = 1,
			    .net = {.what = what}};
	int err = ctl_send(fd, &m, NULL, 0);

	while (!err) {
		unsigned nfds = 0;

		err = ctl_recv(fd, &m, NULL, &nfds, TIMEOUT_MS);
		if (err || m.type != (CTL_NET | CTL_REPLY))
			continue;
		if (m.error || m.len < CTL_BYTES(net))
			return m.error ? -m.error : -EPROTO;
		if (m.net.last)
			return 0;
		m.net.name[sizeof(m.net.name) - 1] = 0;
		one(&m, s);
	}
	return err;
}

/**
 * show() - A verb.
 * @w:     With the verb's options, at the beginning.
 * @words: As domain_verb_read()'s.
 */
static int show(struct opt_walk w, const char *const *words, uint32_t what,
		void (*one)(const struct ctl_msg *, struct show *))
{
	bool object = what == CTL_NET_STATS;
	struct domain_verb v;
	struct show s;
	int fd, err, status = domain_verb_open(&w, words, &v, &fd);

	if (status >= 0)
		return status;
	s = (struct show){.json = v.given & 1u << JSON, .all = v.given & 1u << ALL};
	if (s.json)
		fputc(object ? '{' : '[', stdout);
	err = rows(fd, what, one, &s);
	close(fd);
	if (s.json)
		puts(object ? "\n}" : "\n]");
	if (err == -ENONET)
		complain("%s: the domain has no network of its own; `mortise up %s --tap NAME "
			 "--address A/BITS` brings one up",
			 w.verb, v.domain);
	else if (err)
		ask_failed(w.verb, err);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/** show_as_ip() - `ip route show`, and so on. */
static int show_as_ip(const char *verb, int argc, char **argv, uint32_t what,
		      void (*one)(const struct ctl_msg *, struct show *))
{
	static const struct opt table[] = {
		[JSON] = {0, "json", NULL}, [DOMAIN] = {0, "domain", "NAME"}, {0}};
	static const char *const words[] = {"show", "list", NULL};

	return show(
		(struct opt_walk){
			.verb = verb, .table = table, .argc = argc, .argv = argv, .next = 1},
		words, what, one);
}

int verb_addr(int argc, char **argv)
{
	return show_as_ip("addr", argc, argv, CTL_NET_ADDR, show_addr);
}

int verb_route(int argc, char **argv)
{
	return show_as_ip("route", argc, argv, CTL_NET_ROUTE, show_route);
}

int verb_neigh(int argc, char **argv)
{
	return show_as_ip("neigh", argc, argv, CTL_NET_NEIGH, show_neigh);
}

int verb_stats(int argc, char **argv)
{
	static const struct opt table[] = {[JSON] = {0, "json", NULL},
					   [DOMAIN] = {0, "domain", "NAME"},
					   [ALL] = {'a', "all", NULL},
					   {0}};
	static const char *const words[] = {NULL};

	return show(
		(struct opt_walk){
			.verb = "stats", .table = table, .argc = argc, .argv = argv, .next = 1},
		words, CTL_NET_STATS, show_stats);
}
