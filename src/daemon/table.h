/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - What keeper and daemon both see, and what outlives a daemon.
 *
 * Anonymous shared memory, made by the keeper before it forks the first
 * daemon. No client ever maps it. Each step that the daemon takes is either
 * one word here, or is taken again by the next daemon.
 */
#ifndef MORTISE_DAEMON_TABLE_H
#define MORTISE_DAEMON_TABLE_H

#include "shm/abi.h"

#define CLIENT_HANDLES 8192u   /* handles of one client */
#define CLIENT_LISTENERS 1024u /* listeners of one client */
#define CLIENT_LEASES 32u      /* port blocks of one client */
#define ESTATE_MAX 1024u       /* dead parties whose memory is kept */
#define ESTATE_BYTES (1ull << 30) /* what they may hold together */
#define BOUND_MAX 16384u       /* bound ports, policy none */
#define BLOCKED_MAX 1024u
#define HUNG_RING 65536u       /* more than handles can exist: cannot overflow */

#define LEASE_PORTS 64u
#define LEASE_HIGH_FIRST 61000u
#define LEASE_HIGH_BLOCKS 70u /* 61000..65479 */
#define LEASE_LOW_FIRST 20000u
#define LEASE_LOW_BLOCKS 199u /* 20000..32735 */
#define LEASE_BLOCKS (LEASE_HIGH_BLOCKS + LEASE_LOW_BLOCKS)

/** Of a record; its index is the party number. */
enum rec_state {
	REC_FREE = 0,
	REC_CONN = 1,  /* a control connection without hello */
	REC_ALIVE = 2,
	REC_DEAD = 3,  /* an estate, or still held by forked children */
};

/** Of a handle. The keeper takes FREE->LIVE->HUNG and DONE->FREE, the daemon
 * HUNG->DONE. */
enum handle_state { HANDLE_FREE = 0, HANDLE_LIVE, HANDLE_HUNG, HANDLE_DONE };

/** What the keeper holds for a record. */
enum kept { KEPT_CTL = 0, KEPT_PIDFD, KEPT_ARENA, KEPT_MBOX, KEPT_BELL0, KEPT_COUNT = 20 };
_Static_assert(KEPT_BELL0 + BELL_MAX == KEPT_COUNT, "a place for each bell");

/**
 * struct rec - A client, or what it left behind. The daemon writes it.
 * @gen:      Of the party; moves when the record is taken.
 * @executed: REC_DEAD: every half was brought to its end.
 * @service:  The daemon's own test service: no control connection.
 */
struct rec {
	_Atomic uint32_t state;
	uint32_t gen;
	uint32_t pid;
	uint32_t uid;
	uint32_t executed;
	uint32_t service;
	uint64_t died_ns;
	char comm[16];
};

/** struct bound - A port of policy none. @party 0: unused; written last. */
struct bound {
	addr_word at;
	uint32_t gen, slot, half_gen, reuse;
	_Atomic uint32_t party;
};

/** struct blocked - A listener whose address is the kernel's alone. @half 0:
 * unused; written last. */
struct blocked {
	addr_word at;
	uint32_t party_gen;
	_Atomic uint64_t half;
};

struct table {
	/* Written by the keeper, before it forks. */
	char domain[64];
	uint32_t policy;
	uint32_t test_services;
	uint64_t linger_ns;
	uint64_t started_ns;
	uint64_t netns;
	uint32_t keeper_pid;
	uint32_t kept_max;    /* descriptors that the keeper may store */
	uint32_t handles_max; /* far ends that it may hold */
	/* Written by the keeper while it runs. */
	_Atomic uint32_t kept_count;
	_Atomic uint32_t handle_count;
	_Atomic uint32_t term; /* SIGTERM came: an orderly end */
	_Atomic uint32_t hung_tail;
	/* Written by the daemon. */
	_Atomic uint32_t hung_head;
	uint32_t daemon_pid;
	uint32_t daemon_starts;
	uint32_t rec_high; /* no record at or beyond was ever used */
	uint32_t at_work;  /* hung entry + 1 under execution */
	uint32_t strikes;  /* daemons that died of it */
	uint64_t messages;
	uint64_t opened, bytes, fallbacks[32]; /* of estates already dropped */
	struct rec recs[PARTY_MAX];
	uint16_t leases[LEASE_BLOCKS]; /* party, 0: free */
	struct bound bound[BOUND_MAX];
	struct blocked blocked[BLOCKED_MAX];
	/* party << 16 | handle, in the order of hanging up: [head, tail). */
	uint32_t hung[HUNG_RING];
	_Atomic uint8_t handles[PARTY_MAX][CLIENT_HANDLES];
	/* Whose memory a live client may have mapped: bit [client][party]. */
	uint64_t knows[PARTY_MAX][PARTY_MAX / 64];
};

/** table_create() - A zeroed one, or NULL with errno set. */
struct table *table_create(void);

#endif
