/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/sys.h"
#include "shm/half.h"
#include "shm/hint.h"
#include "shm/party.h"

/* Dead peers to let go of at one time. */
#define SWEEP_MOST 32u
#define DISTRUST_NS (10 * NS_PER_SEC)

/* Private memory that no malloc of the program's can be in the middle of. */
static void *private_map(size_t bytes)
{
	long r = sys6(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return r < 0 && r > -4096 ? NULL : (void *)r;
}

static void peer_clear(struct peer *peer)
{
	*peer = (struct peer){ 0 };
	for (unsigned i = 0; i < BELL_MAX; i++)
		atomic_init(&peer->bell_fd[i], -1);
}

struct party *party_create(const char *comm, int *ret_arena_fd, int *ret_mbox_fd)
{
	struct party *p = private_map(sizeof(*p));
	int arena_fd = -1, mbox_fd = -1;
	struct arena_hdr *hdr;

	if (!p) {
		errno = ENOMEM;
		return NULL;
	}
	arena_fd = arena_fd_create("mortise-arena", ARENA_BYTES);
	if (arena_fd < 0) {
		errno = -arena_fd;
		goto fail;
	}
	mbox_fd = arena_fd_create("mortise-mailbox", MAILBOX_BYTES);
	if (mbox_fd < 0) {
		errno = -mbox_fd;
		goto fail;
	}
	p->base = arena_map(arena_fd, ARENA_BYTES, true);
	p->mbox = p->base ? arena_map(mbox_fd, MAILBOX_BYTES, true) : NULL;
	if (!p->mbox)
		goto fail;
	hdr = arena_hdr(p->base);
	hdr->magic = ARENA_MAGIC;
	hdr->version = ABI_VERSION;
	hdr->pid = (uint32_t)sys0(SYS_getpid);
	strncpy(hdr->comm, comm, sizeof(hdr->comm) - 1);
	p->mbox->magic = MAILBOX_MAGIC;
	p->pid = hdr->pid;
	p->ring_next = ARENA_OFF_RINGS;
	peer_clear(&p->self);
	*ret_arena_fd = arena_fd;
	*ret_mbox_fd = mbox_fd;
	return p;
fail:
	if (p->base)
		arena_unmap(p->base, ARENA_BYTES);
	if (arena_fd >= 0)
		sys1(SYS_close, arena_fd);
	if (mbox_fd >= 0)
		sys1(SYS_close, mbox_fd);
	sys2(SYS_munmap, p, sizeof(*p));
	return NULL;
}

void party_admit(struct party *p, unsigned id, uint32_t gen, const struct registry *reg,
		 const struct party_ops *ops, void *ops_arg)
{
	struct arena_hdr *hdr = arena_hdr(p->base);

	p->id = (uint16_t)id;
	p->gen = gen;
	p->reg = reg;
	p->ops = ops;
	p->ops_arg = ops_arg;
	/* Unique in the domain: party numbers and generations are. */
	atomic_init(&p->cookie_next, (uint64_t)id << 48 | (uint64_t)(gen & 0xffff) << 32 | 1);
	p->self.id = (uint16_t)id;
	p->self.gen = gen;
	p->self.pid = p->pid;
	p->self.base = p->base;
	p->self.mbox = p->mbox;
	p->self.self = true;
	p->peers[id] = &p->self;
	store_relaxed(&hdr->party_gen, gen);
	store_release(&hdr->party, id);
}

static void peer_unmap(struct party *p, struct peer *peer)
{
	for (unsigned i = 0; i < BELL_MAX; i++) {
		int fd = load_relaxed(&peer->bell_fd[i]);

		if (fd >= 0 && p->ops && p->ops->close_fd)
			p->ops->close_fd(p->ops_arg, fd);
		else if (fd >= 0)
			sys1(SYS_close, fd);
	}
	if (peer->base)
		arena_unmap(peer->base, ARENA_BYTES);
	if (peer->mbox)
		arena_unmap(peer->mbox, MAILBOX_BYTES);
}

void party_destroy(struct party *p)
{
	for (unsigned i = 0; i < PARTY_MAX; i++)
		if (p->peers[i] && !p->peers[i]->self)
			peer_unmap(p, p->peers[i]);
	arena_unmap(p->base, ARENA_BYTES);
	arena_unmap(p->mbox, MAILBOX_BYTES);
	sys2(SYS_munmap, p, sizeof(*p));
}

/* ----------------------------------------------------------- ring memory */

/* A free stretch of ring memory. The nodes are private: the memory itself
 * is the peer's to read until it has let go, and nothing of ours afterwards. */
struct ring_block {
	struct ring_block *next;
	uint64_t offset;
};

static struct ring_block *node_get(struct party *p)
{
	struct ring_block *n = p->ring_nodes;

	if (!n) {
		n = private_map(PAGE_BYTES);
		if (!n)
			return NULL;
		for (unsigned i = 0; i < PAGE_BYTES / sizeof(*n); i++) {
			n[i].next = p->ring_nodes;
			p->ring_nodes = &n[i];
		}
		n = p->ring_nodes;
	}
	p->ring_nodes = n->next;
	return n;
}

/* Caller holds the lock. */
static uint64_t ring_take(struct party *p, unsigned log2)
{
	struct ring_block *b = p->ring_free[log2 - RING_LOG2_MIN];
	uint64_t bytes = 1ull << log2, at;

	if (b) {
		p->ring_free[log2 - RING_LOG2_MIN] = b->next;
		at = b->offset;
		b->next = p->ring_nodes;
		p->ring_nodes = b;
	} else if (p->ring_next + bytes <= ARENA_BYTES) {
		at = p->ring_next;
		p->ring_next += bytes;
	} else {
		return 0;
	}
	p->ring_used_bytes += bytes;
	return at;
}

uint64_t party_ring_alloc(struct party *p, unsigned log2)
{
	uint64_t at;

	if (p->inherited || log2 < RING_LOG2_MIN || log2 > RING_LOG2_MAX ||
	    FAULT_FAIL("ring"))
		return 0;
	lock_take(&p->lock);
	at = ring_take(p, log2);
	lock_drop(&p->lock);
	return at;
}

/* Caller holds the lock. A stretch that finds no node is lost to us, not to
 * the kernel: its pages go back. */
static void ring_give(struct party *p, uint64_t offset, unsigned log2)
{
	struct ring_block *b = node_get(p);

	p->ring_used_bytes -= 1ull << log2;
	if (log2 > RING_LOG2_MIN || !b)
		sys3(SYS_madvise, (char *)p->base + offset, 1ull << log2, MADV_REMOVE);
	if (!b)
		return;
	b->offset = offset;
	b->next = p->ring_free[log2 - RING_LOG2_MIN];
	p->ring_free[log2 - RING_LOG2_MIN] = b;
}

void party_ring_free(struct party *p, uint64_t offset, unsigned log2)
{
	if (p->inherited)
		return;
	lock_take(&p->lock);
	ring_give(p, offset, log2);
	lock_drop(&p->lock);
}

uint64_t party_ring_used(const struct party *p)
{
	return __atomic_load_n(&p->ring_used_bytes, __ATOMIC_RELAXED);
}

/* ----------------------------------------------------------------- slots */

/* May the slot of a half of ours be used again? */
static bool slot_reusable(struct party *p, struct half *h)
{
	half_ref ref = load_relaxed(&h->peer);
	unsigned id = half_ref_party(ref);
	uint32_t gen = load_relaxed(&h->peer_party_gen);
	struct peer *peer;
	uint64_t gs;

	if (ref == 0 || id >= PARTY_MAX)
		return true;
	peer = p->peers[id];
	if (peer && peer->gen == gen)
		return half_reusable(h, peer->base);
	gs = p->reg ? load_acquire(&p->reg->parties[id].gen_state) : 0;
	if ((uint32_t)gs == PARTY_FREE || (uint32_t)(gs >> 32) != gen)
		return true;
	/* The peer moved to a party that nobody here has met. */
	p->ask_id = id;
	p->ask_gen = gen;
	return false;
}

void party_row_give(struct party *p, unsigned base, unsigned entries)
{
	for (unsigned i = base / 64; i < base / 64 + (entries + 63) / 64; i++)
		p->seat_used[i / 64] &= ~(1ull << (i % 64));
}

static void slot_recycle(struct party *p, unsigned slot);

/* Caller holds the lock. */
static void zombie_add(struct party *p, unsigned slot)
{
	p->zombies[(p->zombie_head + p->zombie_count) % SLOT_MAX] = (uint16_t)slot;
	p->zombie_count++;
}

/*
 * A listener of ours that the executor closed, since a child had it too: its
 * seats come back with it, those that somebody had claimed once he lets go.
 */
static void seats_recycle(struct party *p, struct half *l)
{
	uint32_t base = load_relaxed(&l->seat_base), n = load_relaxed(&l->seat_count);

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t seat = load_relaxed(&arena_seats(p->base)[base + 1 + i]);
		struct half *h = arena_half(p->base, slot_word_slot(seat) % SLOT_MAX);
		uint32_t ahead = half_gen(h) - slot_word_gen(seat);

		if (!seat || ahead > 1 || (ahead == 0 && half_state(h) != HALF_RELEASED))
			continue;
		/* One ahead: who made it anew died before its word said so. */
		if (ahead == 1 || load_relaxed(&h->peer) == 0)
			slot_recycle(p, slot_word_slot(seat));
		else
			zombie_add(p, slot_word_slot(seat));
	}
	party_row_give(p, base, n + 1);
}

