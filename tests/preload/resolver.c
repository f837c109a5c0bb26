/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver.c - Name look-ups, which libc makes by sockets of its own, out of
 * reach of symbols, with a name server in the same program that the library
 * does reach. Prints what it saw; the kernel's output is the oracle.
 *
 * usage: resolver enter COMMAND...   in namespaces of its own, where 127.0.0.1
 *                                    is the name server, exec COMMAND
 *        resolver                    the look-ups
 *        resolver look-up            one, in a program that has no server
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connection.h"

/* -------------------------------------------------------------------- server */

/* Answers by datagram and by stream since last asked. */
static volatile int by_datagram, by_stream;

/* The answer to the question in @q, after it: names begin with what to do. */
static size_t answer(unsigned char *q, size_t n, bool stream)
{
	size_t at = 12, first = q[12];
	const char *label = (const char *)q + 13;
	unsigned type;
	char want[16] = "";

	if (n < 17 || first > 60)
		return 0;
	memcpy(want, label, first < 15 ? first : 15);
	while (at < n && q[at])
		at += q[at] + 1u;
	at += 5;
	if (at > n)
		return 0;
	type = (unsigned)q[at - 4] << 8 | q[at - 3];
	memset(q + 6, 0, 6);
	q[2] = 0x85; /* answer, authoritative */
	q[3] = 0x80;
	if (strcmp(want, "silent") == 0)
		return 0;
	if (strcmp(want, "nothing") == 0) {
		q[3] |= 3;
		return at;
	}
	if (strcmp(want, "long") == 0 && !stream) {
		q[2] |= 2; /* truncated: ask by stream */
		return at;
	}
	if (type == 1 || type == 28 || type == 12) {
		static const unsigned char v4[4] = { 192, 0, 2, 7 };
		static const unsigned char v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 7 };
		static const unsigned char ptr[] = "\4name\4test";
		size_t bytes = type == 1 ? 4 : type == 28 ? 16 : sizeof(ptr);
		int count = strcmp(want, "long") == 0 ? 60 : 1;

		if (at + (size_t)count * (12 + bytes) > 4000)
			count = 1;
		q[7] = (unsigned char)count;
		for (int i = 0; i < count; i++) {
			const unsigned char head[] = { 0xc0, 12, 0, (unsigned char)type,
						       0, 1, 0, 0, 0, 0, 0, (unsigned char)bytes };

			memcpy(q + at, head, 12);
			memcpy(q + at + 12, type == 1 ? v4 : type == 28 ? v6 : ptr, bytes);
			if (type != 12)
				q[at + 11 + bytes] = (unsigned char)(7 + i);
			at += 12 + bytes;
		}
	}
	return at;
}

static void *datagrams(void *arg)
{
	int fd = (int)(long)arg;
	unsigned char q[4096];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(fd, q, 512, 0, (struct sockaddr *)&from, &len)) >= 0) {
		size_t m = answer(q, (size_t)n, false);

		if (m > 0) {
			__sync_fetch_and_add(&by_datagram, 1);
			sendto(fd, q, m, 0, (struct sockaddr *)&from, len);
		}
	}
	return NULL;
}

static bool all(int fd, unsigned char *to, size_t n)
{
	return recv(fd, to, n, MSG_WAITALL) == (ssize_t)n;
}

static void *one_stream(void *arg)
{
	int fd = (int)(long)arg;
	unsigned char q[4098];
	size_t n;

	while (all(fd, q, 2) && (n = (size_t)q[0] << 8 | q[1]) <= 512 && all(fd, q + 2, n)) {
		n = answer(q + 2, n, true);
		if (n == 0)
			break; /* libc would wait for ever */
		__sync_fetch_and_add(&by_stream, 1);
		q[0] = (unsigned char)(n >> 8);
		q[1] = (unsigned char)n;
		if (write(fd, q, n + 2) < 0)
			break;
	}
	close(fd);
	return NULL;
}

static void *streams(void *arg)
{
	int fd = (int)(long)arg, got;
	pthread_t t;

	while ((got = accept(fd, NULL, NULL)) >= 0) {
		pthread_create(&t, NULL, one_stream, (void *)(long)got);
		pthread_detach(t);
	}
	return NULL;
}

static void serve(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(53) };
	int u = socket(AF_INET, SOCK_DGRAM, 0), l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	pthread_t t;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(u, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 20) < 0) {
		perror("resolver: port 53");
		exit(2);
	}
	pthread_create(&t, NULL, datagrams, (void *)(long)u);
	pthread_create(&t, NULL, streams, (void *)(long)l);
}

/* ------------------------------------------------------------------ look-ups */

