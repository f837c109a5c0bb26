/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.c - Watches, and the lists of those to be looked at. Waiters and their
 * bells are in waiter.c.
 *
 * How no wake-up is lost. A watch that is not on its waiter's ready list is
 * armed: its half wants a hint. A peer publishes, fences, sees the wish, sets
 * the hint bit, and rings the half's bell if bells[].sleepers says that
 * somebody sleeps on it. A sleeper counts itself in bells[].sleepers (a full
 * fence), takes the hints, looks at its ready list once more, and sleeps on
 * the eventfds. Whoever takes hint bits, for himself or not, moves the watches
 * concerned to the ready lists of their waiters and rings for those of them
 * that sleep, all under watch_lock(): so a bit is in the mailbox, or what it
 * means is on a list.
 *
 * A waiter listens to the bells of all its sockets. The bell of a half is
 * chosen by the first watch on the socket, and the others join it: it never
 * changes while somebody is asleep because of it.
 *
 * A bell may belong to several waiters. One that wakes up must not reset it
 * while another that was kicked through it is still on its way.
 */

#include "base/sys.h"
#include "posix/dgram.h"
#include "posix/due.h"
#include "posix/epoll.h"
#include "posix/holder.h"
#include "posix/joint.h"
#include "posix/pool.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/watch.h"
#include "shm/hint.h"

#define WATCH_CARE_BITS 0xffffu
#define WATCH_FLAG_BITS ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE))
#define IN_BITS (POLLIN | POLLRDNORM | POLLRDBAND | POLLPRI | POLLRDHUP)
#define DATA_BITS (IN_BITS & ~POLLRDHUP)
#define OUT_BITS (POLLOUT | POLLWRNORM | POLLWRBAND)
#define SIDE_ENDS (SIDE_RD_SHUT | SIDE_WR_SHUT | SIDE_RST_SEEN | SIDE_MET_CLOSED | SIDE_BROKEN)

static struct lock the_lock;
static struct pool watch_pool = { .size = sizeof(struct watch) };

const struct waiter *watch_hint_taker;

void watch_lock(void)
{
	lock_take(&the_lock);
}

void watch_unlock(void)
{
	bool waits = unlikely(load_relaxed(&holder_waits) != 0);

	lock_drop(&the_lock);
	if (waits)
		holder_meet();
}

/* ---------------------------------------------------------------- watches */

static struct watch **target_list(struct fobj *target)
{
	if (target->kind != FOBJ_EPOLL)
		return &((struct sock *)(void *)target)->watches;
	return &((struct epset *)(void *)target)->watches;
}

bool watch_is_unheard(const struct sock *s)
{
	/* A datagram socket without an eventfd has no inbox: the kernel tells. */
	return s->bell_fd < 0 && !s->dgram;
}

struct watch *watch_add(struct waiter *r, struct fobj *target, int fd, uint32_t care)
{
	struct watch *w = pool_get(&watch_pool), **list = target_list(target);

	if (!w)
		return NULL;
	w->waiter = r;
	w->target = target;
	w->fd = fd;
	w->kernel_fd = -1;
	w->care = care;
	w->edge = &w->own;
	store_relaxed(&w->own.sig, ~0ull);
	w->fresh = true;
	/* A shared listener rings an eventfd that all sharers have. */
	if (watch_sock(w))
		w->foreign = watch_sock(w)->foreign && watch_is_unheard(watch_sock(w));
	else
		w->foreign = ((struct epset *)(void *)target)->w.slow != 0;
	r->slow += w->foreign;
	w->all_next = r->all;
	if (r->all)
		r->all->all_prev = w;
	r->all = w;
	w->target_next = *list;
	if (*list)
		(*list)->target_prev = w;
	__atomic_store_n(list, w, __ATOMIC_RELEASE);
	/* Pairs with watch_changed()'s: it sees us, or we see the change. */
	atomic_thread_fence(memory_order_seq_cst);
	return w;
}