static void slot_recycle(struct party *p, unsigned slot)
{
	struct half *h = arena_half(p->base, slot);
	struct arena_hdr *hdr = arena_hdr(p->base);
	uint32_t live = load_relaxed(&h->ext_live), count = load_relaxed(&h->ext_count);

	if (p->ops && p->ops->recycled)
		p->ops->recycled(p->ops_arg, h);
	seats_recycle(p, h);
	for (; live != count; live++) {
		uint64_t where = load_relaxed(&h->ext[live % RING_EXTENTS].where);

		ring_give(p, (where >> 8) * PAGE_BYTES, (unsigned)(where & 0xff));
	}
	for (unsigned i = 0; i < 2; i++) {
		if (p->slot_peers[slot][i])
			party_peer_put(p, p->peers[p->slot_peers[slot][i] - 1]);
		p->slot_peers[slot][i] = 0;
	}
	/* A channel's are counted at the sockets. */
	if (!(load_relaxed(&h->side) & SIDE_CHANNEL)) {
		atomic_fetch_add_explicit(&hdr->tx_bytes_done, load_relaxed(&h->tail),
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&hdr->rx_bytes_done, load_relaxed(&h->head),
					  memory_order_relaxed);
	}
	half_renew(h);
	p->free_slots[p->free_slot_count++] = (uint16_t)slot;
}

