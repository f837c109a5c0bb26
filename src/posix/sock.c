/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock.c - A socket's life: made, shared, shut down, closed. What it becomes in
 * between is in bind.c, listen.c, connect.c and accept.c.
 *
 * A socket is ours from socket() on: it has a half in BOUND and a handle.
 * What cannot be done in shared memory turns it into a kernel socket under
 * the same numbers (fallback.c), at the latest before connect() completes or
 * at a listener.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/due.h"
#include "posix/fallback.h"
#include "posix/handle.h"
#include "posix/holder.h"
#include "posix/kept.h"
#include "posix/linger.h"
#include "posix/options.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/served.h"
#include "posix/signals.h"
#include "posix/sock.h"
#include "posix/sock_life.h"
#include "posix/tcp_info.h"
#include "posix/template.h"
#include "posix/watch.h"
#include "shm/futex.h"
#include "shm/seat.h"

/* A connection's own name, of the wire: one look at a time, for a second at most. */
#define NAME_LOOK_NS 50000
#define NAME_LOOKS 20000u

#define SLAB_SOCKS 64u

static struct sock *socks_free;
static struct sock *slabs[SLOT_MAX * 2 / SLAB_SOCKS];
static unsigned slab_count;
static struct lock socks_lock;
static _Atomic uint32_t foreign_count;
static struct sock *by_slot[SLOT_MAX];

/* ------------------------------------------------------------------- pool */

static struct sock *sock_struct_get(void)
{
	struct sock *s;

	signals_guard();
	lock_take(&socks_lock);
	if (!socks_free && slab_count < ARRAY_LEN(slabs)) {
		long r = sys6(SYS_mmap, NULL, SLAB_SOCKS * sizeof(*s), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (r > 0 || r < -4095) {
			slabs[slab_count++] = (struct sock *)r;
			for (unsigned i = SLAB_SOCKS; i-- > 0;) {
				slabs[slab_count - 1][i].next_free = socks_free;
				socks_free = &slabs[slab_count - 1][i];
			}
		}
	}
	s = socks_free;
	if (s)
		socks_free = s->next_free;
	lock_drop(&socks_lock);
	return s;
}

/* Caller holds socks_lock. */
static void sock_struct_free(struct sock *s)
{
	if (s->foreign)
		atomic_fetch_sub(&foreign_count, 1);
	s->foreign = s->used = false;
	s->next_free = socks_free;
	socks_free = s;
}

static void sock_struct_put(struct sock *s)
{
	lock_take(&socks_lock);
	sock_struct_free(s);
	lock_drop(&socks_lock);
}

/* The library's own descriptors for it, but the handle. */
static void sock_close_fds(struct sock *s)
{
	if (s->shadow_fd >= 0)
		process_fd_high_close(s->shadow_fd);
	if (s->bell_fd >= 0)
		process_fd_high_close(s->bell_fd);
	s->shadow_fd = s->bell_fd = -1;
}

/* Its descriptors and its struct go in one step, as a fork sees it: a child has
 * copies of all of them, which it closes (sock_forget()), or of none. @pool: the
 * handle may be used again. */
static void sock_end(struct sock *s, bool pool)
{
	lock_take(&socks_lock);
	sock_close_fds(s);
	if (s->parked_fd >= 0 && pool)
		handle_give(s->parked_fd, s->handle, s->epoch);
	else if (s->parked_fd >= 0)
		process_fd_high_close(s->parked_fd);
	s->parked_fd = -1;
	store_relaxed(&s->obj.refs, 0);
	sock_struct_free(s);
	lock_drop(&socks_lock);
}

/* In a forked child: what has no number here. */
static void sock_forget(struct sock *s)
{
	sock_close_fds(s);
	if (s->parked_fd >= 0)
		process_fd_high_close(s->parked_fd);
	s->parked_fd = -1;
	sock_struct_free(s);
}

/* The structs of all slabs, in use or not: number @n, or NULL at the end. */
static struct sock *sock_nth(unsigned n)
{
	return n < slab_count * SLAB_SOCKS ? &slabs[n / SLAB_SOCKS][n % SLAB_SOCKS] : NULL;
}

struct sock *sock_of_slot(unsigned slot)
{
	return slot < SLOT_MAX ? by_slot[slot] : NULL;
}

void sock_alias(unsigned slot, struct sock *s)
{
	by_slot[slot] = s;
}

struct sock *sock_get(int fd)
{
	struct fobj *o = fdtab_get(fd);

