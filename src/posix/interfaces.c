/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/copy.h"
#include "base/sys.h"
#include "ctl/client.h"
#include "posix/calls.h"
#include "posix/interfaces.h"
#include "posix/process.h"
#include "posix/section.h"

#define LOOPBACK_MTU 65536u
#define LOOPBACK_PREFIX 8u
#define ANSWER_MS 5000
#define LOWER_UP 0x10000u /* IFF_LOWER_UP: <linux/if.h>, which <net/if.h> does not suffer */

static uint32_t number_of(const char *name)
{
	long fd = sys3(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };

	if (fd < 0)
		return 0;
	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	if (sys3(SYS_ioctl, fd, SIOCGIFINDEX, &r) != 0)
		r.ifr_ifindex = 0;
	sys1(SYS_close, fd);
	return (uint32_t)r.ifr_ifindex;
}

/* A channel of its own: the answer is many records. Return: how many, or -errno. */
static long ask(struct interface *ret, unsigned room)
{
	struct ctl_msg m = { .type = CTL_NET, .net = { .what = CTL_NET_ADDR } };
	int fd = ctl_connect(process.domain), r;
	unsigned n = 0, none = 0;

	if (fd < 0)
		return fd;
	for (r = ctl_call(fd, &m, NULL, 0, NULL, NULL); r == 0 && !m.net.last && n < room; n++) {
		ret[n] = (struct interface){ .addr = m.net.addr,
					     .prefix = (uint8_t)m.net.prefix,
					     .mtu = (uint32_t)m.net.value };
		memcpy(ret[n].mac, m.net.mac, sizeof(ret[n].mac));
		memcpy(ret[n].name, m.net.name, sizeof(ret[n].name) - 1);
		ret[n].number = n ? ret[0].number : number_of(ret[n].name);
		r = ctl_recv(fd, &m, NULL, &none, ANSWER_MS);
	}
	sys1(SYS_close, fd);
	return r < 0 ? r : (long)n;
}

long interfaces_get(struct interface ret[INTERFACE_ADDRESSES])
{
	long n;

	if (!process.enabled || process.policy != POLICY_NET)
		return NOT_OURS;
	ret[0] = (struct interface){ .addr = INADDR_LOOPBACK, .prefix = LOOPBACK_PREFIX,
				     .mtu = LOOPBACK_MTU, .loopback = true, .name = "lo" };
	section_enter();
	ret[0].number = number_of(ret[0].name);
	n = ask(ret + 1, INTERFACE_ADDRESSES - 1);
	section_leave();
	return n < 0 ? n : n + 1;
}

unsigned interface_flags(const struct interface *i)
{
	return IFF_UP | IFF_RUNNING | LOWER_UP |
	       (i->loopback ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST);
}

uint32_t interface_mask(const struct interface *i)
{
	return i->prefix ? ~0u << (32 - i->prefix) : 0;
}

uint32_t interface_broadcast(const struct interface *i)
{
	return i->loopback || i->prefix > 30 ? 0 : i->addr | ~interface_mask(i);
}

static void put_addr(struct sockaddr *ret, uint32_t addr)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };

	memcpy(ret, &in, sizeof(in));
}

static long conf(const struct interface *all, long n, void *arg)
{
	struct ifconf c;
	size_t room;

	if (!copy_try(&c, arg, sizeof(c)))
		return -EFAULT;
	room = c.ifc_buf ? (size_t)(c.ifc_len < 0 ? 0 : c.ifc_len) / sizeof(struct ifreq) : 0;
	for (size_t i = 0; c.ifc_buf && i < (size_t)n && i < room; i++) {
		struct ifreq r = { 0 };

		memcpy(r.ifr_name, all[i].name, sizeof(r.ifr_name));
		put_addr(&r.ifr_addr, all[i].addr);
		if (!copy_try(c.ifc_buf + i * sizeof(r), &r, sizeof(r)))
			return -EFAULT;
	}
	if (!c.ifc_buf || room > (size_t)n)
		room = (size_t)n;
	c.ifc_len = (int)(room * sizeof(struct ifreq));
	return copy_try(arg, &c, sizeof(c)) ? 0 : -EFAULT;
}

long interfaces_ioctl(unsigned long request, void *arg)
{
	struct interface all[INTERFACE_ADDRESSES];
	struct ifreq r;
	long n, i = 0;

	if (request != SIOCGIFCONF && request != SIOCGIFADDR && request != SIOCGIFNETMASK &&
	    request != SIOCGIFBRDADDR && request != SIOCGIFHWADDR && request != SIOCGIFFLAGS &&
	    request != SIOCGIFMTU)
		return NOT_OURS;
	n = interfaces_get(all);
	if (n < 0)
		return n;
	if (request == SIOCGIFCONF)
		return conf(all, n, arg);
	if (!copy_try(&r, arg, sizeof(r)))
		return -EFAULT;
	while (i < n && strncmp(all[i].name, r.ifr_name, sizeof(r.ifr_name)) != 0)
		i++;
	if (i == n)
		return -ENODEV;
	switch (request) {
	case SIOCGIFADDR:
		put_addr(&r.ifr_addr, all[i].addr);
		break;
	case SIOCGIFNETMASK:
		put_addr(&r.ifr_netmask, interface_mask(&all[i]));
		break;
	case SIOCGIFBRDADDR:
		put_addr(&r.ifr_broadaddr, interface_broadcast(&all[i]));
		break;
	case SIOCGIFHWADDR:
		memset(&r.ifr_hwaddr, 0, sizeof(r.ifr_hwaddr));
		r.ifr_hwaddr.sa_family = all[i].loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
		memcpy(r.ifr_hwaddr.sa_data, all[i].mac, sizeof(all[i].mac));
		break;
	case SIOCGIFFLAGS:
		r.ifr_flags = (short)interface_flags(&all[i]);
		break;
	default:
		r.ifr_mtu = (int)all[i].mtu;
		break;
	}
	return copy_try(arg, &r, sizeof(r)) ? 0 : -EFAULT;
}