/* Reuse what peers have let go of; looks at a few, each time. */
static void zombies_reap(struct party *p, unsigned most)
{
	for (unsigned n = p->zombie_count < most ? p->zombie_count : most; n > 0; n--) {
		unsigned slot = p->zombies[p->zombie_head];
		struct half *h = arena_half(p->base, slot);

		p->zombie_head = (p->zombie_head + 1) % SLOT_MAX;
		p->zombie_count--;
		if (half_state(h) == HALF_RELEASED && slot_reusable(p, h)) {
			slot_recycle(p, slot);
			continue;
		}
		zombie_add(p, slot);
	}
}

/* Map the party that slot_reusable() asked for; nothing refers to it. */
static void party_meet(struct party *p)
{
	unsigned id = p->ask_id;
	struct peer *peer;

	p->ask_id = 0;
	if (party_peer_get(p, id, p->ask_gen, &peer) == 0)
		party_peer_put(p, peer);
}

int party_slot_alloc(struct party *p)
{
	struct arena_hdr *hdr = arena_hdr(p->base);
	int slot = -ENOSPC;

	if (p->inherited)
		return -ENOSPC;
	if (unlikely(p->ask_id))
		party_meet(p);
	lock_take(&p->lock);
	zombies_reap(p, 4);
	if (p->free_slot_count == 0 && p->slots_made == SLOT_MAX)
		zombies_reap(p, SLOT_MAX);
	if (p->free_slot_count > 0) {
		slot = p->free_slots[--p->free_slot_count];
	} else if (p->slots_made < SLOT_MAX) {
		slot = (int)p->slots_made++;
		store_release(&arena_half(p->base, (unsigned)slot)->gen_state,
			      (uint64_t)1 << 32 | HALF_FREE);
		store_release(&hdr->slots_used, p->slots_made);
	}
	lock_drop(&p->lock);
	return slot;
}

