/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rings.c - Sockets in an io_uring: their calls are made by the kernel, past libc.
 */
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "waiting.h"

/** struct ring - One io_uring, one submission at a time. */
struct ring {
	int fd;
	_Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
	uint32_t *sq_array;
	uint32_t sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void *part(int fd, size_t bytes, off_t at)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at);

	MUST(p != MAP_FAILED);
	return p;
}

/* Return: false where there is none to be had; then that was said. */
static bool ring_make(struct ring *r)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	r->fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (r->fd < 0) {
		said("io_uring", -1);
		return false;
	}
	sq = part(r->fd, p.sq_off.array + p.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
	cq = part(r->fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		  IORING_OFF_CQ_RING);
	r->sqes = part(r->fd, p.sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
	r->sq_tail = (void *)(sq + p.sq_off.tail);
	r->sq_array = (void *)(sq + p.sq_off.array);
	r->sq_mask = *(uint32_t *)(void *)(sq + p.sq_off.ring_mask);
	r->cq_head = (void *)(cq + p.cq_off.head);
	r->cq_tail = (void *)(cq + p.cq_off.tail);
	r->cq_mask = *(uint32_t *)(void *)(cq + p.cq_off.ring_mask);
	r->cqes = (void *)(cq + p.cq_off.cqes);
	return true;
}

/* Return: What the call would have returned, -errno included. */
static int ring_call(struct ring *r, uint8_t op, int fd, void *at, unsigned len)
{
	uint32_t tail = *r->sq_tail, head;
	int res;

	r->sqes[tail & r->sq_mask] = (struct io_uring_sqe){ .opcode = op, .fd = fd,
							    .addr = (uintptr_t)at, .len = len };
	r->sq_array[tail & r->sq_mask] = tail & r->sq_mask;
	*r->sq_tail = tail + 1;
	MUST(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	head = *r->cq_head;
	MUST(head != *r->cq_tail);
	res = r->cqes[head & r->cq_mask].res;
	*r->cq_head = head + 1;
	return res;
}

static void ring_streams(void)
{
	struct sockaddr_in at;
	char buf[16] = "";
	struct ring r;
	int before, l, a, b;

	listen_at(&before, &at);
	if (!ring_make(&r))
		return;
	a = client(&at);
	b = ring_call(&r, IORING_OP_ACCEPT, before, NULL, 0);
	said("accepted from a listener made before", b >= 0);
	put(a, "hello");
	said("received", ring_call(&r, IORING_OP_RECV, b, buf, sizeof(buf)));
	say("%s", buf);
	listen_at(&l, &at);
	a = client(&at);
	b = accept(l, NULL, NULL);
	said("sent", ring_call(&r, IORING_OP_SEND, a, (char *)"answer", 6));
	said("read", recv(b, buf, sizeof(buf), 0));
	said("nothing", ring_call(&r, IORING_OP_NOP, -1, NULL, 0));
}

static void ring_datagrams(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	char buf[16] = "";
	struct ring r;
	int d = socket(AF_INET, SOCK_DGRAM, 0), e = socket(AF_INET, SOCK_DGRAM, 0);

	MUST(bind(d, (struct sockaddr *)&at, len) == 0);
	MUST(getsockname(d, (struct sockaddr *)&at, &len) == 0);
	said("recv, nothing", recv(d, buf, 1, MSG_DONTWAIT));
	if (!ring_make(&r))
		return;
	said("sent", sendto(e, "datagram", 8, 0, (struct sockaddr *)&at, len));
	said("received", ring_call(&r, IORING_OP_RECV, d, buf, sizeof(buf)));
	say("%s", buf);
}

const struct test ring_tests[] = {
	{ "ring_streams", ring_streams },
	{ "ring_datagrams", ring_datagrams },
	{ NULL, NULL },
};
