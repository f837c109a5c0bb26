/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_watch.c - Waiting (watch.c, epoll.c, poll.c, select.c) over sockets
 * that are made up here: what is ready is a number that the test sets.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/attach.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/epoll.h"
#include "posix/fallback.h"
#include "posix/process.h"
#include "posix/section.h"
#include "shm/hint.h"

#define SOCKS 64

/* ------------------------------------------------------------ the fake below */

struct process process;
__thread struct section_state section_state;
_Atomic(struct fobj *) *fdtab;
unsigned fdtab_size = 4096;

static struct party the_party;
static struct sock socks[SOCKS];
static _Atomic uint32_t bits_of[SOCKS];
static int shadow_of[SOCKS];
static int bell_fds[BELL_MAX];
static bool no_bells;
static _Atomic unsigned wants, rings;

void section_raise(void)
{
}

long section_sleep(long nr, const long a[6], const uint32_t *counter, uint32_t seen)
{
	if (*(const volatile uint32_t *)counter != seen)
		return -EINTR;
	return sys_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* No listener here is a parent's, or shared. */
bool fallback_waits(struct sock *s)
{
	(void)s;
	return false;
}

bool ring_drain(struct sock *s)
{
	(void)s;
	return false;
}

void sock_put(struct sock *s)
{
	fdtab_put(&s->obj);
}

/* Nor is there another process. */
bool sock_is_shared(const struct sock *s)
{
	(void)s;
	return false;
}

struct sock *sock_of_ref(half_ref ref, uint32_t party_gen)
{
	(void)ref;
	(void)party_gen;
	return NULL;
}

void dgram_given(int fd)
{
	(void)fd;
}

bool attach_knows(unsigned id, uint32_t gen)
{
	(void)id;
	(void)gen;
	return false;
}

int process_fd_high(int fd)
{
	return fd;
}

void process_fd_high_close(int fd)
{
	close(fd);
}

struct fobj *fdtab_get_slow(int fd)
{
	struct fobj *o = fdtab_peek(fd);

	if (o)
		atomic_fetch_add(&o->refs, 1);
	return o;
}

void fdtab_install(int fd, struct fobj *o)
{
	atomic_fetch_add(&o->nfds, 1);
	store_release(&fdtab[fd], o);
}

struct fobj *fdtab_remove(int fd)
{
	struct fobj *o = atomic_exchange(&fdtab[fd], NULL);

	if (o)
		atomic_fetch_sub(&o->nfds, 1);
	return o;
}

long fd_made(long fd)
{
	return fd;
}

bool fd_is_ours(int fd)
{
	struct fobj *o = fdtab_peek(fd);

	return o && o->kind == FOBJ_SOCK;
}

bool fd_is_library(int fd)
{
	for (unsigned b = 0; b < BELL_MAX; b++)
		if (bell_fds[b] == fd)
			return true;
	return false;
}

int fdtab_kernel_size(void)
{
	return 1024;
}

bool process_orphaned(void)
{
	return process.orphan;
}

struct party *process_party(void)
{
	return process.party;
}

/* Nor has a set two entries for one datagram socket. */
int process_fd_copy(int fd)
{
	(void)fd;
	return -EMFILE;
}

/* No connection here is another process's. */
void sock_alias(unsigned slot, struct sock *s)
{
	(void)slot, (void)s;
}

int process_bell_fd(unsigned bell)
{
	if (no_bells)
		return -EMFILE;
	if (bell_fds[bell] < 0)
		bell_fds[bell] = fcntl(eventfd(0, EFD_NONBLOCK), F_DUPFD_CLOEXEC, 500);
	return bell_fds[bell];
}

static unsigned number(const struct sock *s)
{
	return (unsigned)(s - socks);
}

uint32_t sock_poll(struct sock *s)
{
	return atomic_load(&bits_of[number(s)]);
}

int sock_shadow(const struct sock *s)
{
	return shadow_of[number(s)];
}

void sock_want(struct sock *s, uint32_t events)
{
	wants++;
	atomic_fetch_or(&s->half->want, (events & POLLOUT ? WANT_HINT_SPACE : 0) | WANT_HINT_DATA);
}

void sock_unwant(struct sock *s, uint32_t events)
{
	atomic_fetch_and(&s->half->want, ~((events & POLLOUT ? WANT_HINT_SPACE : 0) |
					   (events & POLLIN ? WANT_HINT_DATA : 0)));
}

struct sock *sock_of_slot(unsigned slot)
{
	return slot < SOCKS ? &socks[slot] : NULL;
}

/* What a peer does. */
static void peer_sets(unsigned i, uint32_t on, uint32_t off)
{
	struct arena_hdr *hdr = arena_hdr(the_party.base);
	uint32_t want, bell;
	uint64_t one = 1;

	atomic_fetch_and(&bits_of[i], ~off);
	atomic_fetch_or(&bits_of[i], on);
	atomic_thread_fence(memory_order_seq_cst);
	want = load_relaxed(&socks[i].half->want);
	if (!(want & (on & POLLOUT ? WANT_HINT_SPACE | WANT_HINT_DATA : WANT_HINT_DATA)))
		return;
	bell = load_relaxed(&socks[i].half->bell);
	hint_set(the_party.mbox, i);
	if (load_relaxed(&hdr->bells[bell].sleepers) == 0)
		return;
	rings++;
	assert_int_equal(write(bell_fds[bell], &one, 8), 8);
}

/* A descriptor for sock @i. */
static int sock_open(unsigned i)
{
	int fd = eventfd(0, 0); /* anything that can be polled and is never ready for input */

	socks[i].obj.kind = FOBJ_SOCK;
	socks[i].party = &the_party;
	atomic_fetch_add(&socks[i].obj.refs, 1);
	fdtab_install(fd, &socks[i].obj);
	return fd;
}

static void shut(int fd)
{
	struct fobj *o = fdtab_remove(fd);

	if (o && o->kind == FOBJ_SOCK && load_relaxed(&o->nfds) == 0)
		watch_gone((struct sock *)(void *)o);
	close(fd);
	if (o)
		fdtab_put(o);
}

static void last_nothing(struct fobj *o)
{
	(void)o;
}

static void *pages(size_t n)
{
	return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
}

static int setup(void **state)
{
	(void)state;
	if (!fdtab) {
		fdtab = pages(fdtab_size * sizeof(*fdtab));
		the_party.base = pages(1 << 24 | 1 << 21);
		the_party.mbox = pages(MAILBOX_BYTES);
		memset(bell_fds, 0xff, sizeof(bell_fds));
		store_relaxed(&arena_hdr(the_party.base)->slots_used, SOCKS);
	}
	process.enabled = true;
	process.party = &the_party;
	process.nofile_soft = 1024;
	process.spin_ns = 50000;
	process.ctl_fd = -1;
	no_bells = false;
	for (unsigned i = 0; i < SOCKS; i++) {
		memset(&socks[i], 0, sizeof(socks[i]));
		socks[i].obj.last = last_nothing;
		socks[i].bell_fd = -1;
		socks[i].half = arena_half(the_party.base, i);
		store_relaxed(&socks[i].half->want, 0);
		bits_of[i] = 0;
		shadow_of[i] = -1;
	}
	return 0;
}

/* ------------------------------------------------------------------- helpers */

static struct timespec ms(uint64_t n)
{
	return clock_timespec(n * NS_PER_MS);
}

static int set_make(void)
{
	return (int)call_epoll_create1(0);
}

static long ctl(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return call_epoll_ctl(ep, op, fd, &ev);
}

static long wait_ms(int ep, struct epoll_event *evs, int max, uint64_t n)
{
	struct timespec t = ms(n);

	return call_epoll_pwait2(ep, evs, max, &t, NULL);
}

#define assert_none(ep) \
	do { \
		struct epoll_event none_[8]; \
		assert_int_equal(wait_ms(ep, none_, 8, 0), 0); \
	} while (0)
#define assert_one(ep, bits, d) \
	do { \
		struct epoll_event one_[8]; \
		assert_int_equal(wait_ms(ep, one_, 8, 0), 1); \
		assert_int_equal(one_[0].events, (bits)); \
		assert_int_equal(one_[0].data.u64, (d)); \
	} while (0)

struct later {
	unsigned sock, after_ms;
	uint32_t on;
	int fd; /* instead: write eight bytes */
};

static void *later_run(void *arg)
{
	struct later *l = arg;
	uint64_t one = 1;

	usleep(l->after_ms * 1000);
	if (l->fd)
		assert_true(write(l->fd, &one, 8) > 0);
	else
		peer_sets(l->sock, l->on, 0);
	return NULL;
}

static pthread_t later(struct later *l)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, later_run, l), 0);
	return t;
}

