/* SPDX-License-Identifier: BSD-2-Clause */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "shm/futex.h"
#include "world.h"

#define LIMIT (4u << 20)
#define IN (POLLIN | POLLRDNORM)
#define OUT (POLLOUT | POLLWRNORM)

struct two {
	struct world *w;
	struct conn a, b; /* a connected, b accepted */
};

static int setup(void **state)
{
	struct two *t = calloc(1, sizeof(*t));

	t->w = world_make(2);
	world_pair(t->w, &t->a, &t->b);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct two *t = *state;

	world_free(t->w);
	free(t);
	return 0;
}

static void nap(uint64_t ns)
{
	struct timespec ts = clock_timespec(ns);

	nanosleep(&ts, NULL);
}

/* Fill the ring until it takes no more. */
static uint64_t fill(struct conn *c, uint64_t at)
{
	uint64_t done = 0;

	for (int i = 0; i < 100000; i++) {
		ssize_t r = send_pattern(c, at + done, 10007);

		if (r == -EAGAIN)
			return done;
		assert_true(r > 0);
		done += (uint64_t)r;
	}
	fail();
	return 0;
}

static uint64_t drain(struct conn *c, uint64_t at, uint64_t most)
{
	uint64_t done = 0;

	while (done < most) {
		ssize_t r = recv_pattern(c, at + done, most - done < 65536 ? most - done : 65536);

		if (r == -EAGAIN || r == 0)
			break;
		assert_true(r > 0);
		done += (uint64_t)r;
	}
	return done;
}

/* ----------------------------------------------------------- conn_attach */

static void conn_attach__refuses_an_impossible_slot(void **state)
{
	struct two *t = *state;
	struct conn c;

	assert_int_equal(conn_attach(&c, t->a.party, t->a.own, half_ref_make(2, 0xffff, 1),
				     t->a.owner), -EPROTO);
}

/* ------------------------------------------------------------- conn_send */

static void conn_send__nothing(void **state)
{
	struct two *t = *state;

	assert_int_equal(conn_send(&t->a, "x", 0), 0);
	assert_int_equal(t->a.own->ext_count, 0);
}

static void conn_send__peer_cannot_be_written(void **state)
{
	struct two *t = *state;
	char line[256], perms[8] = "";
	unsigned long from, to;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), maps)) {
		char p[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, p) == 3 &&
		    (uintptr_t)t->a.peer >= from && (uintptr_t)t->a.peer < to)
			memcpy(perms, p, sizeof(perms));
	}
	fclose(maps);
	assert_memory_equal(perms, "r--s", 4);
}

static void conn_send__all_sizes_cross(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, 8193,
					16383, 16384, 16385, 65535, 65536, 65537, 262143, 262144,
					262145, 1000003 };
	struct two *t = *state;
	uint64_t in = 0, out = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
			size_t left = sizes[i];

			while (left) {
				ssize_t r = send_pattern(&t->a, in, left);

				if (r == -EAGAIN)
					r = 0;
				assert_true(r >= 0);
				in += (uint64_t)r;
				left -= (size_t)r;
				out += drain(&t->b, out, 4099 * (i + 1));
			}
		}
	}
	out += drain(&t->b, out, UINT64_MAX);
	assert_int_equal(in, out);
	assert_int_equal(conn_recv(&t->b, (char[1]){ 0 }, 1, 0, 0), -EAGAIN);
}

static void conn_send__both_ways_at_random(void **state)
{
	struct two *t = *state;
	uint64_t seed = dice_seed(), in[2] = { 0 }, out[2] = { 0 };
	struct conn *c[2] = { &t->a, &t->b };

	for (unsigned i = 0; i < 20000; i++) {
		unsigned from = (unsigned)dice(&seed) & 1;
		size_t len = 1 + dice(&seed) % (1u << (dice(&seed) % 18));
		ssize_t r;

		switch (dice(&seed) % 4) {
		case 0:
		case 1:
			r = send_pattern(c[from], in[from], len);
			assert_true(r > 0 || r == -EAGAIN);
			in[from] += r > 0 ? (uint64_t)r : 0;
			break;
		case 2:
			out[from] += drain(c[!from], out[from], len * 2);
			break;
		default:
			if (dice(&seed) % 8 == 0)
				conn_trim(c[from]);
			assert_int_equal(conn_readable(c[!from]), in[from] - out[from]);
			assert_int_equal(conn_unsent(c[from]), in[from] - out[from]);
		}
	}
	for (unsigned from = 0; from < 2; from++) {
		out[from] += drain(c[!from], out[from], UINT64_MAX);
		assert_int_equal(in[from], out[from]);
	}
}

static void conn_send__reader_that_does_not_read_is_taken_4_mb(void **state)
{
	struct two *t = *state;
	uint64_t n = fill(&t->a, 0);

	assert_int_equal(n, LIMIT);
	assert_int_equal(conn_unsent(&t->a), LIMIT);
	assert_int_equal(drain(&t->b, 0, UINT64_MAX), LIMIT);
	assert_true(send_pattern(&t->a, n, 1) == 1);
}

static void conn_send__reader_that_reads_is_not_waited_for_with_4_mb(void **state)
{
	struct two *t = *state;
	uint64_t in = 0, out = 0, most = 0;

	/* A reader that reads whenever the ring is full, at half its rate. */
	for (unsigned i = 0; i < 400; i++) {
		ssize_t r = send_pattern(&t->a, in, 65536);

		in += r > 0 ? (uint64_t)r : 0;
		if (i > 40 && in - out > most)
			most = in - out;
		if (i > 4)
			out += drain(&t->b, out, 65536);
	}
	assert_true(most <= 2u << 20);
	out += drain(&t->b, out, UINT64_MAX);
	assert_int_equal(in, out);
}

static void conn_send__reader_that_stopped_reading_is_taken_4_mb(void **state)
{
	struct two *t = *state;
	uint64_t in = 0, out = 0;

	for (unsigned i = 0; i < 64; i++) {
		ssize_t r = send_pattern(&t->a, in, 262144);

		in += r > 0 ? (uint64_t)r : 0;
		out += drain(&t->b, out, 65536);
	}
	/* Now it reads no more. The sender finds that out by trying again
	 * after a while, as a blocking send does before it sleeps for good. */
	for (unsigned i = 0; i < 4; i++) {
		in += fill(&t->a, in);
		nap(3 * NS_PER_MS);
	}
	in += fill(&t->a, in);
	assert_int_equal(in - out, LIMIT);
	out += drain(&t->b, out, UINT64_MAX);
	assert_int_equal(in, out);
}

