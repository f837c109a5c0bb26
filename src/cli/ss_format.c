// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "cli/color.h"
#include "cli/json.h"
#include "cli/ss_filter.h"
#include "cli/ss_format.h"
#include "cli/ss_names.h"
#include "cli/words.h"
#include "shm/abi.h"

/* Columns; addresses and ports are two each, aligned at the colon. */
enum { C_NETID, C_STATE, C_RECVQ, C_SENDQ, C_LADDR, C_LPORT, C_PADDR, C_PPORT, C_TRANSPORT,
       C_REASON, C_TX, C_RX, C_COUNT };

struct cells {
	char text[C_COUNT][80];
};

/** host() - An address; the wildcard that is both families' is `*`, as ss has it. */
static void host(const struct ss_row *r, const uint8_t ip[16], const char *text, bool resolve,
		 char *ret, size_t size)
{
	if (r->dual && IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)(const void *)ip))
		snprintf(ret, size, "*");
	else
		ss_names_host(ip, text, resolve, ret, size);
}

static void cells_make(struct cells *c, const struct ss_row *r, const struct ss_show *show)
{
	enum { SIZE = sizeof(c->text[0]) };

	snprintf(c->text[C_NETID], SIZE, "%s", r->netid);
	snprintf(c->text[C_STATE], SIZE, "%s", r->state);
	snprintf(c->text[C_RECVQ], SIZE, "%" PRIu64, r->recv_q);
	snprintf(c->text[C_SENDQ], SIZE, "%" PRIu64, r->send_q);
	host(r, r->local_ip, r->local, show->resolve, c->text[C_LADDR], SIZE);
	ss_names_port(r->local_port, r->netid, show->numeric, c->text[C_LPORT], SIZE);
	host(r, r->peer_ip, r->peer, show->resolve, c->text[C_PADDR], SIZE);
	ss_names_port(r->peer_port, r->netid, show->numeric, c->text[C_PPORT], SIZE);
	snprintf(c->text[C_TRANSPORT], SIZE, "%s", r->transport);
	snprintf(c->text[C_REASON], SIZE, "%s", r->reason ? r->reason : "-");
	snprintf(c->text[C_TX], SIZE, "%" PRIu64, r->tx_bytes);
	snprintf(c->text[C_RX], SIZE, "%" PRIu64, r->rx_bytes);
}

/** one_state() - Does the filter want one state alone? Its name then says nothing. */
static bool one_state(const struct ss_show *show)
{
	uint32_t states = show->filter ? show->filter->states : 0;

	return states && !(states & (states - 1));
}

static void line(FILE *out, const struct cells *c, const int *width, const struct ss_show *show,
		 enum color color)
{
	/* As ss: where one kind is asked for, its name says nothing. */
	if (show->tcp == show->udp)
		fprintf(out, "%-*s ", width[C_NETID], c->text[C_NETID]);
	if (!one_state(show))
		fprintf(out, "%-*s ", width[C_STATE], c->text[C_STATE]);
	fprintf(out, "%-*s %-*s %*s:%-*s %*s:%-*s ", width[C_RECVQ], c->text[C_RECVQ],
		width[C_SENDQ], c->text[C_SENDQ], width[C_LADDR], c->text[C_LADDR], width[C_LPORT],
		c->text[C_LPORT], width[C_PADDR], c->text[C_PADDR], width[C_PPORT],
		c->text[C_PPORT]);
	color_begin(out, show->color, color);
	fprintf(out, "%-*s %-*s", width[C_TRANSPORT], c->text[C_TRANSPORT], width[C_REASON],
		c->text[C_REASON]);
	color_end(out, show->color, color);
	fprintf(out, " %-*s %-*s", width[C_TX], c->text[C_TX], width[C_RX], c->text[C_RX]);
}

static void user(FILE *out, const char *process, uint32_t pid, int fd)
{
	fputs("(\"", out);
	for (; *process; process++) /* A name that moves the cursor is no name. */
		fputc((unsigned char)*process < 0x20 || *process == 0x7f ? '?' : *process, out);
	fprintf(out, "\",pid=%u", pid);
	if (fd >= 0)
		fprintf(out, ",fd=%d", fd);
	fputc(')', out);
}

