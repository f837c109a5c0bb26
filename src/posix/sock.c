/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock.c - A socket's life: made, bound, listening, connected, closed.
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

#include "base/clock.h"
#include "base/sys.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/fallback.h"
#include "posix/handle.h"
#include "posix/holder.h"
#include "posix/options.h"
#include "posix/ports.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/section.h"
#include "posix/sock.h"
#include "posix/watch.h"
#include "shm/futex.h"
#include "shm/owner.h"
#include "shm/seat.h"

#define LOOPBACK_NET 127u
#define SLAB_SOCKS 64u
#define FOLLOWED_NS (2 * NS_PER_MS) /* a seat rests so long, and a little */
#define ENDING_LOOKS 10u
#define ENDING_LOOK_NS (2 * NS_PER_MS)
#define READY_BACKLOG 511u

static struct sock *socks_free;
static struct sock *slabs[SLOT_MAX * 2 / SLAB_SOCKS];
static unsigned slab_count;
static struct lock socks_lock;
static struct sock *by_slot[SLOT_MAX];

/* ------------------------------------------------------------------- pool */

static struct sock *sock_struct_get(void)
{
	struct sock *s;

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

static void sock_struct_put(struct sock *s)
{
	lock_take(&socks_lock);
	s->next_free = socks_free;
	socks_free = s;
	lock_drop(&socks_lock);
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
	addr_word local = load_relaxed(&s->half->local);
	struct ctl_msg m = { .type = type };

	m.listen.addr = addr_word_addr(local);
	m.listen.port = addr_word_port(local);
	m.listen.slot = (uint16_t)s->slot;
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

static void sock_close_listener(struct sock *s)
{
	sock_listen_end(s);
	store_release(&arena_handles(s->party->base)[s->handle], 0);
	party_slot_retire(s->party, s->slot);
}

void sock_unbind(struct sock *s)
{
	if (s->bound && process.policy == POLICY_NONE)
		sock_tell(s, CTL_UNBIND, 0, 0);
}

/*
 * The last descriptor is closed and no call is in progress. A socket that no
 * other process ever held ends here; any other ends when the kernel has
 * counted its last handle, by the executor.
 */
static void sock_last(struct fobj *o)
{
	struct sock *s = (struct sock *)o;
	/* The half says so too where somebody took a copy unasked (pidfd_getfd). */
	bool shared = s->foreign || s->epoch != load_acquire(&process.epoch) ||
		      load_relaxed(&s->half->shared);

	watch_gone(s);
	if (!s->foreign)
		by_slot[s->slot] = NULL;
	if (s->shadow_fd >= 0)
		process_fd_high_close(s->shadow_fd);
	if (s->bell_fd >= 0)
		process_fd_high_close(s->bell_fd);
	if (shared) {
		holder_end(s);
		if (!s->foreign)
			party_slot_retire(s->party, s->slot);
		conn_detach(&s->conn);
		if (s->parked_fd >= 0)
			process_fd_high_close(s->parked_fd);
		if (s->foreign)
			attach_put(s->party);
		goto out;
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
		conn_finish(&s->conn, s->linger == 0);
		store_release(&arena_handles(s->party->base)[s->handle], 0);
		half_release(s->half);
		conn_detach(&s->conn);
		party_slot_retire(s->party, s->slot);
		break;
	}
	if (s->parked_fd >= 0)
		handle_give(s->parked_fd, s->handle, s->epoch);
out:
	options_free(s);
	sock_struct_put(s);
}

/* ------------------------------------------------------------------- make */

/* A socket with a handle, parked, one reference, and no half or number yet. */
static struct sock *sock_make(struct party *p, long *ret_error)
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
	store_release(&s->obj.refs, 1);
	return s;
}

/* Undo sock_make(). */
static void sock_unmake(struct sock *s)
{
	handle_give(s->parked_fd, s->handle, s->epoch);
	store_relaxed(&s->obj.refs, 0);
	sock_struct_put(s);
}

static void sock_set_half(struct sock *s, unsigned slot)
{
	s->slot = slot;
	s->half = arena_half(s->party->base, slot);
	by_slot[slot] = s;
}

/* A half in BOUND, known by the handle. */
static void sock_begin_half(struct sock *s, unsigned slot, uint32_t file_flags)
{
	sock_set_half(s, slot);
	store_relaxed(&s->half->rcvlowat, 1);
	store_relaxed(&s->half->file_flags, file_flags);
	store_relaxed(&s->half->cookie, atomic_fetch_add(&s->party->cookie_next, 1));
	store_relaxed(&s->half->handle, s->handle + 1);
	half_set_state(s->half, HALF_BOUND);
	store_release(&arena_handles(s->party->base)[s->handle],
		      slot_word_make(s->slot, half_gen(s->half)));
}

struct sock *sock_fresh(uint32_t file_flags, long *ret_error)
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

/*
 * A socket that another process made, and that is not connected and does not
 * listen, is about to: it becomes our own, with a half and a handle of ours and
 * the shadow that it has. Who else holds it has another one from now on. Caller
 * holds s->lock.
 * Return: False where it stays what it was.
 */
static bool sock_own(struct sock *s)
{
	uint32_t epoch = load_acquire(&process.epoch), number;
	const struct half *was = s->half;
	struct party *p = process_party();
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
	s->party = p;
	s->pid = process.pid;
	s->epoch = epoch;
	s->handle = number;
	sock_begin_half(s, (unsigned)slot, load_relaxed(&was->file_flags));
	store_relaxed(&s->half->local, load_relaxed(&was->local));
	store_relaxed(&s->half->sndbuf, load_relaxed(&was->sndbuf));
	store_relaxed(&s->half->rcvbuf, load_relaxed(&was->rcvbuf));
	store_relaxed(&s->half->rcvlowat, load_relaxed(&was->rcvlowat));
	store_relaxed(&s->half->side, load_relaxed(&was->side));
	store_relaxed(&s->half->oob_inline, load_relaxed(&was->oob_inline));
	numbers_rehandle(s, (int)fd);
	process_fd_high_close((int)fd);
	watch_changed(s);
	return true;
}

struct sock *sock_adopt(struct party *p, unsigned slot, uint32_t handle)
{
	struct sock *s = sock_struct_get();

