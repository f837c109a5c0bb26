/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls.h - The socket calls as POSIX and Linux define them, on descriptors
 * that may be ours.
 *
 * Each function returns the call's result (>= 0), or -errno, or NOT_OURS
 * where the descriptor is the kernel's: then nothing has happened and the
 * caller passes the call on to libc. The preloaded library has one exported
 * function for each libc symbol, which calls one of these and sets errno.
 */
#ifndef MORTISE_POSIX_CALLS_H
#define MORTISE_POSIX_CALLS_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "base/defs.h"

#define NOT_OURS (-100000L)

/* sock.c, bind.c, listen.c, connect.c, accept.c */
long call_socket(int domain, int type, int protocol); /* NOT_OURS: make a kernel socket */
long call_bind(int fd, const struct sockaddr *addr, socklen_t len);
long call_listen(int fd, int backlog);
long call_connect(int fd, const struct sockaddr *addr, socklen_t len);
long call_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
long call_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
long call_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
long call_shutdown(int fd, int how);

/* stream.c */
long call_sendv(int fd, const struct iovec *iov, int n, int flags);
long call_recvv(int fd, const struct iovec *iov, int n, int flags);
long call_send(int fd, const void *buf, size_t len, int flags);
/** call_send_room() - How many of @len bytes a send would take without waiting; else as
 * it, but for SIGPIPE. */
long call_send_room(int fd, size_t len);
long call_recv(int fd, void *buf, size_t len, int flags);
long call_sendto(int fd, const void *buf, size_t len, int flags,
		 const struct sockaddr *addr, socklen_t addr_len);
long call_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
		   socklen_t *addr_len);
long call_sendmsg(int fd, const struct msghdr *msg, int flags);
long call_recvmsg(int fd, struct msghdr *msg, int flags);
long call_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
long call_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
		   struct timespec *timeout);
/* From a file (or anything that can be read) into one of ours. */
long call_sendfile(int out_fd, int in_fd, off_t *offset, size_t count);

/* options.c */
long call_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
long call_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
long call_ioctl(int fd, unsigned long request, void *arg);
long call_fcntl(int fd, int cmd, unsigned long arg); /* all but F_DUPFD* too */

/* fdtab.c: descriptors as such. */

/** call_close() - NOT_OURS where the kernel's close() is to be called; what
 * the library knew of the number is forgotten in any case. */
long call_close(int fd);
long call_dup(int fd);
long call_dup3(int fd, int to, int flags); /* fd == to is the caller's business */
/** call_close_range() - First and last inclusive; the library's own stay. */
long call_close_range(unsigned first, unsigned last, int flags);

/**
 * fd_made() - A descriptor that the kernel has just returned: what the
 * library knew of its number is forgotten, and the program's own view of
 * RLIMIT_NOFILE applies.
 * @fd: Negative values pass through.
 * Return: @fd, or -EMFILE (then it was closed).
 */
long fd_made(long fd);
/** fd_is_ours() - Is it a socket of ours? (not an epoll set) */
bool fd_is_ours(int fd);
/** fd_is_library() - Is it one of the library's own descriptors, which the
 * program must neither see nor close? */
bool fd_is_library(int fd);

/* poll.c, select.c: NOT_OURS where none of the descriptors is ours. */
long call_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask);
/* @timeout is not changed; *ret_left, where given, is what was left of it. */
/* The end of the numbers that select() is about: Linux overlooks what is beyond
 * its table of descriptors, which is large only because of ours. */
int select_end(int n, fd_set *r, fd_set *w, fd_set *e);
long call_pselect(int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
		  const sigset_t *mask, struct timespec *ret_left);

/* epoll.c */
long call_epoll_create1(int flags);
long call_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
/* @timeout: NULL: for ever. */
long call_epoll_pwait2(int epfd, struct epoll_event *evs, int max,
		       const struct timespec *timeout, const sigset_t *mask);

#endif
