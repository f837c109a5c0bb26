/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - Sending and receiving on a connected socket: conn.c's steps,
 * with the waiting between them.
 *
 * What the program points to, it may have got wrong, or unmap meanwhile: message
 * headers and short lists of pieces are copied first, and all is touched by
 * copy_try() only.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/copy.h"
#include "base/sys.h"
#include "posix/asleep.h"
#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/due.h"
#include "posix/errqueue.h"
#include "posix/fastopen.h"
#include "posix/orphan.h"
#include "posix/process.h"
#include "posix/section.h"
#include "posix/signals.h"
#include "posix/sock.h"
#include "posix/tcp_info.h"
#include "posix/watch.h"
#include "shm/futex.h"
#include "shm/owner.h"
#include "shm/seat.h"
#include "shm/spin.h"
#include "shm/urgent.h"

#define NO_WAITV_NS (20 * NS_PER_MS) /* a sleep that our own side cannot end */
#define SLICE_NS (1 * NS_PER_SEC) /* how long a sleeper trusts that all live */
#define GROW_NS (1 * NS_PER_MS)   /* how long a full ring waits for its reader */
#define SPIN_LOOKS 32u            /* looks between two looks at the clock */
#define TOGETHER_BYTES 65536u     /* pieces are filled with so much before it is taken */
#define IOV_FEW 8 /* pieces that are copied */
#define RUN_MANY 8u               /* receives in a row that make a one-way stream */
#define RUN_FEW_BYTES 4096u       /* so little is worth waiting a moment for more */
#define RUN_RELAX 24u             /* that moment, in pauses: about 0.3 us */

/**
 * struct waiting - One call's waiting.
 * @what:     NOTIFY_DATA or NOTIFY_SPACE.
 * @goal:     Bytes that are waited for (data).
 * @marks:    So does an urgent byte: there is more than the mark to stop at.
 * @deadline: SO_RCVTIMEO or SO_SNDTIMEO as a moment; 0: none, or not yet set.
 * @handled, @broke: section_state's counters when the call began; where it
 *            began anew, @handled is from then.
 */
struct waiting {
	struct sock *s;
	uint32_t what;
	uint64_t goal;
	bool marks;
	uint64_t deadline;
	uint32_t handled, broke;
};

static bool waiting_is_over(void *arg)
{
	const struct waiting *w = arg;
	struct conn *c = &w->s->conn;
	uint32_t end = load_acquire(&c->peer->end);

	/* Another process accepted: the peer is a half of that one's now. */
	if (unlikely(end & END_MOVED) && conn_follow(c))
		end = load_acquire(&c->peer->end);
	if (load_relaxed(&c->own->side) & (SIDE_RST_SEEN | SIDE_BROKEN) || end & END_RST ||
	    load_relaxed(&c->own->error))
		return true;
	if (w->what == NOTIFY_SPACE)
		return load_relaxed(&c->own->side) & SIDE_WR_SHUT ||
		       (conn_writable(c) && !conn_pending(c));
	if (unlikely(load_relaxed(&c->peer->urgent)) && w->marks && urgent_ahead(c))
		return true;
	return conn_readable(c) >= w->goal || load_relaxed(&c->own->side) & SIDE_RD_SHUT ||
	       end & END_FIN;
}

/* Spin while it can pay. */
static bool waiting_spin(struct waiting *w)
{
	struct sock *s = w->s;
	uint64_t now, until;
	uint32_t cpu = spin_cpu();

	if (load_relaxed(&s->half->cpu) != cpu)
		store_relaxed(&s->half->cpu, cpu);
	if (process.spin_ns == 0)
		return false;
	if (spin_same_cpu(load_relaxed(&s->conn.peer->cpu)))
		return spin_yield(waiting_is_over, w);
	now = clock_now_ns();
	until = unlikely(s->busy_ns) ? now + s->busy_ns :
				       spin_until_ns(&s->spin, process.spin_ns, now);
	while (now < until) {
		for (unsigned i = 0; i < SPIN_LOOKS; i++) {
			if (waiting_is_over(w)) {
				spin_found(&s->spin);
				atomic_fetch_add_explicit(&s->half->spins, 1, memory_order_relaxed);
				return true;
			}
			cpu_relax();
		}
		now = clock_now_ns();
	}
	spin_failed(&s->spin, until, now);
	return false;
}

