/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach.c - Theory of operation.
 *
 * A handle outlives the program image that used it: after exec, and with
 * SCM_RIGHTS, somebody has the descriptor who never heard of the half behind
 * it. The kernel shows the name of its other end, so it is recognised; the
 * daemon is sent a copy, sees by its cookie which handle that is, and answers
 * with the half's name and its party's memory, writable. From then on this
 * process is one more that shares the side, as a forked child is: the side is
 * locked in shared memory, nothing is allocated in that party's arena, and the
 * last close is heard by the kernel's count of handles.
 *
 * Whoever gives a socket away prepares it (attach_give()), since afterwards
 * there may be nobody left who could: the ring gets memory, a listener an
 * eventfd of its own, and the daemon keeps that and the kernel shadow.
 *
 * A socket that is neither connected nor listening is attached to like any other,
 * with its shadow, and becomes our own when it is bound, connected or listens
 * (sock_own()). What is done with it from then on is not seen by others that hold
 * the old one.
 *
 * A party that we attached to is mapped once, and let go of when it is dead and
 * has no socket here any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "base/fault.h"
#include "base/sys.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/fallback.h"
#include "posix/handle.h"
#include "posix/kept.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/served.h"
#include "shm/conn.h"

#define HANDLE_NAME "mortise/" /* behind a zero byte */
#define SIGNAL_TRIES 8
#define EXEC_MOST (2 * SLOT_MAX) /* sockets that go along with an exec */
#define ATTACH_FDS 4u          /* arena, mailbox, eventfd, shadow */

/** struct foreign - A party that we attached to. @p NULL: none of that number.
 * @socks: Sockets here that are in its arena. */
struct foreign {
	struct party *p;
	uint32_t socks;
};

static struct foreign foreign[PARTY_MAX];
static unsigned foreign_high; /* no number at or beyond was ever used */
static struct lock foreign_lock;
/* One thread at a time attaches: two may have descriptors of one socket. Before meet_lock. */
static struct lock attach_lock;

bool attach_is_handle(int fd)
{
	struct sockaddr_un peer = { 0 };
	socklen_t len = sizeof(peer);

	return sys3(SYS_getpeername, fd, &peer, &len) >= 0 && peer.sun_family == AF_UNIX &&
	       len >= offsetof(struct sockaddr_un, sun_path) + sizeof(HANDLE_NAME) &&
	       peer.sun_path[0] == '\0' &&
	       memcmp(peer.sun_path + 1, HANDLE_NAME, sizeof(HANDLE_NAME) - 1) == 0;
}

/* --------------------------------------------------------------- parties */

