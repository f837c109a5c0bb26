/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdcalls.c - Make each call of calls.list on a TCP or UDP socket, and print what
 * came of it: "title/state result errno". Run once as it is and once under
 * Mortise; the outputs are to be the same. Sockets are on 127.0.0.1 (--six: on ::1) and do
 * not block.
 */
#include <aio.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

/* Not in the headers, or only under another <sys/mount.h>. */
int fsmount(int fd, unsigned flags, unsigned attr);
int fspick(int fd, const char *path, unsigned flags);
int fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux);
int move_mount(int from, const char *a, int to, const char *b, unsigned flags);
int open_tree(int fd, const char *path, unsigned flags);
int mount_setattr(int fd, const char *path, unsigned flags, struct mount_attr *a, size_t n);
int isfdtype(int fd, int type);
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, void *a, void *l);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off_t at, size_t room);
int __poll_chk(struct pollfd *p, nfds_t n, int timeout, size_t room);
int __ppoll_chk(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *m, size_t room);
int __dprintf_chk(int fd, int flag, const char *format, ...);
ssize_t __read(int fd, void *buf, size_t n);
ssize_t __write(int fd, const void *buf, size_t n);
int __close(int fd);
int __fcntl(int fd, int cmd, ...);
int __connect(int fd, const struct sockaddr *a, socklen_t n);
int __dup2(int fd, int to);
int __poll(struct pollfd *p, nfds_t n, int timeout);

static int fd, peer, file, pin, pout, pipe_fds[2];
static char buf[4096], buf2[4096], zeroes[4096], *no_args[] = { "none", NULL };
static struct iovec iov;
static struct mmsghdr mmsg;
static struct epoll_event event;
static struct stat st;
static struct stat64 st64;
static struct statfs sfs;
static struct statfs64 sfs64;
static struct statvfs svfs;
static struct statvfs64 svfs64;
static struct statx stx;
static struct termios tio;
static struct flock lock;
static struct mq_attr mqa;
static struct mount_attr mattr;
static struct timespec zero;
static struct in_addr addr_any;
static struct sockaddr_storage storage;
static struct dirent **names;
static struct dirent64 **names64;
static sigset_t no_signals;
static socklen_t len;
static off_t offset;
static uint32_t word, word2;
static int one = 1, number;
static sigjmp_buf late;

static int family = AF_INET;
static socklen_t loopback_len = sizeof(struct sockaddr_in);

static const struct sockaddr *loopback(int port)
{
	static struct sockaddr_in a;
	static struct sockaddr_in6 a6;

	if (family == AF_INET6) {
		a6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					    .sin6_port = htons((uint16_t)port),
					    .sin6_addr = in6addr_loopback };
		return (const struct sockaddr *)&a6;
	}
	a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (const struct sockaddr *)&a;
}

/* A new descriptor is as good as any. */
static long fresh(int made)
{
	if (made < 0)
		return -1;
	close(made);
	return 0;
}

/* Those that return their errno. */
static long failed(int e)
{
	errno = e;
	return e ? -1 : 0;
}

static long with_epoll(int s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP }, got;
	int ep = epoll_create1(0), n;
	long r = epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);

	if (r == 0) {
		n = epoll_wait(ep, &got, 1, 0);
		r = n == 1 ? (long)got.events : n;
	}
	close(ep);
	return r;
}

static long with_poll(int s)
{
	struct pollfd p = { s, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0 };
	int n = poll(&p, 1, 0);

	return n == 1 ? p.revents : n;
}

static long with_select(int s)
{
	struct timeval t = { 0, 0 };
	fd_set r, w, e;
	int n;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(s, &r);
	FD_SET(s, &w);
	FD_SET(s, &e);
	n = select(s + 1, &r, &w, &e, &t);
	return n < 0 ? n : FD_ISSET(s, &r) | FD_ISSET(s, &w) << 1 | FD_ISSET(s, &e) << 2;
}

static long with_pselect(int s)
{
	fd_set r;

	FD_ZERO(&r);
	FD_SET(s, &r);
	return pselect(s + 1, &r, NULL, NULL, &zero, NULL);
}

/* A stream writes, reads and closes. */
static long with_stream(int s)
{
	FILE *f = fdopen(s, "r+");
	char line[16] = "";
	long r;

	if (!f)
		return -1;
	r = fputs("text", f) >= 0 && fflush(f) == 0;
	r |= (fread(line, 1, 5, f) == 5) << 1;
	r |= (strcmp(line, "hello") == 0) << 2;
	r |= (fclose(f) == 0) << 3;
	r |= (fcntl(s, F_GETFD) < 0) << 4;
	errno = 0;
	return r;
}

static long with_vdprintf(int s, const char *format, ...)
{
	va_list ap;
	long r;

	va_start(ap, format);
	r = vdprintf(s, format, ap);
	va_end(ap);
	return r;
}

