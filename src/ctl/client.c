/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "ctl/client.h"

#define CALL_TIMEOUT_MS 5000u
#define START_TIMEOUT_MS 10000u

static _Atomic uint32_t next_seq = 1;

int ctl_connect(const char *domain)
{
	struct timeval patience = { .tv_sec = CALL_TIMEOUT_MS / 1000 };
	struct sockaddr_un un;
	char dir[PATH_MAX];
	int dirfd = -1, r;
	long fd;

	r = ctl_dir(domain, dir, sizeof(dir));
	if (r == 0)
		r = ctl_address(dir, "ctl", &un, &dirfd);
	if (r < 0)
		return r;
	fd = sys3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		/* Neither connect() nor sendmsg() may wait for ever for a
		 * daemon that was stopped. */
		sys5(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		do
			r = (int)sys3(SYS_connect, fd, &un, sizeof(un));
		while (r == -EINTR);
		if (r < 0)
			sys1(SYS_close, fd);
	}
	if (dirfd >= 0)
		sys1(SYS_close, dirfd);
	if (fd < 0)
		return (int)fd;
	return r < 0 ? r : (int)fd;
}

static void call_fill(struct ctl_msg *m)
{
	m->version = CTL_VERSION;
	m->len = ctl_bytes(m->type);
	m->seq = atomic_fetch_add(&next_seq, 1);
	m->error = 0;
}

int ctl_post(int fd, struct ctl_msg *m)
{
	call_fill(m);
	return m->len ? ctl_send(fd, m, NULL, 0) : -EINVAL;
}

int ctl_call(int fd, struct ctl_msg *m, const int *fds, unsigned nfds, int *ret_fds,
	     unsigned *ret_nfds)
{
	uint64_t deadline = clock_now_ns() + CALL_TIMEOUT_MS * NS_PER_MS;
	unsigned room = ret_nfds ? *ret_nfds : 0;
	struct ctl_msg reply;
	int r;

	if (ret_nfds)
		*ret_nfds = 0;
	call_fill(m);
	if (m->len == 0 || m->type & CTL_REPLY)
		return -EINVAL;
	r = ctl_send(fd, m, fds, nfds);
	if (m->type == CTL_LET_GO || m->type == CTL_UNBIND || m->type == CTL_GOODBYE)
		return r; /* These have no reply. */
	while (r == 0) {
		uint64_t now = clock_now_ns();
		unsigned got = room;

		if (now >= deadline)
			return -ETIMEDOUT;
		r = ctl_recv(fd, &reply, ret_fds, &got,
			     (int)((deadline - now) / NS_PER_MS) + 1);
		if (r < 0)
			return r;
		if (reply.type == CTL_RESTARTED) {
			/* The daemon that we asked died: ask the new one. The
			 * request is idempotent. */
			r = ctl_send(fd, m, fds, nfds);
		} else if (reply.seq == m->seq && reply.type == (m->type | CTL_REPLY)) {
			*m = reply;
			if (ret_nfds)
				*ret_nfds = got;
			return -reply.error;
		}
		/* It is no answer to this: nor are they. */
		for (unsigned i = 0; ret_fds && i < got; i++)
			sys1(SYS_close, ret_fds[i]);
	}
	return r;
}

/* ----------------------------------------------------------------- start */

/* Does a daemon answer? Having accepted is not enough: it may be leaving. */
static int start_probe(const char *domain)
{
	struct ctl_msg m = { .type = CTL_STATUS };
	int fd = ctl_connect(domain), r;

	if (fd < 0)
		return fd;
	r = ctl_call(fd, &m, NULL, 0, NULL, NULL);
	sys1(SYS_close, fd);
	return r;
}

bool ctl_daemon_path(char *ret, size_t size)
{
	static const char *const where[] = { "mortised", "../daemon/mortised",
					     "../libexec/mortise/mortised" };
	const char *named = getenv("MORTISED");
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		for (size_t i = 0; i < ARRAY_LEN(where); i++) {
			int len = snprintf(ret, size, "%s/%s", self, where[i]);

			if (len > 0 && (size_t)len < size && access(ret, X_OK) == 0)
				return true;
		}
	}
	if (!named || !*named || strlen(named) >= size || access(named, X_OK) != 0)
		return false;
	memcpy(ret, named, strlen(named) + 1);
	return true;
}

/* mortised returns once its socket accepts; a second one waits for the first. */
static int start_run(const char *path, const char *domain, const char *policy,
		     const char *const *more)
{
	const char *argv[CTL_START_MORE + 6] = { path, "--domain", domain, "--policy", policy };
	unsigned n = 5;
	int status;
	pid_t pid;

	for (; more && *more && n < ARRAY_LEN(argv) - 1; more++)
		argv[n++] = *more;
	pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		unsetenv("LD_PRELOAD");
		execv(path, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

int ctl_start(const char *domain, const char *policy, const char *const *more)
{
	uint64_t deadline = clock_now_ns() + START_TIMEOUT_MS * NS_PER_MS;
	struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	char path[PATH_MAX];
	int r;

	if (!ctl_domain_valid(domain))
		return -EINVAL;
	r = start_probe(domain);
	if (r == 0)
		return 0;
	if (r == -EPERM || r == -EACCES || r == -EPROTONOSUPPORT)
		return r;
	if (!ctl_daemon_path(path, sizeof(path)))
		return -ENOENT;
	/* More than once: the one that held the lock may have been leaving. */
	for (;;) {
		r = start_run(path, domain, policy ? policy : "share", more);
		if (r == 0)
			r = start_probe(domain);
		if (r == 0 || r == -ECHILD || clock_now_ns() >= deadline)
			return r;
		nanosleep(&pause, NULL);
	}
}
