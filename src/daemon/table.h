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

#define CLIENT_HANDLES HANDLE_MAX /* handles of one client */
#define CLIENT_LISTENERS 1024u /* listeners of one client */
#define CLIENT_LEASES 232u     /* port blocks of one client: some are left for others */
#define ESTATE_MAX 1024u       /* dead parties whose memory is kept */
#define ESTATE_BYTES (1ull << 30) /* what they may hold together */
#define BOUND_MAX 16384u       /* bound ports, policy none */
#define SHARE_MAX 4096u         /* halves that several processes hold, with descriptors kept */
#define HOLDER_MAX 16u         /* processes that hold far ends: the keeper, and its wards */
#define HOLDER_FDS 32768u      /* descriptors of one of them, at most */
#define HUNG_RING 65536u       /* more than one of them can hold: cannot overflow */

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

/** Of a handle. Its holder takes FREE->LIVE->HUNG, the daemon HUNG->DONE, the
 * keeper DONE->FREE. */
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

/** struct share - A half for which descriptors are kept (shares.h), under the
 * row's number. @half 0: unused; written last. */
struct share {
	uint32_t party_gen;
	_Atomic uint64_t half;
};

/**
 * struct holder - A process that holds far ends and hears them hang up. Number
 * 0 is the keeper, the others are its wards (ward.h).
 * @max:  Far ends that it may hold.
 * @held: Handles of its that are not FREE. Holder and keeper, who wait for
 *        each other.
 * @tail: The holder's: entries of @hung written.
 * @head: The daemon's: entries dealt with.
 * @hung: party << 16 | handle, in the order of hanging up: [head, tail).
 */
struct holder {
	uint32_t max;
	_Atomic uint32_t held;
	_Atomic uint32_t tail;
	_Atomic uint32_t head;
	uint32_t hung[HUNG_RING];
};
_Static_assert(PARTY_MAX <= 65536 && CLIENT_HANDLES <= 65536, "an entry is one word");
_Static_assert(HOLDER_FDS < HUNG_RING, "room for all that one holds");

#define NET_ADDRESSES 8u

/**
 * struct net_config - The domain's own network.
 * @tap:      The interface; "": there is none.
 * @address:  Its own, host order; @prefix: bits of its network.
 * @gateway:  0: none.
 * @packets:  Even what is between the domain's programs goes through the engine.
 * @offload:  Checksums and the cutting of large segments are left to the interface, and by it to
 *            us: wanted, and once it is open, had.
 */
struct net_config {
	char tap[16];
	uint32_t mtu, addresses, gateway;
	struct {
		uint32_t addr;
		uint8_t prefix;
	} address[NET_ADDRESSES];
	uint8_t mac[6];
	bool offload, packets;
};

struct table {
	/* Written by the keeper, before it forks. */
	char domain[64];
	struct net_config net;
	uint32_t policy;
	uint32_t test_services;
	uint32_t activated; /* a service manager has the listening socket, too */
	uint64_t linger_ns;
	uint64_t started_ns;
	uint64_t netns;
	uint32_t keeper_pid;
	uint32_t kept_max; /* descriptors that the keeper may store */
	uint32_t ward_max; /* far ends that a ward may hold */
	/* Written by the keeper while it runs. */
	_Atomic uint32_t kept_count;
	_Atomic uint32_t handle_count; /* of all holders */
	_Atomic uint32_t holder_count;
	_Atomic uint32_t term; /* SIGTERM came: an orderly end */
	/* Written by the daemon. */
	_Atomic uint32_t hung_done; /* entries dealt with, of all holders */
	uint32_t daemon_pid;
	uint32_t daemon_starts;
	uint32_t rec_high; /* no record at or beyond was ever used */
	uint32_t at_holder; /* whose entries are dealt with */
	uint32_t at_work;   /* hung entry + 1 under execution */
	uint32_t strikes;  /* daemons that died of it */
	uint64_t messages;
	uint64_t opened, bytes, fallbacks[32]; /* of estates already dropped */
	struct rec recs[PARTY_MAX];
	uint16_t leases[LEASE_BLOCKS]; /* party, 0: free */
	uint32_t lease_next; /* the block that is tried first */
	struct bound bound[BOUND_MAX];
	uint32_t share_high; /* no row of shares[] beyond was ever used */
	struct share shares[SHARE_MAX];
	struct holder holders[HOLDER_MAX];
	_Atomic uint32_t handle_high[PARTY_MAX]; /* numbers below it were used */
	_Atomic uint8_t handles[PARTY_MAX][CLIENT_HANDLES];
	/* SO_COOKIE of the near end; the holder writes it before the handle is LIVE. */
	_Atomic uint64_t cookies[PARTY_MAX][CLIENT_HANDLES];
	/* Whose memory a live client may have mapped: bit [client][party]. */
	uint64_t knows[PARTY_MAX][PARTY_MAX / 64];
};

/** table_create() - A zeroed one, or NULL with errno set. */
struct table *table_create(void);

#endif
