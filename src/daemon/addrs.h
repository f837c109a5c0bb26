/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addrs.h - Which addresses this host has: asked of the kernel by rtnetlink,
 * and kept in the registry (shm/addr.h).
 */
#ifndef MORTISE_DAEMON_ADDRS_H
#define MORTISE_DAEMON_ADDRS_H

#include "shm/abi.h"

/** struct addrs_one - An address of an interface that is up. */
struct addrs_one {
	uint8_t in6[16]; /* IPv4: v4-mapped */
	uint32_t scope;  /* of a link-local one its interface, else 0 */
};

/**
 * struct addrs - What a dump of the kernel's has said so far.
 * @up:     Numbers of interfaces whose addresses count: up, and in no VRF,
 *          whose addresses are no others' to reach.
 * @failed: Memory ran out: nothing of it is to be believed.
 * @torn:   It changed under the dump: once more.
 */
struct addrs {
	struct addrs_one *one;
	uint32_t *up;
	size_t count, room, up_count, up_room;
	bool failed, torn;
};

/**
 * addrs_take() - Add what a datagram of the kernel's says: links first, then addresses.
 * Return: 1 where the dump is complete, 0 where more follows, or -errno.
 */
int addrs_take(struct addrs *a, const void *bytes, size_t len);
void addrs_free(struct addrs *a);

/**
 * addrs_apply() - The registry says so from now on. Under policy none, ::1 is the host's
 * whatever the kernel says.
 * Return: false where there was no room for all.
 */
bool addrs_apply(const struct addrs *a, struct registry *r);

/** addrs_start() - Read them, and ask to be told of changes.
 * Return: A descriptor to be watched for reading, or -errno. */
int addrs_start(struct registry *r);

/** addrs_event() - Something changed. */
void addrs_event(int fd, struct registry *r);

#endif
