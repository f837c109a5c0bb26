/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shares.c - Theory of operation. A row of the table names a half; the keeper
 * holds its descriptors under the row's number, so that they outlive a daemon.
 * The descriptors are with the keeper before the row names the half, and the
 * row is emptied before they are given back: whatever a daemon's death leaves
 * in between is either a row without a half or one with all that it needs.
 *
 * A handle proves itself by its SO_COOKIE, which the kernel made and the
 * holder of its far end noted: anyone can bind a name, nobody can choose that.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "daemon/log.h"
#include "daemon/shares.h"
#include "shm/seat.h"

#define HANDLE_NAME "mortise/"
#define SHARE_SPARE 64u /* kept descriptors that are left for clients */

/* ---------------------------------------------------------------- keeper */

static void kept_close(struct keeper *k, unsigned row, unsigned which)
{
	int fd = k->shares[row][which] - 1;

	if (fd < 0)
		return;
	close(fd);
	k->shares[row][which] = 0;
	atomic_fetch_sub(&k->table->kept_count, 1);
}

bool shares_link(struct keeper *k, const struct link_msg *m, int fd)
{
	if (m->count >= SHARE_MAX)
		return false;
	if (m->op == LINK_UNSHARE) {
		kept_close(k, m->count, 0);
		kept_close(k, m->count, 1);
		return false;
	}
	if (m->kind > 1 || fd < 0)
		return false;
	kept_close(k, m->count, m->kind);
	k->shares[m->count][m->kind] = fd + 1;
	atomic_fetch_add(&k->table->kept_count, 1);
	return true;
}

/* ---------------------------------------------------------------- daemon */

static int row_find(const struct daemon *d, unsigned id, unsigned slot, uint32_t gen)
{
	half_ref ref = half_ref_make(id, slot, gen);

	for (unsigned i = 0; i < d->t->share_high; i++)
		if (load_relaxed(&d->t->shares[i].half) == ref &&
		    d->t->shares[i].party_gen == daemon_rec(d, id)->gen)
			return (int)i;
	return -1;
}

/* Close our copies and the keeper's. */
static void row_empty(struct daemon *d, unsigned row)
{
	struct link_msg m = { .op = LINK_UNSHARE, .count = row };

	for (unsigned i = 0; i < 2; i++) {
		if (d->k->shares[row][i])
			close(d->k->shares[row][i] - 1);
		d->k->shares[row][i] = 0;
	}
	daemon_link(d, &m, NULL, 0);
}

static void row_drop(struct daemon *d, unsigned row)
{
	store_release(&d->t->shares[row].half, 0);
	FAULT_POINT("shares.drop");
	row_empty(d, row);
}

/* A row of nobody's, for a half of party @id's. All of them have at most half of
 * what the keeper can keep, so that there is room for new clients, and one party
 * has half of that. Return: -1: there is none. */
static int row_take(struct daemon *d, unsigned id)
{
	struct table *t = d->t;
	unsigned most = t->kept_max / 4, all = 0, its = 0;
	int row = -1;

	if (most > SHARE_MAX)
		most = SHARE_MAX;
	for (unsigned i = 0; i < t->share_high; i++) {
		half_ref ref = load_relaxed(&t->shares[i].half);

		all += ref != 0;
		its += ref && half_ref_party(ref) == id;
		if (!ref && row < 0)
			row = (int)i;
	}
	if (all >= most || its >= most / 2 ||
	    load_relaxed(&t->kept_count) + 2 + SHARE_SPARE > t->kept_max)
		return -1;
	if (row < 0)
		row = (int)t->share_high++;
	return row;
}

static void row_keep(struct daemon *d, unsigned row, unsigned which, int fd)
{
	struct link_msg m = { .op = LINK_SHARE, .count = row, .kind = which };

	daemon_link(d, &m, &fd, 1);
	if (d->k->shares[row][which])
		close(d->k->shares[row][which] - 1);
	d->k->shares[row][which] = fd + 1;
}

