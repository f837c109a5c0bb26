/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inbox.c - Receiving datagrams.
 *
 * Theory of operation. A datagram socket's half has a row of seats, as a
 * listener's has. A sender claims one the first time it has something for this
 * socket, and keeps it: the seat's half is the reading end of its channel, and
 * its claim word stays. It is made anew when the sender has ended. So the row
 * alone says who sends, and whoever holds the socket can read from all of them:
 * a process attaches to a seat that another one has bound.
 *
 * The row begins small, and its owner makes more seats as they are taken. Who
 * finds none free sends through the kernel.
 *
 * The oldest of the datagrams that are first in their rings comes first. Reading
 * one is copying it, then moving the channel's head: under a lock, so a reader
 * that dies in between leaves it to the next one.
 */
#include <errno.h>
#include <string.h>

#include "base/copy.h"
#include "base/fault.h"
#include "shm/conn_ring.h"
#include "shm/inbox.h"
#include "shm/seat_row.h"

#define SEATS_FIRST 2u
#define SEATS_SPARE 2u

static uint64_t tickets(const struct inbox *b)
{
	return load_acquire(&b->party->mbox->claims[load_relaxed(&b->half->seat_base)]);
}

static _Atomic uint64_t *claim_at(const struct inbox *b, unsigned i)
{
	return &claim_words(b->party->mbox, load_relaxed(&b->half->seat_base))[i];
}

/* How many seats there are; a row is ours, but perhaps a child's to write. */
static unsigned seat_count(const struct inbox *b)
{
	uint32_t n = load_acquire(&b->half->seat_count);

	return n < INBOX_SEATS ? n : INBOX_SEATS;
}

/* A fresh seat. Return: its word, or 0. */
static uint64_t box_seat_make(const struct inbox *b)
{
	uint64_t word = seat_make(b->party, b->half);
	struct half *h = word ? arena_half(b->party->base, slot_word_slot(word)) : NULL;

	if (h) {
		/* Any address: the socket may be connected, and then be again what
		 * it was. Its port stays. */
		store_relaxed(&h->local, addr_word_make6(ADDR_ANY6, addr_word_port(load_relaxed(&h->local))) |
						 ADDR_WORD_DUAL);
		store_relaxed(&h->side, SIDE_CHANNEL);
		store_relaxed(&h->moved, half_ref_of(b->party, b->half));
	}
	return word;
}

static void seats_grow(struct inbox *b, unsigned to)
{
	for (unsigned i = load_relaxed(&b->half->seat_count); i < to && i < INBOX_SEATS; i++) {
		store_relaxed(claim_at(b, i), 0);
		store_relaxed(&seat_words(b->party, b->half)[i], box_seat_make(b));
		/* The seat is in place before a sender looks at it. */
		store_release(&b->half->seat_count, i + 1);
	}
}

int inbox_open(struct inbox *b, struct party *p, struct half *h)
{
	int base;

	lock_take(&p->lock);
	base = seat_row_take(p, INBOX_SEATS + 1);
	lock_drop(&p->lock);
	if (base < 0)
		return base;
	*b = (struct inbox){ .party = p, .half = h };
	store_relaxed(&h->seat_base, (uint32_t)base);
	store_relaxed(&p->mbox->claims[base], 0);
	seats_grow(b, SEATS_FIRST);
	half_set_state(h, HALF_DGRAM);
	return 0;
}

void inbox_fill(struct inbox *b)
{
	seats_grow(b, INBOX_SEATS);
}

/* ---------------------------------------------------------------- attaching */

static void view_add(struct inbox *b, unsigned i, uint64_t word)
{
	struct inbox_seat *s = &b->seat[i];

	if (b->party->inherited)
		s->conn.lent = s->conn.owner;
	s->have = false;
	s->word = word;
	b->order[b->open++] = (uint8_t)i;
}

static void view_drop(struct inbox *b, unsigned i)
{
	unsigned k = 0;

	while (b->order[k] != i)
		k++;
	b->order[k] = b->order[--b->open];
	b->seat[i].word = 0;
	b->seat[i].have = false;
	conn_detach(&b->seat[i].conn);
}

/* A seat that another process has bound. */
static int view_bound(struct inbox *b, struct half *own, struct conn *ret)
{
	half_ref ref = load_acquire(&own->peer);
	struct peer *owner;
	int r = party_peer_get(b->party, half_ref_party(ref), load_relaxed(&own->peer_party_gen),
			       &owner);

	return r < 0 ? r : conn_attach(ret, b->party, own, ref, owner);
}

/* What cannot be attached must not stay: its sender would go on sending. It finds
 * another generation, and uses the kernel. Who is not the owner tries again. */
