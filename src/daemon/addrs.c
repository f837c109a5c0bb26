/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addrs.c - Addresses of this host, from the kernel to the registry.
 *
 * Any message about links or addresses makes us read all of them again: what
 * counts is not the message but the set, and the same address may be on two
 * interfaces. An address is this host's while it is on an interface that is
 * up, and past duplicate address detection: so long, the kernel lets a socket
 * bind to it, and takes what is sent to it for its own. Where the kernel cannot be
 * asked, nothing but loopback is.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/addrs.h"
#include "daemon/log.h"
#include "shm/addr.h"

#define DUMP_BYTES 32768u
#define DUMP_TRIES 4u     /* while it changes under our eyes; a message follows then, too */
#define DRAIN_MOST 64u    /* datagrams of news at a time */

/* -------------------------------------------------------------- parsing */

/* The payload of attribute @type among @len bytes at @rta, or NULL. */
static const void *attr_find(const struct rtattr *rta, size_t len, unsigned type, size_t *ret_len)
{
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len))
		if ((rta->rta_type & NLA_TYPE_MASK) == type) {
			*ret_len = RTA_PAYLOAD(rta);
			return RTA_DATA(rta);
		}
	return NULL;
}

/* Room for one more of @size in *@list, or false. */
static bool list_grow(struct addrs *a, void **list, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 16;
	void *bigger;

	if (count < *room)
		return true;
	bigger = reallocarray(*list, more, size);
	if (!bigger) {
		a->failed = true;
		return false;
	}
	*list = bigger;
	*room = more;
	return true;
}

static bool kind_is_vrf(const struct rtattr *info, size_t len, unsigned type)
{
	size_t n = 0;
	const char *kind = attr_find(info, len, type, &n);

	return kind && n >= 3 && memcmp(kind, "vrf", 3) == 0;
}

static void take_link(struct addrs *a, const struct nlmsghdr *n)
{
	const struct ifinfomsg *i = NLMSG_DATA(n);
	const struct rtattr *info;
	size_t len = 0;

	if (n->nlmsg_len < NLMSG_LENGTH(sizeof(*i)) || !(i->ifi_flags & IFF_UP))
		return;
	info = attr_find(IFLA_RTA(i), IFLA_PAYLOAD(n), IFLA_LINKINFO, &len);
	if (info && (kind_is_vrf(info, len, IFLA_INFO_KIND) ||
		     kind_is_vrf(info, len, IFLA_INFO_SLAVE_KIND)))
		return;
	if (list_grow(a, (void **)&a->up, a->up_count, &a->up_room, sizeof(*a->up)))
		a->up[a->up_count++] = (uint32_t)i->ifi_index;
}

static bool link_is_up(const struct addrs *a, uint32_t index)
{
	for (size_t i = 0; i < a->up_count; i++)
		if (a->up[i] == index)
			return true;
	return false;
}

static void take_addr(struct addrs *a, const struct nlmsghdr *n)
{
	const struct ifaddrmsg *i = NLMSG_DATA(n);
	const uint8_t *local, *flags;
	struct addrs_one one = { 0 };
	size_t len = 0, flags_len = 0;
	uint32_t f, v4;

	if (n->nlmsg_len < NLMSG_LENGTH(sizeof(*i)) || !link_is_up(a, i->ifa_index))
		return;
	f = i->ifa_flags;
	flags = attr_find(IFA_RTA(i), IFA_PAYLOAD(n), IFA_FLAGS, &flags_len);
	if (flags && flags_len >= sizeof(f))
		memcpy(&f, flags, sizeof(f));
	if (f & IFA_F_DADFAILED || (f & IFA_F_TENTATIVE && !(f & IFA_F_OPTIMISTIC)))
		return;
	/* Of a point-to-point link, IFA_ADDRESS is the other end's. */
	local = attr_find(IFA_RTA(i), IFA_PAYLOAD(n), IFA_LOCAL, &len);
	if (!local)
		local = attr_find(IFA_RTA(i), IFA_PAYLOAD(n), IFA_ADDRESS, &len);
	if (local && i->ifa_family == AF_INET && len == 4) {
		v4 = (uint32_t)local[0] << 24 | (uint32_t)local[1] << 16 |
		     (uint32_t)local[2] << 8 | local[3];
		addr_in6_map(v4, one.in6);
	} else if (local && i->ifa_family == AF_INET6 && len == 16) {
		memcpy(one.in6, local, 16);
		if (addr_in6_is_linklocal(local))
			one.scope = i->ifa_index;
	} else {
		return;
	}
	if (list_grow(a, (void **)&a->one, a->count, &a->room, sizeof(*a->one)))
		a->one[a->count++] = one;
}

