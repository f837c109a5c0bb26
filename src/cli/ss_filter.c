// SPDX-License-Identifier: BSD-2-Clause
/*
 * ss_filter.c - Recursive descent over one text. Nodes and depth are bounded:
 * the text may be anything.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ss_filter.h"
#include "cli/words.h"

enum { WORD_MAX = 256, MAPPED_BITS = 96 };

/* ----------------------------------------------------------------- states */

/* Those from "all" on are groups. The first word of each bit is the row's. */
static const struct state {
	const char *word, *row;
	uint32_t bits;
} states[] = {
	{ "established", "ESTAB", 1u << 1 },
	{ "syn-sent", "SYN-SENT", 1u << 2 },
	{ "syn-recv", "SYN-RECV", 1u << 3 },
	{ "syn-rcv", "", 1u << 3 },
	{ "fin-wait-1", "FIN-WAIT-1", 1u << 4 },
	{ "fin-wait-2", "FIN-WAIT-2", 1u << 5 },
	{ "time-wait", "TIME-WAIT", 1u << 6 },
	{ "closed", "UNCONN", 1u << 7 },
	{ "close", "", 1u << 7 },
	{ "unconnected", "", 1u << 7 },
	{ "close-wait", "CLOSE-WAIT", 1u << 8 },
	{ "last-ack", "LAST-ACK", 1u << 9 },
	{ "listening", "LISTEN", 1u << 10 },
	{ "listen", "", 1u << 10 },
	{ "closing", "CLOSING", 1u << 11 },
	{ "all", "", SS_STATES_ALL },
	{ "connected", "", SS_STATES_CONNECTED },
	{ "synchronized", "", SS_STATES_CONNECTED & ~(1u << 2) },
	{ "bucket", "", 1u << 3 | 1u << 6 },
	{ "big", "", SS_STATES_ALL & ~(1u << 3 | 1u << 6) },
};

uint32_t ss_state_bit(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (!strcmp(states[i].row, word))
			return states[i].bits;
	}
	return 0;
}

/* ------------------------------------------------------------------ words */

struct parser {
	struct ss_filter *f;
	struct ss_filter_error *error;
	const char *text;
	size_t at;	 /* of the word, or sign, that is looked at */
	size_t len;	 /* its length; 0: the end */
	char word[WORD_MAX];
	unsigned depth;
	bool failed;
};

static const char signs[] = "()!=<>&|";

/** advance() - Go on to the next word or sign. */
static void advance(struct parser *p)
{
	const char *s;

	p->at += p->len;
	p->at += strspn(p->text + p->at, " \t\r\n");
	s = p->text + p->at;
	if (!*s)
		p->len = 0;
	else if (!strchr(signs, *s))
		p->len = strcspn(s, "()!=<>&| \t\r\n");
	else if (*s != '(' && *s != ')' && (s[1] == '=' || (s[1] == *s && strchr("&|=", *s))))
		p->len = 2;
	else
		p->len = 1;
	/* One that is too long matches nothing, which is right. */
	snprintf(p->word, sizeof(p->word), "%.*s", (int)(p->len < WORD_MAX ? p->len : WORD_MAX), s);
}

__attribute__((format(printf, 3, 4))) static void fail(struct parser *p, size_t at,
						       const char *format, ...)
{
	va_list ap;

	if (p->failed)
		return; /* The first is the cause. */
	p->failed = true;
	p->error->at = at;
	va_start(ap, format);
	vsnprintf(p->error->what, sizeof(p->error->what), format, ap);
	va_end(ap);
}

static bool is(const struct parser *p, const char *a, const char *b, const char *c)
{
	return !strcmp(p->word, a) || (b && !strcmp(p->word, b)) || (c && !strcmp(p->word, c));
}

/** shown() - The word, for a message: cut, and without control characters. */
static const char *shown(const struct parser *p)
{
	static char ret[40];
	size_t n = 0;

	for (; p->word[n] && n + 1 < sizeof(ret); n++)
		ret[n] = p->word[n] < 0x20 || p->word[n] == 0x7f ? '?' : p->word[n];
	ret[n] = 0;
	return ret;
}

/* ------------------------------------------------------------- conditions */