/** users() - users:(("redis-server",pid=12,fd=7)), as ss has it. */
static void users(FILE *out, const struct ss_row *r)
{
	if (!r->pid && !r->user_count)
		return;
	fputs(" users:(", out);
	if (!r->user_count)
		user(out, r->process, r->pid, r->fd);
	for (unsigned i = 0; i < r->user_count; i++) {
		if (i)
			fputc(',', out);
		user(out, r->users[i].process, r->users[i].pid, r->users[i].fd);
	}
	fputc(')', out);
}

static bool in_memory(const struct ss_row *r)
{
	return !strcmp(r->transport, "shm");
}

/** row_inode() - Of the descriptor, where that is known. */
static uint64_t row_inode(const struct ss_row *r)
{
	return r->inode || !r->user_count ? r->inode : r->users[0].inode;
}

/** extended() - -e: as ss, behind the row. */
static void extended(FILE *out, const struct ss_row *r)
{
	uint64_t inode = row_inode(r);

	fprintf(out, " uid:%u", r->uid);
	if (inode)
		fprintf(out, " ino:%" PRIu64, inode);
	if (r->cookie)
		fprintf(out, " sk:%" PRIx64, r->cookie);
	/* Of a connection it is not known, and means nothing. */
	if (in_memory(r) && r->family == AF_INET6 && !r->peer_port)
		fprintf(out, " v6only:%d", !r->dual);
	if (r->shared)
		fputs(" shared", out);
}

/**
 * memory() - -m: ss's skmem, said of rings. r and w are what is queued, rb and
 * tb the buffers that the program set, 0 where it left them alone; f is what
 * the ring has room for now. Of the kernel's sockets it is what the kernel says,
 * or, where that does not, r, w and d.
 */
static void memory(FILE *out, const struct ss_row *r)
{
	bool listen = !strcmp(r->state, "LISTEN");
	uint64_t recv_q = listen ? 0 : r->recv_q, send_q = listen ? 0 : r->send_q;
	uint64_t room = r->tx_ring > send_q ? r->tx_ring - send_q : 0;

	if (!in_memory(r) && r->has_skmem) {
		const uint32_t *m = r->skmem;

		/* The order in which the kernel says them. */
		fprintf(out, " skmem:(r%u,rb%u,t%u,tb%u,f%u,w%u,o%u,bl%u,d%u)", m[0], m[1], m[2],
			m[3], m[4], m[5], m[6], m[7], m[8]);
		return;
	}
	if (!in_memory(r)) {
		fprintf(out, " skmem:(r%" PRIu64 ",w%" PRIu64 ",d%" PRIu64 ")", recv_q, send_q,
			r->drops);
		return;
	}
	fprintf(out,
		" skmem:(r%" PRIu64 ",rb%u,t%" PRIu64 ",tb%u,f%" PRIu64 ",w%" PRIu64
		",o0,bl0,d%" PRIu64 ") ring:(rx%" PRIu64 ",tx%" PRIu64 ")",
		recv_q, r->rcvbuf, send_q, r->sndbuf, room, send_q, r->drops, r->rx_ring,
		r->tx_ring);
}

static unsigned percent(uint64_t used, uint64_t of)
{
	return of ? (unsigned)((used < of ? used : of) * 100 / of) : 0;
}

/** info() - -i: what the transport did. */
static void info(FILE *out, const struct ss_row *r)
{
	if (!in_memory(r)) {
		fprintf(out, " kernel reason:%s drops:%" PRIu64, r->reason ? r->reason : "-",
			r->drops);
		return;
	}
	fputs(" shm", out);
	if (strcmp(r->state, "LISTEN") != 0)
		fprintf(out, " fill:(rx%u%%,tx%u%%)", percent(r->recv_q, r->rx_ring),
			percent(r->send_q, r->tx_ring));
	fprintf(out, " wakes:%" PRIu64 " sleeps:%" PRIu64 " spins:%" PRIu64 " drops:%" PRIu64,
		r->wakes, r->sleeps, r->spins, r->drops);
	if (r->cpu)
		fprintf(out, " cpu:%u", r->cpu - 1);
	if (r->age_ns)
		fprintf(out, " age:%" PRIu64 ".%03us", (uint64_t)(r->age_ns / NS_PER_SEC),
			(unsigned)(r->age_ns % NS_PER_SEC / NS_PER_MS));
}

