/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_table.h - The lines of `mortise top`: one a process or one a socket, with
 * what happened between two samples, sorted and filtered.
 */
#ifndef MORTISE_CLI_TOP_TABLE_H
#define MORTISE_CLI_TOP_TABLE_H

#include "cli/sample.h"

enum top_view { TOP_PROCESSES, TOP_SOCKETS, TOP_VIEWS };

enum top_column {
	TOP_PID,
	TOP_PROCESS,
	TOP_OPEN,
	TOP_LISTENING,
	TOP_KERNEL,
	TOP_NETID,
	TOP_STATE,
	TOP_TX,
	TOP_RX,
	TOP_TRANSPORT,
	TOP_LOCAL,
	TOP_PEER,
	TOP_RECVQ,
	TOP_SENDQ,
	TOP_WAKES,
	TOP_SLEEPS,
	TOP_SPINS,
	TOP_DROPS,
	TOP_COLUMNS,
};

/** struct top_rates - Of what goes through memory, each a second. @drops: Datagrams. */
struct top_rates {
	double tx, rx, wakes, sleeps, spins, drops;
};

/**
 * struct top_line - A process, or a socket.
 * @pid:       0 where nobody holds the socket.
 * @open:      Sockets of the process that do not listen; @listening: the others.
 *             @kernel: how many of both are the kernel's.
 * @netid, @state, @transport, @reason, @local, @peer: Of a socket; else NULL, "".
 * @recv_q, @send_q: Bytes, summed over a process's sockets; of a listener
 *             connections, which are not summed.
 * @rated:     There was a sample before, and somebody counts: nobody does for
 *             the kernel's sockets.
 */
struct top_line {
	uint32_t pid;
	char process[17];
	unsigned open, listening, kernel;
	const char *netid, *state, *transport, *reason;
	char local[SS_ADDRESS_MAX + 10], peer[SS_ADDRESS_MAX + 10]; /* port and brackets */
	uint64_t recv_q, send_q;
	bool rated;
	struct top_rates rate;
};

/**
 * top_lines() - What @now has, with the rates since @before.
 * @before: NULL where it is the first.
 * @ret:    The caller frees it; NULL where there are none.
 * Return: How many, or -1 without memory.
 */
long top_lines(const struct sample *before, const struct sample *now, enum top_view view,
	       struct top_line **ret);

/** top_sort() - By a column; equal ones by process number, then addresses. */
void top_sort(struct top_line *lines, size_t n, enum top_column by, bool descending);

/**
 * top_filter() - Keep the lines of which a cell of the view contains @word,
 * whatever the case. Return: How many were kept.
 */
size_t top_filter(struct top_line *lines, size_t n, enum top_view view, const char *word);

/** top_has() - Has the view that column? */
bool top_has(enum top_view view, enum top_column c);

/** top_title() - A column's title; its name in JSON and for --sort is top_name(). */
const char *top_title(enum top_column c);
const char *top_name(enum top_column c);

/** top_is_number() - Right-aligned, and sorted from the greatest down at first. */
bool top_is_number(enum top_column c);

/** top_cell() - The text of a cell, without bytes that move a cursor. */
void top_cell(const struct top_line *l, enum top_column c, char *ret, size_t size);

/** top_short() - "999", "1.2k", "34.5M": powers of 1000, six letters at most. */
void top_short(double n, char *ret, size_t size);

/** top_summary() - @line 0..TOP_SUMMARY-1 of what stands above the table. */
enum { TOP_SUMMARY = 3 };
void top_summary(const struct sample *before, const struct sample *now, int line, char *ret,
		 size_t size);

/** top_text(), top_json() - One sample, written whole. JSON is one line. */
void top_text(FILE *out, const struct sample *before, const struct sample *now,
	      const struct top_line *lines, size_t n, enum top_view view);
void top_json(FILE *out, const struct sample *before, const struct sample *now,
	      const struct top_line *processes, size_t n_processes,
	      const struct top_line *sockets, size_t n_sockets);

#endif
