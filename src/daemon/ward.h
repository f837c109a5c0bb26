/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ward.h - Further holders of far ends, for when the keeper's descriptors are
 * used up.
 */
#ifndef MORTISE_DAEMON_WARD_H
#define MORTISE_DAEMON_WARD_H

#include "daemon/link.h"
#include "daemon/pairs.h"

/**
 * struct ward - One of them, as the keeper sees it.
 * @link: To it.
 */
struct ward {
	pid_t pid;
	int link;
};

/**
 * struct wards - All holders of far ends; the keeper's.
 * @own:      The keeper's own far ends: holder 0.
 * @of:       By holder number; 0 is not used.
 * @reaped:   By holder number: entries of its ring whose numbers are free again.
 * @retry_ns: No ward is forked before.
 * @lost:     One of them died.
 */
struct wards {
	struct pairs own;
	struct ward of[HOLDER_MAX];
	uint32_t reaped[HOLDER_MAX];
	int to_daemon;
	uint64_t retry_ns;
	bool lost;
};

/**
 * wards_init() - Begin with the keeper alone.
 * @to_daemon: Borrowed. An eventfd that wards write to when something hung up.
 */
void wards_init(struct wards *w, struct table *t, int epfd, int to_daemon);

/**
 * wards_make() - Have handle pairs made, by whoever has room.
 * @m:    LINK_MAKE. Becomes the reply: @error, @count and @ids.
 * @near: Room for CTL_HANDLE_BATCH.
 * Waits for a ward; a ward never waits for us.
 */
void wards_make(struct wards *w, struct link_msg *m, int *near);

/** wards_hear() - Whoever has the far end of handle @count of @party: if it has
 * hung up, that is in the ring of its holder now. Waits for a ward, likewise. */
void wards_hear(struct wards *w, struct link_msg *m);

/** wards_reap() - Numbers that the daemon is done with are free again. */
void wards_reap(struct wards *w);

/** wards_hung_up() - The link to ward @number has ended: it is dead. */
void wards_hung_up(struct wards *w, unsigned number);

/** wards_forget() - In a forked daemon: close its copies of what is ours. */
void wards_forget(struct wards *w);

/** DATA_WARD - Epoll data of the link to ward @number. */
#define DATA_WARD (~0ull - 0xff)

#endif
