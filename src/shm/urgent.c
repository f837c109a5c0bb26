/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <poll.h>

#include "base/sys.h"
#include "shm/owner.h"
#include "shm/urgent.h"

#define NOT_YET_TRIES 200u

/**
 * struct mark - The peer's urgent byte, seen from here.
 * @head: Ours, with what is passed over already.
 * @at:   Index of the byte.
 * @end:  The peer's `urgent`: its name.
 */
struct mark {
	uint64_t head, at, end;
};

/* Return: false where there is none, or it is behind us. */
static bool mark_find(const struct conn *c, struct mark *m)
{
	uint64_t skip;

	m->head = load_relaxed(&c->own->head);
	/* Pairs with the release in urgent_set(). */
	m->end = load_acquire(&c->peer->urgent);
	if (m->end <= m->head)
		return false;
	m->at = m->end - 1;
	skip = load_relaxed(&c->peer->urgent_skip);
	if (skip > m->head && skip <= m->at)
		m->head = skip;
	return true;
}

static bool is_inline(const struct conn *c)
{
	return load_relaxed(&c->own->oob_inline);
}

/* The byte is there, and MSG_OOB has not taken it. */
static bool mark_is_valid(const struct conn *c, const struct mark *m)
{
	return load_acquire(&c->peer->tail) > m->at &&
	       load_relaxed(&c->own->urgent_read) != m->end;
}

void urgent_set(struct conn *c, uint64_t end)
{
	struct half *h = c->own;
	uint64_t old, head;

	conn_follow(c);
	old = load_relaxed(&h->urgent);
	head = load_acquire(&c->peer->head);
	if (head < load_relaxed(&h->urgent_skip))
		head = load_relaxed(&h->urgent_skip);
	if (old && head == old - 1 && !load_relaxed(&c->peer->oob_inline))
		store_relaxed(&h->urgent_skip, old);
	/* Before the tail that covers it, so that nobody reads across. */
	store_release(&h->urgent, end);
	if (load_relaxed(&c->peer->want) & WANT_SIGNAL) {
		owner_signal(c->peer, OWNER_URGENT);
		/* Linux tells of the byte, and of the data that it is in. */
		if (!(load_relaxed(&c->peer->want) & WANT_DATA_MASK))
			owner_repeat(c->peer, POLL_IN);
	}
}

uint32_t urgent_poll(const struct conn *c)
{
	struct mark m;

	return mark_find(c, &m) && mark_is_valid(c, &m) ? POLLPRI : 0;
}

uint64_t urgent_hole(const struct conn *c, uint64_t head)
{
	struct mark m;

	if (!mark_find(c, &m) || m.head < head)
		return 0;
	return m.head - head + (m.head == m.at && !is_inline(c));
}

bool urgent_ahead(const struct conn *c)
{
	struct mark m;

	return mark_find(c, &m) && load_acquire(&c->peer->tail) > m.at;
}

static ssize_t pass(struct conn *c, uint64_t from, uint64_t to)
{
	/* Another sharer may be faster. */
	atomic_compare_exchange_strong(&c->own->head, &from, to);
	conn_notify(c, NOTIFY_SPACE);
	return URGENT_AGAIN;
}

ssize_t urgent_stop(struct conn *c, uint64_t skip, uint32_t flags, uint64_t *at, size_t *len)
{
	uint64_t head = load_relaxed(&c->own->head);
	struct mark m;

	if (!mark_find(c, &m)) {
		c->rx_urgent = 0;
		return URGENT_GO;
	}
	c->rx_urgent = m.end;
	if (m.head != head && m.head <= c->rx_tail_seen)
		return pass(c, head, m.head);
	*at = head + skip;
	if (head == m.at && !is_inline(c)) {
		if (c->rx_tail_seen <= m.at)
			return URGENT_GO; /* not there yet: nor is anything else */
		if (flags & CONN_MORE && !(flags & CONN_PEEK))
			return 0;
		if (flags & CONN_STOP)
			return -ERESTART;
		if (!(flags & CONN_PEEK))
			return pass(c, head, head + 1);
		*at += 1;
	} else if (*at == m.at && flags & CONN_MORE) {
		return 0;
	} else if (*at < m.at && *len > m.at - *at) {
		*len = (size_t)(m.at - *at);
	}
	return URGENT_GO;
}

ssize_t conn_recv_urgent(struct conn *c, unsigned char *byte, bool peek)
{
	uint32_t end = load_acquire(&c->peer->end);
	struct mark m;
	ssize_t r = -EAGAIN;

	conn_poll(c); /* sees a reset */
	if (is_inline(c) || !mark_find(c, &m) || load_relaxed(&c->own->urgent_read) == m.end)
		return -EINVAL;
	if (load_relaxed(&c->own->side) & SIDE_RST_SEEN && !(end & END_FIN))
		return -ENOTCONN;
	/* Its sender raises SIGURG, and then moves its tail. */
	for (unsigned i = 0; i < NOT_YET_TRIES && load_acquire(&c->peer->tail) <= m.at; i++)
		sys0(SYS_sched_yield);
	if (load_acquire(&c->peer->tail) > m.at)
		r = conn_recv(c, byte, 1, m.at - load_relaxed(&c->own->head),
			      CONN_PEEK | CONN_RAW);
	if (r == 1 && !peek)
		store_relaxed(&c->own->urgent_read, m.end);
	if (r == -EAGAIN && (end & END_FIN || load_relaxed(&c->own->side) & SIDE_RD_SHUT))
		return 0;
	return r;
}

bool conn_at_mark(struct conn *c)
{
	struct mark m;

	return mark_find(c, &m) && m.head == m.at;
}

uint64_t conn_until_mark(struct conn *c)
{
	uint64_t tail = load_acquire(&c->peer->tail), all = conn_readable(c);
	struct mark m;

	if (load_relaxed(&c->own->side) & SIDE_BROKEN || is_inline(c) || !mark_find(c, &m) ||
	    m.at >= tail)
		return all;
	return m.at - m.head < all ? m.at - m.head : all;
}
