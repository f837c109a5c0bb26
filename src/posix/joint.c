/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * joint.c - Theory of operation.
 *
 * The kernel's set behind an epoll descriptor is one for all who have it since a
 * fork. What is ours in it is in each process's private memory; so from the first
 * fork on, a ledger in shared memory (ledger.h) has the entries, and each process's
 * watches follow it: before a process changes the set or looks for events, it takes
 * the ledger's lock and applies what others have announced since. What was told of
 * is told under that lock too, and noted there: an edge, a one-shot.
 *
 * A process that does not have an entry's socket (its child accepted it; or it has
 * closed its own descriptor, and others have not) cannot have a watch for it. It has
 * a *far* instead: it maps the two halves read-only and looks at them in slices,
 * since it can ask nobody to be rung. A far ends with its half: that is CLOSED once
 * the last of all descriptors is.
 *
 * Who sleeps is woken through an eventfd in the kernel's set, the door. It is reset
 * when all who slept have seen what it was for; until then who has seen it sleeps
 * apart, as with other processes' bells.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/attach.h"
#include "posix/far.h"
#include "posix/joint.h"
#include "posix/ledger.h"
#include "posix/mirror.h"
#include "posix/pool.h"
#include "posix/process.h"

#define MEETS_MOST 4u
#define DOOR_LOST_NS (100 * NS_PER_MS) /* who has not looked for so long is stopped */

/** struct mark - What this process has made of an entry. @use: As last applied. */
struct mark {
	uint64_t use;
	struct watch *w;
	struct far *f;
};

/**
 * struct joint - This process's view of a ledger.
 * @marks:  One for each entry.
 * @fars:   Counted in waiter.slow.
 * @depth:  joint_enter()s and the like under way.
 * @seen:   The version that was applied.
 * @kernel: Of ledger.kernel, so many are counted in the set.
 * @fresh:  A far was not looked at yet.
 */
struct joint {
	struct ledger_self self;
	struct mark *marks;
	struct far *fars;
	uint32_t depth, seen, kernel;
	bool fresh;
};

static struct pool joint_pool = { .size = sizeof(struct joint) };
uint32_t joint_count;

static struct ledger_entry *entry_of(const struct joint *j, uint32_t i)
{
	return &j->self.l->entries[i];
}

static void lock_ledger(struct joint *j)
{
	if (j->depth++ == 0)
		half_lock(&j->self.l->lock);
}

static void unlock_ledger(struct joint *j)
{
	if (--j->depth == 0)
		half_unlock(&j->self.l->lock);
}

/* The joint of the set that @w is an entry of, where the entry is still the one that
 * was made for it; with the lock. Else NULL. */
static struct joint *joint_of(const struct watch *w)
{
	struct joint *j = w->waiter->kind == WAITER_EPOLL && w->entry ?
				  epset_of(w->waiter)->joint : NULL;

	if (!j)
		return NULL;
	lock_ledger(j);
	if (j->marks[w->entry - 1].use >> 1 == load_relaxed(&entry_of(j, w->entry - 1)->use) >> 1)
		return j;
	unlock_ledger(j);
	return NULL;
}

static void entry_fill(struct ledger_entry *n, const struct watch *w)
{
	const struct sock *s = watch_sock(w);
	const struct epset *inner = s ? NULL : (const struct epset *)(void *)w->target;

	*n = (struct ledger_entry){
		.fd = w->fd, .kind = w->target->kind, .party_gen = s ? s->party->gen : 0,
		.set = { { .data = w->data, .care = w->care, .flags = w->flags,
			   .fired = w->disabled } },
		.kernel_id = w->kernel_id, .ring_id = w->ring_id,
		.kernel_fd = w->kernel_fd, .ring_fd = w->ring_fd,
	};
	if (s)
		n->file = half_ref_make(s->party->id, s->slot, s->gen);
	else
		n->file = inner->joint ? inner->joint->self.l->id : 0;
}

static void mark_watch(struct joint *j, uint32_t i, struct watch *w)
{
	j->marks[i] = (struct mark){ load_relaxed(&entry_of(j, i)->use), w, NULL };
	w->entry = i + 1;
	w->edge = &entry_of(j, i)->edge;
}

/* --------------------------------------------------------------------- fars */

static struct far *far_add(struct epset *e, uint32_t i)
{
	struct far *f = far_make(i);