void watch_set(struct watch *w, uint32_t events, uint64_t data)
{
	w->care = (events & WATCH_CARE_BITS) | EPOLLERR | EPOLLHUP;
	w->flags = events & WATCH_FLAG_BITS;
	w->data = data;
	w->disabled = false;
	w->busy = 0;
	store_relaxed(&w->edge->sig, ~0ull);
}

static void watch_unlink(struct watch *w)
{
	struct waiter *r = w->waiter;
	struct watch **list = target_list(w->target);

	watch_dequeue(w);
	for (; unlikely(w->asleep); w->asleep--)
		joint_sleep_end(&((struct epset *)(void *)w->target)->w);
	if (w->all_next)
		w->all_next->all_prev = w->all_prev;
	if (w->all_prev)
		w->all_prev->all_next = w->all_next;
	else
		r->all = w->all_next;
	if (w->target_next)
		w->target_next->target_prev = w->target_prev;
	if (w->target_prev)
		w->target_prev->target_next = w->target_next;
	else
		__atomic_store_n(list, w->target_next, __ATOMIC_RELEASE);
	r->slow -= (uint32_t)w->foreign + w->mute;
}

void watch_drop(struct watch *w)
{
	watch_unlink(w);
	pool_put(&watch_pool, w);
}

void watch_del(struct watch *w)
{
	watch_unlink(w);
	if (w->kernel_id || w->ring_id)
		epset_unmirror(w);
	if (w->waiter->kind == WAITER_EPOLL && watch_sock(w) && !watch_sock(w)->watches)
		holder_release(watch_sock(w));
	pool_put(&watch_pool, w);
}

struct watch *watch_find(const struct waiter *r, const struct fobj *target, int fd)
{
	struct watch *w = *target_list((struct fobj *)(uintptr_t)target);

	while (w && (w->waiter != r || w->fd != fd))
		w = w->target_next;
	return w;
}

static bool watch_is_only(const struct watch *w)
{
	return !w->target_next && !w->target_prev;
}

uint32_t watch_bell(struct watch *w)
{
	struct sock *s = watch_sock(w);
	struct waiter *r = w->waiter;
	/* Its own one always: others of our threads ring it. */
	uint32_t mask = r->bell == BELL_NONE ? 0 : 1u << r->bell;
	bool chosen = false;

	if (!s)
		mask |= ((struct epset *)(void *)w->target)->w.bells;
	if (!s || (w->foreign && !holder_concerns(s)))
		return mask & ~r->bells;
	for (struct watch *o = s->watches; o; o = o->target_next)
		chosen |= o->belled;
	if (!chosen) {
		if (r->bell == BELL_NONE) {
			r->slow += !w->mute;
			w->mute = true;
			return 0;
		}
		if (unlikely(s->foreign) && !holder_choose(s, (unsigned)r->bell))
			return mask & ~r->bells;
		if (!s->foreign && load_relaxed(&s->half->bell) != (uint32_t)r->bell)
			store_relaxed(&s->half->bell, (uint32_t)r->bell);
	}
	w->belled = true;
	mask |= 1u << (s->foreign ? bell_at_bell(s->bell_at) :
				    load_relaxed(&s->half->bell) % BELL_MAX);
	return mask & ~r->bells;
}

/* Has the shadow of a listener somebody to accept? Asked only after the
 * kernel said so. */
static uint32_t shadow_now(struct watch *w)
{
	struct pollfd p = { .fd = sock_shadow(watch_sock(w)), .events = POLLIN };
	struct timespec zero = { 0 };

	if (watch_sock(w)->dgram)
		p.events = (short)IN_BITS;
	if (p.fd >= 0 && sys5(SYS_ppoll, &p, 1, &zero, 0, 8) == 1) {
		if (watch_sock(w)->dgram)
			return (uint16_t)p.revents;
		if (p.revents & POLLIN)
			return POLLIN | POLLRDNORM;
	}
	w->hot = false;
	return 0;
}

