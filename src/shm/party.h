/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * party.h - This process as a party: its arena, its mailbox, and the parties
 * that it knows.
 *
 * A party allocates slots, ring memory and seats out of its own arena; the
 * allocators are private memory of the owner. A forked child keeps a copy of
 * its parent's struct party (@inherited set) for the connections that were
 * open before the fork: it can send, receive and close on those, but
 * allocates nothing there. For its own sockets it makes a party of its own.
 */
#ifndef MORTISE_SHM_PARTY_H
#define MORTISE_SHM_PARTY_H

#include "base/lock.h"
#include "shm/abi.h"
#include "shm/arena.h"
#include "shm/registry.h"

struct party;

/**
 * struct peer - A party whose memory is mapped here.
 * @base:    Its arena; read-only, but for ourselves and in the daemon.
 * @mbox:    Its mailbox, writable.
 * @bell_fd: Its bells' eventfds, -1 where not fetched yet.
 * @refs:    Connections here that refer to it. Under party->lock.
 */
struct peer {
	uint16_t id;
	uint32_t gen;
	uint32_t pid;
	void *base;
	struct mailbox *mbox;
	_Atomic int bell_fd[BELL_MAX];
	_Atomic uint32_t refs;
	bool self;
};

/**
 * struct party_ops - What only the process around it can do.
 * @introduce:  Fill in @id, @gen's base, mbox, pid, and bells that came along
 *              (others -1). Return: 0, -ESRCH where that party is gone, or
 *              another -errno.
 * @fetch_bell: Return the eventfd of @bell, or -errno.
 * @close_fd:   Close a bell of a peer's. NULL: close() will do.
 * @let_go:     The peer was unmapped: tell the daemon. NULL in the daemon
 *              itself: it keeps dead parties' estates mapped, and nothing is swept.
 * @own:        The party that this process has become itself, for what an
 *              inherited one cannot do; NULL where there is none to be had.
 * @ring_shared: Ring the eventfd that a listener has which several processes
 *              hold. May be NULL.
 * @recycled:   The slot of @h is about to be FREE. Under party->lock. May be NULL.
 */
struct party_ops {
	int (*introduce)(void *arg, unsigned id, uint32_t gen, struct peer *ret);
	int (*fetch_bell)(void *arg, const struct peer *p, unsigned bell);
	void (*let_go)(void *arg, unsigned id, uint32_t gen);
	void (*close_fd)(void *arg, int fd);
	struct party *(*own)(void *arg);
	void (*ring_shared)(void *arg, half_ref listener, uint32_t party_gen);
	void (*recycled)(void *arg, const struct half *h);
};

/**
 * struct party - One's own side of shared memory.
 * @lock: Guards the allocators and @peers. Never held while sleeping or
 *        asking the daemon.
 * @meet_lock: One thread at a time asks who a party is, or lets go of some, so that the
 *        daemon hears of both in the order in which they are true. Before @lock.
 */
struct party {
	uint16_t id;
	uint32_t gen;
	uint32_t pid;
	bool inherited;
	void *base;              /* our arena, writable */
	struct mailbox *mbox;
	const struct registry *reg;
	const struct party_ops *ops;
	void *ops_arg;
	struct lock lock, meet_lock;
	struct peer self;
	struct peer *peers[PARTY_MAX];
	struct peer *peers_free; /* recycled structs, linked through base */
	/* Slots: a stack of free ones, and a queue of those whose peer has
	 * not let go yet. */
	uint16_t free_slots[SLOT_MAX];
	unsigned free_slot_count;
	uint16_t zombies[SLOT_MAX];
	unsigned zombie_head, zombie_count;
	unsigned slots_made;
	/* Parties that a slot's half has a reference on, + 1: that of the peer it
	 * connected to, and of the one that the peer moved to. */
	uint16_t slot_peers[SLOT_MAX][2];
	/* Named by a half that waits for its slot to be reused, and unknown here. */
	unsigned ask_id;
	uint32_t ask_gen;
	/* Ring memory: pages in powers of two from RING_LOG2_MIN on. */
	uint64_t ring_next; /* first byte never given out */
	struct ring_block *ring_free[RING_LOG2_MAX - RING_LOG2_MIN + 1];
	struct ring_block *ring_nodes; /* spare nodes */
	uint64_t ring_used_bytes;
	/* Seats: bitmap over SEAT_MAX / 64 index ranges of 64. */
	uint64_t seat_used[SEAT_MAX / 64 / 64];
	_Atomic uint64_t cookie_next;
	/* Somebody wrote nonsense into our mailbox; until then (CLOCK_MONOTONIC)
	 * we look by ourselves instead of relying on it. */
	_Atomic uint64_t distrust_ns;
};

