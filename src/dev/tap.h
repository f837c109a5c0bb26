/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.h - A TAP interface: Ethernet frames to and from the kernel on its other
 * side, each behind a virtio header.
 */
#ifndef MORTISE_DEV_TAP_H
#define MORTISE_DEV_TAP_H

#include <sys/types.h>
#include <sys/uio.h>

#include "dev/vnet.h"

#define TAP_NAME_MAX 16u /* with the terminating zero, as IFNAMSIZ */
#define TAP_PIECES 48u	 /* of one frame */

/**
 * tap_open() - Attach to an interface that is there.
 * @name:    One that `ip tuntap add mode tap` made.
 * @offload: Leave checksums to it, and the cutting of TCP segments over IPv4; and it to us. Set to
 *           false where it does not take that.
 *
 * Return: A close-on-exec, non-blocking descriptor; or -errno: -ENODEV where there is no such
 *         interface, -EINVAL where it is no TAP, -EBUSY where somebody else has it, -EPERM,
 *         -EACCES and -ENOENT (of /dev/net/tun).
 */
int tap_open(const char *name, bool *offload);

/** tap_mtu() - What its frames may carry, in octets of an IP packet. Return: it, or -errno. */
int tap_mtu(const char *name);

/**
 * tap_read() - The next frame.
 * @room:  For its octets, one piece behind the other. @count: At most TAP_PIECES.
 * @ret:   What of it is left to us; on success.
 * Return: octets; -EAGAIN where there is none; -EPROTO where it is none, or asks for what was
 *         not agreed upon; or -errno: -EBADFD once the interface is gone.
 */
ssize_t tap_read(int fd, const struct iovec *room, unsigned count, struct vnet *ret);

/**
 * tap_write() - Send a frame.
 * @count: At most TAP_PIECES; the first has the headers.
 * @v:     What is left to it, of what was agreed upon.
 * Return: 0 or -errno: -EIO while the interface is down.
 */
int tap_write(int fd, const struct iovec *piece, unsigned count, const struct vnet *v);

#endif