uint32_t watch_now(struct watch *w)
{
	struct sock *s = watch_sock(w);
	uint32_t now;

	if (!s)
		return epset_poll((struct epset *)(void *)w->target);
	now = sock_poll(s);
	if (unlikely(s->bell_fd >= 0) && !(now & POLLIN) && ring_drain(s))
		now |= POLLIN | POLLRDNORM;
	if (unlikely(w->hot) && (!(now & POLLIN) || s->dgram))
		now |= shadow_now(w);
	else if (unlikely(s->dgram != NULL) && w->waiter->kind == WAITER_EPOLL && now & w->care &&
		 (!(now & POLLIN) || dgram_may_have_error(s)))
		now |= shadow_now(w); /* Room, which there always is, says nothing of the rest. */
	return now;
}

/* Changes whenever a connection does something that is an edge. @before: What
 * it was when last asked. */
static uint64_t edge_sig(const struct watch *w, uint32_t now, uint64_t before)
{
	const struct sock *s = watch_sock(w);
	const struct half *peer = s ? s->conn.peer : NULL;
	uint64_t sig;

	/* Nothing tells a listener's next client from the one before. */
	if (!s || (now & POLLIN && (load_relaxed(&s->stage) == SOCK_LISTEN || s->dgram)))
		return before + 1;
	if (!peer)
		return (uint64_t)now << 8 | (uint64_t)load_relaxed(&s->stage);
	sig = load_acquire(&peer->tail) * 0x9e3779b97f4a7c15ull;
	sig ^= load_relaxed(&peer->head) * 0xc2b2ae3d27d4eb4full;
	return (sig ^ (uint64_t)load_relaxed(&peer->end) << 32 ^ now) >> 1;
}

uint64_t watch_state(struct watch *w)
{
	return edge_sig(w, watch_now(w), load_relaxed(&w->edge->sig));
}

bool watch_may_be_ready(struct watch *w)
{
	uint64_t sig;

	if (!(w->flags & EPOLLET) || !watch_sock(w))
		return true;
	sig = edge_sig(w, watch_now(w), w->seen);
	if (sig == w->seen)
		return false;
	w->seen = sig;
	return true;
}

static uint32_t foreign_look(struct watch *w)
{
	uint32_t now = watch_now(w), hit = now & w->care;
	uint64_t sig;

	if (hit == 0 || !(w->flags & EPOLLET))
		return hit;
	sig = edge_sig(w, now, load_relaxed(&w->edge->sig));
	if (sig == load_relaxed(&w->edge->sig))
		return 0;
	store_relaxed(&w->edge->sig, sig);
	return hit;
}

static void watch_arm(struct watch *w, uint32_t what)
{
	sock_want(watch_sock(w), what);
	w->armed |= what;
}

/* Changes with the stream and its ends. Data is no edge for who asked for room
 * alone, nor while it is less than SO_RCVLOWAT: *@ret_data. */
static uint64_t stream_sig(uint32_t care, uint32_t now, const struct half *own,
			   const struct half *peer, bool *ret_data)
{
	uint64_t sig = (uint64_t)(load_relaxed(&own->side) & SIDE_ENDS) << 32 |
		       (load_acquire(&peer->end) & (END_FIN | END_RST));

	*ret_data = care & DATA_BITS && (now & POLLIN || load_relaxed(&own->rcvlowat) <= 1);
	if (*ret_data)
		sig ^= load_acquire(&peer->tail) * 0x9e3779b97f4a7c15ull;
	return sig;
}

/* @awaited: There was no room. */
static bool room_is_no_edge(struct watch *w, uint32_t now, bool awaited)
{
	const struct sock *s = watch_sock(w);
	uint64_t sig;
	bool data;

	if (!s->conn.peer)
		return false;
	sig = stream_sig(w->care, now, s->half, s->conn.peer, &data);
	if (!data && sig == load_relaxed(&w->edge->sig) && !(awaited && now & OUT_BITS))
		return true;
	store_relaxed(&w->edge->sig, sig);
	return false;
}

