/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ss_format.h - Rows of `mortise ss`: made of what the daemon says, chosen,
 * written as a table or as JSON.
 */
#ifndef MORTISE_CLI_SS_FORMAT_H
#define MORTISE_CLI_SS_FORMAT_H

#include <stdio.h>

#include "ctl/proto.h"

enum { SS_USERS_MAX = 16 };

/** struct ss_user - Somebody who holds a socket; @inode: by which it was found. */
struct ss_user {
	uint64_t inode;
	uint32_t pid;
	int fd;
	char process[17];
};

/**
 * struct ss_row - A socket, in words.
 * @reason: NULL in shared memory.
 * @local, @peer: Addresses in text.
 * @fd:     -1 where unknown.
 * @party, @handle: In shared memory: its handle's name, handle + 1; 0: none.
 * @inode:  Of a kernel socket, 0 where unknown.
 * @users:  All who hold it; none where only @pid is known.
 * @pid:    0 where nobody holds it any more, or not yet.
 */
struct ss_row {
	const char *netid;
	const char *state;
	const char *transport;
	const char *reason;
	char local[46], peer[46];
	uint16_t local_port, peer_port;
	uint64_t recv_q, send_q;
	uint32_t pid, uid;
	int fd;
	char process[17];
	uint64_t tx_bytes, rx_bytes, wakes, sleeps, spins;
	uint64_t inode;
	uint32_t party, handle;
	unsigned user_count;
	struct ss_user users[SS_USERS_MAX];
};

/**
 * ss_row_make() - A row of a CTL_LIST reply.
 * Return: False where it is nothing to show. What the kernel alone knows of a
 *         kernel socket is filled in by kernel_fill().
 */
bool ss_row_make(const struct ctl_msg *m, struct ss_row *ret);

/** struct ss_show - What of it is wanted, from the command line. */
struct ss_show {
	bool tcp, listening, all, numeric, processes, no_header, json;
};

/** ss_wanted() - As ss: connected ones, -l listening ones, -a all. */
bool ss_wanted(const struct ss_row *r, const struct ss_show *show);

void ss_table(FILE *out, const struct ss_row *rows, size_t n, const struct ss_show *show);
void ss_json(FILE *out, const char *domain, const struct ss_row *rows, size_t n);

#endif
