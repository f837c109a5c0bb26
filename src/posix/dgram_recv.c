/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram_recv.c - Receiving datagrams: from the inbox and from the kernel's socket,
 * which is looked at when the inbox is empty, every so often while it is not, and
 * first where a sender says that it used the kernel before.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/dgram.h"
#include "posix/process.h"
#include "posix/route.h"
#include "posix/watch.h"

#define KERNEL_TURN 64u       /* receives from memory in a row */
#define LOOKED_NS 4000u       /* so lately, the kernel's socket was empty */
#define MARKS_MOST 64u        /* passed over in one look: a sender can make any number */
#define KERNEL_MANY 16u       /* datagrams through the kernel */
#define SPIN_LOOKS 32u        /* looks between two at the clock */
#define KERNEL_FLAGS MSG_ERRQUEUE /* the others it has no use for, or we know */
#define WOKEN_IN_VAIN 16u      /* times in one call, before it slows down */
#define PAUSE_NS NS_PER_MS
#define LOOK_THERE (-ERESTART) /* the kernel's socket goes first */

/* The payload into the pieces. Return: bytes that had room, or -EFAULT. */
static long scatter(struct inbox_seat *seat, const struct msghdr *msg)
{
	size_t at = 0, left = seat->rec.bytes;

	for (size_t i = 0; i < msg->msg_iovlen && left > 0; i++) {
		size_t n = msg->msg_iov[i].iov_len < left ? msg->msg_iov[i].iov_len : left;

		if (n && !inbox_read(seat, at, msg->msg_iov[i].iov_base, n))
			return -EFAULT;
		at += n;
		left -= n;
	}
	return (long)at;
}

static void give_name(const struct sock *s, addr_word from, struct msghdr *msg)
{
	if (msg->msg_name)
		addr_fill(s, from, msg->msg_name, &msg->msg_namelen);
}

/* The oldest one of the inbox. Caller has its lock. */
static long take(struct sock *s, struct inbox_seat *seat, struct msghdr *msg, int flags)
{
	long all = (long)seat->rec.bytes, got = scatter(seat, msg);

	if (unlikely(got < 0)) {
		/* As Linux: it is gone all the same. */
		if (!(flags & MSG_PEEK))
			inbox_take(seat);
		return got;
	}
	msg->msg_flags = got < all ? MSG_TRUNC : 0;
	give_name(s, seat->rec.from, msg);
	if (msg->msg_controllen || load_relaxed(&s->dgram->ancillary))
		ancillary_give(s, &seat->rec, inbox_drops(s->dgram->box), msg);
	else
		msg->msg_controllen = 0;
	if (seat->rec.half)
		route_learn(seat->rec.from, seat->rec.half, seat->rec.half_party_gen);
	store_relaxed(&s->dgram->peer_cpu, load_relaxed(&seat->conn.peer->cpu));
	if (!(flags & MSG_PEEK)) {
		store_relaxed(&s->half->head, load_relaxed(&s->half->head) + (uint64_t)all);
		inbox_take(seat);
	}
	return flags & MSG_TRUNC ? all : got;
}

/* Return: bytes, -EAGAIN, LOOK_THERE. @looked: The kernel's socket is empty. */
static long recv_memory(struct sock *s, struct msghdr *msg, int flags, bool looked)
{
	struct inbox_seat *seat = NULL;
	long r = -EAGAIN;

	if (!dgram_box_lock(s))
		return r;
	/* What the marks stand for was dropped, or has been read. */
	for (unsigned marks = 0; marks <= MARKS_MOST; marks++) {
		seat = inbox_next(s->dgram->box);
		if (!seat || !(seat->rec.flags & DGRAM_MARK) || !looked)
			break;
		inbox_take(seat);
		seat = NULL;
	}
	if (seat && !looked && dgram_kernel_first(s, seat))
		r = LOOK_THERE;
	else if (seat)
		r = take(s, seat, msg, flags);
	dgram_box_unlock(s);
	return r;
}

