/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vnet.h - The virtio header in front of a frame: what of it is left to the
 * other side (virtio 1.2, 5.1.6).
 */
#ifndef MORTISE_DEV_VNET_H
#define MORTISE_DEV_VNET_H

#include <linux/virtio_net.h>

#include "base/defs.h"

/**
 * struct vnet - All zero: nothing is left.
 * @sum_start:  Octets of the frame before those that are still to be summed; 0: the checksum is
 *              there.
 * @sum_offset: From there to the checksum's field.
 * @cut_bytes:  Payload of each TCP segment that the frame is made of, over IPv4; 0: it is one.
 * @sum_ok:     The checksum was found right.
 */
struct vnet {
	uint16_t sum_start, sum_offset, cut_bytes;
	bool sum_ok;
};

/**
 * vnet_parse() - What the header of a frame of @bytes octets says.
 *
 * Return: 0, or -EPROTO: it says something that was not agreed upon, or of octets that the frame
 *         does not have; *@ret is as it was.
 */
int vnet_parse(const struct virtio_net_hdr *h, size_t bytes, struct vnet *ret);

/** vnet_emit() - The header of a frame whose first @header_bytes are headers. */
void vnet_emit(const struct vnet *v, size_t header_bytes, struct virtio_net_hdr *ret);

#endif
