/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/sys.h"
#include "posix/ledger.h"
#include "posix/process.h"

struct ledger *ledger_make(void)
{
	static uint32_t made;
	long at = sys6(SYS_mmap, 0, sizeof(struct ledger), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct ledger *l = (struct ledger *)at;

	if (at < 0 && at > -4096)
		return NULL;
	l->id = (uint64_t)process.pid << 32 | ++made;
	return l;
}

void ledger_unmap(struct ledger *l)
{
	sys2(SYS_munmap, l, sizeof(*l));
}

/* ------------------------------------------------------------------ entries */

void ledger_announce(struct ledger *l, uint32_t i)
{
	uint32_t next = load_relaxed(&l->version) + 1;

	store_relaxed(&l->log[next % LEDGER_LOG], i);
	/* Full fence: who is about to sleep sees it, or is seen asleep. */
	atomic_store(&l->version, next);
	FAULT_POINT("ledger.announced");
}

/* Before the change, so that nobody sleeps on where its maker dies: who is woken
 * waits for the lock. */
static void announce_aloud(const struct ledger_self *self, uint32_t i)
{
	uint64_t one = 1;

	ledger_announce(self->l, i);
	if (!ledger_lags(self))
		return;
	store_relaxed(&self->l->changed_ns, clock_now_ns());
	sys3(SYS_write, self->door, &one, sizeof(one));
}

static int free_index(struct ledger *l)
{
	uint32_t i = l->free;

	if (i && i <= l->high && load_relaxed(&l->entries[i - 1].use) == 0) {
		l->free = l->entries[i - 1].next;
		return (int)i - 1;
	}
	l->free = 0;
	if (l->high < LEDGER_ENTRIES)
		return (int)l->high++;
	/* Who died between two stores has left one out of the list. */
	for (i = 0; i < LEDGER_ENTRIES; i++)
		if (load_relaxed(&l->entries[i].use) == 0)
			return (int)i;
	return -ENOSPC;
}

int ledger_put(const struct ledger_self *self, const struct ledger_entry *what)
{
	struct ledger *l = self->l;
	int i = free_index(l);
	struct ledger_entry *n;

	if (i < 0)
		return i;
	announce_aloud(self, (uint32_t)i);
	n = &l->entries[i];
	n->fd = what->fd;
	n->kind = what->kind;
	n->file = what->file;
	n->party_gen = what->party_gen;
	n->set[0] = what->set[0];
	n->kernel_id = what->kernel_id;
	n->ring_id = what->ring_id;
	n->kernel_fd = what->kernel_fd;
	n->ring_fd = what->ring_fd;
	store_relaxed(&n->edge.sig, ~0ull);
	store_relaxed(&n->edge.full, 0);
	store_relaxed(&n->edge.pending, 1);
	store_relaxed(&n->edge.changes, load_relaxed(&n->edge.changes) + 1);
	FAULT_POINT("ledger.filled");
	store_release(&n->use, ++l->serial << 1);
	return i;
}

void ledger_set(const struct ledger_self *self, uint32_t i, const struct ledger_setting *what)
{
	struct ledger_entry *n = &self->l->entries[i];
	uint64_t use = load_relaxed(&n->use) ^ 1;

	announce_aloud(self, i);
	n->set[use & 1] = *what;
	FAULT_POINT("ledger.setting");
	store_release(&n->use, use);
	store_relaxed(&n->edge.sig, ~0ull);
	store_relaxed(&n->edge.pending, 1);
	store_relaxed(&n->edge.changes, load_relaxed(&n->edge.changes) + 1);
}

void ledger_fire(struct ledger *l, uint32_t i)
{
	ledger_announce(l, i);
	store_relaxed(&ledger_setting(&l->entries[i])->fired, 1);
	FAULT_POINT("ledger.fired");
}

void ledger_drop(struct ledger *l, uint32_t i)
{
	ledger_announce(l, i);
	store_release(&l->entries[i].use, 0);
	FAULT_POINT("ledger.dropped");
	l->entries[i].next = l->free;
	l->free = i + 1;
}

/* ------------------------------------------------------------------ holders */

static bool is_gone(uint32_t pid)
{
	return sys2(SYS_kill, pid, 0) == -ESRCH;
}

unsigned ledger_hold(struct ledger *l)
{
	for (unsigned i = 0; i < LEDGER_HOLDERS; i++) {
		struct ledger_holder *h = &l->holders[i];
		uint32_t pid = load_relaxed(&h->pid);

		if (pid && pid != process.pid && !is_gone(pid))
			continue;
		if (!atomic_compare_exchange_strong(&h->pid, &pid, process.pid))
			continue;
		store_relaxed(&h->asleep, 0);
		pid = load_relaxed(&l->held);
		while (pid <= i && !atomic_compare_exchange_weak(&l->held, &pid, i + 1))
			;
		return i;
	}
	return LEDGER_HOLDERS;
}

bool ledger_lags(const struct ledger_self *self)
{
	struct ledger *l = self->l;
	uint32_t held = load_acquire(&l->held);

	for (unsigned i = 0; i < held; i++) {
		struct ledger_holder *h = &l->holders[i];
		uint32_t pid = load_relaxed(&h->pid);

		if (i != self->me && pid && load_acquire(&h->asleep) &&
		    load_relaxed(&h->seen) != load_relaxed(&l->version) && !is_gone(pid))
			return true;
	}
	return false;
}
