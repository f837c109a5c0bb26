// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <netdb.h>
#include <arpa/inet.h>
#include <string.h>

#include "cli/json.h"
#include "cli/ss_format.h"
#include "cli/words.h"
#include "shm/abi.h"

enum { TRANSPORT_SHM = 0, TRANSPORT_KERNEL = 1 };

static void address(addr_word w, char ret[46], uint16_t *ret_port)
{
	uint32_t a = addr_word_addr(w);

	snprintf(ret, 46, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
	*ret_port = addr_word_port(w);
}

bool ss_row_make(const struct ctl_msg *m, struct ss_row *ret)
{
	struct ss_row r = {
		.netid = "tcp",
		.transport = "shm",
		.recv_q = m->row.recv_q,
		.send_q = m->row.send_q,
		.pid = m->row.pid,
		.uid = m->row.uid,
		.fd = m->row.fd,
		.tx_bytes = m->row.tx_bytes,
		.rx_bytes = m->row.rx_bytes,
		.wakes = m->row.wakes,
		.sleeps = m->row.sleeps,
		.spins = m->row.spins,
	};

	if (m->row.transport == TRANSPORT_KERNEL) {
		r.transport = "kernel";
		r.reason = word_reason(m->row.reason);
		r.inode = m->row.inode;
		if (m->row.reason == REASON_DATAGRAM)
			r.netid = "udp";
		if (m->row.state == HALF_LISTEN)
			r.state = "LISTEN";
		else
			r.state = m->row.remote ? "ESTAB" : "UNCONN";
	} else {
		r.state = word_state(m->row.state, m->row.half_closed, m->row.remote);
		if (!r.state)
			return false;
		r.party = (uint32_t)(m->row.inode >> 32);
		r.handle = (uint32_t)m->row.inode;
	}
	address(m->row.local, r.local, &r.local_port);
	address(m->row.remote, r.peer, &r.peer_port);
	memcpy(r.process, m->row.comm, sizeof(m->row.comm));
	*ret = r;
	return true;
}

bool ss_wanted(const struct ss_row *r, const struct ss_show *show)
{
	bool tcp = !strcmp(r->netid, "tcp");
	bool unconnected = !strcmp(r->state, "UNCONN");
	bool listening = !strcmp(r->state, "LISTEN") || (unconnected && !tcp);

	if (show->tcp && !tcp)
		return false;
	if (show->all)
		return true;
	if (show->listening)
		return listening;
	return !listening && !unconnected && strcmp(r->state, "TIME-WAIT") != 0;
}

static void port_text(const struct ss_row *r, uint16_t port, bool numeric, char *ret, size_t size)
{
	const struct servent *s;

	if (!port) {
		snprintf(ret, size, "*");
		return;
	}
	s = numeric ? NULL : getservbyport(htons(port), r->netid);
	if (s)
		snprintf(ret, size, "%s", s->s_name);
	else
		snprintf(ret, size, "%u", port);
}

static void address_text(const char *addr, char *ret, size_t size)
{
	/* As ss: a colon in the address must not look like the port's. */
	snprintf(ret, size, strchr(addr, ':') ? "[%s]" : "%s", addr);
}

/* Columns; addresses and ports are two each, aligned at the colon. */
enum { C_NETID, C_STATE, C_RECVQ, C_SENDQ, C_LADDR, C_LPORT, C_PADDR, C_PPORT, C_TRANSPORT,
       C_REASON, C_TX, C_RX, C_COUNT };

struct cells {
	char text[C_COUNT][64];
};

static void cells_make(struct cells *c, const struct ss_row *r, const struct ss_show *show)
{
	enum { SIZE = sizeof(c->text[0]) };

	snprintf(c->text[C_NETID], SIZE, "%s", r->netid);
	snprintf(c->text[C_STATE], SIZE, "%s", r->state);
	snprintf(c->text[C_RECVQ], SIZE, "%" PRIu64, r->recv_q);
	snprintf(c->text[C_SENDQ], SIZE, "%" PRIu64, r->send_q);
	address_text(r->local, c->text[C_LADDR], SIZE);
	port_text(r, r->local_port, show->numeric, c->text[C_LPORT], SIZE);
	address_text(r->peer, c->text[C_PADDR], SIZE);
	port_text(r, r->peer_port, show->numeric, c->text[C_PPORT], SIZE);
	snprintf(c->text[C_TRANSPORT], SIZE, "%s", r->transport);
	snprintf(c->text[C_REASON], SIZE, "%s", r->reason ? r->reason : "-");
	snprintf(c->text[C_TX], SIZE, "%" PRIu64, r->tx_bytes);
	snprintf(c->text[C_RX], SIZE, "%" PRIu64, r->rx_bytes);
}

static void line(FILE *out, const struct cells *c, const int *width, bool netid)
{
	if (netid)
		fprintf(out, "%-*s ", width[C_NETID], c->text[C_NETID]);
	fprintf(out, "%-*s %-*s %-*s %*s:%-*s %*s:%-*s %-*s %-*s %-*s %-*s", width[C_STATE],
		c->text[C_STATE], width[C_RECVQ], c->text[C_RECVQ], width[C_SENDQ],
		c->text[C_SENDQ], width[C_LADDR], c->text[C_LADDR], width[C_LPORT],
		c->text[C_LPORT], width[C_PADDR], c->text[C_PADDR], width[C_PPORT],
		c->text[C_PPORT], width[C_TRANSPORT], c->text[C_TRANSPORT], width[C_REASON],
		c->text[C_REASON], width[C_TX], c->text[C_TX], width[C_RX], c->text[C_RX]);
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
		line(out, &head, width, !show->tcp);
		fputs(" Process\n", out);
	}
	for (size_t i = 0; i < n; i++) {
		cells_make(&c, &rows[i], show);
		line(out, &c, width, !show->tcp);
		if (show->processes)
			users(out, &rows[i]);
		fputc('\n', out);
	}
}

void ss_json(FILE *out, const char *domain, const struct ss_row *rows, size_t n)
{
	fputs("{\"domain\":", out);
	json_string(out, domain);
	fputs(",\"sockets\":[", out);
	for (size_t i = 0; i < n; i++) {
		const struct ss_row *r = &rows[i];

		fprintf(out, "%s\n{\"netid\":\"%s\",\"state\":\"%s\"", i ? "," : "", r->netid,
			r->state);
		fprintf(out, ",\"recv_q\":%" PRIu64 ",\"send_q\":%" PRIu64, r->recv_q, r->send_q);
		fprintf(out, ",\"local_address\":\"%s\",\"local_port\":%u", r->local, r->local_port);
		fprintf(out, ",\"peer_address\":\"%s\",\"peer_port\":%u", r->peer, r->peer_port);
		fprintf(out, ",\"transport\":\"%s\",\"reason\":", r->transport);
		json_string(out, r->reason);
		fprintf(out, ",\"pid\":%u,\"process\":", r->pid);
		json_string(out, r->process);
		fprintf(out,
			",\"uid\":%u,\"tx_bytes\":%" PRIu64 ",\"rx_bytes\":%" PRIu64
			",\"wakes\":%" PRIu64 ",\"sleeps\":%" PRIu64 ",\"spins\":%" PRIu64 "}",
			r->uid, r->tx_bytes, r->rx_bytes, r->wakes, r->sleeps, r->spins);
	}
	fputs(n ? "\n]}\n" : "]}\n", out);
}
