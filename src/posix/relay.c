/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.c - Theory of operation.
 *
 * A program without the library (statically linked, setuid, excluded) has
 * nothing but the kernel's descriptors. Where it is to have a connection of
 * ours, it gets one end of an AF_UNIX stream pair, and a process of its own
 * pumps bytes between the other end and the socket.
 *
 * The relay is a fork of the one that executes, or sends: so it shares the
 * socket as any forked child does, and its copy of the handle keeps it open. It
 * is nobody's child (the program gets no SIGCHLD and finds it with no wait), has
 * a session of its own, blocks all signals, and closes all that it does not
 * need, so that pipes see their ends. It waits until the exec has succeeded,
 * which it learns by the end of a close-on-exec pipe.
 *
 * Ends, on either side:
 *   the peer's FIN           bytes before it, then shutdown(SHUT_WR) of the pair
 *   the peer's RST           the pair is closed
 *   shutdown(SHUT_WR) there  bytes before it, then shutdown(SHUT_WR) of the socket
 *   close() there            bytes before it, then the socket's copy is closed: FIN
 *                            when no other process has one; RST where something
 *                            was left unread, as the kernel has it
 *   the socket takes no more the pair takes no more: EPIPE
 * A full ring stops the pump, then the pair's buffer fills, then write() waits.
 *
 * What the program does not get: getpeername(), setsockopt() of TCP's options,
 * urgent data, SO_ERROR. It is an AF_UNIX socket to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/sys.h"
#include "posix/calls.h"
#include "posix/process.h"
#include "posix/relay.h"
#include "posix/rlimit.h"
#include "posix/signals.h"

#define PUMP_BYTES 65536u

/**
 * struct flow - One direction. Bytes [@at, @end) are on their way.
 * @ended: Nothing more comes.
 * @told:  So the other side was told.
 * @lost:  The other side takes nothing any more: what comes is thrown away.
 * @thrown: Something was.
 */
struct flow {
	unsigned at, end;
	bool ended, told, lost, thrown;
	unsigned char bytes[PUMP_BYTES];
};

/**
 * struct relay_link - One connection.
 * @real: The socket's number; -1: this link is over.
 * @near: The program's end, before it is the program's; -1: there is none. @far: ours.
 * @in:   To the program. @out: from it. In the relay only.
 */
struct relay_link {
	int real, near, far;
	bool gone; /* the program closed it */
	struct flow *in, *out;
};

/* ------------------------------------------------------- before the fork */