/* As a forked child has its parent's. */
static struct party *foreign_make(const struct ctl_msg *m, const int *fds)
{
	long at = sys6(SYS_mmap, NULL, sizeof(struct party), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct party *p = (struct party *)at;

	if (at < 0 && at > -4096)
		return NULL;
	p->base = arena_map(fds[0], ARENA_BYTES, true);
	p->mbox = p->base ? arena_map(fds[1], MAILBOX_BYTES, true) : NULL;
	if (!p->mbox) {
		if (p->base)
			arena_unmap(p->base, ARENA_BYTES);
		sys2(SYS_munmap, p, sizeof(*p));
		return NULL;
	}
	p->id = (uint16_t)m->shared.party;
	p->gen = m->shared.party_gen;
	p->pid = arena_hdr(p->base)->pid;
	p->inherited = true;
	p->reg = process.party->reg;
	p->ops = process.party->ops;
	p->ops_arg = process.party->ops_arg;
	p->self = (struct peer){ .id = p->id, .gen = p->gen, .pid = p->pid, .base = p->base,
				 .mbox = p->mbox, .self = true };
	for (unsigned i = 0; i < BELL_MAX; i++)
		atomic_init(&p->self.bell_fd[i], -1);
	p->peers[p->id] = &p->self;
	return p;
}

static void foreign_free(struct party *p)
{
	for (unsigned i = 0; i < BELL_MAX; i++)
		if (load_relaxed(&p->self.bell_fd[i]) >= 0)
			process_fd_high_close(load_relaxed(&p->self.bell_fd[i]));
	arena_unmap(p->base, ARENA_BYTES);
	arena_unmap(p->mbox, MAILBOX_BYTES);
	sys2(SYS_munmap, p, sizeof(*p));
}

/* Let go of the dead that have no socket here. Caller holds meet_lock. */
static void foreign_sweep(void)
{
	for (unsigned id = 0; id < foreign_high; id++) {
		struct party *gone = NULL;
		struct ctl_msg m = { .type = CTL_LET_GO };

		lock_take(&foreign_lock);
		if (foreign[id].p && foreign[id].socks == 0 &&
		    !registry_party_alive(process.party->reg, id, foreign[id].p->gen)) {
			gone = foreign[id].p;
			foreign[id].p = NULL;
		}
		lock_drop(&foreign_lock);
		if (!gone)
			continue;
		m.peer.id = id;
		m.peer.gen = gone->gen;
		foreign_free(gone);
		/* Known as a peer as well: its sweep says so later. */
		if (!process.party->peers[id])
			process_call(&m, NULL, 0, NULL, NULL);
	}
}

/* The party of a reply, with a socket counted; mapped where it was not yet.
 * Caller holds meet_lock. Return: NULL where there is no room. */
static struct party *foreign_get(const struct ctl_msg *m, const int *fds)
{
	unsigned id = m->shared.party;
	struct foreign *f = &foreign[id];
	struct party *p = NULL, *made;

	lock_take(&foreign_lock);
	if (f->p && f->p->gen == m->shared.party_gen) {
		p = f->p;
		f->socks++;
	}
	lock_drop(&foreign_lock);
	if (p)
		return p;
	foreign_sweep();
	made = foreign_make(m, fds);
	if (!made)
		return NULL;
	lock_take(&foreign_lock);
	if (f->p && f->p->gen != m->shared.party_gen && f->socks == 0) {
		foreign_free(f->p);
		f->p = NULL;
	}
	if (!f->p) {
		f->p = made;
		made = NULL;
		if (id >= foreign_high)
			foreign_high = id + 1;
	}
	if (f->p->gen == m->shared.party_gen) {
		p = f->p;
		f->socks++;
	}
	lock_drop(&foreign_lock);
	if (made)
		foreign_free(made);
	return p;
}

void attach_put(struct party *p)
{
	lock_take(&foreign_lock);
	if (foreign[p->id].p == p)
		foreign[p->id].socks--;
	lock_drop(&foreign_lock);
}

bool attach_knows(unsigned id, uint32_t gen)
{
	bool ret;

	lock_take(&foreign_lock);
	ret = id < PARTY_MAX && foreign[id].p && foreign[id].p->gen == gen;
	lock_drop(&foreign_lock);
	return ret;
}

void attach_fork_child(void)
{
	foreign_lock = attach_lock = (struct lock){ 0 };
	for (unsigned id = 0; id < foreign_high; id++)
		if (foreign[id].p)
			foreign[id].p->lock = (struct lock){ 0 };
}

/* ---------------------------------------------------------------- giving */

static void give_shadow(struct sock *s, const int *fd)
{
	struct ctl_msg m = { .type = CTL_SHARE };
	int r;

	m.shared.party = s->party->id;
	m.shared.party_gen = s->party->gen;
	m.shared.slot = s->slot;
	m.shared.gen = half_gen(s->half);
	m.shared.has = CTL_HAS_SHADOW;
	/* A forked child needs a channel of its own to say it on. */
	r = process_party() ? process_call(&m, fd, 1, NULL, NULL) : -ENOTCONN;
	if (r < 0)
		process_log(1, "a kernel socket cannot go along with ours: %d", r);
}

/* Options that the half has no words for. */
static void give_options(struct sock *s)
{
	int fd = kept_socket(s);

	if (fd < 0)
		return;
	give_shadow(s, &fd);
	sys1(SYS_close, fd);
}

static void give(struct sock *s, bool leaves)
{
	FAULT_POINT("give.kept");
	switch ((enum sock_stage)load_relaxed(&s->stage)) {
	case SOCK_OPEN:
		give_options(s);
		if (s->foreign)
			return; /* Whoever made it a child's has done it. */
		lock_take(&s->tx_lock);
		if (leaves)
			conn_prepare_leave(&s->conn);
		else
			conn_prepare_fork(&s->conn);
		lock_drop(&s->tx_lock);
		return;
	case SOCK_LISTEN:
		if (s->bell_fd < 0 && process_party() && ring_share(s) == 0)
			watch_shared(s);
		return;
	case SOCK_PACKETS:
		return; /* Its descriptors are the kernel's. */
	case SOCK_NEW:
		store_relaxed(&s->half->shared, 1);
		if (s->shadow_fd >= 0)
			give_shadow(s, &s->shadow_fd);
		else
			give_options(s);
		return;
	}
}

void attach_give(struct sock *s)
{
	give(s, true);
}

static void spawn_give(struct sock *s, void *arg)
{
	(void)arg;
	if (load_relaxed(&s->obj.nfds) == 0)
		return;
	lock_take(&s->lock);
	give(s, false);
	lock_drop(&s->lock);
}

bool attach_spawn_before(void)
{
	unsigned fd = 0;

	while (fd < fdtab_size && !fd_is_ours((int)fd))
		fd++;
	if (fd == fdtab_size)
		return false;
	section_enter();
	socks_each(spawn_give, NULL);
	section_leave();
	return true;
}

bool attach_give_fd(int fd)
{
	struct sock *s = sock_enter(fd);

	if (!s)
		return false;
	/* Of one that is shut down the kernel's socket goes along. */
	if (!sock_lapsed(s) || !fallback_waits(s)) {
		lock_take(&s->lock);
		sock_listen_ready(s);
		attach_give(s);
		lock_drop(&s->lock);
	}
	sock_leave(s, 0);
	return true;
}

/* Does descriptor @fd survive an exec? */
static struct sock *survivor(unsigned fd)
{
	struct fobj *o = fdtab_peek((int)fd);