static void seat_refuse(struct inbox *b, unsigned i, uint64_t word)
{
	if (b->party->inherited) {
		b->claims--;
		return;
	}
	party_slot_free(b->party, slot_word_slot(word));
	store_release(&seat_words(b->party, b->half)[i], box_seat_make(b));
	store_release(claim_at(b, i), 0);
}

static void seat_attach(struct inbox *b, unsigned i)
{
	uint64_t word = load_relaxed(&seat_words(b->party, b->half)[i]);
	_Atomic uint64_t *claim = claim_at(b, i);
	half_ref claimant = load_acquire(claim);
	struct half *own;
	int r;

	if (!word || !claimant || slot_word_slot(word) >= SLOT_MAX)
		return;
	own = arena_half(b->party->base, slot_word_slot(word));
	if (half_state(own) == HALF_OPEN) {
		r = view_bound(b, own, &b->seat[i].conn);
	} else {
		r = seat_bind(b->party, word, claim, claimant, &b->seat[i].conn);
		FAULT_POINT("inbox.bound");
		if (r == 0)
			half_set_state(own, HALF_OPEN);
	}
	if (r == 0)
		view_add(b, i, word);
	else if (r != -EBUSY)
		seat_refuse(b, i, word);
}

/* Who has claimed since the last look. */
static void seats_attach(struct inbox *b)
{
	unsigned n = seat_count(b);

	/* Before the look: what is claimed during it moves the counter again. */
	b->claims = tickets(b);
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < n; i++)
		if (!b->seat[i].word)
			seat_attach(b, i);
	if (!b->party->inherited && n < INBOX_SEATS && n - b->open < SEATS_SPARE)
		seats_grow(b, 2 * n);
}

/* The sender has ended, and all that it sent has been read. The owner makes the
 * seat anew; who is not leaves that to it. */
static void seat_over(struct inbox *b, unsigned i)
{
	struct half *own = b->seat[i].conn.own;
	unsigned slot = arena_slot(b->party->base, own);

	if (b->party->inherited)
		return;
	store_relaxed(&b->half->drops, load_relaxed(&b->half->drops) +
					       load_relaxed(&b->seat[i].conn.peer->drops));
	conn_finish(&b->seat[i].conn, false);
	half_release(own);
	view_drop(b, i);
	party_slot_retire(b->party, slot);
	FAULT_POINT("inbox.over");
	store_release(&seat_words(b->party, b->half)[i], box_seat_make(b));
	store_release(claim_at(b, i), 0);
}

void inbox_forked(struct inbox *b)
{
	b->open = 0;
	for (unsigned i = 0; i < INBOX_SEATS; i++) {
		b->seat[i].have = false;
		b->seat[i].conn.rx_limit = 0;
		if (b->seat[i].word)
			b->order[b->open++] = (uint8_t)i;
	}
	b->claims = 0;
}

/* ------------------------------------------------------------------ reading */

/* Return: False where @dst is not there to be written. */
static bool ring_read(struct conn *c, uint64_t at, void *dst, size_t n)
{
	unsigned char *to = dst;

	while (n > 0) {
		const unsigned char *src;
		size_t k = conn_rx_piece(c, at, &src);

		if (k == 0)
			break; /* Broken: what was checked is no longer so. */
		if (k > n)
			k = n;
		if (!copy_try(to, src, k))
			return false;
		to += k;
		at += k;
		n -= k;
	}
	return true;
}

static uint64_t record_bytes(const struct dgram_record *r)
{
	return (sizeof(*r) + r->bytes + DGRAM_ALIGN - 1) & ~(uint64_t)(DGRAM_ALIGN - 1);
}

/* Its oldest datagram's head is in s->rec. Return: false where there is none. */
static bool seat_look(struct inbox_seat *s)
{
	struct conn *c = &s->conn;
	uint64_t head = load_acquire(&c->own->head);

	if (s->have && s->at == head)
		return true;
	s->have = false;
	if (c->rx_tail_seen <= head) {
		if (likely(load_acquire(&c->peer->tail) == head))
			return false;
		if (conn_rx_refresh(c, head) < 0)
			return false;
	}
	if (unlikely(c->rx_tail_seen - head < sizeof(s->rec)))
		goto broken;
	ring_read(c, head, &s->rec, sizeof(s->rec));
	/* Once: the ring is the sender's to write. */
	if (unlikely(s->rec.bytes > DGRAM_PAYLOAD_MAX ||
		     record_bytes(&s->rec) > c->rx_tail_seen - head))
		goto broken;
	s->at = head;
	s->have = true;
	return true;
broken:
	/* Nothing of it is believed any more. */
	conn_finish(c, true);
	atomic_fetch_or(&c->own->side, SIDE_BROKEN);
	return false;
}