/* ---------------------------------------------------------------------- epoll */

static void epoll__level(void **state)
{
	int ep = set_make(), fd = sock_open(1);

	(void)state;
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 77), 0);
	assert_none(ep);
	peer_sets(1, POLLIN | POLLOUT, 0);
	assert_one(ep, EPOLLIN, 77);
	assert_one(ep, EPOLLIN, 77);
	assert_one(ep, EPOLLIN, 77);
	peer_sets(1, 0, POLLIN);
	assert_none(ep);
	peer_sets(1, POLLIN, 0);
	assert_one(ep, EPOLLIN, 77);
	peer_sets(1, POLLHUP | POLLERR | POLLRDHUP, POLLIN);
	assert_one(ep, EPOLLHUP | EPOLLERR, 77);
	shut(fd);
	assert_none(ep);
	shut(ep);
}

static void epoll__edge(void **state)
{
	int ep = set_make(), fd = sock_open(1);

	(void)state;
	bits_of[1] = POLLOUT;
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 5), 0);
	assert_one(ep, EPOLLOUT, 5);
	assert_none(ep);
	peer_sets(1, POLLIN, 0);
	assert_one(ep, EPOLLIN | EPOLLOUT, 5);
	assert_none(ep);
	/* More of what is there already is one more edge. */
	peer_sets(1, POLLIN, 0);
	assert_one(ep, EPOLLIN | EPOLLOUT, 5);
	assert_none(ep);
	/* MOD reports again. */
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, 6), 0);
	assert_one(ep, EPOLLIN, 6);
	assert_none(ep);
	shut(fd);
	shut(ep);
}