static bool has_marks(struct sock *s)
{
	bool any = true;

	if (dgram_box_lock(s)) {
		any = inbox_marks(s->dgram->box);
		dgram_box_unlock(s);
	}
	return any;
}

static uint64_t drops(struct sock *s)
{
	uint64_t n = 0;

	if (dgram_box_lock(s)) {
		n = inbox_drops(s->dgram->box);
		dgram_box_unlock(s);
	}
	return n;
}

/* A datagram of the kernel's was read: so was the mark for it, if it is the oldest. */
static void unmark(struct sock *s)
{
	struct inbox_seat *seat;

	if (!dgram_box_lock(s))
		return;
	seat = inbox_next(s->dgram->box);
	if (seat && (seat->rec.flags & (DGRAM_MARK | DGRAM_DRAIN)) == DGRAM_MARK)
		inbox_take(seat);
	dgram_box_unlock(s);
}

static long recv_kernel(struct sock *s, int fd, struct msghdr *msg, int flags)
{
	struct msghdr m = *msg;
	long r = sys3(SYS_recvmsg, fd, &m, flags | MSG_DONTWAIT);

	if (r == -EAGAIN) {
		s->dgram->looked_ns = clock_now_ns();
		store_relaxed(&s->dgram->kernel_first, false);
	} else if (r >= 0) {
		*msg = m;
		if (unlikely(load_relaxed(&s->dgram->ancillary) & ANC_RXQ_OVFL))
			ancillary_add_drops(msg, drops(s));
		if (!(flags & MSG_PEEK) && !load_relaxed(&s->dgram->kernel_first))
			unmark(s);
		/* Who sends may not know that it could do so through memory. */
		if (unlikely(++s->dgram->kernel_got == KERNEL_MANY))
			dgram_announce(s);
	}
	return r;
}

/* Without waiting. @force: Look at the kernel's socket however lately that was done. */
static long recv_now(struct sock *s, int fd, struct msghdr *msg, int flags, bool force)
{
	struct dgram *d = s->dgram;
	bool looked = false;
	long r = 0;

	if (unlikely(load_relaxed(&d->kernel_sent)))
		r = dgram_refused(s);
	if (r < 0)
		return r;
	r = -EAGAIN;
	if (unlikely(d->turns++ % KERNEL_TURN == 0) && !has_marks(s)) {
		r = recv_kernel(s, fd, msg, flags);
		looked = true;
	}
	if (r == -EAGAIN)
		r = recv_memory(s, msg, flags, looked);
	if (r == LOOK_THERE) {
		r = recv_kernel(s, fd, msg, flags);
		return r == -EAGAIN ? recv_memory(s, msg, flags, true) : r;
	}
	if (r == -EAGAIN && !looked && (force || clock_now_ns() - d->looked_ns > LOOKED_NS))
		r = recv_kernel(s, fd, msg, flags);
	return r;
}

/* Wait a little without sleeping, where that may pay. Return: whether there is
 * something in the inbox, or it is the kernel's turn. */
static bool recv_spin(struct sock *s)
{
	uint32_t cpu = spin_cpu(), peer_cpu = load_relaxed(&s->dgram->peer_cpu);
	uint64_t until, budget;

	if (load_relaxed(&s->half->cpu) != cpu)
		store_relaxed(&s->half->cpu, cpu);
	/* Who is on our own CPU is waited for by wait_sock(), as for any. */
	if (process.spin_ns == 0 || s->foreign || spin_same_cpu(peer_cpu))
		return false;
	budget = spin_budget_ns(&s->spin, process.spin_ns);
	until = clock_now_ns() + (budget < LOOKED_NS ? budget : LOOKED_NS);
	do {
		for (unsigned i = 0; i < SPIN_LOOKS; i++) {
			if (dgram_now(s) & POLLIN) {
				spin_done(&s->spin, true);
				return true;
			}
			cpu_relax();
		}
	} while (clock_now_ns() < until && !section_state.pending);
	return false;
}

