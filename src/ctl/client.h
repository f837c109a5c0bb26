/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.h - The near end of the control channel: finding a domain's
 * daemon, starting it, asking it.
 */
#ifndef MORTISE_CTL_CLIENT_H
#define MORTISE_CTL_CLIENT_H

#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/proto.h"

#define CTL_DOMAIN_DEFAULT "default"
#define CTL_DOMAIN_MAX 32

/** ctl_domain_valid() - 1 to 32 of [a-z0-9-], beginning with a letter. */
bool ctl_domain_valid(const char *domain);

/**
 * ctl_dir() - The domain's directory, made where it is not there.
 * $MORTISE_DIR, else $XDG_RUNTIME_DIR/mortise, else /tmp/mortise-UID; below
 * it DOMAIN-NETNSINODE. Mode 0700; owner and type are checked, symbolic links
 * refused.
 * @ret:  Buffer of @size bytes.
 * Return: 0 or -errno (-EPERM where someone else owns it).
 */
int ctl_dir(const char *domain, char *ret, size_t size);

/**
 * ctl_connect() - A connection to the domain's daemon.
 * Return: A close-on-exec descriptor, or -errno: -ECONNREFUSED and -ENOENT
 *         where no daemon is there.
 */
int ctl_connect(const char *domain);

/**
 * ctl_send() - Send one record.
 * Return: 0 or -errno. Never SIGPIPE.
 */
int ctl_send(int fd, const struct ctl_msg *m, const int *fds, unsigned nfds);

/**
 * ctl_recv() - Take one record and its descriptors (close-on-exec).
 * @timeout_ms: -1: none.
 * @ret_nfds:   In: room in @fds. Out: how many came. What does not fit is closed.
 * Return: 0, -ETIMEDOUT, -EPIPE at the end, -EPROTO where it is malformed
 *         (bad version: -EPROTONOSUPPORT).
 */
int ctl_recv(int fd, struct ctl_msg *ret, int *fds, unsigned *ret_nfds, int timeout_ms);

/**
 * ctl_call() - Send a request, take its reply: asks again after
 * CTL_RESTARTED, drops replies to older requests, gives up after 5 s. Does
 * not wait where the request has no reply.
 * @m: In: the request, with version, len, seq filled in here. Out: the reply.
 * Return: 0, or -errno: the reply's error or the channel's.
 */
int ctl_call(int fd, struct ctl_msg *m, const int *fds, unsigned nfds, int *ret_fds,
	     unsigned *ret_nfds);

/**
 * ctl_post() - Send a request that has no reply (CTL_LET_GO, CTL_UNBIND,
 * CTL_GOODBYE): version, len and seq are filled in here.
 */
int ctl_post(int fd, struct ctl_msg *m);

/** ctl_bytes() - How long a record of @type is; 0 where there is no such type. */
uint32_t ctl_bytes(uint16_t type);

/**
 * ctl_address() - The address of @name in @dir.
 * @ret_dirfd: -1, or, where the path is too long for an address, a descriptor
 *             that the address goes through: to be closed after its use.
 * Return: 0 or -errno.
 */
int ctl_address(const char *dir, const char *name, struct sockaddr_un *ret, int *ret_dirfd);

/**
 * ctl_netns() - Inode number of this process's network namespace; 0 where
 * /proc does not tell.
 */
uint64_t ctl_netns(void);

/**
 * ctl_daemon_path() - Where mortised is: beside the running program, in
 * ../daemon, in ../libexec/mortise, or as $MORTISED says.
 */
bool ctl_daemon_path(char *ret, size_t size);

/**
 * ctl_start() - See that the domain's daemon runs: start it where it does not.
 * `mortised` is looked for beside this process's executable, in ../daemon,
 * in ../libexec/mortise, and is $MORTISED otherwise. Two may do this at once.
 * @policy: "share", "none" or "net"; NULL: share. Without effect where one runs.
 * @more:   Other arguments of its, at most CTL_START_MORE, with NULL behind them; or NULL.
 *
 * Return: 0 when it serves; -ENOENT where there is no `mortised`, another
 *         -errno where it did not come up (its own words are in the domain's
 *         `log` and on stderr).
 */
#define CTL_START_MORE 32u
int ctl_start(const char *domain, const char *policy, const char *const *more);

#endif
