// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp_urgent.c - The urgent pointer (RFC 9293 3.8.5, RFC 6093).
 *
 * Urgent octets stay in line, where they were written; what TCP says is up to
 * where they go. The pointer is to the octet behind the last of them (MUST-62).
 * A reader never passes from before that last octet into it by one call, so that
 * it can tell where it is, as with SO_OOBINLINE and sockatmark().
 */
#include <errno.h>

#include "engine/tcp_parts.h"

void urgent_wanted(struct engine *e, struct tcp *t)
{
	t->snd_up = t->snd_tail;
	/* With a closed window, too, the peer is to hear of it (MUST-66's other side). */
	t->ack_now = true;
	tcp_wake(e, t);
}

bool urgent_unsent(const struct tcp *t)
{
	return t->snd_up > t->snd_base + (t->snd_nxt - t->snd_una);
}

void urgent_stamp(const struct tcp *t, struct tcp_header *h)
{
	uint64_t at = t->snd_base + (h->seq - t->snd_una);

	/* 3.9.1, SEND: on each segment until all of it is acknowledged. */
	if (t->snd_up <= at || t->snd_up <= t->snd_base)
		return;
	h->flags |= TCP_URG;
	/* One that is further away is said to be as far as can be said; it is corrected on the way.
	 */
	h->urgent = (uint16_t)min_u64(t->snd_up - at, UINT16_MAX);
}

void urgent_input(struct engine *e, struct tcp *t, const struct tcp_header *h)
{
	uint32_t ahead = h->seq + h->urgent - t->rcv_nxt;
	uint64_t up = t->rcv_tail + ahead;

	if (!(h->flags & TCP_URG) || t->fin_received || t->shut_rd || (int32_t)ahead <= 0)
		return;
	/* 3.10.7.4, sixth: RCV.UP <- max(RCV.UP, SEG.UP). */
	if (up <= t->rcv_up)
		return;
	t->rcv_up = up;
	tcp_tell(e, t, ENGINE_URGENT);
}

uint64_t urgent_limit(const struct tcp *t)
{
	return t->rcv_up > t->rcv_head + 1 ? t->rcv_up - 1 - t->rcv_head : UINT64_MAX;
}

int tcp_urgent(const struct engine *e, const struct sock *s, uint64_t *ret)
{
	const struct tcp *t = s->tcp == NIL ? NULL : &e->tcp[s->tcp];

	if (!t || t->rcv_up <= t->rcv_head)
		return -EINVAL;
	*ret = t->rcv_up - 1 - t->rcv_head;
	return 0;
}
