// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dev/tap.h"

#define TAP_NODE "/dev/net/tun"

/* An interface of that name must be there: TUNSETIFF would make one, also where the name is
 * wrong. Return: 0 or -errno. */
static int ask(const char *name, unsigned long what, struct ifreq *ret)
{
	int fd, err;

	if (!*name || strlen(name) >= TAP_NAME_MAX)
		return -ENODEV;
	memset(ret, 0, sizeof(*ret));
	strcpy(ret->ifr_name, name);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = ioctl(fd, what, ret) ? -errno : 0;
	close(fd);
	return err;
}

int tap_open(const char *name, bool *offload)
{
	int header = sizeof(struct virtio_net_hdr), fd, err;
	struct ifreq r;

	err = ask(name, SIOCGIFFLAGS, &r);
	if (err < 0)
		return err;
	fd = open(TAP_NODE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &r) || ioctl(fd, TUNSETVNETHDRSZ, &header) ||
	    (!*offload && ioctl(fd, TUNSETOFFLOAD, 0))) {
		err = -errno;
		close(fd);
		return err;
	}
	/* An interface that stays keeps what it was told last: so it is told in either case. */
	if (ioctl(fd, TUNSETOFFLOAD, *offload ? TUN_F_CSUM | TUN_F_TSO4 : 0))
		*offload = false;
	return fd;
}

int tap_mtu(const char *name)
{
	struct ifreq r;
	int err = ask(name, SIOCGIFMTU, &r);

	return err < 0 ? err : r.ifr_mtu;
}

ssize_t tap_read(int fd, const struct iovec *room, unsigned count, struct vnet *ret)
{
	struct virtio_net_hdr h;
	struct iovec all[TAP_PIECES + 1];
	ssize_t n;

	if (count == 0 || count > TAP_PIECES)
		return -EINVAL;
	all[0] = (struct iovec){&h, sizeof(h)};
	memcpy(all + 1, room, count * sizeof(*room));
	n = readv(fd, all, (int)count + 1);
	if (n < 0)
		return -errno;
	if ((size_t)n <= sizeof(h) || vnet_parse(&h, (size_t)n - sizeof(h), ret) < 0)
		return -EPROTO;
	return n - (ssize_t)sizeof(h);
}

int tap_write(int fd, const struct iovec *piece, unsigned count, const struct vnet *v)
{
	struct virtio_net_hdr h;
	struct iovec all[TAP_PIECES + 1];

	if (count == 0 || count > TAP_PIECES)
		return -EINVAL;
	all[0] = (struct iovec){&h, sizeof(h)};
	vnet_emit(v, piece[0].iov_len, &h);
	memcpy(all + 1, piece, count * sizeof(*piece));
	return writev(fd, all, (int)count + 1) < 0 ? -errno : 0;
}
