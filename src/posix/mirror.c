/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.c - What stands in the kernel's set for ours: bells, shadows, shared
 * listeners' eventfds, inner sets. epoll.c has the theory.
 */
#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/epoll.h"
#include "posix/joint.h"
#include "posix/mirror.h"
#include "posix/orphan.h"
#include "posix/process.h"

/*
 * Data of our own entries in the kernel's set: a random number for each
 * process tree << 32, then what it is: a bell | party << 16 | generation << 8 | bell,
 * the same with MAGIC_END for orphan_fd(), MAGIC_END alone for a joint set's door, or
 * the kernel_id of a watch; none has MAGIC_FIRED.
 */
#define MAGIC_BELL 0x80000000u
#define MAGIC_END 0x40000000u
#define MAGIC_DOOR MAGIC_END
#define MAGIC_ID_MASK 0x3fffffffu
#define MAGIC_FIRED 0u

static uint64_t magic_word;

static uint64_t magic(void)
{
	while (unlikely(magic_word == 0)) {
		uint32_t n = 0;

		if (sys3(SYS_getrandom, &n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
			n = (uint32_t)clock_now_ns() * 2654435761u;
		magic_word = (uint64_t)(n | 1u) << 32;
	}
	return magic_word;
}

/* Of a bell of ours. Another child of our parent's has the same generation,
 * but is another party. */
static uint64_t magic_bell(unsigned b)
{
	uint32_t id = process.party ? process.party->id : 0;

	return magic() | MAGIC_BELL | id << 16 | (uint32_t)watch_generation << 8 | b;
}

static bool is_magic(uint64_t data)
{
	return (data ^ magic_word) >> 32 == 0 && magic_word;
}

void mirror_begin(void)
{
	magic();
}

long mirror_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return sys4(SYS_epoll_ctl, epfd, op, fd, &ev);
}

long mirror_door(int epfd, int fd)
{
	return mirror_ctl(epfd, EPOLL_CTL_ADD, fd, EPOLLIN, magic() | MAGIC_DOOR);
}

/* Whoever sleeps in the set is to hear of the domain's end. */
static void epset_sync_end(struct epset *e, int epfd)
{
	int fd = orphan_fd();
	long r;

	if (fd < 0 || e->end_fd == fd + 1)
		return;
	r = mirror_ctl(epfd, EPOLL_CTL_ADD, fd, EPOLLRDHUP,
		       magic_bell(0) | MAGIC_END);
	if (r == 0 || r == -EEXIST)
		e->end_fd = fd + 1;
}

/* The domain has ended: that is no event which would have to be heard again. */
static void epsets_forget_end(void)
{
	if (!process_orphaned())
		return;
	for (struct epset *e = epsets; e; e = e->next) {
		if (e->end_fd && epset_fd(e) >= 0)
			mirror_ctl(epset_fd(e), EPOLL_CTL_DEL, e->end_fd - 1, 0, 0);
		e->end_fd = 0;
	}
}

int epset_sync(struct epset *e)
{
	uint32_t missing = e->w.bells & ~e->bells_in;
	int epfd;

	if (!missing)
		return 0;
	epfd = epset_fd(e);
	if (epfd < 0)
		return 0; /* Nobody can wait on it any more. */
	epset_sync_end(e, epfd);
	for (; missing; missing &= missing - 1) {
		unsigned b = (unsigned)__builtin_ctz(missing);
		long r;

		if (watch_bell_fd(b) < 0)
			continue;
		r = mirror_ctl(epfd, EPOLL_CTL_ADD, watch_bell_fd(b), EPOLLIN,
			       magic_bell(b));
		if (r < 0 && r != -EEXIST)
			return (int)r;
		e->bells_in |= 1u << b;
	}
	return 0;
}

/* The entry after @o of the same socket in the same set; the first, for NULL. */
static struct watch *sibling(const struct watch *w, struct watch *o)
{
	o = o ? o->target_next : watch_sock(w)->watches;
	while (o && o->waiter != w->waiter)
		o = o->target_next;
	return o;
}

static bool sibling_shadow(const struct watch *w)
{
	struct watch *o = sibling(w, NULL);

	while (o && !o->kernel_id)
		o = sibling(w, o);
	return o != NULL;
}

/* What stands there for a listener stands for each of its numbers in the set. */
static uint32_t listener_events(const struct watch *w)
{
	uint32_t care = 0, flags = EPOLLET | EPOLLEXCLUSIVE, n = 0;

	for (struct watch *o = sibling(w, NULL); o; o = sibling(w, o)) {
		if (o->disabled)
			continue;
		care |= o->care & (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLPRI);
		flags &= o->flags;
		n++;
	}
	return n == 0 ? 0 : care | (n == 1 ? flags : flags & EPOLLET);
}

/*
 * An entry for a datagram socket stands there by itself: each has edges of its own.
 * In Linux what arrives is an edge though it has been read meanwhile; then there is
 * room to be told of.
 */
static uint32_t datagram_events(const struct watch *w)
{
	uint32_t care = w->care & (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLPRI);

	if (w->flags & EPOLLET)
		care |= w->care & EPOLLOUT;
	return care | (w->flags & (uint32_t)(EPOLLET | EPOLLEXCLUSIVE));
}

static uint32_t mirror_events(const struct watch *w)
{
	if (watch_sock(w))
		return watch_sock(w)->dgram ? datagram_events(w) : listener_events(w);
	if (w->disabled)
		return 0;
	/* Not EPOLLONESHOT: only what we report counts as the one shot. */
	return (w->care & (EPOLLIN | EPOLLRDNORM)) |
	       (w->flags & (uint32_t)(EPOLLET | EPOLLEXCLUSIVE));
}

static void mirror_link(struct watch *w)
{
	w->mirror_next = w->waiter->mirrored;
	w->waiter->mirrored = w;
}

/* @fd is in the set for another entry of the same datagram socket: a number more. */
static long put_again(int epfd, int *fd, uint32_t events, uint64_t data)
{
	int copy = process_fd_copy(*fd);
	long r = copy < 0 ? copy : mirror_ctl(epfd, EPOLL_CTL_ADD, copy, events, data);

	if (r == 0)
		*fd = copy;
	else if (copy >= 0)
		process_fd_high_close(copy);
	return r;
}

/* Put a part of @w into the kernel's set: *@fd stands there for it, or what it is
 * set to, where that is *@ret_own. Return: its id there, or -errno. */
static long mirror_put(struct watch *w, int epfd, int *fd, uint32_t events, bool *ret_own)
{
	struct epset *e = epset_of(w->waiter);
	uint32_t id = joint_id(e) & MAGIC_ID_MASK;
	bool own = false;
	long r;

	if (id == 0)
		id = joint_id(e);
	r = mirror_ctl(epfd, EPOLL_CTL_ADD, *fd, events, magic() | id);
	own = r == -EEXIST && watch_sock(w) && watch_sock(w)->dgram;
	if (own)
		r = put_again(epfd, fd, events, magic() | id);
	if (r < 0)
		return r;
	*ret_own = own;
	if (!w->kernel_id && !w->ring_id)
		mirror_link(w);
	e->kernel++;
	return id;
}

long mirror_add(struct watch *w, int epfd, int fd)
{
	uint32_t events = mirror_events(w);
	long id;

	if (!watch_sock(w))
		events &= ~(uint32_t)EPOLLEXCLUSIVE;
	id = mirror_put(w, epfd, &fd, events, &w->kernel_own);
	if (id < 0)
		return id;
	w->kernel_id = (uint32_t)id;
	w->kernel_fd = fd;
	epset_of(w->waiter)->dgrams += watch_sock(w) && watch_sock(w)->dgram;
	joint_note(w);
	return 0;
}

void mirror_learn(struct watch *w, uint32_t kernel_id, int kernel_fd, uint32_t ring_id,
		  int ring_fd)
{
	struct epset *e = epset_of(w->waiter);

	if (kernel_id == w->kernel_id && ring_id == w->ring_id)
		return;
	if (w->kernel_id || w->ring_id)
		mirror_forget(w);
	if (!kernel_id && !ring_id)
		return;
	mirror_link(w);
	w->kernel_id = kernel_id;
	w->kernel_fd = kernel_fd;
	w->ring_id = ring_id;
	w->ring_fd = ring_fd;
	e->kernel += (kernel_id ? 1u : 0u) + (ring_id ? 1u : 0u);
	e->dgrams += kernel_id && watch_sock(w) && watch_sock(w)->dgram;
}

static void mirror_mod_one(const struct watch *w, int epfd, int fd, uint32_t id)
{
	uint32_t events = mirror_events(w);

	/* There is always room in an eventfd. */
	if (id == w->ring_id)
		events &= ~(uint32_t)EPOLLOUT;
	if (id == 0)
		return;
	/* An exclusive entry cannot be changed. */
	if (!(events & EPOLLEXCLUSIVE) &&
	    mirror_ctl(epfd, EPOLL_CTL_MOD, fd, events, magic() | id) == 0)
		return;
	mirror_ctl(epfd, EPOLL_CTL_DEL, fd, 0, 0);
	mirror_ctl(epfd, EPOLL_CTL_ADD, fd, events, magic() | id);
}

/* The parts of @w leave the kernel's set. */
static void mirror_take_out(struct watch *w, int epfd)
{
	if (w->kernel_id)
		mirror_ctl(epfd, EPOLL_CTL_DEL, w->kernel_fd, 0, 0);
	if (w->ring_id)
		mirror_ctl(epfd, EPOLL_CTL_DEL, w->ring_fd, 0, 0);
	if (w->kernel_id || w->ring_id) {
		mirror_forget(w);
		joint_note(w);
	}
}

/* A datagram socket's errors are told though nobody asks for them: an entry stands in
 * the set only while it may be reported. */
static void mirror_datagram(struct watch *w, int epfd)
{
	if (w->disabled) {
		mirror_take_out(w, epfd);
		return;
	}
	mirror_shadow(w);
	mirror_mod_one(w, epfd, w->kernel_fd, w->kernel_id);
	mirror_mod_one(w, epfd, w->ring_fd, w->ring_id);
}

void mirror_mod(struct watch *w, int epfd)
{
	struct watch *o = watch_sock(w) ? sibling(w, NULL) : w;

	if (watch_sock(w) && watch_sock(w)->dgram) {
		mirror_datagram(w, epfd);
		return;
	}
	for (; o; o = watch_sock(w) ? sibling(w, o) : NULL) {
		mirror_mod_one(o, epfd, o->kernel_fd, o->kernel_id);
		mirror_mod_one(o, epfd, o->ring_fd, o->ring_id);
	}
}

void mirror_shadow(struct watch *w)
{
	struct epset *e = epset_of(w->waiter);
	struct sock *s = watch_sock(w);
	int shadow = s ? sock_shadow(s) : -1, ring;
	long id;

	if (s && s->dgram && w->disabled)
		return;
	if (s && shadow >= 0 && !w->kernel_id)
		mirror_add(w, epset_fd(e), shadow);
	if (s && s->bell_fd >= 0 && !w->ring_id) {
		ring = s->bell_fd;
		id = mirror_put(w, epset_fd(e), &ring, mirror_events(w) & ~(uint32_t)EPOLLOUT,
				&w->ring_own);
		w->ring_id = id > 0 ? (uint32_t)id : 0;
		w->ring_fd = ring;
		joint_note(w);
	}
}

void mirror_listener(struct watch *w, int epfd)
{
	if (load_acquire(&watch_sock(w)->stage) == SOCK_OPEN)
		return;
	mirror_shadow(w);
	if (!watch_sock(w)->dgram)
		mirror_mod(w, epfd);
}

void mirror_forget(struct watch *w)
{
	struct epset *e = epset_of(w->waiter);
	struct watch **p = &e->w.mirrored;
	uint32_t parts = (w->kernel_id ? 1u : 0u) + (w->ring_id ? 1u : 0u);

	while (*p && *p != w)
		p = &(*p)->mirror_next;
	if (*p)
		*p = w->mirror_next;
	e->dgrams -= w->kernel_id && watch_sock(w) && watch_sock(w)->dgram;
	if (w->kernel_id && w->kernel_own)
		process_fd_high_close(w->kernel_fd);
	if (w->ring_id && w->ring_own)
		process_fd_high_close(w->ring_fd);
	w->kernel_id = w->ring_id = 0;
	e->kernel -= parts < e->kernel ? parts : e->kernel;
}

void epset_unmirror(struct watch *w)
{
	struct epset *e = epset_of(w->waiter);
	int epfd = epset_fd(e);

	if (epfd >= 0 && w->kernel_id)
		mirror_ctl(epfd, EPOLL_CTL_DEL, w->kernel_fd, 0, 0);
	if (epfd >= 0 && w->ring_id)
		mirror_ctl(epfd, EPOLL_CTL_DEL, w->ring_fd, 0, 0);
	mirror_forget(w);
	joint_note(w);
	/* Another entry of the same listener may have relied on it. */
	for (struct watch *o = watch_sock(w) ? watch_sock(w)->watches : NULL; o; o = o->target_next)
		if (o != w && o->waiter == w->waiter)
			mirror_shadow(o);
}

void epset_abandon(struct watch *w)
{
	mirror_forget(w);
}

void epset_changed(struct watch *w)
{
	struct sock *s = watch_sock(w);

	if (w->kernel_id && sock_shadow(s) < 0) {
		w->hot = false;
		epset_unmirror(w);
	}
	mirror_shadow(w);
	w->busy = 0;
	store_relaxed(&w->edge->sig, ~0ull);
}

void epset_shared(struct watch *w)
{
	mirror_shadow(w);
}

void epset_moved(struct watch *w)
{
	struct epset *e = epset_of(w->waiter);
	int epfd = epset_fd(e);
	long r;

	if (epfd >= 0 && w->kernel_id)
		mirror_ctl(epfd, EPOLL_CTL_DEL, w->kernel_fd, 0, 0);
	if (epfd >= 0 && w->ring_id)
		mirror_ctl(epfd, EPOLL_CTL_DEL, w->ring_fd, 0, 0);
	if (w->kernel_id || w->ring_id)
		mirror_forget(w);
	if (epfd < 0)
		return;
	/* A one-shot that has fired: the kernel would report HUP and ERR all the
	 * same. The first is taken for ours, and silences it as the shot did. */
	if (w->disabled)
		r = mirror_ctl(epfd, EPOLL_CTL_ADD, w->fd, (uint32_t)EPOLLONESHOT,
			       magic() | MAGIC_FIRED);
	else
		r = mirror_ctl(epfd, EPOLL_CTL_ADD, w->fd, w->care | w->flags, w->data);
	if (r == 0) {
		e->kernel++;
		e->user++;
		joint_kernel_added(e);
	}
}

/* A bell of an ancestor or a child of ours, in a set that was inherited. */
static void alien_bell(struct epset *e, int epfd, uint64_t data)
{
	uint8_t generation = (uint8_t)(data >> 8);
	unsigned b = (unsigned)data % BELL_MAX;
	uint32_t pid = watch_generation_pid(generation);
	int fd = watch_generation_bell(generation, b);

	if (generation != watch_generation && pid && sys2(SYS_kill, pid, 0) == -ESRCH && fd >= 0 &&
	    mirror_ctl(epfd, EPOLL_CTL_DEL, fd, 0, 0) == 0)
		return;
	e->alien = true;
}

static void socket_hot(struct watch *w, bool shadow)
{
	if (w->disabled)
		return;
	w->hot |= shadow;
	w->common = false;
	if (!w->on_ready)
		watch_requeue(w);
}

/* Something came for the listener of @w: @id says where. */
static void listener_hot(struct watch *w, uint32_t id)
{
	bool shadow = w->kernel_id == id;

	/* Another process may have called listen() for all. */
	if (!shadow && !sibling_shadow(w))
		mirror_shadow(w);
	for (struct watch *o = sibling(w, NULL); o; o = sibling(w, o))
		socket_hot(o, shadow);
}

int mirror_events_take(struct epset *e, int epfd, struct epoll_event *evs, int n)
{
	uint32_t rang = 0;
	int left = 0;

	e->alien = false;
	for (int i = 0; i < n; i++) {
		uint64_t data = evs[i].data.u64;
		struct watch *w = e->w.mirrored;

		if (!is_magic(data)) {
			evs[left++] = evs[i];
			continue;
		}
		if ((data & (MAGIC_BELL | MAGIC_END)) == (MAGIC_BELL | MAGIC_END)) {
			/* A parent's, in a set that was inherited: its matter. */
			if (data == (magic_bell(0) | MAGIC_END))
				epsets_forget_end();
			else
				e->alien = true;
			continue;
		}
		if (data & MAGIC_BELL) {
			if (data == magic_bell((unsigned)data % BELL_MAX))
				rang |= 1u << (data % BELL_MAX);
			else
				alien_bell(e, epfd, data);
			continue;
		}
		if (data & MAGIC_DOOR) {
			e->alien |= !joint_door(e);
			continue;
		}
		while (w && w->kernel_id != ((uint32_t)data & MAGIC_ID_MASK) &&
		       w->ring_id != ((uint32_t)data & MAGIC_ID_MASK))
			w = w->mirror_next;
		if (!w) {
			/* Of what this process cannot look at, or not any more. */
			e->alien |= e->joint && !joint_heard(e, (uint32_t)data & MAGIC_ID_MASK);
			continue;
		}
		if (watch_sock(w) && watch_sock(w)->dgram) {
			socket_hot(w, w->kernel_id == ((uint32_t)data & MAGIC_ID_MASK));
			continue;
		}
		if (watch_sock(w)) {
			listener_hot(w, (uint32_t)data & MAGIC_ID_MASK);
			continue;
		}
		/* Perhaps it was only a bell that rang in there. */
		rang |= ((struct epset *)(void *)w->target)->w.bells;
		epsets_forget_end();
		/* Not by watch_enqueue(): we are the one who looks next. */
		w->common = false;
		if (!w->disabled && !w->on_ready)
			watch_requeue(w);
	}
	if (rang)
		watch_drain(rang);
	e->kernel_hot = left > 0;
	return left;
}