	if (!o)
		return NULL;
	if (o->kind == FOBJ_SOCK)
		return (struct sock *)o;
	fdtab_put(o);
	return NULL;
}

void sock_put(struct sock *s)
{
	fdtab_put(&s->obj);
}

/* ------------------------------------------------------------------ close */

/* What can be undone of a socket that no one else knows. */
static void sock_free_unconnected(struct sock *s)
{
	store_release(&arena_handles(s->party->base)[s->handle], 0);
	if (s->retired)
		party_slot_retire(s->party, s->slot);
	else
		party_slot_free(s->party, s->slot);
}

int sock_tell(const struct sock *s, uint16_t type, uint32_t party, uint32_t reuse)
{
	struct ctl_msg m = { .type = type };

	m.listen.at = load_relaxed(&s->half->local) | (s->dgram ? ADDR_WORD_DGRAM : 0);
	m.listen.slot = s->slot;
	m.listen.gen = half_gen(s->half);
	m.listen.party = party;
	m.listen.reuse = reuse;
	return process_call(&m, NULL, 0, NULL, NULL);
}

void sock_listen_end(struct sock *s)
{
	sock_tell(s, CTL_UNLISTEN, 0, 0);
	seat_close(s->party, s->half);
}

void sock_close_listener(struct sock *s)
{
	sock_listen_end(s);
	store_release(&arena_handles(s->party->base)[s->handle], 0);
	party_slot_retire(s->party, s->slot);
}

void sock_unbind(struct sock *s)
{
	/* A datagram socket's port is the kernel's, or has been given back. */
	if (s->bound && process.policy != POLICY_SHARE &&
	    load_relaxed(&s->stage) != SOCK_PACKETS)
		sock_tell(s, CTL_UNBIND, 0, 0);
}

/* A stream's end is published, or is the executor's to publish: what is left of it here. */
static void stream_release(struct sock *s, bool shared)
{
	if (shared) {
		if (!s->foreign)
			party_slot_retire(s->party, s->slot);
		conn_detach(&s->conn);
		if (s->foreign)
			attach_put(s->party);
	} else {
		store_release(&arena_handles(s->party->base)[s->handle], 0);
		half_release(s->half);
		conn_detach(&s->conn);
		party_slot_retire(s->party, s->slot);
	}
	options_free(s);
	sock_end(s, !shared);
}

/* A handler has left a close() that lingered for good. */
static void linger_give_up(struct asleep *a)
{
	stream_release((struct sock *)(void *)a->obj, a->what);
}

/* The question whether our copy of its handle was the last. */
static struct ctl_msg closed_msg(const struct sock *s)
{
	struct ctl_msg m = { .type = CTL_CLOSED };

