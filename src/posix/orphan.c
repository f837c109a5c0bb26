/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <poll.h>

#include "base/sys.h"
#include "posix/orphan.h"
#include "posix/process.h"

int orphan_fd(void)
{
	return process.orphan ? -1 : process.ctl_fd;
}

/* All its threads; a zombie too, which its parent buries when it likes. A
 * number that was given to another process by now passes for alive. */
static bool pid_is_dead(uint32_t pid)
{
	struct timespec zero = { 0 };
	long fd = sys2(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = (int)fd, .events = POLLIN };
	bool dead;

	if (fd < 0)
		return fd == -ESRCH || sys2(SYS_kill, pid, 0) == -ESRCH;
	dead = sys5(SYS_ppoll, &p, 1, &zero, 0, 8) == 1;
	sys1(SYS_close, fd);
	return dead;
}

/* A child that uses only what its parent opened has no channel of its own. */
static bool nobody_tells(const struct sock *s)
{
	if (process.ctl_fd >= 0)
		return process_orphaned();
	return s->foreign && pid_is_dead(load_relaxed(&s->party->reg->parties[0].pid));
}

bool orphan_look(struct sock *s)
{
	uint64_t now = clock_now_ns();
	const struct half *peer;

	if (now - s->looked_ns < ORPHAN_LOOK_NS || load_acquire(&s->stage) != SOCK_OPEN)
		return false;
	/* The first time only begins the second. */
	if (s->looked_ns == 0) {
		s->looked_ns = now;
		return false;
	}
	s->looked_ns = now;
	peer = s->conn.peer;
	if (load_relaxed(&s->half->side) & SIDE_RST_SEEN || !nobody_tells(s) ||
	    load_relaxed(&peer->shared) || !pid_is_dead(s->conn.owner->pid) ||
	    load_acquire(&peer->end))
		return false;
	conn_peer_died(&s->conn);
	return true;
}