	return o && o->kind == FOBJ_SOCK && sys2(SYS_fcntl, fd, F_GETFD) == 0 ? (struct sock *)o
									      : NULL;
}

static void exec_give(struct sock *s)
{
	lock_take(&s->lock);
	/* Without a shadow that it could be made anew around, all that the next
	 * program can do with a bound one is to listen. */
	if (process.policy != POLICY_SHARE)
		sock_listen_ready(s);
	if (sock_lapsed(s))
		fallback_socket(s, REASON_SHARED);
	else
		attach_give(s);
}

/* Those that are not among them yet. Return: False where there is no room. */
static bool exec_give_new(struct attach_exec *x)
{
	bool room = true;

	for (unsigned fd = 0; fd < fdtab_size && room; fd++) {
		struct sock *s = survivor(fd) ? sock_get((int)fd) : NULL;

		room = (x->count + 1) * sizeof(s) <= x->bytes;
		if (s && !s->exec_held && room) {
			exec_give(s);
			s->exec_held = true;
			x->socks[x->count++] = s;
		} else if (s) {
			sock_put(s);
		}
	}
	return room;
}

static bool exec_any_new(void)
{
	for (unsigned fd = 0; fd < fdtab_size; fd++) {
		const struct sock *s = survivor(fd);

		if (s && !s->exec_held)
			return true;
	}
	return false;
}

/* Held over the exec: a thread that dies of it is in no half of ours. Last,
 * as giving takes locks that a fork holds while it waits for these. And no other
 * thread makes a socket any more. */
static void exec_hold(const struct attach_exec *x)
{
	for (size_t i = 0; i < x->count; i++)
		lock_take(&x->socks[i]->tx_lock);
	handle_stop();
}

static void exec_let_go(const struct attach_exec *x)
{
	handle_go_on();
	for (size_t i = 0; i < x->count; i++)
		lock_drop(&x->socks[i]->tx_lock);
}

static void exec_give_all(struct attach_exec *x)
{
	long at;

	*x = (struct attach_exec){ 0 };
	if (!exec_any_new())
		return;
	/* Other threads may make more. */
	at = sys6(SYS_mmap, 0, EXEC_MOST * sizeof(struct sock *), PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at < 0 && at > -4096)
		return;
	x->socks = (struct sock **)at;
	x->bytes = EXEC_MOST * sizeof(struct sock *);
	section_enter();
	/* Another thread may have made one meanwhile. */
	while (exec_give_new(x)) {
		exec_hold(x);
		if (!exec_any_new())
			return;
		exec_let_go(x);
	}
	exec_hold(x);
}

void attach_exec_before(struct attach_exec *x)
{
	exec_give_all(x);
	FAULT_POINT("exec.given");
	/* A signal that came meanwhile would be lost: its handler runs now. */
	for (int i = 0; i < SIGNAL_TRIES && x->socks && section_state.pending; i++) {
		attach_exec_after(x);
		exec_give_all(x);
	}
}

void attach_exec_after(struct attach_exec *x)
{
	if (!x->socks)
		return;
	exec_let_go(x);
	for (size_t i = 0; i < x->count; i++) {
		x->socks[i]->exec_held = false;
		lock_drop(&x->socks[i]->lock);
	}
	/* It may be the end of one, which takes other locks. */
	for (size_t i = 0; i < x->count; i++)
		sock_put(x->socks[i]);
	sys2(SYS_munmap, x->socks, x->bytes);
	x->socks = NULL;
	section_leave();
}

/* ---------------------------------------------------------------- taking */

/** struct arrival - What the daemon says of a descriptor. @fds: -1 once used. */
struct arrival {
	struct ctl_msg m;
	int fds[ATTACH_FDS];
	int bell, shadow;
	struct party *party;
	struct half *half;
};

static int arrival_ask(struct arrival *a, int fd)
{
	unsigned n = ATTACH_FDS, at = 2;
	int r;

	r = process_call(&a->m, &fd, 1, a->fds, &n);
	if (r < 0)
		return r;
	if (a->m.shared.has & CTL_HAS_BELL && at < n)
		a->bell = a->fds[at++];
	if (a->m.shared.has & CTL_HAS_SHADOW && at < n)
		a->shadow = a->fds[at++];
	if (n < 2 || at != n || a->m.shared.party >= PARTY_MAX || a->m.shared.slot >= SLOT_MAX)
		return -EPROTO;
	return 0;
}

static void arrival_end(struct arrival *a)
{
	for (unsigned i = 0; i < ATTACH_FDS; i++)
		if (a->fds[i] >= 0 && a->fds[i] != a->bell && a->fds[i] != a->shadow)
			sys1(SYS_close, a->fds[i]);
	if (a->bell >= 0)
		sys1(SYS_close, a->bell);
	if (a->shadow >= 0)
		sys1(SYS_close, a->shadow);
}

static bool party_is_own(const struct ctl_msg *m)
{
	return m->shared.party == process.party->id && m->shared.party_gen == process.party->gen;
}

static int take_bound(struct sock *s, const struct arrival *a)
{
	s->bound = addr_word_port(load_relaxed(&a->half->local)) != 0;
	store_release(&s->stage, SOCK_NEW);
	return 0;
}

static int take_open(struct sock *s, const struct arrival *a)
{
	half_ref ref = load_acquire(&a->half->peer);
	struct peer *owner;
	int r;

	if (ref == 0)
		return -EPROTO;
	/* Peers are our own party's: an inherited one meets nobody. */
	r = party_peer_get(process.party, half_ref_party(ref),
			   load_relaxed(&a->half->peer_party_gen), &owner);
	if (r < 0)
		return r;
	r = conn_attach(&s->conn, s->party, s->half, ref, owner);
	if (r < 0) {
		party_peer_put(process.party, owner);
		return r;
	}
	s->conn.lent = owner;
	s->connect_told = true;
	store_relaxed(&s->half->shared, 1);
	store_release(&s->stage, SOCK_OPEN);
	return 0;
}

static int take_listener(struct sock *s, const struct arrival *a)
{
	/* Taken by pidfd_getfd(), unasked: there is nothing to wait at. */
	if (a->bell < 0 && a->shadow < 0)
		return -EOPNOTSUPP;
	s->bound = true;
	served_here(s);
	store_release(&s->stage, SOCK_LISTEN);
	return 0;
}

/* Those of the library's range that the socket keeps. */
static void take_fds(struct sock *s, struct arrival *a)
{
	for (unsigned i = 2; i < ATTACH_FDS; i++)
		if (a->fds[i] == a->bell || a->fds[i] == a->shadow)
			a->fds[i] = -1;
	if (a->bell >= 0)
		s->bell_fd = process_fd_high(a->bell);
	if (a->shadow >= 0)
		kept_read(s, a->shadow);
	/* Without a port to hold it has told its options, and is of no further use. */
	if (a->shadow >= 0 && (load_relaxed(&s->stage) == SOCK_OPEN || !s->bound))
		sys1(SYS_close, a->shadow);
	else if (a->shadow >= 0)
		s->shadow_fd = process_fd_high(a->shadow);
	a->bell = a->shadow = -1;
}

/* Ask, and have the party that made it, with a socket counted. */
static int arrival_meet(struct arrival *a, int fd)
{
	struct party *own = process_party();
	int r;

	if (!own)
		return -ENOTCONN;
	lock_take(&own->meet_lock);
	r = arrival_ask(a, fd);
	FAULT_POINT("attach.asked");
	if (r == 0)
		a->party = party_is_own(&a->m) ? own : foreign_get(&a->m, a->fds);
	if (r == 0 && !a->party)
		r = -ENOMEM;
	lock_drop(&own->meet_lock);
	return r;
}

/* One more process of the side. */
static int take_shared(struct arrival *a, int fd)
{
	struct sock *s = sock_of_half(a->half);
	int r;

	if (s) { /* Another descriptor of one that we have. */
		attach_put(a->party);
		fdtab_install(fd, &s->obj);
		return 0;
	}
	s = sock_adopt(a->party, a->m.shared.slot, a->m.shared.handle);
	if (!s)
		return -ENOBUFS;
	kept_take(s);
	switch (half_state(a->half)) {
	case HALF_BOUND:
		r = take_bound(s, a);
		break;
	case HALF_LISTEN:
		r = take_listener(s, a);
		break;
	case HALF_OPEN:
		r = take_open(s, a);
		break;
	default:
		r = -EPROTO;
	}
	if (r < 0) {
		sock_adopt_undo(s);
		return r;
	}
	take_fds(s, a);
	store_release(&s->obj.refs, 1);
	fdtab_install(fd, &s->obj);
	return 0;
}

static int take(struct arrival *a, int fd)
{
	int r = -ESTALE;

	a->half = arena_half(a->party->base, a->m.shared.slot);
	if (half_gen(a->half) == a->m.shared.gen)
		r = take_shared(a, fd);
	if (r < 0)
		attach_put(a->party);
	return r;
}

bool attach_fd(int fd)
{
	struct arrival a = { .m = { .type = CTL_ATTACH }, .fds = { -1, -1, -1, -1 },
			     .bell = -1, .shadow = -1 };
	int r;

	if (!process.enabled || (unsigned)fd >= fdtab_size || !attach_is_handle(fd))
		return false;
	section_enter();
	lock_take(&attach_lock);
	r = arrival_meet(&a, fd);
	if (r == 0)
		r = take(&a, fd);
	lock_drop(&attach_lock);
	FAULT_POINT("attach.taken");
	arrival_end(&a);
	section_leave();
	if (r < 0)
		process_log(1, "descriptor %d came from another program and cannot be attached (%d)",
			    fd, r);
	else
		process_log(2, "descriptor %d came from another program: attached", fd);
	return r == 0;
}