static void conn_send__buffers_limit(void **state)
{
	struct two *t = *state;

	store_relaxed(&t->a.own->sndbuf, 20000);
	store_relaxed(&t->b.own->rcvbuf, 30000);
	assert_int_equal(fill(&t->a, 0), 50000);
	assert_int_equal(drain(&t->b, 0, 10000), 10000);
	assert_int_equal(fill(&t->a, 50000), 10000);
	/* A limit that was lowered takes nothing back. */
	store_relaxed(&t->a.own->sndbuf, 5000);
	assert_int_equal(conn_send(&t->a, "x", 1), -EAGAIN);
	assert_int_equal(drain(&t->b, 10000, UINT64_MAX), 50000);
}

static void conn_send__after_shutdown(void **state)
{
	struct two *t = *state;

	conn_shutdown_write(&t->a);
	assert_int_equal(conn_send(&t->a, "x", 1), -EPIPE);
	assert_int_equal(conn_send(&t->b, "x", 1), 1);
	assert_int_equal(recv_pattern(&t->a, 0, 0), 0);
}

static void conn_send__meets_closed(void **state)
{
	struct two *t = *state;

	world_close(&t->b);
	/* As on Linux: the first send is taken, its answer is a reset. */
	assert_int_equal(conn_poll(&t->a), IN | POLLRDHUP | OUT);
	assert_int_equal(conn_send(&t->a, "x", 1), 1);
	assert_int_equal(conn_poll(&t->a), IN | POLLRDHUP | OUT | POLLHUP | POLLERR);
	assert_int_equal(conn_send(&t->a, "x", 1), -EPIPE);
	assert_int_equal(conn_send(&t->a, "x", 1), -EPIPE);
	assert_int_equal(conn_take_error(&t->a), 0);
}

static void conn_send__met_closed_error_is_taken_by_so_error(void **state)
{
	struct two *t = *state;

	world_close(&t->b);
	assert_int_equal(conn_send(&t->a, "x", 1), 1);
	assert_int_equal(conn_take_error(&t->a), EPIPE);
	assert_int_equal(conn_take_error(&t->a), 0);
	assert_int_equal(conn_send(&t->a, "x", 1), -EPIPE);
	assert_int_equal(conn_recv(&t->a, (char[1]){ 0 }, 1, 0, 0), 0);
}

static void conn_sendv__pieces_arrive_together(void **state)
{
	struct two *t = *state;
	char text[] = "abcdefgh", got[16];
	struct iovec iov[4] = { { text, 3 }, { NULL, 0 }, { text + 3, 4 }, { text + 7, 1 } };

	conn_want_futex(&t->b, NOTIFY_DATA);
	assert_int_equal(conn_sendv(&t->a, iov, 4, 0), 8);
	assert_int_equal(t->a.own->event, 1); /* one wake */
	assert_int_equal(conn_recv(&t->b, got, sizeof(got), 0, 0), 8);
	assert_memory_equal(got, text, 8);
	/* The rest of a call that was cut short. */
	for (size_t skip = 0; skip <= 8; skip++) {
		assert_int_equal(conn_sendv(&t->a, iov, 4, skip), 8 - skip);
		if (skip < 8)
			assert_int_equal(conn_recv(&t->b, got, sizeof(got), 0, 0), 8 - skip);
		assert_memory_equal(got, text + skip, 8 - skip);
	}
	conn_unwant_futex(&t->b, NOTIFY_DATA);
}

static void conn_sendv__large_and_round_the_edge(void **state)
{
	struct two *t = *state;
	static unsigned char out[3][50000], in[150000];
	struct iovec iov[3] = { { out[0], 50000 }, { out[1], 33333 }, { out[2], 50000 } };

	for (size_t i = 0; i < sizeof(out); i++)
		out[i / 50000][i % 50000] = (unsigned char)(i * 7 + i / 251);
	for (int round = 0; round < 9; round++) {
		size_t want = 133333, sent = 0, got = 0;

		while (sent < want || got < sent) {
			ssize_t r = sent < want ? conn_sendv(&t->a, iov, 3, sent) : 0;

			assert_true(r >= 0 || r == -EAGAIN);
			sent += r > 0 ? (size_t)r : 0;
			r = conn_recv(&t->b, in + got, sizeof(in) - got, 0, 0);
			assert_true(r > 0);
			got += (size_t)r;
		}
		assert_memory_equal(in, out[0], 50000);
		assert_memory_equal(in + 50000, out[1], 33333);
		assert_memory_equal(in + 83333, out[2], 50000);
	}
}

static void conn_send__reset_is_told_once(void **state)
{
	struct two *t = *state;

	assert_int_equal(conn_send(&t->a, "abc", 3), 3);
	world_close(&t->b); /* unread: RST */
	assert_int_equal(conn_send(&t->a, "x", 1), -ECONNRESET);
	assert_int_equal(conn_send(&t->a, "x", 1), -EPIPE);
	assert_int_equal(conn_recv(&t->a, (char[1]){ 0 }, 1, 0, 0), 0);
}

/* Where the bytes lie: up to the edges of the ring and of its stretches, in order. */
static void conn_send_begin__all_that_it_gives_crosses(void **state)
{
	struct two *t = *state;
	const unsigned char *from;
	uint64_t sent = 0, got = 0;
	struct iovec to[2];
	unsigned around = 0;
	ssize_t n;

	assert_int_equal(conn_recv_begin(&t->b, 0, &from), -EAGAIN);
	while (got < 8000000) {
		n = conn_send_begin(&t->a, 3000, to);
		if (n > 0) {
			assert_int_equal(to[0].iov_len + to[1].iov_len, n);
			around += to[1].iov_len > 0;
			for (size_t i = 0; i < (size_t)n; i++)
				((unsigned char *)(i < to[0].iov_len ? to[0].iov_base
								     : to[1].iov_base))
					[i < to[0].iov_len ? i : i - to[0].iov_len] =
						(unsigned char)((sent + i) % 251);
			conn_send_end(&t->a, (size_t)n);
			sent += (uint64_t)n;
			/* At times until it is full, which is where it began. */
			if (got < 1000000 || sent - got < 100000)
				continue;
		} else {
			assert_int_equal(n, -EAGAIN);
		}
		n = conn_recv_begin(&t->b, 0, &from);
		assert_true(n > 0);
		/* Not all of it at once: what is left comes again. */
		n = n > 1 ? n - n / 3 : n;
		for (ssize_t i = 0; i < n; i++)
			if (from[i] != (got + (uint64_t)i) % 251)
				fail_msg("byte %llu", (unsigned long long)got);
		conn_recv_end(&t->b, (size_t)n);
		got += (uint64_t)n;
	}
	while ((n = conn_recv_begin(&t->b, 0, &from)) > 0) {
		conn_recv_end(&t->b, (size_t)n);
		got += (uint64_t)n;
	}
	assert_int_equal(n, -EAGAIN);
	assert_true(got == sent);
	assert_true(around > 0);
	conn_shutdown_write(&t->a);
	assert_int_equal(conn_recv_begin(&t->b, 0, &from), 0);
	assert_int_equal(conn_send_begin(&t->a, 1, to), -EPIPE);
}

