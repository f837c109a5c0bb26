/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.c - Two halves as one connection.
 *
 * Theory of operation.
 *
 * Sending fills our own ring: the bytes first, then the tail. Receiving
 * (receive.c) drains the peer's: copy, then our head. All indices run freely in 64 bits,
 * so head <= tail always, and the difference is what is in the ring.
 *
 * A ring is a list of extents. A connection starts with RING_LOG2_MIN and is
 * given RING_LOG2_BUSY once it carries more than small messages. A reader
 * that does not read at all is waited for with up to RING_LIMIT bytes, as the
 * kernel does; one that reads is not: a ring that stays in the cache is
 * faster than one that holds more. Switching to another extent, up or down,
 * is the same step: append an entry whose first byte is the tail. The old
 * one is given back when the head has passed its end.
 *
 * Whatever is read from the peer's half is loaded once and checked. An
 * impossible value breaks this connection: we publish RST, and the program
 * gets ECONNRESET.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/copy.h"
#include "base/fault.h"
#include "shm/conn.h"
#include "shm/conn_ring.h"
#include "shm/conn_side.h"
#include "shm/futex.h"
#include "shm/seat.h"
#include "shm/urgent.h"

#define RING_LOG2_BUSY 18u
#define RING_BUSY (1ull << RING_LOG2_BUSY)
#define RING_LOG2_LEFT 20u /* of a socket whose owner will not grow it again */
/* A fork gives each connection a ring of RING_LOG2_LEFT while so much of the
 * arena is in use, and RING_LOG2_BUSY up to the other. */
#define FORK_PLENTY (128ull << 20)
#define FORK_ENOUGH (1ull << 30)
#define RCVBUF_UNREAD (128ull << 10) /* as Linux's, which grows only for who reads */
#define PROBE_NS (200 * NS_PER_MS) /* Linux's first probe of a window that is shut */
#define STALL_NS NS_PER_MS
#define ERRNO_END 4096u

int conn_attach(struct conn *c, struct party *p, struct half *own, half_ref peer_ref,
		struct peer *owner)
{
	const struct half *peer = half_find(owner->base, peer_ref);

	if (!peer)
		return -EPROTO;
	*c = (struct conn){ .party = p, .own = own, .peer = peer, .owner = owner,
			    .seat_owner = owner, .peer_ref = peer_ref };
	party_half_refers(p, own, half_ref_party(peer_ref));
	return 0;
}

void conn_detach(struct conn *c)
{
	/* The reference to the peer's party stays with the half until its
	 * slot is recycled: until then the peer's state must be readable. */
	if (c->lent)
		party_peer_put(c->party, c->lent);
	*c = (struct conn){ 0 };
}

/* The party of @peer, which is our peer or was: another thread may follow it
 * just now, and a connection moves only once. */
static struct peer *owner_of(const struct conn *c, const struct half *peer)
{
	return (uintptr_t)peer - (uintptr_t)c->owner->base < ARENA_BYTES ? c->owner
									 : c->seat_owner;
}

static uint32_t notify_there(struct conn *c, uint32_t what)
{
	const struct half *peer = c->peer;

	return half_notify(c->party, c->own, peer, owner_of(c, peer), what);
}

/* We have published something; the listener has waited for that. */
static void speak(struct conn *c)
{
	const struct half *peer = c->peer;

	if (half_state(peer) == HALF_SEAT)
		seat_speaks(c->party, c->own, peer, owner_of(c, peer));
}

void conn_break(struct conn *c)
{
	if (atomic_fetch_or(&c->own->side, SIDE_BROKEN | SIDE_RST_SEEN) & SIDE_BROKEN)
		return;
	store_relaxed(&c->own->error, ECONNRESET);
	atomic_fetch_or(&c->own->end, END_RST);
	notify_there(c, NOTIFY_END);
}

/* The peer's slot is another connection's by now, which cannot be while we
 * are not RELEASED; or its memory is noise. */
static bool peer_is_ours(const struct conn *c)
{
	return half_gen(c->peer) == half_ref_gen(c->peer_ref);
}

/* Asked again, with no thread of ours in the middle of following. */
static bool peer_is_ours_surely(const struct conn *c)
{
	bool ours;

	lock_take(&c->party->lock);
	ours = peer_is_ours(c);
	lock_drop(&c->party->lock);
	return ours;
}

/*
 * moved_to() - Where is the peer, if not at @seat? Our own half says so once
 * another process of our side has followed it; before that, the seat does.
 * @ret_was: The seat's name.
 * Return: False where it is there, or where a thread of ours has followed.
 */
