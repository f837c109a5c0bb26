// SPDX-License-Identifier: BSD-2-Clause
#include "stack_test.h"

static void engine_init__what_is_refused(void **state)
{
	struct engine_config c = stack_config();
	struct engine e;
	uint8_t key[16] = {0};
	void *mem = aligned_alloc(PAGE_BYTES, 64u << 20);

	(void)state;
	assert_non_null(mem);
	memset(mem, 0, 64u << 20);
	assert_int_equal(engine_init(&e, mem, engine_bytes(&c) - 1, &c, key, 0), -ENOMEM);
	assert_int_equal(engine_init(&e, (uint8_t *)mem + 64, 32u << 20, &c, key, 0), -EINVAL);
	c.mac[0] = 1; /* a group address */
	assert_int_equal(engine_bytes(&c), 0);
	assert_int_equal(engine_init(&e, mem, 64u << 20, &c, key, 0), -EINVAL);
	c = stack_config();
	c.mtu = 67;
	assert_int_equal(engine_bytes(&c), 0);
	c = stack_config();
	c.address[0].prefix = 33;
	assert_int_equal(engine_bytes(&c), 0);
	c = stack_config();
	c.addresses = ENGINE_ADDRESSES + 1;
	assert_int_equal(engine_bytes(&c), 0);
	c = stack_config();
	c.gateway = 0xc0a80001; /* not on the link */
	assert_int_equal(engine_init(&e, mem, 64u << 20, &c, key, 0), -EINVAL);
	assert_int_equal(engine_attach(&e, mem, 64u << 20), -EINVAL); /* nothing was made */
	free(mem);
}

static void engine_attach__at_another_address(void **state)
{
	struct engine_config c = stack_config();
	struct engine other;
	void *mem;

	(void)state;
	stack_init(&s, &c);
	mem = aligned_alloc(PAGE_BYTES, s.mem_bytes);
	assert_non_null(mem);
	memcpy(mem, s.mem, s.mem_bytes);
	assert_int_equal(engine_attach(&other, mem, s.mem_bytes - 1), -EINVAL);
	assert_int_equal(engine_attach(&other, mem, s.mem_bytes), 0);
	assert_true(engine_is_ours(&other, US));
	free(mem);
	stack_end(&s);
}

static void engine_input__what_is_not_for_us(void **state)
{
	struct engine_config c = stack_config();
	uint8_t frame[60] = {2, 9, 9, 9, 9, 9, 2, 0, 0, 0, 0, 2, 8, 0};

	(void)state;
	stack_init(&s, &c);
	engine_input(&s.e, s.now, frame, sizeof(frame));
	assert_int_equal(stack_count(&s, COUNT_ETH_NOT_FOR_US), 1);
	memcpy(frame, stack_mac, 6);
	frame[12] = 0x99;
	engine_input(&s.e, s.now, frame, sizeof(frame));
	assert_int_equal(stack_count(&s, COUNT_ETH_TYPE_UNKNOWN), 1);
	engine_input(&s.e, s.now, frame, 13);
	assert_int_equal(stack_count(&s, (enum engine_count)(COUNT_ETH_FAULT + WIRE_SHORT)), 1);
	engine_input(&s.e, s.now, NULL, 0);
	assert_true(stack_quiet(&s));
	stack_end(&s);
}

static void engine_stat_name__each_has_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ENGINE_COUNT_MAX; i++)
		assert_non_null(engine_stat_name(i));
	assert_null(engine_stat_name(ENGINE_COUNT_MAX));
	assert_string_equal(engine_stat_name(COUNT_FRAMES_IN), "frames-in");
	assert_string_equal(engine_stat_name(COUNT_TCP_FAULT + WIRE_LENGTH), "tcp-length");
}

static void engine_init__announces_itself(void **state)
{
	struct engine_config c = stack_config();
	struct arp a;

	(void)state;
	c.no_announce = false;
	stack_init(&s, &c);
	for (unsigned i = 0; i < 2; i++) { /* RFC 5227 2.3: twice, 2 s apart */
		assert_true(stack_wait(&s, 3 * NS_SEC));
		assert_int_equal(s.eth.type, ETH_TYPE_ARP);
		assert_int_equal(arp_parse(&s.data, &a), WIRE_OK);
		assert_int_equal(a.sender_ip, US);
		assert_int_equal(a.target_ip, US);
	}
	assert_true(s.now >= STACK_START_NS + 2 * NS_SEC);
	assert_false(stack_wait(&s, 100 * NS_SEC));
	stack_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_init__what_is_refused),
		cmocka_unit_test(engine_attach__at_another_address),
		cmocka_unit_test(engine_input__what_is_not_for_us),
		cmocka_unit_test(engine_stat_name__each_has_one),
		cmocka_unit_test(engine_init__announces_itself),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
