// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "engine/icmp.h"
#include "engine/pkt.h"
#include "engine/raw.h"
#include "engine/route.h"
#include "engine/sock.h"
#include "engine/tcp_conn.h"
#include "wire/checksum.h"
#include "wire/udp.h"

/* RFC 1812 4.3.2.8 asks for a limit; its figures are ours. */
#define ERRORS_PER_SEC 1000u
#define ERRORS_BURST 50u

/* Header, then the body, into a datagram. */
static struct pkt *message(struct engine *e, const struct icmp4 *h, const void *body, size_t bytes)
{
	struct pkt *p = pkt_new(e, ICMP4_HEADER_BYTES + bytes);
	uint8_t header[ICMP4_HEADER_BYTES];
	struct emit out = emit_to(header, sizeof(header));

	if (!p) {
		COUNT(e, IP_NO_ROOM);
		return NULL;
	}
	icmp4_emit(&out, h, checksum_add(0, body, bytes));
	pkt_write(e, p, 0, header, sizeof(header));
	pkt_write(e, p, sizeof(header), body, bytes);
	p->proto = IPV4_PROTO_ICMP;
	return p;
}

static bool take_token(struct engine *e)
{
	struct token_bucket *b = &e->s->icmp_limit;
	uint64_t fresh = (e->s->now_ns - b->then_ns) / (NS_SEC / ERRORS_PER_SEC);

	if (b->then_ns == 0) {
		b->tokens = ERRORS_BURST;
		b->then_ns = e->s->now_ns;
	} else if (fresh) {
		b->tokens = (uint32_t)min_u64(ERRORS_BURST, b->tokens + fresh);
		b->then_ns += fresh * (NS_SEC / ERRORS_PER_SEC);
	}
	if (!b->tokens)
		return false;
	b->tokens--;
	return true;
}

void icmp_error(struct engine *e, const struct ip_in *in, uint8_t type, uint8_t code)
{
	struct icmp4 h = {.type = type, .code = code};
	struct cursor quote = cursor_of(in->quote, in->quote_bytes);
	struct ipv4 quoted;
	struct pkt *p;

	/* RFC 1122 3.2.2: not about broadcast or multicast, nor about an error. (Not about later
	 * fragments either: these never get here.) */
	if (!in->unicast)
		return;
	if (in->proto == IPV4_PROTO_ICMP && ipv4_parse_quoted(&quote, &quoted) == WIRE_OK &&
	    icmp4_is_error(cursor_u8(&quote)))
		return;
	if (!take_token(e)) {
		COUNT(e, ICMP_LIMITED);
		return;
	}
	p = message(e, &h, in->quote, in->quote_bytes);
	if (!p)
		return;
	p->src = in->dst;
	p->dst = in->src;
	COUNT(e, ICMP_ERRORS_OUT);
	(void)ip_send(e, p);
}

/* RFC 1122 4.2.3.9, RFC 1122 3.2.2.1: the errno of each, 0: none. */
static int errno_of(const struct icmp4 *h)
{
	static const int unreachable[] = {
		ENETUNREACH,  EHOSTUNREACH, ENOPROTOOPT,  ECONNREFUSED, EMSGSIZE,     EOPNOTSUPP,
		ENETUNREACH,  EHOSTDOWN,    ENONET,	  ENETUNREACH,	EHOSTUNREACH, ENETUNREACH,
		EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH,
	};

	switch (h->type) {
	case ICMP4_UNREACHABLE:
		return h->code < ARRAY_LEN(unreachable) ? unreachable[h->code] : 0;
	case ICMP4_TIME_EXCEEDED:
		return EHOSTUNREACH;
	case ICMP4_PARAMETER:
		return EPROTO;
	default:
		return 0; /* source quench (RFC 6633), redirects: ignored */
	}
}