static bool moved_to(const struct conn *c, const struct half *seat, half_ref *ret_was,
		     half_ref *ret, uint32_t *ret_gen)
{
	bool moved = false;

	lock_take(&c->party->lock);
	*ret_was = c->peer_ref;
	*ret = load_acquire(&c->own->peer);
	*ret_gen = load_relaxed(&c->own->peer_party_gen);
	if (c->peer != seat) {
		;
	} else if (*ret != c->peer_ref) {
		moved = *ret != 0;
	} else if (load_acquire(&seat->end) & END_MOVED) {
		*ret = load_relaxed(&seat->moved);
		*ret_gen = load_relaxed(&seat->moved_gen);
		moved = peer_is_ours(c);
	}
	lock_drop(&c->party->lock);
	return moved;
}

/* From @was to @ref, which is @peer of @owner's. Return: False where another
 * thread was faster. */
static bool follow_to(struct conn *c, half_ref was, half_ref ref, uint32_t gen,
		      const struct half *peer, struct peer *owner)
{
	bool first;

	lock_take(&c->party->lock);
	first = party_half_moves(c->party, c->own, &c->peer_ref, was, ref);
	if (first) {
		/* owner_of() finds the pair in any order but this one reversed. */
		c->owner = owner;
		atomic_thread_fence(memory_order_seq_cst);
		__atomic_store_n(&c->peer, peer, __ATOMIC_RELEASE);
		/* From here on the seat may be another's: see seat_is_left(). */
		store_relaxed(&c->own->peer_party_gen, gen);
		atomic_compare_exchange_strong(&c->own->peer, &was, ref);
	}
	lock_drop(&c->party->lock);
	return first;
}

bool conn_follow(struct conn *c)
{
	const struct half *peer, *seat = c->peer;
	half_ref ref, was;
	struct peer *owner;
	uint32_t gen;
	int r;

	if (likely(!(load_acquire(&seat->end) & END_MOVED) && peer_is_ours(c)))
		return false;
	if (!moved_to(c, seat, &was, &ref, &gen))
		return c->peer != seat; /* Another thread was faster? */
	r = party_peer_get(c->party, half_ref_party(ref), gen, &owner);
	peer = r == 0 ? half_find(owner->base, ref) : NULL;
	if (r < 0 && r != -ESRCH && r != -EPROTO)
		return c->peer != seat; /* The next call tries again. */
	if (!peer || half_gen(peer) != half_ref_gen(ref) ||
	    load_acquire(&peer->peer) != half_ref_of(c->party, c->own)) {
		if (r == 0)
			party_peer_put(c->party, owner);
		if (c->peer != seat)
			return true;
		conn_break(c);
		return false;
	}
	FAULT_POINT("follow.met");
	if (!follow_to(c, was, ref, gen, peer, owner)) {
		/* Another thread of ours has the reference. */
		party_peer_put(c->party, owner);
		return true;
	}
	if (c->party->inherited)
		c->lent = owner;
	FAULT_POINT("follow.named");
	/* Threads that sleep on the seat's word: on the half's from now on. */
	atomic_fetch_add(&c->own->event, 1);
	futex_wake(&c->own->event, INT_MAX);
	return true;
}

uint32_t conn_notify(struct conn *c, uint32_t what)
{
	uint32_t want = notify_there(c, what);

	if (unlikely(want & WANT_MOVED) && conn_follow(c))
		want = notify_there(c, what);
	if (unlikely(want & WANT_DEFERRED))
		speak(c);
	return want;
}

void conn_finish(struct conn *c, bool force_rst)
{
	const struct half *peer;
	uint32_t want;

	conn_follow(c);
	peer = c->peer;
	want = half_end(c->party, c->own, peer, owner_of(c, peer), force_rst);
	if (want & WANT_MOVED && conn_follow(c))
		notify_there(c, NOTIFY_END);
	if (want & WANT_DEFERRED)
		speak(c);
}

/* Linux: in CLOSE-WAIT a reset is EPIPE, else ECONNRESET. What the network
 * knows better, it says. */
static uint32_t reset_error(const struct conn *c, uint32_t end, uint32_t side)
{
	uint32_t says = load_relaxed(&c->peer->end_error);

	if (unlikely(says) && says < ERRNO_END)
		return says;
	return end & END_FIN && !(side & SIDE_WR_SHUT) ? EPIPE : ECONNRESET;
}

void conn_absorb(struct conn *c)
{
	uint32_t end = load_acquire(&c->peer->end);
	uint32_t side = load_relaxed(&c->own->side);

	if (side & SIDE_RST_SEEN)
		return;
	if (unlikely(end & END_MOVED || !peer_is_ours(c))) {
		if (conn_follow(c))
			end = load_acquire(&c->peer->end);
		else if (!peer_is_ours_surely(c))
			conn_break(c);
	}
	if (!(end & END_RST) && !met_shut(c))
		return;
	/* Of several threads, one sets the error. */
	if (atomic_fetch_or(&c->own->side, SIDE_RST_SEEN) & SIDE_RST_SEEN)
		return;
	store_relaxed(&c->own->error, reset_error(c, end, side));
}