static int node_make(struct parser *p, enum ss_node_kind kind, int left, int right)
{
	struct ss_node *n;

	if (p->f->count >= SS_FILTER_NODES) {
		fail(p, p->at, "more than %d conditions", SS_FILTER_NODES);
		return -1;
	}
	n = &p->f->node[p->f->count];
	*n = (struct ss_node){ .kind = kind, .left = left, .right = right, .port = -1 };
	return p->f->count++;
}

static bool port_number(const char *s, int32_t *ret)
{
	char *end;
	unsigned long n;

	if (*s < '0' || *s > '9')
		return false;
	n = strtoul(s, &end, 10);
	if (*end || n > 65535)
		return false;
	*ret = (int32_t)n;
	return true;
}

/** port_parse() - @s points into the word: a number, a service or "*". */
static bool port_parse(struct parser *p, const char *s, int32_t *ret)
{
	const struct servent *e;

	if (!strcmp(s, "*")) {
		*ret = -1;
		return true;
	}
	if (port_number(s, ret))
		return true;
	e = *s && (*s < '0' || *s > '9') ? getservbyname(s, NULL) : NULL;
	if (e) {
		*ret = ntohs((uint16_t)e->s_port);
		return true;
	}
	if (p->len)
		fail(p, p->at + (size_t)(s - p->word),
		     "\"%.24s\" is no port: a number up to 65535, or a name in /etc/services", s);
	else
		fail(p, p->at, "a port is missing: a number such as :80, or a service such as :http");
	return false;
}

static bool op_take(struct parser *p, enum ss_op *ret)
{
	static const struct {
		const char *a, *b, *c;
		enum ss_op op;
	} ops[] = {
		{ "=", "==", "eq", SS_EQ },  { "!=", "ne", "neq", SS_NE }, { ">", "gt", NULL, SS_GT },
		{ "<", "lt", NULL, SS_LT },  { ">=", "ge", "geq", SS_GE }, { "<=", "le", "leq", SS_LE },
	};

	*ret = SS_EQ;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (is(p, ops[i].a, ops[i].b, ops[i].c)) {
			*ret = ops[i].op;
			advance(p);
			return true;
		}
	}
	return false;
}

static int port_cond(struct parser *p, enum ss_node_kind kind)
{
	enum ss_op op;
	int32_t port = -1;
	const char *s;
	int n;

	op_take(p, &op);
	s = p->word + (p->word[0] == ':');
	if (!port_parse(p, s, &port))
		return -1;
	if (port < 0 && op != SS_EQ) {
		fail(p, p->at, "* is any port; it goes with = only");
		return -1;
	}
	n = node_make(p, kind, -1, -1);
	if (n < 0)
		return -1;
	p->f->node[n].op = op;
	p->f->node[n].port = port;
	advance(p);
	return n;
}

/** bits_parse() - The "24" of "10.0.0.0/24". @most: 32 or 128. */
static bool bits_parse(struct parser *p, const char *s, unsigned most, unsigned *ret)
{
	int32_t n = 0;

	if (!port_number(s, &n) || (unsigned)n > most) {
		fail(p, p->at, "\"/%.8s\": a prefix has 0 to %u bits", s, most);
		return false;
	}
	*ret = (unsigned)n;
	return true;
}

static void node_ip4(struct ss_node *n, const void *ip, unsigned bits)
{
	char text[SS_ADDRESS_MAX];

	ss_row_address(AF_INET, ip, 0, n->ip, text);
	n->bits = bits ? bits + MAPPED_BITS : 0;
}

/** name_cond() - Any of the addresses that @host has. */
static int name_cond(struct parser *p, enum ss_node_kind kind, const char *host)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all;
	int root = -1, err = getaddrinfo(host, NULL, &hints, &all);

	if (err) {
		fail(p, p->at, "\"%.40s\" is no address, and not found as a name: %s", host,
		     gai_strerror(err));
		return -1;
	}
	for (const struct addrinfo *a = all; a && !p->failed; a = a->ai_next) {
		int n = node_make(p, kind, -1, -1);

		if (n < 0)
			break;
		if (a->ai_family == AF_INET) {
			node_ip4(&p->f->node[n],
				 &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr, 32);
		} else if (a->ai_family == AF_INET6) {
			memcpy(p->f->node[n].ip,
			       &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr, 16);
			p->f->node[n].bits = 128;
			p->f->node[n].ipv6 = true;
		}
		root = root < 0 ? n : node_make(p, SS_OR, root, n);
	}
	freeaddrinfo(all);
	return p->failed ? -1 : root;
}