static void conn_recv_begin__a_peer_that_lies(void **state)
{
	struct two *t = *state;
	const unsigned char *from;

	store_release(&t->a.own->tail, 1ull << 40);
	assert_int_equal(conn_recv_begin(&t->b, 0, &from), -ECONNRESET);
	assert_true(load_relaxed(&t->b.own->end) & END_RST);
}

/* ------------------------------------------------------------ conn_up */

static void conn_pending__until_the_network_answers(void **state)
{
	struct two *t = *state;

	atomic_fetch_or(&t->a.own->side, SIDE_WIRE);
	assert_true(conn_pending(&t->a));
	assert_int_equal(conn_poll(&t->a), 0);
	assert_int_equal(conn_send(&t->a, "x", 1), -EAGAIN);
	assert_int_equal(conn_recv(&t->a, (char[1]){ 0 }, 1, 0, 0), -EAGAIN);
	conn_want_futex(&t->a, NOTIFY_SPACE);
	conn_up(&t->b);
	assert_int_equal(load_relaxed(&t->b.own->event), 1); /* woken */
	assert_false(conn_pending(&t->a));
	assert_int_equal(conn_poll(&t->a), OUT);
	assert_int_equal(conn_send(&t->a, "x", 1), 1);
	assert_false(conn_pending(&t->b));
}

static void conn_pending__its_error_is_the_networks(void **state)
{
	struct two *t = *state;

	atomic_fetch_or(&t->a.own->side, SIDE_WIRE);
	store_relaxed(&t->b.own->end_error, EHOSTUNREACH);
	conn_finish(&t->b, true);
	assert_false(conn_pending(&t->a));
	assert_int_equal(conn_poll(&t->a), IN | OUT | POLLERR | POLLHUP | POLLRDHUP);
	assert_int_equal(conn_take_error(&t->a), EHOSTUNREACH);
	assert_int_equal(conn_take_error(&t->a), 0);
}

/* Who sets an option rings the wire, and nobody else. */
static void conn_options_set__rings_the_wire(void **state)
{
	struct two *t = *state;
	uint32_t before = load_relaxed(&t->a.own->wakes) & 0xffffffff;

	conn_want_hint(&t->b, NOTIFY_DATA);
	conn_options_set(&t->a);
	assert_true(load_relaxed(&t->a.own->wakes) == before);
	atomic_fetch_or(&t->b.own->end, END_UP);
	conn_options_set(&t->a);
	assert_true(load_relaxed(&t->a.own->wakes) == before + 1);
}

static void conn_take_error__an_impossible_one_is_a_reset(void **state)
{
	struct two *t = *state;

	store_relaxed(&t->b.own->end_error, 0x7fffffff);
	conn_finish(&t->b, true);
	assert_int_equal(conn_take_error(&t->a), ECONNRESET);
}

static void conn_send__no_memory_at_all(void **state)
{
	struct two *t = *state;
	uint64_t was = t->a.party->ring_next;

	t->a.party->ring_next = ARENA_BYTES;
	memset(t->a.party->ring_free, 0, sizeof(t->a.party->ring_free));
	assert_int_equal(conn_send(&t->a, "x", 1), -ENOBUFS);
	assert_int_equal(t->a.own->tail, 0);
	t->a.party->ring_next = was;
	assert_int_equal(conn_send(&t->a, "x", 1), 1);
}

/* The Nth allocation of ring memory fails, and all after it. */
static void conn_send__nth_allocation_fails(void **state)
{
	struct two *t = *state;
	struct party *p = t->a.party;

	for (unsigned n = 1; n <= 5; n++) {
		/* Sizes in the order in which a ring asks for them. */
		static const uint64_t ask[] = { 1u << 18, 1u << 20, 1u << 22, 1u << 22, 1u << 22 };
		uint64_t was = p->ring_next, used = p->ring_used_bytes, left = 0, got, in;
		struct conn a, b;

		world_pair(t->w, &a, &b);
		memset(p->ring_free, 0, sizeof(p->ring_free));
		for (unsigned i = 0; i + 1 < n; i++)
			left += ask[i];
		p->ring_next = ARENA_BYTES - left;
		in = 0;
		for (;;) {
			ssize_t r = send_pattern(&a, in, 65536);

			if (r == -EAGAIN || r == -ENOBUFS)
				break;
			assert_true(r > 0);
			in += (uint64_t)r;
			assert_true(in <= LIMIT);
		}
		/* A sender that got nothing must be able to wait for space. */
		assert_true(n == 1 || !conn_writable(&a));
		assert_true(n == 1 || !(conn_poll(&a) & POLLOUT));
		got = drain(&b, 0, UINT64_MAX);
		assert_int_equal(got, in);
		assert_true(n == 1 || conn_writable(&a));
		assert_true(n == 1 || send_pattern(&a, in, 100) == 100);
		world_close(&a);
		drain(&b, in, UINT64_MAX);
		world_close(&b);
		party_peers_sweep(p);
		party_peers_sweep(t->w->of[2].p);
		party_peers_sweep(p);
		assert_int_equal(p->ring_used_bytes, used);
		p->ring_next = was;
		memset(p->ring_free, 0, sizeof(p->ring_free));
	}
}

/* ------------------------------------------------------------- conn_recv */

static void conn_recv__nothing(void **state)
{
	struct two *t = *state;
	char c;

	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), -EAGAIN);
	assert_int_equal(conn_recv(&t->b, &c, 0, 0, 0), 0);
}

static void conn_recv__peek_leaves_it(void **state)
{
	struct two *t = *state;
	unsigned char buf[64];

	send_pattern(&t->a, 0, 40);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(conn_recv(&t->b, buf, 16, 0, CONN_PEEK), 16);
		assert_int_equal(buf[15], pattern(15));
	}
	assert_int_equal(conn_recv(&t->b, buf, 64, 16, CONN_PEEK), 24);
	assert_int_equal(buf[0], pattern(16));
	assert_int_equal(conn_readable(&t->b), 40);
	assert_int_equal(conn_unsent(&t->a), 40);
	assert_int_equal(recv_pattern(&t->b, 0, 64), 40);
}

