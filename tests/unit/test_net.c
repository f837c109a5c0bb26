// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/net.h"

static char why[256];

static int parse(const struct net_options *o, struct net_config *n)
{
	*why = 0;
	return net_parse(o, n, why, sizeof(why));
}

static struct net_options good(void)
{
	return (struct net_options){.tap = "tap0", .address = {"10.0.0.2/24"}, .addresses = 1};
}

static void net_parse__takes(void **state)
{
	struct net_options o = {.tap = "a-name.of15byte",
				.gateway = "192.0.2.129",
				.mtu = "576",
				.address = {"10.0.0.0/31", "192.0.2.130/25", "8.8.8.8/32"},
				.addresses = 3};
	struct net_config n;

	(void)state;
	assert_int_equal(parse(&o, &n), 0);
	assert_string_equal(n.tap, "a-name.of15byte");
	assert_int_equal(n.mtu, 576);
	assert_int_equal(n.gateway, 0xc0000281);
	assert_int_equal(n.addresses, 3);
	assert_int_equal(n.address[0].addr, 0x0a000000);
	assert_int_equal(n.address[0].prefix, 31);
	assert_int_equal(n.address[1].addr, 0xc0000282);
	assert_int_equal(n.address[1].prefix, 25);
	assert_int_equal(n.address[2].prefix, 32);
	assert_int_equal(n.mac[0] & 3, 2);
	o = good();
	assert_int_equal(parse(&o, &n), 0);
	assert_int_equal(n.mtu, 0);
	assert_int_equal(n.gateway, 0);
}

/* What is refused names what was said, and what is said instead. */
static void net_parse__refuses(void **state)
{
	static const char *const addresses[] = {
		"",
		"/",
		"10.0.0.2",
		"10.0.0.2/",
		"10.0.0.2/0",
		"10.0.0.2/33",
		"10.0.0.2/2x",
		"10.0.0/24",
		"10.0.0.2/24/24",
		"0.1.2.3/8",
		"127.0.0.2/8",
		"224.0.0.1/4",
		"255.255.255.255/32",
		"10.0.0.0/24",
		"10.0.0.255/24",
		"1111111111111111.1/24",
	};
	static const char *const gateways[] = {"", "10.0.0.2", "10.0.1.1", "10.0.0.1/24",
					       "127.0.0.1"};
	static const char *const mtus[] = {"", "575", "65522", "-600", "1500 ", "99999999999"};
	struct net_options o;
	struct net_config n = {.mtu = 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		o = good();
		o.address[0] = addresses[i];
		assert_int_equal(parse(&o, &n), -EINVAL);
		assert_non_null(strstr(why, addresses[i]));
		assert_non_null(strstr(why, "--address"));
	}
	for (size_t i = 0; i < ARRAY_LEN(gateways); i++) {
		o = good();
		o.gateway = gateways[i];
		assert_int_equal(parse(&o, &n), -EINVAL);
		assert_non_null(strstr(why, "gateway"));
	}
	for (size_t i = 0; i < ARRAY_LEN(mtus); i++) {
		o = good();
		o.mtu = mtus[i];
		assert_int_equal(parse(&o, &n), -EINVAL);
		assert_non_null(strstr(why, "576"));
	}
	assert_int_equal(n.mtu, 7); /* untouched */
}

static void net_parse__refuses_what_does_not_fit_together(void **state)
{
	struct net_options o = good();
	struct net_config n;

	(void)state;
	o.tap = NULL;
	assert_int_equal(parse(&o, &n), -EINVAL);
	assert_non_null(strstr(why, "--tap NAME"));
	o.tap = "sixteen-letters-";
	assert_int_equal(parse(&o, &n), -EINVAL);
	assert_non_null(strstr(why, "sixteen"));
	o.tap = "a/b";
	assert_int_equal(parse(&o, &n), -EINVAL);
	o = good();
	o.addresses = 0;
	assert_int_equal(parse(&o, &n), -EINVAL);
	assert_non_null(strstr(why, "has no address"));
	o = good();
	o.address[o.addresses++] = "10.0.0.2/8";
	assert_int_equal(parse(&o, &n), -EINVAL);
	assert_non_null(strstr(why, "twice"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(net_parse__takes),
		cmocka_unit_test(net_parse__refuses),
		cmocka_unit_test(net_parse__refuses_what_does_not_fit_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
