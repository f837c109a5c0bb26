// SPDX-License-Identifier: BSD-2-Clause
/*
 * sock_error.c - Errors of sockets: the one that the next call takes, and the queue of
 * those that IP_RECVERR keeps, each with what it is about.
 */
#include <errno.h>

#include "engine/pkt.h"
#include "engine/sock.h"

void sock_error(struct engine *e, struct sock *s, int error)
{
	s->error = error;
	sock_event(e, s, ENGINE_ERROR | ENGINE_READABLE | ENGINE_WRITABLE);
}

int sock_error_take(struct sock *s)
{
	int error = -s->error;

	s->error = 0;
	return error;
}

void sock_error_about(struct engine *e, struct sock *s, const struct engine_error *about,
		      struct cursor payload)
{
	struct pkt *p;

	sock_error(e, s, about->error);
	if (!s->recverr)
		return;
	if (s->error_cost >= s->rcvbuf) {
		COUNT(e, ERROR_QUEUE_FULL);
		return;
	}
	p = pkt_new_kept(e, cursor_left(&payload));
	if (!p) {
		COUNT(e, UDP_NO_ROOM);
		return;
	}
	pkt_write(e, p, 0, payload.at, cursor_left(&payload));
	p->about = *about;
	p->about.bytes = cursor_left(&payload);
	ilist_push(&s->errors, pkt_links(e), PKT_INDEX(e, p));
	s->error_cost += pkt_cost(p);
}

int64_t engine_recverr(struct engine *e, struct engine_sock ref, void *room, size_t bytes,
		       struct engine_error *ret)
{
	struct sock *s = sock_of(e, ref);
	struct pkt *p;
	uint32_t i;

	if (!s)
		return -EBADF;
	i = ilist_pop(&s->errors, pkt_links(e));
	if (i == NIL)
		return -EAGAIN;
	p = &e->pkt[i];
	*ret = p->about;
	s->error_cost -= pkt_cost(p);
	if (bytes > p->bytes)
		bytes = p->bytes;
	pkt_read(e, p, 0, room, bytes);
	pkt_free(e, p);
	/* As Linux has it: the next one is pending now. */
	i = s->errors.head;
	s->error = i == NIL ? 0 : e->pkt[i].about.error;
	return (int64_t)bytes;
}
