/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "base/lock.h"
#include "posix/due.h"
#include "posix/watch.h"
#include "shm/seat.h"

static struct lock due_lock;
static struct sock *noted;
/* The earliest of them, or an earlier moment; 0: none. Read without the lock, too. */
static _Atomic uint64_t first_ns;

static void note(struct sock *s, uint64_t when_ns)
{
	lock_take(&due_lock);
	if (s->due_ns == 0) {
		s->due_next = noted;
		noted = s;
	}
	s->due_ns = when_ns;
	if (load_relaxed(&first_ns) == 0 || when_ns < load_relaxed(&first_ns))
		store_relaxed(&first_ns, when_ns);
	lock_drop(&due_lock);
}

uint64_t due_look(struct sock *s)
{
	uint64_t when = 0;

	if (load_acquire(&s->stage) == SOCK_OPEN)
		when = conn_overdue(&s->conn, clock_now_ns());
	else if (sock_listens(s))
		when = seat_due(s->party, s->half, &s->accept_cursor);
	if (when && s->due_ns != when)
		note(s, when);
	return when;
}

uint64_t due_cap(uint64_t until_ns)
{
	uint64_t first = load_relaxed(&first_ns);

	if (likely(first == 0))
		return until_ns;
	return until_ns == 0 || first < until_ns ? first : until_ns;
}

void due_run(void)
{
	uint64_t now, next = 0;

	if (likely(load_relaxed(&first_ns) == 0))
		return;
	now = clock_now_ns();
	if (now < load_relaxed(&first_ns))
		return;
	lock_take(&due_lock);
	for (struct sock **at = &noted, *s; (s = *at);) {
		if (s->due_ns > now) {
			next = next == 0 || s->due_ns < next ? s->due_ns : next;
			at = &s->due_next;
			continue;
		}
		*at = s->due_next;
		s->due_ns = 0;
		for (struct watch *w = s->watches; w; w = w->target_next)
			watch_enqueue(w);
	}
	store_relaxed(&first_ns, next);
	lock_drop(&due_lock);
}

void due_forget(struct sock *s)
{
	/* Whoever noted it had a reference. */
	if (likely(s->due_ns == 0))
		return;
	lock_take(&due_lock);
	for (struct sock **at = &noted; *at; at = &(*at)->due_next)
		if (*at == s) {
			*at = s->due_next;
			break;
		}
	s->due_ns = 0;
	lock_drop(&due_lock);
}

void due_fork_child(void)
{
	while (noted) {
		noted->due_ns = 0;
		noted = noted->due_next;
	}
	store_relaxed(&first_ns, 0);
	due_lock = (struct lock){ 0 };
}