/** party_distrust() - There was nonsense in the mailbox just now. */
void party_distrust(struct party *p);
/** party_distrusts() - Was there lately? */
bool party_distrusts(struct party *p);

/**
 * party_create() - Make arena and mailbox for this process.
 * @ret_arena_fd: Writable; for the daemon, then closed by the caller.
 * @ret_mbox_fd:  Likewise.
 *
 * Return: The party, or NULL with errno set. Its id is 0 until
 *         party_admit(). Freed by party_destroy() only.
 */
struct party *party_create(const char *comm, int *ret_arena_fd, int *ret_mbox_fd);

/** party_admit() - The daemon said who we are. */
void party_admit(struct party *p, unsigned id, uint32_t gen, const struct registry *reg,
		 const struct party_ops *ops, void *ops_arg);
void party_destroy(struct party *p);

/**
 * party_slot_alloc() - Take a free slot; first those whose peers let go.
 * The half is FREE, its generation is new, all else in it is zero but ext[].
 * Return: The slot or -ENOSPC.
 */
int party_slot_alloc(struct party *p);

/**
 * party_slot_retire() - The half is RELEASED (or will be made so by the
 * executor): reuse it once its peer has let go too.
 */
void party_slot_retire(struct party *p, unsigned slot);

/** party_slot_free() - Nobody else ever knew it: reuse it at once. */
void party_slot_free(struct party *p, unsigned slot);

/** party_row_give() - A listener's index row is free. Caller holds the lock. */
void party_row_give(struct party *p, unsigned base, unsigned entries);

/**
 * party_ring_alloc() - Ring memory of 2^log2 bytes.
 * Return: Its offset in the arena, or 0 where there is no more.
 */
uint64_t party_ring_alloc(struct party *p, unsigned log2);
void party_ring_free(struct party *p, uint64_t offset, unsigned log2);
/** party_ring_used() - Bytes of ring memory that are given out. */
uint64_t party_ring_used(const struct party *p);

/**
 * party_peer_get() - Know a party: mapped, with a reference taken.
 * Asks the daemon where it is not known yet.
 * Return: 0, -ESRCH where it is gone, or another -errno.
 */
int party_peer_get(struct party *p, unsigned id, uint32_t gen, struct peer **ret);
void party_peer_put(struct party *p, struct peer *peer);
/** party_peer_look() - The same, but it is not asked for: NULL where it is not known. */
struct peer *party_peer_look(struct party *p, unsigned id, uint32_t gen);

/** party_half_refers() - The half @own takes over a reference on @id's party. */
void party_half_refers(struct party *p, const struct half *own, unsigned id);

/**
 * party_half_moves() - Its peer moved to @ref; the caller has a reference on
 * that party, which @own takes over (not where @p is inherited).
 * @word: The view's name of the peer, set from @was to @ref. Caller holds the lock.
 * Return: False where another thread has done it.
 */
bool party_half_moves(struct party *p, const struct half *own, half_ref *word, half_ref was,
		      half_ref ref);

/**
 * party_peers_sweep() - Unmap the parties that died and that nothing here
 * refers to any more, and tell the daemon.
 */
void party_peers_sweep(struct party *p);

/** peer_bells_fetch() - Have all bells that the peer uses: soon the daemon
 * cannot be asked any more. */
void peer_bells_fetch(struct party *p, struct peer *peer);

/**
 * peer_ring_bell() - Hint at @slot of the peer, and wake who sleeps on its
 * bell @bell. Async-signal-safe but for the first use of a bell.
 */
void peer_ring_bell(struct party *p, struct peer *peer, unsigned slot, unsigned bell);

/** peer_bell_get() - Have the bell at hand: peer_ring_bell() asks nobody then.
 * Return: 0 or -errno. */
int peer_bell_get(struct party *p, struct peer *peer, unsigned bell);

#endif
