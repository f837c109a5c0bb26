/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "posix/interfaces.h"
#include "preload/real.h"

/** struct entry - Of the list; the first is what freeifaddrs() gives to free(). */
struct entry {
	struct ifaddrs at;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_ll ll;
	} addr, mask, broadcast;
	struct rtnl_link_stats stats;
	char name[IF_NAMESIZE];
};

static void fill(struct entry *e, const struct interface *i)
{
	memcpy(e->name, i->name, sizeof(e->name));
	e->at.ifa_name = e->name;
	e->at.ifa_flags = interface_flags(i);
	e->at.ifa_addr = &e->addr.any;
}

static void fill_link(struct entry *e, const struct interface *i)
{
	fill(e, i);
	e->addr.ll = (struct sockaddr_ll){ .sll_family = AF_PACKET,
					   .sll_ifindex = (int)i->number,
					   .sll_hatype = i->loopback ? ARPHRD_LOOPBACK
								     : ARPHRD_ETHER,
					   .sll_halen = sizeof(i->mac) };
	memcpy(e->addr.ll.sll_addr, i->mac, sizeof(i->mac));
	e->broadcast = e->addr;
	memset(e->broadcast.ll.sll_addr, i->loopback ? 0 : 0xff, sizeof(i->mac));
	e->at.ifa_broadaddr = &e->broadcast.any;
	e->at.ifa_data = &e->stats;
}

static void fill_addr(struct entry *e, const struct interface *i)
{
	uint32_t broadcast = interface_broadcast(i);

	fill(e, i);
	e->addr.in.sin_family = e->mask.in.sin_family = e->broadcast.in.sin_family = AF_INET;
	e->addr.in.sin_addr.s_addr = htonl(i->addr);
	e->mask.in.sin_addr.s_addr = htonl(interface_mask(i));
	e->at.ifa_netmask = &e->mask.any;
	/* Linux has the address itself there, where there is no broadcast. */
	e->broadcast.in.sin_addr.s_addr = htonl(broadcast ? broadcast : i->addr);
	e->at.ifa_broadaddr = &e->broadcast.any;
}

EXPORT int getifaddrs(struct ifaddrs **ret)
{
	struct interface all[INTERFACE_ADDRESSES];
	long n = interfaces_get(all), links = 0, k = 0;
	struct entry *e;

	if (n == NOT_OURS)
		return real.getifaddrs(ret);
	if (n <= 0)
		return (int)result(n ? n : -ENODEV);
	for (long i = 0; i < n; i++)
		links += i < 2;
	e = calloc((size_t)(n + links), sizeof(*e));
	if (!e)
		return (int)result(-ENOMEM);
	for (long i = 0; i < links; i++)
		fill_link(&e[k++], &all[i]);
	for (long i = 0; i < n; i++)
		fill_addr(&e[k++], &all[i]);
	for (long i = 0; i + 1 < k; i++)
		e[i].at.ifa_next = &e[i + 1].at;
	*ret = &e[0].at;
	return 0;
}
