/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.h - Parties in one process, for tests of src/shm: a registry, and an
 * introduce() that maps from kept descriptors as the library does, read-only
 * where the library maps read-only.
 *
 * must() is for what a test needs and for what runs beside a test: it aborts.
 */
#ifndef MORTISE_TESTS_WORLD_H
#define MORTISE_TESTS_WORLD_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/conn.h"
#include "shm/execute.h"
#include "shm/half.h"
#include "shm/hint.h"
#include "shm/party.h"
#include "shm/registry.h"
#include "shm/seat.h"

#define WORLD_PARTIES 4u /* 0 is the daemon */
#define WORLD_PORT 7000u
#define WORLD_ADDR 0x7f000001u

#define must(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

/**
 * struct world - A domain without daemon processes.
 * @one_mapping: A party's memory is the same mapping for all (for TSan).
 * @fail: introduce() fails with this -errno.
 */
struct world {
	struct registry *reg;
	struct world_party {
		struct world *world;
		struct party *p;
		int arena_fd, arena_ro, mbox_fd;
		int bell_fd[BELL_MAX];
		uint32_t gen;
		bool gone;
	} of[WORLD_PARTIES];
	bool one_mapping;
	int fail;
	unsigned introduced, let_go, fetched;
	unsigned next_handle;
};

static int world_introduce(void *arg, unsigned id, uint32_t gen, struct peer *ret)
{
	struct world_party *me = arg;
	struct world *w = me->world;
	struct world_party *it;
	bool writable = me == &w->of[0];

	if (w->fail)
		return w->fail;
	if (id >= WORLD_PARTIES || !w->of[id].p)
		return -ESRCH;
	it = &w->of[id];
	if (it->gen != gen || it->gone)
		return -ESRCH;
	ret->pid = it->p->pid;
	if (w->one_mapping) {
		ret->base = it->p->base;
		ret->mbox = it->p->mbox;
	} else {
		ret->base = arena_map(writable ? it->arena_fd : it->arena_ro, ARENA_BYTES,
				      writable);
		ret->mbox = arena_map(it->mbox_fd, MAILBOX_BYTES, true);
	}
	must(ret->base && ret->mbox);
	__atomic_fetch_add(&w->introduced, 1, __ATOMIC_RELAXED);
	return 0;
}

static int world_fetch_bell(void *arg, const struct peer *p, unsigned bell)
{
	struct world *w = ((struct world_party *)arg)->world;

	__atomic_fetch_add(&w->fetched, 1, __ATOMIC_RELAXED);
	return dup(w->of[p->id].bell_fd[bell]);
}

static void world_let_go(void *arg, unsigned id, uint32_t gen)
{
	struct world *w = ((struct world_party *)arg)->world;

	(void)id, (void)gen;
	__atomic_fetch_add(&w->let_go, 1, __ATOMIC_RELAXED);
}

static const struct party_ops world_ops = { .introduce = world_introduce,
					    .fetch_bell = world_fetch_bell,
					    .let_go = world_let_go };
/* The daemon keeps estates mapped. */
static const struct party_ops world_daemon_ops = { .introduce = world_introduce,
						   .fetch_bell = world_fetch_bell };

/** world_party() - Party @id, of generation @gen, alive. */
static inline void world_party(struct world *w, unsigned id, uint32_t gen)
{
	struct world_party *it = &w->of[id];

	it->world = w;
	it->gen = gen;
	it->gone = false;
	it->p = party_create("test", &it->arena_fd, &it->mbox_fd);
	must(it->p);
	it->arena_ro = arena_fd_readonly(it->arena_fd);
	must(it->arena_ro >= 0);
	for (unsigned i = 0; i < BELL_MAX; i++)
		it->bell_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	registry_party_set(w->reg, id, gen, PARTY_ALIVE, (uint32_t)getpid(), 0);
	party_admit(it->p, id, gen, w->reg, id ? &world_ops : &world_daemon_ops, it);
}