/* Not the lowest free number: the kernel's accept() takes one beforehand. */
static int open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void look_up(const char *name, int family)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *list = NULL;
	int r = getaddrinfo(name, "80", &hints, &list), n = 0;
	char text[64] = "", first[64] = "~";

	/* Their order depends on routes. */
	for (struct addrinfo *i = list; i; i = i->ai_next, n++) {
		getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
		if (strcmp(text, first) < 0)
			strcpy(first, text);
	}
	printf("%s, family %d: %s, %d addresses, %s\n", name, family, r ? gai_strerror(r) : "well", n,
	       n ? first : "none");
	fflush(stdout);
	if (list)
		freeaddrinfo(list);
}

static int at_first;

static void transports(void)
{
	/* The server may not have seen a stream's end yet. */
	for (int i = 0; i < 100 && open_files() > at_first; i++)
		usleep(10000);
	printf("  by datagram %d, by stream %d, none left open %d\n", by_datagram > 0, by_stream > 0,
	       open_files() == at_first);
	fflush(stdout);
	by_datagram = by_stream = 0;
}

static void *in_thread(void *arg)
{
	struct addrinfo *list = NULL;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		int ends[2];
		char c = 0;

		/* Numbers come and go beside libc's own. */
		connection(ends);
		if (getaddrinfo("thread.test", NULL, NULL, &list) != 0)
			return (void *)1;
		freeaddrinfo(list);
		if (write(ends[0], "x", 1) != 1 || read(ends[1], &c, 1) != 1 || c != 'x')
			return (void *)2;
		close(ends[0]);
		close(ends[1]);
	}
	return NULL;
}

static void in_threads(void)
{
	pthread_t t[4];
	void *r;
	long bad = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, in_thread, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		bad |= (long)r;
	}
	printf("in 4 threads, with connections: %ld\n", bad);
	by_datagram = by_stream = 0;
}

static void look_ups(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	unsigned char buf[4096];
	char text[64] = "";
	struct hostent *h;
	int status, r;

	look_up("name.test", AF_INET);
	transports();
	look_up("name.test", AF_INET6);
	look_up("name.test", AF_UNSPEC);
	transports();
	look_up("nothing.test", AF_INET);
	transports();
	look_up("long.test", AF_INET);
	look_up("long.test", AF_UNSPEC);
	transports();
	h = gethostbyname("old.test");
	printf("gethostbyname %s\n", h ? inet_ntoa(*(struct in_addr *)h->h_addr) : hstrerror(h_errno));
	a.sin_addr.s_addr = htonl(0xc0000207);
	r = getnameinfo((struct sockaddr *)&a, sizeof(a), text, sizeof(text), NULL, 0, NI_NAMEREQD);
	printf("getnameinfo %s %s\n", r ? gai_strerror(r) : "well", text);
	printf("res_query %d\n", res_query("q.test", 1, 1, buf, sizeof(buf)));
	transports();
	in_threads();
	transports();
	fflush(stdout);
	if (fork() == 0) {
		look_up("child.test", AF_UNSPEC);
		look_up("long.test", AF_INET);
		_exit(0);
	}
	wait(&status);
	printf("a forked child %d\n", status);
	transports();
	if (fork() == 0) {
		execl("/proc/self/exe", "resolver", "look-up", (char *)NULL);
		_exit(126);
	}
	wait(&status);
	printf("a program of its own %d\n", status);
	transports();
	look_up("silent.test", AF_INET);
	look_up("name.test", AF_INET);
	transports();
}

/* -------------------------------------------------------------- surroundings */

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return good;
}

/* Over @path, if it is there. */
static bool cover(const char *path, const char *text)
{
	char mine[] = "/tmp/resolverXXXXXX";
	int fd;
	bool good;

	if (access(path, F_OK) != 0)
		return true;
	fd = mkstemp(mine);
	if (fd < 0)
		return false;
	fchmod(fd, 0644);
	close(fd);
	good = put(mine, text) && mount(mine, path, NULL, MS_BIND, NULL) == 0;
	unlink(mine);
	return good;
}

static int enter(char **argv)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	unsigned uid = getuid(), gid = getgid();
	char map[32];
	int fd;

	if (access("/etc/resolv.conf", F_OK) != 0 || access("/etc/nsswitch.conf", F_OK) != 0)
		return 77; /* nothing to be covered */
	if (uid == 0) {
		if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
			return 77;
	} else {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0)
			return 77;
		put("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		put("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		put("/proc/self/gid_map", map);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !cover("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n") ||
	    !cover("/etc/nsswitch.conf", "hosts: dns\n") || !cover("/etc/hosts", ""))
		return 77;
	close(fd);
	execvp(argv[0], argv);
	return 126;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "enter") == 0)
		return enter(argv + 2);
	alarm(60);
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1) {
		look_up("exec.test", AF_UNSPEC);
		look_up("long.test", AF_INET);
		return 0;
	}
	serve();
	at_first = open_files();
	look_ups();
	_exit(0);
}