static void epoll__edge_of_space(void **state)
{
	int ep = set_make(), fd = sock_open(1);

	(void)state;
	bits_of[1] = POLLOUT;
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLET, 5), 0);
	assert_one(ep, EPOLLOUT, 5);
	assert_false(socks[1].half->want & WANT_HINT_SPACE);
	/* The program fills it. */
	bits_of[1] = 0;
	watch_full(&socks[1]);
	assert_true(socks[1].half->want & WANT_HINT_SPACE);
	assert_none(ep);
	peer_sets(1, POLLOUT, 0);
	assert_one(ep, EPOLLOUT, 5);
	assert_none(ep);
	/* There was room again before anybody could ask for it. */
	watch_full(&socks[1]);
	assert_one(ep, EPOLLOUT, 5);
	assert_none(ep);
	shut(fd);
	shut(ep);
}

static void epoll__oneshot(void **state)
{
	int ep = set_make(), fd = sock_open(1);

	(void)state;
	peer_sets(1, POLLIN, 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, 5), 0);
	assert_one(ep, EPOLLIN, 5);
	assert_none(ep);
	peer_sets(1, POLLIN | POLLHUP, 0);
	assert_none(ep);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 6), 0);
	assert_one(ep, EPOLLIN | EPOLLHUP, 6);
	assert_none(ep);
	shut(fd);
	shut(ep);
}

static void epoll_ctl__errors(void **state)
{
	int ep = set_make(), fd = sock_open(1), other = sock_open(1), p[2];
	struct epoll_event ev[2];
	struct timespec bad = { 0, 1000000000 };

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN, 0), -ENOENT);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, fd, EPOLLIN, 0), -ENOENT);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), -EEXIST);
	/* A duplicate is an entry of its own. */
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, other, EPOLLIN, 2), 0);
	peer_sets(1, POLLIN, 0);
	assert_int_equal(wait_ms(ep, ev, 2, 0), 2);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, fd, 0, 0), 0);
	assert_one(ep, EPOLLIN, 2);
	assert_int_equal(ctl(fd, EPOLL_CTL_ADD, other, EPOLLIN, 2), -EINVAL);
	assert_int_equal(ctl(fd, EPOLL_CTL_ADD, p[0], EPOLLIN, 2), -EINVAL);
	assert_int_equal(ctl(p[0], EPOLL_CTL_ADD, fd, EPOLLIN, 2), -EINVAL);
	assert_int_equal(ctl(999, EPOLL_CTL_ADD, fd, EPOLLIN, 2), -EBADF);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, 999, EPOLLIN, 2), -EBADF);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 2), -EINVAL);
	assert_int_equal(ctl(ep, 9, fd, EPOLLIN, 2), -EINVAL);
	assert_int_equal(call_epoll_ctl(ep, EPOLL_CTL_ADD, fd, NULL), -EFAULT);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 2),
			 -EINVAL);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, 2), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN, 2), -EINVAL);
	assert_int_equal(ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN, 2), NOT_OURS);
	assert_int_equal(call_epoll_pwait2(ep, ev, 0, NULL, NULL), -EINVAL);
	assert_int_equal(call_epoll_pwait2(ep, ev, -1, NULL, NULL), -EINVAL);
	assert_int_equal(call_epoll_pwait2(ep, ev, 1, &bad, NULL), -EINVAL);
	assert_int_equal(call_epoll_pwait2(fd, ev, 1, NULL, NULL), -EINVAL);
	assert_int_equal(call_epoll_pwait2(p[0], ev, 1, NULL, NULL), NOT_OURS);
	/* The number goes, the entry stays: a duplicate keeps the socket. */
	shut(fd);
	peer_sets(1, POLLIN, 0);
	assert_int_equal(wait_ms(ep, ev, 2, 0), 2);
	shut(other);
	assert_none(ep);
	shut(ep);
	close(p[0]);
	close(p[1]);
}

static void epoll_wait__fair(void **state)
{
	int ep = set_make(), fd[8], p[2];
	unsigned seen[9] = { 0 };
	struct epoll_event ev[3];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	for (unsigned i = 0; i < 8; i++) {
		fd[i] = sock_open(i + 1);
		assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd[i], EPOLLIN, i), 0);
		peer_sets(i + 1, POLLIN, 0);
	}
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 8), 0);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(wait_ms(ep, ev, 3, 0), 3);
		for (unsigned k = 0; k < 3; k++)
			seen[ev[k].data.u64]++;
	}
	for (unsigned i = 0; i < 9; i++)
		assert_true(seen[i] > 2);
	/* Room for one only. */
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(wait_ms(ep, ev, 1, 0), 1);
		seen[ev[0].data.u64]++;
	}
	for (unsigned i = 0; i < 9; i++)
		assert_true(seen[i] > 2);
	for (unsigned i = 0; i < 8; i++)
		shut(fd[i]);
	assert_one(ep, EPOLLIN, 8);
	shut(ep);
	close(p[0]);
	close(p[1]);
}

