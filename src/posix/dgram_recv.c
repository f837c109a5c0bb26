/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram_recv.c - Receiving datagrams: from the inbox and from the kernel's socket,
 * which is looked at when the inbox is empty, every so often while it is not, and
 * first where a sender says that it used the kernel before.
 */
#include <errno.h>
#include <netinet/in.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"
#include "posix/addr.h"
#include "posix/dgram.h"
#include "posix/dgram_error.h"
#include "posix/process.h"
#include "posix/ring.h"
#include "posix/route.h"
#include "posix/watch.h"

#define KERNEL_TURN 64u       /* receives from memory in a row */
#define EMPTY_NS 4000u        /* so lately, the kernel's socket was empty: who waits looks at it then */
#define KERNEL_MANY 16u       /* datagrams through the kernel */
#define SPIN_LOOKS 32u        /* looks between two at the clock */
#define KERNEL_FLAGS MSG_ERRQUEUE /* the others it has no use for, or we know */
#define WOKEN_IN_VAIN 16u      /* times in one call, before it slows down */
#define PAUSE_NS NS_PER_MS

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
	if (msg->msg_controllen || load_relaxed(&s->half->ancillary))
		ancillary_give(s, &seat->rec, inbox_drops(s->dgram->box), msg);
	else
		msg->msg_controllen = 0;
	route_learn(s->party, seat->rec.from, seat->rec.half, seat->rec.half_party_gen);
	store_relaxed(&s->dgram->peer_cpu, load_relaxed(&seat->conn.peer->cpu));
	if (!(flags & MSG_PEEK)) {
		store_relaxed(&s->half->head, load_relaxed(&s->half->head) + (uint64_t)all);
		inbox_take(seat);
	}
	return flags & MSG_TRUNC ? all : got;
}

/* From whom the kernel's datagram came. @asked, @got: Before and after recvmsg().
 * Return: 0: that cannot be told. */
static addr_word sender_of(const struct sock *s, const struct msghdr *asked,
			   const struct msghdr *got)
{
	addr_word from;

	/* A name that was cut off tells nothing. */
	if ((asked->msg_name && got->msg_namelen > asked->msg_namelen) ||
	    addr_parse(s, got->msg_name, got->msg_namelen, &from) < 0)
		return 0;
	return from;
}

/* Is what the kernel gave what @mark stands for? Others, which had no channel, may be
 * before it in the kernel's queue. */
static bool is_marked(addr_word from, const struct inbox_seat *mark)
{
	return !from || addr_word_port(from) == addr_word_port(mark->rec.from);
}

/* Not by the program's number, which may be closed, and another socket's, by now.
 * Caller has the inbox. @mark: What stands for it in memory. */
static long recv_kernel(struct sock *s, struct msghdr *msg, int flags, struct inbox_seat *mark)
{
	uint64_t now = clock_now_ns();
	struct sockaddr_in6 from;
	struct msghdr m = *msg;
	addr_word sender;
	long r;

	if (!m.msg_name) {
		m.msg_name = &from;
		m.msg_namelen = sizeof(from);
	}
	r = sys3(SYS_recvmsg, s->shadow_fd, &m, flags | MSG_DONTWAIT);
	if (r == -EAGAIN) {
		store_relaxed(&s->half->kernel_empty_ns, now);
		return r;
	}
	sender = r >= 0 ? sender_of(s, msg, &m) : 0;
	/* EFAULT: it is gone all the same. */
	if (mark && (r == -EFAULT || (r >= 0 && is_marked(sender, mark))) && !(flags & MSG_PEEK))
		dgram_mark_read(s, mark);
	if (r < 0)
		return r;
	if (sender)
		route_forget(sender);
	s->dgram->kernel_got++;
	m.msg_name = msg->msg_name;
	if (!m.msg_name)
		m.msg_namelen = msg->msg_namelen;
	*msg = m;
	if (unlikely(load_relaxed(&s->half->ancillary) & ANC_RXQ_OVFL))
		ancillary_add_drops(msg, inbox_drops(s->dgram->box));
	return r;
}

/* Has the kernel's socket something, for who receives? Half as dear as dgram_kernel_has().
 * Return: 1; -EAGAIN; the error that is pending: Linux tells it before any datagram. */
