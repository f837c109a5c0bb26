/* SPDX-License-Identifier: BSD-2-Clause */
/* REAL(type, name, parameters, arguments): included by real.h and real.c. No guard. */

/* sockets */
REAL(int, socket, (int d, int t, int p), (d, t, p))
REAL(int, socketpair, (int d, int t, int p, int *fds), (d, t, p, fds))
REAL(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
REAL(int, listen, (int fd, int n), (fd, n))
REAL(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
REAL(int, accept, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
REAL(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int f), (fd, a, n, f))
REAL(int, getifaddrs, (struct ifaddrs **l), (l))
REAL(int, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
REAL(int, getpeername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
REAL(int, shutdown, (int fd, int how), (fd, how))
REAL(int, setsockopt, (int fd, int l, int o, const void *v, socklen_t n), (fd, l, o, v, n))
REAL(int, getsockopt, (int fd, int l, int o, void *v, socklen_t *n), (fd, l, o, v, n))
REAL(int, sockatmark, (int fd), (fd))
REAL(int, bindresvport, (int fd, struct sockaddr_in *a), (fd, a))
REAL(int, getipv4sourcefilter,
     (int fd, struct in_addr i, struct in_addr g, uint32_t *m, uint32_t *n, struct in_addr *l),
     (fd, i, g, m, n, l))
REAL(int, setipv4sourcefilter,
     (int fd, struct in_addr i, struct in_addr g, uint32_t m, uint32_t n, const struct in_addr *l),
     (fd, i, g, m, n, l))
REAL(int, getsourcefilter,
     (int fd, uint32_t i, const struct sockaddr *g, socklen_t gl, uint32_t *m, uint32_t *n,
      struct sockaddr_storage *l), (fd, i, g, gl, m, n, l))
REAL(int, setsourcefilter,
     (int fd, uint32_t i, const struct sockaddr *g, socklen_t gl, uint32_t m, uint32_t n,
      const struct sockaddr_storage *l), (fd, i, g, gl, m, n, l))

/* data */
REAL(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
REAL(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
REAL(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))
REAL(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
REAL(ssize_t, preadv2, (int fd, const struct iovec *v, int n, off_t at, int f), (fd, v, n, at, f))
REAL(ssize_t, pwritev2, (int fd, const struct iovec *v, int n, off_t at, int f), (fd, v, n, at, f))
REAL(ssize_t, recv, (int fd, void *b, size_t n, int f), (fd, b, n, f))
REAL(ssize_t, send, (int fd, const void *b, size_t n, int f), (fd, b, n, f))
REAL(ssize_t, recvfrom, (int fd, void *b, size_t n, int f, struct sockaddr *a, socklen_t *an),
     (fd, b, n, f, a, an))
REAL(ssize_t, sendto, (int fd, const void *b, size_t n, int f, const struct sockaddr *a, socklen_t an),
     (fd, b, n, f, a, an))
REAL(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f))
REAL(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f))
REAL(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int f, struct timespec *t), (fd, m, n, f, t))
REAL(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int f), (fd, m, n, f))
REAL(ssize_t, sendfile, (int out, int in, off_t *at, size_t n), (out, in, at, n))
REAL(ssize_t, splice, (int in, off64_t *ia, int out, off64_t *oa, size_t n, unsigned f),
     (in, ia, out, oa, n, f))
REAL(int, vdprintf, (int fd, const char *f, va_list ap), (fd, f, ap))
REAL(int, __vdprintf_chk, (int fd, int flag, const char *f, va_list ap), (fd, flag, f, ap))

/* waiting */
REAL(int, select, (int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t), (n, r, w, e, t))
REAL(int, pselect, (int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *t, const sigset_t *m),
     (n, r, w, e, t, m))
REAL(int, poll, (struct pollfd *p, nfds_t n, int t), (p, n, t))
REAL(int, ppoll, (struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *m), (p, n, t, m))
REAL(int, epoll_create1, (int f), (f))
REAL(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *e), (ep, op, fd, e))
REAL(int, epoll_wait, (int ep, struct epoll_event *e, int n, int t), (ep, e, n, t))
REAL(int, epoll_pwait, (int ep, struct epoll_event *e, int n, int t, const sigset_t *m), (ep, e, n, t, m))
REAL(int, epoll_pwait2,
     (int ep, struct epoll_event *e, int n, const struct timespec *t, const sigset_t *m), (ep, e, n, t, m))

/* descriptors */
REAL(int, close, (int fd), (fd))
REAL(int, close_range, (unsigned a, unsigned b, int f), (a, b, f))
REAL(int, dup, (int fd), (fd))
REAL(int, dup2, (int fd, int to), (fd, to))
REAL(int, dup3, (int fd, int to, int f), (fd, to, f))
REAL(int, fcntl, (int fd, int c, unsigned long a), (fd, c, a))
REAL(int, ioctl, (int fd, unsigned long c, void *a), (fd, c, a))

/* made */
REAL(int, open, (const char *p, int f, mode_t m), (p, f, m))
REAL(int, openat, (int d, const char *p, int f, mode_t m), (d, p, f, m))
REAL(int, __open_2, (const char *p, int f), (p, f))
REAL(int, __openat_2, (int d, const char *p, int f), (d, p, f))
REAL(int, creat, (const char *p, mode_t m), (p, m))
REAL(int, pipe, (int *fds), (fds))
REAL(int, pipe2, (int *fds, int f), (fds, f))
REAL(int, eventfd, (unsigned v, int f), (v, f))
REAL(int, timerfd_create, (int c, int f), (c, f))
REAL(int, signalfd, (int fd, const sigset_t *m, int f), (fd, m, f))
REAL(int, inotify_init, (void), ())
REAL(int, inotify_init1, (int f), (f))
REAL(int, fanotify_init, (unsigned f, unsigned e), (f, e))
REAL(int, memfd_create, (const char *n, unsigned f), (n, f))
REAL(int, pidfd_open, (pid_t p, unsigned f), (p, f))
REAL(int, pidfd_getfd, (int p, int fd, unsigned f), (p, fd, f))
REAL(int, open_by_handle_at, (int m, struct file_handle *h, int f), (m, h, f))
REAL(int, open_tree, (int d, const char *p, unsigned f), (d, p, f))
REAL(int, fsopen, (const char *n, unsigned f), (n, f))
REAL(int, fspick, (int d, const char *p, unsigned f), (d, p, f))
REAL(int, fsmount, (int fd, unsigned f, unsigned a), (fd, f, a))
REAL(int, shm_open, (const char *n, int f, mode_t m), (n, f, m))
REAL(mqd_t, mq_open, (const char *n, int f, mode_t m, struct mq_attr *a), (n, f, m, a))
REAL(mqd_t, __mq_open_2, (const char *n, int f), (n, f))
REAL(int, posix_openpt, (int f), (f))
REAL(int, getpt, (void), ())
REAL(int, openpty, (int *m, int *s, char *n, const struct termios *t, const struct winsize *w),
     (m, s, n, t, w))
REAL(int, mkstemp, (char *p), (p))
REAL(int, mkostemp, (char *p, int f), (p, f))
REAL(int, mkstemps, (char *p, int n), (p, n))
REAL(int, mkostemps, (char *p, int n, int f), (p, n, f))
REAL(int, rresvport, (int *p), (p))
REAL(int, rresvport_af, (int *p, sa_family_t f), (p, f))

/* streams */
REAL(FILE *, fopen, (const char *p, const char *m), (p, m))
REAL(FILE *, freopen, (const char *p, const char *m, FILE *f), (p, m, f))
REAL(FILE *, fdopen, (int fd, const char *m), (fd, m))
REAL(void, perror, (const char *text), (text))
REAL(FILE *, tmpfile, (void), ())
REAL(FILE *, popen, (const char *c, const char *m), (c, m))
REAL(DIR *, opendir, (const char *p), (p))

/* processes */
REAL(pid_t, fork, (void), ())
REAL(pid_t, _Fork, (void), ())
REAL(int, clone, (int (*fn)(void *), void *stack, int f, void *arg, pid_t *p, void *tls, pid_t *c),
     (fn, stack, f, arg, p, tls, c))
REAL(pid_t, forkpty, (int *m, char *n, const struct termios *t, const struct winsize *w), (m, n, t, w))
REAL(int, posix_spawn,
     (pid_t *p, const char *f, const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *at,
      char *const *argv, char *const *envp), (p, f, fa, at, argv, envp))
REAL(int, posix_spawnp,
     (pid_t *p, const char *f, const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *at,
      char *const *argv, char *const *envp), (p, f, fa, at, argv, envp))

/* threads */
REAL(int, pthread_cancel, (pthread_t t), (t))

/* signals, limits */
REAL(int, sigaction, (int s, const struct sigaction *a, struct sigaction *o), (s, a, o))
REAL(int, sigwaitinfo, (const sigset_t *s, siginfo_t *i), (s, i))
REAL(int, sigtimedwait, (const sigset_t *s, siginfo_t *i, const struct timespec *t), (s, i, t))
REAL(long, sysconf, (int n), (n))

/* identity */
REAL(int, setuid, (uid_t u), (u))
REAL(int, setreuid, (uid_t r, uid_t e), (r, e))
REAL(int, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
REAL(int, chroot, (const char *p), (p))
REAL(int, unshare, (int f), (f))
REAL(int, setns, (int fd, int t), (fd, t))
