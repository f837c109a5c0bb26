/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waiter.c - Who sleeps, and the bells that wake him. watch.c says how no
 * wake-up is lost.
 */
#include "base/clock.h"
#include "base/sys.h"
#include "posix/epoll.h"
#include "posix/holder.h"
#include "posix/pool.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/watch.h"
#include "shm/hint.h"

#define GENERATIONS 8u
#define DRAIN_SKIPS 1000u
#define KICK_LOST_NS NS_PER_SEC
#define SPIN_LOOKS 32u         /* looks between two at the clock */
#define SPIN_KERNEL_NS 4000ull /* between two looks at the kernel's descriptors */

/**
 * struct bell - One of ours.
 * @fd:     Its eventfd, -1 until used.
 * @users:  Waiters that have it as their own.
 * @kicked: Of those that listen to it, the ones kicked through it.
 * @skips:  Times in a row that it was not reset because of @kicked: a thread
 *          that left its sleep by siglongjmp() may never hear it.
 */
struct bell {
	int fd;
	uint32_t users, skips;
	_Atomic uint32_t kicked; /* read without the lock as well */
};

uint8_t watch_generation;

static struct bell bells[BELL_MAX] = { [0 ... BELL_MAX - 1] = { .fd = -1 } };
static struct pool call_pool = { .size = sizeof(struct waiter) };
static struct waiter *calls;

/* Bells of our ancestors, whose eventfds are still in inherited epoll sets. */
static struct ancestor {
	uint32_t pid;
	int fd[BELL_MAX];
} ancestors[GENERATIONS];

/* ------------------------------------------------------------------ bells */

static void bell_ring(unsigned b)
{
	uint64_t one = 1;

	if (bells[b].fd >= 0)
		sys3(SYS_write, bells[b].fd, &one, sizeof(one));
}

static void waiter_unkick(struct waiter *r)
{
	if (r->kick_bell == BELL_NONE)
		return;
	if (bells[r->kick_bell].kicked)
		bells[r->kick_bell].kicked--;
	r->kick_bell = BELL_NONE;
}

/* Whoever has not heard it for that long has left its sleep. Many skips are
 * no sign of that: all who share the bell wake up while one is still on its
 * way. Return: whether others are. */
static bool kicks_remain(unsigned b)
{
	uint64_t now = clock_now_ns();

	for (struct waiter *r = calls; r; r = r->next)
		if (r->kick_bell == (int)b && now - r->kick_ns > KICK_LOST_NS)
			waiter_unkick(r);
	return bells[b].kicked != 0;
}

void watch_drain(uint32_t mask)
{
	uint64_t n;

	for (unsigned b = 0; b < BELL_MAX; b++) {
		if (!(mask & 1u << b) || bells[b].fd < 0)
			continue;
		if (bells[b].kicked && (++bells[b].skips % DRAIN_SKIPS || kicks_remain(b)))
			continue;
		bells[b].skips = 0;
		sys3(SYS_read, bells[b].fd, &n, sizeof(n));
	}
}

int watch_bell_fd(unsigned bell)
{
	return bells[bell].fd;
}

uint32_t watch_generation_pid(uint8_t generation)
{
	return (uint8_t)(watch_generation - generation) < GENERATIONS ?
		       ancestors[generation % GENERATIONS].pid : 0;
}

int watch_generation_bell(uint8_t generation, unsigned bell)
{
	return watch_generation_pid(generation) ?
		       ancestors[generation % GENERATIONS].fd[bell] : -1;
}

/* ---------------------------------------------------------------- waiters */

void waiter_init(struct waiter *r, enum waiter_kind kind)
{
	r->kind = kind;
	r->bell = BELL_NONE;
	r->kick_bell = BELL_NONE;
	r->generation = watch_generation;
}

void waiter_fini(struct waiter *r)
{
	while (r->all) {
		watch_disarm(r->all);
		watch_del(r->all);
	}
	waiter_unkick(r);
	if (r->bell != BELL_NONE)
		bells[r->bell].users--;
	r->bell = BELL_NONE;
	r->bells = 0;
}

struct waiter *waiter_call_get(void)
{
	struct waiter *r;

	watch_lock();
	r = pool_get(&call_pool);
	if (r) {
		waiter_init(r, WAITER_CALL);
		r->next = calls;
		if (calls)
			calls->prev = r;
		calls = r;
	}
	watch_unlock();
	return r;
}

