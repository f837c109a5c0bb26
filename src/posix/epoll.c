/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll.c - epoll_create, epoll_ctl, epoll_wait.
 *
 * What is the kernel's goes straight into the kernel's set, with the
 * program's own events and data. What is ours is a watch here, keyed by
 * {number, file} as in Linux. A set's ready list holds candidates: what is
 * found not to be ready when looked at leaves it, armed (watch.c). A
 * level-triggered entry that was reported goes to its end, as in Linux, so
 * that a short event array is fair; edge-triggered and one-shot ones leave.
 *
 * In the kernel's set there is also, under data with our magic: the eventfds
 * of the bells; each listener's shadow, so that ordinary clients wake a
 * sleeper; and each inner epoll set, so that the kernel checks for loops and
 * hears the inner set's own kernel descriptors and bells.
 */
#include <errno.h>
#include <limits.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/asleep.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/due.h"
#include "posix/epoll.h"
#include "posix/orphan.h"
#include "posix/fallback.h"
#include "posix/holder.h"
#include "posix/joint.h"
#include "posix/mirror.h"
#include "posix/poll.h"
#include "posix/pool.h"
#include "posix/probe.h"
#include "posix/process.h"
#include "posix/section.h"

#define EXCLUSIVE_BITS \
	((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | \
		    EPOLLEXCLUSIVE))
#define EVENTS_MOST (INT_MAX / (int)sizeof(struct epoll_event))
#define KERNEL_SET 8u /* bytes of a signal set */
#define KERNEL_FRESH_NS 10000u /* what the kernel said so lately holds still */
#define KERNEL_TURN 16u /* looks between two at the kernel's set while ours is busy */

static struct pool epset_pool = { .size = sizeof(struct epset) };
struct epset *epsets;

/* ------------------------------------------------------------ the set itself */

int epset_fd(struct epset *e)
{
	if (fdtab_peek(e->fd) == &e->obj)
		return e->fd;
	for (unsigned fd = 0; fd < fdtab_size; fd++)
		if (fdtab_peek((int)fd) == &e->obj)
			return e->fd = (int)fd;
	return -1;
}

/* The last reference is gone. */
static void epset_last(struct fobj *o)
{
	struct epset *e = (struct epset *)(void *)o;

	section_enter();
	watch_lock();
	while (e->watches) {
		/* The kernel's set has dropped its part already. */
		joint_closed(e->watches, e->joint != NULL);
		if (e->watches->kernel_id || e->watches->ring_id)
			mirror_forget(e->watches);
		watch_del(e->watches);
	}
	/* The kernel's set is gone, and everything in it; or it is others'. */
	for (struct watch *w = e->w.all; w; w = w->all_next)
		w->kernel_id = w->ring_id = w->entry = 0;
	waiter_fini(&e->w);
	joint_end(e);
	if (e->next)
		e->next->prev = e->prev;
	if (e->prev)
		e->prev->next = e->next;
	else
		epsets = e->next;
	pool_put(&epset_pool, e);
	watch_unlock();
	section_leave();
}

static struct epset *epset_new(int fd, uint32_t kernel)
{
	struct epset *e;

	watch_lock();
	e = pool_get(&epset_pool);
	if (e) {
		e->obj = (struct fobj){ .kind = FOBJ_EPOLL, .refs = 1, .last = epset_last };
		waiter_init(&e->w, WAITER_EPOLL);
		e->fd = fd;
		e->kernel = e->user = kernel;
		e->next = epsets;
		if (epsets)
			epsets->prev = e;
		epsets = e;
		mirror_begin();
		fdtab_install(fd, &e->obj);
	}
	watch_unlock();
	return e;
}

long call_epoll_create1(int flags)
{
	long fd = fd_made(sys1(SYS_epoll_create1, flags));

	if (fd < 0 || !process.enabled || (unsigned)fd >= fdtab_size)
		return fd;
	section_enter();
	if (!epset_new((int)fd, 0)) {
		sys1(SYS_close, fd);
		fd = -ENOMEM;
	}
	section_leave();
	return fd;
}

