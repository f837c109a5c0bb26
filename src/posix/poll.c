/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll.c - poll and ppoll where some of the descriptors are ours.
 *
 * First a look at all. If something is ready, the kernel is asked about its
 * own without waiting, and that is the answer. Else each of ours gets a
 * watch (watch.c), and the call sleeps in ppoll() on a copy of the array in
 * which the kernel's descriptors are as the program gave them, ours are left
 * out, listeners are replaced by their shadows, and the bells follow.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/asleep.h"
#include "posix/calls.h"
#include "posix/due.h"
#include "posix/epoll.h"
#include "posix/orphan.h"
#include "posix/fallback.h"
#include "posix/holder.h"
#include "posix/joint.h"
#include "posix/poll.h"
#include "posix/probe.h"
#include "posix/process.h"
#include "posix/section.h"

#define KERNEL_SET 8u  /* bytes of a signal set */
#define SPIN_DIRECT 8u /* sockets that are looked at one by one while spinning */
#define SPIN_LOOKS 32u
#define SPIN_KERNEL_NS 4000ull
#define RESTART 1L /* from sleep_once(): something is not what it was */
#define WOKEN 2L   /* something was heard */

static __thread struct spin poll_spin;

/**
 * struct pollcall - One call.
 * @k:     For the kernel: @n entries as in @fds, then the bells, then orphan_fd(),
 *         then shared listeners' own eventfds.
 * @objs:  What the descriptors refer to, with a reference; NULL: the kernel's.
 * @held:  What they referred to before they became something else: until the
 *         call's end it stays open, as in Linux.
 * @again: They were resolved anew.
 * @ours:  How many of those there are, @sets of them epoll sets.
 * @kernel: Entries of @k that the kernel must be asked about.
 * @ignored: Of those, the ones left out for the moment: the kernel reports
 *         something that the program did not ask for (select only).
 * @asked: k's revents are of just now.
 */
struct pollcall {
	struct pollfd *fds, *k;
	struct fobj **objs, **held;
	nfds_t n;
	uint32_t implicit;
	const sigset_t *mask;
	bool forever, zero, asked, again;
	uint64_t rel_ns, deadline_ns, slice_ns;
	uint32_t seen;
	unsigned ours, sets, kernel, ignored;
	struct waiter *r;
};

