// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "net/net.h"

#define PAGE 4096u
#define US MNET_IP4(10, 0, 0, 1)

static const uint8_t key[16] = {1, 2, 3};

static struct mnet_config config(void)
{
	return (struct mnet_config){
		.bytes = sizeof(struct mnet_config),
		.mac = {2, 0, 0, 0, 0, 1},
		.addresses = 1,
		.address = {{US, 24}},
		.connections = 4,
		.ring_bytes = 1u << 20,
		.loopback = true,
		.no_announce = true,
	};
}

static void *zeroed(size_t bytes)
{
	void *mem = aligned_alloc(PAGE, (bytes + PAGE - 1) & ~(size_t)(PAGE - 1));

	assert_non_null(mem);
	return memset(mem, 0, bytes);
}

static void mnet_init__what_is_refused(void **state)
{
	struct mnet_config c = config();
	size_t bytes = mnet_bytes(&c);
	uint8_t *mem = zeroed(bytes + PAGE);
	struct mnet *net = NULL;

	(void)state;
	assert_true(bytes > 0);
	assert_int_equal(mnet_init(mem + 8, bytes, &c, key, 0, &net), -EINVAL);
	assert_int_equal(mnet_init(NULL, bytes, &c, key, 0, &net), -EINVAL);
	assert_int_equal(mnet_init(mem, 100, &c, key, 0, &net), -ENOMEM);
	assert_int_equal(mnet_init(mem, bytes - 1, &c, key, 0, &net), -ENOMEM);
	assert_int_equal(mnet_attach(mem, bytes, &net), -EINVAL);
	c.bytes--;
	assert_int_equal(mnet_bytes(&c), 0);
	assert_int_equal(mnet_init(mem, bytes, &c, key, 0, &net), -EINVAL);
	c = config();
	c.mtu = 20;
	assert_int_equal(mnet_bytes(&c), 0);
	c = config();
	c.addresses = MNET_ADDRESSES + 1;
	assert_int_equal(mnet_bytes(&c), 0);
	assert_null(net);
	free(mem);
}

static size_t nothing_comes(void *context, void *room, size_t bytes)
{
	(void)context;
	(void)room;
	(void)bytes;
	return 0;
}

static void count_frame(void *context, const struct mnet_frame *frame)
{
	(void)frame;
	++*(unsigned *)context;
}

static bool never(void *context)
{
	(void)context;
	return false;
}

/* A listener, and a connection to it, of the same stack. */
static void pair(struct mnet *net, const struct mnet_device *d, struct mnet_sock *ret_a,
		 struct mnet_sock *ret_b)
{
	struct mnet_sock l;

	assert_int_equal(mnet_open(net, MNET_TCP, 1, &l), 0);
	assert_int_equal(mnet_bind(net, l, 0, 80), 0);
	assert_int_equal(mnet_listen(net, l, 1), 0);
	assert_int_equal(mnet_open(net, MNET_TCP, 2, ret_a), 0);
	assert_int_equal(mnet_connect(net, 0, *ret_a, MNET_IP4(127, 0, 0, 1), 80), -EINPROGRESS);
	(void)mnet_poll(net, 0, d);
	assert_int_equal(mnet_accept(net, 0, l, 3, ret_b), 0);
	assert_int_equal(mnet_close(net, 0, l), 0);
}

