// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>

#include "dev/vnet.h"

#define FLAGS (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID)
#define ETHER_BYTES 14u
#define SUM_BYTES 2u

int vnet_parse(const struct virtio_net_hdr *h, size_t bytes, struct vnet *ret)
{
	struct vnet v = {.sum_ok = h->flags & VIRTIO_NET_HDR_F_DATA_VALID};

	if (h->flags & ~FLAGS)
		return -EPROTO;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (h->csum_start < ETHER_BYTES ||
		    (size_t)h->csum_start + h->csum_offset + SUM_BYTES > bytes)
			return -EPROTO;
		v.sum_start = h->csum_start;
		v.sum_offset = h->csum_offset;
	}
	switch (h->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		if (!v.sum_start || !h->gso_size)
			return -EPROTO;
		v.cut_bytes = h->gso_size;
		break;
	default:
		return -EPROTO;
	}
	*ret = v;
	return 0;
}

void vnet_emit(const struct vnet *v, size_t header_bytes, struct virtio_net_hdr *ret)
{
	*ret = (struct virtio_net_hdr){0};
	if (v->sum_start) {
		ret->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		ret->csum_start = v->sum_start;
		ret->csum_offset = v->sum_offset;
	}
	if (v->cut_bytes) {
		ret->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		ret->gso_size = v->cut_bytes;
		ret->hdr_len = (uint16_t)header_bytes;
	}
}