void *poll_memory(size_t bytes)
{
	long at = sys6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

void poll_memory_free(void *p, size_t bytes)
{
	sys2(SYS_munmap, p, bytes);
}

static struct sock *sock_at(const struct pollcall *c, nfds_t i)
{
	struct fobj *o = c->objs[i];

	return o && o->kind != FOBJ_EPOLL ? (struct sock *)(void *)o : NULL;
}

static struct epset *epset_at(const struct pollcall *c, nfds_t i)
{
	struct fobj *o = c->objs[i];

	return o && o->kind == FOBJ_EPOLL ? (struct epset *)(void *)o : NULL;
}

static uint32_t care_of(const struct pollcall *c, nfds_t i)
{
	return (uint16_t)c->fds[i].events | c->implicit;
}

/* What the descriptors refer to, and what stands for them in the kernel. */
static void resolve(struct pollcall *c)
{
	c->ours = c->sets = c->kernel = 0;
	for (nfds_t i = 0; i < c->n; i++) {
		int fd = c->fds[i].fd, shadow;
		bool in;

		c->objs[i] = NULL;
		c->k[i] = (struct pollfd){ .fd = -1, .events = c->fds[i].events };
		if (fd < 0)
			continue;
		c->objs[i] = fdtab_get(fd);
		if (sock_at(c, i) && unlikely(fallback_waits(sock_at(c, i)))) {
			fdtab_put(c->objs[i]);
			c->objs[i] = NULL;
		}
		if (!c->objs[i]) {
			/* INT_MAX: POLLNVAL, as for a number that is not open. */
			c->k[i].fd = fd_is_library(fd) ? INT32_MAX : fd;
			c->kernel++;
			continue;
		}
		c->ours++;
		in = care_of(c, i) & (POLLIN | POLLRDNORM);
		if (epset_at(c, i)) {
			c->sets++;
			if (in)
				c->k[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
			continue;
		}
		shadow = sock_shadow(sock_at(c, i));
		/* The kernel tells of its errors, too. */
		if (sock_at(c, i)->dgram) {
			c->k[i].fd = shadow;
			c->k[i].events = (short)(c->k[i].events & ~(POLLOUT | POLLWRNORM | POLLWRBAND));
			c->kernel++;
			continue;
		}
		if (in && shadow >= 0) {
			c->k[i] = (struct pollfd){ .fd = shadow, .events = POLLIN };
			c->kernel++;
		}
	}
}

static void release(struct pollcall *c)
{
	for (nfds_t i = 0; i < c->n; i++)
		if (c->objs[i])
			fdtab_put(c->objs[i]);
}

static void ask_kernel(struct pollcall *c)
{
	struct timespec zero = { 0 };

	if (c->asked || !c->kernel)
		return;
	if (sys5(SYS_ppoll, c->k, c->n, &zero, 0, 8) < 0)
		for (nfds_t i = 0; i < c->n; i++)
			c->k[i].revents = 0;
	c->asked = true;
}

/* What one of the kernel's, or a shadow, is ready for. */
static uint32_t kernel_bits(const struct pollcall *c, nfds_t i)
{
	uint32_t bits;

	if (!c->asked || c->k[i].fd < 0)
		return 0;
	bits = (uint16_t)c->k[i].revents;
	/* select: EBADF is for what was no descriptor at the beginning. */
	if (unlikely(bits & POLLNVAL && c->again && !c->implicit))
		return care_of(c, i);
	if (c->objs[i] && !(sock_at(c, i) && sock_at(c, i)->dgram))
		bits = bits & POLLIN ? POLLIN | POLLRDNORM : 0;
	return bits & (care_of(c, i) | POLLNVAL);
}

static void hold(struct pollcall *c)
{
	for (nfds_t i = 0; i < c->n; i++) {
		if (!c->objs[i] || c->held[i] || fdtab_peek(c->fds[i].fd) == c->objs[i])
			continue;
		c->held[i] = c->objs[i];
		c->objs[i] = NULL;
	}
}

static void look_for_deaths(const struct pollcall *c)
{
	for (nfds_t i = 0; i < c->n; i++)
		if (sock_at(c, i))
			orphan_look(sock_at(c, i));
}

/* Look at ours. Return: how many are ready. */
static long look(struct pollcall *c)
{
	long ready = 0;

	for (nfds_t i = 0; c->sets && i < c->n; i++)
		if (epset_at(c, i))
			joint_prepare(epset_at(c, i));
	if (c->sets) {
		watch_lock();
		watch_take_hints(c->r);
	}
	for (nfds_t i = 0; i < c->n; i++) {
		struct sock *s = sock_at(c, i);
		uint32_t bits = 0;

		if (s)
			bits = sock_poll(s) & care_of(c, i);
		else if (epset_at(c, i))
			bits = epset_poll(epset_at(c, i)) & care_of(c, i);
		c->fds[i].revents = (short)bits;
		ready += bits != 0;
	}
	if (c->sets)
		watch_unlock();
	return ready;
}

/* Everything as it is now, as the program is told. */
static long report(struct pollcall *c)
{
	long ready;

	if (unlikely(process.orphan))
		look_for_deaths(c);
	ready = look(c);
	ask_kernel(c);
	if (!c->asked)
		return ready;
	ready = 0;
	for (nfds_t i = 0; i < c->n; i++) {
		uint32_t bits = (uint16_t)c->fds[i].revents;

		if (!epset_at(c, i))
			bits |= kernel_bits(c, i);
		c->fds[i].revents = (short)bits;
		ready += bits != 0;
	}
	return ready;
}

/* ------------------------------------------------------------------ spinning */

static bool look_socks(void *arg)
{
	const struct pollcall *c = arg;

	for (nfds_t i = 0; i < c->n; i++) {
		struct sock *s = sock_at(c, i);

		if (s && sock_poll(s) & care_of(c, i))
			return true;
	}
	return false;
}

static bool look_kernel(void *arg)
{
	struct pollcall *c = arg;

	c->asked = false;
	ask_kernel(c);
	for (nfds_t i = 0; i < c->n; i++)
		if (kernel_bits(c, i))
			return true;
	c->asked = false;
	return false;
}

static uint32_t stamp(const struct pollcall *c)
{
	uint32_t cpu = spin_cpu(), peer_cpu = 0;

	for (nfds_t i = 0; i < c->n; i++) {
		struct sock *s = sock_at(c, i);

		if (!s)
			continue;
		if (load_relaxed(&s->half->cpu) != cpu)
			store_relaxed(&s->half->cpu, cpu);
		if (s->conn.peer && peer_cpu != cpu)
			peer_cpu = load_relaxed(&s->conn.peer->cpu);
	}
	return peer_cpu;
}

static bool spin_direct(struct pollcall *c)
{
	uint64_t now, until, kernel;
	uint32_t cpu;

	if (process.spin_ns == 0)
		return false;
	cpu = stamp(c);
	if (spin_same_cpu(cpu)) {
		if (spin_yield(look_socks, c))
			return true;
		/* Not known: it may be on another CPU after all. */
		if (cpu)
			return false;
	}
	now = clock_now_ns();
	kernel = now + SPIN_KERNEL_NS;
	until = spin_until_ns(&poll_spin, process.spin_ns, now);
	if (c->deadline_ns && c->deadline_ns < until)
		until = c->deadline_ns;
	while (now < until && !section_state.pending) {
		for (unsigned i = 0; i < SPIN_LOOKS; i++) {
			if (look_socks(c)) {
				spin_found(&poll_spin);
				return true;
			}
			cpu_relax();
		}
		now = clock_now_ns();
		if (c->kernel && now >= kernel) {
			if (look_kernel(c))
				return true;
			kernel = now + SPIN_KERNEL_NS;
		}
	}
	spin_failed(&poll_spin, until, now);
	return false;
}

/* ------------------------------------------------------------------ sleeping */

static bool watch_all(struct pollcall *c)
{
	uint32_t mask = 0;
	unsigned lacks = 0;

	for (nfds_t i = 0; i < c->n; i++) {
		if (sock_at(c, i))
			lacks += holder_lacks(sock_at(c, i));
		else if (epset_at(c, i) && unlikely(epset_at(c, i)->w.slow))
			waiter_adopt(&epset_at(c, i)->w);
	}
	if (unlikely(lacks))
		holder_stock(lacks);
	waiter_bell_get(c->r);
	watch_lock();
	for (nfds_t i = 0; i < c->n; i++) {
		struct watch *w;

		if (!c->objs[i])
			continue;
		w = watch_add(c->r, c->objs[i], c->fds[i].fd, care_of(c, i));
		if (!w) {
			watch_unlock();
			return false;
		}
		mask |= watch_bell(w);
	}
	waiter_add_bells(c->r, mask);
	watch_unlock();
	return true;
}

/* Under watch_lock(). Every watch is looked at, and armed where it is not ready. */
static bool look_armed(struct pollcall *c, bool *ret_moved)
{
	bool ready = false;

	for (struct watch *w = c->r->all; w; w = w->all_next) {
		*ret_moved |= w->moved;
		ready |= watch_look(w) != 0;
		watch_dequeue(w);
	}
	return ready;
}

static long kernel_sleep(struct pollcall *c, nfds_t count, uint64_t until_ns)
{
	uint64_t now = until_ns ? clock_now_ns() : 0;
	struct timespec t = clock_timespec(until_ns > now ? until_ns - now : 0);
	long args[6] = { (long)c->k, (long)count, until_ns ? (long)&t : 0, (long)c->mask, 8, 0 };
	long r;

	section_leave();
	r = section_sleep(SYS_ppoll, args, &section_state.handled, c->seen);
	section_enter();
	return r;
}

/*
 * RLIMIT_NOFILE bounds how many descriptors a poll may name, and a sandbox's
 * is 1. The program's own array is no longer than that: what rings takes the
 * places of our sockets in it. What finds no place is looked for in slices.
 */
static long narrow_sleep(struct pollcall *c, unsigned nbells, bool has_rings, uint64_t until_ns)
{
	nfds_t at[BELL_MAX];
	unsigned put = 0;
	uint64_t slice;
	long r;

	for (nfds_t i = 0; i < c->n && put < nbells; i++)
		if (c->k[i].fd < 0) {
			c->k[i] = c->k[c->n + put];
			at[put++] = i;
		}
	if (put < nbells || has_rings) {
		slice = clock_now_ns() + SLICE_MIN_NS;
		until_ns = !until_ns || slice < until_ns ? slice : until_ns;
	}
	r = kernel_sleep(c, c->n, until_ns);
	for (unsigned b = 0; b < nbells; b++) {
		c->k[c->n + b].revents = b < put && r > 0 ? c->k[at[b]].revents : 0;
		if (b < put)
			c->k[at[b]] = (struct pollfd){ .fd = -1,
						       .events = c->fds[at[b]].events };
	}
	c->k[c->n + nbells].revents = 0;
	return r;
}

/*
 * Only select gets there: the kernel reports, say, a hang-up of what is only
 * to be written to. Such a descriptor is left out, and asked after each slice.
 */
static void leave_out(struct pollcall *c)
{
	c->ignored = 0;
	for (nfds_t i = 0; i < c->n; i++)
		if (!c->objs[i] && c->fds[i].fd >= 0)
			c->k[i].fd = fd_is_library(c->fds[i].fd) ? INT32_MAX : c->fds[i].fd;
	c->asked = false;
	ask_kernel(c);
	for (nfds_t i = 0; i < c->n; i++) {
		if (c->objs[i] || !c->k[i].revents || kernel_bits(c, i))
			continue;
		c->k[i].fd = -1;
		c->ignored++;
	}
	c->asked = false;
}

/* After a sleep: what rang is reset, what it means is on our list. */
static void hear(struct pollcall *c, unsigned nbells)
{
	uint32_t inner = 0;

	waiter_heard(c->r, c->k + c->n, nbells);
	for (nfds_t i = 0; c->sets && i < c->n; i++)
		if (epset_at(c, i) && c->k[i].revents)
			inner |= epset_at(c, i)->w.bells;
	if (inner)
		watch_drain(inner);
}

/* Return: how many. */
static nfds_t rings_put(const struct pollcall *c, struct pollfd *k)
{
	nfds_t n = 0;

	for (nfds_t i = 0; i < c->n; i++)
		if (sock_at(c, i) && sock_at(c, i)->bell_fd >= 0 && c->k[i].events & POLLIN)
			k[n++] = (struct pollfd){ .fd = sock_at(c, i)->bell_fd, .events = POLLIN };
	return n;
}

/* Each watch stands for a reference of resolve()'s. */
static void poll_give_up(struct asleep *a)
{
	struct fobj *o;

	waiter_sleep_end(a->rung, a->generation);
	do {
		o = NULL;
		watch_lock();
		if (a->waiter->all) {
			o = a->waiter->all->target;
			watch_disarm(a->waiter->all);
			watch_del(a->waiter->all);
		}
		watch_unlock();
		if (o)
			fdtab_put(o);
	} while (o);
	waiter_call_put(a->waiter);
}

/* Return: 0, WOKEN: look and report; RESTART; or -errno. */
static long sleep_once(struct pollcall *c)
{
	uint32_t rung = waiter_sleep_begin(c->r), generation = c->r->generation;
	uint64_t until = c->deadline_ns;
	bool ready, moved = false;
	unsigned nbells = 0, index;
	nfds_t rings;
	long got;

	watch_lock();
	watch_take_hints(c->r);
	ready = look_armed(c, &moved) || c->r->bells & ~rung;
	if (!ready && !moved && c->sets)
		ready = !joint_sleep_begin(c->r);
	if (!ready && !moved) {
		nbells = waiter_pollfds(c->r, c->k + c->n);
		c->k[c->n + nbells] = (struct pollfd){ .fd = orphan_fd(), .events = POLLRDHUP };
		c->r->sleeping++;
	}
	watch_unlock();
	if (ready || moved) {
		waiter_sleep_end(rung, generation);
		return moved ? RESTART : 0;
	}
	if (unlikely(process.orphan)) {
		uint64_t end = clock_now_ns() + ORPHAN_LOOK_NS;

		until = c->forever || end < until ? end : until;
	}
	if (waiter_in_slices(c->r) || c->ignored) {
		uint64_t end = clock_now_ns() + c->slice_ns;

		until = !until || end < until ? end : until;
		if (c->slice_ns * 2 <= SLICE_MAX_NS)
			c->slice_ns *= 2;
	}
	until = due_cap(until);
	index = asleep_begin(&(struct asleep){ .give_up = poll_give_up, .waiter = c->r,
					       .rung = rung, .generation = generation });
	rings = rings_put(c, c->k + c->n + nbells + 1);
	got = likely(c->n + nbells + 1 + rings <= load_relaxed(&process.nofile_hard)) ?
		      kernel_sleep(c, c->n + nbells + 1 + rings, until) :
		      narrow_sleep(c, nbells, rings != 0, until);
	asleep_end(index);
	waiter_sleep_end(rung, generation);
	if (generation != watch_generation) {
		/* A handler forked, and this is the child: its sockets start
		 * with a reference for each descriptor, none for us. */
		for (nfds_t i = 0; i < c->n; i++)
			if (sock_at(c, i))
				c->objs[i] = NULL;
		return RESTART;
	}
	watch_lock();
	waiter_awake(c->r);
	if (c->sets)
		joint_sleep_end(c->r);
	if (got > 0)
		hear(c, nbells);
	if (got > 0 && c->k[c->n + nbells].revents)
		process_orphaned();
	watch_take_hints(c->r);
	for (struct watch *w = c->r->all; w; w = w->all_next)
		moved |= w->moved;
	watch_unlock();
	if (moved)
		return RESTART;
	c->asked = got >= 0 && !c->ignored;
	return got < 0 ? got : got > 0 ? WOKEN : 0;
}

/* As in Linux, who wakes up looks at what the numbers refer to by then. */
static bool is_elsewhere(const struct pollcall *c)
{
	for (nfds_t i = 0; i < c->n; i++)
		if (c->fds[i].fd >= 0 && fdtab_peek(c->fds[i].fd) != c->objs[i])
			return true;
	return false;
}

static long sleep_all(struct pollcall *c)
{
	for (;;) {
		long r, n;

		if (c->ignored)
			leave_out(c);
		r = sleep_once(c);
		if (r == RESTART)
			return -EAGAIN;
		if (r == WOKEN && is_elsewhere(c))
			return -EAGAIN;
		/* What is ready now, the handler made, which on Linux runs after
		 * the call: before it, a bell would have rung. */
		if (r == -EINTR)
			return r;
		n = report(c);
		if (n > 0)
			return n;
		if (r < 0)
			return r;
		if (!c->forever && clock_now_ns() >= c->deadline_ns)
			return 0;
		for (nfds_t i = 0; c->asked && c->implicit == 0 && i < c->n; i++)
			c->ignored += !c->objs[i] && c->k[i].revents;
		c->asked = false;
	}
}

/* Return: the program's result; -EAGAIN: resolve the descriptors again. */
static long wait_once(struct pollcall *c)
{
	long r = report(c);

	if (r > 0 || c->zero)
		return r;
	c->asked = false;
	if (!c->forever && !c->deadline_ns)
		c->deadline_ns = clock_now_ns() + c->rel_ns;
	if (c->ours <= SPIN_DIRECT && !c->sets && spin_direct(c)) {
		r = report(c);
		if (r > 0)
			return r;
		c->asked = false;
	}
	c->r = waiter_call_get();
	if (!c->r)
		return -ENOMEM;
	c->r->spin = poll_spin;
	if (!watch_all(c)) {
		r = -ENOMEM;
	} else {
		if (c->ours > SPIN_DIRECT) {
			bool moved = false, ready;

			watch_lock();
			ready = look_armed(c, &moved);
			watch_unlock();
			if (!ready && !moved)
				waiter_spin(c->r, c->deadline_ns, c->kernel ? look_kernel : NULL, c);
			poll_spin = c->r->spin;
			c->asked = false;
		}
		r = sleep_all(c);
	}
	waiter_call_put(c->r);
	c->r = NULL;
	return r;
}

static long wait_with(struct pollcall *c, void *memory)
{
	long r;

	c->k = memory;
	c->objs = (struct fobj **)(void *)(c->k + 2 * c->n + BELL_MAX + 1);
	c->held = c->objs + c->n;
	memset(c->held, 0, c->n * sizeof(*c->held));
	do {
		resolve(c);
		c->asked = false;
		c->ignored = 0;
		r = c->ours || c->again ? wait_once(c) : NOT_OURS;
		if (r == -EAGAIN)
			hold(c);
		release(c);
		c->again = true;
	} while (r == -EAGAIN);
	for (nfds_t i = 0; i < c->n; i++)
		if (c->held[i])
			fdtab_put(c->held[i]);
	return r;
}

long poll_wait(struct pollfd *fds, nfds_t n, uint32_t implicit, const struct timespec *timeout,
	       const sigset_t *mask)
{
	struct pollcall c = { .fds = fds, .n = n, .implicit = implicit, .mask = mask,
			      .forever = !timeout, .slice_ns = SLICE_MIN_NS,
			      .seen = section_state.handled };
	size_t bytes = (2 * n + BELL_MAX + 1) * sizeof(struct pollfd) +
		       2 * n * sizeof(struct fobj *);
	void *memory;
	long r;

	if (mask && probe_readable(mask, KERNEL_SET) < KERNEL_SET)
		return -EFAULT;
	if (timeout) {
		if (timeout->tv_sec > INT64_MAX / (int64_t)NS_PER_SEC / 2)
			c.forever = true;
		c.rel_ns = (uint64_t)timeout->tv_sec * NS_PER_SEC + (uint64_t)timeout->tv_nsec;
		c.zero = !c.forever && c.rel_ns == 0;
	}
	memory = n <= POLL_ON_STACK ? __builtin_alloca(bytes) : poll_memory(bytes);
	if (!memory)
		return -ENOMEM;
	section_enter();
	asleep_reap();
	r = wait_with(&c, memory);
	section_leave();
	if (n > POLL_ON_STACK)
		poll_memory_free(memory, bytes);
	return r;
}

long call_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask)
{
	bool any = false;

	if (!fdtab)
		return NOT_OURS;
	if (n > load_relaxed(&process.nofile_soft))
		return -EINVAL;
	/* The kernel says what is wrong with it. */
	if (probe_readable(fds, n * sizeof(*fds)) < n * sizeof(*fds))
		return NOT_OURS;
	for (nfds_t i = 0; i < n && !any; i++)
		any = fdtab_peek(fds[i].fd) || fd_is_library(fds[i].fd);
	if (!any)
		return NOT_OURS;
	if (probe_writable(fds, n * sizeof(*fds)) < n * sizeof(*fds))
		return -EFAULT;
	if (timeout && (timeout->tv_sec < 0 || (uint64_t)timeout->tv_nsec >= NS_PER_SEC))
		return -EINVAL;
	return poll_wait(fds, n, POLLERR | POLLHUP, timeout, mask);
}
