// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"

#define FLOWS 512u
#define FIN 1u
#define SYN 2u
#define RST 4u
#define ACK 16u
#define RTO_FLOOR_NS 190000000ull
/* A half-open connection is not forgotten sooner: 1, 2, 4 ... 32 s (RFC 9293 3.8.3, R2). */
#define SYN_RECEIVED_NS 60000000000ull

/**
 * struct flow - One direction of a connection: what its sender sent, and what of it arrived.
 * Sequence numbers are relative to the SYN's.
 * @got:      An octet for each sequence number that arrived.
 * @next:     All before it arrived. @sent_end: one past the highest sent.
 * @fin:      The FIN's number; 0: none was sent. @edge: the highest that the peer allowed, as
 * arrived.
 * @acked:    The highest ACK sent by this sender (of the other direction).
 * @said_edge: The right edge that this sender advertised.
 * @answered: Of a SYN-ACK: which SYN it is for.
 * @begun_ns: When the first SYN of this number was sent.
 */
struct flow {
	uint32_t src, dst;
	uint16_t sport, dport;
	bool used, syn, wscale, sack_ok, ts, reset, from_client, syn_acks;
	uint32_t isn, answered;
	uint8_t shift;
	uint16_t mss;
	uint8_t *got;
	uint32_t got_bytes;
	uint32_t next, sent_end, fin;
	uint32_t edge, peer_acked;
	bool edge_known, said_known, acked_known, peer_sacked;
	uint32_t said_edge, acked;
	uint32_t again_seq;
	unsigned again;
	uint64_t again_ns, begun_ns;
	uint64_t arrivals, again_arrivals;
};

struct checker {
	struct flow flow[FLOWS];
	char fault[256];
	uint64_t now_ns;
	checker_octets *expected;
	bool may_give_up;
	uint8_t octets[65536];
};

/** struct seg - A segment, read anew: this is no place for the engine's parser. */
struct seg {
	uint32_t src, dst, seq, ack;
	uint16_t sport, dport, window, mss;
	uint8_t flags, shift, sacks;
	bool has_mss, has_shift, has_sack_ok, has_ts;
	uint32_t start[4], end[4];
	const uint8_t *data;
	uint32_t bytes, option_bytes;
};