/* Linux before 5.16, or a filter of system calls: as with a deadline, only the
 * peer's word is slept on, for a bounded time. */
static _Atomic bool no_waitv;

static bool lacks_waitv(void)
{
	return load_relaxed(&no_waitv) || process.confined;
}

/* The system call that sleeps: for both words, or where there is a deadline
 * for the peer's. */
static long waiting_sleep(const struct waiting *w, uint32_t own_event, const struct half *peer,
			  uint32_t peer_event, uint64_t until)
{
	struct conn *c = &w->s->conn;
	struct timespec t = clock_timespec(until);
	struct futex_waitv words[2] = {
		{ .val = own_event, .uaddr = (uintptr_t)&c->own->event, .flags = FUTEX_32 },
		{ .val = peer_event, .uaddr = (uintptr_t)&peer->event, .flags = FUTEX_32 },
	};
	long waitv[6] = { (long)words, 2, 0, (long)&t, CLOCK_MONOTONIC };
	long wait[6] = { (long)&peer->event, FUTEX_WAIT_BITSET, (long)peer_event, (long)&t, 0,
			 (long)FUTEX_BITSET_MATCH_ANY };
	long r;

	if (w->deadline || unlikely(lacks_waitv()))
		return section_sleep(SYS_futex, wait, &section_state.handled, w->handled);
	r = section_sleep(SYS_futex_waitv, waitv, &section_state.handled, w->handled);
	if (unlikely(r == -ENOSYS || r == -EPERM)) {
		store_relaxed(&no_waitv, true);
		return 0;
	}
	return r;
}

/* A handler of the program's left waiting_wait() for good. */
static void waiting_give_up(struct asleep *a)
{
	struct sock *s = (struct sock *)(void *)a->obj;

	conn_unwant_futex(&s->conn, a->what);
	sock_put(s);
}

/*
 * waiting_wait() - Until there is reason to try again. Called inside a
 * section, which is left for the sleep.
 * Return: 0, -EAGAIN where the deadline has passed, -EINTR, CALL_AGAIN.
 */
static long waiting_wait(struct waiting *w, uint64_t timeo_ns, uint64_t slice_ns)
{
	struct sock *s = w->s;
	const struct half *peer;
	uint32_t own_event, peer_event;
	uint64_t now, until, due;
	unsigned index;
	long r = 0;

	if (waiting_spin(w))
		return 0;
	/* Since the call began anew. */
	if (section_state.broke != w->broke)
		return -EINTR;
	now = clock_now_ns();
	if (timeo_ns && !w->deadline)
		w->deadline = now + timeo_ns;
	if (w->deadline && now >= w->deadline)
		return -EAGAIN;
	until = now + (slice_ns ? slice_ns : SLICE_NS);
	if (w->deadline && w->deadline < until)
		until = w->deadline;
	if (w->deadline && !slice_ns && until > now + 20 * NS_PER_MS && !__libc_single_threaded)
		until = now + NO_WAITV_NS; /* only the peer's word is slept on */
	if (unlikely(lacks_waitv()) && until > now + NO_WAITV_NS)
		until = now + NO_WAITV_NS;
	due = unlikely(s->timed) ? due_look(s) : 0;
	if (unlikely(due) && due < until)
		until = due;
	if (w->what == NOTIFY_DATA && !load_relaxed(&s->half->shared)) {
		sock_tx_lock(s);
		conn_trim(&s->conn);
		sock_tx_unlock(s);
	}
	conn_want_futex(&s->conn, w->what);
	peer = s->conn.peer;
	own_event = load_acquire(&s->half->event);
	peer_event = load_acquire(&peer->event);
	/* The look may find that the peer has moved. */
	if (!waiting_is_over(w) && s->conn.peer == peer) {
		atomic_fetch_add_explicit(&s->half->sleeps, 1, memory_order_relaxed);
		index = asleep_begin(&(struct asleep){ .give_up = waiting_give_up,
						       .obj = &s->obj, .what = w->what });
		section_leave();
		r = waiting_sleep(w, own_event, peer, peer_event, until);
		section_enter();
		asleep_end(index);
	}
	conn_unwant_futex(&s->conn, w->what);
	if (r == -EINTR)
		return w->deadline ? r : section_verdict(w->handled, w->broke);
	if (r == -ETIMEDOUT)
		orphan_look(s);
	if (r == -ETIMEDOUT && until >= now + SLICE_NS)
		seat_remind(&s->conn);
	return 0;
}

