/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/net.h"
#include "dev/tap.h"

#define MTU_MIN 576u /* RFC 791: each host takes as much */
#define MTU_MAX 65521u

__attribute__((format(printf, 3, 4))) static int say(char *ret, size_t size, const char *format,
						     ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(ret, size, format, ap);
	va_end(ap);
	return -EINVAL;
}

static bool parse_number(const char *s, unsigned long min, unsigned long max, unsigned long *ret)
{
	char *end;

	if (*s < '0' || *s > '9' || strlen(s) > 9)
		return false;
	*ret = strtoul(s, &end, 10);
	return !*end && *ret >= min && *ret <= max;
}

static bool parse_ipv4(const char *s, uint32_t *ret)
{
	struct in_addr a;

	if (inet_pton(AF_INET, s, &a) != 1)
		return false;
	*ret = ntohl(a.s_addr);
	return true;
}

static uint32_t mask_of(unsigned prefix)
{
	return ~0u << (32 - prefix);
}

/* One that a host can have: RFC 1122 3.2.1.3. */
static bool is_host(uint32_t addr)
{
	return addr >> 24 != 0 && addr >> 24 != 127 && addr < 0xe0000000;
}

static bool parse_address(const char *s, uint32_t *ret_addr, uint8_t *ret_prefix)
{
	char text[INET_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	unsigned long prefix;
	uint32_t host;

	if (!slash || (size_t)(slash - s) >= sizeof(text) ||
	    !parse_number(slash + 1, 1, 32, &prefix))
		return false;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = 0;
	if (!parse_ipv4(text, ret_addr) || !is_host(*ret_addr))
		return false;
	*ret_prefix = (uint8_t)prefix;
	/* Its network's own name, and broadcast, are no host's. */
	host = *ret_addr & ~mask_of(*ret_prefix);
	return prefix >= 31 || (host != 0 && host != ~mask_of(*ret_prefix));
}

static bool on_link(const struct net_config *n, uint32_t addr)
{
	for (uint32_t i = 0; i < n->addresses; i++)
		if (((n->address[i].addr ^ addr) & mask_of(n->address[i].prefix)) == 0)
			return true;
	return false;
}

static bool has_address(const struct net_config *n, uint32_t addr)
{
	for (uint32_t i = 0; i < n->addresses; i++)
		if (n->address[i].addr == addr)
			return true;
	return false;
}

int net_parse(const struct net_options *o, struct net_config *ret, char *ret_why, size_t size)
{
	struct net_config n = {0};
	unsigned long mtu;

	if (!o->tap)
		return say(ret_why, size,
			   "an address, a gateway or an MTU is of an interface: say "
			   "which, with --tap NAME");
	if (!*o->tap || strlen(o->tap) >= sizeof(n.tap) || strchr(o->tap, '/'))
		return say(ret_why, size, "\"%s\" is no name of an interface: 1 to 15 letters",
			   o->tap);
	strcpy(n.tap, o->tap);
	if (!o->addresses)
		return say(ret_why, size, "%s has no address: say --address 10.0.0.2/24", o->tap);
	for (uint32_t i = 0; i < o->addresses; i++) {
		uint32_t addr;
		uint8_t prefix;

		if (!parse_address(o->address[i], &addr, &prefix))
			return say(ret_why, size,
				   "\"%s\" is no address of a host with the bits of "
				   "its network: say --address 10.0.0.2/24",
				   o->address[i]);
		if (has_address(&n, addr))
			return say(ret_why, size, "address %s is given twice", o->address[i]);
		n.address[i].addr = addr;
		n.address[i].prefix = prefix;
		n.addresses = i + 1;
	}
	if (o->gateway && (!parse_ipv4(o->gateway, &n.gateway) || !is_host(n.gateway)))
		return say(ret_why, size,
			   "\"%s\" is no address of a gateway: say --gateway 10.0.0.1", o->gateway);
	if (n.gateway && (!on_link(&n, n.gateway) || has_address(&n, n.gateway)))
		return say(ret_why, size,
			   "gateway %s: another host's address on a network of "
			   "--address is wanted",
			   o->gateway);
	if (o->mtu && !parse_number(o->mtu, MTU_MIN, MTU_MAX, &mtu))
		return say(ret_why, size, "MTU \"%s\": octets, %u to %u", o->mtu, MTU_MIN, MTU_MAX);
	n.mtu = o->mtu ? (uint32_t)mtu : 0;
	if (o->offload && strcmp(o->offload, "on") != 0 && strcmp(o->offload, "off") != 0)
		return say(ret_why, size, "offload \"%s\": say on or off", o->offload);
	if (o->loopback && strcmp(o->loopback, "memory") != 0 && strcmp(o->loopback, "packets") != 0)
		return say(ret_why, size, "loopback \"%s\": say memory or packets", o->loopback);
	n.packets = o->loopback && strcmp(o->loopback, "packets") == 0;
	n.offload = !o->offload || strcmp(o->offload, "on") == 0;
	if (getrandom(n.mac, sizeof(n.mac), 0) != sizeof(n.mac))
		return say(ret_why, size, "no random numbers: %s", strerror(errno));
	n.mac[0] = (uint8_t)((n.mac[0] | 2) & ~1); /* locally administered, one station's */
	*ret = n;
	return 0;
}

static void why_not(const char *name, int err, char *ret_why, size_t size)
{
	switch (err) {
	case -ENODEV:
		say(ret_why, size,
		    "there is no interface %s; `ip tuntap add dev %s mode tap` makes it", name,
		    name);
		break;
	case -EINVAL:
		say(ret_why, size,
		    "interface %s is no TAP; `ip tuntap add dev NAME mode tap` makes "
		    "one",
		    name);
		break;
	case -EBUSY:
		say(ret_why, size,
		    "interface %s is in use by another program; take another, or end "
		    "that one",
		    name);
		break;
	case -EACCES:
		say(ret_why, size,
		    "interface %s: %s; /dev/net/tun is to be read and written: run as root, or "
		    "have it made everybody's: `chmod 666 /dev/net/tun`",
		    name, strerror(-err));
		break;
	case -EPERM:
		say(ret_why, size,
		    "interface %s: %s; it takes CAP_NET_ADMIN: run as root, have it made yours: "
		    "`ip tuntap add dev %s mode tap user NAME`, or begin with `unshare -Urn`",
		    name, strerror(-err), name);
		break;
	case -ENOENT:
	case -ENXIO:
		say(ret_why, size, "there is no /dev/net/tun; `modprobe tun` may bring it");
		break;
	default:
		say(ret_why, size, "interface %s: %s", name, strerror(-err));
	}
}

int net_open(struct net_config *n, char *ret_why, size_t size)
{
	int mtu = tap_mtu(n->tap), fd = tap_open(n->tap, &n->offload);

	if (fd < 0) {
		why_not(n->tap, fd, ret_why, size);
		return fd;
	}
	if (!n->mtu)
		n->mtu = mtu < (int)MTU_MIN   ? MTU_MIN
			 : mtu > (int)MTU_MAX ? MTU_MAX
					      : (uint32_t)mtu;
	return fd;
}

int net_capture(const char *path, char *ret_why, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600), err;

	if (fd >= 0)
		return fd;
	err = -errno;
	say(ret_why, size, "cannot write %s: %s; --pcap takes a file in a folder that is there",
	    path, strerror(-err));
	return err;
}

int net_drop_privileges(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	/* Nor are they to come back with a program that is executed. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &h, none))
		return -errno;
	return 0;
}