int conn_take_error(struct conn *c)
{
	conn_absorb(c);
	if (load_relaxed(&c->own->error) == 0)
		return 0;
	return (int)atomic_exchange(&c->own->error, 0);
}

/* ------------------------------------------------------------------ send */

/* Its other half is the daemon's: the network is behind it. */
static bool is_wire(const struct conn *c)
{
	return load_relaxed(&c->own->side) & SIDE_WIRE || load_relaxed(&c->peer->end) & END_UP;
}

/* What the peer takes unread: on loopback that is acknowledged at once. */
static uint64_t tx_delivered(const struct conn *c)
{
	uint32_t theirs = load_relaxed(&c->peer->rcvbuf);

	/* The wire takes it for the peer; what that has acknowledged is not seen here. */
	if (unlikely(is_wire(c)))
		return 0;
	return theirs ? theirs : RCVBUF_UNREAD;
}

/* With TCP_NOTSENT_LOWAT, little is taken beyond that. */
static uint64_t tx_limit_low(const struct conn *c, uint64_t limit)
{
	uint64_t most = tx_delivered(c) + load_relaxed(&c->own->notsent_lowat);

	return limit < most ? limit : most;
}

static uint64_t tx_limit(const struct conn *c)
{
	uint64_t mine = load_relaxed(&c->own->sndbuf), limit = RING_LIMIT;

	/* What our send buffer and their receive buffer hold together. One that nobody
	 * set grows: ours for who does not read, as Linux's; theirs for who reads. */
	if (mine)
		limit = mine + (is_wire(c) ? RING_LIMIT / 2 : tx_delivered(c));
	if (limit > RING_LIMIT)
		limit = RING_LIMIT;
	return unlikely(load_relaxed(&c->own->notsent_lowat)) ? tx_limit_low(c, limit) : limit;
}

/* Look at the peer's head again. */
int conn_tx_refresh(struct conn *c, uint64_t tail)
{
	uint64_t head;

	if (unlikely(load_acquire(&c->peer->end) & END_MOVED))
		conn_follow(c);
	head = load_acquire(&c->peer->head);
	if (unlikely(head < c->tx_head_seen || head > tail)) {
		conn_break(c);
		return -ECONNRESET;
	}
	c->tx_head_seen = head;
	return 0;
}

/* Give back extents that the reader has left behind. */
static void tx_retire(struct conn *c)
{
	struct half *h = c->own;
	uint32_t live = load_relaxed(&h->ext_live), count = load_relaxed(&h->ext_count);

	/* Memory goes back to its owner by its owner. */
	if (c->party->inherited)
		return;
	while (count - live > 1 &&
	       load_relaxed(&h->ext[(live + 1) % RING_EXTENTS].first) <= c->tx_head_seen) {
		uint64_t where = load_relaxed(&h->ext[live % RING_EXTENTS].where);

		store_relaxed(&h->ext_live, ++live);
		party_ring_free(c->party, (where >> 8) * PAGE_BYTES, (unsigned)(where & 0xff));
	}
}

/* Load tx_* for the newest extent. */
static void tx_load(struct conn *c, uint32_t count)
{
	const struct ring_extent *e = &c->own->ext[(count - 1) % RING_EXTENTS];
	uint64_t where = load_relaxed(&e->where);

	c->tx_mem = (unsigned char *)c->party->base + (where >> 8) * PAGE_BYTES;
	c->tx_first = load_relaxed(&e->first);
	c->tx_mask = (1ull << (where & 0xff)) - 1;
	c->tx_ext = count;
}

/* Go on in an extent of 2^log2 bytes from @tail on. */
int conn_tx_switch(struct conn *c, uint64_t tail, unsigned log2)
{
	struct half *h = c->own;
	uint32_t count = load_relaxed(&h->ext_count);
	uint64_t at;

	if (count - load_relaxed(&h->ext_live) >= RING_EXTENTS - 1)
		return -ENOSPC;
	at = party_ring_alloc(c->party, log2);
	if (at == 0)
		return -ENOSPC;
	store_relaxed(&h->ext[count % RING_EXTENTS].first, tail);
	store_relaxed(&h->ext[count % RING_EXTENTS].where, at / PAGE_BYTES << 8 | log2);
	FAULT_POINT("switch.extent");
	/* Before any tail that it covers. Pairs with rx_locate(). */
	store_release(&h->ext_count, count + 1);
	FAULT_POINT("switch.count");
	tx_load(c, count + 1);
	tx_retire(c);
	return 0;
}

static uint64_t tx_size(const struct conn *c)
{
	return c->tx_ext ? c->tx_mask + 1 : 0;
}