static struct waiting waiting_begin(struct sock *s, uint32_t what, uint32_t broke)
{
	return (struct waiting){ .s = s, .what = what, .goal = 1,
				 .handled = section_state.handled, .broke = broke };
}

/* ------------------------------------------------------------------- send */

static void raise_sigpipe(int flags)
{
	if (!(flags & MSG_NOSIGNAL))
		sys3(SYS_tgkill, process.pid, sys0(SYS_gettid), SIGPIPE);
}

static _Atomic bool exhausted_said;

/* The owner is told when there is room again. */
static void async_full(struct sock *s)
{
	conn_want_hint(&s->conn, NOTIFY_SPACE);
	if (conn_writable(&s->conn))
		owner_signal(s->half, POLL_OUT);
}

/* As much as fits, without the first @done bytes. */
static long send_some(struct sock *s, const struct iovec *iov, int n, size_t done, size_t len,
		      int flags)
{
	long r;

	sock_tx_lock(s);
	if (unlikely(flags & MSG_OOB))
		r = conn_send_urgent(&s->conn, iov, n, done);
	else if (n == 1)
		r = conn_send(&s->conn, (const char *)iov->iov_base + done, len - done);
	else
		r = conn_sendv(&s->conn, iov, n, done);
	sock_tx_unlock(s);
	return r;
}

/* All of it, or as much as may be. Inside a section. */
static long send_iov(struct sock *s, const struct iovec *iov, int n, int flags, uint32_t broke)
{
	struct waiting w = waiting_begin(s, NOTIFY_SPACE, broke);
	uint32_t before = load_relaxed(&s->half->side);
	/* Now: a flag that changes later is for later calls. */
	bool may_wait = !(flags & MSG_DONTWAIT) && !sock_nonblocking(s);
	size_t len = 0, done = 0;
	long r = 0;

	if (load_acquire(&s->stage) != SOCK_OPEN) {
		r = -sock_refusal(s);
		r = r ? r : -EPIPE;
	}
	s->run = 0;
	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	while (r >= 0) {
		if (unlikely(s->timed))
			due_look(s);
		r = send_some(s, iov, n, done, len, flags);
		/* Who sleeps in epoll_wait() is to hear when. */
		if (unlikely(s->timed) && !s->due_ns && due_look(s))
			watch_again(s);
		if (unlikely(load_relaxed(&s->half->side) & ~before & SIDE_MET_CLOSED)) {
			before |= SIDE_MET_CLOSED;
			sock_poke(s);
			owner_signal(s->half, POLL_ERR);
		}
		if (r >= 0) {
			done += (size_t)r;
			if (done == len)
				return (long)done;
		} else if (r != -EAGAIN) {
			break;
		}
		if (!may_wait) {
			if (r >= 0)
				continue; /* until it says EAGAIN */
			tcp_info_full(s);
			watch_full(s);
			if (unlikely(load_relaxed(&s->half->owner)))
				async_full(s);
			break;
		}
		tcp_info_full(s);
		r = waiting_wait(&w, s->sndtimeo_ns, GROW_NS * !!conn_may_grow(&s->conn));
		if (r == 0)
			tcp_info_roomy(s);
	}
	if (r == -ENOBUFS && !atomic_exchange(&exhausted_said, true))
		process_log(0, "ring memory is exhausted: sends fail");
	if (done > 0 && !(r == -EINTR && signals_is_cancelled()))
		return (long)done;
	if (r == -EPIPE)
		raise_sigpipe(flags);
	return r;
}

/* As import_iovec() has it. @few: room for IOV_FEW. *@iov is set to what is to be
 * used. */
static long iov_import(const struct iovec **iov, int n, struct iovec *few)
{
	if (n < 0 || n > IOV_MAX)
		return -EINVAL;
	if (n > IOV_FEW)
		return copy_can_read(*iov, (size_t)n * sizeof(**iov)) ? 0 : -EFAULT;
	if (!copy_try(few, *iov, (size_t)n * sizeof(*few)))
		return -EFAULT;
	*iov = few;
	return 0;
}