	if (!f)
		return NULL;
	f->next = e->joint->fars;
	e->joint->fars = f;
	e->joint->marks[i] = (struct mark){ load_relaxed(&entry_of(e->joint, i)->use), NULL, f };
	e->joint->fresh = true;
	watch_slow_add(&e->w, 1);
	return f;
}

static void far_unlink(struct joint *j, struct far *f)
{
	struct far **p = &j->fars;

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	f->next = NULL;
}

static void far_drop(struct epset *e, struct far *f)
{
	far_unlink(e->joint, f);
	e->joint->marks[f->i] = (struct mark){ 0 };
	far_free(f);
	watch_slow_add(&e->w, -1u);
}

/* @hot: The kernel, which counts edges where they are asked for, has told of one. */
static bool far_is_edge(struct ledger_entry *n, uint32_t care, uint32_t now, bool hot,
			const struct half *own, const struct half *peer)
{
	if (peer)
		return watch_stream_edge(&n->edge, care, now, own, peer) != 0;
	return atomic_exchange(&n->edge.pending, 0) || hot;
}

/* What is to be told of it. It may be gone afterwards. */
static uint32_t far_take(struct epset *e, struct far *f)
{
	struct joint *j = e->joint;
	struct ledger_entry *n = entry_of(j, f->i);
	struct ledger_setting *set = ledger_setting(n);
	const struct half *own, *peer;
	uint32_t now, i = f->i;
	bool hot = f->hot;

	if (load_relaxed(&set->fired))
		return 0;
	now = far_now(f, n, &own, &peer);
	f->hot = false;
	if (now == FAR_GONE) {
		far_drop(e, f);
		ledger_drop(j->self.l, i);
		return 0;
	}
	now &= set->care;
	if (now && set->flags & EPOLLET && !far_is_edge(n, set->care, now, hot, own, peer))
		return 0;
	if (now && set->flags & EPOLLONESHOT)
		ledger_fire(j->self.l, i);
	return now;
}

int joint_take_slow(struct epset *e, struct epoll_event *evs, int max)
{
	struct far *next, *told = NULL, **end = &told, **last;
	int n = 0;

	for (struct far *f = e->joint->fars; f && n < max; f = next) {
		uint64_t data = ledger_setting(entry_of(e->joint, f->i))->data;
		uint32_t bits;

		next = f->next;
		bits = far_take(e, f);
		if (!bits)
			continue;
		evs[n++] = (struct epoll_event){ .events = bits, .data.u64 = data };
		/* To the end, so that a short array is fair. */
		far_unlink(e->joint, f);
		*end = f;
		end = &f->next;
	}
	for (last = &e->joint->fars; *last; last = &(*last)->next)
		;
	*last = told;
	return n;
}

bool joint_poll(struct epset *e, bool all)
{
	bool ret = false;

	for (struct far *f = e->joint ? e->joint->fars : NULL; f; f = f->next) {
		struct ledger_entry *n = entry_of(e->joint, f->i);
		const struct ledger_setting *set = ledger_setting(n);
		struct edge edge = { load_relaxed(&n->edge.sig), load_relaxed(&n->edge.full), 0, 0 };
		const struct half *own, *peer;
		uint32_t now = far_now(f, n, &own, &peer);

		if (now == FAR_GONE || load_relaxed(&set->fired) || !(now & set->care))
			continue;
		if (!(set->flags & EPOLLET) ||
		    (peer ? watch_stream_edge(&edge, set->care, now, own, peer) != 0
			  : load_relaxed(&n->edge.pending) != 0))
			ret = true;
		if (ret && !all)
			break;
	}
	return ret;
}

bool joint_heard(struct epset *e, uint32_t id)
{
	for (struct far *f = e->joint ? e->joint->fars : NULL; f; f = f->next) {
		const struct ledger_entry *n = entry_of(e->joint, f->i);

		if (n->kernel_id != id || n->kind == FOBJ_EPOLL)
			continue;
		f->hot = true;
		return true;
	}
	return false;
}

/* ----------------------------------------------------------------- applying */

static struct fobj *target_find(const struct ledger_entry *n)
{
	struct sock *s;

	if (n->kind != FOBJ_EPOLL) {
		s = sock_of_ref(n->file, n->party_gen);
		return s ? &s->obj : NULL;
	}
	for (struct epset *e = n->file ? epsets : NULL; e; e = e->next)
		if (e->joint && e->joint->self.l->id == n->file)
			return &e->obj;
	return NULL;
}