/* Is the reader one that reads? Noted when the ring is full. */
static bool tx_stalled(struct conn *c)
{
	uint64_t now;

	if (c->tx_head_full == c->tx_head_seen && !load_relaxed(&c->tx_reader_reads))
		return true;
	now = clock_now_ns();
	if (c->tx_head_full != c->tx_head_seen) {
		c->tx_head_full = c->tx_head_seen;
		c->tx_full_ns = now;
		store_relaxed(&c->tx_reader_reads, true);
	} else if (now - c->tx_full_ns > STALL_NS) {
		store_relaxed(&c->tx_reader_reads, false);
	}
	return !load_relaxed(&c->tx_reader_reads);
}

/* How many bytes fit now. */
static uint64_t tx_free(const struct conn *c, uint64_t tail, uint64_t limit)
{
	uint64_t from = c->tx_head_seen > c->tx_first ? c->tx_head_seen : c->tx_first;
	uint64_t queued = tail - c->tx_head_seen, in_ext = tail - from;
	uint64_t room = tx_size(c) > in_ext ? tx_size(c) - in_ext : 0;

	if (load_relaxed(&c->tx_reader_reads) && limit > RING_BUSY)
		limit = RING_BUSY;
	if (queued >= limit)
		return 0;
	return room < limit - queued ? room : limit - queued;
}

/* Make room for @len bytes, or for as many as may be. */
static uint64_t tx_room(struct conn *c, uint64_t tail, size_t len)
{
	uint64_t limit = tx_limit(c), room, queued;
	unsigned log2;

	if (c->own->ext_live + 1 != c->tx_ext)
		tx_retire(c);
	room = tx_free(c, tail, limit);
	queued = tail - c->tx_head_seen;
	if (tx_size(c) > RING_BUSY && load_relaxed(&c->tx_reader_reads) && queued <= RING_BUSY / 2) {
		/* It reads again: back to a ring that fits the cache. */
		conn_tx_switch(c, tail, RING_LOG2_BUSY);
		return tx_free(c, tail, limit);
	}
	if (room >= len)
		return room;
	if (tx_size(c) == 0)
		log2 = len > (1u << RING_LOG2_MIN) / 2 ? RING_LOG2_BUSY : RING_LOG2_MIN;
	else if (tx_size(c) < RING_BUSY)
		log2 = RING_LOG2_BUSY;
	else if (room == 0 && tx_stalled(c) && queued < limit)
		log2 = tx_size(c) < 1u << 20 ? 20 : RING_LOG2_MAX;
	else
		return room;
	if (tx_size(c) < 1ull << log2)
		store_relaxed(&c->tx_cramped, conn_tx_switch(c, tail, log2) != 0);
	/* No memory: what there is must do. */
	if (tx_size(c) == 0)
		conn_tx_switch(c, tail, RING_LOG2_MIN);
	return tx_free(c, tail, limit);
}

/* Before a send: an error that it must report. */
static int tx_error(struct conn *c)
{
	uint32_t e;

	conn_absorb(c);
	e = load_relaxed(&c->own->error);
	if (e && (e = atomic_exchange(&c->own->error, 0)) != 0)
		return -(int)e;
	if (load_relaxed(&c->own->side) & (SIDE_WR_SHUT | SIDE_RST_SEEN))
		return -EPIPE;
	return conn_pending(c) ? -EAGAIN : 0;
}

/* The peer had closed when our bytes came. */
static void tx_met_closed(struct conn *c)
{
	uint32_t end = load_acquire(&c->peer->end);

	if (atomic_fetch_or(&c->own->side, SIDE_MET_CLOSED | SIDE_RST_SEEN) & SIDE_RST_SEEN)
		return;
	store_relaxed(&c->own->error,
		      end & END_FIN && !(load_relaxed(&c->own->side) & SIDE_WR_SHUT) ? EPIPE
										     : ECONNRESET);
}

/* How much of @len bytes can be taken now, from *@ret_tail on. Return: that,
 * or -errno as for conn_send(). */
static inline ssize_t tx_begin(struct conn *c, size_t len, uint64_t *ret_tail)
{
	struct half *h = c->own;
	uint64_t tail, room;

	if (unlikely(load_relaxed(&h->error) | load_relaxed(&h->side) |
		     (load_relaxed(&c->peer->end) & END_RST))) {
		int r = tx_error(c);

		if (r)
			return r;
	}
	if (len == 0)
		return 0;
	*ret_tail = tail = load_relaxed(&h->tail);
	if (unlikely(load_relaxed(&h->ext_count) != c->tx_ext))
		tx_load(c, load_relaxed(&h->ext_count));
	room = tx_free(c, tail, tx_limit(c));
	if (unlikely(room < len || c->own->ext_live + 1 != c->tx_ext ||
		     c->tx_mask >= RING_BUSY)) {
		if (conn_tx_refresh(c, tail) != 0)
			return conn_take_error(c) ? -ECONNRESET : -EPIPE;
		room = tx_room(c, tail, len);
		if (room == 0)
			return c->tx_ext ? -EAGAIN : -ENOBUFS;
	}
	return (ssize_t)(len < room ? len : room);
}

