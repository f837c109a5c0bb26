// SPDX-License-Identifier: BSD-2-Clause
/*
 * Segments that an engine made with checksum_offload, put together.
 */
#include "daemon/wire_gso.h"
#include "stack_test.h"
#include "wire/checksum.h"

#define MSS 1000u

static struct gso g;
static uint8_t octets[200000];

/* A segment of the stream, as the engine makes them: @n octets from @seq on. */
static uint8_t bytes_of[64][ENGINE_HEADER_BYTES];
static unsigned made;

static struct engine_frame segment(uint32_t seq, uint16_t n, uint8_t flags)
{
	uint8_t *to = bytes_of[made++ % 64];
	struct emit out = emit_to(to, ENGINE_HEADER_BYTES);
	struct eth eth = {
		.dst = {2, 0, 0, 0, 0, 1}, .src = {2, 0, 0, 0, 0, 2}, .type = ETH_TYPE_IPV4};
	struct tcp_header h = {.sport = 1,
			       .dport = 2,
			       .seq = seq,
			       .ack = 7,
			       .window = 99,
			       .flags = (uint8_t)(TCP_ACK | flags),
			       .has = TCP_HAS_TS,
			       .ts_value = 5,
			       .ts_echo = 6};
	struct ipv4 ip = {.src = US,
			  .dst = PEER,
			  .proto = IPV4_PROTO_TCP,
			  .ttl = 64,
			  .df = true,
			  .total_bytes = (uint16_t)(IPV4_HEADER_BYTES + tcp_header_size(&h) + n)};
	struct engine_frame f = {.pieces = n ? 2 : 1, .partial = true};

	eth_emit(&out, &eth);
	ipv4_emit(&out, &ip);
	tcp_emit(&out, &h, ip.src, ip.dst, 0, n);
	tcp_emit_partial(to + ETH_HEADER_BYTES + IPV4_HEADER_BYTES, ip.src, ip.dst,
			 (uint16_t)(tcp_header_size(&h) + n));
	f.piece[0] = (struct engine_piece){to, emit_bytes(&out)};
	f.piece[1] = (struct engine_piece){octets + seq % 100000, n};
	f.bytes = (uint32_t)emit_bytes(&out) + n;
	return f;
}

static bool add(uint32_t seq, uint16_t n, uint8_t flags)
{
	struct engine_frame f = segment(seq, n, flags);

	return gso_add(&g, &f);
}

static int begin(void **state)
{
	(void)state;
	g = (struct gso){0};
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 7);
	return 0;
}

/* What was put together, as one packet, is right in every length and sum. */
static void gso_seal__one_right_packet(void **state)
{
	static uint8_t whole[70000];
	size_t n = 0;
	struct cursor c, data;
	struct eth eth;
	struct ipv4 ip;
	struct tcp_header h;
	uint64_t sum;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		assert_true(add(1000 + i * MSS, MSS, i == 4 ? TCP_PSH : 0));
	assert_int_equal(g.segments, 5);
	gso_seal(&g);
	for (unsigned i = 0; i < g.pieces; i++) {
		memcpy(whole + n, g.piece[i].iov_base, g.piece[i].iov_len);
		n += g.piece[i].iov_len;
	}
	c = cursor_of(whole, n);
	assert_int_equal(eth_parse(&c, &eth), WIRE_OK);
	assert_int_equal(ipv4_parse(&c, &ip), WIRE_OK); /* its sum, too */
	assert_int_equal(cursor_left(&c), n - 34);
	/* The device adds up from the TCP header on, over what stands in the field. */
	sum = checksum_add(0, whole + 34, n - 34);
	whole[34 + TCP_CHECKSUM_AT] = (uint8_t)(checksum_fold(sum) >> 8);
	whole[34 + TCP_CHECKSUM_AT + 1] = (uint8_t)checksum_fold(sum);
	data = c;
	assert_true(tcp_sum_ok(&data, ip.src, ip.dst));
	assert_int_equal(tcp_parse(&c, &h), WIRE_OK);
	assert_int_equal(h.seq, 1000);
	assert_int_equal(h.flags, TCP_ACK | TCP_PSH);
	assert_int_equal(cursor_left(&c), 5 * MSS);
	assert_memory_equal(c.at, octets + 1000, 5 * MSS);
	assert_int_equal(g.size, MSS);
}

static void gso_add__what_ends_it(void **state)
{
	static const uint8_t ends[] = {TCP_PSH, TCP_FIN, TCP_SYN, TCP_RST, TCP_URG};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		g = (struct gso){0};
		assert_true(add(0, MSS, ends[i]));
		assert_false(add(MSS, MSS, 0));
	}
	g = (struct gso){0};
	assert_true(add(0, MSS, 0));
	assert_true(add(MSS, MSS / 2, 0)); /* a short one is the last */
	assert_false(add(MSS + MSS / 2, MSS / 2, 0));
	g = (struct gso){0};
	assert_true(add(0, 0, 0));
	assert_false(add(0, MSS, 0));
}

static void gso_add__what_does_not_follow(void **state)
{
	struct engine_frame f;

	(void)state;
	assert_true(add(0, MSS, 0));
	assert_false(add(MSS + 1, MSS, 0));   /* a gap */
	assert_false(add(0, MSS, 0));	      /* once more */
	assert_false(add(MSS, MSS + 1, 0));   /* a longer one */
	assert_false(add(MSS, 0, 0));	      /* an ACK */
	assert_false(add(MSS, MSS, TCP_CWR)); /* other flags */
	/* Whatever else in the headers is not the same: MACs, addresses, ports, ACK, window,
	 * timestamps, TTL; but for lengths, sums and the IP identification. */
	for (size_t at = 0; at < 66; at++) {
		f = segment(MSS, MSS, 0);
		((uint8_t *)(uintptr_t)f.piece[0].at)[at] ^= 0x10;
		if ((at >= 16 && at < 20) || at == 24 || at == 25 || at == 50 || at == 51)
			continue;
		if (gso_add(&g, &f))
			fail_msg("octet %zu", at);
	}
	assert_true(add(MSS, MSS, 0));
	assert_int_equal(g.segments, 2);
}

static void gso_add__no_more_than_a_packet_holds(void **state)
{
	unsigned n = 0;

	(void)state;
	while (add(n * MSS, MSS, 0))
		n++;
	assert_int_equal(n, (65535 - 52) / MSS);
	assert_int_equal(g.segments, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(gso_seal__one_right_packet, begin),
		cmocka_unit_test_setup(gso_add__what_ends_it, begin),
		cmocka_unit_test_setup(gso_add__what_does_not_follow, begin),
		cmocka_unit_test_setup(gso_add__no_more_than_a_packet_holds, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