/** host_split() - "[::1]/64:80" in parts; all but @host may be NULL. Writes into @s. */
static bool host_split(struct parser *p, char *s, char **host, char **bits, char **port)
{
	char *end, *colon;

	*bits = *port = NULL;
	*host = s;
	if (*s == '[') {
		end = strchr(s, ']');
		if (!end || (end[1] && end[1] != ':' && end[1] != '/')) {
			fail(p, p->at, "an address that begins with [ ends with ], then :PORT");
			return false;
		}
		*host = s + 1;
		*end++ = 0;
		colon = strchr(end, ':');
		end = *end == '/' ? end : NULL;
	} else {
		end = strchr(s, '/');
		colon = strchr(s, ':');
		if (colon && strchr(colon + 1, ':'))
			colon = NULL; /* Bare IPv6. */
	}
	if (colon) {
		*colon = 0;
		*port = colon + 1;
	}
	if (end) {
		*end = 0;
		*bits = end + 1;
	}
	return true;
}

/** family_take() - The "inet6:" before an address. Return: false, with a message, where
 * Mortise has none of that family. @ret_family: 0: not said. */
static bool family_take(struct parser *p, char **s, int *ret_family)
{
	static const struct {
		const char *word;
		int family;
	} families[] = { { "inet:", AF_INET },	{ "inet6:", AF_INET6 },	 { "unix:", -1 },
			 { "link:", -1 },	{ "netlink:", -1 },	 { "vsock:", -1 },
			 { "tipc:", -1 } };

	*ret_family = 0;
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		size_t len = strlen(families[i].word);

		if (strncmp(*s, families[i].word, len) != 0)
			continue;
		if (families[i].family < 0) {
			fail(p, p->at, "%s is a family that Mortise's sockets are never of",
			     families[i].word);
			return false;
		}
		*ret_family = families[i].family;
		*s += len;
	}
	return true;
}

/** family_cond() - @n, and an address of that family. */
static int family_cond(struct parser *p, enum ss_node_kind kind, int n, int family)
{
	static const uint8_t any4[4];
	int both;

	if (n < 0 || !family)
		return n;
	both = node_make(p, kind, -1, -1);
	if (both < 0)
		return -1;
	if (family == AF_INET6) {
		p->f->node[both].ipv6 = true;
	} else {
		node_ip4(&p->f->node[both], any4, 0);
		p->f->node[both].bits = MAPPED_BITS;
	}
	return node_make(p, SS_AND, n, both);
}

/** address_cond() - An address, a name, or "" and "*" for any address. */
static int address_cond(struct parser *p, enum ss_node_kind kind, const char *host,
			const char *bits)
{
	uint8_t ip[16];
	unsigned len = 0;
	int n;

	if (!*host || !strcmp(host, "*")) {
		if (bits)
			fail(p, p->at, "a prefix wants an address before it");
		return bits ? -1 : node_make(p, kind, -1, -1);
	}
	if (inet_pton(AF_INET, host, ip) == 1) {
		if (bits && !bits_parse(p, bits, 32, &len))
			return -1;
		n = node_make(p, kind, -1, -1);
		if (n >= 0)
			node_ip4(&p->f->node[n], ip, bits ? len : 32);
		return n;
	}
	if (inet_pton(AF_INET6, host, ip) == 1) {
		if (bits && !bits_parse(p, bits, 128, &len))
			return -1;
		n = node_make(p, kind, -1, -1);
		if (n >= 0) {
			memcpy(p->f->node[n].ip, ip, sizeof(ip));
			p->f->node[n].bits = bits ? len : 128;
			p->f->node[n].ipv6 = !IN6_IS_ADDR_V4MAPPED((struct in6_addr *)(void *)ip);
		}
		return n;
	}
	if (bits) {
		fail(p, p->at, "\"%.40s\" before /%.8s is no address", host, bits);
		return -1;
	}
	return name_cond(p, kind, host);
}