static const char *cc_name(unsigned cc)
{
	static const char *const names[] = { "cubic", "reno" };

	return cc < ARRAY_LEN(names) ? names[cc] : "unknown";
}

static double ms(uint32_t us)
{
	return us / 1000.0;
}

/** tcp() - -i: the insides of the domain's TCP, in ss's words; cwnd and ssthresh in segments. */
static void tcp(FILE *out, const struct ss_tcp *t)
{
	uint32_t mss = t->mss ? t->mss : 1;

	fprintf(out, "%s%s %s", t->ts ? " ts" : "", t->sack ? " sack" : "", cc_name(t->cc));
	fprintf(out, " wscale:%u,%u rto:%g rtt:%g/%g", t->snd_wscale, t->rcv_wscale, ms(t->rto_us),
		ms(t->rtt_us), ms(t->rttvar_us));
	fprintf(out, " mss:%u pmtu:%u cwnd:%u", t->mss, t->pmtu, t->cwnd / mss);
	if (t->ssthresh < 0x7fffffff)
		fprintf(out, " ssthresh:%u", t->ssthresh / mss);
	if (t->bytes_retrans)
		fprintf(out, " bytes_retrans:%" PRIu64, t->bytes_retrans);
	fprintf(out, " bytes_acked:%" PRIu64 " bytes_received:%" PRIu64 " segs_out:%u segs_in:%u",
		t->bytes_acked, t->bytes_received, t->segs_out, t->segs_in);
	if (t->pacing_rate != UINT32_MAX)
		fprintf(out, " pacing_rate %" PRIu64 "bps", t->pacing_rate * 8);
	fprintf(out, " delivery_rate %" PRIu64 "bps", t->delivery_rate * 8);
	if (t->unacked)
		fprintf(out, " unacked:%" PRIu64, (t->unacked + mss - 1) / mss);
	fprintf(out, " retrans:0/%u", t->retrans_segs);
	if (t->unsent)
		fprintf(out, " notsent:%" PRIu64, t->unsent);
	fprintf(out, " snd_wnd:%u rcv_wnd:%u minrtt:%g", t->snd_wnd, t->rcv_wnd, ms(t->min_rtt_us));
}

static void tcp_json(FILE *out, const struct ss_tcp *t)
{
	fprintf(out,
		",\"tcp\":{\"congestion\":\"%s\",\"timestamps\":%s,\"sack\":%s,\"snd_wscale\":%u,"
		"\"rcv_wscale\":%u,\"rto_us\":%u,\"rtt_us\":%u,\"rttvar_us\":%u,\"min_rtt_us\":%u",
		cc_name(t->cc), t->ts ? "true" : "false", t->sack ? "true" : "false",
		t->snd_wscale, t->rcv_wscale, t->rto_us, t->rtt_us, t->rttvar_us, t->min_rtt_us);
	fprintf(out,
		",\"mss\":%u,\"pmtu\":%u,\"cwnd\":%u,\"ssthresh\":%u,\"snd_wnd\":%u,\"rcv_wnd\":%u,"
		"\"segs_out\":%u,\"segs_in\":%u,\"retrans\":%u",
		t->mss, t->pmtu, t->cwnd, t->ssthresh, t->snd_wnd, t->rcv_wnd, t->segs_out,
		t->segs_in, t->retrans_segs);
	fprintf(out,
		",\"bytes_acked\":%" PRIu64 ",\"bytes_received\":%" PRIu64
		",\"bytes_retrans\":%" PRIu64 ",\"unacked\":%" PRIu64 ",\"notsent\":%" PRIu64
		",\"delivery_rate\":%" PRIu64,
		t->bytes_acked, t->bytes_received, t->bytes_retrans, t->unacked, t->unsent,
		t->delivery_rate);
	if (t->pacing_rate != UINT32_MAX)
		fprintf(out, ",\"pacing_rate\":%" PRIu64, t->pacing_rate);
	fputc('}', out);
}

static void details(FILE *out, const struct ss_row *r, const struct ss_show *show)
{
	if (show->processes)
		users(out, r);
	if (show->extended)
		extended(out, r);
	if (!show->memory && !show->info)
		return;
	if (!show->oneline)
		fputs("\n\t", out);
	if (show->memory)
		memory(out, r);
	if (show->info && r->tcp.there)
		tcp(out, &r->tcp);
	if (show->info)
		info(out, r);
}