	if (!s)
		return NULL;
	*s = (struct sock){ .obj = { .kind = FOBJ_SOCK, .last = sock_last } };
	s->foreign = true;
	s->epoch = load_acquire(&process.epoch) - 1;
	s->pid = process.pid;
	s->party = p;
	s->slot = slot;
	s->half = arena_half(p->base, slot);
	s->handle = handle;
	s->parked_fd = s->shadow_fd = s->bell_fd = -1;
	s->linger = -1;
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

long sock_number_at(struct sock *s, int fd, bool cloexec)
{
	int parked = s->parked_fd;
	long r = sys3(SYS_dup3, parked, fd, cloexec ? O_CLOEXEC : 0);

	if (r < 0)
		return r;
	s->parked_fd = -1;
	process_fd_high_close(parked);
	fdtab_install(fd, &s->obj);
	return fd;
}

/* The lowest free number for @s, whose handle is parked, or -errno. */
static long sock_number_take(struct sock *s, bool cloexec)
{
	long fd = fd_made(sys3(SYS_fcntl, s->parked_fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0));

	if (fd < (long)fdtab_size)
		return fd;
	sys1(SYS_close, fd);
	return -EMFILE;
}

static void sock_number_set(struct sock *s, long fd)
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
	if (domain == AF_INET6)
		r = kernel_socket(domain, type, protocol, REASON_FAMILY);
	else if (kind != SOCK_STREAM)
		r = kernel_socket(domain, type, protocol, REASON_DATAGRAM);
	if (domain == AF_INET6 || kind != SOCK_STREAM)
		goto out;
	r = NOT_OURS;
	if ((protocol != 0 && protocol != IPPROTO_TCP) ||
	    type & ~(0xf | SOCK_NONBLOCK | SOCK_CLOEXEC))
		goto out;
	if (!process_party()) {
		r = process.policy == POLICY_NONE
			    ? -ENOBUFS
			    : kernel_socket(domain, type, protocol, REASON_NO_DAEMON);
		goto out;
	}
	s = sock_fresh(type & SOCK_NONBLOCK ? O_NONBLOCK : 0, &r);
	if (!s) {
		r = process.policy == POLICY_NONE
			    ? -ENOBUFS
			    : kernel_socket(domain, type, protocol, REASON_LIMIT);
		goto out;
	}
	r = sock_number(s, type & SOCK_CLOEXEC);
out:
	section_leave();
	return r;
}

/* -------------------------------------------------------------- addresses */

/* An AF_INET address of a caller. Return: 0 or -errno. */
static long addr_parse(const struct sockaddr *addr, socklen_t len, addr_word *ret)
{
	struct sockaddr_in in;

	if (len < sizeof(in))
		return -EINVAL;
	if (!addr)
		return -EFAULT;
	memcpy(&in, addr, sizeof(in));
	if (in.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	*ret = addr_word_make(ntohl(in.sin_addr.s_addr), ntohs(in.sin_port));
	return 0;
}

long sock_addr_fill(addr_word w, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t room;

	if (!len)
		return -EFAULT;
	room = *len;
	if ((int)room < 0)
		return -EINVAL;
	in.sin_addr.s_addr = htonl(addr_word_addr(w));
	in.sin_port = htons(addr_word_port(w));
	if (room > sizeof(in))
		room = sizeof(in);
	if (room)
		memcpy(addr, &in, room);
	*len = sizeof(in);
	return 0;
}

static bool addr_is_loopback(uint32_t addr)
{
	return addr >> 24 == LOOPBACK_NET;
}

/* Linux: the connection has gone through both ends, or was reset. */
static bool sock_is_over(struct sock *s)
{
	uint32_t side;

	if (load_relaxed(&s->stage) != SOCK_OPEN)
		return true;
	if (conn_poll(&s->conn) & POLLHUP) {
		side = load_relaxed(&s->half->side);
		return side & SIDE_RST_SEEN || load_acquire(&s->conn.peer->end) & END_FIN;
	}
	return false;
}

long call_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sock *s = sock_enter(fd);

	if (!s)
		return NOT_OURS;
	return sock_leave(s, sock_addr_fill(load_relaxed(&s->half->local), addr, len));
}

long call_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sock *s = sock_enter(fd);
	long r;