static void conn_recv__peek_across_extents(void **state)
{
	struct two *t = *state;
	static unsigned char buf[1 << 20];

	send_pattern(&t->a, 0, 5000); /* in the first ring */
	send_pattern(&t->a, 5000, 205000);
	assert_true(t->a.own->ext_count >= 2);
	assert_int_equal(conn_recv(&t->b, buf, sizeof(buf), 0, CONN_PEEK), 210000);
	for (unsigned i = 0; i < 210000; i++)
		assert_int_equal(buf[i], pattern(i));
	/* Back to the first extent after the second was in use. */
	assert_int_equal(recv_pattern(&t->b, 0, 4000), 4000);
	assert_int_equal(conn_recv(&t->b, buf, 10, 155000, CONN_PEEK), 10);
	assert_int_equal(buf[0], pattern(159000));
	assert_int_equal(drain(&t->b, 4000, UINT64_MAX), 206000);
}

static void conn_recv__peek_beyond_the_end(void **state)
{
	struct two *t = *state;
	char buf[8];

	send_pattern(&t->a, 0, 3);
	assert_int_equal(conn_recv(&t->b, buf, 8, 3, CONN_PEEK), -EAGAIN);
	assert_int_equal(conn_recv(&t->b, buf, 8, 5, CONN_PEEK), -EAGAIN);
	conn_shutdown_write(&t->a);
	assert_int_equal(conn_recv(&t->b, buf, 8, 3, CONN_PEEK), 0);
	assert_int_equal(conn_recv(&t->b, buf, 8, 5, CONN_PEEK), 0);
	assert_int_equal(recv_pattern(&t->b, 0, 8), 3);
}

static void conn_recv__discard(void **state)
{
	struct two *t = *state;

	send_pattern(&t->a, 0, 300000);
	assert_int_equal(conn_recv(&t->b, NULL, 100000, 0, CONN_DISCARD), 100000);
	assert_int_equal(recv_pattern(&t->b, 100000, 10), 10);
	assert_int_equal(conn_recv(&t->b, NULL, 1000, 0, CONN_DISCARD | CONN_PEEK), 1000);
	assert_int_equal(recv_pattern(&t->b, 100010, 10), 10);
}

static void conn_recv__data_then_fin(void **state)
{
	struct two *t = *state;
	char c;

	send_pattern(&t->a, 0, 100);
	world_close(&t->a);
	assert_int_equal(conn_poll(&t->b), IN | POLLRDHUP | OUT);
	assert_int_equal(recv_pattern(&t->b, 0, 60), 60);
	assert_int_equal(recv_pattern(&t->b, 60, 60), 40);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
	assert_int_equal(conn_take_error(&t->b), 0);
}

static void conn_recv__data_then_reset(void **state)
{
	struct two *t = *state;
	char c;

	send_pattern(&t->b, 0, 5);
	send_pattern(&t->a, 0, 100);
	world_close(&t->a); /* with 5 bytes unread */
	assert_int_equal(recv_pattern(&t->b, 0, 100), 100);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), -ECONNRESET);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
	assert_int_equal(conn_take_error(&t->b), 0);
}

static void conn_recv__an_error_waits_where_there_are_bytes(void **state)
{
	struct two *t = *state;
	char buf[4];

	half_end(t->a.party, t->a.own, t->a.peer, t->a.owner, true);
	assert_int_equal(conn_recv(&t->b, buf, 4, 0, CONN_MORE), 0);
	assert_int_equal(conn_recv(&t->b, buf, 4, 0, 0), -ECONNRESET);
}

static void conn_recv__reset_after_fin_is_epipe(void **state)
{
	struct two *t = *state;
	char c;

	conn_shutdown_write(&t->a);
	send_pattern(&t->b, 0, 5);
	world_close(&t->a);
	/* The end of the stream came first: it stays the end. */
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
	assert_int_equal(conn_take_error(&t->b), EPIPE);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
}

static void conn_recv__after_own_shutdown_of_reading(void **state)
{
	struct two *t = *state;
	char c;

	send_pattern(&t->a, 0, 2);
	atomic_fetch_or(&t->b.own->side, SIDE_RD_SHUT);
	assert_int_equal(recv_pattern(&t->b, 0, 1), 1);
	assert_int_equal(recv_pattern(&t->b, 1, 9), 1);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
}

static void conn_recv__two_sharers_by_cas(void **state)
{
	struct two *t = *state;
	struct conn other = t->b;

	store_relaxed(&t->b.own->shared, 1);
	send_pattern(&t->a, 0, 100);
	assert_int_equal(recv_pattern(&t->b, 0, 30), 30);
	assert_int_equal(recv_pattern(&other, 30, 30), 30);
	assert_int_equal(recv_pattern(&t->b, 60, 100), 40);
	assert_int_equal(conn_recv(&other, (char[1]){ 0 }, 1, 0, 0), -EAGAIN);
}

static void conn_recv__impossible_tail_breaks_it(void **state)
{
	struct two *t = *state;
	char c;

	send_pattern(&t->a, 0, 10);
	assert_int_equal(recv_pattern(&t->b, 0, 10), 10);
	store_relaxed(&t->a.own->tail, 5);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), -ECONNRESET);
	assert_int_equal(conn_recv(&t->b, &c, 1, 0, 0), 0);
	assert_int_equal(conn_send(&t->b, "x", 1), -EPIPE);
	assert_true(t->b.own->end & END_RST);
	assert_int_equal(conn_take_error(&t->a), ECONNRESET);
}

static void conn_recv__impossible_extent_breaks_it(void **state)
{
	static const uint64_t where[] = { 0, UINT64_MAX, 14, 1ull << 20 << 8 | 22,
					  (ARENA_BYTES / PAGE_BYTES - 1) << 8 | 14,
					  ARENA_OFF_RINGS / PAGE_BYTES << 8 | 13,
					  ARENA_OFF_RINGS / PAGE_BYTES << 8 | 23,
					  (ARENA_OFF_RINGS / PAGE_BYTES - 1) << 8 | 14 };
	struct two *t = *state;

	for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
		struct conn a, b;
		char c;

		world_pair(t->w, &a, &b);
		send_pattern(&a, 0, 10);
		store_relaxed(&a.own->ext[0].where, where[i]);
		assert_int_equal(conn_recv(&b, &c, 1, 0, 0), -ECONNRESET);
		assert_int_equal(conn_recv(&b, &c, 1, 0, 0), 0);
	}
}

static void conn_send__impossible_head_breaks_it(void **state)
{
	struct two *t = *state;

	send_pattern(&t->a, 0, 10);
	store_relaxed(&t->b.own->head, 11);
	assert_int_equal(send_pattern(&t->a, 10, 1 << 16), -ECONNRESET);
	assert_int_equal(conn_send(&t->a, "x", 1), -EPIPE);
	assert_int_equal(conn_take_error(&t->b), ECONNRESET);
}

