/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * liburing.c - Sockets, and files, in a ring of liburing's, which is seen to be submitted.
 */
#include "waiting.h"

#if __has_include(<liburing.h>)
#include <liburing.h>

static void ring_make(struct io_uring *r)
{
	MUST(io_uring_queue_init(8, r, 0) == 0);
}

/* Submit what is there, and say how it ended. */
static int ring_done(struct io_uring *r)
{
	struct io_uring_cqe *cqe;
	int res;

	MUST(io_uring_submit_and_wait(r, 1) == 1);
	MUST(io_uring_peek_cqe(r, &cqe) == 0);
	res = cqe->res;
	io_uring_cqe_seen(r, cqe);
	return res;
}

static int ring_recv(struct io_uring *r, int fd, char *buf, size_t bytes)
{
	memset(buf, 0, bytes);
	io_uring_prep_recv(io_uring_get_sqe(r), fd, buf, bytes, 0);
	return ring_done(r);
}

static int ring_send(struct io_uring *r, int fd, const char *text)
{
	io_uring_prep_send(io_uring_get_sqe(r), fd, text, strlen(text), 0);
	return ring_done(r);
}

/* What becomes a relay's end goes on where it was, both ways, with its end. */
static void lib_ring_connected(void)
{
	struct io_uring r;
	char buf[64];
	int a, b, c;

	pair(&a, &b);
	ring_make(&r);
	put(a, "before");
	c = dup(b);
	said("received", ring_recv(&r, b, buf, sizeof(buf)));
	say("%s", buf);
	put(a, "after");
	said("by another number", ring_recv(&r, c, buf, sizeof(buf)));
	say("%s", buf);
	said("sent", ring_send(&r, b, "answer"));
	said("read", recv(a, buf, 6, MSG_WAITALL));
	said("without the ring", send(c, "more", 4, 0));
	said("read", recv(a, buf, 4, MSG_WAITALL));
	shutdown(a, SHUT_WR);
	said("the end", ring_recv(&r, b, buf, sizeof(buf)));
	said("still sent", ring_send(&r, b, "late"));
	close(b);
	close(c);
	said("read", recv(a, buf, 4, MSG_WAITALL));
	said("its end", recv(a, buf, 1, 0));
}

static int port_of(int (*name)(int, struct sockaddr *, socklen_t *), int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	MUST(name(fd, (struct sockaddr *)&at, &len) == 0);
	return ntohs(at.sin_port);
}

/* Who connected before the ring saw the listener waits in memory. */
static void lib_ring_server(void)
{
	struct io_uring r;
	struct sockaddr_in at;
	char buf[64];
	int l, a, b;

	ring_make(&r);
	listen_at(&l, &at);
	a = client(&at);
	io_uring_prep_accept(io_uring_get_sqe(&r), l, NULL, NULL, 0);
	b = ring_done(&r);
	said("accepted", b >= 0);
	said("of that client", port_of(getsockname, a) == port_of(getpeername, b));
	put(a, "hello");
	said("received", ring_recv(&r, b, buf, sizeof(buf)));
	say("%s", buf);
	/* What comes now comes to the kernel's, too. */
	a = client(&at);
	io_uring_prep_accept(io_uring_get_sqe(&r), l, NULL, NULL, 0);
	said("accepted", ring_done(&r) >= 0);
	said("sent", ring_send(&r, a, "x"));
}

static void lib_ring_client(void)
{
	struct io_uring r;
	struct sockaddr_in at;
	char buf[64];
	int l, a, b;

	listen_at(&l, &at);
	ring_make(&r);
	a = socket(AF_INET, SOCK_STREAM, 0);
	io_uring_prep_connect(io_uring_get_sqe(&r), a, (struct sockaddr *)&at, sizeof(at));
	said("connected", ring_done(&r));
	b = accept(l, NULL, NULL);
	put(b, "hello");
	said("received", ring_recv(&r, a, buf, sizeof(buf)));
	say("%s", buf);
	io_uring_prep_close(io_uring_get_sqe(&r), a);
	said("closed", ring_done(&r));
	said("its end", recv(b, buf, 1, 0));
}

static void lib_ring_registered(void)
{
	struct io_uring_sqe *e;
	struct io_uring r;
	char buf[64];
	int a, b;

	pair(&a, &b);
	ring_make(&r);
	said("registered", io_uring_register_files(&r, &b, 1));
	put(a, "hello");
	e = io_uring_get_sqe(&r);
	io_uring_prep_recv(e, 0, buf, sizeof(buf), 0);
	e->flags |= IOSQE_FIXED_FILE;
	said("received", ring_done(&r));
	say("%.5s", buf);
}

static void lib_ring_spliced(void)
{
	struct io_uring r;
	char buf[64] = "";
	int a, b, ends[2];

	pair(&a, &b);
	MUST(pipe(ends) == 0);
	ring_make(&r);
	put(a, "hello");
	io_uring_prep_splice(io_uring_get_sqe(&r), b, -1, ends[1], -1, sizeof(buf), 0);
	said("spliced", ring_done(&r));
	said("read", read(ends[0], buf, sizeof(buf)));
	say("%s", buf);
}

/* A connection goes to another with a message that is sent in the ring. */
static void lib_ring_message(void)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = "" };
	char buf[64] = "x";
	struct iovec iov = { buf, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct io_uring r;
	int a, b, way[2];

	pair(&a, &b);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, way) == 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &b, sizeof(b));
	ring_make(&r);
	io_uring_prep_sendmsg(io_uring_get_sqe(&r), way[0], &msg, 0);
	said("sent", ring_done(&r));
	close(b);
	said("received", recvmsg(way[1], &msg, 0));
	c = CMSG_FIRSTHDR(&msg);
	MUST(c);
	memcpy(&b, CMSG_DATA(c), sizeof(b));
	put(a, "hello");
	said("there", recv(b, buf, sizeof(buf), 0));
	said("and back", send(b, "answer", 6, 0));
	said("here", recv(a, buf, 6, MSG_WAITALL));
}

/* A set of epoll's that is waited for in the ring says what its sockets have. */
static void lib_ring_epoll(void)
{
	struct io_uring r;
	int ep = set_make(), a, b;

	pair(&a, &b);
	MUST(set_ctl(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1) == 0);
	ring_make(&r);
	put(a, "hello");
	io_uring_prep_poll_add(io_uring_get_sqe(&r), ep, POLLIN);
	said("readable", ring_done(&r) & POLLIN);
	set_say("the set", ep, 0);
}

/* A program that reads its files so has its sockets where they are. */
static void lib_ring_files(void)
{
	struct io_uring r;
	char buf[64] = "";
	int f = open("/proc/self/comm", O_RDONLY), a, b;

	ring_make(&r);
	io_uring_prep_read(io_uring_get_sqe(&r), f, buf, sizeof(buf), 0);
	said("read", ring_done(&r));
	pair(&a, &b);
	put(a, "hello");
	said("received", recv(b, buf, sizeof(buf), 0));
}

#endif

const struct test liburing_tests[] = {
#if __has_include(<liburing.h>)
	{ "lib_ring_connected", lib_ring_connected },
	{ "lib_ring_server", lib_ring_server },
	{ "lib_ring_client", lib_ring_client },
	{ "lib_ring_registered", lib_ring_registered },
	{ "lib_ring_spliced", lib_ring_spliced },
	{ "lib_ring_message", lib_ring_message },
	{ "lib_ring_epoll", lib_ring_epoll },
	{ "lib_ring_files", lib_ring_files },
#endif
	{ NULL, NULL },
};