/* ---------------------------------------------------------------- epoll_ctl */

/* A set that was not made through us (by exec, or passed): is it one? */
static long epset_adopt(int epfd, int op, int fd, struct fobj **ret)
{
	long r = mirror_ctl(epfd, EPOLL_CTL_DEL, fd, 0, 0);

	if (r != -ENOENT && r != 0)
		return r;
	if (op != EPOLL_CTL_ADD)
		return -ENOENT;
	if ((unsigned)epfd >= fdtab_size || !epset_new(epfd, 1))
		return -ENOMEM;
	*ret = fdtab_get(epfd);
	return *ret ? 0 : -EBADF;
}

static long ctl_check(const struct fobj *set, const struct fobj *target, int op,
		      const struct epoll_event *ev)
{
	bool exclusive = op != EPOLL_CTL_DEL && ev->events & EPOLLEXCLUSIVE;

	if (set->kind != FOBJ_EPOLL || set == target)
		return -EINVAL;
	if (exclusive && (op == EPOLL_CTL_MOD || target->kind == FOBJ_EPOLL ||
			  ev->events & ~EXCLUSIVE_BITS))
		return -EINVAL;
	return 0;
}

static long ctl_add(struct epset *e, int epfd, int fd, struct fobj *target,
		    const struct epoll_event *ev)
{
	struct watch *w;
	uint32_t grown;
	long r = 0;

	/* It was closed meanwhile by another thread. */
	if (fdtab_peek(fd) != target)
		return -EBADF;
	if (watch_find(&e->w, target, fd))
		return -EEXIST;
	w = watch_add(&e->w, target, fd, 0);
	if (!w)
		return -ENOMEM;
	watch_set(w, ev->events, ev->data.u64);
	if (target->kind == FOBJ_EPOLL)
		r = mirror_add(w, epfd, fd);
	else
		mirror_listener(w, epfd);
	grown = watch_bell(w);
	if (r == 0) {
		waiter_add_bells(&e->w, grown);
		r = epset_sync(e);
	}
	if (r == 0)
		r = joint_add(w);
	if (r < 0) {
		watch_del(w);
		return r;
	}
	watch_enqueue_common(w);
	return 0;
}

static long ctl_mod(struct epset *e, int epfd, int fd, struct fobj *target,
		    const struct epoll_event *ev)
{
	struct watch *w = watch_find(&e->w, target, fd);

	if (!w)
		return -ENOENT;
	if (w->flags & EPOLLEXCLUSIVE)
		return -EINVAL;
	watch_set(w, ev->events, ev->data.u64);
	joint_mod(w);
	mirror_mod(w, epfd);
	watch_enqueue_common(w);
	return 0;
}

static long ctl_del(struct epset *e, int epfd, int fd, struct fobj *target)
{
	struct watch *w = watch_find(&e->w, target, fd);

	if (!w)
		return -ENOENT;
	joint_del(w);
	watch_disarm(w);
	watch_del(w);
	if (target->kind != FOBJ_EPOLL) {
		struct watch *o = ((struct sock *)(void *)target)->watches;

		while (o && o->waiter != &e->w)
			o = o->target_next;
		if (o)
			mirror_listener(o, epfd);
	}
	return 0;
}

static long ctl_ours(int epfd, int op, int fd, struct fobj *target, const struct epoll_event *ev)
{
	struct fobj *set = fdtab_get(epfd);
	struct epset *e;
	long r = 0;

	if (!set)
		r = epset_adopt(epfd, op, fd, &set);
	if (r == 0)
		r = ctl_check(set, target, op, ev);
	if (r == 0) {
		e = (struct epset *)(void *)set;
		if (op == EPOLL_CTL_ADD && target->kind == FOBJ_SOCK &&
		    holder_lacks((struct sock *)(void *)target))
			holder_stock(1);
		if (op == EPOLL_CTL_ADD)
			waiter_bell_get(&e->w);
		joint_prepare(e);
		/* Others are told of what the kernel sees of it. */
		if (op == EPOLL_CTL_ADD && unlikely(e->joint) && target->kind == FOBJ_DGRAM &&
		    !sock_is_shared((struct sock *)(void *)target))
			dgram_given(fd);
		watch_lock();
		e->fd = epfd;
		joint_enter(e);
		joint_found(e, fd, target);
		if (op == EPOLL_CTL_ADD)
			r = ctl_add(e, epfd, fd, target, ev);
		else if (op == EPOLL_CTL_MOD)
			r = ctl_mod(e, epfd, fd, target, ev);
		else
			r = op == EPOLL_CTL_DEL ? ctl_del(e, epfd, fd, target) : -EINVAL;
		joint_leave(e);
		watch_unlock();
	}
	if (set)
		fdtab_put(set);
	return r;
}

