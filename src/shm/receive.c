/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * receive.c - Taking bytes out of the peer's ring; conn.c has the theory.
 */
#include <errno.h>
#include <string.h>

#include "base/copy.h"
#include "base/fault.h"
#include "shm/conn.h"
#include "shm/conn_ring.h"
#include "shm/conn_side.h"
#include "shm/urgent.h"

/* Find the extent that holds byte @at of the peer's stream. */
static int rx_locate(struct conn *c, uint64_t at)
{
	const struct half *peer = c->peer;
	uint32_t count = load_acquire(&peer->ext_count);
	uint32_t oldest = count > RING_EXTENTS ? count - RING_EXTENTS : 0;
	uint64_t limit = UINT64_MAX;

	for (uint32_t n = count; n > oldest; n--) {
		const struct ring_extent *e = &peer->ext[(n - 1) % RING_EXTENTS];
		uint64_t first = load_relaxed(&e->first), where = load_relaxed(&e->where);
		uint64_t log2 = where & 0xff, offset = (where >> 8) * PAGE_BYTES;

		if (first > at) {
			limit = first;
			continue;
		}
		if (log2 < RING_LOG2_MIN || log2 > RING_LOG2_MAX || where >> 8 > ARENA_BYTES ||
		    offset < ARENA_OFF_RINGS || offset > ARENA_BYTES - (1ull << log2))
			break;
		c->rx_mem = (const unsigned char *)c->owner->base + offset;
		c->rx_first = first;
		c->rx_limit = limit;
		c->rx_mask = (1ull << log2) - 1;
		c->rx_count = count;
		return 0;
	}
	return -EPROTO;
}

/* Look at the peer's tail again. Return: 0, or -ECONNRESET. */
int conn_rx_refresh(struct conn *c, uint64_t head)
{
	uint64_t tail = rx_tail(c);

	if (unlikely(tail < head || tail - head > 2 * RING_LIMIT)) {
		/* Another sharer may have read on since we loaded our head, or
		 * where we do not look yet. */
		if (load_acquire(&c->own->head) != head || conn_follow(c))
			return -EAGAIN;
		conn_break(c);
		return -ECONNRESET;
	}
	c->rx_tail_seen = tail;
	if (unlikely(load_relaxed(&c->peer->urgent) > head))
		c->rx_urgent = load_relaxed(&c->peer->urgent);
	/* The extents that this tail is in are published before it. */
	if (load_relaxed(&c->peer->ext_count) != c->rx_count)
		c->rx_limit = 0;
	return 0;
}

/* Bytes at @at: how many in one piece, and where. */
size_t conn_rx_piece(struct conn *c, uint64_t at, const unsigned char **ret)
{
	uint64_t n = c->rx_tail_seen - at, off;

	if (n == 0 || c->rx_tail_seen < at)
		return 0;
	if (unlikely(at < c->rx_first || at >= c->rx_limit || !c->rx_mem) &&
	    rx_locate(c, at) != 0) {
		if (load_acquire(&c->own->head) <= at)
			conn_break(c);
		return 0;
	}
	off = (at - c->rx_first) & c->rx_mask;
	if (n > c->rx_limit - at)
		n = c->rx_limit - at;
	if (n > c->rx_mask + 1 - off)
		n = c->rx_mask + 1 - off;
	*ret = c->rx_mem + off;
	return (size_t)n;
}

/* Nothing there: is it the end, an error, or not yet? */
static ssize_t rx_end(struct conn *c, uint64_t at, uint32_t flags)
{
	const struct half *peer = c->peer;
	uint32_t end = load_acquire(&peer->end);
	uint32_t e;

	conn_absorb(c);
	if (unlikely(c->peer != peer))
		return -EINPROGRESS; /* look there */
	/* FIN and RST come after the last tail. */
	if (!(load_relaxed(&c->own->side) & SIDE_BROKEN) &&
	    end & (END_FIN | END_RST) && rx_tail(c) > at)
		return -EINPROGRESS; /* look again */
	if (end & END_FIN && !(load_relaxed(&c->own->side) & SIDE_BROKEN) && !met_shut(c))
		return 0;
	e = load_relaxed(&c->own->error);
	if (e && flags & CONN_MORE)
		return 0;
	if (e && (e = atomic_exchange(&c->own->error, 0)) != 0)
		return -(ssize_t)e;
	if (load_relaxed(&c->own->side) & (SIDE_RD_SHUT | SIDE_RST_SEEN))
		return 0;
	return -EAGAIN;
}