	if (!s)
		return NOT_OURS;
	r = sock_is_over(s) ? -ENOTCONN
			    : sock_addr_fill(load_relaxed(&s->half->remote), addr, len);
	return sock_leave(s, r);
}

/* ------------------------------------------------------------------- bind */

/* The kernel socket that holds our port. Return: 0 or -errno. */
static long shadow_make(struct sock *s)
{
	long fd = sys3(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0)
		fd = process_fd_high((int)fd);
	if (fd < 0)
		return fd;
	options_replay(s, (int)fd);
	s->shadow_fd = (int)fd;
	return 0;
}

static void shadow_drop(struct sock *s)
{
	process_fd_high_close(s->shadow_fd);
	s->shadow_fd = -1;
}

static void shadow_name(struct sock *s)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);

	if (sys3(SYS_getsockname, s->shadow_fd, &in, &len) == 0)
		store_relaxed(&s->half->local, addr_word_make(ntohl(in.sin_addr.s_addr),
							      ntohs(in.sin_port)));
}

static long bind_in_domain(struct sock *s, addr_word want)
{
	struct ctl_msg m = { .type = CTL_BIND };
	int r;

	m.listen.addr = addr_word_addr(want);
	m.listen.port = addr_word_port(want);
	m.listen.slot = (uint16_t)s->slot;
	m.listen.gen = half_gen(s->half);
	m.listen.reuse = options_reuse(s);
	r = process_call(&m, NULL, 0, NULL, NULL);
	if (r == 0)
		store_relaxed(&s->half->local,
			      addr_word_make(addr_word_addr(want), m.listen.port));
	return r;
}

/* Somebody of the domain has listened there, perhaps until just now: then its
 * shadow is gone as soon as the daemon has heard of its end. */
static long shadow_bind(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	long r = sys3(SYS_bind, s->shadow_fd, addr, len);
	addr_word want = 0;

	if (r != -EADDRINUSE || addr_parse(addr, len, &want) < 0)
		return r;
	for (unsigned i = 0; i < ENDING_LOOKS && r == -EADDRINUSE; i++) {
		struct timespec t = clock_timespec(ENDING_LOOK_NS);
		struct listener_ref ref;
		bool listens = registry_find(s->party->reg, addr_word_addr(want),
					     addr_word_port(want), &ref) == 0;

		if (!listens && i > 0)
			break;
		sys2(SYS_nanosleep, &t, NULL);
		r = sys3(SYS_bind, s->shadow_fd, addr, len);
	}
	return r;
}

