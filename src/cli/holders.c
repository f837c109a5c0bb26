// SPDX-License-Identifier: BSD-2-Clause
/*
 * holders.c - A connection's descriptor is a handle: one end of an AF_UNIX
 * pair whose other end, the keeper's, has a name that says party and number.
 * So: unix_diag tells which inode faces which name, /proc who holds that inode,
 * and the daemon's row which handle is the row's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/holders.h"
#include "cli/sock_diag.h"
#include "ctl/client.h"

enum { ROOM_MIN = 64 };

bool holders_name(const char *name, size_t len, uint64_t netns, const char *domain,
		  struct holder_key *ret)
{
	char text[128], prefix[96];
	unsigned party, handle;
	int n = snprintf(prefix, sizeof(prefix), "mortise/%" PRIu64 "/%s/", netns, domain);
	char *end;

	if (!len || *name || len > sizeof(text))
		return false;
	memcpy(text, name + 1, len - 1);
	text[len - 1] = 0;
	if (strncmp(text, prefix, (size_t)n) != 0 || text[n] < '0' || text[n] > '9')
		return false;
	party = (unsigned)strtoul(text + n, &end, 10);
	if (*end != '/' || end[1] < '0' || end[1] > '9')
		return false;
	handle = (unsigned)strtoul(end + 1, &end, 10);
	if (*end && *end != '/')
		return false;
	ret->party = party;
	ret->handle = handle;
	return true;
}

struct keys {
	struct holder_key *k;
	size_t n, room;
	uint64_t netns;
	const char *domain;
};

static void diag_one(const struct nlmsghdr *h, size_t there, void *context)
{
	struct keys *keys = context;
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	struct rtattr *a = (struct rtattr *)(uintptr_t)(m + 1);
	uint32_t len, peer = 0;
	struct holder_key key;
	bool named = false;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || h->nlmsg_len > there)
		return;
	len = h->nlmsg_len - (uint32_t)NLMSG_LENGTH(sizeof(*m));
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == UNIX_DIAG_NAME)
			named = holders_name(RTA_DATA(a), RTA_PAYLOAD(a), keys->netns,
					     keys->domain, &key);
		else if (a->rta_type == UNIX_DIAG_PEER && RTA_PAYLOAD(a) == sizeof(peer))
			memcpy(&peer, RTA_DATA(a), sizeof(peer));
	}
	if (!named || !peer)
		return;
	if (keys->n == keys->room) {
		size_t room = keys->room ? 2 * keys->room : ROOM_MIN;
		struct holder_key *more = reallocarray(keys->k, room, sizeof(*more));

		if (!more)
			return;
		keys->k = more;
		keys->room = room;
	}
	key.inode = peer;
	keys->k[keys->n++] = key;
}

size_t holders_handles(const char *domain, struct holder_key **ret)
{
	struct unix_diag_req ask = {
		.sdiag_family = AF_UNIX, .udiag_states = UINT32_MAX,
		.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER,
	};
	struct keys keys = { .netns = ctl_netns(), .domain = domain };

	sock_diag_dump(&ask, sizeof(ask), diag_one, &keys);
	*ret = keys.k;
	return keys.n;
}

/** struct wanted - An inode that a row may be, and that row. */
struct wanted {
	uint64_t inode;
	struct ss_row *row;
};

static int by_inode(const void *a, const void *b)
{
	uint64_t x = ((const struct wanted *)a)->inode, y = ((const struct wanted *)b)->inode;

	return (x > y) - (x < y);
}

static void add_user(struct ss_row *r, uint64_t inode, const char *pid, const char *fd,
		     const char *process)
{
	struct ss_user *u;

	if (r->user_count == SS_USERS_MAX)
		return;
	u = &r->users[r->user_count++];
	u->inode = inode;
	u->pid = (uint32_t)strtoul(pid, NULL, 10);
	u->fd = (int)strtol(fd, NULL, 10);
	snprintf(u->process, sizeof(u->process), "%s", process);
}

