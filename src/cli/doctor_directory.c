// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/doctor.h"
#include "cli/words.h"
#include "ctl/client.h"

static const char topic[] = "directory";

/** look_at_owner() - As ctl_dir() will. @forbidden: mode bits. */
static void look_at_owner(struct findings *f, const char *path, mode_t forbidden)
{
	struct stat st;

	if (lstat(path, &st)) {
		if (errno == ENOENT)
			finding_add(f, topic, "missing", FINDING_OK, "%s is not there yet: it will be "
				    "made when it is needed", path);
		else
			finding_add(f, topic, "unreachable", FINDING_BAD, "%s: %s", path,
				    strerror(errno));
		if (errno != ENOENT)
			finding_remedy(f, "set MORTISE_DIR, or `dir` in mortise.ini, to a folder of "
					  "yours");
		return;
	}
	if (!S_ISDIR(st.st_mode))
		finding_add(f, topic, "type", FINDING_BAD, "%s is no folder%s", path,
			    S_ISLNK(st.st_mode) ? ", but a symbolic link, which is not followed" : "");
	else if (st.st_uid != geteuid())
		finding_add(f, topic, "owner", FINDING_BAD, "%s belongs to user %u, and you are %u: "
			    "whoever owns it could pose as the daemon", path, st.st_uid, geteuid());
	else if (st.st_mode & forbidden)
		finding_add(f, topic, "mode", FINDING_BAD, "%s has mode %04o: others could pose as "
			    "the daemon", path, st.st_mode & 07777);
	else
		finding_add(f, topic, "own", FINDING_OK, "%s is yours, mode %04o", path,
			    st.st_mode & 07777);
	/* Of a common folder, such as /tmp, others' rights are not to be taken away. */
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && st.st_mode & forbidden &&
	    !(st.st_mode & S_ISVTX))
		finding_remedy(f, "chmod %s %s", forbidden & 055 ? "0700" : "go-w", path);
	else if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & forbidden)
		finding_remedy(f, "set MORTISE_DIR, or `dir` in mortise.ini, to a folder of yours");
}

/** parent_of() - The nearest folder above @path that is there. */
static void parent_of(const char *path, char ret[PATH_MAX])
{
	struct stat st;

	snprintf(ret, PATH_MAX, "%s", path);
	while (stat(ret, &st)) {
		char *slash = strrchr(ret, '/');

		if (!slash || slash == ret) {
			strcpy(ret, "/");
			return;
		}
		*slash = 0;
	}
}

static void look_at_space(struct findings *f, const char *path)
{
	enum { NEEDED_KB = 1024 }; /* a socket, a lock, a log */
	char where[PATH_MAX];
	struct statvfs v;
	uint64_t kb;

	parent_of(path, where);
	if (access(where, W_OK)) {
		finding_add(f, topic, "read-only", FINDING_BAD, "%s cannot be written to: %s", where,
			    strerror(errno));
		finding_remedy(f, "set MORTISE_DIR, or `dir` in mortise.ini, to a folder that can");
	}
	if (statvfs(where, &v))
		return;
	kb = (uint64_t)v.f_bavail * v.f_frsize / 1024;
	finding_add(f, topic, "space", kb < NEEDED_KB ? FINDING_LIMIT : FINDING_OK,
		    "%" PRIu64 " MB are free there; sockets' bytes are in memory, not in it",
		    kb / 1024);
	if (kb < NEEDED_KB)
		finding_remedy(f, "free 1 MB, for the daemon's log, or set MORTISE_DIR");
}

/** domain_of() - "lab-4026531840": its name, and whether it is of this network namespace. */
static bool domain_of(const char *entry, char ret[CTL_DOMAIN_MAX + 1], bool *ret_here)
{
	const char *dash = strrchr(entry, '-');
	size_t n = dash ? (size_t)(dash - entry) : 0;
	char *end;
	uint64_t netns;

	if (!n || n > CTL_DOMAIN_MAX || dash[1] < '0' || dash[1] > '9')
		return false;
	memcpy(ret, entry, n);
	ret[n] = 0;
	netns = strtoull(dash + 1, &end, 10);
	*ret_here = netns == ctl_netns();
	return !*end && ctl_domain_valid(ret);
}

