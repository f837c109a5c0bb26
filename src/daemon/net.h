/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.h - What the domain's network is to be, from words; and its device.
 */
#ifndef MORTISE_DAEMON_NET_H
#define MORTISE_DAEMON_NET_H

#include "daemon/table.h"

/**
 * struct net_options - As on the command line; NULL where it was not said.
 */
struct net_options {
	const char *tap, *gateway, *mtu, *pcap, *offload, *loopback;
	const char *address[NET_ADDRESSES];
	uint32_t addresses;
};

/**
 * net_parse() - Check them.
 * @ret_why: One that is wrong and what would be right, for a person.
 * Return: 0, or -EINVAL.
 */
int net_parse(const struct net_options *o, struct net_config *ret, char *ret_why, size_t size);

/**
 * net_open() - Open the device; the MTU is its own where none was said.
 * Return: its descriptor, or -errno with *@ret_why filled in.
 */
int net_open(struct net_config *n, char *ret_why, size_t size);

/** net_capture() - Make the file that frames are written to. Return: as net_open(). */
int net_capture(const char *path, char *ret_why, size_t size);

/** net_drop_privileges() - Whatever opened the device is not needed any more. Return: 0 or -errno.
 */
int net_drop_privileges(void);

#endif