/* The kernel's descriptor: counted where the set is one that we know. */
static long ctl_kernel(int epfd, int op, int fd, struct epoll_event *ev)
{
	long r = sys4(SYS_epoll_ctl, epfd, op, fd, ev);
	struct fobj *set;

	if (r < 0 || op == EPOLL_CTL_MOD)
		return r;
	set = fdtab_get(epfd);
	if (!set)
		return r;
	if (set->kind == FOBJ_EPOLL) {
		struct epset *e = (struct epset *)(void *)set;

		watch_lock();
		if (op == EPOLL_CTL_ADD) {
			e->kernel++;
			e->user++;
			joint_kernel_added(e);
		} else {
			e->kernel -= e->kernel != 0;
			e->user -= e->user != 0;
		}
		watch_unlock();
	}
	fdtab_put(set);
	return r;
}

long call_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct epoll_event copy = { 0 };
	struct fobj *target;
	long r;

	if (!fdtab_peek(epfd) && !fdtab_peek(fd))
		return fd_is_library(fd) || fd_is_library(epfd) ? -EBADF : NOT_OURS;
	if (op != EPOLL_CTL_DEL && probe_readable(ev, sizeof(*ev)) < sizeof(*ev))
		return -EFAULT;
	if (fd_is_library(fd) || fd_is_library(epfd))
		return -EBADF;
	section_enter();
	target = fdtab_get(fd);
	if (target && target->kind == FOBJ_SOCK && op == EPOLL_CTL_ADD &&
	    unlikely(fallback_waits((struct sock *)(void *)target))) {
		fdtab_put(target);
		target = NULL;
	}
	if (!target) {
		/* A socket of ours in place of the set: its handle is none either. */
		r = ctl_kernel(epfd, op, fd, ev);
	} else {
		if (op != EPOLL_CTL_DEL)
			copy = *ev;
		r = ctl_ours(epfd, op, fd, target, &copy);
	}
	if (target)
		fdtab_put(target);
	section_leave();
	return r;
}

/* --------------------------------------------------------------- epoll_wait */

/* What no bell rings for is looked at whenever we look at all. */
static void requeue_foreign(struct epset *e)
{
	bool all = waiter_distrusts();

	for (struct watch *w = e->w.slow || all ? e->w.all : NULL; w; w = w->all_next)
		if ((w->foreign || (all && watch_may_be_ready(w))) && !w->on_ready &&
		    !w->disabled)
			watch_requeue(w);
}

/* Nobody tells of the death of a peer: candidates are the dead. */
static void requeue_dead(struct epset *e)
{
	uint64_t now;

	if (likely(!process.orphan) && !e->w.slow)
		return;
	now = clock_now_ns();
	if (now - e->looked_ns < ORPHAN_LOOK_NS)
		return;
	e->looked_ns = now;
	for (struct watch *w = e->w.all; w; w = w->all_next)
		if (watch_sock(w) && orphan_look(watch_sock(w)))
			for (struct watch *o = watch_sock(w)->watches; o; o = o->target_next)
				watch_enqueue(o);
}

