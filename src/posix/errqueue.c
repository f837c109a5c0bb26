/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errqueue.c - half.zc_sent counts the sends that are to be told of, half.zc_told
 * those that were: what lies between is one notice, as Linux joins those of sends
 * that follow each other.
 */
#include <errno.h>
#include <string.h>

#include "base/copy.h"
#include "posix/errqueue.h"
#include "posix/watch.h"
#include "shm/owner.h"

void errqueue_sent(struct sock *s)
{
	atomic_fetch_add(&s->half->zc_sent, 1);
	watch_changed(s);
	owner_signal(s->half, POLL_ERR);
}

long errqueue_give(struct msghdr *msg, const struct errqueue_notice *n)
{
	struct cmsghdr c = { CMSG_LEN(sizeof(*n)), IPPROTO_IP, IP_RECVERR };
	char buf[CMSG_SPACE(sizeof(*n))] = { 0 };
	size_t room = msg->msg_control ? msg->msg_controllen : 0;

	msg->msg_flags |= MSG_ERRQUEUE;
	msg->msg_controllen = 0;
	if (room < sizeof(c)) {
		msg->msg_flags |= MSG_CTRUNC;
		return 0;
	}
	if (room < c.cmsg_len) {
		msg->msg_flags |= MSG_CTRUNC;
		c.cmsg_len = room;
	}
	memcpy(buf, &c, sizeof(c));
	memcpy(buf + CMSG_LEN(0), n, sizeof(*n));
	if (!copy_try(msg->msg_control, buf, c.cmsg_len))
		return -EFAULT;
	msg->msg_controllen = room < sizeof(buf) ? room : sizeof(buf);
	return 0;
}

long errqueue_take(struct sock *s, struct msghdr *msg)
{
	uint32_t sent, told = load_relaxed(&s->half->zc_told);
	struct errqueue_notice n = { .error = { .ee_origin = SO_EE_ORIGIN_ZEROCOPY,
				       .ee_code = SO_EE_CODE_ZEROCOPY_COPIED } };

	do {
		sent = load_relaxed(&s->half->zc_sent);
		if (sent == told)
			return -EAGAIN;
	} while (!atomic_compare_exchange_strong(&s->half->zc_told, &told, sent));
	n.error.ee_info = told;
	n.error.ee_data = sent - 1;
	if (!msg)
		return 0;
	msg->msg_namelen = 0;
	return errqueue_give(msg, &n);
}