static enum color row_color(const struct ss_row *r)
{
	return in_memory(r) ? COLOR_GOOD : COLOR_WARN;
}

void ss_table(FILE *out, const struct ss_row *rows, size_t n, const struct ss_show *show)
{
	static const struct cells head = { .text = {
		"Netid", "State", "Recv-Q", "Send-Q", "Local Address", "Port", "Peer Address",
		"Port", "Transport", "Reason", "Tx-Bytes", "Rx-Bytes" } };
	int width[C_COUNT] = { 0 };
	struct cells c;

	for (size_t i = 0; i <= n; i++) {
		if (i == n && show->no_header)
			break;
		if (i < n)
			cells_make(&c, &rows[i], show);
		else
			c = head;
		for (int k = 0; k < C_COUNT; k++) {
			int len = (int)strlen(c.text[k]);

			if (len > width[k])
				width[k] = len;
		}
	}
	if (!show->no_header) {
		color_begin(out, show->color, COLOR_HEAD);
		line(out, &head, width, show, COLOR_NONE);
		fputs(" Process", out);
		color_end(out, show->color, COLOR_HEAD);
		fputc('\n', out);
	}
	for (size_t i = 0; i < n; i++) {
		cells_make(&c, &rows[i], show);
		line(out, &c, width, show, row_color(&rows[i]));
		details(out, &rows[i], show);
		fputc('\n', out);
	}
}

static void users_json(FILE *out, const struct ss_row *r)
{
	fputs(",\"users\":[", out);
	for (unsigned i = 0; i < r->user_count; i++) {
		fprintf(out, "%s{\"process\":", i ? "," : "");
		json_string(out, r->users[i].process);
		fprintf(out, ",\"pid\":%u,\"fd\":%d}", r->users[i].pid, r->users[i].fd);
	}
	fputc(']', out);
}

void ss_json(FILE *out, const char *domain, const struct ss_row *rows, size_t n,
	     const struct ss_show *show)
{
	fputs("{\"domain\":", out);
	json_string(out, domain);
	fputs(",\"sockets\":[", out);
	for (size_t i = 0; i < n; i++) {
		const struct ss_row *r = &rows[i];

		fprintf(out, "%s\n{\"netid\":\"%s\",\"state\":\"%s\"", i ? "," : "", r->netid,
			r->state);
		fprintf(out, ",\"recv_q\":%" PRIu64 ",\"send_q\":%" PRIu64, r->recv_q, r->send_q);
		fputs(",\"local_address\":", out);
		json_string(out, r->local);
		fprintf(out, ",\"local_port\":%u,\"peer_address\":", r->local_port);
		json_string(out, r->peer);
		fprintf(out, ",\"peer_port\":%u", r->peer_port);
		fprintf(out, ",\"transport\":\"%s\",\"reason\":", r->transport);
		json_string(out, r->reason);
		fprintf(out, ",\"pid\":%u,\"process\":", r->pid);
		json_string(out, r->process);
		fprintf(out,
			",\"uid\":%u,\"tx_bytes\":%" PRIu64 ",\"rx_bytes\":%" PRIu64
			",\"wakes\":%" PRIu64 ",\"sleeps\":%" PRIu64 ",\"spins\":%" PRIu64,
			r->uid, r->tx_bytes, r->rx_bytes, r->wakes, r->sleeps, r->spins);
		fprintf(out, ",\"family\":\"%s\"", r->family == AF_INET6 ? "inet6" : "inet");
		fprintf(out, ",\"fd\":%d,\"inode\":%" PRIu64 ",\"cookie\":%" PRIu64, r->fd,
			row_inode(r), r->cookie);
		fprintf(out,
			",\"sndbuf\":%u,\"rcvbuf\":%u,\"tx_ring\":%" PRIu64 ",\"rx_ring\":%" PRIu64
			",\"drops\":%" PRIu64 ",\"age_ms\":%" PRIu64 ",\"shared\":%s",
			r->sndbuf, r->rcvbuf, r->tx_ring, r->rx_ring, r->drops,
			(uint64_t)(r->age_ns / NS_PER_MS), r->shared ? "true" : "false");
		if (r->tcp.there)
			tcp_json(out, &r->tcp);
		if (show->processes)
			users_json(out, r);
		fputc('}', out);
	}
	fputs(n ? "\n]}\n" : "]}\n", out);
}