/* Take from the ready list. Each candidate is looked at once. */
static int take_ready(struct epset *e, int epfd, struct epoll_event *evs, int max)
{
	uint32_t left = load_relaxed(&e->w.ready_count);
	int n = 0;

	while (left-- && n < max && e->w.ready_first) {
		struct watch *w = e->w.ready_first;
		uint32_t bits = watch_look(w);

		if (!bits || !joint_edge(w)) {
			w->busy = 0;
			watch_dequeue(w);
			continue;
		}
		watch_stamp(w);
		evs[n].events = bits;
		evs[n].data.u64 = w->data;
		n++;
		if (w->flags & EPOLLONESHOT) {
			w->disabled = true;
			joint_fired(w);
			watch_dequeue(w);
			watch_disarm(w);
			mirror_mod(w, epfd);
		} else if (w->flags & EPOLLET) {
			w->hot = false;
			watch_dequeue(w);
		} else {
			watch_requeue(w);
			/* Twice without a break: its sender need not pay for
			 * hints while we look by ourselves. */
			if (++w->busy == 2)
				watch_disarm(w);
		}
	}
	return n;
}

static int take_kernel(struct epset *e, int epfd, struct epoll_event *evs, int max)
{
	long n = sys6(SYS_epoll_pwait, epfd, evs, max, 0, 0, 8);
	int left;

	if (n <= 0) {
		e->kernel_hot = e->alien = false;
		return (int)n;
	}
	left = mirror_events_take(e, epfd, evs, (int)n);
	watch_take_hints(&e->w);
	return left;
}

/* Leave what is left to other threads that sleep in the same set. */
static void pass_on(struct epset *e)
{
	if (load_relaxed(&e->w.ready_count) && e->w.sleeping)
		waiter_kick(&e->w);
}

/**
 * struct wait - One call of epoll_wait().
 * @forever:     No timeout.
 * @zero:        Only look.
 * @rel_ns:      The timeout, else.
 * @deadline_ns: The same as a moment, 0: not yet set.
 */
struct wait {
	struct epset *e;
	int epfd;
	struct epoll_event *evs;
	int max;
	const sigset_t *mask;
	bool forever, zero;
	uint64_t rel_ns, deadline_ns, slice_ns;
	uint32_t seen;
};

/* What is edge-triggered and stands in the kernel's set as well, an inner set or
 * a listener: the kernel's edge and ours are one, so the kernel's is to be taken
 * first. */
static bool has_mirrored_edge(const struct epset *e)
{
	for (const struct watch *w = e->w.mirrored; w; w = w->mirror_next)
		if (w->flags & EPOLLET && w->on_ready)
			return true;
	return false;
}

/* @n: How many entries there are for whose sake it is asked. */
static bool kernel_is_due(struct epset *e, uint32_t n)
{
	uint64_t now;

	if (!n)
		return false;
	now = clock_now_ns();
	if (now - e->asked_ns < KERNEL_FRESH_NS)
		return false;
	e->asked_ns = now;
	return true;
}

/* Without waiting. */
static int collect(const struct wait *c)
{
	struct epset *e = c->e;
	bool first, last;
	int n = 0, got;

	watch_lock();
	joint_enter(e);
	watch_take_hints(&e->w);
	requeue_foreign(e);
	requeue_dead(e);
	e->turn++;
	/* The kernel's descriptors get their turn also where ours are always
	 * busy, and where the array has room for one. */
	first = e->kernel && load_relaxed(&e->w.ready_count) &&
		(e->turn % KERNEL_TURN == 0 || (e->kernel_hot && e->turn & 1) ||
		 has_mirrored_edge(e) || kernel_is_due(e, e->dgrams));
	if (first) {
		n = take_kernel(e, c->epfd, c->evs, c->max / 2 + 1);
		if (n < 0)
			n = 0;
	}
	/* Those that it does not have: first now, last then, as an array is short. */
	if (e->turn & 1)
		n += joint_take(e, c->evs + n, c->max - n);
	n += take_ready(e, c->epfd, c->evs + n, c->max - n);
	/* What is the program's own is part of every answer, but for those in
	 * quick succession; shadows and inner sets are asked when they were
	 * found ready last, and in their turn. */
	last = !first && n < c->max && (n ? e->kernel && (e->kernel_hot || kernel_is_due(e, e->user))
					  : (c->zero && e->kernel) || e->kernel_hot);
	if (last) {
		got = take_kernel(e, c->epfd, c->evs + n, c->max - n);
		if (got > 0)
			n += got;
		else if (got < 0 && n == 0)
			n = got;
		if (n >= 0 && n < c->max && load_relaxed(&e->w.ready_count) && n == got)
			n += take_ready(e, c->epfd, c->evs + n, c->max - n);
	}
	if (n >= 0 && !(e->turn & 1))
		n += joint_take(e, c->evs + n, c->max - n);
	joint_leave(e);
	pass_on(e);
	watch_unlock();
	return n;
}

