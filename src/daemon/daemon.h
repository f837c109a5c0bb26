/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - The daemon proper: one epoll loop that never waits for a client.
 */
#ifndef MORTISE_DAEMON_DAEMON_H
#define MORTISE_DAEMON_DAEMON_H

#include "ctl/client.h"
#include "daemon/keeper.h"
#include "daemon/link.h"
#include "shm/half.h"

struct service;
struct wire;

/**
 * struct client - What this daemon knows of a record; rebuilt by the next.
 * @peer:    Its memory, writable; peer.base is NULL where there is none. Its
 *           bells are borrowed from keeper->kept.
 * @live:    Its handles that did not hang up yet, or were not dealt with.
 * @listing: Rows of a CTL_LIST that are still to be sent, or NULL.
 */
struct client {
	struct peer peer;
	unsigned live;
	unsigned listeners;
	uint64_t estate_bytes;
	struct ctl_msg *listing;
	size_t listing_next, listing_count;
	bool limit_said, shares_said; /* in the log */
};

/**
 * struct daemon
 * @exec: The daemon as a party, number 0: executor of the dead. Its peers are
 *        the clients' @peer.
 */
struct daemon {
	struct keeper *k;
	struct table *t;
	struct registry *reg;
	struct party *exec;
	int epfd;
	int addrs_fd; /* addrs.h: news of this host's addresses, or -1 */
	struct service *service;
	struct wire *wire; /* NULL: no network */
	uint32_t done_told; /* hung_done, when the keeper was last told of it */
	bool estates_dirty;
	bool ring_due;	/* shares_ring(), when what hung up has been executed */
	bool listen_paused;
	uint64_t estates_due_ns;
	uint64_t idle_since_ns;
	struct client clients[PARTY_MAX];
};

static inline struct rec *daemon_rec(const struct daemon *d, unsigned id)
{
	return &d->t->recs[id];
}
static inline enum rec_state daemon_state(const struct daemon *d, unsigned id)
{
	return (enum rec_state)load_acquire(&d->t->recs[id].state);
}

/* Event data: what it is, the generation, whose. */
enum watch { WATCH_CTL = 1, WATCH_PIDFD, WATCH_LISTEN, WATCH_LINK, WATCH_KICK, WATCH_BELL,
	     WATCH_ADDRS, WATCH_WIRE_BELL, WATCH_TAP };

void daemon_watch(struct daemon *d, int fd, enum watch what, unsigned id, uint32_t events);
void daemon_unwatch(struct daemon *d, int fd);

/** daemon_main() - What the keeper's child does. Does not return. */
void daemon_main(struct keeper *k);

/** daemon_leave() - The domain ends. @force: every connection gets an RST. */
_Noreturn void daemon_leave(struct daemon *d, bool force);

/** daemon_link() - Tell the keeper; the process ends where it is gone. */
void daemon_link(struct daemon *d, const struct link_msg *m, const int *fds, unsigned nfds);

/** daemon_link_make() - Ask for handle pairs. Return: how many, or -errno. */
int daemon_link_make(struct daemon *d, unsigned id, unsigned count, uint32_t *ids, int *near);

/** daemon_link_hear() - Has that handle hung up? If so, estate_hangups() finds it,
 * when this returns; and the keeper has done all that it was told before. */
void daemon_link_hear(struct daemon *d, unsigned id, unsigned handle);
/** daemon_link_accept() - Take a connection for a record. Return: it, or -errno. */
int daemon_link_accept(struct daemon *d, unsigned id);

/* clients.c */

/** clients_accept() - Take one of those that wait at the control socket. */
void clients_accept(struct daemon *d);

/** clients_keep() - Hold @fd (taken over), and have the keeper hold it. */
void clients_keep(struct daemon *d, unsigned id, enum kept kind, int fd);
void clients_drop(struct daemon *d, unsigned id, uint32_t kinds);

/** clients_take_record() - A free record, of a new generation; 0: none. */
unsigned clients_take_record(struct daemon *d);

/**
 * clients_admit() - A record with its descriptors kept becomes a party.
 * Return: 0 or -errno.
 */
int clients_admit(struct daemon *d, unsigned id);

/** clients_map() - Map a party's memory. Return: 0 or -errno. */
int clients_map(struct daemon *d, unsigned id);
/** clients_room() - Is there room for one party more? Else it is logged. */
bool clients_room(struct daemon *d, unsigned id);

/** clients_gone() - The client died, left, or is ended. */
void clients_gone(struct daemon *d, unsigned id);

/** clients_rebuild() - After a restart, with everybody's memory mapped: what the
 * table says is so again. */
void clients_rebuild(struct daemon *d, unsigned id);

/** clients_lookup() - Arena of a party, or NULL. For execute_idle(). */
void *clients_lookup(void *arg, unsigned party, uint32_t gen);

/* serve.c */

/** serve_readable() - Serve what the client sent. It may be gone afterwards. */
void serve_readable(struct daemon *d, unsigned id);

/** serve_writable() - Go on with its list. */
void serve_writable(struct daemon *d, unsigned id);

/* ports.c: each returns 0 or a positive errno, as replies carry them. */

int ports_listen(struct daemon *d, unsigned id, const struct ctl_msg *m);
int ports_unlisten(struct daemon *d, unsigned id, const struct ctl_msg *m);
int ports_demote(struct daemon *d, const struct ctl_msg *m);
int ports_bind(struct daemon *d, unsigned id, struct ctl_msg *m);
void ports_unbind(struct daemon *d, unsigned id, const struct ctl_msg *m);
int ports_lease(struct daemon *d, unsigned id, struct ctl_msg *m);

/** ports_half_ends() - A half is about to be executed. */
void ports_half_ends(struct daemon *d, unsigned id, const struct half *h);

/** ports_party_died() - Its listeners and leases end. */
void ports_party_died(struct daemon *d, unsigned id);

/** ports_party_ended() - No process holds a socket of it any more. */
void ports_party_ended(struct daemon *d, unsigned id);

/** ports_repair() - After a daemon that died in the middle of something. */
void ports_repair(struct daemon *d);

/* estate.c */

/** estate_hangups() - Execute what hung up. Return: whether more waits. */
bool estate_hangups(struct daemon *d);

/** estate_died() - The party just became REC_DEAD, or lost a handle. */
void estate_died(struct daemon *d, unsigned id);

/** estate_try_drop() - Drop it, if nobody needs it. */
void estate_try_drop(struct daemon *d, unsigned id);

/** estate_sweep() - Try to drop each. */
void estate_sweep(struct daemon *d);

/** estate_reset_all() - Every open half of a party gets END_RST. */
void estate_reset_all(struct daemon *d, unsigned id);

/** estate_reset_queues() - The listeners of a party that died, but for those
 * that others still accept from (shares_listener()): whoever waits in the dead
 * party's seats would wait for ever. */
void estate_reset_queues(struct daemon *d, unsigned id);

/** estate_execute_all() - Every half of a party. */
void estate_execute_all(struct daemon *d, unsigned id);

/* list.c */

/** list_rows() - All rows, and the last. Return: how many, or -errno. */
int list_rows(struct daemon *d, uint32_t seq, struct ctl_msg **ret);
void list_status(struct daemon *d, struct ctl_msg *m);

/* service.c */

void service_start(struct daemon *d);
void service_event(struct daemon *d);
void service_tick(struct daemon *d);
/** service_prepare() - About to sleep. Return: false where there is work. */
bool service_prepare(struct daemon *d);
void service_woken(struct daemon *d);

#endif