static int host_cond(struct parser *p, enum ss_node_kind kind)
{
	enum ss_op op;
	size_t op_at = p->at;
	char text[WORD_MAX], *named = text, *host, *bits, *port;
	int32_t number = -1;
	int n, family;

	op_take(p, &op);
	if (op != SS_EQ && op != SS_NE) {
		fail(p, op_at, "addresses are compared with = or != only");
		return -1;
	}
	if (!p->len || strchr(signs, p->word[0])) {
		fail(p, p->at, "an address is missing, such as 127.0.0.1, 10.0.0.0/8:http or [::1]:80");
		return -1;
	}
	memcpy(text, p->word, sizeof(text));
	if (!family_take(p, &named, &family) || !host_split(p, named, &host, &bits, &port))
		return -1;
	if (port && !port_parse(p, p->word + (port - text), &number))
		return -1;
	n = family_cond(p, kind, address_cond(p, kind, host, bits), family);
	if (n < 0)
		return -1;
	if (port && number >= 0) {
		int both = node_make(p, kind == SS_SRC ? SS_SPORT : SS_DPORT, -1, -1);

		if (both < 0)
			return -1;
		p->f->node[both].port = number;
		n = node_make(p, SS_AND, n, both);
	}
	advance(p);
	return op == SS_NE && n >= 0 ? node_make(p, SS_NOT, n, -1) : n;
}

/* ------------------------------------------------------------ expressions */

static int expr(struct parser *p);

static void fail_cond(struct parser *p)
{
	static const char *const known[] = { "sport", "dport", "src", "dst", "not",
					     "state", "exclude", NULL };
	static const char *const foreign[] = { "dev",	 "fwmark",    "cgroup",
					       "inet",	 "autobound", NULL };
	const char *near = word_near(p->word, known);

	if (!p->len || is(p, "and", "&", "&&") || is(p, "or", "|", "||")) {
		fail(p, p->at, "a condition is missing here");
		return;
	}
	if (is(p, "state", "exclude", "excl")) {
		fail(p, p->at, "%s stands before the other conditions", p->word);
		return;
	}
	for (size_t i = 0; foreign[i]; i++) {
		if (!strcmp(p->word, foreign[i])) {
			fail(p, p->at, "%s is a condition of ss that Mortise's sockets do not have",
			     p->word);
			return;
		}
	}
	fail(p, p->at, "\"%s\" begins no condition%s%s%s", shown(p),
	     near ? "; did you mean " : ": sport, dport, src, dst, not and ( do", near ? near : "",
	     near ? "?" : "");
}

static int one(struct parser *p)
{
	size_t open = p->at;
	int n = -1;

	if (++p->depth > SS_FILTER_DEPTH) {
		fail(p, p->at, "more than %d levels of ( and not", SS_FILTER_DEPTH);
	} else if (is(p, "not", "!", NULL)) {
		advance(p);
		n = one(p);
		n = n < 0 ? -1 : node_make(p, SS_NOT, n, -1);
	} else if (is(p, "(", NULL, NULL)) {
		advance(p);
		n = expr(p);
		if (n >= 0 && !is(p, ")", NULL, NULL)) {
			fail(p, p->len ? p->at : open, p->len ? "a ) or a condition is wanted here, not \"%s\"" :
			     "this ( is not closed%s", p->len ? shown(p) : "");
			n = -1;
		}
		advance(p);
	} else if (is(p, "sport", "dport", NULL)) {
		enum ss_node_kind kind = p->word[0] == 's' ? SS_SPORT : SS_DPORT;

		advance(p);
		n = port_cond(p, kind);
	} else if (is(p, "src", "dst", NULL)) {
		enum ss_node_kind kind = p->word[0] == 's' ? SS_SRC : SS_DST;

		advance(p);
		n = host_cond(p, kind);
	} else {
		fail_cond(p);
	}
	p->depth--;
	return p->failed ? -1 : n;
}

static int both(struct parser *p)
{
	int n = one(p);

	while (n >= 0 && p->len && !is(p, "or", "|", "||") && !is(p, ")", NULL, NULL)) {
		int m;

		if (is(p, "and", "&", "&&"))
			advance(p);
		m = one(p);
		n = m < 0 ? -1 : node_make(p, SS_AND, n, m);
	}
	return n;
}

static int expr(struct parser *p)
{
	int n = both(p);

	while (n >= 0 && is(p, "or", "|", "||")) {
		int m;

		advance(p);
		m = both(p);
		n = m < 0 ? -1 : node_make(p, SS_OR, n, m);
	}
	return n;
}