static bool look_kernel(void *arg)
{
	const struct wait *c = arg;
	struct pollfd p = { .fd = c->epfd, .events = POLLIN };
	struct timespec zero = { 0 };

	if (sys5(SYS_ppoll, &p, 1, &zero, 0, 8) != 1)
		return false;
	watch_lock();
	c->e->kernel_hot = true;
	watch_unlock();
	return true;
}

static long kernel_wait(const struct wait *c, uint64_t until_ns)
{
	static _Atomic bool no_pwait2;
	uint64_t now = until_ns ? clock_now_ns() : 0, rel = until_ns > now ? until_ns - now : 0;
	struct timespec t = clock_timespec(rel);
	long args[6] = { c->epfd, (long)c->evs, c->max, until_ns ? (long)&t : 0, (long)c->mask, 8 };
	long r;

	if (!load_relaxed(&no_pwait2)) {
		r = section_sleep(SYS_epoll_pwait2, args, &section_state.handled, c->seen);
		if (r != -ENOSYS)
			return r;
		store_relaxed(&no_pwait2, true);
	}
	rel = (rel + NS_PER_MS - 1) / NS_PER_MS;
	args[3] = !until_ns ? -1 : rel > INT_MAX ? INT_MAX : (long)rel;
	return section_sleep(SYS_epoll_pwait, args, &section_state.handled, c->seen);
}

/* An eventfd that is not ours to reset keeps the set readable. */
static long kernel_wait_apart(const struct wait *c, uint64_t until_ns)
{
	uint64_t now = clock_now_ns();
	struct timespec t = clock_timespec(until_ns > now ? until_ns - now : 0);
	long args[6] = { 0, 0, (long)&t, (long)c->mask, 8, 0 };
	long r = section_sleep(SYS_ppoll, args, &section_state.handled, c->seen);

	return r < 0 ? r : sys6(SYS_epoll_pwait, c->epfd, c->evs, c->max, 0, 0, 8);
}

static void epset_give_up(struct asleep *a)
{
	struct epset *e = (struct epset *)(void *)a->obj;

	waiter_sleep_end(a->rung, a->generation);
	watch_lock();
	if (a->generation == watch_generation) {
		waiter_awake(&e->w);
		joint_sleep_end(&e->w);
	}
	watch_unlock();
	fdtab_put(&e->obj);
}