/** ask_daemon() - Return: 0 with its status; else -errno of ctl_call() or connect(). */
static int ask_daemon(const char *folder, struct ctl_msg *ret)
{
	struct timeval patience = { .tv_sec = 2 };
	struct sockaddr_un un;
	unsigned nfds = 0;
	int dirfd = -1, fd, r = ctl_address(folder, "ctl", &un, &dirfd);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		r = connect(fd, (struct sockaddr *)&un, sizeof(un)) ? -errno : 0;
	} else {
		r = -errno;
	}
	if (dirfd >= 0)
		close(dirfd);
	*ret = (struct ctl_msg){ .type = CTL_STATUS };
	if (!r)
		r = ctl_call(fd, ret, NULL, 0, NULL, &nfds);
	if (fd >= 0)
		close(fd);
	return r;
}

/** asked_policy() - enum policy of the settings, or -1. */
static int asked_policy(void)
{
	char word[CONFIG_VALUE_MAX];

	if (config.at[SET_POLICY].from == FROM_DEFAULT)
		return -1;
	config_effective(&config, SET_POLICY, word, NULL);
	return word_policy_find(word);
}

static void look_at_running(struct findings *f, const char *domain, bool own,
			    const struct ctl_msg *m)
{
	int asked = own ? asked_policy() : -1;

	finding_add(f, topic, "running", FINDING_OK, "domain \"%s\" is up: daemon %u, policy %s, "
		    "%u programs, %u connections", domain, m->status.daemon_pid,
		    word_policy(m->status.policy), m->status.clients, m->status.connections);
	if (asked < 0 || (uint32_t)asked == m->status.policy)
		return;
	finding_add(f, topic, "policy", FINDING_BAD, "the settings say policy %s, but domain \"%s\" "
		    "runs with policy %s: `mortise run` will refuse", word_policy((uint32_t)asked),
		    domain, word_policy(m->status.policy));
	finding_remedy(f, "mortise down %s, or another --domain", domain);
}

/** look_at_domain() - One entry of the folder. @wanted: the domain that would be used. */
static void look_at_domain(struct findings *f, const char *base, const char *entry,
			   const char *wanted)
{
	char folder[PATH_MAX], domain[CTL_DOMAIN_MAX + 1];
	struct ctl_msg m;
	bool here, own;
	int r;

	if (!domain_of(entry, domain, &here) ||
	    snprintf(folder, sizeof(folder), "%s/%s", base, entry) >= (int)sizeof(folder))
		return;
	own = here && !strcmp(domain, wanted);
	if (own)
		look_at_owner(f, folder, 077);
	r = ask_daemon(folder, &m);
	if (!r && m.len >= CTL_BYTES(status)) {
		look_at_running(f, domain, own, &m);
	} else if (!r || r == -EPROTONOSUPPORT || r == -EPROTO) {
		finding_add(f, topic, "version", own ? FINDING_BAD : FINDING_LIMIT,
			    "domain \"%s\" has a daemon of another version%s", domain,
			    here ? "" : ", in another network namespace");
		finding_remedy(f, "end it with the `mortise down` that it came with, or take another "
				  "--domain");
	} else if (r == -ECONNREFUSED) {
		finding_add(f, topic, "stale", FINDING_OK, "%s is left from a daemon that is gone: "
			    "harmless%s", folder, here ? ", the next one takes it over" : "");
		if (!here)
			finding_remedy(f, "rm -r %s", folder);
	} else if (r == -ETIMEDOUT || r == -EAGAIN) {
		finding_add(f, topic, "stuck", own ? FINDING_BAD : FINDING_LIMIT,
			    "the daemon of domain \"%s\" does not answer", domain);
		finding_remedy(f, "see %s/log; end its process if it is stopped", folder);
	} else if (r != -ENOENT) {
		finding_add(f, topic, "unreachable", own ? FINDING_BAD : FINDING_OK,
			    "domain \"%s\" cannot be asked: %s", domain, strerror(-r));
	}
}

void doctor_directory(struct findings *f, const char *base, const char *domain)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	const struct dirent *e;
	DIR *d;

	if (config.at[SET_DIR].from == FROM_DEFAULT && !(run && *run == '/'))
		finding_add(f, topic, "fallback", FINDING_OK, "XDG_RUNTIME_DIR is not set: domains "
			    "are below %s", base);
	look_at_owner(f, base, 022);
	look_at_space(f, base);
	d = opendir(base);
	while (d && (e = readdir(d)))
		look_at_domain(f, base, e->d_name, domain);
	if (d)
		closedir(d);
}