void party_slot_retire(struct party *p, unsigned slot)
{
	if (p->inherited)
		return;
	lock_take(&p->lock);
	zombie_add(p, slot);
	lock_drop(&p->lock);
}

void party_slot_free(struct party *p, unsigned slot)
{
	if (p->inherited)
		return;
	lock_take(&p->lock);
	slot_recycle(p, slot);
	lock_drop(&p->lock);
}

/* ----------------------------------------------------------------- peers */

/* Caller holds the lock. */
static struct peer *peer_known(struct party *p, unsigned id, uint32_t gen)
{
	struct peer *peer = p->peers[id];

	return peer && peer->gen == gen ? peer : NULL;
}

/* Caller holds the lock. */
static struct peer *peer_struct_get(struct party *p)
{
	struct peer *peer = p->peers_free;
	unsigned n = PAGE_BYTES / sizeof(*peer);

	if (!peer) {
		peer = private_map(PAGE_BYTES);
		if (!peer)
			return NULL;
		for (unsigned i = 0; i < n; i++) {
			peer[i].base = p->peers_free;
			p->peers_free = &peer[i];
		}
		peer = p->peers_free;
	}
	p->peers_free = peer->base;
	return peer;
}

/* One that is known, with a reference. */
static bool peer_find(struct party *p, unsigned id, uint32_t gen, struct peer **ret)
{
	struct peer *peer;

	lock_take(&p->lock);
	peer = peer_known(p, id, gen);
	if (peer) {
		atomic_fetch_add(&peer->refs, 1);
		*ret = peer;
	}
	lock_drop(&p->lock);
	return peer != NULL;
}

static void peers_sweep(struct party *p);

/* Ask who that is. Caller holds meet_lock. */
static int peer_meet(struct party *p, unsigned id, uint32_t gen, struct peer **ret)
{
	struct peer fresh, gone, *peer, *stale;
	int r;

	/* Another thread was faster. */
	if (peer_find(p, id, gen, ret))
		return 0;
	peers_sweep(p);
	peer_clear(&fresh);
	r = p->ops->introduce(p->ops_arg, id, gen, &fresh);
	if (r < 0)
		return r;
	fresh.id = (uint16_t)id;
	fresh.gen = gen;
	lock_take(&p->lock);
	/* A party of the same number but another generation: dead, and the
	 * daemon gave its number away, so nothing can refer to it here. */
	stale = p->peers[id];
	peer = stale && load_relaxed(&stale->refs) ? NULL : stale ? stale : peer_struct_get(p);
	if (!peer) {
		lock_drop(&p->lock);
		peer_unmap(p, &fresh);
		return stale ? -ESRCH : -ENOMEM;
	}
	if (stale)
		gone = *stale;
	*peer = fresh;
	atomic_store(&peer->refs, 1);
	p->peers[id] = peer;
	lock_drop(&p->lock);
	if (stale)
		peer_unmap(p, &gone);
	*ret = peer;
	return 0;
}

int party_peer_get(struct party *p, unsigned id, uint32_t gen, struct peer **ret)
{
	int r;

	if (id >= PARTY_MAX)
		return -EPROTO;
	if (peer_find(p, id, gen, ret))
		return 0;
	if (p->inherited && p->ops && p->ops->own) {
		struct party *own = p->ops->own(p->ops_arg);

		return own && !own->inherited ? party_peer_get(own, id, gen, ret) : -EAGAIN;
	}
	if (p->inherited || !p->ops)
		return -ESRCH;
	lock_take(&p->meet_lock);
	r = peer_meet(p, id, gen, ret);
	lock_drop(&p->meet_lock);
	return r;
}

struct peer *party_peer_look(struct party *p, unsigned id, uint32_t gen)
{
	struct peer *peer;

