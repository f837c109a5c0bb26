// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/arp.h"

static const uint8_t request[ARP_BYTES] = {
	0,  1, 0x08, 0x00, 6, 4, 0, 1, 0x02, 0, 0,  0, 0, 1,
	10, 0, 0,    1,	   0, 0, 0, 0, 0,    0, 10, 0, 0, 2,
};

static void arp_parse__request(void **state)
{
	struct cursor c = cursor_of(request, sizeof(request));
	struct arp a;

	(void)state;
	assert_int_equal(arp_parse(&c, &a), WIRE_OK);
	assert_int_equal(a.op, ARP_REQUEST);
	assert_memory_equal(a.sender, request + 8, 6);
	assert_int_equal(a.sender_ip, 0x0a000001);
	assert_memory_equal(a.target, request + 18, 6);
	assert_int_equal(a.target_ip, 0x0a000002);
}

static void arp_parse__every_truncation(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(request); n++) {
		struct cursor c = cursor_of(request, n);
		struct arp a;

		assert_int_equal(arp_parse(&c, &a), WIRE_SHORT);
	}
}

static void arp_parse__other_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		uint8_t other[ARP_BYTES];
		struct cursor c = cursor_of(other, sizeof(other));
		struct arp a;

		memcpy(other, request, sizeof(other));
		other[i] ^= 0x10;
		assert_int_equal(arp_parse(&c, &a), WIRE_FOREIGN);
	}
}

static void arp_emit__same_octets(void **state)
{
	uint8_t room[ARP_BYTES];
	struct cursor c = cursor_of(request, sizeof(request));
	struct emit e = emit_to(room, sizeof(room));
	struct arp a;

	(void)state;
	assert_int_equal(arp_parse(&c, &a), WIRE_OK);
	arp_emit(&e, &a);
	assert_false(e.failed);
	assert_memory_equal(room, request, sizeof(request));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_parse__request),
		cmocka_unit_test(arp_parse__every_truncation),
		cmocka_unit_test(arp_parse__other_families),
		cmocka_unit_test(arp_emit__same_octets),
	};

	return cmocka_run_group_tests_name("arp", tests, NULL, NULL);
}