static long iov_check(const struct iovec *iov, int n)
{
	size_t total = 0;

	for (int i = 0; i < n; i++) {
		if ((ssize_t)iov[i].iov_len < 0)
			return -EINVAL;
		total += iov[i].iov_len;
		if ((ssize_t)total < 0)
			return -EINVAL;
	}
	return 0;
}

/* Pieces that are ours. */
static long sendv(int fd, const struct iovec *iov, int n, int flags)
{
	uint32_t broke = section_state.broke;
	struct sock *s;
	long r;

	do {
		s = sock_enter(fd);
		if (!s)
			return dgram_sendv(fd, iov, n, flags);
		r = iov_check(iov, n);
		if (r == 0)
			r = send_iov(s, iov, n, flags, broke);
		if (unlikely(flags & MSG_ZEROCOPY) && r > 0 && s->zerocopy)
			errqueue_sent(s);
		r = sock_leave(s, r);
	} while (unlikely(r == CALL_AGAIN));
	return r;
}

long call_send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };

	return sendv(fd, &iov, 1, flags);
}

long call_send_room(int fd, size_t len)
{
	struct sock *s = sock_enter(fd);
	long r = -EPIPE;

	if (!s)
		return NOT_OURS;
	if (load_acquire(&s->stage) == SOCK_OPEN) {
		sock_tx_lock(s);
		r = conn_room(&s->conn, len);
		sock_tx_unlock(s);
	}
	if (r == -EAGAIN)
		watch_full(s);
	return sock_leave(s, r);
}

long call_sendv(int fd, const struct iovec *iov, int n, int flags)
{
	struct iovec few[IOV_FEW];
	long r = iov_import(&iov, n, few);

	if (unlikely(r < 0))
		return fd_is_ours(fd) ? r : NOT_OURS;
	return sendv(fd, iov, n, flags);
}

long call_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
		 socklen_t addr_len)
{
	/* A connected stream ignores the address, but not a bad one. */
	if (!fd_is_ours(fd))
		return dgram_sendto(fd, buf, len, flags, addr, addr_len);
	if (unlikely(addr)) {
		if (addr_len > sizeof(struct sockaddr_storage))
			return -EINVAL;
		if (!copy_can_read(addr, addr_len))
			return -EFAULT;
		if (flags & MSG_FASTOPEN) {
			long r = fastopen_connect(fd, addr, addr_len);

			if (r < 0)
				return r;
		}
	}
	return call_send(fd, buf, len, flags);
}

long call_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr m;

	if (!fd_is_ours(fd))
		return dgram_send(fd, msg, flags);
	if (!copy_try(&m, msg, sizeof(m)))
		return -EFAULT;
	if ((int)m.msg_namelen < 0)
		return -EINVAL;
	if (m.msg_name && !copy_can_read(m.msg_name, m.msg_namelen < sizeof(struct sockaddr_storage) ?
						     m.msg_namelen : sizeof(struct sockaddr_storage)))
		return -EFAULT;
	if (m.msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	if (unlikely(flags & MSG_FASTOPEN) && m.msg_name) {
		long r = fastopen_connect(fd, m.msg_name, m.msg_namelen);

		if (r < 0)
			return r;
	}
	/* TCP has no use for control messages, and says nothing. */
	return call_sendv(fd, m.msg_iov, (int)m.msg_iovlen, flags);
}

long call_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	unsigned done = 0;
	long r = 0;

	if (!fd_is_ours(fd))
		return dgram_sendmmsg(fd, msgs, n, flags);
	for (; done < n && done < IOV_MAX; done++) {
		r = call_sendmsg(fd, &msgs[done].msg_hdr, flags);
		if (r < 0)
			break;
		if (!copy_try(&msgs[done].msg_len, &(unsigned){ (unsigned)r }, sizeof(unsigned)))
			return done ? (long)done : -EFAULT;
	}
	return done ? (long)done : r;
}

/* ---------------------------------------------------------------- receive */

/*
 * A sender of many small messages and a reader that takes each at once spend
 * their time passing cache lines to each other. Where the stream goes one way
 * only, the reader lets a little more come first.
 */