static void epoll_wait__sleeps(void **state)
{
	int ep = set_make(), fd = sock_open(1), kernel = eventfd(0, 0);
	struct later l = { .sock = 1, .after_ms = 30, .on = POLLIN };
	struct later k = { .after_ms = 30, .fd = kernel };
	struct epoll_event ev[4];
	uint64_t from, took;
	pthread_t t;

	(void)state;
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, kernel, EPOLLIN, 2), 0);
	from = clock_now_ns();
	assert_int_equal(wait_ms(ep, ev, 4, 20), 0);
	took = clock_now_ns() - from;
	assert_in_range(took, 20 * NS_PER_MS, 200 * NS_PER_MS);
	t = later(&l);
	assert_int_equal(wait_ms(ep, ev, 4, 5000), 1);
	assert_int_equal(ev[0].data.u64, 1);
	pthread_join(t, NULL);
	assert_int_equal(arena_hdr(the_party.base)->bells[1].sleepers, 0);
	peer_sets(1, 0, POLLIN);
	t = later(&k);
	assert_int_equal(wait_ms(ep, ev, 4, 5000), 1);
	assert_int_equal(ev[0].data.u64, 2);
	pthread_join(t, NULL);
	/* Both. */
	peer_sets(1, POLLIN, 0);
	for (unsigned i = 0, both = 0; !both; i++) {
		assert_true(i < 64);
		both = wait_ms(ep, ev, 4, 100) == 2;
	}
	shut(fd);
	close(kernel);
	shut(ep);
}

static _Atomic int ctl_done;

static void *adder(void *arg)
{
	int *fds = arg;

	usleep(30000);
	assert_int_equal(ctl(fds[0], EPOLL_CTL_ADD, fds[1], EPOLLIN, 9), 0);
	ctl_done = 1;
	return NULL;
}

static void epoll_ctl__wakes_sleeper(void **state)
{
	int ep = set_make(), fd = sock_open(1);
	int fds[2] = { ep, fd };
	struct epoll_event ev[4];
	pthread_t t;

	(void)state;
	/* The set's first socket, ready already. */
	peer_sets(1, POLLIN, 0);
	pthread_create(&t, NULL, adder, fds);
	assert_int_equal(wait_ms(ep, ev, 4, 5000), 1);
	assert_int_equal(ev[0].data.u64, 9);
	pthread_join(t, NULL);
	shut(fd);
	/* The next is not ready when it is added. */
	peer_sets(2, 0, POLLIN);
	fds[1] = sock_open(2);
	pthread_create(&t, NULL, adder, fds);
	{
		struct later l = { .sock = 2, .after_ms = 80, .on = POLLIN };
		pthread_t u = later(&l);

		assert_int_equal(wait_ms(ep, ev, 4, 5000), 1);
		pthread_join(u, NULL);
	}
	pthread_join(t, NULL);
	shut(fds[1]);
	shut(ep);
}