static long sock_bind(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	addr_word want = 0;
	long r;

	if (s->foreign && !sock_own(s))
		return -EINVAL;
	if (process.policy == POLICY_NONE) {
		r = addr_parse(addr, len, &want);
		if (r == 0 && addr_word_addr(want) != 0 && !addr_is_loopback(addr_word_addr(want)))
			r = -EADDRNOTAVAIL;
		if (r == 0)
			r = s->bound || load_relaxed(&s->stage) != SOCK_NEW ? -EINVAL
									    : bind_in_domain(s, want);
		if (r == 0)
			s->bound = true;
		return r;
	}
	if (s->shadow_fd >= 0)
		return sys3(SYS_bind, s->shadow_fd, addr, len);
	/* The kernel says whose port it is, and what is wrong with it. */
	r = shadow_make(s);
	if (r < 0)
		return r;
	r = shadow_bind(s, addr, len);
	/* What is wrong with the address goes before what is with the socket. */
	if (load_relaxed(&s->stage) != SOCK_NEW && (r == 0 || r == -EADDRINUSE))
		r = -EINVAL;
	if (r < 0) {
		shadow_drop(s);
		return r;
	}
	shadow_name(s);
	s->bound = true;
	return 0;
}

long call_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sock *s;
	long r;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	r = sock_bind(s, addr, len);
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

/* ----------------------------------------------------------------- listen */

static long sock_announce(struct sock *s, bool both_listen)
{
	return sock_tell(s, CTL_LISTEN, s->foreign ? s->party->id : 0, both_listen);
}

/* Undo seat_open() and what was announced: the half cannot listen twice, so
 * the socket goes on with another. */
static void sock_unlisten(struct sock *s)
{
	uint64_t local = load_relaxed(&s->half->local);
	uint32_t flags = load_relaxed(&s->half->file_flags);
	unsigned old = s->slot;
	int slot = party_slot_alloc(s->party);

	by_slot[old] = NULL;
	sock_close_listener(s);
	store_release(&s->stage, SOCK_NEW);
	if (slot < 0) {
		s->retired = true; /* good for nothing but close() */
		return;
	}
	sock_begin_half(s, (unsigned)slot, flags);
	store_relaxed(&s->half->local, local);
}

/* A local address. Under share the kernel chooses it. */
static long listen_bind(struct sock *s, bool share)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	long r;

	if (s->bound)
		return 0;
	r = share ? shadow_make(s) : bind_in_domain(s, 0);
	if (r == 0 && share) {
		r = sys3(SYS_bind, s->shadow_fd, &any, sizeof(any));
		if (r == 0)
			shadow_name(s);
		else
			shadow_drop(s);
	}
	if (r == 0)
		s->bound = true;
	return r;
}

bool sock_listen_ready(struct sock *s)
{
	uint32_t addr = addr_word_addr(load_relaxed(&s->half->local));
	bool share = process.policy == POLICY_SHARE;

	if (s->foreign || !s->bound || s->retired || load_relaxed(&s->stage) != SOCK_NEW)
		return false;
	if (share && ((addr != 0 && !addr_is_loopback(addr)) || options_kernel_only(s) ||
		      process_port_excluded(addr_word_port(load_relaxed(&s->half->local)))))
		return false;
	if (seat_open(s->party, s->half, READY_BACKLOG) < 0)
		return false;
	s->unannounced = true;
	store_release(&s->stage, SOCK_LISTEN);
	return true;
}

/* The seats are there: somebody else's listen(), or sock_listen_ready(). */
static long listen_again(struct sock *s, int backlog)
{
	bool share = process.policy == POLICY_SHARE;
	long r = s->unannounced ? sock_announce(s, false) : 0;

	if (r < 0 && !share)
		return r == -EADDRINUSE ? r : -ENOBUFS;
	if (r < 0 && r != -EADDRINUSE)
		return FALLBACK(REASON_NO_DAEMON);
	if (r == -EADDRINUSE)
		return FALLBACK(REASON_REUSEPORT);
	r = s->shadow_fd >= 0 ? sys2(SYS_listen, s->shadow_fd, backlog) : 0;
	if (r == 0)
		s->unannounced = false;
	return r;
}

