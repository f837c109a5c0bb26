/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.c - Requests: copied out, validated, answered. Whatever is wrong
 * with one ends the client that sent it, and no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/shares.h"
#include "daemon/wire.h"

#define SERVE_BATCH 16
#define HELLO_FDS 3u

/** struct request - One under work. @fds are the server's to keep or close. */
struct request {
	struct ctl_msg m;
	unsigned id;
	int fds[CTL_FD_MAX];
	unsigned nfds;
};

static void request_close_fds(struct request *q)
{
	for (unsigned i = 0; i < q->nfds; i++)
		if (q->fds[i] >= 0)
			close(q->fds[i]);
	q->nfds = 0;
}

/* End a client that broke the rules, or does not take its replies. */
static void serve_end(struct daemon *d, unsigned id, const char *why)
{
	log_line("client %u (process %u) is ended: %s", id, daemon_rec(d, id)->pid, why);
	clients_gone(d, id);
}

static void serve_reply(struct daemon *d, struct request *q, int error, const int *fds,
			unsigned nfds)
{
	int r;

	q->m.version = CTL_VERSION;
	q->m.type |= CTL_REPLY;
	q->m.error = error;
	q->m.len = ctl_bytes(q->m.type);
	r = ctl_send(keeper_fd(d->k, q->id, KEPT_CTL), &q->m, fds, nfds);
	if (r == -EPIPE || r == -ECONNRESET)
		clients_gone(d, q->id);
	else if (r < 0)
		serve_end(d, q->id, "it does not take its replies");
}

/* A bell must be an eventfd: we will write to it, and must not be kept. */
static bool bell_check(int fd)
{
	static const char want[] = "anon_inode:[eventfd]";
	char path[32], name[sizeof(want)];
	int flags = fcntl(fd, F_GETFL);
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name));
	if (n != (ssize_t)sizeof(want) - 1 || memcmp(name, want, sizeof(want) - 1) != 0)
		return false;
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* A shadow must be what the library makes one of. A handle above all would never
 * hang up while it is kept. */
