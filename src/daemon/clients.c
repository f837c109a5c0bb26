/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clients.c - From the first connection to the last trace.
 *
 * A record goes FREE -> CONN at accept, CONN -> ALIVE at hello, ALIVE -> DEAD
 * when the pidfd is readable or the control channel ended, DEAD -> FREE when
 * the estate is dropped (estate.c). Its index is the party number, so a number
 * is not given away while an estate bears it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/shares.h"

#define KEPT_ALL ((1u << KEPT_COUNT) - 1)
#define COMMANDS_SPARE 16u /* `mortise status` has its room where no program has */

void clients_keep(struct daemon *d, unsigned id, enum kept kind, int fd)
{
	struct link_msg m = { .op = LINK_KEEP, .party = id, .kind = kind };
	int old = keeper_fd(d->k, id, kind);

	daemon_link(d, &m, &fd, 1);
	d->k->kept[id][kind] = fd + 1;
	if (kind >= KEPT_BELL0)
		store_release(&d->clients[id].peer.bell_fd[kind - KEPT_BELL0], fd);
	if (old >= 0)
		close(old);
}

void clients_drop(struct daemon *d, unsigned id, uint32_t kinds)
{
	struct link_msg m = { .op = LINK_DROP, .party = id, .kinds = kinds };

	daemon_link(d, &m, NULL, 0);
	for (unsigned kind = 0; kind < KEPT_COUNT; kind++) {
		int fd = keeper_fd(d->k, id, kind);

		if (fd < 0 || !(kinds & 1u << kind))
			continue;
		/* The keeper's copy keeps the file open for a moment: take it
		 * out of the set by name, and end a channel for its client. */
		if (kind == KEPT_CTL || kind == KEPT_PIDFD)
			daemon_unwatch(d, fd);
		if (kind == KEPT_CTL)
			shutdown(fd, SHUT_RDWR);
		if (kind >= KEPT_BELL0)
			store_release(&d->clients[id].peer.bell_fd[kind - KEPT_BELL0], -1);
		close(fd);
		d->k->kept[id][kind] = 0;
	}
}

static void client_clear(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];

	if (c->peer.base)
		arena_unmap(c->peer.base, ARENA_BYTES);
	if (c->peer.mbox)
		arena_unmap(c->peer.mbox, MAILBOX_BYTES);
	free(c->listing);
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < BELL_MAX; i++)
		atomic_init(&c->peer.bell_fd[i], -1);
	d->exec->peers[id] = NULL;
}

unsigned clients_take_record(struct daemon *d)
{
	struct table *t = d->t;

	for (unsigned id = 1; id < PARTY_MAX; id++) {
		struct rec *r = daemon_rec(d, id);

		if (load_relaxed(&r->state) != REC_FREE)
			continue;
		if (id >= t->rec_high)
			t->rec_high = id + 1;
		r->gen = r->gen + 1 ? r->gen + 1 : 1;
		r->executed = 0;
		r->service = 0;
		r->died_ns = 0;
		memset(r->comm, 0, sizeof(r->comm));
		memset(t->knows[id], 0, sizeof(t->knows[id]));
		client_clear(d, id);
		return id;
	}
	return 0;
}

/* See who it is. Again after a restart, where the last daemon did not. */
static void client_accepted(struct daemon *d, unsigned id)
{
	int fd = keeper_fd(d->k, id, KEPT_CTL), pidfd;
	struct rec *r = daemon_rec(d, id);
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || cred.uid != geteuid()) {
		log_line("refused a client of another user");
		clients_gone(d, id);
		return;
	}
	if (load_relaxed(&d->t->kept_count) + KEPT_ARENA > d->t->kept_max) {
		log_line("refused process %d: limit of %u kept descriptors", (int)cred.pid,
			 d->t->kept_max);
		clients_gone(d, id);
		return;
	}
	pidfd = pidfd_open(cred.pid, 0);
	if (pidfd < 0) {
		/* It died meanwhile, or we have no descriptors. */
		clients_gone(d, id);
		return;
	}
	r->pid = (uint32_t)cred.pid;
	r->uid = cred.uid;
	clients_keep(d, id, KEPT_PIDFD, pidfd);
	daemon_watch(d, fd, WATCH_CTL, id, EPOLLIN);
	daemon_watch(d, pidfd, WATCH_PIDFD, id, EPOLLIN);
}

/* No record for it. */
static void client_refuse(struct daemon *d)
{
	int fd = accept4(d->k->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	log_line("refused a client: limit of %u parties", PARTY_MAX - 1);
	if (fd >= 0)
		close(fd);
}

void clients_accept(struct daemon *d)
{
	unsigned id = clients_take_record(d);
	int r;

	if (id == 0) {
		client_refuse(d);
		return;
	}
	/* Before there is a descriptor to be lost. */
	store_release(&daemon_rec(d, id)->state, REC_CONN);
	r = daemon_link_accept(d, id);
	if (r >= 0) {
		client_accepted(d, id);
		return;
	}
	clients_gone(d, id);
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM) {
		log_line("cannot accept: %s", strerror(-r));
		daemon_unwatch(d, d->k->listen_fd);
		d->listen_paused = true;
	}
}

bool clients_room(struct daemon *d, unsigned id)
{
	if (load_relaxed(&d->t->kept_count) + KEPT_COUNT + COMMANDS_SPARE <= d->t->kept_max)
		return true;
	log_line("refused process %u: limit of %u kept descriptors", daemon_rec(d, id)->pid,
		 d->t->kept_max);
	return false;
}

