/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/eventfd.h>

#include "base/fault.h"
#include "base/sys.h"
#include "posix/dgram.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/watch.h"
#include "shm/seat.h"

#define RINGS_KNOWN 64u /* listeners whose eventfds are remembered */

/** struct ring - One that we have rung. @listener 0: unused. */
struct ring {
	half_ref listener;
	uint32_t party_gen;
	int fd;
};

static struct ring rings[RINGS_KNOWN];
static struct lock rings_lock;

static long ring_write(int fd)
{
	uint64_t one = 1;

	return sys3(SYS_write, fd, &one, sizeof(one));
}

static struct ctl_msg ring_message(uint16_t type, half_ref listener, uint32_t party_gen)
{
	struct ctl_msg m = { .type = type };

	m.shared.party = half_ref_party(listener);
	m.shared.party_gen = party_gen;
	m.shared.slot = half_ref_slot(listener);
	m.shared.gen = half_ref_gen(listener);
	return m;
}

static void half_shared(struct sock *s)
{
	if (s->dgram)
		store_release(&s->half->shared, 1);
	else
		seat_share(s->party, s->half, s->accept_cursor);
}

int ring_share(struct sock *s)
{
	struct ctl_msg m = ring_message(CTL_SHARE, half_ref_of(s->party, s->half), s->party->gen);
	int fds[2] = { -1, s->shadow_fd }, r;
	bool shadow;

	if (s->bell_fd >= 0) {
		half_shared(s);
		return 0;
	}
	fds[0] = (int)sys2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fds[0] < 0)
		return fds[0];
	/* A datagram socket's goes with its descriptors. */
	shadow = s->shadow_fd >= 0 && !s->dgram;
	m.shared.has = CTL_HAS_BELL | (shadow ? CTL_HAS_SHADOW : 0);
	r = process_call(&m, fds, shadow ? 2 : 1, NULL, NULL);
	fds[0] = process_fd_high(fds[0]);
	if (r == 0 && fds[0] < 0)
		r = fds[0];
	if (r < 0) {
		if (fds[0] >= 0)
			process_fd_high_close(fds[0]);
		return r;
	}
	s->bell_fd = fds[0];
	half_shared(s);
	/* No hints any more: each would be a second edge. Who still saw that no
	 * hint is wanted has seen that it is shared, too: see seat_ring(). */
	if (load_relaxed(&s->stage) == SOCK_LISTEN)
		atomic_fetch_and(&s->half->want, ~WANT_HINT_DATA);
	/* Somebody may have come already. */
	if (s->dgram || seat_waiting(s->party, s->half, &s->accept_cursor))
		ring_write(s->bell_fd);
	return 0;
}

static void share_one(struct sock *s, void *arg)
{
	int r = 0;

	(void)arg;
	if (load_acquire(&s->stage) != SOCK_LISTEN || load_relaxed(&s->obj.nfds) == 0)
		return;
	lock_take(&s->lock);
	if (load_relaxed(&s->stage) == SOCK_LISTEN && s->bell_fd < 0) {
		r = ring_share(s);
		if (r == 0)
			watch_shared(s);
	}
	lock_drop(&s->lock);
	if (r < 0)
		process_log(1, "a listener cannot be shared (%d): children use the kernel's", r);
}

void ring_share_all(void)
{
	socks_each(share_one, NULL);
}

bool ring_drain(struct sock *s)
{
	struct party *p = process.party;
	uint64_t n;

	if (s->bell_fd < 0)
		return false;
	if (p && load_relaxed(&s->stage) == SOCK_LISTEN)
		seat_tidy(s->party, s->half, p);
	if (sys3(SYS_read, s->bell_fd, &n, sizeof(n)) != sizeof(n))
		return false;
	FAULT_POINT("ring.drained"); /* see shares_ring() */
	/* Whoever claims after this read writes again; who claimed before it is
	 * seen now. */
	if (!(sock_poll(s) & POLLIN)) {
		/* Of a datagram socket nothing may be known now: somebody reads. */
		if (s->dgram && dgram_is_busy(s))
			ring_write(s->bell_fd);
		return false;
	}
	ring_write(s->bell_fd);
	return true;
}

void ring_again(const struct sock *s)
{
	if (s->bell_fd >= 0)
		ring_write(s->bell_fd);
}

/* Its place in the table: that of another one that is rung less, perhaps. */
static struct ring *ring_place(half_ref listener)
{
	return &rings[(listener ^ listener >> 32 ^ listener >> 48) % RINGS_KNOWN];
}

static int ring_fetch(half_ref listener, uint32_t party_gen)
{
	struct ctl_msg m = ring_message(CTL_SHARED_BELL, listener, party_gen);
	unsigned n = 1;
	int fd = -1, r = process_call(&m, NULL, 0, &fd, &n);

	if (r < 0)
		return r;
	return n == 1 ? process_fd_high(fd) : -1;
}

void ring_listener(void *arg, half_ref listener, uint32_t party_gen)
{
	struct ring *r = ring_place(listener);
	int fd, old = -1;

	(void)arg;
	lock_take(&rings_lock);
	if (r->listener != listener || r->party_gen != party_gen) {
		fd = ring_fetch(listener, party_gen);
		if (fd >= 0) {
			old = r->listener ? r->fd : -1;
			/* A child that is made in between finds none, or all. */
			r->listener = 0;
			atomic_signal_fence(memory_order_seq_cst);
			r->party_gen = party_gen;
			r->fd = fd;
			atomic_signal_fence(memory_order_seq_cst);
			r->listener = listener;
		}
	}
	if (r->listener == listener && r->party_gen == party_gen)
		ring_write(r->fd);
	lock_drop(&rings_lock);
	if (old >= 0)
		process_fd_high_close(old);
}

void ring_fork_child(void)
{
	rings_lock = (struct lock){ 0 };
}