/* Edge-triggered: look, and have what comes after this look be hinted at. */
static uint32_t edge_arm(struct watch *w)
{
	uint32_t now;

	/* First, so that what comes after this look is another edge. */
	if (!(w->armed & POLLIN))
		watch_arm(w, POLLIN);
	now = watch_now(w);
	/* Always anew: the place in the stream to be rung at has moved. */
	if (w->care & OUT_BITS && !(now & OUT_BITS)) {
		watch_arm(w, POLLOUT);
		now = watch_now(w);
	}
	if (now & OUT_BITS && w->armed & POLLOUT && watch_is_only(w)) {
		sock_unwant(watch_sock(w), POLLOUT);
		w->armed &= ~(uint32_t)POLLOUT;
	}
	return now;
}

static uint32_t watch_look_edge(struct watch *w)
{
	bool awaited = w->armed & POLLOUT;
	uint32_t now = edge_arm(w);

	if (now & w->care && room_is_no_edge(w, now, awaited))
		return 0;
	return now & w->care;
}

/* Does a set around @r's count edges? Then each arrival in @r is one, whatever
 * else is ready there. */
static bool edges_around(struct waiter *r)
{
	if (r->kind != WAITER_EPOLL)
		return false;
	for (struct watch *w = epset_of(r)->watches; w; w = w->target_next)
		if (w->flags & EPOLLET || edges_around(w->waiter))
			return true;
	return false;
}

/* Where a bell of ours rings. */
static uint32_t belled_look(struct watch *w)
{
	uint32_t now, need;

	if (w->flags & EPOLLET)
		return watch_look_edge(w);
	if (unlikely(edges_around(w->waiter)) && !(w->armed & POLLIN))
		watch_arm(w, POLLIN);
	now = watch_now(w);
	if (now & w->care)
		return now & w->care;
	need = POLLIN | (w->care & OUT_BITS ? (uint32_t)POLLOUT : 0);
	/*
	 * Still armed for data since an earlier time: a publication that this
	 * look has missed comes after the hints were taken, and will set a new
	 * one. For space it is armed anew, as above.
	 */
	if (!(need & ~w->armed) && !(need & POLLOUT))
		return 0;
	watch_arm(w, need);
	return watch_now(w) & w->care;
}

void watch_slow_add(struct waiter *r, uint32_t count)
{
	bool was = r->slow != 0;

	r->slow += count;
	if (r->kind != WAITER_EPOLL || was == (r->slow != 0))
		return;
	for (struct watch *o = epset_of(r)->watches; o; o = o->target_next)
		watch_foreign_set(o, !was);
	/* Its sleepers count on bells. */
	if (!was)
		waiter_kick(r);
}

void watch_foreign_set(struct watch *w, bool foreign)
{
	if (w->foreign == foreign)
		return;
	w->foreign = foreign;
	watch_slow_add(w->waiter, foreign ? 1u : -1u);
}

/*
 * Looks are made for other reasons there too, when a bell changes hands or none
 * rings. So it is an edge where the stream or an end has moved since the last, or
 * where there was no room.
 */
uint32_t watch_stream_edge(struct edge *edge, uint32_t care, uint32_t now, const struct half *own,
			   const struct half *peer)
{
	bool room = now & OUT_BITS, data;
	uint64_t sig = stream_sig(care, now, own, peer, &data);

	if (!(now & care) ||
	    (sig == load_relaxed(&edge->sig) && !(load_relaxed(&edge->full) && room))) {
		if (care & OUT_BITS && !room)
			store_relaxed(&edge->full, 1);
		return 0;
	}
	store_relaxed(&edge->full, care & OUT_BITS && !room);
	store_relaxed(&edge->sig, sig);
	return now & care;
}