void waiter_call_put(struct waiter *r)
{
	watch_lock();
	waiter_fini(r);
	if (r->next)
		r->next->prev = r->prev;
	if (r->prev)
		r->prev->next = r->next;
	else
		calls = r->next;
	pool_put(&call_pool, r);
	watch_unlock();
}

void waiter_bell_get(struct waiter *r)
{
	unsigned b = 0;
	int fd;

	watch_lock();
	if (r->bell != BELL_NONE && bells[r->bell].fd >= 0) {
		watch_unlock();
		return;
	}
	if (r->bell == BELL_NONE) {
		for (unsigned i = BELL_MAX - 1; i > 0; i--)
			if (bells[i].users == 0)
				b = i;
		r->bell = (int)b;
		bells[b].users++;
	}
	b = (unsigned)r->bell;
	if (bells[b].fd >= 0) {
		watch_unlock();
		return;
	}
	watch_unlock();
	fd = process_bell_fd(b);
	watch_lock();
	if (fd >= 0) {
		bells[b].fd = fd;
	} else if (r->bell == (int)b && bells[b].fd < 0) {
		bells[b].users--;
		r->bell = BELL_NONE;
	}
	watch_unlock();
}

void waiter_kick(struct waiter *r)
{
	int b = r->bell;

	if (r->sleeping && r->kick_bell == BELL_NONE && r != watch_hint_taker) {
		/* An outer set may have none of its own, but then hears those
		 * of its inner ones. */
		if (b == BELL_NONE && r->bells)
			b = __builtin_ctz(r->bells);
		if (b != BELL_NONE) {
			r->kick_bell = b;
			r->kick_ns = clock_now_ns();
			bells[b].kicked++;
			bell_ring((unsigned)b);
		}
	}
	if (r->kind != WAITER_EPOLL)
		return;
	for (struct watch *w = epset_of(r)->watches; w; w = w->target_next)
		watch_enqueue(w);
}

void waiter_awake(struct waiter *r)
{
	if (r->sleeping)
		r->sleeping--;
	waiter_unkick(r);
}

void waiter_add_bells(struct waiter *r, uint32_t mask)
{
	if (!(mask & ~r->bells))
		return;
	r->bells |= mask;
	if (r->kind == WAITER_EPOLL) {
		struct epset *e = epset_of(r);

		epset_sync(e);
		for (struct watch *w = e->watches; w; w = w->target_next)
			waiter_add_bells(w->waiter, mask);
	}
	waiter_kick(r);
}

/* Return: false where there were not enough aliases. */
static bool adopt(struct waiter *r, int bell)
{
	if (r->bell == BELL_NONE) {
		r->bell = bell;
		bells[bell].users++;
	}
	for (struct watch *w = r->all; w; w = w->all_next) {
		struct sock *s = watch_sock(w);

		if (!s && !adopt(&((struct epset *)(void *)w->target)->w, bell))
			return false;
		if (!s) {
			watch_foreign_set(w, ((struct epset *)(void *)w->target)->w.slow != 0);
			waiter_add_bells(r, watch_bell(w));
		}
		if (!s || w->belled || w->mute || !s->foreign || !holder_concerns(s))
			continue;
		waiter_add_bells(r, watch_bell(w));
		if (!w->belled)
			return false;
		w->fresh = true;
		watch_enqueue(w);
	}
	return true;
}

/* Sockets without a bell of ours. */
static unsigned count_unbelled(const struct waiter *r)
{
	unsigned n = 0;

	for (const struct watch *w = r->slow ? r->all : NULL; w; w = w->all_next) {
		struct sock *s = watch_sock(w);

		if (!s)
			n += count_unbelled(&((struct epset *)(void *)w->target)->w);
		else
			n += !w->belled && !w->mute && s->foreign && holder_concerns(s);
	}
	return n;
}

void waiter_adopt(struct waiter *r)
{
	bool enough = false;
	unsigned n;

	while (!enough) {
		watch_lock();
		n = count_unbelled(r);
		watch_unlock();
		if (n == 0 || !holder_stock(n))
			return;
		waiter_bell_get(r);
		watch_lock();
		enough = r->bell == BELL_NONE || adopt(r, r->bell);
		watch_unlock();
	}
}

bool waiter_distrusts(void)
{
	return process.party && party_distrusts(process.party);
}

bool waiter_in_slices(const struct waiter *r)
{
	return r->slow != 0 || waiter_distrusts();
}

