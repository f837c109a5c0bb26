/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dgram_error.c - What the network says of datagrams comes as records in the inbox
 * (DGRAM_ERROR), in their turn among the datagrams. Whoever comes upon one takes it from there
 * into memory of the process: the errno, which the next call tells, and for IP_RECVERR the
 * record, of which the program asks by recvmsg(MSG_ERRQUEUE).
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <linux/errqueue.h> /* wants struct timespec */

#include "base/copy.h"
#include "posix/addr.h"
#include "posix/dgram_error.h"
#include "posix/errqueue.h"

#define ERRNO_END 4096u

uint32_t dgram_errors_fetch(struct sock *s)
{
	struct dgram *d = s->dgram;
	struct inbox_seat *seat;

	while (dgram_next(s, &seat) == DGRAM_NEXT_MEMORY && seat->rec.flags & DGRAM_ERROR) {
		struct dgram_error *e = &d->errors[(d->error_first + d->error_count) % DGRAM_ERRORS_MOST];

		if (seat->rec.segment < ERRNO_END)
			d->error = seat->rec.segment;
		/* What Linux has no room for is not queued either. */
		if (load_relaxed(&s->half->dgram) & DGRAM_QUEUES &&
		    d->error_count < DGRAM_ERRORS_MOST) {
			e->rec = seat->rec;
			if (e->rec.bytes > sizeof(e->payload))
				e->rec.bytes = sizeof(e->payload);
			inbox_read(seat, 0, e->payload, e->rec.bytes);
			d->error_count++;
		}
		inbox_take(seat);
	}
	return d->error || d->error_count ? POLLERR : 0;
}

long dgram_error_take(struct sock *s)
{
	long r;

	dgram_errors_fetch(s);
	r = -s->dgram->error;
	s->dgram->error = 0;
	return r;
}

long dgram_error_pending(struct sock *s)
{
	long r;

	if (!dgram_box_lock(s))
		return 0;
	r = dgram_error_take(s);
	dgram_box_unlock(s);
	return r;
}

/* The payload into the pieces. Return: bytes that had room, or -EFAULT. */
static long scatter(const struct dgram_error *e, const struct msghdr *msg)
{
	size_t at = 0;

	for (size_t i = 0; i < msg->msg_iovlen && at < e->rec.bytes; i++) {
		size_t n = e->rec.bytes - at;

		if (n > msg->msg_iov[i].iov_len)
			n = msg->msg_iov[i].iov_len;
		if (n && !copy_try(msg->msg_iov[i].iov_base, e->payload + at, n))
			return -EFAULT;
		at += n;
	}
	return (long)at;
}

/* Caller has the inbox, and there is one. */
static long queue_take(struct sock *s, struct msghdr *msg)
{
	struct dgram *d = s->dgram;
	const struct dgram_error *e = &d->errors[d->error_first];
	const struct dgram_record *r = &e->rec;
	uint32_t offender = (uint32_t)(r->half >> 32);
	struct errqueue_notice n = {
		.error = { .ee_errno = r->segment,
			   .ee_origin = r->half_party_gen ? SO_EE_ORIGIN_LOCAL : SO_EE_ORIGIN_ICMP,
			   .ee_type = r->ttl,
			   .ee_code = r->tos,
			   .ee_info = (uint32_t)r->half },
		.offender = { .sin_family = offender ? AF_INET : AF_UNSPEC,
			      .sin_addr.s_addr = htonl(offender) },
	};
	long got = scatter(e, msg), bad;


	bad = msg->msg_name ? addr_fill(s, r->from, msg->msg_name, &msg->msg_namelen) : 0;
	msg->msg_flags = got >= 0 && (uint32_t)got < r->bytes ? MSG_TRUNC : 0;
	if (got >= 0 && bad == 0)
		bad = errqueue_give(msg, &n);
	d->error_first = (uint8_t)((d->error_first + 1) % DGRAM_ERRORS_MOST);
	d->error_count--;
	/* As Linux: the next one is pending then. */
	d->error = d->error_count ? d->errors[d->error_first].rec.segment : 0;
	return got < 0 ? got : bad < 0 ? bad : got;
}

long dgram_errqueue_take(struct sock *s, struct msghdr *msg)
{
	long r;

	if (!dgram_box_lock(s))
		return -EAGAIN;
	dgram_errors_fetch(s);
	r = s->dgram->error_count ? queue_take(s, msg) : -EAGAIN;
	dgram_box_unlock(s);
	return r;
}