static void *map(size_t bytes)
{
	long at = sys6(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

int relay_open(struct relay *r, size_t room)
{
	*r = (struct relay){ .room = room, .bytes = room * sizeof(r->links[0]), .go = -1 };
	r->links = map(r->bytes);
	return r->links ? 0 : -ENOMEM;
}

int relay_add(struct relay *r, int fd, int flags)
{
	struct relay_link *l = &r->links[r->count];
	int pair[2], err;

	if (r->count == r->room)
		return -ENOBUFS;
	err = (int)sys4(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	if (err < 0)
		return err;
	l->real = fd;
	l->near = process_fd_high(pair[0]);
	l->far = process_fd_high(pair[1]);
	if (l->near < 0 || l->far < 0) {
		err = l->near < 0 ? l->near : l->far;
		if (l->near >= 0)
			process_fd_high_close(l->near);
		if (l->far >= 0)
			process_fd_high_close(l->far);
		return err;
	}
	sys3(SYS_fcntl, l->near, F_SETFL, flags & O_NONBLOCK);
	r->count++;
	return l->near;
}

int relay_add_far(struct relay *r, int fd, int far)
{
	if (r->count == r->room) {
		process_fd_high_close(far);
		return -ENOBUFS;
	}
	r->links[r->count++] = (struct relay_link){ .real = fd, .near = -1, .far = far };
	return 0;
}

static void near_close(const struct relay_link *l)
{
	if (l->near >= 0)
		process_fd_high_close(l->near);
}

void relay_close(struct relay *r)
{
	for (size_t i = 0; i < r->count; i++) {
		near_close(&r->links[i]);
		process_fd_high_close(r->links[i].far);
	}
	if (r->go >= 0)
		process_fd_high_close(r->go);
	if (r->links)
		sys2(SYS_munmap, r->links, r->bytes);
	*r = (struct relay){ .go = -1 };
}

void relay_go(struct relay *r)
{
	if (r->go >= 0)
		process_fd_high_close(r->go);
	r->go = -1;
}

void relay_take(struct relay *r)
{
	for (size_t i = 0; i < r->count; i++)
		call_close(r->links[i].real);
	relay_go(r);
}

void relay_cancel(struct relay *r)
{
	if (r->go >= 0)
		sys3(SYS_write, r->go, "x", 1);
	relay_go(r);
}

/* ----------------------------------------------------------- in the relay */

static _Noreturn void leave(void)
{
	for (;;)
		sys1(SYS_exit_group, 0);
}

/* All that is not needed: the program's descriptors may be somebody's end. */
static void close_others(const struct relay *r)
{
	unsigned next = 0;

	for (;;) {
		unsigned least = ~0u;

		for (size_t i = 0; i < r->count; i++)
			if ((unsigned)r->links[i].real >= next && (unsigned)r->links[i].real < least)
				least = (unsigned)r->links[i].real;
		if (least > next)
			call_close_range(next, least == ~0u ? ~0u : least - 1, 0);
		if (least == ~0u)
			break;
		next = least + 1;
	}
	for (size_t i = 0; i < r->count; i++)
		near_close(&r->links[i]);
}

/* One line of /proc/self/maps: begin-end perms offset device inode path. */
static void mapping_end(const char *line)
{
	static const char ring[] = "anon_inode:[io_uring]";
	size_t len = strlen(line);
	char *next;
	unsigned long begin, end;

	if (len < sizeof(ring) || strcmp(line + len - (sizeof(ring) - 1), ring) != 0)
		return;
	begin = strtoul(line, &next, 16);
	end = *next == '-' ? strtoul(next + 1, NULL, 16) : 0;
	if (end > begin)
		sys2(SYS_munmap, begin, end - begin);
}

/* The program's io_urings have to end with the program: what is registered in one, as
 * the near end of a link may be, would stay open, and the relay wait for it for ever. */
static void rings_end(void)
{
	char buf[4096];
	size_t have = 0;
	long fd = sys4(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0), n;

	while (fd >= 0 && (n = sys3(SYS_read, fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		char *line = buf, *end;

		have += (size_t)n;
		buf[have] = 0;
		while ((end = strchr(line, '\n'))) {
			*end = 0;
			mapping_end(line);
			line = end + 1;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		/* No line is so long, but for a path; that of a ring is none. */
		if (have == sizeof(buf) - 1)
			have = 0;
	}
	if (fd >= 0)
		sys1(SYS_close, fd);
}

static void link_end(struct relay_link *l, bool reset)
{
	struct linger now = { .l_onoff = reset, .l_linger = 0 }, was = { 0 };
	socklen_t len = sizeof(was);

	/* Its other connections do not wait for this one. */
	call_getsockopt(l->real, SOL_SOCKET, SO_LINGER, &was, &len);
	if (reset || (was.l_onoff && was.l_linger))
		call_setsockopt(l->real, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	call_close(l->real);
	process_fd_high_close(l->far);
	l->real = -1;
}

/* What the program is to read. Return: whether anything moved. */
static bool pump_in(struct relay_link *l)
{
	struct flow *f = l->in;
	bool moved = false;
	long r;

	if (f->at == f->end && !f->ended) {
		r = call_recv(l->real, f->bytes, sizeof(f->bytes), MSG_DONTWAIT);
		if (r > 0) {
			f->at = 0;
			f->end = (unsigned)r;
			moved = true;
		} else if (r != -EAGAIN && r != -EINTR) {
			f->ended = true;
			moved = true;
			if (r < 0) {
				link_end(l, false);
				return true;
			}
		}
	}
	if (f->lost) {
		f->thrown |= f->at < f->end;
		f->at = f->end;
	}
	if (f->at < f->end) {
		r = sys6(SYS_sendto, l->far, f->bytes + f->at, f->end - f->at,
			 MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
		if (r > 0)
			f->at += (unsigned)r;
		else if (r != -EAGAIN && r != -EINTR)
			f->lost = true;
		moved |= r != -EAGAIN;
	}
	if (f->at == f->end && f->ended && !f->told) {
		sys2(SYS_shutdown, l->far, SHUT_WR);
		f->told = true;
		moved = true;
	}
	return moved;
}

/* Is its end the program's close, not only its shutdown()? */
static bool hung_up(int far)
{
	struct pollfd p = { .fd = far };
	struct timespec now = { 0 };

	return sys5(SYS_ppoll, &p, 1, &now, 0, 8) == 1 && p.revents & (POLLHUP | POLLERR);
}

/* What the program wrote. @revents: of the pair's end. */
static bool pump_out(struct relay_link *l, short revents)
{
	struct flow *f = l->out;
	bool moved = false;
	long r;

	if (revents & (POLLHUP | POLLERR))
		l->gone = true;
	if (f->at == f->end && !f->ended) {
		r = sys6(SYS_recvfrom, l->far, f->bytes, sizeof(f->bytes), MSG_DONTWAIT, NULL, 0);
		if (r > 0) {
			f->at = 0;
			f->end = (unsigned)r;
			moved = true;
		} else if (r != -EAGAIN && r != -EINTR) {
			f->ended = true;
			moved = true;
			/* Since poll() looked it may have closed: a FIN now would
			 * take the place of the reset for what it left unread.
			 */
			l->gone |= r == 0 && hung_up(l->far);
			if (r < 0) { /* It closed with something unread. */
				link_end(l, true);
				return true;
			}
		}
	}
	if (f->lost)
		f->at = f->end;
	if (f->at < f->end) {
		r = call_send(l->real, f->bytes + f->at, f->end - f->at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r > 0) {
			f->at += (unsigned)r;
		} else if (r != -EAGAIN && r != -EINTR) {
			f->lost = true;
			sys2(SYS_shutdown, l->far, SHUT_RD);
		}
		moved |= r != -EAGAIN;
	}
	if (f->at < f->end || !f->ended)
		return moved;
	if (l->gone) {
		/* As if it had been the kernel's: what it did not read counts. */
		link_end(l, l->in->at < l->in->end || l->in->thrown);
		return true;
	}
	if (!f->told) {
		call_shutdown(l->real, SHUT_WR);
		f->told = true;
		moved = true;
	}
	return moved;
}

static bool link_pump(struct relay_link *l, short revents)
{
	bool moved = pump_out(l, revents);

	if (l->real >= 0)
		moved |= pump_in(l);
	if (l->real >= 0 && l->in->told && l->out->told)
		link_end(l, false);
	return moved;
}

static void link_poll(const struct relay_link *l, struct pollfd p[2])
{
	p[0] = (struct pollfd){ .fd = l->real };
	p[1] = (struct pollfd){ .fd = l->far };
	if (l->real < 0) {
		p[0].fd = p[1].fd = -1;
		return;
	}
	if (l->in->at == l->in->end && !l->in->ended)
		p[0].events |= POLLIN;
	if (l->out->at < l->out->end)
		p[0].events |= POLLOUT;
	if (p[0].events == 0)
		p[0].fd = -1; /* Its end would be said for ever. */
	if (l->out->at == l->out->end && !l->out->ended)
		p[1].events |= POLLIN;
	if (l->in->at < l->in->end)
		p[1].events |= POLLOUT;
	/* Else for its hang-up, unless that is known and bytes are still to go. */
	if (p[1].events == 0 && l->gone)
		p[1].fd = -1;
}

static _Noreturn void relay_run(struct relay *r)
{
	size_t bytes = 2 * sizeof(struct flow) * r->count, poll_bytes = 2 * r->count * sizeof(struct pollfd);
	struct flow *flows = map(bytes);
	struct pollfd *p = map(poll_bytes);
	size_t left = r->count;

	if (!flows || !p)
		leave();
	for (size_t i = 0; i < r->count; i++) {
		r->links[i].in = &flows[2 * i];
		r->links[i].out = &flows[2 * i + 1];
	}
	while (left > 0) {
		bool moved = false;

		for (size_t i = 0; i < r->count; i++)
			link_poll(&r->links[i], p + 2 * i);
		if (call_ppoll(p, 2 * r->count, NULL, NULL) == NOT_OURS)
			sys5(SYS_ppoll, p, 2 * r->count, NULL, NULL, 8);
		left = 0;
		for (size_t i = 0; i < r->count; i++) {
			/* While it goes on: a sleep costs more than a look. */
			do
				moved = r->links[i].real >= 0 &&
					link_pump(&r->links[i], p[2 * i + 1].revents);
			while (moved && r->count == 1);
			left += r->links[i].real >= 0;
		}
	}
	leave();
}

/* The exec, or the sending, has succeeded. */
static bool relay_may_go(int go)
{
	char c;
	long r;

	do
		r = sys3(SYS_read, go, &c, 1);
	while (r == -EINTR);
	process_fd_high_close(go);
	return r == 0;
}

static _Noreturn void relay_main(struct relay *r, int go)
{
	process_fork_child();
	rlimit_fork_child();
	signals_fork_after();
	sys0(SYS_setsid);
	sys1(SYS_chdir, "/");
	sys5(SYS_prctl, 15 /* PR_SET_NAME */, "mortise-relay", 0, 0, 0);
	process_fd_high_close(r->go);
	close_others(r);
	rings_end();
	FAULT_POINT("relay.made");
	if (!relay_may_go(go))
		leave();
	FAULT_POINT("relay.goes");
	relay_run(r);
}

/* ------------------------------------------------------------------ start */

int relay_start(struct relay *r)
{
	uint64_t all = ~0ull, old = 0;
	int go[2], status = 0;
	long pid;

	pid = sys2(SYS_pipe2, go, O_CLOEXEC);
	if (pid < 0)
		return (int)pid;
	go[0] = process_fd_high(go[0]);
	r->go = process_fd_high(go[1]);
	if (go[0] < 0 || r->go < 0) {
		if (go[0] >= 0)
			process_fd_high_close(go[0]);
		relay_go(r);
		return -EMFILE;
	}
	sys4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, sizeof(all));
	process_fork_before();
	signals_fork_before();
	/* Twice, and without a signal: it is to be nobody's child. */
	pid = sys5(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0) {
		pid = sys5(SYS_clone, 0, 0, 0, 0, 0);
		if (pid == 0)
			relay_main(r, go[0]);
		sys1(SYS_exit_group, pid < 0);
	}
	signals_fork_after();
	process_fork_parent();
	while (pid > 0 && sys4(SYS_wait4, pid, &status, __WALL, 0) == -EINTR)
		;
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof(all));
	process_fd_high_close(go[0]);
	if (pid > 0 && status == 0)
		return 0;
	relay_go(r);
	return pid < 0 ? (int)pid : -EAGAIN;
}