/* Return: 0, or -errno, or FALLBACK | reason where the kernel must do it. */
static long sock_listen(struct sock *s, int backlog)
{
	bool share = process.policy == POLICY_SHARE;
	uint32_t addr;
	uint16_t port;
	long r, kernel;

	if (load_relaxed(&s->stage) == SOCK_OPEN || s->retired)
		return -EINVAL;
	if (load_relaxed(&s->stage) == SOCK_LISTEN)
		return listen_again(s, backlog);
	if (s->foreign && !sock_own(s))
		return share ? FALLBACK(REASON_SHARED) : -EOPNOTSUPP;
	r = listen_bind(s, share);
	if (r < 0)
		return r;
	addr = addr_word_addr(load_relaxed(&s->half->local));
	port = addr_word_port(load_relaxed(&s->half->local));
	if (share && addr != 0 && !addr_is_loopback(addr))
		return FALLBACK(REASON_REMOTE);
	if (share && process_port_excluded(port))
		return FALLBACK(REASON_EXCLUDED);
	if (share && (port == 0 || options_kernel_only(s)))
		return FALLBACK(REASON_OPTION);
	r = seat_open(s->party, s->half, backlog < 0 ? SEAT_BACKLOG_MAX : (unsigned)backlog);
	if (r < 0)
		return share ? FALLBACK(REASON_LIMIT) : -ENOBUFS;
	store_release(&s->stage, SOCK_LISTEN);
	/* In memory first: who finds nobody there asks the kernel, and would
	 * be connected by it. */
	r = sock_announce(s, !share && options_reuse(s) & CTL_REUSE_PORT);
	kernel = share ? sys2(SYS_listen, s->shadow_fd, backlog) : r;
	if (kernel < 0) {
		sock_unlisten(s);
		return kernel;
	}
	/* The kernel lets both listen: a group of SO_REUSEPORT. */
	if (r == -EADDRINUSE)
		r = sock_announce(s, true);
	if (r < 0)
		return FALLBACK(r == -EADDRINUSE || r == -ENOSPC ? REASON_REUSEPORT
								 : REASON_NO_DAEMON);
	return 0;
}

long call_listen(int fd, int backlog)
{
	struct sock *s;
	bool listened;
	long r;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	listened = load_relaxed(&s->stage) == SOCK_LISTEN;
	r = sock_listen(s, backlog);
	if (r <= FALLBACK(0)) {
		r = fallback_socket(s, FALLBACK_REASON(r));
		if (r == 0)
			r = sys2(SYS_listen, fd, backlog);
	} else if (!listened && load_relaxed(&s->stage) == SOCK_LISTEN) {
		options_shadow(s);
		watch_changed(s);
	}
	lock_drop(&s->lock);
	return sock_leave(s, r);
}

/* ---------------------------------------------------------------- connect */

static void follow_one(struct sock *s, void *any)
{
	if (load_acquire(&s->stage) == SOCK_OPEN && conn_follow(&s->conn))
		*(bool *)any = true;
}

/* Our connections that were accepted elsewhere follow. Return: Was there one? */
static bool socks_follow(void)
{
	bool any = false;

	socks_each(follow_one, &any);
	return any;
}

/* One of a group, as the addresses have it; another, where that has no room or
 * is gone. Return: As seat_claim(). */
static int connect_group(struct sock *s, addr_word to, uint32_t pick)
{
	int r = -ECONNREFUSED, n = 1;

	for (int i = 0; i < n && (r == -EAGAIN || r == -ECONNREFUSED); i++) {
		struct listener_ref ref;

		n = registry_find_one(s->party->reg, addr_word_addr(to), addr_word_port(to),
				      pick + (uint32_t)i, &ref);
		if (n > 0)
			r = seat_claim(s->party, s->half, &ref, &s->conn);
	}
	return r;
}

/* Return: 0, or FALLBACK | reason. */
static long connect_local(struct sock *s, addr_word to)
{
	struct listener_ref ref;
	uint16_t port = 0;
	addr_word from = load_relaxed(&s->half->local);
	uint32_t pick;
	int r;

	if (registry_find(s->party->reg, addr_word_addr(to), addr_word_port(to), &ref) < 0)
		return FALLBACK(REASON_NO_LISTENER);
	if (!s->bound) {
		port = port_take();
		if (port == 0)
			return FALLBACK(REASON_LIMIT);
		from = addr_word_make(INADDR_LOOPBACK, port);
	} else if (addr_word_addr(from) == 0) {
		from = addr_word_make(INADDR_LOOPBACK, addr_word_port(from));
	}
	store_relaxed(&s->half->local, from);
	store_relaxed(&s->half->remote, to);
	pick = addr_word_port(from) * 2654435761u >> 16;
	r = connect_group(s, to, pick);
	if (r == -EAGAIN && socks_follow()) {
		struct timespec t = clock_timespec(FOLLOWED_NS);

		/* We ourselves kept seats; they will be made anew. */
		sys2(SYS_nanosleep, &t, NULL);
		r = connect_group(s, to, pick);
	}
	if (r == 0) {
		if (port)
			atomic_fetch_or(&s->half->side, SIDE_LEASED);
		store_release(&s->stage, SOCK_OPEN);
		return 0;
	}
	if (port) {
		port_give(port);
		store_relaxed(&s->half->local, 0);
	}
	store_relaxed(&s->half->remote, 0);
	return FALLBACK(r == -EAGAIN ? REASON_BACKLOG : REASON_NO_LISTENER);
}