/* ---------------------------------------------------------------- summary */

/** struct sums - Of all rows. [0]: shm, [1]: kernel. */
struct sums {
	unsigned total[2], ipv4[2], ipv6[2];
	unsigned tcp, estab, listen, closed, tcp_other, udp, udp_estab;
	unsigned reasons[REASON_COUNT];
	uint64_t queued, rings, drops;
};

static struct sums sums_make(const struct ss_row *rows, size_t n)
{
	struct sums s = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct ss_row *r = &rows[i];
		bool kernel = !in_memory(r), estab = !strcmp(r->state, "ESTAB");

		s.total[kernel]++;
		(r->family == AF_INET6 ? s.ipv6 : s.ipv4)[kernel]++;
		if (!strcmp(r->netid, "udp")) {
			s.udp++;
			s.udp_estab += estab;
		} else {
			bool listen = !strcmp(r->state, "LISTEN"), closed = !strcmp(r->state, "UNCONN");

			s.tcp++;
			s.estab += estab;
			s.listen += listen;
			s.closed += closed;
			s.tcp_other += !estab && !listen && !closed;
		}
		for (uint32_t k = 1; r->reason && k < REASON_COUNT; k++)
			s.reasons[k] += !strcmp(r->reason, word_reason(k));
		if (!kernel && strcmp(r->state, "LISTEN") != 0)
			s.queued += r->send_q;
		s.rings += r->tx_ring;
		s.drops += r->drops;
	}
	return s;
}

void ss_summary(FILE *out, const char *domain, const struct ss_row *rows, size_t n)
{
	struct sums s = sums_make(rows, n);
	const char *comma = "";

	fprintf(out, "Domain: %s\nTotal:  %zu\n", domain, n);
	fprintf(out, "TCP:    %u (estab %u, listening %u, closed %u, other %u)\n", s.tcp, s.estab,
		s.listen, s.closed, s.tcp_other);
	fprintf(out, "UDP:    %u (estab %u)\n\n", s.udp, s.udp_estab);
	fprintf(out, "Transport Total     IP        IPv6\n");
	for (int k = 0; k < 2; k++)
		fprintf(out, "%-9s %-9u %-9u %u\n", k ? "kernel" : "shm", s.total[k], s.ipv4[k],
			s.ipv6[k]);
	fprintf(out, "\nRings:   %" PRIu64 " bytes, %" PRIu64 " queued\nDrops:   %" PRIu64
		     "\nReasons: ", s.rings, s.queued, s.drops);
	for (uint32_t i = 1; i < REASON_COUNT; i++) {
		if (!s.reasons[i])
			continue;
		fprintf(out, "%s%s %u", comma, word_reason(i), s.reasons[i]);
		comma = ", ";
	}
	fputs(*comma ? "\n" : "none\n", out);
}

void ss_summary_json(FILE *out, const char *domain, const struct ss_row *rows, size_t n)
{
	struct sums s = sums_make(rows, n);

	fputs("{\"domain\":", out);
	json_string(out, domain);
	fprintf(out, ",\"total\":%zu,\"tcp\":{\"total\":%u,\"estab\":%u,\"listening\":%u", n, s.tcp,
		s.estab, s.listen);
	fprintf(out, ",\"closed\":%u,\"other\":%u},\"udp\":{\"total\":%u,\"estab\":%u}", s.closed,
		s.tcp_other, s.udp, s.udp_estab);
	for (int k = 0; k < 2; k++)
		fprintf(out, ",\"%s\":{\"total\":%u,\"inet\":%u,\"inet6\":%u}", k ? "kernel" : "shm",
			s.total[k], s.ipv4[k], s.ipv6[k]);
	fprintf(out, ",\"ring_bytes\":%" PRIu64 ",\"queued\":%" PRIu64 ",\"drops\":%" PRIu64,
		s.rings, s.queued, s.drops);
	fputs(",\"reasons\":{", out);
	for (uint32_t i = 1; i < REASON_COUNT; i++)
		fprintf(out, "%s\"%s\":%u", i > 1 ? "," : "", word_reason(i), s.reasons[i]);
	fputs("}}\n", out);
}