static long kernel_peek(struct sock *s)
{
	uint64_t now = clock_now_ns();
	long r;

	/* SO_PEEK_OFF, which only the kernel's have, may point behind what there is. */
	if (dgram_is_kernels(s))
		return dgram_kernel_has(s) ? 1 : -EAGAIN;
	r = sys6(SYS_recvfrom, s->shadow_fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
	if (r == -EAGAIN)
		store_relaxed(&s->half->kernel_empty_ns, now);
	return r < 0 ? r : 1;
}

/* Nothing is in memory. @force: As recv_now()'s. */
static long recv_other(struct sock *s, struct msghdr *msg, int flags, bool force)
{
	struct inbox_seat *seat;
	long r;

	if (!force && clock_now_ns() - load_relaxed(&s->half->kernel_empty_ns) <= EMPTY_NS)
		return -EAGAIN;
	/* What came through memory since, and before what the kernel has. */
	if (s->dgram->box->open) {
		r = kernel_peek(s);
		if (r < 0)
			return r;
		switch (dgram_next(s, &seat)) {
		case DGRAM_NEXT_MEMORY:
			return take(s, seat, msg, flags);
		case DGRAM_NEXT_KERNEL:
			return recv_kernel(s, msg, flags, seat);
		case DGRAM_NEXT_NONE:
			break;
		}
	}
	return recv_kernel(s, msg, flags, NULL);
}

/* What comes next. Caller has the inbox. @ret_mark: Set where the kernel's socket looked as
 * if it had what the mark stands for, and had not: it looks so where reading is shut. */
static long recv_next(struct sock *s, struct msghdr *msg, int flags, bool force,
		      struct inbox_seat **ret_mark)
{
	struct dgram *d = s->dgram;
	struct inbox_seat *seat;
	long r;

	switch (dgram_next(s, &seat)) {
	case DGRAM_NEXT_MEMORY:
		if (unlikely(++d->turns % KERNEL_TURN == 0) && !dgram_is_kernels(s) &&
		    dgram_kernel_has(s) && !inbox_marks(d->box))
			return recv_kernel(s, msg, flags, NULL);
		return take(s, seat, msg, flags);
	case DGRAM_NEXT_KERNEL:
		r = recv_kernel(s, msg, flags, seat);
		if (unlikely(r == -EAGAIN))
			*ret_mark = seat;
		return r;
	case DGRAM_NEXT_NONE:
		break;
	}
	return recv_other(s, msg, flags, force);
}

/* Without waiting. @force: Look at the kernel's socket however lately that was done. */
static long recv_now(struct sock *s, struct msghdr *msg, int flags, bool force)
{
	struct dgram *d = s->dgram;
	struct inbox_seat *mark = NULL;
	bool again;
	long r = 0;

	if (unlikely(load_relaxed(&s->half->dgram) & DGRAM_ERRORS))
		r = dgram_refused(s);
	if (r < 0)
		return r;
	/* Who has the inbox is stopped. */
	if (!dgram_box_lock(s))
		return sys3(SYS_recvmsg, s->shadow_fd, msg, flags | MSG_DONTWAIT);
	if (unlikely(process.policy == POLICY_NET) && (r = dgram_error_take(s)) < 0) {
		dgram_box_unlock(s);
		return r;
	}
	do {
		again = mark != NULL;
		mark = NULL;
		r = recv_next(s, msg, flags, force, &mark);
		/* Nobody is waited for twice. */
		if (unlikely(mark) && again)
			inbox_take(mark);
	} while (unlikely(mark));
	dgram_box_unlock(s);
	/* What others are told by is not to say that there is something still. */
	if (unlikely(s->bell_fd >= 0) && r >= 0 && !(dgram_now(s) & POLLIN))
		ring_drain(s);
	/* Who sends may not know that it could do so through memory. */
	if (unlikely(d->kernel_got >= KERNEL_MANY)) {
		d->kernel_got = 0;
		dgram_announce(s);
	}
	return r;
}

/* Wait a little without sleeping, where that may pay. Return: whether there is
 * something in the inbox, or it is the kernel's turn. */
static bool recv_spin(struct sock *s)
{
	uint32_t cpu = spin_cpu(), peer_cpu = load_relaxed(&s->dgram->peer_cpu);
	uint64_t now, until;

	if (load_relaxed(&s->half->cpu) != cpu)
		store_relaxed(&s->half->cpu, cpu);
	/* Who is on our own CPU is waited for by wait_sock(), as for any. */
	if (process.spin_ns == 0 || s->foreign || spin_same_cpu(peer_cpu))
		return false;
	now = clock_now_ns();
	until = spin_until_ns(&s->spin, process.spin_ns, now);
	if (until > now + EMPTY_NS)
		until = now + EMPTY_NS;
	while (now < until && !section_state.pending) {
		for (unsigned i = 0; i < SPIN_LOOKS; i++) {
			if (dgram_now(s) & POLLIN) {
				spin_found(&s->spin);
				return true;
			}
			cpu_relax();
		}
		now = clock_now_ns();
	}
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
	uint64_t deadline = 0, timeout;
	bool may_wait, force = false;
	unsigned woken = 0;
	long r;

	if (!s)
		return NOT_OURS;
	may_wait = !(flags & MSG_DONTWAIT) && !sock_nonblocking(s);
	/* Linux: of a queue of errors the next one is pending then. */
	if (flags & MSG_ERRQUEUE)
		atomic_fetch_or(&s->half->dgram, DGRAM_ERRORS);
	if (flags & MSG_ERRQUEUE && process.policy == POLICY_NET)
		return sock_leave(s, dgram_errqueue_take(s, msg));
	if (flags & KERNEL_FLAGS || !dgram_open(s))
		return sock_leave(s, NOT_OURS);
	for (;;) {
		/* Who does not wait may know that there is one, and is told so. */
		r = recv_now(s, msg, flags & ~(MSG_WAITFORONE | MSG_WAITALL), force || !may_wait);
		if (r != -EAGAIN || !may_wait)
			break;
		/* Nothing comes through memory any more, and nothing is there. */
		if (dgram_is_kernels(s)) {
			r = NOT_OURS;
			break;
		}
		timeout = load_relaxed(&s->half->kept_rcvtimeo_ns);
		if (timeout && !deadline)
			deadline = clock_now_ns() + timeout;
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
