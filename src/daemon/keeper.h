/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.h - The process that holds what must not be lost.
 */
#ifndef MORTISE_DAEMON_KEEPER_H
#define MORTISE_DAEMON_KEEPER_H

#include "daemon/table.h"
#include "daemon/ward.h"
#include "shm/abi.h"

/**
 * struct keeper - The keeper's private memory. A daemon has a copy from its
 * fork: descriptor numbers in @kept are right there for what the keeper held
 * at that moment.
 * @dir:         The domain's directory.
 * @lock_fd:     Held locked as long as the keeper lives; the keeper's alone.
 * @listen_fd:   The control socket. The daemon accepts.
 * @registry_fd: Writable; @registry_ro is what clients get.
 * @tap_fd:      The device of the domain's network, or -1.
 * @pcap_fd:     Where its frames are written, or -1.
 * @started:     Is told once how the start went: 0, or -errno, after which the domain ends. NULL
 *               from then on.
 * @ready_fd, @said_fd: @started's: to whom it says so, and where the message goes; -1: none. The
 *               keeper's alone.
 * @epfd:        The keeper's alone.
 * @link:        To the daemon. In the daemon: to the keeper.
 * @to_daemon:   Eventfd: handles hung up, or the term flag.
 * @to_keeper:   Eventfd: hung handles were dealt with.
 * @kept:        Descriptor + 1 by party and enum kept; 0: none.
 * @shares:      Descriptor + 1 by row of table->shares: eventfd, shadow; 0: none.
 */
struct keeper {
	struct table *table;
	const char *dir;
	int lock_fd;
	int listen_fd;
	int registry_fd;
	int registry_ro;
	int tap_fd, pcap_fd;
	struct registry *registry;
	void (*started)(struct keeper *k, int error);
	int ready_fd, said_fd;
	int epfd;
	int link;
	int to_daemon;
	int to_keeper;
	int (*kept)[KEPT_COUNT];
	int shares[SHARE_MAX][2];
	struct wards wards;
};

/**
 * keeper_run() - Keep, until the domain ends.
 * @k:      All but @link, eventfds, @kept and @wards filled in.
 * @daemon: What a forked daemon does; it does not return.
 * Return: The exit status.
 */
int keeper_run(struct keeper *k, void (*daemon)(struct keeper *k));

/** keeper_fd() - In keeper and daemon: a kept descriptor, or -1. */
static inline int keeper_fd(const struct keeper *k, unsigned party, unsigned kind)
{
	return k->kept[party][kind] - 1;
}

#endif