static uint32_t shared_edge(struct watch *w, uint32_t now)
{
	const struct sock *s = watch_sock(w);

	return watch_stream_edge(w->edge, w->care, now, s->half, s->conn.peer);
}

/* A connection that other processes have as well. */
static uint32_t shared_look(struct watch *w)
{
	uint32_t bits = w->flags & EPOLLET ? 0 : watch_now(w) & w->care;
	bool fresh = false;

	w->judged = true;
	if (bits) {
		w->fresh = true;
		return bits;
	}
	if (holder_have(w)) {
		watch_foreign_set(w, false);
		bits = w->flags & EPOLLET ? shared_edge(w, edge_arm(w)) : belled_look(w);
		/* Was it taken before our wish could be seen? */
		if (!holder_is_us(watch_sock(w)))
			watch_foreign_set(w, true);
	} else {
		watch_foreign_set(w, true);
		bits = w->flags & EPOLLET ? shared_edge(w, watch_now(w)) : foreign_look(w);
		fresh = w->fresh;
	}
	w->fresh = bits || fresh;
	return bits;
}

/* Other processes may be told of its edges, though they do not have it. */
static bool is_joint_stream(const struct watch *w)
{
	return unlikely(w->entry) && w->flags & EPOLLET &&
	       load_acquire(&watch_sock(w)->stage) == SOCK_OPEN;
}

/* Changes with each edge in the set. Return: false where that cannot be told by the
 * state of what is in it: only data of streams can. */
static bool set_sig(const struct epset *e, uint64_t *sig)
{
	bool data, known = true;

	for (struct watch *w = e->w.all; w && known; w = w->all_next) {
		const struct sock *s = watch_sock(w);

		*sig += load_relaxed(&w->edge->changes) * 0xc2b2ae3d27d4eb4full;
		if (w->disabled)
			continue;
		if (!s)
			known = set_sig((const struct epset *)(void *)w->target, sig);
		else if (w->care & OUT_BITS || load_acquire(&s->stage) != SOCK_OPEN)
			known = false;
		else
			*sig += stream_sig(w->care, watch_now(w), s->half, s->conn.peer, &data);
	}
	return known;
}

/* An inner set that other processes have as well. */
static uint32_t joint_set_look(struct watch *w)
{
	uint32_t bits = watch_now(w) & w->care;
	uint64_t sig = 1;

	if (!bits || !set_sig((const struct epset *)(void *)w->target, &sig))
		return w->foreign ? foreign_look(w) : bits;
	w->judged = true;
	if (sig == load_relaxed(&w->edge->sig))
		return 0;
	store_relaxed(&w->edge->sig, sig);
	return bits;
}

static uint32_t set_look(struct watch *w)
{
	w->judged = false;
	if (unlikely(w->entry) && w->flags & EPOLLET)
		return joint_set_look(w);
	return w->foreign ? foreign_look(w) : watch_now(w) & w->care;
}

uint32_t watch_look(struct watch *w)
{
	if (unlikely(!watch_sock(w)))
		return set_look(w);
	if (unlikely(holder_concerns(watch_sock(w)) || is_joint_stream(w)))
		return shared_look(w);
	return unlikely(w->foreign) ? foreign_look(w) : belled_look(w);
}

void watch_stamp(const struct watch *w)
{
	struct sock *s = watch_sock(w);
	uint32_t cpu = spin_cpu();

	if (s && load_relaxed(&s->half->cpu) != cpu)
		store_relaxed(&s->half->cpu, cpu);
}

void watch_disarm(struct watch *w)
{
	if (unlikely(w->busy && edges_around(w->waiter)))
		return;
	if (w->armed && watch_sock(w) && !w->foreign && watch_is_only(w)) {
		sock_unwant(watch_sock(w), w->armed);
		w->armed = 0;
	}
}

/* -------------------------------------------------------------- ready list */

