/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.h - A TAP interface: Ethernet frames to and from the kernel on its other
 * side, each behind a virtio header.
 */
#ifndef MORTISE_DEV_TAP_H
#define MORTISE_DEV_TAP_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/defs.h"

#define TAP_NAME_MAX 16u /* with the terminating zero, as IFNAMSIZ */
#define TAP_PIECES 128u	 /* of one frame */

/**
 * struct tap_offload - What is left to the other side.
 * @checksum_start: Where the part of the frame begins whose sum is to be made; 0: none.
 * @checksum_at:    Where it goes, from there on.
 * @segment:        Data of each of the TCP segments that it is to be cut into; 0: it is one.
 * @header:         Of the headers, where it is cut.
 */
struct tap_offload {
	uint16_t checksum_start, checksum_at, segment, header;
};

/**
 * tap_open() - Attach to an interface that is there.
 * @name: One that `ip tuntap add mode tap` made.
 * @ret_offloads: The kernel takes checksums and segments that are left to it, and leaves its own
 *                to us.
 *
 * Return: A close-on-exec, non-blocking descriptor; or -errno: -ENODEV where there is no such
 *         interface, -EINVAL where it is no TAP, -EBUSY where somebody else has it, -EPERM,
 *         -EACCES and -ENOENT (of /dev/net/tun).
 */
int tap_open(const char *name, bool *ret_offloads);

/** tap_mtu() - What its frames may carry, in octets of an IP packet. Return: it, or -errno. */
int tap_mtu(const char *name);

/**
 * tap_read() - The next frame; with offloads it may be larger than the MTU says.
 * @ret_checked: Its checksums are right, or were not made.
 * Return: octets; -EAGAIN where there is none; -EPROTO where it is none, or asks for what was
 *         not agreed upon; or -errno: -EBADFD once the interface is gone.
 */
ssize_t tap_read(int fd, void *frame, size_t room, bool *ret_checked);

/**
 * tap_write() - Send a frame.
 * @count: At most TAP_PIECES.
 * @o:     NULL: nothing is left.
 * Return: 0 or -errno: -EIO while the interface is down.
 */
int tap_write(int fd, const struct iovec *piece, unsigned count, const struct tap_offload *o);

#endif