/* Return: events, 0 at the deadline, -EAGAIN: look again, or -errno. */
static long wait_asleep(struct wait *c)
{
	struct epset *e = c->e;
	uint32_t rung = waiter_sleep_begin(&e->w), generation = watch_generation;
	uint64_t until = c->deadline_ns;
	bool apart, slices;
	unsigned index;
	long r, n = 0;

	watch_lock();
	watch_take_hints(&e->w);
	/* The bells may have become more since they were counted. */
	if (load_relaxed(&e->w.ready_count) || e->w.bells & ~rung || !joint_sleep_begin(&e->w)) {
		watch_unlock();
		waiter_sleep_end(rung, generation);
		return -EAGAIN;
	}
	e->w.sleeping++;
	apart = e->alien;
	slices = apart || waiter_in_slices(&e->w) || joint_is_unheard(e);
	watch_unlock();
	if (unlikely(process.orphan) && e->w.all) {
		uint64_t end = clock_now_ns() + ORPHAN_LOOK_NS;

		until = c->forever || end < until ? end : until;
	}
	if (slices) {
		uint64_t end = clock_now_ns() + c->slice_ns;

		until = !until || end < until ? end : until;
		if (c->slice_ns * 2 <= SLICE_MAX_NS)
			c->slice_ns *= 2;
	}
	until = due_cap(until);
	index = asleep_begin(&(struct asleep){ .give_up = epset_give_up, .obj = &e->obj,
					       .rung = rung, .generation = generation });
	section_leave();
	r = apart ? kernel_wait_apart(c, until) : kernel_wait(c, until);
	section_enter();
	asleep_end(index);
	waiter_sleep_end(rung, generation);
	watch_lock();
	if (generation == watch_generation) {
		waiter_awake(&e->w);
		joint_sleep_end(&e->w);
	}
	joint_enter(e);
	if (r > 0)
		n = mirror_events_take(e, c->epfd, c->evs, (int)r);
	else if (r == 0)
		e->alien = false;
	requeue_foreign(e);
	requeue_dead(e);
	watch_take_hints(&e->w);
	/* After a handler: as in poll.c. */
	if (r != -EINTR)
		n += take_ready(e, c->epfd, c->evs + n, c->max - (int)n);
	n += joint_take(e, c->evs + n, c->max - (int)n);
	joint_leave(e);
	pass_on(e);
	watch_unlock();
	if (n > 0 || r < 0)
		return n > 0 ? n : r;
	return r == 0 && !c->forever && clock_now_ns() >= c->deadline_ns ? 0 : -EAGAIN;
}

/* Listeners of a parent's in a set that came from it. */
static struct sock *inherited_listener_get(struct epset *e)
{
	struct sock *found = NULL;

	watch_lock();
	for (struct watch *w = e->w.all; w && !found; w = w->all_next) {
		struct sock *s = watch_sock(w);

		if (!s || !s->foreign || load_relaxed(&s->stage) != SOCK_LISTEN)
			continue;
		found = (struct sock *)(void *)fdtab_get(w->fd);
		if (found && found != s) {
			fdtab_put(&found->obj);
			found = NULL;
		}
	}
	watch_unlock();
	return found;
}

static void wait_inherited(struct epset *e)
{
	struct sock *s;
	bool gone = true;

	while (gone && (s = inherited_listener_get(e))) {
		gone = fallback_waits(s);
		fdtab_put(&s->obj);
	}
}

static long wait_all(struct wait *c)
{
	if (unlikely(c->e->w.slow)) {
		wait_inherited(c->e);
		waiter_adopt(&c->e->w);
	}
	for (;;) {
		long n;

		joint_prepare(c->e);
		n = collect(c);

		if (n != 0 || c->zero)
			return n;
		if (!c->forever && !c->deadline_ns)
			c->deadline_ns = clock_now_ns() + c->rel_ns;
		if (waiter_spin(&c->e->w, c->deadline_ns, c->e->kernel ? look_kernel : NULL, c))
			continue;
		n = wait_asleep(c);
		if (n != -EAGAIN)
			return n;
	}
}

/* There is no room for an event: none is taken. */
static long wait_in_vain(int epfd, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd p = { .fd = epfd, .events = POLLIN };
	long r = poll_wait(&p, 1, POLLERR | POLLHUP, timeout, mask);

	return r == NOT_OURS ? -EBADF : r > 0 ? -EFAULT : r;
}

