// SPDX-License-Identifier: BSD-2-Clause
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/top_table.h"

/* ----------------------------------------------------------------- rates */

/** row_order() - By what makes it this socket and no other. */
static int row_order(const void *a, const void *b)
{
	const struct ss_row *x = a, *y = b;
	int d;

#define BY(field)                                         \
	do {                                              \
		if (x->field != y->field)                 \
			return x->field < y->field ? -1 : 1; \
	} while (0)
	BY(pid);
	BY(party);
	BY(handle);
	BY(inode);
	BY(local_port);
	BY(peer_port);
#undef BY
	d = strcmp(x->local, y->local);
	return d ? d : strcmp(x->peer, y->peer);
}

/** since() - How much a count grew a second. One that fell is another socket's. */
static double since(uint64_t before, uint64_t now, double seconds)
{
	return (double)(now >= before ? now - before : now) / seconds;
}

/**
 * row_rates() - What went through a socket since @old.
 * @old: NULL: it is new since then, so all of it.
 */
static struct top_rates row_rates(const struct ss_row *r, const struct ss_row *old,
				  double seconds)
{
	static const struct ss_row nothing;

	old = old ? old : &nothing;
	return (struct top_rates){
		.tx = since(old->tx_bytes, r->tx_bytes, seconds),
		.rx = since(old->rx_bytes, r->rx_bytes, seconds),
		.wakes = since(old->wakes, r->wakes, seconds),
		.sleeps = since(old->sleeps, r->sleeps, seconds),
		.spins = since(old->spins, r->spins, seconds),
		.drops = since(old->drops, r->drops, seconds),
	};
}