static void ready_append(struct watch *w)
{
	struct waiter *r = w->waiter;

	w->ready_next = NULL;
	w->ready_prev = r->ready_last;
	if (r->ready_last)
		r->ready_last->ready_next = w;
	else
		r->ready_first = w;
	r->ready_last = w;
	w->on_ready = true;
	store_relaxed(&r->ready_count, load_relaxed(&r->ready_count) + 1);
}

void watch_enqueue(struct watch *w)
{
	if (w->disabled)
		return;
	w->common = false;
	if (!w->on_ready)
		ready_append(w);
	waiter_kick(w->waiter);
}

void watch_enqueue_common(struct watch *w)
{
	bool common = w->common || !w->on_ready;

	watch_enqueue(w);
	w->common = common;
}

void watch_dequeue(struct watch *w)
{
	struct waiter *r = w->waiter;

	if (!w->on_ready)
		return;
	if (w->ready_next)
		w->ready_next->ready_prev = w->ready_prev;
	else
		r->ready_last = w->ready_prev;
	if (w->ready_prev)
		w->ready_prev->ready_next = w->ready_next;
	else
		r->ready_first = w->ready_next;
	w->on_ready = false;
	store_relaxed(&r->ready_count, load_relaxed(&r->ready_count) - 1);
}

void watch_requeue(struct watch *w)
{
	watch_dequeue(w);
	ready_append(w);
}

/* EPOLLEXCLUSIVE, as in Linux: a set that nobody sleeps in is told, and wakes
 * nobody; of those that somebody sleeps in one is, the oldest. Who takes the
 * hints is awake, and counts as woken where it had nothing to do before. */
static void enqueue_exclusive(struct watch *first)
{
	struct watch *sleeper = NULL;
	bool woken = false;

	for (struct watch *w = first; w; w = w->target_next) {
		struct waiter *r = w->waiter;

		if (!(w->flags & EPOLLEXCLUSIVE))
			continue;
		if (r->sleeping && r->kick_bell == BELL_NONE && r != watch_hint_taker) {
			sleeper = w;
			continue;
		}
		woken |= r == watch_hint_taker && load_relaxed(&r->ready_count) == 0;
		watch_enqueue(w);
	}
	if (sleeper && !woken)
		watch_enqueue(sleeper);
}

static void hint_deliver(void *arg, unsigned slot)
{
	struct sock *s = sock_of_slot(slot);
	struct party *p = arg;
	bool exclusive = false;

	if (unlikely(slot >= load_relaxed(&arena_hdr(p->base)->slots_used)))
		party_distrust(p);
	if (!s || !s->watches)
		return;
	for (struct watch *w = s->watches; w; w = w->target_next) {
		if (s->conn.peer)
			store_relaxed(&w->waiter->peer_cpu, load_relaxed(&s->conn.peer->cpu));
		if (unlikely(w->flags & EPOLLEXCLUSIVE))
			exclusive = true;
		/* What came is no edge for who asked for room alone. */
		else if (!s->dgram || !(w->flags & EPOLLET) || w->care & DATA_BITS)
			watch_enqueue(w);
	}
	if (unlikely(exclusive))
		enqueue_exclusive(s->watches);
}

void watch_take_hints(const struct waiter *self)
{
	struct party *p = process.party;

	due_run();
	if (!p || !hint_any(p->mbox))
		return;
	watch_hint_taker = self;
	hint_take(p->mbox, hint_deliver, p);
	watch_hint_taker = NULL;
}

/* -------------------------------------------------- what the socket tells */

void watch_changed(struct sock *s)
{
	/* Pairs with watch_add()'s. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!__atomic_load_n(&s->watches, __ATOMIC_ACQUIRE))
		return;
	watch_lock();
	for (struct watch *w = s->watches; w; w = w->target_next) {
		/* What was armed at another stage is not armed now. */
		w->armed = 0;
		if (w->waiter->kind == WAITER_CALL)
			w->moved = true;
		else
			epset_changed(w);
		watch_enqueue(w);
	}
	watch_unlock();
}