static void pause_briefly(void)
{
	struct timespec t = clock_timespec(PAUSE_NS);

	section_leave();
	sys2(SYS_nanosleep, &t, NULL);
	section_enter();
}

static long recv_once(int fd, struct msghdr *msg, int flags, uint32_t broke)
{
	struct sock *s = dgram_enter(fd);
	uint32_t handled = section_state.handled;
	uint64_t deadline = 0;
	bool may_wait, force = false;
	unsigned woken = 0;
	long r;

	if (!s)
		return NOT_OURS;
	may_wait = !(flags & MSG_DONTWAIT) && !sock_nonblocking(s);
	if (flags & KERNEL_FLAGS || !dgram_open(s))
		return sock_leave(s, NOT_OURS);
	for (;;) {
		r = recv_now(s, fd, msg, flags & ~(MSG_WAITFORONE | MSG_WAITALL), force);
		if (r != -EAGAIN || !may_wait)
			break;
		/* Nothing comes through memory any more, and nothing is there. */
		if (load_relaxed(&s->dgram->kernel)) {
			r = NOT_OURS;
			break;
		}
		if (s->rcvtimeo_ns && !deadline)
			deadline = clock_now_ns() + s->rcvtimeo_ns;
		if (deadline && force && clock_now_ns() >= deadline)
			break;
		/* The kernel wakes who waits for its errors, too, which need not be ours
		 * to report: not at full speed. */
		if (woken++ > WOKEN_IN_VAIN && !(dgram_now(s) & POLLIN))
			pause_briefly();
		if (!force && recv_spin(s))
			continue;
		r = section_state.broke != broke ? -EINTR :
		    wait_sock(s, POLLIN, deadline, &section_state.handled, handled);
		if (r == -EINTR && !deadline)
			r = section_verdict(handled, broke);
		if (r == -ETIMEDOUT)
			r = -EAGAIN;
		if (r < 0)
			break;
		force = true;
	}
	return sock_leave(s, r);
}

long dgram_recv(int fd, struct msghdr *msg, int flags)
{
	uint32_t broke = section_state.broke;
	long r;

	do
		r = recv_once(fd, msg, flags, broke);
	while (unlikely(r == CALL_AGAIN));
	return r;
}

long dgram_recvv(int fd, const struct iovec *iov, int n, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };

	return n < 0 ? NOT_OURS : dgram_recv(fd, &msg, flags);
}

long dgram_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
		    socklen_t *addr_len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { .msg_name = addr, .msg_iov = &iov, .msg_iovlen = 1 };
	long r;

	if (addr && !addr_len)
		return NOT_OURS;
	msg.msg_namelen = addr ? *addr_len : 0;
	r = dgram_recv(fd, &msg, flags);
	if (addr && r != NOT_OURS && r >= 0)
		*addr_len = msg.msg_namelen;
	return r;
}

long dgram_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout)
{
	uint64_t until = 0;
	unsigned done = 0;
	long r = 0;

	if (!fdtab_peek(fd))
		return NOT_OURS;
	if (timeout && (timeout->tv_nsec < 0 || timeout->tv_nsec >= (long)NS_PER_SEC ||
			timeout->tv_sec < 0))
		return -EINVAL;
	if (timeout)
		until = clock_now_ns() + (uint64_t)timeout->tv_sec * NS_PER_SEC +
			(uint64_t)timeout->tv_nsec;
	while (done < n && done < IOV_MAX) {
		r = dgram_recv(fd, &msgs[done].msg_hdr, flags);
		if (r == NOT_OURS && done == 0)
			return r;
		if (r == NOT_OURS)
			r = sys3(SYS_recvmsg, fd, &msgs[done].msg_hdr, flags & ~MSG_WAITFORONE);
		if (r < 0)
			break;
		msgs[done++].msg_len = (unsigned)r;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (timeout && clock_now_ns() >= until)
			break;
	}
	if (timeout) {
		uint64_t now = clock_now_ns();

		*timeout = clock_timespec(until > now ? until - now : 0);
	}
	return done ? (long)done : r;
}