static void watch_apply(struct watch *w, struct ledger_entry *n)
{
	const struct ledger_setting *set = ledger_setting(n);

	w->care = set->care;
	w->flags = set->flags;
	w->data = set->data;
	w->busy = 0;
	w->disabled = load_relaxed(&set->fired);
	if (w->disabled) {
		watch_dequeue(w);
		watch_disarm(w);
	} else {
		watch_enqueue_common(w);
	}
}

/* Another process has added entry @i. */
static void entry_take(struct epset *e, uint32_t i)
{
	struct ledger_entry *n = entry_of(e->joint, i);
	struct fobj *target = target_find(n);
	struct watch *w = target ? watch_add(&e->w, target, n->fd, 0) : NULL;

	/* It is being closed, and was perhaps not seen to have a watch. */
	if (w && load_relaxed(&target->refs) == 0) {
		watch_drop(w);
		w = NULL;
	}
	if (!w) {
		far_add(e, i);
		return;
	}
	mark_watch(e->joint, i, w);
	mirror_learn(w, n->kernel_id, n->kernel_fd, n->ring_id, n->ring_fd);
	/* Without a bell of the set's it is adopted later: waiter_adopt(). */
	if (e->w.bell == BELL_NONE)
		watch_foreign_set(w, true);
	else
		waiter_add_bells(&e->w, watch_bell(w));
	watch_apply(w, n);
}

static void entry_drop(struct epset *e, struct mark *m)
{
	struct watch *w = m->w;

	if (m->f)
		far_drop(e, m->f);
	*m = (struct mark){ 0 };
	if (!w)
		return;
	w->entry = 0;
	w->edge = &w->own;
	/* Who took it out has seen to the kernel's set. */
	if (w->kernel_id || w->ring_id)
		mirror_forget(w);
	watch_disarm(w);
	watch_del(w);
}

static void entry_apply(struct epset *e, uint32_t i)
{
	struct ledger_entry *n = entry_of(e->joint, i);
	struct mark *m = &e->joint->marks[i];
	uint64_t use = load_acquire(&n->use), was = m->use;

	if (was && was >> 1 != use >> 1)
		entry_drop(e, m);
	if (use && !m->use) {
		entry_take(e, i);
		return;
	}
	m->use = use;
	if (!m->w)
		return;
	mirror_learn(m->w, n->kernel_id, n->kernel_fd, n->ring_id, n->ring_fd);
	if (use != was || (!m->w->disabled && load_relaxed(&ledger_setting(n)->fired)))
		watch_apply(m->w, n);
}

static void apply(struct epset *e)
{
	struct joint *j = e->joint;
	struct ledger *l = j->self.l;
	uint32_t version = load_acquire(&l->version), seen = j->seen;

	if (version - seen >= LEDGER_LOG) {
		for (uint32_t i = 0; i < l->high; i++)
			entry_apply(e, i);
	} else {
		while (seen != version)
			entry_apply(e, load_relaxed(&l->log[++seen % LEDGER_LOG]));
	}
	j->seen = version;
	if (j->self.me < LEDGER_HOLDERS)
		store_release(&l->holders[j->self.me].seen, version);
}

void joint_found(struct epset *e, int fd, const struct fobj *target)
{
	struct far *next;

	for (struct far *f = e->joint ? e->joint->fars : NULL; f; f = next) {
		uint32_t i = f->i;

		next = f->next;
		if (entry_of(e->joint, i)->fd != fd || target_find(entry_of(e->joint, i)) != target)
			continue;
		far_drop(e, f);
		entry_take(e, i);
	}
}

void joint_enter_slow(struct epset *e)
{
	struct joint *j = e->joint;
	uint32_t added;

	lock_ledger(j);
	if (j->seen != load_relaxed(&j->self.l->version))
		apply(e);
	added = load_relaxed(&j->self.l->kernel) - j->kernel;
	if (added) {
		e->kernel += added;
		e->user += added;
		j->kernel += added;
	}
}

void joint_leave_slow(struct epset *e)
{
	unlock_ledger(e->joint);
}

long joint_add(struct watch *w)
{
	struct joint *j = epset_of(w->waiter)->joint;
	struct ledger_entry n;
	int i;

	if (likely(!j))
		return 0;
	entry_fill(&n, w);
	lock_ledger(j);
	i = ledger_put(&j->self, &n);
	if (i >= 0)
		mark_watch(j, (uint32_t)i, w);
	unlock_ledger(j);
	return i < 0 ? i : 0;
}