static bool half_lives(struct daemon *d, unsigned id, uint32_t party_gen, unsigned slot, uint32_t gen)
{
	void *base = clients_lookup(d, id, party_gen);
	uint64_t gs;

	if (!base || slot >= SLOT_MAX)
		return false;
	gs = load_acquire(&arena_half(base, slot)->gen_state);
	return (uint32_t)(gs >> 32) == gen && (uint32_t)gs != HALF_FREE &&
	       (uint32_t)gs != HALF_RELEASED;
}

int shares_put(struct daemon *d, const struct ctl_msg *m, const int *fds)
{
	unsigned id = m->shared.party, n = 0;
	bool is_new;
	int row;

	/* What has hung up is over: nothing is kept for it again. */
	while (estate_hangups(d))
		;
	if (id == 0 || id >= PARTY_MAX ||
	    !half_lives(d, id, m->shared.party_gen, m->shared.slot, m->shared.gen))
		return ESRCH;
	row = row_find(d, id, m->shared.slot, m->shared.gen);
	is_new = row < 0;
	if (is_new)
		row = row_take(d, id);
	if (row < 0) {
		/* It will ask again and again: one line a party. */
		if (!d->clients[id].shares_said)
			log_line("party %u: limit of shared sockets reached", id);
		d->clients[id].shares_said = true;
		return ENOSPC;
	}
	for (unsigned i = 0; i < 2; i++)
		if (m->shared.has & (i ? CTL_HAS_SHADOW : CTL_HAS_BELL))
			row_keep(d, (unsigned)row, i, fds[n++]);
	FAULT_POINT("shares.put");
	if (is_new) {
		d->t->shares[row].party_gen = m->shared.party_gen;
		store_release(&d->t->shares[row].half,
			      half_ref_make(id, m->shared.slot, m->shared.gen));
	}
	return 0;
}

bool shares_find(const struct daemon *d, unsigned id, unsigned slot, uint32_t gen, int ret[2])
{
	int row = row_find(d, id, slot, gen);

	for (unsigned i = 0; i < 2; i++)
		ret[i] = row < 0 ? -1 : d->k->shares[row][i] - 1;
	return ret[0] >= 0 || ret[1] >= 0;
}

bool shares_listener(const struct daemon *d, unsigned id, unsigned slot, uint32_t gen)
{
	void *base = d->clients[id].peer.base;
	struct half *h = base ? arena_half(base, slot) : NULL;
	uint32_t handle;
	int fds[2];

	if (!h || half_gen(h) != gen ||
	    (half_state(h) != HALF_LISTEN && half_state(h) != HALF_DGRAM))
		return false;
	shares_find(d, id, slot, gen, fds);
	handle = load_relaxed(&h->handle) - 1;
	return fds[0] >= 0 && handle < CLIENT_HANDLES &&
	       load_acquire(&d->t->handles[id][handle]) == HANDLE_LIVE &&
	       load_acquire(arena_handles(base) + handle) == slot_word_make(slot, gen);
}

void shares_half_ends(struct daemon *d, unsigned id, unsigned slot, uint32_t gen)
{
	int row = row_find(d, id, slot, gen);
	uint32_t handle = load_relaxed(&arena_half(d->clients[id].peer.base, slot)->handle) - 1;
	bool shadow;

	if (row < 0)
		return;
	shadow = d->k->shares[row][1];
	row_drop(d, (unsigned)row);
	/* An answer of the keeper's: it has closed its copy. */
	if (shadow && handle < CLIENT_HANDLES)
		daemon_link_hear(d, id, handle);
}

void shares_party_ends(struct daemon *d, unsigned id)
{
	for (unsigned i = 0; i < d->t->share_high; i++) {
		half_ref ref = load_relaxed(&d->t->shares[i].half);

		if (ref && half_ref_party(ref) == id)
			row_drop(d, i);
	}
}

void shares_sweep(struct daemon *d)
{
	for (unsigned i = 0; i < d->t->share_high; i++) {
		half_ref ref = load_relaxed(&d->t->shares[i].half);

		if (ref && !half_lives(d, half_ref_party(ref), d->t->shares[i].party_gen,
				       half_ref_slot(ref), half_ref_gen(ref)))
			row_drop(d, i);
		else if (!ref && (d->k->shares[i][0] || d->k->shares[i][1]))
			row_empty(d, i);
	}
}