/** state_take() - "state WORD" or "exclude WORD". Return: false at something else. */
static bool state_take(struct parser *p, bool first)
{
	const char *names[ARRAY_LEN(states) + 1] = { NULL }, *near;
	bool exclude = is(p, "exclude", "excl", NULL);
	uint32_t bits = 0;

	if (!exclude && !is(p, "state", NULL, NULL))
		return false;
	advance(p);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		names[i] = states[i].word;
		if (!strcasecmp(states[i].word, p->word))
			bits = states[i].bits;
	}
	near = word_near(p->word, names);
	if (!bits && !p->len)
		fail(p, p->at, "a state is missing, such as established, listening or connected");
	else if (!bits)
		fail(p, p->at, "\"%s\" is no state%s%s%s", shown(p),
		     near ? "; did you mean " : "; see mortise-ss(1)", near ? near : "",
		     near ? "?" : "");
	if (exclude)
		p->f->states = (first ? SS_STATES_ALL : p->f->states) & ~bits;
	else
		p->f->states = (first ? 0 : p->f->states) | bits;
	advance(p);
	return !p->failed;
}

/** join() - The arguments as one text. Return: false where it does not fit. */
static bool join(int argc, char *const *argv, char ret[SS_FILTER_TEXT_MAX])
{
	size_t used = 0;

	ret[0] = 0;
	for (int i = 0; i < argc; i++) {
		size_t len = strlen(argv[i]);

		if (len + 2 > SS_FILTER_TEXT_MAX - used)
			return false;
		if (i)
			ret[used++] = ' ';
		memcpy(ret + used, argv[i], len + 1);
		used += len;
	}
	return true;
}

bool ss_filter_parse(int argc, char *const *argv, struct ss_filter *ret,
		     struct ss_filter_error *ret_error)
{
	struct parser p = { .f = ret, .error = ret_error, .text = ret_error->text };
	bool first = true;

	ret->states = 0;
	ret->count = 0;
	ret->root = -1;
	if (!join(argc, argv, ret_error->text)) {
		ret_error->text[0] = 0;
		fail(&p, 0, "it is longer than %d bytes", SS_FILTER_TEXT_MAX - 2);
		return false;
	}
	advance(&p);
	while (state_take(&p, first))
		first = false;
	if (!p.failed && !first && !ret->states)
		fail(&p, 0, "no state is left");
	if (!p.failed && p.len) {
		ret->root = expr(&p);
		if (!p.failed && p.len)
			fail(&p, p.at, "\"%s\" closes nothing", shown(&p));
	}
	return !p.failed;
}

/* ------------------------------------------------------------------ match */

static bool port_holds(const struct ss_node *n, uint16_t port)
{
	if (n->port < 0)
		return true;
	switch (n->op) {
	case SS_EQ:
		return port == n->port;
	case SS_NE:
		return port != n->port;
	case SS_GT:
		return port > n->port;
	case SS_LT:
		return port < n->port;
	case SS_GE:
		return port >= n->port;
	default:
		return port <= n->port;
	}
}

static bool ip_holds(const struct ss_node *n, const uint8_t ip[16])
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	bool mapped = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)ip);

	if (n->ipv6 && mapped)
		return false;
	if (memcmp(n->ip, ip, whole) != 0)
		return false;
	return !rest || (n->ip[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

static bool holds(const struct ss_filter *f, int i, const struct ss_row *r)
{
	const struct ss_node *n = &f->node[i];

	switch (n->kind) {
	case SS_AND:
		return holds(f, n->left, r) && holds(f, n->right, r);
	case SS_OR:
		return holds(f, n->left, r) || holds(f, n->right, r);
	case SS_NOT:
		return !holds(f, n->left, r);
	case SS_SPORT:
		return port_holds(n, r->local_port);
	case SS_DPORT:
		return port_holds(n, r->peer_port);
	case SS_SRC:
		return ip_holds(n, r->local_ip);
	case SS_DST:
		return ip_holds(n, r->peer_ip);
	}
	return false;
}

bool ss_filter_match(const struct ss_filter *f, const struct ss_row *r)
{
	return f->root < 0 || holds(f, f->root, r);
}