static long send_rights(int s)
{
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} c = { .hdr = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };

	memcpy(CMSG_DATA(&c.hdr), &file, sizeof(int));
	return sendmsg(s, &m, MSG_NOSIGNAL);
}

/* ------------------------------------------------------------------ states */

static void fail(const char *what)
{
	fprintf(stderr, "fdcalls: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Two datagram sockets, each connected to the other; "hello" has arrived. */
static void arrange_datagrams(void)
{
	struct sockaddr_storage a;
	socklen_t n = loopback_len;

	fd = socket(family, SOCK_DGRAM, 0);
	peer = socket(family, SOCK_DGRAM, 0);
	if (fd < 0 || peer < 0 || bind(fd, loopback(0), n) < 0 || bind(peer, loopback(0), n) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) < 0 ||
	    connect(peer, (struct sockaddr *)&a, n) < 0 ||
	    getsockname(peer, (struct sockaddr *)&a, &n) < 0 ||
	    connect(fd, (struct sockaddr *)&a, n) < 0)
		fail("datagram sockets");
	if (send(peer, "hello", 5, 0) != 5)
		fail("send");
}

static void arrange(char state)
{
	struct sockaddr_storage a;
	socklen_t n = loopback_len;
	bool datagrams = state == 'd' || state == 'u';
	int l = datagrams ? -1 : socket(family, SOCK_STREAM, 0), s = -1;
	struct pollfd p;

	fd = peer = -1;
	if (l < 0 && !datagrams)
		fail("socket");
	if (state == 'd') {
		arrange_datagrams();
	} else if (state == 'u') {
		fd = socket(family, SOCK_DGRAM, 0);
	} else if (state == 'n') {
		fd = l;
	} else {
		if (bind(l, loopback(0), n) < 0 || listen(l, 5) < 0 ||
		    getsockname(l, (struct sockaddr *)&a, &n) < 0)
			fail("listen");
		s = socket(family, SOCK_STREAM, 0);
		if (s < 0 || connect(s, (struct sockaddr *)&a, n) < 0)
			fail("connect");
		p = (struct pollfd){ l, POLLIN, 0 };
		poll(&p, 1, 1000);
		if (state == 'l') {
			fd = l;
			peer = s;
		} else {
			fd = accept(l, NULL, NULL);
			peer = s;
			if (fd < 0)
				fail("accept");
			close(l);
			if (send(peer, "hello", 5, 0) != 5)
				fail("send");
			p = (struct pollfd){ fd, POLLIN, 0 };
			poll(&p, 1, 1000);
		}
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (pipe(pipe_fds) < 0 || write(pipe_fds[1], "pipe", 4) != 4)
		fail("pipe");
	pin = pipe_fds[0];
	pout = pipe_fds[1];
	file = memfd_create("fdcalls", 0);
	if (file < 0 || write(file, "file contents", 13) != 13 || lseek(file, 0, SEEK_SET) != 0)
		fail("memfd");
	memset(buf, 0, sizeof(buf));
	iov = (struct iovec){ buf, 16 };
	mmsg = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
	event = (struct epoll_event){ .events = EPOLLIN };
	lock = (struct flock){ .l_type = F_WRLCK };
	len = sizeof(storage);
	offset = 0;
	storage.ss_family = (sa_family_t)family;
}

static void clear(void)
{
	close(fd);
	close(peer);
	close(pin);
	close(pout);
	close(file);
}

static void on_alarm(int sig)
{
	(void)sig;
	siglongjmp(late, 1);
}

int main(int argc, char **argv)
{
	bool six = argc > 1 && strcmp(argv[1], "--six") == 0;
	const char *only = argc > 1 + six ? argv[1 + six] : NULL;

	if (six) {
		family = AF_INET6;
		loopback_len = sizeof(struct sockaddr_in6);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, on_alarm);
	setvbuf(stdout, NULL, _IOLBF, 0);
#define CALL(id, title, states, expression)                                              \
	if (!only || strcmp(only, title) == 0)                                           \
		for (const char *s = states; *s; s++) {                                  \
			arrange(*s);                                                     \
			if (sigsetjmp(late, 1)) {                                        \
				printf("%s/%c hangs\n", title, *s);                      \
			} else {                                                         \
				long r;                                                  \
				int e;                                                   \
                                                                                         \
				alarm(2);                                                \
				errno = 0;                                               \
				r = (long)(expression);                                  \
				e = r == -1 ? errno : 0;                                 \
				alarm(0);                                                \
				printf("%s/%c %ld %s\n", title, *s, r,                   \
				       e ? strerrorname_np(e) : "-");                    \
			}                                                                \
			clear();                                                         \
		}
#include "fdcalls_table.h"
	return 0;
}