	lock_take(&p->lock);
	peer = id < PARTY_MAX ? peer_known(p, id, gen) : NULL;
	if (peer && !peer->self)
		atomic_fetch_add(&peer->refs, 1);
	lock_drop(&p->lock);
	return peer;
}

void party_peer_put(struct party *p, struct peer *peer)
{
	(void)p;
	if (!peer->self)
		atomic_fetch_sub(&peer->refs, 1);
}

void party_half_refers(struct party *p, const struct half *own, unsigned id)
{
	uint16_t *word = &p->slot_peers[arena_slot(p->base, own)][0];

	/* One that comes back to us, with a message, has its references still. */
	if (!p->inherited && *word == 0)
		*word = (uint16_t)(id + 1);
}

bool party_half_moves(struct party *p, const struct half *own, half_ref *word, half_ref was,
		      half_ref ref)
{
	if (*word != was)
		return false;
	*word = ref;
	if (!p->inherited)
		p->slot_peers[arena_slot(p->base, own)][1] = (uint16_t)(half_ref_party(ref) + 1);
	return true;
}

/* Caller holds meet_lock. */
static void peers_sweep(struct party *p)
{
	struct peer gone[SWEEP_MOST];
	unsigned n = 0;

	if (!p->reg || !p->ops->let_go)
		return;
	lock_take(&p->lock);
	zombies_reap(p, SLOT_MAX);
	for (unsigned id = 0; id < PARTY_MAX && n < SWEEP_MOST; id++) {
		struct peer *peer = p->peers[id];

		if (!peer || peer->self || load_relaxed(&peer->refs) != 0 ||
		    registry_party_alive(p->reg, id, peer->gen))
			continue;
		p->peers[id] = NULL;
		gone[n++] = *peer;
		peer->base = p->peers_free;
		p->peers_free = peer;
	}
	lock_drop(&p->lock);
	for (unsigned i = 0; i < n; i++) {
		peer_unmap(p, &gone[i]);
		p->ops->let_go(p->ops_arg, gone[i].id, gone[i].gen);
	}
}

void party_peers_sweep(struct party *p)
{
	if (p->inherited)
		return;
	lock_take(&p->meet_lock);
	peers_sweep(p);
	lock_drop(&p->meet_lock);
}

void party_distrust(struct party *p)
{
	store_relaxed(&p->distrust_ns, clock_now_ns() + DISTRUST_NS);
}

bool party_distrusts(struct party *p)
{
	uint64_t until = load_relaxed(&p->distrust_ns);

	if (likely(until == 0))
		return false;
	if (clock_now_ns() < until)
		return true;
	atomic_compare_exchange_strong(&p->distrust_ns, &until, 0);
	return false;
}

int peer_bell_get(struct party *p, struct peer *peer, unsigned bell)
{
	int fd = load_acquire(&peer->bell_fd[bell]), none = -1;

	if (fd >= 0)
		return 0;
	if (!p->ops)
		return -ENOTCONN;
	fd = p->ops->fetch_bell(p->ops_arg, peer, bell);
	if (fd < 0)
		return fd;
	if (!atomic_compare_exchange_strong(&peer->bell_fd[bell], &none, fd) && none != fd) {
		if (p->ops->close_fd)
			p->ops->close_fd(p->ops_arg, fd);
		else
			sys1(SYS_close, fd);
	}
	return 0;
}

void peer_bells_fetch(struct party *p, struct peer *peer)
{
	for (unsigned bell = 0; bell < BELL_MAX; bell++)
		peer_bell_get(p, peer, bell);
}

void peer_ring_bell(struct party *p, struct peer *peer, unsigned slot, unsigned bell)
{
	struct arena_hdr *hdr = arena_hdr(peer->base);
	uint64_t one = 1;

	hint_set(peer->mbox, slot); /* A full fence: pairs with the sleeper's. */
	bell %= BELL_MAX;
	if (load_relaxed(&hdr->bells[bell].sleepers) == 0 || peer_bell_get(p, peer, bell) < 0)
		return;
	sys3(SYS_write, load_relaxed(&peer->bell_fd[bell]), &one, sizeof(one));
}