	m.shared.party = s->party->id;
	m.shared.party_gen = s->party->gen;
	m.shared.slot = s->slot;
	m.shared.gen = s->gen;
	m.shared.handle = s->handle;
	return m;
}

/* Its handle is closed before its socket is gone here: if it was the last one, the half
 * has ended after this. */
static void handle_close(struct sock *s)
{
	struct ctl_msg m = closed_msg(s);

	lock_take(&socks_lock);
	if (s->parked_fd >= 0)
		process_fd_high_close(s->parked_fd);
	s->parked_fd = -1;
	lock_drop(&socks_lock);
	if (process_party())
		process_call(&m, NULL, 0, NULL, NULL);
}

static void stream_end(struct sock *s, bool shared)
{
	bool lingers;

	/* Another process may have set it. */
	if (shared && s->closing)
		kept_take(s);
	lingers = unlikely(s->linger > 0) && linger_is_due(s);
	/* Before the end: the wire, which sees that, looks whether somebody waits for it. */
	if (lingers)
		linger_begin(s);
	if (!shared)
		conn_finish(&s->conn, s->linger == 0);
	if (lingers && shared)
		handle_close(s);
	if (lingers)
		linger_wait(s, shared, linger_give_up);
	stream_release(s, shared);
}

bool sock_is_shared(const struct sock *s)
{
	return s->foreign || s->epoch != load_acquire(&process.epoch) ||
	       load_relaxed(&s->half->shared);
}

/*
 * Other processes may have it: it ends when the kernel has counted its last
 * handle, by the executor. Ours may have been the last: then connect() is to find
 * nobody when close() is done, and nobody is to be told of it by an epoll set. A
 * process that has no channel to ask on, a fresh child mostly, does not ask.
 */
static void sock_last_shared(struct sock *s)
{
	uint32_t stage = load_relaxed(&s->stage);
	bool ask = process.party && (stage == SOCK_LISTEN || s->left);
	struct ctl_msg m = closed_msg(s);

	holder_end(s);
	if (stage == SOCK_OPEN) {
		stream_end(s, true);
	} else {
		served_no_more(s);
		stream_release(s, true);
	}
	if (ask)
		process_call(&m, NULL, 0, NULL, NULL);
}

/*
 * The last descriptor is closed and no call is in progress. A socket that no
 * other process ever held ends here.
 */
static void sock_last(struct fobj *o)
{
	struct sock *s = (struct sock *)o;
	bool shared = sock_is_shared(s);

	watch_gone(s);
	due_forget(s);
	if (!s->foreign)
		by_slot[s->slot] = NULL;
	if (s->dgram) {
		/* A child made just now has copies of both, or of none. */
		lock_take(&socks_lock);
		sock_close_fds(s);
		lock_drop(&socks_lock);
		dgram_gone(s, shared);
	}
	FAULT_POINT("last.begun");
	if (shared) {
		sock_last_shared(s);
		return;
	}
	sock_unbind(s);
	switch ((enum sock_stage)load_relaxed(&s->stage)) {
	case SOCK_NEW:
		sock_free_unconnected(s);
		break;
	case SOCK_LISTEN:
		sock_close_listener(s);
		break;
	case SOCK_OPEN:
		stream_end(s, false);
		return;
	case SOCK_PACKETS:
		party_slot_retire(s->party, s->slot);
		break;
	}
	options_free(s);
	sock_end(s, true);
}

/* ------------------------------------------------------------------- make */

struct sock *sock_make(struct party *p, long *ret_error)
{
	struct sock *s = sock_struct_get();
	/* Before the handle is taken: a child made in between has a copy. */
	uint32_t number, epoch = load_acquire(&process.epoch);
	/* One that is being made just now has one too; its parent's epoch will
	 * have moved, but perhaps not before this socket is closed. */
	bool forking = load_acquire(&process.forking);
	long fd = s ? handle_take(&number) : -ENOBUFS;

	if (fd < 0) {
		if (s)
			sock_struct_put(s);
		*ret_error = fd;
		return NULL;
	}
	*s = (struct sock){ .obj = { .kind = FOBJ_SOCK, .last = sock_last } };
	s->epoch = forking ? epoch - 1 : epoch;
	s->pid = process.pid;
	s->party = p;
	s->handle = number;
	s->parked_fd = (int)fd;
	s->shadow_fd = s->bell_fd = -1;
	s->linger = -1;
	/* From here on a child that is made finds it, see adopt_one(). */
	s->used = true;
	store_release(&s->obj.refs, 1);
	return s;
}

void sock_unmake(struct sock *s)
{
	sock_end(s, true);
}

void sock_set_half(struct sock *s, unsigned slot)
{
	s->slot = slot;
	s->half = arena_half(s->party->base, slot);
	s->gen = half_gen(s->half);
	by_slot[slot] = s;
}

void sock_begin_half(struct sock *s, unsigned slot, uint32_t file_flags)
{
	sock_set_half(s, slot);
	store_relaxed(&s->half->rcvlowat, 1);
	store_relaxed(&s->half->file_flags, file_flags);
	store_relaxed(&s->half->side, sock_side_family(s));
	store_relaxed(&s->half->cookie, atomic_fetch_add(&s->party->cookie_next, 1));
	store_relaxed(&s->half->handle, s->handle + 1);
	half_set_state(s->half, HALF_BOUND);
	store_release(&arena_handles(s->party->base)[s->handle],
		      slot_word_make(s->slot, half_gen(s->half)));
}

/* One that is neither bound nor connected, with a reference, no number yet. */
static struct sock *sock_fresh(int family, uint32_t file_flags, long *ret_error)
{
	struct party *p = process_party();
	struct sock *s = p ? sock_make(p, ret_error) : NULL;
	int slot = s ? party_slot_alloc(p) : -ENOBUFS;

