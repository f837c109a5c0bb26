/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interfaces.h - The interfaces of a domain with a network of its own (policy net), as its programs
 * see them: loopback, and the device with the domain's addresses. The kernel's have the same names
 * and numbers, and are another host's.
 */
#ifndef MORTISE_POSIX_INTERFACES_H
#define MORTISE_POSIX_INTERFACES_H

#include <net/if.h>

#include "ctl/proto.h"

#define INTERFACE_ADDRESSES 9u /* loopback's, and 8 */

/**
 * struct interface - One address of one of them.
 * @addr:   In host order. @prefix: Bits of its network.
 * @number: As if_nametoindex() has it; 0: the kernel has none of that name.
 * @mac:    All 0: loopback.
 */
struct interface {
	uint32_t addr, mtu, number;
	uint8_t prefix, mac[6];
	bool loopback;
	char name[IF_NAMESIZE];
};

/** interfaces_get() - All addresses, those of one interface together, loopback first.
 * Return: how many; NOT_OURS: they are the kernel's; or -errno. */
long interfaces_get(struct interface ret[INTERFACE_ADDRESSES]);

/** interface_flags() - IFF_UP and the like. */
unsigned interface_flags(const struct interface *i);

/** interface_mask(), interface_broadcast() - In host order; the latter 0: there is none. */
uint32_t interface_mask(const struct interface *i);
uint32_t interface_broadcast(const struct interface *i);

/** interfaces_ioctl() - SIOCGIFCONF, SIOCGIFADDR and others that ask for one interface's.
 * Return: 0, -errno, or NOT_OURS. */
long interfaces_ioctl(unsigned long request, void *arg);

#endif
