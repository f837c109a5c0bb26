/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "base/sys.h"
#include "posix/served.h"

void served_no_more(struct sock *s)
{
	if (load_relaxed(&s->half->served_by) == process.pid)
		store_relaxed(&s->half->served_by, 0);
}

static void leave_one(struct sock *s, void *arg)
{
	(void)arg;
	if (load_acquire(&s->stage) == SOCK_LISTEN)
		served_no_more(s);
}

void served_exec_before(void)
{
	socks_each(leave_one, NULL);
}

static void stay_one(struct sock *s, void *arg)
{
	(void)arg;
	if (load_acquire(&s->stage) == SOCK_LISTEN && load_relaxed(&s->obj.nfds))
		served_here(s);
}

void served_exec_after(void)
{
	socks_each(stay_one, NULL);
}

/* A zombie passes for one that is there, and so does a number that is another's by now. */
static bool is_there(uint32_t pid)
{
	return pid == process.pid || (pid && sys2(SYS_kill, pid, 0) != -ESRCH);
}

/* The daemon looks whether the last copy of its handle is closed. */
static void ask(const struct listener_ref *ref, const struct half *l)
{
	struct ctl_msg m = { .type = CTL_CLOSED };

	m.shared.party = half_ref_party(ref->half);
	m.shared.party_gen = ref->party_gen;
	m.shared.slot = half_ref_slot(ref->half);
	m.shared.gen = half_ref_gen(ref->half);
	m.shared.handle = load_relaxed(&l->handle) - 1;
	process_call(&m, NULL, 0, NULL, NULL);
}

bool served_look(const struct sock *s, const struct listener_ref *ref)
{
	uint64_t listens = (uint64_t)half_ref_gen(ref->half) << 32 | HALF_LISTEN;
	const struct half *l;
	struct peer *owner;
	bool served;

	/* A filter of system calls may not know kill(). And who cannot be mapped is
	 * seat_claim()'s to say. */
	if (process.confined || party_peer_get(s->party, half_ref_party(ref->half), ref->party_gen,
					       &owner) < 0)
		return true;
	l = half_find(owner->base, ref->half);
	served = !l || is_there(load_relaxed(&l->served_by));
	if (!served) {
		ask(ref, l);
		served = load_acquire(&l->gen_state) == listens;
	}
	party_peer_put(s->party, owner);
	return served;
}