static bool seat_is_over(const struct inbox_seat *s)
{
	return load_relaxed(&s->conn.own->side) & SIDE_BROKEN ||
	       (load_acquire(&s->conn.peer->end) &&
		load_acquire(&s->conn.peer->tail) == load_relaxed(&s->conn.own->head)) ||
	       half_gen(s->conn.peer) != half_ref_gen(s->conn.peer_ref);
}

struct inbox_seat *inbox_next(struct inbox *b)
{
	const _Atomic uint64_t *words = seat_words(b->party, b->half);
	struct inbox_seat *first = NULL;

	if (unlikely(tickets(b) != b->claims))
		seats_attach(b);
	for (unsigned k = 0; k < b->open; k++) {
		unsigned i = b->order[k];
		struct inbox_seat *s = &b->seat[i];

		if (unlikely(load_acquire(&words[i]) != s->word)) {
			/* The owner has made it anew. */
			view_drop(b, i);
			b->claims--;
			k--;
			continue;
		}
		if (seat_look(s)) {
			if (!first || s->rec.ticket_ns < first->rec.ticket_ns)
				first = s;
		} else if (unlikely(seat_is_over(s)) && !b->party->inherited) {
			seat_over(b, i);
			k--;
		}
	}
	return first;
}

bool inbox_read(struct inbox_seat *s, size_t off, void *dst, size_t n)
{
	return ring_read(&s->conn, s->at + sizeof(s->rec) + off, dst, n);
}

void inbox_take(struct inbox_seat *s)
{
	FAULT_POINT("inbox.copied");
	s->have = false;
	if (unlikely(s->rec.flags & DGRAM_MARK))
		store_relaxed(&s->conn.own->urgent_read, load_relaxed(&s->conn.own->urgent_read) + 1);
	/* We are done with the record before the head says so. Pairs with the
	 * acquire in conn_tx_refresh(). */
	store_release(&s->conn.own->head, s->at + record_bytes(&s->rec));
	FAULT_POINT("inbox.taken");
}

bool inbox_marks(const struct inbox *b)
{
	for (unsigned k = 0; k < b->open; k++) {
		const struct conn *c = &b->seat[b->order[k]].conn;

		if (load_acquire(&c->peer->urgent) != load_relaxed(&c->own->urgent_read))
			return true;
	}
	return false;
}

uint64_t inbox_mark_sent(struct inbox_seat *s)
{
	const unsigned char *at;

	if (conn_rx_piece(&s->conn, s->at + offsetof(struct dgram_record, sent_ns), &at) <
	    sizeof(uint64_t))
		return MARK_VOID; /* Broken. */
	return load_acquire((const _Atomic uint64_t *)(const void *)at);
}

uint64_t inbox_drops(const struct inbox *b)
{
	uint64_t sum = load_relaxed(&b->half->drops);

	for (unsigned k = 0; k < b->open; k++)
		sum += load_relaxed(&b->seat[b->order[k]].conn.peer->drops);
	return sum;
}

/* -------------------------------------------------------------------- ends */

void inbox_forget(struct inbox *b)
{
	while (b->open)
		view_drop(b, b->order[0]);
}

/* Seat @i: attached, claimed, or neither. */
static void seat_end(struct inbox *b, unsigned i)
{
	uint64_t word = load_relaxed(&seat_words(b->party, b->half)[i]);

	if (!b->seat[i].word)
		seat_attach(b, i);
	if (b->seat[i].word) {
		conn_finish(&b->seat[i].conn, false);
		FAULT_POINT("inbox.ended");
		half_release(b->seat[i].conn.own);
		view_drop(b, i);
		party_slot_retire(b->party, slot_word_slot(word));
	} else if (word) {
		party_slot_free(b->party, slot_word_slot(word));
	}
	/* Last: until then an executor that follows us finds it. */
	store_release(&seat_words(b->party, b->half)[i], 0);
}

void inbox_close(struct inbox *b)
{
	unsigned base = load_relaxed(&b->half->seat_base), n = seat_count(b);

	half_set_state(b->half, HALF_CLOSED);
	/* Who claims from here on sees that nobody reads. Pairs with the fence in
	 * seat_claim_one(). */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < n; i++)
		seat_end(b, i);
	store_relaxed(&b->half->seat_count, 0);
	half_release(b->half);
	lock_take(&b->party->lock);
	party_row_give(b->party, base, INBOX_SEATS + 1);
	lock_drop(&b->party->lock);
}