static void recv_gather(struct sock *s, uint64_t want, int flags)
{
	uint64_t there;

	if (s->run < RUN_MANY) {
		s->run++;
		return;
	}
	if (want < RUN_FEW_BYTES || flags & MSG_DONTWAIT || sock_nonblocking(s))
		return;
	there = conn_readable(&s->conn);
	if (there == 0 || there >= RUN_FEW_BYTES || load_acquire(&s->conn.peer->end))
		return;
	for (unsigned i = 0; i < RUN_RELAX; i++)
		cpu_relax();
}

/* No room to receive into: Linux waits once all the same, and then says 0,
 * whatever ended the wait. */
static long recv_nothing(struct sock *s, struct waiting *w, int flags)
{
	char byte;
	long r;

	sock_rx_lock(s);
	r = conn_recv(&s->conn, &byte, 1, 0, CONN_PEEK | CONN_RAW);
	sock_rx_unlock(s);
	if (r > 0)
		return 0;
	w->marks = true;
	if (r != -EAGAIN || flags & MSG_DONTWAIT || sock_nonblocking(s))
		return r;
	do
		r = waiting_wait(w, s->rcvtimeo_ns, 0);
	while (r == 0 && !waiting_is_over(w));
	return 0;
}

/* Signals that the section puts off go before an urgent byte is passed over:
 * SIGURG is among them. Return: 0, or -EINTR. */
static long recv_stopped(struct sock *s, const struct waiting *w)
{
	uint32_t seen = s->rcvtimeo_ns ? w->handled : w->broke;

	if (section_state.pending) {
		section_leave();
		section_enter();
	}
	return (s->rcvtimeo_ns ? section_state.handled : section_state.broke) == seen ? 0 : -EINTR;
}

/* MSG_OOB. Waits for nothing. */
static long recv_urgent(struct sock *s, const struct iovec *iov, int n, int flags)
{
	unsigned char byte;
	long r;

	if (load_acquire(&s->stage) != SOCK_OPEN)
		return sock_listens(s) ? -ENOTCONN : -EINVAL;
	sock_rx_lock(s);
	r = conn_recv_urgent(&s->conn, &byte, flags & MSG_PEEK);
	sock_rx_unlock(s);
	if (r != 1)
		return r;
	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len == 0)
			continue;
		if (!(flags & MSG_TRUNC) && !copy_try(iov[i].iov_base, &byte, 1))
			return -EFAULT;
		return 1;
	}
	return 0;
}

/*
 * Several pieces, without the first @off bytes of them: filled first, taken then. So
 * one that cannot be written to leaves all there, as on Linux, for whom what is read at
 * once is one packet or a few. Up to TOGETHER_BYTES; under the receive lock.
 * Return: As conn_recv().
 */
static long recv_together(struct conn *c, const struct iovec *iov, int n, size_t off, uint32_t how)
{
	uint64_t done = 0;
	long r = 0;

	for (int i = 0; i < n && done < TOGETHER_BYTES; i++, off = 0) {
		r = conn_recv(c, (char *)iov[i].iov_base + off, iov[i].iov_len - off, done,
			      how | CONN_PEEK | (done ? CONN_MORE : 0));
		if (r < 0)
			break;
		done += (uint64_t)r;
		if ((size_t)r < iov[i].iov_len - off)
			break;
	}
	if (done == 0 || r == -EFAULT)
		return r;
	return conn_recv(c, NULL, done, 0, how | CONN_DISCARD);
}

/* May the head stay where it is meanwhile? Not if others read there, or at a mark. */
static bool may_together(const struct conn *c, uint32_t how)
{
	return !(how & (CONN_PEEK | CONN_DISCARD)) && !load_relaxed(&c->own->shared) &&
	       load_relaxed(&c->peer->urgent) <= load_relaxed(&c->own->head);
}

/* Inside a section. Takes what is there; waits only for the first byte, or
 * for all of it with MSG_WAITALL. */