void watch_shared(struct sock *s)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!__atomic_load_n(&s->watches, __ATOMIC_ACQUIRE))
		return;
	watch_lock();
	for (struct watch *w = s->watches; w; w = w->target_next) {
		w->armed = 0;
		if (w->waiter->kind == WAITER_CALL)
			w->moved = true;
		else
			epset_shared(w);
		if (!(w->flags & EPOLLET))
			watch_enqueue(w);
	}
	watch_unlock();
}

void watch_again(struct sock *s)
{
	if (!__atomic_load_n(&s->watches, __ATOMIC_ACQUIRE))
		return;
	watch_lock();
	for (struct watch *w = s->watches; w; w = w->target_next)
		watch_enqueue(w);
	watch_unlock();
}

void watch_gone(struct sock *s)
{
	bool shared = sock_is_shared(s);
	struct watch *next;

	atomic_thread_fence(memory_order_seq_cst);
	if (!__atomic_load_n(&s->watches, __ATOMIC_ACQUIRE))
		return;
	watch_lock();
	for (struct watch *w = s->watches; w; w = next) {
		next = w->target_next;
		if (w->waiter->kind != WAITER_EPOLL)
			continue;
		s->left |= joint_closed(w, shared);
		/* The kernel's set may be another process's as well, where the
		 * socket is open still. */
		if ((w->kernel_id || w->ring_id) && (s->foreign || s->left))
			epset_abandon(w);
		watch_del(w);
	}
	watch_unlock();
}

void watch_to_kernel(struct sock *s, int fd)
{
	struct watch *next;

	watch_lock();
	for (struct watch *w = s->watches; w; w = next) {
		next = w->target_next;
		if (w->waiter->kind == WAITER_CALL) {
			w->moved = true;
			watch_enqueue(w);
		} else if (w->fd == fd) {
			joint_del(w);
			epset_moved(w);
			watch_del(w);
		}
	}
	watch_unlock();
}

void watch_sent(struct sock *s)
{
	const struct watch *first = __atomic_load_n(&s->watches, __ATOMIC_ACQUIRE);

	/* A watch's memory stays a watch's: a stale look costs an edge, or a lock. */
	if (likely(!first) || (!first->target_next && !(first->flags & EPOLLET)))
		return;
	watch_lock();
	for (struct watch *w = s->watches; w; w = w->target_next)
		if (!w->disabled && w->flags & EPOLLET && w->care & OUT_BITS)
			watch_enqueue(w);
	watch_unlock();
}

void watch_full(struct sock *s)
{
	if (likely(!__atomic_load_n(&s->watches, __ATOMIC_ACQUIRE)))
		return;
	watch_lock();
	for (struct watch *w = s->watches; w; w = w->target_next) {
		if (!(w->flags & EPOLLET) || !(w->care & OUT_BITS) || w->disabled)
			continue;
		store_relaxed(&w->edge->full, 1);
		if (w->foreign)
			continue;
		watch_arm(w, POLLOUT);
		if (sock_poll(s) & OUT_BITS)
			watch_enqueue(w);
	}
	watch_unlock();
}

void watch_roomy(struct sock *s)
{
	if (likely(!__atomic_load_n(&s->watches, __ATOMIC_ACQUIRE)))
		return;
	watch_lock();
	for (struct watch *w = s->watches; w; w = w->target_next) {
		if (!(w->care & OUT_BITS) || !(sock_poll(s) & OUT_BITS))
			continue;
		store_relaxed(&w->edge->sig, ~0ull);
		watch_enqueue(w);
	}
	watch_unlock();
}

/* ------------------------------------------------------------------- fork */

void watch_fork_before(void)
{
	watch_lock();
	joint_fork_before();
}

void watch_fork_parent(void)
{
	watch_unlock();
}

void watch_fork_child(void)
{
	the_lock = (struct lock){ 0 };
	watch_hint_taker = NULL;
	holder_fork_child();
	waiter_fork_child();
	epset_fork_child();
}