int addrs_take(struct addrs *a, const void *bytes, size_t len)
{
	const struct nlmsghdr *n = bytes;
	const struct nlmsgerr *e;

	for (; NLMSG_OK(n, len); n = NLMSG_NEXT(n, len)) {
		a->torn |= (n->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		switch (n->nlmsg_type) {
		case NLMSG_DONE:
			return a->failed ? -ENOMEM : 1;
		case NLMSG_ERROR:
			e = NLMSG_DATA(n);
			return n->nlmsg_len >= NLMSG_LENGTH(sizeof(*e)) && e->error < 0 ? e->error
											: -EPROTO;
		case RTM_NEWLINK:
			take_link(a, n);
			break;
		case RTM_NEWADDR:
			take_addr(a, n);
			break;
		default:
			break;
		}
	}
	return a->failed ? -ENOMEM : 0;
}

void addrs_free(struct addrs *a)
{
	free(a->one);
	free(a->up);
	*a = (struct addrs){ 0 };
}

/* -------------------------------------------------------------- registry */

static bool addrs_have(const struct addrs *a, const struct registry_addr *ra)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->one[i].scope == ra->scope && memcmp(a->one[i].in6, ra->in6, 16) == 0)
			return true;
	return false;
}

bool addrs_apply(const struct addrs *a, struct registry *r)
{
	bool all = true;

	for (size_t i = 0; i < a->count; i++)
		all &= registry_addr_set(r, a->one[i].in6, a->one[i].scope, true) == 0;
	for (uint32_t i = 0; i < load_relaxed(&r->addr_count); i++) {
		const struct registry_addr *ra = &r->addrs[i];

		if (i == ADDR_LOOPBACK6 && r->policy == POLICY_NONE)
			continue;
		if (load_relaxed(&ra->own) && !addrs_have(a, ra))
			registry_addr_set(r, ra->in6, ra->scope, false);
	}
	return all;
}

/* ---------------------------------------------------------------- kernel */

/* One dump, of links or of addresses. Return: 0 or -errno. */
static int addrs_dump(int fd, uint16_t type, struct addrs *a)
{
	static _Alignas(struct nlmsghdr) uint8_t bytes[DUMP_BYTES];
	struct {
		struct nlmsghdr n;
		struct ifinfomsg i; /* ifaddrmsg is shorter, and as empty */
	} q = { .n = { .nlmsg_len = sizeof(q), .nlmsg_type = type,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	int r = 0;

	if (send(fd, &q, sizeof(q), 0) < 0)
		return -errno;
	while (r == 0) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : n == 0 ? -EPIPE : addrs_take(a, bytes, (size_t)n);
	}
	return r < 0 ? r : 0;
}

/* Return: 0 or -errno, with the registry as it was. */
static int addrs_read(struct registry *r)
{
	struct timeval patience = { .tv_sec = 1 }; /* The kernel answers at once. */
	struct addrs a = { 0 };
	int err = -EAGAIN;

	for (unsigned i = 0; i < DUMP_TRIES && err == -EAGAIN; i++) {
		int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

		if (fd < 0)
			return -errno;
		addrs_free(&a);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		err = addrs_dump(fd, RTM_GETLINK, &a);
		if (err == 0)
			err = addrs_dump(fd, RTM_GETADDR, &a);
		close(fd);
		if (err == 0 && a.torn && i < DUMP_TRIES - 1)
			err = -EAGAIN;
	}
	if (err == 0 && !addrs_apply(&a, r))
		log_line("limit of %u addresses: others than these are not this host's", ADDR_MAX);
	addrs_free(&a);
	return err;
}

int addrs_start(struct registry *r)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK,
				  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
					       RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int err = fd < 0 || bind(fd, (struct sockaddr *)&nl, sizeof(nl)) != 0 ? -errno : 0;

	/* In this order: what changes after the reading is told. */
	if (err == 0)
		err = addrs_read(r);
	if (err == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	log_line("the kernel does not tell this host's addresses: %s; loopback alone is known",
		 strerror(-err));
	return err;
}

void addrs_event(int fd, struct registry *r)
{
	uint8_t bytes[8192];
	int err;

	/* What was lost for want of room (ENOBUFS) is read with the rest. */
	for (unsigned i = 0; i < DRAIN_MOST; i++)
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 && errno != ENOBUFS &&
		    errno != EINTR)
			break;
	err = addrs_read(r);
	if (err < 0)
		log_line("this host's addresses cannot be read: %s", strerror(-err));
}
