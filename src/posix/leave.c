/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/socket.h>

#include "posix/calls.h"
#include "posix/dgram.h"
#include "posix/fallback.h"
#include "posix/leave.h"
#include "posix/process.h"
#include "posix/relay.h"
#include "posix/section.h"
#include "posix/sock.h"
#include "posix/watch.h"
#include "shm/party.h"

#define QUEUE_MOST 4096u /* clients that wait at all listeners */

static void count_one(struct sock *s, void *any)
{
	*(bool *)any |= load_relaxed(&s->obj.nfds) != 0;
}

/* What is slept on is made, too: there may be no descriptor to be had later. */
static void bell_prepare(void)
{
	struct waiter *w = waiter_call_get();

	if (!w)
		return;
	waiter_bell_get(w);
	waiter_call_put(w);
}

/* Whom we talk with, and how to wake him, is known from now on. */
static void open_one(struct sock *s, void *arg)
{
	struct party *own = process_party();

	(void)arg;
	if (load_relaxed(&s->obj.nfds) == 0 || load_acquire(&s->stage) != SOCK_OPEN)
		return;
	lock_take(&s->lock);
	conn_follow(&s->conn);
	if (own)
		peer_bells_fetch(own, s->conn.owner);
	lock_drop(&s->lock);
}

void leave_prepare(void)
{
	bool any = false;

	section_enter();
	socks_each(count_one, &any);
	if (any && process_party()) {
		bell_prepare();
		socks_each(open_one, NULL);
	}
	section_leave();
}

/** struct leaving - @relay: Takes who waits at listeners; NULL: they are reset. */
struct leaving {
	enum reason why;
	struct relay *relay;
};

static void listener_one(struct sock *s, void *arg)
{
	const struct leaving *l = arg;

	if (load_relaxed(&s->obj.nfds) == 0 || load_acquire(&s->stage) != SOCK_LISTEN)
		return;
	lock_take(&s->lock);
	if (load_relaxed(&s->stage) == SOCK_LISTEN)
		fallback_listener_on(s, l->why, l->relay);
	lock_drop(&s->lock);
}

/* Who waits or may come, and datagrams. */
static void all_to_kernel(enum reason why, struct relay *relay)
{
	struct leaving l = { why, relay };

	section_enter();
	socks_each(listener_one, &l);
	dgram_leave_all();
	section_leave();
}

/* Nobody can be asked afterwards either. */
void leave_confine_before(void)
{
	leave_uid_before();
}

void leave_confined(void)
{
	process.confined = true;
	process.spin_ns = 0; /* sched_yield() */
	leave_done();
}

void leave_uid_before(void)
{
	leave_prepare();
	/* Policy none: there are no kernel sockets to fall back to, and who
	 * began the program asked for a network of its own. */
	if (process.policy != POLICY_SHARE)
		return;
	all_to_kernel(REASON_IDENTITY, NULL);
}

long leave_ring(void)
{
	struct relay relay;

	if (!process.enabled || process.ring)
		return 0;
	if (process.policy != POLICY_SHARE)
		return -ENOSYS;
	process.ring = true;
	if (relay_open(&relay, QUEUE_MOST) < 0) {
		all_to_kernel(REASON_OPTION, NULL);
		return 0;
	}
	all_to_kernel(REASON_OPTION, &relay);
	if (relay.count && relay_start(&relay) < 0)
		process_log(0, "no relay for clients that wait at a listener: they see an end");
	relay_take(&relay);
	relay_close(&relay);
	return 0;
}

void leave_done(void)
{
	process.left = process.policy == POLICY_SHARE;
}