static void epoll__two_sets(void **state)
{
	int a = set_make(), b = set_make(), fd = sock_open(1), only = sock_open(2);
	struct later l = { .sock = 1, .after_ms = 30, .on = POLLIN };
	struct epoll_event ev[4];
	pthread_t t;

	(void)state;
	assert_int_equal(ctl(a, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(ctl(b, EPOLL_CTL_ADD, only, EPOLLIN, 3), 0);
	assert_int_equal(ctl(b, EPOLL_CTL_ADD, fd, EPOLLIN, 2), 0);
	/* The second sleeps, the first never looks. */
	assert_none(a);
	t = later(&l);
	assert_int_equal(wait_ms(b, ev, 4, 5000), 1);
	assert_int_equal(ev[0].data.u64, 2);
	pthread_join(t, NULL);
	assert_one(a, EPOLLIN, 1);
	shut(fd);
	shut(only);
	shut(a);
	shut(b);
}

static void epoll__nested(void **state)
{
	int outer = set_make(), inner = set_make(), fd, p[2];
	struct later l = { .sock = 1, .after_ms = 30, .on = POLLIN };
	struct epoll_event ev[4];
	struct pollfd pfd = { .fd = outer, .events = POLLIN };
	struct timespec t0 = ms(0), t5 = ms(5000), t20 = ms(20);
	pthread_t t;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 10), 0);
	assert_int_equal(ctl(inner, EPOLL_CTL_ADD, outer, EPOLLIN, 10), -ELOOP);
	assert_int_equal(ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 10), -EEXIST);
	assert_none(outer);
	/* Sockets come later. */
	fd = sock_open(1);
	assert_int_equal(ctl(inner, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(wait_ms(outer, ev, 4, 20), 0);
	assert_int_equal(call_ppoll(&pfd, 1, &t0, NULL), 0);
	t = later(&l);
	assert_int_equal(wait_ms(outer, ev, 4, 5000), 1);
	assert_int_equal(ev[0].data.u64, 10);
	assert_int_equal(ev[0].events, EPOLLIN);
	pthread_join(t, NULL);
	assert_int_equal(call_ppoll(&pfd, 1, &t0, NULL), 1);
	assert_int_equal(pfd.revents, POLLIN);
	assert_one(inner, EPOLLIN, 1);
	assert_one(outer, EPOLLIN, 10);
	peer_sets(1, 0, POLLIN);
	assert_none(outer);
	assert_int_equal(call_ppoll(&pfd, 1, &t20, NULL), 0);
	t = later(&l);
	assert_int_equal(call_ppoll(&pfd, 1, &t5, NULL), 1);
	pthread_join(t, NULL);
	peer_sets(1, 0, POLLIN);
	/* The inner set's kernel descriptor. */
	assert_int_equal(ctl(inner, EPOLL_CTL_ADD, p[0], EPOLLIN, 2), 0);
	assert_none(outer);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(wait_ms(outer, ev, 4, 1000), 1);
	assert_one(inner, EPOLLIN, 2);
	assert_int_equal(read(p[0], ev, 1), 1);
	assert_none(outer);
	assert_int_equal(ctl(outer, EPOLL_CTL_DEL, inner, 0, 0), 0);
	peer_sets(1, POLLIN, 0);
	assert_none(outer);
	shut(fd);
	shut(inner);
	shut(outer);
	close(p[0]);
	close(p[1]);
}

static void epoll__nested_sleep_is_quiet(void **state)
{
	int outer = set_make(), inner = set_make(), fd = sock_open(1);
	struct timespec a, b;
	struct epoll_event ev[4];
	struct later l = { .sock = 1, .after_ms = 20, .on = POLLIN };
	pthread_t t;

	(void)state;
	assert_int_equal(ctl(inner, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 10), 0);
	t = later(&l);
	assert_int_equal(wait_ms(outer, ev, 4, 1000), 1);
	pthread_join(t, NULL);
	assert_one(inner, EPOLLIN, 1);
	peer_sets(1, 0, POLLIN);
	assert_none(inner);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	assert_int_equal(wait_ms(outer, ev, 4, 200), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec < 20000000);
	shut(fd);
	shut(inner);
	shut(outer);
}

static void epoll__shadow(void **state)
{
	int ep = set_make(), fd, p[2];
	struct later k;
	struct epoll_event ev[4];
	struct pollfd pfd;
	struct timespec t5 = ms(5000);
	char c;
	pthread_t t;

	(void)state;
	assert_int_equal(pipe(p), 0);
	fd = sock_open(1);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_none(ep);
	/* listen() comes after the entry. */
	shadow_of[1] = p[0];
	watch_changed(&socks[1]);
	assert_none(ep);
	k = (struct later){ .after_ms = 20, .fd = p[1] };
	t = later(&k);
	assert_int_equal(wait_ms(ep, ev, 4, 5000), 1);
	assert_int_equal(ev[0].events, EPOLLIN);
	assert_int_equal(ev[0].data.u64, 1);
	pthread_join(t, NULL);
	assert_one(ep, EPOLLIN, 1);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(read(p[0], &c, 1), 1);
	assert_none(ep);
	t = later(&k);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	assert_int_equal(call_ppoll(&pfd, 1, &t5, NULL), 1);
	assert_int_equal(pfd.revents, POLLIN);
	pthread_join(t, NULL);
	assert_int_equal(wait_sock(&socks[1], POLLIN, clock_now_ns() + NS_PER_SEC,
				   &section_state.handled, section_state.handled), 0);
	shut(fd);
	assert_none(ep);
	shut(ep);
	close(p[0]);
	close(p[1]);
}

static void epoll__to_kernel(void **state)
{
	int ep = set_make(), fd = sock_open(1), p[2];
	struct epoll_event ev[4];
	struct fobj *o;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 4), 0);
	assert_none(ep);
	o = fdtab_remove(fd);
	assert_int_equal(dup2(p[0], fd), fd);
	watch_to_kernel(&socks[1], fd);
	fdtab_put(o);
	assert_null(socks[1].watches);
	assert_int_equal(wait_ms(ep, ev, 4, 10), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_one(ep, EPOLLIN, 4);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, fd, 0, 0), 0);
	assert_none(ep);
	close(fd);
	shut(ep);
	close(p[0]);
	close(p[1]);
}

static void epoll__without_bells(void **state)
{
	int ep, fd = sock_open(1);
	struct later l = { .sock = 1, .after_ms = 30, .on = POLLIN };
	struct epoll_event ev[4];
	pthread_t t;

	(void)state;
	/* All fifteen are in use, and the common one cannot be had. */
	no_bells = true;
	for (unsigned b = 0; b < BELL_MAX; b++)
		if (bell_fds[b] >= 0)
			goto out; /* they were made by the tests before */
	ep = set_make();
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	t = later(&l);
	assert_int_equal(wait_ms(ep, ev, 4, 5000), 1);
	pthread_join(t, NULL);
	shut(ep);
out:
	shut(fd);
}

static void epoll__many_sets(void **state)
{
	int ep[40], fd[40];
	struct epoll_event ev[2];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct later l = { .sock = i, .after_ms = 5, .on = POLLIN };
		pthread_t t;

		ep[i] = set_make();
		fd[i] = sock_open(i);
		assert_int_equal(ctl(ep[i], EPOLL_CTL_ADD, fd[i], EPOLLIN, i), 0);
		t = later(&l);
		assert_int_equal(wait_ms(ep[i], ev, 2, 5000), 1);
		assert_int_equal(ev[0].data.u64, i);
		pthread_join(t, NULL);
	}
	for (unsigned i = 0; i < 40; i++) {
		shut(fd[i]);
		shut(ep[i]);
	}
}