/* Return: 0, -errno, or FALLBACK | reason. */
static long sock_connect(struct sock *s, addr_word to)
{
	bool share = process.policy == POLICY_SHARE;
	long r;

	switch ((enum sock_stage)load_relaxed(&s->stage)) {
	case SOCK_LISTEN:
		if (s->unannounced)
			return share ? FALLBACK(REASON_SHARED) : -EOPNOTSUPP;
		return -EISCONN;
	case SOCK_OPEN:
		if (s->connect_told)
			return -EISCONN;
		s->connect_told = true;
		/* It was reset before anyone asked how it went. */
		if (conn_poll(&s->conn) & POLLHUP &&
		    load_relaxed(&s->half->side) & SIDE_RST_SEEN) {
			r = conn_take_error(&s->conn);
			return r ? -r : -ECONNABORTED;
		}
		return 0;
	case SOCK_NEW:
		break;
	}
	if (load_relaxed(&s->refused)) {
		r = sock_refusal(s);
		store_relaxed(&s->refused, 0);
		return r ? -r : -ECONNABORTED;
	}
	if (addr_word_addr(to) == 0)
		to = addr_word_make(INADDR_LOOPBACK, addr_word_port(to));
	if (!addr_is_loopback(addr_word_addr(to)))
		return share ? FALLBACK(REASON_REMOTE) : -ENETUNREACH;
	if (s->foreign && !sock_own(s))
		return share ? FALLBACK(REASON_SHARED) : -EOPNOTSUPP;
	if (share && process_port_excluded(addr_word_port(to)))
		return FALLBACK(REASON_EXCLUDED);
	if (share && options_kernel_only(s))
		return FALLBACK(REASON_OPTION);
	if (s->bound && addr_word_addr(load_relaxed(&s->half->local)) != 0 &&
	    !addr_is_loopback(addr_word_addr(load_relaxed(&s->half->local))))
		return FALLBACK(REASON_REMOTE);
	r = connect_local(s, to);
	if (r <= FALLBACK(0) && !share)
		r = FALLBACK_REASON(r) == REASON_BACKLOG ? -EAGAIN : -ECONNREFUSED;
	return r;
}

/* Policy none, and the listener's queue is full: as a SYN is sent again. */
static long connect_again(struct sock *s, addr_word to)
{
	uint64_t pause_ns = NS_PER_MS, until = clock_now_ns() + 127 * NS_PER_SEC;
	uint32_t handled = section_state.handled, broke = section_state.broke;
	long r = -EAGAIN;

	if (s->sndtimeo_ns)
		until = clock_now_ns() + s->sndtimeo_ns;
	while (r == -EAGAIN) {
		struct timespec t = clock_timespec(pause_ns);
		long args[6] = { (long)&t, 0 };

		if (clock_now_ns() >= until)
			return -ETIMEDOUT;
		section_leave();
		r = section_sleep(SYS_nanosleep, args, &section_state.handled, handled);
		section_enter();
		/* It has begun: beginning anew is going on. */
		if (r == -EINTR && !s->sndtimeo_ns && section_verdict(handled, broke) == CALL_AGAIN)
			handled = section_state.handled;
		else if (r == -EINTR)
			return r;
		lock_take(&s->lock);
		r = sock_connect(s, to);
		if (r == 0) {
			s->connect_told = true;
			watch_changed(s);
			owner_signal(s->half, POLL_OUT);
		}
		lock_drop(&s->lock);
		if (pause_ns < 64 * NS_PER_MS)
			pause_ns *= 2;
	}
	return r;
}

long call_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	addr_word to = 0;
	struct sock *s;
	bool was_open, first;
	long r;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	was_open = load_relaxed(&s->stage) == SOCK_OPEN;
	first = !was_open && !load_relaxed(&s->refused);
	r = addr_parse(addr, len, &to);
	if (r == 0)
		r = sock_connect(s, to);
	if (r <= FALLBACK(0)) {
		r = fallback_socket(s, FALLBACK_REASON(r));
		if (r == 0)
			r = NOT_OURS; /* libc's connect() does the rest */
	} else if (r == 0 && !was_open) {
		if (sock_nonblocking(s))
			r = -EINPROGRESS;
		else
			s->connect_told = true;
		watch_changed(s);
		owner_signal(s->half, POLL_OUT);
	}
	lock_drop(&s->lock);
	if (r == -EAGAIN && !sock_nonblocking(s))
		r = connect_again(s, to);
	if (first && (r == -EAGAIN || r == -ECONNREFUSED) && sock_nonblocking(s)) {
		/* As on Linux, the answer comes after the call. */
		store_relaxed(&s->refused, ECONNREFUSED);
		watch_changed(s);
		owner_signal(s->half, POLL_ERR);
		r = -EINPROGRESS;
	}
	return sock_leave(s, r);
}