/* -------------------------------------------------------- conn_writable */

static void conn_writable__a_third_is_free(void **state)
{
	struct two *t = *state;

	fill(&t->a, 0);
	assert_false(conn_writable(&t->a));
	drain(&t->b, 0, LIMIT / 3 - 65536);
	assert_false(conn_writable(&t->a));
	drain(&t->b, LIMIT / 3 - 65536, 65536 * 2);
	assert_true(conn_writable(&t->a));
}

/* ------------------------------------------------------------- conn_poll */

/* ---------------------------------------------------------- conn_overdue */

static void conn_overdue__ends_it_where_nothing_is_read(void **state)
{
	struct two *t = *state;
	uint64_t due, ms = NS_PER_MS, got;
	ssize_t r;

	store_relaxed(&t->a.own->user_timeout_ms, 300);
	assert_int_equal(conn_overdue(&t->a, ms), 0);
	store_relaxed(&t->b.own->rcvbuf, 65536);
	assert_true(fill(&t->a, 0) > 65536);
	due = conn_overdue(&t->a, 1000 * ms);
	assert_int_equal(due, 1500 * ms);
	assert_int_equal(conn_overdue(&t->a, 1200 * ms), due);
	/* Some of it is read: from now on. */
	got = drain(&t->b, 0, 10000);
	assert_int_equal(conn_overdue(&t->a, 1400 * ms), 1900 * ms);
	assert_int_equal(conn_overdue(&t->a, 1899 * ms), 1900 * ms);
	assert_int_equal(conn_take_error(&t->a), 0);
	assert_int_equal(conn_overdue(&t->a, 1900 * ms), 0);
	assert_int_equal(conn_send(&t->a, "x", 1), -ETIMEDOUT);
	assert_int_equal(conn_send(&t->a, "x", 1), -EPIPE);
	assert_int_equal(conn_overdue(&t->a, 9900 * ms), 0);
	assert_int_equal(conn_take_error(&t->a), 0);
	/* The peer has what was sent, then the end of it. */
	while ((r = recv_pattern(&t->b, got, 65536)) > 0)
		got += (uint64_t)r;
	assert_int_equal(r, -ECONNRESET);
	assert_true(got > 65536);
}

static void conn_overdue__not_what_is_delivered(void **state)
{
	struct two *t = *state;

	store_relaxed(&t->a.own->user_timeout_ms, 300);
	store_relaxed(&t->b.own->rcvbuf, 65536);
	assert_int_equal(send_pattern(&t->a, 0, 65536), 65536);
	assert_int_equal(conn_window(&t->a), 0);
	assert_int_equal(conn_overdue(&t->a, 1000), 0);
	assert_true(conn_is_acknowledged(&t->a));
	assert_int_equal(send_pattern(&t->a, 65536, 1), 1);
	assert_true(conn_overdue(&t->a, 1000) > 0);
	assert_false(conn_is_acknowledged(&t->a));
	assert_int_equal(drain(&t->b, 0, 1000), 1000);
	assert_int_equal(conn_overdue(&t->a, 1000), 0);
	assert_int_equal(conn_window(&t->a), 999);
	/* Nobody is there to acknowledge it. */
	assert_int_equal(send_pattern(&t->a, 65537, 2000), 2000);
	assert_false(conn_is_acknowledged(&t->a));
	world_close(&t->b);
	assert_true(conn_is_acknowledged(&t->a));
}

static void conn_want_delivery__wakes_when_all_is_delivered(void **state)
{
	struct two *t = *state;
	uint32_t event;

	store_relaxed(&t->b.own->rcvbuf, 65536);
	assert_int_equal(send_pattern(&t->a, 0, 65536 + 5000), 65536 + 5000);
	conn_want_delivery(&t->a);
	event = load_relaxed(&t->b.own->event);
	assert_int_equal(drain(&t->b, 0, 4999), 4999);
	assert_int_equal(load_relaxed(&t->b.own->event), event);
	assert_int_equal(drain(&t->b, 4999, 1), 1);
	assert_int_equal(load_relaxed(&t->b.own->event), event + 1);
	conn_unwant_futex(&t->a, NOTIFY_SPACE);
	assert_int_equal(t->a.own->want, 0);
}

static void conn_room__is_what_a_send_takes(void **state)
{
	struct two *t = *state;

	assert_int_equal(conn_room(&t->a, 100), 100);
	assert_int_equal(conn_send(&t->a, "x", 1), 1);
	fill(&t->a, 1);
	assert_int_equal(conn_room(&t->a, 100), -EAGAIN);
	conn_shutdown_write(&t->a);
	assert_int_equal(conn_room(&t->a, 100), -EPIPE);
}

static void conn_poll__as_tcp_poll(void **state)
{
	struct two *t = *state;

	assert_int_equal(conn_poll(&t->a), OUT);
	assert_int_equal(conn_poll(&t->b), OUT);
	send_pattern(&t->a, 0, 1);
	assert_int_equal(conn_poll(&t->b), IN | OUT);
	conn_shutdown_write(&t->a);
	assert_int_equal(conn_poll(&t->a), OUT);
	assert_int_equal(conn_poll(&t->b), IN | OUT | POLLRDHUP);
	recv_pattern(&t->b, 0, 1);
	assert_int_equal(conn_poll(&t->b), IN | OUT | POLLRDHUP);
	conn_shutdown_write(&t->b);
	assert_int_equal(conn_poll(&t->a), IN | OUT | POLLRDHUP | POLLHUP);
	assert_int_equal(conn_poll(&t->b), IN | OUT | POLLRDHUP | POLLHUP);
}

static void conn_poll__reset(void **state)
{
	struct two *t = *state;

	send_pattern(&t->a, 0, 1);
	world_close(&t->b);
	assert_int_equal(conn_poll(&t->a), IN | OUT | POLLRDHUP | POLLHUP | POLLERR);
	assert_int_equal(conn_take_error(&t->a), ECONNRESET);
	assert_int_equal(conn_poll(&t->a), IN | OUT | POLLRDHUP | POLLHUP);
}

static void conn_poll__low_water_mark(void **state)
{
	struct two *t = *state;

	store_relaxed(&t->b.own->rcvlowat, 10);
	send_pattern(&t->a, 0, 9);
	assert_int_equal(conn_poll(&t->b), OUT);
	send_pattern(&t->a, 9, 1);
	assert_int_equal(conn_poll(&t->b), IN | OUT);
}

static void conn_poll__full(void **state)
{
	struct two *t = *state;

	fill(&t->a, 0);
	assert_int_equal(conn_poll(&t->a), 0);
	conn_shutdown_write(&t->a);
	assert_int_equal(conn_poll(&t->a), OUT);
}