long call_epoll_pwait2(int epfd, struct epoll_event *evs, int max,
		       const struct timespec *timeout, const sigset_t *mask)
{
	struct wait c = { .epfd = epfd, .evs = evs, .max = max, .mask = mask,
			  .forever = !timeout, .slice_ns = SLICE_MIN_NS,
			  .seen = section_state.handled };
	struct fobj *set;
	long r;

	if (!fdtab_peek(epfd))
		return fd_is_library(epfd) ? -EBADF : NOT_OURS;
	if (timeout && probe_readable(timeout, sizeof(*timeout)) < sizeof(*timeout))
		return -EFAULT;
	if (timeout) {
		if (timeout->tv_sec < 0 || (uint64_t)timeout->tv_nsec >= NS_PER_SEC)
			return -EINVAL;
		/* Three hundred years are for ever. */
		if (timeout->tv_sec > INT64_MAX / (int64_t)NS_PER_SEC / 2)
			c.forever = true;
		c.rel_ns = (uint64_t)timeout->tv_sec * NS_PER_SEC + (uint64_t)timeout->tv_nsec;
		c.zero = !c.forever && c.rel_ns == 0;
	}
	if (max <= 0 || max > EVENTS_MOST)
		return -EINVAL;
	if ((intptr_t)evs < 0 || (mask && probe_readable(mask, KERNEL_SET) < KERNEL_SET))
		return -EFAULT;
	c.max = (int)(probe_writable(evs, (size_t)max * sizeof(*evs)) / sizeof(*evs));
	if (unlikely(c.max == 0))
		return fdtab_peek(epfd)->kind == FOBJ_EPOLL ? wait_in_vain(epfd, timeout, mask)
							    : -EINVAL;
	section_enter();
	asleep_reap();
	set = fdtab_get(epfd);
	if (!set) {
		section_leave();
		return NOT_OURS;
	}
	if (set->kind == FOBJ_EPOLL) {
		c.e = (struct epset *)(void *)set;
		r = wait_all(&c);
	} else {
		r = -EINVAL;
	}
	fdtab_put(set);
	section_leave();
	return r;
}

/* ---------------------------------------------------------- others' interest */

/* Only epoll_wait() takes an edge: what a look has noted of one is undone. */
static uint32_t glance(struct watch *w)
{
	struct edge was = { load_relaxed(&w->edge->sig), load_relaxed(&w->edge->full), 0, 0 };
	uint32_t bits = w->disabled ? 0 : watch_look(w);

	store_relaxed(&w->edge->full, load_relaxed(&was.full));
	store_relaxed(&w->edge->sig, load_relaxed(&was.sig));
	return joint_pends(w) ? bits : 0;
}

static uint32_t epset_poll_ours(struct epset *e)
{
	uint32_t left = load_relaxed(&e->w.ready_count);

	if (joint_poll(e, false))
		return POLLIN | POLLRDNORM;
	while (left-- && e->w.ready_first) {
		struct watch *w = e->w.ready_first;

		if (glance(w))
			return POLLIN | POLLRDNORM;
		watch_dequeue(w);
	}
	return 0;
}

static bool kernel_readable(struct epset *e)
{
	struct pollfd p = { .fd = epset_fd(e), .events = POLLIN };
	struct timespec zero = { 0 };

	return p.fd >= 0 && sys5(SYS_ppoll, &p, 1, &zero, 0, 8) == 1;
}

static uint32_t poll_entered(struct epset *e)
{
	uint32_t now;

	requeue_foreign(e);
	now = epset_poll_ours(e);
	if (now || (!e->kernel && !e->joint) || !kernel_readable(e))
		return now;
	if (!e->w.bells && !e->joint)
		return POLLIN | POLLRDNORM;
	/* Perhaps it is only a bell that rang, or the door. */
	watch_drain(e->w.bells);
	if (e->joint && !joint_door(e))
		return 0;
	watch_take_hints(&e->w);
	now = epset_poll_ours(e);
	return now || (e->kernel && kernel_readable(e)) ? POLLIN | POLLRDNORM : 0;
}

uint32_t epset_poll(struct epset *e)
{
	uint32_t now;

	joint_enter(e);
	now = poll_entered(e);
	joint_leave(e);
	return now;
}

void epset_fork_child(void)
{
	for (struct epset *e = epsets; e; e = e->next) {
		struct waiter *r = &e->w;

		r->bell = r->kick_bell = BELL_NONE;
		r->bells = r->sleeping = e->bells_in = 0;
		e->end_fd = 0;
		r->slow = joint_fork_child(e);
		for (struct watch *w = r->all; w; w = w->all_next) {
			w->belled = false;
			w->armed = w->asleep = 0;
			/* Inner sets, too: what is in them is foreign. A shared
			 * listener rings all who hold it. */
			w->foreign = w->fresh = !watch_sock(w) || watch_is_unheard(watch_sock(w));
			w->mute = false;
			r->slow += w->foreign;
		}
	}
}