/** copy_text() - A name that moves the cursor is no name. */
static void copy_text(char *ret, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s && n + 1 < size; s++)
		ret[n++] = (char)((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
	ret[n] = 0;
}

static void address(char *ret, size_t size, const char *addr, uint16_t port)
{
	char text[8] = "*";

	if (port)
		snprintf(text, sizeof(text), "%u", port);
	snprintf(ret, size, strchr(addr, ':') ? "[%s]:%s" : "%s:%s", addr, text);
}

static struct top_line socket_line(const struct ss_row *r, const struct top_rates *rate)
{
	struct top_line l = {
		.pid = r->pid,
		.netid = r->netid,
		.state = r->state,
		.transport = r->transport,
		.reason = r->reason,
		.recv_q = r->recv_q,
		.send_q = r->send_q,
	};

	copy_text(l.process, sizeof(l.process), r->process);
	address(l.local, sizeof(l.local), r->local, r->local_port);
	address(l.peer, sizeof(l.peer), r->peer, r->peer_port);
	l.listening = !strcmp(r->state, "LISTEN");
	l.open = !l.listening;
	l.kernel = strcmp(r->transport, "shm") != 0;
	l.rated = rate && !l.kernel;
	if (l.rated)
		l.rate = *rate;
	return l;
}

static int by_pid(const void *a, const void *b)
{
	const struct top_line *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/** merge_processes() - Lines of sockets become lines of processes. Return: How many. */
static size_t merge_processes(struct top_line *lines, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(lines, n, sizeof(*lines), by_pid);
	for (size_t i = 0; i < n; i++) {
		struct top_line l = lines[i];
		struct top_line *p = kept ? &lines[kept - 1] : NULL;

		if (l.listening)
			l.recv_q = l.send_q = 0;
		if (p && p->pid == l.pid) {
			p->open += l.open;
			p->listening += l.listening;
			p->kernel += l.kernel;
			p->recv_q += l.recv_q;
			p->send_q += l.send_q;
			p->rated |= l.rated;
			p->rate.tx += l.rate.tx;
			p->rate.rx += l.rate.rx;
			p->rate.wakes += l.rate.wakes;
			p->rate.sleeps += l.rate.sleeps;
			p->rate.spins += l.rate.spins;
			p->rate.drops += l.rate.drops;
			continue;
		}
		l.netid = l.state = l.transport = l.reason = NULL;
		l.local[0] = l.peer[0] = 0;
		lines[kept++] = l;
	}
	return kept;
}

long top_lines(const struct sample *before, const struct sample *now, enum top_view view,
	       struct top_line **ret)
{
	struct ss_row *old = NULL;
	size_t n_old = before ? before->count : 0, n = now->count;
	struct top_line *lines;
	double seconds = 0;

	*ret = NULL;
	if (!n)
		return 0;
	lines = calloc(n, sizeof(*lines));
	if (n_old)
		old = malloc(n_old * sizeof(*old));
	if (!lines || (n_old && !old)) {
		free(lines);
		free(old);
		return -1;
	}
	if (n_old) {
		memcpy(old, before->rows, n_old * sizeof(*old));
		qsort(old, n_old, sizeof(*old), row_order);
	}
	if (before && now->at_ns > before->at_ns)
		seconds = (double)(now->at_ns - before->at_ns) / 1e9;
	for (size_t i = 0; i < n; i++) {
		const struct ss_row *r = &now->rows[i], *was = NULL;
		struct top_rates rate = { 0 };

		if (n_old)
			was = bsearch(r, old, n_old, sizeof(*old), row_order);
		if (seconds > 0)
			rate = row_rates(r, was, seconds);
		lines[i] = socket_line(r, seconds > 0 ? &rate : NULL);
	}
	free(old);
	if (view == TOP_PROCESSES)
		n = merge_processes(lines, n);
	*ret = lines;
	return (long)n;
}

/* --------------------------------------------------------------- columns */

enum { P = 1 << TOP_PROCESSES, S = 1 << TOP_SOCKETS };

/** struct column - @views: Bits, which views have it. */
static const struct column {
	const char *title, *name;
	unsigned views;
	bool number;
} columns[TOP_COLUMNS] = {
	[TOP_PID] = { "PID", "pid", P | S, true },
	[TOP_PROCESS] = { "Process", "process", P | S, false },
	[TOP_OPEN] = { "Open", "open", P, true },
	[TOP_LISTENING] = { "Listen", "listening", P, true },
	[TOP_KERNEL] = { "Kernel", "kernel", P, true },
	[TOP_NETID] = { "Netid", "netid", S, false },
	[TOP_STATE] = { "State", "state", S, false },
	[TOP_TX] = { "Tx B/s", "tx_bytes_per_s", P | S, true },
	[TOP_RX] = { "Rx B/s", "rx_bytes_per_s", P | S, true },
	[TOP_TRANSPORT] = { "Transport", "transport", S, false },
	[TOP_LOCAL] = { "Local Address", "local", S, false },
	[TOP_PEER] = { "Peer Address", "peer", S, false },
	[TOP_RECVQ] = { "Recv-Q", "recv_q", P | S, true },
	[TOP_SENDQ] = { "Send-Q", "send_q", P | S, true },
	[TOP_WAKES] = { "Wakes/s", "wakes_per_s", P | S, true },
	[TOP_SLEEPS] = { "Sleeps/s", "sleeps_per_s", P | S, true },
	[TOP_SPINS] = { "Spins/s", "spins_per_s", P | S, true },
	[TOP_DROPS] = { "Drops/s", "drops_per_s", P | S, true },
};

bool top_has(enum top_view view, enum top_column c)
{
	return columns[c].views & 1u << view;
}

const char *top_title(enum top_column c)
{
	return columns[c].title;
}

const char *top_name(enum top_column c)
{
	return columns[c].name;
}

bool top_is_number(enum top_column c)
{
	return columns[c].number;
}

void top_short(double n, char *ret, size_t size)
{
	static const char units[] = " kMGTPE";
	size_t u = 0;

	while (n >= 999.5 && u + 2 < sizeof(units)) {
		n /= 1000;
		u++;
	}
	if (u == 0)
		snprintf(ret, size, "%.0f", n);
	else
		snprintf(ret, size, n < 99.95 ? "%.1f%c" : "%.0f%c", n, units[u]);
}

static double value(const struct top_line *l, enum top_column c)
{
	switch (c) {
	case TOP_PID:
		return l->pid;
	case TOP_OPEN:
		return l->open;
	case TOP_LISTENING:
		return l->listening;
	case TOP_KERNEL:
		return l->kernel;
	case TOP_TX:
		return l->rate.tx;
	case TOP_RX:
		return l->rate.rx;
	case TOP_RECVQ:
		return (double)l->recv_q;
	case TOP_SENDQ:
		return (double)l->send_q;
	case TOP_WAKES:
		return l->rate.wakes;
	case TOP_SLEEPS:
		return l->rate.sleeps;
	case TOP_SPINS:
		return l->rate.spins;
	case TOP_DROPS:
		return l->rate.drops;
	default:
		return 0;
	}
}

static bool is_rate(enum top_column c)
{
	return c == TOP_TX || c == TOP_RX || c == TOP_WAKES || c == TOP_SLEEPS || c == TOP_SPINS ||
	       c == TOP_DROPS;
}

void top_cell(const struct top_line *l, enum top_column c, char *ret, size_t size)
{
	const char *text = NULL;

	switch (c) {
	case TOP_PROCESS:
		text = l->process;
		break;
	case TOP_NETID:
		text = l->netid;
		break;
	case TOP_STATE:
		text = l->state;
		break;
	case TOP_LOCAL:
		text = l->local;
		break;
	case TOP_PEER:
		text = l->peer;
		break;
	case TOP_TRANSPORT:
		if (!l->reason)
			text = l->transport;
		else
			snprintf(ret, size, "%s:%s", l->transport, l->reason);
		break;
	default:
		if (is_rate(c) && !l->rated)
			text = "-";
		else if (c == TOP_PID)
			snprintf(ret, size, "%u", l->pid);
		else
			top_short(value(l, c), ret, size);
		break;
	}
	if (text || c == TOP_NETID || c == TOP_STATE)
		snprintf(ret, size, "%s", text && *text ? text : "-");
}

enum { CELL_MAX = 128 };

/* -------------------------------------------------------- sort and filter */

static int order_text(const struct top_line *a, const struct top_line *b, enum top_column c)
{
	char x[CELL_MAX], y[CELL_MAX];

	top_cell(a, c, x, sizeof(x));
	top_cell(b, c, y, sizeof(y));
	return strcmp(x, y);
}

/** struct order - What qsort_r() sorts by. */
struct order {
	enum top_column by;
	bool descending;
};

static int order_lines(const void *a, const void *b, void *arg)
{
	const struct top_line *x = a, *y = b;
	const struct order *o = arg;
	int d;

	if (columns[o->by].number)
		d = (value(x, o->by) > value(y, o->by)) - (value(x, o->by) < value(y, o->by));
	else
		d = order_text(x, y, o->by);
	if (d)
		return o->descending ? -d : d;
	/* Lines that do not differ must not dance. */
	d = by_pid(x, y);
	d = d ? d : strcmp(x->local, y->local);
	return d ? d : strcmp(x->peer, y->peer);
}

void top_sort(struct top_line *lines, size_t n, enum top_column by, bool descending)
{
	struct order o = { by, descending };

	if (n)
		qsort_r(lines, n, sizeof(*lines), order_lines, &o);
}

size_t top_filter(struct top_line *lines, size_t n, enum top_view view, const char *word)
{
	size_t kept = 0;
	char cell[CELL_MAX];

	if (!*word)
		return n;
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (unsigned c = 0; c < TOP_COLUMNS && !found; c++) {
			if (!top_has(view, c) || (columns[c].number && c != TOP_PID))
				continue;
			top_cell(&lines[i], c, cell, sizeof(cell));
			found = strcasestr(cell, word) != NULL;
		}
		if (found)
			lines[kept++] = lines[i];
	}
	return kept;
}