static bool shadow_check(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       (domain == AF_INET || domain == AF_INET6) &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static void serve_hello(struct daemon *d, struct request *q)
{
	struct rec *r = daemon_rec(d, q->id);
	int r0;

	if (q->m.hello.pid != r->pid) {
		serve_reply(d, q, EPERM, NULL, 0);
		if (daemon_state(d, q->id) != REC_FREE)
			serve_end(d, q->id, "hello with another's process id");
		return;
	}
	if (daemon_state(d, q->id) == REC_CONN && !clients_room(d, q->id)) {
		serve_reply(d, q, EMFILE, NULL, 0);
		return;
	}
	if (daemon_state(d, q->id) == REC_CONN) {
		if (q->nfds != HELLO_FDS || arena_fd_check(q->fds[0], ARENA_BYTES) < 0 ||
		    arena_fd_check(q->fds[1], MAILBOX_BYTES) < 0 || !bell_check(q->fds[2])) {
			serve_end(d, q->id, "hello without proper memory");
			return;
		}
		for (unsigned i = 0; i < sizeof(r->comm) - 1 && q->m.hello.comm[i]; i++) {
			char c = q->m.hello.comm[i];

			r->comm[i] = c > ' ' && c < 0x7f ? c : '?';
		}
		clients_keep(d, q->id, KEPT_ARENA, q->fds[0]);
		clients_keep(d, q->id, KEPT_MBOX, q->fds[1]);
		clients_keep(d, q->id, KEPT_BELL0, q->fds[2]);
		q->nfds = 0;
		r0 = clients_admit(d, q->id);
		if (r0 == -EPROTONOSUPPORT) {
			serve_reply(d, q, EPROTONOSUPPORT, NULL, 0);
			if (daemon_state(d, q->id) != REC_FREE)
				serve_end(d, q->id, "memory of another version");
			return;
		}
		if (r0 < 0) {
			serve_end(d, q->id, r0 == -EPROTO ? "hello with foreign memory"
							  : strerror(-r0));
			return;
		}
	}
	/* A second hello is answered as the first was. */
	q->m.hello.party = q->id;
	q->m.hello.gen = r->gen;
	q->m.hello.policy = d->t->policy;
	serve_reply(d, q, 0, &d->k->registry_ro, 1);
}

static void serve_bell(struct daemon *d, struct request *q)
{
	int made;

	if (q->nfds != 1 || q->m.bell.number == 0 || q->m.bell.number >= BELL_MAX ||
	    !bell_check(q->fds[0])) {
		serve_end(d, q->id, "a bell that is none");
		return;
	}
	made = keeper_fd(d->k, q->id, KEPT_BELL0 + q->m.bell.number);
	if (made >= 0) {
		serve_reply(d, q, 0, &made, 1);
		return;
	}
	clients_keep(d, q->id, KEPT_BELL0 + q->m.bell.number, q->fds[0]);
	q->nfds = 0;
	serve_reply(d, q, 0, NULL, 0);
}

/* It will ask again and again: one line a party. */
static void serve_limit_said(struct client *c, unsigned id, const char *why)
{
	if (!c->limit_said)
		log_line("party %u: no more handles: %s", id, why);
	c->limit_said = true;
}

static void serve_handles(struct daemon *d, struct request *q)
{
	struct client *c = &d->clients[q->id];
	int near[CTL_HANDLE_BATCH], n;

	if (q->m.handles.count == 0 || q->m.handles.count > CTL_HANDLE_BATCH) {
		serve_end(d, q->id, "a batch of an impossible size");
		return;
	}
	if (c->live + q->m.handles.count > CLIENT_HANDLES) {
		serve_limit_said(c, q->id, "limit of handles for one process");
		serve_reply(d, q, EMFILE, NULL, 0);
		return;
	}
	n = daemon_link_make(d, q->id, q->m.handles.count, q->m.handles.ids, near);
	if (n < 0) {
		serve_limit_said(c, q->id, n == -EMFILE ? "limit of handles" : strerror(-n));
		serve_reply(d, q, -n, NULL, 0);
		return;
	}
	FAULT_POINT("serve.handles");
	c->live += (unsigned)n;
	q->m.handles.count = (uint32_t)n;
	serve_reply(d, q, 0, near, (unsigned)n);
	for (int i = 0; i < n; i++)
		close(near[i]);
}

/* The party that a request names, dead or alive. Return: 0: there is none. */
static unsigned serve_named(const struct daemon *d, const struct request *q)
{
	unsigned id = q->m.peer.id;

	if (id == 0 || id >= PARTY_MAX || daemon_rec(d, id)->gen != q->m.peer.gen)
		return 0;
	if (daemon_state(d, id) != REC_ALIVE && daemon_state(d, id) != REC_DEAD)
		return 0;
	return d->clients[id].peer.base ? id : 0;
}

static void serve_peer(struct daemon *d, struct request *q)
{
	unsigned id = serve_named(d, q);
	int fds[3];

	if (id == 0) {
		serve_reply(d, q, ESRCH, NULL, 0);
		return;
	}
	fds[0] = arena_fd_readonly(keeper_fd(d->k, id, KEPT_ARENA));
	fds[1] = keeper_fd(d->k, id, KEPT_MBOX);
	fds[2] = keeper_fd(d->k, id, KEPT_BELL0);
	if (fds[0] < 0) {
		serve_reply(d, q, -fds[0], NULL, 0);
		return;
	}
	FAULT_POINT("serve.peer");
	/* Before the reply: from then on it may map. */
	d->t->knows[q->id][id / 64] |= 1ull << (id % 64);
	q->m.peer.pid = daemon_rec(d, id)->pid;
	serve_reply(d, q, 0, fds, 3);
	close(fds[0]);
}

/* Who asks before its owner made it, cannot ask later: it is made for both. */
static void serve_peer_bell(struct daemon *d, struct request *q)
{
	unsigned id = serve_named(d, q);
	int fd = -1;

	if (id && q->m.peer.bell < BELL_MAX) {
		fd = keeper_fd(d->k, id, KEPT_BELL0 + q->m.peer.bell);
		if (fd < 0 && keeper_fd(d->k, id, KEPT_CTL) >= 0) {
			fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			if (fd >= 0)
				clients_keep(d, id, KEPT_BELL0 + q->m.peer.bell, fd);
		}
	}
	if (fd < 0)
		serve_reply(d, q, id ? ENOENT : ESRCH, NULL, 0);
	else
		serve_reply(d, q, 0, &fd, 1);
}

static void serve_let_go(struct daemon *d, struct request *q)
{
	unsigned id = serve_named(d, q);

	if (id == 0)
		return;
	d->t->knows[q->id][id / 64] &= ~(1ull << (id % 64));
	estate_try_drop(d, id);
}

static void serve_share(struct daemon *d, struct request *q)
{
	uint32_t has = q->m.shared.has;
	unsigned n = (has & CTL_HAS_BELL ? 1u : 0u) + (has & CTL_HAS_SHADOW ? 1u : 0u);
	int err;

	if (has & ~(CTL_HAS_BELL | CTL_HAS_SHADOW) || n == 0 || q->nfds != n ||
	    q->m.shared.party >= PARTY_MAX || q->m.shared.slot >= SLOT_MAX) {
		serve_end(d, q->id, "a share that is none");
		return;
	}
	if ((has & CTL_HAS_BELL && !bell_check(q->fds[0])) ||
	    (has & CTL_HAS_SHADOW && !shadow_check(q->fds[n - 1]))) {
		serve_end(d, q->id, "a share of other descriptors than it says");
		return;
	}
	err = shares_put(d, &q->m, q->fds);
	if (err == 0)
		q->nfds = 0;
	/* It may have been ended by what hung up meanwhile. */
	if (daemon_state(d, q->id) == REC_ALIVE)
		serve_reply(d, q, err, NULL, 0);
}

static void serve_shared_bell(struct daemon *d, struct request *q)
{
	int fds[2] = { -1, -1 };

	if (q->m.shared.party < PARTY_MAX && q->m.shared.slot < SLOT_MAX &&
	    daemon_rec(d, q->m.shared.party)->gen == q->m.shared.party_gen)
		shares_find(d, q->m.shared.party, q->m.shared.slot, q->m.shared.gen, fds);
	if (fds[0] < 0)
		serve_reply(d, q, ENOENT, NULL, 0);
	else
		serve_reply(d, q, 0, fds, 1);
}

static void serve_attach(struct daemon *d, struct request *q)
{
	int fds[4], kept[2], err;
	unsigned n = 2, id;

	if (q->nfds != 1) {
		serve_end(d, q->id, "one descriptor is to be attached at a time");
		return;
	}
	err = shares_attach(d, q->fds[0], &q->m);
	/* A copy of ours would silence the hang-up. */
	request_close_fds(q);
	if (err) {
		serve_reply(d, q, err, NULL, 0);
		return;
	}
	id = q->m.shared.party;
	fds[0] = keeper_fd(d->k, id, KEPT_ARENA);
	fds[1] = keeper_fd(d->k, id, KEPT_MBOX);
	q->m.shared.has = 0;
	shares_find(d, id, q->m.shared.slot, q->m.shared.gen, kept);
	for (unsigned i = 0; i < 2; i++)
		if (kept[i] >= 0) {
			q->m.shared.has |= i ? CTL_HAS_SHADOW : CTL_HAS_BELL;
			fds[n++] = kept[i];
		}
	FAULT_POINT("serve.attach");
	/* Before the reply: from then on it may map. */
	if (id != q->id)
		d->t->knows[q->id][id / 64] |= 1ull << (id % 64);
	serve_reply(d, q, 0, fds, n);
}

/* Who closed a listener knows when this is answered that nobody meets it any more. */
static void serve_closed(struct daemon *d, struct request *q)
{
	unsigned id = q->m.shared.party, handle = q->m.shared.handle;

	if (id == 0 || id >= PARTY_MAX || handle >= CLIENT_HANDLES ||
	    daemon_rec(d, id)->gen != q->m.shared.party_gen) {
		serve_reply(d, q, ESRCH, NULL, 0);
		return;
	}
	daemon_link_hear(d, id, handle);
	while (estate_hangups(d))
		;
	if (daemon_state(d, q->id) == REC_ALIVE)
		serve_reply(d, q, 0, NULL, 0);
}

static void serve_tcp_info(struct daemon *d, struct request *q)
{
	unsigned id = q->m.shared.party, slot = q->m.shared.slot;
	uint32_t gen = q->m.shared.gen;

	memset(&q->m.row, 0, sizeof(q->m.row));
	if (wire_is_party(d, id))
		wire_info_of(d, slot, gen, &q->m);
	serve_reply(d, q, q->m.row.wire ? 0 : ENOENT, NULL, 0);
}

static void serve_list(struct daemon *d, struct request *q)
{
	struct client *c = &d->clients[q->id];
	int n = q->m.type == CTL_NET ? wire_rows(d, q->m.seq, q->m.net.what, &c->listing)
				     : list_rows(d, q->m.seq, &c->listing);

	if (n < 0) {
		serve_reply(d, q, -n, NULL, 0);
		return;
	}
	c->listing_count = (size_t)n;
	c->listing_next = 0;
	serve_writable(d, q->id);
}

void serve_writable(struct daemon *d, unsigned id)
{
	struct client *c = &d->clients[id];
	int fd = keeper_fd(d->k, id, KEPT_CTL);
	struct epoll_event ev = {
		.events = EPOLLOUT,
		.data.u64 = (uint64_t)WATCH_CTL << 60 | (uint64_t)daemon_rec(d, id)->gen << 16 | id
	};

	while (c->listing && c->listing_next < c->listing_count) {
		int r = ctl_send(fd, &c->listing[c->listing_next], NULL, 0);

		if (r == -EAGAIN) {
			/* Nothing more is read from it until it took its list. */
			epoll_ctl(d->epfd, EPOLL_CTL_MOD, fd, &ev);
			return;
		}
		if (r < 0) {
			clients_gone(d, id);
			return;
		}
		c->listing_next++;
	}
	free(c->listing);
	c->listing = NULL;
	ev.events = EPOLLIN;
	epoll_ctl(d->epfd, EPOLL_CTL_MOD, fd, &ev);
}

static void serve_down(struct daemon *d, struct request *q)
{
	bool force = q->m.down.force != 0;

	list_status(d, &q->m);
	if (q->m.status.connections > 0 && !force) {
		serve_reply(d, q, EBUSY, NULL, 0);
		return;
	}
	serve_reply(d, q, 0, NULL, 0);
	daemon_leave(d, force);
}

/* Requests that need a hello. */
static void serve_party(struct daemon *d, struct request *q)
{
	switch (q->m.type) {
	case CTL_BELL:
		serve_bell(d, q);
		break;
	case CTL_HANDLES:
		serve_handles(d, q);
		break;
	case CTL_PEER:
		serve_peer(d, q);
		break;
	case CTL_PEER_BELL:
		serve_peer_bell(d, q);
		break;
	case CTL_LET_GO:
		serve_let_go(d, q);
		break;
	case CTL_LISTEN:
		serve_reply(d, q, ports_listen(d, q->id, &q->m), NULL, 0);
		break;
	case CTL_UNLISTEN:
		serve_reply(d, q, ports_unlisten(d, q->id, &q->m), NULL, 0);
		break;
	case CTL_DEMOTE:
		serve_reply(d, q, ports_demote(d, &q->m), NULL, 0);
		break;
	case CTL_BIND:
		serve_reply(d, q, ports_bind(d, q->id, &q->m), NULL, 0);
		break;
	case CTL_UNBIND:
		ports_unbind(d, q->id, &q->m);
		break;
	case CTL_LEASE:
		serve_reply(d, q, ports_lease(d, q->id, &q->m), NULL, 0);
		break;
	case CTL_SHARE:
		serve_share(d, q);
		break;
	case CTL_SHARED_BELL:
		serve_shared_bell(d, q);
		break;
	case CTL_ATTACH:
		serve_attach(d, q);
		break;
	case CTL_CLOSED:
		serve_closed(d, q);
		break;
	case CTL_TCP_INFO:
		serve_tcp_info(d, q);
		break;
	case CTL_GOODBYE:
		clients_gone(d, q->id);
		break;
	default:
		serve_end(d, q->id, "an unknown request");
	}
}

static void serve_request(struct daemon *d, struct request *q)
{
	int r;

	/* The longest record of each type is right too: the tail is not read. */
	if (q->m.type & CTL_REPLY || q->m.len < ctl_bytes(q->m.type) ||
	    ctl_bytes(q->m.type) == 0) {
		serve_end(d, q->id, "a malformed request");
		return;
	}
	if (q->nfds && q->m.type != CTL_HELLO && q->m.type != CTL_BELL &&
	    q->m.type != CTL_SHARE && q->m.type != CTL_ATTACH) {
		serve_end(d, q->id, "descriptors where none belong");
		return;
	}
	d->t->messages++;
	switch (q->m.type) {
	case CTL_HELLO:
		serve_hello(d, q);
		break;
	case CTL_LIST:
	case CTL_NET:
		serve_list(d, q);
		break;
	case CTL_STATUS:
		list_status(d, &q->m);
		serve_reply(d, q, 0, NULL, 0);
		break;
	case CTL_DOWN:
		serve_down(d, q);
		break;
	case CTL_PING:
		r = wire_ping(d, q->id, &q->m);
		if (r)
			serve_reply(d, q, r, NULL, 0);
		break;
	case CTL_LINGER:
		/* In the table: the next daemon, should this one die, stays as long. */
		if (q->m.linger.seconds <= CTL_LINGER_MAX)
			d->t->linger_ns = q->m.linger.seconds * NS_PER_SEC;
		serve_reply(d, q, q->m.linger.seconds <= CTL_LINGER_MAX ? 0 : EINVAL, NULL, 0);
		break;
	default:
		if (daemon_state(d, q->id) == REC_ALIVE)
			serve_party(d, q);
		else
			serve_end(d, q->id, "a request before hello");
	}
}

void serve_readable(struct daemon *d, unsigned id)
{
	static struct request q;
	uint32_t gen = daemon_rec(d, id)->gen;

	for (int i = 0; i < SERVE_BATCH; i++) {
		int fd = keeper_fd(d->k, id, KEPT_CTL), r;

		/* It may have been ended, by its last request. */
		if (fd < 0 || daemon_rec(d, id)->gen != gen || d->clients[id].listing)
			return;
		q.id = id;
		q.nfds = CTL_FD_MAX;
		r = ctl_recv(fd, &q.m, q.fds, &q.nfds, 0);
		if (r == -ETIMEDOUT)
			return;
		if (r == -EPROTONOSUPPORT) {
			uint16_t type = q.m.type;

			/* Its own shape of reply is unknown: a bare header. */
			q.m = (struct ctl_msg){ .version = CTL_VERSION,
						.type = type | CTL_REPLY,
						.len = CTL_HEADER_BYTES,
						.seq = q.m.seq,
						.error = EPROTONOSUPPORT };
			ctl_send(fd, &q.m, NULL, 0);
			serve_end(d, id, "it is of another version");
			return;
		}
		if (r == -EPIPE) {
			clients_gone(d, id);
			return;
		}
		if (r < 0) {
			serve_end(d, id, "a malformed record");
			return;
		}
		serve_request(d, &q);
		request_close_fds(&q);
	}
}