static void fault(struct checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct checker *c, const char *format, ...)
{
	va_list ap;
	int n;

	if (c->fault[0])
		return;
	n = snprintf(c->fault, sizeof(c->fault), "%.6f s: ", (double)c->now_ns / 1e9);
	va_start(ap, format);
	vsnprintf(c->fault + n, sizeof(c->fault) - (size_t)n, format, ap);
	va_end(ap);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint16_t sum16(uint32_t sum, const uint8_t *p, size_t bytes)
{
	for (; bytes > 1; bytes -= 2, p += 2)
		sum += get16(p);
	if (bytes)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static bool read_options(struct checker *c, const uint8_t *p, size_t bytes, struct seg *s)
{
	size_t i = 0;

	while (i < bytes && p[i] != 0) {
		size_t n;

		if (p[i] == 1) {
			i++;
			continue;
		}
		n = i + 1 < bytes ? p[i + 1] : 0;
		if (n < 2 || i + n > bytes) {
			fault(c, "option %u of length %zu", p[i], n);
			return false;
		}
		if (p[i] == 2 && n == 4) {
			s->has_mss = true;
			s->mss = get16(p + i + 2);
		} else if (p[i] == 3 && n == 3) {
			s->has_shift = true;
			s->shift = p[i + 2];
		} else if (p[i] == 4 && n == 2) {
			s->has_sack_ok = true;
		} else if (p[i] == 8 && n == 10) {
			s->has_ts = true;
		} else if (p[i] == 5 && n >= 10 && (n - 2) % 8 == 0) {
			for (size_t k = 0; k < (n - 2) / 8 && k < 4; k++) {
				s->start[k] = get32(p + i + 2 + 8 * k);
				s->end[k] = get32(p + i + 6 + 8 * k);
				s->sacks++;
			}
		} else {
			fault(c, "option %u of length %zu", p[i], n);
			return false;
		}
		i += n;
	}
	return true;
}

/* Return: true: a TCP segment, all of it. @judge: say what is wrong. */
static bool read_segment(struct checker *c, const uint8_t *f, size_t bytes, struct seg *s,
			 bool judge)
{
	const uint8_t *ip = f + 14;
	const uint8_t *t;
	size_t ihl, total, offset;
	uint32_t pseudo;

	*s = (struct seg){0};
	if (bytes < 34 || get16(f + 12) != 0x0800)
		return false;
	ihl = (ip[0] & 15) * 4u;
	total = get16(ip + 2);
	if (judge) {
		if (ip[0] >> 4 != 4 || ihl < 20 || total != bytes - 14)
			fault(c, "IP length %zu in a frame of %zu", total, bytes);
		if (sum16(0, ip, ihl) != 0xffff)
			fault(c, "IP checksum");
		if (ip[8] == 0)
			fault(c, "TTL 0");
	}
	if (ip[9] != 6 || (get16(ip + 6) & 0x3fff) || total < ihl + 20)
		return false;
	t = ip + ihl;
	s->src = get32(ip + 12);
	s->dst = get32(ip + 16);
	s->sport = get16(t);
	s->dport = get16(t + 2);
	s->seq = get32(t + 4);
	s->ack = get32(t + 8);
	offset = (t[12] >> 4) * 4u;
	s->flags = t[13];
	s->window = get16(t + 14);
	if (offset < 20 || ihl + offset > total) {
		if (judge)
			fault(c, "TCP offset %zu", offset);
		return false;
	}
	s->data = t + offset;
	s->bytes = (uint32_t)(total - ihl - offset);
	s->option_bytes = (uint32_t)(offset - 20);
	pseudo = (s->src >> 16) + (s->src & 0xffff) + (s->dst >> 16) + (s->dst & 0xffff) + 6 +
		 (uint32_t)(total - ihl);
	if (judge && sum16(pseudo, t, total - ihl) != 0xffff)
		fault(c, "TCP checksum");
	if (judge && (t[12] & 15))
		fault(c, "reserved bits");
	return read_options(c, t + 20, offset - 20, s);
}

static struct flow *find(struct checker *c, uint32_t src, uint16_t sport, uint32_t dst,
			 uint16_t dport)
{
	uint32_t h = (src * 31 + dst) * 31 + sport * 7u + dport * 13u;

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow *f = &c->flow[(h + i) % FLOWS];

		if (!f->used) {
			*f = (struct flow){.used = true,
					   .src = src,
					   .dst = dst,
					   .sport = sport,
					   .dport = dport};
			return f;
		}
		if (f->src == src && f->dst == dst && f->sport == sport && f->dport == dport)
			return f;
	}
	fprintf(stderr, "checker: too many flows\n");
	abort();
}

static void has_arrived(struct flow *f, uint32_t from, uint32_t to)
{
	if (to > f->got_bytes) {
		uint32_t bigger = to * 2 + 4096;

		f->got = realloc(f->got, bigger);
		if (!f->got)
			abort();
		memset(f->got + f->got_bytes, 0, bigger - f->got_bytes);
		f->got_bytes = bigger;
	}
	memset(f->got + from, 1, to - from);
	while (f->next < f->got_bytes && f->got[f->next])
		f->next++;
}

static void begin(struct flow *f, const struct seg *s, uint64_t now_ns)
{
	uint8_t *got = f->got;
	struct flow fresh = {
		.used = true,
		.src = f->src,
		.dst = f->dst,
		.sport = f->sport,
		.dport = f->dport,
		.syn = true,
		.isn = s->seq,
		.mss = s->has_mss ? s->mss : 536,
		.shift = s->shift,
		.wscale = s->has_shift,
		.sack_ok = s->has_sack_ok,
		.ts = s->has_ts,
		.from_client = !(s->flags & ACK),
		.sent_end = 1,
		.begun_ns = now_ns,
	};

	free(got);
	*f = fresh;
}

/* The old connection has ended, by either side's reset; or it was half open, and nobody answered
 * for so long that it was forgotten. */
static bool may_begin_again(const struct checker *c, const struct flow *f, const struct flow *back,
			    const struct seg *s)
{
	return f->reset || back->reset || (f->fin && f->sent_end > 1) ||
	       ((s->flags & ACK) && f->syn_acks && s->ack != f->answered) || /* another SYN */
	       (c->may_give_up && f->sent_end <= 1 && !f->acked_known) ||
	       ((s->flags & ACK) && !back->acked_known &&
		c->now_ns - f->begun_ns >= SYN_RECEIVED_NS);
}

/* Are the two directions one connection's? Not where one of them has begun a new one, to whose SYN
 * the other answers what it knows of the old (RFC 5961 4.2). */
static bool are_one(const struct flow *f, const struct flow *back)
{
	return (f->syn_acks && f->answered == back->isn + 1) ||
	       (back->syn_acks && back->answered == f->isn + 1);
}

static void check_syn(struct checker *c, struct flow *f, struct flow *back, const struct seg *s)
{
	if (s->bytes)
		fault(c, "data with a SYN");
	if (!s->has_mss)
		fault(c, "SYN without MSS");
	if (s->sacks)
		fault(c, "SACK with a SYN");
	if (f->syn && f->isn != s->seq && !may_begin_again(c, f, back, s))
		fault(c, "a second SYN with another number, %u after %u", s->seq, f->isn);
	if ((s->flags & ACK) && back->syn && s->ack != back->isn + 1)
		fault(c, "SYN-ACK acknowledges %u, not %u", s->ack, back->isn + 1);
	if ((s->flags & ACK) && back->syn &&
	    ((s->has_shift && !back->wscale) || (s->has_sack_ok && !back->sack_ok) ||
	     (s->has_ts && !back->ts)))
		fault(c, "SYN-ACK with an option that the SYN had not");
	if (s->has_shift && s->shift > 14)
		fault(c, "window scale %u", s->shift);
	if (f->syn && f->isn != s->seq && (s->flags & ACK) && back->acked_known)
		return; /* to a duplicate of the SYN, which its sender will refuse: nothing begins
			 */
	if (!f->syn || f->isn != s->seq)
		begin(f, s, c->now_ns);
	if (s->flags & ACK) {
		f->syn_acks = true;
		f->answered = s->ack;
	}
}

static void check_window(struct checker *c, struct flow *f, const struct flow *back,
			 const struct seg *s)
{
	uint32_t edge = s->ack - back->isn +
			((uint32_t)s->window
			 << (f->wscale && back->wscale && !(s->flags & SYN) ? f->shift : 0));
	uint32_t ack = s->ack - back->isn;

	if (ack > back->next)
		fault(c, "ACK %u, but only %u has arrived", ack, back->next);
	if (f->acked_known && ack < f->acked)
		fault(c, "ACK goes back from %u to %u", f->acked, ack);
	if (f->said_known && edge < f->said_edge)
		fault(c, "window shrinks: its edge goes from %u to %u", f->said_edge, edge);
	f->acked = ack;
	f->acked_known = true;
	f->said_edge = edge;
	f->said_known = true;
}

static void check_sack(struct checker *c, const struct flow *f, const struct flow *back,
		       const struct seg *s)
{
	if (s->sacks && !(f->sack_ok && back->sack_ok))
		fault(c, "SACK that was not agreed on");
	for (unsigned i = 0; i < s->sacks; i++) {
		uint32_t start = s->start[i] - back->isn;
		uint32_t end = s->end[i] - back->isn;
		uint32_t ack = s->ack - back->isn;

		if (start >= end || end > back->got_bytes) {
			fault(c, "SACK block %u-%u", start, end);
			return;
		}
		/* Only the first may be a DSACK. */
		if (i && start <= ack)
			fault(c, "SACK block %u-%u below ACK %u", start, end, ack);
		if (memchr(back->got + start, 0, end - start)) {
			fault(c, "SACK block %u-%u: not all of it has arrived", start, end);
			return;
		}
	}
}

static void check_again(struct checker *c, struct flow *f, uint32_t seq)
{
	if (seq != f->again_seq || f->arrivals != f->again_arrivals) {
		f->again_seq = seq;
		f->again = 0;
		f->again_arrivals = f->arrivals;
	} else if (f->again >= 2 && c->now_ns - f->again_ns < RTO_FLOOR_NS) {
		/* Twice in a row may be a probe and a timeout; then each waits at least the least
		 * RTO. */
		fault(c, "%u sent again and again without an answer, after %.1f ms", seq,
		      (double)(c->now_ns - f->again_ns) / 1e6);
	}
	f->again++;
	f->again_ns = c->now_ns;
}

static void check_data(struct checker *c, struct flow *f, const struct flow *back,
		       const struct seg *s)
{
	uint32_t seq = s->seq - f->isn;
	uint32_t end = seq + s->bytes + ((s->flags & FIN) ? 1 : 0);
	uint16_t port = f->from_client ? f->sport : f->dport;

	if (s->bytes == 0 && !(s->flags & FIN)) {
		if (seq > f->sent_end)
			fault(c, "empty segment at %u, sent until %u", seq, f->sent_end);
		return;
	}
	if (s->bytes + s->option_bytes > back->mss)
		fault(c, "%u octets and %u of options, MSS %u", s->bytes, s->option_bytes,
		      back->mss);
	if (seq > f->sent_end)
		fault(c, "a gap: sent until %u, now %u", f->sent_end, seq);
	if (f->fin && seq + s->bytes > f->fin)
		fault(c, "data behind the FIN at %u", f->fin);
	if (s->flags & FIN) {
		if (f->fin && f->fin != seq + s->bytes)
			fault(c, "FIN moves from %u to %u", f->fin, seq + s->bytes);
		f->fin = seq + s->bytes;
	}
	/* An octet more than allowed is a probe. */
	if (f->edge_known && end > f->edge + 1)
		fault(c, "until %u, the window ends at %u", end, f->edge);
	if (f->edge_known && end == f->edge + 1 && s->bytes + ((s->flags & FIN) ? 1 : 0) > 1)
		fault(c, "beyond the window with more than a probe: %u to %u", seq, end);
	c->expected(port, f->from_client, seq - 1, c->octets, s->bytes);
	if (memcmp(s->data, c->octets, s->bytes) != 0)
		fault(c, "the octets from %u on are not what was written", seq);
	/* RFC 6928: before anything is acknowledged, ten segments; one more is a loss probe. */
	if (f->peer_acked <= 1 && !f->peer_sacked && end - 1 > 11u * back->mss &&
	    end - 1 > 14600u + back->mss)
		fault(c, "initial flight of %u octets", end - 1);
	if (end <= f->sent_end)
		check_again(c, f, seq);
	if (end > f->sent_end)
		f->sent_end = end;
}

void checker_sent(struct checker *c, uint64_t now_ns, const uint8_t *frame, size_t bytes)
{
	struct flow *f, *back;
	struct seg s;

	c->now_ns = now_ns;
	if (!read_segment(c, frame, bytes, &s, true))
		return;
	f = find(c, s.src, s.sport, s.dst, s.dport);
	back = find(c, s.dst, s.dport, s.src, s.sport);
	if ((s.flags & RST) && (s.flags & (SYN | FIN)))
		fault(c, "RST with SYN or FIN");
	if (s.flags & RST) {
		/* RFC 9293 3.10.7.1: to what has no ACK, as an old SYN, of number 0. */
		if (!(s.seq == 0 && (s.flags & ACK)) && f->syn && f->sent_end > 1 &&
		    s.seq - f->isn > f->sent_end + 1)
			fault(c, "RST at %u, sent until %u", s.seq - f->isn, f->sent_end);
		/* Or it is about the old connection, whose ACK answered our SYN. */
		f->reset |= !f->syn || !back->syn || are_one(f, back);
		return;
	}
	if (s.flags & SYN) {
		check_syn(c, f, back, &s);
		return;
	}
	if (!(s.flags & ACK))
		fault(c, "no ACK");
	if (s.has_mss || s.has_shift || s.has_sack_ok)
		fault(c, "an option of SYNs without SYN");
	if (!f->syn || !back->syn || !are_one(f, back))
		return; /* a challenge, or the answer to an old one */
	if (f->reset)
		fault(c, "a segment behind a RST");
	if (s.has_ts != (f->ts && back->ts))
		fault(c, "timestamps, though not agreed on, or none though agreed on");
	check_window(c, f, back, &s);
	check_sack(c, f, back, &s);
	check_data(c, f, back, &s);
}

void checker_arrived(struct checker *c, const uint8_t *frame, size_t bytes)
{
	struct flow *f, *back;
	struct seg s;
	uint32_t seq;

	if (!read_segment(c, frame, bytes, &s, false))
		return;
	f = find(c, s.src, s.sport, s.dst, s.dport);
	back = find(c, s.dst, s.dport, s.src, s.sport);
	if (!f->syn || (s.flags & RST))
		return;
	seq = s.seq - f->isn;
	if (seq > f->sent_end)
		return; /* of an earlier connection */
	back->arrivals++;
	has_arrived(f, seq, seq + s.bytes + ((s.flags & (SYN | FIN)) ? 1 : 0));
	if ((s.flags & ACK) && back->syn && are_one(f, back)) {
		uint32_t ack = s.ack - back->isn;
		uint32_t edge =
			ack + ((uint32_t)s.window
			       << (f->wscale && back->wscale && !(s.flags & SYN) ? f->shift : 0));

		if (ack > back->peer_acked && ack <= back->sent_end + 1)
			back->peer_acked = ack;
		if (!back->edge_known || edge > back->edge)
			back->edge = edge;
		back->edge_known = true;
		back->peer_sacked |= s.sacks != 0;
	}
}

struct checker *checker_new(checker_octets *expected)
{
	struct checker *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->expected = expected;
	return c;
}

void checker_may_give_up(struct checker *c)
{
	c->may_give_up = true;
}

void checker_free(struct checker *c)
{
	for (uint32_t i = 0; i < FLOWS; i++)
		free(c->flow[i].got);
	free(c);
}

const char *checker_fault(const struct checker *c)
{
	return c->fault[0] ? c->fault : NULL;
}
