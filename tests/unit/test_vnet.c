// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dev/vnet.h"

static const struct vnet untouched = {.sum_start = 7, .cut_bytes = 7};

static struct virtio_net_hdr large(void)
{
	return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				       .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				       .gso_size = 1448,
				       .hdr_len = 66,
				       .csum_start = 34,
				       .csum_offset = 16};
}

static void takes(const struct virtio_net_hdr *h, size_t bytes, const struct vnet *wanted)
{
	struct vnet v = untouched;

	assert_int_equal(vnet_parse(h, bytes, &v), 0);
	assert_int_equal(v.sum_start, wanted->sum_start);
	assert_int_equal(v.sum_offset, wanted->sum_offset);
	assert_int_equal(v.cut_bytes, wanted->cut_bytes);
	assert_int_equal(v.sum_ok, wanted->sum_ok);
}

static void refuses(const struct virtio_net_hdr *h, size_t bytes)
{
	struct vnet v = untouched;

	assert_int_equal(vnet_parse(h, bytes, &v), -EPROTO);
	assert_memory_equal(&v, &untouched, sizeof(v));
}

static void vnet_parse__takes(void **state)
{
	struct virtio_net_hdr h = {0};

	(void)state;
	takes(&h, 60, &(struct vnet){0});
	h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	takes(&h, 60, &(struct vnet){.sum_ok = true});
	h = large();
	takes(&h, 60000, &(struct vnet){.sum_start = 34, .sum_offset = 16, .cut_bytes = 1448});
	/* Its field is the last that there is. */
	takes(&h, 52, &(struct vnet){.sum_start = 34, .sum_offset = 16, .cut_bytes = 1448});
	h.hdr_len = 65535; /* a hint, of which nothing is believed */
	takes(&h, 60000, &(struct vnet){.sum_start = 34, .sum_offset = 16, .cut_bytes = 1448});
}

static void vnet_parse__refuses(void **state)
{
	struct virtio_net_hdr h = large();

	(void)state;
	refuses(&h, 51);
	h.csum_start = 65535;
	refuses(&h, 60000);
	h = large();
	h.csum_offset = 65535;
	refuses(&h, 60000);
	h = large();
	h.csum_start = 13; /* Ethernet's own */
	refuses(&h, 60000);
	h = large();
	h.gso_size = 0;
	refuses(&h, 60000);
	h = large();
	h.flags = VIRTIO_NET_HDR_F_DATA_VALID; /* nobody could cut that */
	refuses(&h, 60000);
	h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_RSC_INFO;
	refuses(&h, 60000);
	for (unsigned type = 0; type < 256; type++) {
		h = large();
		h.gso_type = (uint8_t)type;
		if (type != VIRTIO_NET_HDR_GSO_NONE && type != VIRTIO_NET_HDR_GSO_TCPV4)
			refuses(&h, 60000);
	}
}

static void vnet_emit__is_parsed(void **state)
{
	const struct vnet all[] = {{0},
				   {.sum_start = 34, .sum_offset = 16},
				   {.sum_start = 38, .sum_offset = 16, .cut_bytes = 536}};
	struct virtio_net_hdr h;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		vnet_emit(&all[i], 66, &h);
		takes(&h, 3000, &all[i]);
		assert_int_equal(h.hdr_len, all[i].cut_bytes ? 66 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vnet_parse__takes),
		cmocka_unit_test(vnet_parse__refuses),
		cmocka_unit_test(vnet_emit__is_parsed),
	};

	return cmocka_run_group_tests_name("vnet", tests, NULL, NULL);
}