/* ------------------------------------------------------------------- making */

static void *marks_map(void)
{
	long at = sys6(SYS_mmap, 0, LEDGER_ENTRIES * sizeof(struct mark), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

static struct joint *joint_make(struct epset *e)
{
	struct joint *j = pool_get(&joint_pool);
	long fd = sys2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd >= 0)
		fd = process_fd_high((int)fd);
	if (j && fd >= 0) {
		j->self = (struct ledger_self){ ledger_make(), LEDGER_HOLDERS, (int)fd };
		j->marks = marks_map();
		if (j->self.l && j->marks && mirror_door(epset_fd(e), (int)fd) == 0)
			return j;
		if (j->self.l)
			ledger_unmap(j->self.l);
		if (j->marks)
			sys2(SYS_munmap, j->marks, LEDGER_ENTRIES * sizeof(struct mark));
	}
	if (fd >= 0)
		process_fd_high_close((int)fd);
	if (j)
		pool_put(&joint_pool, j);
	return NULL;
}

/* In an entry for a set that had no ledger yet. */
static void name_set(const struct watch *w)
{
	struct joint *j = watch_sock(w) ? NULL : joint_of(w);
	const struct epset *inner = (const struct epset *)(void *)w->target;

	if (!j)
		return;
	if (inner->joint)
		entry_of(j, w->entry - 1)->file = inner->joint->self.l->id;
	unlock_ledger(j);
}

/* Of a stream it stands in the watch; nothing else needed it so far. */
static uint64_t told_state(struct watch *w)
{
	const struct sock *s = watch_sock(w);

	if (!s || w->on_ready || !(w->flags & EPOLLET) || load_relaxed(&s->stage) != SOCK_NEW)
		return load_relaxed(&w->own.sig);
	return watch_state(w);
}

/* The set is joint from now on, if there is memory. */
static void begin(struct epset *e)
{
	struct joint *j = e->joint = epset_fd(e) < 0 ? NULL : joint_make(e);

	if (!j)
		return;
	joint_count++;
	j->self.l->ids = e->ids;
	for (struct watch *w = e->w.all; w; w = w->all_next) {
		struct edge was = { told_state(w), w->armed & POLLOUT,
				    w->flags & EPOLLET && w->on_ready, 0 };

		if (joint_add(w) < 0)
			continue;
		store_relaxed(&w->edge->sig, load_relaxed(&was.sig));
		store_relaxed(&w->edge->full, load_relaxed(&was.full));
		store_relaxed(&w->edge->pending, load_relaxed(&was.pending));
		w->common = w->on_ready;
	}
	j->seen = load_relaxed(&j->self.l->version);
}

/* ----------------------------------------------------------------- changing */

void joint_mod(const struct watch *w)
{
	struct joint *j = joint_of(w);
	struct ledger_setting set = { .data = w->data, .care = w->care, .flags = w->flags };

	if (!j)
		return;
	ledger_set(&j->self, w->entry - 1, &set);
	j->marks[w->entry - 1].use = load_relaxed(&entry_of(j, w->entry - 1)->use);
	unlock_ledger(j);
}

/* @w is its own from now on. */
static void part(struct joint *j, struct watch *w)
{
	j->marks[w->entry - 1] = (struct mark){ 0 };
	w->entry = 0;
	w->edge = &w->own;
}

void joint_del(struct watch *w)
{
	struct joint *j = joint_of(w);

	if (!j)
		return;
	ledger_drop(j->self.l, w->entry - 1);
	part(j, w);
	unlock_ledger(j);
}

void joint_note(const struct watch *w)
{
	struct joint *j = joint_of(w);
	struct ledger_entry *n;

	if (!j)
		return;
	n = entry_of(j, w->entry - 1);
	ledger_announce(j->self.l, w->entry - 1);
	n->kernel_fd = w->kernel_fd;
	n->ring_fd = w->ring_fd;
	n->kernel_id = w->kernel_id;
	n->ring_id = w->ring_id;
	unlock_ledger(j);
}

bool joint_closed(struct watch *w, bool shared)
{
	struct epset *e = epset_of(w->waiter);
	const struct sock *s = watch_sock(w);
	struct joint *j;
	struct far *f;
	uint32_t i;

	if (!shared)
		joint_del(w);
	/* Its file may have gone with a message. */
	else if (!e->joint)
		begin(e);
	j = joint_of(w);
	if (!j)
		return false;
	i = w->entry - 1;
	part(j, w);
	f = far_add(e, i);
	/* What was attached to may be unmapped. */
	if (f && s && !attach_knows(s->party->id, s->party->gen))
		f->base = s->party->base;
	unlock_ledger(j);
	return f != NULL;
}

bool joint_pends(const struct watch *w)
{
	return likely(!w->entry) || !(w->flags & EPOLLET) || !w->common || w->judged ||
	       load_relaxed(&w->edge->pending);
}

bool joint_edge_slow(struct watch *w)
{
	bool ret = joint_pends(w);

	w->common = false;
	store_relaxed(&w->edge->pending, 0);
	return ret;
}

void joint_fired(const struct watch *w)
{
	struct joint *j = joint_of(w);

	if (!j)
		return;
	ledger_fire(j->self.l, w->entry - 1);
	unlock_ledger(j);
}

void joint_kernel_added(struct epset *e)
{
	if (likely(!e->joint))
		return;
	atomic_fetch_add(&e->joint->self.l->kernel, 1);
	e->joint->kernel++;
}

uint32_t joint_id(struct epset *e)
{
	uint32_t id;

	if (likely(!e->joint))
		return ++e->ids;
	lock_ledger(e->joint);
	id = ++e->joint->self.l->ids;
	unlock_ledger(e->joint);
	return id;
}

/* ----------------------------------------------------------------- sleeping */

static bool sleep_here(struct epset *e)
{
	struct joint *j = e->joint;

	if (likely(!j))
		return true;
	if (j->self.me == LEDGER_HOLDERS)
		j->self.me = ledger_hold(j->self.l);
	if (j->self.me == LEDGER_HOLDERS)
		return true;
	store_relaxed(&j->self.l->holders[j->self.me].seen, j->seen);
	/* A full fence: whoever announces sees us asleep, or we see what it was. */
	atomic_fetch_add(&j->self.l->holders[j->self.me].asleep, 1);
	if (load_relaxed(&j->self.l->version) == j->seen)
		return true;
	joint_wake(e);
	return false;
}

void joint_wake(struct epset *e)
{
	const struct joint *j = e->joint;

	if (unlikely(j) && j->self.me < LEDGER_HOLDERS)
		atomic_fetch_sub(&j->self.l->holders[j->self.me].asleep, 1);
}

/* In those sets as well that it watches. */
static bool sleep_within(struct waiter *r)
{
	struct watch *w = r->kind == WAITER_EPOLL ? r->mirrored : r->all;

	for (; w; w = r->kind == WAITER_EPOLL ? w->mirror_next : w->all_next) {
		struct epset *inner = watch_sock(w) ? NULL : (struct epset *)(void *)w->target;

		if (!inner)
			continue;
		if (!joint_sleep_begin(&inner->w)) {
			watch_enqueue_common(w);
			return false;
		}
		w->asleep++;
	}
	return true;
}

bool joint_sleep_begin(struct waiter *r)
{
	if (r->kind == WAITER_EPOLL && !sleep_here(epset_of(r)))
		return false;
	if (sleep_within(r))
		return true;
	joint_sleep_end(r);
	return false;
}

void joint_sleep_end(struct waiter *r)
{
	struct watch *w = r->kind == WAITER_EPOLL ? r->mirrored : r->all;

	if (r->kind == WAITER_EPOLL)
		joint_wake(epset_of(r));
	for (; w; w = r->kind == WAITER_EPOLL ? w->mirror_next : w->all_next)
		if (w->asleep) {
			w->asleep--;
			joint_sleep_end(&((struct epset *)(void *)w->target)->w);
		}
}

bool joint_is_unheard(const struct epset *e)
{
	return unlikely(e->joint) && e->joint->self.me == LEDGER_HOLDERS;
}

bool joint_door(struct epset *e)
{
	const struct joint *j = e->joint;
	uint64_t n;

	if (!j)
		return false;
	if (ledger_lags(&j->self) &&
	    clock_now_ns() - load_relaxed(&j->self.l->changed_ns) < DOOR_LOST_NS)
		return false;
	sys3(SYS_read, j->self.door, &n, sizeof(n));
	return true;
}

static bool needs(const struct epset *e)
{
	const struct joint *j = e->joint;
	bool ret = j && (j->fresh || j->seen != load_relaxed(&j->self.l->version));

	for (const struct far *f = j ? j->fars : NULL; f && !ret; f = f->next)
		ret = f->want;
	for (const struct watch *w = e->w.mirrored; w && !ret; w = w->mirror_next)
		ret = !watch_sock(w) && needs((const struct epset *)(void *)w->target);
	return ret;
}

/* What is there to be looked at. Return: whether somebody is to be met for it. */
static bool scan(struct epset *e)
{
	bool ret = false;

	joint_enter(e);
	if (e->joint) {
		e->joint->fresh = false;
		joint_poll(e, true);
	}
	joint_leave(e);
	for (const struct far *f = e->joint ? e->joint->fars : NULL; f && !ret; f = f->next)
		ret = f->want;
	for (const struct watch *w = e->w.mirrored; w; w = w->mirror_next)
		if (!watch_sock(w))
			ret |= scan((struct epset *)(void *)w->target);
	return ret;
}

/* Return: the set that has a far with a wish, *@ret. */
static struct epset *far_wanting(struct epset *e, struct far **ret)
{
	struct epset *found = NULL;

	for (*ret = e->joint ? e->joint->fars : NULL; *ret; *ret = (*ret)->next)
		if ((*ret)->want)
			return e;
	for (const struct watch *w = e->w.mirrored; w && !found; w = w->mirror_next)
		if (!watch_sock(w))
			found = far_wanting((struct epset *)(void *)w->target, ret);
	return found;
}

/* Return: whether there was one to be met. */
static bool meet_one(struct epset *e)
{
	struct peer *peer;
	struct far *f;
	uint32_t i = 0, gen = 0;
	unsigned id = 0;
	int r;

	watch_lock();
	e = far_wanting(e, &f);
	if (e) {
		i = f->i;
		id = f->want - 1;
		gen = f->want_gen;
		f->want = 0;
	}
	watch_unlock();
	if (!e)
		return false;
	r = party_peer_get(process.party, id, gen, &peer);
	watch_lock();
	/* Whoever looks next takes a reference of its own. */
	if (r == 0)
		party_peer_put(process.party, peer);
	else if (e->joint && e->joint->marks[i].f && e->joint->marks[i].f->want_gen == gen)
		e->joint->marks[i].f->lost = true;
	watch_unlock();
	return true;
}

void joint_prepare_slow(struct epset *e)
{
	bool wants = true;

	if (e->joint && e->w.bell == BELL_NONE && process.party)
		waiter_bell_get(&e->w);
	/* A party that is met may be gone again. */
	for (unsigned i = 0; wants && i < MEETS_MOST; i++) {
		watch_lock();
		wants = needs(e) && scan(e);
		watch_unlock();
		if (!wants || !process_party())
			return;
		while (meet_one(e))
			;
	}
}

/* ---------------------------------------------------------------- fork, end */

void joint_fork_before(void)
{
	for (struct epset *e = epsets; e; e = e->next)
		if (!e->joint)
			begin(e);
	/* What was added to another set before it had a name itself. */
	for (struct epset *e = epsets; e; e = e->next)
		for (struct watch *w = e->w.mirrored; w; w = w->mirror_next)
			name_set(w);
}

uint32_t joint_fork_child(struct epset *e)
{
	struct joint *j = e->joint;
	uint32_t n = 0;

	if (!j)
		return 0;
	j->self.me = LEDGER_HOLDERS;
	j->depth = 0;
	for (struct far *f = j->fars; f; f = f->next) {
		/* Met by our parent's party, which stays mapped. */
		if (!f->base && f->owner)
			f->base = f->owner->base;
		f->owner = f->other = NULL;
		n++;
	}
	return n;
}

void joint_end(struct epset *e)
{
	struct joint *j = e->joint;

	if (!j)
		return;
	e->joint = NULL;
	joint_count--;
	if (j->self.me < LEDGER_HOLDERS)
		store_relaxed(&j->self.l->holders[j->self.me].pid, 0);
	while (j->fars) {
		struct far *f = j->fars;

		j->fars = f->next;
		far_free(f);
	}
	ledger_unmap(j->self.l);
	sys2(SYS_munmap, j->marks, LEDGER_ENTRIES * sizeof(struct mark));
	process_fd_high_close(j->self.door);
	pool_put(&joint_pool, j);
}