/* Copy at most @n bytes to @tail. Return: how many, up to the ring's edge; 0
 * where they cannot be read. */
static inline size_t tx_copy(struct conn *c, uint64_t tail, const unsigned char *src, size_t n)
{
	uint64_t at = (tail - c->tx_first) & c->tx_mask;

	if (n > c->tx_mask + 1 - at)
		n = (size_t)(c->tx_mask + 1 - at);
	if (unlikely(!copy_try(c->tx_mem + at, src, n)))
		return 0;
	FAULT_POINT("send.copied");
	return n;
}

/* The bytes before @tail are in place. Return: false where they met a closed
 * socket. */
static inline bool tx_publish(struct conn *c, uint64_t tail)
{
	/* Pairs with the acquire in rx_locate(). */
	store_release(&c->own->tail, tail);
	FAULT_POINT("send.tail");
	if (likely(!(notify_peer(c, NOTIFY_DATA) & WANT_CLOSED)))
		return true;
	/* Or he has read them all, and closed since: his head moved before. */
	atomic_thread_fence(memory_order_acquire);
	if ((int64_t)(tail - load_acquire(&c->peer->head)) <= 0)
		return true;
	tx_met_closed(c);
	return false;
}

ssize_t conn_send(struct conn *c, const void *buf, size_t len)
{
	const unsigned char *src = buf;
	uint64_t tail = 0;
	ssize_t room = tx_begin(c, len, &tail);
	size_t done = 0;

	while ((ssize_t)done < room) {
		size_t n = (size_t)room - done;

		n = tx_copy(c, tail, src + done, n < PUBLISH_BYTES ? n : PUBLISH_BYTES);
		if (unlikely(n == 0))
			return done ? (ssize_t)done : -EFAULT;
		done += n;
		tail += n;
		if (!tx_publish(c, tail))
			break;
	}
	return room;
}

ssize_t conn_room(struct conn *c, size_t len)
{
	uint64_t tail;

	return tx_begin(c, len, &tail);
}

/* @room bytes of the pieces, without the first @skip, to @tail and beyond.
 * Return: @room, less where there is no more to read, -EFAULT where none is. */
static ssize_t tx_pieces(struct conn *c, const struct iovec *iov, size_t skip, ssize_t room,
		      uint64_t tail)
{
	size_t done = 0, fresh = 0;

	/* What one call sends arrives together, where it is little. */
	for (int i = 0; (ssize_t)done < room;) {
		const unsigned char *src = iov[i].iov_base;
		size_t k = (size_t)room - done;

		if (skip == iov[i].iov_len) {
			skip = 0;
			i++;
			continue;
		}
		if (skip > iov[i].iov_len) {
			skip -= iov[i++].iov_len;
			continue;
		}
		if (k > iov[i].iov_len - skip)
			k = iov[i].iov_len - skip;
		if (k > PUBLISH_BYTES - fresh)
			k = PUBLISH_BYTES - fresh;
		k = tx_copy(c, tail, src + skip, k);
		if (unlikely(k == 0))
			return done > fresh ? (ssize_t)(done - fresh) : -EFAULT;
		skip += k;
		done += k;
		tail += k;
		fresh += k;
		if (fresh < PUBLISH_BYTES && (ssize_t)done < room)
			continue;
		fresh = 0;
		if (!tx_publish(c, tail))
			break;
	}
	return room;
}

ssize_t conn_send_begin(struct conn *c, size_t len, struct iovec ret[2])
{
	uint64_t tail = 0, at, edge;
	ssize_t room = tx_begin(c, len, &tail);

	if (room <= 0)
		return room;
	at = (tail - c->tx_first) & c->tx_mask;
	edge = c->tx_mask + 1 - at;
	if (edge > (uint64_t)room)
		edge = (uint64_t)room;
	ret[0] = (struct iovec){ c->tx_mem + at, (size_t)edge };
	ret[1] = (struct iovec){ c->tx_mem, (size_t)room - (size_t)edge };
	return room;
}

void conn_send_end(struct conn *c, size_t n)
{
	tx_publish(c, load_relaxed(&c->own->tail) + n);
}