	if (!p)
		*ret_error = -ENOTCONN;
	if (slot < 0) {
		if (s) {
			sock_unmake(s);
			*ret_error = slot;
		}
		return NULL;
	}
	s->family = (uint16_t)family;
	s->v6only = family == AF_INET6 && template_v6only_default();
	sock_begin_half(s, (unsigned)slot, file_flags);
	return s;
}

/* The numbers of @s get another handle. */
static void numbers_rehandle(const struct sock *s, int handle)
{
	uint32_t left = load_relaxed(&s->obj.nfds);

	for (int fd = 0; left > 0 && (unsigned)fd < fdtab_size; fd++) {
		long flags;

		if (fdtab_peek(fd) != &s->obj)
			continue;
		left--;
		flags = sys2(SYS_fcntl, fd, F_GETFD);
		sys3(SYS_dup3, handle, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	}
}

/* What the program has set, from another half. */
static void half_settings_copy(struct sock *s, const struct half *was)
{
	store_relaxed(&s->half->sndbuf, load_relaxed(&was->sndbuf));
	store_relaxed(&s->half->rcvbuf, load_relaxed(&was->rcvbuf));
	store_relaxed(&s->half->rcvlowat, load_relaxed(&was->rcvlowat));
	store_relaxed(&s->half->oob_inline, load_relaxed(&was->oob_inline));
	store_relaxed(&s->half->defer_ms, load_relaxed(&was->defer_ms));
	store_relaxed(&s->half->notsent_lowat, load_relaxed(&was->notsent_lowat));
	kept_copy(s, was);
}

bool sock_own(struct sock *s)
{
	uint32_t epoch = load_acquire(&process.epoch), number;
	const struct half *was = s->half;
	struct party *p = process_party(), *old = s->party;
	int slot;
	long fd;

	if (!s->foreign || load_relaxed(&s->stage) != SOCK_NEW || !p)
		return false;
	slot = party_slot_alloc(p);
	fd = slot < 0 ? slot : handle_take(&number);
	if (fd < 0) {
		if (slot >= 0)
			party_slot_free(p, (unsigned)slot);
		return false;
	}
	s->foreign = false;
	atomic_fetch_sub(&foreign_count, 1);
	s->party = p;
	s->pid = process.pid;
	s->epoch = epoch;
	s->handle = number;
	sock_begin_half(s, (unsigned)slot, load_relaxed(&was->file_flags));
	store_relaxed(&s->half->local, load_relaxed(&was->local));
	half_settings_copy(s, was);
	store_relaxed(&s->half->side, load_relaxed(&was->side));
	attach_put(old);
	numbers_rehandle(s, (int)fd);
	process_fd_high_close((int)fd);
	watch_changed(s);
	return true;
}

void sock_half_next(struct sock *s, const struct half *was, unsigned slot)
{
	sock_begin_half(s, slot, load_relaxed(&was->file_flags));
	half_settings_copy(s, was);
	options_linger_note(s);
	/* Which of our bells its watches sleep on, and who gets its signals. */
	store_relaxed(&s->half->bell, load_relaxed(&was->bell));
	store_relaxed(&s->half->owner_how, load_relaxed(&was->owner_how));
	store_relaxed(&s->half->owner_fd, load_relaxed(&was->owner_fd));
	store_relaxed(&s->half->owner_born, load_relaxed(&was->owner_born));
	store_release(&s->half->owner, load_relaxed(&was->owner));
}

bool sock_anew(struct sock *s)
{
	const struct half *was = s->half;
	unsigned old = s->slot;
	int slot = s->foreign || load_relaxed(&was->shared) ? -EISCONN : party_slot_alloc(s->party);

	if (slot < 0)
		return false;
	conn_finish(&s->conn, false);
	store_release(&arena_handles(s->party->base)[s->handle], 0);
	half_release(s->half);
	by_slot[old] = NULL;
	/* Its view stays as it is: another thread may be looking at the old half just now. */
	store_release(&s->stage, SOCK_NEW);
	sock_half_next(s, was, (unsigned)slot);
	store_relaxed(&s->half->local, s->unconnected_at);
	party_slot_retire(s->party, old);
	s->connect_told = s->disconnecting = false;
	return true;
}

struct sock *sock_adopt(struct party *p, unsigned slot, uint32_t handle)
{
	struct sock *s = sock_struct_get();
	uint32_t side;

	if (!s)
		return NULL;
	*s = (struct sock){ .obj = { .kind = FOBJ_SOCK, .last = sock_last } };
	s->foreign = true;
	atomic_fetch_add(&foreign_count, 1);
	s->epoch = load_acquire(&process.epoch) - 1;
	s->pid = process.pid;
	s->party = p;
	s->slot = slot;
	s->half = arena_half(p->base, slot);
	side = load_relaxed(&s->half->side);
	s->family = side & SIDE_INET6 ? AF_INET6 : AF_INET;
	s->v6only = side & SIDE_V6ONLY;
	s->gen = half_gen(s->half);
	s->handle = handle;
	s->parked_fd = s->shadow_fd = s->bell_fd = -1;
	s->linger = -1;
	s->used = true;
	return s;
}

void sock_adopt_undo(struct sock *s)
{
	store_relaxed(&s->obj.refs, 0);
	sock_struct_put(s);
}

struct sock *sock_of_half(const struct half *h)
{
	struct sock *s;

	lock_take(&socks_lock);
	for (unsigned n = 0; (s = sock_nth(n)); n++)
		if (s->half == h && sock_hold(s))
			break;
	lock_drop(&socks_lock);
	return s;
}

struct sock *sock_of_ref(half_ref ref, uint32_t party_gen)
{
	struct party *p = process.party;
	struct sock *s;

	if (p && p->id == half_ref_party(ref) && p->gen == party_gen) {
		s = sock_of_slot(half_ref_slot(ref));
		if (s && s->party == p && s->gen == half_ref_gen(ref) && load_relaxed(&s->obj.nfds))
			return s;
	}
	if (load_relaxed(&foreign_count) == 0)
		return NULL;
	lock_take(&socks_lock);
	for (unsigned n = 0; (s = sock_nth(n)); n++)
		if (s->used && s->slot == half_ref_slot(ref) && s->gen == half_ref_gen(ref) &&
		    s->party->id == half_ref_party(ref) && s->party->gen == party_gen &&
		    load_relaxed(&s->obj.nfds))
			break;
	lock_drop(&socks_lock);
	return s;
}

long sock_number_take(struct sock *s, bool cloexec)
{
	long fd = fd_made(sys3(SYS_fcntl, s->parked_fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0));

	if (fd < (long)fdtab_size)
		return fd;
	sys1(SYS_close, fd);
	return -EMFILE;
}

void sock_number_set(struct sock *s, long fd)
{
	int parked = s->parked_fd;

	s->parked_fd = -1;
	process_fd_high_close(parked);
	fdtab_install((int)fd, &s->obj);
}

/* Both. Return: the number, or -errno with @s put. */
static long sock_number(struct sock *s, bool cloexec)
{
	long fd = sock_number_take(s, cloexec);

	if (fd < 0)
		sock_put(s);
	else
		sock_number_set(s, fd);
	return fd;
}

static long kernel_socket(int domain, int type, int protocol, enum reason why)
{
	long fd = fd_made(sys3(SYS_socket, domain, type, protocol));

	if (fd >= 0)
		fdtab_kernel((int)fd, why);
	return fd;
}

long call_socket(int domain, int type, int protocol)
{
	int kind = type & 0xf;
	struct sock *s;
	long r = 0;

	if (!process.enabled || (domain != AF_INET && domain != AF_INET6))
		return NOT_OURS;
	section_enter();
	if (unlikely(process.ring)) {
		r = kernel_socket(domain, type, protocol, REASON_OPTION);
		goto out;
	}
	if (kind != SOCK_STREAM) {
		if (kind == SOCK_DGRAM)
			r = dgram_socket(domain, type, protocol);
		else
			r = kernel_socket(domain, type, protocol, REASON_DATAGRAM);
		goto out;
	}
	r = NOT_OURS;
	if ((protocol != 0 && protocol != IPPROTO_TCP) ||
	    type & ~(0xf | SOCK_NONBLOCK | SOCK_CLOEXEC))
		goto out;
	if (!process_party()) {
		r = process.policy != POLICY_SHARE
			    ? -ENOBUFS
			    : kernel_socket(domain, type, protocol, REASON_NO_DAEMON);
		goto out;
	}
	/* A kernel without IPv6 says so itself. */
	if (domain == AF_INET6 && !template_have_inet6()) {
		r = kernel_socket(domain, type, protocol, REASON_FAMILY);
		goto out;
	}
	s = sock_fresh(domain, type & SOCK_NONBLOCK ? O_NONBLOCK : 0, &r);
	if (!s) {
		r = process.policy != POLICY_SHARE
			    ? -ENOBUFS
			    : kernel_socket(domain, type, protocol, REASON_LIMIT);
		goto out;
	}
	r = sock_number(s, type & SOCK_CLOEXEC);
out:
	section_leave();
	return r;
}

/* ---------------------------------------------------------------- its names */

bool sock_is_over(struct sock *s)
{
	uint32_t side;

	if (load_relaxed(&s->stage) != SOCK_OPEN || conn_pending(&s->conn))
		return true;
	if (conn_poll(&s->conn) & POLLHUP) {
		side = load_relaxed(&s->half->side);
		return side & SIDE_RST_SEEN || load_acquire(&s->conn.peer->end) & END_FIN;
	}
	return false;
}

void sock_wire_name(struct sock *s)
{
	struct timespec t = { .tv_nsec = NAME_LOOK_NS };
	addr_word local = load_relaxed(&s->half->local), at = 0;
	uint32_t side = load_relaxed(&s->half->side);

	if (load_relaxed(&s->stage) != SOCK_OPEN || (side & (SIDE_WIRE | SIDE_UNTOLD)) != SIDE_WIRE ||
	    (addr_word_port(local) && !addr_word_is_any(local)))
		return;
	for (unsigned i = 0; i < NAME_LOOKS && !addr_word_port(at); i++) {
		bool over = load_acquire(&s->conn.peer->end) & END_RST;

		if (i > 0)
			sys2(SYS_nanosleep, &t, NULL);
		at = load_relaxed(&s->conn.peer->remote);
		/* It failed before it had one. */
		if (over)
			break;
	}
	if (addr_word_port(at))
		store_relaxed(&s->half->local, at);
}

long call_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sock *s = sock_enter(fd);

	if (!s)
		return dgram_getname(fd, false, addr, len);
	if (unlikely(s->bound_anew))
		return sock_leave(s, sys3(SYS_getsockname, s->shadow_fd, addr, len));
	if (unlikely(load_relaxed(&s->half->side) & SIDE_WIRE)) {
		lock_take(&s->lock);
		sock_wire_name(s);
		lock_drop(&s->lock);
	}
	return sock_leave(s, addr_fill(s, load_relaxed(&s->half->local), addr, len));
}

long call_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sock *s = sock_enter(fd);
	long r;