/* Does a claim wait at the listener of a row? */
static bool row_waits(const struct daemon *d, half_ref ref)
{
	const struct peer *owner = &d->clients[half_ref_party(ref)].peer;
	const struct half *l = owner->base && owner->mbox ? half_find(owner->base, ref) : NULL;
	uint32_t base, n;

	if (!l || half_gen(l) != half_ref_gen(ref) || half_state(l) != HALF_LISTEN)
		return false;
	base = load_relaxed(&l->seat_base);
	n = load_relaxed(&l->seat_count);
	if (n == 0 || n > SEAT_ROW_MAX || base > SEAT_MAX - 1 - n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (load_relaxed(&owner->mbox->claims[base + 1 + i]))
			return true;
	return false;
}

void shares_ring(struct daemon *d)
{
	uint64_t one = 1;

	for (unsigned i = 0; i < d->t->share_high; i++) {
		half_ref ref = load_relaxed(&d->t->shares[i].half);

		if (ref && d->k->shares[i][0] && row_waits(d, ref) &&
		    write(d->k->shares[i][0] - 1, &one, sizeof(one)) < 0)
			continue; /* Full: it is readable, which is all that is asked. */
	}
}

/* ---------------------------------------------------------------- attach */

/* A number of the name, and what follows it. */
static const char *name_number(const char *at, unsigned most, unsigned *ret)
{
	unsigned n = 0;

	if (*at < '0' || *at > '9')
		return NULL;
	for (; *at >= '0' && *at <= '9'; at++) {
		n = n * 10 + (unsigned)(*at - '0');
		if (n >= most)
			return NULL;
	}
	*ret = n;
	return at;
}

/* Who made it, as its peer's name says: "mortise/NETNS/DOMAIN/PARTY/NUMBER",
 * perhaps with "/NONCE". It is a hint: see shares_attach(). */
static bool name_parse(const char *name, unsigned *ret_party, unsigned *ret_handle)
{
	const char *at;

	if (strncmp(name, HANDLE_NAME, sizeof(HANDLE_NAME) - 1) != 0)
		return false;
	at = strchr(name + sizeof(HANDLE_NAME) - 1, '/');
	at = at ? strchr(at + 1, '/') : NULL;
	at = at ? name_number(at + 1, PARTY_MAX, ret_party) : NULL;
	if (!at || *at != '/')
		return false;
	at = name_number(at + 1, CLIENT_HANDLES, ret_handle);
	return at && (*at == '\0' || *at == '/');
}

int shares_attach(const struct daemon *d, int fd, struct ctl_msg *m)
{
	struct sockaddr_un un = { 0 };
	char name[sizeof(un.sun_path)] = { 0 };
	socklen_t len = sizeof(un), clen = sizeof(uint64_t);
	unsigned id = 0, handle = 0, slot;
	uint64_t cookie = 0, w;
	void *base;

	if (getpeername(fd, (struct sockaddr *)&un, &len) != 0 || un.sun_family != AF_UNIX ||
	    len <= offsetof(struct sockaddr_un, sun_path) + 1 || len > sizeof(un) || un.sun_path[0])
		return ENOENT;
	memcpy(name, un.sun_path + 1, len - offsetof(struct sockaddr_un, sun_path) - 1);
	if (!name_parse(name, &id, &handle) || id == 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &clen) != 0 ||
	    clen != sizeof(cookie) || cookie == 0)
		return ENOENT;
	if (load_acquire(&d->t->handles[id][handle]) != HANDLE_LIVE ||
	    load_relaxed(&d->t->cookies[id][handle]) != cookie)
		return ENOENT;
	base = d->clients[id].peer.base;
	if (!base || daemon_state(d, id) < REC_ALIVE)
		return ENOENT;
	w = load_acquire(arena_handles(base) + handle);
	slot = slot_word_slot(w);
	if (w == 0 || slot >= SLOT_MAX || half_gen(arena_half(base, slot)) != slot_word_gen(w))
		return ENOENT;
	m->shared.party = id;
	m->shared.party_gen = daemon_rec(d, id)->gen;
	m->shared.slot = slot;
	m->shared.gen = slot_word_gen(w);
	m->shared.handle = handle;
	return 0;
}