static size_t iov_bytes(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

ssize_t conn_sendv(struct conn *c, const struct iovec *iov, int n, size_t skip)
{
	uint64_t tail = 0;
	ssize_t room = tx_begin(c, iov_bytes(iov, n) - skip, &tail);

	return tx_pieces(c, iov, skip, room, tail);
}

ssize_t conn_send_urgent(struct conn *c, const struct iovec *iov, int n, size_t skip)
{
	uint64_t tail = 0;
	ssize_t room = tx_begin(c, iov_bytes(iov, n) - skip, &tail);

	if (room <= 0)
		return room;
	/* The mark goes first, and cannot be taken back. */
	for (int i = 0; i < n; i++)
		if (!copy_can_read(iov[i].iov_base, iov[i].iov_len))
			return -EFAULT;
	urgent_set(c, tail + (uint64_t)room);
	return tx_pieces(c, iov, skip, room, tail);
}

/* ----------------------------------------------------------------- state */

uint64_t conn_readable(struct conn *c)
{
	uint64_t head = load_relaxed(&c->own->head), tail = rx_tail(c);

	if (load_relaxed(&c->own->side) & SIDE_BROKEN || tail < head ||
	    tail - head > 2 * RING_LIMIT)
		return 0;
	if (unlikely(load_relaxed(&c->peer->urgent) > head)) {
		uint64_t hole = urgent_hole(c, head);

		return hole < tail - head ? tail - head - hole : 0;
	}
	return tail - head;
}

uint64_t conn_unsent(struct conn *c)
{
	uint64_t tail = load_relaxed(&c->own->tail), head = load_acquire(&c->peer->head);

	return head > tail ? 0 : tail - head;
}

uint64_t conn_undelivered(struct conn *c)
{
	uint64_t n = conn_unsent(c), fits = tx_delivered(c);

	return n > fits ? n - fits : 0;
}

uint64_t conn_window(struct conn *c)
{
	uint64_t n = conn_unsent(c), fits = tx_delivered(c);

	return n < fits ? fits - n : 0;
}

bool conn_is_wire(const struct conn *c)
{
	return is_wire(c);
}

bool conn_is_acknowledged(struct conn *c)
{
	/* The wire's half ends once the network's peer has the FIN. */
	return (conn_undelivered(c) == 0 && !is_wire(c)) || load_relaxed(&c->own->end) & END_RST ||
	       load_relaxed(&c->own->side) & (SIDE_RST_SEEN | SIDE_BROKEN) ||
	       load_acquire(&c->peer->end) & END_RST || !peer_is_ours(c) ||
	       half_state(c->peer) >= HALF_CLOSED;
}

/* What a writer may count on: the ring as it is, or as it may become. */
static uint64_t tx_capacity(const struct conn *c)
{
	uint64_t limit = tx_limit(c), size = RING_LIMIT;
	uint32_t count = load_acquire(&c->own->ext_count);
	bool fixed = c->party->inherited || load_relaxed(&c->tx_cramped);

	/* Asked by any thread, so not of what the send lock guards. */
	if (load_relaxed(&c->tx_reader_reads))
		size = RING_BUSY;
	if (fixed && count) {
		uint64_t where = load_relaxed(&c->own->ext[(count - 1) % RING_EXTENTS].where);

		if (size > 1ull << (where & 0xff))
			size = 1ull << (where & 0xff);
	}
	return size < limit ? size : limit;
}

/* With so much in the ring, or less, poll() says POLLOUT. */
static uint64_t tx_writable_at(const struct conn *c)
{
	uint64_t at = tx_capacity(c) * 2 / 3, low = load_relaxed(&c->own->notsent_lowat), most;

	if (likely(low == 0))
		return at;
	/* Linux: less than half of that is unsent. */
	most = tx_delivered(c) + (low - 1) / 2;
	return at < most ? at : most;
}

bool conn_writable(struct conn *c)
{
	return conn_unsent(c) <= tx_writable_at(c);
}

bool conn_may_grow(const struct conn *c)
{
	return !c->party->inherited && !load_relaxed(&c->tx_cramped) &&
	       tx_size(c) < 1u << RING_LOG2_MAX &&
	       load_relaxed(&c->own->tail) - c->tx_head_seen < tx_limit(c);
}

void conn_peer_died(struct conn *c)
{
	if (atomic_fetch_or(&c->own->side, SIDE_RST_SEEN) & SIDE_RST_SEEN)
		return;
	/* As its executor would have had it: RST where data was unread. */
	if (conn_unsent(c))
		store_relaxed(&c->own->error, ECONNRESET);
}

uint64_t conn_overdue(struct conn *c, uint64_t now_ns)
{
	uint64_t most = (uint64_t)load_relaxed(&c->own->user_timeout_ms) * (uint64_t)NS_PER_MS;
	uint64_t head = load_acquire(&c->peer->head), since = load_relaxed(&c->stall_ns);

	conn_absorb(c);
	/* The wire has a timer of its own. */
	if (most == 0 || is_wire(c) || load_relaxed(&c->own->side) & SIDE_RST_SEEN ||
	    conn_undelivered(c) == 0) {
		store_relaxed(&c->stall_ns, 0);
		return 0;
	}
	most += PROBE_NS;
	if (since == 0 || load_relaxed(&c->stall_head) != head) {
		store_relaxed(&c->stall_head, head);
		store_relaxed(&c->stall_ns, now_ns);
		return now_ns + most;
	}
	if (now_ns < since + most)
		return since + most;
	if (!(atomic_fetch_or(&c->own->side, SIDE_RST_SEEN) & SIDE_RST_SEEN)) {
		store_relaxed(&c->own->error, ETIMEDOUT);
		atomic_fetch_or(&c->own->end, END_RST);
		conn_notify(c, NOTIFY_END);
	}
	return 0;
}

/* @side: As it would be once what the peer published is absorbed. */
static uint32_t poll_bits(struct conn *c, uint32_t side)
{
	uint32_t mask = 0, end, lowat = load_relaxed(&c->own->rcvlowat);
	bool fin, rst;

	end = load_acquire(&c->peer->end);
	rst = side & SIDE_RST_SEEN;
	fin = end & END_FIN || rst || side & SIDE_RD_SHUT;
	if ((fin && side & SIDE_WR_SHUT) || rst)
		mask |= POLLHUP;
	if (fin)
		mask |= POLLIN | POLLRDNORM | POLLRDHUP;
	else if (conn_readable(c) >= (lowat ? lowat : 1))
		mask |= POLLIN | POLLRDNORM;
	if (side & SIDE_WR_SHUT || rst || conn_writable(c))
		mask |= POLLOUT | POLLWRNORM;
	if (load_relaxed(&c->own->error) ||
	    load_relaxed(&c->own->zc_sent) != load_relaxed(&c->own->zc_told))
		mask |= POLLERR;
	if (unlikely(load_relaxed(&c->peer->urgent)))
		mask |= urgent_poll(c);
	return mask;
}

uint32_t conn_poll(struct conn *c)
{
	conn_absorb(c);
	if (conn_pending(c))
		return 0;
	return poll_bits(c, load_relaxed(&c->own->side));
}

uint32_t conn_glance(struct party *p, struct half *own, const struct half *peer,
		     struct peer *owner)
{
	struct conn c = { .party = p, .own = own, .peer = peer, .owner = owner };
	uint32_t side = load_relaxed(&own->side);

	if (conn_pending(&c))
		return 0;
	if (!(side & SIDE_RST_SEEN) && (load_acquire(&peer->end) & END_RST || met_shut(&c)))
		return poll_bits(&c, side | SIDE_RST_SEEN) | POLLERR;
	return poll_bits(&c, side);
}

/* ---------------------------------------------------------------- waking */

/* The head at which conn_writable() turns true. */
static void want_space_set(struct conn *c)
{
	uint64_t tail = load_relaxed(&c->own->tail), keep = tx_writable_at(c);

	store_relaxed(&c->own->want_space, tail > keep ? tail - keep : 0);
}

/* Count one sleeper more, or one less. A count that is full stays full, as
 * does one that a sleeper left behind: it costs wakes, and loses none. */
static void want_count(struct half *h, uint32_t one, uint32_t mask, bool more)
{
	uint32_t want = load_relaxed(&h->want), next;

	do {
		if ((want & mask) == mask || (!more && !(want & mask)))
			break;
		next = more ? want + one : want - one;
	} while (!atomic_compare_exchange_weak(&h->want, &want, next));
}

void conn_want_futex(struct conn *c, uint32_t what)
{
	if (what & NOTIFY_SPACE)
		want_space_set(c);
	if (what & NOTIFY_DATA)
		want_count(c->own, WANT_DATA_ONE, WANT_DATA_MASK, true);
	if (what & NOTIFY_SPACE)
		want_count(c->own, WANT_SPACE_ONE, WANT_SPACE_MASK, true);
	/* The wish goes before the second look. Pairs with the fence in
	 * half_notify(). */
	atomic_thread_fence(memory_order_seq_cst);
}

void conn_want_delivery(struct conn *c)
{
	uint64_t tail = load_relaxed(&c->own->tail), most = tx_delivered(c);

	store_relaxed(&c->own->want_space, tail > most ? tail - most : 0);
	want_count(c->own, WANT_SPACE_ONE, WANT_SPACE_MASK, true);
	/* As in conn_want_futex(). */
	atomic_thread_fence(memory_order_seq_cst);
}

void conn_unwant_futex(struct conn *c, uint32_t what)
{
	if (what & NOTIFY_DATA)
		want_count(c->own, WANT_DATA_ONE, WANT_DATA_MASK, false);
	if (what & NOTIFY_SPACE)
		want_count(c->own, WANT_SPACE_ONE, WANT_SPACE_MASK, false);
}

static uint32_t hint_bits(uint32_t what)
{
	return (what & NOTIFY_DATA ? WANT_HINT_DATA : 0) |
	       (what & NOTIFY_SPACE ? WANT_HINT_SPACE : 0);
}

void conn_want_hint(struct conn *c, uint32_t what)
{
	if (what & NOTIFY_SPACE)
		want_space_set(c);
	atomic_fetch_or(&c->own->want, hint_bits(what));
}

void conn_unwant_hint(struct conn *c, uint32_t what, uint64_t bell_at)
{
	uint32_t want = load_acquire(&c->own->want);

	if (!(want & hint_bits(what)))
		return;
	if (likely(!load_relaxed(&c->own->shared)))
		atomic_fetch_and(&c->own->want, ~hint_bits(what));
	else if (load_acquire(&c->own->bell_at) == bell_at)
		/* Not if another took the bell since: WANT_TAKEN_* moved then.
		 * What stays wanted costs its sender a hint. */
		atomic_compare_exchange_strong(&c->own->want, &want, want & ~hint_bits(what));
}

/* Both ways shut while the peer still sends: see met_shut(). */
static void shut_both(struct conn *c)
{
	uint32_t both = SIDE_RD_SHUT | SIDE_WR_SHUT, side = load_relaxed(&c->own->side);

	if ((side & both) != both || side & (SIDE_SHUT_EARLY | SIDE_RST_SEEN) ||
	    load_acquire(&c->peer->end) & END_FIN)
		return;
	/* As in half_end(): the sender sees this, or we see its bytes. */
	atomic_fetch_or(&c->own->want, WANT_CLOSED);
	atomic_thread_fence(memory_order_seq_cst);
	store_relaxed(&c->own->shut_tail, load_acquire(&c->peer->tail));
	atomic_fetch_or(&c->own->side, SIDE_SHUT_EARLY);
}

void conn_shutdown_read(struct conn *c)
{
	atomic_fetch_or(&c->own->side, SIDE_RD_SHUT);
	shut_both(c);
}

void conn_shutdown_write(struct conn *c)
{
	atomic_fetch_or(&c->own->side, SIDE_WR_SHUT);
	shut_both(c);
	atomic_fetch_or(&c->own->end, END_FIN);
	conn_notify(c, NOTIFY_END);
}

void conn_up(struct conn *c)
{
	atomic_fetch_or(&c->own->end, END_UP);
	conn_notify(c, NOTIFY_END);
}

void conn_options_set(struct conn *c)
{
	if (unlikely(load_relaxed(&c->peer->end) & END_UP))
		conn_notify(c, NOTIFY_DATA);
}

void conn_trim(struct conn *c)
{
	uint64_t tail = load_relaxed(&c->own->tail), sent = tail - c->tx_trim_tail;
	unsigned log2;

	c->tx_trim_tail = tail;
	if (tx_size(c) > RING_BUSY)
		log2 = RING_LOG2_BUSY;
	else if (tx_size(c) > 1u << RING_LOG2_MIN && sent < 1u << (RING_LOG2_MIN - 1))
		log2 = RING_LOG2_MIN;
	else
		return;
	if (c->party->inherited || load_relaxed(&c->own->shared) ||
	    load_relaxed(&c->own->ext_count) != c->tx_ext)
		return;
	if (conn_tx_refresh(c, tail) == 0 && c->tx_head_seen == tail)
		conn_tx_switch(c, tail, log2);
}

void conn_prepare_fork(struct conn *c)
{
	uint32_t count = load_relaxed(&c->own->ext_count);
	unsigned log2 = party_ring_used(c->party) < FORK_PLENTY ? RING_LOG2_LEFT :
			party_ring_used(c->party) < FORK_ENOUGH ? RING_LOG2_BUSY : RING_LOG2_MIN;

	if (count && c->tx_ext != count)
		tx_load(c, count);
	/* Once: it does not grow any more, and does not shrink. */
	if (!load_relaxed(&c->own->shared) && tx_size(c) < 1ull << log2)
		conn_tx_switch(c, load_relaxed(&c->own->tail), log2);
	if (tx_size(c) == 0)
		conn_tx_switch(c, load_relaxed(&c->own->tail), RING_LOG2_MIN);
	store_relaxed(&c->own->shared, 1);
}

void conn_prepare_leave(struct conn *c)
{
	uint32_t count = load_relaxed(&c->own->ext_count);

	if (count && c->tx_ext != count)
		tx_load(c, count);
	if (tx_size(c) < 1ull << RING_LOG2_LEFT)
		conn_tx_switch(c, load_relaxed(&c->own->tail), RING_LOG2_LEFT);
	conn_prepare_fork(c);
}