int clients_map(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	struct rec *r = daemon_rec(d, id);

	if (keeper_fd(d->k, id, KEPT_ARENA) < 0 || keeper_fd(d->k, id, KEPT_MBOX) < 0)
		return -EPROTO;
	c->peer.base = arena_map(keeper_fd(d->k, id, KEPT_ARENA), ARENA_BYTES, true);
	if (!c->peer.base)
		return -errno;
	c->peer.mbox = arena_map(keeper_fd(d->k, id, KEPT_MBOX), MAILBOX_BYTES, true);
	if (!c->peer.mbox) {
		int err = errno;

		arena_unmap(c->peer.base, ARENA_BYTES);
		c->peer.base = NULL;
		return -err;
	}
	c->peer.id = (uint16_t)id;
	c->peer.gen = r->gen;
	c->peer.pid = r->pid;
	for (unsigned i = 0; i < BELL_MAX; i++)
		store_relaxed(&c->peer.bell_fd[i], keeper_fd(d->k, id, KEPT_BELL0 + i));
	d->exec->peers[id] = &c->peer;
	return 0;
}

int clients_admit(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	struct rec *r = daemon_rec(d, id);
	int err = clients_map(d, id);

	if (err < 0)
		return err;
	if (arena_hdr(c->peer.base)->magic != ARENA_MAGIC || c->peer.mbox->magic != MAILBOX_MAGIC)
		err = -EPROTO;
	else if (arena_hdr(c->peer.base)->version != ABI_VERSION)
		err = -EPROTONOSUPPORT;
	if (err < 0) {
		arena_unmap(c->peer.base, ARENA_BYTES);
		arena_unmap(c->peer.mbox, MAILBOX_BYTES);
		c->peer.base = NULL;
		c->peer.mbox = NULL;
		d->exec->peers[id] = NULL;
		return err;
	}
	FAULT_POINT("clients.admit");
	store_release(&r->state, REC_ALIVE);
	FAULT_POINT("clients.alive");
	registry_party_set(d->reg, id, r->gen, PARTY_ALIVE, r->pid, r->uid);
	return 0;
}

void clients_gone(struct daemon *d, unsigned id)
{
	struct rec *r = daemon_rec(d, id);
	struct client *c = &d->clients[id];

	if (daemon_state(d, id) == REC_CONN) {
		store_release(&r->state, REC_FREE);
		clients_drop(d, id, KEPT_ALL);
		client_clear(d, id);
		return;
	}
	if (daemon_state(d, id) != REC_ALIVE)
		return;
	r->died_ns = clock_now_ns();
	store_release(&r->state, REC_DEAD);
	FAULT_POINT("clients.dead");
	registry_party_set(d->reg, id, r->gen, PARTY_DEAD, r->pid, r->uid);
	memset(d->t->knows[id], 0, sizeof(d->t->knows[id]));
	ports_party_died(d, id);
	estate_reset_queues(d, id);
	clients_drop(d, id, KEPT_ALL & ~(1u << KEPT_ARENA | 1u << KEPT_MBOX | 1u << KEPT_BELL0));
	free(c->listing);
	c->listing = NULL;
	/* Whom it knew may be an estate that waited only for it. */
	d->estates_dirty = true;
	estate_died(d, id);
	shares_ring(d);
}

void clients_rebuild(struct daemon *d, unsigned id)
{
	struct ctl_msg hello_again = { .version = CTL_VERSION,
				       .type = CTL_RESTARTED,
				       .len = CTL_HEADER_BYTES };
	struct rec *r = daemon_rec(d, id);
	struct client *c = &d->clients[id];
	enum rec_state state = daemon_state(d, id);
	int ctl = keeper_fd(d->k, id, KEPT_CTL), pidfd = keeper_fd(d->k, id, KEPT_PIDFD);

	if (state == REC_FREE) {
		registry_party_set(d->reg, id, r->gen, PARTY_FREE, 0, 0);
		clients_drop(d, id, KEPT_ALL);
		return;
	}
	if (state != REC_CONN)
		for (unsigned h = 0; h < load_relaxed(&d->t->handle_high[id]); h++) {
			uint8_t s = load_acquire(&d->t->handles[id][h]);

			c->live += s == HANDLE_LIVE || s == HANDLE_HUNG;
		}
	if (state == REC_DEAD) {
		registry_party_set(d->reg, id, r->gen, PARTY_DEAD, r->pid, r->uid);
		ports_party_died(d, id);
		estate_reset_queues(d, id);
		estate_died(d, id);
		return;
	}
	if (state == REC_ALIVE)
		registry_party_set(d->reg, id, r->gen, PARTY_ALIVE, r->pid, r->uid);
	if (state == REC_CONN && ctl >= 0 && pidfd < 0) {
		client_accepted(d, id);
		if (keeper_fd(d->k, id, KEPT_PIDFD) >= 0)
			ctl_send(ctl, &hello_again, NULL, 0);
		return;
	}
	if (ctl < 0 || pidfd < 0 || (state == REC_ALIVE && !c->peer.base)) {
		clients_gone(d, id);
		return;
	}
	daemon_watch(d, ctl, WATCH_CTL, id, EPOLLIN);
	daemon_watch(d, pidfd, WATCH_PIDFD, id, EPOLLIN);
	if (ctl_send(ctl, &hello_again, NULL, 0) < 0)
		clients_gone(d, id);
}

void *clients_lookup(void *arg, unsigned party, uint32_t gen)
{
	struct daemon *d = arg;

	if (party == 0 || party >= PARTY_MAX || d->clients[party].peer.gen != gen)
		return NULL;
	return d->clients[party].peer.base;
}