/* Both ways shut by b, then bytes: RST for a, and the end of b. */
static void conn_shutdown__data_after_both_ways(void **state)
{
	struct two *t = *state;
	char buf[10];

	assert_int_equal(send_pattern(&t->a, 0, 5), 5);
	conn_shutdown_read(&t->b);
	conn_shutdown_write(&t->b);
	/* What was there before can be read still. */
	assert_int_equal(recv_pattern(&t->b, 0, 5), 5);
	assert_int_equal(conn_recv(&t->b, buf, 1, 0, 0), 0);
	assert_int_equal(conn_poll(&t->b) & (POLLERR | POLLHUP), POLLHUP);

	assert_int_equal(send_pattern(&t->a, 5, 5), 5);
	assert_int_equal(conn_poll(&t->b), IN | OUT | POLLRDHUP | POLLHUP | POLLERR);
	assert_int_equal(conn_readable(&t->b), 0);
	/* a closes: that FIN has no one left to come to. */
	conn_shutdown_write(&t->a);
	assert_int_equal(conn_recv(&t->b, buf, sizeof(buf), 0, 0), -ECONNRESET);
	assert_int_equal(conn_recv(&t->b, buf, sizeof(buf), 0, 0), 0);
	assert_int_equal(conn_send(&t->b, buf, 1), -EPIPE);
	assert_int_equal(conn_take_error(&t->a), EPIPE);
}

/* Both ways shut by b after a's FIN: nothing can come. */
static void conn_shutdown__both_ways_after_fin(void **state)
{
	struct two *t = *state;
	char buf[1];

	conn_shutdown_write(&t->a);
	conn_shutdown_read(&t->b);
	conn_shutdown_write(&t->b);
	assert_int_equal(conn_recv(&t->b, buf, 1, 0, 0), 0);
	assert_int_equal(conn_take_error(&t->b), 0);
}

static void conn_poll__own_shutdown_of_reading(void **state)
{
	struct two *t = *state;

	atomic_fetch_or(&t->b.own->side, SIDE_RD_SHUT);
	assert_int_equal(conn_poll(&t->b), IN | OUT | POLLRDHUP);
}

/* ---------------------------------------------------------------- waking */

static void conn_want_futex__counts(void **state)
{
	struct two *t = *state;
	uint32_t e = load_relaxed(&t->a.own->event);

	send_pattern(&t->a, 0, 1);
	assert_int_equal(t->a.own->event, e); /* nobody wants it: no wake */
	conn_want_futex(&t->b, NOTIFY_DATA);
	send_pattern(&t->a, 1, 1);
	assert_int_equal(t->a.own->event, e + 1);
	conn_unwant_futex(&t->b, NOTIFY_DATA);
	assert_int_equal(t->b.own->want, 0);
	send_pattern(&t->a, 2, 1);
	assert_int_equal(t->a.own->event, e + 1);
}

static void conn_want_futex__space_from_an_index_on(void **state)
{
	struct two *t = *state;
	uint32_t e;

	fill(&t->a, 0);
	conn_want_futex(&t->a, NOTIFY_SPACE);
	e = load_relaxed(&t->b.own->event);
	drain(&t->b, 0, 65536);
	assert_int_equal(t->b.own->event, e); /* not enough yet */
	drain(&t->b, 65536, LIMIT / 3);
	assert_true(t->b.own->event > e);
	assert_true(conn_writable(&t->a));
	conn_unwant_futex(&t->a, NOTIFY_SPACE);
	assert_int_equal(t->a.own->want, 0);
}

static void conn_want_futex__counts_err_high_only(void **state)
{
	struct two *t = *state;
	uint32_t e;

	/* 300 sleepers that longjmp'ed away, and one that sleeps. */
	for (int i = 0; i < 301; i++) {
		conn_want_futex(&t->b, NOTIFY_DATA | NOTIFY_SPACE);
		e = load_relaxed(&t->a.own->event);
		send_pattern(&t->a, 0, 1);
		assert_int_equal(t->a.own->event, e + 1);
	}
	for (int i = 0; i < 300; i++)
		conn_unwant_futex(&t->b, NOTIFY_DATA | NOTIFY_SPACE);
	e = load_relaxed(&t->a.own->event);
	send_pattern(&t->a, 0, 1);
	assert_int_equal(t->a.own->event, e + 1);
}

static void conn_want_futex__ends_wake_all(void **state)
{
	struct two *t = *state;
	uint32_t e = load_relaxed(&t->a.own->event);

	conn_want_futex(&t->b, NOTIFY_SPACE);
	conn_shutdown_write(&t->a);
	assert_int_equal(t->a.own->event, e + 1);
	world_close(&t->a);
	assert_true(load_relaxed(&arena_half(t->w->of[1].p->base, 0)->event) >= e + 1);
}

static void note(void *arg, unsigned slot)
{
	*(unsigned *)arg = slot + 1;
}

static void conn_want_hint__rings_the_bell(void **state)
{
	struct two *t = *state;
	struct party *p2 = t->w->of[2].p;
	unsigned got = 0;
	uint64_t n;

	send_pattern(&t->a, 0, 1);
	assert_false(hint_any(p2->mbox));
	store_relaxed(&t->b.own->bell, 3);
	conn_want_hint(&t->b, NOTIFY_DATA);
	send_pattern(&t->a, 1, 1);
	assert_int_equal(hint_take(p2->mbox, note, &got), 1);
	assert_int_equal(got, arena_slot(p2->base, t->b.own) + 1);
	/* Nobody sleeps: no write to the eventfd. */
	assert_int_equal(read(t->w->of[2].bell_fd[3], &n, 8), -1);
	assert_int_equal(t->w->fetched, 0);
	store_relaxed(&arena_hdr(p2->base)->bells[3].sleepers, 1);
	send_pattern(&t->a, 2, 1);
	assert_int_equal(read(t->w->of[2].bell_fd[3], &n, 8), 8);
	send_pattern(&t->a, 3, 1);
	assert_int_equal(t->w->fetched, 1); /* kept */
	assert_int_equal(hint_take(p2->mbox, note, &got), 1);
	conn_unwant_hint(&t->b, NOTIFY_DATA, 0);
	send_pattern(&t->a, 4, 1);
	assert_false(hint_any(p2->mbox));
}

static void conn_want_hint__a_bell_out_of_range(void **state)
{
	struct two *t = *state;

	store_relaxed(&t->b.own->bell, 0xffffffff);
	conn_want_hint(&t->b, NOTIFY_DATA);
	assert_int_equal(send_pattern(&t->a, 0, 1), 1);
	assert_true(hint_any(t->w->of[2].p->mbox));
}