static long recv_iov(struct sock *s, const struct iovec *iov, int n, int flags, uint32_t broke)
{
	struct waiting w = waiting_begin(s, NOTIFY_DATA, broke);
	uint32_t how = (flags & MSG_PEEK ? CONN_PEEK : 0) | (flags & MSG_TRUNC ? CONN_DISCARD : 0) |
		       CONN_STOP;
	uint64_t want = 0, total = 0, goal;
	bool may_wait = !(flags & MSG_DONTWAIT) && !sock_nonblocking(s);
	size_t off = 0;
	long r = 0, ended = 0;
	int i = 0;

	if (unlikely(flags & MSG_ERRQUEUE))
		return errqueue_take(s, NULL);
	if (unlikely(flags & MSG_OOB))
		return recv_urgent(s, iov, n, flags);
	if (load_acquire(&s->stage) != SOCK_OPEN || load_relaxed(&s->half->side) & SIDE_UNTOLD)
		return load_relaxed(&s->refused) ? -sock_refusal(s) :
		       load_relaxed(&s->half->side) & SIDE_RD_SHUT ? 0 : -ENOTCONN;
	for (int k = 0; k < n; k++)
		want += iov[k].iov_len;
	goal = load_relaxed(&s->half->rcvlowat);
	if (flags & MSG_WAITALL || goal > want)
		goal = want;
	if (want == 0)
		return recv_nothing(s, &w, flags);
	recv_gather(s, want, flags);
	for (;;) {
		sock_rx_lock(s);
		while (i < n) {
			if (n - i > 1 && may_together(&s->conn, how))
				r = recv_together(&s->conn, iov + i, n - i, off,
						  how | (total ? CONN_MORE : 0));
			else
				r = conn_recv(&s->conn, (char *)iov[i].iov_base + off,
					      iov[i].iov_len - off, how & CONN_PEEK ? total : 0,
					      how | (total ? CONN_MORE : 0));
			if (r < 0 || (r == 0 && iov[i].iov_len != off))
				break;
			total += (uint64_t)r;
			off += (size_t)r;
			if (off < iov[i].iov_len)
				continue;
			for (; i < n && off >= iov[i].iov_len; i++)
				off -= iov[i].iov_len;
			r = 1;
		}
		sock_rx_unlock(s);
		if (unlikely(r == -ERESTART)) {
			r = recv_stopped(s, &w);
			how &= ~CONN_STOP;
			if (r == 0)
				continue;
		}
		if (i == n || r == 0 || (r < 0 && r != -EAGAIN))
			break;
		if ((total && total >= goal) || !may_wait)
			break;
		if (ended < 0) {
			r = ended;
			break;
		}
		w.goal = how & CONN_PEEK ? goal : goal - total;
		if (w.goal > RING_WAIT_MOST)
			w.goal = how & CONN_PEEK ? total + 1 : 1;
		w.marks = !(how & CONN_PEEK) || total;
		/* Less than was waited for may have come all the same. */
		ended = waiting_wait(&w, s->rcvtimeo_ns, 0);
		/* Any byte would have ended the sleep: what is there now, the
		 * handler made, which on Linux runs after the call. */
		if (ended == -EINTR && total == 0 && w.goal <= 1) {
			r = ended;
			break;
		}
	}
	/* A thread that is cancelled ends here, with what it has read. */
	if (total && !(ended == -EINTR && signals_is_cancelled()))
		return (long)total;
	return total ? ended : r;
}

static long recvv(int fd, const struct iovec *iov, int n, int flags)
{
	uint32_t broke = section_state.broke;
	struct sock *s;
	long r;

	do {
		s = sock_enter(fd);
		if (!s)
			return dgram_recvv(fd, iov, n, flags);
		r = iov_check(iov, n);
		if (r == 0)
			r = recv_iov(s, iov, n, flags, broke);
		r = sock_leave(s, r);
	} while (unlikely(r == CALL_AGAIN));
	return r;
}

long call_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return recvv(fd, &iov, 1, flags);
}

long call_recvv(int fd, const struct iovec *iov, int n, int flags)
{
	struct iovec few[IOV_FEW];
	long r = iov_import(&iov, n, few);

	if (unlikely(r < 0))
		return fd_is_ours(fd) ? r : NOT_OURS;
	return recvv(fd, iov, n, flags);
}

long call_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
		   socklen_t *addr_len)
{
	socklen_t named;
	long r;

	if (!fd_is_ours(fd))
		return dgram_recvfrom(fd, buf, len, flags, addr, addr_len);
	r = call_recv(fd, buf, len, flags);
	if (r == NOT_OURS || r < 0 || !addr)
		return r;
	/* Linux names no source on a stream. */
	if (!copy_try(&named, addr_len, sizeof(named)))
		return -EFAULT;
	if ((int)named < 0)
		return -EINVAL;
	named = 0;
	return copy_try(addr_len, &named, sizeof(named)) ? r : -EFAULT;
}

