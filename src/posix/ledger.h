/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger.h - What several processes know of one epoll set: its entries.
 *
 * Memory that a fork's two sides map, at the same address; nobody else ever
 * does. A change is announced before it is made, under the ledger's lock, so
 * that who dies in the middle has the others look in vain, and nothing worse:
 * an entry has its settings twice and becomes another by one store.
 */
#ifndef MORTISE_POSIX_LEDGER_H
#define MORTISE_POSIX_LEDGER_H

#include "posix/watch.h"

#define LEDGER_ENTRIES 65536u
#define LEDGER_HOLDERS 256u
#define LEDGER_LOG 256u

/** struct ledger_setting - What epoll_ctl() said last. @fired: A one-shot that was told of. */
struct ledger_setting {
	uint64_t data;
	uint32_t care, flags;
	_Atomic uint32_t fired;
};

/**
 * struct ledger_entry - One entry, by {number, file}.
 * @use:       A serial number that no entry had before << 1 | which setting
 *             counts; 0: free. Published last.
 * @fd:        The number that it was added under.
 * @kind:      enum fobj_kind of the file.
 * @file:      half_ref of a socket, as it was when it was added; a set's ledger.id,
 *             or 0 where it has no ledger.
 * @party_gen: Generation of the half's party.
 * @next:      Free: index + 1 of the next free one.
 * @edge:      What was told of last; without the lock as well.
 * @kernel_id, @ring_id, @kernel_fd, @ring_fd: As in struct watch.
 */
struct ledger_entry {
	_Atomic uint64_t use;
	int32_t fd;
	uint32_t kind;
	uint64_t file;
	uint32_t party_gen;
	uint32_t next;
	struct ledger_setting set[2];
	struct edge edge;
	uint32_t kernel_id, ring_id;
	int32_t kernel_fd, ring_fd;
};

/**
 * struct ledger_holder - A process that sleeps in the set, or has.
 * @pid:    0: free.
 * @asleep: Its threads that sleep, or are about to.
 * @seen:   The version that it has applied.
 */
struct ledger_holder {
	_Atomic uint32_t pid, asleep, seen;
};

/**
 * struct ledger - @id is nobody else's in the family of processes.
 * @lock:    half_lock(): whose holder died can be taken.
 * @version: Counts announcements. Read without the lock as well.
 * @log:     Of the last ones, the entries' indices; version n's at n % LEDGER_LOG.
 * @high:    Entries at and beyond were never used.
 * @free:    Index + 1 of one that is free again, else 0.
 * @serial:  Last one given out; @ids: the last kernel_id.
 * @held:    Holders at and beyond were never used.
 * @kernel:  Descriptors of the kernel's that were added to the kernel's set since.
 * @changed_ns: CLOCK_MONOTONIC of the last change that sleepers were woken for.
 */
struct ledger {
	uint64_t id;
	_Atomic uint32_t lock, version;
	_Atomic uint32_t log[LEDGER_LOG];
	uint32_t high, free;
	uint64_t serial;
	uint32_t ids;
	_Atomic uint32_t kernel, held;
	_Atomic uint64_t changed_ns;
	struct ledger_holder holders[LEDGER_HOLDERS];
	struct ledger_entry entries[LEDGER_ENTRIES];
};

static inline struct ledger_setting *ledger_setting(struct ledger_entry *n)
{
	return &n->set[load_relaxed(&n->use) & 1];
}

/** ledger_make() - An empty one, or NULL where there is no memory. */
struct ledger *ledger_make(void);
/** ledger_unmap() - This process has no use for it any more. */
void ledger_unmap(struct ledger *l);

/**
 * struct ledger_self - One process's own.
 * @l:    The ledger.
 * @me:   Its number among the holders; LEDGER_HOLDERS: there was no room.
 * @door: An eventfd in the kernel's set, by which the others are woken.
 */
struct ledger_self {
	struct ledger *l;
	unsigned me;
	int door;
};

/* All of these: caller holds @l->lock. */

/** ledger_announce() - Entry @i is about to change: whoever has the lock next looks. */
void ledger_announce(struct ledger *l, uint32_t i);
/** ledger_put() - A new entry; who sleeps is woken for it. @what: All but use, next, edge.
 * Return: Its index, or -ENOSPC. */
int ledger_put(const struct ledger_self *self, const struct ledger_entry *what);
/** ledger_set() - Entry @i has another setting; likewise. What is there is an edge. */
void ledger_set(const struct ledger_self *self, uint32_t i, const struct ledger_setting *what);
/** ledger_fire() - The one shot of entry @i was told of. */
void ledger_fire(struct ledger *l, uint32_t i);
/** ledger_drop() - Entry @i is free. */
void ledger_drop(struct ledger *l, uint32_t i);

/* Without the lock. */

/** ledger_hold() - This process is one more holder.
 * Return: Its number; LEDGER_HOLDERS: there is no room. */
unsigned ledger_hold(struct ledger *l);
/** ledger_lags() - Is there another holder who sleeps and has not seen the last
 * version? Who is dead is none. */
bool ledger_lags(const struct ledger_self *self);

#endif