/* Move the head. Return: false where another sharer was faster. */
static bool rx_publish(struct conn *c, uint64_t head, size_t n)
{
	if (unlikely(load_relaxed(&c->own->shared)))
		return atomic_compare_exchange_strong(&c->own->head, &head, head + n);
	/* We are done with the bytes before the head says so. Pairs with the
	 * acquire in conn_tx_refresh(). */
	store_release(&c->own->head, head + n);
	return true;
}

/* Asked after a copy: did another sharer read on meanwhile? */
static bool head_moved(const struct conn *c, uint64_t head)
{
	/* The bytes were loaded before the head is. */
	atomic_thread_fence(memory_order_acquire);
	return load_relaxed(&c->own->head) != head;
}

ssize_t conn_recv(struct conn *c, void *buf, size_t len, uint64_t skip, uint32_t flags)
{
	unsigned char *dst = buf;
	uint64_t head = load_relaxed(&c->own->head), at;
	size_t done = 0, all = len;
	unsigned passed = 0;

	if (unlikely(len == 0))
		return 0;
again:
	at = head + skip;
	if (unlikely(load_relaxed(&c->own->side) & SIDE_BROKEN))
		return done ? (ssize_t)done : rx_end(c, at, flags);
	if (c->rx_tail_seen < at || c->rx_tail_seen - at < len - done ||
	    unlikely(c->rx_urgent)) {
		int r = conn_rx_refresh(c, head);

		if (r == -EAGAIN) {
			head = load_relaxed(&c->own->head);
			goto again;
		}
		if (r < 0)
			return done ? (ssize_t)done : rx_end(c, at, flags);
	}
	if (unlikely(c->rx_urgent) && !(flags & CONN_RAW)) {
		ssize_t r;

		len = all;
		r = urgent_stop(c, skip, flags, &at, &len);
		if (r <= 0)
			return r;
		/* A peer could go on like that for ever. */
		if (r == URGENT_AGAIN && ++passed == URGENT_PASSES)
			return -EAGAIN;
		if (r == URGENT_AGAIN) {
			head = load_relaxed(&c->own->head);
			goto again;
		}
	}
	while (done < len) {
		const unsigned char *src = NULL;
		size_t n = conn_rx_piece(c, at, &src);

		if (n == 0)
			break;
		if (n > len - done)
			n = len - done;
		if (n > 4 * PUBLISH_BYTES)
			n = 4 * PUBLISH_BYTES;
		if (!(flags & CONN_DISCARD) && unlikely(!copy_try(dst + done, src, n)))
			return done ? (ssize_t)done : -EFAULT;
		if (!(flags & CONN_PEEK)) {
			FAULT_POINT("recv.copied");
			if (!rx_publish(c, head, n)) {
				/* What comes next is not what follows. */
				if (done)
					return (ssize_t)done;
				head = load_relaxed(&c->own->head);
				goto again;
			}
			head += n;
			FAULT_POINT("recv.head");
			notify_peer(c, NOTIFY_SPACE);
		} else if (unlikely(load_relaxed(&c->own->shared)) && head_moved(c, head)) {
			/* Another sharer read on, and the ring may be filled
			 * with other bytes by now. */
			head = load_relaxed(&c->own->head);
			done = 0;
			goto again;
		}
		at += n;
		done += n;
	}
	if (done == 0) {
		ssize_t r = rx_end(c, at, flags);

		if (r == -EINPROGRESS) {
			head = load_relaxed(&c->own->head);
			goto again;
		}
		return r;
	}
	return (ssize_t)done;
}

ssize_t conn_recv_begin(struct conn *c, size_t skip, const unsigned char **ret)
{
	ssize_t r;

	do {
		uint64_t at = load_relaxed(&c->own->head) + skip;
		size_t n = 0;

		if (!(load_relaxed(&c->own->side) & SIDE_BROKEN) && conn_rx_refresh(c, at) == 0)
			n = conn_rx_piece(c, at, ret);
		if (n)
			return (ssize_t)n;
		r = rx_end(c, at, 0);
	} while (r == -EINPROGRESS);
	return r;
}

size_t conn_recv_room(const struct conn *c)
{
	return (size_t)c->rx_mask + 1;
}

void conn_recv_end(struct conn *c, size_t n)
{
	rx_publish(c, load_relaxed(&c->own->head), n);
	notify_peer(c, NOTIFY_SPACE);
}