/* ------------------------------------------------------------- conn_trim */

static void conn_trim__gives_grown_memory_back(void **state)
{
	struct two *t = *state;
	struct party *p = t->a.party;
	uint64_t n = fill(&t->a, 0);

	assert_true(p->ring_used_bytes >= LIMIT);
	conn_trim(&t->a); /* not empty: nothing to give */
	assert_true(p->ring_used_bytes >= LIMIT);
	assert_int_equal(drain(&t->b, 0, UINT64_MAX), n);
	conn_trim(&t->a);
	assert_int_equal(p->ring_used_bytes, 1u << 18);
	conn_trim(&t->a); /* and idle since */
	assert_int_equal(p->ring_used_bytes, 1u << 14);
	conn_trim(&t->a);
	assert_int_equal(p->ring_used_bytes, 1u << 14);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(send_pattern(&t->a, n + i * 1000, 1000), 1000);
		assert_int_equal(recv_pattern(&t->b, n + i * 1000, 1000), 1000);
	}
	assert_int_equal(p->ring_used_bytes, 1u << 14);
}

static void conn_trim__pages_go_back_to_the_kernel(void **state)
{
	struct two *t = *state;
	unsigned char *at;
	uint64_t n;

	n = fill(&t->a, 0);
	at = t->a.tx_mem;
	drain(&t->b, 0, UINT64_MAX);
	assert_int_not_equal(at[100], 0);
	conn_trim(&t->a);
	assert_int_equal(at[100], 0); /* a hole now */
	assert_int_equal(send_pattern(&t->a, n, 1000), 1000);
	assert_int_equal(recv_pattern(&t->b, n, 1000), 1000);
}

static void conn_trim__not_in_a_child(void **state)
{
	struct two *t = *state;
	uint64_t used, n = fill(&t->a, 0);

	conn_prepare_fork(&t->a);
	drain(&t->b, 0, UINT64_MAX);
	used = t->a.party->ring_used_bytes;
	conn_trim(&t->a);
	assert_int_equal(t->a.party->ring_used_bytes, used);
	t->a.party->inherited = true;
	for (unsigned i = 0; i < 100; i++) {
		uint64_t m = fill(&t->a, n);

		assert_true(m > 0);
		assert_int_equal(drain(&t->b, n, UINT64_MAX), m);
		n += m;
	}
	t->a.party->inherited = false;
	/* What the child left behind, the owner gives back. */
	assert_int_equal(send_pattern(&t->a, n, 1), 1);
	conn_trim(&t->a);
	assert_int_equal(t->a.own->ext_count - t->a.own->ext_live, 1);
	assert_int_equal(t->a.party->ring_used_bytes, t->a.tx_mask + 1);
}

/* ------------------------------------------------------ conn_prepare_fork */

static void conn_prepare_fork__a_child_can_send(void **state)
{
	struct two *t = *state;
	struct conn child;
	uint64_t n;

	conn_prepare_fork(&t->a);
	assert_int_equal(t->a.own->shared, 1);
	assert_int_equal(t->a.own->ext_count, 1);
	child = t->a;
	t->a.party->inherited = true;
	n = fill(&child, 0);
	assert_int_equal(n, 1u << 20);
	assert_false(conn_writable(&child));
	assert_int_equal(drain(&t->b, 0, UINT64_MAX), n);
	assert_true(conn_writable(&child));
	t->a.party->inherited = false;
	/* And the parent after it, with an older view of the ring. */
	assert_int_equal(send_pattern(&t->a, n, 100000), 100000);
	assert_int_equal(drain(&t->b, n, UINT64_MAX), 100000);
}

/* --------------------------------------------------------- two processes */

static void wait_for(struct conn *c, uint32_t what)
{
	const _Atomic uint32_t *event = &c->peer->event;
	uint32_t seen = load_acquire(event);
	bool have;

	conn_want_futex(c, what);
	have = what == NOTIFY_DATA ? conn_poll(c) & POLLIN : conn_poll(c) & POLLOUT;
	if (!have)
		futex_wait(event, seen, clock_now_ns() + 10 * NS_PER_SEC);
	conn_unwant_futex(c, what);
}

#define CROSS (64ull << 20)

static int child_echo(struct conn *c)
{
	static unsigned char buf[100000];

	for (;;) {
		ssize_t n = conn_recv(c, buf, sizeof(buf), 0, 0), done = 0;

		if (n == 0)
			break;
		if (n == -EAGAIN) {
			wait_for(c, NOTIFY_DATA);
			continue;
		}
		if (n < 0)
			return 10;
		while (done < n) {
			ssize_t r = conn_send(c, buf + done, (size_t)(n - done));

			if (r == -EAGAIN) {
				wait_for(c, NOTIFY_SPACE);
				continue;
			}
			if (r < 0)
				return 11;
			done += r;
		}
	}
	half_end(c->party, c->own, c->peer, c->owner, false);
	half_release(c->own);
	return 0;
}

static void two_processes__echo_with_sleeps(void **state)
{
	struct two *t = *state;
	uint64_t in = 0, out = 0, began = clock_now_ns();
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_echo(&t->b));
	while (out < CROSS) {
		ssize_t r = 0, s;

		assert_true(clock_now_ns() - began < 60 * NS_PER_SEC);
		if (in < CROSS && in - out < 3u << 20) {
			r = send_pattern(&t->a, in, CROSS - in < 50000 ? CROSS - in : 50000);
			assert_true(r > 0 || r == -EAGAIN);
			in += r > 0 ? (uint64_t)r : 0;
		}
		s = recv_pattern(&t->a, out, 65536);
		assert_true(s > 0 || s == -EAGAIN);
		out += s > 0 ? (uint64_t)s : 0;
		if (r <= 0 && s <= 0)
			wait_for(&t->a, NOTIFY_DATA);
	}
	conn_shutdown_write(&t->a);
	while (recv_pattern(&t->a, out, 1) == -EAGAIN)
		wait_for(&t->a, NOTIFY_DATA);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(conn_take_error(&t->a), 0);
}