/* An error about something that we sent. */
static void heard(struct engine *e, const struct ip_in *in, const struct icmp4 *h, struct cursor c)
{
	struct ipv4 quoted;
	struct tcp_error error = {.error = errno_of(h)};
	struct engine_error about = {
		.error = error.error, .type = h->type, .code = h->code, .offender = in->src};
	uint16_t sport, dport;
	struct sock *s;

	COUNT(e, ICMP_ERRORS_IN);
	if (ipv4_parse_quoted(&c, &quoted) != WIRE_OK || !engine_is_local(e, quoted.src) ||
	    error.error == 0 || quoted.offset_bytes) {
		COUNT(e, ICMP_IGNORED);
		return;
	}
	sport = cursor_be16(&c);
	dport = cursor_be16(&c);
	error.seq = cursor_be32(&c); /* TCP; the first 8 octets are always quoted */
	if (c.failed) {
		COUNT(e, ICMP_IGNORED);
		return;
	}
	about.dst = quoted.dst;
	about.dport = quoted.proto == IPV4_PROTO_ICMP ? 0 : dport;
	error.about = &about;
	error.too_long = error.error == EMSGSIZE;
	error.mtu = h->seq;
	error.packet_bytes = quoted.total_bytes;
	error.hard = h->type == ICMP4_UNREACHABLE &&
		     (h->code == ICMP4_UNREACHABLE_PROTOCOL || h->code == ICMP4_UNREACHABLE_PORT);
	switch (quoted.proto) {
	case IPV4_PROTO_TCP:
		if (!tcp_heard_error(e, quoted.src, sport, quoted.dst, dport, &error))
			COUNT(e, ICMP_UNMATCHED);
		return;
	case IPV4_PROTO_UDP:
		s = sock_find(e, SOCK_UDP, quoted.src, sport, quoted.dst, dport);
		break;
	case IPV4_PROTO_ICMP:
		/* Type, code, checksum, then the identifier: what was read as a sequence number. */
		s = sock_find(e, SOCK_PING, quoted.src, (uint16_t)(error.seq >> 16), quoted.dst, 0);
		break;
	default:
		s = NULL;
	}
	if (!s) {
		COUNT(e, ICMP_UNMATCHED);
		return;
	}
	if (error.too_long)
		(void)route_pmtu_learn(e, quoted.dst, quoted.total_bytes, h->seq);
	about.info = error.too_long ? route_pmtu(e, quoted.dst) : 0;
	/* RFC 1122 4.1.3.3: passed up; as Linux, to connected sockets, and to those that ask for
	 * all.
	 */
	if (s->recverr || (s->connected && (error.hard || (error.too_long && s->pmtu_discover))))
		sock_error_about(e, s, &about, c);
}

static void echo(struct engine *e, const struct ip_in *in, const struct icmp4 *h, struct cursor c)
{
	struct icmp4 reply = {.type = ICMP4_ECHO_REPLY, .id = h->id, .seq = h->seq};
	struct pkt *p;

	COUNT(e, ICMP_ECHO_IN);
	if (!in->unicast)
		return; /* RFC 1122 3.2.2.6 leaves it to us */
	p = message(e, &reply, c.at, cursor_left(&c));
	if (!p)
		return;
	p->src = in->dst;
	p->dst = in->src;
	p->tos = in->tos;
	(void)ip_send(e, p);
}

void icmp_input(struct engine *e, const struct ip_in *in, struct cursor c)
{
	struct cursor whole = c;
	struct icmp4 h;
	enum wire_fault fault = icmp4_parse(&c, &h);
	struct sock *s;

	if (fault != WIRE_OK) {
		COUNT_FAULT(e, ICMP, fault);
		return;
	}
	raw_input(e, in, h.type, whole);
	if (h.type == ICMP4_ECHO) {
		echo(e, in, &h, c);
	} else if (h.type == ICMP4_ECHO_REPLY) {
		s = sock_find(e, SOCK_PING, in->dst, h.id, in->src, 0);
		if (s)
			sock_datagram(e, s, in, 0, cursor_of(NULL, 0), whole);
		else
			COUNT(e, ICMP_UNMATCHED);
	} else if (icmp4_is_error(h.type)) {
		heard(e, in, &h, c);
	} else {
		COUNT(e, ICMP_IGNORED); /* RFC 1122 3.2.2: unknown types are dropped silently */
	}
}

int64_t icmp_send(struct engine *e, struct sock *s, const void *octets, size_t bytes, uint32_t dst)
{
	struct cursor c = cursor_of(octets, bytes);
	struct icmp4 h = {0};
	uint32_t src, next_hop;
	struct pkt *p;
	int err;

	if (bytes > IPV4_PACKET_MAX - IPV4_HEADER_BYTES)
		return -EMSGSIZE;
	h.type = cursor_u8(&c);
	h.code = cursor_u8(&c);
	cursor_skip(&c, 4);
	h.seq = cursor_be16(&c);
	if (c.failed || h.type != ICMP4_ECHO || h.code != 0)
		return -EINVAL;
	err = route_find_from(e, dst, s->laddr, &src, &next_hop);
	if (err != 0)
		return err;
	h.id = s->lport;
	if (!pkt_spare(e, bytes)) {
		COUNT(e, IP_NO_ROOM);
		return -ENOBUFS;
	}
	p = message(e, &h, c.at, cursor_left(&c));
	if (!p)
		return -ENOBUFS;
	p->src = src;
	p->dst = dst;
	p->ttl = s->ttl;
	p->tos = s->tos;
	err = ip_send(e, p);
	return err ? err : (int64_t)bytes;
}
