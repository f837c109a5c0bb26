/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h - This process as a user of Mortise: its configuration, its
 * party, its control channel, its library-owned descriptors, its forks.
 */
#ifndef MORTISE_POSIX_PROCESS_H
#define MORTISE_POSIX_PROCESS_H

#include "base/lock.h"
#include "ctl/proto.h"
#include "shm/party.h"

/**
 * struct process - One for each process.
 * @enabled:   Configuration says that sockets may be ours.
 * @party:     NULL until the first socket of ours.
 * @epoch:     Moves before and after each fork and the like: a socket made in
 *             an older epoch closes by hang-up.
 * @forking:   A child is being made: so does a socket made meanwhile.
 * @pid:       Of the process that this memory belongs to; a vfork child that
 *             shares it has another.
 * @nofile_soft: RLIMIT_NOFILE as the program sees it.
 * @nofile_hard: The real limit in force.
 * @orphan:    The control channel has ended: no new sockets of ours.
 * @left:      This process is another user's now, or elsewhere: likewise.
 * @ring:      It has sockets in an io_uring, or may have: new ones are the kernel's.
 * @confined:  A filter of system calls is in force, which may end who makes
 *             one that it does not know: memory, futex, read, write and poll
 *             have to do.
 */
struct process {
	bool enabled;
	bool orphan;
	bool left;
	bool ring;
	bool confined;
	uint32_t policy; /* enum policy */
	uint32_t pid;
	_Atomic uint32_t epoch;
	_Atomic uint32_t forking;
	struct party *party;
	struct lock lock;
	_Atomic uint64_t nofile_soft, nofile_hard;
	uint64_t spin_ns;
	int ctl_fd;
	char domain[CACHE_LINE];
	int log_level;
};

extern struct process process;

/** process_start() - Called by the library's constructor, once. */
void process_start(void);

/** process_party() - Our party, made at the first call.
 * Return: NULL where there is none to be had (no daemon, limits); said once
 *         in the log. */
struct party *process_party(void);

/** process_call() - ctl_call() on our channel, one thread at a time. */
int process_call(struct ctl_msg *m, const int *fds, unsigned nfds, int *ret_fds,
		 unsigned *ret_nfds);

/** process_fd_high() - Move a descriptor to the library's own range
 * (close-on-exec). Return: the new number, or -errno (then it is closed). */
int process_fd_high(int fd);
/** process_fd_copy() - A number in that range for the file of @fd, which stays.
 * Return: it, or -errno. */
int process_fd_copy(int fd);
/** process_fd_high_close() - Close one of the library's own. */
void process_fd_high_close(int fd);

/** process_orphaned() - Has the control channel ended? Asks the kernel. */
bool process_orphaned(void);

/** process_port_excluded() - Is @port named in MORTISE_EXCLUDE? */
bool process_port_excluded(uint16_t port);

/** process_high_first() - Where the library's own range begins. */
unsigned process_high_first(void);
/** process_fd_mark() - @fd is, or is no longer, one of the library's own. */
void process_fd_mark(int fd, bool library);

/** process_bell_fd() - The eventfd of one of our bells, made and made known
 * to the daemon at its first use; or -errno. */
int process_bell_fd(unsigned bell);

/* Fork, exec. */

/** process_epoch_move() - A child may be made, or was made: sockets that
 * exist now may have other holders. */
void process_epoch_move(void);
/** process_fork_before/parent/child() - Around fork(). */
void process_fork_before(void);
void process_fork_parent(void);
void process_fork_child(void);

/** process_log() - One line to standard error or $MORTISE_LOG's file.
 * @level: 0 errors, 1 notices, 2 debug. */
void process_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