static void mnet_poll__to_ourselves(void **state)
{
	struct mnet_config c = config();
	size_t bytes = mnet_bytes(&c);
	void *mem = zeroed(bytes);
	unsigned frames = 0;
	struct mnet_device d = {&frames, nothing_comes, count_frame, NULL};
	struct mnet_sock a, b;
	struct mnet_info info;
	struct mnet *net;
	char room[8];

	(void)state;
	assert_int_equal(mnet_init(mem, bytes, &c, key, 0, &net), 0);
	pair(net, &d, &a, &b);
	assert_int_equal(mnet_send(net, 0, a, "hello", 5), 5);
	d.can_send = never;
	(void)mnet_poll(net, 0, &d);
	assert_int_equal(mnet_recv(net, 0, b, room, sizeof(room)), -EAGAIN);
	d.can_send = NULL;
	(void)mnet_poll(net, 0, &d);
	assert_int_equal(mnet_recv(net, 0, b, room, sizeof(room)), 5);
	assert_memory_equal(room, "hello", 5);
	assert_int_equal(frames, 0); /* none is for the device */
	assert_int_equal(mnet_info(net, a, &info, sizeof(info)), 0);
	assert_int_equal(info.state, MNET_STATE_ESTABLISHED);
	assert_int_equal(info.remote_port, 80);
	/* An older program's struct. */
	memset(&info, 0x55, sizeof(info));
	assert_int_equal(mnet_info(net, a, &info, offsetof(struct mnet_info, local_addr)), 0);
	assert_int_equal(info.local_addr, 0x55555555);
	assert_int_equal(mnet_set(net, 0, a, (enum mnet_option)99, 1), -ENOPROTOOPT);
	assert_int_equal(mnet_set(net, 0, a, MNET_TCP_NODELAY, 1), 0);
	free(mem);
}

/* A SYN to somebody who does not answer: what is due is done at its time, and not before. */
static void mnet_time__what_is_due(void **state)
{
	struct mnet_config c = config();
	size_t bytes = mnet_bytes(&c);
	void *mem = zeroed(bytes);
	unsigned frames = 0;
	struct mnet_device d = {&frames, nothing_comes, count_frame, NULL};
	struct mnet_frame frame;
	struct mnet_sock s;
	struct mnet *net;
	uint64_t due;

	(void)state;
	assert_int_equal(mnet_init(mem, bytes, &c, key, 0, &net), 0);
	assert_int_equal(mnet_open(net, MNET_TCP, 1, &s), 0);
	assert_int_equal(mnet_connect(net, 0, s, c.address[0].addr ^ 1, 80), -EINPROGRESS);
	due = mnet_poll(net, 0, &d);
	assert_int_equal(frames, 1);
	assert_true(due > 0 && due < 60000000000);
	assert_int_equal(mnet_poll(net, due - 1, &d), due);
	assert_int_equal(frames, 1);
	/* The deadline is sometimes early, and moves on. */
	for (bool out = false; !out; due = mnet_deadline(net)) {
		mnet_time(net, due);
		assert_true(mnet_deadline(net) > due);
		out = mnet_output(net, due, &frame);
	}
	while (frames == 1) {
		uint64_t next = mnet_poll(net, due, &d);

		assert_true(next > due);
		due = next;
	}
	free(mem);
}

static void mnet_attach__a_copy_goes_on(void **state)
{
	struct mnet_config c = config();
	size_t bytes = mnet_bytes(&c);
	void *mem = zeroed(bytes), *copy = zeroed(bytes);
	unsigned frames = 0;
	struct mnet_device d = {&frames, nothing_comes, count_frame, NULL};
	struct mnet_sock a, b;
	struct mnet *net;
	char room[8];

	(void)state;
	assert_int_equal(mnet_init(mem, bytes, &c, key, 0, &net), 0);
	pair(net, &d, &a, &b);
	assert_int_equal(mnet_send(net, 0, a, "hello", 5), 5);
	memcpy(copy, mem, bytes);
	free(mem); /* what looked there would be found by ASan */
	assert_int_equal(mnet_attach(copy, bytes, &net), 0);
	(void)mnet_poll(net, 0, &d);
	assert_int_equal(mnet_recv(net, 0, b, room, sizeof(room)), 5);
	assert_memory_equal(room, "hello", 5);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mnet_init__what_is_refused),
		cmocka_unit_test(mnet_poll__to_ourselves),
		cmocka_unit_test(mnet_time__what_is_due),
		cmocka_unit_test(mnet_attach__a_copy_goes_on),
	};

	return cmocka_run_group_tests_name("netlib", tests, NULL, NULL);
}