/** world_make() - Parties 0 (the daemon) to @n. */
static inline struct world *world_make(unsigned n)
{
	struct world *w = calloc(1, sizeof(*w));

	must(w && n < WORLD_PARTIES);
	w->reg = mmap(NULL, REGISTRY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(w->reg != MAP_FAILED);
	registry_init(w->reg, POLICY_SHARE);
	for (unsigned id = 0; id <= n; id++)
		world_party(w, id, 1);
	return w;
}

static inline void world_party_free(struct world_party *it)
{
	if (!it->p)
		return;
	party_destroy(it->p);
	close(it->arena_fd);
	close(it->arena_ro);
	close(it->mbox_fd);
	for (unsigned i = 0; i < BELL_MAX; i++)
		close(it->bell_fd[i]);
	it->p = NULL;
}

/* Not for worlds of one mapping: the process's end frees those. */
static inline void world_free(struct world *w)
{
	for (unsigned id = 0; id < WORLD_PARTIES; id++)
		world_party_free(&w->of[id]);
	munmap(w->reg, REGISTRY_BYTES);
	free(w);
}

/** world_half() - A socket in BOUND; NULL where there is no slot. */
static inline struct half *world_half(struct party *p, addr_word local, addr_word remote)
{
	int slot = party_slot_alloc(p);
	struct half *h;

	if (slot < 0)
		return NULL;
	h = arena_half(p->base, (unsigned)slot);
	store_relaxed(&h->local, local);
	store_relaxed(&h->remote, remote);
	store_relaxed(&h->rcvlowat, 1);
	half_set_state(h, HALF_BOUND);
	return h;
}

/** world_listen() - A published listener of party @id. */
static inline struct half *world_listen(struct world *w, unsigned id, uint16_t port,
					unsigned backlog)
{
	struct party *p = w->of[id].p;
	struct half *l = world_half(p, addr_word_make(WORLD_ADDR, port), 0);
	struct listener_ref ref;

	must(l && seat_open(p, l, backlog) == 0);
	ref = (struct listener_ref){ half_ref_of(p, l), p->gen };
	must(registry_listen(w->reg, addr_word_make(WORLD_ADDR, port), &ref, false) == 0);
	return l;
}

/** world_connect() - connect() of party @id. @ret_own: the half, also on failure. */
static inline int world_connect(struct world *w, unsigned id, uint16_t port, struct conn *ret,
				struct half **ret_own)
{
	struct party *p = w->of[id].p;
	struct half *h = world_half(p, addr_word_make(WORLD_ADDR, 40000),
				    addr_word_make(WORLD_ADDR, port));
	struct listener_ref ref;
	int r;

	if (ret_own)
		*ret_own = h;
	if (!h)
		return -ENOSPC;
	r = registry_find(w->reg, addr_word_make(WORLD_ADDR, port), &ref);
	if (r == 0)
		r = seat_claim(p, h, &ref, ret);
	return r;
}

/** world_pair() - A connection of party 1 (@a) to party 2 (@b). */
static inline void world_pair(struct world *w, struct conn *a, struct conn *b)
{
	static uint16_t port = WORLD_PORT;
	struct half *l = world_listen(w, 2, ++port, 0);
	uint64_t cursor = 0;

	must(world_connect(w, 1, port, a, NULL) == 0);
	must(seat_take(w->of[2].p, l, &cursor, w->next_handle++ % HANDLE_MAX, b) == 0);
	must(registry_unlisten(w->reg, addr_word_make(WORLD_ADDR, port), half_ref_of(w->of[2].p, l)) == 0);
	seat_close(w->of[2].p, l);
	party_slot_retire(w->of[2].p, arena_slot(w->of[2].p->base, l));
}

/** world_close() - close() of a side: its end, RELEASED, retired. */
static inline void world_close(struct conn *c)
{
	struct party *p = c->party;
	struct half *own = c->own;

	half_end(p, own, c->peer, c->owner, false);
	half_release(own);
	party_slot_retire(p, arena_slot(p->base, own));
	conn_detach(c);
}

/** pattern() - Byte @i of any stream of the tests. */
static inline unsigned char pattern(uint64_t i)
{
	return (unsigned char)(i * 31 + (i >> 8) * 7 + (i >> 16) * 3 + 1);
}

/** send_pattern() - Send up to @len bytes of the pattern from @at on. */
static inline ssize_t send_pattern(struct conn *c, uint64_t at, size_t len)
{
	static __thread unsigned char buf[1 << 16];
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < sizeof(buf) ? len - done : sizeof(buf);
		ssize_t r;

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(at + done + i);
		r = conn_send(c, buf, n);
		if (r < 0)
			return done ? (ssize_t)done : r;
		done += (size_t)r;
		if ((size_t)r < n)
			break;
	}
	return (ssize_t)done;
}

/** recv_pattern() - Receive up to @len bytes, which must be those from @at on. */
static inline ssize_t recv_pattern(struct conn *c, uint64_t at, size_t len)
{
	static __thread unsigned char buf[1 << 16];
	ssize_t r;

	if (len > sizeof(buf))
		len = sizeof(buf);
	memset(buf, 0xee, len);
	r = conn_recv(c, buf, len, 0, 0);
	for (ssize_t i = 0; i < r; i++)
		must(buf[i] == pattern(at + (uint64_t)i));
	return r;
}

/* A small generator with a seed that can be printed and given back. */
static inline uint64_t dice(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static inline uint64_t dice_seed(void)
{
	const char *s = getenv("SEED");
	uint64_t seed = s ? strtoull(s, NULL, 0) : (uint64_t)getpid() * 2654435761u ^
							    (uint64_t)(uintptr_t)&seed;

	printf("# SEED=0x%llx\n", (unsigned long long)seed);
	return seed;
}

#endif
