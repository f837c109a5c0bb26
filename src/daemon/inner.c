/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/inner.h"
#include "daemon/shares.h"
#include "shm/hint.h"

static int inner_introduce(void *arg, unsigned id, uint32_t gen, struct peer *ret)
{
	struct inner *in = arg;
	struct daemon *d = in->d;

	if (id == 0 || !clients_lookup(d, id, gen))
		return -ESRCH;
	d->t->knows[in->id][id / 64] |= 1ull << (id % 64);
	ret->base = arena_map(keeper_fd(d->k, id, KEPT_ARENA), ARENA_BYTES, false);
	if (!ret->base)
		return -errno;
	ret->mbox = arena_map(keeper_fd(d->k, id, KEPT_MBOX), MAILBOX_BYTES, true);
	if (!ret->mbox) {
		arena_unmap(ret->base, ARENA_BYTES);
		ret->base = NULL;
		return -ENOMEM;
	}
	ret->pid = daemon_rec(d, id)->pid;
	store_relaxed(&ret->bell_fd[0], fcntl(keeper_fd(d->k, id, KEPT_BELL0), F_DUPFD_CLOEXEC, 0));
	return 0;
}

static int inner_fetch_bell(void *arg, const struct peer *p, unsigned bell)
{
	struct inner *in = arg;
	int fd = keeper_fd(in->d->k, p->id, KEPT_BELL0 + bell);

	if (fd < 0 || daemon_rec(in->d, p->id)->gen != p->gen)
		return -ESRCH;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static void inner_let_go(void *arg, unsigned id, uint32_t gen)
{
	struct inner *in = arg;

	if (daemon_rec(in->d, id)->gen != gen)
		return;
	in->d->t->knows[in->id][id / 64] &= ~(1ull << (id % 64));
	in->d->estates_dirty = true;
}

static void inner_ring_shared(void *arg, half_ref listener, uint32_t party_gen)
{
	struct inner *in = arg;
	unsigned id = half_ref_party(listener);
	int fds[2] = {-1, -1};
	uint64_t one = 1;

	if (id >= PARTY_MAX || daemon_rec(in->d, id)->gen != party_gen)
		return;
	shares_find(in->d, id, half_ref_slot(listener), half_ref_gen(listener), fds);
	/* Full: it is readable, which is all that is asked. */
	if (fds[0] >= 0 && write(fds[0], &one, sizeof(one)) < 0)
		return;
}

static const struct party_ops inner_ops = {
	.introduce = inner_introduce,
	.fetch_bell = inner_fetch_bell,
	.let_go = inner_let_go,
	.ring_shared = inner_ring_shared,
};

int inner_open(struct inner *in, struct daemon *d)
{
	int arena = -1, mbox = -1, err;
	struct rec *r;

	*in = (struct inner){.d = d};
	in->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->bell < 0)
		return -errno;
	in->p = party_create("mortised", &arena, &mbox);
	if (!in->p) {
		err = -errno;
		close(in->bell);
		return err;
	}
	in->id = clients_take_record(d);
	if (in->id == 0) {
		err = -EUSERS;
		close(arena);
		close(mbox);
		close(in->bell);
		goto fail;
	}
	r = daemon_rec(d, in->id);
	r->pid = (uint32_t)getpid();
	r->uid = (uint32_t)geteuid();
	r->service = 1;
	memcpy(r->comm, "mortised", sizeof("mortised"));
	clients_keep(d, in->id, KEPT_ARENA, arena);
	clients_keep(d, in->id, KEPT_MBOX, mbox);
	clients_keep(d, in->id, KEPT_BELL0, in->bell);
	err = clients_admit(d, in->id);
	if (err < 0) {
		clients_drop(d, in->id, (1u << KEPT_COUNT) - 1);
		goto fail;
	}
	party_admit(in->p, in->id, r->gen, d->reg, &inner_ops, in);
	return 0;
fail:
	party_destroy(in->p);
	in->p = NULL;
	return err;
}

bool inner_prepare(struct inner *in)
{
	store_relaxed(&arena_hdr(in->p->base)->bells[0].sleepers, 1);
	/* Whoever sets a hint after this look sees the sleeper, and rings. */
	atomic_thread_fence(memory_order_seq_cst);
	return !hint_any(in->p->mbox);
}

void inner_woken(struct inner *in)
{
	store_relaxed(&arena_hdr(in->p->base)->bells[0].sleepers, 0);
}

void inner_drain(struct inner *in)
{
	uint64_t n;

	if (read(in->bell, &n, sizeof(n)) < 0)
		return;
}