static void comm_read(int dir, char ret[17])
{
	int fd = openat(dir, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, 16);

	if (fd >= 0)
		close(fd);
	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

/** scan_process() - What of it process @pid holds. */
static void scan_process(int proc, const char *pid, const struct wanted *w, size_t n)
{
	char process[17] = "", target[64];
	int dir = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fds;
	const struct dirent *e;
	DIR *d;

	if (dir < 0)
		return;
	fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fds < 0 ? NULL : fdopendir(fds);
	while (d && (e = readdir(d))) {
		ssize_t len = readlinkat(fds, e->d_name, target, sizeof(target) - 1);
		struct wanted key = { 0 };
		const struct wanted *hit;

		if (len <= 8 || memcmp(target, "socket:[", 8) != 0)
			continue;
		target[len] = 0;
		key.inode = strtoull(target + 8, NULL, 10);
		hit = bsearch(&key, w, n, sizeof(*w), by_inode);
		if (!hit)
			continue;
		if (!*process)
			comm_read(dir, process);
		add_user(hit->row, key.inode, pid, e->d_name, process);
	}
	if (d)
		closedir(d);
	else if (fds >= 0)
		close(fds);
	close(dir);
}

static int by_pid_fd(const void *a, const void *b)
{
	const struct ss_user *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->fd > y->fd) - (x->fd < y->fd);
}

static int by_name(const void *a, const void *b)
{
	const struct holder_key *x = a, *y = b;

	if (x->party != y->party)
		return x->party < y->party ? -1 : 1;
	return (x->handle > y->handle) - (x->handle < y->handle);
}

/** match() - The inodes at which to look for the rows' sockets. */
static size_t match(const struct holder_key *keys, size_t nkeys, struct ss_row *rows, size_t n,
		    struct wanted *ret, size_t room)
{
	size_t count = 0;

	for (size_t i = 0; i < n && count < room; i++) {
		struct ss_row *r = &rows[i];
		struct holder_key want = { .party = r->party, .handle = r->handle - 1 };
		const struct holder_key *k, *end = keys + nkeys;

		if (r->inode)
			ret[count++] = (struct wanted){ r->inode, r };
		k = r->handle && nkeys ? bsearch(&want, keys, nkeys, sizeof(*keys), by_name) : NULL;
		while (k && k > keys && !by_name(&want, k - 1))
			k--;
		for (; k && k < end && !by_name(&want, k) && count < room; k++)
			ret[count++] = (struct wanted){ k->inode, r };
	}
	return count;
}

/**
 * sort_out() - Two domains of one name, in other directories, have handles of
 * the same name: the row's is the one that its own process holds. Where that
 * does not tell, nobody is named rather than a stranger.
 */
static void sort_out(struct ss_row *r)
{
	uint64_t inode = r->user_count ? r->users[0].inode : 0;
	bool several = false, own = false;
	unsigned kept = 0;

	for (unsigned i = 0; i < r->user_count; i++) {
		several |= r->users[i].inode != inode;
		if (r->users[i].pid == r->pid && !own) {
			own = true;
			inode = r->users[i].inode;
		}
	}
	if (several && !own)
		r->user_count = 0;
	for (unsigned i = 0; i < r->user_count; i++) {
		if (r->users[i].inode == inode)
			r->users[kept++] = r->users[i];
	}
	r->user_count = kept;
	qsort(r->users, kept, sizeof(r->users[0]), by_pid_fd);
}

void holders_fill(const char *proc, struct holder_key *keys, size_t nkeys, struct ss_row *rows,
		  size_t n)
{
	size_t room = 2 * n + nkeys + 1, count;
	struct wanted *w = calloc(room, sizeof(*w));
	DIR *d = opendir(proc);
	const struct dirent *e;

	if (w && d) {
		if (nkeys)
			qsort(keys, nkeys, sizeof(*keys), by_name);
		count = match(keys, nkeys, rows, n, w, room);
		qsort(w, count, sizeof(*w), by_inode);
		while (count && (e = readdir(d))) {
			if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
				scan_process(dirfd(d), e->d_name, w, count);
		}
		for (size_t i = 0; i < n; i++)
			sort_out(&rows[i]);
	}
	if (d)
		closedir(d);
	free(w);
}