/* One byte each way, asleep in between: a lost wake takes 10 s. */
static void two_processes__ping_pong_loses_no_wake(void **state)
{
	struct two *t = *state;
	uint64_t began = clock_now_ns();
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_echo(&t->b));
	for (uint64_t i = 0; i < 20000; i++) {
		ssize_t r;

		assert_int_equal(send_pattern(&t->a, i, 1), 1);
		while ((r = recv_pattern(&t->a, i, 1)) == -EAGAIN)
			wait_for(&t->a, NOTIFY_DATA);
		assert_int_equal(r, 1);
	}
	assert_true(clock_now_ns() - began < 9 * NS_PER_SEC);
	conn_shutdown_write(&t->a);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void two_processes__sharers_of_one_side(void **state)
{
	struct two *t = *state;
	pid_t pid[3];
	uint64_t sum = 0, want = 0, got = 0, n = 300000;
	unsigned char buf[4096];

	conn_prepare_fork(&t->a);
	/* Three children and the parent send records of 100 equal bytes
	 * through one half, under its lock: none is torn. */
	for (unsigned k = 0; k < 3; k++) {
		pid[k] = fork();
		if (pid[k] == 0) {
			unsigned char rec[100];

			half_lock_forked();
			t->a.party->inherited = true;
			memset(rec, (int)k + 1, sizeof(rec));
			for (uint64_t i = 0; i < n / 100; i++) {
				size_t done = 0;

				half_lock(&t->a.own->tx_lock);
				while (done < 100) {
					ssize_t r = conn_send(&t->a, rec + done, 100 - done);

					if (r == -EAGAIN)
						usleep(50);
					else if (r < 0)
						_exit(12);
					else
						done += (size_t)r;
				}
				half_unlock(&t->a.own->tx_lock);
			}
			_exit(0);
		}
		want += n * (k + 1);
	}
	while (got < 3 * n) {
		ssize_t r = conn_recv(&t->b, buf, 100, 0, 0);

		if (r == -EAGAIN) {
			wait_for(&t->b, NOTIFY_DATA);
			continue;
		}
		assert_true(r > 0);
		for (ssize_t i = 0; i < r; i++, got++) {
			static unsigned char first;

			if (got % 100 == 0)
				first = buf[i];
			assert_int_equal(buf[i], first);
			sum += buf[i];
		}
	}
	assert_int_equal(sum, want);
	for (unsigned k = 0; k < 3; k++) {
		int status = -1;

		assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
		assert_int_equal(status, 0);
	}
}

/* A sharer is killed at any point of a send, lock held or not: the stream goes
 * on where its tail says, without a gap and without a byte of its that was not
 * sent. */
static void two_processes__sharer_killed_in_a_send(void **state)
{
	struct two *t = *state;
	uint64_t seed = dice_seed(), out = 0;

	conn_prepare_fork(&t->a);
	for (unsigned round = 0; round < 100; round++) {
		uint64_t at, began = clock_now_ns();
		pid_t pid = fork();

		if (pid == 0) {
			half_lock_forked();
			t->a.party->inherited = true;
			for (;;) {
				half_lock(&t->a.own->tx_lock);
				send_pattern(&t->a, load_relaxed(&t->a.own->tail), 30000);
				half_unlock(&t->a.own->tx_lock);
			}
		}
		for (uint64_t until = began + dice(&seed) % (3 * NS_PER_MS); clock_now_ns() < until;)
			out += drain(&t->b, out, 100000);
		kill(pid, SIGKILL);
		half_lock(&t->a.own->tx_lock); /* not reaped: a zombie may hold it */
		at = load_relaxed(&t->a.own->tail);
		assert_true(send_pattern(&t->a, at, 10) > 0 || conn_unsent(&t->a) > 0);
		half_unlock(&t->a.own->tx_lock);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_true(clock_now_ns() - began < 5 * NS_PER_SEC);
	}
	out += drain(&t->b, out, UINT64_MAX);
	assert_int_equal(out, t->a.own->tail);
	assert_int_equal(t->b.own->side, 0);
	assert_true(out > 100000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(conn_attach__refuses_an_impossible_slot),
		T(conn_send__nothing),
		T(conn_send__peer_cannot_be_written),
		T(conn_send__all_sizes_cross),
		T(conn_send__both_ways_at_random),
		T(conn_send__reader_that_does_not_read_is_taken_4_mb),
		T(conn_send__reader_that_reads_is_not_waited_for_with_4_mb),
		T(conn_send__reader_that_stopped_reading_is_taken_4_mb),
		T(conn_send__buffers_limit),
		T(conn_send__after_shutdown),
		T(conn_send__meets_closed),
		T(conn_send__met_closed_error_is_taken_by_so_error),
		T(conn_sendv__pieces_arrive_together),
		T(conn_sendv__large_and_round_the_edge),
		T(conn_send__reset_is_told_once),
		T(conn_send__no_memory_at_all),
		T(conn_send__nth_allocation_fails),
		T(conn_send__impossible_head_breaks_it),
		T(conn_recv__nothing),
		T(conn_recv__peek_leaves_it),
		T(conn_recv__peek_across_extents),
		T(conn_recv__peek_beyond_the_end),
		T(conn_recv__discard),
		T(conn_recv__data_then_fin),
		T(conn_recv__data_then_reset),
		T(conn_recv__an_error_waits_where_there_are_bytes),
		T(conn_recv__reset_after_fin_is_epipe),
		T(conn_recv__after_own_shutdown_of_reading),
		T(conn_recv__two_sharers_by_cas),
		T(conn_recv__impossible_tail_breaks_it),
		T(conn_recv__impossible_extent_breaks_it),
		T(conn_writable__a_third_is_free),
		T(conn_send_begin__all_that_it_gives_crosses),
		T(conn_recv_begin__a_peer_that_lies),
		T(conn_pending__until_the_network_answers),
		T(conn_pending__its_error_is_the_networks),
		T(conn_options_set__rings_the_wire),
		T(conn_take_error__an_impossible_one_is_a_reset),
		T(conn_overdue__ends_it_where_nothing_is_read),
		T(conn_overdue__not_what_is_delivered),
		T(conn_want_delivery__wakes_when_all_is_delivered),
		T(conn_room__is_what_a_send_takes),
		T(conn_poll__as_tcp_poll),
		T(conn_poll__reset),
		T(conn_poll__low_water_mark),
		T(conn_poll__full),
		T(conn_shutdown__data_after_both_ways),
		T(conn_shutdown__both_ways_after_fin),
		T(conn_poll__own_shutdown_of_reading),
		T(conn_want_futex__counts),
		T(conn_want_futex__space_from_an_index_on),
		T(conn_want_futex__counts_err_high_only),
		T(conn_want_futex__ends_wake_all),
		T(conn_want_hint__rings_the_bell),
		T(conn_want_hint__a_bell_out_of_range),
		T(conn_trim__gives_grown_memory_back),
		T(conn_trim__pages_go_back_to_the_kernel),
		T(conn_trim__not_in_a_child),
		T(conn_prepare_fork__a_child_can_send),
		T(two_processes__echo_with_sleeps),
		T(two_processes__ping_pong_loses_no_wake),
		T(two_processes__sharers_of_one_side),
		T(two_processes__sharer_killed_in_a_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