unsigned waiter_pollfds(const struct waiter *r, struct pollfd *fds)
{
	uint32_t mask = r->bells | (r->bell == BELL_NONE ? 0 : 1u << r->bell);
	unsigned n = 0;

	for (unsigned b = 0; b < BELL_MAX; b++)
		if (mask & 1u << b && bells[b].fd >= 0)
			fds[n++] = (struct pollfd){ .fd = bells[b].fd, .events = POLLIN };
	return n;
}

void waiter_heard(const struct waiter *r, const struct pollfd *fds, unsigned n)
{
	uint32_t rang = 0;

	for (unsigned i = 0; i < n; i++)
		for (unsigned b = 0; fds[i].revents && b < BELL_MAX; b++)
			if (bells[b].fd == fds[i].fd)
				rang |= 1u << b;
	(void)r;
	watch_drain(rang);
}

uint32_t waiter_sleep_begin(struct waiter *r)
{
	uint32_t mask = load_relaxed(&r->bells);

	if (!process.party)
		return 0;
	for (uint32_t m = mask; m; m &= m - 1) {
		unsigned b = (unsigned)__builtin_ctz(m);

		/* It stays readable until who was kicked has heard it: let that
		 * thread run, rather than find it readable again and again. */
		if (unlikely(load_relaxed(&bells[b].kicked)) && !process.confined)
			sys0(SYS_sched_yield);
		/* A full fence: pairs with the one in hint_set(). */
		atomic_fetch_add(&arena_hdr(process.party->base)->bells[b].sleepers, 1);
	}
	return mask;
}

void waiter_sleep_end(uint32_t mask, uint32_t generation)
{
	if (!process.party || generation != watch_generation)
		return;
	for (uint32_t m = mask; m; m &= m - 1)
		atomic_fetch_sub(&arena_hdr(process.party->base)
					  ->bells[__builtin_ctz(m)].sleepers, 1);
}

static bool hints_for(void *arg)
{
	struct waiter *r = arg;

	if (load_relaxed(&r->ready_count))
		return true;
	if (!hint_any(process.party->mbox))
		return false;
	watch_lock();
	watch_take_hints(r);
	watch_unlock();
	return load_relaxed(&r->ready_count) != 0;
}

bool waiter_spin(struct waiter *r, uint64_t until_ns, bool (*look)(void *arg), void *arg)
{
	uint64_t now, until, kernel;
	bool found = false;
	uint32_t cpu;

	if (!process.party || process.spin_ns == 0 || !load_relaxed(&r->bells))
		return false;
	cpu = load_relaxed(&r->peer_cpu);
	if (spin_same_cpu(cpu)) {
		if (spin_yield(hints_for, r))
			return true;
		/* Not known: it may be on another CPU after all. */
		if (cpu)
			return false;
	}
	now = clock_now_ns();
	until = spin_until_ns(&r->spin, process.spin_ns, now);
	kernel = now + SPIN_KERNEL_NS;
	if (until_ns && until_ns < until)
		until = until_ns;
	while (!found && now < until && !section_state.pending) {
		for (unsigned i = 0; i < SPIN_LOOKS && !found; i++) {
			found = hints_for(r);
			cpu_relax();
		}
		if (found)
			break;
		now = clock_now_ns();
		if (look && now >= kernel) {
			if (look(arg))
				return true;
			kernel = now + SPIN_KERNEL_NS;
		}
	}
	if (found)
		spin_found(&r->spin);
	else
		spin_failed(&r->spin, until, now);
	return found;
}

/* ------------------------------------------------------------------- fork */

void waiter_fork_child(void)
{
	struct ancestor *a = &ancestors[watch_generation % GENERATIONS];

	a->pid = (uint32_t)sys0(SYS_getppid);
	for (unsigned b = 0; b < BELL_MAX; b++) {
		a->fd[b] = bells[b].fd;
		bells[b] = (struct bell){ .fd = -1 };
	}
	watch_generation++;
	/* The parent's calls do not go on here; but for one, where a handler
	 * forked: it sees that its generation is over. */
	for (struct waiter *r = calls; r; r = r->next) {
		while (r->all) {
			/* It is the parent's threads that sleep. */
			r->all->asleep = 0;
			watch_drop(r->all);
		}
		r->bell = r->kick_bell = BELL_NONE;
		r->bells = r->sleeping = 0;
	}
}