/* ----------------------------------------------------------------- accept */

static long accept_shadow(struct sock *s, struct sockaddr *addr, socklen_t *len, int flags)
{
	long fd;

	if (s->shadow_fd < 0)
		return -EAGAIN;
	fd = fd_made(sys4(SYS_accept4, s->shadow_fd, addr, len, flags));
	if (fd >= 0)
		fdtab_kernel((int)fd, REASON_ACCEPTED);
	return fd;
}

/* Several processes may hold the listener @s. */
static bool listener_is_shared(const struct sock *s)
{
	return s->foreign || s->epoch != load_acquire(&process.epoch) ||
	       load_relaxed(&s->half->shared);
}

static int take_one(struct sock *s, struct sock *a)
{
	int r;

	if (!listener_is_shared(s))
		return seat_take(s->party, s->half, &s->accept_cursor, a->handle, &a->conn);
	seat_share(s->party, s->half, s->accept_cursor);
	r = seat_take_shared(s->party, s->half, a->party, a->handle, &a->conn);
	/* Nothing would tell us when it goes on: we look again at once. */
	if (r == -EBUSY) {
		ring_again(s);
		return -EAGAIN;
	}
	/* The others are not to wake for what has been taken. */
	if (r == 0 && !(sock_poll(s) & POLLIN))
		ring_drain(s);
	return r;
}

static long accept_seat(struct sock *s, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct party *p = process_party();
	struct sock *a;
	long r = -EAGAIN, number;

	if (!(sock_poll(s) & POLLIN) && !ring_drain(s))
		return -EAGAIN;
	a = sock_make(p ? p : s->party, &r);
	if (!a)
		return r == -ENOTCONN ? FALLBACK(REASON_NO_DAEMON) : -ENFILE;
	/* Where there is none, the connection stays in the queue. */
	number = sock_number_take(a, flags & SOCK_CLOEXEC);
	r = number < 0 ? number : take_one(s, a);
	if (r < 0) {
		if (number >= 0)
			sys1(SYS_close, number);
		sock_unmake(a);
		return r;
	}
	sock_set_half(a, arena_slot(a->party->base, a->conn.own));
	a->connect_told = true;
	store_relaxed(&a->stage, SOCK_OPEN);
	options_inherit(a, s);
	store_relaxed(&a->half->file_flags, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
	if (addr)
		sock_addr_fill(load_relaxed(&a->half->remote), addr, len);
	sock_number_set(a, number);
	return number;
}

long sock_accept_memory(struct sock *s)
{
	return accept_seat(s, NULL, NULL, SOCK_CLOEXEC);
}

static long sock_accept(struct sock *s, struct sockaddr *addr, socklen_t *len, int flags)
{
	long r = -EAGAIN;

	if (load_relaxed(&s->stage) != SOCK_LISTEN)
		return -EINVAL;
	/* In turns, so that neither kind of client starves the other. */
	s->accept_shadow_first = !s->accept_shadow_first;
	if (s->accept_shadow_first && s->accept_busy)
		r = accept_shadow(s, addr, len, flags);
	if (r == -EAGAIN)
		r = accept_seat(s, addr, len, flags);
	if (r == -EAGAIN) {
		r = accept_shadow(s, addr, len, flags);
		s->accept_busy = r >= 0;
	}
	return r;
}

static long accept_once(int fd, struct sockaddr *addr, socklen_t *len, int flags, uint32_t broke)
{
	uint32_t handled = section_state.handled;
	uint64_t deadline = 0;
	struct sock *s;
	bool may_wait;
	long r;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	/* Now: a flag that changes later is for later calls. */
	may_wait = !sock_nonblocking(s);
	r = flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) ? -EINVAL : 0;
	if (r == 0 && addr && (!len || (int)*len < 0))
		r = len ? -EINVAL : -EFAULT;
	/* A second process waits on this listener? */
	if (r == 0 && fallback_waits(s))
		r = NOT_OURS;
	while (r == 0) {
		lock_take(&s->lock);
		r = sock_accept(s, addr, len, flags);
		if (r <= FALLBACK(0)) {
			/* The domain has ended. Who waits in the queue is reset;
			 * the kernel's clients go on. */
			r = fallback_socket(s, FALLBACK_REASON(r));
			lock_drop(&s->lock);
			r = r < 0 ? r : NOT_OURS;
			break;
		}
		lock_drop(&s->lock);
		if (r != -EAGAIN || !may_wait)
			break;
		if (s->rcvtimeo_ns && !deadline)
			deadline = clock_now_ns() + s->rcvtimeo_ns;
		/* Since the call began anew? */
		r = section_state.broke != broke ? -EINTR :
		    wait_sock(s, POLLIN, deadline, &section_state.handled, handled);
		if (r == -EINTR && !deadline)
			r = section_verdict(handled, broke);
		if (r == -ETIMEDOUT)
			r = -EAGAIN;
		/* It became the kernel's while we slept. */
		if (fdtab_peek(fd) != &s->obj && load_relaxed(&s->stage) != SOCK_LISTEN)
			r = fdtab_peek(fd) ? -EINVAL : NOT_OURS;
	}
	return sock_leave(s, r);
}