static int storm_ep;
static _Atomic unsigned storm_got, storm_stop;

static void *storm_waiter(void *arg)
{
	struct epoll_event ev[4];

	(void)arg;
	while (!storm_stop) {
		long n = wait_ms(storm_ep, ev, 4, 2000);

		assert_true(n >= 0);
		for (long i = 0; i < n; i++) {
			/* One-shot: it is this thread's alone. */
			peer_sets((unsigned)ev[i].data.u64, 0, POLLIN);
			storm_got++;
			ctl(storm_ep, EPOLL_CTL_MOD, socks[ev[i].data.u64].parked_fd,
			    EPOLLIN | EPOLLONESHOT, ev[i].data.u64);
		}
	}
	return NULL;
}

static void epoll__threads_on_one_set(void **state)
{
	pthread_t t[3];
	unsigned sent = 0;
	uint64_t end;

	(void)state;
	storm_got = storm_stop = 0;
	storm_ep = set_make();
	for (unsigned i = 0; i < 16; i++) {
		socks[i].parked_fd = sock_open(i);
		assert_int_equal(ctl(storm_ep, EPOLL_CTL_ADD, socks[i].parked_fd,
				     EPOLLIN | EPOLLONESHOT, i), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, storm_waiter, NULL);
	for (unsigned r = 0; r < 20000; r++) {
		unsigned i = r * 7 % 16;

		if (atomic_load(&bits_of[i]) & POLLIN)
			continue;
		peer_sets(i, POLLIN, 0);
		sent++;
		if (r % 64 == 0)
			usleep(50);
	}
	end = clock_now_ns() + 5 * NS_PER_SEC;
	while (storm_got < sent && clock_now_ns() < end)
		usleep(1000);
	assert_int_equal(storm_got, sent);
	storm_stop = 1;
	for (unsigned i = 0; i < 16; i++)
		peer_sets(i, POLLIN, 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (unsigned b = 0; b < BELL_MAX; b++)
		assert_int_equal(arena_hdr(the_party.base)->bells[b].sleepers, 0);
	for (unsigned i = 0; i < 16; i++)
		shut(socks[i].parked_fd);
	shut(storm_ep);
}

static void epoll__idle_uses_no_cpu(void **state)
{
	int ep = set_make(), fd = sock_open(1);
	struct timespec a, b;
	struct epoll_event ev[2];

	(void)state;
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(wait_ms(ep, ev, 2, 10), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec < 10000000);
	shut(fd);
	shut(ep);
}

/* ----------------------------------------------------------------- poll, select */

static void ppoll__mixed(void **state)
{
	int fd = sock_open(1), p[2];
	struct pollfd f[5] = { { 0 } };
	struct timespec t0 = ms(0), t20 = ms(20), t5 = ms(5000), bad = { -1, 0 };
	struct later l = { .sock = 1, .after_ms = 20, .on = POLLIN };
	uint64_t from;
	pthread_t t;

	(void)state;
	assert_int_equal(pipe(p), 0);
	f[0] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	f[1] = (struct pollfd){ .fd = fd, .events = POLLIN };
	f[2] = (struct pollfd){ .fd = -1, .events = POLLIN, .revents = 7 };
	assert_int_equal(call_ppoll(f, 1, &t0, NULL), NOT_OURS);
	assert_int_equal(call_ppoll(f, 5000, &t0, NULL), -EINVAL);
	assert_int_equal(call_ppoll(f, 3, &bad, NULL), -EINVAL);
	assert_int_equal(call_ppoll(f, 3, &t0, NULL), 0);
	assert_int_equal(f[2].revents, 0);
	from = clock_now_ns();
	assert_int_equal(call_ppoll(f, 3, &t20, NULL), 0);
	assert_in_range(clock_now_ns() - from, 20 * NS_PER_MS, 200 * NS_PER_MS);
	t = later(&l);
	assert_int_equal(call_ppoll(f, 3, &t5, NULL), 1);
	assert_int_equal(f[1].revents, POLLIN);
	assert_int_equal(f[0].revents, 0);
	pthread_join(t, NULL);
	assert_null(socks[1].watches);
	assert_int_equal(socks[1].half->want & WANT_HINT_DATA, 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	f[2].fd = 999;
	assert_int_equal(call_ppoll(f, 3, NULL, NULL), 3);
	assert_int_equal(f[0].revents, POLLIN);
	assert_int_equal(f[1].revents, POLLIN);
	assert_int_equal(f[2].revents, POLLNVAL);
	/* The kernel's wakes it as well. */
	bits_of[1] = POLLHUP;
	f[1].events = 0;
	assert_int_equal(call_ppoll(f, 2, &t0, NULL), 2);
	assert_int_equal(f[1].revents, POLLHUP);
	bits_of[1] = 0;
	assert_int_equal(call_ppoll(f, 2, &t5, NULL), 1);
	shut(fd);
	close(p[0]);
	close(p[1]);
}

static void ppoll__many(void **state)
{
	static struct pollfd f[3000];
	int fd = sock_open(1);
	struct later l = { .sock = 1, .after_ms = 20, .on = POLLOUT };
	struct timespec t5 = ms(5000);
	pthread_t t;

	(void)state;
	process.nofile_soft = 3000;
	for (unsigned i = 0; i < 3000; i++)
		f[i] = (struct pollfd){ .fd = fd, .events = POLLOUT };
	t = later(&l);
	assert_int_equal(call_ppoll(f, 3000, &t5, NULL), 3000);
	pthread_join(t, NULL);
	shut(fd);
}

static void on_signal(int sig)
{
	(void)sig;
	section_state.handled++;
}

/* Others that share the bell find it ringing, again and again, until the one
 * that was kicked has had the CPU. */
static void drain__leaves_a_kick_to_its_waiter(void **state)
{
	struct waiter *r = waiter_call_get();
	struct pollfd p = { .events = POLLIN };

	(void)state;
	waiter_bell_get(r);
	watch_lock();
	waiter_add_bells(r, 1u << r->bell);
	r->sleeping++;
	waiter_kick(r);
	p.fd = bell_fds[r->bell];
	for (unsigned i = 0; i < 5000; i++)
		watch_drain(r->bells);
	assert_int_equal(poll(&p, 1, 0), 1);
	/* It left its sleep by siglongjmp(): not for ever. */
	r->kick_ns -= 2 * NS_PER_SEC;
	for (unsigned i = 0; i < 5000; i++)
		watch_drain(r->bells);
	assert_int_equal(poll(&p, 1, 0), 0);
	/* Should it be there after all, it can be kicked again. */
	waiter_kick(r);
	assert_int_equal(poll(&p, 1, 0), 1);
	waiter_awake(r);
	watch_drain(r->bells);
	assert_int_equal(poll(&p, 1, 0), 0);
	watch_unlock();
	waiter_call_put(r);
}

static void *kicker(void *arg)
{
	usleep(30000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void wait__interrupted(void **state)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int ep = set_make(), fd = sock_open(1);
	struct pollfd f = { .fd = fd, .events = POLLIN };
	struct epoll_event ev[2];
	sigset_t usr1, none;
	pthread_t self = pthread_self(), t;

	(void)state;
	sigaction(SIGUSR1, &sa, NULL);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	pthread_create(&t, NULL, kicker, &self);
	assert_int_equal(call_epoll_pwait2(ep, ev, 2, NULL, NULL), -EINTR);
	pthread_join(t, NULL);
	pthread_create(&t, NULL, kicker, &self);
	assert_int_equal(call_ppoll(&f, 1, NULL, NULL), -EINTR);
	pthread_join(t, NULL);
	/* Pending, and only the call's own mask lets it through. */
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	assert_int_equal(wait_ms(ep, ev, 2, 20), 0);
	assert_int_equal(call_epoll_pwait2(ep, ev, 2, NULL, &none), -EINTR);
	raise(SIGUSR1);
	assert_int_equal(call_ppoll(&f, 1, NULL, &none), -EINTR);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	for (unsigned b = 0; b < BELL_MAX; b++)
		assert_int_equal(arena_hdr(the_party.base)->bells[b].sleepers, 0);
	shut(fd);
	shut(ep);
}

static void pselect__mapping(void **state)
{
	int fd = sock_open(1), p[2];
	struct timespec t0 = ms(0), t30 = ms(30), left = { 99, 0 };
	struct later l = { .sock = 1, .after_ms = 20, .on = POLLIN };
	fd_set r, w, e;
	pthread_t t;

	(void)state;
	assert_int_equal(pipe(p), 0);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(p[0], &r);
	assert_int_equal(call_pselect(p[1] + 1, &r, NULL, NULL, &t0, NULL, NULL), NOT_OURS);
	assert_int_equal(call_pselect(-1, &r, NULL, NULL, &t0, NULL, NULL), -EINVAL);
	FD_SET(fd, &r);
	FD_SET(fd, &w);
	FD_SET(fd, &e);
	bits_of[1] = POLLOUT | POLLHUP | POLLIN;
	assert_int_equal(call_pselect(p[1] + 1, &r, &w, &e, &t30, NULL, &left), 2);
	assert_true(FD_ISSET(fd, &r) && FD_ISSET(fd, &w) && !FD_ISSET(fd, &e));
	assert_false(FD_ISSET(p[0], &r));
	assert_int_equal(left.tv_sec, 0);
	assert_in_range(left.tv_nsec, 1000000, 30000000);
	/* A hang-up is nothing that who asks for exceptions sees. */
	bits_of[1] = POLLHUP;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(fd, &e);
	assert_int_equal(call_pselect(p[1] + 1, &r, &w, &e, &t30, NULL, &left), 0);
	assert_int_equal(left.tv_nsec, 0);
	assert_false(FD_ISSET(fd, &e));
	/* A kernel descriptor that hangs up, asked for exceptions only. */
	close(p[1]);
	bits_of[1] = 0;
	FD_SET(p[0], &e);
	FD_SET(fd, &r);
	t = later(&l);
	t30 = ms(5000);
	assert_int_equal(call_pselect(p[0] + 1 > fd ? p[0] + 1 : fd + 1, &r, &w, &e, &t30, NULL,
				      NULL), 1);
	assert_true(FD_ISSET(fd, &r) && !FD_ISSET(p[0], &e));
	pthread_join(t, NULL);
	close(p[0]);
	FD_SET(p[0], &e);
	assert_int_equal(call_pselect(fd + 9, &r, &w, &e, &t0, NULL, NULL), -EBADF);
	assert_true(FD_ISSET(fd, &r));
	shut(fd);
}

static void wait_sock__waits(void **state)
{
	int fd = sock_open(1);
	struct later l = { .sock = 1, .after_ms = 20, .on = POLLIN };
	uint64_t from = clock_now_ns();
	pthread_t t;

	(void)state;
	section_enter();
	assert_int_equal(wait_sock(&socks[1], POLLIN, from + 20 * NS_PER_MS,
				   &section_state.handled, section_state.handled), -ETIMEDOUT);
	assert_in_range(clock_now_ns() - from, 20 * NS_PER_MS, 200 * NS_PER_MS);
	t = later(&l);
	assert_int_equal(wait_sock(&socks[1], POLLIN, 0, &section_state.handled,
				   section_state.handled), 0);
	pthread_join(t, NULL);
	bits_of[1] = 0;
	assert_int_equal(wait_sock(&socks[1], POLLIN, 0, &section_state.handled,
				   section_state.handled - 1), -EINTR);
	section_leave();
	assert_int_equal(section_state.depth, 0);
	assert_null(socks[1].watches);
	shut(fd);
}

static void foreign__in_slices(void **state)
{
	int ep = set_make(), fd = sock_open(1);
	struct half peer = { 0 };
	struct epoll_event ev[2];
	struct pollfd f = { .fd = fd, .events = POLLIN };
	struct timespec t5 = ms(5000);
	struct later l = { .sock = 1, .after_ms = 30, .on = POLLIN };
	pthread_t t;

	(void)state;
	wants = 0;
	socks[1].foreign = true;
	socks[1].conn.peer = &peer;
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 1), 0);
	t = later(&l);
	assert_int_equal(wait_ms(ep, ev, 2, 5000), 1);
	pthread_join(t, NULL);
	assert_none(ep);
	store_relaxed(&peer.tail, 5);
	assert_int_equal(wait_ms(ep, ev, 2, 100), 1);
	assert_int_equal(wait_ms(ep, ev, 2, 10), 0);
	bits_of[1] = 0;
	t = later(&l);
	assert_int_equal(call_ppoll(&f, 1, &t5, NULL), 1);
	pthread_join(t, NULL);
	assert_int_equal(wants, 0);
	shut(fd);
	shut(ep);
}

/* Last: afterwards this process believes that it is its own child. */
static void fork_child__inherited_set(void **state)
{
	int ep = set_make(), fd = sock_open(1), outer = set_make(), own;
	struct later l = { .sock = 1, .after_ms = 30, .on = POLLIN };
	struct later m = { .sock = 2, .after_ms = 30, .on = POLLIN };
	struct epoll_event ev[2];
	pthread_t t;

	(void)state;
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(ctl(outer, EPOLL_CTL_ADD, ep, EPOLLIN, 3), 0);
	assert_none(outer);
	watch_fork_before();
	watch_fork_child();
	memset(bell_fds, 0xff, sizeof(bell_fds));
	socks[1].foreign = true;
	process.party = NULL;
	t = later(&l);
	assert_int_equal(wait_ms(ep, ev, 2, 5000), 1);
	pthread_join(t, NULL);
	assert_one(outer, EPOLLIN, 3);
	bits_of[1] = 0;
	assert_none(ep);
	t = later(&l);
	assert_int_equal(wait_ms(outer, ev, 2, 5000), 1);
	pthread_join(t, NULL);
	bits_of[1] = 0;
	assert_int_equal(wait_ms(ep, ev, 2, 10), 0);
	process.party = &the_party;
	own = sock_open(2);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, own, EPOLLIN, 2), 0);
	t = later(&m);
	assert_int_equal(wait_ms(ep, ev, 2, 5000), 1);
	assert_int_equal(ev[0].data.u64, 2);
	pthread_join(t, NULL);
	peer_sets(2, 0, POLLIN);
	t = later(&m);
	assert_int_equal(wait_ms(outer, ev, 2, 5000), 1);
	pthread_join(t, NULL);
	shut(own);
	shut(fd);
	shut(ep);
	shut(outer);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(epoll__without_bells),
		TEST(epoll__level),
		TEST(epoll__edge),
		TEST(epoll__edge_of_space),
		TEST(epoll__oneshot),
		TEST(epoll_ctl__errors),
		TEST(epoll_wait__fair),
		TEST(epoll_wait__sleeps),
		TEST(epoll_ctl__wakes_sleeper),
		TEST(epoll__two_sets),
		TEST(epoll__nested),
		TEST(epoll__nested_sleep_is_quiet),
		TEST(epoll__shadow),
		TEST(epoll__to_kernel),
		TEST(epoll__many_sets),
		TEST(epoll__threads_on_one_set),
		TEST(epoll__idle_uses_no_cpu),
		TEST(ppoll__mixed),
		TEST(ppoll__many),
		TEST(drain__leaves_a_kick_to_its_waiter),
		TEST(wait__interrupted),
		TEST(pselect__mapping),
		TEST(wait_sock__waits),
		TEST(foreign__in_slices),
		TEST(fork_child__inherited_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