/* Room for nothing: a byte that was taken is then lost. */
static bool msg_is_empty(const struct msghdr *msg)
{
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		if (msg->msg_iov[i].iov_len)
			return false;
	return true;
}

/* TCP_INQ: how much is left, as a control message. */
static long inq_give(int fd, struct msghdr *m, size_t room)
{
	char buf[CMSG_SPACE(sizeof(int))] = { 0 };
	struct cmsghdr c = { CMSG_LEN(sizeof(int)), IPPROTO_TCP, TCP_CM_INQ };
	struct sock *s = sock_enter(fd);
	uint64_t left;
	int inq;

	if (!s)
		return 0;
	if (!s->inq || !m->msg_control)
		return sock_leave(s, 0);
	left = conn_readable(&s->conn);
	/* Linux: 1 says that there is an end to be read. */
	inq = left ? (int)left : load_acquire(&s->conn.peer->end) & END_FIN ? 1 : 0;
	sock_leave(s, 0);
	if (room < c.cmsg_len) {
		m->msg_flags |= MSG_CTRUNC;
		return 0;
	}
	memcpy(buf, &c, sizeof(c));
	memcpy(buf + CMSG_LEN(0), &inq, sizeof(inq));
	m->msg_controllen = room < sizeof(buf) ? room : sizeof(buf);
	return copy_try(m->msg_control, buf, m->msg_controllen) ? 0 : -EFAULT;
}

static long errqueue_recvmsg(int fd, struct msghdr *m)
{
	struct sock *s = sock_enter(fd);

	return s ? sock_leave(s, errqueue_take(s, m)) : NOT_OURS;
}

long call_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct msghdr m;
	size_t room;
	long r;

	if (!fd_is_ours(fd))
		return dgram_recv(fd, msg, flags);
	if (!copy_try(&m, msg, sizeof(m)))
		return -EFAULT;
	if (m.msg_name && (int)m.msg_namelen < 0)
		return -EINVAL;
	if (m.msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	room = m.msg_controllen;
	m.msg_flags = flags & MSG_CMSG_CLOEXEC;
	if (unlikely(flags & MSG_ERRQUEUE))
		r = errqueue_recvmsg(fd, &m);
	else
		r = call_recvv(fd, m.msg_iov, (int)m.msg_iovlen, flags);
	if (r == NOT_OURS || r < 0)
		return r;
	m.msg_namelen = 0;
	if (!(flags & MSG_ERRQUEUE))
		m.msg_controllen = 0;
	if (unlikely(flags & MSG_OOB))
		m.msg_flags |= MSG_OOB | (r == 0 && msg_is_empty(&m) ? MSG_TRUNC : 0);
	if (unlikely(room) && !(flags & MSG_ERRQUEUE) && inq_give(fd, &m, room) < 0)
		return -EFAULT;
	return copy_try(msg, &m, sizeof(m)) ? r : -EFAULT;
}

long call_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
		   struct timespec *timeout)
{
	uint64_t until = 0;
	unsigned done = 0;
	long r = 0;

	if (!fd_is_ours(fd))
		return dgram_recvmmsg(fd, msgs, n, flags, timeout);
	if (timeout && !copy_can_read(timeout, sizeof(*timeout)))
		return -EFAULT;
	if (timeout && (timeout->tv_nsec < 0 || timeout->tv_nsec >= (long)NS_PER_SEC ||
			timeout->tv_sec < 0))
		return -EINVAL;
	if (timeout)
		until = clock_now_ns() + (uint64_t)timeout->tv_sec * NS_PER_SEC +
			(uint64_t)timeout->tv_nsec;
	for (; done < n && done < IOV_MAX; done++) {
		r = call_recvmsg(fd, &msgs[done].msg_hdr, flags & ~MSG_WAITFORONE);
		if (r < 0)
			break;
		if (!copy_try(&msgs[done].msg_len, &(unsigned){ (unsigned)r }, sizeof(unsigned)))
			return done ? (long)done : -EFAULT;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (msgs[done].msg_hdr.msg_flags & MSG_OOB || (until && clock_now_ns() >= until)) {
			done++;
			break;
		}
	}
	return done ? (long)done : r;
}