long call_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	uint32_t broke = section_state.broke;
	long r;

	do
		r = accept_once(fd, addr, len, flags, broke);
	while (unlikely(r == CALL_AGAIN));
	return r;
}

/* --------------------------------------------------------------- shutdown */

void sock_poke(struct sock *s)
{
	atomic_fetch_add(&s->half->event, 1);
	futex_wake(&s->half->event, INT32_MAX);
	watch_changed(s);
}

long call_shutdown(int fd, int how)
{
	struct sock *s;
	long r = 0;

	s = sock_enter(fd);
	if (!s)
		return NOT_OURS;
	lock_take(&s->lock);
	if (how < SHUT_RD || how > SHUT_RDWR) {
		r = -EINVAL;
	} else if (load_relaxed(&s->stage) == SOCK_LISTEN) {
		/* Linux: a listener whose read side is shut listens no more. */
		if (how != SHUT_WR && process.policy == POLICY_NONE && !s->foreign) {
			sock_unlisten(s);
			watch_changed(s);
		} else if (how != SHUT_WR) {
			r = fallback_socket(s, REASON_OPTION);
			if (r == 0)
				r = NOT_OURS;
		}
	} else if (sock_is_over(s)) {
		if (load_relaxed(&s->stage) == SOCK_OPEN)
			s->connect_told = true;
		else if (how != SHUT_WR) /* Linux keeps that for a connection to come. */
			atomic_fetch_or(&s->half->side, SIDE_RD_SHUT);
		watch_changed(s); /* Linux wakes whoever polls it all the same. */
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

uint32_t sock_poll(struct sock *s)
{
	switch ((enum sock_stage)load_acquire(&s->stage)) {
	case SOCK_NEW:
		if (unlikely(load_relaxed(&s->refused)))
			return POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM | POLLHUP |
			       (load_relaxed(&s->refused) > 0 ? POLLERR : 0u);
		return POLLOUT | POLLWRNORM | POLLHUP |
		       (load_relaxed(&s->half->side) & SIDE_RD_SHUT ? POLLIN | POLLRDNORM | POLLRDHUP
								    : 0u);
	case SOCK_LISTEN:
		return seat_waiting(s->party, s->half, &s->accept_cursor) ? POLLIN | POLLRDNORM : 0;
	case SOCK_OPEN:
		break;
	}
	return conn_poll(&s->conn);
}

int sock_shadow(const struct sock *s)
{
	return load_relaxed(&s->stage) == SOCK_LISTEN ? s->shadow_fd : -1;
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
	if (s->foreign && (load_acquire(&s->stage) == SOCK_LISTEN || !s->bell_at))
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
	s->fork_held = false;
	s->bell_at = 0;
	/* Another thread may have been changing them. */
	s->conn.rx_limit = 0;
	s->conn.tx_ext = 0;
	s->lock = s->tx_lock = s->rx_lock = (struct lock){ 0 };
	/* The parent's calls in progress are not ours. */
	store_relaxed(&s->obj.refs, load_relaxed(&s->obj.nfds));
	if (load_relaxed(&s->obj.nfds) == 0) {
		if (s->parked_fd >= 0)
			process_fd_high_close(s->parked_fd);
		s->parked_fd = -1;
		s->next_free = socks_free;
		socks_free = s;
	}
}

void sock_fork_child(void)
{
	struct sock *s;

	socks_lock = (struct lock){ 0 };
	memset(by_slot, 0, sizeof(by_slot));
	for (unsigned n = 0; (s = sock_nth(n)); n++)
		if (load_relaxed(&s->obj.refs) != 0)
			adopt_one(s);
}