	if (!s)
		return dgram_getname(fd, true, addr, len);
	r = sock_is_over(s) ? -ENOTCONN
			    : addr_fill(s, load_relaxed(&s->half->remote), addr, len);
	return sock_leave(s, r);
}

/* --------------------------------------------------------------- shutdown */

void sock_poke(struct sock *s)
{
	atomic_fetch_add(&s->half->event, 1);
	futex_wake(&s->half->event, INT32_MAX);
	watch_changed(s);
	holder_tell(s);
}

long call_shutdown(int fd, int how)
{
	struct sock *s;
	long r = 0;

	s = sock_enter(fd);
	if (!s)
		return dgram_shutdown(fd, how);
	lock_take(&s->lock);
	if (how < SHUT_RD || how > SHUT_RDWR) {
		r = -EINVAL;
	} else if (sock_listens(s)) {
		/* Linux: a listener whose read side is shut listens no more. */
		if (how != SHUT_WR && process.policy != POLICY_SHARE && !s->foreign) {
			sock_unlisten(s);
			watch_changed(s);
		} else if (how != SHUT_WR) {
			r = s->foreign ? fallback_listener(s, REASON_OPTION)
				       : fallback_socket(s, REASON_OPTION);
			if (r == 0)
				r = NOT_OURS;
		}
	} else if (sock_is_over(s)) {
		if (load_relaxed(&s->stage) == SOCK_OPEN) {
			s->disconnecting |= !s->connect_told;
			s->connect_told = true;
		} else if (how != SHUT_WR) { /* Linux keeps that for a connection to come. */
			atomic_fetch_or(&s->half->side, SIDE_RD_SHUT);
		}
		/* Linux wakes whoever polls it all the same. */
		watch_changed(s);
		holder_tell(s);
		r = -ENOTCONN;
	} else {
		s->connect_told = true; /* Linux takes it for asked, too. */
		if (how != SHUT_WR)
			conn_shutdown_read(&s->conn);
		if (how != SHUT_RD && !(load_relaxed(&s->half->side) & SIDE_WR_SHUT)) {
			sock_tx_lock(s);
			conn_shutdown_write(&s->conn);
			sock_tx_unlock(s);
		}
		sock_poke(s);
	}
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

/* ------------------------------------------------------------------- poll */

static uint32_t poll_unconnected(const struct sock *s)
{
	return POLLOUT | POLLWRNORM | POLLHUP |
	       (load_relaxed(&s->half->side) & SIDE_RD_SHUT ? POLLIN | POLLRDNORM | POLLRDHUP : 0u);
}

uint32_t sock_poll(struct sock *s)
{
	uint32_t r;

	switch ((enum sock_stage)load_acquire(&s->stage)) {
	case SOCK_NEW:
		if (unlikely(load_relaxed(&s->refused)))
			return POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM | POLLHUP |
			       (load_relaxed(&s->refused) > 0 ? POLLERR : 0u);
		return poll_unconnected(s);
	case SOCK_LISTEN:
		if (unlikely(!sock_listens(s)))
			return poll_unconnected(s);
		if (seat_waiting(s->party, s->half, &s->accept_cursor))
			return POLLIN | POLLRDNORM;
		if (unlikely(load_relaxed(&s->half->defer_ms)))
			due_look(s);
		return 0;
	case SOCK_PACKETS:
		return dgram_now(s);
	case SOCK_OPEN:
		break;
	}
	if (unlikely(s->timed))
		due_look(s);
	r = conn_poll(&s->conn);
	if (unlikely(load_relaxed(&s->info.full_ns)) && r & POLLOUT)
		tcp_info_roomy(s);
	if (unlikely(r & POLLHUP) && load_relaxed(&s->half->side) & SIDE_UNTOLD)
		return poll_unconnected(s);
	return r;
}

int sock_shadow(const struct sock *s)
{
	if (s->dgram)
		return s->shadow_fd;
	/* One that does not listen yet would report that it hung up. */
	return sock_listens(s) ? s->shadow_fd : -1;
}

static uint32_t want_of_events(uint32_t events)
{
	return (events & POLLOUT ? NOTIFY_SPACE : 0) |
	       (events & (POLLIN | POLLRDHUP | POLLPRI) || !(events & POLLOUT) ? NOTIFY_DATA : 0);
}

void sock_want(struct sock *s, uint32_t events)
{
	switch ((enum sock_stage)load_acquire(&s->stage)) {
	case SOCK_OPEN:
		conn_want_hint(&s->conn, want_of_events(events) | NOTIFY_DATA);
		break;
	case SOCK_LISTEN:
		/* Where it has an eventfd of its own, that is rung: a hint as
		 * well would be a second edge. */
		if (s->foreign || s->bell_fd >= 0)
			atomic_thread_fence(memory_order_seq_cst);
		else
			atomic_fetch_or(&s->half->want, WANT_HINT_DATA);
		break;
	case SOCK_PACKETS:
		/* Its own eventfd is rung in any case. */
		if (s->foreign)
			atomic_thread_fence(memory_order_seq_cst);
		else
			atomic_fetch_or(&s->half->want, WANT_HINT_DATA);
		break;
	case SOCK_NEW:
		atomic_thread_fence(memory_order_seq_cst);
		break;
	}
}

void sock_unwant(struct sock *s, uint32_t events)
{
	if (s->foreign && (load_acquire(&s->stage) == SOCK_LISTEN || s->dgram || !s->bell_at))
		return; /* Not by us. */
	if (load_acquire(&s->stage) == SOCK_OPEN)
		conn_unwant_hint(&s->conn, want_of_events(events), s->bell_at);
	else
		atomic_fetch_and(&s->half->want, ~WANT_HINT_DATA);
}

/* ------------------------------------------------------------------- fork */

void socks_each(void (*fn)(struct sock *s, void *arg), void *arg)
{
	struct sock *s;

	for (unsigned n = 0; (s = sock_nth(n)); n++)
		if (sock_hold(s)) {
			fn(s, arg);
			sock_put(s);
		}
}

/* Not put here: its last reference's end takes socks_lock. */
static void share_one(struct sock *s)
{
	if (load_relaxed(&s->stage) != SOCK_OPEN || s->foreign || !sock_hold(s))
		return;
	s->fork_held = true;
	lock_take(&s->tx_lock);
	conn_prepare_fork(&s->conn);
	lock_drop(&s->tx_lock);
}

void sock_fork_before(void)
{
	struct sock *s;

	lock_take(&socks_lock);
	for (unsigned n = 0; (s = sock_nth(n)); n++)
		share_one(s);
}

struct sock *sock_fork_parent(void)
{
	struct sock *held = NULL, *s;

	for (unsigned n = 0; (s = sock_nth(n)); n++)
		if (s->fork_held) {
			s->fork_held = false;
			s->next_held = held;
			held = s;
		}
	lock_drop(&socks_lock);
	return held;
}

void sock_fork_end(struct sock *held)
{
	while (held) {
		struct sock *s = held;

		held = s->next_held;
		sock_put(s);
	}
}

static void adopt_one(struct sock *s)
{
	s->foreign = true;
	s->fork_held = s->exec_held = false;
	atomic_fetch_add(&foreign_count, 1);
	s->bell_at = 0;
	/* Another thread may have been changing them. */
	s->conn.rx_limit = 0;
	s->conn.tx_ext = 0;
	s->lock = s->tx_lock = s->rx_lock = (struct lock){ 0 };
	if (s->dgram)
		dgram_fork_child(s);
	/* The parent's calls in progress are not ours. */
	store_relaxed(&s->obj.refs, load_relaxed(&s->obj.nfds));
	if (load_relaxed(&s->obj.nfds) == 0)
		sock_forget(s);
}

void sock_fork_child(void)
{
	struct sock *s;

	socks_lock = (struct lock){ 0 };
	store_relaxed(&foreign_count, 0);
	due_fork_child();
	memset(by_slot, 0, sizeof(by_slot));
	for (unsigned n = 0; (s = sock_nth(n)); n++)
		if (load_relaxed(&s->obj.refs) != 0) {
			adopt_one(s);
		} else if (s->used) {
			s->foreign = false; /* Not counted yet. */
			sock_forget(s); /* Another thread was in its last close. */
		}
}
